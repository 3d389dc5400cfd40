//! Folders of migrations as each tool keeps them: recognized by themselves, read as that tool would
//! run them, and what is wrong with them said at its place.

use std::fmt::Write as _;

use dbctl::migrate::conventions::{Convention, Entry, Reading, Tree, read};
use proptest::prelude::*;

fn tree(files: &[(&str, &str)]) -> Tree {
    let mut files: Vec<Entry> = files
        .iter()
        .map(|(path, text)| Entry {
            path: (*path).to_owned(),
            shown: format!("migrations/{path}"),
            bytes: Ok(text.as_bytes().to_vec()),
        })
        .collect();
    files.sort_by(|a, b| a.path.cmp(&b.path));
    Tree {
        shown: "migrations".into(),
        files,
    }
}

/// What was read, for people.
fn told(reading: &Reading) -> String {
    let mut text = format!("{}: {}\n", reading.convention, reading.because);
    for m in &reading.migrations {
        let version = m.version.as_ref().map_or("again", |v| v.written.as_str());
        writeln!(text, "{version} {}", m.name).expect("a string takes it");
        let parts = [
            ("up", Some(&m.up)),
            ("down", m.down.as_ref()),
            ("verify", m.verify.as_ref()),
        ];
        for (part, script) in parts {
            let Some(script) = script else { continue };
            let alone = if script.transaction {
                ""
            } else {
                " without a transaction"
            };
            let sql = script.sql().trim();
            writeln!(text, "  {part} {}{alone}: {sql:?}", script.path).expect("a string takes it");
        }
    }
    text += &findings(reading);
    text
}

fn findings(reading: &Reading) -> String {
    let mut text = String::new();
    for f in &reading.findings {
        let level = format!("{:?}", f.level).to_lowercase();
        let file = f.file.as_deref().unwrap_or("-");
        let at = f
            .span
            .as_ref()
            .map_or_else(String::new, |s| format!(" at {}..{}", s.start, s.end));
        writeln!(text, "{level} {} {file}{at}: {}", f.rule, f.message).expect("a string takes it");
    }
    text
}

const GOOSE: &str = "-- +goose Up\nCREATE TABLE a (n int);\n-- +goose StatementBegin\nCREATE FUNCTION f() RETURNS int \
                     LANGUAGE sql AS $$ SELECT 1; $$;\n-- +goose StatementEnd\n-- +goose Down\nDROP FUNCTION f;\nDROP TABLE a;\n";
const DBMATE: &str = "-- migrate:up transaction:false\nCREATE INDEX CONCURRENTLY i ON a (n);\n\n-- migrate:down\nDROP INDEX i;\n";
const PLAN: &str = "%syntax-version=1.0.0\n%project=shop\n\nschema 2024-01-01T00:00:00Z A <a@example.com> # first\n\
                    users [schema] 2024-01-02T00:00:00Z A <a@example.com> # second\n@v1 2024-01-03T00:00:00Z A <a@example.com> # tag\n";

/// Each convention, with versions that sort otherwise as text.
const FOLDERS: &[&[(&str, &str)]] = &[
    &[
        ("V1__first.sql", "CREATE TABLE a (n int);"),
        ("V10__tenth.sql", "CREATE TABLE c (n int);"),
        ("V9__ninth.sql", "CREATE TABLE b (n int);"),
    ],
    &[
        ("V1.2__second.sql", "CREATE TABLE b (n int);"),
        ("V1.10__tenth.sql", "CREATE INDEX CONCURRENTLY i ON b (n);"),
        ("V1.10__tenth.sql.conf", "executeInTransaction=false\n"),
        ("U1.2__second.sql", "DROP TABLE b;"),
        ("R__views.sql", "CREATE OR REPLACE VIEW v AS SELECT 1;"),
    ],
    &[
        ("20240101000000_first.sql", "CREATE TABLE a (n int);"),
        (
            "20240102000000_second.sql",
            "-- no-transaction\nCREATE INDEX CONCURRENTLY i ON a (n);",
        ),
    ],
    &[
        ("20240101000000_first.up.sql", "CREATE TABLE a (n int);"),
        ("20240101000000_first.down.sql", "DROP TABLE a;"),
    ],
    &[
        ("000001_first.up.sql", "CREATE TABLE a (n int);"),
        ("000001_first.down.sql", "DROP TABLE a;"),
        ("000002_second.up.sql", "CREATE TABLE b (n int);"),
    ],
    &[
        ("20240101000000_first.sql", GOOSE),
        (
            "20240102000000_second.sql",
            "-- +goose NO TRANSACTION\n-- +goose Up\nVACUUM;\n",
        ),
    ],
    &[
        (
            "20240101000000_first.sql",
            "-- migrate:up\nCREATE TABLE a (n int);\n-- migrate:down\nDROP TABLE a;\n",
        ),
        ("20240102000000_second.sql", DBMATE),
    ],
    &[
        ("2024-01-01-000000_first/up.sql", "CREATE TABLE a (n int);"),
        ("2024-01-01-000000_first/down.sql", "DROP TABLE a;"),
        (
            "2024-01-02-000000_second/up.sql",
            "CREATE INDEX CONCURRENTLY i ON a (n);",
        ),
        (
            "2024-01-02-000000_second/metadata.toml",
            "run_in_transaction = false\n",
        ),
    ],
    &[
        ("1.sql", "CREATE TABLE a (n int);"),
        ("2-second.sql", "CREATE TABLE b (n int);"),
        ("0010_tenth.sql", "CREATE TABLE c (n int);"),
    ],
    &[
        ("v1/1-tables.sql", "CREATE TABLE a (n int);"),
        ("v1/2-more.sql", "CREATE TABLE b (n int);"),
        ("v10/1-last.sql", "CREATE TABLE d (n int);"),
        ("v9/1-then.sql", "CREATE TABLE c (n int);"),
    ],
    &[
        ("sqitch.plan", PLAN),
        (
            "deploy/schema.sql",
            "BEGIN;\nCREATE SCHEMA shop;\nCOMMIT;\n",
        ),
        ("revert/schema.sql", "BEGIN;\nDROP SCHEMA shop;\nCOMMIT;\n"),
        ("verify/schema.sql", "SELECT 1;\n"),
        ("deploy/users.sql", "CREATE TABLE shop.users (n int);\n"),
        ("revert/users.sql", "DROP TABLE shop.users;\n"),
    ],
];

#[test]
fn each_convention_is_recognized_and_read_as_its_tool_would_run_it() {
    let mut text = String::new();
    for files in FOLDERS {
        match read(&tree(files), None) {
            Ok(reading) => text += &told(&reading),
            Err(problem) => writeln!(text, "{problem}\n  {:?}", problem.hint()).expect("a string"),
        }
        text += "\n";
    }
    insta::assert_snapshot!(text);
}

/// What is wrong with files, whatever the convention.
const BROKEN: &[(&str, &[(&str, &str)])] = &[
    (
        "a byte-order mark",
        &[("V1__a.sql", "\u{feff}CREATE TABLE a (n int);")],
    ),
    ("an empty file", &[("V1__a.sql", "")]),
    (
        "a merge conflict",
        &[(
            "V1__a.sql",
            "<<<<<<< HEAD\nSELECT 1;\n=======\nSELECT 2;\n>>>>>>> b\n",
        )],
    ),
    (
        "commands of psql",
        &[(
            "V1__a.sql",
            "\\connect other\nSELECT '\\i is fine here';\n\\i more.sql\n",
        )],
    ),
    (
        "a template",
        &[(
            "V1__a.sql",
            "CREATE TABLE {{ .Name }} (n int);\nSELECT '{{ fine }}';",
        )],
    ),
    (
        "data for COPY",
        &[("V1__a.sql", "COPY a FROM stdin;\n1\n2\n\\.\nSELECT 1;")],
    ),
    (
        "two of one version",
        &[("V1__a.sql", "SELECT 1;"), ("V01__b.sql", "SELECT 2;")],
    ),
    (
        "a gap",
        &[
            ("V1__a.sql", "SELECT 1;"),
            ("V2__b.sql", "SELECT 1;"),
            ("V5__c.sql", "SELECT 2;"),
        ],
    ),
    (
        "another language",
        &[("V1__a.sql", "SELECT 1;"), ("V2__b.py", "")],
    ),
    (
        "a transaction of its own",
        &[("V1__a.sql", "BEGIN;\nSELECT 1;\nCOMMIT;\n")],
    ),
    (
        "a down without an up",
        &[
            ("000001_a.up.sql", "SELECT 1;"),
            ("000002_b.down.sql", "SELECT 1;"),
        ],
    ),
    (
        "a number that is too great",
        &[
            ("V1__a.sql", "SELECT 1;"),
            ("V99999999999999999999__b.sql", "SELECT 1;"),
        ],
    ),
    (
        "a section without a beginning",
        &[(
            "20240101000000_a.sql",
            "-- +goose Up\n-- +goose StatementBegin\nSELECT 1;\n",
        )],
    ),
];

#[test]
fn what_is_wrong_with_files_is_said_at_its_place() {
    let mut text = String::new();
    for (what, files) in BROKEN {
        writeln!(text, "{what}").expect("a string");
        match read(&tree(files), None) {
            Ok(reading) => text += &findings(&reading),
            Err(problem) => writeln!(text, "{problem}").expect("a string"),
        }
        text += "\n";
    }
    insta::assert_snapshot!(text);
}

#[test]
fn a_convention_that_cannot_be_told_is_asked_for() {
    let mixed = tree(&[
        ("V1__a.sql", "SELECT 1;"),
        ("2024_b.txt.sql", "SELECT 1;"),
        ("000002_b.up.sql", "SELECT 1;"),
    ]);
    let problem = read(&mixed, None).expect_err("two conventions");
    let said = format!("{problem} {}", problem.hint().unwrap_or_default());
    assert!(said.contains("--convention"), "{said}");
    assert!(read(&mixed, Some(Convention::Refinery)).is_ok());
    assert!(read(&tree(&[("notes.sql", "SELECT 1;")]), None).is_err());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    /// Whatever the files are called and hold: a reading or a problem, and every range within.
    #[test]
    fn reading_never_panics(
        files in prop::collection::vec(
            ("(V|U|R|)[0-9._]{0,22}(__|_|-|)[a-z]{0,4}(/up|/down|)(\\.up|\\.down|)\\.(sql|conf|toml|plan|py)",
             prop_oneof![
                 "(-- \\+goose (Up|Down|StatementBegin|StatementEnd)\n|-- migrate:(up|down)\n|\\$\\$|'|\"|/\\*|\\*/|;|\\{\\{|COPY a FROM stdin;\n|[a-z \n]{1,5}){0,12}",
                 any::<String>(),
             ]),
            0..6),
        at in 0..10_usize,
    ) {
        let named: Vec<(&str, &str)> = files.iter().map(|(p, t)| (p.as_str(), t.as_str())).collect();
        let tree = tree(&named);
        for forced in [None, Some(Convention::ALL[at])] {
            if let Ok(reading) = read(&tree, forced) {
                for m in &reading.migrations {
                    for script in [Some(&m.up), m.down.as_ref(), m.verify.as_ref()].into_iter().flatten() {
                        prop_assert!(script.text.get(script.range.clone()).is_some());
                    }
                }
            }
        }
    }
}

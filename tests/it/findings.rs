//! What a validation prints: every shape of the same findings, read again by those who would.

use std::collections::BTreeSet;
use std::ops::Range;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use dbctl::migrate::finding::{Edit, Finding, Fix, Layer, Level, Unjudged};
use dbctl::ui::Screen;
use dbctl::ui::findings::{FailOn, Results, Root, Shape, write};
use serde_json::{Value, json};

use crate::support::postgres::Server;

const SHAPES: [Shape; 6] = [
    Shape::Human,
    Shape::Json,
    Shape::Junit,
    Shape::Sarif,
    Shape::Github,
    Shape::Gitlab,
];

type Files = Vec<(String, Arc<str>)>;

/// Files of every kind: what is not ASCII, other ends of lines, an end without one, nothing at all, a
/// password.
fn files() -> Files {
    [
        (
            "m/V1__größen.sql",
            "CREATE TABLE größen (\n  id int,\n  ä text, ü text\n);\n",
        ),
        (
            "m/V2__crlf.sql",
            "-- one\r\nALTER TABLE orders\r\n  ADD COLUMN region text NOT NULL;\r\nSELECT 1;\r\n",
        ),
        (
            "m/V3__two indexes.sql",
            "CREATE INDEX a ON orders (region);\nCREATE INDEX b ON orders (state);\n",
        ),
        ("m/V4__end.sql", "SELECT 1;\nSELECT (1"),
        ("m/V5__empty.sql", ""),
        ("m/V6__fine.sql", "SELECT 1;\n"),
        (
            "m/V7__password.sql",
            "SELECT dblink('postgres://app:hunter2@db/orders', 'DELETE FROM orders');\n",
        ),
        ("m/V9__crypto.sql", "CREATE EXTENSION pgcrypto;\n"),
        ("m/V10__long.sql", LONG),
    ]
    .into_iter()
    .map(|(file, text)| (file.to_owned(), Arc::from(text)))
    .collect()
}

/// A line that is longer than a screen.
const LONG: &str = "INSERT INTO words (word) VALUES ('one'), ('two'), ('three'), ('four'), ('five'), \
                    ('six'), ('seven'), ('eight'), ('nine'), ('ten'), (NULL), ('eleven');\n";

/// Where `words` stand in a file.
fn span(files: &Files, file: &str, words: &str) -> Range<usize> {
    let (_, text) = files.iter().find(|(f, _)| f == file).expect("a file");
    let start = text.find(words).expect("the words");
    start..start + words.len()
}

fn findings(files: &Files) -> Vec<Finding> {
    let at = |finding: Finding, file: &str, words: &str| {
        let span = span(files, file, words);
        finding.at(file, span)
    };
    let concurrently = |file: &str, words: &str| {
        let start = span(files, file, words).start + "CREATE INDEX".len();
        Fix {
            title: "build it beside the writes".into(),
            edits: vec![Edit {
                span: start..start,
                text: " CONCURRENTLY".into(),
            }],
        }
    };
    let index = || {
        Finding::new(
            Layer::Lint,
            "require-concurrent-index-creation",
            Level::Warning,
            "the index is built while nobody can write to the table",
        )
        .why("CREATE INDEX takes a Share lock: whoever writes to `orders` waits until it is built, and that takes as long as the table is big")
        .next("CREATE INDEX CONCURRENTLY, alone in a migration without a transaction:\n  -- no-transaction\n  CREATE INDEX CONCURRENTLY a ON orders (region);")
    };
    let (null, two) = ("m/V2__crlf.sql", "m/V3__two indexes.sql");
    vec![
        // The order in which they are found is not the one in which they are told.
        at(index(), two, "CREATE INDEX b ON orders (state);").fix(concurrently(two, "CREATE INDEX b")),
        at(index(), two, "CREATE INDEX a ON orders (region);").fix(concurrently(two, "CREATE INDEX a")),
        at(
            Finding::new(Layer::Again, "not-the-same", Level::Warning, "the column has another type on `live`"),
            "m/V1__größen.sql",
            "ü text",
        ),
        at(
            Finding::new(
                Layer::Execution,
                "not-null-without-default",
                Level::Error,
                "fails as soon as `orders` has rows: column \"region\" contains null values",
            ),
            null,
            "ALTER TABLE orders\r\n  ADD COLUMN region text NOT NULL;",
        )
        .why("seen by running it with 3 rows in `orders`; on an empty table it passes")
        .next("add it nullable, fill it in batches, add a CHECK … NOT VALID, validate it, and SET NOT NULL then")
        .fix(Fix {
            title: "let it be empty at first".into(),
            edits: vec![Edit {
                span: span(files, null, " NOT NULL"),
                text: String::new(),
            }],
        }),
        Finding::new(Layer::Execution, "fails", Level::Error, "syntax error at end of input").at("m/V4__end.sql", 19..19),
        Finding::new(Layer::Files, "empty-file", Level::Error, "the file is empty").at("m/V5__empty.sql", 0..0),
        at(
            Finding::new(
                Layer::Lint,
                "password-in-url",
                Level::Warning,
                "postgres://app:hunter2@db/orders holds a password: 100 % of those who read it\nknow it ]]> ::error::no \u{1b}[31m",
            ),
            "m/V7__password.sql",
            "'postgres://app:hunter2@db/orders'",
        )
        .fix(Fix {
            title: "another user".into(),
            edits: vec![Edit {
                span: span(files, "m/V7__password.sql", "postgres://app:hunter2@db/orders"),
                text: "postgres://other:hunter2@db/orders".into(),
            }],
        }),
        Finding::new(Layer::Files, "not-utf8", Level::Error, "line 2 is not UTF-8").of("m/V8__latin1.sql").next("save it as UTF-8"),
        at(Finding::new(Layer::Down, "down-leaves", Level::Error, "the value stays after the down"), "m/V10__long.sql", "NULL"),
        Finding::new(Layer::Files, "gap", Level::Warning, "there is no version 11, but a version 12").next("`dbctl migrate new NAME` takes the next free number"),
        Finding::new(Layer::Files, "outside", Level::Warning, "the file is outside of the repository: a, b").of("/elsewhere/V1__x.sql"),
    ]
}

fn unjudged() -> Vec<Unjudged> {
    vec![Unjudged {
        layer: Layer::Execution,
        file: Some("m/V9__crypto.sql".into()),
        message: "extension `pgcrypto` is not in the embedded Postgres".into(),
        next: Some("--scratch native, or the URL of a server that has it".into()),
    }]
}

/// A repository in whose folder `db` people are.
fn repository() -> (tempfile::TempDir, Root) {
    let dir = tempfile::tempdir().expect("a folder");
    std::fs::create_dir(dir.path().join(".git")).expect("a folder");
    let root = Root::around(dir.path().join("db"));
    (dir, root)
}

fn shown(shape: Shape, files: &Files, findings: &[Finding], fail_on: FailOn) -> String {
    let (_dir, root) = repository();
    let about = json!({"ok": false, "migrations": 10});
    let mut screen = Screen::new(false, 80);
    let results = Results {
        folder: "m",
        files,
        findings,
        unjudged: &unjudged(),
        summary: "10 migrations ran on embedded PostgreSQL 17.5 in 0.9 s",
        about: about.as_object().expect("an object"),
        fail_on,
        root: &root,
    };
    write(shape, &results, &mut screen).expect("written");
    screen.into_string()
}

fn all(shape: Shape) -> String {
    let files = files();
    shown(shape, &files, &findings(&files), FailOn::Error)
}

#[test]
fn people_read_it_like_errors_of_a_compiler_at_80_columns() {
    let text = all(Shape::Human);
    insta::assert_snapshot!("human", text);
    // Lines of a fix are copied, so they stay whole.
    let of_a_fix = |line: &str| line.starts_with("        - ") || line.starts_with("        + ");
    for line in text.lines().filter(|line| !of_a_fix(line)) {
        assert!(line.chars().count() <= 80, "{line}");
    }
}

#[test]
fn programs_get_every_place_and_every_fix() {
    insta::assert_snapshot!("json", all(Shape::Json));
}

#[test]
fn code_scanning_gets_sarif() {
    insta::assert_snapshot!("sarif", all(Shape::Sarif));
}

#[test]
fn a_test_report_has_a_case_for_each_file() {
    insta::assert_snapshot!("junit", all(Shape::Junit));
}

#[test]
fn a_github_workflow_gets_annotations() {
    insta::assert_snapshot!("github", all(Shape::Github));
}

#[test]
fn gitlab_gets_a_code_quality_report() {
    insta::assert_snapshot!("gitlab", all(Shape::Gitlab));
}

#[test]
fn no_shape_shows_a_password_nor_drives_a_terminal() {
    for shape in SHAPES {
        let text = all(shape);
        assert!(!text.contains("hunter2"), "{shape:?}: {text}");
        assert!(!text.contains('\u{1b}'), "{shape:?}: {text}");
        assert!(text.ends_with('\n') && !text.ends_with("\n\n"), "{shape:?}");
    }
}

#[test]
fn colour_says_nothing_more() {
    let files = files();
    let (_dir, root) = repository();
    let results = Results {
        folder: "m",
        files: &files,
        findings: &findings(&files),
        unjudged: &unjudged(),
        summary: "10 migrations ran on embedded PostgreSQL 17.5 in 0.9 s",
        about: &serde_json::Map::new(),
        fail_on: FailOn::Error,
        root: &root,
    };
    let mut screen = Screen::new(true, 80);
    write(Shape::Human, &results, &mut screen).expect("written");
    let coloured = screen.into_string();
    let escape = regex::Regex::new("\u{1b}\\[[0-9;]*m").expect("a pattern");
    assert!(escape.is_match(&coloured));
    assert_eq!(escape.replace_all(&coloured, ""), all(Shape::Human));
}

#[test]
fn sarif_holds_to_the_schema_of_its_standard() {
    let log: Value = serde_json::from_str(&all(Shape::Sarif)).expect("JSON");
    let schema: Value = serde_json::from_str(&sarif_schema()).expect("a schema");
    assert_eq!(complaint(&schema, &log), None);
    // The check sees something at all.
    let mut broken = log.clone();
    broken["runs"][0]["results"][0]["level"] = json!("fatal");
    assert!(complaint(&schema, &broken).is_some());
    let read: serde_sarif::sarif::Sarif = serde_json::from_value(log.clone()).expect("SARIF");
    assert_eq!(serde_json::to_value(&read).expect("JSON"), log);
}

/// The schema that comes with the crate, from where cargo keeps it: that of SARIF 2.1.0 as OASIS
/// publishes it.
fn sarif_schema() -> String {
    let said = |command: &mut Command| {
        let output = command.output().expect("it starts");
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{error}");
        String::from_utf8(output.stdout).expect("text")
    };
    let version = said(Command::new("rustc").arg("-vV"));
    let host = version.lines().find_map(|line| line.strip_prefix("host: "));
    let metadata = said(
        Command::new(env!("CARGO"))
            .args(["metadata", "--format-version", "1", "--locked", "--offline"])
            .args(["--filter-platform", host.expect("a host")])
            .current_dir(env!("CARGO_MANIFEST_DIR")),
    );
    let metadata: Value = serde_json::from_str(&metadata).expect("JSON");
    let packages = metadata["packages"].as_array().expect("packages");
    let package = packages.iter().find(|p| p["name"] == "serde-sarif");
    let manifest = package.expect("the crate")["manifest_path"].as_str();
    let schema = Path::new(manifest.expect("a path")).with_file_name("src/schema.json");
    std::fs::read_to_string(schema).expect("the schema")
}

/// What is wrong with a document by a schema; nothing where it holds to it.
fn complaint(schema: &Value, document: &Value) -> Option<String> {
    let mut schemas = boon::Schemas::new();
    let mut compiler = boon::Compiler::new();
    compiler.set_default_draft(boon::Draft::V7);
    compiler.enable_format_assertions();
    let added = compiler.add_resource("schema.json", schema.clone());
    added.expect("JSON");
    let compiled = compiler.compile("schema.json", &mut schemas);
    let index = compiled.unwrap_or_else(|error| panic!("the schema: {error:#}"));
    let checked = schemas.validate(document, index);
    checked.err().map(|error| format!("{error:#}"))
}

#[test]
fn a_code_quality_report_is_as_gitlab_describes_it() {
    // GitLab publishes no schema of it. This one is what its documentation says in words.
    let schema = json!({
        "$schema": "http://json-schema.org/draft-07/schema#",
        "type": "array",
        "items": {
            "type": "object",
            "required": ["description", "check_name", "fingerprint", "severity", "location"],
            "additionalProperties": false,
            "properties": {
                "description": {"type": "string", "minLength": 1, "pattern": "^[^\\n]*$"},
                "check_name": {"type": "string", "minLength": 1},
                "fingerprint": {"type": "string", "pattern": "^[0-9a-f]{64}$"},
                "severity": {"enum": ["info", "minor", "major", "critical", "blocker"]},
                "location": {
                    "type": "object",
                    "required": ["path", "lines"],
                    "properties": {
                        // Relative, and not beginning with `./`.
                        "path": {"type": "string", "minLength": 1, "not": {"pattern": "^\\./"}},
                        "lines": {
                            "type": "object",
                            "required": ["begin"],
                            "properties": {
                                "begin": {"type": "integer", "minimum": 1},
                                "end": {"type": "integer", "minimum": 1},
                            },
                        },
                    },
                },
            },
        },
    });
    let report: Value = serde_json::from_str(&all(Shape::Gitlab)).expect("JSON");
    assert_eq!(complaint(&schema, &report), None);
    let issues = report.as_array().expect("issues");
    assert_eq!(issues.len(), findings(&files()).len() + unjudged().len());
    assert!(complaint(&schema, &json!([{}])).is_some());
}

fn fingerprints(files: &Files, findings: &[Finding]) -> Vec<String> {
    let report = shown(Shape::Gitlab, files, findings, FailOn::Error);
    let report: Vec<Value> = serde_json::from_str(&report).expect("JSON");
    let prints = report.iter().map(|issue| issue["fingerprint"].as_str());
    prints.map(|p| p.expect("a text").to_owned()).collect()
}

#[test]
fn fingerprints_stay_when_lines_move_and_are_never_there_twice() {
    let files = files();
    let mut findings = findings(&files);
    // The same rule twice at the same words.
    findings.push(findings[0].clone());
    let before = fingerprints(&files, &findings);
    let different: BTreeSet<&String> = before.iter().collect();
    assert_eq!(different.len(), before.len());

    let above = "-- a line more\n\n";
    let moved: Files = files
        .iter()
        .map(|(file, text)| (file.clone(), Arc::from(format!("{above}{text}"))))
        .collect();
    let empty = "m/V5__empty.sql";
    for finding in &mut findings {
        let span = finding
            .span
            .clone()
            .filter(|_| finding.file.as_deref() != Some(empty));
        finding.span = span.map(|s| s.start + above.len()..s.end + above.len());
    }
    let after = fingerprints(&moved, &findings);
    // What was empty is not any more.
    let gone: BTreeSet<_> = before.iter().filter(|p| !after.contains(p)).collect();
    assert!(gone.len() <= 1, "{gone:?}");
}

#[test]
fn another_reader_of_test_reports_counts_the_same() {
    let server = Server::get();
    let files = files();
    let findings = findings(&files);
    for (fail_on, failures) in [
        (FailOn::Error, 5),
        (FailOn::Warning, 10),
        (FailOn::Never, 0),
    ] {
        let report = shown(Shape::Junit, &files, &findings, fail_on);
        // What libxml2 reads, through Postgres: each file, the two that cannot be read, and the folder.
        let read = server.psql(
            "postgres",
            &format!(
                "SELECT (xpath('count(//testcase)', report))[1],
                        (xpath('count(//testcase[failure])', report))[1],
                        (xpath('count(//testcase[error])', report))[1],
                        (xpath('string(/testsuites/@failures)', report))[1],
                        (xpath('count(//*[not(self::testsuites or self::testsuite or self::testcase
                                or self::failure or self::error or self::system-out)])', report))[1]
                 FROM xmlparse(DOCUMENT $junit${report}$junit$) AS report"
            ),
        );
        let cases = files.len() + 3;
        assert_eq!(
            read,
            format!("{cases}|{failures}|1|{failures}|0"),
            "{fail_on:?}"
        );
        let read = quick_junit::Report::deserialize_from_str(&report).expect("a report");
        assert_eq!(
            (read.tests, read.failures, read.errors),
            (cases, failures, 1)
        );
        assert_eq!(read.to_string().expect("XML"), report);
    }
}

#[test]
fn every_annotation_is_one_line_that_the_runner_reads_back_as_it_was() {
    let text = all(Shape::Github);
    let (annotations, last): (Vec<&str>, Vec<&str>) =
        text.lines().partition(|l| l.starts_with("::"));
    assert_eq!(
        annotations.len(),
        findings(&files()).len() + unjudged().len()
    );
    assert_eq!(last.len(), 1);
    for annotation in &annotations {
        let (command, _) = annotation[2..].split_once("::").expect("a message");
        let (word, properties) = command.split_once(' ').expect("properties");
        assert!(["error", "warning"].contains(&word), "{annotation}");
        for property in properties.split(',') {
            let (name, value) = property.split_once('=').expect("a value");
            let names = ["file", "line", "endLine", "col", "endColumn", "title"];
            assert!(names.contains(&name), "{annotation}");
            assert!(!value.contains([':', ',']), "{annotation}");
        }
    }
    let password = annotations.iter().find(|a| a.contains("password-in-url"));
    let (_, message) = password.expect("it")[2..]
        .split_once("::")
        .expect("a message");
    assert!(
        message.contains("100 %25 of those who read it%0Aknow it ]]> ::error::no"),
        "{message}"
    );
}

#[test]
fn what_fails_is_what_was_asked_for() {
    let warning = Finding::new(Layer::Lint, "a", Level::Warning, "b");
    let error = Finding::new(Layer::Lint, "a", Level::Error, "b");
    let both = [warning.clone(), error];
    for (fail_on, none, warnings, errors) in [
        (FailOn::Error, false, false, true),
        (FailOn::Warning, false, true, true),
        (FailOn::Never, false, false, false),
    ] {
        assert_eq!(fail_on.fails(&[]), none);
        assert_eq!(fail_on.fails(std::slice::from_ref(&warning)), warnings);
        assert_eq!(fail_on.fails(&both), errors);
    }
}

#[test]
fn a_forge_gets_paths_from_the_root_of_its_repository() {
    let (dir, root) = repository();
    let inside = dir.path().join("db/m/V1__a.sql");
    for (shown, path) in [
        ("m/V1__a.sql", "db/m/V1__a.sql"),
        ("./m/../m/V1__a.sql", "db/m/V1__a.sql"),
        ("../other/V1__a.sql", "other/V1__a.sql"),
        (&*inside.to_string_lossy(), "db/m/V1__a.sql"),
        ("..", "."),
        ("../../V1__a.sql", "../../V1__a.sql"),
        ("/elsewhere/V1__a.sql", "/elsewhere/V1__a.sql"),
    ] {
        assert_eq!(root.path(shown), path, "{shown}");
    }
    // Where there is no repository, the folder itself is the root.
    let dir = tempfile::tempdir().expect("a folder");
    assert_eq!(Root::around(dir.path()).path("m/V1__a.sql"), "m/V1__a.sql");
}

#[test]
fn without_findings_only_the_last_line_is_there() {
    let files = files();
    let (_dir, root) = repository();
    let results = Results {
        folder: "m",
        files: &files,
        findings: &[],
        unjudged: &[],
        summary: "9 migrations ran on embedded PostgreSQL 17.5 in 0.9 s",
        about: &serde_json::Map::new(),
        fail_on: FailOn::Error,
        root: &root,
    };
    let text = |shape| {
        let mut screen = Screen::new(false, 80);
        write(shape, &results, &mut screen).expect("written");
        screen.into_string()
    };
    let line = "9 migrations ran on embedded PostgreSQL 17.5 in 0.9 s · no errors\n";
    assert_eq!(text(Shape::Human), line);
    assert_eq!(text(Shape::Github), line);
    assert_eq!(text(Shape::Gitlab), "[]\n");
    let log: Value = serde_json::from_str(&text(Shape::Sarif)).expect("JSON");
    assert_eq!(log["runs"][0]["results"], json!([]));
    assert_eq!(
        log["runs"][0]["invocations"][0]["executionSuccessful"],
        json!(true)
    );
    let report = text(Shape::Junit);
    let read = quick_junit::Report::deserialize_from_str(&report).expect("a report");
    assert_eq!(
        (read.tests, read.failures, read.errors),
        (files.len(), 0, 0)
    );
}

proptest::proptest! {
    #![proptest_config(proptest::test_runner::Config::with_cases(100))]
    /// Spans come from parsers and servers, and a wrong one must not cost the whole answer.
    #[test]
    fn no_text_and_no_span_is_too_strange_to_be_shown(
        text in "[a-zß€𝄞 \\t\\r\\n\u{feff}\u{1b}\u{85};:%,<&\\]]{0,120}",
        start in 0_usize..140,
        length in 0_usize..140,
        inserted in "[a\\n €]{0,6}",
        message in "\\PC{0,40}",
    ) {
        let files = vec![("m/V1__a.sql".to_owned(), Arc::from(&*text))];
        let finding = Finding::new(Layer::Lint, "a-rule", Level::Error, &*message)
            .at("m/V1__a.sql", start..start + length)
            .fix(Fix {
                title: "another text".into(),
                edits: vec![Edit { span: start..start + length, text: inserted }],
            });
        for shape in SHAPES {
            let shown = shown(shape, &files, std::slice::from_ref(&finding), FailOn::Error);
            match shape {
                Shape::Json | Shape::Sarif | Shape::Gitlab => {
                    serde_json::from_str::<Value>(&shown).expect("JSON");
                }
                Shape::Junit => {
                    quick_junit::Report::deserialize_from_str(&shown).expect("a report");
                }
                Shape::Human | Shape::Github => {}
            }
        }
    }
}

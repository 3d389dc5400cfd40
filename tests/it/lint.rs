//! What the text of a migration says of itself: the classic outages, comments and settings that
//! silence a rule, and texts that are no SQL at all.

mod outages;

use dbctl::migrate::conventions::{Script, Version};
use dbctl::migrate::finding::{Finding, Level};
use dbctl::migrate::lint::{self, Context, Rules, Setting};
use dbctl::settings::Config;
use proptest::prelude::*;

fn script(path: &str, text: &str, transaction: bool) -> Script {
    Script {
        path: path.to_owned(),
        text: text.into(),
        range: 0..text.len(),
        transaction,
    }
}

/// Looks at a script that stands for a whole file.
fn found(text: &str, transaction: bool) -> Vec<Finding> {
    found_by(&Rules::default(), "migrations/1.sql", text, transaction)
}

fn found_by(rules: &Rules, path: &str, text: &str, transaction: bool) -> Vec<Finding> {
    let context = Context {
        rules,
        version: None,
        postgres: None,
    };
    lint::lint(&script(path, text, transaction), &context)
}

/// Line and column as people count them.
fn place(text: &str, finding: &Finding) -> (usize, usize) {
    let span = finding.span.clone().expect("a place");
    let before = &text[..span.start];
    let column = before.chars().rev().take_while(|c| *c != '\n').count() + 1;
    (before.matches('\n').count() + 1, column)
}

fn names(findings: &[Finding]) -> Vec<&str> {
    findings.iter().map(|f| &*f.rule).collect()
}

fn settings(text: &str) -> Rules {
    let config: Config = toml::from_str(text).expect(text);
    config.migrations.lint
}

#[test]
fn every_outage_is_found_where_it_stands_and_its_safe_form_is_not() {
    assert!(outages::OUTAGES.len() >= 30);
    let mut wrong = Vec::new();
    for outage in outages::OUTAGES {
        let [dangerous, safe] = outage.transaction;
        let findings = found(outage.dangerous, dangerous);
        let places: Vec<_> = findings
            .iter()
            .map(|f| (&*f.rule, place(outage.dangerous, f)))
            .collect();
        if !places.contains(&(outage.rule, (outage.line, outage.column))) {
            wrong.push(format!(
                "not found: {} in {}\n  but {places:?}",
                outage.rule, outage.dangerous
            ));
        }
        for text in outage.safe {
            let findings = found(text, safe);
            if !findings.is_empty() {
                wrong.push(format!("false alarm: {:?} in {text}", names(&findings)));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_finding_says_who_waits_and_what_to_do() {
    for outage in outages::OUTAGES {
        for finding in found(outage.dangerous, outage.transaction[0]) {
            assert!(finding.why.is_some(), "{finding:?}");
            assert!(finding.next.is_some(), "{finding:?}");
            assert!(!finding.message.ends_with('.'), "{finding:?}");
            let all = format!("{finding:?}");
            for placeholder in ["{T}", "{t}", "{x}"] {
                assert!(!all.contains(placeholder), "{finding:?}");
            }
        }
    }
}

#[test]
fn the_table_is_named_as_the_script_writes_it() {
    let findings = found("CREATE INDEX i ON shop.\"Orders\" (day);", true);
    assert_eq!(
        findings[0].message,
        "building an index without CONCURRENTLY stops every write to `shop.\"Orders\"`"
    );
}

#[test]
fn fixes_take_the_finding_away() {
    let mut fixed = 0;
    for outage in outages::OUTAGES {
        for finding in found(outage.dangerous, outage.transaction[0]) {
            let Some(fix) = &finding.fix else {
                continue;
            };
            fixed += 1;
            let text = fix.applied(outage.dangerous).expect("edits that fit");
            let left = found(&text, outage.transaction[0]);
            assert!(!names(&left).contains(&&*finding.rule), "{text}");
            assert!(!names(&left).contains(&"syntax-error"), "{text}");
        }
    }
    assert!(fixed >= 5, "{fixed}");
}

#[test]
fn a_fix_is_shown_as_a_unified_diff() {
    let text = "SELECT 1;\nSELECT 2;\nSET ROLE owner;\nSELECT 3;\n";
    let findings = found(text, true);
    let fix = findings[0].fix.as_ref().expect("a fix");
    assert_eq!(
        fix.diff("db/1.sql", text, 1),
        "--- db/1.sql\n+++ db/1.sql\n@@ -2,3 +2,3 @@\n SELECT 2;\n-SET ROLE owner;\n+SET LOCAL ROLE owner;\n SELECT 3;\n"
    );
}

#[test]
fn no_fix_makes_a_migration_fail() {
    // In a transaction CONCURRENTLY alone is no way out.
    let text = "CREATE INDEX i ON orders (day);";
    assert_eq!(found(text, true)[0].fix, None);
    assert!(found(text, false)[0].fix.is_some());
}

#[test]
fn places_are_those_of_the_whole_file() {
    let text = "-- +goose Up\nDROP TABLE orders;\n-- +goose Down\nDROP TABLE customers;\n";
    let mut part = script("1.sql", text, true);
    let start = text.find("DROP TABLE cust").expect("there");
    part.range = start..text.len();
    let context = Context {
        rules: &Rules::default(),
        version: None,
        postgres: None,
    };
    let findings = lint::lint(&part, &context);
    assert_eq!(names(&findings), ["ban-drop-table"]);
    assert_eq!(place(text, &findings[0]), (4, 1));
    assert!(findings[0].message.contains("dropping a table"));
}

#[test]
fn tables_of_the_same_script_are_nobodys_yet() {
    let text = "CREATE TABLE orders (id bigint, day date);
        CREATE INDEX orders_day ON orders (day);
        ALTER TABLE orders ADD CONSTRAINT k PRIMARY KEY (id);
        ALTER TABLE public.orders ADD COLUMN token uuid DEFAULT gen_random_uuid();
        ALTER TABLE orders ADD COLUMN n bigint NOT NULL;
        ALTER TABLE orders ALTER COLUMN n TYPE numeric, ALTER COLUMN n SET NOT NULL;
        ALTER TABLE orders RENAME COLUMN n TO m;
        UPDATE orders SET m = 1;
        DELETE FROM orders;
        TRUNCATE orders;
        DROP TABLE orders CASCADE;";
    for transaction in [true, false] {
        assert_eq!(found(text, transaction), []);
    }
    // The same name in another schema is another table.
    let other = "CREATE TABLE a.orders (id bigint); DELETE FROM b.orders;";
    assert_eq!(names(&found(other, true)), ["delete-without-where"]);
}

#[test]
fn comments_silence_rules_of_both_kinds() {
    let silent = [
        "-- squawk-ignore ban-drop-table\nDROP TABLE orders;",
        "-- squawk-ignore delete-without-where -- an empty table\nDELETE FROM sessions;",
        "/* squawk-ignore delete-without-where, ban-drop-table */\nDELETE FROM sessions;",
        "-- squawk-ignore-file ban-drop-table, delete-without-where\nSELECT 1;\n\nDROP TABLE a;\nDELETE FROM b;",
        "-- squawk-ignore-file\nSELECT 1;\n\nDROP TABLE a;\nDELETE FROM b;\nSELEC;",
        // Above a statement it counts for all of it.
        "-- squawk-ignore ban-drop-column\nALTER TABLE orders\n  ALTER COLUMN a SET DEFAULT 1,\n  DROP COLUMN day;",
    ];
    for text in silent {
        assert_eq!(found(text, true), [], "{text}");
    }
    let heard = [
        "-- squawk-ignore ban-drop-column\nDROP TABLE orders;",
        "-- squawk-ignore ban-drop-table\n\n\nDROP TABLE orders;",
        "SELECT '-- squawk-ignore ban-drop-table';\nDROP TABLE orders;",
    ];
    for text in heard {
        assert_eq!(names(&found(text, true)), ["ban-drop-table"], "{text}");
    }
}

#[test]
fn a_comment_for_the_file_may_stand_above_the_part_that_runs() {
    let text = "-- squawk-ignore-file ban-drop-table\n-- migrate:up\nDROP TABLE orders;\n";
    let mut part = script("1.sql", text, true);
    part.range = text.find("DROP").expect("there")..text.len();
    let context = Context {
        rules: &Rules::default(),
        version: None,
        postgres: None,
    };
    assert_eq!(lint::lint(&part, &context), []);
}

#[test]
fn a_comment_that_silences_nothing_is_said() {
    let text = "-- squawk-ignore ban-drop-tabel\nSELECT 1;";
    let findings = found(text, true);
    assert_eq!(names(&findings), ["unused-ignore"]);
    assert_eq!(findings[0].message, "no rule is called `ban-drop-tabel`");
    assert_eq!(
        findings[0].next.as_deref(),
        Some("did you mean `ban-drop-table`?")
    );
    assert_eq!(place(text, &findings[0]), (1, 18));
}

#[test]
fn levels_are_set_by_rule_and_by_path() {
    let rules = settings(
        r#"
        [migrations.lint]
        levels = { "ban-drop-table" = "warning", "prefer-robust-stmts" = "off" }
        [[migrations.lint.path]]
        glob = "legacy/**"
        levels = { "ban-drop-table" = "off" }
        [[migrations.lint.path]]
        glob = "legacy/*/9*.sql"
        levels = { "ban-drop-table" = "error" }
        "#,
    );
    let level = |path: &str| {
        let findings = found_by(&rules, path, "DROP TABLE orders;", true);
        findings.first().map(|f| f.level)
    };
    assert_eq!(found("DROP TABLE orders;", true)[0].level, Level::Error);
    assert_eq!(level("migrations/1.sql"), Some(Level::Warning));
    assert_eq!(level("db/legacy/2020/1.sql"), None);
    assert_eq!(level("legacy/1.sql"), None);
    assert_eq!(level("db\\legacy\\1.sql"), None);
    assert_eq!(level("db/not-legacy/1.sql"), Some(Level::Warning));
    assert_eq!(level("db/legacy/2020/9.sql"), Some(Level::Error));
    assert_eq!(level("db/legacy/2020/a/9.sql"), None);
}

#[test]
fn a_rule_that_is_off_can_be_switched_on() {
    let rules = settings("[migrations.lint]\nlevels = { \"require-table-schema\" = \"error\" }");
    let findings = found_by(&rules, "1.sql", "CREATE TABLE orders (id bigint);", true);
    assert_eq!(names(&findings), ["require-table-schema"]);
    assert_eq!(findings[0].level, Level::Error);
}

#[test]
fn older_migrations_are_not_nagged_about() {
    let version = |written: &str, parts: &[u64]| Version {
        written: written.to_owned(),
        parts: parts.to_vec(),
    };
    let text = "DROP TABLE orders;";
    let script = script("1.sql", text, true);
    let count = |from: &str, version: Option<&Version>| {
        let rules = settings(&format!("[migrations.lint]\nfrom = \"{from}\""));
        let context = Context {
            rules: &rules,
            version,
            postgres: None,
        };
        lint::lint(&script, &context).len()
    };
    assert_eq!(count("0042", Some(&version("0041", &[41]))), 0);
    assert_eq!(count("0042", Some(&version("42", &[42]))), 1);
    assert_eq!(count("V1.10", Some(&version("1.9", &[1, 9]))), 0);
    assert_eq!(
        count(
            "2024-01-31-000000",
            Some(&version("20240130000000", &[20240130000000]))
        ),
        0
    );
    assert_eq!(count("0042", None), 1);
}

#[test]
fn what_is_misspelt_in_the_settings_is_an_error() {
    let wrong = |text: &str| {
        toml::from_str::<Config>(text)
            .expect_err(text)
            .message()
            .to_owned()
    };
    assert_eq!(
        wrong("[migrations.lint]\nlevels = { \"ban-drop-colum\" = \"off\" }"),
        "there is no rule `ban-drop-colum`; did you mean `ban-drop-column`?"
    );
    assert!(
        wrong("[migrations.lint]\nlevels = { \"ban-drop-column\" = \"of\" }").contains("`off`")
    );
    assert!(wrong("[migrations.lint]\nfrom = \"newest\"").contains("0042"));
    assert!(
        wrong("[[migrations.lint.path]]\nglob = \"a/[\"\nlevels = {}").contains("not a pattern")
    );
}

#[test]
fn every_rule_is_described() {
    let text = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/lint.md"))
        .expect("the document");
    for rule in lint::rules() {
        let default = match rule.default {
            Setting::Error => "error",
            Setting::Warning => "warning",
            Setting::Off => "off",
        };
        let row = format!("| `{}` | {default} |", rule.name);
        assert!(text.contains(&row), "{row} is not in docs/lint.md");
        assert!(text.contains(rule.because), "{}", rule.because);
        if rule.default == Setting::Off {
            assert!(
                !rule.because.is_empty(),
                "{} is off without a reason",
                rule.name
            );
        }
    }
}

#[test]
fn every_rule_that_squawk_has_on_is_known() {
    let mut linter = squawk_linter::Linter::with_default_rules();
    let missing: Vec<String> = linter
        .rules
        .drain()
        .map(|rule| rule.to_string())
        .filter(|name| !lint::rules().any(|rule| rule.name == *name))
        .collect();
    assert!(missing.is_empty(), "{missing:?}");
}

#[test]
fn what_is_no_sql_is_said_once() {
    let findings = found("SELEC 1;\nCREATE TABL x;\nDROP TABLE orders;", true);
    assert_eq!(names(&findings), ["syntax-error", "ban-drop-table"]);
    let text = "SELECT 1;\n{{ if x }}\n";
    let findings = found(text, true);
    assert_eq!(
        findings[0].message,
        "this is not understood as SQL: expected command, found `{`"
    );
    assert_eq!(place(text, &findings[0]), (2, 1));
    assert_eq!(findings[0].span, Some(10..11));
}

#[test]
fn rows_and_commands_of_psql_are_passed_over() {
    let text = "\\connect shop\nCOPY sessions (id) FROM stdin;\nDELETE FROM sessions\t'\n\\.\nDROP TABLE orders;\n";
    let findings = found(text, true);
    assert_eq!(names(&findings), ["ban-drop-table"]);
    assert_eq!(place(text, &findings[0]), (5, 1));
}

#[test]
fn nothing_is_said_of_words_in_strings_bodies_and_comments() {
    let text = "-- DELETE FROM sessions;
        /* DROP TABLE orders; */
        SELECT 'DROP TABLE orders; SET ROLE owner';
        CREATE FUNCTION f() RETURNS void LANGUAGE sql BEGIN ATOMIC DELETE FROM sessions; END;
        CREATE FUNCTION g() RETURNS void LANGUAGE plpgsql SET search_path = '' AS $$ BEGIN DELETE FROM x; END $$;
        CREATE RULE r AS ON DELETE TO v DO INSTEAD DELETE FROM sessions;";
    assert_eq!(found(text, true), []);
}

#[test]
fn texts_that_are_nested_without_end_are_said_not_to_be_judged() {
    for text in [
        "SELECT ".to_owned() + &"(".repeat(200_000),
        "SELECT ".to_owned() + &"- ".repeat(200_000) + "1",
        "SELECT ".to_owned() + &"NOT ".repeat(200_000) + "true",
        "SELECT ".to_owned() + &"CASE WHEN a THEN ".repeat(50_000),
    ] {
        assert_eq!(names(&found(&text, true)), ["not-linted"]);
    }
    // Long is not deep.
    let long = "SELECT 1".to_owned() + &" + 1".repeat(20_000) + ";";
    assert_eq!(found(&long, true), []);
}

#[test]
fn many_files_come_back_in_their_order() {
    let scripts: Vec<Script> = (0..500)
        .map(|n| script(&format!("{n}.sql"), &format!("DROP TABLE t{n};"), true))
        .collect();
    let jobs: Vec<_> = scripts.iter().map(|s| (s, None)).collect();
    let found = lint::lint_all(&jobs, &Rules::default(), Some(18));
    assert_eq!(found.len(), 500);
    for (n, findings) in found.iter().enumerate() {
        assert_eq!(findings[0].file.as_deref(), Some(&*format!("{n}.sql")));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn no_text_makes_it_panic(text in ".{0,200}", transaction: bool) {
        found(&text, transaction);
    }

    #[test]
    fn no_heap_of_words_makes_it_panic(
        words in prop::collection::vec(prop::sample::select(WORDS), 0..60),
        transaction: bool,
    ) {
        let text = words.join(" ");
        for finding in found(&text, transaction) {
            prop_assert!(finding.rule != "not-linted", "{text}");
            if let Some(span) = finding.span {
                prop_assert!(text.get(span).is_some());
            }
            if let Some(fix) = finding.fix {
                prop_assert!(fix.applied(&text).is_some());
            }
        }
    }
}

/// What migrations are made of.
const WORDS: &[&str] = &[
    "ALTER",
    "TABLE",
    "TYPE",
    "ADD",
    "VALUE",
    "COLUMN",
    "CONSTRAINT",
    "CHECK",
    "UNIQUE",
    "PRIMARY",
    "KEY",
    "FOREIGN",
    "REFERENCES",
    "NOT",
    "NULL",
    "VALID",
    "VALIDATE",
    "CREATE",
    "INDEX",
    "CONCURRENTLY",
    "IF",
    "EXISTS",
    "DROP",
    "CASCADE",
    "UPDATE",
    "DELETE",
    "FROM",
    "WHERE",
    "SET",
    "LOCAL",
    "SESSION",
    "ROLE",
    "RESET",
    "ALL",
    "SELECT",
    "set_config",
    "DO",
    "$$ BEGIN COMMIT; END $$",
    "CALL",
    "PROCEDURE",
    "FUNCTION",
    "AS",
    "BEGIN",
    "COMMIT",
    "ON",
    "ONLY",
    "t",
    "s.t",
    "\"ä\"",
    "'x'",
    "(",
    ")",
    ",",
    ";",
    "=",
    "0",
    "json",
    "bigserial",
    "DEFAULT",
    "now()",
    "REFRESH",
    "MATERIALIZED",
    "VIEW",
    "VACUUM",
    "FULL",
    "LOCK",
    "IN",
    "MODE",
    "PARTITION",
    "OF",
    "-- squawk-ignore x\n",
    "/*",
    "*/",
    "COPY",
    "STDIN",
    "\n\\.\n",
    "WITH",
    "ENABLE",
    "DISABLE",
    "TRIGGER",
    "RENAME",
    "TO",
];

//! What a verification query cannot do: write, run for ever, drive the terminal, leave something.

use std::path::Path;

use serde_json::Value;

use super::{Bench, one};

#[test]
fn what_takes_too_long_is_cancelled_and_is_no_pass() {
    let bench = Bench::new(
        "Slow:\n\n```sql\nSELECT pg_sleep(60)\n```\n\nQuick:\n\n```sql\nSELECT 1\n```\n",
    );
    let seen = bench.verify(&["--timeout", "200ms"]);
    assert_eq!(seen.code, 4, "{}", seen.stdout);
    assert!(
        seen.stdout
            .contains("it took longer than 200ms and was cancelled"),
        "{}",
        seen.stdout
    );
    // The others are run all the same.
    assert!(seen.stdout.contains("1 pass, 1 error"), "{}", seen.stdout);
}

#[test]
fn a_query_that_writes_is_refused_and_nothing_is_changed() {
    let bench = Bench::new("");
    bench.db.psql(
        "CREATE TABLE log (n int); INSERT INTO log VALUES (1);
         CREATE FUNCTION scribble() RETURNS int LANGUAGE sql AS 'INSERT INTO log VALUES (2) RETURNING n';
         CREATE SEQUENCE counter",
    );
    let refused_by_the_server = [
        "SELECT scribble()",
        "WITH gone AS (DELETE FROM log RETURNING n) SELECT * FROM gone",
        "SELECT nextval('counter')",
        "SELECT * FROM log FOR UPDATE",
        "SELECT n INTO copy FROM log",
        "EXPLAIN ANALYZE INSERT INTO log VALUES (3)",
        "SELECT set_config('transaction_read_only', 'off', true), scribble()",
    ];
    for sql in refused_by_the_server {
        std::fs::write(bench.path().join("checks.md"), one(sql, "")).expect("a document");
        let seen = bench.verify(&[]);
        assert_eq!(seen.code, 4, "{sql}: {}{}", seen.stdout, seen.stderr);
        assert!(seen.stdout.contains("  ! error"), "{sql}: {}", seen.stdout);
    }
    // An expectation is a query as well.
    let document = one("SELECT 1 AS n", "each_row = \"scribble() = 2\"");
    std::fs::write(bench.path().join("checks.md"), document).expect("a document");
    let seen = bench.verify(&[]);
    assert_eq!(seen.code, 4, "{}", seen.stdout);
    assert!(
        seen.stdout.contains("read-only transaction"),
        "{}",
        seen.stdout
    );
    // What is no query at all is not even sent.
    for sql in [
        "DELETE FROM log",
        "COMMIT",
        "CALL scribble()",
        "COPY log TO STDOUT",
        "DO $$ BEGIN END $$",
    ] {
        std::fs::write(bench.path().join("checks.md"), one(sql, "")).expect("a document");
        let seen = bench.verify(&[]);
        assert_eq!(seen.code, 3, "{sql}: {}", seen.stdout);
        assert!(
            seen.stderr.contains("a verification query only reads"),
            "{sql}: {}",
            seen.stderr
        );
    }
    assert_eq!(
        bench.db.psql("SELECT string_agg(n::text, ',') FROM log"),
        "1"
    );
    assert_eq!(bench.db.psql("SELECT is_called FROM counter"), "f");
}

#[test]
fn several_statements_in_one_fence_are_refused_at_the_second_one() {
    let bench = Bench::new(&one(
        "SELECT ';', $$;$$ /* ; */;\n  COMMIT; DROP TABLE x",
        "",
    ));
    let seen = bench.verify(&["--format", "json"]);
    assert_eq!(seen.code, 3);
    let error: Value = serde_json::from_str(&seen.stderr).expect("JSON");
    let mistake = &error["related"][0];
    assert_eq!(mistake["cause"], "several statements in one fence");
    assert_eq!(
        (&mistake["place"]["line"], &mistake["place"]["column"]),
        (&7.into(), &3.into())
    );
}

#[test]
fn data_never_drives_the_terminal() {
    let sql = "SELECT E'\\x1b]0;owned\\x07\\x1b[2J' AS nasty, U&'\\009b31m' AS c1, E'a\\nb' AS \"two\u{1b}[1m lines\"";
    let bench = Bench::new(&one(sql, "each_row = \"nasty = ''\""));
    for format in ["human", "json"] {
        let seen = bench.verify(&["--format", format]);
        assert_eq!(seen.code, 5);
        let controls: Vec<char> = seen
            .stdout
            .chars()
            .filter(|c| c.is_control() && *c != '\n')
            .collect();
        assert!(controls.is_empty(), "{format}: {controls:?}");
        assert!(seen.stdout.contains("owned"));
    }
}

#[test]
fn a_role_without_the_privilege_is_told_which_and_does_not_pass() {
    let bench = Bench::new(&one("SELECT * FROM hidden", "min_rows = 0"));
    bench.db.psql(
        "CREATE TABLE hidden (n int);
         DO $$ BEGIN CREATE ROLE verify_nobody LOGIN; EXCEPTION WHEN duplicate_object THEN NULL; END $$",
    );
    let seen = bench.verify_as("verify_nobody", &[]);
    assert_eq!(seen.code, 4);
    assert!(
        seen.stdout.contains("permission denied for table hidden"),
        "{}",
        seen.stdout
    );
}

#[test]
fn nothing_is_left_on_the_connection_for_whoever_uses_it_next() {
    use dbctl::check::queries::{self, Options};
    let bench = Bench::new("");
    let text = one(
        "SELECT n FROM generate_series(1, 9) AS n",
        "each_row = \"n > 0\"\nmin_rows = 1",
    );
    let runbook = dbctl::runbook::parse(Path::new("x.md"), &text).expect("no mistakes");
    let options = bench.db.url.parse().expect("a URL");
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(async {
        // One connection, as behind a pooler or in the embedded Postgres.
        let db = dbctl::pg::Database::from_options(options, 1);
        for _ in 0..3 {
            let results = queries::run(&db, &runbook.queries, &Options::default()).await;
            assert_eq!(results[0].check.verdict, dbctl::check::Verdict::Pass, "{results:?}");
        }
        let left: (i64, i64, String) = sqlx::query_as(
            "SELECT (SELECT count(*) FROM pg_cursors WHERE name <> ''), (SELECT count(*) FROM pg_prepared_statements WHERE name <> ''), current_setting('statement_timeout')",
        )
        .persistent(false)
        .fetch_one(db.pool())
        .await
        .expect("the connection is in order");
        assert_eq!(left, (0, 0, "0".into()));
    });
}

#[cfg(unix)]
#[test]
fn csv_on_a_terminal_has_its_control_characters_made_visible() {
    use std::io::Read as _;
    let bench = Bench::new(&one("SELECT E'\\x1b]0;owned\\x07' AS nasty", ""));
    let mut command = crate::support::cli::dbctl(
        bench.path(),
        &[
            "verify",
            "--runbook",
            "checks.md",
            "--csv",
            "--database-url",
            &bench.db.url,
        ],
    );
    command.env("TERM", "dumb");
    let mut session = expectrl::Session::spawn(command).expect("a terminal");
    let mut shown = Vec::new();
    // A terminal whose last writer has gone answers with an error on Linux.
    let _ = session.read_to_end(&mut shown);
    let shown = String::from_utf8_lossy(&shown);
    assert!(shown.contains("owned"), "{shown:?}");
    assert!(
        !shown.contains('\u{1b}') && !shown.contains('\u{7}'),
        "{shown:?}"
    );
}

//! `dbctl verify` on a real server: what rows are expected to be, and that nothing is changed.

mod safety;

use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::support::cli::{Seen, run};
use crate::support::postgres::{Server, TestDb};

/// A folder with a document of queries, and a database of its own.
struct Bench {
    dir: tempfile::TempDir,
    db: TestDb,
}

impl Bench {
    fn new(document: &str) -> Self {
        let dir = tempfile::tempdir().expect("a folder");
        std::fs::write(dir.path().join("checks.md"), document).expect("a document");
        let db = Server::get().fresh_database();
        Self { dir, db }
    }

    fn path(&self) -> &Path {
        self.dir.path()
    }

    fn verify(&self, args: &[&str]) -> Seen {
        self.verify_as("postgres", args)
    }

    fn verify_as(&self, role: &str, args: &[&str]) -> Seen {
        let url = self.db.url_as(role);
        let mut all = vec!["verify", "--runbook", "checks.md", "--database-url", &url];
        all.extend(args);
        run(self.path(), &all)
    }

    fn json(&self, args: &[&str]) -> (i32, Value) {
        let mut all = vec!["--format", "json"];
        all.extend(args);
        let seen = self.verify(&all);
        let json = serde_json::from_str(&seen.stdout)
            .unwrap_or_else(|e| panic!("{e}: {}{}", seen.stdout, seen.stderr));
        (seen.code, json)
    }
}

/// A document with one query and what is expected of it.
fn one(sql: &str, expect: &str) -> String {
    let expect = match expect {
        "" => String::new(),
        text => format!("```toml expect\n{text}\n```\n"),
    };
    format!("# Checks\n\nThe rows:\n\n```sql\n{sql}\n```\n\n{expect}")
}

#[test]
fn each_expectation_passes_fails_or_says_that_it_cannot_be_judged() {
    const THREE: &str = "SELECT * FROM (VALUES (1, 'a'), (2, NULL), (3, 'c')) AS t (n, name) ORDER BY n DESC LIMIT 3; -- newest first";
    const NONE: &str = "SELECT 1 AS n, now() AS at WHERE false";
    const TIMES: &str =
        "SELECT now() - interval '10 minutes' AS at UNION ALL SELECT now() - interval '1 day'";
    let cases: &[(&str, &str, i32, &str)] = &[
        (
            THREE,
            "min_rows = 3",
            0,
            "3 rows, as expected: at least 3 rows",
        ),
        (THREE, "min_rows = 4", 5, "at least 4 rows: 3 rows"),
        (THREE, "max_rows = 3", 0, "at most 3 rows"),
        (THREE, "max_rows = 2", 5, "at most 2 rows: 3 rows"),
        (NONE, "max_rows = 0", 0, "0 rows, as expected"),
        (NONE, "min_rows = 1", 5, "at least 1 row: 0 rows"),
        (THREE, "each_row = \"n > 0\"", 0, "each row: n > 0"),
        (
            THREE,
            "each_row = \"n > 1 -- but\"",
            5,
            "not true for 1 of 3, such as (1,a)",
        ),
        // Null is not true.
        (
            THREE,
            "each_row = \"name <> 'b'\"",
            5,
            "not true for 1 of 3, such as (2,)",
        ),
        (
            THREE,
            "some_row = \"name = 'c'\"",
            0,
            "some row: name = 'c'",
        ),
        (THREE, "some_row = \"name = 'b'\"", 5, "true for 0 of 3"),
        (
            TIMES,
            "newest = { column = \"at\", within = \"15m\" }",
            0,
            "newest at within 15m",
        ),
        (
            TIMES,
            "newest = { column = \"at\", within = \"5m\" }",
            5,
            "10m old",
        ),
        (
            "SELECT NULL::timestamptz AS at",
            "newest = { column = \"at\", within = \"5m\" }",
            6,
            "it is null in every row",
        ),
        (
            "SELECT 'infinity'::timestamptz AS at",
            "newest = { column = \"at\", within = \"5m\" }",
            0,
            "newest at",
        ),
        (
            "SELECT current_date AS \"The Day\"",
            "newest = { column = \"The Day\", within = \"25h\" }",
            0,
            "newest The Day",
        ),
        // Nothing was seen, so nothing is known, unless the runbook says that none is fine.
        (NONE, "each_row = \"n > 0\"", 6, "there are no rows"),
        (NONE, "some_row = \"n > 0\"", 6, "there are no rows"),
        (
            NONE,
            "newest = { column = \"at\", within = \"5m\" }",
            6,
            "there are no rows",
        ),
        (NONE, "grows = \"n\"", 6, "there are no rows"),
        (
            NONE,
            "min_rows = 0\neach_row = \"n > 0\"",
            0,
            "all 2 expectations hold",
        ),
        (
            NONE,
            "min_rows = 1\neach_row = \"n > 0\"",
            5,
            "at least 1 row: 0 rows",
        ),
        // What cannot be evaluated is an error, never a pass.
        (
            THREE,
            "each_row = \"colour = 'red'\"",
            4,
            "each_row: column \"colour\" does not exist",
        ),
        (
            THREE,
            "each_row = \"n\"",
            4,
            "argument of IS NOT TRUE must be type boolean",
        ),
        (
            THREE,
            "newest = { column = \"at\", within = \"5m\" }",
            4,
            "the query has no column `at`",
        ),
        (
            THREE,
            "newest = { column = \"name\", within = \"5m\" }",
            4,
            "newest: ",
        ),
        (THREE, "grows = \"colour\"", 4, "its columns: n, name"),
    ];
    let bench = Bench::new("");
    let mut wrong = Vec::new();
    for (sql, expect, code, text) in cases {
        std::fs::write(bench.path().join("checks.md"), one(sql, expect)).expect("a document");
        let seen = bench.verify(&[]);
        let flat = seen.stdout.split_whitespace().collect::<Vec<_>>().join(" ");
        if seen.code != *code || !flat.contains(text) {
            wrong.push(format!(
                "{expect}: status {}, {flat} {}",
                seen.code, seen.stderr
            ));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}

#[test]
fn a_column_that_grows_is_compared_with_the_last_look() {
    let bench = Bench::new(&one("SELECT top FROM tops", "grows = \"top\""));
    bench
        .db
        .psql("CREATE TABLE tops (top bigint); INSERT INTO tops VALUES (9), (100)");
    let look = || {
        let (code, json) = bench.json(&[]);
        let seen = json["queries"][0]["evidence"][0]["seen"]
            .as_str()
            .map(str::to_owned);
        (code, seen.unwrap_or_default(), json)
    };
    let (code, seen, _) = look();
    assert_eq!(
        (code, seen.contains("100, the first look")),
        (0, true),
        "{seen}"
    );
    bench.db.psql("UPDATE tops SET top = 1000 WHERE top = 100");
    let (code, seen, _) = look();
    assert_eq!(
        (code, seen.contains("1000, at the last look")),
        (0, true),
        "{seen}"
    );
    // A text comparison would call 999 more than 1000.
    bench.db.psql("UPDATE tops SET top = 999 WHERE top = 1000");
    let (code, seen, _) = look();
    assert_eq!(
        (code, seen.contains("fail: 999, at the last look")),
        (5, true),
        "{seen}"
    );
    // A fall is not forgotten by having been looked at.
    let (code, _, json) = look();
    assert_eq!(code, 5);
    let file = bench.path().join(".dbctl/verify/checks.json");
    let next = json["queries"][0]["next"]
        .as_str()
        .expect("a next step")
        .to_owned();
    assert!(next.contains("delete .dbctl/verify/checks.json"), "{next}");
    // Another database has looks of its own, and a damaged file is no first look.
    let other = bench.db.server().fresh_database();
    other.psql("CREATE TABLE tops (top bigint); INSERT INTO tops VALUES (1)");
    let seen = run(
        bench.path(),
        &[
            "verify",
            "--runbook",
            "checks.md",
            "--database-url",
            &other.url,
        ],
    );
    assert_eq!(seen.code, 0, "{}", seen.stdout);
    std::fs::write(&file, "{}").expect("damaged");
    let (code, seen, _) = look();
    assert_eq!((code, seen.contains("error: 999")), (4, true), "{seen}");
}

#[cfg(unix)]
#[test]
fn the_last_looks_are_for_their_owner_only() {
    use std::os::unix::fs::PermissionsExt;
    let bench = Bench::new(&one("SELECT 1 AS top", "grows = \"top\""));
    assert_eq!(bench.verify(&[]).code, 0);
    let mode = |path: PathBuf| {
        let metadata = std::fs::metadata(path).expect("it is there");
        metadata.permissions().mode() & 0o077
    };
    assert_eq!(mode(bench.path().join(".dbctl/verify")), 0);
    assert_eq!(mode(bench.path().join(".dbctl/verify/checks.json")), 0);
}

#[test]
fn a_plain_document_is_enough_and_its_queries_are_named_after_the_text_before_them() {
    let bench = Bench::new(
        "\
Notes that nobody wrote for dbctl.

How many tables are there?

```sql
SELECT count(*) AS tables FROM pg_catalog.pg_class WHERE relkind = 'r'
```

```json
{\"not\": \"a query\"}
```

## Settings of the server

```SQL
SHOW server_encoding;
```

- It's a list. The plan of nothing:

  ```sql
  EXPLAIN SELECT 1
  ```

```sql
VALUES (1), (2)
```
",
    );
    let (code, json) = bench.json(&[]);
    assert_eq!(code, 0, "{json:#}");
    let names: Vec<&str> = json["queries"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|q| q["name"].as_str().expect("a name"))
        .collect();
    assert_eq!(
        names,
        [
            "how-many-tables-are-there",
            "settings-of-the-server",
            "the-plan-of-nothing",
            "settings-of-the-server-2"
        ]
    );
    assert_eq!(json["queries"][1]["rows"][0][0], "UTF8");
    assert_eq!(json["queries"][3]["rows"][1][0], "2");
}

#[test]
fn values_of_every_type_are_shown_as_postgres_writes_them() {
    let sql = "SELECT 1::int4 AS a, 'x'::text AS a, NULL AS nothing, '' AS empty, 1.50::numeric AS n, true AS b,
        '2026-02-03 04:05:06.789+01'::timestamptz AS at, '1 day 02:00'::interval AS i, '\\xdeadbeef'::bytea AS bytes,
        '{\"k\": [1]}'::jsonb AS j, ARRAY['x', NULL, 'y z'] AS list, '10.0.0.0/8'::cidr AS net, int4range(1, 5) AS range,
        point(1, 2) AS p, (1, 'two', NULL) AS row, '0190'::varbit(8) IS NULL AS v, 'a'::\"char\" AS c, xmlcomment('x') AS xml,
        'sad'::mood AS mood, ROW(7, 'm')::pair AS pair, 5::positive AS positive, 'NaN'::float8 AS nan";
    let sql = sql.replace("'0190'::varbit(8) IS NULL", "B'101'::varbit");
    let bench = Bench::new(&one(&sql, ""));
    bench.db.psql(
        "CREATE TYPE mood AS ENUM ('sad'); CREATE TYPE pair AS (a int, b text); CREATE DOMAIN positive AS int CHECK (value > 0)",
    );
    let (code, json) = bench.json(&[]);
    assert_eq!(code, 0, "{json:#}");
    let query = &json["queries"][0];
    let shown: Vec<String> = query["columns"]
        .as_array()
        .expect("columns")
        .iter()
        .zip(query["rows"][0].as_array().expect("a row"))
        .map(|(c, v)| {
            let value = v.as_str().unwrap_or("NULL");
            format!(
                "{} {} {value}",
                c["name"].as_str().unwrap_or("?"),
                c["type"].as_str().unwrap_or("?")
            )
        })
        .collect();
    insta::assert_snapshot!(shown.join("\n"));
}

#[test]
fn a_query_without_rows_still_shows_its_columns() {
    let bench = Bench::new(&one("SELECT 1 AS one, 2 AS two, 3 AS two WHERE false", ""));
    let (code, json) = bench.json(&[]);
    assert_eq!(code, 0);
    let query = &json["queries"][0];
    let names: Vec<_> = query["columns"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|c| &c["name"])
        .collect();
    assert_eq!(names, ["one", "two", "two"]);
    assert_eq!(query["rows"].as_array().map(Vec::len), Some(0));
}

#[test]
fn the_servers_complaint_points_into_the_document() {
    let bench = Bench::new(
        "# Checks\n\n1. In a list:\n\n   ```sql\n   -- wörds\n   SELECT 1,\n     colour FROM pg_class;\n   ```\n",
    );
    let (code, json) = bench.json(&[]);
    assert_eq!(code, 4);
    let query = &json["queries"][0];
    assert_eq!(query["evidence"][0]["seen"], "checks.md:8:6", "{query:#}");
    assert!(
        query["summary"]
            .as_str()
            .is_some_and(|s| s.starts_with("column \"colour\" does not exist"))
    );
}

#[test]
fn csv_goes_back_into_a_table_as_it_was() {
    let bench = Bench::new(&one("SELECT * FROM odd ORDER BY n", ""));
    bench.db.psql(
        "CREATE TABLE odd (n int, t text, u text);
         INSERT INTO odd VALUES (1, 'plain', NULL), (2, '', 'a,b'), (3, E'two\\nlines', '\"quoted\"'), (4, NULL, NULL), (5, ' space ', '\\.')",
    );
    let seen = bench.verify(&["the-rows", "--csv"]);
    assert_eq!(seen.code, 0, "{}", seen.stderr);
    assert!(
        seen.stderr.contains("the-rows: pass: 5 rows"),
        "{}",
        seen.stderr
    );
    let file = bench.path().join("odd.csv");
    std::fs::write(&file, &seen.stdout).expect("a file");
    bench.db.psql(&format!(
        "CREATE TABLE back (LIKE odd);\n\\copy back FROM '{}' WITH (FORMAT csv, HEADER)",
        file.display()
    ));
    let differing = bench.db.psql(
        "SELECT count(*) FROM ((TABLE odd EXCEPT ALL TABLE back) UNION ALL (TABLE back EXCEPT ALL TABLE odd)) AS d",
    );
    assert_eq!(differing, "0", "{}", seen.stdout);
    // And any reader of CSV takes it.
    let mut reader = csv::Reader::from_reader(seen.stdout.as_bytes());
    assert_eq!(reader.records().filter(Result::is_ok).count(), 5);
}

#[test]
fn expectations_see_all_rows_even_when_few_are_shown() {
    let bench = Bench::new(&one(
        "SELECT n FROM generate_series(1, 5000) AS n",
        "min_rows = 5000\nmax_rows = 5000\neach_row = \"n <= 5000\"\nsome_row = \"n = 5000\"",
    ));
    let (code, json) = bench.json(&["--max-rows", "3"]);
    assert_eq!(code, 0, "{json:#}");
    let query = &json["queries"][0];
    assert_eq!(query["rows"].as_array().map(Vec::len), Some(3));
    assert_eq!(query["truncated"], true);
    let seen = bench.verify(&["--max-rows", "3"]);
    assert!(seen.stdout.contains("… and more"), "{}", seen.stdout);
}

#[test]
fn the_queries_of_the_shipped_runbook_run_and_judge() {
    let dir = tempfile::tempdir().expect("a folder");
    let db = Server::get().fresh_database();
    let verify = |args: &[&str]| {
        let mut all = vec!["verify", "--database-url", &db.url];
        all.extend(args);
        run(dir.path(), &all)
    };
    // Before the migrations: an error, not "nothing to complain about".
    let seen = verify(&[]);
    assert_eq!(seen.code, 4, "{}", seen.stdout);
    assert!(
        seen.stdout.contains("dbctl migrate list"),
        "{}",
        seen.stdout
    );
    db.migrate_by_hand();
    // Empty tables: a failure, since each wants a row.
    let seen = verify(&[]);
    assert_eq!(seen.code, 5, "{}", seen.stdout);
    db.psql(
        "INSERT INTO security.revoked_tokens (token_id, revoked_at, expires_at) VALUES ('t-1', '2026-01-02 03:04:05Z', '2026-01-02 04:04:05Z');
         INSERT INTO security.nonce_watermarks (node_name, nonce_scope, reserved_high, window_size) VALUES ('auth-1', 'login', 300, 100);
         INSERT INTO authz.policy_decisions (request_id, subject, action, allow, reason_code, instance) VALUES ('r-1', 'ann', 'verify', false, 'revoked_token', 'auth-1')",
    );
    let seen = verify(&["revoked-tokens", "nonce-watermarks", "policy-decisions"]);
    assert_eq!(seen.code, 0, "{}", seen.stdout);
    assert!(
        seen.stdout.lines().all(|l| l.chars().count() <= 80),
        "{}",
        seen.stdout
    );
    let seen = verify(&["revoked-tokens"]);
    let shown = seen
        .stdout
        .replace(&db.name, "DATABASE")
        .replace(&db.server().port().to_string(), "PORT");
    insta::with_settings!({filters => vec![(r" +\d+ ms", "  [ms]")]}, {
        insta::assert_snapshot!(shown);
    });
}

#[test]
fn a_wrong_question_is_answered_with_what_is_known() {
    let bench = Bench::new("One:\n\n```sql\nSELECT 1\n```\n\nTwo:\n\n```sql\nSELECT 2\n```\n");
    let seen = bench.verify(&["three"]);
    assert_eq!(seen.code, 2);
    assert!(seen.stderr.contains("known: one, two"), "{}", seen.stderr);
    let seen = bench.verify(&["--csv"]);
    assert_eq!(seen.code, 2);
    assert!(
        seen.stderr.contains("dbctl verify one --csv"),
        "{}",
        seen.stderr
    );
    std::fs::write(bench.path().join("checks.md"), "# Nothing\n").expect("a document");
    let seen = bench.verify(&[]);
    assert_eq!(seen.code, 3);
    assert!(seen.stderr.contains("it has no queries"), "{}", seen.stderr);
    std::fs::write(bench.path().join("checks.md"), one("SELECT 1", "")).expect("a document");
    let url = "postgres://nobody@127.0.0.1:1/none?sslmode=disable";
    let seen = run(
        bench.path(),
        &["verify", "--runbook", "checks.md", "--database-url", url],
    );
    assert_eq!(seen.code, 4, "{}", seen.stderr);
}

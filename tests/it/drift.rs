//! `dbctl migrate drift` and `migrate dump`, as a pipeline runs them.

use serde_json::Value;

use crate::support::cli::{Seen, run};
use crate::support::migrations::folder;
use crate::support::postgres::{Server, TestDb, other_versions};

struct Stage {
    dir: tempfile::TempDir,
    db: TestDb,
}

impl Stage {
    fn set() -> Self {
        let stage = Self {
            dir: tempfile::tempdir().expect("a folder"),
            db: Server::own().fresh_database(),
        };
        let seen = stage.dbctl(&["migrate", "apply", "--confirm", &stage.db.name]);
        assert_eq!(seen.code, 0, "{}", seen.stderr);
        stage
    }

    fn dbctl(&self, args: &[&str]) -> Seen {
        let mut all = vec!["--database-url", &self.db.url];
        all.extend(args);
        run(self.dir.path(), &all)
    }

    fn drift(&self, more: &[&str]) -> Seen {
        let scratch = self.db.server().url("postgres");
        let mut args = vec!["migrate", "drift", "--scratch", &scratch];
        args.extend(more);
        self.dbctl(&args)
    }
}

/// The three that a well-known tool lets through, and the way back.
#[test]
fn an_extra_table_an_added_default_and_a_revoked_grant_are_each_drift() {
    let stage = Stage::set();
    let seen = stage.drift(&[]);
    assert_eq!(seen.code, 0, "{}{}", seen.stdout, seen.stderr);
    assert!(seen.stdout.contains("no drift"), "{}", seen.stdout);
    let changes = [
        (
            "CREATE TABLE security.extra (n int)",
            "+ relation security.extra",
        ),
        (
            "ALTER TABLE security.revoked_tokens ALTER COLUMN reason SET DEFAULT 'none'",
            "~ column security.revoked_tokens.reason",
        ),
        (
            "REVOKE SELECT ON security.revoked_tokens FROM security_runtime",
            "~ relation security.revoked_tokens",
        ),
    ];
    for (change, said) in changes {
        stage.db.psql(change);
        let seen = stage.drift(&[]);
        assert_eq!(seen.code, 5, "{change}: {}{}", seen.stdout, seen.stderr);
        assert!(seen.stdout.contains(said), "{change}: {}", seen.stdout);
    }
    let ignored = [
        "--ignore",
        "* security.extra*",
        "--ignore",
        "column *.reason",
        "--ignore",
        "relation security.revoked_tokens",
        "--format",
        "json",
    ];
    let seen = stage.drift(&ignored);
    assert_eq!(seen.code, 0, "{}{}", seen.stdout, seen.stderr);
    let said: Value = serde_json::from_str(&seen.stdout).expect("JSON");
    assert_eq!(said["schema"], "dbctl.migrate.drift/1");
    assert_eq!(
        (&said["same"], &said["differences"]),
        (&true.into(), &Value::Array(vec![]))
    );
    assert!(said["ignored"].as_u64() >= Some(3), "{said}");
}

#[test]
fn a_committed_schema_is_compared_and_what_is_stale_is_named() {
    let stage = Stage::set();
    let scratch = stage.db.server().url("postgres");
    let dump = ["migrate", "dump", "--scratch", &scratch];
    let one = stage.dbctl(&dump);
    assert_eq!(one.code, 0, "{}", one.stderr);
    assert_eq!(one.stdout, stage.dbctl(&dump).stdout, "the same each time");
    let file = stage.dir.path().join("schema.txt");
    std::fs::write(&file, one.stdout.replace('\n', "\r\n")).expect("written");
    let check = [&dump[..], &["--check", "schema.txt"]].concat();
    let seen = stage.dbctl(&check);
    assert_eq!(seen.code, 0, "{}", seen.stderr);
    std::fs::write(&file, one.stdout.replacen("not null", "", 1)).expect("written");
    let seen = stage.dbctl(&check);
    assert_eq!(seen.code, 5, "{}", seen.stderr);
    assert!(
        seen.stderr.contains("it is stale from line"),
        "{}",
        seen.stderr
    );
    let missing = [&dump[..], &["--check", "nothing.txt"]].concat();
    assert_eq!(stage.dbctl(&missing).code, 3);
}

/// Of the built-in migrations and of a schema with a thing of every kind.
#[test]
fn the_text_of_a_schema_is_the_same_on_every_version_of_postgres() {
    let dir = folder(&[("1_shop.sql", super::catalog::SCHEMA)]);
    for source in [&["--dir", "m"][..], &[]] {
        let dump = |bin: &[&str]| {
            let args = [&["migrate", "dump", "--scratch", "native"], source, bin].concat();
            let seen = run(dir.path(), &args);
            assert_eq!(seen.code, 0, "{bin:?}: {}", seen.stderr);
            seen.stdout
        };
        let installed = dump(&[]);
        for bin in other_versions() {
            let bin = bin.to_str().expect("UTF-8");
            let there = dump(&["--pg-bin", bin]);
            assert_same_lines(bin, &installed, &there);
        }
    }
}

/// Fails with the first lines that differ.
fn assert_same_lines(of: &str, one: &str, other: &str) {
    let differ = one.lines().zip(other.lines()).find(|(a, b)| a != b);
    assert_eq!(differ, None, "{of}");
    assert_eq!(one.lines().count(), other.lines().count(), "{of}");
}

/// What sqlx's own tool would have applied: drift knows its history.
#[test]
fn drift_knows_what_other_tools_have_applied() {
    let dir = folder(&[
        (
            "20240101000000_orders.sql",
            "CREATE TABLE orders (id bigint PRIMARY KEY);",
        ),
        (
            "20240102000000_later.sql",
            "ALTER TABLE orders ADD COLUMN later text;",
        ),
    ]);
    let db = Server::get().fresh_database();
    let drift = || {
        let args = ["--database-url", &db.url, "migrate", "drift", "--dir", "m"];
        let args = [&args[..], &["--convention", "sqlx", "--scratch", "native"]].concat();
        run(dir.path(), &args)
    };
    let nothing = drift();
    assert_eq!(nothing.code, 4, "{}", nothing.stderr);
    assert!(
        nothing.stderr.contains("has the tool ever run there"),
        "{}",
        nothing.stderr
    );
    db.psql(
        "CREATE TABLE _sqlx_migrations (version bigint PRIMARY KEY, description text NOT NULL, \
           installed_on timestamptz NOT NULL DEFAULT now(), success boolean NOT NULL, \
           checksum bytea NOT NULL, execution_time bigint NOT NULL); \
         INSERT INTO _sqlx_migrations VALUES (20240101000000, 'orders', now(), true, '', 0); \
         CREATE TABLE orders (id bigint PRIMARY KEY)",
    );
    let none = drift();
    assert_eq!(none.code, 0, "{}{}", none.stdout, none.stderr);
    assert!(
        none.stdout.contains("after 1 migrations"),
        "{}",
        none.stdout
    );
    db.psql("ALTER TABLE orders ADD COLUMN extra text");
    let some = drift();
    assert_eq!(some.code, 5, "{}", some.stderr);
    assert!(
        some.stdout.contains("+ column public.orders.extra"),
        "{}",
        some.stdout
    );
    db.psql("UPDATE _sqlx_migrations SET success = false");
    let unfinished = drift();
    assert_eq!(unfinished.code, 5, "{}", unfinished.stderr);
    assert!(
        unfinished.stderr.contains("not finished"),
        "{}",
        unfinished.stderr
    );
    db.psql("UPDATE _sqlx_migrations SET success = true");
    db.psql("INSERT INTO _sqlx_migrations VALUES (20250101000000, 'x', now(), true, '', 0)");
    let unknown = drift();
    assert_eq!(unknown.code, 5, "{}", unknown.stderr);
    assert!(
        unknown.stderr.contains("20250101000000"),
        "{}",
        unknown.stderr
    );
}

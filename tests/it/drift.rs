//! `dbctl migrate drift` and `migrate dump`, as a pipeline runs them.

use serde_json::Value;

use crate::support::cli::{Seen, run};
use crate::support::postgres::{Server, TestDb};

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

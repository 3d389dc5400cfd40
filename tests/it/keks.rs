//! Key-encryption keys: the register, moving to a new one, looking whether everything opens.

mod looking;

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use dbctl::keys::{Algorithm, SigningKey};
use serde_json::Value;

use crate::support::cli::{Seen, dbctl, run, seen};
use crate::support::postgres::{Server, TestDb};
use crate::support::service::{Backed, Instance, eventually, token};

struct Keks {
    dir: tempfile::TempDir,
    db: TestDb,
}

/// Everything that is sealed, and the register.
const SEALED: &str = "SELECT key_id, version, kek_id, sealing_nonce, sealed_private_key \
                      FROM security.signing_key_versions ORDER BY 1, 2";
/// What was recorded about keys, in order.
const EVENTS: &str = "SELECT kind, subject_id, coalesce(detail->>'version', '-'), \
                             coalesce(detail->>'how', '-') \
                        FROM security.events ORDER BY created_at";
const REGISTER: &str = "SELECT kek_id, retired_at IS NULL FROM security.key_encryption_keys \
                        ORDER BY created_at";

impl Keks {
    /// Three versions of two keys, sealed with `old`; `new` seals nothing yet.
    fn new() -> Self {
        let db = Server::get().fresh_database();
        db.migrate_by_hand();
        let keks = Self {
            dir: tempfile::tempdir().expect("a folder"),
            db,
        };
        for name in ["old", "new"] {
            assert_eq!(run(keks.path(), &["keys", "new-kek", name]).code, 0);
        }
        keks.does(&["seed", "--kek-file", "old"]);
        keks.does(&[
            "seed",
            "--kek-file",
            "old",
            "--key-id",
            "b",
            "--algorithm",
            "RS256",
        ]);
        let key = SigningKey::generate(Algorithm::Es256).expect("a key");
        std::fs::write(keks.path().join("next.pem"), key.to_pem()).expect("written");
        let closed = std::os::unix::fs::PermissionsExt::from_mode(0o600);
        std::fs::set_permissions(keks.path().join("next.pem"), closed).expect("chmod");
        keks.does(&["import", "next.pem", "--kek-file", "old"]);
        keks
    }

    fn path(&self) -> &Path {
        self.dir.path()
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = dbctl(self.path(), &["keys"]);
        command.args(args).args(["--database-url", &self.db.url]);
        command
    }

    fn run(&self, args: &[&str]) -> Seen {
        seen(self.command(args))
    }

    fn does(&self, args: &[&str]) -> Seen {
        let seen = self.run(args);
        assert_eq!(seen.code, 0, "{args:?}: {}{}", seen.stdout, seen.stderr);
        seen
    }

    fn rewrap(&self, more: &[&str]) -> Seen {
        let mut command = self.rewrapping();
        command.args(more);
        seen(command)
    }

    /// A rewrap from `old` to `new`, to be started.
    fn rewrapping(&self) -> Command {
        let name = &self.db.name;
        self.command(&[
            "rewrap",
            "--to",
            "new",
            "--kek-file",
            "old",
            "--confirm",
            name,
        ])
    }

    /// Waits until somebody in this database is seen so.
    fn until_somebody(&self, event: &str, is: &str) {
        let asked = format!(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND {is}"
        );
        eventually(event, || self.db.psql(&asked) == "1");
    }

    fn id(&self, file: &str) -> String {
        let kek = dbctl::keys::Kek::from_file(&self.path().join(file)).expect("a key");
        kek.id().to_owned()
    }
}

#[test]
fn a_rewrap_moves_everything_and_the_old_key_can_go() {
    let keks = Keks::new();
    let (old, new) = (keks.id("old"), keks.id("new"));
    let kids =
        "SELECT key_id, version, kid, state FROM security.signing_key_versions ORDER BY 1, 2";
    let before = keks.db.psql(kids);
    let events = "key.current|access-tokens|1|seeded\n\
                  key.current|b|1|seeded\n\
                  key.standby|access-tokens|2|imported";
    assert_eq!(keks.db.psql(EVENTS), events);
    let in_use = keks.run(&["kek", "drop", &old]);
    assert_eq!(in_use.code, 3);
    let why = "it still seals versions 1-2 of access-tokens; version 1 of b";
    assert!(in_use.stderr.contains(why), "{}", in_use.stderr);

    // Not without the name.
    let unconfirmed = keks.run(&["rewrap", "--to", "new", "--kek-file", "old"]);
    assert_eq!(unconfirmed.code, 16, "{}", unconfirmed.stderr);
    let moved = keks.rewrap(&["--format", "json"]);
    assert_eq!(moved.code, 0, "{}", moved.stderr);
    let report: Value = serde_json::from_str(&moved.stdout).expect("JSON");
    assert_eq!(report["schema"], "dbctl.keys.rewrap/1");
    assert_eq!(report["moved"].as_array().expect("a list").len(), 3);
    assert_eq!(report["to"], new.as_str());
    let sealed_with = "SELECT DISTINCT kek_id FROM security.signing_key_versions";
    assert_eq!(keks.db.psql(sealed_with), new);
    assert_eq!(keks.db.psql(kids), before);
    assert_eq!(keks.does(&["verify", "--kek-file", "new"]).code, 0);
    assert_eq!(keks.run(&["verify", "--kek-file", "old"]).code, 6);

    // Once more: nothing, and nobody is asked.
    let sealed = keks.db.psql(SEALED);
    let again = keks.does(&["rewrap", "--to", "new"]);
    assert!(
        again.stdout.contains("Nothing was changed"),
        "{}",
        again.stdout
    );
    assert_eq!(keks.db.psql(SEALED), sealed);

    keks.does(&["kek", "drop", &old]);
    let again = keks.does(&["kek", "drop", &old]);
    assert!(
        again.stdout.contains("was dropped before"),
        "{}",
        again.stdout
    );
    assert_eq!(keks.db.psql(REGISTER), format!("{old}|f\n{new}|t"));
    let list = keks.does(&["kek", "list"]);
    assert!(list.stdout.contains("dropped 20"), "{}", list.stdout);
    assert!(
        list.stdout.lines().all(|l| l.chars().count() <= 80),
        "{}",
        list.stdout
    );
    // Each is recorded once, with who did it; what changed nothing is not.
    let moved = "key.rewrapped|access-tokens|1|-\nkey.rewrapped|access-tokens|2|-\n\
                 key.rewrapped|b|1|-";
    let all = format!("{events}\n{moved}\nkek.dropped|{old}|-|-");
    assert_eq!(keks.db.psql(EVENTS), all);
    let complete = "SELECT count(*) FROM security.events WHERE detail->>'who' LIKE '%@%' \
                    AND detail->>'role' = 'postgres' AND (kid LIKE '___%' OR kind = 'kek.dropped')";
    assert_eq!(keks.db.psql(complete), "7");
    let of_rewrap = "SELECT DISTINCT detail->>'from', detail->>'to' FROM security.events \
                      WHERE kind = 'key.rewrapped'";
    assert_eq!(keks.db.psql(of_rewrap), format!("{old}|{new}"));
    // Nothing is sealed with it again.
    let seen = keks.run(&["seed", "--kek-file", "old", "--key-id", "c"]);
    assert_eq!(seen.code, 3, "{}", seen.stderr);
    assert_eq!(keks.db.psql(EVENTS), all);
    assert!(seen.stderr.contains("it was dropped at"), "{}", seen.stderr);
    let unknown = keks.run(&["kek", "drop", "kek-0000000000000000"]);
    assert_eq!(unknown.code, 3, "{}", unknown.stderr);
}

#[test]
fn a_wrong_key_is_named_beside_what_it_does_not_open() {
    let keks = Keks::new();
    assert_eq!(run(keks.path(), &["keys", "new-kek", "other"]).code, 0);
    let before = (keks.db.psql(SEALED), keks.db.psql(REGISTER));
    let args = [
        "rewrap",
        "--to",
        "new",
        "--kek-file",
        "other",
        "--confirm",
        &keks.db.name,
    ];
    let seen = keks.run(&args);
    assert_eq!(seen.code, 3, "{}", seen.stderr);
    let said = seen
        .stderr
        .split_whitespace()
        .collect::<Vec<_>>()
        .join(" ")
        .replace("│ ", "");
    let (other, old) = (keks.id("other"), keks.id("old"));
    let why = format!(
        "other holds {other}, but {old} seals versions 1-2 of access-tokens; version 1 of b"
    );
    assert!(said.contains(&why), "{said}");
    let none = keks.run(&["rewrap", "--to", "new", "--confirm", &keks.db.name]);
    assert_eq!(none.code, 3, "{}", none.stderr);
    assert!(
        none.stderr.contains("no key-encryption key was given"),
        "{}",
        none.stderr
    );
    assert_eq!((keks.db.psql(SEALED), keks.db.psql(REGISTER)), before);
}

#[test]
fn a_rewrap_that_is_killed_in_the_middle_has_done_nothing_and_goes_through_the_next_time() {
    let keks = Keks::new();
    let before = (keks.db.psql(SEALED), keks.db.psql(REGISTER));
    // Somebody holds the last row that it will write.
    let mut holder = std::process::Command::new(crate::support::postgres::bin("psql"))
        .args([&*keks.db.url, "-qAtc"])
        .arg(
            "BEGIN; SELECT 1 FROM security.signing_key_versions WHERE key_id = 'b' FOR UPDATE; \
             SELECT pg_sleep(60)",
        )
        .stdout(Stdio::null())
        .spawn()
        .expect("psql starts");
    keks.until_somebody("the row is held", "wait_event = 'PgSleep'");
    let mut child = keks
        .rewrapping()
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("the binary starts");
    keks.until_somebody(
        "it waits for the row",
        "wait_event_type = 'Lock' AND query LIKE 'UPDATE security.signing_key_versions%'",
    );
    child.kill().expect("killed");
    child.wait().expect("gone");
    holder.kill().expect("killed");
    holder.wait().expect("gone");
    keks.db.psql(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
         WHERE datname = current_database() AND pid <> pg_backend_pid()",
    );
    keks.until_somebody("both are gone", "state IS NOT NULL");
    assert_eq!((keks.db.psql(SEALED), keks.db.psql(REGISTER)), before);
    let moved = keks.rewrap(&[]);
    assert_eq!(moved.code, 0, "{}", moved.stderr);
    assert!(
        moved.stdout.contains("Sealed 3 versions anew"),
        "{}",
        moved.stdout
    );
    keks.does(&["verify", "--kek-file", "new"]);
}

#[test]
fn a_row_that_somebody_else_changed_meanwhile_is_not_overwritten() {
    let keks = Keks::new();
    let mut other = std::process::Command::new(crate::support::postgres::bin("psql"))
        .args([&*keks.db.url, "-qAt"])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .expect("psql starts");
    let mut says = other.stdin.take().expect("piped");
    let changed = "'\\x000000000000000000000000'";
    let update = format!(
        "BEGIN; UPDATE security.signing_key_versions SET sealing_nonce = {changed} \
         WHERE key_id = 'b';\n"
    );
    std::io::Write::write_all(&mut says, update.as_bytes()).expect("taken");
    keks.until_somebody("the row is changed", "state = 'idle in transaction'");
    let mut command = keks.rewrapping();
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let child = child.spawn().expect("the binary starts");
    keks.until_somebody(
        "it waits for the row",
        "wait_event_type = 'Lock' AND query LIKE 'UPDATE security.signing_key_versions%'",
    );
    std::io::Write::write_all(&mut says, b"COMMIT;\n").expect("taken");
    drop(says);
    other.wait().expect("it ends");
    let output = child.wait_with_output().expect("it ends");
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8(output.stderr).expect("UTF-8");
    assert!(said.contains("was changed by somebody else"), "{said}");
    let left = format!(
        "SELECT count(*) FROM security.signing_key_versions WHERE kek_id = '{}'",
        keks.id("old")
    );
    assert_eq!(keks.db.psql(&left), "3");
    let kept = format!(
        "SELECT count(*) FROM security.signing_key_versions WHERE sealing_nonce = {changed}"
    );
    assert_eq!(keks.db.psql(&kept), "1");
}

#[test]
fn what_was_sealed_with_the_old_key_meanwhile_is_moved_by_the_next_call() {
    let keks = Keks::new();
    assert_eq!(keks.rewrap(&[]).code, 0);
    // A rotation that still has the old key in its hands.
    keks.does(&["seed", "--kek-file", "old", "--key-id", "late"]);
    let in_use = keks.run(&["kek", "drop", &keks.id("old")]);
    assert!(
        in_use.stderr.contains("version 1 of late"),
        "{}",
        in_use.stderr
    );
    let both = keks.does(&["verify", "--kek-file", "new", "--kek-file", "old"]);
    assert!(
        both.stdout.contains("Everything that is sealed opens"),
        "{}",
        both.stdout
    );
    let moved = keks.rewrap(&[]);
    assert_eq!(moved.code, 0, "{}", moved.stderr);
    assert!(
        moved.stdout.contains("Sealed 1 versions anew"),
        "{}",
        moved.stdout
    );
    assert!(
        moved.stdout.contains("3 were sealed with it before"),
        "{}",
        moved.stdout
    );
}

#[test]
fn two_rewraps_at_once_end_with_everything_under_one_key() {
    let keks = Keks::new();
    assert_eq!(run(keks.path(), &["keys", "new-kek", "third"]).code, 0);
    let start = |to: &str| {
        let all = [
            "--kek-file",
            "old",
            "--kek-file",
            "new",
            "--kek-file",
            "third",
        ];
        keks.command(&["rewrap", "--to", to, "--confirm", &keks.db.name])
            .args(all)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("the binary starts")
    };
    let mut both = [start("new"), start("third")];
    for child in &mut both {
        assert!(child.wait().expect("it ends").success());
    }
    let sealed_with = keks
        .db
        .psql("SELECT DISTINCT kek_id FROM security.signing_key_versions");
    assert!(
        [keks.id("new"), keks.id("third")].contains(&sealed_with),
        "{sealed_with}"
    );
    keks.does(&["verify", "--kek-file", "new", "--kek-file", "third"]);
}

#[test]
fn tokens_outlive_a_rewrap_and_the_service_starts_with_the_new_key() {
    let dir = tempfile::tempdir().expect("a folder");
    let backed = Backed::new(dir.path());
    let mut instance = Instance::new(dir.path(), "auth-1");
    backed.know(&instance);
    instance.set_mode("postgres");
    instance.start();
    let before = instance.issue("alice");
    assert_eq!(run(dir.path(), &["keys", "new-kek", "new.b64"]).code, 0);
    let (url, kek) = (&backed.db.url, backed.kek_file.to_str().expect("UTF-8"));
    let new = dir.path().join("new.b64");
    let rewrap = ["keys", "rewrap", "--kek-file", kek, "--database-url", url];
    // From a command, as from a vault.
    let rest = [
        "--confirm",
        &backed.db.name,
        "--to-command",
        "cat",
        "new.b64",
    ];
    let moved = run(dir.path(), &[&rewrap[..], &rest].concat());
    assert_eq!(moved.code, 0, "{}", moved.stderr);
    // It goes on with what it has in memory, also after it has refreshed its copy.
    std::thread::sleep(Duration::from_secs(3));
    assert_eq!(instance.verify(token(&before)).0, 200);
    let meanwhile = instance.issue("bob");
    assert_eq!(meanwhile["kid"], before["kid"]);
    instance.stop();
    let refused = instance
        .try_start_with(&[])
        .expect_err("the old key opens nothing");
    assert!(
        refused.stderr.contains("is sealed with kek-"),
        "{}",
        refused.stderr
    );
    // Both, one on each line: the order in which they are exchanged without a gap.
    let both = dir.path().join("both.b64");
    let text = |file: &Path| std::fs::read_to_string(file).expect("a key");
    let lines = text(&backed.kek_file) + &text(&new);
    std::fs::write(&both, lines).expect("written");
    let closed = std::os::unix::fs::PermissionsExt::from_mode(0o600);
    std::fs::set_permissions(&both, closed).expect("chmod");
    for file in [&both, &new] {
        instance.set("SERVICE_KEK_FILE", file.to_str().expect("UTF-8"));
        instance.start();
        for issued in [&before, &meanwhile, &instance.issue("carol")] {
            assert_eq!(instance.verify(token(issued)), (200, "ok".to_owned()));
        }
        instance.stop();
    }
    // The first line seals, the second one only opens.
    let both = both.to_str().expect("UTF-8");
    let verify = ["keys", "verify", "--kek-file", both, "--database-url", url];
    let whole = run(dir.path(), &verify);
    assert_eq!(whole.code, 0, "{}", whole.stdout);
    let seed = [
        "keys",
        "seed",
        "--key-id",
        "b",
        "--kek-file",
        both,
        "--database-url",
        url,
    ];
    assert_eq!(run(dir.path(), &seed).code, 0);
    let sealed = backed
        .db
        .psql("SELECT count(DISTINCT kek_id) FROM security.signing_key_versions");
    assert_eq!(sealed, "2");
    std::fs::write(both, "AAAA\n").expect("written");
    let short = run(dir.path(), &verify);
    assert!(
        short.stderr.contains("it has 3 bytes instead of 32"),
        "{}",
        short.stderr
    );
    std::fs::write(both, text(&new) + "\nno base64!\n").expect("written");
    let bad = run(dir.path(), &verify);
    assert!(
        bad.stderr.contains("line 3 is not base64"),
        "{}",
        bad.stderr
    );
    assert!(!bad.stderr.contains("no base64!"), "{}", bad.stderr);
}

#[test]
fn the_key_encryption_key_may_be_a_credential_of_systemd() {
    let keks = Keks::new();
    let credentials = keks.path().join("credentials");
    std::fs::create_dir(&credentials).expect("a folder");
    std::fs::rename(keks.path().join("old"), credentials.join("dbctl.kek")).expect("moved");
    let settings = |kek: &str| {
        let text = format!(
            "[environments.staging]\ndatabase_url = \"{}\"\n{kek}\n",
            keks.db.url
        );
        std::fs::write(keks.path().join("dbctl.toml"), text).expect("written");
    };
    let verify = |with: bool| {
        let mut command = dbctl(keks.path(), &["keys", "verify"]);
        if with {
            command.env("CREDENTIALS_DIRECTORY", &credentials);
        }
        seen(command)
    };
    settings("kek_credential = \"dbctl.kek\"");
    let whole = verify(true);
    assert_eq!(whole.code, 0, "{}{}", whole.stdout, whole.stderr);
    let outside = verify(false);
    assert_eq!(outside.code, 3);
    assert!(
        outside.stderr.contains("CREDENTIALS_DIRECTORY is not set"),
        "{}",
        outside.stderr
    );
    for name in ["../dbctl.kek", "/etc/passwd", "", "a/b"] {
        settings(&format!("kek_credential = \"{name}\""));
        let seen = verify(true);
        assert_eq!(seen.code, 3, "{name}");
        assert!(
            seen.stderr.contains("not the bare name of a file"),
            "{}",
            seen.stderr
        );
    }
    settings("kek_credential = \"dbctl.kek\"\nkek_file = \"new\"");
    let both = verify(true);
    assert_eq!(both.code, 3);
    assert!(
        both.stderr.contains("names more than one"),
        "{}",
        both.stderr
    );
    // And the service: the same, by its variable.
    let backed_by = |instance: &Instance| {
        instance.set("DATABASE_URL", &keks.db.url);
        instance.set("SERVICE_KEK_CREDENTIAL", "dbctl.kek");
        instance.set_mode("postgres");
    };
    let mut instance = Instance::new(keks.path(), "auth-1");
    backed_by(&instance);
    let refused = instance.try_start_with(&[]).expect_err("no credentials");
    assert!(
        refused.stderr.contains("CREDENTIALS_DIRECTORY is not set"),
        "{}",
        refused.stderr
    );
}

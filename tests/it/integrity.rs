//! `dbctl security check`: what is whole passes, every damage is found with the command that puts
//! it right, and what could not be looked at is no pass.

use serde_json::Value;

use crate::support::cli::{Seen, run};
use crate::support::postgres::{Server, TestDb};
use crate::support::service::Instance;

/// A service that runs on Postgres and has done some work there.
struct Stage {
    dir: tempfile::TempDir,
    db: TestDb,
    instance: Instance,
}

impl Stage {
    fn set() -> Self {
        let dir = tempfile::tempdir().expect("a folder");
        let db = Server::own().fresh_database();
        let instance = Instance::new(dir.path(), "auth-1");
        let mut stage = Self { dir, db, instance };
        stage.settings("kek.b64");
        stage.ok(&["migrate", "apply", "--confirm", "production"]);
        stage.ok(&["keys", "new-kek", "kek.b64"]);
        stage.ok(&["keys", "seed"]);
        stage
            .db
            .psql("CREATE ROLE auth_service LOGIN IN ROLE security_runtime");
        let kek = stage.dir.path().join("kek.b64");
        let set = |name, value: &str| stage.instance.set(name, value);
        set("DATABASE_URL", &stage.db.url_as("auth_service"));
        set("SERVICE_KEK_FILE", kek.to_str().expect("UTF-8"));
        stage.instance.set_mode("postgres");
        stage.instance.start();
        stage.settings("kek.b64");
        stage.ok(&["smoke"]);
        stage
    }

    fn settings(&self, kek: &str) {
        let url = match self.instance.url() {
            "" => "http://127.0.0.1:1",
            url => url,
        };
        let text = format!(
            "[environments.production]\ndatabase_url = \"{}\"\nservice_role = \"auth_service\"\n\
             kek_file = \"{kek}\"\nadmin_token_file = \"auth-1/admin.token\"\n\
             [[environments.production.targets]]\nname = \"auth-1\"\nurl = \"{url}\"\n\
             env_file = \"auth-1/service.env\"\nrestart = [\"true\"]\nstate_dir = \"auth-1/state\"\n",
            self.db.url,
        );
        std::fs::write(self.dir.path().join("dbctl.toml"), text).expect("settings");
    }

    fn ok(&self, args: &[&str]) {
        let seen = run(self.dir.path(), args);
        assert_eq!(seen.code, 0, "{args:?}: {}{}", seen.stdout, seen.stderr);
    }

    fn check(&self, more: &[&str]) -> Seen {
        let scratch = self.db.server().url("postgres");
        let mut args = vec!["security", "check", "--scratch", &scratch];
        args.extend(more);
        run(self.dir.path(), &args)
    }

    /// The exit status, and every result that is no pass.
    fn findings(&self) -> (i32, Vec<Value>) {
        let seen = self.check(&["--format", "json"]);
        let said: Value = serde_json::from_str(&seen.stdout).expect("JSON");
        assert_eq!(said["schema"], "dbctl.security.check/1");
        let all = said["checks"].as_array().expect("checks").clone();
        (
            seen.code,
            all.into_iter().filter(|c| c["verdict"] != "pass").collect(),
        )
    }

    /// The one thing that is found: of this check, with these words.
    fn finds(&self, code: i32, name: &str, words: &[&str]) -> Value {
        let (exit, findings) = self.findings();
        let of_it = |f: &&Value| {
            let text = f.to_string();
            f["name"] == name && words.iter().all(|w| text.contains(w))
        };
        let found = findings.iter().find(of_it);
        let found = found.unwrap_or_else(|| panic!("{words:?} of {name} is not in {findings:#?}"));
        assert_eq!(exit, code, "{findings:#?}");
        found.clone()
    }

    fn whole(&self, after: &str) {
        let (code, findings) = self.findings();
        assert_eq!(code, 0, "after {after}: {findings:#?}");
    }

    /// Runs what a finding advises.
    fn put_right(&self, finding: &Value) {
        let next = finding["next"].as_str().expect("a remedy");
        let sql = next.strip_prefix("psql: ").expect("SQL");
        let ends = ["; then ", "; it moves", "; the service", "; or put"];
        let end = ends.iter().filter_map(|e| sql.find(e)).min();
        self.db.psql(&sql[..end.unwrap_or(sql.len())]);
    }
}

#[test]
fn what_is_whole_passes_and_says_what_was_looked_at() {
    let stage = Stage::set();
    let seen = stage.check(&[]);
    assert_eq!(seen.code, 0, "{}{}", seen.stdout, seen.stderr);
    // Its connections knew the service's statements before they were asked.
    let log = stage.db.server().log();
    assert!(!log.contains("prepared statement"), "{log}");
    let text = seen.stdout.split_whitespace().collect::<Vec<_>>().join(" ");
    for said in [
        "the primary answers",
        "parts of security and authz are as the",
        "access-tokens has exactly one current version",
        "1 sealed versions open with kek-",
        "none of",
        "watermarks are not below what instances",
        "8 of 8 checks pass",
    ] {
        assert!(text.contains(said), "{said}\n{}", seen.stdout);
    }
}

#[test]
fn a_schema_that_was_changed_by_hand_is_found_and_the_advice_puts_it_right() {
    let stage = Stage::set();
    for (damage, words) in [
        (
            "ALTER TABLE security.revoked_tokens DISABLE TRIGGER stays",
            &["trigger stays of security.revoked_tokens is disabled"][..],
        ),
        (
            "ALTER TABLE security.nonce_watermarks DISABLE TRIGGER ALL",
            &["trigger never_falls", "disabled"],
        ),
        (
            "DROP TRIGGER has_one_current ON security.signing_key_versions",
            &["has_one_current", "is missing", "CREATE CONSTRAINT TRIGGER"],
        ),
        (
            "ALTER TABLE security.signing_key_versions DROP CONSTRAINT current_can_sign",
            &["constraint current_can_sign", "is missing"],
        ),
        (
            "DROP INDEX security.signing_key_versions_one_current",
            &["signing_key_versions_one_current", "is missing"],
        ),
        (
            "ALTER TABLE security.revoked_sessions SET UNLOGGED",
            &["table security.revoked_sessions", "unlogged", "SET LOGGED"],
        ),
        (
            "CREATE RULE quiet AS ON INSERT TO security.revoked_tokens DO INSTEAD NOTHING",
            &["rule quiet", "of no migration"],
        ),
        (
            "CREATE FUNCTION public.nothing() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'; \
             CREATE TRIGGER swallow BEFORE INSERT ON security.revoked_sessions FOR EACH ROW EXECUTE FUNCTION public.nothing()",
            &["trigger swallow", "of no migration"],
        ),
    ] {
        stage.db.psql(damage);
        let found = stage.finds(5, "schema", words);
        stage.put_right(&found);
        if damage.contains("TRIGGER ALL") {
            stage
                .db
                .psql("ALTER TABLE security.nonce_watermarks ENABLE TRIGGER ALL");
        }
        stage.whole(damage);
    }
    stage.db.psql(
        "CREATE OR REPLACE FUNCTION security.revocation_stays() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN OLD; END'",
    );
    stage.finds(
        5,
        "schema",
        &[
            "function security.revocation_stays()",
            "V0012__revocations_followed_and_purged.sql",
        ],
    );
}

#[test]
fn keys_that_do_not_open_or_are_not_one_are_found() {
    let stage = Stage::set();
    let current = "UPDATE security.signing_key_versions SET sealed_private_key = ";
    stage.ok(&["keys", "new-kek", "other.b64"]);
    stage.settings("other.b64");
    // Another key-encryption key opens nothing: that is not known to be damaged, and no pass.
    stage.finds(6, "sealed-keys", &["not checked", "is at hand"]);
    stage.settings("nowhere.b64");
    stage.finds(6, "sealed-keys", &["not checked", "nowhere.b64"]);
    stage.settings("kek.b64");
    stage.whole("the right key-encryption key");
    stage.db.psql(&format!(
        "{current} set_byte(sealed_private_key, 3, 255 - get_byte(sealed_private_key, 3))"
    ));
    stage.finds(
        5,
        "sealed-keys",
        &["access-tokens version 1", "does not open it"],
    );
    stage.db.psql(&format!(
        "{current} set_byte(sealed_private_key, 3, 255 - get_byte(sealed_private_key, 3))"
    ));
    stage.db.psql(
        "ALTER TABLE security.signing_key_versions DISABLE TRIGGER USER; \
         UPDATE security.signing_key_versions SET state = 'retiring', valid_until = now() + interval '1 h'; \
         ALTER TABLE security.signing_key_versions ENABLE TRIGGER USER",
    );
    stage.finds(
        5,
        "current-keys",
        &["no version of access-tokens is current", "keys seed"],
    );
    stage.ok(&["keys", "seed"]);
    stage.whole("seeding");
    stage.db.psql(
        "INSERT INTO security.signing_keys (key_id, purpose, algorithm) VALUES ('empty', 'x', 'EdDSA'); \
         INSERT INTO security.events (request_id, instance, kind, kid) VALUES ('r', 'i', 'token.issued', 'a-kid-of-nobody')",
    );
    stage.finds(5, "orphans", &["the key empty has no version"]);
    stage.finds(5, "orphans", &["a-kid-of-nobody"]);
}

#[test]
fn a_revocation_that_is_gone_before_its_time_is_found() {
    let stage = Stage::set();
    let issued = stage.instance.issue("alice");
    let token_id = issued["token_id"].as_str().expect("an id");
    stage.instance.revoke_token(token_id);
    let events = format!("SELECT count(*) FROM security.events WHERE subject_id = '{token_id}'");
    crate::support::service::eventually("both events", || stage.db.psql(&events) == "2");
    stage.whole("revoking");
    let remove = format!(
        "ALTER TABLE security.revoked_tokens DISABLE TRIGGER stays; \
         DELETE FROM security.revoked_tokens WHERE token_id = '{token_id}'; \
         ALTER TABLE security.revoked_tokens ENABLE TRIGGER stays"
    );
    stage.db.psql(&remove);
    let found = stage.finds(5, "revocations", &[token_id, "the row is gone"]);
    stage.put_right(&found);
    stage.whole("putting it back");
    // One that is past its time may go.
    stage.db.psql(&remove);
    stage.db.psql(&format!(
        "UPDATE security.events SET detail = detail || '{{\"expires_at\": \"2026-01-01T00:00:00Z\"}}' WHERE subject_id = '{token_id}'"
    ));
    stage.whole("its expiry");
    // Denied as revoked, and allowed by a later decision.
    stage.db.psql(
        "INSERT INTO authz.policy_decisions (created_at, request_id, subject, action, allow, reason_code, token_id, instance) VALUES \
         (now() - interval '30 minutes', 'r1', 'a', 'token.verify', false, 'revoked_token', 'tok-lazarus', 'auth-1'), \
         (now() - interval '20 minutes', 'r2', 'a', 'token.verify', true, 'ok', 'tok-lazarus', 'auth-2')",
    );
    stage.finds(
        5,
        "revocations",
        &["tok-lazarus", "allowed again by auth-2"],
    );
}

#[test]
fn a_watermark_that_fell_and_ranges_that_overlap_are_found() {
    let mut stage = Stage::set();
    let db = &stage.db;
    let top = db.psql("SELECT reserved_high, nonce_scope FROM security.nonce_watermarks WHERE node_name = 'auth-1' LIMIT 1");
    let (_, scope) = top.split_once('|').expect("a row");
    let lower = |to: &str| {
        db.psql(&format!(
            "ALTER TABLE security.nonce_watermarks DISABLE TRIGGER USER; \
             UPDATE security.nonce_watermarks SET reserved_high = {to} WHERE nonce_scope = '{scope}'; \
             ALTER TABLE security.nonce_watermarks ENABLE TRIGGER USER"
        ));
    };
    lower("1");
    // By its own word; the events say the same.
    let found = stage.finds(5, "nonces", &["stands at 1", "the instance itself"]);
    stage.put_right(&found);
    stage.whole("raising it");
    db.psql(&format!(
        "INSERT INTO security.events (request_id, instance, kind, subject_id, detail) VALUES \
         ('r', 'auth-7', 'nonce.reserved', 'auth-7', '{{\"nonce_scope\": \"{scope}\", \"first\": 10, \"last\": 20}}'), \
         ('r', 'auth-7', 'nonce.reserved', 'auth-7', '{{\"nonce_scope\": \"{scope}\", \"first\": 20, \"last\": 22}}')"
    ));
    stage.finds(5, "nonces", &["handed out twice: 20 to 22 of auth-7"]);
    let gone = stage.finds(5, "nonces", &["auth-7", "is gone", "an event"]);
    assert!(
        gone["next"]
            .as_str()
            .expect("a remedy")
            .contains("INSERT INTO security.nonce_watermarks")
    );
    db.psql("DELETE FROM security.events WHERE instance = 'auth-7'");
    // Back in a file that knows less than Postgres: it would use nonces again.
    stage.instance.set("SECURITY_NONCE_STORE_MODE", "file");
    stage.instance.stop();
    stage.instance.start();
    stage.settings("kek.b64");
    stage.whole("going back to the file");
    stage.db.psql(&format!(
        "UPDATE security.nonce_watermarks SET reserved_high = reserved_high + 1000000 WHERE nonce_scope = '{scope}'"
    ));
    stage.finds(5, "nonces", &["in its file", "would be used again"]);
    // As the finding advises.
    stage.ok(&["carry", "export", "known.json", "--from", "postgres"]);
    let into = ["--into", "instances", "--confirm", "production"];
    stage.ok(&[&["carry", "import", "known.json"], &into[..]].concat());
    stage.whole("carrying it home");
    // What does not answer is not judged.
    stage.instance.stop();
    stage.finds(6, "nonces", &["not checked", "auth-1"]);
}

#[test]
fn partitions_that_are_missing_and_rows_without_a_month_are_found() {
    let stage = Stage::set();
    let next = stage
        .db
        .psql("SELECT to_char(now() + interval '1 month', '\"policy_decisions_\"YYYY_MM')");
    stage.db.psql(&format!("DROP TABLE authz.{next}"));
    let found = stage.finds(5, "partitions", &["no partition for the next month"]);
    stage.put_right(&found);
    stage.whole("making it");
    stage.db.psql(
        "INSERT INTO authz.policy_decisions (created_at, request_id, subject, action, allow, reason_code, instance) \
         VALUES ('1999-01-01', 'r', 's', 'a', true, 'ok', 'i')",
    );
    stage.finds(
        5,
        "partitions",
        &[
            "1 rows lie in the default partition authz.policy_decisions_default",
            "1999-01-01",
        ],
    );
}

#[test]
fn nothing_is_written_and_what_is_not_reached_is_no_pass() {
    let stage = Stage::set();
    // A role that may only read, on a server that takes no writes from it.
    stage.db.psql(
        "CREATE ROLE reader LOGIN IN ROLE pg_read_all_data; ALTER ROLE reader SET default_transaction_read_only = on; \
         GRANT security_owner TO reader",
    );
    let url = stage.db.url_as("reader");
    let args = [
        "--database-url",
        &url,
        "--env",
        "production",
        "--format",
        "json",
    ];
    let seen = stage.check(&args);
    let said: Value = serde_json::from_str(&seen.stdout).expect("JSON");
    let all = said["checks"].as_array().expect("checks");
    let not_passed: Vec<&Value> = all.iter().filter(|c| c["verdict"] != "pass").collect();
    assert_eq!(not_passed.len(), 1, "{not_passed:#?}");
    assert_eq!(not_passed[0]["subject"], "read-only");
    // Without an environment nobody says where the key-encryption key and the instances are.
    let seen = stage.check(&["--config", "/dev/null", "--database-url", &stage.db.url]);
    assert_eq!(seen.code, 6, "{}{}", seen.stdout, seen.stderr);
    stage.db.server().stop();
    let scratch = "native";
    let seen = run(
        stage.dir.path(),
        &["security", "check", "--scratch", scratch],
    );
    assert_eq!(seen.code, 4, "{}", seen.stdout);
    assert!(
        seen.stdout.contains("0 of 8 checks pass"),
        "{}",
        seen.stdout
    );
    stage.db.server().start();
}

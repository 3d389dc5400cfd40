//! `dbctl preflight`: five preconditions, and what each says when it does not hold.

use serde_json::Value;

use crate::support::cli::{Seen, run};
use crate::support::migrations::of_the_package;
use crate::support::postgres::{Server, TestDb};
use crate::support::service::Instance;

/// An environment in which everything is as it should be before a cutover.
struct Stage {
    dir: tempfile::TempDir,
    db: TestDb,
    instance: Instance,
}

impl Stage {
    fn set() -> Self {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let db = Server::own().fresh_database();
        let mut instance = Instance::new(dir.path(), "auth-1");
        let stage = |instance| Self { dir, db, instance };
        instance.start();
        let mut stage = stage(instance);
        stage.settings("");
        stage.ok(&["migrate", "apply", "--confirm", "staging"]);
        stage.ok(&["keys", "new-kek", "kek.b64"]);
        stage.ok(&["keys", "seed"]);
        stage
            .db
            .psql("CREATE ROLE auth_service LOGIN IN ROLE security_runtime");
        let url = stage.db.url_as("auth_service");
        stage.instance.set("DATABASE_URL", &url);
        stage
    }

    fn settings(&mut self, more: &str) {
        let text = format!(
            "{more}\n[environments.staging]\ndatabase_url = \"{}\"\nservice_role = \"auth_service\"\n\
             kek_file = \"kek.b64\"\nadmin_token_file = \"auth-1/admin.token\"\n\
             [[environments.staging.targets]]\nname = \"auth-1\"\nurl = \"{}\"\n\
             env_file = \"auth-1/service.env\"\nrestart = [\"true\"]\nstate_dir = \"auth-1/state\"\n",
            self.db.url,
            self.instance.url(),
        );
        std::fs::write(self.dir.path().join("dbctl.toml"), text).expect("settings");
    }

    fn ok(&self, args: &[&str]) {
        let seen = run(self.dir.path(), args);
        assert_eq!(seen.code, 0, "{args:?}: {}", seen.stderr);
    }

    fn preflight(&self, more: &[&str]) -> Seen {
        // The quickest scratch database where a server is there anyway.
        let scratch = self.db.server().url("postgres");
        let mut args = vec!["preflight", "--scratch", &scratch];
        args.extend(more);
        run(self.dir.path(), &args)
    }

    /// The exit status, and what one check said as JSON.
    fn check(&self, name: &str) -> (i32, Value) {
        let seen = self.preflight(&["--format", "json"]);
        let said: Value = serde_json::from_str(&seen.stdout).expect("JSON");
        let checks = said["checks"].as_array().expect("checks");
        let check = checks.iter().find(|c| c["name"] == name);
        (seen.code, check.expect("the check").clone())
    }

    /// Has `name` fail with `words` somewhere in what it says, and nothing else fail.
    fn fails(&self, name: &str, words: &[&str]) {
        let (code, check) = self.check(name);
        assert_eq!(code, 5, "{check:#}");
        assert_eq!(check["verdict"], "fail", "{check:#}");
        let text = check.to_string();
        for word in words {
            assert!(text.contains(word), "`{word}` is not in {check:#}");
        }
    }
}

#[test]
fn the_five_hold_before_a_cutover() {
    let migrations = of_the_package();
    let newest = migrations.last().expect("the newest").file_name();
    let newest = newest.expect("a name").to_string_lossy();
    let applied = format!(
        "all {} migrations are applied (0001 to {}), none diverges",
        migrations.len(),
        &newest[1..5]
    );
    let stage = Stage::set();
    let seen = stage.preflight(&[]);
    assert_eq!(seen.code, 0, "{}{}", seen.stdout, seen.stderr);
    assert!(seen.stdout.ends_with("5 of 5 preconditions hold\n"));
    for said in [
        &applied,
        "auth_service has exactly the privileges",
        "version 1 is current and opens",
        "every target is on memory/file",
    ] {
        let text = seen.stdout.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(text.contains(said), "{said}\n{}", seen.stdout);
    }
}

#[test]
fn privileges_are_told_missing_and_excess_by_name() {
    let stage = Stage::set();
    stage.db.psql(
        "GRANT DELETE ON security.revoked_tokens TO auth_service; \
         GRANT SELECT (sealed_private_key) ON security.signing_key_versions TO PUBLIC; \
         REVOKE INSERT ON security.events FROM security_runtime; \
         ALTER ROLE auth_service CREATEDB; \
         GRANT pg_read_all_data TO auth_service",
    );
    stage.fails(
        "service-database",
        &[
            "INSERT on security.events",
            "DELETE on security.revoked_tokens",
            "CREATEDB",
            "membership of pg_read_all_data",
        ],
    );
    stage.db.psql("REVOKE pg_read_all_data FROM auth_service");
    stage.fails(
        "service-database",
        &["SELECT (sealed_private_key) on security.signing_key_versions"],
    );
    stage.db.psql("ALTER ROLE auth_service SUPERUSER");
    stage.fails("service-database", &["superuser"]);
    // What was granted by mistake is taken back in one call, but for what others were given.
    stage.db.psql(
        "ALTER ROLE auth_service NOSUPERUSER NOCREATEDB; SELECT security.apply_privileges(); \
         REVOKE SELECT (sealed_private_key) ON security.signing_key_versions FROM PUBLIC; \
         REVOKE DELETE ON security.revoked_tokens FROM auth_service",
    );
    assert_eq!(stage.check("service-database").0, 0);
}

#[test]
fn the_service_must_reach_this_very_database_as_its_role() {
    let stage = Stage::set();
    let set = |url: &str| stage.instance.set("DATABASE_URL", url);
    set(&stage.db.server().url_as("auth_service", "postgres"));
    stage.fails("service-database", &["another database"]);
    set(&stage.db.url);
    stage.fails("service-database", &["logs in as postgres", "auth_service"]);
    set("postgres://auth_service:hunter2@127.0.0.1:1/x?sslmode=disable");
    stage.fails("service-database", &["does not reach Postgres"]);
    assert!(!stage.preflight(&[]).stdout.contains("hunter2"));
    // Nothing is known: that is no pass.
    set("");
    let (code, check) = stage.check("service-database");
    assert_eq!((code, &check["verdict"]), (6, &Value::from("inconclusive")));
}

#[test]
fn migrations_that_are_not_applied_or_differ_are_told() {
    let mut stage = Stage::set();
    let folder = stage.dir.path().join("m");
    std::fs::create_dir(&folder).expect("a folder");
    for file in of_the_package() {
        let name = file.file_name().expect("a name");
        std::fs::copy(&file, folder.join(name)).expect("copied");
    }
    std::fs::write(folder.join("V9000__more.sql"), "SELECT 1;").expect("written");
    stage.settings("[migrations]\ndir = \"m\"");
    let pending = format!("1 of {}", of_the_package().len() + 1);
    stage.fails("migrations-applied", &["9000 more", &pending]);
    std::fs::remove_file(folder.join("V9000__more.sql")).expect("removed");
    let first = folder.join("V0001__roles.sql");
    let text = std::fs::read_to_string(&first).expect("a migration");
    std::fs::write(&first, text + "\n").expect("written");
    stage.fails(
        "migrations-applied",
        &["0001 roles", "another name or text"],
    );
    std::fs::write(folder.join("V9001__broken.sql"), "SELECT nothing;").expect("written");
    stage.fails("migrations-valid", &["V9001__broken.sql:1:8", "nothing"]);
}

#[test]
fn the_external_validator_is_asked_and_its_word_counts() {
    let mut stage = Stage::set();
    std::fs::write(stage.dir.path().join("ok.sh"), "test -f dbctl.toml").expect("written");
    stage.settings("[migrations]\nvalidator = [\"sh\", \"ok.sh\"]");
    let (code, check) = stage.check("migrations-valid");
    assert_eq!(code, 0, "{check:#}");
    assert!(check.to_string().contains("the external validator passes"));
    stage.settings("[migrations]\nvalidator = [\"sh\", \"-c\", \"echo V0003 is odd >&2; exit 7\"]");
    stage.fails("migrations-valid", &["V0003 is odd", "exit status: 7"]);
    stage.settings("[migrations]\nvalidator = [\"no-such-program\"]");
    let (code, check) = stage.check("migrations-valid");
    assert_eq!(
        (code, &check["verdict"]),
        (4, &Value::from("error")),
        "{check:#}"
    );
}

#[test]
fn a_key_must_be_seeded_and_open() {
    let stage = Stage::set();
    stage.ok(&["keys", "new-kek", "other.b64"]);
    std::fs::rename(
        stage.dir.path().join("other.b64"),
        stage.dir.path().join("kek.b64"),
    )
    .expect("another key-encryption key");
    stage.fails("signing-key", &["does not open"]);
    stage.db.psql(
        "ALTER TABLE security.signing_key_versions DISABLE TRIGGER USER; \
         DELETE FROM security.signing_key_versions",
    );
    stage.fails("signing-key", &["has 0 current versions", "keys seed"]);
}

#[test]
fn toggles_must_be_where_they_should_be_in_the_file_and_in_the_process() {
    let mut stage = Stage::set();
    stage.instance.set("SECURITY_REVOCATION_MODE", "postgres");
    stage.fails(
        "toggles",
        &["auth-1 file", "revocation postgres", "not on memory/file"],
    );
    stage.instance.set("SECURITY_REVOCATION_MODE", "memory");
    let seen = stage.preflight(&["--expect", "postgres"]);
    assert_eq!(seen.code, 5, "{}", seen.stdout);
    // A service that does not answer is no pass, and not a failure of its toggles either.
    stage.instance.stop();
    let (code, check) = stage.check("toggles");
    assert_eq!(
        (code, &check["verdict"]),
        (4, &Value::from("error")),
        "{check:#}"
    );
}

#[test]
fn ownership_passing_on_defaults_and_other_people_are_told_and_the_advice_puts_it_right() {
    let stage = Stage::set();
    stage.db.psql("CREATE ROLE curious LOGIN");
    for (damage, words) in [
        (
            "ALTER TABLE security.events OWNER TO auth_service",
            &[
                "ownership of table security.events",
                "is owned by auth_service, the rest by security_owner",
            ][..],
        ),
        (
            "GRANT SELECT ON security.revoked_tokens TO security_runtime WITH GRANT OPTION",
            &["SELECT on security.revoked_tokens WITH GRANT OPTION, to security_runtime"],
        ),
        (
            "GRANT SELECT (kid), UPDATE ON security.signing_key_versions TO curious",
            &[
                "SELECT (kid) on security.signing_key_versions, to curious",
                "UPDATE on security.signing_key_versions, to curious",
            ],
        ),
        (
            "ALTER DEFAULT PRIVILEGES FOR ROLE security_owner IN SCHEMA security GRANT SELECT ON TABLES TO PUBLIC",
            &[
                "default privileges: SELECT on future TABLES IN SCHEMA security made by security_owner, to PUBLIC",
            ],
        ),
        (
            "GRANT SET ON PARAMETER session_replication_role TO auth_service",
            &["session_replication_role"],
        ),
        (
            "GRANT SELECT (sealed_private_key) ON security.signing_key_versions TO security_auditor",
            &[
                "SELECT (sealed_private_key) on security.signing_key_versions, to security_auditor: key material",
            ],
        ),
        (
            "REVOKE SELECT ON security.events FROM security_auditor",
            &["SELECT on security.events, to security_auditor"],
        ),
        (
            "GRANT DELETE ON security.revoked_tokens TO security_janitor",
            &["DELETE on security.revoked_tokens, to security_janitor"],
        ),
        (
            "REVOKE EXECUTE ON FUNCTION security.expired_revocations(interval) FROM security_janitor",
            &["EXECUTE on security.expired_revocations(interval), to security_janitor"],
        ),
        (
            "GRANT DELETE ON authz.policy_decisions_default TO auth_service",
            &["DELETE on authz.policy_decisions_default"],
        ),
        (
            "GRANT security_runtime TO auth_service WITH ADMIN OPTION",
            &["ADMIN OPTION"],
        ),
    ] {
        stage.db.psql(damage);
        let (code, check) = stage.check("service-database");
        assert_eq!(code, 5, "{damage}: {check:#}");
        let text = check.to_string();
        for word in words {
            assert!(text.contains(word), "`{word}` is not in {check:#}");
        }
        let next = check["next"].as_str().expect("a remedy");
        let sql = next.strip_prefix("psql: ").expect("statements");
        stage
            .db
            .psql(&sql.replace("reading is what GRANT security_auditor is for", ""));
        let (code, check) = stage.check("service-database");
        assert_eq!(code, 0, "after {damage}: {check:#}");
    }
}

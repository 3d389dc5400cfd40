//! `dbctl incident export` and `explain`: everything that belongs to it in one archive without a
//! secret, what is missing said, and why a request was decided as it was.

use std::collections::BTreeMap;
use std::io::Read as _;
use std::path::Path;

use serde_json::{Value, json};
use sha2::Digest as _;

use crate::support::cli::{Seen, run};
use crate::support::service::{Backed, Instance, eventually, on_postgres, token};

/// A password that stands in the service's environment, a token and a key that reach its log.
const PASSWORD: &str = "hunter2-and-more";

struct Stage {
    dir: tempfile::TempDir,
    backed: Backed,
    instance: Instance,
}

impl Stage {
    fn set() -> Self {
        let (dir, backed, instance) = on_postgres();
        let stage = Self {
            dir,
            backed,
            instance,
        };
        let runbook = "# Trouble\n\nIt fails.\n\n```toml step\nid = \"fails\"\nkind = \"smoke\"\n\
                       phase = \"production\"\nenv = \"production\"\nchecks = [\"verify-token\"]\n```\n\n\
                       ### Revoked\n\n```sql\nSELECT token_id FROM security.revoked_tokens;\n```\n";
        stage.write("trouble.md", runbook);
        stage.settings("log = { file = \"auth-1/log.jsonl\" }\n");
        stage
    }

    fn write(&self, name: &str, text: &str) {
        std::fs::write(self.dir.path().join(name), text).expect("written");
    }

    fn settings(&self, of_target: &str) {
        let text = format!(
            "[runbook]\npath = \"trouble.md\"\n[environments.production]\ndatabase_url = \"{}\"\n\
             service_role = \"auth_service\"\nkek_file = \"kek.b64\"\nadmin_token_file = \"auth-1/admin.token\"\n\
             [[environments.production.targets]]\nname = \"auth-1\"\nurl = \"{}\"\n\
             env_file = \"auth-1/service.env\"\nrestart = [\"restart-it\", \"--token={PASSWORD}\"]\n\
             state_dir = \"auth-1/state\"\n{of_target}",
            self.backed.db.url,
            self.instance.url(),
        );
        self.write("dbctl.toml", &text);
    }

    /// The archive that an export wrote, unpacked: names without the folder.
    fn export(&self, code: i32, more: &[&str]) -> (Value, BTreeMap<String, Vec<u8>>) {
        let mut args = vec!["incident", "export", "kept", "--format", "json"];
        args.extend(more);
        let seen = run(self.dir.path(), &args);
        assert_eq!(seen.code, code, "{}{}", seen.stdout, seen.stderr);
        let said: Value = serde_json::from_str(&seen.stdout).expect("JSON");
        assert_eq!(said["schema"], "dbctl.incident.export/1");
        let file = self.dir.path().join(said["file"].as_str().expect("a file"));
        let bytes = std::fs::read(&file).expect("the archive");
        assert_eq!(said["sha256"], hex(&bytes));
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            let mode = |p: &Path| {
                std::fs::metadata(p)
                    .expect("it is there")
                    .permissions()
                    .mode()
            };
            assert_eq!(mode(&file) & 0o777, 0o600);
            assert_eq!(mode(file.parent().expect("a folder")) & 0o777, 0o700);
        }
        (said, unpacked(&bytes))
    }

    fn explain(&self, request_id: &str) -> Seen {
        run(self.dir.path(), &["incident", "explain", request_id])
    }
}

fn hex(bytes: &[u8]) -> String {
    sha2::Sha256::digest(bytes)
        .iter()
        .map(|b| format!("{b:02x}"))
        .collect()
}

fn unpacked(bytes: &[u8]) -> BTreeMap<String, Vec<u8>> {
    let mut archive = tar::Archive::new(flate2::read::GzDecoder::new(bytes));
    let mut files = BTreeMap::new();
    for entry in archive.entries().expect("a tar") {
        let mut entry = entry.expect("an entry");
        let path = entry.path().expect("a path").display().to_string();
        let (_, name) = path.split_once('/').expect("a folder of its own");
        assert_eq!(entry.header().mode().expect("a mode"), 0o600);
        let mut bytes = Vec::new();
        entry.read_to_end(&mut bytes).expect("its bytes");
        files.insert(name.to_owned(), bytes);
    }
    files
}

/// Every file of the archive is in the manifest with its hash, and nothing else is.
fn agrees(files: &BTreeMap<String, Vec<u8>>) -> Value {
    let manifest: Value = serde_json::from_slice(&files["manifest.json"]).expect("JSON");
    assert_eq!(manifest["schema"], "dbctl.incident.manifest/1");
    let listed = manifest["files"].as_array().expect("files");
    assert_eq!(listed.len() + 1, files.len(), "{manifest:#}");
    for file in listed {
        let bytes = &files[file["path"].as_str().expect("a path")];
        assert_eq!(file["sha256"], hex(bytes), "{file}");
    }
    manifest
}

#[test]
fn an_archive_holds_what_belongs_to_it_and_no_secret() {
    let stage = Stage::set();
    let issued = stage.instance.issue("alice");
    let (secret, token_id) = (
        token(&issued).to_owned(),
        issued["token_id"].as_str().expect("an id"),
    );
    stage.instance.revoke_token(token_id);
    assert_eq!(stage.instance.verify(&secret).0, 401);
    let denied = "SELECT count(*) FROM authz.policy_decisions WHERE NOT allow";
    eventually("the denial is recorded", || {
        stage.backed.db.psql(denied) == "1"
    });
    // A run whose smoke check fails: its requests are named by its evidence.
    stage
        .instance
        .post("/v1/faults", json!({"error_ratio": 1.0}));
    let failed = run(
        stage.dir.path(),
        &["rollout", "start", "--confirm", "production"],
    );
    assert_ne!(failed.code, 0, "{}", failed.stderr);
    stage.instance.post("/v1/faults", json!({}));
    // What a careless service writes.
    let kek = std::fs::read_to_string(&stage.backed.kek_file).expect("the key-encryption key");
    let log = stage.instance.dir().join("log.jsonl");
    let mut text = stage.instance.log();
    text += &format!(
        "{{\"level\":\"ERROR\",\"event\":\"careless\",\"token\":\"{secret}\",\"url\":\"postgres://u:{PASSWORD}@h/d\"}}\n\
         ERROR the kek is {} and the request_id=req-in-the-log-17\n",
        kek.trim()
    );
    std::fs::write(&log, text).expect("written");
    // A subject may be anything.
    stage.backed.db.psql(&format!(
        "INSERT INTO authz.policy_decisions (request_id, subject, action, allow, reason_code, instance) \
         VALUES ('req-odd', '{secret}', 'token.verify', false, 'malformed', 'auth-1')"
    ));
    let (said, files) = stage.export(0, &["--since", "1h"]);
    let manifest = agrees(&files);
    assert_eq!(manifest["missing"], json!([]), "{manifest:#}");
    assert_eq!(manifest["environments"], json!(["production"]));
    let run_id = manifest["runs"][0].as_str().expect("the run");
    let journal = format!("journal/{run_id}.jsonl");
    for name in [
        "decisions.jsonl",
        "security-check.json",
        "targets.json",
        "verification.json",
    ] {
        assert!(
            files.contains_key(&format!("production/{name}")),
            "{name} of {:?}",
            files.keys()
        );
    }
    let text = |name: &str| String::from_utf8(files[name].clone()).expect("UTF-8");
    assert!(text("production/decisions.jsonl").contains("revoked_token"));
    assert!(text("production/verification.json").contains(token_id));
    assert!(text("logs/production/auth-1.log").contains("request_failed"));
    let requests = text("failed-requests.json");
    for source in [
        "decision of production",
        "log production/auth-1",
        &format!("run {run_id}"),
    ] {
        assert!(requests.contains(source), "{source}: {requests}");
    }
    assert!(requests.contains("req-in-the-log-17"));
    assert!(text("settings.toml").contains("service_role = \"auth_service\""));
    assert!(text("settings.toml").contains("kek.b64"));
    // The journal can be checked anywhere.
    stage.write("elsewhere.jsonl", &text(&journal));
    let checked = run(
        stage.dir.path(),
        &["rollout", "log", "--verify", "elsewhere.jsonl"],
    );
    assert_eq!(checked.code, 0, "{}", checked.stderr);
    // Nowhere a secret, and what was masked is counted.
    let admin = stage.instance.admin_token();
    for (name, bytes) in &files {
        let text = String::from_utf8_lossy(bytes);
        for hidden in [&secret, PASSWORD, kek.trim(), &admin, "eyJ"] {
            assert!(!text.contains(hidden), "a secret is in {name}");
        }
    }
    let masked = manifest["files"].as_array().expect("files").iter();
    let masked = masked.filter(|f| f["masked"].as_u64() > Some(0)).count();
    assert!(masked > 0, "{manifest:#}");
    assert!(said["bytes"].as_u64() > Some(1000));
}

#[test]
fn what_cannot_be_collected_is_said_and_holds_nothing_up() {
    let mut stage = Stage::set();
    stage.settings("");
    // One right after the other: each has a name of its own.
    for _ in 0..3 {
        stage.export(4, &[]);
    }
    let (_, files) = stage.export(4, &[]);
    let text = agrees(&files)["missing"].to_string();
    for words in [
        "log of production/auth-1",
        "name no log",
        "opening the journal",
    ] {
        assert!(text.contains(words), "{words}: {text}");
    }
    assert!(text.contains("journal"), "{text}");
    stage.settings("log = { run = [\"sh\", \"-c\", \"echo ERROR from the program; exit 0\"] }\n");
    let (_, files) = stage.export(4, &["--since", "1h"]);
    let log = String::from_utf8_lossy(&files["logs/production/auth-1.log"]).into_owned();
    assert_eq!(log, "ERROR from the program\n");
    // Everything is gone: what this machine has is kept all the same.
    stage.instance.stop();
    stage.backed.db.server().stop();
    stage.settings("log = { file = \"nowhere.jsonl\" }\n");
    let (_, files) = stage.export(4, &["--since", "2h", "--until", "1h"]);
    let text = agrees(&files)["missing"].to_string();
    for words in [
        "nowhere.jsonl",
        "decisions.jsonl, verification.json",
        "auth-1 says of itself",
    ] {
        let found = text.contains(words)
            || words == "nowhere.jsonl" && text.contains("log of production/auth-1");
        assert!(found, "{words}: {text}");
    }
    assert!(files.contains_key("settings.toml"));
    for (args, code, words) in [
        (
            &["incident", "export", "kept", "--since", "yesterday"][..],
            2,
            "neither a time",
        ),
        (
            &[
                "incident", "export", "kept", "--since", "1h", "--until", "2h",
            ],
            2,
            "is not before",
        ),
        (
            &["incident", "export", "kept", "--run", "abcdef"],
            2,
            "abcdef",
        ),
        (&["incident", "export", "dbctl.toml"], 3, "dbctl.toml"),
    ] {
        let seen = run(stage.dir.path(), args);
        assert_eq!(seen.code, code, "{args:?}: {}", seen.stderr);
        assert!(seen.stderr.contains(words), "{args:?}: {}", seen.stderr);
    }
}

/// Verifies a token under an id of its own; the decision is in the log when it returns.
fn verified(stage: &Stage, token: &str, request_id: &str) {
    let url = stage.instance.at("/v1/tokens/verify");
    let http = crate::support::service::Http::new();
    let client = reqwest::Client::new();
    http.send(
        client
            .post(url)
            .header("x-request-id", request_id)
            .json(&json!({"token": token})),
    );
    let count =
        format!("SELECT count(*) FROM authz.policy_decisions WHERE request_id = '{request_id}'");
    eventually("it is recorded", || stage.backed.db.psql(&count) == "1");
}

#[test]
fn a_request_is_explained_from_its_decision_to_the_revocation() {
    let stage = Stage::set();
    let issued = stage.instance.issue("alice");
    let kid = issued["kid"].as_str().expect("a kid");
    verified(&stage, token(&issued), "req-good");
    let seen = stage.explain("req-good");
    assert_eq!(seen.code, 0, "{}{}", seen.stdout, seen.stderr);
    let flat = |seen: &Seen| seen.stdout.split_whitespace().collect::<Vec<_>>().join(" ");
    for words in [
        "ALLOWED alice: token.verify",
        "because version 1 of the key access-tokens signed the token",
        "access-tokens version 1, current now",
        kid,
        "not revoked",
        "issued",
    ] {
        assert!(flat(&seen).contains(words), "{words}: {}", seen.stdout);
    }
    let session = issued["session_id"].as_str().expect("an id");
    let body = json!({"session_id": session, "reason": "laptop stolen"});
    assert_eq!(stage.instance.post("/v1/sessions/revoke", body).status, 200);
    verified(&stage, token(&issued), "req-denied");
    let seen = stage.explain("req-denied");
    assert_eq!(seen.code, 0, "{}{}", seen.stdout, seen.stderr);
    for words in [
        "DENIED alice: token.verify",
        "because the session was revoked at",
        "because of `laptop stolen`",
        session,
    ] {
        assert!(flat(&seen).contains(words), "{words}: {}", seen.stdout);
    }
    // The earlier one is still explained as what it was.
    let again = stage.explain("req-good");
    assert_eq!(again.code, 0, "{}", again.stdout);
    assert!(
        flat(&again).contains("the session was revoked afterwards"),
        "{}",
        again.stdout
    );
    let args = ["incident", "explain", "req-denied", "--format", "json"];
    let said: Value = serde_json::from_str(&run(stage.dir.path(), &args).stdout).expect("JSON");
    assert_eq!(said["schema"], "dbctl.incident.explain/1");
    assert_eq!(said["outcome"], "explained");
    assert_eq!(said["decisions"][0]["key"]["version"], 1);
    assert_eq!(
        said["decisions"][0]["session"]["revoked"]["reason"],
        "laptop stolen"
    );
    // Nothing recorded proves nothing.
    let seen = stage.explain("req-nobody");
    assert_eq!(seen.code, 6);
    assert!(
        seen.stdout.contains("That proves nothing"),
        "{}",
        seen.stdout
    );
}

#[test]
fn hidden_ids_are_followed_as_far_as_they_can_be() {
    let mut stage = Stage::set();
    assert_eq!(
        run(stage.dir.path(), &["keys", "new-kek", "ids.b64"]).code,
        0
    );
    assert_eq!(
        run(stage.dir.path(), &["keys", "new-kek", "other.b64"]).code,
        0
    );
    let key = stage.dir.path().join("ids.b64");
    let key = key.to_str().expect("UTF-8");
    stage.instance.set("SERVICE_DECISION_ID_KEY_FILE", key);
    stage.instance.stop();
    stage.instance.start();
    let issued = stage.instance.issue("alice");
    let id = issued["token_id"].as_str().expect("an id");
    verified(&stage, token(&issued), "req-good");
    let explain = |request: &str, more: &[&str]| {
        let args = [&["incident", "explain", request], more].concat();
        let seen = run(stage.dir.path(), &args);
        let flat = seen.stdout.split_whitespace().collect::<Vec<_>>().join(" ");
        (seen.code, flat)
    };
    let with_key = ["--id-key-file", "ids.b64"];
    // Nothing leads from a hash to a revocation that there may be.
    let (code, said) = explain("req-good", &[]);
    assert_eq!(code, 0, "{said}");
    assert!(said.contains("issued"), "{said}");
    assert!(
        said.contains("whether the token is revoked by now is not known"),
        "{said}"
    );
    assert!(said.contains("--id-key-file"), "{said}");
    let (_, said) = explain("req-good", &with_key);
    assert!(
        said.contains("nothing that is revoked has this hash"),
        "{said}"
    );

    let body =
        json!({"token_id": id, "expires_at": issued["expires_at"], "reason": "laptop stolen"});
    assert_eq!(stage.instance.post("/v1/tokens/revoke", body).status, 200);
    verified(&stage, token(&issued), "req-denied");
    let recorded = "SELECT count(*) FROM security.events WHERE kind = 'token.revoked'";
    eventually("the event is there", || {
        stage.backed.db.psql(recorded) == "1"
    });
    // The event and the revocation name one request.
    for more in [&[][..], &with_key] {
        let (code, said) = explain("req-denied", more);
        assert_eq!(code, 0, "{said}");
        assert!(said.contains("the token was revoked at"), "{said}");
        assert!(said.contains("because of `laptop stolen`"), "{said}");
    }
    // Without the event there is only the key, and only the right one.
    stage
        .backed
        .db
        .psql("DELETE FROM security.events WHERE kind = 'token.revoked'");
    let (_, said) = explain("req-denied", &[]);
    assert!(
        said.contains("the token was revoked; its id is hidden here"),
        "{said}"
    );
    let (_, said) = explain("req-denied", &["--id-key-file", "other.b64"]);
    assert!(
        said.contains("nothing that is revoked has this hash"),
        "{said}"
    );
    let (_, said) = explain("req-denied", &with_key);
    assert!(said.contains("because of `laptop stolen`"), "{said}");
    // A revoked token that is allowed is found under its hash too.
    stage.backed.db.psql(
        "INSERT INTO authz.policy_decisions \
           (created_at, request_id, subject, action, allow, reason_code, kid, token_id, instance) \
         SELECT now() + interval '1 minute', 'req-lazarus', subject, action, true, 'ok', kid, token_id, instance \
           FROM authz.policy_decisions WHERE request_id = 'req-denied'",
    );
    let (code, said) = explain("req-lazarus", &with_key);
    assert_eq!(code, 5, "{said}");
    assert!(said.contains("ODD: the token was allowed"), "{said}");
}

#[test]
fn a_decision_that_should_not_have_been_is_told_and_data_never_drives_the_terminal() {
    let stage = Stage::set();
    stage.backed.db.psql(
        "INSERT INTO security.revoked_tokens (token_id, revoked_at, expires_at, reason) \
           VALUES ('tok-1', now() - interval '2 hours', now() + interval '1 day', E'\\x1b]0;owned\\x07'); \
         INSERT INTO authz.policy_decisions (request_id, subject, action, allow, reason_code, kid, token_id, instance) VALUES \
           ('req-lazarus', E'bob\\x1b[2J\\u202e', 'token.verify', true, 'ok', 'kid-of-nobody', 'tok-1', 'auth-1'), \
           ('req-own', 'bob', 'pay', false, E'limit\\x1b[31m', NULL, NULL, 'auth-1')",
    );
    let seen = stage.explain("req-lazarus");
    assert_eq!(seen.code, 5, "{}{}", seen.stdout, seen.stderr);
    let text = seen.stdout.split_whitespace().collect::<Vec<_>>().join(" ");
    for words in [
        "ODD: the token was allowed 2h after it had been revoked",
        "ODD: no key version here has the kid kid-of-nobody",
    ] {
        assert!(text.contains(words), "{words}: {}", seen.stdout);
    }
    let own = stage.explain("req-own");
    assert_eq!(own.code, 0, "{}", own.stdout);
    assert!(
        own.stdout.contains("the service's own reason is `limit"),
        "{}",
        own.stdout
    );
    for seen in [&seen, &own, &stage.explain("\u{1b}[2Jreq")] {
        let text = seen.stdout.clone() + &seen.stderr;
        let drives = |c: char| c.is_control() && c != '\n' || c == '\u{202e}';
        assert!(!text.contains(drives), "{text:?}");
    }
    // Whoever only audits may ask.
    stage
        .backed
        .db
        .psql("CREATE ROLE auditor LOGIN IN ROLE security_auditor");
    let url = stage.backed.db.url_as("auditor");
    let args = ["--database-url", &url, "incident", "explain", "req-own"];
    let seen = run(stage.dir.path(), &args);
    assert_eq!(seen.code, 0, "{}{}", seen.stdout, seen.stderr);
}

//! The reference service as a process: what it promises over HTTP, over restarts, with its store
//! gone, and at a wrong start.

use std::os::unix::fs::PermissionsExt as _;

use serde_json::{Value, json};

use crate::support::cli::dbctl;
use crate::support::service::{Http, Instance, eventually, id, on_postgres, started, token};

#[test]
fn what_is_revoked_in_memory_stays_revoked_over_kill_and_restart() {
    let (_dir, mut instance) = started("auth-1");
    let kept = instance.issue("alice");
    let revoked = instance.issue("alice");
    let sessions = instance.issue("bob");
    let sibling = instance.post(
        "/v1/tokens",
        json!({"subject": "bob", "session_id": sessions["session_id"]}),
    );
    instance.revoke_token(id(&revoked, "token_id"));
    let session = json!({"session_id": sessions["session_id"]});
    for _ in 0..2 {
        assert_eq!(
            instance.post("/v1/sessions/revoke", session.clone()).status,
            200
        );
    }
    for _ in 0..3 {
        assert_eq!(instance.verify(token(&kept)), (200, "ok".into()));
        assert_eq!(
            instance.verify(token(&revoked)),
            (401, "revoked_token".into())
        );
        assert_eq!(
            instance.verify(token(&sessions)),
            (401, "revoked_session".into())
        );
        assert_eq!(
            instance.verify(token(&sibling.body)),
            (401, "revoked_session".into())
        );
        let more = instance.post(
            "/v1/tokens",
            json!({"subject": "bob", "session_id": sessions["session_id"]}),
        );
        assert_eq!(more.status, 403, "no new tokens in a revoked session");
        instance.kill();
        instance.start();
    }
}

#[test]
fn a_revocation_outlives_a_caller_who_says_that_it_expires_at_once() {
    let (_dir, mut instance) = started("auth-1");
    let issued = instance.issue("alice");
    let body = json!({"token_id": issued["token_id"], "expires_at": "2001-01-01T00:00:00Z"});
    assert_eq!(instance.post("/v1/tokens/revoke", body).status, 200);
    instance.kill();
    instance.start();
    assert_eq!(
        instance.verify(token(&issued)),
        (401, "revoked_token".into())
    );
}

#[test]
fn a_torn_last_line_of_the_log_is_cut_off_and_other_damage_refuses_the_start() {
    let (_dir, mut instance) = started("auth-1");
    let issued = instance.issue("alice");
    instance.revoke_token(id(&issued, "token_id"));
    instance.revoke_token("another");
    instance.kill();
    let log = instance.state_dir().join("revocations.jsonl");
    let good = std::fs::read_to_string(&log).expect("the log");
    std::fs::write(&log, format!("{good}{{\"token\":{{\"tok")).expect("written");
    instance.start();
    assert_eq!(
        instance.verify(token(&issued)),
        (401, "revoked_token".into())
    );
    instance.revoke_token("a-third");
    instance.kill();
    instance.start();
    instance.kill();

    std::fs::write(&log, format!("{{\"tok\n{good}")).expect("written");
    let seen = instance.try_start_with(&[]).expect_err("it must not start");
    assert_eq!(seen.code, 3);
    assert!(seen.stderr.contains("line 1 is damaged"), "{}", seen.stderr);
}

#[test]
fn revoking_what_is_unknown_or_nonsense_is_a_success_and_no_oracle() {
    let (_dir, instance) = started("auth-1");
    for body in [
        json!({"token": "nonsense"}),
        json!({"token_id": "never-issued"}),
        json!({"token_id": "never-issued"}),
    ] {
        assert_eq!(instance.post("/v1/tokens/revoke", body).status, 200);
    }
    for body in [
        json!({}),
        json!({"token_id": ""}),
        json!({"token_id": "a\u{0}b"}),
    ] {
        let answer = instance.post("/v1/tokens/revoke", body);
        assert_eq!(answer.status, 400);
        assert_eq!(answer.body["error"], "bad_request");
    }
    let issued = instance.issue("alice");
    let by_token = instance.post("/v1/tokens/revoke", json!({"token": issued["token"]}));
    assert_eq!(by_token.body["token_id"], issued["token_id"]);
    assert_eq!(
        instance.verify(token(&issued)),
        (401, "revoked_token".into())
    );
}

#[test]
fn with_its_store_gone_it_denies_and_afterwards_it_recovers() {
    let (_dir, backed, instance) = on_postgres();
    let server = backed.db.server();
    let issued = instance.issue("alice");
    assert_eq!(instance.verify(token(&issued)), (200, "ok".into()));
    server.kill();
    assert_eq!(
        instance.verify(token(&issued)),
        (503, "revocation_unavailable".into())
    );
    let revoke = instance.post("/v1/tokens/revoke", json!({"token_id": issued["token_id"]}));
    assert_eq!(
        (revoke.status, &revoke.headers["retry-after"].to_str().ok()),
        (503, &Some("1"))
    );
    assert_eq!(
        instance.post("/v1/nonces", json!({"scope": "s"})).status,
        503
    );
    assert_eq!(instance.get("/healthz").body["status"], "degraded");
    assert_eq!(instance.metric("nonce_reservation_errors_total"), 1.0);
    assert!(
        instance
            .log()
            .contains("\"event\":\"nonce_reservation_error\"")
    );
    server.start();
    eventually("it verifies again", || {
        instance.verify(token(&issued)).0 == 200
    });
    assert_eq!(instance.get("/healthz").body["status"], "ok");
    instance.revoke_token(id(&issued, "token_id"));
    assert_eq!(
        instance.verify(token(&issued)),
        (401, "revoked_token".into())
    );
}

#[test]
fn an_unknown_key_that_cannot_be_looked_up_is_a_failed_look_up() {
    let (_dir, backed, instance) = on_postgres();
    backed.db.server().kill();
    let unknown = "eyJhbGciOiJFZERTQSIsImtpZCI6Im5ldyJ9.e30.AAAA";
    // For a moment after a refresh it is still known to be unknown.
    eventually("it cannot be said", || {
        instance.verify(unknown) == (503, "key_lookup_failed".into())
    });
    backed.db.server().start();
    eventually("it is known to be unknown", || {
        instance.verify(unknown) == (401, "unknown_key".into())
    });
}

#[test]
fn a_key_revoked_in_postgres_is_soon_trusted_by_nobody() {
    let (dir, backed, instance) = on_postgres();
    let mut local = Instance::new(dir.path(), "local");
    local.start();
    let foreign = local.issue("alice");
    assert_eq!(
        instance.verify(token(&foreign)),
        (401, "unknown_key".into())
    );
    let jwks = dir.path().join("local.json");
    let set = local.get("/.well-known/jwks.json").text;
    std::fs::write(&jwks, set).expect("written");
    let seeded = backed.seed(dir.path(), &["--trust", "local.json"]);
    assert_eq!(seeded.code, 0, "{}", seeded.stderr);
    eventually("the new key is trusted", || {
        instance.verify(token(&foreign)).0 == 200
    });
    let revoke = format!(
        "UPDATE security.signing_key_versions SET state = 'revoked' WHERE kid = '{}'",
        id(&foreign, "kid")
    );
    backed.db.psql(&revoke);
    eventually("the revoked key is not trusted", || {
        instance.verify(token(&foreign)) == (401, "unknown_key".into())
    });

    // Back in memory, where it is even the service's own key.
    let exported = instance.admin("GET", "/v1/carry/export", None);
    assert_eq!(exported.body["source"], "postgres");
    let imported = local.admin("POST", "/v1/carry/import", Some(exported.body));
    assert_eq!(imported.status, 200, "{}", imported.text);
    for _ in 0..2 {
        assert_eq!(local.verify(token(&foreign)), (401, "unknown_key".into()));
        let issue = local.post("/v1/tokens", json!({"subject": "alice"}));
        assert_eq!(issue.status, 503);
        local.kill();
        local.start();
    }
}

#[test]
fn decisions_and_events_of_a_request_are_in_postgres_after_a_graceful_stop() {
    let (_dir, backed, mut instance) = on_postgres();
    let issued = instance.issue("alice");
    instance.verify(token(&issued));
    instance.revoke_token(id(&issued, "token_id"));
    let request = Http::new();
    let answer = request.send(
        reqwest::Client::new()
            .post(instance.at("/v1/tokens/verify"))
            .header("x-request-id", "the-one-in-question")
            .json(&json!({"token": issued["token"]})),
    );
    assert_eq!(answer.headers["x-request-id"], "the-one-in-question");
    instance.post("/v1/nonces", json!({"scope": "s", "count": 2}));
    assert_eq!(instance.stop(), 0);

    let why = backed.db.psql(
        "SELECT subject, action, allow, reason_code, key_version, token_revoked_at IS NOT NULL, instance \
         FROM authz.request_trace WHERE request_id = 'the-one-in-question'",
    );
    assert_eq!(why, "alice|token.verify|f|revoked_token|1|t|auth-1");
    let decisions = backed
        .db
        .psql("SELECT action, allow, reason_code FROM authz.policy_decisions ORDER BY created_at");
    assert_eq!(
        decisions,
        "token.issue|t|ok\ntoken.verify|t|ok\ntoken.verify|f|revoked_token"
    );
    let events = backed
        .db
        .psql("SELECT kind FROM security.events ORDER BY created_at");
    assert_eq!(
        events,
        "key.current\nservice.started\ntoken.issued\ntoken.revoked\nnonce.reserved"
    );
}

#[test]
fn a_broken_key_resolver_shows_as_two_metrics_that_rise_together() {
    let (_dir, _backed, mut instance) = on_postgres();
    let issued = instance.issue("alice");
    let answer = instance.post("/v1/faults", json!({"key_lookup_failure_ratio": 1.0}));
    assert_eq!(answer.status, 200, "{}", answer.text);
    for _ in 0..5 {
        assert_eq!(
            instance.verify(token(&issued)),
            (503, "key_lookup_failed".into())
        );
    }
    assert_eq!(instance.metric("auth_key_lookup_failures_total"), 5.0);
    let failures = "auth_verification_failures_total{reason=\"key_lookup_failed\"}";
    assert_eq!(instance.metric(failures), 5.0);
    assert_eq!(
        instance.metric("auth_requests_total{op=\"verify\",outcome=\"error\"}"),
        5.0
    );
    let nonces = instance.post("/v1/faults", json!({"nonce_errors": true}));
    assert_eq!(nonces.status, 200, "{}", nonces.text);
    assert_eq!(instance.verify(token(&issued)), (200, "ok".into()));
    assert_eq!(
        instance.post("/v1/nonces", json!({"scope": "s"})).status,
        503
    );
    assert_eq!(instance.metric("nonce_reservation_errors_total"), 1.0);
    let all = json!({"key_lookup_failure_ratio": 1.0, "error_ratio": 1.0, "nonce_errors": true});
    assert_eq!(instance.post("/v1/faults", all.clone()).status, 200);
    assert_eq!(instance.verify(token(&issued)).0, 500);
    for wrong in [json!({"error_ratio": 2.0}), json!({"unheard_of": 1})] {
        assert_eq!(instance.post("/v1/faults", wrong).status, 400);
    }
    // Going back cures it, whatever is broken in Postgres.
    instance.kill();
    instance.set_mode("memory");
    instance.start_with(&["--faults"]);
    assert_eq!(instance.post("/v1/faults", all).status, 200);
    let issued = instance.issue("alice");
    assert_eq!(instance.verify(token(&issued)), (200, "ok".into()));
    assert_eq!(
        instance.post("/v1/nonces", json!({"scope": "s"})).status,
        201
    );
}

#[test]
fn every_series_is_there_before_anything_happened() {
    let (_dir, instance) = started("auth-1");
    let text = instance.get("/metrics").text;
    let series: Vec<&str> = text
        .lines()
        .filter(|l| !l.starts_with('#') && !l.contains("_bucket"))
        .filter_map(|l| l.rsplit_once(' ').map(|(series, _)| series))
        .collect();
    for op in ["issue", "verify", "revoke", "nonce"] {
        for outcome in ["allow", "deny", "error"] {
            let wanted = format!("auth_requests_total{{op=\"{op}\",outcome=\"{outcome}\"}}");
            assert!(series.contains(&&*wanted), "{wanted} is not in\n{text}");
            assert_eq!(instance.metric(&wanted), 0.0);
        }
        let bucket = format!("auth_request_duration_seconds_bucket{{le=\"0.05\",op=\"{op}\"}}");
        assert_eq!(instance.metric(&bucket), 0.0);
    }
    for wanted in [
        "auth_key_lookup_failures_total",
        "nonce_reservation_errors_total",
        "decision_records_lost_total",
        "auth_verification_failures_total{reason=\"key_lookup_failed\"}",
        "auth_verification_failures_total{reason=\"expired\"}",
    ] {
        assert_eq!(instance.metric(wanted), 0.0);
    }
    let mode = "security_runtime_mode{toggle=\"SECURITY_NONCE_STORE_MODE\",mode=\"file\"}";
    assert_eq!(instance.metric(mode), 1.0);
}

#[test]
fn a_wrong_configuration_is_an_error_at_the_start() {
    let dir = tempfile::tempdir().expect("a folder");
    for (name, value, why) in [
        (
            "SECURITY_RUNTIME_MODE",
            "postgress",
            "`postgress` is not one of its values",
        ),
        (
            "SECURITY_NONCE_STORE_MODE",
            "memory",
            "`memory` is not one of its values",
        ),
        ("SERVICE_NAME", "a b", "SERVICE_NAME"),
        ("SERVICE_NAMES", "a", "it is not a setting of the service"),
        ("SERVICE_TOKEN_LIFETIME", "soon", "is not a duration"),
        ("SERVICE_NONCE_WINDOW", "0", "it is not a number from 1"),
        ("SERVICE_LISTEN", "nowhere", "listening on nowhere"),
        (
            "SERVICE_SIGNING_KEY_FILE",
            "",
            "SERVICE_SIGNING_KEY_FILE is not set",
        ),
        (
            "SECURITY_REVOCATION_MODE",
            "postgres",
            "DATABASE_URL is not set",
        ),
        ("DATABASE_URL", "postgres://x:hunter2@localhost:1/x", ""),
    ] {
        let folder = tempfile::tempdir_in(dir.path()).expect("a folder");
        let mut instance = Instance::new(folder.path(), "auth-1");
        instance.set(name, value);
        if name == "DATABASE_URL" {
            // Nothing listens there; and the password is shown nowhere.
            instance.set_mode("postgres");
            let seen = instance.try_start_with(&[]).expect_err("it must not start");
            assert_eq!(seen.code, 4, "{}", seen.stderr);
            assert!(!seen.stderr.contains("hunter2"), "{}", seen.stderr);
            continue;
        }
        let seen = instance.try_start_with(&[]).expect_err("it must not start");
        assert_eq!(seen.code, 3, "{name}={value}: {}", seen.stderr);
        assert!(seen.stderr.contains(why), "{name}={value}: {}", seen.stderr);
    }
}

#[test]
fn secrets_that_others_can_read_are_refused() {
    let dir = tempfile::tempdir().expect("a folder");
    let mut instance = Instance::new(dir.path(), "auth-1");
    for file in [instance.signing_key_file(), instance.admin_token_file()] {
        let mode = |m| std::fs::set_permissions(&file, std::fs::Permissions::from_mode(m));
        mode(0o644).expect("chmod");
        let seen = instance.try_start_with(&[]).expect_err("it must not start");
        assert_eq!(seen.code, 3);
        assert!(
            seen.stderr.contains("others can read the file"),
            "{}",
            seen.stderr
        );
        mode(0o600).expect("chmod");
    }
    instance.start();
}

#[test]
fn a_wrong_key_encryption_key_stops_the_start_and_says_which_is_needed() {
    let (dir, backed, mut instance) = on_postgres();
    instance.kill();
    let made = dbctl(dir.path(), &["keys", "new-kek", "other"])
        .output()
        .expect("it runs");
    assert!(made.status.success());
    instance.set(
        "SERVICE_KEK_FILE",
        dir.path().join("other").to_str().expect("UTF-8"),
    );
    let seen = instance.try_start_with(&[]).expect_err("it must not start");
    assert_eq!(seen.code, 3, "{}", seen.stderr);
    let needed = backed
        .db
        .psql("SELECT kek_id FROM security.signing_key_versions");
    assert!(seen.stderr.contains(&needed), "{}", seen.stderr);
    instance.set("SERVICE_KEK_FILE", "");
    let seen = instance.try_start_with(&[]).expect_err("it must not start");
    assert!(
        seen.stderr.contains("SERVICE_KEK_FILE is not set"),
        "{}",
        seen.stderr
    );
}

#[test]
fn the_log_holds_request_ids_and_no_secrets() {
    let (_dir, mut instance) = started("auth-1");
    let issued = instance.issue("alice");
    instance.revoke_token(id(&issued, "token_id"));
    instance.admin("GET", "/v1/carry/export", None);
    instance.verify(token(&issued));
    assert_eq!(instance.stop(), 0);
    let log = instance.log();
    assert!(!log.contains(token(&issued)), "{log}");
    assert!(!log.contains(&instance.admin_token()), "{log}");
    for line in log.lines() {
        let entry: Value = serde_json::from_str(line).expect("a JSON line");
        assert!(entry["event"].is_string(), "{line}");
        if entry["event"] == "token.revoked" {
            assert!(entry["request_id"].is_string(), "{line}");
        }
    }
    assert!(log.contains("token.revoked"));
}

#[test]
fn initialising_never_overwrites() {
    let dir = tempfile::tempdir().expect("a folder");
    let instance = Instance::new(dir.path(), "auth-1");
    let files = [
        instance.env_file(),
        instance.signing_key_file(),
        instance.admin_token_file(),
    ];
    let read = || files.each_ref().map(|f| std::fs::read(f).expect("a file"));
    let before = read();
    let again = [
        "service",
        "init",
        "auth-1",
        "--name",
        "auth-1",
        "--listen",
        "127.0.0.1:1",
    ];
    let seen = dbctl(dir.path(), &again).output().expect("it runs");
    assert_eq!(seen.status.code(), Some(3));
    assert_eq!(read(), before);
    for file in &files {
        let mode = std::fs::metadata(file)
            .expect("a file")
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o600);
    }
    // Two instances that share a key believe each other's tokens.
    let mut first = instance;
    let mut second = Instance::beside(&first, "auth-2");
    first.start();
    second.start();
    let issued = first.issue("alice");
    assert_eq!(second.verify(token(&issued)), (200, "ok".into()));
}

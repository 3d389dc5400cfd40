//! Smoke checks over HTTP: the reference service passes them, a service that only looks right
//! does not, and another service can be checked by its own mapping.

use std::sync::{Arc, Mutex};

use axum::extract::{Form, Path, State};
use axum::http::StatusCode;
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::support::cli::{Seen, run};
use crate::support::fleet::Fleet;

fn json_of(seen: &Seen) -> Value {
    serde_json::from_str(&seen.stdout).unwrap_or_else(|e| panic!("{e}: {}", seen.stderr))
}

/// What stays the same from run to run.
fn golden(seen: &Seen) -> String {
    let mut report = json_of(seen);
    for check in report["checks"].as_array_mut().expect("checks") {
        assert!(check["duration_ms"].as_f64().expect("a duration") >= 0.0);
        check["duration_ms"] = json!("[ms]");
    }
    serde_json::to_string_pretty(&report).expect("JSON")
}

fn verdict<'a>(report: &'a Value, name: &str) -> &'a Value {
    let checks = report["checks"].as_array().expect("checks");
    checks
        .iter()
        .find(|c| c["name"] == name)
        .expect("the check")
}

#[test]
fn in_memory_everything_passes_but_persistence_which_cannot_be_judged() {
    let fleet = Fleet::local(&["auth-1"]);
    let seen = fleet.run(&["smoke", "--format", "json"]);
    assert_eq!(seen.code, 6, "{}", seen.stderr);
    insta::assert_snapshot!("smoke_in_memory", golden(&seen));
    let seen = fleet.run(&["smoke"]);
    assert!(
        seen.stdout
            .ends_with("5 of 6 checks pass · 1 could not be judged\n"),
        "{}",
        seen.stdout
    );
    let seen = fleet.run(&["smoke", "issue-token", "nonce"]);
    assert_eq!(seen.code, 0, "{}", seen.stdout);
}

#[test]
fn on_postgres_everything_passes_on_every_target() {
    let (fleet, _backed) = Fleet::on(&["auth-1", "auth-2"]);
    let set = [
        "toggles",
        "set",
        "SECURITY_RUNTIME_MODE=postgres",
        "SECURITY_KEY_RESOLVER_MODE=postgres",
        "SECURITY_REVOCATION_MODE=postgres",
        "SECURITY_NONCE_STORE_MODE=postgres",
        "--confirm",
        "production",
    ];
    assert_eq!(fleet.run(&set).code, 0);
    let seen = fleet.run(&["smoke", "--format", "json"]);
    assert_eq!(seen.code, 0, "{}", seen.stdout);
    assert_eq!(
        json_of(&seen)["checks"].as_array().expect("checks").len(),
        12
    );
    for secret in ["eyJ", "Bearer", "postgres://"] {
        assert!(!seen.stdout.contains(secret), "{secret}");
    }
    let canary = fleet.run(&["smoke", "--on", "canary", "--format", "json"]);
    insta::assert_snapshot!("smoke_on_postgres", golden(&canary));
    assert_eq!(
        json_of(&canary)["checks"].as_array().expect("checks").len(),
        6
    );
}

#[test]
fn decisions_that_do_not_arrive_in_postgres_fail_the_check() {
    let (fleet, backed) = Fleet::on(&["auth-1"]);
    let set = [
        "toggles",
        "set",
        "SECURITY_RUNTIME_MODE=postgres",
        "--confirm",
        "production",
    ];
    assert_eq!(fleet.run(&set).code, 0);
    let empty = backed.db.server().fresh_database();
    empty.migrate_by_hand();
    let seen = fleet.run(&[
        "smoke",
        "persistence",
        "--database-url",
        &empty.url,
        "--format",
        "json",
    ]);
    assert_eq!(seen.code, 5, "{}", seen.stdout);
    let summary = json_of(&seen)["checks"][0]["summary"].clone();
    assert!(
        summary
            .as_str()
            .expect("text")
            .contains("decisions of 0 of 2 requests"),
        "{summary}"
    );
}

#[test]
fn an_unknown_check_is_a_usage_error_that_names_the_known_ones() {
    let fleet = Fleet::local(&["auth-1"]);
    let seen = fleet.run(&["smoke", "revoke"]);
    assert_eq!(seen.code, 2);
    assert!(
        seen.stderr
            .contains("issue-token, verify-token, revoke-token"),
        "{}",
        seen.stderr
    );
}

#[test]
fn a_target_that_is_down_is_an_error_and_does_not_hide_the_others() {
    let fleet = Fleet::local(&["auth-1", "auth-2"]);
    fleet.with("auth-2", |i| i.kill());
    let seen = fleet.run(&["smoke", "issue-token", "--format", "json"]);
    assert_eq!(seen.code, 4);
    let report = json_of(&seen);
    assert_eq!(report["verdict"], "error");
    assert_eq!(report["checks"][0]["verdict"], "pass");
    assert_eq!(report["checks"][1]["verdict"], "error");
    assert!(
        report["checks"][1]["next"]
            .as_str()
            .expect("a hint")
            .contains("auth-2")
    );
}

// ---- services of somebody else ----

/// Serves `router` until the test ends and writes a `dbctl.toml` for it.
fn serve(router: Router, settings: &str) -> tempfile::TempDir {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    listener.set_nonblocking(true).expect("nonblocking");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Runtime::new().expect("a runtime");
        runtime.block_on(async {
            let listener = tokio::net::TcpListener::from_std(listener).expect("a listener");
            axum::serve(listener, router).await.expect("serving");
        });
    });
    let dir = tempfile::tempdir().expect("a directory");
    let text = format!(
        "{settings}\n[environments.other]\n[[environments.other.targets]]\nname = \"theirs\"\n\
         url = \"{url}/base\"\nenv_file = \"x.env\"\nrestart = [\"true\"]\nstate_dir = \"x\"\n"
    );
    std::fs::write(dir.path().join("dbctl.toml"), text).expect("written");
    dir
}

fn nested(router: Router) -> Router {
    Router::new().nest("/base", router)
}

#[test]
fn a_service_that_allows_everything_and_forgets_its_nonces_is_found_out() {
    let token = || json!({"token": "a.b.cdefgh", "token_id": "1", "session_id": "2"});
    let range = json!({"node_name": "n", "nonce_scope": "s", "first": 5, "last": 7});
    let router = Router::new()
        .route(
            "/v1/tokens",
            post(move || async move { (StatusCode::CREATED, Json(token())) }),
        )
        .route(
            "/v1/tokens/verify",
            post(|| async { Json(json!({"allow": true, "reason_code": "ok"})) }),
        )
        .route("/v1/tokens/revoke", post(|| async { "" }))
        .route(
            "/v1/sessions/revoke",
            post(|| async { StatusCode::INTERNAL_SERVER_ERROR }),
        )
        .route(
            "/v1/nonces",
            post(move || async move { (StatusCode::CREATED, Json(range)) }),
        )
        .route(
            "/v1/nonces/{scope}",
            get(|| async { Json(json!({"reserved_high": 8})) }),
        );
    let dir = serve(nested(router), "");
    let seen = run(
        dir.path(),
        &[
            "smoke",
            "--format",
            "json",
            "issue-token",
            "verify-token",
            "revoke-token",
            "revoke-session",
            "nonce",
        ],
    );
    assert_eq!(seen.code, 5, "{}", seen.stderr);
    let report = json_of(&seen);
    assert_eq!(report["verdict"], "fail");
    for (name, wanted, words) in [
        ("issue-token", "pass", "issued"),
        ("verify-token", "fail", "answered 200, wanted 401"),
        ("revoke-token", "fail", "answered 200, wanted 401"),
        ("revoke-session", "fail", "/v1/sessions/revoke answered 500"),
        ("nonce", "fail", "5 to 7 and 5 to 7 overlap"),
    ] {
        let check = verdict(&report, name);
        assert_eq!(check["verdict"], wanted, "{check}");
        assert!(
            check["summary"].as_str().expect("text").contains(words),
            "{check}"
        );
    }
    assert!(!seen.stdout.contains("cdefgh"), "no token in the evidence");
}

#[test]
fn a_watermark_below_a_nonce_that_was_handed_out_is_found_out() {
    let next = Arc::new(Mutex::new(0_i64));
    let reserve = move || async move {
        let mut next = next.lock().expect("not poisoned");
        *next += 3;
        (
            StatusCode::CREATED,
            Json(json!({"first": *next - 3, "last": *next - 1})),
        )
    };
    let router = Router::new().route("/v1/nonces", post(reserve)).route(
        "/v1/nonces/{scope}",
        get(|| async { Json(json!({"reserved_high": 2})) }),
    );
    let dir = serve(nested(router), "");
    let seen = run(dir.path(), &["smoke", "nonce", "--format", "json"]);
    assert_eq!(seen.code, 5);
    let summary = json_of(&seen)["checks"][0]["summary"].clone();
    assert!(
        summary
            .as_str()
            .expect("text")
            .contains("would be handed out again"),
        "{summary}"
    );
}

/// An OAuth-like service: a form for revocation, other names, other statuses.
#[derive(Default)]
struct Theirs {
    revoked: Vec<String>,
    issued: u32,
}

type Shared = Arc<Mutex<Theirs>>;

#[derive(Deserialize)]
struct RevokeForm {
    token: String,
    token_type_hint: String,
}

fn theirs() -> Router {
    let issue = |State(s): State<Shared>| async move {
        let mut s = s.lock().expect("not poisoned");
        s.issued += 1;
        Json(
            json!({"access": {"token": format!("opaque/token?{}", s.issued), "id": s.issued}, "sid": 9}),
        )
    };
    let revoke = |State(s): State<Shared>, Form(form): Form<RevokeForm>| async move {
        assert_eq!(form.token_type_hint, "access_token");
        s.lock().expect("not poisoned").revoked.push(form.token);
        StatusCode::NO_CONTENT
    };
    let introspect = |State(s): State<Shared>,
                      Path(token): Path<String>,
                      headers: axum::http::HeaderMap| async move {
        let key = headers.get("x-api-key").and_then(|v| v.to_str().ok());
        if key != Some("k-1") {
            return Json(json!({"active": false}));
        }
        let s = s.lock().expect("not poisoned");
        let number = token
            .strip_prefix("opaque/token?")
            .and_then(|n| n.parse().ok());
        let known = number.is_some_and(|n: u32| n <= s.issued) && !s.revoked.contains(&token);
        Json(json!({"active": known}))
    };
    Router::new()
        .route("/login", post(issue))
        .route("/oauth/revoke", post(revoke))
        .route("/introspect/{token}", get(introspect))
        .with_state(Shared::default())
}

const THEIR_MAPPING: &str = r#"
[smoke]
headers = { x-api-key = "k-1" }

[smoke.requests.issue]
path = "/login"
body = { user = "{{subject}}", nested = ["{{count}}", "n={{count}}"] }
status = [200]
capture = { token = "$.access.token", token_id = "$.access.id", session_id = "$.sid" }

[smoke.requests.verify]
method = "GET"
path = "/introspect/{{token}}"
status = [200]
expect = { "$.active" = true }

[smoke.requests.denied]
method = "GET"
path = "/introspect/{{token}}"
status = [200]
capture = {}
expect = { "$.active" = false }

[smoke.requests.revoke-token]
path = "/oauth/revoke"
form = { token = "{{token}}", token_type_hint = "access_token" }
status = [200, 204]
"#;

#[test]
fn any_service_can_be_checked_by_its_own_mapping() {
    let dir = serve(nested(theirs()), THEIR_MAPPING);
    let seen = run(
        dir.path(),
        &[
            "smoke",
            "issue-token",
            "verify-token",
            "revoke-token",
            "--format",
            "json",
        ],
    );
    assert_eq!(seen.code, 0, "{}{}", seen.stdout, seen.stderr);
    let what = json_of(&seen)["checks"][2]["evidence"][3].clone();
    assert_eq!(
        what,
        json!({"what": "GET /introspect/{{token}}", "seen": "200"}),
        "no token in it"
    );
}

#[test]
fn a_mapping_that_makes_no_sense_is_a_configuration_error() {
    for (mapping, words) in [
        (
            "[smoke.requests.issue]\npath = \"login\"",
            "path does not start with /",
        ),
        (
            "[smoke.requests.issue]\ncapture = { token = \"$.t\" }",
            "capture `token_id`",
        ),
        (
            "[smoke.requests.verify]\nexpect = { \"active\" = true }",
            "is not a JSONPath",
        ),
        (
            "[smoke.requests.verify]\nmethod = \"G T\"",
            "is not a method",
        ),
        (
            "[smoke.requests.verify]\nbody = {}\nform = {}",
            "a body and a form",
        ),
        ("[smoke.requests.login]\npath = \"/\"", "login"),
        ("[smoke]\nsubjects = \"x\"", "subjects"),
    ] {
        let dir = serve(Router::new(), mapping);
        let seen = run(dir.path(), &["smoke", "issue-token"]);
        assert_eq!(seen.code, 3, "{mapping}: {}", seen.stderr);
        assert!(seen.stderr.contains(words), "{words}: {}", seen.stderr);
    }
    let dir = serve(
        nested(theirs()),
        "[smoke.requests.issue]\nbody = { a = \"{{nothing}}\" }",
    );
    let seen = run(dir.path(), &["smoke", "issue-token", "--format", "json"]);
    assert_eq!(seen.code, 4, "{}", seen.stdout);
    assert!(
        seen.stdout.contains("nothing was captured as `nothing`"),
        "{}",
        seen.stdout
    );
}

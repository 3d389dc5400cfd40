//! The service contract from another language: `examples/service.py`, in Python's standard
//! library, driven by the runbook that dbctl carries (P1, P2, P3), and held against the reference
//! service answer by answer.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use dbctl::demo::record::Phase;
use dbctl::demo::traffic::{self, Options, Traffic};
use serde_json::{Value, json};

use crate::support::cli::{Seen, run};
use crate::support::fleet::{Supervised, supervise};
use crate::support::postgres::Server;
use crate::support::service::{Backed, Instance, id, token};

/// The same file that `cargo run --example adapters` runs.
#[allow(dead_code)] // Its `main` is for people.
#[path = "../../examples/adapters.rs"]
mod adapters;

fn python() -> String {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/service.py");
    file.to_str().expect("UTF-8").to_owned()
}

fn in_python(parent: &Path, name: &str) -> Instance {
    let mut instance = Instance::new(parent, name);
    instance.served_by(&["python3", &python()]);
    instance
}

const SHIPPED: &str = include_str!("../../runbooks/phase-1-postgres-cutover.md");

/// The runbook that dbctl carries, word for word but for one number: no test asserts timings, so
/// a request may take as long as the histogram can tell.
fn cutover() -> String {
    let strict = "slower = { than = 0.25,";
    assert_eq!(SHIPPED.matches(strict).count(), 1);
    SHIPPED.replace(strict, "slower = { than = 2.5,")
}

/// One instance in staging and two in production, on memory and files, each environment with a
/// database of its own that nothing was done to yet.
struct World {
    dir: tempfile::TempDir,
    instances: Arc<Vec<Supervised>>,
    _server: Server,
}

const CAST: [(&str, &str, &str); 3] = [
    ("staging", "staging-1", "all"),
    ("production", "auth-1", "canary"),
    ("production", "auth-2", "others"),
];

impl World {
    fn new() -> Self {
        let dir = tempfile::tempdir().expect("a folder");
        let server = Server::own();
        server.psql("postgres", "CREATE ROLE security_runtime");
        server.psql(
            "postgres",
            "CREATE ROLE auth_service LOGIN IN ROLE security_runtime",
        );
        assert_eq!(run(dir.path(), &["keys", "new-kek", "kek.b64"]).code, 0);
        let shared = |file: &str| dir.path().join("staging-1").join(file);
        let mut instances = Vec::new();
        for (env, name, _) in CAST {
            let instance = in_python(dir.path(), name);
            let url = server.url_as("auth_service", env);
            let set = |name: &str, path: PathBuf| {
                instance.set(name, path.to_str().expect("UTF-8"));
            };
            set("SERVICE_ADMIN_TOKEN_FILE", shared("admin.token"));
            set("SERVICE_SIGNING_KEY_FILE", shared("signing-key.pem"));
            set("SERVICE_KEK_FILE", dir.path().join("kek.b64"));
            instance.set("DATABASE_URL", &url);
            instances.push(Supervised::new(name, instance));
        }
        for env in ["staging", "production"] {
            server.psql("postgres", &format!("CREATE DATABASE {env}"));
        }
        let instances = Arc::new(instances);
        let supervisor = supervise(instances.clone());
        std::fs::write(dir.path().join("cutover.md"), cutover()).expect("written");
        let mut settings =
            String::from("[keys]\nverifier_cache = \"2s\"\n[runbook]\npath = \"cutover.md\"\n");
        for ((env, name, group), supervised) in CAST.iter().zip(instances.iter()) {
            if !settings.contains(&format!("[environments.{env}]")) {
                settings += &format!(
                    "\n[environments.{env}]\ndatabase_url = \"{}\"\nkek_file = \"kek.b64\"\n\
                     service_role = \"auth_service\"\nadmin_token_file = \"staging-1/admin.token\"\n",
                    server.url(env)
                );
            }
            settings += &format!(
                "\n[[environments.{env}.targets]]\nname = \"{name}\"\ngroups = [\"{group}\"]\n\
                 url = \"http://127.0.0.1:{}\"\nenv_file = \"{name}/service.env\"\n\
                 state_dir = \"{name}/state\"\nrestart = {{ post = \"{supervisor}/{name}\" }}\n",
                supervised.port
            );
            supervised.start();
        }
        std::fs::write(dir.path().join("dbctl.toml"), settings).expect("written");
        Self {
            dir,
            instances,
            _server: server,
        }
    }

    fn rollout(&self, args: &[&str]) -> Seen {
        run(self.dir.path(), &[&["rollout"], args].concat())
    }

    /// Approves what is asked for until the run ends.
    fn to_the_end(&self) -> Seen {
        let mut seen = self.rollout(&["start", "--confirm", "staging", "--shorten-bakes", "5s"]);
        for wanted in [
            "deploy-staging",
            "production",
            "deploy-production",
            "production",
        ] {
            assert_eq!(seen.code, 10, "before {wanted}: {}", seen.stderr);
            let approved = self.rollout(&["approve", "--confirm", wanted]);
            assert_eq!(approved.code, 0, "{wanted}: {}", approved.stderr);
            seen = self.rollout(&["resume"]);
        }
        seen
    }

    /// What the processes in production say that they run in.
    fn modes(&self) -> Vec<Value> {
        let production = &self.instances[1..];
        let says = |s: &Supervised| {
            let instance = s.instance.lock().expect("not poisoned");
            instance.get("/healthz").body["modes"].clone()
        };
        production.iter().map(says).collect()
    }

    fn traffic(&self) -> Traffic {
        let production = self.instances[1..].iter().map(|s| traffic::Instance {
            name: s.name.clone(),
            url: format!("http://127.0.0.1:{}", s.port),
        });
        let fleet = traffic::Fleet {
            name: "production".into(),
            instances: production.collect(),
        };
        let mut options = Options::new(vec![fleet]);
        options.requests_per_second = 60;
        Traffic::start(options).expect("traffic")
    }
}

impl Drop for World {
    fn drop(&mut self) {
        for supervised in self.instances.iter() {
            let instance = supervised.instance.lock();
            instance
                .unwrap_or_else(std::sync::PoisonError::into_inner)
                .end();
        }
    }
}

fn modes(mode: &str, nonces: &str) -> Value {
    json!({
        "SECURITY_RUNTIME_MODE": mode,
        "SECURITY_KEY_RESOLVER_MODE": mode,
        "SECURITY_REVOCATION_MODE": mode,
        "SECURITY_NONCE_STORE_MODE": nonces,
    })
}

#[test]
fn the_runbook_that_dbctl_carries_moves_it_onto_postgres_and_back_under_traffic() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime");
    let world = World::new();
    assert_eq!(world.modes(), vec![modes("memory", "file"); 2]);
    let traffic = runtime.block_on(async { world.traffic() });
    std::thread::sleep(Duration::from_secs(2));
    traffic.enter(Phase::During);
    let completed = world.to_the_end();
    assert_eq!(completed.code, 0, "{}", completed.stderr);
    assert!(
        completed.stderr.contains("COMPLETED"),
        "{}",
        completed.stderr
    );
    assert_eq!(world.modes(), vec![modes("postgres", "postgres"); 2]);
    std::thread::sleep(Duration::from_secs(1));

    let back = world.rollout(&["rollback", "--reason", "the way back is tried"]);
    assert_eq!(back.code, 13, "{}", back.stderr);
    assert!(back.stderr.contains("ROLLED BACK"), "{}", back.stderr);
    assert_eq!(world.modes(), vec![modes("memory", "file"); 2]);
    traffic.enter(Phase::After);
    std::thread::sleep(Duration::from_secs(1));
    let seen = runtime.block_on(traffic.stop());
    assert!(seen.holds(), "{seen:#?}");
}

/// Nonces as `first..=last`, and what was revoked: by the caller's own record.
fn use_it(instance: &Instance, revoked: &mut Vec<String>, nonces: &mut Vec<(i64, i64)>) {
    for _ in 0..5 {
        let issued = instance.issue("alice");
        instance.revoke_token(id(&issued, "token_id"));
        revoked.push(token(&issued).to_owned());
        let given = instance.post("/v1/nonces", json!({"scope": "aead", "count": 7}));
        assert_eq!(given.status, 201, "{}", given.text);
        let number = |name: &str| given.body[name].as_i64().expect("a number");
        nonces.push((number("first"), number("last")));
    }
    for token in revoked {
        assert_eq!(instance.verify(token), (401, "revoked_token".to_owned()));
    }
}

#[test]
fn nothing_is_lost_or_repeated_by_kill_9_in_either_mode() {
    let dir = tempfile::tempdir().expect("a folder");
    let backed = Backed::new(dir.path());
    let mut instance = in_python(dir.path(), "auth-1");
    backed.know(&instance);
    let (mut revoked, mut nonces) = (Vec::new(), Vec::new());
    for mode in ["memory", "postgres"] {
        // In each mode by itself: carrying over is for dbctl, and tried above.
        revoked.clear();
        instance.set_mode(mode);
        for _ in 0..3 {
            instance.start();
            use_it(&instance, &mut revoked, &mut nonces);
            instance.kill();
        }
    }
    nonces.sort_unstable();
    for pair in nonces.windows(2) {
        assert!(pair[0].1 < pair[1].0, "handed out twice: {pair:?}");
    }
    backed.db.server().stop();
    let refused = instance.try_start_with(&[]).expect_err("without Postgres");
    assert!(refused.stderr.contains("auth-1"), "{}", refused.stderr);
}

#[test]
fn what_it_cannot_rely_on_refuses_the_start() {
    let dir = tempfile::tempdir().expect("a folder");
    let mut instance = in_python(dir.path(), "auth-1");
    instance.set("SERVICE_SIGNING_KEYFILE", "x");
    let typo = instance.try_start_with(&[]).expect_err("a typo");
    assert!(
        typo.stderr.contains("SERVICE_SIGNING_KEYFILE"),
        "{}",
        typo.stderr
    );

    let mut instance = in_python(dir.path(), "auth-2");
    instance.set("SECURITY_REVOCATION_MODE", "postgress");
    let unknown = instance.try_start_with(&[]).expect_err("an unknown mode");
    assert!(
        unknown.stderr.contains("SECURITY_REVOCATION_MODE"),
        "{}",
        unknown.stderr
    );

    let mut instance = in_python(dir.path(), "auth-3");
    instance.start();
    let elsewhere = tempfile::tempdir().expect("a folder");
    let mut beside = in_python(elsewhere.path(), "auth-3");
    beside.set(
        "SERVICE_STATE_DIR",
        instance.state_dir().to_str().expect("UTF-8"),
    );
    let second = beside.try_start_with(&[]).expect_err("a second process");
    assert!(
        second.stderr.contains("another process"),
        "{}",
        second.stderr
    );
    instance.stop();
    let state = instance.state_dir().join("state.json");
    let text = std::fs::read_to_string(&state).expect("its state");
    std::fs::write(&state, &text[..text.len() / 2]).expect("written");
    assert!(instance.try_start_with(&[]).is_err(), "damaged");
    std::fs::remove_file(&state).expect("removed");
    let missing = instance.try_start_with(&[]).expect_err("missing");
    assert!(missing.stderr.contains("missing"), "{}", missing.stderr);
    std::fs::write(&state, text).expect("restored");
    std::fs::write(instance.state_dir().join("carry.json"), "{").expect("written");
    assert!(
        instance.try_start_with(&[]).is_err(),
        "a damaged carry.json"
    );
}

/// A request of the contract: method, path, whether with the admin token, body.
type Asked = (&'static str, &'static str, bool, Value);

fn asked() -> Vec<Asked> {
    let long = "x".repeat(300);
    let open = |path, body| ("POST", path, false, body);
    let admin = |method, path, body| (method, path, true, body);
    let carry = |tokens: Value, keys: Value| {
        json!({"schema": "dbctl.carry/1", "taken_at": "2026-11-24T04:34:42Z", "source": "old",
               "revoked_tokens": tokens, "revoked_sessions": [], "watermarks": [], "keys": keys})
    };
    vec![
        open("/v1/tokens", json!({})),
        open("/v1/tokens", json!([])),
        open("/v1/tokens", json!({"subject": 5})),
        open("/v1/tokens", json!({"subject": ""})),
        open("/v1/tokens", json!({"subject": long})),
        open("/v1/tokens", json!({"subject": "a\u{7}b"})),
        open("/v1/tokens", json!({"subject": "alice", "unknown": 1})),
        open("/v1/tokens/verify", json!({"token": ""})),
        open("/v1/tokens/verify", json!({"token": "a.b.c"})),
        // Header {"alg":"none","kid":"x"}, {"alg":"EdDSA","kid":"x"}, and one with `crit`.
        open(
            "/v1/tokens/verify",
            json!({"token": "eyJhbGciOiJub25lIiwia2lkIjoieCJ9.e30."}),
        ),
        open(
            "/v1/tokens/verify",
            json!({"token": "eyJhbGciOiJFZERTQSIsImtpZCI6IngifQ.e30.AA"}),
        ),
        open(
            "/v1/tokens/verify",
            json!({"token": "eyJhbGciOiJFZERTQSIsImtpZCI6IngiLCJjcml0IjpbImIiXX0.e30.AA"}),
        ),
        open("/v1/tokens/revoke", json!({})),
        open("/v1/tokens/revoke", json!({"token": "nobody's"})),
        open(
            "/v1/tokens/revoke",
            json!({"token_id": "unknown", "reason": "stolen"}),
        ),
        open("/v1/tokens/revoke", json!({"token_id": "unknown"})),
        open("/v1/sessions/revoke", json!({})),
        open("/v1/sessions/revoke", json!({"session_id": "s-17"})),
        open(
            "/v1/tokens",
            json!({"subject": "alice", "session_id": "s-17"}),
        ),
        open("/v1/nonces", json!({"scope": "a b"})),
        open("/v1/nonces", json!({"scope": "aead", "count": 0})),
        open("/v1/nonces", json!({"scope": "aead", "count": 10_001})),
        open("/v1/nonces", json!({"scope": "aead"})),
        open("/v1/nonces", json!({"scope": "aead", "count": 3})),
        ("GET", "/v1/nonces/aead", false, Value::Null),
        ("GET", "/v1/nonces/other", false, Value::Null),
        ("GET", "/v1/carry/export", false, Value::Null),
        ("POST", "/v1/carry/import", false, json!({})),
        admin(
            "POST",
            "/v1/carry/import",
            json!({"schema": "dbctl.carry/2"}),
        ),
        admin(
            "POST",
            "/v1/carry/import",
            carry(
                json!([]),
                json!([{"kid": "x", "alg": "EdDSA", "jwk": {}, "revoked": false}]),
            ),
        ),
        admin(
            "POST",
            "/v1/carry/import",
            carry(
                json!([{"token_id": "t", "revoked_at": "2026-11-24T04:34:42Z", "expires_at": "2099-01-01T00:00:00.123456789Z"}]),
                json!([]),
            ),
        ),
        admin(
            "POST",
            "/v1/carry/import",
            carry(
                json!([{"token_id": "t", "revoked_at": "2026-11-24T04:34:42Z", "expires_at": "2098-01-01T00:00:00Z"}]),
                json!([]),
            ),
        ),
        admin("POST", "/v1/carry/fence", Value::Null),
        open("/v1/nonces", json!({"scope": "aead"})),
        open("/v1/tokens/revoke", json!({"token_id": "x"})),
        admin("DELETE", "/v1/carry/fence", Value::Null),
        open("/v1/nonces", json!({"scope": "aead"})),
        admin(
            "POST",
            "/v1/carry/import",
            json!({"schema": "dbctl.carry/1", "taken_at": "2026-11-24T04:34:42Z", "source": "old",
                   "revoked_tokens": [], "revoked_sessions": [], "watermarks": [], "keys": [],
                   "deny_issued_before": "2098-01-01T00:00:00Z"}),
        ),
        admin("GET", "/v1/carry/export", Value::Null),
        open(
            "/v1/tokens",
            json!({"subject": "bob", "session_id": "s-18"}),
        ),
        ("GET", "/nowhere", false, Value::Null),
        ("GET", "/v1/tokens", false, Value::Null),
    ]
}

/// What does not differ from instance to instance.
fn essence(status: u16, body: &Value) -> Value {
    let kept = [
        "error",
        "allow",
        "reason_code",
        "revoked",
        "first",
        "last",
        "reserved_high",
        "window_size",
        "fenced",
        "tokens_added",
        "sessions_added",
        "keys_added",
        "watermarks_raised",
        "deny_issued_before",
    ];
    let values = kept.map(|name| body.get(name).cloned().unwrap_or_default());
    json!([status, values])
}

#[test]
fn it_answers_as_the_reference_service_does() {
    let dir = tempfile::tempdir().expect("a folder");
    let other = tempfile::tempdir().expect("a folder");
    let mut reference = Instance::new(dir.path(), "auth-1");
    let mut python = in_python(other.path(), "auth-1");
    reference.start();
    python.start();
    let mut differences = Vec::new();
    for (method, path, admin, body) in asked() {
        let [wanted, given] = [&reference, &python].map(|instance| {
            let body = (!body.is_null()).then(|| body.clone());
            let answer = match (admin, method, &body) {
                (true, _, _) => instance.admin(method, path, body),
                (false, "GET", _) => instance.get(path),
                (false, _, _) => instance.post(path, body.unwrap_or_default()),
            };
            assert!(answer.headers.contains_key("x-request-id"), "{path}");
            essence(answer.status, &answer.body)
        });
        if wanted != given {
            differences.push(format!("{method} {path} {body}\n  {wanted}\n  {given}"));
        }
    }
    assert!(differences.is_empty(), "{}", differences.join("\n"));

    // What the gates and triggers of the shipped runbook look at is there from the start, under
    // the names that the reference service has.
    let [known, given] = [&reference, &python].map(series);
    for name in [
        "auth_requests_total",
        "auth_request_duration_seconds",
        "auth_verification_failures_total",
        "auth_key_lookup_failures_total",
        "nonce_reservation_errors_total",
    ] {
        assert!(SHIPPED.contains(name), "{name} is not watched any more");
        let of = |names: &[String]| -> Vec<String> {
            let wanted = names.iter().filter(|n| n.starts_with(name));
            // A reason that only one of them can have is no difference to the sum.
            let plain = wanted.filter(|n| !n.contains("reason="));
            plain.cloned().collect()
        };
        assert_eq!(of(&known), of(&given));
        assert!(given.iter().any(|n| n.starts_with(name)), "{name}");
    }
}

/// The names in `/metrics` with their labels.
fn series(instance: &Instance) -> Vec<String> {
    let text = instance.get("/metrics").text;
    let lines = text.lines().filter(|l| !l.starts_with('#'));
    let names = lines.filter_map(|l| Some(l.rsplit_once(' ')?.0.to_owned()));
    let mut names: Vec<String> = names.collect();
    names.sort();
    names
}

#[test]
fn a_rust_service_uses_the_adapters_as_the_example_does() {
    let dir = tempfile::tempdir().expect("a folder");
    let backed = Backed::new(dir.path());
    // For a key; its state directory is used by nobody.
    let instance = Instance::new(dir.path(), "auth-1");
    crate::support::programs::block(async {
        let state_dir = dir.path().join("example");
        std::fs::create_dir(&state_dir).expect("made");
        let mut tops = Vec::new();
        for place in ["folder", "folder again", "postgres"] {
            let state = match place {
                "postgres" => {
                    let url = backed.db.url_as("auth_service");
                    let db = dbctl::pg::Database::from_url("the test", &url).expect("a database");
                    adapters::State::postgres(&state_dir, &backed.kek_file, &db).await
                }
                _ => adapters::State::local(&state_dir, &instance.signing_key_file()).await,
            };
            let state = state.expect("opened");
            let token = state.issue("alice").await.expect("issued");
            let claims = state.admit(&token).await.expect("an answer");
            let claims = claims.expect("a live token is admitted");
            assert_eq!(claims.sub, "alice");
            state.revoke(&claims, "a test").await.expect("revoked");
            assert_eq!(
                state.admit(&token).await.expect("an answer"),
                None,
                "{place}"
            );
            tops.push(state.nonces(3).await.expect("nonces"));
        }
        assert!(tops[0].1 < tops[1].0 && tops[1].1 < tops[2].0, "{tops:?}");
    });
}

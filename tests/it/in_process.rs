//! Services inside this process on one connection of the embedded Postgres, as the demo runs them.
#![cfg(feature = "embedded")]

use std::sync::LazyLock;

use dbctl::demo::service::{Running, Service, ServiceConfig, SharedFiles, init};
use dbctl::keys::{self, Algorithm, By, Kek};
use dbctl::pg::Database;
use dbctl::pg::embedded::Embedded;
use dbctl::runtime::toggles::Modes;
use serde_json::{Value, json};

const NAMES: [&str; 4] = ["staging", "one", "two", "three"];

async fn migrate(db: &Database) {
    let dir = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("migrations");
    let mut files: Vec<_> = std::fs::read_dir(dir)
        .expect("the folder of migrations")
        .map(|entry| entry.expect("an entry").path())
        .collect();
    files.sort();
    for file in files {
        let text = std::fs::read_to_string(file).expect("a migration");
        let sql = sqlx::raw_sql(sqlx::AssertSqlSafe(text));
        sql.execute(db.pool()).await.expect("applied");
    }
}

async fn post(service: &Running, path: &str, body: Value) -> (u16, Value) {
    // Making a client reads all root certificates, which takes longer than any request here.
    static CLIENT: LazyLock<reqwest::Client> = LazyLock::new(Default::default);
    let url = format!("{}{path}", service.url());
    let sent = CLIENT.post(url).json(&body).send();
    let response = sent.await.expect("an answer");
    let status = response.status().as_u16();
    (status, response.json().await.expect("JSON"))
}

async fn start(config: &ServiceConfig, modes: Modes, db: &Database) -> Running {
    let mut config = config.clone();
    config.modes = modes;
    Service::start(config, Some(db.clone()))
        .await
        .expect("it starts")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn four_services_share_one_connection_and_switch_both_ways() {
    let dir = tempfile::tempdir().expect("a folder");
    let engine = Embedded::start().await.expect("the embedded Postgres");
    let db = engine.database().clone();
    migrate(&db).await;
    let kek_file = dir.path().join("kek");
    keys::new_kek_file(&kek_file).expect("a key");
    let kek = Kek::from_file(&kek_file).expect("a key");
    keys::seed(
        &db,
        "access-tokens",
        Algorithm::EdDsa,
        &kek,
        &[],
        &By::new("a test", None),
    )
    .await
    .expect("seeded");
    let configs = NAMES.map(|name| {
        init(
            &dir.path().join(name),
            name,
            "127.0.0.1:0",
            SharedFiles::default(),
        )
        .expect("initialised");
        let env_file = dir.path().join(name).join("service.env");
        let pairs = dbctl::demo::service::read_env_file(&env_file).expect("pairs");
        let pairs = pairs.iter().map(|(n, v)| (&**n, &**v));
        let mut config = ServiceConfig::from_pairs(pairs).expect("a configuration");
        config.kek_file = Some(kek_file.clone());
        config
    });

    let mut handed_out = std::collections::BTreeSet::new();
    for modes in [Modes::LOCAL, Modes::POSTGRES, Modes::LOCAL, Modes::POSTGRES] {
        let mut running = Vec::new();
        for config in &configs {
            running.push(start(config, modes, &db).await);
        }
        // Everybody at once.
        let mut work = tokio::task::JoinSet::new();
        let running = std::sync::Arc::new(running);
        for n in 0..40 {
            let running = std::sync::Arc::clone(&running);
            work.spawn(async move {
                let service = &running[n % NAMES.len()];
                let (status, issued) = post(service, "/v1/tokens", json!({"subject": "a"})).await;
                assert_eq!(status, 201, "{issued}");
                let token = json!({"token": issued["token"]});
                let verify = post(service, "/v1/tokens/verify", token.clone()).await;
                assert_eq!(verify.0, 200, "{}", verify.1);
                let revoke = post(service, "/v1/tokens/revoke", token.clone()).await;
                assert_eq!(revoke.0, 200, "{}", revoke.1);
                let (status, range) = post(service, "/v1/nonces", json!({"scope": "s"})).await;
                assert_eq!(status, 201, "{range}");
                (
                    n % NAMES.len(),
                    token,
                    range["first"].as_i64().expect("a number"),
                )
            });
        }
        for (at, token, nonce) in work.join_all().await {
            assert!(
                handed_out.insert((at, nonce)),
                "{nonce} was handed out twice"
            );
            let (status, decision) = post(&running[at], "/v1/tokens/verify", token.clone()).await;
            assert_eq!(
                (status, &decision["reason_code"]),
                (401, &json!("revoked_token"))
            );
        }
        let running = std::sync::Arc::into_inner(running).expect("all work is done");
        for service in running {
            service.shutdown().await;
        }
    }
    let rows = "SELECT count(*) FROM authz.policy_decisions WHERE action = 'token.verify'";
    let decisions: i64 = sqlx::query_scalar(rows)
        .fetch_one(db.pool())
        .await
        .expect("a number");
    assert_eq!(decisions, 2 * 80, "two rounds on Postgres, nothing lost");
    engine.stop().await.expect("stopped");
}

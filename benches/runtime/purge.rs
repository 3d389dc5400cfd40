//! What a client of the service notices of a purge.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use dbctl::runtime::revocation::purge::{Purge, look, purge};
use dbctl::settings::PurgeConfig;
use jiff::Timestamp;
use reqwest::{Client, StatusCode};
use serde_json::{Value, json};
use tokio::task::JoinSet;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

use super::{pool, quantile, rival};

/// Requests a second: one in four a new token, one in eight a revocation, one in eight a few nonces,
/// the others checks.
const RATE: u32 = 200;

/// How long the service is looked at without a purge, before and after.
const WITHOUT: Duration = Duration::from_secs(60);

/// Requests to a service, at an even rate, whether or not it answers in time.
struct Load {
    took: Arc<Mutex<Vec<Duration>>>,
    stop: CancellationToken,
    sending: tokio::task::JoinHandle<()>,
}

impl Load {
    fn begin(url: &str) -> Self {
        let took = Arc::new(Mutex::new(Vec::new()));
        let stop = CancellationToken::new();
        let sending = tokio::spawn(send(url.to_owned(), Arc::clone(&took), stop.clone()));
        Self {
            took,
            stop,
            sending,
        }
    }

    /// The latencies since the last call, sorted.
    fn taken(&self) -> Vec<Duration> {
        let mut took = std::mem::take(&mut *self.took.lock().expect("nobody panics"));
        took.sort_unstable();
        took
    }

    async fn end(self) {
        self.stop.cancel();
        let _ = self.sending.await;
    }
}

async fn send(url: String, took: Arc<Mutex<Vec<Duration>>>, stop: CancellationToken) {
    let client = Client::new();
    let mut tick = tokio::time::interval(Duration::from_secs(1) / RATE);
    tick.set_missed_tick_behavior(MissedTickBehavior::Burst);
    let mut open = JoinSet::new();
    let token = Arc::new(Mutex::new(Value::Null));
    for n in 0_u64.. {
        tokio::select! {
            _ = tick.tick() => {}
            () = stop.cancelled() => break,
        }
        while open.try_join_next().is_some() {}
        let (client, url) = (client.clone(), url.clone());
        let (took, token) = (Arc::clone(&took), Arc::clone(&token));
        open.spawn(async move {
            let known = token.lock().expect("nobody panics").clone();
            let (path, body) = match n % 8 {
                0 | 4 => ("/v1/tokens", json!({ "subject": "alice" })),
                2 => ("/v1/tokens/revoke", json!({ "token": known })),
                6 => ("/v1/nonces", json!({ "scope": "envelope", "count": 8 })),
                _ => ("/v1/tokens/verify", json!({ "token": known })),
            };
            let began = Instant::now();
            let answer = client.post(format!("{url}{path}")).json(&body).send().await;
            let answer = answer.expect("the service answers");
            let status = answer.status();
            let said: Value = answer.json().await.expect("JSON");
            took.lock().expect("nobody panics").push(began.elapsed());
            // A token that was just revoked is denied.
            let answered =
                status.is_success() || status == StatusCode::UNAUTHORIZED || n < RATE.into();
            assert!(answered, "{path}: {status} {said}");
            if let Some(new) = said.get("token") {
                *token.lock().expect("nobody panics") = new.clone();
            }
        });
    }
    while open.join_next().await.is_some() {}
}

fn fill(rows: u64) {
    rival::psql(&[
        "SET session_replication_role = replica",
        "SET synchronous_commit = off",
        &format!(
            "INSERT INTO security.revoked_tokens (token_id, revoked_at, expires_at) \
             SELECT gen_random_uuid(), now() - interval '2 days', \
                    now() - interval '1 day' + n * interval '1 millisecond' \
               FROM generate_series(1, {rows}) n"
        ),
        "VACUUM (ANALYZE) security.revoked_tokens",
        "CHECKPOINT",
    ]);
}

/// Of a service at `url`, whose database is in `DATABASE_URL`.
pub async fn measure(url: &str, rows: u64) {
    fill(rows);
    let load = Load::begin(url);
    tokio::time::sleep(Duration::from_secs(5)).await;
    load.taken();
    tokio::time::sleep(WITHOUT).await;
    let before = load.taken();

    let db = pool(1);
    let configured = PurgeConfig::default();
    let how = Purge {
        batch: configured.batch,
        pause: configured.pause,
        clock_skew: configured.clock_skew,
    };
    let found = look(&db, &how, Timestamp::now()).await.expect("it looks");
    let began = Instant::now();
    let done = purge(&db, &how, found, &CancellationToken::new(), &mut |_| ()).await;
    let took = began.elapsed();
    let during = load.taken();
    let removed: u64 = done
        .expect("it purges")
        .stores
        .iter()
        .map(|s| s.removed)
        .sum();
    assert_eq!(removed, rows);

    tokio::time::sleep(WITHOUT).await;
    let after = load.taken();
    load.end().await;
    let p99 = |took: &[Duration]| quantile(took, 0.99).as_secs_f64() * 1e3;
    let mut without: Vec<Duration> = before.iter().chain(&after).copied().collect();
    without.sort_unstable();
    println!(
        "| p99 of a service at {RATE}/s during a purge of {rows} expired ({:.0} s) | {:.2} ms | without: {:.2} ms (before {:.2}, after {:.2}) | {:.2} × | 1.2 × |",
        took.as_secs_f64(),
        p99(&during),
        p99(&without),
        p99(&before),
        p99(&after),
        p99(&during) / p99(&without)
    );
}

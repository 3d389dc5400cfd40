//! Going forward and back under live traffic, with Postgres alive and with Postgres killed, against
//! a record that is kept outside: what was acknowledged as revoked is denied ever after (P2), no
//! nonce comes twice (P1), every row that Postgres held is still there (P9).

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value, json};

use crate::support::cli::Seen;
use crate::support::fleet::Fleet;
use crate::support::service::{Http, id, token};

/// What clients were told, and nothing else.
#[derive(Default)]
struct Record {
    /// Tokens whose revocation, or whose session's, every instance has acknowledged: in memory each
    /// keeps its own.
    revoked: Mutex<Vec<String>>,
    sessions: Mutex<Vec<String>>,
    nonces: Mutex<BTreeSet<(String, i64)>>,
    twice: Mutex<Vec<(String, i64)>>,
}

/// Clients that go on whatever happens, until they are told to stop.
struct Traffic {
    record: Arc<Record>,
    stop: Arc<AtomicBool>,
    threads: Vec<std::thread::JoinHandle<()>>,
}

impl Traffic {
    fn at(urls: Vec<String>) -> Self {
        let record = Arc::new(Record::default());
        let stop = Arc::new(AtomicBool::new(false));
        let threads = urls.clone().into_iter().map(|url| {
            let (record, stop, urls) = (record.clone(), stop.clone(), urls.clone());
            std::thread::spawn(move || {
                let client = reqwest::Client::builder()
                    .pool_max_idle_per_host(0)
                    .timeout(Duration::from_secs(5))
                    .build()
                    .expect("a client");
                let runtime = tokio::runtime::Builder::new_current_thread()
                    .enable_all()
                    .build()
                    .expect("a runtime");
                let mut by_session = false;
                while !stop.load(Ordering::Relaxed) {
                    runtime.block_on(one_round(&client, &url, &urls, &record, by_session));
                    by_session = !by_session;
                }
            })
        });
        Self {
            threads: threads.collect(),
            record,
            stop,
        }
    }

    fn ends(self) -> Arc<Record> {
        self.stop.store(true, Ordering::Relaxed);
        for thread in self.threads {
            thread.join().expect("a client's books are in order");
        }
        self.record
    }
}

async fn post(
    client: &reqwest::Client,
    url: &str,
    path: &str,
    body: Value,
) -> Option<(u16, Value)> {
    let answer = client
        .post(format!("{url}{path}"))
        .json(&body)
        .send()
        .await
        .ok()?;
    let status = answer.status().as_u16();
    Some((status, answer.json().await.ok()?))
}

/// Has every instance acknowledge a revocation, and asks again where one does not: a client that
/// gives up has revoked nothing.
async fn everywhere(client: &reqwest::Client, urls: &[String], path: &str, body: &Value) -> bool {
    for url in urls {
        let mut acknowledged = false;
        for _ in 0..100 {
            let answer = post(client, url, path, body.clone()).await;
            acknowledged = matches!(answer, Some((200, _)));
            if acknowledged {
                break;
            }
            tokio::time::sleep(Duration::from_millis(30)).await;
        }
        if !acknowledged {
            return false;
        }
    }
    true
}

/// Issues a token, revokes it or its session, takes nonces.
async fn one_round(
    client: &reqwest::Client,
    url: &str,
    urls: &[String],
    record: &Record,
    by_session: bool,
) {
    let issued = post(client, url, "/v1/tokens", json!({"subject": "bob"})).await;
    if let Some((201, issued)) = issued {
        let (path, body) = match by_session {
            true => (
                "/v1/sessions/revoke",
                json!({"session_id": issued["session_id"]}),
            ),
            false => ("/v1/tokens/revoke", json!({"token_id": issued["token_id"]})),
        };
        if everywhere(client, urls, path, &body).await {
            record
                .revoked
                .lock()
                .expect("whole")
                .push(token(&issued).to_owned());
            if by_session {
                let session = id(&issued, "session_id").to_owned();
                record.sessions.lock().expect("whole").push(session);
            }
        }
    }
    let range = post(
        client,
        url,
        "/v1/nonces",
        json!({"scope": "envelope", "count": 3}),
    )
    .await;
    if let Some((201, range)) = range {
        let node = id(&range, "node_name").to_owned();
        let bounds = ["first", "last"].map(|b| range[b].as_i64().expect("a number"));
        for nonce in bounds[0]..=bounds[1] {
            let new = record
                .nonces
                .lock()
                .expect("whole")
                .insert((node.clone(), nonce));
            if !new {
                record
                    .twice
                    .lock()
                    .expect("whole")
                    .push((node.clone(), nonce));
            }
        }
    } else {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

fn urls(fleet: &Fleet) -> Vec<String> {
    fleet.each(|i| i.url().to_owned())
}

fn set(fleet: &Fleet, mode: &str) -> Seen {
    let nonces = if mode == "memory" { "file" } else { mode };
    let toggles = [
        format!("SECURITY_RUNTIME_MODE={mode}"),
        format!("SECURITY_KEY_RESOLVER_MODE={mode}"),
        format!("SECURITY_REVOCATION_MODE={mode}"),
        format!("SECURITY_NONCE_STORE_MODE={nonces}"),
    ];
    let mut args = vec!["toggles", "set", "--confirm", "production"];
    args.extend(toggles.iter().map(String::as_str));
    fleet.run(&args)
}

/// Every instance denies all that was acknowledged as revoked; returns the reasons.
fn all_denied(fleet: &Fleet, record: &Record) -> BTreeSet<String> {
    let revoked = record.revoked.lock().expect("whole").clone();
    assert!(revoked.len() > 10, "only {} were revoked", revoked.len());
    let http = Http::new();
    let client = reqwest::Client::new();
    let mut reasons = BTreeSet::new();
    for url in urls(fleet) {
        for token in &revoked {
            let asked = client
                .post(format!("{url}/v1/tokens/verify"))
                .json(&json!({"token": token}));
            let answer = http.send(asked);
            assert_eq!(answer.status, 401, "{url}: {}", answer.text);
            reasons.insert(id(&answer.body, "reason_code").to_owned());
        }
    }
    let twice = record.twice.lock().expect("whole");
    assert!(twice.is_empty(), "handed out twice: {twice:?}");
    reasons
}

fn modes(fleet: &Fleet) -> Vec<Value> {
    fleet.each(|i| i.get("/healthz").body["modes"]["SECURITY_REVOCATION_MODE"].clone())
}

/// All of the rows that say who is revoked, for comparing.
fn rows(fleet: &crate::support::service::Backed) -> BTreeSet<String> {
    let tokens = "SELECT token_id FROM security.revoked_tokens";
    let sessions = "SELECT session_id FROM security.revoked_sessions";
    let all = fleet.db.psql(&format!("{tokens} UNION ALL {sessions}"));
    all.lines().map(str::to_owned).collect()
}

#[test]
fn forward_and_back_under_traffic_lose_nothing_and_keep_every_row() {
    let (fleet, backed) = Fleet::on(&["auth-1", "auth-2"]);
    let traffic = Traffic::at(urls(&fleet));
    std::thread::sleep(Duration::from_millis(500));
    let there = set(&fleet, "postgres");
    assert_eq!(there.code, 0, "{}", there.stderr);
    assert_eq!(modes(&fleet), ["postgres", "postgres"]);
    std::thread::sleep(Duration::from_millis(500));
    let held = rows(&backed);
    assert!(!held.is_empty());
    let back = set(&fleet, "memory");
    assert_eq!(back.code, 0, "{}", back.stderr);
    std::thread::sleep(Duration::from_millis(300));
    let record = traffic.ends();
    assert_eq!(modes(&fleet), ["memory", "memory"]);
    all_denied(&fleet, &record);
    let left = rows(&backed);
    let lost: Vec<&String> = held.difference(&left).collect();
    assert!(lost.is_empty(), "P9: {lost:?}");
}

#[test]
fn with_postgres_killed_what_was_revoked_in_the_gap_is_denied_by_its_age() {
    let (fleet, backed) = Fleet::on(&["auth-1", "auth-2"]);
    fleet.add_settings("[carry]\ngap = \"deny-issued-before\"\n");
    let traffic = Traffic::at(urls(&fleet));
    let there = set(&fleet, "postgres");
    assert_eq!(there.code, 0, "{}", there.stderr);
    let refreshed = fleet.run(&["carry", "refresh"]);
    assert_eq!(refreshed.code, 0, "{}", refreshed.stderr);
    // Nobody refreshes the kit meanwhile: whatever is revoked now is in the gap.
    std::thread::sleep(Duration::from_millis(800));
    backed.db.server().kill();
    let old = fleet.with("auth-1", |i| i.issue("alice"));
    let back = set(&fleet, "memory");
    assert_eq!(back.code, 0, "{}", back.stderr);
    assert!(
        back.stderr.contains("the rollback kit is"),
        "{}",
        back.stderr
    );
    assert!(
        back.stderr.contains("s old"),
        "the gap is said: {}",
        back.stderr
    );
    assert!(back.stderr.contains("is denied"), "{}", back.stderr);
    let record = traffic.ends();
    let reasons = all_denied(&fleet, &record);
    assert!(
        reasons.contains("issued_too_early"),
        "there was a gap: {reasons:?}"
    );

    // Whoever logs in again is let in; a session from before is not gone on with.
    fleet.each(|i| {
        let fresh = i.issue("alice");
        assert_eq!(i.verify(token(&fresh)), (200, "ok".into()));
        let more = json!({"subject": "alice", "session_id": fresh["session_id"]});
        assert_eq!(
            i.post("/v1/tokens", more).status,
            201,
            "a session from after goes on"
        );
        assert_eq!(i.verify(token(&old)), (401, "issued_too_early".into()));
        for session in [id(&old, "session_id"), "made-up"] {
            let more = json!({"subject": "alice", "session_id": session});
            let refused = i.post("/v1/tokens", more);
            assert_eq!(
                (refused.status, id(&refused.body, "error")),
                (403, "issued_too_early")
            );
        }
        // A restart does not forget it.
        i.stop();
    });
    let sessions = record.sessions.lock().expect("whole").clone();
    for name in fleet.names() {
        fleet.start_again(name);
        fleet.with(name, |i| {
            assert_eq!(i.verify(token(&old)), (401, "issued_too_early".into()));
            for session in &sessions {
                let more = json!({"subject": "bob", "session_id": session});
                assert_eq!(i.post("/v1/tokens", more).status, 403, "a revoked session");
            }
        });
    }

    // Postgres comes back with every row that was acknowledged, and forward goes by them again.
    backed.db.server().start();
    let there = set(&fleet, "postgres");
    assert_eq!(there.code, 0, "{}", there.stderr);
    let reasons = all_denied(&fleet, &record);
    assert!(!reasons.contains("issued_too_early"), "{reasons:?}");
}

#[test]
fn by_default_the_gap_is_said_and_nobody_is_locked_out() {
    let (fleet, backed) = Fleet::on(&["auth-1"]);
    assert_eq!(set(&fleet, "postgres").code, 0);
    let live = fleet.with("auth-1", |i| i.issue("alice"));
    backed.db.server().kill();
    let back = set(&fleet, "memory");
    assert_eq!(back.code, 0, "{}", back.stderr);
    assert!(back.stderr.contains("accepted again"), "{}", back.stderr);
    assert!(
        back.stderr.contains("deny-issued-before"),
        "{}",
        back.stderr
    );
    let seen = fleet.with("auth-1", |i| i.verify(token(&live)));
    assert_eq!(seen, (200, "ok".into()));
}

//! Nonces (P1): whatever happens, none is handed out twice. A model remembers every one.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use dbctl::carry::contract::Watermark;
use dbctl::pg::Database;
use dbctl::runtime::nonce::{LIMIT, MAX_JUMP, NonceError, Nonces, Opening};
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::support::migrations::wait_for;
use crate::support::postgres::{Server, TestDb};
use crate::support::service::{Backed, Instance};

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime")
}

/// Every nonce of one scope that anybody was ever given.
#[derive(Default)]
struct Seen(BTreeSet<i64>);

impl Seen {
    fn add(&mut self, first: i64, last: i64) {
        assert!(first >= 0 && first <= last);
        for nonce in first..=last {
            assert!(self.0.insert(nonce), "{nonce} was handed out twice");
        }
    }
}

fn opening<'a>(state_dir: &'a Path, window: i64, carried: &'a [Watermark]) -> Opening<'a> {
    Opening {
        state_dir,
        node: "node-1",
        window,
        carried,
        max_jump: MAX_JUMP,
        accept_copy: None,
    }
}

/// What can happen to a node between two requests.
#[derive(Debug, Clone)]
enum Event {
    Reserve {
        count: u32,
    },
    /// The request was cancelled at some point on its way.
    Cancelled {
        count: u32,
        polls: u8,
    },
    /// The process ended and another began, in file or Postgres mode, with this window.
    Restart {
        postgres: bool,
        window: i64,
    },
    /// Postgres lost what was committed last: a failover, a restored backup.
    PostgresForgets {
        by: i64,
    },
    /// The state was exported and imported again.
    Carry,
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        5 => (1_u32..40).prop_map(|count| Event::Reserve { count }),
        2 => (1_u32..40, 0_u8..6).prop_map(|(count, polls)| Event::Cancelled { count, polls }),
        3 => (any::<bool>(), 1_i64..50).prop_map(|(postgres, window)| Event::Restart { postgres, window }),
        1 => (1_i64..200).prop_map(|by| Event::PostgresForgets { by }),
        1 => Just(Event::Carry),
    ]
}

fn forget(db: &TestDb, by: i64) {
    // As a restored backup would: no trigger sees it.
    db.psql(&format!(
        "SET session_replication_role = replica; \
         UPDATE security.nonce_watermarks SET reserved_high = greatest(reserved_high - {by}, 0)"
    ));
}

/// Beside the runtime: a cancelled transaction must be able to roll back meanwhile.
async fn beside(db: &Arc<TestDb>, work: impl FnOnce(&TestDb) + Send + 'static) {
    let db = Arc::clone(db);
    let done = tokio::task::spawn_blocking(move || work(&db)).await;
    done.expect("no panic");
}

async fn live(events: Vec<Event>, db: &Arc<TestDb>) {
    let dir = tempfile::tempdir().expect("a folder");
    let wipe = "SET session_replication_role = replica; TRUNCATE security.nonce_watermarks";
    beside(db, |db| drop(db.psql(wipe))).await;
    let url = secrecy::SecretString::from(db.url.as_str());
    let pool = Database::from_secret_url("test", &url, 2).expect("a URL");
    let mut seen = Seen::default();
    let mut nonces = Nonces::open(opening(dir.path(), 10, &[]), None, None)
        .await
        .expect("a store");
    for event in events {
        match event {
            Event::Reserve { count } => {
                let range = nonces.reserve("s", count).await.expect("nonces");
                assert_eq!(range.last - range.first + 1, i64::from(count));
                seen.add(range.first, range.last);
            }
            Event::Cancelled { count, polls } => {
                // Dropped after it was polled so many times; if it made it, the nonces are used.
                let mut polls = polls;
                let mut reserve = Box::pin(nonces.reserve("s", count));
                let range = std::future::poll_fn(|cx| match reserve.as_mut().poll(cx) {
                    std::task::Poll::Ready(range) => std::task::Poll::Ready(Some(range)),
                    std::task::Poll::Pending if polls == 0 => std::task::Poll::Ready(None),
                    std::task::Poll::Pending => {
                        polls -= 1;
                        std::task::Poll::Pending
                    }
                })
                .await;
                if let Some(range) = range {
                    let range = range.expect("nonces");
                    seen.add(range.first, range.last);
                }
            }
            Event::Restart { postgres, window } => {
                drop(nonces);
                let db = postgres.then_some(&pool);
                nonces = open_again(dir.path(), window, db).await;
            }
            Event::PostgresForgets { by } => beside(db, move |db| forget(db, by)).await,
            Event::Carry => {
                let all = nonces.export().await.expect("watermarks");
                nonces.import(&all).await.expect("imported");
            }
        }
    }
    let range = nonces.reserve("s", 1).await.expect("nonces");
    seen.add(range.first, range.last);
}

/// A write that was cancelled may hold the lock for a moment longer.
async fn open_again(dir: &Path, window: i64, db: Option<&Database>) -> Nonces {
    loop {
        match Nonces::open(opening(dir, window, &[]), db, None).await {
            Ok(nonces) => return nonces,
            Err(p) if p.to_string().contains("another process") => {
                tokio::time::sleep(std::time::Duration::from_millis(5)).await;
            }
            Err(p) => panic!("{p}"),
        }
    }
}

#[test]
fn no_history_of_restarts_and_accidents_repeats_a_nonce() {
    let db = Arc::new(Server::own().fresh_database());
    db.migrate_by_hand();
    let runtime = runtime();
    let config = ProptestConfig {
        cases: 40,
        failure_persistence: None,
        ..ProptestConfig::default()
    };
    proptest!(config, |(events in proptest::collection::vec(event(), 1..40))| {
        runtime.block_on(live(events, &db));
    });
}

#[test]
fn two_nodes_and_two_scopes_do_not_disturb_each_other() {
    let db = Server::get().fresh_database();
    db.migrate_by_hand();
    let url = secrecy::SecretString::from(db.url.as_str());
    runtime().block_on(async {
        let pool = Database::from_secret_url("test", &url, 4).expect("a URL");
        let (a, b) = (
            tempfile::tempdir().expect("a folder"),
            tempfile::tempdir().expect("a folder"),
        );
        // The same name on two hosts: the row keeps their ranges apart.
        let a = Nonces::open(opening(a.path(), 7, &[]), Some(&pool), None)
            .await
            .expect("a store");
        let b = Nonces::open(opening(b.path(), 5, &[]), Some(&pool), None)
            .await
            .expect("a store");
        let mut seen = Seen::default();
        for _ in 0..30 {
            let (x, y) = tokio::join!(a.reserve("s", 3), b.reserve("s", 2));
            for range in [x.expect("nonces"), y.expect("nonces")] {
                seen.add(range.first, range.last);
            }
        }
        let other = a.reserve("another", 1).await.expect("nonces");
        assert_eq!(other.first, 0);
    });
}

#[test]
fn reservations_stop_long_before_the_numbers_end() {
    runtime().block_on(async {
        let dir = tempfile::tempdir().expect("a folder");
        let top = Watermark {
            node_name: "node-1".into(),
            nonce_scope: "s".into(),
            reserved_high: LIMIT - 15,
            window_size: 10,
        };
        let carried = [top.clone()];
        let nonces = Nonces::open(opening(dir.path(), 10, &carried), None, None)
            .await
            .expect("a store");
        let range = nonces.reserve("s", 10).await.expect("the last window");
        assert_eq!(range.first, LIMIT - 15);
        assert_eq!(nonces.reserve("s", 1).await, Err(NonceError::Exhausted));
        assert_eq!(nonces.reserve("s", 0).await, Err(NonceError::BadCount));
        assert_eq!(nonces.reserve("s", 10_001).await, Err(NonceError::BadCount));
        for beyond in [LIMIT + 1, i64::MAX, -1] {
            let given = Watermark {
                reserved_high: beyond,
                ..top.clone()
            };
            assert_eq!(nonces.import(&[given]).await, Err(NonceError::Exhausted));
        }
    });
}

#[test]
fn the_same_limit_holds_where_postgres_is_ahead() {
    let db = Server::get().fresh_database();
    db.migrate_by_hand();
    db.psql(&format!(
        "INSERT INTO security.nonce_watermarks VALUES ('node-1', 's', {}, 10, now())",
        LIMIT - 25
    ));
    let url = secrecy::SecretString::from(db.url.as_str());
    runtime().block_on(async {
        let pool = Database::from_secret_url("test", &url, 2).expect("a URL");
        let dir = tempfile::tempdir().expect("a folder");
        // The first start with rows that are there already skips a window: LIMIT - 15.
        let nonces = Nonces::open(opening(dir.path(), 10, &[]), Some(&pool), None)
            .await
            .expect("a store");
        nonces.reserve("s", 10).await.expect("the last window");
        assert_eq!(nonces.reserve("s", 10).await, Err(NonceError::Exhausted));
    });
}

#[test]
fn a_guard_file_that_is_missing_damaged_or_foreign_refuses_the_start() {
    let dir = tempfile::tempdir().expect("a folder");
    let mut instance = Instance::new(dir.path(), "auth-1");
    instance.start();
    reserve(&instance, 3);
    assert_eq!(instance.stop(), 0);
    let guard = instance.state_dir().join("nonces.json");
    let good = std::fs::read_to_string(&guard).expect("the guard file");

    std::fs::remove_file(&guard).expect("removed");
    refused(
        &mut instance,
        "is missing, although this state directory was used before",
    );
    for (text, why) in [
        ("", "it is damaged"),
        (&good[..good.len() / 2], "it is damaged"),
        (&good.replace("1000", "-1000"), "makes no sense"),
        (
            &good.replace("dbctl.nonces/1", "dbctl.nonces/9"),
            "makes no sense",
        ),
        (
            &good.replace("auth-1", "auth-2"),
            "it belongs to the node `auth-2`",
        ),
    ] {
        std::fs::write(&guard, text).expect("written");
        refused(&mut instance, why);
        let left = std::fs::read_to_string(&guard).expect("the guard file");
        assert_eq!(left, text, "a refused start changes nothing");
    }
    // It was removed: what is in its place now is a copy, even of the same bytes.
    std::fs::write(&guard, &good).expect("written");
    refused(&mut instance, "it is a copy");
}

#[test]
fn a_guard_file_from_a_backup_refuses_the_start_and_only_postgres_knows_better() {
    let dir = tempfile::tempdir().expect("a folder");
    let backed = Backed::new(dir.path());
    let mut instance = Instance::new(dir.path(), "auth-1");
    backed.know(&instance);
    let guard = instance.state_dir().join("nonces.json");
    let backup = dir.path().join("backup.json");
    let mut seen = Seen::default();
    instance.start();
    let (first, last) = reserve(&instance, 900);
    seen.add(first, last);
    assert_eq!(instance.stop(), 0);
    std::fs::copy(&guard, &backup).expect("a backup");
    instance.start();
    let (first, last) = reserve(&instance, 900);
    seen.add(first, last);
    instance.kill();

    // Written over and put in its place: both are seen.
    std::fs::copy(&backup, &guard).expect("restored");
    refused(&mut instance, "it is a copy");
    std::fs::remove_file(&guard).expect("removed");
    std::fs::copy(&backup, &guard).expect("restored");
    let refusal = instance.try_start_with(&[]).expect_err("a copy");
    assert!(
        refusal.stderr.contains("take a new node name"),
        "{}",
        refusal.stderr
    );
    let (_, accept) = refusal
        .stderr
        .split_once("SERVICE_NONCE_ACCEPT_COPY=")
        .expect("the way out");
    let made = accept.split_whitespace().next().expect("a time").to_owned();
    // Another time than that of this copy opens nothing.
    instance.set("SERVICE_NONCE_ACCEPT_COPY", "2026-01-01T00:00:00Z");
    refused(&mut instance, "it is a copy");
    instance.set("SERVICE_NONCE_ACCEPT_COPY", "yes");
    refused(&mut instance, "SERVICE_NONCE_ACCEPT_COPY");
    // The last top of the backup is 1000: with a window skipped, what was handed out is passed.
    instance.set("SERVICE_NONCE_ACCEPT_COPY", &made);
    instance.start();
    let (first, last) = reserve(&instance, 900);
    seen.add(first, last);
    assert_eq!(first, 2000);
    assert_eq!(instance.stop(), 0);

    // With Postgres there is somebody who remembers.
    instance.set_mode("postgres");
    instance.start();
    let (first, last) = reserve(&instance, 900);
    seen.add(first, last);
    assert_eq!(instance.stop(), 0);
    std::fs::copy(&backup, &guard).expect("restored");
    instance.start();
    let (first, last) = reserve(&instance, 900);
    seen.add(first, last);
}

#[test]
fn a_commit_that_no_standby_may_have_is_burnt() {
    let server = Server::own();
    let db = Arc::new(server.fresh_database());
    db.migrate_by_hand();
    let url = secrecy::SecretString::from(db.url.as_str());
    let standbys = |names: &'static str| {
        move |db: &TestDb| {
            db.psql(&format!(
                "ALTER SYSTEM SET synchronous_standby_names = '{names}'"
            ));
            db.psql("SELECT pg_reload_conf()");
            wait_for("the new setting", || {
                (db.psql("SHOW synchronous_standby_names") == names).then_some(())
            });
            // It is the checkpointer that tells all the others.
            db.psql("CHECKPOINT");
        }
    };
    runtime().block_on(async {
        let pool = Database::from_secret_url("test", &url, 2).expect("a URL");
        let dir = tempfile::tempdir().expect("a folder");
        let nonces = Nonces::open(opening(dir.path(), 10, &[]), Some(&pool), None)
            .await
            .expect("a store");
        assert_eq!(nonces.reserve("s", 10).await.expect("nonces").first, 0);
        beside(&db, standbys("nobody")).await;
        // The commit waits for a standby that is not there, until somebody ends the waiting.
        let (given, ()) = tokio::join!(
            nonces.reserve("s", 1),
            beside(&db, |db| {
                wait_for("the commit that waits", || {
                    let ended = db.psql(
                        "SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE wait_event = 'SyncRep'",
                    );
                    (ended == "t").then_some(())
                });
            })
        );
        let told = given.expect_err("an unclear commit").to_string();
        assert!(told.contains("it may be the only one that has it"), "{told}");
        beside(&db, |db| {
            let top = "SELECT reserved_high FROM security.nonce_watermarks";
            assert_eq!(db.psql(top), "20", "the server has it");
        })
        .await;
        beside(&db, standbys("")).await;
        let next = nonces.reserve("s", 1).await.expect("nonces");
        assert_eq!(next.first, 20, "10 to 19 are burnt");
    });
}

#[test]
fn a_jump_that_no_node_can_have_made_is_told_and_not_followed() {
    let db = Server::get().fresh_database();
    db.migrate_by_hand();
    let url = secrecy::SecretString::from(db.url.as_str());
    let far = MAX_JUMP + 1_000;
    runtime().block_on(async {
        let pool = Database::from_secret_url("test", &url, 2).expect("a URL");
        let dir = tempfile::tempdir().expect("a folder");
        let nonces = Nonces::open(opening(dir.path(), 10, &[]), Some(&pool), None)
            .await
            .expect("a store");
        assert_eq!(nonces.reserve("s", 10).await.expect("nonces").first, 0);
        let given = Watermark {
            node_name: "node-1".into(),
            nonce_scope: "s".into(),
            reserved_high: far,
            window_size: 10,
        };
        let told = nonces.import(&[given]).await.expect_err("a jump");
        assert!(told.to_string().contains("this node knows of 10"), "{told}");
        assert_eq!(nonces.reserve("s", 10).await.expect("nonces").first, 10);

        db.psql(&format!(
            "UPDATE security.nonce_watermarks SET reserved_high = {far}"
        ));
        let told = nonces.reserve("s", 10).await.expect_err("a jump");
        assert!(
            matches!(&told, NonceError::Jump(j) if j.said == far),
            "{told}"
        );
        let top = "SELECT reserved_high FROM security.nonce_watermarks";
        assert_eq!(db.psql(top), far.to_string(), "nothing more is used up");
        drop(nonces);

        let refusal = Nonces::open(opening(dir.path(), 10, &[]), Some(&pool), None)
            .await
            .expect_err("a jump");
        let told = refusal.to_string();
        assert!(told.contains("this node knows of"), "{told}");
        let wide = Opening {
            max_jump: 2 * far,
            ..opening(dir.path(), 10, &[])
        };
        let nonces = Nonces::open(wide, Some(&pool), None)
            .await
            .expect("a store");
        assert_eq!(nonces.reserve("s", 10).await.expect("nonces").first, far);
    });
}

fn refused(instance: &mut Instance, why: &str) {
    let seen = instance.try_start_with(&[]).expect_err("it must not start");
    assert_eq!(seen.code, 3, "{}", seen.stderr);
    assert!(seen.stderr.contains(why), "{why}: {}", seen.stderr);
}

fn reserve(instance: &Instance, count: u32) -> (i64, i64) {
    let answer = instance.post("/v1/nonces", json!({"scope": "s", "count": count}));
    assert_eq!(answer.status, 201, "{}", answer.text);
    let number = |name: &str| answer.body[name].as_i64().expect("a number");
    (number("first"), number("last"))
}

#[test]
fn two_processes_never_serve_from_one_state_directory() {
    let dir = tempfile::tempdir().expect("a folder");
    let mut first = Instance::new(dir.path(), "auth-1");
    let mut second = Instance::new(dir.path(), "auth-2");
    second.set("SERVICE_NAME", "auth-1");
    second.set(
        "SERVICE_STATE_DIR",
        first.state_dir().to_str().expect("UTF-8"),
    );
    first.start();
    refused(
        &mut second,
        "another process serves from this state directory",
    );
    first.kill();
    second.start();
    reserve(&second, 1);
}

#[test]
fn real_processes_do_not_repeat_nonces_over_kills_and_mode_changes() {
    let dir = tempfile::tempdir().expect("a folder");
    let backed = Backed::new(dir.path());
    let mut instance = Instance::new(dir.path(), "auth-1");
    backed.know(&instance);
    instance.set("SERVICE_NONCE_WINDOW", "8");
    let mut seen = Seen::default();
    for (round, mode) in [
        "memory", "memory", "postgres", "postgres", "memory", "postgres",
    ]
    .into_iter()
    .enumerate()
    {
        instance.set_mode(mode);
        instance.start();
        for count in [1, 5, 13] {
            let (first, last) = reserve(&instance, count);
            seen.add(first, last);
        }
        let before = instance.get("/v1/nonces/s").body;
        let high = before["reserved_high"].as_i64().expect("a number");
        assert!(*seen.0.last().expect("some") < high, "{before}");
        if round == 3 {
            forget(&backed.db, 1_000_000);
        }
        match round % 2 {
            0 => instance.kill(),
            _ => assert_eq!(instance.stop(), 0),
        }
    }
}

#[test]
fn a_watermark_that_was_carried_over_is_where_the_node_begins() {
    let dir = tempfile::tempdir().expect("a folder");
    let mut instance = Instance::new(dir.path(), "auth-1");
    let watermark = |node: &str, high: i64| json!({"node_name": node, "nonce_scope": "s", "reserved_high": high, "window_size": 10});
    let snapshot = |watermarks: Value| {
        json!({
            "schema": "dbctl.carry/1", "taken_at": "2026-01-01T00:00:00Z", "source": "postgres",
            "revoked_tokens": [], "revoked_sessions": [], "keys": [], "watermarks": watermarks
        })
    };
    let carry = snapshot(json!([
        watermark("auth-1", 5_000),
        watermark("auth-2", 9_000)
    ]));
    std::fs::write(instance.state_dir().join("carry.json"), carry.to_string()).expect("written");
    instance.start();
    assert_eq!(reserve(&instance, 1).0, 5_000);
    // Live, and above what it holds: the rest of its window is burnt.
    let live = snapshot(json!([
        watermark("auth-1", 50_000),
        watermark("auth-2", 90_000)
    ]));
    let answer = instance.admin("POST", "/v1/carry/import", Some(live.clone()));
    assert_eq!(answer.body["watermarks_raised"], 1, "{}", answer.text);
    assert_eq!(reserve(&instance, 1).0, 50_000);
    let again = instance.admin("POST", "/v1/carry/import", Some(live));
    assert_eq!(again.body["watermarks_raised"], 0, "{}", again.text);
    assert_eq!(reserve(&instance, 1).0, 50_001);
}

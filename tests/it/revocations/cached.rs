//! The cache by itself, and two instances with one each.

use std::time::Duration;

use dbctl::contract::RevokedToken;
use dbctl::runtime::revocation::{
    By, Caching, PostgresRevocations, Revocations, Status, WhenUnavailable,
};
use jiff::{SignedDuration, Timestamp};
use sqlx::Executor as _;

use crate::support::postgres::{Server, TestDb};
use crate::support::service::{Backed, Instance, eventually, id, token};
use crate::support::stores::database;

const BOUND: Duration = Duration::from_millis(300);

fn scene() -> TestDb {
    let db = Server::own().fresh_database();
    db.migrate_by_hand();
    db
}

fn cached(db: &TestDb, unavailable: WhenUnavailable) -> Revocations {
    let how = Caching {
        bound: BOUND,
        unavailable,
    };
    Revocations::Postgres(PostgresRevocations::new(&database(&db.url)).cached(how))
}

/// Once it answers by itself.
async fn follows(store: &Revocations) {
    for _ in 0..3_000 {
        let age = store.cache_state().expect("a cache").age;
        if age.is_some_and(|age| age <= BOUND) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("it never loaded");
}

async fn check(store: &Revocations, token: &str) -> Status {
    store.check(token, "s").await.expect("an answer")
}

fn revoke(db: &TestDb, token: &str) {
    db.psql(&format!(
        "INSERT INTO security.revoked_tokens (token_id, expires_at) VALUES ('{token}', now() + interval '1 hour')"
    ));
}

fn entry(token: &str) -> RevokedToken {
    let now = Timestamp::now();
    RevokedToken {
        token_id: token.into(),
        revoked_at: now,
        expires_at: now + SignedDuration::from_hours(1),
        reason: None,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revocation_is_known_everywhere_within_the_bound_and_here_at_once() {
    let db = scene();
    // More than one page to load, and both kinds.
    db.psql(
        "INSERT INTO security.revoked_tokens (token_id, expires_at) \
           SELECT 'before-' || i, now() + interval '1 hour' FROM generate_series(1, 45000) i; \
         INSERT INTO security.revoked_sessions (session_id, expires_at) VALUES ('gone', now() + interval '1 hour')",
    );
    let (here, there) = (
        cached(&db, WhenUnavailable::Deny),
        cached(&db, WhenUnavailable::Deny),
    );
    // Not even while it loads is one of them allowed.
    assert_eq!(check(&here, "before-44999").await, Status::TokenRevoked);
    follows(&here).await;
    follows(&there).await;
    assert_eq!(here.cache_state().expect("a cache").entries, 45_001);
    assert_eq!(check(&there, "before-1").await, Status::TokenRevoked);
    let session = there.check("x", "gone").await;
    assert_eq!(session, Ok(Status::SessionRevoked));
    for n in 0..20 {
        let name = format!("now-{n}");
        assert_eq!(check(&there, &name).await, Status::NotRevoked);
        here.revoke_token(&entry(&name), &By::default())
            .await
            .expect("revoked");
        assert_eq!(check(&here, &name).await, Status::TokenRevoked);
        tokio::time::sleep(BOUND + Duration::from_millis(5)).await;
        assert_eq!(check(&there, &name).await, Status::TokenRevoked);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_transaction_that_began_earlier_and_commits_later_is_not_missed() {
    let db = scene();
    let store = cached(&db, WhenUnavailable::Deny);
    follows(&store).await;
    let mut slow = database(&db.url).begin().await.expect("a transaction");
    let add = "INSERT INTO security.revoked_tokens (token_id, expires_at) VALUES ('slow', now() + interval '1 hour')";
    slow.execute(add).await.expect("added");
    // Others overtake it, and the cache has seen them.
    for n in 0..3 {
        let name = format!("quick-{n}");
        revoke(&db, &name);
        tokio::time::sleep(BOUND * 2).await;
        assert_eq!(check(&store, &name).await, Status::TokenRevoked);
    }
    assert_eq!(check(&store, "slow").await, Status::NotRevoked);
    slow.commit().await.expect("committed");
    tokio::time::sleep(BOUND + Duration::from_millis(5)).await;
    assert_eq!(check(&store, "slow").await, Status::TokenRevoked);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_postgres_it_denies_after_the_bound_and_goes_on_only_where_that_was_said() {
    let db = scene();
    revoke(&db, "revoked");
    let denies = cached(&db, WhenUnavailable::Deny);
    let stale = cached(&db, WhenUnavailable::Stale(Duration::from_secs(12)));
    follows(&denies).await;
    follows(&stale).await;
    db.server().kill();
    tokio::time::sleep(BOUND + Duration::from_millis(5)).await;
    denies
        .check("unknown", "s")
        .await
        .expect_err("nobody can say");
    // What is revoked is so for good.
    assert_eq!(check(&denies, "revoked").await, Status::TokenRevoked);
    assert_eq!(check(&stale, "unknown").await, Status::NotRevoked);
    assert_eq!(check(&stale, "revoked").await, Status::TokenRevoked);
    assert!(stale.cache_state().expect("a cache").stale_answers > 0);
    tokio::time::sleep(Duration::from_secs(12)).await;
    stale.check("unknown", "s").await.expect_err("not for ever");
    db.server().start();
    follows(&denies).await;
    assert_eq!(check(&denies, "unknown").await, Status::NotRevoked);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crash_of_the_server_which_may_use_transaction_ids_again_is_noticed() {
    let db = scene();
    let store = cached(&db, WhenUnavailable::Deny);
    follows(&store).await;
    for n in 0..2 {
        // One process of the server: all of it recovers. Then the whole of it.
        if n == 0 {
            let pid: i32 = db
                .psql("SELECT pg_backend_pid()")
                .parse()
                .expect("a number");
            assert!(pid > 0);
            let victim =
                db.psql("SELECT pid FROM pg_stat_activity WHERE backend_type = 'walwriter'");
            let victim = rustix::process::Pid::from_raw(victim.parse().expect("a number"));
            rustix::process::kill_process(
                victim.expect("a process"),
                rustix::process::Signal::KILL,
            )
            .expect("a signal");
            eventually("it recovers", || {
                db.try_psql_as("postgres", "SELECT 1").is_ok()
            });
        } else {
            db.server().kill();
            db.server().start();
        }
        // As if its transaction had an id that was in use before: none that a snapshot of then
        // would take for new.
        db.psql(&format!(
            "ALTER TABLE security.revoked_tokens ALTER changed_in SET DEFAULT '3'; \
             INSERT INTO security.revoked_tokens (token_id, expires_at) VALUES ('after-{n}', now() + interval '1 hour'); \
             ALTER TABLE security.revoked_tokens ALTER changed_in SET DEFAULT pg_current_xact_id()"
        ));
        follows(&store).await;
        tokio::time::sleep(BOUND * 2).await;
        assert_eq!(
            check(&store, &format!("after-{n}")).await,
            Status::TokenRevoked
        );
    }
}

#[test]
fn two_instances_with_a_cache_and_what_they_say_of_it() {
    let dir = tempfile::tempdir().expect("a folder");
    let backed = Backed::new(dir.path());
    let mut one = Instance::new(dir.path(), "one");
    let mut two = Instance::beside(&one, "two");
    for instance in [&mut one, &mut two] {
        backed.know(instance);
        instance.set_mode("postgres");
        instance.set("SERVICE_REVOCATION_CACHE", "300ms");
        instance.set("SERVICE_REVOCATION_UNAVAILABLE", "stale:30s");
        instance.start();
        eventually("it has loaded", || {
            instance.log().contains("revocation_cache_loaded")
        });
    }
    let policies = &one.get("/healthz").body["policies"];
    assert_eq!(policies["revocation_cache"], "300ms");
    assert_eq!(policies["revocation_unavailable"], "stale:30s");
    let issued = one.issue("alice");
    assert_eq!(two.verify(token(&issued)), (200, "ok".into()));
    one.revoke_token(id(&issued, "token_id"));
    assert_eq!(one.verify(token(&issued)), (401, "revoked_token".into()));
    std::thread::sleep(BOUND);
    assert_eq!(two.verify(token(&issued)), (401, "revoked_token".into()));
    assert_eq!(two.metric("revocation_cache_entries"), 1.0);
    let kept = two.issue("bob");
    backed.db.server().kill();
    eventually("it goes on with what it knows", || {
        two.verify(token(&kept)) == (200, "ok".into())
            && two.metric("revocation_stale_answers_total") > 0.0
    });
    assert_eq!(two.verify(token(&issued)), (401, "revoked_token".into()));
}

#[test]
fn a_cache_that_is_set_wrongly_refuses_the_start() {
    let dir = tempfile::tempdir().expect("a folder");
    let mut instance = Instance::new(dir.path(), "one");
    for (cache, unavailable, named) in [
        ("soon", "deny", "SERVICE_REVOCATION_CACHE"),
        ("2s", "allow", "SERVICE_REVOCATION_UNAVAILABLE"),
        ("2s", "stale:1s", "SERVICE_REVOCATION_UNAVAILABLE"),
        ("off", "stale:1m", "SERVICE_REVOCATION_UNAVAILABLE"),
    ] {
        instance.set("SERVICE_REVOCATION_CACHE", cache);
        instance.set("SERVICE_REVOCATION_UNAVAILABLE", unavailable);
        let seen = instance.try_start_with(&[]).expect_err("it must not start");
        assert_eq!(seen.code, 3);
        assert!(seen.stderr.contains(named), "{}", seen.stderr);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn many_checks_at_once_are_each_answered_for_themselves() {
    let db = scene();
    revoke(&db, "revoked");
    let store = std::sync::Arc::new(Revocations::Postgres(PostgresRevocations::new(&database(
        &db.url,
    ))));
    let mut checks = tokio::task::JoinSet::new();
    for n in 0..500 {
        let store = std::sync::Arc::clone(&store);
        // Some have in them what no text of Postgres can hold, or what would end a literal.
        let name = match n % 5 {
            0 => "revoked".to_owned(),
            1 => format!("nul\0{n}"),
            2 => format!("'); DROP TABLE security.revoked_tokens; -- {n}"),
            _ => format!("é\\{n}"),
        };
        checks.spawn(async move {
            let status = store.check(&name, "s").await;
            (n % 5, status)
        });
    }
    while let Some(done) = checks.join_next().await {
        match done.expect("no panic") {
            (0, status) => assert_eq!(status, Ok(Status::TokenRevoked)),
            // It does not reach Postgres: all that are asked with it would be asked once more.
            (1, status) => {
                let said = status.expect_err("nobody can have such an id");
                assert!(said.to_string().contains("NUL"), "{said}");
            }
            (_, status) => assert_eq!(status, Ok(Status::NotRevoked)),
        }
    }
}

/// One that read the whole table would be right, and too late as soon as much is revoked.
#[tokio::test(flavor = "multi_thread")]
async fn a_check_finds_its_row_by_the_index() {
    const ROWS: i64 = 20_000;
    let db = scene();
    let connections = database(&db.url);
    let store = Revocations::Postgres(PostgresRevocations::new(&connections));
    // A plan that was made while there was one row, which is read most quickly from the table.
    db.psql(
        "INSERT INTO security.revoked_tokens (token_id, expires_at)
         VALUES ('first', now() + interval '1 hour');
         ANALYZE security.revoked_tokens",
    );
    // Often enough that Postgres keeps one for all.
    for _ in 0..2 {
        assert_eq!(check(&store, "first").await, Status::TokenRevoked);
    }
    db.psql(&format!(
        "INSERT INTO security.revoked_tokens (token_id, expires_at)
         SELECT 'token-' || n, now() + interval '1 hour' FROM generate_series(1, {ROWS}) n"
    ));
    let read_in_sequence = || {
        db.psql("SELECT seq_tup_read FROM pg_stat_user_tables WHERE relname = 'revoked_tokens'")
            .parse::<i64>()
            .expect("a number")
    };
    let before = read_in_sequence();
    assert_eq!(check(&store, "token-7").await, Status::TokenRevoked);
    let together = ["token-1", "token-2", "nobody"].map(|token| check(&store, token));
    let [one, two, nobody] = futures_util::future::join_all(together)
        .await
        .try_into()
        .expect("three");
    assert_eq!(
        [one, two, nobody],
        [
            Status::TokenRevoked,
            Status::TokenRevoked,
            Status::NotRevoked
        ]
    );
    // A backend has told what it read when it is gone.
    connections.pool().close().await;
    eventually("its backends are gone", || {
        db.psql("SELECT count(*) FROM pg_stat_activity WHERE application_name = 'dbctl'") == "0"
    });
    assert!(read_in_sequence() - before < ROWS, "it read the table");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_standby_cannot_say_until_it_is_promoted() {
    let db = scene();
    let (plain, cache) = (
        Revocations::Postgres(PostgresRevocations::new(&database(&db.url))),
        cached(&db, WhenUnavailable::Deny),
    );
    follows(&cache).await;
    let data = db.psql("SHOW data_directory");
    db.server().kill();
    std::fs::write(format!("{data}/standby.signal"), "").expect("written");
    db.server().start();
    tokio::time::sleep(BOUND + Duration::from_millis(5)).await;
    for store in [&plain, &cache] {
        let said = store
            .check("unknown", "s")
            .await
            .expect_err("it may be behind");
        assert!(said.to_string().contains("standby"), "{said}");
    }
    assert_eq!(db.psql("SELECT pg_promote()"), "t");
    follows(&cache).await;
    for store in [&plain, &cache] {
        assert_eq!(check(store, "unknown").await, Status::NotRevoked);
    }
}

//! What a connection to Postgres leaves behind for whoever gets it next.

use std::collections::BTreeMap;
use std::future::Future as _;
use std::task::Poll;

use dbctl::contract::{RevokedSession, RevokedToken};
use dbctl::pg::Database;
use dbctl::runtime::nonce::{MAX_JUMP, Nonces, Opening};
use dbctl::runtime::revocation::{By, PostgresRevocations, Revocations, Status};
use jiff::{SignedDuration, Timestamp};

use crate::support::cli::{Seen, run};
use crate::support::pooler::Pooler;
use crate::support::postgres::{Server, TestDb};

fn database(url: &str, connections: u32) -> Database {
    let url = secrecy::SecretString::from(url);
    Database::from_secret_url("test", &url, connections).expect("a URL")
}

/// A `begin` that was dropped must not leave a transaction to the next one: what that one writes
/// would be acknowledged and lost.
#[tokio::test]
async fn a_transaction_that_was_given_up_while_it_began_takes_nothing_with_it() {
    let db = Server::get().fresh_database();
    db.psql("CREATE TABLE kept (n int)");
    let pool = database(&db.url, 1);
    for polls in 0..40 {
        let mut polls_left = polls;
        let mut begin = Box::pin(pool.begin());
        std::future::poll_fn(|cx| match begin.as_mut().poll(cx) {
            Poll::Pending if polls_left > 0 => {
                polls_left -= 1;
                Poll::Pending
            }
            Poll::Ready(_) | Poll::Pending => Poll::Ready(()),
        })
        .await;
        drop(begin);
        sqlx::raw_sql("INSERT INTO kept VALUES (1)")
            .execute(pool.pool())
            .await
            .expect("written");
    }
    assert_eq!(db.psql("SELECT count(*) FROM kept"), "40");
}

/// Those who gave up waiting for a connection are not served after all.
#[tokio::test]
async fn whoever_gave_up_waiting_for_a_connection_takes_nobodys_place() {
    let db = Server::get().fresh_database();
    let pool = database(&db.url, 1);
    let held = pool.begin().await.expect("the only connection");
    for _ in 0..1_000 {
        let mut begin = Box::pin(pool.begin());
        let polled = std::future::poll_fn(|cx| Poll::Ready(begin.as_mut().poll(cx))).await;
        assert!(polled.is_pending(), "there is no other connection");
    }
    held.commit().await.expect("committed");
    let begun = pool.begin().await.expect("the connection is free");
    begun.commit().await.expect("committed");
    let begun = "SELECT xact_commit + xact_rollback FROM pg_stat_database \
                  WHERE datname = current_database()";
    pool.pool().close().await;
    let begun: i64 = db.psql(begun).parse().expect("a number");
    assert!(begun < 100, "{begun} transactions");
}

/// Behind a transaction pooler every transaction may run on another connection.
#[test]
fn everything_works_through_pgbouncer_in_transaction_mode_and_leaves_only_what_means_one_thing() {
    let db = Server::own().fresh_database();
    let pooler = Pooler::before(&db);
    let dir = tempfile::tempdir().expect("a folder");
    let url = pooler.url();
    let command = |args: &[&str]| -> Seen {
        let mut all = vec!["--database-url", &url];
        all.extend(args);
        run(dir.path(), &all)
    };
    let works = |args: &[&str]| {
        let seen = command(args);
        assert_eq!(seen.code, 0, "{args:?}: {}{}", seen.stdout, seen.stderr);
        seen.stdout
    };
    works(&["migrate", "apply", "--confirm", &db.name]);
    works(&["migrate", "apply", "--confirm", &db.name]);
    let listed = works(&["migrate", "list", "--format", "json"]);
    assert!(listed.contains("\"pending\": 0"), "{listed}");
    works(&["keys", "new-kek", "kek"]);
    works(&["keys", "seed", "--kek-file", "kek"]);
    works(&["keys", "seed", "--kek-file", "kek"]);
    let keys = works(&["keys", "list", "--format", "json"]);
    assert!(keys.contains("current"), "{keys}");
    works(&["verify", "signing-keys"]);

    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(stores(&url, "first"));
    assert_eq!(
        db.psql("SELECT count(*) FROM security.revoked_tokens"),
        "80"
    );
    left_nothing_that_means_two_things(&db, &url);
    // Somebody cleans up behind us: the next one goes on all the same.
    for _ in 0..4 {
        psql(&url, "DEALLOCATE ALL");
    }
    runtime.block_on(stores(&url, "second"));
}

/// Four at once, so that they take the server's connections from each other.
async fn stores(url: &str, round: &str) {
    let now = Timestamp::now();
    let until = now + SignedDuration::from_hours(1);
    let by = By {
        who: "test".into(),
        request_id: "r".into(),
    };
    let all = (0..4).map(|worker| {
        let by = by.clone();
        let pool = database(url, 2);
        async move {
            let revocations = Revocations::Postgres(PostgresRevocations::new(&pool));
            let dir = tempfile::tempdir().expect("a folder");
            let opening = Opening {
                state_dir: dir.path(),
                node: &format!("node-{round}-{worker}"),
                window: 3,
                carried: &[],
                max_jump: MAX_JUMP,
                accept_copy: None,
            };
            let nonces = Nonces::open(opening, Some(&pool), None)
                .await
                .expect("opened");
            let mut next = 0;
            for i in 0..20 {
                let token = RevokedToken {
                    token_id: format!("t-{round}-{worker}-{i}"),
                    revoked_at: now,
                    expires_at: until,
                    reason: None,
                };
                assert!(
                    revocations
                        .revoke_token(&token, &by)
                        .await
                        .expect("revoked")
                );
                let status = revocations.check(&token.token_id, "s").await;
                assert_eq!(status.expect("an answer"), Status::TokenRevoked);
                let range = nonces.reserve("s", 2).await.expect("nonces");
                assert!(range.first >= next, "{range:?} after {next}");
                next = range.last + 1;
            }
            let session = RevokedSession {
                session_id: format!("s-{round}-{worker}"),
                revoked_at: now,
                expires_at: until,
                reason: None,
            };
            assert!(
                revocations
                    .revoke_session(&session, &by)
                    .await
                    .expect("revoked")
            );
        }
    });
    futures_util::future::join_all(all).await;
}

fn psql(url: &str, sql: &str) -> String {
    let mut psql = std::process::Command::new(crate::support::postgres::bin("psql"));
    let output = psql.arg("-XAtq").arg(url).args(["-c", sql]).output();
    String::from_utf8(output.expect("psql runs").stdout).expect("UTF-8")
}

/// The names of statements that a service leaves are hashes of what they say.
fn left_nothing_that_means_two_things(db: &TestDb, url: &str) {
    // More often than there are connections.
    let asked = "SELECT name, statement FROM pg_prepared_statements";
    let text: String = (0..4).map(|_| psql(url, asked)).collect();
    assert!(text.contains("dbctl_"), "{text}");
    let mut said = BTreeMap::new();
    for line in text.lines() {
        let (name, statement) = line.split_once('|').expect("two columns");
        assert!(name.starts_with("dbctl_"), "{line}");
        // Postgres keeps all of the message: where one was taught late, what it was asked for stands
        // behind it.
        let (statement, _) = statement.split_once(';').expect("an end");
        assert_eq!(*said.entry(name).or_insert(statement), statement);
    }
    assert_eq!(said.len(), 2, "a check and a reservation: {text}");
    let open = "SELECT count(*) FROM pg_stat_activity \
                 WHERE datname = current_database() AND state LIKE 'idle in%'";
    assert_eq!(db.psql(open), "0");
}

/// An error that is mended is one in the server's log all the same, and somebody may be watching.
#[test]
fn a_connection_knows_the_statements_of_a_service_before_it_is_asked() {
    let db = Server::own().fresh_database();
    let dir = tempfile::tempdir().expect("a folder");
    let migrate = ["migrate", "apply", "--confirm", &db.name];
    let seen = run(
        dir.path(),
        &[&["--database-url", &db.url], &migrate[..]].concat(),
    );
    assert_eq!(seen.code, 0, "{}", seen.stderr);
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(stores(&db.url, "only"));
    let log = db.server().log();
    assert!(!log.contains("prepared statement"), "{log}");
}

//! Into Postgres and out of it.

use std::time::Duration;

use dbctl::carry::merge::Counts;
use dbctl::carry::postgres::{Read, everything, export, export_since, import, missing, news};
use dbctl::contract::{RevokedSession, RevokedToken, Snapshot, Watermark};
use dbctl::error::Exit;
use dbctl::pg::Database;
use dbctl::runtime::revocation::Position;
use jiff::Timestamp;
use sqlx::Executor as _;
use sqlx::postgres::PgConnectOptions;

use crate::support::postgres::{Server, TestDb};

const KEY: &str = "access-tokens";

fn database(url: &str) -> Database {
    let options: PgConnectOptions = url.parse().expect("a URL");
    Database::from_options(options, 4)
}

fn migrated() -> (TestDb, Database) {
    let db = Server::get().fresh_database();
    db.migrate_by_hand();
    let database = database(&db.url);
    (db, database)
}

/// `n` revocations of each kind; the nanoseconds are more than Postgres keeps.
fn many(n: usize, expires_in: u64) -> Snapshot {
    let now = Timestamp::now();
    let expires_at = now + Duration::from_secs(expires_in);
    Snapshot {
        schema: Snapshot::SCHEMA.into(),
        taken_at: now,
        source: "auth-1".into(),
        revoked_tokens: (0..n)
            .map(|i| RevokedToken {
                token_id: format!("token-{i}"),
                revoked_at: now,
                expires_at,
                reason: (i % 2 == 0).then(|| "it's \"gone\"".into()),
            })
            .collect(),
        revoked_sessions: (0..n)
            .map(|i| RevokedSession {
                session_id: format!("session-{i}"),
                revoked_at: now,
                expires_at,
                reason: None,
            })
            .collect(),
        watermarks: vec![mark("auth-1", 5_000), mark("auth-2", 300)],
        ..Snapshot::default()
    }
}

fn mark(node: &str, reserved_high: i64) -> Watermark {
    Watermark {
        node_name: node.into(),
        nonce_scope: "envelope".into(),
        reserved_high,
        window_size: 100,
    }
}

#[tokio::test]
async fn importing_twice_adds_once_and_exporting_gives_it_back() {
    let (db, database) = migrated();
    // More than one batch.
    let given = many(4_500, 600);
    let first = import(&database, KEY, &given).await.expect("imported");
    assert_eq!((first.tokens_added, first.sessions_added), (4_500, 4_500));
    assert_eq!(first.watermarks_raised, 2);
    let again = import(&database, KEY, &given).await.expect("imported");
    assert_eq!(again, dbctl::contract::Imported::default());
    let back = export(&database).await.expect("exported");
    assert_eq!(Counts::of(&back).revoked_tokens, 4_500);
    let reasons = back.revoked_tokens.iter().filter(|t| t.reason.is_some());
    assert_eq!(reasons.count(), 2_250);
    // Exactly what was given: more would look as if the nodes had forgotten it.
    assert_eq!(
        db.psql("SELECT node_name, reserved_high FROM security.nonce_watermarks ORDER BY 1"),
        "auth-1|5000\nauth-2|300"
    );
    let gone = missing(&database, &given).await.expect("compared");
    assert!(gone.is_empty());
}

#[tokio::test]
async fn what_is_there_is_only_ever_extended() {
    let (db, database) = migrated();
    import(&database, KEY, &many(1, 600))
        .await
        .expect("imported");
    let longer = import(&database, KEY, &many(1, 1_200))
        .await
        .expect("imported");
    assert_eq!(longer.tokens_added, 0, "it was there");
    import(&database, KEY, &many(1, 60))
        .await
        .expect("imported");
    let left = db
        .psql("SELECT extract(epoch FROM expires_at - now()) > 1000 FROM security.revoked_tokens");
    assert_eq!(left, "t");
    let low = Snapshot {
        watermarks: vec![mark("auth-1", 10)],
        ..many(0, 60)
    };
    let lower = import(&database, KEY, &low).await.expect("imported");
    assert_eq!(lower.watermarks_raised, 0);
    let twice = Snapshot {
        watermarks: vec![
            mark("auth-1", 6_000),
            mark("auth-1", 7_000),
            mark("auth-1", 6_500),
        ],
        ..many(0, 60)
    };
    import(&database, KEY, &twice)
        .await
        .expect("one row, given three times");
    let high = db.psql("SELECT max(reserved_high) FROM security.nonce_watermarks");
    assert_eq!(high, "7000");
}

/// What is in `read`, and up to where it was read.
fn ids(read: Read) -> (Vec<String>, Position) {
    let Snapshot {
        revoked_tokens,
        revoked_sessions,
        ..
    } = read.snapshot;
    let tokens = revoked_tokens.into_iter().map(|t| t.token_id);
    let sessions = revoked_sessions.into_iter().map(|s| s.session_id);
    let mut ids: Vec<String> = tokens.chain(sessions).collect();
    ids.sort();
    (ids, read.position.expect("it can be followed"))
}

async fn since(database: &Database, position: &Position) -> (Vec<String>, Position) {
    let read = news(database, position).await.expect("read");
    ids(read.expect("it can be told"))
}

#[tokio::test]
async fn news_are_what_came_in_since_whenever_it_was_revoked() {
    let (db, database) = migrated();
    import(&database, KEY, &many(3, 600))
        .await
        .expect("imported");
    let (all, position) = ids(everything(&database).await.expect("read"));
    assert_eq!(all.len(), 6);
    db.psql(
        "INSERT INTO security.revoked_tokens (token_id, revoked_at, expires_at)
         VALUES ('brought', now() - interval '1 hour', now() + interval '1 hour'),
                ('expired', now() - interval '2 hours', now() - interval '1 hour');
         INSERT INTO security.revoked_sessions (session_id, revoked_at, expires_at)
         VALUES ('brought too', now() - interval '1 day', 'infinity');
         UPDATE security.revoked_tokens SET expires_at = expires_at + interval '1 hour'
          WHERE token_id = 'token-1'",
    );
    let (new, position) = since(&database, &position).await;
    assert_eq!(new, ["brought", "brought too", "token-1"]);
    let (new, _) = since(&database, &position).await;
    assert!(new.is_empty(), "{new:?}");
    let read = news(&database, &position).await.expect("read");
    let marks = read.expect("it can be told").snapshot.watermarks;
    assert_eq!(marks.len(), 2, "always all of them");
}

#[tokio::test]
async fn a_transaction_that_began_before_the_kit_was_read_and_committed_after_it_is_news() {
    let (db, database) = migrated();
    let mut slow = database.begin().await.expect("a transaction");
    let add = "INSERT INTO security.revoked_tokens (token_id, revoked_at, expires_at)
               VALUES ('slow', now() - interval '1 hour', now() + interval '1 hour')";
    slow.execute(add).await.expect("added");
    // Others overtake it.
    db.psql(&add.replace("slow", "quick"));
    let (all, position) = ids(everything(&database).await.expect("read"));
    assert_eq!(all, ["quick"]);
    db.psql(&add.replace("slow", "later"));
    let (new, after) = since(&database, &position).await;
    assert_eq!(new, ["later"]);
    slow.commit().await.expect("committed");
    assert_eq!(since(&database, &after).await.0, ["slow"]);
    assert_eq!(since(&database, &position).await.0, ["later", "slow"]);
}

#[tokio::test]
async fn what_is_news_is_not_said_of_another_database_or_of_tables_that_cannot_be_followed() {
    let (db, database) = migrated();
    let (_, position) = ids(everything(&database).await.expect("read"));
    let (_other, elsewhere) = migrated();
    let told = news(&elsewhere, &position).await.expect("read");
    assert_eq!(told, None, "another database of the same server");
    db.psql("ALTER TABLE security.revoked_sessions DROP COLUMN changed_in");
    assert_eq!(news(&database, &position).await.expect("read"), None);
    let read = everything(&database)
        .await
        .expect("it is read all the same");
    assert_eq!(read.position, None);
}

#[tokio::test]
async fn after_a_crash_or_a_restart_of_the_server_nobody_says_what_is_news() {
    let db = Server::own().fresh_database();
    db.migrate_by_hand();
    let read = everything(&database(&db.url)).await.expect("read");
    let (_, position) = ids(read);
    for end in [Server::kill, Server::stop] {
        end(db.server());
        db.server().start();
        let told = news(&database(&db.url), &position).await.expect("read");
        assert_eq!(told, None);
    }
}

#[tokio::test]
async fn a_delta_has_what_is_new_and_all_watermarks() {
    let (db, database) = migrated();
    import(&database, KEY, &many(3, 600))
        .await
        .expect("imported");
    db.psql(
        "INSERT INTO security.revoked_tokens (token_id, revoked_at, expires_at)
         VALUES ('old', now() - interval '1 hour', now() + interval '1 hour'),
                ('expired', now() - interval '2 hours', now() - interval '1 hour'),
                ('for ever', now(), 'infinity')",
    );
    let all = export(&database).await.expect("exported");
    let ids = |s: &Snapshot| {
        let mut ids: Vec<String> = s
            .revoked_tokens
            .iter()
            .map(|t| t.token_id.clone())
            .collect();
        ids.sort();
        ids
    };
    assert_eq!(
        ids(&all),
        ["for ever", "old", "token-0", "token-1", "token-2"]
    );
    let new = export_since(&database, Timestamp::now())
        .await
        .expect("exported");
    assert_eq!(ids(&new), ["for ever", "token-0", "token-1", "token-2"]);
    assert_eq!(new.watermarks.len(), 2);
    // An infinite expiry survives the way back in.
    import(&database, KEY, &all).await.expect("imported");
}

#[tokio::test]
async fn what_is_missing_is_found() {
    let (_db, database) = migrated();
    let here = many(3, 600);
    import(&database, KEY, &here).await.expect("imported");
    let mut more = many(5, 600);
    more.revoked_sessions.clear();
    for t in &mut more.revoked_tokens {
        t.expires_at = here.revoked_tokens[0].expires_at;
    }
    let gone = missing(&database, &more).await.expect("compared");
    assert_eq!(gone.into_iter().collect::<Vec<_>>(), ["token-3", "token-4"]);
    let expired = many(9, 0);
    assert!(
        missing(&database, &expired)
            .await
            .expect("compared")
            .is_empty()
    );
}

#[tokio::test]
async fn a_database_that_is_not_there_or_not_migrated_is_told_apart() {
    let nobody = format!(
        "postgres://x@127.0.0.1:{}/x",
        crate::support::postgres::free_port()
    );
    let problem = export(&database(&nobody))
        .await
        .expect_err("nobody listens");
    assert_eq!(problem.exit(), Exit::Unavailable);
    let empty = Server::get().fresh_database();
    let problem = export(&database(&empty.url)).await.expect_err("no schema");
    assert!(
        problem.hint().expect("a hint").contains("migrate"),
        "{problem}"
    );
}

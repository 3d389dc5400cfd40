//! `dbctl security purge` and `security partitions`: what goes, what never does, and that neither is
//! in anybody's way.

use std::path::Path;

use dbctl::runtime::revocation::purge::{Purge, look};
use serde_json::Value;

use crate::support::cli::{Seen, dbctl, run, seen};
use crate::support::postgres::{Server, TestDb};
use crate::support::service::{eventually, on_postgres};
use crate::support::stores::database;

/// A migrated database and a login that may purge, and nothing else.
fn scene() -> TestDb {
    let db = Server::own().fresh_database();
    db.migrate_by_hand();
    db.psql("CREATE ROLE cron LOGIN IN ROLE security_janitor");
    db
}

fn security(db: &TestDb, args: &[&str]) -> Seen {
    let url = db.url_as("cron");
    let mut all = vec!["--database-url", &url, "security"];
    all.extend(args);
    run(Path::new("/"), &all)
}

fn json(seen: &Seen) -> Value {
    serde_json::from_str(&seen.stdout).unwrap_or_else(|e| panic!("{e}: {seen:?}"))
}

/// So many tokens that expired an hour ago and earlier.
fn expired(db: &TestDb, n: u32) {
    db.psql(&format!(
        "INSERT INTO security.revoked_tokens (token_id, expires_at) \
         SELECT 'old-' || i, now() - interval '1 hour' - i * interval '1 s' FROM generate_series(1, {n}) i"
    ));
}

fn left(db: &TestDb) -> String {
    db.psql("SELECT count(*) FROM security.revoked_tokens WHERE token_id LIKE 'old-%'")
}

#[test]
fn a_purge_removes_what_has_long_expired_and_nothing_else() {
    let db = scene();
    expired(&db, 2_500);
    db.psql(
        "INSERT INTO security.revoked_tokens (token_id, expires_at) VALUES \
           ('live', now() + interval '1 h'), ('within-the-skew', now() - interval '4 min'), \
           ('for-ever', 'infinity'); \
         INSERT INTO security.revoked_sessions (session_id, expires_at) \
           SELECT 's' || i, now() - interval '6 min' FROM generate_series(1, 10) i",
    );
    let dry = security(&db, &["purge", "--dry-run"]);
    assert_eq!(dry.code, 0, "{}", dry.stderr);
    assert!(
        dry.stdout.contains("tokens    2500 would go"),
        "{}",
        dry.stdout
    );
    assert_eq!(left(&db), "2500");

    let args = [
        "purge", "--batch", "1000", "--pause", "1ms", "--format", "json",
    ];
    let done = security(&db, &args);
    assert_eq!(done.code, 0, "{}", done.stderr);
    let report = json(&done);
    assert_eq!(report["schema"], "dbctl.security.purge/1");
    let removed = report["stores"].as_array().expect("stores").iter();
    let removed: Vec<_> = removed
        .map(|s| (s["store"].as_str(), s["removed"].as_u64()))
        .collect();
    assert_eq!(
        removed,
        [(Some("tokens"), Some(2_500)), (Some("sessions"), Some(10))]
    );
    let kept = "SELECT string_agg(token_id, ' ' ORDER BY token_id) FROM security.revoked_tokens";
    assert_eq!(db.psql(kept), "for-ever live within-the-skew");
    assert_eq!(
        db.psql("SELECT count(*) FROM security.revoked_sessions"),
        "0"
    );

    let again = security(&db, &["purge"]);
    assert!(
        again.stdout.contains("tokens    none to remove"),
        "{}",
        again.stdout
    );
}

#[test]
fn what_is_within_the_clock_skew_stays_even_for_the_owner() {
    let db = scene();
    db.psql("INSERT INTO security.revoked_tokens (token_id, expires_at) VALUES ('a', now() - interval '4 min')");
    for sql in [
        "DELETE FROM security.revoked_tokens",
        "SELECT * FROM security.purge_revocations('tokens', '-infinity', '1 min', 10)",
    ] {
        let said = db.try_psql_as("postgres", sql).expect_err(sql);
        assert!(said.contains("five minutes"), "{said}");
    }
}

#[test]
fn a_purge_waits_for_nobody_and_goes_on_later() {
    let db = scene();
    expired(&db, 30);
    // Somebody holds a row, as an extension would.
    let hold = "BEGIN; SELECT 1 FROM security.revoked_tokens WHERE token_id = 'old-7' FOR UPDATE; SELECT pg_sleep(600)";
    let mut held = holding(&db, hold);
    let done = security(&db, &["purge", "--batch", "10", "--pause", "1ms"]);
    assert_eq!(done.code, 0, "{}", done.stderr);
    assert!(done.stdout.contains("29 removed"), "{}", done.stdout);
    release(&db, &mut held);
    let done = security(&db, &["purge"]);
    assert!(done.stdout.contains("1 removed"), "{}", done.stdout);

    // Somebody has the whole table: it gives way instead of making others queue behind it.
    expired(&db, 30);
    let mut held = holding(
        &db,
        "BEGIN; LOCK TABLE security.revoked_tokens IN SHARE MODE; SELECT pg_sleep(600)",
    );
    let refused = security(&db, &["purge"]);
    assert_ne!(refused.code, 0);
    assert!(
        refused.stderr.contains("lock timeout"),
        "{}",
        refused.stderr
    );
    release(&db, &mut held);
    let done = security(&db, &["purge"]);
    assert!(done.stdout.contains("30 removed"), "{}", done.stdout);
}

/// A session that does this until it is released.
fn holding(db: &TestDb, sql: &str) -> std::process::Child {
    let child = std::process::Command::new(crate::support::postgres::bin("psql"))
        .args(["-XAtqc", sql, &db.url])
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::null())
        .spawn()
        .expect("psql starts");
    eventually("it holds its lock", || {
        db.psql("SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep'") == "1"
    });
    child
}

fn release(db: &TestDb, held: &mut std::process::Child) {
    db.psql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE wait_event = 'PgSleep'");
    held.wait().expect("it ends");
}

#[test]
fn an_interrupted_or_killed_purge_is_simply_started_again() {
    let db = scene();
    expired(&db, 400);
    for signal in [rustix::process::Signal::INT, rustix::process::Signal::KILL] {
        let before: u32 = left(&db).parse().expect("a number");
        let url = db.url_as("cron");
        let args = [
            "--database-url",
            &url,
            "security",
            "purge",
            "--batch",
            "20",
            "--pause",
            "300ms",
        ];
        let mut command = dbctl(Path::new("/"), &args);
        let child = command
            .stdout(std::process::Stdio::piped())
            .stderr(std::process::Stdio::piped())
            .spawn()
            .expect("it starts");
        eventually("it has removed something", || {
            left(&db) != before.to_string()
        });
        let pid = rustix::process::Pid::from_raw(child.id() as i32).expect("a process id");
        rustix::process::kill_process(pid, signal).expect("a signal");
        let output = child.wait_with_output().expect("it ends");
        if signal == rustix::process::Signal::INT {
            assert_eq!(output.status.code(), Some(130));
            let said = String::from_utf8_lossy(&output.stdout);
            assert!(said.contains("Interrupted"), "{said}");
        }
        let after: u32 = left(&db).parse().expect("a number");
        assert!(after > 0 && after < before, "{before} -> {after}");
        assert_eq!((before - after) % 20, 0, "whole batches");
    }
    let done = security(&db, &["purge", "--pause", "1ms"]);
    assert_eq!(done.code, 0, "{}", done.stderr);
    assert_eq!(left(&db), "0");
}

#[tokio::test]
async fn a_purge_is_refused_while_the_clocks_disagree() {
    let db = scene();
    expired(&db, 3);
    let database = database(&db.url);
    let how = Purge {
        batch: 100,
        pause: std::time::Duration::ZERO,
        clock_skew: dbctl::runtime::CLOCK_SKEW,
    };
    let now = jiff::Timestamp::now();
    let hour = jiff::SignedDuration::from_hours(1);
    for (ours, said) in [(now - hour, "ahead of ours"), (now + hour, "behind ours")] {
        let refused = look(&database, &how, ours).await;
        let refused = refused.expect_err("a wrong clock").to_string();
        assert!(refused.contains(said), "{refused}");
    }
    let minute = jiff::SignedDuration::from_mins(1);
    let looked = look(&database, &how, now + minute)
        .await
        .expect("near enough");
    assert_eq!(looked.stores[0].expired, 3);
}

#[test]
fn the_settings_cannot_ask_for_less_than_is_safe() {
    let db = scene();
    let dir = tempfile::tempdir().expect("a folder");
    for (line, said) in [
        ("clock_skew = \"1m\"", "at least five minutes"),
        ("batch = 0", "from 1 to 100000"),
        ("decisions = \"7d\"", "at least 30 days"),
    ] {
        std::fs::write(dir.path().join("dbctl.toml"), format!("[purge]\n{line}\n"))
            .expect("written");
        let seen = run(
            dir.path(),
            &["--database-url", &db.url, "security", "purge"],
        );
        assert_eq!(seen.code, 3, "{line}");
        assert!(seen.stderr.contains(said), "{}", seen.stderr);
    }
}

#[test]
fn months_are_made_ahead_and_dropped_only_when_they_are_old_and_somebody_says_so() {
    let db = scene();
    db.psql(
        "CREATE TABLE authz.policy_decisions_2020_01 PARTITION OF authz.policy_decisions \
           FOR VALUES FROM ('2020-01-01Z') TO ('2020-02-01Z'); \
         ALTER TABLE authz.policy_decisions_2020_01 OWNER TO security_owner; \
         INSERT INTO authz.policy_decisions (created_at, request_id, subject, action, allow, reason_code, instance) \
           SELECT at, 'r', 's', 'a', true, 'ok', 'i' \
             FROM unnest(ARRAY['2020-01-15'::timestamptz, '2019-03-01', now()]) at; \
         INSERT INTO security.events (created_at, request_id, instance, kind) \
           VALUES ('2020-01-15', 'r', 'i', 'x'), (now(), 'r', 'i', 'x')",
    );
    let rows = || {
        db.psql("SELECT (SELECT count(*) FROM authz.policy_decisions), (SELECT count(*) FROM security.events)")
    };
    let made = security(&db, &["partitions", "--ahead", "6"]);
    assert_eq!(made.code, 0, "{}", made.stderr);
    assert!(made.stdout.contains("made 3"), "{}", made.stdout);
    assert_eq!(
        rows(),
        "3|2",
        "nothing is ever dropped without being told how long to keep it"
    );

    let keep = [
        "partitions",
        "--keep-decisions",
        "400d",
        "--keep-events",
        "400d",
    ];
    let dry = security(&db, &[&keep[..], &["--dry-run"]].concat());
    assert!(dry.stdout.contains("would drop 2020-01"), "{}", dry.stdout);
    let unconfirmed = security(&db, &keep);
    assert_eq!(unconfirmed.code, 16, "{}", unconfirmed.stdout);
    assert_eq!(rows(), "3|2");
    let too_short = security(&db, &["partitions", "--keep-decisions", "7d"]);
    assert_eq!(too_short.code, 2);

    let confirmed = [&keep[..], &["--confirm", &db.name, "--format", "json"]].concat();
    let done = security(&db, &confirmed);
    assert_eq!(done.code, 0, "{}", done.stderr);
    let report = json(&done);
    assert_eq!(report["schema"], "dbctl.security.partitions/1");
    assert_eq!(
        report["dropped"][0]["partition"],
        "policy_decisions_2020_01"
    );
    assert_eq!(
        (&report["decisions_removed"], &report["events_removed"]),
        (&1.into(), &1.into())
    );
    assert_eq!(rows(), "1|1");
    // A month of now is not to be had by its name either.
    let this = "SELECT authz.drop_policy_decision_month('policy_decisions_' || to_char(now(), 'YYYY_MM'), '30 days')";
    let said = db.try_psql_as("cron", this).expect_err("a month of now");
    assert!(said.contains("no month of decisions"), "{said}");
}

#[test]
fn the_start_of_a_service_makes_the_months_ahead() {
    let (_dir, backed, mut instance) = on_postgres();
    instance.stop();
    let months =
        "SELECT count(*) FROM pg_inherits WHERE inhparent = 'authz.policy_decisions'::regclass";
    backed.db.psql("SELECT format('DROP TABLE authz.%I', relname) FROM pg_class WHERE relname ~ '^policy_decisions_2' AND relkind = 'r' \\gexec");
    assert_eq!(backed.db.psql(months), "1", "only the default one");
    instance.start();
    eventually("there are months", || backed.db.psql(months) == "5");
}

#[test]
fn a_purge_that_serves_nobody_says_what_is_missing() {
    let db = Server::get().fresh_database();
    let url = db.url.clone();
    let no_schema = run(
        Path::new("/"),
        &["--database-url", &url, "security", "purge"],
    );
    assert_eq!(no_schema.code, 4, "{}", no_schema.stderr);
    let mut command = dbctl(
        Path::new("/"),
        &[
            "--database-url",
            "postgres://nobody@127.0.0.1:1/none",
            "security",
            "purge",
        ],
    );
    command.env("RUST_BACKTRACE", "0");
    let nowhere = seen(command);
    assert_eq!(nowhere.code, 4, "{}", nowhere.stderr);
    // And one whose role may not.
    let db = scene();
    db.psql("CREATE ROLE service LOGIN IN ROLE security_runtime");
    let url = db.url_as("service");
    let refused = run(
        Path::new("/"),
        &["--database-url", &url, "security", "purge"],
    );
    assert_eq!(refused.code, 4, "{}", refused.stderr);
    assert!(refused.stderr.contains("privilege"), "{}", refused.stderr);
}

//! The decision log: what happens to records when Postgres does not take them, and to requests.

use std::time::Duration;

use dbctl::runtime::decisions::{Decided, DecisionLog, Keeping, Policy, SPOOL_FILE};
use jiff::Timestamp;
use serde_json::json;

use crate::support::postgres::{Server, TestDb};
use crate::support::proxy::{Lost, Proxy};
use crate::support::service::{Backed, Instance, eventually, id, token};
use crate::support::stores::database;

/// An instance that only keeps its decisions in Postgres, so that it serves without it.
fn scene(policy: &str) -> (tempfile::TempDir, Backed, Instance) {
    let dir = tempfile::tempdir().expect("a folder");
    let backed = Backed::new(dir.path());
    let mut instance = Instance::new(dir.path(), "auth-1");
    backed.know(&instance);
    instance.set_mode("memory");
    instance.set("SECURITY_RUNTIME_MODE", "postgres");
    instance.set("SERVICE_DECISION_LOG", policy);
    instance.start();
    (dir, backed, instance)
}

/// Verifies under the request ids `r-FROM` to before `r-TO`; returns the statuses.
fn verify(instance: &Instance, token: &str, ids: std::ops::Range<u32>) -> Vec<u16> {
    let http = reqwest::Client::new();
    let send = |n| {
        let request = http.post(instance.at("/v1/tokens/verify"));
        let request = request.header("x-request-id", format!("r-{n}"));
        let sent = request.json(&json!({"token": token})).send();
        async { sent.await.expect("an answer").status().as_u16() }
    };
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    ids.map(|n| runtime.block_on(send(n))).collect()
}

/// The numbers of the requests in the order in which they were stored.
fn stored(db: &TestDb) -> Vec<u32> {
    let sql = "SELECT substr(request_id, 3) FROM authz.policy_decisions \
                WHERE request_id LIKE 'r-%' ORDER BY tableoid, ctid";
    db.psql(sql)
        .lines()
        .map(|n| n.parse().expect("a number"))
        .collect()
}

#[test]
fn decisions_wait_for_postgres_over_a_crash_and_come_in_order_and_once() {
    let (_dir, backed, mut instance) = scene("spool");
    let issued = instance.issue("alice");
    let token = token(&issued).to_owned();
    verify(&instance, &token, 0..5);
    eventually("the first are stored", || stored(&backed.db).len() == 5);
    backed.db.server().kill();
    assert_eq!(verify(&instance, &token, 5..40), [200; 35]);
    eventually("they are in the spool", || {
        instance.metric("decision_records_waiting") == 35.0
    });
    let spool = instance.state_dir().join(SPOOL_FILE);
    let kept = std::fs::read(&spool).expect("the spool");
    instance.kill();
    backed.db.server().start();
    // A torn line, as a power cut leaves one behind.
    std::fs::write(&spool, [&kept[..], b"{\"decision\":{\"id\":"].concat()).expect("written");
    instance.start();
    eventually("all are stored", || stored(&backed.db).len() == 40);
    assert_eq!(stored(&backed.db), (0..40).collect::<Vec<_>>());
    eventually("the spool is empty", || {
        instance.metric("decision_records_waiting") == 0.0
    });
    // A crash after they were stored and before they went from the file.
    instance.kill();
    std::fs::write(&spool, kept).expect("written");
    instance.start();
    eventually("the spool is empty", || {
        std::fs::metadata(&spool).is_ok_and(|m| m.len() == 0)
    });
    verify(&instance, &token, 40..41);
    eventually("the next is stored", || stored(&backed.db).contains(&40));
    assert_eq!(stored(&backed.db), (0..41).collect::<Vec<_>>());
    assert_eq!(instance.metric("decision_records_lost_total"), 0.0);
}

#[test]
fn a_shutdown_without_postgres_keeps_what_was_not_stored() {
    let (_dir, backed, mut instance) = scene("spool");
    let issued = instance.issue("alice");
    backed.db.server().kill();
    verify(&instance, token(&issued), 0..3);
    instance.stop();
    // Nothing is lost by going back to memory either: it waits.
    instance.set_mode("memory");
    instance.start();
    assert!(
        instance.log().contains("decision_spool_waits"),
        "{}",
        instance.log()
    );
    instance.stop();
    backed.db.server().start();
    instance.set("SECURITY_RUNTIME_MODE", "postgres");
    instance.start();
    eventually("all are stored", || stored(&backed.db).len() == 3);
}

#[test]
fn commits_whose_answer_is_lost_store_nothing_twice_and_lose_nothing() {
    let (_dir, backed, mut instance) = scene("spool");
    let proxy = Proxy::before(&backed.db);
    proxy.lose_every(3);
    instance.set("DATABASE_URL", proxy.url());
    instance.stop();
    instance.start();
    let issued = instance.issue("alice");
    for n in 0..30 {
        verify(&instance, token(&issued), n..n + 1);
        std::thread::sleep(Duration::from_millis(30));
    }
    eventually("all are stored", || stored(&backed.db).len() >= 30);
    eventually("the spool is empty", || {
        instance.metric("decision_records_waiting") == 0.0
    });
    assert!(proxy.losses() > 2, "the proxy did its work");
    assert_eq!(stored(&backed.db), (0..30).collect::<Vec<_>>());
}

#[test]
fn fail_closed_allows_nothing_without_a_record_and_denies_and_revokes_all_the_same() {
    let (_dir, backed, instance) = scene("fail-closed");
    assert_eq!(
        instance.get("/healthz").body["policies"]["decision_log"],
        "fail-closed"
    );
    let issued = instance.issue("alice");
    assert_eq!(verify(&instance, token(&issued), 0..1), [200]);
    // Not soon: before the answer.
    assert_eq!(stored(&backed.db), [0]);
    backed.db.server().kill();
    let denied = (503, "decision_log_unavailable".to_owned());
    assert_eq!(instance.verify(token(&issued)), denied);
    let issue = instance.post("/v1/tokens", json!({"subject": "bob"}));
    assert_eq!(
        (issue.status, &issue.body["error"]),
        (503, &json!("decision_log_unavailable"))
    );
    assert_eq!(issue.headers["retry-after"], "1");
    assert_eq!(instance.verify("nonsense"), (401, "malformed".into()));
    instance.revoke_token(id(&issued, "token_id"));
    assert_eq!(
        instance.verify(token(&issued)),
        (401, "revoked_token".into())
    );
    backed.db.server().start();
    eventually("it allows again", || {
        instance
            .post("/v1/tokens", json!({"subject": "carol"}))
            .status
            == 201
    });
    let sql =
        "SELECT string_agg(DISTINCT reason_code, ' ') FROM authz.policy_decisions WHERE NOT allow";
    eventually("denials are recorded too", || {
        backed.db.psql(sql) == "decision_log_unavailable malformed revoked_token"
    });
}

#[test]
fn fail_closed_does_not_allow_on_a_commit_whose_answer_is_lost() {
    let (_dir, backed, mut instance) = scene("fail-closed");
    let issued = instance.issue("alice");
    let proxy = Proxy::before(&backed.db);
    instance.set("DATABASE_URL", proxy.url());
    instance.stop();
    instance.start();
    // The months are made, and nothing else is under way.
    eventually("it serves", || {
        verify(&instance, token(&issued), 0..1) == [200]
    });
    std::thread::sleep(Duration::from_millis(500));
    proxy.lose(Lost::Reply);
    assert_eq!(verify(&instance, token(&issued), 1..2), [503]);
    assert_eq!(verify(&instance, token(&issued), 2..3), [200]);
}

#[test]
fn ids_are_hidden_from_who_reads_the_log_where_there_is_a_key() {
    let (dir, backed, mut instance) = scene("spool");
    let key = dir.path().join("ids.b64");
    let made = crate::support::cli::run(dir.path(), &["keys", "new-kek", "ids.b64"]);
    assert_eq!(made.code, 0);
    instance.set("SERVICE_DECISION_ID_KEY_FILE", key.to_str().expect("UTF-8"));
    instance.stop();
    instance.start();
    let issued = instance.issue("alice");
    let (jti, sid) = (id(&issued, "token_id"), id(&issued, "session_id"));
    verify(&instance, token(&issued), 0..2);
    instance.revoke_token(jti);
    let seen = "SELECT (SELECT count(*) FROM authz.policy_decisions WHERE token_id LIKE 'hmac-sha256:%'), \
                       (SELECT count(*) FROM security.events WHERE subject_id LIKE 'hmac-sha256:%')";
    eventually("all are stored", || backed.db.psql(seen) == "3|2");
    let same = "SELECT count(DISTINCT id) FROM ( \
                  SELECT token_id AS id FROM authz.policy_decisions UNION ALL \
                  SELECT subject_id FROM security.events WHERE kind LIKE 'token.%') x";
    assert_eq!(backed.db.psql(same), "1", "one id is one id everywhere");
    for named in [jti, sid] {
        let anywhere = format!(
            "SELECT count(*) FROM (SELECT d::text AS row FROM authz.policy_decisions d UNION ALL \
                                   SELECT e::text FROM security.events e) x WHERE row LIKE '%{named}%'"
        );
        assert_eq!(backed.db.psql(&anywhere), "0");
    }
    instance.stop();
    std::fs::write(&key, "c2hvcnQ=").expect("written");
    let refused = instance.try_start_with(&[]).expect_err("a short key");
    assert!(refused.stderr.contains("32 bytes"), "{}", refused.stderr);
}

fn decided(n: usize, reason: &str) -> Decided {
    Decided {
        at: Timestamp::now(),
        request_id: format!("r-{n}"),
        subject: "s\u{1b}[2Jé\0".into(),
        action: "token.verify",
        resource: None,
        allow: false,
        reason_code: reason.into(),
        kid: None,
        token_id: None,
        session_id: None,
    }
}

fn log(db: &TestDb, dir: &std::path::Path, spool_max_bytes: u64) -> DecisionLog {
    DecisionLog::postgres(
        &database(&db.url),
        &Keeping {
            instance: "i",
            state_dir: dir,
            policy: Policy::Spool,
            spool_max_bytes,
            id_key: None,
        },
    )
    .expect("a log")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_spool_counts_what_it_loses_and_a_bad_record_costs_only_itself() {
    let db = Server::own().fresh_database();
    db.migrate_by_hand();
    let dir = tempfile::tempdir().expect("a folder");
    db.server().kill();
    let full = log(&db, dir.path(), 10_000);
    for n in 0..100 {
        let reason = if n == 3 { "" } else { "ok" };
        full.decided(decided(n, reason)).await.expect("spooled");
        if n % 10 == 9 {
            tokio::time::sleep(Duration::from_millis(150)).await;
        }
    }
    full.close().await;
    let (lost, waiting) = (full.lost(), full.waiting());
    assert!(lost > 0 && waiting > 10, "{lost} lost, {waiting} wait");
    assert_eq!(lost + waiting, 100);
    let size = std::fs::metadata(dir.path().join(SPOOL_FILE))
        .expect("the spool")
        .len();
    assert!(size <= 10_000, "{size}");
    db.server().start();
    let again = log(&db, dir.path(), 10_000);
    for _ in 0..500 {
        if again.waiting() == 0 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    again.close().await;
    assert_eq!(
        (again.lost(), again.waiting()),
        (1, 0),
        "the one without a reason"
    );
    assert_eq!(stored(&db).len() as u64, waiting - 1);
    // What is in a subject never drives a terminal.
    let dir = tempfile::tempdir().expect("a folder");
    let runbook = "# Look\n\n## Decisions\n\n```sql\nSELECT subject FROM authz.policy_decisions LIMIT 1\n```\n";
    std::fs::write(dir.path().join("look.md"), runbook).expect("written");
    let args = ["--database-url", &db.url, "verify", "--runbook", "look.md"];
    let shown = crate::support::cli::run(dir.path(), &args);
    assert!(shown.stdout.contains("[2Jé"), "{shown:?}");
    assert!(
        !shown.stdout.contains('\u{1b}'),
        "{}",
        shown.stdout.escape_debug()
    );
}

//! Carrying revocations into Postgres, beside `COPY` of the same rows into the same table.

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use dbctl::carry::contract::Snapshot;
use dbctl::contract::RevokedToken;
use jiff::Timestamp;

use super::{pool, rival};

fn snapshot(rows: u64) -> Snapshot {
    let now = Timestamp::now();
    let token = |n: u64| RevokedToken {
        token_id: uuid::Uuid::new_v4().to_string(),
        revoked_at: now,
        // As tokens of one lifetime that were revoked one after the other.
        expires_at: now + Duration::from_secs(3600) + Duration::from_millis(n),
        reason: Some("stolen laptop".into()),
    };
    Snapshot {
        schema: Snapshot::SCHEMA.into(),
        taken_at: now,
        source: "memory".into(),
        revoked_tokens: (0..rows).map(token).collect(),
        revoked_sessions: Vec::new(),
        watermarks: Vec::new(),
        keys: Vec::new(),
        deny_issued_before: None,
    }
}

fn empty() {
    rival::psql(&[
        "ALTER TABLE security.revoked_tokens DISABLE TRIGGER USER",
        "TRUNCATE security.revoked_tokens",
        "ALTER TABLE security.revoked_tokens ENABLE TRIGGER USER",
        "CHECKPOINT",
    ]);
}

pub async fn measure(rows: u64) {
    let given = snapshot(rows);
    let mut text = String::new();
    for t in &given.revoked_tokens {
        let (id, at, until) = (&t.token_id, t.revoked_at, t.expires_at);
        writeln!(text, "{id}\t{at}\t{until}\tstolen laptop\tdbctl carry-over").expect("a string");
    }
    let file = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(file.path(), text).expect("the rows");
    let copy = format!(
        "\\copy security.revoked_tokens (token_id, revoked_at, expires_at, reason, revoked_by) from {}",
        file.path().display()
    );
    let db = pool(1);
    let (mut ours, mut theirs, mut again) = (Duration::MAX, Duration::MAX, Duration::MAX);
    // Three of each, by turns, and the best of them.
    for _ in 0..3 {
        empty();
        theirs = theirs.min(rival::psql(&[&copy]));
        empty();
        let began = Instant::now();
        let done = dbctl::carry::postgres::import(&db, "access-tokens", &given).await;
        ours = ours.min(began.elapsed());
        assert_eq!(done.expect("it works").tokens_added, rows);
        let began = Instant::now();
        let done = dbctl::carry::postgres::import(&db, "access-tokens", &given).await;
        again = again.min(began.elapsed());
        assert_eq!(done.expect("it works").tokens_added, 0);
    }
    let seconds = |d: Duration| d.as_secs_f64();
    println!(
        "| carry-over of {rows} revocations | {:.1} s | `COPY` of the same: {:.1} s | {:.2} × | 2 × |",
        seconds(ours),
        seconds(theirs),
        seconds(ours) / seconds(theirs)
    );
    println!(
        "| the same again, when all are there | {:.1} s | | | |",
        seconds(again)
    );
}

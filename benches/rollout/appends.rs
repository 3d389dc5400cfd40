//! One append to the journal, beside a bare durable insert of the same bytes into a table of its
//! own, in the same folder and in turns.

use std::time::{Duration, Instant};

use dbctl::check::Verdict;
use dbctl::rollout::journal::{Entry, Head, Journal, RunId};
use dbctl::rollout::lease;
use dbctl::rollout::machine::{Event, Harm, Outline, Part, Reading, StepRef};
use sqlx::Connection as _;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection, SqliteJournalMode, SqliteSynchronous};

use super::median;

const ROUNDS: usize = 20;
const EACH: usize = 100;

pub async fn measure() {
    let dir = tempfile::tempdir_in("target").expect("a folder");
    let journal = Journal::create(&dir.path().join("journal.db"))
        .await
        .expect("a journal");
    let options = SqliteConnectOptions::new()
        .filename(dir.path().join("bare.db"))
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full);
    let mut bare = SqliteConnection::connect_with(&options)
        .await
        .expect("a table");
    sqlx::raw_sql("CREATE TABLE bare (id INTEGER PRIMARY KEY, body TEXT NOT NULL) STRICT")
        .execute(&mut bare)
        .await
        .expect("a table");

    let (lease, first) = journal
        .start(&RunId::random(), "bench", "bench", lease::TTL, 1, started())
        .await
        .expect("a run");
    let mut head = first.head();
    let (mut appended, mut inserted) = (Vec::new(), Vec::new());
    let mut bytes = 0;
    for _ in 0..ROUNDS {
        let mut entries: Vec<Entry> = Vec::new();
        for _ in 0..EACH {
            let began = Instant::now();
            let entry = append(&journal, &lease, head).await;
            appended.push(began.elapsed());
            head = entry.head();
            entries.push(entry);
        }
        for entry in &entries {
            bytes = entry.body.len();
            let began = Instant::now();
            sqlx::query("INSERT INTO bare (body) VALUES (?)")
                .bind(&entry.body)
                .execute(&mut bare)
                .await
                .expect("it is inserted");
            inserted.push(began.elapsed());
        }
    }
    print(&mut appended, &mut inserted, bytes);
}

async fn append(journal: &Journal, lease: &lease::Lease, head: Head) -> Entry {
    journal
        .append(lease, head, 2, observed(), false)
        .await
        .expect("it is appended")
}

fn print(appended: &mut [Duration], inserted: &mut [Duration], bytes: usize) {
    let (append, insert) = (median(appended), median(inserted));
    let count = appended.len();
    println!("| {count} times {bytes} bytes, in turns | median, ms | times the limit |");
    println!("| --- | ---: | ---: |");
    println!("| a bare durable SQLite insert, the limit | {insert:.2} | |");
    println!(
        "| a journal append | {append:.2} | {:.2} |",
        append / insert
    );
}

fn started() -> Event {
    Event::Started {
        by: "bench".into(),
        outline: Outline {
            plan: "p".into(),
            phases: vec!["production".into()],
            forward: vec![],
            rollback: vec![],
            afterwards: vec![],
        },
        plan: "{}".into(),
    }
}

/// What a bake writes at every look.
fn observed() -> Event {
    let reading = |gate: &str| Reading {
        gate: gate.into(),
        verdict: Verdict::Pass,
        warming: false,
        sound: false,
        unseen: false,
        harm: Harm::Counted,
        arms: None,
        shown: None,
        why: "0.02 %, at most 1 % (others 0.01 %)".into(),
        evidence: serde_json::json!({ "value": 0.0002, "samples": 4812.0, "coverage": 1.0 }),
    };
    Event::Observed {
        step: StepRef::new(Part::Forward, 16),
        at_ms: 1_795_000_000_000,
        gained_ms: 5_000,
        readings: ["auth-errors", "auth-latency", "nonce-errors"]
            .map(reading)
            .into(),
    }
}

//! A long journal is read from its newest checkpoint on, and says the same as when read whole.

use std::path::Path;
use std::sync::Arc;

use clap::Parser as _;
use dbctl::commands::Cli;
use dbctl::rollout::engine::{Engine, Known, recall, replay};
use dbctl::rollout::journal::{CHECKPOINT_EVERY, Journal, RunId};
use dbctl::rollout::machine::{Event, Input};
use dbctl::runbook::plan::Plan;
use dbctl::settings::Settings;

use crate::support::nobody::Nobody;
use serde_json::Value;

const RUNBOOK: &str = "\
# A cutover

## Ask

```toml step
id    = \"ask\"
kind  = \"confirm\"
phase = \"staging\"
env   = \"staging\"
```
";

/// The settings in a file, as a command resolves them.
pub fn settings(file: &Path) -> Settings {
    let file = file.to_str().expect("UTF-8");
    let cli = Cli::try_parse_from(["dbctl", "--config", file, "rollout"]).expect("a command line");
    Settings::load(&cli.global).expect("settings")
}

fn plan(dir: &Path) -> Plan {
    let file = dir.join("dbctl.toml");
    std::fs::write(&file, "[environments.staging]\n").expect("written");
    let settings = settings(&file);
    let runbook = dbctl::runbook::parse(Path::new("cutover.md"), RUNBOOK).expect("a runbook");
    Plan::resolve(&runbook, &settings, None).expect("a plan")
}

/// A run with so many notes, written by the engine.
pub async fn noted(dir: &Path, notes: u64) -> (Journal, RunId) {
    let journal = Journal::create(&dir.join("j/journal.db")).await;
    let journal = journal.expect("a journal");
    let (world, operator) = (Arc::new(Nobody), Arc::new(Nobody));
    let engine = Engine::start(world, operator, journal.clone(), plan(dir)).await;
    let mut engine = engine.expect("a run begins");
    let by = || "kim".to_owned();
    for n in 0..notes {
        let text = format!("note {n}");
        let told = engine.tell(Input::Note { by: by(), text }).await;
        told.expect("written");
    }
    let why = "lunch".into();
    let paused = engine.tell(Input::Pause { by: by(), why }).await;
    paused.expect("written");
    engine.leave().await;
    (journal, engine.run().clone())
}

fn facts(known: &Known) -> Value {
    serde_json::json!([
        known.state,
        known.told,
        known.plan.to_json(),
        known.head.to_string(),
        known.last_at_ms,
    ])
}

#[tokio::test]
async fn a_journal_read_from_its_newest_checkpoint_says_the_same_as_read_whole() {
    let dir = tempfile::tempdir().expect("a folder");
    let (journal, run) = noted(dir.path(), 2 * CHECKPOINT_EVERY).await;
    let entries = journal.entries(&run).await.expect("the chain holds");
    let checkpoints: Vec<u64> = entries
        .iter()
        .filter(|e| matches!(e.record.event, Event::Checkpoint(_)))
        .map(|e| e.record.seq)
        .collect();
    assert_eq!(checkpoints, [CHECKPOINT_EVERY, 2 * CHECKPOINT_EVERY]);
    let recent = journal.recent(&run).await.expect("the chain holds");
    assert!(recent.entries.len() < 10, "{}", recent.entries.len());
    let whole = replay(&entries).expect("it replays");
    let short = recall(&journal, &run).await.expect("it is recalled");
    assert_eq!(facts(&short), facts(&whole));
    assert_eq!(short.told.reason.as_deref(), Some("kim: lunch"));
}

/// Puts `from` in the place of `to` in the stored text of an entry, behind the back of the
/// journal; the hashes stay.
async fn edit(journal: &Path, seq: u64, from: &str, to: &str) {
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(journal);
    let db = sqlx::SqlitePool::connect_with(options).await;
    let db = db.expect("the file opens");
    let sql = "DROP TRIGGER IF EXISTS events_are_never_changed";
    sqlx::query(sql).execute(&db).await.expect("dropped");
    let seq = i64::try_from(seq).expect("small");
    let done = sqlx::query("UPDATE events SET body = replace(body, ?, ?) WHERE seq = ?")
        .bind(from)
        .bind(to)
        .bind(seq)
        .execute(&db)
        .await;
    assert_eq!(done.expect("edited").rows_affected(), 1);
    db.close().await;
}

#[tokio::test]
async fn a_checkpoint_that_was_edited_is_noticed_and_so_is_the_plan_that_it_names() {
    for (seq, from, to) in [
        (CHECKPOINT_EVERY, "\"waived\":false", "\"waived\":true"),
        (1, "A cutover", "Another!!"),
    ] {
        let dir = tempfile::tempdir().expect("a folder");
        let (journal, run) = noted(dir.path(), CHECKPOINT_EVERY).await;
        let file = journal.file().expect("a file").to_owned();
        edit(&file, seq, from, to).await;
        let problem = recall(&journal, &run).await.expect_err("it was edited");
        let text = problem.to_string();
        assert!(text.contains(&format!("event {seq}:")), "{text}");
    }
}

#[tokio::test]
async fn what_lies_before_the_newest_checkpoint_is_checked_by_whoever_reads_the_journal_whole() {
    let dir = tempfile::tempdir().expect("a folder");
    let (journal, run) = noted(dir.path(), CHECKPOINT_EVERY).await;
    edit(journal.file().expect("a file"), 7, "note 5", "note X").await;
    let problem = journal.entries(&run).await.expect_err("it was edited");
    assert!(problem.to_string().contains("event 7:"), "{problem}");
    let known = recall(&journal, &run).await.expect("the rest holds");
    assert_eq!(known.told.reason.as_deref(), Some("kim: lunch"));
}

//! Hand-over between operators: a takeover fences whoever drove, a note reaches whoever comes.

use std::path::Path;
use std::process::{Child, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use dbctl::error::Exit;
use dbctl::rollout::engine::Engine;
use dbctl::rollout::machine::Input;

use crate::checkpoints::noted;
use crate::support::cli::{dbctl, run};
use crate::support::nobody::Nobody;
use crate::support::programs::{every_line_once, programs, with_a_slow_one};

fn status(dir: &Path) -> serde_json::Value {
    let seen = run(dir, &["--format", "json", "rollout", "status"]);
    serde_json::from_str(&seen.stdout).expect("JSON")
}

fn run_id(dir: &Path) -> String {
    let status = status(dir);
    status["run"].as_str().expect("a run").to_owned()
}

/// A run whose slow program has begun and not ended.
fn in_the_middle_of_a_step(dir: &Path) -> Child {
    let driver = dbctl(dir, &["rollout", "start", "--confirm", "staging"])
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the binary starts");
    let deadline = Instant::now() + Duration::from_secs(30);
    while !dir.join("begun").exists() {
        assert!(Instant::now() < deadline, "the slow program never began");
        std::thread::sleep(Duration::from_millis(10));
    }
    driver
}

#[cfg(unix)]
fn signal(child: &Child, signal: rustix::process::Signal) {
    let pid = rustix::process::Pid::from_child(child);
    rustix::process::kill_process(pid, signal).expect("signalled");
}

#[cfg(unix)]
#[test]
fn a_driver_stopped_in_the_middle_of_a_step_is_overtaken_and_fenced_and_no_effect_happens_twice() {
    use rustix::process::Signal;
    let dir = with_a_slow_one();
    let old = in_the_middle_of_a_step(dir.path());
    signal(&old, Signal::STOP);
    let refused = run(dir.path(), &["rollout", "resume"]);
    let run_id = run_id(dir.path());
    let args = ["rollout", "takeover", "--confirm", &run_id];
    let taken = run(dir.path(), &[&args[..], &["--note", "Kim hangs"]].concat());
    let log = run(dir.path(), &["rollout", "log"]);
    signal(&old, Signal::CONT);
    let old = old.wait_with_output().expect("it ends");

    assert_eq!(refused.code, 15, "{}", refused.stderr);
    assert!(
        refused.stderr.contains("dbctl rollout takeover"),
        "{}",
        refused.stderr
    );
    assert_eq!(taken.code, 0, "{}", taken.stderr);
    for fact in [
        "driven by",
        "step-3 under way, attempt 1",
        "is fenced",
        "COMPLETED run",
    ] {
        assert!(taken.stderr.contains(fact), "{fact}: {}", taken.stderr);
    }
    assert!(log.stdout.contains("Kim hangs"), "{}", log.stdout);
    let said = String::from_utf8_lossy(&old.stderr);
    assert_eq!(old.status.code(), Some(15), "{said}");
    assert!(said.contains(&format!("FENCED run {run_id}")), "{said}");
    every_line_once(dir.path());
    assert_eq!(
        run(dir.path(), &["rollout", "log"]).stdout,
        log.stdout,
        "the old driver wrote nothing any more"
    );
}

#[test]
fn a_living_driver_is_fenced_by_a_takeover_and_says_so() {
    let dir = with_a_slow_one();
    let old = in_the_middle_of_a_step(dir.path());
    let run_id = run_id(dir.path());
    let taken = run(dir.path(), &["rollout", "takeover", "--confirm", &run_id]);
    let old = old.wait_with_output().expect("it ends");
    let said = String::from_utf8_lossy(&old.stderr);
    assert_eq!(taken.code, 0, "{}", taken.stderr);
    assert_eq!(old.status.code(), Some(15), "{said}");
    assert!(said.contains("FENCED run"), "{said}");
    every_line_once(dir.path());
}

#[test]
fn a_takeover_wants_the_name_of_the_run_and_changes_nothing_without_it() {
    let dir = programs();
    assert_eq!(run(dir.path(), &["rollout", "start"]).code, 10);
    let before = run(dir.path(), &["rollout", "log"]).stdout;
    let run_id = run_id(dir.path());
    for args in [
        &["rollout", "takeover"][..],
        &["rollout", "takeover", "--confirm", "staging"],
        &["rollout", "takeover", "--run", &run_id, "--confirm", "yes"],
    ] {
        let seen = run(dir.path(), args);
        assert_eq!(seen.code, 16, "{args:?}: {}", seen.stderr);
        let flag = format!("--confirm {run_id}");
        assert!(seen.stderr.contains(&flag), "{args:?}: {}", seen.stderr);
        assert!(seen.stderr.contains("nobody"), "{args:?}: {}", seen.stderr);
    }
    assert_eq!(run(dir.path(), &["rollout", "log"]).stdout, before);
    // What waits for a person waits on: the run's name approves no phase.
    let taken = run(dir.path(), &["rollout", "takeover", "--confirm", &run_id]);
    assert_eq!(taken.code, 10, "{}", taken.stderr);
    assert_eq!(status(dir.path())["status"], "awaiting-approval");
}

#[test]
fn a_run_that_is_over_is_not_taken_over_and_takes_no_note() {
    let dir = programs();
    let done = run(dir.path(), &["rollout", "start", "--confirm", "staging"]);
    assert_eq!(done.code, 0, "{}", done.stderr);
    for args in [&["rollout", "takeover"][..], &["rollout", "note", "late"]] {
        let seen = run(dir.path(), args);
        assert_eq!(seen.code, 2, "{args:?}: {}", seen.stderr);
        assert!(seen.stderr.contains("it is over"), "{}", seen.stderr);
    }
}

#[test]
fn a_note_shows_in_status_and_log_when_nobody_drives() {
    let dir = programs();
    assert_eq!(run(dir.path(), &["rollout", "start"]).code, 10);
    for text in ["the first", "p99 was noisy before too"] {
        let noted = run(dir.path(), &["rollout", "note", text]);
        assert_eq!(noted.code, 0, "{}", noted.stderr);
    }
    shows_the_note(dir.path(), "p99 was noisy before too");
    let shown = run(dir.path(), &["rollout", "status"]).stdout;
    assert!(!shown.contains("the first"), "only the newest: {shown}");
    assert!(!shown.contains("takeover"), "nobody drives: {shown}");
    let again = run(dir.path(), &["rollout", "resume", "--confirm", "staging"]);
    assert_eq!(again.code, 0, "{}", again.stderr);
    every_line_once(dir.path());
}

#[cfg(unix)]
#[test]
fn a_note_reaches_a_driver_that_waits_for_an_approval() {
    use expectrl::{Expect as _, Session};
    let dir = programs();
    let mut start = std::process::Command::new(env!("CARGO_BIN_EXE_dbctl"));
    start
        .args(["rollout", "start"])
        .current_dir(dir.path())
        .env_remove("DATABASE_URL");
    let mut driver = Session::spawn(start).expect("a terminal");
    driver.set_expect_timeout(Some(Duration::from_secs(20)));
    driver
        .expect("Type staging to go on")
        .expect("the question");
    let noted = run(dir.path(), &["rollout", "note", "ask Kim first"]);
    assert_eq!(noted.code, 0, "{}", noted.stderr);
    driver.expect("ask Kim first").expect("the driver shows it");
    shows_the_note(dir.path(), "ask Kim first");
    let shown = run(dir.path(), &["rollout", "status"]).stdout;
    assert!(shown.contains("dbctl rollout takeover"), "{shown}");
    driver.send_line("staging").expect("typing");
    driver.expect("COMPLETED").expect("it completes");
    every_line_once(dir.path());
}

fn shows_the_note(dir: &Path, text: &str) {
    let shown = run(dir, &["rollout", "status"]).stdout;
    let (above, _) = shown.split_once("you may:").expect("what may be done");
    assert!(
        above.contains("note by ") && above.contains(text),
        "{shown}"
    );
    assert_eq!(status(dir)["note"]["text"], text);
    let log = run(dir, &["rollout", "log"]).stdout;
    assert!(log.contains(text), "{log}");
}

#[tokio::test]
async fn a_word_that_an_overtaken_driver_cannot_write_is_an_error_for_whoever_said_it() {
    let dir = tempfile::tempdir().expect("a folder");
    let (journal, run) = noted(dir.path(), 0).await;
    let drive = |force| {
        let (world, operator) = (Arc::new(Nobody), Arc::new(Nobody));
        Engine::resume(world, operator, journal.clone(), &run, force)
    };
    let mut overtaken = drive(false).await.expect("nobody drives it");
    drive(true).await.expect("it is taken");
    let (by, text) = ("kim".into(), "the canary is sick".into());
    let said = overtaken.tell(Input::Note { by, text }).await;
    let said = said.expect_err("it is not in the journal");
    assert_eq!(said.exit(), Exit::LeaseHeld, "{said}");
}

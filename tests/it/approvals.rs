//! A step that asks, answered from another terminal: `rollout approve` and `rollout reject`.

use crate::pipeline::rollout;

/// A runbook of one step that asks.
fn asking(kind: &str) -> tempfile::TempDir {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let runbook = format!(
        "# Asking\n\n## Is everybody ready?\n\nThe shift knows.\n\n```toml step\nid = \"ready\"\n\
         {kind}\nphase = \"staging\"\nenv = \"staging\"\n```\n"
    );
    std::fs::write(dir.path().join("ask.md"), runbook).expect("a runbook");
    let settings = "[runbook]\npath = \"ask.md\"\n\n[environments.staging]\n";
    std::fs::write(dir.path().join("dbctl.toml"), settings).expect("settings");
    dir
}

fn waiting(kind: &str) -> tempfile::TempDir {
    let dir = asking(kind);
    let seen = rollout(&dir, &["run", "--confirm", "staging"]);
    assert_eq!(seen.code, 10, "{}", seen.stderr);
    for command in [
        "dbctl rollout approve --confirm ready --run",
        "dbctl rollout reject --run",
    ] {
        assert!(seen.stderr.contains(command), "{}", seen.stderr);
    }
    dir
}

#[test]
fn a_step_that_asks_is_answered_from_another_terminal_by_its_name() {
    let dir = waiting("kind = \"confirm\"");
    for (args, code) in [
        (&["approve"][..], 16),
        (&["approve", "--confirm", "staging"], 16),
        (&["approve", "--confirm", "ready"], 0),
    ] {
        let seen = rollout(&dir, args);
        assert_eq!(seen.code, code, "{args:?}: {}", seen.stderr);
    }
    let rest = rollout(&dir, &["resume"]);
    assert_eq!(rest.code, 0, "{}", rest.stderr);
    let log = rollout(&dir, &["log"]);
    assert!(log.stdout.contains("says yes to ready"), "{}", log.stdout);
}

#[test]
fn what_is_rejected_pauses_the_run_and_is_asked_again_after_a_resume() {
    let dir = waiting("kind = \"confirm\"");
    let rejected = rollout(&dir, &["reject", "--reason", "the shift ends"]);
    assert_eq!(rejected.code, 0, "{}", rejected.stderr);
    let status = rollout(&dir, &["status"]);
    assert_eq!(status.code, 11, "{}", status.stdout);
    assert!(
        status.stdout.contains("said no: the shift ends"),
        "{}",
        status.stdout
    );
    let asked = rollout(&dir, &["resume"]);
    assert_eq!(asked.code, 10, "{}", asked.stderr);
    let border = asking("kind = \"confirm\"");
    assert_eq!(rollout(&border, &["run"]).code, 10);
    let rejected = rollout(&border, &["reject", "--reason", "not today"]);
    assert_eq!(rejected.code, 0, "{}", rejected.stderr);
    let status = rollout(&border, &["status"]);
    assert_eq!(status.code, 11, "{}", status.stdout);
    assert!(
        status
            .stdout
            .contains("phase staging is rejected: not today"),
        "{}",
        status.stdout
    );
}

#[test]
fn one_person_is_not_two() {
    let dir = waiting("kind = \"approve\"\napprovals = 2");
    let first = rollout(&dir, &["approve", "--confirm", "ready"]);
    assert_eq!(first.code, 0, "{}", first.stderr);
    let second = rollout(&dir, &["approve", "--confirm", "ready"]);
    assert_eq!(second.code, 2, "{}", second.stderr);
    assert!(
        second.stderr.contains("another person must"),
        "{}",
        second.stderr
    );
    assert_eq!(rollout(&dir, &["resume"]).code, 10);
}

#[test]
fn a_number_of_people_that_makes_no_sense_is_refused_with_its_place() {
    for number in ["0", "10", "\"two\""] {
        let dir = asking(&format!("kind = \"approve\"\napprovals = {number}"));
        let seen = rollout(&dir, &["plan"]);
        assert_eq!(seen.code, 3, "{}", seen.stderr);
        assert!(seen.stderr.contains("ask.md:"), "{}", seen.stderr);
    }
}

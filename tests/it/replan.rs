//! A runbook that is edited while a run is under way, through the real binary.

use std::path::Path;

use crate::pipeline::{done, left_after_staging, rollout, two_phases};

fn edit(dir: &Path, from: &str, to: &str) {
    let file = dir.join("two.md");
    let text = std::fs::read_to_string(&file).expect("the runbook");
    assert!(text.contains(from), "{text}");
    std::fs::write(&file, text.replace(from, to)).expect("written");
}

fn run_id(dir: &tempfile::TempDir) -> String {
    let status = rollout(dir, &["--format", "json", "status"]);
    let status: serde_json::Value = serde_json::from_str(&status.stdout).expect("JSON");
    status["run"].as_str().expect("a run").to_owned()
}

#[test]
fn a_runbook_that_is_edited_under_way_changes_nothing_by_itself() {
    let dir = left_after_staging();
    edit(dir.path(), "echo p0", "echo other");
    let rest = rollout(&dir, &["run", "--confirm", "production"]);
    assert_eq!(rest.code, 0, "{}", rest.stderr);
    assert_eq!(done(dir.path()), "s0\ns1\np0\np1\n");
}

#[test]
fn a_person_sees_what_differs_and_the_run_goes_on_by_the_new_plan_without_repeating_anything() {
    let dir = left_after_staging();
    edit(dir.path(), "echo p0", "echo other");
    edit(dir.path(), "\"p0\", \"done\"", "\"other\", \"done\"");
    edit(dir.path(), "echo s0", "echo never");
    let early = rollout(&dir, &["replan", "--dry-run"]);
    assert_eq!(early.code, 2, "{}", early.stderr);
    assert!(early.stderr.contains("pause it first"), "{}", early.stderr);
    assert_eq!(rollout(&dir, &["freeze"]).code, 0);
    let shown = rollout(&dir, &["replan", "--dry-run"]);
    assert_eq!(shown.code, 0, "{}", shown.stderr);
    for part in [
        "step step-p0: changed\n",
        "step step-s0: changed; done already, and stays done",
        "+run = [\"sh\", \"-c\", \"echo other >> done\"]",
    ] {
        assert!(shown.stdout.contains(part), "{}", shown.stdout);
    }
    let run = run_id(&dir);
    for unconfirmed in [&["replan"][..], &["replan", "--confirm", "production"]] {
        assert_eq!(rollout(&dir, unconfirmed).code, 16);
    }
    let accepted = rollout(&dir, &["replan", "--confirm", &run]);
    assert_eq!(accepted.code, 0, "{}", accepted.stderr);
    let again = rollout(&dir, &["replan", "--confirm", &run]);
    assert_eq!(again.code, 2, "{}", again.stderr);
    assert_eq!(rollout(&dir, &["status"]).code, 11, "it stays paused");
    let unapproved = rollout(&dir, &["resume"]);
    assert_eq!(unapproved.code, 10, "{}", unapproved.stderr);
    let rest = rollout(&dir, &["resume", "--confirm", "production"]);
    assert_eq!(rest.code, 0, "{}", rest.stderr);
    assert_eq!(done(dir.path()), "s0\ns1\nother\np1\n");
    let log = rollout(&dir, &["log"]);
    assert_eq!(log.code, 0, "the journal replays: {}", log.stderr);
    assert!(
        log.stdout.contains("has the run follow plan"),
        "{}",
        log.stdout
    );
}

#[test]
fn an_approval_for_the_plan_before_does_not_enter_a_phase_of_the_new_one() {
    let dir = two_phases();
    // Half of staging: the second step fails.
    edit(dir.path(), "echo s1 >> done", "exit 1");
    let failed = rollout(&dir, &["run", "--confirm", "staging"]);
    assert_eq!(failed.code, 11, "{}", failed.stderr);
    let status = rollout(&dir, &["status"]);
    let why = "reason: step step-s1 did not succeed: it ended with exit status: 1";
    assert!(status.stdout.contains(why), "{}", status.stdout);
    edit(dir.path(), "exit 1", "echo s1 >> done");
    let run = run_id(&dir);
    let accepted = rollout(&dir, &["replan", "--confirm", &run]);
    assert_eq!(accepted.code, 0, "{}", accepted.stderr);
    assert!(
        accepted
            .stdout
            .contains("step step-s1: changed; it failed, and is tried again"),
        "{}",
        accepted.stdout
    );
    let unapproved = rollout(&dir, &["resume"]);
    assert_eq!(unapproved.code, 10, "{}", unapproved.stderr);
    assert_eq!(done(dir.path()), "s0\n");
    let rest = rollout(&dir, &["run", "--until", "staging", "--confirm", "staging"]);
    assert_eq!(rest.code, 0, "{}", rest.stderr);
    assert_eq!(done(dir.path()), "s0\ns1\n");
}

#[test]
fn a_plan_that_forgets_what_was_begun_or_is_another_runbook_is_refused() {
    let dir = left_after_staging();
    assert_eq!(rollout(&dir, &["pause"]).code, 0);
    edit(dir.path(), "id = \"step-s1\"", "id = \"step-s2\"");
    let refused = rollout(&dir, &["replan", "--dry-run"]);
    assert_eq!(refused.code, 2, "{}", refused.stderr);
    assert!(
        refused
            .stderr
            .contains("step step-s1 was begun, and the new plan leaves it out"),
        "{}",
        refused.stderr
    );
    std::fs::copy(dir.path().join("two.md"), dir.path().join("three.md")).expect("copied");
    let other = rollout(&dir, &["replan", "--dry-run", "--runbook", "three.md"]);
    assert_eq!(other.code, 2, "{}", other.stderr);
    assert!(
        other.stderr.contains("another runbook is another run"),
        "{}",
        other.stderr
    );
}

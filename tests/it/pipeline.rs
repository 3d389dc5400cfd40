//! Rollouts from pipelines: `rollout run --until` and `rollout wait`, through the real binary.

use std::path::Path;
use std::process::{Child, Stdio};

use crate::support::cli::{Seen, dbctl, run};

/// A folder with a runbook of two phases, whose programs each leave one line.
pub fn two_phases() -> tempfile::TempDir {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let mut runbook = String::from("# Two phases\n\n## Steps\n\nEach leaves a line.\n\n");
    for (phase, line) in [
        ("staging", "s0"),
        ("staging", "s1"),
        ("production", "p0"),
        ("production", "p1"),
    ] {
        runbook += &format!(
            "```toml step\nid = \"step-{line}\"\nkind = \"command\"\nphase = \"{phase}\"\n\
             env = \"{phase}\"\nrun = [\"sh\", \"-c\", \"echo {line} >> done\"]\n\
             probe = [\"grep\", \"-qx\", \"{line}\", \"done\"]\ntimeout = \"10s\"\n```\n\n"
        );
    }
    std::fs::write(dir.path().join("two.md"), runbook).expect("a runbook");
    std::fs::write(dir.path().join("done"), "").expect("an empty file");
    let settings = "[runbook]\npath = \"two.md\"\n\n[environments.staging]\n\n\
                    [environments.production]\n";
    std::fs::write(dir.path().join("dbctl.toml"), settings).expect("settings");
    dir
}

pub fn done(dir: &Path) -> String {
    std::fs::read_to_string(dir.join("done")).expect("the programs' file")
}

pub fn rollout(dir: &tempfile::TempDir, args: &[&str]) -> Seen {
    let mut all = vec!["rollout"];
    all.extend(args);
    run(dir.path(), &all)
}

/// The first phase is done, the run open, and nobody drives it.
pub fn left_after_staging() -> tempfile::TempDir {
    let dir = two_phases();
    let seen = rollout(&dir, &["run", "--until", "staging", "--confirm", "staging"]);
    assert_eq!(seen.code, 0, "{}", seen.stderr);
    assert!(seen.stderr.contains("REACHED run"), "{}", seen.stderr);
    assert_eq!(done(dir.path()), "s0\ns1\n");
    dir
}

fn in_background(dir: &Path, args: &[&str]) -> Child {
    dbctl(dir, args)
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the binary starts")
}

fn ended(child: Child) -> (Option<i32>, String) {
    let out = child.wait_with_output().expect("it ends");
    let stderr = String::from_utf8(out.stderr).expect("UTF-8 on stderr");
    (out.status.code(), stderr)
}

#[test]
fn a_run_stops_behind_the_phase_that_is_named_and_another_finishes_it() {
    let dir = left_after_staging();
    let again = rollout(&dir, &["run", "--until", "staging"]);
    assert_eq!(again.code, 0, "it stands there already: {}", again.stderr);
    assert_eq!(done(dir.path()), "s0\ns1\n");
    let log = rollout(&dir, &["log"]);
    assert!(
        !log.stdout.contains("phase production wants"),
        "the next phase was not entered: {}",
        log.stdout
    );
    let rest = rollout(
        &dir,
        &["run", "--until", "completed", "--confirm", "production"],
    );
    assert_eq!(rest.code, 0, "{}", rest.stderr);
    assert!(rest.stderr.contains("COMPLETED run"), "{}", rest.stderr);
    assert_eq!(done(dir.path()), "s0\ns1\np0\np1\n");
}

#[test]
fn the_last_phase_ends_with_the_run() {
    let dir = left_after_staging();
    let rest = rollout(
        &dir,
        &["run", "--until", "production", "--confirm", "production"],
    );
    assert_eq!(rest.code, 0, "{}", rest.stderr);
    assert_eq!(rollout(&dir, &["status"]).code, 0);
    assert!(rest.stderr.contains("COMPLETED run"), "{}", rest.stderr);
}

#[test]
fn waiting_for_an_approval_is_success_only_where_that_was_asked_for() {
    let dir = two_phases();
    let plain = rollout(&dir, &["run"]);
    assert_eq!(plain.code, 10, "{}", plain.stderr);
    let there = rollout(&dir, &["run", "--until", "approval"]);
    assert_eq!(there.code, 0, "{}", there.stderr);
    let next = rollout(
        &dir,
        &["run", "--until", "approval", "--confirm", "staging"],
    );
    assert_eq!(next.code, 0, "it waits for the next one: {}", next.stderr);
    assert_eq!(done(dir.path()), "s0\ns1\n");
    let wrong = rollout(&dir, &["run", "--confirm", "staging"]);
    assert_eq!(
        wrong.code, 10,
        "the name of another phase: {}",
        wrong.stderr
    );
    assert_eq!(done(dir.path()), "s0\ns1\n");
}

#[test]
fn an_unknown_phase_is_told_before_anything_is_begun() {
    let dir = two_phases();
    let seen = rollout(&dir, &["run", "--until", "stagin", "--confirm", "staging"]);
    assert_eq!(seen.code, 2, "{}", seen.stderr);
    assert!(
        seen.stderr.contains("did you mean `staging`?"),
        "{}",
        seen.stderr
    );
    assert!(
        seen.stderr.contains("staging, production"),
        "{}",
        seen.stderr
    );
    assert_eq!(done(dir.path()), "");
    assert_eq!(
        rollout(&dir, &["status"]).code,
        3,
        "there is no journal yet"
    );
}

#[test]
fn with_json_every_event_is_one_line() {
    let dir = two_phases();
    let args = ["--format", "json", "rollout", "run", "--until", "staging"];
    let args = [&args[..], &["--confirm", "staging"]].concat();
    let seen = run(dir.path(), &args);
    assert_eq!(seen.code, 0, "{}", seen.stderr);
    for (n, line) in seen.stdout.lines().enumerate() {
        let event: serde_json::Value = serde_json::from_str(line).expect("JSON");
        assert_eq!(event["seq"], n + 1, "{line}");
    }
    assert!(seen.stdout.lines().count() > 4, "{}", seen.stdout);
}

#[test]
fn a_paused_run_is_no_success_although_the_phase_was_finished_before() {
    let dir = left_after_staging();
    assert_eq!(rollout(&dir, &["pause", "--reason", "lunch"]).code, 0);
    let phase = rollout(&dir, &["run", "--until", "staging"]);
    assert_eq!(phase.code, 11, "{}", phase.stderr);
    let waited = rollout(&dir, &["wait", "--until", "staging"]);
    assert_eq!(waited.code, 11, "{}", waited.stderr);
    let on = rollout(&dir, &["run", "--confirm", "production"]);
    assert_eq!(on.code, 0, "as resume does: {}", on.stderr);
}

#[test]
fn whoever_waits_beside_a_driver_ends_when_the_run_completes() {
    let dir = left_after_staging();
    let waits = in_background(dir.path(), &["rollout", "wait"]);
    let drives = in_background(dir.path(), &["rollout", "run", "--confirm", "production"]);
    let (code, stderr) = ended(drives);
    assert_eq!(code, Some(0), "{stderr}");
    let (code, stderr) = ended(waits);
    assert_eq!(code, Some(0), "{stderr}");
    assert!(stderr.contains("completed"), "{stderr}");
    assert!(!stderr.contains("waits for an approval"), "{stderr}");
}

#[test]
fn whoever_waits_for_a_run_that_wants_an_approval_is_told_at_once() {
    let dir = two_phases();
    assert_eq!(rollout(&dir, &["run"]).code, 10);
    let waited = rollout(&dir, &["wait"]);
    assert_eq!(waited.code, 10, "{}", waited.stderr);
    assert!(
        waited.stderr.contains("approve --confirm staging"),
        "{}",
        waited.stderr
    );
    let json = run(dir.path(), &["--format", "json", "rollout", "wait"]);
    let line: serde_json::Value = serde_json::from_str(&json.stdout).expect("one line of JSON");
    assert_eq!(line["schema"], "dbctl.rollout.wait/1");
    assert_eq!(line["status"], "awaiting-approval");
    assert_eq!(line["exit_code"], 10);
    assert_eq!(rollout(&dir, &["wait", "--until", "approval"]).code, 0);
    assert_eq!(rollout(&dir, &["wait", "--until", "ended"]).code, 10);
    assert_eq!(rollout(&dir, &["abort"]).code, 0);
    assert_eq!(rollout(&dir, &["wait"]).code, 18);
    assert_eq!(rollout(&dir, &["wait", "--until", "ended"]).code, 0);
}

#[test]
fn a_run_that_nobody_drives_is_not_waited_for_in_silence() {
    let dir = left_after_staging();
    let there = rollout(&dir, &["wait", "--until", "staging"]);
    assert_eq!(there.code, 0, "{}", there.stderr);
    let waited = rollout(&dir, &["wait", "--timeout", "300ms"]);
    assert_eq!(waited.code, 4, "{}", waited.stderr);
    assert!(
        waited.stderr.contains("nobody drives it"),
        "{}",
        waited.stderr
    );
    assert!(
        waited.stderr.contains("dbctl rollout run"),
        "{}",
        waited.stderr
    );
}

#[cfg(unix)]
#[test]
fn ctrl_c_ends_the_waiting_and_not_the_run() {
    use std::io::{BufRead as _, BufReader};
    let dir = left_after_staging();
    let mut waits = in_background(dir.path(), &["rollout", "wait"]);
    let mut lines = BufReader::new(waits.stderr.take().expect("its stderr")).lines();
    // The second thing that it says: nobody drives. From the first line on it hears Ctrl-C.
    assert!(
        lines.any(|line| line.expect("a line").contains("nobody drives run")),
        "it says that nobody drives"
    );
    let pid = rustix::process::Pid::from_child(&waits);
    rustix::process::kill_process(pid, rustix::process::Signal::INT).expect("a signal");
    assert_eq!(waits.wait().expect("it ends").code(), Some(130));
}

//! The report of a run: one HTML file and its JSON twin, from the journal alone.

use std::path::Path;

use crate::support::cli::{Seen, run};
use crate::support::programs::programs;

fn report(dir: &Path, args: &[&str]) -> Seen {
    let mut all = vec!["rollout", "report"];
    all.extend(args);
    run(dir, &all)
}

fn facts(dir: &Path, args: &[&str]) -> serde_json::Value {
    let mut all = vec!["--format", "json", "rollout", "report"];
    all.extend(args);
    let seen = run(dir, &all);
    assert_eq!(seen.code, 0, "{}", seen.stderr);
    serde_json::from_str(&seen.stdout).expect("JSON")
}

fn completed() -> tempfile::TempDir {
    let dir = programs();
    let ran = run(dir.path(), &["rollout", "start", "--confirm", "staging"]);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    dir
}

#[test]
fn a_report_is_one_private_file_that_is_not_overwritten_without_being_told() {
    let dir = completed();
    let first = report(dir.path(), &[]);
    assert_eq!(first.code, 0, "{}", first.stderr);
    let name = first.stdout.lines().last().expect("the file").to_owned();
    let file = dir.path().join(&name);
    let html = std::fs::read_to_string(&file).expect("the report");
    assert!(html.starts_with("<!DOCTYPE html>"), "{html}");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = || std::fs::metadata(&file).expect("it is there").permissions();
        assert_eq!(mode().mode() & 0o777, 0o600);
        std::fs::set_permissions(&file, PermissionsExt::from_mode(0o644)).expect("changed");
        let again = report(dir.path(), &["--force"]);
        assert_eq!(again.code, 0, "{}", again.stderr);
        assert_eq!(mode().mode() & 0o777, 0o600);
    }
    std::fs::write(&file, "my notes").expect("written");
    let again = report(dir.path(), &[]);
    assert_eq!(again.code, 3, "{}", again.stderr);
    assert!(
        again.stderr.contains("it exists already"),
        "{}",
        again.stderr
    );
    assert!(again.stderr.contains("--force"), "{}", again.stderr);
    assert_eq!(std::fs::read(&file).expect("the notes"), b"my notes");
}

#[test]
fn the_json_twin_says_what_the_log_says_and_writes_no_file() {
    let dir = completed();
    let facts = facts(dir.path(), &[]);
    assert_eq!(facts["schema"], "dbctl.rollout-report/1");
    assert_eq!(facts["status"], "completed");
    assert_eq!(facts["open"], false);
    assert!(facts["post_mortem"].is_null());
    let log = run(dir.path(), &["rollout", "log"]);
    let head = facts["journal"]["head"].as_str().expect("a head");
    assert!(log.stdout.ends_with(&format!("journal head {head}\n")));
    let steps = facts["steps"].as_array().expect("steps");
    let done = |s: &&serde_json::Value| s["part"] == "forward";
    for step in steps.iter().filter(done) {
        assert_eq!(step["progress"], "done", "{step}");
        let attempts = step["attempts"]["items"].as_array().expect("attempts");
        assert_eq!(attempts.len(), 1, "{step}");
    }
    let files = std::fs::read_dir(dir.path()).expect("the folder");
    let html = files.filter(|f| {
        let name = f.as_ref().expect("an entry").file_name();
        name.to_string_lossy().ends_with(".html")
    });
    assert_eq!(html.count(), 0);
}

#[test]
fn an_exported_journal_is_reported_where_there_is_no_other() {
    let dir = completed();
    let here = facts(dir.path(), &[]);
    let elsewhere = tempfile::tempdir().expect("a temporary folder");
    let file = elsewhere.path().join("run.jsonl");
    let file = file.to_str().expect("UTF-8");
    let exported = run(dir.path(), &["rollout", "log", "--export", file]);
    assert_eq!(exported.code, 0, "{}", exported.stderr);
    let there = facts(elsewhere.path(), &["--from", file]);
    for same in ["run", "status", "timeline", "steps", "approvals", "journal"] {
        assert_eq!(here[same], there[same], "{same}");
    }
    let other = report(elsewhere.path(), &["--from", file, "--run", "000000"]);
    assert_eq!(other.code, 2, "{}", other.stderr);
}

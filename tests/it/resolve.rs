//! A step whose outcome nobody knows, and a person who looked.

use serde_json::Value;

use crate::pipeline::rollout;

/// A program that does not end in time, and no probe that could say what became of it.
fn in_doubt() -> tempfile::TempDir {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let step = |id: &str, run: &str| {
        format!(
            "```toml step\nid = \"{id}\"\nkind = \"command\"\nphase = \"staging\"\n\
             env = \"staging\"\nrun = [\"sh\", \"-c\", \"{run}\"]\ntimeout = \"1s\"\n```\n\n"
        )
    };
    let slow = "echo deploy >> done; [ $(grep -c deploy done) = 2 ] || sleep 60";
    let text = format!(
        "# A deployment\n\n## Deploy\n\n{}{}",
        step("deploy", slow),
        step("after", "echo after >> done")
    );
    std::fs::write(dir.path().join("deploy.md"), text).expect("a runbook");
    let settings = "[runbook]\npath = \"deploy.md\"\n\n[environments.staging]\n";
    std::fs::write(dir.path().join("dbctl.toml"), settings).expect("settings");
    let seen = rollout(&dir, &["run", "--confirm", "staging"]);
    assert_eq!(seen.code, 11, "{}", seen.stderr);
    assert!(
        seen.stderr.contains("dbctl rollout resolve STEP"),
        "{}",
        seen.stderr
    );
    dir
}

fn done(dir: &tempfile::TempDir) -> String {
    std::fs::read_to_string(dir.path().join("done")).expect("the programs' file")
}

#[test]
fn asking_again_changes_nothing_and_a_person_who_saw_it_done_has_the_run_go_on_behind_it() {
    let dir = in_doubt();
    let again = rollout(&dir, &["resume"]);
    assert_eq!(again.code, 11, "nobody can tell: {}", again.stderr);
    assert_eq!(done(&dir), "deploy\n", "it was not blindly repeated");
    let status = rollout(&dir, &["status"]);
    assert!(
        status.stdout.contains("rollout resolve"),
        "{}",
        status.stdout
    );
    let said = rollout(
        &dir,
        &[
            "resolve",
            "deploy",
            "--done",
            "--confirm",
            "deploy",
            "--as",
            "Kim",
        ],
    );
    assert_eq!(said.code, 0, "{}", said.stderr);
    let rest = rollout(&dir, &["resume"]);
    assert_eq!(rest.code, 0, "{}", rest.stderr);
    assert_eq!(done(&dir), "deploy\nafter\n");
    let log = rollout(&dir, &["log"]);
    let words: Vec<&str> = log.stdout.split_whitespace().collect();
    let words = words.join(" ");
    assert!(words.contains("has looked"), "{words}");
    assert!(words.contains("(claims to be Kim)"), "{words}");
    let log = rollout(&dir, &["log", "--format", "json"]);
    let log: Value = serde_json::from_str(&log.stdout).expect("JSON");
    let events = log["events"].as_array().expect("events");
    // The first event of what was said has whose word it was, not the taking of the lease alone.
    let looked = events
        .iter()
        .position(|e| e.to_string().contains("has looked"));
    let word = &events[looked.expect("the word on the step") - 1];
    assert_eq!(word["event"]["type"], "resumed", "{word}");
    assert_eq!(word["claim"], "Kim", "{word}");
}

#[test]
fn what_a_person_saw_not_done_is_begun_again() {
    let dir = in_doubt();
    let said = rollout(
        &dir,
        &["resolve", "deploy", "--not-done", "--confirm", "deploy"],
    );
    assert_eq!(said.code, 0, "{}", said.stderr);
    let rest = rollout(&dir, &["resume"]);
    assert_eq!(rest.code, 0, "{}", rest.stderr);
    assert_eq!(done(&dir), "deploy\ndeploy\nafter\n");
}

#[test]
fn a_word_on_another_step_or_without_its_name_changes_nothing() {
    let dir = in_doubt();
    for (args, code, words) in [
        (
            &["resolve", "after", "--done", "--confirm", "after"][..],
            2,
            "in doubt: deploy",
        ),
        (&["resolve", "deploy", "--done"], 16, "--confirm deploy"),
        (
            &["resolve", "deploy", "--done", "--confirm", "after"],
            16,
            "deploy",
        ),
        (&["resolve", "deploy"], 2, "--done"),
        (
            &["resolve", "deploy", "--done", "--not-done"],
            2,
            "--not-done",
        ),
    ] {
        let seen = rollout(&dir, args);
        assert_eq!(seen.code, code, "{args:?}: {}", seen.stderr);
        assert!(seen.stderr.contains(words), "{args:?}: {}", seen.stderr);
    }
    assert_eq!(rollout(&dir, &["status"]).code, 11);
}

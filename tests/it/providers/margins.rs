//! What a margin needs, said before anybody is asked; and what a shortened bake does not show.

use serde_json::Value;

use super::scene::{ERRORS, assert_says, dry, runbook, settle, with_traffic, words};
use crate::support::fleet::Fleet;

/// One gate with a window of one minute, in a bake of half an hour.
fn long_bake(fleet: &Fleet, margin: &str) {
    let gate = format!("measure = {ERRORS}\nmax = 0.05\nmin_samples = 20\nmargin = {margin}");
    runbook(fleet, &[("errors", &gate)]);
    let file = fleet.path().join("watch.md");
    let text = std::fs::read_to_string(&file).expect("the runbook");
    let text = text.replace("for = \"3s\"", "for = \"30m\"");
    let text = text.replace("window = \"3s\"", "window = \"1m\"");
    std::fs::write(&file, text).expect("written");
}

#[test]
fn whether_a_bake_is_long_enough_is_said_before_a_person_is_asked() {
    let fleet = Fleet::local(&["auth-1", "auth-2"]);
    let start = || fleet.run(&["rollout", "start", "--no-input"]);
    settle(&fleet, "");
    long_bake(&fleet, "0.02");
    let plan = fleet.run(&["rollout", "plan"]);
    assert_says(
        &plan,
        0,
        &[
            "errors: the margin needs about 189 requests to the baking targets if none is bad",
            "decided by margins: bake. Whether the time is enough for that, `dbctl rollout plan --dry-run` tells",
        ],
    );
    assert_says(
        &start(),
        10,
        &[
            "bake: errors: the margin needs about",
            "time N/A: no traffic in both arms now",
        ],
    );
    assert_eq!(fleet.run(&["rollout", "abort"]).code, 0);

    let enough = with_traffic(&fleet, start);
    assert_says(
        &enough,
        10,
        &[
            "bake: errors: the margin needs about",
            "a second that takes",
        ],
    );
    assert!(
        !enough.stderr.contains("without a decision"),
        "{}",
        enough.stderr
    );
    assert_eq!(fleet.run(&["rollout", "abort"]).code, 0);

    long_bake(&fleet, "0.000001");
    let (short, looked) = with_traffic(&fleet, || (start(), dry(&fleet)));
    assert_says(
        &short,
        10,
        &["warning: bake would end without a decision on errors, even extended"],
    );
    let said = short.stderr.find("even extended").expect("it is said");
    let asked = short.stderr.find("WAITING").expect("it is asked");
    assert!(said < asked, "{}", short.stderr);
    // It stops no run, but it is no good sign either.
    assert_says(&looked, 0, &["? errors: the margin needs about"]);
}

#[test]
fn a_shortened_bake_says_everywhere_that_it_proves_less() {
    let fleet = Fleet::local(&["auth-1", "auth-2"]);
    settle(&fleet, "");
    long_bake(&fleet, "0.002");
    let plan = |to: &str| {
        let seen = fleet.run(&["--format", "json", "rollout", "plan", "--shorten-bakes", to]);
        serde_json::from_str::<Value>(&seen.stdout).expect("JSON")["plan"].clone()
    };
    let says = [
        "bakes are shortened to 4s and prove less than the runbook asks for",
        "margins are wider: errors (from 0.20 pp to 6.00 pp)",
    ];
    let short = plan("4s");
    assert_eq!(short["widened"][0]["gate"], "errors", "{short}");
    // What is short enough already stays as it is, whatever it is judged by.
    for to in ["30m", "40m"] {
        let same = plan(to);
        assert_eq!(same["gates"][0]["margin"], 0.002, "{same}");
        assert_eq!(same["shortened"], Value::Null);
    }
    for command in [
        &["rollout", "plan", "--shorten-bakes", "4s"][..],
        &["rollout", "plan", "--dry-run", "--shorten-bakes", "4s"],
    ] {
        assert_says(&fleet.run(command), 0, &says);
    }
    let start = ["rollout", "start", "--no-input", "--shorten-bakes", "4s"];
    assert_says(&fleet.run(&start), 10, &says);
    assert_says(&fleet.run(&["rollout", "status"]), 10, &says);
    let log = fleet.run(&["--format", "json", "rollout", "log"]);
    assert!(log.stdout.contains("widened"), "{}", log.stdout);
    let report = fleet.run(&["rollout", "report"]);
    assert_eq!(report.code, 0, "{}", report.stderr);
    let page = std::fs::read_dir(fleet.path()).expect("the folder");
    let page = page.filter_map(Result::ok).map(|e| e.path());
    let page = page.filter(|p| p.extension().is_some_and(|e| e == "html"));
    let page: Vec<String> = page
        .filter_map(|p| std::fs::read_to_string(p).ok())
        .collect();
    assert!(words(&page.concat()).contains(says[0]), "{}", report.stderr);

    assert_eq!(fleet.run(&["rollout", "abort"]).code, 0);
}

#[test]
fn a_shortened_run_that_is_completed_says_that_it_was_shortened() {
    let fleet = Fleet::local(&["auth-1", "auth-2"]);
    settle(&fleet, "");
    long_bake(&fleet, "0.02");
    let start = ["rollout", "start", "--no-input", "--confirm", "production"];
    let start = [&start[..], &["--shorten-bakes", "6s"]].concat();
    let seen = with_traffic(&fleet, || fleet.run(&start));
    assert_says(
        &seen,
        0,
        &[
            "COMPLETED",
            "its bakes were shortened to 6s, and prove less than the runbook asks for",
        ],
    );
}

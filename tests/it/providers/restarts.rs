//! Runs whose baking process is restarted under way.

use std::time::Duration;

use super::scene::{ERRORS, assert_says, runbook, settle, start, with_traffic, words};
use crate::support::fleet::Fleet;

/// Ends an instance and starts it again where it was.
fn restart(fleet: &Fleet) {
    fleet.with("auth-1", |i| {
        let address = i.url().trim_start_matches("http://").to_owned();
        i.stop();
        i.start_with(&["--listen", &address]);
    });
}

fn watched(fleet: &Fleet, bakes: &str) {
    settle(fleet, "");
    let gate = format!("measure = {ERRORS}\nmax = 0.05\nmargin = 0.5\nmin_samples = 20");
    runbook(fleet, &[("errors", &gate)]);
    let file = fleet.path().join("watch.md");
    let text = std::fs::read_to_string(&file).expect("the runbook");
    let text = text.replace("for = \"3s\"", &format!("for = \"{bakes}\""));
    std::fs::write(&file, text).expect("written");
}

#[test]
fn a_process_that_restarts_for_ever_pauses_the_run_and_the_reason_says_so() {
    let fleet = Fleet::local(&["auth-1", "auth-2"]);
    watched(&fleet, "10m");
    let seen = with_traffic(&fleet, || {
        std::thread::scope(|scope| {
            let run = scope.spawn(|| start(&fleet));
            std::thread::sleep(Duration::from_secs(4));
            while !run.is_finished() {
                restart(&fleet);
                std::thread::sleep(Duration::from_millis(700));
            }
            run.join().expect("it ends")
        })
    });
    assert_says(
        &seen,
        12,
        &["PAUSED", "errors: production/auth-1 restarted"],
    );
    let status = fleet.run(&["rollout", "status"]);
    let told = regex::Regex::new(
        r"reason: errors: production/auth-1 restarted \d+ times and was not seen for a whole 3s in between",
    );
    let told = told.expect("a pattern");
    assert!(told.is_match(&words(&status.stdout)), "{}", status.stdout);
}

#[test]
fn a_process_that_restarted_once_costs_its_time_and_the_bake_goes_on() {
    let fleet = Fleet::local(&["auth-1", "auth-2"]);
    watched(&fleet, "6s");
    let seen = with_traffic(&fleet, || {
        std::thread::scope(|scope| {
            let run = scope.spawn(|| start(&fleet));
            std::thread::sleep(Duration::from_secs(6));
            restart(&fleet);
            run.join().expect("it ends")
        })
    });
    assert_says(&seen, 0, &["COMPLETED"]);
    let log = fleet.run(&["rollout", "log", "--format", "json"]);
    assert!(
        log.stdout.contains("production/auth-1 restarted; "),
        "{}",
        log.stdout
    );
}

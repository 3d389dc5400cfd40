//! `gate test`: a gate over what Prometheus remembers.

use std::time::Duration;

use serde_json::Value;

use super::scene::{ERRORS, assert_says, runbook, settle, with_traffic};
use crate::support::fleet::Fleet;
use crate::support::prometheus::Prometheus;

#[test]
fn a_gate_is_tried_on_past_data_and_says_when_it_would_have_rolled_back() {
    let fleet = Fleet::local(&["auth-1", "auth-2"]);
    let prometheus = Prometheus::scraping(&fleet);
    settle(&fleet, &prometheus.settings());
    let denied = ERRORS.replace("\"error\"", "\"deny\"");
    let gate = format!("measure = {denied}\nmax = 0.2\nmin_samples = 5");
    let other = "measure = { command = { run = [\"echo\", \"1\"] } }\nmax = 2".to_owned();
    runbook(&fleet, &[("errors", &gate), ("own", &other)]);
    with_traffic(&fleet, || std::thread::sleep(Duration::from_secs(9)));
    fleet.with("auth-1", |i| {
        for _ in 0..100 {
            i.verify("nothing that anybody issued");
            std::thread::sleep(Duration::from_millis(30));
        }
    });
    std::thread::sleep(Duration::from_millis(1500));

    let test = ["gate", "test", "errors", "--since", "20s", "--step", "1s"];
    let seen = fleet.run(&test);
    assert_says(
        &seen,
        0,
        &[
            "on production/auth-1; compared with production/auth-2",
            "rolled back",
            "above the limit 20 %",
            "lines at 20 %",
        ],
    );
    let wide = seen.stdout.lines().find(|l| l.chars().count() > 80);
    assert_eq!(wide, None, "{}", seen.stdout);
    let seen = fleet.run(&[&["--format", "json"], &test[..]].concat());
    let said: Value = serde_json::from_str(&seen.stdout).expect("JSON");
    let outcomes: Vec<&str> = said["ended"]
        .as_array()
        .expect("bakes")
        .iter()
        .map(|e| e["outcome"].as_str().expect("an outcome"))
        .collect();
    let passed = outcomes.iter().position(|o| *o == "passed");
    let back = outcomes.iter().position(|o| *o == "rolled-back");
    assert!(passed.is_some() && passed < back, "{}", seen.stdout);

    for (args, code, what) in [
        (&["nonsense"][..], 2, "known: errors, own"),
        (&["own"], 3, "says what is, not what was"),
        (
            &["errors", "--since", "1h", "--until", "2h"],
            2,
            "is not after",
        ),
        (&["errors", "--since", "30d", "--step", "1s"], 2, "looks"),
        (
            &["errors", "--since", "7d", "--until", "6d", "--step", "6h"],
            6,
            "not measured",
        ),
    ] {
        let seen = fleet.run(&[&["gate", "test"], args].concat());
        assert_says(&seen, code, &[what]);
    }
}

#[test]
fn what_nobody_kept_cannot_be_tried() {
    let fleet = Fleet::local(&["auth-1"]);
    settle(&fleet, "");
    runbook(
        &fleet,
        &[("errors", &format!("measure = {ERRORS}\nmax = 0.2"))],
    );
    let seen = fleet.run(&["gate", "test", "errors"]);
    assert_says(
        &seen,
        3,
        &[
            "nobody keeps the metrics of production/auth-1",
            "[environments.production.metrics]",
        ],
    );
}

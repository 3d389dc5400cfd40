//! Runs whose gates are judged through Prometheus.

use std::time::Duration;

use super::scene::{ERRORS, assert_says, runbook, settle, start, with_traffic};
use crate::support::fleet::Fleet;
use crate::support::prometheus::Prometheus;

/// The gate of the canary's errors, against the others.
fn compared() -> String {
    format!("measure = {ERRORS}\nmax = 0.05\nmargin = 0.5\nmin_samples = 20")
}

#[test]
fn a_bake_is_judged_by_what_prometheus_scraped_and_by_queries_of_its_own() {
    let fleet = Fleet::local(&["auth-1", "auth-2"]);
    let prometheus = Prometheus::scraping(&fleet);
    settle(&fleet, &prometheus.settings());
    let latency = "measure = { quantile = { q = 0.5, histogram = \"auth_request_duration_seconds\" } }\nmax = 2\nmin_samples = 20";
    let own = "measure = { prometheus = { query = 'sum(rate(auth_requests_total{instance=~\"{{targets}}\",outcome=\"error\"}[{{window}}]))' } }\nmax = 0.5";
    let counts = "measure = { prometheus = { bad = 'sum(increase(auth_requests_total{instance=~\"{{targets}}\",outcome=\"error\"}[{{window}}]))', total = 'sum(increase(auth_requests_total{instance=~\"{{targets}}\"}[{{window}}]))' } }\nmax = 0.05\nmargin = 0.5\nmin_samples = 20";
    runbook(
        &fleet,
        &[
            ("errors", &compared()),
            ("latency", latency),
            ("own", own),
            ("counts", counts),
        ],
    );
    let seen = with_traffic(&fleet, || {
        std::thread::sleep(Duration::from_secs(3));
        start(&fleet)
    });
    assert_says(&seen, 0, &[]);
    let log = fleet.run(&["rollout", "log", "--format", "json"]);
    let address = fleet.with("auth-1", |i| {
        i.url().trim_start_matches("http://").to_owned()
    });
    // The query as it was sent, with the canary's own label in it.
    let sent = format!("{}\\\",outcome", address.replace('.', "\\\\\\\\."));
    for said in ["\"shown\":true", "\"hits\"", "\"samples\"", &sent] {
        assert!(log.stdout.contains(said), "{said}: {}", log.stdout);
    }
}

#[test]
fn a_prometheus_that_dies_pauses_the_run_and_is_no_pass() {
    let fleet = Fleet::local(&["auth-1", "auth-2"]);
    let mut prometheus = Prometheus::scraping(&fleet);
    settle(&fleet, &prometheus.settings());
    runbook(&fleet, &[("errors", &compared())]);
    let file = fleet.path().join("watch.md");
    let text = std::fs::read_to_string(&file).expect("the runbook");
    std::fs::write(&file, text.replace("for = \"3s\"", "for = \"60s\"")).expect("written");
    let seen = with_traffic(&fleet, || {
        std::thread::sleep(Duration::from_secs(1));
        std::thread::scope(|scope| {
            let run = scope.spawn(|| start(&fleet));
            std::thread::sleep(Duration::from_secs(4));
            prometheus.kill();
            run.join().expect("it ends")
        })
    });
    assert_says(
        &seen,
        12,
        &[
            "nothing is known about production/auth-1 for",
            "Prometheus: no connection",
        ],
    );
}

#[test]
fn without_traffic_and_with_nan_a_run_pauses() {
    let fleet = Fleet::local(&["auth-1", "auth-2"]);
    let prometheus = Prometheus::scraping(&fleet);
    settle(&fleet, &prometheus.settings());
    runbook(&fleet, &[("errors", &compared())]);
    assert_says(
        &start(&fleet),
        12,
        &["no traffic: auth_requests_total did not increase"],
    );
    fleet.run(&["rollout", "abort"]);

    let fleet = Fleet::local(&["auth-1", "auth-2"]);
    let prometheus = Prometheus::scraping(&fleet);
    settle(&fleet, &prometheus.settings());
    let nan = "measure = { prometheus = { query = 'sum(rate(auth_requests_total{instance=~\"{{targets}}\",outcome=\"error\"}[{{window}}])) / sum(rate(auth_requests_total{instance=~\"{{targets}}\"}[{{window}}]))' } }\nmax = 0.5";
    runbook(&fleet, &[("share", nan)]);
    assert_says(&start(&fleet), 12, &["it is NaN"]);
}

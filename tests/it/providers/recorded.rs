//! Samples as Prometheus keeps them: the same numbers as from the targets themselves.

use std::time::Duration;

use dbctl::carry::client::ServiceClient;
use dbctl::check::metrics::prometheus::{MetricsConfig, Server};
use dbctl::check::metrics::{Scrape, Sources, Span, Status, Watch};
use dbctl::runbook::model::Measure;
use jiff::Timestamp;

use crate::support::fleet::Fleet;
use crate::support::programs::block;
use crate::support::prometheus::Prometheus;

const SPAN: Span = Span {
    window: Duration::from_secs(5),
    interval: Duration::from_millis(500),
    this_process: true,
};

fn issued() -> Measure {
    Measure::Increase {
        counter: "auth_requests_total{op=\"issue\"}".into(),
    }
}

/// A watch over auth-1 through Prometheus, as `recorded`, and directly, as `scraped`.
fn watch(fleet: &Fleet, prometheus: &Prometheus) -> Watch<Sources> {
    let target = fleet.environment().targets[0].clone();
    let text = format!(
        "prometheus = \"{}\"\nscrape_interval = \"1s\"\n",
        prometheus.url()
    );
    let config: MetricsConfig = toml::from_str(&text).expect("settings");
    let mut sources = Sources::default();
    let server = Server::new(&config).expect("a server");
    sources.recorded.add("recorded", server, &config, &target);
    let mut scrape = Scrape::default();
    scrape.add(
        "scraped",
        ServiceClient::new(&target, None).expect("a client"),
    );
    sources.scraped = scrape;
    Watch::new(sources, [&issued()], Duration::from_secs(20)).expect("a watch")
}

async fn sample(watch: &mut Watch<Sources>, times: u32) {
    for _ in 0..times {
        watch.sample(Timestamp::now()).await;
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
}

#[test]
fn increases_agree_with_the_targets_own_and_a_restart_begins_the_window_anew() {
    let fleet = Fleet::local(&["auth-1"]);
    let prometheus = Prometheus::scraping(&fleet);
    let mut watch = watch(&fleet, &prometheus);
    block(sample(&mut watch, 4));
    for _ in 0..7 {
        fleet.with("auth-1", |i| i.issue("somebody"));
    }
    block(sample(&mut watch, 5));
    let of =
        |watch: &Watch<Sources>, name| watch.measure(&issued(), &[name], SPAN, Timestamp::now());
    for name in ["recorded", "scraped"] {
        let m = of(&watch, name);
        assert_eq!((m.status, m.value), (Status::Measured, Some(7.0)), "{m:?}");
        assert_eq!(m.backfilled_ms, 0, "{m:?}");
    }
    fleet.with("auth-1", |i| {
        i.stop();
        let address = i.url().trim_start_matches("http://").to_owned();
        i.start_with(&["--listen", &address]);
        i.issue("somebody");
    });
    block(sample(&mut watch, 5));
    for name in ["recorded", "scraped"] {
        let m = of(&watch, name);
        assert_eq!((m.value, m.warming), (Some(1.0), true), "{name}: {m:?}");
    }
}

#[test]
fn time_that_was_looked_at_only_afterwards_is_marked() {
    let fleet = Fleet::local(&["auth-1"]);
    let prometheus = Prometheus::scraping(&fleet);
    let mut watch = watch(&fleet, &prometheus);
    block(sample(&mut watch, 2));
    for _ in 0..3 {
        fleet.with("auth-1", |i| i.issue("somebody"));
    }
    // As if dbctl had been stopped.
    std::thread::sleep(Duration::from_secs(9));
    block(sample(&mut watch, 1));
    let m = watch.measure(&issued(), &["recorded"], SPAN, Timestamp::now());
    assert_eq!(m.status, Status::Measured, "{m:?}");
    assert!(m.coverage > 0.9 && m.backfilled_ms > 0, "{m:?}");
    let wide = Span {
        window: Duration::from_secs(15),
        ..SPAN
    };
    let m = watch.measure(&issued(), &["recorded"], wide, Timestamp::now());
    assert_eq!(m.value, Some(3.0), "{m:?}");
    // Nobody took samples for us of the target itself.
    let m = watch.measure(&issued(), &["scraped"], SPAN, Timestamp::now());
    assert!(m.coverage < 0.2, "{m:?}");
}

#[test]
fn a_target_that_prometheus_cannot_scrape_is_not_its_last_value() {
    let fleet = Fleet::local(&["auth-1"]);
    let prometheus = Prometheus::scraping(&fleet);
    let mut watch = watch(&fleet, &prometheus);
    block(sample(&mut watch, 4));
    fleet.with("auth-1", |i| i.stop());
    block(sample(&mut watch, 10));
    let m = watch.measure(&issued(), &["recorded"], SPAN, Timestamp::now());
    assert_eq!(m.status, Status::Error, "{m:?}");
    assert!(
        m.why.contains("Prometheus cannot scrape it (up is 0)"),
        "{}",
        m.why
    );
}

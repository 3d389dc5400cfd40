//! Reading numbers over a window.

use std::io::{Read as _, Write as _};
use std::time::Duration;

use dbctl::carry::client::ServiceClient;
use dbctl::check::Verdict;
use dbctl::check::metrics::{Fetched, Provider, Scrape, Span, Status, Watch, Wish, parse};
use dbctl::runbook::model::{Gate, Measure};
use dbctl::settings::{Restart, Target};
use jiff::Timestamp;

use super::scene::{SECOND, Scene, errors, gate, near, requests};

#[tokio::test]
async fn a_ratio_is_the_increase_over_the_window_and_nothing_older() {
    let mut scene = Scene::new(&errors());
    // Many errors first, then none; afterwards one of ten a second.
    scene.play("a", 20, |i| requests(10 * i, 10 * i)).await;
    scene
        .play("a", 15, |i| requests(200 + 9 * i, 200 + i))
        .await;
    let m = scene.measure(&errors(), 10);
    assert_eq!(m.status, Status::Measured, "{m:?}");
    assert_eq!(
        (m.value, m.samples, m.hits),
        (Some(0.1), Some(100.0), Some(10.0))
    );
    assert_eq!((m.coverage, m.warming), (1.0, false));
}

#[tokio::test]
async fn what_cannot_be_measured_is_no_number_and_says_why() {
    let quantile = Measure::Quantile {
        q: 0.99,
        histogram: "seconds".into(),
    };
    let increase = Measure::Increase {
        counter: "lookups_failed_total".into(),
    };
    let by_pod = Measure::Ratio {
        bad: "requests_total{code=\"500\"}".into(),
        total: "requests_total{pod=\"canary-1\"}".into(),
    };
    let cases: [(&Measure, String, &str); 7] = [
        (&errors(), requests(5, 0), "no traffic"),
        (
            &errors(),
            "other 1\n".into(),
            "a has no metric requests_total",
        ),
        (
            &by_pod,
            requests(5, 0),
            "no series of a matches requests_total{pod=\"canary-1\"}; 2 have that name, such as requests_total{code=\"200\"}",
        ),
        (
            &errors(),
            "requests_total{code=\"200\"} NaN\n".into(),
            "not a number",
        ),
        (
            &quantile,
            "other 1\n".into(),
            "a has no metric seconds_bucket",
        ),
        (
            &quantile,
            "seconds_bucket{le=\"0.1\"} 3\nseconds_bucket{le=\"+Inf\"} 3\n".into(),
            "nothing was observed",
        ),
        (
            &increase,
            requests(5, 0),
            "a has no metric lookups_failed_total",
        ),
    ];
    for (measure, text, why) in cases {
        let mut scene = Scene::new(measure);
        scene.play("a", 12, |_| text.clone()).await;
        let m = scene.measure(measure, 10);
        assert_eq!(m.status, Status::Inconclusive, "{m:?}");
        assert_eq!(m.value, None);
        assert!(m.why.contains(why), "{why}: {}", m.why);
    }
}

#[tokio::test]
async fn a_known_counter_without_the_label_has_counted_nothing_yet() {
    let mut scene = Scene::new(&errors());
    let text = |i: u32| format!("# TYPE requests counter\nrequests_total{{code=\"200\"}} {i}\n");
    scene.play("a", 12, text).await;
    let m = scene.measure(&errors(), 10);
    assert_eq!((m.status, m.value), (Status::Measured, Some(0.0)), "{m:?}");
    assert!(m.why.contains("has not counted anything yet"), "{}", m.why);
}

#[tokio::test]
async fn a_series_that_appears_counts_from_its_first_event() {
    let mut scene = Scene::new(&errors());
    scene
        .play("a", 12, |i| {
            let errors = format!("requests_total{{code=\"500\"}} {}\n", 5);
            format!(
                "requests_total{{code=\"200\"}} {}\n{}",
                95 * i / 11,
                if i >= 6 { errors.as_str() } else { "" }
            )
        })
        .await;
    let m = scene.measure(&errors(), 20);
    assert_eq!(m.hits, Some(5.0), "{m:?}");
}

#[tokio::test]
async fn a_target_that_does_not_answer_is_an_error_and_not_the_last_value() {
    let mut scene = Scene::new(&errors());
    scene.play("a", 12, |i| requests(10 * i, 0)).await;
    scene.script.fails("a", "no connection: refused");
    for _ in 0..5 {
        scene.sample().await;
    }
    let m = scene.measure(&errors(), 10);
    assert_eq!((m.status, m.value), (Status::Error, None));
    assert!(
        m.why.contains("for 5 s: no connection: refused"),
        "{}",
        m.why
    );
    let unknown = scene.measure_on(&errors(), &["nobody"], 10);
    assert_eq!(unknown.status, Status::Error);
    let none = scene.measure_on(&errors(), &[], 10);
    assert_eq!(none.status, Status::Inconclusive);
}

#[tokio::test]
async fn time_that_nobody_observed_is_not_covered() {
    let mut scene = Scene::new(&errors());
    scene.play("a", 6, |i| requests(10 * i, 0)).await;
    scene.now += Duration::from_secs(20);
    scene.play("a", 6, |i| requests(300 + 10 * i, 0)).await;
    let m = scene.measure(&errors(), 30);
    // 4 s before the gap (the window begins at 2 s), 5 s after it.
    assert_eq!((m.observed_ms, m.warming), (9_000, true), "{m:?}");
    let gate = Gate {
        window: Duration::from_secs(30),
        ..gate(errors(), 0.01, None)
    };
    let reading = scene.judge(&gate, &[]);
    // It is no pass, and no reason to wake anybody: the gap is over, and the window fills again.
    assert_eq!(
        (reading.verdict, reading.warming),
        (Verdict::Inconclusive, true)
    );
    assert!(
        reading.why.contains("so far, over 9 s of 30 s"),
        "{}",
        reading.why
    );
}

#[tokio::test]
async fn a_restart_begins_the_window_anew_for_a_gate_and_is_a_reset_for_a_trigger() {
    let counter = Measure::Increase {
        counter: "requests_total".into(),
    };
    for by_boot_id in [true, false] {
        let mut scene = Scene::new(&counter);
        for (boot, from, seconds) in [("one", 100, 8), ("two", 0, 4)] {
            for i in 0..seconds {
                let text = requests(from + 10 * i, 0);
                if by_boot_id {
                    scene.script.says_as("a", boot, &text);
                } else {
                    scene.script.says("a", &text);
                }
                scene.sample().await;
            }
        }
        // Since the restart: 0, 10, 20, 30.
        let gate = scene.measure(&counter, 10);
        assert_eq!(
            (gate.value, gate.observed_ms, gate.warming),
            (Some(30.0), 3_000, true)
        );
        let span = Span {
            window: Duration::from_secs(10),
            interval: SECOND,
            this_process: false,
        };
        let trigger = scene.watch.measure(&counter, &["a"], span, scene.now);
        assert_eq!(trigger.value, Some(60.0 + 30.0), "{trigger:?}");
    }
}

#[tokio::test]
async fn a_restart_that_leaves_no_trace_in_the_counters_is_seen_by_the_boot_id() {
    let counter = Measure::Increase {
        counter: "requests_total".into(),
    };
    let mut scene = Scene::new(&counter);
    scene.script.says_as("a", "one", &requests(5, 0));
    scene.sample().await;
    scene.script.says_as("a", "two", &requests(9, 0));
    scene.sample().await;
    assert_eq!(scene.measure(&counter, 10).value, Some(9.0));
}

#[tokio::test]
async fn targets_are_taken_together_and_one_that_is_missing_is_not_left_out() {
    let mut scene = Scene::new(&errors());
    for i in 0..12 {
        scene.script.says("a", &requests(9 * i, i));
        scene.script.says("b", &requests(30 * i, 0));
        scene.sample().await;
    }
    let m = scene.measure_on(&errors(), &["a", "b"], 10);
    assert_eq!((m.value, m.samples), (Some(0.025), Some(400.0)));
    scene.script.fails("b", "no connection: refused");
    for i in 12..20 {
        scene.script.says("a", &requests(9 * i, i));
        scene.sample().await;
    }
    assert_eq!(
        scene.measure_on(&errors(), &["a", "b"], 10).status,
        Status::Error
    );
}

#[tokio::test]
async fn a_quantile_comes_from_the_increase_of_the_buckets() {
    let measure = Measure::Quantile {
        q: 0.9,
        histogram: "seconds{op=\"verify\"}".into(),
    };
    let mut scene = Scene::new(&measure);
    let text = |i: u32| {
        // Old slow requests, which are not in the window.
        let slow = 1000;
        format!(
            "seconds_bucket{{op=\"verify\",le=\"0.1\"}} {}\n\
             seconds_bucket{{op=\"verify\",le=\"0.5\"}} {}\n\
             seconds_bucket{{op=\"verify\",le=\"1.0\"}} {}\n\
             seconds_bucket{{op=\"verify\",le=\"+Inf\"}} {}\n\
             seconds_bucket{{op=\"issue\",le=\"+Inf\"}} {}\n",
            i,
            2 * i,
            4 * i,
            slow + 4 * i,
            50 * i
        )
    };
    scene.play("a", 15, text).await;
    let m = scene.measure(&measure, 10);
    assert_eq!(m.samples, Some(40.0), "{m:?}");
    assert!(near(m.value.expect("measured"), 0.9), "{m:?}");
}

#[tokio::test]
async fn targets_with_different_buckets_are_not_added_up() {
    let measure = Measure::Quantile {
        q: 0.9,
        histogram: "seconds".into(),
    };
    let mut scene = Scene::new(&measure);
    for i in 0..12 {
        for (target, bound) in [("a", "0.1"), ("b", "0.2")] {
            let text = format!(
                "seconds_bucket{{le=\"{bound}\"}} {i}\nseconds_bucket{{le=\"+Inf\"}} {i}\n"
            );
            scene.script.says(target, &text);
        }
        scene.sample().await;
    }
    let m = scene.measure_on(&measure, &["a", "b"], 10);
    assert_eq!(m.status, Status::Inconclusive);
    assert!(m.why.contains("different buckets"), "{}", m.why);
}

#[tokio::test]
async fn a_clock_that_goes_back_does_not_invent_time() {
    let mut scene = Scene::new(&errors());
    scene.play("a", 12, |i| requests(10 * i, 0)).await;
    scene.now -= Duration::from_secs(3600);
    scene.play("a", 3, |i| requests(200 + 10 * i, 0)).await;
    let m = scene.measure(&errors(), 10);
    assert_eq!(
        (m.samples, m.observed_ms, m.warming),
        (Some(20.0), 2_000, true),
        "{m:?}"
    );
}

fn target(url: &str) -> Target {
    Target {
        name: "auth-1".into(),
        url: url.into(),
        groups: Vec::new(),
        env_file: "none".into(),
        restart: Restart::Command(vec!["true".into()]),
        state_dir: "none".into(),
        log: None,
    }
}

#[tokio::test]
async fn a_target_that_accepts_and_never_answers_does_not_hold_up_the_others() {
    let hanging = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let answering = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = |l: &std::net::TcpListener| format!("http://{}", l.local_addr().expect("an address"));
    let urls = [url(&hanging), url(&answering)];
    std::thread::spawn(move || {
        for stream in answering.incoming() {
            let mut stream = stream.expect("a connection");
            let _ = stream.read(&mut [0; 2048]);
            let body = "# TYPE x_total counter\nx_total 5\n";
            let answer = format!(
                "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}",
                body.len()
            );
            let _ = stream.write_all(answer.as_bytes());
        }
    });
    let mut scrape = Scrape::default();
    for (name, url) in ["hanging", "answering"].iter().zip(&urls) {
        scrape.add(
            *name,
            ServiceClient::new(&target(url), None).expect("a client"),
        );
    }
    let measure = Measure::Increase {
        counter: "x_total".into(),
    };
    let mut watch = Watch::new(scrape, [&measure], Duration::from_secs(60)).expect("a watch");
    let now = Timestamp::now();
    watch.sample(now).await;
    watch.sample(now + SECOND).await;
    let span = Span {
        window: Duration::from_secs(10),
        interval: SECOND,
        this_process: false,
    };
    let good = watch.measure(&measure, &["answering"], span, now + SECOND);
    assert_eq!(
        (good.status, good.value),
        (Status::Measured, Some(0.0)),
        "{good:?}"
    );
    let bad = watch.measure(&measure, &["hanging"], span, now + SECOND);
    assert_eq!(bad.status, Status::Error);
    assert!(bad.why.contains("no answer within"), "{}", bad.why);
    drop(hanging);
}

/// Answers at once, or never.
struct Halves;

impl Provider for Halves {
    fn targets(&self) -> Vec<String> {
        vec!["answers".into(), "hangs".into()]
    }

    fn spacing(&self, _target: &str) -> Duration {
        Duration::ZERO
    }

    async fn fetch(&self, target: &str, wish: &Wish<'_>) -> Result<Fetched, String> {
        if target == "hangs" {
            std::future::pending::<()>().await;
        }
        parse(&requests(1, 0)).map(|scraped| Fetched::now(wish, scraped))
    }
}

#[tokio::test]
async fn what_did_not_answer_the_last_time_delays_what_is_seen_of_the_others_less() {
    let mut watch = Watch::new(Halves, [&errors()], SECOND).expect("a watch");
    let mut took = Vec::new();
    let mut now = Timestamp::now();
    for _ in 0..2 {
        let began = std::time::Instant::now();
        watch.sample(now).await;
        took.push(began.elapsed());
        now += SECOND;
    }
    assert!(took[1] < took[0] / 2, "{took:?}");
}

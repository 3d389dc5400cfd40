//! Metrics, gates and triggers: what was measured, what was not, and what follows from it (P6).

use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use dbctl::carry::client::ServiceClient;
use dbctl::check::Verdict;
use dbctl::check::gates::{Method, TriggerState};
use dbctl::check::metrics::{
    Exposition, Measurement, Provider, Scrape, Selector, Span, Status, Watch, check_measure, parse,
};
use dbctl::check::statistics::{
    Z_95_ONE_SIDED, Z_95_TWO_SIDED, growth_until_below, histogram_quantile, newcombe, wilson,
};
use dbctl::runbook::model::{Gate, Measure, OnTrigger, Position, Trigger};
use dbctl::settings::{Restart, Target};
use jiff::Timestamp;

// ---- a provider whose answers the test writes ----

#[derive(Clone, Default)]
struct Script(Arc<Mutex<BTreeMap<String, Result<Exposition, String>>>>);

impl Script {
    fn says(&self, target: &str, text: &str) {
        self.put(target, Ok(parse(text).expect("a scrape")));
    }

    fn says_as(&self, target: &str, boot: &str, text: &str) {
        let scraped = Exposition {
            boot_id: Some(boot.into()),
            ..parse(text).expect("a scrape")
        };
        self.put(target, Ok(scraped));
    }

    fn fails(&self, target: &str, why: &str) {
        self.put(target, Err(why.into()));
    }

    fn put(&self, target: &str, answer: Result<Exposition, String>) {
        let mut answers = self.0.lock().expect("not poisoned");
        answers.insert(target.into(), answer);
    }
}

impl Provider for Script {
    fn targets(&self) -> Vec<String> {
        self.0
            .lock()
            .expect("not poisoned")
            .keys()
            .cloned()
            .collect()
    }

    async fn fetch(&self, target: &str) -> Result<Exposition, String> {
        self.0.lock().expect("not poisoned")[target].clone()
    }
}

struct Scene {
    script: Script,
    watch: Watch<Script>,
    now: Timestamp,
}

const SECOND: Duration = Duration::from_secs(1);

impl Scene {
    fn new(measure: &Measure) -> Self {
        let script = Script::default();
        let horizon = Duration::from_secs(60);
        Self {
            watch: Watch::new(script.clone(), [measure], horizon).expect("a measure"),
            script,
            now: "2026-01-01T00:00:00Z".parse().expect("a time"),
        }
    }

    /// Samples once a second: `text(i)` at second `i`.
    async fn play(&mut self, target: &str, seconds: u32, text: impl Fn(u32) -> String) {
        for i in 0..seconds {
            self.script.says(target, &text(i));
            self.sample().await;
        }
    }

    async fn sample(&mut self) {
        self.now += SECOND;
        self.watch.sample(self.now).await;
    }

    fn measure(&self, measure: &Measure, window_s: u64) -> Measurement {
        self.measure_on(measure, &["a"], window_s)
    }

    fn measure_on(&self, measure: &Measure, on: &[&str], window_s: u64) -> Measurement {
        let span = Span {
            window: Duration::from_secs(window_s),
            interval: SECOND,
            this_process: true,
        };
        self.watch.measure(measure, on, span, self.now)
    }
}

fn errors() -> Measure {
    Measure::Ratio {
        bad: "requests_total{code=~\"5..\"}".into(),
        total: "requests_total".into(),
    }
}

fn requests(good: u32, bad: u32) -> String {
    format!(
        "# TYPE requests_total counter\n\
         requests_total{{code=\"200\"}} {good}\n\
         requests_total{{code=\"500\"}} {bad}\n"
    )
}

fn gate(measure: Measure, max: f64, margin: Option<f64>) -> Gate {
    Gate {
        id: "auth-errors".into(),
        heading: "Watch".into(),
        measure,
        max,
        margin,
        interval: SECOND,
        window: Duration::from_secs(10),
        min_samples: 50,
        failure_limit: 0,
        error_limit: 3,
        at: Position::default(),
    }
}

fn trigger(measure: Measure, above: f64, min_samples: u64) -> Trigger {
    Trigger {
        id: "auth-failures".into(),
        heading: "Triggers".into(),
        measure,
        above,
        window: Duration::from_secs(10),
        interval: SECOND,
        min_samples,
        on_trigger: OnTrigger::Rollback,
        at: Position::default(),
    }
}

fn near(a: f64, b: f64) -> bool {
    (a - b).abs() < 5e-5
}

// ---- the text format ----

#[test]
fn the_text_format_is_read_with_everything_that_labels_may_hold() {
    let text = "# HELP x_total What, {with} \"things\"\n\
                # TYPE x_total counter\n\
                x_total{a=\"one, two=\\\"3\\\" }\",b=\"c:\\\\d\\n\"} 1.5e3 1700000000000\n\
                \n\
                plain 7\n\
                spaced { a = \"b\" , } +Inf\n\
                bad NaN\n\
                low -Inf\n\
                ex_bucket{le=\"0.1\"} 4 # {trace_id=\"t\"} 0.05 1.0\n\
                # EOF\n";
    let read = parse(text).expect("it is well formed");
    let names: Vec<&str> = read.series.iter().map(|s| s.name.as_str()).collect();
    assert_eq!(
        names,
        ["x_total", "plain", "spaced", "bad", "low", "ex_bucket"]
    );
    assert_eq!(read.series[0].labels["a"], "one, two=\"3\" }");
    assert_eq!(read.series[0].labels["b"], "c:\\d\n");
    assert_eq!(read.series[0].value, 1500.0);
    assert_eq!(read.series[2].value, f64::INFINITY);
    assert!(read.series[3].value.is_nan());
    assert!(read.announced.contains("x_total"));
}

#[test]
fn a_line_that_cannot_be_read_is_an_error_that_names_it_without_quoting_it() {
    for line in [
        "x{a=\"b\" 1",
        "x{a=b} 1",
        "x{a=\"b\"",
        "x{=\"b\"} 1",
        "x{a=\"1\",a=\"2\"} 1",
        "x",
        "x one",
        "x 1 2 three four",
        "x 1 junk",
        "9x 1",
        "<html>secret</html>",
    ] {
        let why = parse(&format!("ok 1\n{line}\n")).expect_err(line);
        assert!(why.starts_with("line 2: "), "{line}: {why}");
        assert!(!why.contains("secret"), "{why}");
    }
}

#[test]
fn selectors_choose_by_label_as_promql_does() {
    let labels = |pairs: &[(&str, &str)]| {
        let pairs = pairs
            .iter()
            .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()));
        pairs.collect::<BTreeMap<_, _>>()
    };
    let series = labels(&[("code", "500"), ("op", "verify")]);
    for (text, chosen) in [
        ("x", true),
        ("x{}", true),
        ("y", false),
        ("x{code=\"500\"}", true),
        ("x{code=\"50\"}", false),
        ("x{code!=\"500\"}", false),
        ("x{code=~\"5..\"}", true),
        ("x{code=~\"5.\"}", false),
        ("x{code!~\"5..\", op=\"verify\"}", false),
        ("x{missing=\"\"}", true),
        ("x{missing!=\"\"}", false),
        (" x { op =~ \"verify|issue\" } ", true),
    ] {
        let selector = Selector::parse(text).expect(text);
        assert_eq!(selector.matches("x", &series), chosen, "{text}");
    }
    for text in [
        "",
        "rate(x[1m])",
        "sum(x)",
        "x{",
        "x{a}",
        "x{a=~\"(\"}",
        "x[5m]",
        "x{a=\"b\"} + 1",
    ] {
        let why = Selector::parse(text).expect_err(text);
        assert!(why.contains("metric's name"), "{text}: {why}");
    }
    let wrong = Measure::Increase {
        counter: "sum(x)".into(),
    };
    assert!(check_measure(&wrong).is_err());
}

// ---- the numbers ----

#[test]
fn newcombes_interval_is_that_of_his_paper() {
    // Newcombe 1998, table II, method 10: x1/n1, x2/n2, lower, upper.
    for (x1, n1, x2, n2, lower, upper) in [
        (56.0, 70.0, 48.0, 80.0, 0.0524, 0.3339),
        (9.0, 10.0, 3.0, 10.0, 0.1705, 0.8090),
        (6.0, 7.0, 2.0, 7.0, 0.0582, 0.8062),
        (5.0, 56.0, 0.0, 29.0, -0.0381, 0.1926),
        (0.0, 10.0, 0.0, 20.0, -0.1611, 0.2775),
        (0.0, 10.0, 0.0, 10.0, -0.2775, 0.2775),
        (10.0, 10.0, 0.0, 20.0, 0.6791, 1.0000),
        (10.0, 10.0, 0.0, 10.0, 0.6075, 1.0000),
    ] {
        let bounds = newcombe(x1, n1, x2, n2, Z_95_TWO_SIDED);
        assert!(near(bounds.lower, lower), "{x1}/{n1} {x2}/{n2}: {bounds:?}");
        assert!(near(bounds.upper, upper), "{x1}/{n1} {x2}/{n2}: {bounds:?}");
    }
}

#[test]
fn wilsons_interval_is_sound_at_the_edges() {
    let none = wilson(0.0, 100.0, Z_95_ONE_SIDED);
    assert_eq!(none.lower, 0.0);
    // z² / (n + z²)
    assert!(near(none.upper, 2.705_543 / 102.705_543), "{none:?}");
    let nothing = wilson(0.0, 0.0, Z_95_ONE_SIDED);
    assert!(nothing.value.is_nan());
    assert_eq!((nothing.lower, nothing.upper), (0.0, 1.0));
}

#[test]
fn how_much_more_is_needed_is_found_by_growing_both_arms() {
    let f = growth_until_below((2.0, 1000.0), (4.0, 2000.0), 0.002, 100.0).expect("in reach");
    let at = |f: f64| newcombe(2.0 * f, 1000.0 * f, 4.0 * f, 2000.0 * f, Z_95_ONE_SIDED).upper;
    assert!(at(f) < 0.002 && at(f * 0.97) >= 0.002, "{f}");
    let worse = growth_until_below((50.0, 1000.0), (4.0, 2000.0), 0.002, 100.0);
    assert_eq!(worse, None, "more traffic does not make it better");
}

#[test]
fn quantiles_are_interpolated_as_prometheus_does() {
    const INF: f64 = f64::INFINITY;
    let buckets = [(0.1, 10.0), (0.5, 20.0), (1.0, 40.0), (INF, 40.0)];
    for (q, expected) in [
        (0.25, 0.1),
        (0.5, 0.5),
        (0.9, 0.9),
        (0.1, 0.04),
        (0.0, 0.0),
        (1.0, 1.0),
    ] {
        assert!(near(histogram_quantile(q, &buckets), expected), "q {q}");
    }
    let slow = [(0.1, 1.0), (INF, 10.0)];
    assert_eq!(histogram_quantile(0.9, &slow), 0.1, "beyond the last bound");
    let unordered = [(INF, 40.0), (0.5, 20.0), (1.0, 40.0), (0.1, 10.0)];
    assert_eq!(
        histogram_quantile(0.9, &unordered),
        histogram_quantile(0.9, &buckets)
    );
    for nothing in [
        &[][..],
        &[(INF, 0.0)],
        &[(0.1, 0.0), (INF, 0.0)],
        &[(0.1, 1.0), (0.5, 2.0)],
    ] {
        assert!(histogram_quantile(0.5, nothing).is_nan(), "{nothing:?}");
    }
}

// ---- measuring ----

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
        m.why.contains("since 5 s: no connection: refused"),
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
    assert_eq!((m.observed_ms, m.warming), (9_000, false), "{m:?}");
    let reading = scene.watch.judge_gate(
        &Gate {
            window: Duration::from_secs(30),
            ..gate(errors(), 0.01, None)
        },
        &["a"],
        &[] as &[&str],
        scene.now,
    );
    assert_eq!(
        (reading.verdict, reading.warming),
        (Verdict::Inconclusive, false)
    );
    assert!(
        reading.why.contains("only 9 s of 30 s were observed"),
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
async fn a_coincidence_counts_only_what_rises_in_the_same_interval() {
    let measure = Measure::Coincidence {
        left: "verify_failed_total".into(),
        right: "lookup_failed_total".into(),
    };
    let mut scene = Scene::new(&measure);
    // (verify, lookup): apart, then together.
    for (verify, lookup) in [(0, 0), (10, 0), (10, 10), (15, 12), (15, 12), (16, 40)] {
        let text = format!("verify_failed_total {verify}\nlookup_failed_total {lookup}\n");
        scene.script.says("a", &text);
        scene.sample().await;
    }
    assert_eq!(
        scene.measure(&measure, 10).value,
        Some(3.0),
        "2 and 1 together"
    );
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

// ---- gates ----

#[tokio::test]
async fn a_gate_passes_only_once_its_window_is_observed_and_fails_at_once() {
    let gate = gate(errors(), 0.05, None);
    let mut scene = Scene::new(&errors());
    let none: &[&str] = &[];
    scene.play("a", 6, |i| requests(100 * i, i)).await;
    let early = scene.watch.judge_gate(&gate, &["a"], none, scene.now);
    assert_eq!(
        (early.verdict, early.warming),
        (Verdict::Inconclusive, true)
    );
    assert!(
        early.why.contains("so far, over 5 s of 10 s"),
        "{}",
        early.why
    );
    scene.play("a", 6, |i| requests(600 + 100 * i, 6 + i)).await;
    let full = scene.watch.judge_gate(&gate, &["a"], none, scene.now);
    assert_eq!(full.verdict, Verdict::Pass, "{full:?}");
    assert_eq!(full.why, "0.99 %, at most 5 %");

    let mut scene = Scene::new(&errors());
    scene.play("a", 3, |i| requests(100 * i, 20 * i)).await;
    let bad = scene.watch.judge_gate(&gate, &["a"], none, scene.now);
    assert_eq!(bad.verdict, Verdict::Fail, "{bad:?}");
    assert!(
        bad.why.contains("16.67 % is above the limit 5 %"),
        "{}",
        bad.why
    );
}

#[tokio::test]
async fn too_few_requests_are_inconclusive_and_say_how_many_are_missing() {
    let gate = gate(errors(), 0.05, None);
    let mut scene = Scene::new(&errors());
    scene.play("a", 15, |i| requests(2 * i, 0)).await;
    let reading = scene
        .watch
        .judge_gate(&gate, &["a"], &[] as &[&str], scene.now);
    assert_eq!(
        (reading.verdict, reading.warming),
        (Verdict::Inconclusive, false)
    );
    assert_eq!(
        reading.why,
        "20 of at least 50 requests, needs 30 more (~15s)"
    );
}

#[tokio::test]
async fn a_margin_is_shown_by_the_upper_bound_and_not_by_the_two_numbers() {
    let gate = gate(errors(), 0.5, Some(0.01));
    // canary, others (per second good, bad) and what follows.
    for (canary, others, verdict, words) in [
        ((1000, 1), (2000, 2), Verdict::Pass, "worse by at most"),
        (
            (20, 0),
            (40, 0),
            Verdict::Inconclusive,
            "cannot be ruled out, margin +1 pp, needs",
        ),
        (
            (1000, 60),
            (2000, 2),
            Verdict::Fail,
            "worse by +5.56 pp, margin +1 pp",
        ),
    ] {
        let mut scene = Scene::new(&errors());
        for i in 0..12 {
            scene
                .script
                .says("a", &requests(canary.0 * i, canary.1 * i));
            scene
                .script
                .says("b", &requests(others.0 * i, others.1 * i));
            scene.sample().await;
        }
        let reading = scene.watch.judge_gate(&gate, &["a"], &["b"], scene.now);
        assert_eq!(reading.verdict, verdict, "{}", reading.why);
        assert!(reading.why.contains(words), "{words}: {}", reading.why);
        let difference = reading.difference.expect("it was compared");
        assert_eq!(difference.method, Method::Newcombe);
        assert_eq!(reading.needs.is_some(), verdict == Verdict::Inconclusive);
    }
}

#[tokio::test]
async fn without_others_a_margin_says_that_only_the_ceiling_was_judged() {
    let gate = gate(errors(), 0.05, Some(0.01));
    let mut scene = Scene::new(&errors());
    scene.play("a", 15, |i| requests(100 * i, 0)).await;
    let alone = scene
        .watch
        .judge_gate(&gate, &["a"], &[] as &[&str], scene.now);
    assert_eq!(alone.verdict, Verdict::Pass);
    assert!(
        alone
            .why
            .contains("no other targets to compare with: weaker"),
        "{}",
        alone.why
    );
    // There are others, and they do not answer: that is not the same.
    let silent = scene.watch.judge_gate(&gate, &["a"], &["b"], scene.now);
    assert_eq!(silent.verdict, Verdict::Error, "{}", silent.why);
}

#[tokio::test]
async fn a_latency_margin_is_a_plain_difference_and_says_that_it_is_weaker() {
    let measure = Measure::Quantile {
        q: 0.5,
        histogram: "seconds".into(),
    };
    let gate = Gate {
        max: 1.0,
        margin: Some(0.05),
        ..gate(measure.clone(), 1.0, None)
    };
    for (fast_of_canary, verdict) in [(10, Verdict::Pass), (0, Verdict::Fail)] {
        let mut scene = Scene::new(&measure);
        for i in 0..12 {
            for (target, fast) in [("a", fast_of_canary), ("b", 10)] {
                let text = format!(
                    "seconds_bucket{{le=\"0.1\"}} {}\nseconds_bucket{{le=\"0.5\"}} {}\nseconds_bucket{{le=\"+Inf\"}} {}\n",
                    fast * i,
                    10 * i,
                    10 * i
                );
                scene.script.says(target, &text);
            }
            scene.sample().await;
        }
        let reading = scene.watch.judge_gate(&gate, &["a"], &["b"], scene.now);
        assert_eq!(reading.verdict, verdict, "{}", reading.why);
        let difference = reading.difference.expect("compared");
        assert_eq!(difference.method, Method::Plain);
    }
}

#[tokio::test]
async fn readings_survive_json_as_evidence() {
    let gate = gate(errors(), 0.5, Some(0.01));
    let mut scene = Scene::new(&errors());
    for i in 0..12 {
        scene.script.says("a", &requests(20 * i, 0));
        scene.script.says("b", &requests(40 * i, i));
        scene.sample().await;
    }
    let reading = scene.watch.judge_gate(&gate, &["a"], &["b"], scene.now);
    let text = serde_json::to_string(&reading).expect("plain data");
    let back: dbctl::check::gates::GateReading = serde_json::from_str(&text).expect("the same");
    assert_eq!(back.why, reading.why);
    assert_eq!(back.difference.is_some(), reading.difference.is_some());
}

// ---- triggers ----

#[tokio::test]
async fn a_trigger_fires_only_on_what_was_really_measured() {
    let limit = trigger(errors(), 0.05, 20);
    for (text, state) in [
        (requests(5, 5), TriggerState::Unknown),
        ("other 1\n".to_owned(), TriggerState::Unknown),
        ("requests_total NaN\n".to_owned(), TriggerState::Unknown),
    ] {
        let mut scene = Scene::new(&errors());
        scene.play("a", 5, |_| text.clone()).await;
        let reading = scene.watch.judge_trigger(&limit, &["a"], scene.now);
        assert_eq!(reading.state, state, "{}", reading.why);
        assert!(!reading.why.is_empty());
    }
    for (bad, state) in [(0, TriggerState::Quiet), (3, TriggerState::Fired)] {
        let mut scene = Scene::new(&errors());
        scene.play("a", 4, |i| requests(10 * i, bad * i)).await;
        let reading = scene.watch.judge_trigger(&limit, &["a"], scene.now);
        assert_eq!(reading.state, state, "{}", reading.why);
    }
    let reading =
        Scene::new(&errors())
            .watch
            .judge_trigger(&limit, &[] as &[&str], Timestamp::now());
    assert_eq!(reading.state, TriggerState::Unknown);
}

#[tokio::test]
async fn one_bad_target_does_not_hide_among_good_ones() {
    let limit = trigger(errors(), 0.2, 20);
    let mut scene = Scene::new(&errors());
    for i in 0..8 {
        scene.script.says("a", &requests(5 * i, 5 * i));
        scene.script.says("b", &requests(100 * i, 0));
        scene.sample().await;
    }
    let reading = scene.watch.judge_trigger(&limit, &["a", "b"], scene.now);
    assert_eq!(reading.state, TriggerState::Fired);
    assert_eq!(reading.why, "50 % on a in 10 s (limit 20 %)");
    scene.script.fails("b", "no connection: refused");
    for _ in 0..5 {
        scene.script.says("a", &requests(1000, 40));
        scene.sample().await;
    }
    let blind = scene.watch.judge_trigger(&limit, &["b"], scene.now);
    assert_eq!(blind.state, TriggerState::Unknown, "{}", blind.why);
}

// ---- over HTTP ----

fn target(url: &str) -> Target {
    Target {
        name: "auth-1".into(),
        url: url.into(),
        groups: Vec::new(),
        env_file: "none".into(),
        restart: Restart::Command(vec!["true".into()]),
        state_dir: "none".into(),
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

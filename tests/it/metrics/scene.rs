//! A provider whose answers the test writes, and a clock of the test's own.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use dbctl::check::gates::{Arms, Deciding, GateReading, SoFar, Totals};
use dbctl::check::metrics::{Exposition, Fetched, Measurement, Provider, Span, Watch, Wish, parse};
use dbctl::runbook::model::{Gate, Limits, Measure, OnTrigger, Position, Thresholds, Trigger};
use jiff::Timestamp;

#[derive(Clone, Default)]
pub struct Script(Arc<Mutex<BTreeMap<String, Result<Exposition, String>>>>);

impl Script {
    pub fn says(&self, target: &str, text: &str) {
        self.put(target, Ok(parse(text).expect("a scrape")));
    }

    pub fn says_as(&self, target: &str, boot: &str, text: &str) {
        let scraped = Exposition {
            boot_id: Some(boot.into()),
            ..parse(text).expect("a scrape")
        };
        self.put(target, Ok(scraped));
    }

    pub fn fails(&self, target: &str, why: &str) {
        self.put(target, Err(why.into()));
    }

    pub fn put(&self, target: &str, answer: Result<Exposition, String>) {
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

    fn spacing(&self, _target: &str) -> Duration {
        Duration::ZERO
    }

    async fn fetch(&self, target: &str, wish: &Wish<'_>) -> Result<Fetched, String> {
        let answer = self.0.lock().expect("not poisoned")[target].clone();
        Ok(Fetched::now(wish, answer?))
    }
}

pub struct Scene {
    pub script: Script,
    pub watch: Watch<Script>,
    pub now: Timestamp,
}

pub const SECOND: Duration = Duration::from_secs(1);

impl Scene {
    pub fn new(measure: &Measure) -> Self {
        let script = Script::default();
        let horizon = Duration::from_secs(60);
        Self {
            watch: Watch::new(script.clone(), [measure], horizon).expect("a measure"),
            script,
            now: "2026-01-01T00:00:00Z".parse().expect("a time"),
        }
    }

    /// Samples once a second: `text(i)` at second `i`.
    pub async fn play(&mut self, target: &str, seconds: u32, text: impl Fn(u32) -> String) {
        for i in 0..seconds {
            self.script.says(target, &text(i));
            self.sample().await;
        }
    }

    /// Judges a gate at a look of its own: nothing was counted before.
    pub fn judge(&self, gate: &Gate, others: &[&str]) -> GateReading {
        self.judge_after(gate, others, &nothing())
    }

    pub fn judge_after(&self, gate: &Gate, others: &[&str], so_far: &SoFar) -> GateReading {
        self.watch
            .judge_gate(gate, &["a"], others, so_far, self.now)
    }

    pub async fn sample(&mut self) {
        self.now += SECOND;
        self.watch.sample(self.now).await;
    }

    pub fn measure(&self, measure: &Measure, window_s: u64) -> Measurement {
        self.measure_on(measure, &["a"], window_s)
    }

    pub fn measure_on(&self, measure: &Measure, on: &[&str], window_s: u64) -> Measurement {
        let span = Span {
            window: Duration::from_secs(window_s),
            interval: SECOND,
            this_process: true,
        };
        self.watch.measure(measure, on, span, self.now)
    }
}

pub fn errors() -> Measure {
    Measure::Ratio {
        bad: "requests_total{code=~\"5..\"}".into(),
        total: "requests_total".into(),
    }
}

pub fn requests(good: u32, bad: u32) -> String {
    format!(
        "# TYPE requests_total counter\n\
         requests_total{{code=\"200\"}} {good}\n\
         requests_total{{code=\"500\"}} {bad}\n"
    )
}

pub fn gate(measure: Measure, max: f64, margin: Option<f64>) -> Gate {
    Gate {
        id: "auth-errors".into(),
        heading: "Watch".into(),
        measure,
        thresholds: Thresholds::max(max),
        margin,
        interval: SECOND,
        window: Duration::from_secs(10),
        initial_delay: Duration::ZERO,
        min_samples: 50,
        limits: Limits::default(),
        muted: false,
        at: Position::default(),
    }
}

/// The first look of a bake.
pub fn nothing() -> SoFar {
    SoFar {
        since: None,
        totals: Totals::default(),
        state: Deciding::Not,
        window_over: false,
        decisions: 1,
        gates: 1,
    }
}

/// The end of a bake in which this was counted: bad and all, of the baking targets and the others.
pub fn at_the_end(baking: (f64, f64), others: (f64, f64)) -> SoFar {
    let counted = |(bad, total)| dbctl::check::gates::Counted { bad, total };
    SoFar {
        totals: Totals::default().with(Arms {
            baking: counted(baking),
            others: counted(others),
        }),
        state: Deciding::Now,
        ..nothing()
    }
}

pub fn trigger(measure: Measure, above: f64, min_samples: u64) -> Trigger {
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

pub fn near(a: f64, b: f64) -> bool {
    (a - b).abs() < 5e-5
}

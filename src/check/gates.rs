//! Judging gates and triggers: pure functions from measurements to readings.
//!
//! A gate passes only on a number that was really measured: enough samples, a window that was
//! observed, below its ceiling, and shown not to be worse than the others by more than the margin.
//! "Not significantly worse" is not enough; with little data that holds for everything. So the
//! comparison is a test of non-inferiority: the upper 95 % bound of the difference (one-sided)
//! must lie below the margin.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::Verdict;
use super::metrics::{Measurement, Provider, Span, Status, Watch};
use super::statistics::{Bounds, Z_95_ONE_SIDED, growth_until_below, newcombe};
use crate::runbook::model::{Gate, Measure, Trigger};

/// The share of the window that must have been observed before a gate can pass.
pub const MIN_COVERAGE: f64 = 0.9;
/// More than this many times the present traffic is not something to wait for.
const OUT_OF_REACH: f64 = 100.0;

/// A gate's verdict with everything that it rests on. It goes to the journal as evidence.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct GateReading {
    pub gate: String,
    pub at: Timestamp,
    pub verdict: Verdict,
    /// One line for a person: the value, the limit, the reason.
    pub why: String,
    /// Inconclusive only because the watch or a process began less than a window ago: nothing is
    /// wrong, and it should not count against the gate's `error_limit`.
    pub warming: bool,
    pub max: f64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub margin: Option<f64>,
    pub measured: Measurement,
    /// The targets that are not baking.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub others: Option<Measurement>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub difference: Option<Difference>,
    /// What is still needed for a certain verdict, at the present rate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub needs: Option<Needs>,
}

/// How much worse than the others.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Difference {
    /// `newcombe` with 95 % bounds (one-sided each), or `plain`: two numbers without bounds,
    /// which is weaker.
    pub method: Method,
    #[serde(flatten)]
    pub bounds: Bounds,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Method {
    Newcombe,
    Plain,
}

#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Needs {
    /// Requests to the baking targets.
    pub samples: f64,
    pub seconds: f64,
}

/// A trigger's state with everything that it rests on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TriggerReading {
    pub trigger: String,
    pub at: Timestamp,
    pub state: TriggerState,
    /// One line for a person.
    pub why: String,
    pub above: f64,
    /// The measurement that decided: of one target, or of all together.
    pub measured: Measurement,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TriggerState {
    Fired,
    Quiet,
    /// It could not be judged: shown, never taken for quiet.
    Unknown,
}

impl<P: Provider> Watch<P> {
    /// Judges `gate` over the targets `on`, compared with `others` where it has a margin.
    pub fn judge_gate(
        &self,
        gate: &Gate,
        on: &[impl AsRef<str>],
        others: &[impl AsRef<str>],
        now: Timestamp,
    ) -> GateReading {
        let span = Span {
            window: gate.window,
            interval: gate.interval,
            this_process: true,
        };
        let measured = self.measure(&gate.measure, on, span, now);
        let compared = gate.margin.is_some() && !others.is_empty();
        let others = compared.then(|| self.measure(&gate.measure, others, span, now));
        judge(gate, measured, others)
    }

    /// Judges `trigger` over all of `on` together and over each of them: one bad target must not
    /// hide among good ones.
    pub fn judge_trigger(
        &self,
        trigger: &Trigger,
        on: &[impl AsRef<str>],
        now: Timestamp,
    ) -> TriggerReading {
        let span = Span {
            window: trigger.window,
            interval: trigger.interval,
            this_process: false,
        };
        let together = self.measure(&trigger.measure, on, span, now);
        let each = on
            .iter()
            .map(|target| self.measure(&trigger.measure, &[target], span, now));
        judge_trigger(trigger, together, each)
    }
}

/// The verdict of a gate on what was measured. Pure.
pub fn judge(gate: &Gate, measured: Measurement, others: Option<Measurement>) -> GateReading {
    let mut reading = GateReading {
        gate: gate.id.clone(),
        at: measured.at,
        verdict: Verdict::Inconclusive,
        why: String::new(),
        warming: false,
        max: gate.max,
        margin: gate.margin,
        measured,
        others,
        difference: None,
        needs: None,
    };
    let (verdict, why) = verdict(gate, &mut reading);
    reading.verdict = verdict;
    reading.why = why;
    reading
}

fn verdict(gate: &Gate, reading: &mut GateReading) -> (Verdict, String) {
    let unit = Unit::of(&gate.measure);
    let value = match enough(&reading.measured, gate.min_samples) {
        Ok(value) => value,
        Err(Unsure {
            verdict,
            why,
            too_few,
        }) => {
            reading.warming = reading.measured.warming && verdict == Verdict::Inconclusive;
            if too_few {
                reading.needs = needs_samples(&reading.measured, gate.min_samples);
            }
            return (verdict, why + &ask(reading.needs));
        }
    };
    let shown = unit.show(value);
    if value > gate.max {
        return (
            Verdict::Fail,
            format!("{shown} is above the limit {}", unit.show(gate.max)),
        );
    }
    if reading.measured.coverage < MIN_COVERAGE {
        reading.warming = reading.measured.warming;
        let observed = reading.measured.observed_ms / 1000;
        let window = gate.window.as_secs();
        let why = if reading.warming {
            format!("{shown} so far, over {observed} s of {window} s")
        } else {
            format!("{shown}, but only {observed} s of {window} s were observed")
        };
        return (Verdict::Inconclusive, why);
    }
    let Some(margin) = gate.margin else {
        let limit = unit.show(gate.max);
        return (Verdict::Pass, format!("{shown}, at most {limit}"));
    };
    let Some(others) = reading.others.clone() else {
        return (
            Verdict::Pass,
            format!(
                "{shown}, at most {} (no other targets to compare with: weaker)",
                unit.show(gate.max)
            ),
        );
    };
    let theirs = match enough(&others, gate.min_samples) {
        Ok(theirs) => theirs,
        Err(Unsure { verdict, why, .. }) => {
            reading.warming = others.warming && verdict == Verdict::Inconclusive;
            return (verdict, format!("{shown}; the others: {why}"));
        }
    };
    compare(reading, (value, theirs), &others, margin, &unit)
}

/// Compares with the targets that are not baking.
fn compare(
    reading: &mut GateReading,
    (value, theirs): (f64, f64),
    others: &Measurement,
    margin: f64,
    unit: &Unit,
) -> (Verdict, String) {
    let measured = &reading.measured;
    let arms = [measured, others].map(|m| m.hits.zip(m.samples));
    let ([Some(here), Some(there)], Unit::Share) = (arms, unit) else {
        let bounds = plain(measured, others, (value, theirs), unit);
        reading.difference = Some(Difference {
            method: Method::Plain,
            bounds,
        });
        let difference = unit.show_difference(bounds.value);
        let limit = unit.show_difference(margin);
        return if bounds.value <= margin {
            (
                Verdict::Pass,
                format!(
                    "{}, {difference} against the others, margin {limit} (without bounds: weaker)",
                    unit.show(value)
                ),
            )
        } else {
            (
                Verdict::Fail,
                format!(
                    "{}, {difference} against the others, margin {limit}",
                    unit.show(value)
                ),
            )
        };
    };
    let bounds = newcombe(here.0, here.1, there.0, there.1, Z_95_ONE_SIDED);
    reading.difference = Some(Difference {
        method: Method::Newcombe,
        bounds,
    });
    let limit = unit.show_difference(margin);
    let upper = unit.show_difference(bounds.upper);
    let against = format!(
        "{} against {} of the others",
        unit.show(value),
        unit.show(theirs)
    );
    if bounds.upper < margin {
        (
            Verdict::Pass,
            format!("{against}: worse by at most {upper}, margin {limit}"),
        )
    } else if bounds.lower > 0.0 && bounds.value > margin {
        (
            Verdict::Fail,
            format!(
                "{against}: worse by {}, margin {limit}",
                unit.show_difference(bounds.value)
            ),
        )
    } else {
        reading.needs = growth_until_below(here, there, margin, OUT_OF_REACH)
            .map(|f| Needs::growing(measured, here.1 * (f - 1.0)));
        let more = match reading.needs {
            Some(_) => ask(reading.needs),
            None => ", and more traffic like this will not show it".to_owned(),
        };
        (
            Verdict::Inconclusive,
            format!("{against}: worse by up to {upper} cannot be ruled out, margin {limit}{more}"),
        )
    }
}

/// A difference without bounds. Counts are compared per target: there may be more of the others.
fn plain(
    measured: &Measurement,
    others: &Measurement,
    (value, theirs): (f64, f64),
    unit: &Unit,
) -> Bounds {
    let (mut ours, mut their) = (value, theirs);
    if matches!(unit, Unit::Count) {
        #[expect(clippy::cast_precision_loss, reason = "a handful of targets")]
        let targets = |m: &Measurement| m.targets.len().max(1) as f64;
        ours /= targets(measured);
        their /= targets(others);
    }
    let value = ours - their;
    Bounds {
        value,
        lower: value,
        upper: value,
    }
}

/// Why there is no value to judge.
struct Unsure {
    verdict: Verdict,
    why: String,
    too_few: bool,
}

/// The value, if it was measured from enough samples.
fn enough(m: &Measurement, min_samples: u64) -> Result<f64, Unsure> {
    let unsure = |verdict, why: String| Unsure {
        verdict,
        why,
        too_few: false,
    };
    let value = match (m.status, m.value) {
        (Status::Measured, Some(value)) if value.is_finite() => value,
        (Status::Measured, _) => {
            return Err(unsure(Verdict::Inconclusive, "it is not a number".into()));
        }
        (Status::Inconclusive, _) => return Err(unsure(Verdict::Inconclusive, m.why.clone())),
        (Status::Error, _) => return Err(unsure(Verdict::Error, m.why.clone())),
    };
    match m.samples {
        Some(n) if n < count(min_samples) => Err(Unsure {
            verdict: Verdict::Inconclusive,
            why: format!("{n:.0} of at least {min_samples} requests"),
            too_few: true,
        }),
        Some(_) | None => Ok(value),
    }
}

#[expect(
    clippy::cast_precision_loss,
    reason = "counts of requests stay far below 2^53"
)]
fn count(n: u64) -> f64 {
    n as f64
}

fn needs_samples(m: &Measurement, min_samples: u64) -> Option<Needs> {
    let missing = count(min_samples) - m.samples?;
    Some(Needs::growing(m, missing))
}

impl Needs {
    /// `more` samples at the rate of the observed part of the window.
    fn growing(m: &Measurement, more: f64) -> Self {
        let observed = count(m.observed_ms) / 1000.0;
        let rate = m.samples.unwrap_or(0.0) / observed;
        Self {
            samples: more.ceil(),
            seconds: if rate > 0.0 && rate.is_finite() {
                more / rate
            } else {
                f64::MAX
            },
        }
    }
}

fn ask(needs: Option<Needs>) -> String {
    match needs {
        None => String::new(),
        Some(n) if n.seconds < 86_400.0 => {
            let (m, s) = ((n.seconds / 60.0).floor(), n.seconds % 60.0);
            let time = if m > 0.0 {
                format!("{m:.0}m")
            } else {
                format!("{:.0}s", s.ceil())
            };
            format!(", needs {:.0} more (~{time})", n.samples)
        }
        Some(n) => format!(", needs {:.0} more", n.samples),
    }
}

/// The state of a trigger on what was measured on all targets together, and on each. Pure.
///
/// Fired as soon as one of them is above the limit with enough samples; quiet only if all
/// together could be judged (a single target may well have too little traffic). How much of the
/// window was observed does not matter: too early a rollback is cheap.
pub fn judge_trigger(
    trigger: &Trigger,
    together: Measurement,
    each: impl IntoIterator<Item = Measurement>,
) -> TriggerReading {
    let unit = Unit::of(&trigger.measure);
    let judged = |m: &Measurement| {
        let on = m.targets.join(", ");
        match enough(m, trigger.min_samples) {
            Ok(value) => {
                let why = format!(
                    "{} on {on} in {} s (limit {})",
                    unit.show(value),
                    trigger.window.as_secs_f64(),
                    unit.show(trigger.above)
                );
                if value > trigger.above {
                    (TriggerState::Fired, why)
                } else {
                    (TriggerState::Quiet, why)
                }
            }
            Err(unsure) => (TriggerState::Unknown, format!("{on}: {}", unsure.why)),
        }
    };
    // A single target says more than all together.
    let fired = each
        .into_iter()
        .find(|m| judged(m).0 == TriggerState::Fired);
    let measured = fired.unwrap_or(together);
    let (state, why) = judged(&measured);
    TriggerReading {
        trigger: trigger.id.clone(),
        at: measured.at,
        state,
        why,
        above: trigger.above,
        measured,
    }
}

/// What a measure counts in.
#[derive(Debug, Clone, Copy)]
enum Unit {
    Share,
    Seconds,
    Count,
}

impl Unit {
    fn of(measure: &Measure) -> Self {
        match measure {
            Measure::Ratio { .. } => Unit::Share,
            Measure::Quantile { .. } => Unit::Seconds,
            Measure::Asked(asked) if asked.counts() => Unit::Share,
            Measure::Increase { .. } | Measure::Coincidence { .. } | Measure::Asked(_) => {
                Unit::Count
            }
        }
    }

    fn show(self, value: f64) -> String {
        match self {
            Unit::Share => format!("{} %", short(value * 100.0)),
            Unit::Seconds => format!("{} ms", short(value * 1000.0)),
            Unit::Count => short(value),
        }
    }

    fn show_difference(self, value: f64) -> String {
        let sign = if value > 0.0 { "+" } else { "" };
        match self {
            Unit::Share => format!("{sign}{} pp", short(value * 100.0)),
            Unit::Seconds | Unit::Count => format!("{sign}{}", self.show(value)),
        }
    }
}

/// At most two decimals, without trailing zeros; small values keep two digits.
fn short(value: f64) -> String {
    let decimals = if value == 0.0 || value.abs() >= 0.1 {
        2
    } else {
        4
    };
    let text = format!("{value:.decimals$}");
    let text = text.trim_end_matches('0').trim_end_matches('.');
    if text == "-0" {
        "0".to_owned()
    } else {
        text.to_owned()
    }
}

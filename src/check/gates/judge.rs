//! Judging a gate.

use super::words::{Unit, ask};
use super::{
    Arms, Comparison, Deciding, FALSE_PASSES, GateReading, MIN_COVERAGE, Needs, SoFar, Totals,
};
use crate::check::Verdict;
use crate::check::metrics::{Measurement, Status};
use crate::check::sequential::{alarm, evidence_of_harm};
use crate::check::statistics::{Bounds, growth_until_below, newcombe, normal_quantile, stratified};
use crate::runbook::model::{Gate, Judged};

/// More than this many times the present traffic is not something to wait for.
const OUT_OF_REACH: f64 = 100.0;

/// The verdict of a gate on what was measured. Pure.
///
/// `others` are measured only where the gate has a margin and there are others. `added` is what
/// this look counted; none if it saw only a part of the time since the look before.
pub fn judge(
    gate: &Gate,
    measured: Measurement,
    others: Option<Measurement>,
    so_far: &SoFar,
    added: Option<Arms>,
) -> GateReading {
    let comparison = gate
        .margin
        .filter(|_| others.is_some())
        .map(|margin| compare(margin, so_far, added));
    let mut reading = GateReading {
        gate: gate.id.clone(),
        at: measured.at,
        verdict: Verdict::Inconclusive,
        why: String::new(),
        warming: false,
        sound: false,
        unseen: added.is_none(),
        grave: false,
        thresholds: gate.thresholds,
        measured,
        others,
        comparison,
        needs: None,
    };
    let (verdict, why) = verdict(gate, so_far, &mut reading);
    reading.verdict = verdict;
    reading.why = why;
    reading
}

/// The counts of both arms so far, and what they say.
fn compare(margin: f64, so_far: &SoFar, added: Option<Arms>) -> Comparison {
    let totals = so_far.totals.with(added.unwrap_or_default());
    let Arms { baking, others } = totals.arms;
    let risk = FALSE_PASSES / f64::from(so_far.decisions.max(1));
    let counted = baking.total > 0.0 && others.total > 0.0;
    let (bad_baking, bad) = totals.weighed();
    let difference = counted.then(|| {
        let z = normal_quantile(1.0 - risk);
        let pooled = newcombe(baking.bad, baking.total, others.bad, others.total, z);
        let both = (baking.total, others.total);
        stratified(pooled, both, bad_baking - totals.expected, totals.weight)
    });
    let harm = evidence_of_harm(bad_baking, bad, totals.expected);
    let alarm = alarm(so_far.gates);
    Comparison {
        margin,
        totals,
        added,
        difference,
        confidence: 1.0 - risk,
        harm,
        alarm,
        proven: harm >= alarm && difference.is_some_and(|d| d.value > margin),
        shown: None,
    }
}

fn verdict(gate: &Gate, so_far: &SoFar, reading: &mut GateReading) -> (Verdict, String) {
    let unit = Unit::of(&gate.measure);
    if let Some(comparison) = reading.comparison.as_ref().filter(|c| c.proven) {
        return (Verdict::Fail, proven(comparison, unit));
    }
    let value = match enough(&reading.measured, gate.min_samples) {
        Ok(value) => value,
        Err(unsure) => {
            reading.warming = reading.measured.warming && unsure.verdict == Verdict::Inconclusive;
            reading.unseen |= !reading.warming;
            if unsure.too_few {
                reading.needs = needs_samples(&reading.measured, gate.min_samples);
            }
            return (unsure.verdict, unsure.why + &ask(reading.needs));
        }
    };
    let shown = unit.show(value);
    match gate.thresholds.judge(value) {
        Judged::Good => {}
        judged @ (Judged::Bad | Judged::Grave) => {
            reading.grave = judged == Judged::Grave;
            return (Verdict::Fail, broken(gate, reading.grave, &shown, unit));
        }
        Judged::Between => {
            let pass = gate.thresholds.pass.map(|c| unit.asks(c));
            let fail = gate.thresholds.fail.map(|c| unit.asks(c));
            let why = format!(
                "{shown}: passes {}, fails {}, and it is neither",
                pass.unwrap_or_default(),
                fail.unwrap_or_default()
            );
            return (Verdict::Inconclusive, why);
        }
    }
    if reading.measured.coverage < MIN_COVERAGE {
        reading.warming = reading.measured.warming;
        reading.unseen |= !reading.warming;
        let observed = reading.measured.observed_ms / 1000;
        let window = gate.window.as_secs();
        let why = format!("{shown} so far, over {observed} s of {window} s");
        return (Verdict::Inconclusive, why);
    }
    let within = match (gate.thresholds.pass, gate.thresholds.fail) {
        (Some(pass), _) => format!("{shown}, {}", unit.asks(pass)),
        (None, Some(fail)) => format!("{shown}, not {}", unit.breaks(fail)),
        (None, None) => shown.clone(),
    };
    if gate.margin.is_none() {
        return (Verdict::Pass, within);
    }
    let Some(others) = &reading.others else {
        let why = format!("{within} (no other targets to compare with: weaker)");
        return (Verdict::Pass, why);
    };
    if let Err(unsure) = enough(others, gate.min_samples) {
        reading.warming = others.warming && unsure.verdict == Verdict::Inconclusive;
        reading.unseen |= !reading.warming;
        let why = format!("{shown}; the others: {}", unsure.why);
        return (unsure.verdict, why);
    }
    decide(reading, so_far, unit)
}

fn broken(gate: &Gate, grave: bool, shown: &str, unit: Unit) -> String {
    let thresholds = gate.thresholds;
    let broken = match grave {
        true => thresholds.rollback,
        false => thresholds.fail,
    };
    match (broken, thresholds.pass) {
        (Some(broken), _) => format!("{shown} is {}", unit.breaks(broken)),
        (None, Some(pass)) => format!("{shown} is not {}", unit.asks(pass)),
        (None, None) => shown.to_owned(),
    }
}

/// "0.61 % against 0.1 % of the others", over the bake.
fn against(totals: &Totals, unit: Unit) -> String {
    let share = |c: super::Counted| unit.show(c.bad / c.total);
    let Arms { baking, others } = totals.arms;
    format!("{} against {} of the others", share(baking), share(others))
}

fn proven(comparison: &Comparison, unit: Unit) -> String {
    let worse = comparison.difference.map_or(f64::NAN, |d| d.value);
    format!(
        "{}: worse by {}, margin {}; that is no chance",
        against(&comparison.totals, unit),
        unit.show_difference(worse),
        unit.show_difference(comparison.margin)
    )
}

/// The decision over the whole bake, where it is due; what stands in its way before.
fn decide(reading: &mut GateReading, so_far: &SoFar, unit: Unit) -> (Verdict, String) {
    let unseen = reading.unseen;
    let Some(comparison) = &mut reading.comparison else {
        return (
            Verdict::Inconclusive,
            "there is nothing to compare with".into(),
        );
    };
    let Some(difference) = comparison.difference else {
        reading.warming = true;
        return (Verdict::Inconclusive, "nothing is counted yet".into());
    };
    let against = against(&comparison.totals, unit);
    let margin = unit.show_difference(comparison.margin);
    let upper = unit.show_difference(difference.upper);
    let certain = difference.upper < comparison.margin;
    let due = so_far.state == Deciding::Now && !unseen;
    if due {
        comparison.shown = Some(certain);
    }
    match so_far.state {
        Deciding::Shown => (Verdict::Pass, format!("{against}: shown at the bake's end")),
        Deciding::Now if due && certain => (
            Verdict::Pass,
            format!("{against}: worse by at most {upper}, margin {margin}"),
        ),
        Deciding::Now | Deciding::Not => {
            reading.warming = true;
            reading.sound = !unseen;
            if certain {
                let why = format!(
                    "{against}: passes if it stays so: worse by at most {upper}, margin {margin}"
                );
                return (Verdict::Inconclusive, why);
            }
            let z = normal_quantile(comparison.confidence);
            let (totals, limit) = (comparison.totals, comparison.margin);
            reading.needs = more(&totals, limit, z, &reading.measured, difference);
            let more = match reading.needs {
                Some(_) => ask(reading.needs),
                None => ", and more traffic like this will not show it".to_owned(),
            };
            let why = format!(
                "{against}: worse by up to {upper} cannot be ruled out, margin {margin}{more}"
            );
            (Verdict::Inconclusive, why)
        }
    }
}

/// How much more traffic like this shows it, if any does.
fn more(
    totals: &Totals,
    margin: f64,
    z: f64,
    measured: &Measurement,
    difference: Bounds,
) -> Option<Needs> {
    let Arms { baking, others } = totals.arms;
    if difference.value >= margin {
        return None;
    }
    let here = (baking.bad, baking.total);
    let there = (others.bad, others.total);
    growth_until_below(here, there, margin, z, OUT_OF_REACH)
        .map(|f| Needs::growing(measured, baking.total * (f - 1.0)))
}

/// Why there is no value to judge.
pub(super) struct Unsure {
    pub verdict: Verdict,
    pub why: String,
    pub too_few: bool,
}

/// The value, if it was measured from enough samples.
pub(super) fn enough(m: &Measurement, min_samples: u64) -> Result<f64, Unsure> {
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

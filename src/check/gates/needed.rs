//! How much traffic a margin needs, told before a run.

use std::time::Duration;

use super::FALSE_PASSES;
use super::words::Unit;
use crate::check::metrics::Measurement;
use crate::check::statistics::required_samples;
use crate::runbook::model::Gate;

/// The probability with which a decision passes baking targets that are as good as the others.
const POWER: f64 = 0.8;

/// How many requests to the baking targets one decision of a gate needs.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Required {
    /// If no request is bad anywhere.
    pub at_best: f64,
    /// If as many are bad, in both arms, as the gate lets pass.
    pub at_limit: f64,
}

/// What the margin of a gate needs, with `ratio` times as many requests to the others; none
/// without a margin. `decisions` share the risk of a false pass.
pub fn required(gate: &Gate, ratio: f64, decisions: u32) -> Option<Required> {
    let margin = gate.margin?;
    let risk = FALSE_PASSES / f64::from(decisions.max(1));
    let at = |share: f64| required_samples(share, margin, ratio, risk, POWER);
    Some(Required {
        at_best: at(0.0),
        // A share of one half wants the most.
        at_limit: at(gate.thresholds.limit().clamp(0.0, 0.5)),
    })
}

/// The same in words, with how long it takes at the present traffic of both arms. `bake` is how
/// long the bake may take in all.
pub fn required_in_words(
    gate: &Gate,
    (baking, others): (&Measurement, &Measurement),
    decisions: u32,
    bake: Duration,
) -> Option<String> {
    let rate = |m: &Measurement| {
        #[expect(clippy::cast_precision_loss, reason = "milliseconds of a window")]
        let seconds = m.observed_ms as f64 / 1000.0;
        let rate = m.samples? / seconds;
        (rate > 0.0 && rate.is_finite()).then_some(rate)
    };
    let (here, there) = (rate(baking), rate(others));
    let ratio = here.zip(there).map_or(1.0, |(here, there)| there / here);
    let Required { at_best, at_limit } = required(gate, ratio, decisions)?;
    let limit = Unit::of(&gate.measure).show(gate.thresholds.limit());
    let needs = format!(
        "the margin needs about {at_best:.0} requests to the baking targets if none is bad, \
         {at_limit:.0} if {limit} are"
    );
    let Some((rate, _)) = here.zip(there) else {
        return Some(format!("{needs}; time N/A: no traffic in both arms now"));
    };
    let (soon, late) = (at_best / rate, at_limit / rate);
    let enough = if soon > bake.as_secs_f64() {
        ": more than the bake and its extension; it would end without a decision"
    } else if late > bake.as_secs_f64() {
        "; the bake and its extension may be too short for the second"
    } else {
        ""
    };
    Some(format!(
        "{needs}; at {rate:.1} a second that takes {} to {}{enough}",
        time(soon),
        time(late)
    ))
}

fn time(seconds: f64) -> String {
    match seconds {
        s if s < 90.0 => format!("{:.0}s", s.ceil()),
        s if s < 5400.0 => format!("{:.0}m", (s / 60.0).ceil()),
        s if s < 172_800.0 => format!("{:.0}h", (s / 3600.0).ceil()),
        s => format!("{:.0} days", (s / 86_400.0).ceil()),
    }
}

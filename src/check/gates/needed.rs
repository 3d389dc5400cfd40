//! How much traffic a margin needs, told before a run.

use std::time::Duration;

use serde::Serialize;

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

/// Whether a bake is long enough for a margin, with the traffic of the moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reach {
    Enough,
    /// Only if fewer are bad than the gate lets pass.
    Perhaps,
    /// Not even if none is bad: it would end without a decision.
    TooShort,
    /// There is no traffic in one of the arms.
    Unknown,
}

/// How much traffic a margin needs, and whether a bake will see it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Traffic {
    /// One line for a person.
    pub why: String,
    pub reach: Reach,
}

/// [`required`] in words.
pub fn required_in_words(gate: &Gate, ratio: f64, decisions: u32) -> Option<String> {
    let Required { at_best, at_limit } = required(gate, ratio, decisions)?;
    let limit = Unit::of(&gate.measure).show(gate.thresholds.limit());
    Some(format!(
        "the margin needs about {at_best:.0} requests to the baking targets if none is bad, \
         {at_limit:.0} if {limit} are"
    ))
}

/// What a margin needs, with how long it takes at the present traffic of both arms. `bake` is how
/// long the bake may take in all.
pub fn traffic(
    gate: &Gate,
    (baking, others): (&Measurement, &Measurement),
    decisions: u32,
    bake: Duration,
) -> Option<Traffic> {
    let rate = |m: &Measurement| {
        #[expect(clippy::cast_precision_loss, reason = "milliseconds of a window")]
        let seconds = m.observed_ms as f64 / 1000.0;
        let rate = m.samples? / seconds;
        (rate > 0.0 && rate.is_finite()).then_some(rate)
    };
    let (here, there) = (rate(baking), rate(others));
    let ratio = here.zip(there).map_or(1.0, |(here, there)| there / here);
    let Required { at_best, at_limit } = required(gate, ratio, decisions)?;
    let needs = required_in_words(gate, ratio, decisions)?;
    let Some((rate, _)) = here.zip(there) else {
        return Some(Traffic {
            why: format!("{needs}; time N/A: no traffic in both arms now"),
            reach: Reach::Unknown,
        });
    };
    let (soon, late) = (at_best / rate, at_limit / rate);
    let (reach, enough) = if soon > bake.as_secs_f64() {
        let words = ": more than the bake and its extension; it would end without a decision";
        (Reach::TooShort, words)
    } else if late > bake.as_secs_f64() {
        let words = "; the bake and its extension may be too short for the second";
        (Reach::Perhaps, words)
    } else {
        (Reach::Enough, "")
    };
    let (soon, late) = (time(soon), time(late));
    Some(Traffic {
        why: format!("{needs}; at {rate:.1} a second that takes {soon} to {late}{enough}"),
        reach,
    })
}

fn time(seconds: f64) -> String {
    match seconds {
        s if s < 90.0 => format!("{:.0}s", s.ceil()),
        s if s < 5400.0 => format!("{:.0}m", (s / 60.0).ceil()),
        s if s < 172_800.0 => format!("{:.0}h", (s / 3600.0).ceil()),
        s => format!("{:.0} days", (s / 86_400.0).ceil()),
    }
}

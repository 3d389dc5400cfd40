//! Values in words.

use super::Needs;
use crate::runbook::model::{Comparison, Condition, Measure};

/// What a measure counts in.
#[derive(Debug, Clone, Copy)]
pub enum Unit {
    Share,
    Seconds,
    Count,
    /// Of what is allowed.
    Times,
}

impl Unit {
    pub fn of(measure: &Measure) -> Self {
        match measure {
            Measure::Ratio { .. } | Measure::Slower { .. } => Unit::Share,
            Measure::Quantile { .. } => Unit::Seconds,
            Measure::BurnRate(_) => Unit::Times,
            Measure::Asked(asked) if asked.counts() => Unit::Share,
            Measure::Increase { .. } | Measure::Coincidence { .. } | Measure::Asked(_) => {
                Unit::Count
            }
        }
    }

    pub fn show(self, value: f64) -> String {
        match self {
            Unit::Share => format!("{} %", short(value * 100.0)),
            Unit::Seconds => format!("{} ms", short(value * 1000.0)),
            Unit::Count => short(value),
            Unit::Times => format!("{} times", short(value)),
        }
    }

    pub fn show_difference(self, value: f64) -> String {
        let sign = if value > 0.0 { "+" } else { "" };
        match self {
            Unit::Share => format!("{sign}{} pp", short(value * 100.0)),
            Unit::Seconds | Unit::Count | Unit::Times => format!("{sign}{}", self.show(value)),
        }
    }

    /// "at most 1 %": what a condition asks for.
    pub fn asks(self, condition: Condition) -> String {
        let word = match condition.comparison {
            Comparison::Below => "below",
            Comparison::AtMost => "at most",
            Comparison::Above => "above",
            Comparison::AtLeast => "at least",
        };
        format!("{word} {}", self.show(condition.number))
    }

    /// "above the limit 1 %": how a condition of failure holds.
    pub fn breaks(self, condition: Condition) -> String {
        let word = match condition.comparison {
            Comparison::Below => "below",
            Comparison::AtMost => "at or below",
            Comparison::Above => "above",
            Comparison::AtLeast => "at or above",
        };
        format!("{word} the limit {}", self.show(condition.number))
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

/// ", needs 2140 more (~3m)".
pub fn ask(needs: Option<Needs>) -> String {
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

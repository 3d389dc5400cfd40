//! Measured values in their units.

use crate::rollout::report::Unit;

/// A value in its unit.
pub fn amount(unit: Unit, value: f64) -> String {
    match unit {
        Unit::Share => format!("{} %", short(value * 100.0)),
        Unit::Seconds => format!("{} ms", short(value * 1_000.0)),
        Unit::Count => short(value),
    }
}

/// A difference of two values.
pub fn difference(unit: Unit, value: f64) -> String {
    let sign = if value > 0.0 { "+" } else { "" };
    match unit {
        Unit::Share => format!("{sign}{} pp", short(value * 100.0)),
        Unit::Seconds | Unit::Count => format!("{sign}{}", amount(unit, value)),
    }
}

/// At most two decimals, without trailing zeros; small values keep two digits.
fn short(value: f64) -> String {
    let decimals = match value.abs() {
        v if v == 0.0 || v >= 0.1 => 2,
        _ => 4,
    };
    let text = format!("{value:.decimals$}");
    let text = text.trim_end_matches('0').trim_end_matches('.');
    match text {
        "-0" => "0".to_owned(),
        text => text.to_owned(),
    }
}

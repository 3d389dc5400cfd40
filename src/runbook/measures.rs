//! Gates and triggers: what they measure, how often, and when it is too much.

use std::time::Duration;

use super::asked;
use super::bindings::Common;
use super::describe;
use super::fields::Fields;
use super::limits;
use super::mistakes::{Mistakes, suggestion};
use super::model::{BurnRate, Gate, Measure, OnTrigger, Trigger};
use super::selector::Selector;

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// `interval` and `window`, with their defaults.
fn times(fields: &mut Fields, interval: Duration, mistakes: &mut Mistakes) -> (Duration, Duration) {
    let given = fields.get::<Duration>("interval", mistakes);
    let window = fields.get::<Duration>("window", mistakes);
    let window = window.map_or(seconds(60), |w| w.value);
    if let Some(interval) = given.as_ref().filter(|i| i.value > window) {
        mistakes.add(
            interval.span.clone(),
            "`interval` is longer than `window`: time between two looks would be seen by nobody",
            "too long",
            format_args!("at most the window, which is {}", describe::words(window)),
        );
    }
    (given.map_or(interval.min(window), |i| i.value), window)
}

pub fn gate(mut common: Common, mistakes: &mut Mistakes) -> Option<Gate> {
    let measure = measure(&mut common.fields, mistakes);
    let fields = &mut common.fields;
    let thresholds = limits::thresholds(fields, mistakes);
    let margin = limits::margin(fields, measure.as_ref(), mistakes);
    let (interval, window) = times(fields, seconds(15), mistakes);
    let initial_delay = fields.get::<Duration>("initial_delay", mistakes);
    let min_samples = fields.get::<u64>("min_samples", mistakes);
    let limits = limits::limits(fields, mistakes);
    let muted = fields.get::<bool>("muted", mistakes);
    if let Some(Measure::BurnRate(_)) = measure {
        mistakes.add(
            fields.span(),
            "a `burn_rate` is for a trigger",
            "in a gate",
            "a gate takes the ratio itself, with a limit and a margin",
        );
    }
    common.fields.finish(mistakes, |_| None);
    let measure = measure?;
    Some(Gate {
        id: common.id,
        heading: common.heading,
        min_samples: min_samples.map_or(samples(&measure, 50), |m| m.value),
        measure,
        thresholds: thresholds?,
        margin,
        interval,
        window,
        initial_delay: initial_delay.map_or(Duration::ZERO, |d| d.value),
        limits,
        muted: muted.is_some_and(|m| m.value),
        at: common.at,
    })
}

pub fn trigger(mut common: Common, mistakes: &mut Mistakes) -> Option<Trigger> {
    let measure = measure(&mut common.fields, mistakes);
    let fields = &mut common.fields;
    let (interval, window) = times(fields, seconds(5), mistakes);
    let above = match &measure {
        Some(Measure::BurnRate(burn)) => Some(factor(burn, fields, (interval, window), mistakes)),
        _ => fields
            .need::<f64>("above", "0.05", mistakes)
            .map(|a| a.value),
    };
    let min_samples = fields.get::<u64>("min_samples", mistakes);
    let on_trigger = match fields.get::<String>("on_trigger", mistakes) {
        None => OnTrigger::Rollback,
        Some(text) => match text.value.as_str() {
            "rollback" => OnTrigger::Rollback,
            "pause" => OnTrigger::Pause,
            other => {
                mistakes.add(
                    text.span,
                    format_args!("`on_trigger` cannot be `{other}`"),
                    "unknown",
                    suggestion(other, &["rollback", "pause"]),
                );
                // Whatever was meant, a missing rollback is not a second mistake.
                OnTrigger::Pause
            }
        },
    };
    common.fields.finish(mistakes, |_| None);
    let measure = measure?;
    Some(Trigger {
        id: common.id,
        heading: common.heading,
        min_samples: min_samples.map_or_else(
            || match &measure {
                Measure::BurnRate(burn) => burn.enough(window).max(20),
                other => samples(other, 20),
            },
            |m| m.value,
        ),
        measure,
        above: above?,
        window,
        interval,
        on_trigger,
        at: common.at,
    })
}

/// A ratio and a quantile mean little over a few requests; an increase speaks for itself.
fn samples(measure: &Measure, default: u64) -> u64 {
    match measure {
        Measure::Ratio { .. } | Measure::Slower { .. } | Measure::Quantile { .. } => default,
        Measure::BurnRate(_) => default,
        Measure::Asked(asked) if asked.counts() => default,
        Measure::Increase { .. } | Measure::Coincidence { .. } | Measure::Asked(_) => 0,
    }
}

pub fn count(fields: &mut Fields, key: &'static str, mistakes: &mut Mistakes) -> Option<u32> {
    let given = fields.get::<u64>(key, mistakes)?;
    match u32::try_from(given.value) {
        Ok(count) => Some(count),
        Err(_) => {
            mistakes.add(
                given.span,
                format_args!("`{key}` is out of range"),
                "too large",
                "a limit that is never reached is no limit",
            );
            None
        }
    }
}

const MEASURES: [&str; 11] = [
    "ratio",
    "slower",
    "quantile",
    "increase",
    "coincidence",
    "burn_rate",
    asked::PROVIDERS[0],
    asked::PROVIDERS[1],
    asked::PROVIDERS[2],
    asked::PROVIDERS[3],
    asked::PROVIDERS[4],
];
const A_MEASURE: &str = "{ ratio = { bad = \"errors_total\", total = \"requests_total\" } }";

fn measure(fields: &mut Fields, mistakes: &mut Mistakes) -> Option<Measure> {
    let Some(raw) = fields.raw("measure") else {
        fields.missing("measure", A_MEASURE, mistakes);
        return None;
    };
    let wrong = |mistakes: &mut Mistakes, cause: &str, hint: &str| {
        mistakes.add(raw.span.clone(), cause, "here", hint);
        None
    };
    let hint = format!("write measure = {A_MEASURE}");
    let Some(table) = raw.value.as_table() else {
        return wrong(
            mistakes,
            "`measure` has the wrong type: it must be a table",
            &hint,
        );
    };
    let mut entries = table.iter();
    let (Some((name, value)), None) = (entries.next(), entries.next()) else {
        let one = format!("exactly one of: {}", MEASURES.join(", "));
        return wrong(
            mistakes,
            "`measure` must hold exactly one way of measuring",
            &one,
        );
    };
    let name = name.get_ref().as_ref();
    if !MEASURES.contains(&name) {
        let cause = format!("`{name}` is no way of measuring");
        return wrong(mistakes, &cause, &suggestion(name, &MEASURES));
    }
    let Some(inner) = value.get_ref().as_table() else {
        let cause = format!("`{name}` has the wrong type: it must be a table");
        return wrong(mistakes, &cause, &hint);
    };
    measured(
        name,
        fields.inner(inner, raw.span.clone(), format!("`{name}`")),
        mistakes,
    )
}

fn measured(name: &str, mut inner: Fields, mistakes: &mut Mistakes) -> Option<Measure> {
    let counter = "\"requests_total\"";
    let found = match name {
        "ratio" => {
            let bad = selector(&mut inner, "bad", counter, mistakes);
            let total = selector(&mut inner, "total", counter, mistakes);
            bad.zip(total)
                .map(|(bad, total)| Measure::Ratio { bad, total })
        }
        "slower" => {
            let than = inner.need::<f64>("than", "0.25", mistakes);
            let histogram = selector(&mut inner, "histogram", "\"request_seconds\"", mistakes);
            than.zip(histogram)
                .map(|(than, histogram)| Measure::Slower {
                    histogram,
                    than: than.value,
                })
        }
        "quantile" => {
            let q = inner.need::<f64>("q", "0.99", mistakes);
            let histogram = selector(&mut inner, "histogram", "\"request_seconds\"", mistakes);
            if let Some(q) = q.as_ref().filter(|q| q.value <= 0.0 || q.value >= 1.0) {
                mistakes.add(
                    q.span.clone(),
                    "`q` is a quantile, so it lies between 0 and 1",
                    "out of range",
                    "write 0.99 for the 99th percentile",
                );
            }
            q.zip(histogram).map(|(q, histogram)| Measure::Quantile {
                q: q.value,
                histogram,
            })
        }
        "increase" => selector(&mut inner, "counter", counter, mistakes)
            .map(|counter| Measure::Increase { counter }),
        "burn_rate" => burn_rate(&mut inner, mistakes).map(Measure::BurnRate),
        provider if asked::PROVIDERS.contains(&provider) => {
            asked::read(provider, &mut inner, mistakes).map(Measure::Asked)
        }
        _ => {
            let left = selector(&mut inner, "left", counter, mistakes);
            let right = selector(&mut inner, "right", counter, mistakes);
            let within = inner.get::<Duration>("within", mistakes);
            left.zip(right).map(|(left, right)| Measure::Coincidence {
                left,
                right,
                within: within.map_or(seconds(1), |w| w.value),
            })
        }
    };
    inner.finish(mistakes, |_| None);
    found
}

fn burn_rate(inner: &mut Fields, mistakes: &mut Mistakes) -> Option<BurnRate> {
    let counter = "\"requests_total\"";
    let bad = selector(inner, "bad", counter, mistakes);
    let total = selector(inner, "total", counter, mistakes);
    let mut part = |key, example| {
        let given = inner.need::<f64>(key, example, mistakes)?;
        if given.value > 0.0 && given.value < 1.0 {
            return Some(given.value);
        }
        mistakes.add(
            given.span,
            format_args!("`{key}` is a part of one, so it lies between 0 and 1"),
            "out of range",
            format_args!("write {key} = {example}"),
        );
        None
    };
    let objective = part("objective", "0.999");
    let budget = part("budget", "0.02");
    let period = inner.get::<Duration>("period", mistakes);
    Some(BurnRate {
        bad: bad?,
        total: total?,
        objective: objective?,
        budget: budget?,
        period: period.map_or(seconds(30 * 24 * 3600), |p| p.value),
    })
}

/// The limit of a burn rate, which its budget gives.
fn factor(
    burn: &BurnRate,
    fields: &Fields,
    (interval, window): (Duration, Duration),
    mistakes: &mut Mistakes,
) -> f64 {
    let factor = burn.factor(window);
    if !fields.has("window") {
        fields.missing("window", "\"1h\"", mistakes);
    } else if factor * burn.allowed() >= 1.0 {
        mistakes.add(
            fields.span(),
            format_args!(
                "it can never fire: a burn rate above {factor:.1} is more than every request"
            ),
            "here",
            "take a longer window, or less of the budget",
        );
    } else if interval * BurnRate::SHORT * 2 > window {
        mistakes.add(
            fields.span(),
            "the short window, a twelfth of `window`, has no room for two looks",
            "here",
            format_args!(
                "write an interval of at most {}",
                describe::words(window / (BurnRate::SHORT * 2))
            ),
        );
    }
    if fields.has("above") {
        mistakes.add(
            fields.span(),
            "`above` stands beside a `burn_rate`, whose limit its budget gives",
            "both",
            "take `above` away, or write a ratio",
        );
    }
    factor
}

fn selector(
    fields: &mut Fields,
    key: &'static str,
    example: &str,
    mistakes: &mut Mistakes,
) -> Option<String> {
    let text = fields.need::<String>(key, example, mistakes)?;
    if let Err(why) = Selector::parse(&text.value) {
        mistakes.add(
            text.span,
            why,
            "not a selector",
            if text.value.contains('(') {
                "name the counter itself; dbctl computes increases, ratios and quantiles"
            } else {
                "write it in '…', so that the quotes of its labels need no backslash"
            },
        );
    }
    Some(text.value)
}

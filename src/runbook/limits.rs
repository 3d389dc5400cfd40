//! A gate's thresholds and limits, read from its keys.

use super::fields::{Fields, Placed};
use super::measures::count;
use super::mistakes::Mistakes;
use super::model::{Condition, Limits, Measure, OfLast, OnTrigger, Thresholds};

/// `max`, or `pass` and `fail`, or `pause_above` and `rollback_above`.
pub fn thresholds(fields: &mut Fields, mistakes: &mut Mistakes) -> Option<Thresholds> {
    let given = |fields: &Fields, keys: &[&'static str]| -> Vec<&'static str> {
        keys.iter().filter(|k| fields.has(k)).copied().collect()
    };
    let short = given(fields, &["max"]);
    let conditions = given(fields, &["pass", "fail"]);
    let levels = given(fields, &["pause_above", "rollback_above"]);
    let forms: Vec<&[&str]> = [&short[..], &conditions, &levels]
        .into_iter()
        .filter(|keys| !keys.is_empty())
        .collect();
    if let [one, other, ..] = forms[..] {
        let raw = fields.raw(other[0]).map(|r| r.span);
        mistakes.add(
            raw.unwrap_or_else(|| fields.span()),
            format_args!(
                "`{}` and `{}` say when it fails in two ways",
                one[0], other[0]
            ),
            "one of them is enough",
            "write max, or pass and fail, or pause_above and rollback_above",
        );
    }
    let max = fields.get::<f64>("max", mistakes);
    let pass = fields.get::<Condition>("pass", mistakes);
    let fail = fields.get::<Condition>("fail", mistakes);
    let levels_given = self::levels(fields, mistakes);
    if forms.len() > 1 {
        return None;
    }
    if let (Some(pass), Some(fail)) = (&pass, &fail)
        && pass.value.overlaps(fail.value)
        && !pass.value.overlaps(opposite(fail.value))
    {
        mistakes.add(
            pass.span.clone(),
            "whatever passes here also fails, and `fail` wins: it can never pass",
            "never",
            "write the values that are good in `pass`, the bad ones in `fail`",
        );
    }
    if !short.is_empty() {
        return Some(Thresholds::max(max?.value));
    }
    if !levels.is_empty() {
        return levels_given;
    }
    if conditions.is_empty() {
        fields.missing("max", "0.01", mistakes);
        return None;
    }
    let wrong = conditions.len() != pass.iter().count() + fail.iter().count();
    (!wrong).then(|| Thresholds {
        pass: pass.map(|c| c.value),
        fail: fail.map(|c| c.value),
        rollback: None,
        on_fail: OnTrigger::Rollback,
    })
}

/// What holds where a condition does not.
fn opposite(condition: Condition) -> Condition {
    use super::model::Comparison::{Above, AtLeast, AtMost, Below};
    Condition {
        comparison: match condition.comparison {
            Below => AtLeast,
            AtMost => Above,
            Above => AtMost,
            AtLeast => Below,
        },
        ..condition
    }
}

fn levels(fields: &mut Fields, mistakes: &mut Mistakes) -> Option<Thresholds> {
    let pause = fields.get::<f64>("pause_above", mistakes);
    let back = fields.get::<f64>("rollback_above", mistakes);
    if let (None, Some(back)) = (&pause, &back)
        && !fields.has("pause_above")
    {
        mistakes.add(
            back.span.clone(),
            "`rollback_above` is the second level, and there is no first one",
            "no `pause_above`",
            "add pause_above = a lower value; to roll back without a pause before, write max",
        );
        return None;
    }
    let pause = pause?.value;
    if let Some(back) = back.as_ref().filter(|b| b.value <= pause) {
        mistakes.add(
            back.span.clone(),
            "`rollback_above` is not above `pause_above`",
            "too low",
            "the run pauses above the first and rolls back above the second",
        );
    }
    Some(Thresholds {
        pass: Some(Condition::at_most(pause)),
        fail: Some(Condition::above(pause)),
        rollback: back.map(|b| Condition::above(b.value)),
        on_fail: OnTrigger::Pause,
    })
}

/// `failure_limit`, `failures`, `error_limit`, `inconclusive_limit`.
pub fn limits(fields: &mut Fields, mistakes: &mut Mistakes) -> Limits {
    let default = Limits::default();
    let total = count(fields, "failure_limit", mistakes);
    let of_last = of_last(fields, mistakes);
    let failures = match (total, of_last) {
        (None, Some(_)) => None,
        (None, None) => default.failures,
        (Some(total), _) => Some(total),
    };
    Limits {
        failures,
        of_last,
        errors: count(fields, "error_limit", mistakes).unwrap_or(default.errors),
        inconclusive: count(fields, "inconclusive_limit", mistakes).unwrap_or(default.inconclusive),
    }
}

const OF_LAST: &str = "failures = { at_most = 2, of_last = 10 }";

fn of_last(fields: &mut Fields, mistakes: &mut Mistakes) -> Option<OfLast> {
    let raw = fields.raw("failures")?;
    let Some(table) = raw.value.as_table() else {
        mistakes.add(
            raw.span,
            "`failures` has the wrong type: it must be a table",
            "wrong type",
            format_args!("write {OF_LAST}; a total is failure_limit = 3"),
        );
        return None;
    };
    let mut inner = fields.inner(table, raw.span, "`failures`");
    let at_most = inner.need::<u64>("at_most", "2", mistakes);
    let of_last = inner.need::<u64>("of_last", "10", mistakes);
    inner.finish(mistakes, |_| None);
    let (at_most, of_last) = (at_most?, of_last?);
    let most = u64::from(OfLast::MOST);
    if !(1..=most).contains(&of_last.value) {
        mistakes.add(
            of_last.span,
            format_args!("`of_last` is a number of looks from 1 to {most}"),
            "out of range",
            OF_LAST,
        );
        return None;
    }
    if at_most.value >= of_last.value {
        mistakes.add(
            at_most.span,
            format_args!("{} of {} can always fail", at_most.value, of_last.value),
            "never reached",
            "a limit that is never reached is no limit: allow fewer",
        );
        return None;
    }
    let small = |n: u64| u32::try_from(n).unwrap_or(OfLast::MOST);
    Some(OfLast {
        at_most: small(at_most.value),
        of_last: small(of_last.value),
    })
}

/// A margin needs counts in both arms.
pub fn margin(
    fields: &mut Fields,
    measure: Option<&Measure>,
    mistakes: &mut Mistakes,
) -> Option<f64> {
    let margin: Placed<f64> = fields.get("margin", mistakes)?;
    if margin.value <= 0.0 {
        mistakes.add(
            margin.span.clone(),
            "`margin` is 0: no amount of traffic shows that there is no difference at all",
            "too small",
            "write the greatest difference that would not matter",
        );
    }
    if let Some(Measure::Asked(asked)) = measure {
        if !(asked.counts() && asked.names_targets()) {
            mistakes.add(
                margin.span,
                "`margin` compares counts of the baking targets with those of the others",
                "nothing to compare",
                "ask for `bad` and `total`, each of {{targets}}, or take `margin` away",
            );
        }
    } else if measure.is_some_and(|m| !m.is_share()) {
        mistakes.add(
            margin.span,
            "`margin` wants a share of counted requests: what this measures has no bounds",
            "not here",
            "measure with ratio, or with slower = { histogram = \"…\", than = 0.25 } for latency",
        );
    }
    Some(margin.value)
}

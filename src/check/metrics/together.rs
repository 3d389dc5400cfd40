//! Whether two counters rise at the same times, beyond chance.

use std::time::Duration;

use jiff::Timestamp;

use super::Selector;
use super::values::{Part, Unmeasured, Value, present, unknown};
use crate::carry::client::age;

/// A step of one target: from when to when, and what rose in it.
struct Stretch {
    from: Timestamp,
    to: Timestamp,
    left: f64,
    right: f64,
}

impl Stretch {
    fn lasted(&self) -> f64 {
        age(self.from, self.to).as_secs_f64()
    }

    /// Whether something in one may lie within a time of something in the other.
    fn near(&self, other: &Stretch, within: Duration) -> bool {
        let (first, second) = if self.from <= other.from {
            (self, other)
        } else {
            (other, self)
        };
        second.from < first.to || age(first.to, second.from) < within
    }
}

/// How much `left` rose within a time of a rise of `right`, less what it would have risen there by
/// chance: at its rate in the rest of the window. Failures that are always there do not count as
/// coinciding because a look-up failed once.
///
/// When something happened between two samples is not known; both count as near then.
pub(super) fn coincidence(
    left: &Selector,
    right: &Selector,
    within: Duration,
    parts: &[Part<'_>],
) -> Result<Value, Unmeasured> {
    let (mut all, mut near, mut chance, mut rights) = (0.0, 0.0, 0.0, 0.0);
    for part in parts {
        let (target, ring, seen) = part;
        let (lefts, of_right) = (present(left, part)?, present(right, part)?);
        if ring.has_nan(&seen.steps, &lefts) || ring.has_nan(&seen.steps, &of_right) {
            return Err(unknown(format!("a counter of {target} is not a number")));
        }
        let stretches: Vec<Stretch> = seen
            .steps
            .iter()
            .map(|step| {
                let sum = |series: &[usize]| series.iter().map(|s| step.rise(*s)).sum::<f64>();
                let (from, to) = step.times();
                Stretch {
                    from,
                    to,
                    left: sum(&lefts),
                    right: sum(&of_right),
                }
            })
            .collect();
        let causes: Vec<&Stretch> = stretches.iter().filter(|s| s.right > 0.0).collect();
        let is_near = |s: &&Stretch| causes.iter().any(|c| s.near(c, within));
        let (inside, outside): (Vec<&Stretch>, Vec<&Stretch>) = stretches.iter().partition(is_near);
        let risen = |of: &[&Stretch]| of.iter().map(|s| s.left).sum::<f64>();
        let lasted = |of: &[&Stretch]| of.iter().map(|s| s.lasted()).sum::<f64>();
        let rate = risen(&outside) / lasted(&outside);
        if rate.is_finite() {
            chance += (rate * lasted(&inside)).min(risen(&inside));
        }
        all += risen(&inside) + risen(&outside);
        near += risen(&inside);
        rights += causes.iter().map(|s| s.right).sum::<f64>();
    }
    Ok(Value {
        value: near - chance,
        samples: None,
        hits: None,
        note: Some(format!(
            "{all:.0} of {left}, {near:.0} of them within {} of {rights:.0} of {right}, {chance:.1} by chance",
            crate::runbook::describe::words(within)
        )),
    })
}

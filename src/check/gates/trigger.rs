//! Judging a trigger.

use super::judge::enough;
use super::words::Unit;
use super::{TriggerReading, TriggerState};
use crate::check::metrics::Measurement;
use crate::runbook::model::Trigger;

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
                let mut why = format!(
                    "{} on {on} in {} s (limit {})",
                    unit.show(value),
                    trigger.window.as_secs_f64(),
                    unit.show(trigger.above)
                );
                if !m.why.is_empty() {
                    why += &format!(": {}", m.why);
                }
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

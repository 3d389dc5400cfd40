//! Looking at what gates and triggers measure: those of the bake under way, and all triggers.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::Live;
use super::sources::{Inquiries, of_gate, of_trigger};
use crate::carry::client::age;
use crate::check::Verdict;
use crate::check::gates::{self, Deciding, GateReading, SoFar, TriggerState};
use crate::check::metrics::{Question, Sources, Watch};
use crate::rollout::machine::{Arms, Certainty, Counted, Harm, Reading};
use crate::rollout::ports::{Baking, Fired, Look, Looked, Vigil};
use crate::runbook::model::{Gate, OnTrigger};
use crate::runbook::plan::{Plan, Planned, TargetRef};

/// The samples and answers so far.
pub struct Watching {
    watch: Watch<Sources>,
    inquiries: Inquiries,
    /// Gates that fail while the run waits for a person, since when.
    failing: BTreeMap<String, Timestamp>,
}

impl Live {
    pub(super) async fn look_at(&self, look: Look) -> Looked {
        let mut watch = self.watch.lock().await;
        if watch.is_none() {
            match self.watch_over(&look.plan) {
                Ok((begun, asker)) => {
                    *watch = Some(Watching {
                        watch: begun,
                        inquiries: Inquiries::new(asker),
                        failing: BTreeMap::new(),
                    });
                }
                Err(problem) => return blind(&look, &problem.to_string()),
            }
        }
        let Some(Watching {
            watch,
            inquiries,
            failing,
        }) = watch.as_mut()
        else {
            return blind(&look, "nothing is watched");
        };
        let now = Timestamp::now();
        watch.sample(now).await;
        inquiries.turn(watch, questions(&look), now).await;
        let mut looked = Looked::default();
        if let Some(bake) = &look.bake {
            looked.gates = Some(gates(watch, &look.plan, bake, now));
        }
        match &look.vigil {
            Some(vigil) => {
                let (seen, fired) = keep_vigil(watch, &look.plan, vigil, failing, now);
                looked.vigil = Some(seen);
                looked.fired = fired;
            }
            None => failing.clear(),
        }
        let flipped: Vec<String> = look.flipped.iter().map(ToString::to_string).collect();
        for trigger in look.plan.triggers.iter().filter(|_| !flipped.is_empty()) {
            let reading = watch.judge_trigger(trigger, &flipped, now);
            match reading.state {
                TriggerState::Quiet => {}
                TriggerState::Unknown => looked.unknown.push((trigger.id.clone(), reading.why)),
                TriggerState::Fired => looked.fired.push(Fired {
                    id: trigger.id.clone(),
                    why: reading.why.clone(),
                    rolls_back: trigger.on_trigger == OnTrigger::Rollback,
                    evidence: serde_json::to_value(&reading).unwrap_or_default(),
                }),
            }
        }
        looked
    }
}

/// The baking targets, and the others of their environment.
pub(super) fn arms(plan: &Plan, bake: &Planned) -> (Vec<String>, Vec<String>) {
    let names = |targets: Vec<TargetRef>| targets.iter().map(ToString::to_string).collect();
    let on = bake.target_refs().collect();
    (names(on), names(plan.others(bake)))
}

/// What this look asks somebody else.
pub(super) fn questions(look: &Look) -> Vec<Question> {
    let mut wanted = Vec::new();
    if let Some(bake) = &look.bake {
        let (on, others) = arms(&look.plan, &bake.planned);
        let gates = bake.outline.gates.iter();
        for gate in gates.filter_map(|g| look.plan.gate(&g.id)) {
            wanted.extend(of_gate(gate, &on));
            let compared = gate.margin.and_then(|_| of_gate(gate, &others));
            wanted.extend(compared);
        }
    }
    if let Some(vigil) = &look.vigil {
        let (on, _) = arms(&look.plan, &vigil.planned);
        wanted.extend(
            vigil
                .gates(&look.plan)
                .filter_map(|gate| of_gate(gate, &on)),
        );
    }
    let flipped: Vec<String> = look.flipped.iter().map(ToString::to_string).collect();
    let of_triggers = look.plan.triggers.iter();
    wanted.extend(of_triggers.filter_map(|t| of_trigger(t, &flipped)));
    wanted
}

/// Gates that have failed for longer than they may: an interval for each failed look that they
/// are allowed, and one more; beyond the second level the next look decides. What cannot be judged
/// is no harm, and nothing goes on by it: a person is waited for.
fn keep_vigil(
    watch: &Watch<Sources>,
    plan: &Plan,
    vigil: &Vigil,
    failing: &mut BTreeMap<String, Timestamp>,
    now: Timestamp,
) -> (Vec<Reading>, Vec<Fired>) {
    let (on, _) = arms(plan, &vigil.planned);
    let (mut seen, mut fired) = (Vec::new(), Vec::new());
    for gate in vigil.gates(plan) {
        let alone: &[String] = &[];
        let judged = watch.judge_gate(gate, &on, alone, &SoFar::default(), now);
        let rolls_back = judged.grave || gate.thresholds.on_fail == OnTrigger::Rollback;
        seen.push(reading(judged.clone()));
        if judged.verdict != Verdict::Fail || (vigil.paused && !rolls_back) {
            failing.remove(&gate.id);
            continue;
        }
        let since = *failing.entry(gate.id.clone()).or_insert(now);
        let allowed = match judged.grave {
            true => 0,
            false => gate.limits.failures.unwrap_or(0),
        };
        let enough = gate.interval.saturating_mul(allowed.saturating_add(1));
        if age(since, now) >= enough {
            fired.push(Fired {
                id: gate.id.clone(),
                why: format!("while the run waits: {}", judged.why),
                rolls_back,
                evidence: serde_json::to_value(&judged).unwrap_or_default(),
            });
        }
    }
    (seen, fired)
}

pub(super) fn gates(
    watch: &Watch<Sources>,
    plan: &Plan,
    bake: &Baking,
    now: Timestamp,
) -> Vec<Reading> {
    let (on, others) = arms(plan, &bake.planned);
    let gates = bake.outline.gates.iter().enumerate();
    gates
        .filter_map(|(index, outline)| Some((index, plan.gate(&outline.id)?)))
        .map(|(index, gate)| {
            let so_far = so_far(bake, (index, gate), now);
            let judged = watch.judge_gate(gate, &on, &others, &so_far, now);
            let delay_ms = bake.outline.gates[index].delay_ms;
            match bake.so_far.observed_ms < delay_ms {
                true => too_early(judged, delay_ms - bake.so_far.observed_ms),
                false => reading(judged),
            }
        })
        .collect()
}

/// What the looks before came to, for one gate.
fn so_far(bake: &Baking, (index, gate): (usize, &Gate), now: Timestamp) -> SoFar {
    let (outline, state) = (&bake.outline, &bake.so_far);
    let count = &state.gates[index];
    let now_ms = u64::try_from(now.as_millisecond()).unwrap_or(0);
    // If this look sees all of the time since the one before; the machine knows whether all did.
    let observed_ms = state.observed_ms + state.since_last_ms(outline, now_ms).unwrap_or(0);
    let counted = |c: Counted| gates::Counted {
        bad: count_of(c.bad),
        total: count_of(c.total),
    };
    let both = |arms: Arms| gates::Arms {
        baking: counted(arms.baking),
        others: counted(arms.others),
    };
    SoFar {
        // A moment later: the sample that the last look was about lies in the same millisecond
        // or before.
        since: state
            .last_at_ms
            .filter(|_| state.since_last_ms(outline, now_ms).is_some())
            .and_then(|ms| i64::try_from(ms + 1).ok())
            .and_then(|ms| Timestamp::from_millisecond(ms).ok()),
        totals: gates::Totals {
            arms: both(count.totals.arms),
            expected: count_of(count.totals.expected_micro) / 1e6,
            weight: count_of(count.totals.weight_milli) / 1e3,
            open: both(count.totals.open),
        },
        state: match count.certainty {
            Certainty::Shown => Deciding::Shown,
            Certainty::Open | Certainty::Extended | Certainty::Held => {
                match state.is_due(outline, index, observed_ms) {
                    true => Deciding::Now,
                    false => Deciding::Not,
                }
            }
        },
        window_over: {
            let window = u64::try_from(gate.window.as_millis()).unwrap_or(u64::MAX);
            let windows = |observed: u64| observed.checked_div(window);
            windows(state.observed_ms) != windows(observed_ms)
        },
        decisions: if outline.extend_ms > 0 { 2 } else { 1 },
        gates: outline
            .gates
            .iter()
            .filter(|g| g.compared && !g.muted)
            .count(),
    }
}

#[expect(clippy::cast_precision_loss, reason = "requests stay far below 2^53")]
fn count_of(n: u64) -> f64 {
    n as f64
}

/// A reading as the journal keeps it.
fn reading(judged: GateReading) -> Reading {
    let comparison = judged.comparison.as_ref();
    let proven = comparison.is_some_and(|c| c.proven);
    Reading {
        gate: judged.gate.clone(),
        verdict: judged.verdict,
        warming: judged.warming,
        sound: judged.sound,
        unseen: judged.unseen,
        harm: match (proven, judged.grave) {
            (true, _) => Harm::Proven,
            (false, true) => Harm::Grave,
            (false, false) => Harm::Counted,
        },
        arms: comparison.and_then(|c| c.added).map(|added| Arms {
            baking: whole(added.baking),
            others: whole(added.others),
        }),
        shown: comparison.and_then(|c| c.shown),
        why: judged.why.clone(),
        evidence: serde_json::to_value(&judged).unwrap_or_default(),
    }
}

/// A reading before the gate's initial delay is over: shown, and not judged.
fn too_early(judged: GateReading, left_ms: u64) -> Reading {
    let seconds = left_ms.div_ceil(1000);
    Reading {
        verdict: Verdict::Inconclusive,
        warming: true,
        sound: false,
        harm: Harm::Counted,
        arms: None,
        shown: None,
        why: format!("not judged for another {seconds} s: {}", judged.why),
        ..reading(judged)
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "counts; the cast saturates"
)]
fn whole(counted: gates::Counted) -> Counted {
    let whole = |n: f64| n.round() as u64;
    Counted {
        bad: whole(counted.bad),
        total: whole(counted.total),
    }
}

/// What there is to say when nothing can be seen: never quiet, never a pass (P6).
fn blind(look: &Look, why: &str) -> Looked {
    let unseen = |gate: &str| Reading {
        gate: gate.to_owned(),
        verdict: Verdict::Error,
        warming: false,
        sound: false,
        unseen: true,
        harm: Harm::Counted,
        arms: None,
        shown: None,
        why: why.to_owned(),
        evidence: serde_json::Value::Null,
    };
    let (bake, vigil) = (look.bake.as_ref(), look.vigil.as_ref());
    let triggers = look.plan.triggers.iter();
    Looked {
        gates: bake.map(|b| b.outline.gates.iter().map(|g| unseen(&g.id)).collect()),
        vigil: vigil.map(|v| v.gates(&look.plan).map(|g| unseen(&g.id)).collect()),
        fired: Vec::new(),
        unknown: triggers.map(|t| (t.id.clone(), why.to_owned())).collect(),
    }
}

//! Looking at what gates and triggers measure: those of the bake under way, and all triggers.

use jiff::Timestamp;

use super::Live;
use super::sources::{Inquiries, of_gate, of_trigger};
use crate::check::gates::TriggerState;
use crate::check::metrics::{Question, Sources, Watch};
use crate::rollout::machine::Reading;
use crate::rollout::ports::{Fired, Look, Looked};
use crate::runbook::model::{OnTrigger, StepKind};
use crate::runbook::plan::{Plan, Planned};

/// The samples and answers so far.
pub struct Watching(Watch<Sources>, Inquiries);

impl Live {
    pub(super) async fn look_at(&self, look: Look) -> Looked {
        let mut watch = self.watch.lock().await;
        if watch.is_none() {
            match self.watch_over(&look.plan) {
                Ok((begun, asker)) => *watch = Some(Watching(begun, Inquiries::new(asker))),
                Err(problem) => return blind(&look, &problem.to_string()),
            }
        }
        let Some(Watching(watch, inquiries)) = watch.as_mut() else {
            return blind(&look, "nothing is watched");
        };
        let now = Timestamp::now();
        watch.sample(now).await;
        inquiries.turn(watch, questions(&look), now).await;
        let mut looked = Looked::default();
        if let Some(bake) = &look.bake {
            looked.gates = gates(watch, &look.plan, bake, now);
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
    let on: Vec<String> = bake.target_refs().map(|t| t.to_string()).collect();
    let others = plan
        .environments
        .iter()
        .filter(|e| e.name == bake.step.env)
        .flat_map(|e| e.targets.iter().map(|t| format!("{}/{}", e.name, t.name)))
        .filter(|name| !on.contains(name))
        .collect();
    (on, others)
}

/// What this look asks somebody else.
fn questions(look: &Look) -> Vec<Question> {
    let mut wanted = Vec::new();
    if let Some(bake) = &look.bake
        && let StepKind::Bake { gates, .. } = &bake.step.kind
    {
        let (on, others) = arms(&look.plan, bake);
        for gate in gates.iter().filter_map(|id| look.plan.gate(id)) {
            wanted.extend(of_gate(gate, &on));
            let compared = gate.margin.and_then(|_| of_gate(gate, &others));
            wanted.extend(compared);
        }
    }
    let flipped: Vec<String> = look.flipped.iter().map(ToString::to_string).collect();
    let of_triggers = look.plan.triggers.iter();
    wanted.extend(of_triggers.filter_map(|t| of_trigger(t, &flipped)));
    wanted
}

fn gates(watch: &Watch<Sources>, plan: &Plan, bake: &Planned, now: Timestamp) -> Vec<Reading> {
    let StepKind::Bake { gates, .. } = &bake.step.kind else {
        return Vec::new();
    };
    let (on, others) = arms(plan, bake);
    gates
        .iter()
        .filter_map(|id| plan.gate(id))
        .map(|gate| {
            let reading = watch.judge_gate(gate, &on, &others, now);
            Reading {
                gate: gate.id.clone(),
                verdict: reading.verdict,
                warming: reading.warming,
                why: reading.why.clone(),
                evidence: serde_json::to_value(&reading).unwrap_or_default(),
            }
        })
        .collect()
}

/// What there is to say when nothing can be seen: never quiet, never a pass (P6).
fn blind(look: &Look, why: &str) -> Looked {
    let mut looked = Looked::default();
    if let Some(StepKind::Bake { gates, .. }) = look.bake.as_ref().map(|b| &b.step.kind) {
        looked.gates = gates
            .iter()
            .map(|gate| Reading {
                gate: gate.clone(),
                verdict: crate::check::Verdict::Error,
                warming: false,
                why: why.to_owned(),
                evidence: serde_json::Value::Null,
            })
            .collect();
    }
    let triggers = look.plan.triggers.iter();
    looked.unknown = triggers.map(|t| (t.id.clone(), why.to_owned())).collect();
    looked
}

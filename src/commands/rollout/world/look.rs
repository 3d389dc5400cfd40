//! Looking at the targets' metrics: gates of the bake under way, and triggers.

use std::time::Duration;

use jiff::Timestamp;

use super::Live;
use crate::carry::client::ServiceClient;
use crate::check::gates::TriggerState;
use crate::check::metrics::{Scrape, Watch};
use crate::error::Result;
use crate::rollout::machine::Reading;
use crate::rollout::ports::{Fired, Look, Looked};
use crate::runbook::model::{OnTrigger, StepKind};
use crate::runbook::plan::{Plan, Planned, TargetRef};

/// The samples so far.
pub struct Watching(Watch<Scrape>);

impl Live {
    pub(super) async fn look_at(&self, look: Look) -> Looked {
        let mut watch = self.watch.lock().await;
        if watch.is_none() {
            match self.begin_watch(&look.plan) {
                Ok(begun) => *watch = Some(Watching(begun)),
                Err(problem) => return blind(&look, &problem.to_string()),
            }
        }
        let Some(Watching(watch)) = watch.as_mut() else {
            return blind(&look, "nothing is watched");
        };
        let now = Timestamp::now();
        watch.sample(now).await;
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

    fn begin_watch(&self, plan: &Plan) -> Result<Watch<Scrape>> {
        let mut scrape = Scrape::default();
        for planned in &plan.environments {
            let env = self.environment(&planned.name)?;
            let targets = env.select(&[])?;
            for (target, client) in targets.iter().zip(ServiceClient::each(env, &targets)?) {
                let name = TargetRef {
                    env: env.name.clone(),
                    name: target.name.clone(),
                };
                scrape.add(name.to_string(), client);
            }
        }
        let measures = plan.gates.iter().map(|g| &g.measure);
        let measures = measures.chain(plan.triggers.iter().map(|t| &t.measure));
        let windows = plan.gates.iter().map(|g| g.window);
        let horizon = windows.chain(plan.triggers.iter().map(|t| t.window)).max();
        Watch::new(scrape, measures, horizon.unwrap_or(Duration::from_secs(60)))
    }
}

fn gates(watch: &Watch<Scrape>, plan: &Plan, bake: &Planned, now: Timestamp) -> Vec<Reading> {
    let StepKind::Bake { gates, .. } = &bake.step.kind else {
        return Vec::new();
    };
    let on: Vec<String> = bake.target_refs().map(|t| t.to_string()).collect();
    let others: Vec<String> = plan
        .environments
        .iter()
        .filter(|e| e.name == bake.step.env)
        .flat_map(|e| e.targets.iter().map(|t| format!("{}/{}", e.name, t.name)))
        .filter(|name| !on.contains(name))
        .collect();
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

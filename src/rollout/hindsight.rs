//! A bake over the past: the machine itself says where it would have paused, rolled back or
//! passed, so that thresholds can be chosen before the night.

use std::sync::Arc;
use std::time::Duration;

use super::machine::{Bake, Class, Event, Input, Outline, Part, Reading, State, StepRef, decide};
use super::outline::outline;
use super::ports::Baking;
use crate::runbook::model::StepKind;
use crate::runbook::plan::{Plan, Planned};

/// One bake with one gate, from its first look on.
#[derive(Debug, Clone)]
pub struct Hindsight {
    plan: Arc<Plan>,
    state: State,
}

/// What became of a bake.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Became {
    Passed,
    Paused { why: String },
    RolledBack { why: String },
}

impl Hindsight {
    /// A run of `plan` that stands at the beginning of `bake`, with no other gate than `gate`, at
    /// which it looks every `step`. None where the bake or the gate is not in the plan. A muted
    /// gate is not muted here: what it would do is the question.
    pub fn of(plan: &Plan, bake: &str, gate: &str, step: Duration) -> Option<Self> {
        let mut plan = plan.clone();
        plan.gates.retain(|g| g.id == gate);
        plan.gates.first_mut()?.interval = step;
        plan.gates.first_mut()?.muted = false;
        plan.forward.retain(|p| p.step.id == bake);
        let planned = plan.forward.first_mut()?;
        let StepKind::Bake { gates, .. } = &mut planned.step.kind else {
            return None;
        };
        gates.retain(|id| id == gate);
        if gates.is_empty() {
            return None;
        }
        let phase = plan.phases.get(planned.phase)?.clone();
        planned.phase = 0;
        plan.phases = vec![phase];
        plan.rollback.clear();
        plan.afterwards.clear();
        plan.triggers.clear();
        let state = begun(outline(&plan, ""))?;
        Some(Self {
            plan: plan.into(),
            state,
        })
    }

    pub fn plan(&self) -> &Arc<Plan> {
        &self.plan
    }

    /// The step that bakes.
    pub fn planned(&self) -> &Planned {
        &self.plan.forward[0]
    }

    /// What a look needs to know; none once the bake has ended.
    pub fn baking(&self) -> Option<Baking> {
        let so_far: &Bake = self.state.baking()?;
        let at = StepRef::new(Part::Forward, so_far.step);
        let Some(Class::Bake(outline)) = self.state.outline.step(at).map(|s| &s.class) else {
            return None;
        };
        Some(Baking {
            planned: self.planned().clone(),
            outline: outline.clone(),
            so_far: so_far.clone(),
        })
    }

    /// Takes what a look saw at `now_ms` (since 1970); says what the bake became by it, if it has
    /// ended.
    pub fn look(&mut self, now_ms: u64, readings: Vec<Reading>) -> Option<Became> {
        let decision = decide(&self.state, now_ms, Input::Look { readings }).ok()?;
        let mut became = None;
        for event in decision.events {
            self.state.apply(&event).ok()?;
            became = match event {
                Event::Failed { why, .. } => Some(Became::RolledBack { why }),
                Event::Paused { why, .. } => Some(Became::Paused { why }),
                Event::Succeeded { .. } => Some(Became::Passed),
                Event::Started { .. }
                | Event::Driven { .. }
                | Event::ApprovalWanted { .. }
                | Event::Approved { .. }
                | Event::AnswerWanted { .. }
                | Event::Intended { .. }
                | Event::InDoubt { .. }
                | Event::Probed { .. }
                | Event::Observed { .. }
                | Event::Triggered { .. }
                | Event::Resumed { .. }
                | Event::RollbackStarted { .. }
                | Event::RolledBack
                | Event::Stuck { .. }
                | Event::Completed
                | Event::Aborted { .. }
                | Event::Waived { .. }
                | Event::Note { .. }
                | Event::KitRefreshed { .. }
                | Event::Logged { .. }
                | Event::Agreed { .. }
                | Event::Replanned { .. }
                | Event::Checkpoint(_) => became,
            };
        }
        became
    }
}

/// A state that was approved and bakes.
fn begun(outline: Outline) -> Option<State> {
    let by = "hindsight".to_owned();
    let plan = outline.plan.clone();
    let mut state = State::start(&Event::Started {
        by: by.clone(),
        outline,
        plan: String::new(),
    })
    .ok()?;
    for input in [
        Input::Tick,
        Input::Approve { phase: 0, plan, by },
        Input::Tick,
    ] {
        for event in decide(&state, 0, input).ok()?.events {
            state.apply(&event).ok()?;
        }
    }
    state.baking().is_some().then_some(state)
}

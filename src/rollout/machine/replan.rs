//! Following another plan in the middle of a run.
//!
//! What is done stays done, and what was begun stays what it was: a rollback acts on what the plan
//! says of the steps that were begun. Phases that are not finished want a new approval, since an
//! approval is for one plan.

use super::outline::{Class, Outline, Part, StepOutline};
use super::state::{PausedBy, Progress, State, Status, StepState};

impl State {
    /// Why the run cannot follow `next` from here.
    pub fn may_replan(&self, next: &Outline) -> Result<(), String> {
        match self.status {
            Status::Paused { .. } | Status::AwaitingApproval { .. } => {}
            Status::Running | Status::AwaitingAnswer { .. } => {
                return Err("the run is under way; pause it first".into());
            }
            Status::RollingBack
            | Status::RolledBack
            | Status::Stuck { .. }
            | Status::Completed
            | Status::Aborted => {
                return Err(
                    "the run goes no further forward, so another plan changes nothing".into(),
                );
            }
        }
        if next.plan == self.outline.plan {
            return Err("it is the plan that the run follows already".into());
        }
        let mut after = 0;
        for (step, state) in self.outline.forward.iter().zip(&self.forward) {
            if state.attempts == 0 {
                continue;
            }
            let id = &step.id;
            let Some(at) = next.forward.iter().position(|s| s.id == *id) else {
                return Err(format!(
                    "step {id} was begun, and the new plan leaves it out"
                ));
            };
            if at < after {
                return Err(format!("step {id} was begun, and the new plan moves it"));
            }
            after = at;
            stays(step, state, &next.forward[at])?;
        }
        Ok(())
    }

    pub(super) fn replanned(&mut self, next: &Outline) -> bool {
        if self.may_replan(next).is_err() {
            return false;
        }
        let old = |id: &str| self.outline.forward.iter().position(|s| s.id == id);
        let forward: Vec<StepState> = next
            .forward
            .iter()
            .map(|step| {
                old(&step.id).map_or_else(StepState::default, |i| carried(&self.forward[i]))
            })
            .collect();
        self.status = Status::Paused {
            by: PausedBy::Person,
        };
        self.bake = None;
        self.rollback = vec![StepState::default(); next.steps(Part::Rollback).len()];
        self.afterwards = vec![StepState::default(); next.steps(Part::Afterwards).len()];
        let approved = (0..next.phases.len()).map(|phase| {
            let mut steps = next.forward.iter().zip(&forward);
            let finished = steps.all(|(s, state)| s.phase != phase || state.progress.is_finished());
            let known = next.forward.iter().find(|s| s.phase == phase);
            let before = known
                .and_then(|s| old(&s.id))
                .map(|i| self.outline.forward[i].phase);
            before
                .filter(|_| finished)
                .and_then(|before| self.approved[before].clone())
        });
        self.approved = approved.collect();
        self.forward = forward;
        self.outline = next.clone();
        true
    }
}

/// Why a step that was begun may not become `next`.
fn stays(step: &StepOutline, state: &StepState, next: &StepOutline) -> Result<(), String> {
    let id = &step.id;
    let open = match state.progress {
        Progress::InFlight => !matches!(step.class, Class::Bake(_) | Class::Ask),
        Progress::InDoubt => step.digest != next.digest,
        Progress::Pending
        | Progress::Done
        | Progress::Unconfirmed
        | Progress::Failed { .. }
        | Progress::Abandoned => false,
    };
    if open {
        return Err(format!(
            "step {id} has no outcome yet; wait for it, or resume first"
        ));
    }
    let same_kind = std::mem::discriminant(&step.class) == std::mem::discriminant(&next.class);
    if !same_kind || step.flips != next.flips {
        return Err(format!(
            "step {id} was begun, and would become another kind of step"
        ));
    }
    // A rollback switches back what the plan says that this step switched.
    if step.flips && step.digest != next.digest {
        return Err(format!(
            "step {id} has switched targets, so it must stay as it is"
        ));
    }
    Ok(())
}

/// Done stays done; a bake or a question that was open begins again.
fn carried(state: &StepState) -> StepState {
    let progress = match state.progress {
        Progress::InFlight => Progress::Pending,
        Progress::Pending
        | Progress::InDoubt
        | Progress::Done
        | Progress::Unconfirmed
        | Progress::Failed { .. }
        | Progress::Abandoned => state.progress,
    };
    StepState {
        attempts: state.attempts,
        progress,
        agreed: Vec::new(),
    }
}

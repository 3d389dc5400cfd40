//! What the world must look like if the journal is right and nobody else touched it.
//!
//! Only what this run did itself and what has an outcome: of a step in flight or in doubt nothing
//! is expected, its probe finds out.

use std::collections::{BTreeMap, BTreeSet};

use crate::rollout::machine::{Progress, State, Status, StepState};
use crate::rollout::ports::flipped;
use crate::runbook::model::StepKind;
use crate::runbook::plan::{Plan, Planned, TargetRef};
use crate::runtime::toggles::{Mode, Modes, Toggle};

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Expected {
    /// What the env file of a target says.
    pub toggles: BTreeMap<TargetRef, Modes>,
    /// What the running process of a target says of itself.
    pub modes: BTreeMap<TargetRef, Modes>,
    /// Environments whose migrations are all applied.
    pub migrated: BTreeSet<String>,
    /// Environments that have a signing key.
    pub keyed: BTreeSet<String>,
}

/// Of a run that may go on forward, or that was rolled back. While it unwinds nothing is expected:
/// a rollback waits for no comparison.
pub fn expected(plan: &Plan, state: &State) -> Expected {
    let mut expected = Folding::default();
    match state.status {
        Status::Running
        | Status::AwaitingApproval { .. }
        | Status::AwaitingAnswer { .. }
        | Status::Paused { .. } => expected.steps(&plan.forward, &state.forward),
        Status::RolledBack => {
            for target in flipped(plan, state) {
                expected.set(target, local(), true, true);
            }
            expected.steps(&plan.afterwards, &state.afterwards);
        }
        Status::RollingBack | Status::Stuck { .. } | Status::Completed | Status::Aborted => {}
    }
    expected.so_far
}

impl Expected {
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

fn local() -> BTreeMap<Toggle, Mode> {
    Toggle::ALL.map(|t| (t, t.local())).into()
}

fn postgres() -> BTreeMap<Toggle, Mode> {
    Toggle::ALL.map(|t| (t, Mode::Postgres)).into()
}

/// What is expected after each step in turn.
#[derive(Default)]
struct Folding {
    so_far: Expected,
    /// The toggles that steps set on a target, all together.
    toggles: BTreeMap<TargetRef, BTreeMap<Toggle, Mode>>,
}

impl Folding {
    fn steps(&mut self, planned: &[Planned], states: &[StepState]) {
        for (planned, step) in planned.iter().zip(states) {
            if step.attempts > 0 {
                self.step(planned, step.progress == Progress::Done);
            }
        }
    }

    /// `set` on `target`; of a step without an outcome nothing is expected.
    fn set(&mut self, target: TargetRef, set: BTreeMap<Toggle, Mode>, done: bool, restarted: bool) {
        let toggles = self.toggles.entry(target.clone()).or_default();
        toggles.extend(set);
        let modes = Modes::resolve(toggles);
        self.so_far.modes.remove(&target);
        if !done {
            self.so_far.toggles.remove(&target);
            return;
        }
        self.so_far.toggles.insert(target.clone(), modes);
        if restarted {
            self.so_far.modes.insert(target, modes);
        }
    }

    fn step(&mut self, planned: &Planned, done: bool) {
        let env = &planned.step.env;
        match &planned.step.kind {
            StepKind::Migrate if done => {
                self.so_far.migrated.insert(env.clone());
            }
            StepKind::Keys if done => {
                self.so_far.keyed.insert(env.clone());
            }
            StepKind::Toggles { set, restart, .. } => {
                for target in planned.target_refs() {
                    self.set(target, set.clone(), done, *restart);
                }
            }
            StepKind::Restart { .. } => {
                for target in planned.target_refs() {
                    match self.so_far.toggles.get(&target).filter(|_| done) {
                        Some(modes) => self.so_far.modes.insert(target, *modes),
                        None => self.so_far.modes.remove(&target),
                    };
                }
            }
            // It goes back and forward again, and ends on Postgres.
            StepKind::Rehearse { .. } => {
                for target in planned.target_refs() {
                    self.set(target, postgres(), done, true);
                }
            }
            StepKind::Migrate
            | StepKind::Keys
            | StepKind::Confirm { .. }
            | StepKind::Approve { .. }
            | StepKind::Command { .. }
            | StepKind::Preflight
            | StepKind::Carry { .. }
            | StepKind::Smoke { .. }
            | StepKind::Verify { .. }
            | StepKind::Integrity
            | StepKind::Bake { .. }
            | StepKind::Recover { .. }
            | StepKind::Complete => {}
        }
    }
}

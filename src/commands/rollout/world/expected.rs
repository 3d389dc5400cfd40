//! What the world must look like if the journal is right and nobody else touched it.
//!
//! Only what this run did itself and what has an outcome: of a step in flight or in doubt nothing
//! is expected, its probe finds out.

use std::collections::{BTreeMap, BTreeSet};

use crate::rollout::machine::{Progress, State, Status};
use crate::rollout::ports::flipped;
use crate::runbook::model::StepKind;
use crate::runbook::plan::{Plan, TargetRef};
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
    let mut expected = Expected::default();
    match state.status {
        Status::Running
        | Status::AwaitingApproval { .. }
        | Status::AwaitingAnswer { .. }
        | Status::Paused { .. } => expected.forward(plan, state),
        Status::RolledBack => {
            for target in flipped(plan, state) {
                expected.toggles.insert(target.clone(), Modes::LOCAL);
                expected.modes.insert(target, Modes::LOCAL);
            }
        }
        Status::RollingBack | Status::Stuck { .. } | Status::Completed | Status::Aborted => {}
    }
    expected
}

impl Expected {
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    fn forward(&mut self, plan: &Plan, state: &State) {
        let mut set: BTreeMap<TargetRef, BTreeMap<Toggle, Mode>> = BTreeMap::new();
        for (planned, step) in plan.forward.iter().zip(&state.forward) {
            if step.attempts == 0 {
                continue;
            }
            let done = step.progress == Progress::Done;
            let env = &planned.step.env;
            match &planned.step.kind {
                StepKind::Migrate if done => {
                    self.migrated.insert(env.clone());
                }
                StepKind::Keys if done => {
                    self.keyed.insert(env.clone());
                }
                StepKind::Toggles {
                    set: wanted,
                    restart,
                    ..
                } => {
                    for target in planned.target_refs() {
                        let toggles = set.entry(target.clone()).or_default();
                        toggles.extend(wanted);
                        self.modes.remove(&target);
                        if !done {
                            self.toggles.remove(&target);
                            continue;
                        }
                        let modes = Modes::resolve(toggles);
                        self.toggles.insert(target.clone(), modes);
                        if *restart {
                            self.modes.insert(target, modes);
                        }
                    }
                }
                StepKind::Restart { .. } => {
                    for target in planned.target_refs() {
                        match self.toggles.get(&target).filter(|_| done) {
                            Some(modes) => self.modes.insert(target, *modes),
                            None => self.modes.remove(&target),
                        };
                    }
                }
                StepKind::Rehearse { .. } if !done => {
                    for target in planned.target_refs() {
                        self.toggles.remove(&target);
                        self.modes.remove(&target);
                    }
                }
                StepKind::Migrate
                | StepKind::Keys
                | StepKind::Rehearse { .. }
                | StepKind::Confirm { .. }
                | StepKind::Approve { .. }
                | StepKind::Command { .. }
                | StepKind::Preflight
                | StepKind::Carry { .. }
                | StepKind::Smoke { .. }
                | StepKind::Verify { .. }
                | StepKind::Bake { .. }
                | StepKind::Recover { .. }
                | StepKind::Complete => {}
            }
        }
    }
}

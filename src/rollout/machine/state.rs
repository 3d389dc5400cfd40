//! What a run is at any moment: a fold over its events, nothing else.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use super::bake::Bake;
use super::outline::{Class, Outline, Part, StepRef};
use crate::contract::KitSeal;

/// The state of a run. Every field follows from the journal, so all of it survives a crash.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct State {
    pub outline: Outline,
    pub status: Status,
    pub forward: Vec<StepState>,
    pub rollback: Vec<StepState>,
    pub afterwards: Vec<StepState>,
    /// Who let the run enter each phase; set by `approved`, never taken back.
    pub approved: Vec<Option<String>>,
    /// A step that switches targets was begun; set by its intent.
    pub flipped: bool,
    /// The bake under way; set by its intent, cleared by its end.
    pub bake: Option<Bake>,
    /// Gates that a bake of this run passed.
    pub passed_gates: Vec<String>,
    /// A person had the steps after a rollback go on; set by `resumed`, cleared by a failure.
    pub in_aftermath: bool,
    /// A person gave up what was due after the rollback.
    pub waived: bool,
    /// The seals of the rollback kits by environment, the newest of each machine; set by
    /// `kit-refreshed`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub kits: BTreeMap<String, Vec<KitSeal>>,
}

/// Where the run stands as a whole.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(tag = "status", rename_all = "kebab-case")]
pub enum Status {
    /// Going forward. Set by the start, an approval, an answer, a resume.
    Running,
    /// At the border of a phase. Set by the machine; a person's approval ends it.
    AwaitingApproval { phase: usize },
    /// A step wants a person's answer. Set by the machine; the answer ends it.
    AwaitingAnswer { step: StepRef },
    /// Nothing advances. Set by a person, a gate, a trigger or a failed step; a person ends it.
    Paused { by: PausedBy },
    /// Unwinding. Set by a person, a trigger or a failed gate; ends as rolled back or stuck.
    RollingBack,
    /// Unwound, and confirmed as far as the steps say. Set by the machine.
    RolledBack,
    /// A rollback step failed for good. Set by the machine; a person's rollback tries again.
    Stuck { step: StepRef },
    /// All steps and criteria hold. Set by the machine. A rollback is still possible.
    Completed,
    /// Ended by a person before anything was switched.
    Aborted,
}

/// Why a run is paused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PausedBy {
    Person,
    /// A gate could not be judged for too long, is not certain at the end, or says pause.
    Gate,
    Trigger,
    /// A step failed.
    Failure,
    /// A check could not be judged.
    Inconclusive,
    /// A step is in doubt and the probe could not tell.
    Doubt,
}

impl PausedBy {
    /// A gate or a trigger paused it, not a person.
    pub const fn is_gate(self) -> bool {
        match self {
            PausedBy::Gate | PausedBy::Trigger | PausedBy::Inconclusive => true,
            PausedBy::Person | PausedBy::Failure | PausedBy::Doubt => false,
        }
    }
}

/// One step's progress.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct StepState {
    /// Attempts begun so far; the current one where a step is in flight.
    pub attempts: u32,
    pub progress: Progress,
    /// Who said yes to the question of the current attempt.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub agreed: Vec<String>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Progress {
    #[default]
    Pending,
    /// Its intent is recorded and its outcome is not.
    InFlight,
    /// Its driver died, or its outcome is unknown: it must be probed.
    InDoubt,
    Done,
    /// Done as far as can be told; a check of a rollback that could not be judged.
    Unconfirmed,
    /// It did not work, or (inconclusive) it could not be judged.
    Failed {
        inconclusive: bool,
    },
    /// A rollback or an abort began while it was in flight or in doubt.
    Abandoned,
}

impl Progress {
    /// Nothing more is to be done for it on the way forward.
    pub const fn is_finished(self) -> bool {
        match self {
            Progress::Done | Progress::Unconfirmed => true,
            Progress::Pending
            | Progress::InFlight
            | Progress::InDoubt
            | Progress::Failed { .. }
            | Progress::Abandoned => false,
        }
    }
}

impl State {
    pub fn steps(&self, part: Part) -> &[StepState] {
        match part {
            Part::Forward => &self.forward,
            Part::Rollback => &self.rollback,
            Part::Afterwards => &self.afterwards,
        }
    }

    pub(super) fn steps_mut(&mut self, part: Part) -> &mut Vec<StepState> {
        match part {
            Part::Forward => &mut self.forward,
            Part::Rollback => &mut self.rollback,
            Part::Afterwards => &mut self.afterwards,
        }
    }

    pub fn step(&self, at: StepRef) -> Option<&StepState> {
        self.steps(at.part).get(at.index)
    }

    /// The first step of a part that is due and not finished.
    pub fn next_step(&self, part: Part) -> Option<StepRef> {
        let steps = self.steps(part).iter().enumerate();
        steps
            .map(|(index, step)| (StepRef::new(part, index), step))
            .find(|(at, step)| !step.progress.is_finished() && self.is_due(*at))
            .map(|(at, _)| at)
    }

    /// A step that undoes something is due only if that was begun.
    pub fn is_due(&self, at: StepRef) -> bool {
        let undoes = self.outline.step(at).and_then(|s| s.undoes);
        undoes.is_none_or(|forward| self.forward.get(forward).is_some_and(|s| s.attempts > 0))
    }

    /// The step that waits for a person's answer: on the way forward, or due after a rollback.
    pub fn asked(&self) -> Option<StepRef> {
        match self.status {
            Status::AwaitingAnswer { step } => Some(step),
            Status::RolledBack => self.in_flight().filter(|step| {
                step.part == Part::Afterwards && self.class(*step) == Some(&Class::Ask)
            }),
            Status::Running
            | Status::AwaitingApproval { .. }
            | Status::Paused { .. }
            | Status::RollingBack
            | Status::Stuck { .. }
            | Status::Completed
            | Status::Aborted => None,
        }
    }

    /// The step whose effect or check runs now.
    pub fn in_flight(&self) -> Option<StepRef> {
        [Part::Forward, Part::Rollback, Part::Afterwards]
            .into_iter()
            .find_map(|part| {
                let at = |i| StepRef::new(part, i);
                let steps = self.steps(part).iter();
                steps
                    .enumerate()
                    .find_map(|(i, s)| (s.progress == Progress::InFlight).then(|| at(i)))
            })
    }

    /// The bake that is being observed: in flight, and the run goes forward.
    pub fn baking(&self) -> Option<&Bake> {
        match self.status {
            Status::Running => self.bake.as_ref(),
            Status::AwaitingApproval { .. }
            | Status::AwaitingAnswer { .. }
            | Status::Paused { .. }
            | Status::RollingBack
            | Status::RolledBack
            | Status::Stuck { .. }
            | Status::Completed
            | Status::Aborted => None,
        }
    }

    /// Triggers are live from the first flip until the run is completed or unwinding.
    pub fn triggers_armed(&self) -> bool {
        self.flipped && self.can_go_forward()
    }

    /// The run may still go forward, now or after a person's word.
    pub fn can_go_forward(&self) -> bool {
        match self.status {
            Status::Running
            | Status::AwaitingApproval { .. }
            | Status::AwaitingAnswer { .. }
            | Status::Paused { .. } => true,
            Status::RollingBack
            | Status::RolledBack
            | Status::Stuck { .. }
            | Status::Completed
            | Status::Aborted => false,
        }
    }

    /// Every step of a phase, and so of all before it, is finished.
    pub fn is_finished(&self, phase: usize) -> bool {
        let steps = self.outline.forward.iter().zip(&self.forward);
        steps
            .filter(|(outline, _)| outline.phase <= phase)
            .all(|(_, step)| step.progress.is_finished())
    }

    /// The run goes on forward, a phase is finished and the next one is not.
    pub fn stands_behind(&self, phase: usize) -> bool {
        let forward = match self.status {
            Status::Running | Status::AwaitingApproval { .. } | Status::AwaitingAnswer { .. } => {
                true
            }
            Status::Paused { .. }
            | Status::RollingBack
            | Status::RolledBack
            | Status::Stuck { .. }
            | Status::Completed
            | Status::Aborted => false,
        };
        forward && self.is_finished(phase) && self.next_step(Part::Forward).is_some()
    }

    /// Nothing is left to do in this run, the steps after a rollback included.
    pub fn is_closed(&self) -> bool {
        match self.status {
            Status::Completed | Status::Aborted => true,
            Status::RolledBack => self.waived || self.next_step(Part::Afterwards).is_none(),
            Status::Running
            | Status::AwaitingApproval { .. }
            | Status::AwaitingAnswer { .. }
            | Status::Paused { .. }
            | Status::RollingBack
            | Status::Stuck { .. } => false,
        }
    }

    pub(super) fn class(&self, at: StepRef) -> Option<&Class> {
        self.outline.step(at).map(|s| &s.class)
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Status::Running => "running",
            Status::AwaitingApproval { .. } => "awaiting approval",
            Status::AwaitingAnswer { .. } => "awaiting an answer",
            Status::Paused { .. } => "paused",
            Status::RollingBack => "rolling back",
            Status::RolledBack => "rolled back",
            Status::Stuck { .. } => "stuck",
            Status::Completed => "completed",
            Status::Aborted => "aborted",
        })
    }
}

impl fmt::Display for PausedBy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            PausedBy::Person => "a person",
            PausedBy::Gate => "a gate",
            PausedBy::Trigger => "a trigger",
            PausedBy::Failure => "a failed step",
            PausedBy::Inconclusive => "a check that could not be judged",
            PausedBy::Doubt => "a step in doubt",
        })
    }
}

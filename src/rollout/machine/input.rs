//! What the machine hears, and what it answers.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::event::{Event, Found, Outcome, Reading};
use super::outline::{Outline, StepRef};
use crate::check::logs::LogExcerpt;
use crate::contract::KitSeal;

/// Something that happened outside.
#[derive(Debug, Clone, PartialEq)]
pub enum Input {
    /// What is next?
    Tick,
    /// A driver begins: at the start, at a resume, at a take-over.
    TakeOver {
        by: String,
    },
    Approve {
        phase: usize,
        plan: String,
        by: String,
    },
    Answer {
        step: StepRef,
        said: Answer,
        by: String,
    },
    Ended {
        step: StepRef,
        attempt: u32,
        outcome: Outcome,
        evidence: serde_json::Value,
    },
    Probed {
        step: StepRef,
        attempt: u32,
        found: Found,
        why: String,
    },
    /// The gates of the bake under way were looked at.
    Look {
        readings: Vec<Reading>,
    },
    Trigger {
        id: String,
        why: String,
        rolls_back: bool,
        evidence: serde_json::Value,
    },
    Pause {
        by: String,
        why: String,
    },
    Resume {
        by: String,
    },
    Abort {
        by: String,
        why: String,
    },
    Rollback {
        by: String,
        why: String,
    },
    /// A person has the run follow another plan from here on.
    Replan {
        by: String,
        outline: Outline,
        plan: String,
    },
    /// A person has looked, and says what became of a step in doubt.
    Resolve {
        step: StepRef,
        done: bool,
        by: String,
        why: String,
    },
    /// A person gives up what is due after the rollback.
    Waive {
        by: String,
    },
    Note {
        by: String,
        text: String,
    },
    /// The rollback kit of an environment was made fresh.
    Kit {
        env: String,
        seal: KitSeal,
    },
    /// What the services' logs said when the event with the number `of` stopped the run.
    Logs {
        of: u64,
        logs: Vec<LogExcerpt>,
    },
}

/// What a person said to a step that asks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Answer {
    Yes,
    No { why: String },
}

/// Something to start outside, once the events are recorded.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Effect {
    Run {
        step: StepRef,
        attempt: u32,
    },
    /// Find out whether a step in doubt was done.
    Probe {
        step: StepRef,
        attempt: u32,
    },
    AskApproval {
        phase: usize,
    },
    AskPerson {
        step: StepRef,
    },
}

/// Events to record, in order, and then an effect to start.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Decision {
    pub events: Vec<Event>,
    pub effect: Option<Effect>,
}

/// Why an input is not taken. Nothing changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// The approval is for another phase than the one that waits.
    NotAwaited,
    /// The approval names another plan than the one that the run is pinned to.
    OtherPlan,
    /// Nothing was switched, so there is nothing to roll back.
    NothingToRollBack,
    AlreadyRollingBack,
    AlreadyRolledBack,
    /// Something was switched: leaving it so is not an abort.
    MustRollBack,
    NotPaused,
    AlreadyPaused,
    /// It is about an attempt that is not under way (any more).
    Stale,
    /// The run is over.
    Ended,
    /// The step is not in doubt.
    NotInDoubt,
    /// The same person agreed before, and another one is wanted.
    AgreedAlready,
    /// The run cannot follow that plan, and why.
    CannotReplan(String),
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Refusal::NotInDoubt => "the step is not in doubt",
            Refusal::AgreedAlready => "you agreed to it before; another person must",
            Refusal::CannotReplan(why) => why,
            Refusal::NotAwaited => "the run does not wait for this",
            Refusal::OtherPlan => {
                "the approval names another plan than the one that the run follows"
            }
            Refusal::NothingToRollBack => "nothing was switched, so there is nothing to roll back",
            Refusal::AlreadyRollingBack => "the run is being rolled back already",
            Refusal::AlreadyRolledBack => "the run was rolled back already",
            Refusal::MustRollBack => "targets were switched; an abort would leave them so",
            Refusal::NotPaused => "the run is not paused",
            Refusal::AlreadyPaused => "the run is paused already",
            Refusal::Stale => "it is about something that is not under way any more",
            Refusal::Ended => "the run is over",
        })
    }
}

impl std::error::Error for Refusal {}

impl Decision {
    pub(super) fn event(event: Event) -> Self {
        Self {
            events: vec![event],
            effect: None,
        }
    }

    pub(super) fn effect(effect: Effect) -> Self {
        Self {
            events: Vec::new(),
            effect: Some(effect),
        }
    }
}

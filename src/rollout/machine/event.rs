//! What the journal records.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::outline::{Outline, StepRef};
use super::state::{PausedBy, State};
use super::told::Told;
use crate::check::Verdict;
use crate::check::logs::LogExcerpt;
use crate::contract::KitSeal;

/// A fact about a run. Recorded once, never changed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "kebab-case")]
pub enum Event {
    /// The run begins; the plan lies here whole, so that nobody can change it under way.
    Started {
        by: String,
        outline: Outline,
        /// The plan's JSON; its SHA-256 is `outline.plan`.
        plan: String,
    },
    /// Somebody drives the run from here on: at the start, at a resume, at a take-over.
    Driven {
        by: String,
    },
    ApprovalWanted {
        phase: usize,
    },
    Approved {
        phase: usize,
        plan: String,
        by: String,
    },
    /// A step wants an answer from a person.
    AnswerWanted {
        step: StepRef,
    },
    /// A person said yes to a step that asks; it may want more than one.
    Agreed {
        step: StepRef,
        attempt: u32,
        by: String,
    },
    /// The effect is about to be started.
    Intended {
        step: StepRef,
        attempt: u32,
    },
    Succeeded {
        step: StepRef,
        attempt: u32,
        /// Done, but not confirmed, and why: a check of a rollback that could not be judged.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        unconfirmed: Option<String>,
        #[serde(default, skip_serializing_if = "serde_json::Value::is_null")]
        evidence: serde_json::Value,
    },
    Failed {
        step: StepRef,
        attempt: u32,
        why: String,
        /// It could not be judged, which is not a pass either.
        inconclusive: bool,
        #[serde(default, skip_serializing_if = "serde_json::Value::is_null")]
        evidence: serde_json::Value,
    },
    /// Nobody knows whether the effect happened.
    InDoubt {
        step: StepRef,
        attempt: u32,
        why: String,
    },
    /// What looking at the world said about a step in doubt.
    Probed {
        step: StepRef,
        attempt: u32,
        found: Found,
        why: String,
    },
    /// A bake looked at its gates.
    Observed {
        step: StepRef,
        at_ms: u64,
        /// Observed time that this adds; 0 after a gap.
        gained_ms: u64,
        readings: Vec<Reading>,
    },
    Triggered {
        id: String,
        why: String,
        rolls_back: bool,
        #[serde(default, skip_serializing_if = "serde_json::Value::is_null")]
        evidence: serde_json::Value,
    },
    Paused {
        by: PausedBy,
        why: String,
    },
    Resumed {
        by: String,
    },
    RollbackStarted {
        why: String,
    },
    RolledBack,
    /// The run can neither go on nor unwind without a person.
    Stuck {
        step: StepRef,
        why: String,
    },
    Completed,
    Aborted {
        by: String,
        why: String,
    },
    /// A person gave up what was due after the rollback, so that another attempt may begin.
    Waived {
        by: String,
    },
    Note {
        by: String,
        text: String,
    },
    /// The rollback kit of an environment was made fresh: its seal, by which a kit that was edited
    /// or restored is told from it.
    KitRefreshed {
        env: String,
        seal: KitSeal,
    },
    /// What the services' own logs said of trouble when something stopped the run.
    Logged {
        /// The number of the event that stopped it.
        of: u64,
        logs: Vec<LogExcerpt>,
    },
    /// The run follows another plan from here on; a person saw what differs and accepted it.
    Replanned {
        by: String,
        outline: Outline,
        /// The plan's JSON; its SHA-256 is `outline.plan`.
        plan: String,
    },
    /// All that the entries before come to, so that a reader may begin here. A reader that comes
    /// from the beginning checks it.
    Checkpoint(Box<Checkpoint>),
}

/// What a [`Event::Checkpoint`] holds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Checkpoint {
    pub state: State,
    pub told: Told,
    /// The number of the entry that holds the plan that the run follows.
    pub plan_in: u64,
}

impl Event {
    /// The tag that the journal shows.
    pub const fn name(&self) -> &'static str {
        match self {
            Event::Started { .. } => "started",
            Event::Driven { .. } => "driven",
            Event::ApprovalWanted { .. } => "approval-wanted",
            Event::Approved { .. } => "approved",
            Event::AnswerWanted { .. } => "answer-wanted",
            Event::Intended { .. } => "intended",
            Event::Succeeded { .. } => "succeeded",
            Event::Failed { .. } => "failed",
            Event::InDoubt { .. } => "in-doubt",
            Event::Probed { .. } => "probed",
            Event::Observed { .. } => "observed",
            Event::Triggered { .. } => "triggered",
            Event::Paused { .. } => "paused",
            Event::Resumed { .. } => "resumed",
            Event::RollbackStarted { .. } => "rollback-started",
            Event::RolledBack => "rolled-back",
            Event::Stuck { .. } => "stuck",
            Event::Completed => "completed",
            Event::Aborted { .. } => "aborted",
            Event::Waived { .. } => "waived",
            Event::Note { .. } => "note",
            Event::KitRefreshed { .. } => "kit-refreshed",
            Event::Logged { .. } => "logged",
            Event::Agreed { .. } => "agreed",
            Event::Replanned { .. } => "replanned",
            Event::Checkpoint(_) => "checkpoint",
        }
    }
}

/// One gate's verdict at one observation, with what was seen.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Reading {
    pub gate: String,
    pub verdict: Verdict,
    /// Not judged only because the watch or a process began less than a window ago, or because
    /// the bake is not at its end: nothing is wrong, and it does not count against the gate's
    /// limit. It is not a pass either.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub warming: bool,
    /// Within the thresholds over a whole window that was all observed; only the decision at the
    /// bake's end is missing. It ends a row of looks that could not be judged.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub sound: bool,
    /// The time since the look before was not observed, at least in part: a target was silent or
    /// without traffic, a process was restarted. It is not bake time (P6).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub unseen: bool,
    /// How bad a failure is.
    #[serde(default, skip_serializing_if = "Harm::is_counted")]
    pub harm: Harm,
    /// What was counted since the look before, for a gate that is compared.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub arms: Option<Arms>,
    /// Whether it was shown not to be worse than the others; only where that was due.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shown: Option<bool>,
    /// One line for a person: the value, the limit, the reason.
    pub why: String,
    #[serde(default, skip_serializing_if = "serde_json::Value::is_null")]
    pub evidence: serde_json::Value,
}

/// How bad a failed look is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Harm {
    /// One failure among those that are counted.
    #[default]
    Counted,
    /// Beyond the second level: rolls back if the next look says so too.
    Grave,
    /// Worse than the others, by a test that bears being asked at every look: acts at once.
    Proven,
}

impl Harm {
    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it so")]
    const fn is_counted(&self) -> bool {
        matches!(self, Harm::Counted)
    }
}

/// What was counted in both arms of a comparison.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Arms {
    /// The targets that bake.
    pub baking: Counted,
    /// The targets of the same environment that do not.
    pub others: Counted,
}

/// Requests, and the bad ones among them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Counted {
    pub bad: u64,
    pub total: u64,
}

/// How an effect or a check ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    Succeeded,
    /// It is known not to have worked.
    Failed(String),
    /// A check that could not be judged.
    Inconclusive(String),
    /// It may or may not have happened.
    Unknown(String),
}

/// What a probe found out about a step in doubt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Found {
    Done,
    NotDone,
    Unknown,
}

/// An event that may not follow the state it was applied to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Illegal {
    pub event: &'static str,
    pub state: String,
}

impl fmt::Display for Illegal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` cannot follow `{}`", self.event, self.state)
    }
}

impl std::error::Error for Illegal {}

//! What an operator leaves in the journal for whoever drives.

use serde::{Deserialize, Serialize};

use crate::rollout::machine::{Answer, StepRef};

/// What a second operator asks of whoever drives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RequestKind {
    Approve,
    /// Says yes or no to the step that asks.
    Answer,
    Pause,
    Resume,
    Abort,
    Rollback,
    Note,
}

impl RequestKind {
    pub const ALL: [RequestKind; 7] = [
        RequestKind::Approve,
        RequestKind::Answer,
        RequestKind::Pause,
        RequestKind::Resume,
        RequestKind::Abort,
        RequestKind::Rollback,
        RequestKind::Note,
    ];

    pub const fn as_str(self) -> &'static str {
        match self {
            RequestKind::Approve => "approve",
            RequestKind::Answer => "answer",
            RequestKind::Pause => "pause",
            RequestKind::Resume => "resume",
            RequestKind::Abort => "abort",
            RequestKind::Rollback => "rollback",
            RequestKind::Note => "note",
        }
    }
}

/// A request that waits for the driver.
#[derive(Debug, Clone)]
pub struct Request {
    pub id: i64,
    pub kind: RequestKind,
    pub by: String,
    /// What they say of themselves.
    pub claim: Option<String>,
    /// The reason, the note; for an approval and an answer the JSON of what it is about.
    pub detail: String,
}

impl RequestKind {
    /// The kind that a store calls `name`.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == name)
    }
}

/// What an approval of a phase is about.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Approval {
    pub phase: usize,
    /// The hash of the plan that the person saw.
    pub plan: String,
}

/// What an answer to a step that asks is about, and what it says.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct StepAnswer {
    pub step: StepRef,
    pub attempt: u32,
    pub plan: String,
    pub said: Answer,
}

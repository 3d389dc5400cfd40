//! How far a pipeline wants a run to come.

use crate::error::{Exit, Problem, Result};
use crate::rollout::machine::{Part, State, Status};
use crate::runbook::nearest;
use crate::runbook::plan::Plan;

/// What `--until` names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Until {
    /// Every step of the phase with this index is finished.
    Phase(usize),
    /// A person's approval or answer is wanted.
    Approval,
    Completed,
    /// Completed, rolled back or aborted.
    Ended,
}

impl Until {
    /// The words beside the phases that `rollout run` knows.
    pub const OF_RUN: &'static [(&'static str, Until)] = &[
        ("approval", Until::Approval),
        ("completed", Until::Completed),
    ];
    /// The words beside the phases that `rollout wait` knows.
    pub const OF_WAIT: &'static [(&'static str, Until)] = &[
        ("approval", Until::Approval),
        ("completed", Until::Completed),
        ("ended", Until::Ended),
    ];

    /// Finds what is meant: one of `words`, or a phase of the plan. Anything else is
    /// [`Exit::Usage`].
    pub fn find(text: &str, words: &[(&str, Until)], plan: &Plan) -> Result<Self> {
        if let Some((_, until)) = words.iter().find(|(word, _)| *word == text) {
            return Ok(*until);
        }
        if let Some(phase) = plan.phases.iter().position(|p| p.name == text) {
            return Ok(Until::Phase(phase));
        }
        let phases: Vec<&str> = plan.phases.iter().map(|p| p.name.as_str()).collect();
        let words: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
        let known = phases.iter().chain(&words).copied();
        let next = match nearest(text, known) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("name a phase, or one of {}", words.join(", ")),
        };
        let cause = format!(
            "the plan has no phase `{text}`; its phases are {}",
            phases.join(", ")
        );
        Err(Problem::new(Exit::Usage, "reading --until", cause).next(next))
    }

    /// Whether a run in this state has come as far. A run that is paused or unwinding has not:
    /// what a pause or a rollback says counts more than a phase that was finished before.
    pub fn is_reached(self, state: &State) -> bool {
        match self {
            Until::Phase(phase) => state.status == Status::Completed || state.stands_behind(phase),
            Until::Approval => match state.status {
                Status::Completed | Status::AwaitingApproval { .. } => true,
                Status::AwaitingAnswer { step } => step.part == Part::Forward,
                Status::Running
                | Status::Paused { .. }
                | Status::RollingBack
                | Status::RolledBack
                | Status::Stuck { .. }
                | Status::Aborted => false,
            },
            Until::Completed => state.status == Status::Completed,
            Until::Ended => match state.status {
                Status::Completed | Status::RolledBack | Status::Aborted => true,
                Status::Running
                | Status::AwaitingApproval { .. }
                | Status::AwaitingAnswer { .. }
                | Status::Paused { .. }
                | Status::RollingBack
                | Status::Stuck { .. } => false,
            },
        }
    }
}

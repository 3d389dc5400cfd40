//! How driving ends, and with which exit status.

use crate::error::{Exit, Problem};
use crate::rollout::journal::RunId;
use crate::rollout::machine::{PausedBy, StepRef};

/// How a session of driving ended. The run itself may go on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ending {
    Completed,
    RolledBack,
    Stuck,
    Aborted,
    Paused(PausedBy),
    AwaitingApproval {
        phase: usize,
    },
    AwaitingAnswer {
        step: StepRef,
    },
    /// Every step of the phase is finished, and that is as far as this process was to drive.
    Reached {
        phase: String,
    },
    /// The driver left; the run stays as it is.
    Detached,
    /// The journal gave no sign for so long that somebody else may have the lease.
    Unreachable {
        why: String,
    },
    /// Somebody else drives now.
    Fenced {
        holder: String,
    },
}

impl Ending {
    pub const fn exit(&self) -> Exit {
        match self {
            Ending::Completed | Ending::Reached { .. } => Exit::Ok,
            Ending::RolledBack => Exit::RolledBack,
            Ending::Stuck => Exit::Stuck,
            Ending::Aborted => Exit::Aborted,
            Ending::Paused(by) if by.is_gate() => Exit::PausedByGate,
            Ending::Paused(_) => Exit::Paused,
            Ending::AwaitingApproval { .. } | Ending::AwaitingAnswer { .. } => {
                Exit::AwaitingApproval
            }
            Ending::Detached => Exit::Interrupted,
            Ending::Unreachable { .. } => Exit::Unavailable,
            Ending::Fenced { .. } => Exit::LeaseHeld,
        }
    }

    /// What somebody is told whose word came to this instead of into the journal.
    pub(super) fn instead_of_a_word(self, run: &RunId) -> Problem {
        let exit = self.exit();
        let doing = format!("writing it to the journal of run {run}");
        let (cause, next) = match self {
            Ending::Fenced { holder } => (
                format!("{holder} drives the run now; nothing was written"),
                "dbctl rollout status      shows where it stands and what may be done",
            ),
            Ending::Unreachable { why } => (
                why,
                "nobody knows whether it was written; dbctl rollout status tells",
            ),
            Ending::Completed
            | Ending::RolledBack
            | Ending::Stuck
            | Ending::Aborted
            | Ending::Paused(_)
            | Ending::AwaitingApproval { .. }
            | Ending::AwaitingAnswer { .. }
            | Ending::Reached { .. }
            | Ending::Detached => (
                "driving ended meanwhile".to_owned(),
                "dbctl rollout status      shows where it stands and what may be done",
            ),
        };
        Problem::new(exit, doing, cause).next(next)
    }
}

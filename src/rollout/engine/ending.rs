//! How driving ends, and with which exit status.

use crate::error::Exit;
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
}

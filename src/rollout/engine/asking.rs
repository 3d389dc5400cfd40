//! What people are asked, and what their answers come to.

use super::outside::Asked;
use super::{Ending, Engine};
use crate::rollout::machine::{Answer, Input, Part, Status};
use crate::rollout::ports::{Operator, Said, World};

impl<W: World, O: Operator> Engine<W, O> {
    /// What a person's answer comes to: an input, or leaving.
    pub(super) fn said(&self, (asked, said): (Asked, Said)) -> Option<Result<Input, Ending>> {
        let by = self.by();
        let leave = match asked {
            Asked::Approval { phase } => Ending::AwaitingApproval { phase },
            Asked::Answer { step } if step.part == Part::Afterwards => Ending::RolledBack,
            Asked::Answer { step } => Ending::AwaitingAnswer { step },
            Asked::Pause => match self.known.state.status {
                Status::Paused { by } => Ending::Paused(by),
                // Somebody else resumed it meanwhile.
                Status::Running
                | Status::AwaitingApproval { .. }
                | Status::AwaitingAnswer { .. }
                | Status::RollingBack
                | Status::RolledBack
                | Status::Stuck { .. }
                | Status::Completed
                | Status::Aborted => return None,
            },
        };
        Some(match said {
            Said::NobodyThere | Said::No => Err(leave),
            Said::Rollback => Ok(Input::Rollback {
                by,
                why: "asked for at the prompt".into(),
            }),
            Said::Yes => Ok(match asked {
                Asked::Approval { phase } => Input::Approve {
                    phase,
                    plan: self.known.state.outline.plan.clone(),
                    by,
                },
                Asked::Answer { step } => Input::Answer {
                    step,
                    said: Answer::Yes,
                    by,
                },
                Asked::Pause => Input::Resume { by },
            }),
        })
    }
}

//! What people are told of a run beside its state.

use serde::{Deserialize, Serialize};

use super::event::Event;
use super::state::PausedBy;

/// The newest words of a run's events. Like the state a fold over the journal; nothing is decided
/// by it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Told {
    /// Why the run paused, turned back, got stuck, or why a step failed.
    pub reason: Option<String>,
    pub note: Option<Note>,
}

/// What somebody left for whoever drives next.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Note {
    pub by: String,
    pub text: String,
    /// Milliseconds since 1970, by the driver's clock.
    pub at_ms: u64,
}

impl Told {
    /// An event that was recorded at `at_ms`.
    pub fn hear(&mut self, at_ms: u64, event: &Event) {
        match event {
            // The pause names the step; what was wrong with it came before.
            Event::Paused {
                by: PausedBy::Failure | PausedBy::Inconclusive,
                why,
            } => {
                let cause = self.reason.take();
                self.reason = Some(cause.map_or_else(|| why.clone(), |c| format!("{why}: {c}")));
            }
            Event::Paused { why, .. }
            | Event::RollbackStarted { why }
            | Event::Stuck { why, .. }
            | Event::Triggered { why, .. }
            | Event::Failed { why, .. }
            | Event::Aborted { why, .. } => self.reason = Some(why.clone()),
            Event::Note { by, text } => {
                self.note = Some(Note {
                    by: by.clone(),
                    text: text.clone(),
                    at_ms,
                });
            }
            Event::Started { .. }
            | Event::Driven { .. }
            | Event::ApprovalWanted { .. }
            | Event::Approved { .. }
            | Event::AnswerWanted { .. }
            | Event::Agreed { .. }
            | Event::Intended { .. }
            | Event::Succeeded { .. }
            | Event::InDoubt { .. }
            | Event::Probed { .. }
            | Event::Observed { .. }
            | Event::Resumed { .. }
            | Event::RolledBack
            | Event::Completed
            | Event::Waived { .. }
            | Event::KitRefreshed { .. }
            | Event::Logged { .. }
            | Event::Replanned { .. }
            | Event::Checkpoint(_) => {}
        }
    }
}

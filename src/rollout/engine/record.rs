//! Events become durable, and only then true.

use super::{Ending, Engine, outside::now_ms};
use crate::error::{Exit, Problem, Result};
use crate::rollout::journal::{AppendError, CHECKPOINT_EVERY};
use crate::rollout::machine::{Decision, Event, Illegal};
use crate::rollout::ports::{Operator, World};

impl<W: World, O: Operator> Engine<W, O> {
    pub(super) async fn record(&mut self, decision: &Decision) -> Result<Option<Ending>> {
        for event in &decision.events {
            if (self.known.head.seq + 1).is_multiple_of(CHECKPOINT_EVERY) {
                let checkpoint = Event::Checkpoint(Box::new(self.known.checkpoint()));
                if let Some(ending) = self.append(&checkpoint).await? {
                    return Ok(Some(ending));
                }
            }
            if let Some(ending) = self.append(event).await? {
                return Ok(Some(ending));
            }
        }
        Ok(None)
    }

    async fn append(&mut self, event: &Event) -> Result<Option<Ending>> {
        let mut next = self.known.state.clone();
        next.apply(event).map_err(|e| illegal(&e))?;
        let closed = next.is_closed();
        let head = self.known.head;
        let appended = self
            .journal
            .append(&self.lease, head, now_ms(), event.clone(), closed);
        let holder = match appended.await {
            Ok(entry) => {
                self.known.follow(&entry, next)?;
                self.operator
                    .recorded(&entry, &self.known.state, &self.known.plan);
                return Ok(None);
            }
            Err(AppendError::Fenced { holder, .. }) => holder,
            Err(AppendError::Conflict) => "another writer".into(),
            Err(AppendError::Failed(problem)) => return Err(problem),
        };
        Ok(Some(Ending::Fenced { holder }))
    }
}

pub(super) fn illegal(error: &Illegal) -> Problem {
    Problem::new(Exit::Failed, "recording an event", error)
        .next("this is a defect of dbctl; nothing was recorded. Please report it with `dbctl rollout log`")
}

//! From a journal back to the run.

use std::sync::Arc;

use crate::error::{Exit, Problem, Result};
use crate::rollout::journal::{Entry, Head, Journal, Recent, RunId};
use crate::rollout::machine::{Checkpoint, Event, State, Told};
use crate::runbook::plan::Plan;

/// Everything that a journal says of a run: a fold over its entries.
#[derive(Debug, Clone)]
pub struct Known {
    pub state: State,
    pub told: Told,
    pub plan: Arc<Plan>,
    /// The number of the entry that holds the plan.
    plan_in: u64,
    pub head: Head,
    /// When the newest entry was written, in milliseconds since 1970, by its driver's clock.
    pub last_at_ms: u64,
}

/// What the journal says of a run, read from its newest checkpoint on.
pub async fn recall(journal: &Journal, run: &RunId) -> Result<Known> {
    let Recent { plan, entries } = journal.recent(run).await?;
    match plan {
        None => replay(&entries),
        Some(holder) => {
            let Some((first, rest)) = entries.split_first() else {
                return Err(broken("it is empty"));
            };
            let Event::Checkpoint(checkpoint) = &first.record.event else {
                return Err(broken("it does not begin where it says"));
            };
            let known = Known::at(first, checkpoint, &holder)?;
            rest.iter().try_fold(known, Known::after)
        }
    }
}

/// What all entries of a run come to, each checkpoint among them checked.
pub fn replay(entries: &[Entry]) -> Result<Known> {
    let Some((first, rest)) = entries.split_first() else {
        return Err(broken("it is empty"));
    };
    rest.iter().try_fold(Known::from(first)?, Known::after)
}

impl Known {
    /// After a run's first entry.
    pub fn from(first: &Entry) -> Result<Self> {
        let event = &first.record.event;
        let state = State::start(event).map_err(|e| broken(&e.to_string()))?;
        Ok(Self {
            plan: Arc::new(plan_of(event, &state)?),
            state,
            told: Told::default(),
            plan_in: first.record.seq,
            head: first.head(),
            last_at_ms: first.record.at_ms,
        })
    }

    /// At a checkpoint; `holder` is the entry that it names for the plan.
    fn at(first: &Entry, checkpoint: &Checkpoint, holder: &Entry) -> Result<Self> {
        Ok(Self {
            plan: Arc::new(plan_of(&holder.record.event, &checkpoint.state)?),
            state: checkpoint.state.clone(),
            told: checkpoint.told.clone(),
            plan_in: checkpoint.plan_in,
            head: first.head(),
            last_at_ms: first.record.at_ms,
        })
    }

    /// After one more entry; a checkpoint must be what the entries before it come to.
    pub fn after(mut self, entry: &Entry) -> Result<Self> {
        let event = &entry.record.event;
        if let Event::Checkpoint(checkpoint) = event
            && **checkpoint != self.checkpoint()
        {
            return Err(broken(&format!(
                "the checkpoint in event {} is not what the events before it come to",
                entry.record.seq
            )));
        }
        self.state
            .apply(event)
            .map_err(|e| broken(&e.to_string()))?;
        self.follow(entry)?;
        Ok(self)
    }

    /// An entry was written, and the state is the one after it.
    pub(super) fn follow(&mut self, entry: &Entry) -> Result<()> {
        let event = &entry.record.event;
        if let Event::Replanned { .. } = event {
            self.plan = Arc::new(plan_of(event, &self.state)?);
            self.plan_in = entry.record.seq;
        }
        self.told.hear(entry.record.at_ms, event);
        self.head = entry.head();
        self.last_at_ms = entry.record.at_ms;
        Ok(())
    }

    /// What an entry that is a checkpoint says here.
    pub(super) fn checkpoint(&self) -> Checkpoint {
        Checkpoint {
            state: self.state.clone(),
            told: self.told.clone(),
            plan_in: self.plan_in,
        }
    }
}

/// The plan in an event, which must be the one that the state follows.
fn plan_of(event: &Event, state: &State) -> Result<Plan> {
    let (Event::Started { plan, .. } | Event::Replanned { plan, .. }) = event else {
        return Err(broken("an event that should hold the plan holds none"));
    };
    if Plan::hash(plan) != state.outline.plan {
        return Err(broken("it holds another plan than the one that it names"));
    }
    Plan::from_json(plan)
}

fn broken(why: &str) -> Problem {
    Problem::new(Exit::JournalBroken, "replaying the journal", why)
        .next("it was written by another version of dbctl, or it was edited")
}

//! From a journal back to the run.

use crate::error::{Exit, Problem, Result};
use crate::rollout::journal::Entry;
use crate::rollout::machine::{Event, State};
use crate::runbook::plan::Plan;

/// The state and the plan that a journal holds.
pub fn replay(entries: &[Entry]) -> Result<(State, Plan)> {
    let plan = match entries.first().map(|e| &e.record.event) {
        Some(Event::Started { plan, outline, .. }) if Plan::hash(plan) == outline.plan => {
            Plan::from_json(plan)?
        }
        _ => {
            return Err(Problem::new(
                Exit::JournalBroken,
                "replaying the journal",
                "event 1 does not hold the plan that it names",
            ));
        }
    };
    let state = State::replay(entries.iter().map(|e| &e.record.event)).map_err(|e| {
        Problem::new(Exit::JournalBroken, "replaying the journal", e)
            .next("it was written by another version of dbctl, or it was edited")
    })?;
    Ok((state, plan))
}

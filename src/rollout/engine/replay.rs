//! From a journal back to the run.

use crate::error::{Exit, Problem, Result};
use crate::rollout::journal::Entry;
use crate::rollout::machine::{Event, State};
use crate::runbook::plan::Plan;

/// The state and the plan that a journal holds.
pub fn replay(entries: &[Entry]) -> Result<(State, Plan)> {
    let first = entries.first().map(|e| &e.record.event);
    let Some(Event::Started { plan, outline, .. }) = first else {
        return Err(no_plan());
    };
    if Plan::hash(plan) != outline.plan {
        return Err(no_plan());
    }
    let plan = Plan::from_json(plan)?;
    let state = State::replay(entries.iter().map(|e| &e.record.event)).map_err(|e| {
        Problem::new(Exit::JournalBroken, "replaying the journal", e)
            .next("it was written by another version of dbctl, or it was edited")
    })?;
    Ok((state, plan))
}

fn no_plan() -> Problem {
    Problem::new(
        Exit::JournalBroken,
        "replaying the journal",
        "event 1 does not hold the plan that it names",
    )
}

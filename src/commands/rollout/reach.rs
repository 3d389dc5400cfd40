//! Reaching whoever drives a run: a request in the journal, and its answer.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::merge::nothing_is_unmerged;
use super::operator::Terminal;
use super::world::Live;
use crate::commands::Context;
use crate::error::{Exit, Problem, Result};
use crate::rollout::engine::Engine;
use crate::rollout::journal::{DONE, Journal, RequestKind, RunId};
use crate::rollout::machine::Input;

/// How long a living driver may take to answer.
const PATIENCE: Duration = Duration::from_secs(2);

/// What came of a request.
pub enum Reached {
    /// The driver took it and goes on by it.
    ByDriver { holder: String },
    /// Nobody drives, or whoever does gives no answer: this process holds the lease now.
    Here(Box<Engine<Live, Terminal>>),
}

/// Asks the driver of `run`; where nobody answers, takes the run over. With `force` a driver that
/// holds the lease and gives no sign is overtaken (and fenced); without, it is an error.
pub async fn reach(
    context: &Context,
    journal: Journal,
    run: &RunId,
    kind: RequestKind,
    detail: &str,
    force: bool,
) -> Result<Reached> {
    // A rollback is held up by nothing.
    if kind != RequestKind::Rollback {
        nothing_is_unmerged(&journal, Some(run), context).await?;
    }
    reach_anyhow(context, journal, run, kind, detail, force).await
}

/// As [`reach`], also where something that was done without the journal is not merged yet.
pub async fn reach_anyhow(
    context: &Context,
    journal: Journal,
    run: &RunId,
    kind: RequestKind,
    detail: &str,
    force: bool,
) -> Result<Reached> {
    if let Some(held) = journal.holder(run).await? {
        let id = journal.request(run, kind, detail).await?;
        let asked = Instant::now();
        let mut answer = None;
        while answer.is_none() && asked.elapsed() < PATIENCE {
            tokio::time::sleep(Duration::from_millis(50)).await;
            answer = journal.answered(id).await?;
        }
        // Taking it back is refused where the driver was quicker: its answer counts then.
        let answer = match answer {
            Some(answer) => Some(answer),
            None => journal.withdraw(id).await?,
        };
        match answer.as_deref() {
            Some(DONE) => {
                let holder = held.holder;
                return Ok(Reached::ByDriver { holder });
            }
            Some(why) => return Err(refused(kind, run, why)),
            None => {}
        }
        if !force && journal.holder(run).await?.is_some() {
            return Err(Problem::new(
                Exit::LeaseHeld,
                format!("asking the driver of run {run} to {}", kind.as_str()),
                format!("{} holds the lease and does not answer", held.holder),
            )
            .next(
                "dbctl rollout takeover      drives it from here and fences that process\n\
                 its lease expires by itself within 15 s; a rollback does not wait for that",
            ));
        }
    }
    let world = Arc::new(Live::new(context)?);
    let operator = Arc::new(Terminal::of(context, None));
    let engine = Engine::resume(world, operator, journal, run, force).await?;
    Ok(Reached::Here(Box::new(engine)))
}

/// Gives an engine that we hold a person's word, and reports a refusal.
pub async fn tell_here(
    engine: &mut Engine<Live, Terminal>,
    kind: RequestKind,
    input: Input,
) -> Result<()> {
    if let Err(refusal) = engine.would(input.clone()) {
        let run = engine.run().clone();
        engine.leave().await;
        return Err(refused(kind, &run, &refusal.to_string()));
    }
    engine.tell(input).await
}

fn refused(kind: RequestKind, run: &RunId, why: &str) -> Problem {
    Problem::new(
        Exit::Usage,
        format!("asking run {run} to {}", kind.as_str()),
        why,
    )
    .next("nothing was changed; dbctl rollout status shows where it stands")
}

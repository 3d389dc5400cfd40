use std::fmt::{self, Write as _};
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use clap::builder::NonEmptyStringValueParser;

use super::merge::nothing_is_unmerged;
use super::operator::Terminal;
use super::reconcile::reconcile;
use super::session::{AcceptArgs, AsArgs, RunArgs, drive, find_run, open_journal};
use super::world::Live;
use crate::commands::Context;
use crate::error::{Exit, Problem, Result};
use crate::rollout::engine::{Engine, Known, recall};
use crate::rollout::journal::RunId;
use crate::rollout::lease::Held;
use crate::rollout::machine::{Input, Part, Progress, State};
use crate::runbook::model::StepKind;
use crate::runbook::plan::{Plan, Planned};
use crate::ui::{Answer, Screen, duration, printable};

#[derive(Debug, Args)]
#[command(after_help = "\
Whoever drives the run is fenced: their next write to the journal is refused, and they stop. A
step in flight is looked at first and never blindly repeated. What waits for a person waits on:
a paused run stays paused, an approval is still wanted.

Example:
  dbctl rollout takeover
  dbctl rollout takeover --confirm 7f3c1a --note \"the shift of Kim is over\"")]
pub struct TakeoverArgs {
    #[command(flatten)]
    run: RunArgs,
    #[command(flatten)]
    accept: AcceptArgs,
    #[command(flatten)]
    who: AsArgs,
    /// The run's id, instead of typing it
    #[arg(long, value_name = "RUN")]
    confirm: Option<String>,
    /// A note for the journal: why, and what was handed over
    #[arg(long, value_name = "TEXT", value_parser = NonEmptyStringValueParser::new())]
    note: Option<String>,
}

pub async fn run(args: TakeoverArgs, context: &Context) -> Result<Exit> {
    let journal = open_journal(context).await?.claiming(args.who.claim);
    let row = find_run(&journal, &args.run).await?;
    let Known { state, plan, .. } = recall(&journal, &row.run).await?;
    if state.is_closed() {
        return Err(Problem::new(
            Exit::Usage,
            format!("taking over run {}", row.run),
            format!("it is over: {}", state.status),
        )
        .next("dbctl rollout status      shows where it stands"));
    }
    nothing_is_unmerged(&journal, Some(&row.run), context).await?;
    let held = journal.holder(&row.run).await?;
    // Shown in any case: with --confirm, and to whoever then learns that it is missing.
    let facts = facts(
        context.ui.status_screen(),
        &row.run,
        held.as_ref(),
        &state,
        &plan,
    );
    context.ui.status(facts.trim_end());
    let world = Arc::new(Live::new(context)?);
    match context
        .ui
        .confirm(row.run.as_str(), "", args.confirm.as_deref())
        .await?
    {
        Answer::Declined => {
            context.ui.status("not taken over; nothing was changed");
            return Ok(Exit::Unconfirmed);
        }
        Answer::Confirmed(_) => {}
    }
    let operator = Arc::new(Terminal::of(context, None));
    let mut engine = Engine::resume(world, operator, journal, &row.run, true).await?;
    if let Some(text) = args.note {
        let by = engine.by();
        engine.tell(Input::Note { by, text }).await?;
    }
    reconcile(&mut engine, args.accept.accept_world.as_deref(), context).await?;
    drive(engine, context).await
}

/// Who drives, where the run stands, what is in flight, and what taking over does.
fn facts(
    mut screen: Screen,
    run: &RunId,
    held: Option<&Held>,
    state: &State,
    plan: &Plan,
) -> String {
    write_facts(&mut screen, run, held, state, plan).expect("writing to a string cannot fail");
    screen.into_string()
}

fn write_facts(
    out: &mut Screen,
    run: &RunId,
    held: Option<&Held>,
    state: &State,
    plan: &Plan,
) -> fmt::Result {
    writeln!(out, "{} · run {run} · {}", plan.runbook, state.status)?;
    match held {
        Some(held) => {
            let left = held.left.as_secs();
            let text = format!(
                "{}; the lease lasts another {left} s unless renewed",
                held.holder
            );
            out.hanging("  driven by   ", &printable(&text))?;
        }
        None => out.hanging("  driven by   ", "nobody (resume would do as well)")?,
    }
    let in_flight = in_flight(state, plan);
    if in_flight.is_empty() {
        out.hanging("  in flight   ", "nothing")?;
    }
    for line in &in_flight {
        out.hanging("  in flight   ", &printable(line))?;
    }
    writeln!(out, "Taking over:")?;
    if let Some(held) = held {
        let text = format!(
            "{} is fenced: its next write is refused, and it stops",
            held.holder
        );
        out.hanging("  - ", &printable(&text))?;
    }
    out.hanging(
        "  - ",
        "a step in flight is then in doubt: what it started is waited for, then its probe is asked; \
         nothing is blindly repeated",
    )?;
    if held.is_some() {
        let wakes = "a driver that hangs changes no toggle when it wakes; a restart that it was \
                     about to ask for it may still ask for: end it if you can";
        out.hanging("  - ", wakes)?;
    }
    Ok(())
}

/// Every step whose outcome is open, with its attempt; for a bake what was observed of it.
fn in_flight(state: &State, plan: &Plan) -> Vec<String> {
    let mut lines = Vec::new();
    let parts = [
        (Part::Forward, &plan.forward),
        (Part::Rollback, &plan.rollback),
        (Part::Afterwards, &plan.afterwards),
    ];
    for (part, planned) in parts {
        for (index, (planned, step)) in planned.iter().zip(state.steps(part)).enumerate() {
            let words = match step.progress {
                Progress::InFlight => "under way",
                Progress::InDoubt => "in doubt",
                Progress::Pending
                | Progress::Done
                | Progress::Unconfirmed
                | Progress::Failed { .. }
                | Progress::Abandoned => continue,
            };
            let mut line = format!("{} {words}, attempt {}", planned.step.id, step.attempts);
            if let Some(observed) = observed(state, part, index, planned) {
                line += &format!("; {observed}");
            }
            lines.push(line);
        }
    }
    lines
}

fn observed(state: &State, part: Part, index: usize, planned: &Planned) -> Option<String> {
    let bake = state.bake.as_ref()?;
    if part != Part::Forward || bake.step != index {
        return None;
    }
    let StepKind::Bake {
        duration: needed, ..
    } = &planned.step.kind
    else {
        return None;
    };
    let observed = duration(Duration::from_millis(bake.observed_ms));
    Some(format!("{observed} observed of {}", duration(*needed)))
}

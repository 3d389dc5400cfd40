use clap::Args;

use super::operator::Terminal;
use super::reconcile::reconcile;
use super::resume::{go_on, take_up};
use super::session::{
    AcceptArgs, AsArgs, RunbookArgs, drive_to_ending, find_journal, make_journal,
};
use super::start::begin;
use super::until::Until;
use super::world::Live;
use crate::commands::Context;
use crate::error::{Exit, Result};
use crate::rollout::engine::{Ending, Engine, recall};
use crate::runbook::plan::Plan;

#[derive(Debug, Args)]
#[command(after_help = "\
Begins a run where none of this runbook is open; drives the open one on as `resume` does, by the
plan that it was begun with. Asks nothing, as with --no-input. With --format json every event is
one line on stdout, as from `start`.

Exit status: 0 when it came as far as --until says, else how the run stands: 10 it waits for an
approval or an answer, 11 paused by a person or a failed step, 12 paused by a gate or a trigger,
13 rolled back, 14 stuck, 15 somebody else drives it, 18 aborted. 2 where --until names no phase
of the plan; nothing was begun then.

Example:
  dbctl rollout run --until staging --confirm staging
  dbctl rollout run --until approval
  dbctl --format json rollout run --confirm production")]
pub struct RunArgs {
    /// How far: until every step of a phase is finished, until a person is wanted, to the end
    #[arg(
        long,
        value_name = "PHASE|approval|completed",
        default_value = "completed"
    )]
    until: String,
    #[command(flatten)]
    runbook: RunbookArgs,
    #[command(flatten)]
    accept: AcceptArgs,
    #[command(flatten)]
    who: AsArgs,
    /// Approve one phase, the first that is asked for, by its environment's name
    #[arg(long, value_name = "ENVIRONMENT")]
    confirm: Option<String>,
}

pub async fn run(args: RunArgs, context: &Context) -> Result<Exit> {
    let context = &Context {
        settings: context.settings.clone(),
        ui: context.ui.unattended(),
    };
    let (mut engine, until) = engine(args, context).await?;
    if let Until::Phase(phase) = until {
        engine.stop_after(phase);
    }
    Ok(exit(&drive_to_ending(engine, context).await?, until))
}

/// The open run of the runbook, or a new one. What `--until` names is looked up first.
async fn engine(args: RunArgs, context: &Context) -> Result<(Engine<Live, Terminal>, Until)> {
    let runbook = args.runbook.load(context)?;
    if let Some(journal) = find_journal(context).await? {
        let journal = journal.claiming(args.who.claim.clone());
        let mut runs = journal.runs().await?.into_iter();
        if let Some(open) = runs.find(|r| !r.closed && r.name == runbook.name) {
            let plan = recall(&journal, &open.run).await?.plan;
            let until = Until::find(&args.until, Until::OF_RUN, &plan)?;
            context.ui.status(format_args!(
                "run {} is open and is driven on, by the plan that it was begun with",
                open.run
            ));
            let mut engine = take_up(journal, &open.run, args.confirm, context).await?;
            reconcile(&mut engine, args.accept.accept_world.as_deref(), context).await?;
            // A run that was paused behind the phase is not set going just to be left again.
            let behind = matches!(until, Until::Phase(p) if engine.state().is_finished(p));
            if !behind {
                go_on(&mut engine).await?;
            }
            return Ok((engine, until));
        }
    }
    let plan = Plan::resolve(&runbook, &context.settings, args.runbook.shorten_bakes)?;
    let until = Until::find(&args.until, Until::OF_RUN, &plan)?;
    let journal = make_journal(&plan, context).await?.claiming(args.who.claim);
    let engine = begin(journal, plan, args.confirm, context).await?;
    Ok((engine, until))
}

/// The exit status of an ending; waiting for a person is where `--until approval` wanted to be.
fn exit(ending: &Ending, until: Until) -> Exit {
    let waits = match ending {
        Ending::AwaitingApproval { .. } | Ending::AwaitingAnswer { .. } => true,
        Ending::Completed
        | Ending::Reached { .. }
        | Ending::RolledBack
        | Ending::Stuck
        | Ending::Aborted
        | Ending::Paused(_)
        | Ending::Detached
        | Ending::Unreachable { .. }
        | Ending::Fenced { .. } => false,
    };
    if waits && until == Until::Approval {
        Exit::Ok
    } else {
        ending.exit()
    }
}

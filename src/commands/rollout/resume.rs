use std::sync::Arc;

use clap::Args;

use super::merge::nothing_is_unmerged;
use super::operator::Terminal;
use super::reconcile::reconcile;
use super::session::{AcceptArgs, AsArgs, RunArgs, drive, find_run, open_journal};
use super::world::Live;
use crate::commands::Context;
use crate::error::{Exit, Result};
use crate::rollout::engine::Engine;
use crate::rollout::journal::{Journal, RunId};
use crate::rollout::machine::{Input, Status};

#[derive(Debug, Args)]
#[command(after_help = "\
What was in flight when the last driver died is looked at first and never blindly repeated. Where
the toggles, the modes, the migrations or the keys are not as the journal says, both are shown, and
nothing goes on until the world is put right or a person accepts it.

Example:
  dbctl rollout resume
  dbctl rollout resume --no-input --confirm production")]
pub struct ResumeArgs {
    #[command(flatten)]
    run: RunArgs,
    #[command(flatten)]
    accept: AcceptArgs,
    #[command(flatten)]
    who: AsArgs,
    /// Approve the phase that the run waits for by its environment's name, instead of typing it
    #[arg(long, value_name = "ENVIRONMENT")]
    confirm: Option<String>,
}

pub async fn run(args: ResumeArgs, context: &Context) -> Result<Exit> {
    let journal = open_journal(context).await?.claiming(args.who.claim);
    let row = find_run(&journal, &args.run).await?;
    let mut engine = take_up(journal, &row.run, args.confirm, context).await?;
    reconcile(&mut engine, args.accept.accept_world.as_deref(), context).await?;
    go_on(&mut engine).await?;
    drive(engine, context).await
}

/// Takes a run over that nobody drives.
pub async fn take_up(
    journal: Journal,
    run: &RunId,
    confirm: Option<String>,
    context: &Context,
) -> Result<Engine<Live, Terminal>> {
    nothing_is_unmerged(&journal, Some(run), context).await?;
    let world = Arc::new(Live::new(context)?);
    let operator = Arc::new(Terminal::of(context, confirm));
    Engine::resume(world, operator, journal, run, false).await
}

/// Ends a pause, and has what is due after a rollback done.
pub async fn go_on(engine: &mut Engine<Live, Terminal>) -> Result<()> {
    let waits = match engine.state().status {
        Status::Paused { .. } | Status::RolledBack => true,
        Status::Running
        | Status::AwaitingApproval { .. }
        | Status::AwaitingAnswer { .. }
        | Status::RollingBack
        | Status::Stuck { .. }
        | Status::Completed
        | Status::Aborted => false,
    };
    if waits {
        let by = engine.by();
        engine.tell(Input::Resume { by }).await?;
    }
    Ok(())
}

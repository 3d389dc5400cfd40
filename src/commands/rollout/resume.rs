use std::sync::Arc;

use clap::Args;

use super::operator::Terminal;
use super::session::{RunArgs, drive, find_run, open_journal};
use super::world::Live;
use crate::commands::Context;
use crate::error::{Exit, Result};
use crate::rollout::engine::Engine;
use crate::rollout::lease;
use crate::rollout::machine::{Input, Status};

#[derive(Debug, Args)]
#[command(after_help = "\
What was in flight when the last driver died is looked at first and never blindly repeated.

Example:
  dbctl rollout resume
  dbctl rollout resume --no-input --confirm production")]
pub struct ResumeArgs {
    #[command(flatten)]
    run: RunArgs,
    /// Approve the phase that the run waits for by its environment's name, instead of typing it
    #[arg(long, value_name = "ENVIRONMENT")]
    confirm: Option<String>,
}

pub async fn run(args: ResumeArgs, context: &Context) -> Result<Exit> {
    let journal = open_journal(context).await?;
    let row = find_run(&journal, &args.run).await?;
    let world = Arc::new(Live::new(context)?);
    let operator = Arc::new(Terminal::new(context.ui.clone(), args.confirm));
    let mut engine = Engine::resume(world, operator, journal, &row.run, false).await?;
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
        engine
            .tell(Input::Resume {
                by: lease::holder(),
            })
            .await?;
    }
    drive(engine, context).await
}

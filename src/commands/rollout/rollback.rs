use clap::Args;

use super::reach::{Reached, reach, tell_here};
use super::session::{AsArgs, RunArgs, drive, find_run, last_words, open_journal};
use crate::commands::Context;
use crate::error::{Exit, Result};
use crate::rollout::engine::{Ending, Known, recall};
use crate::rollout::journal::{Journal, RequestKind, RunId};
use crate::rollout::machine::{Input, Status};

#[derive(Debug, Args)]
#[command(after_help = "\
Asks nothing, goes through no gate, and needs neither Postgres nor the metrics. Revocations and
nonce tops are carried back from Postgres if it answers, else from the rollback kit.

Example:
  dbctl rollout rollback --reason INC-1234")]
pub struct RollbackArgs {
    #[command(flatten)]
    pub(super) run: RunArgs,
    #[command(flatten)]
    pub(super) who: AsArgs,
    /// Why, for the journal
    #[arg(long, value_name = "TEXT", default_value = "no reason given")]
    pub(super) reason: String,
    /// Go back while the journal does not answer: from this machine's mirror of the run, and for
    /// an environment named by --env from the settings and the rollback kit
    #[arg(long)]
    break_glass: bool,
}

pub async fn run(args: RollbackArgs, context: &Context) -> Result<Exit> {
    if args.break_glass {
        return super::break_glass::run(args, context).await;
    }
    let journal = open_journal(context).await?;
    through_the_journal(journal, &args, context).await
}

pub async fn through_the_journal(
    journal: Journal,
    args: &RollbackArgs,
    context: &Context,
) -> Result<Exit> {
    let journal = journal.claiming(args.who.claim.clone());
    let row = find_run(&journal, &args.run).await?;
    let kind = RequestKind::Rollback;
    match reach(context, journal.clone(), &row.run, kind, &args.reason, true).await? {
        Reached::ByDriver { holder } => {
            context.ui.status(format_args!("{holder} rolls it back"));
            follow(&journal, &row.run, context).await
        }
        Reached::Here(mut engine) => {
            let already = engine.state().status == Status::RollingBack;
            if !already {
                let input = Input::Rollback {
                    by: engine.by(),
                    why: args.reason.clone(),
                };
                tell_here(&mut engine, kind, input).await?;
            }
            drive(*engine, context).await
        }
    }
}

/// Waits until whoever drives has rolled the run back, or got stuck.
async fn follow(journal: &Journal, run: &RunId, context: &Context) -> Result<Exit> {
    loop {
        // Asked first: a driver that ends in between has written its last event.
        let driven = journal.holder(run).await?.is_some();
        let Known { state, head, .. } = recall(journal, run).await?;
        let ending = match state.status {
            Status::RolledBack => Ending::RolledBack,
            Status::Stuck { .. } => Ending::Stuck,
            Status::Running
            | Status::AwaitingApproval { .. }
            | Status::AwaitingAnswer { .. }
            | Status::Paused { .. }
            | Status::RollingBack
            | Status::Completed
            | Status::Aborted => {
                if !driven {
                    context
                        .ui
                        .warn("its driver is gone; run this command again to take over");
                    return Ok(Exit::Failed);
                }
                tokio::time::sleep(std::time::Duration::from_millis(100)).await;
                continue;
            }
        };
        let text = last_words(&ending, run, head, &state);
        context.ui.status(text.trim_end());
        return Ok(ending.exit());
    }
}

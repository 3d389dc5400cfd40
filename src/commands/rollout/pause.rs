use clap::Args;

use super::reach::{Reached, reach, tell_here};
use super::session::{RunArgs, find_run, open_journal};
use crate::commands::Context;
use crate::error::{Exit, Result};
use crate::rollout::journal::RequestKind;
use crate::rollout::lease;
use crate::rollout::machine::Input;

#[derive(Debug, Args)]
#[command(after_help = "Example:\n  dbctl rollout pause --reason INC-1234")]
pub struct PauseArgs {
    #[command(flatten)]
    run: RunArgs,
    /// Why, for the journal
    #[arg(long, value_name = "TEXT", default_value = "no reason given")]
    reason: String,
}

pub async fn run(args: PauseArgs, context: &Context) -> Result<Exit> {
    let journal = open_journal(context).await?;
    let row = find_run(&journal, &args.run).await?;
    let kind = RequestKind::Pause;
    match reach(context, journal, &row.run, kind, &args.reason, false).await? {
        Reached::ByDriver { holder } => {
            context.ui.status(format_args!("done by {holder}"));
        }
        Reached::Here(mut engine) => {
            let input = Input::Pause {
                by: lease::holder(),
                why: args.reason,
            };
            tell_here(&mut engine, kind, input).await?;
            engine.leave().await;
            context
                .ui
                .status(format_args!("run {}: {}", row.run, engine.state().status));
        }
    }
    Ok(Exit::Ok)
}

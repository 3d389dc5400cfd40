//! `pause` and `abort`: one word to whoever drives the run.

use clap::Args;

use super::reach::{Reached, reach, tell_here};
use super::session::{AsArgs, RunArgs, find_run, open_journal};
use crate::commands::Context;
use crate::error::{Exit, Result};
use crate::rollout::journal::RequestKind;
use crate::rollout::machine::Input;

#[derive(Debug, Args)]
pub struct RequestArgs {
    #[command(flatten)]
    run: RunArgs,
    #[command(flatten)]
    who: AsArgs,
    /// Why, for the journal
    #[arg(long, value_name = "TEXT", default_value = "no reason given")]
    reason: String,
}

pub async fn pause(args: RequestArgs, context: &Context) -> Result<Exit> {
    request(
        RequestKind::Pause,
        |by, why| Input::Pause { by, why },
        args,
        context,
    )
    .await
}

pub async fn abort(args: RequestArgs, context: &Context) -> Result<Exit> {
    request(
        RequestKind::Abort,
        |by, why| Input::Abort { by, why },
        args,
        context,
    )
    .await
}

async fn request(
    kind: RequestKind,
    input: fn(String, String) -> Input,
    args: RequestArgs,
    context: &Context,
) -> Result<Exit> {
    let journal = open_journal(context).await?.claiming(args.who.claim);
    let row = find_run(&journal, &args.run).await?;
    let done = match reach(context, journal, &row.run, kind, &args.reason, false).await? {
        Reached::ByDriver { holder } => format!("done by {holder}"),
        Reached::Here(mut engine) => {
            let input = input(engine.by(), args.reason);
            tell_here(&mut engine, kind, input).await?;
            engine.leave().await;
            format!("run {}: {}", row.run, engine.state().status)
        }
    };
    context.ui.status(done);
    Ok(Exit::Ok)
}

use clap::Args;
use clap::builder::NonEmptyStringValueParser;

use super::reach::{Reached, reach, tell_here};
use super::session::{AsArgs, RunArgs, find_run, open_journal};
use crate::commands::Context;
use crate::error::{Exit, Problem, Result};
use crate::rollout::engine::recall;
use crate::rollout::journal::RequestKind;
use crate::rollout::machine::Input;

#[derive(Debug, Args)]
#[command(after_help = "\
`dbctl rollout status` shows the newest note, `dbctl rollout log` all of them. For a hand-over:
leave a note, then the next operator runs `dbctl rollout takeover`.

Example:
  dbctl rollout note \"the canary is fine, p99 was noisy before too\"")]
pub struct NoteArgs {
    /// What the next operator should know; no secrets, it stays in the journal
    #[arg(value_name = "TEXT", value_parser = NonEmptyStringValueParser::new())]
    text: String,
    #[command(flatten)]
    run: RunArgs,
    #[command(flatten)]
    who: AsArgs,
}

pub async fn run(args: NoteArgs, context: &Context) -> Result<Exit> {
    let journal = open_journal(context).await?.claiming(args.who.claim);
    let row = find_run(&journal, &args.run).await?;
    let state = recall(&journal, &row.run).await?.state;
    if state.is_closed() {
        return Err(Problem::new(
            Exit::Usage,
            format!("leaving a note in run {}", row.run),
            format!("it is over: {}", state.status),
        )
        .next("dbctl rollout log      shows its journal"));
    }
    let kind = RequestKind::Note;
    let done = match reach(context, journal, &row.run, kind, &args.text, false).await? {
        Reached::ByDriver { holder } => format!("noted; {holder} wrote it to the journal"),
        Reached::Here(mut engine) => {
            let input = Input::Note {
                by: engine.by(),
                text: args.text,
            };
            tell_here(&mut engine, kind, input).await?;
            engine.leave().await;
            format!("noted in run {}\n  journal head {}", row.run, engine.head())
        }
    };
    context.ui.status(done);
    Ok(Exit::Ok)
}

//! Two acts on an embedded Postgres, through the same code as the real commands.

mod autopilot;
mod finale;
mod theatre;

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use super::Context;
use crate::error::{Doing, Exit, Problem, Result};
use crate::settings::parse_duration;

use theatre::Theatre;

#[derive(Debug, Args)]
#[command(after_help = "\
Needs no server, no network and no Docker: Postgres is inside dbctl, and four instances of the
reference service run in this process. Bakes are shortened; the plan says so.

Example:
  dbctl demo
  dbctl demo --dir /tmp/look-at-it")]
pub struct DemoArgs {
    /// Empty folder for the settings, the journal and the instances' files; kept afterwards
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
    /// How long a bake lasts
    #[arg(long, value_name = "TIME", default_value = "5s", value_parser = parse_duration)]
    bake: Duration,
}

pub async fn run(args: DemoArgs, context: &Context) -> Result<Exit> {
    let dir = folder(args.dir)?;
    let mut interrupt = super::rollout::interrupts();
    let play = async {
        let mut theatre = Theatre::open(&dir, args.bake, context).await?;
        let played = theatre.play(context).await;
        let closed = theatre.close().await;
        let report = played?;
        closed?;
        context.ui.report(&report)?;
        Ok(if report.holds() {
            Exit::Ok
        } else {
            Exit::Findings
        })
    };
    tokio::select! {
        ended = play => ended,
        Some(()) = interrupt.recv() => {
            context.ui.status(format_args!("left; what was written so far lies in {}", dir.display()));
            Ok(Exit::Interrupted)
        }
    }
}

/// The folder to play in: the named one if it is empty, else a new one under the temporary folder.
fn folder(named: Option<PathBuf>) -> Result<PathBuf> {
    let Some(dir) = named else {
        return tempfile::Builder::new()
            .prefix("dbctl-demo-")
            .tempdir()
            .map(tempfile::TempDir::keep)
            .doing(Exit::Failed, "making a folder for the demo");
    };
    let taken = dir
        .read_dir()
        .is_ok_and(|mut entries| entries.next().is_some());
    if taken {
        return Err(Problem::new(
            Exit::Usage,
            format!("setting the stage in {}", dir.display()),
            "the folder is not empty",
        )
        .next("name an empty or a new one"));
    }
    std::path::absolute(&dir).doing(Exit::Usage, format!("finding {}", dir.display()))
}

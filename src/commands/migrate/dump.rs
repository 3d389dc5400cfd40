use std::path::PathBuf;

use clap::Args;

use super::{ConventionArgs, ScratchArgs, SourceArgs, drift, until_ctrl_c};
use crate::commands::Context;
use crate::error::{Doing as _, Exit, Problem, Result};

#[derive(Debug, Args)]
#[command(after_help = "\
The text is the same on every machine: commit it, and a review shows what a migration does to the
schema. With --check it ends with status 5 when the committed one is stale.

Example:
  dbctl migrate dump > schema.txt
  dbctl migrate dump --check schema.txt")]
pub struct DumpArgs {
    #[command(flatten)]
    source: SourceArgs,
    #[command(flatten)]
    convention: ConventionArgs,
    #[command(flatten)]
    scratch: ScratchArgs,
    /// Compare with this file instead of printing
    #[arg(long, value_name = "FILE")]
    check: Option<PathBuf>,
}

pub async fn run(args: DumpArgs, context: &Context) -> Result<Exit> {
    let source = args.source.source(context);
    let committed = match &args.check {
        Some(file) => {
            let text = std::fs::read_to_string(file);
            Some((
                file,
                text.doing(Exit::Config, format!("reading {}", file.display()))?,
            ))
        }
        None => None,
    };
    let reading = args.convention.read(&source)?;
    let (made, _) = drift::made(&reading, &args.scratch, &until_ctrl_c()).await?;
    let text = made.to_string();
    let Some((file, committed)) = committed else {
        context.ui.data(&text)?;
        return Ok(Exit::Ok);
    };
    // A checkout may have other line ends.
    if committed.lines().eq(text.lines()) {
        context
            .ui
            .status(format_args!("{} is what {source} makes", file.display()));
        return Ok(Exit::Ok);
    }
    let first = committed
        .lines()
        .zip(text.lines())
        .position(|(a, b)| a != b);
    let first = first.unwrap_or_else(|| committed.lines().count().min(text.lines().count()));
    let now = text.lines().nth(first).unwrap_or("the end");
    Err(Problem::new(
        Exit::Findings,
        format!("comparing {} with what {source} makes", file.display()),
        format!(
            "it is stale from line {} on, where there is now: {}",
            first + 1,
            now.trim()
        ),
    )
    .next(format!("dbctl migrate dump > {}", file.display())))
}

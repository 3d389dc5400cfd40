//! `dbctl runbook`: looking at runbooks without touching anything.

mod check;
mod list;

use clap::{Args, Subcommand};

use super::Context;
use crate::error::{Exit, Result};

#[derive(Debug, Args)]
#[command(after_help = "Example:\n  dbctl runbook check runbooks/phase-1-postgres-cutover.md\n")]
pub struct RunbookArgs {
    #[command(subcommand)]
    command: RunbookCommand,
}

#[derive(Debug, Subcommand)]
enum RunbookCommand {
    /// Read a runbook; show what it binds, or every mistake with line and column
    Check(check::CheckArgs),
    /// List the runbooks of a folder and the one that dbctl carries
    List(list::ListArgs),
}

pub fn run(args: RunbookArgs, context: &Context) -> Result<Exit> {
    match args.command {
        RunbookCommand::Check(args) => check::run(&args, context),
        RunbookCommand::List(args) => list::run(&args, context),
    }
}

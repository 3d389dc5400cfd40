//! `dbctl incident`: what belongs to an incident.

mod explain;
mod export;

use clap::{Args, Subcommand};

use super::Context;
use crate::error::{Exit, Result};

#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  dbctl incident export incidents --since 2h
  dbctl --env production incident explain 019b2c5e-7d3a-7cc1-9f0e-2d7f1c0e8a11")]
pub struct IncidentArgs {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Collect logs, failed requests, the journal, query results and settings in one archive
    Export(export::ExportArgs),
    /// Say why a request was allowed or denied
    Explain(explain::ExplainArgs),
}

pub async fn run(args: IncidentArgs, context: &Context) -> Result<Exit> {
    match args.command {
        Command::Export(args) => export::run(args, context).await,
        Command::Explain(args) => explain::run(args, context).await,
    }
}

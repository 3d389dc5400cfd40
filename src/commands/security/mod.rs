//! `dbctl security`: the security state in Postgres itself.

mod check;
mod partitions;
mod purge;

use clap::{Args, Subcommand};

use super::Context;
use crate::error::{Exit, Result};

#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  dbctl --env production security check\n  dbctl --env production security purge"
)]
pub struct SecurityArgs {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Check that the security state in Postgres is whole; changes nothing
    Check(check::CheckArgs),
    /// Remove revocations whose tokens have long expired, in small batches
    Purge(purge::PurgeArgs),
    /// Make the monthly partitions of decisions ahead, and drop those that were kept long enough
    Partitions(partitions::PartitionsArgs),
}

pub async fn run(args: SecurityArgs, context: &Context) -> Result<Exit> {
    match args.command {
        Command::Check(args) => check::run(args, context).await,
        Command::Purge(args) => purge::run(args, context).await,
        Command::Partitions(args) => partitions::run(args, context).await,
    }
}

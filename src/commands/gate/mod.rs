//! `dbctl gate`: trying gates and triggers out.

mod test;

use clap::{Args, Subcommand};

use super::Context;
use crate::error::{Exit, Result};

#[derive(Debug, Args)]
#[command(after_help = "Example:\n  dbctl gate test auth-errors --since 7d\n")]
pub struct GateArgs {
    #[command(subcommand)]
    command: GateCommand,
}

#[derive(Debug, Subcommand)]
enum GateCommand {
    /// Run a gate or a trigger over past data: when would it have paused or rolled back?
    Test(test::TestArgs),
}

pub async fn run(args: GateArgs, context: &Context) -> Result<Exit> {
    match args.command {
        GateCommand::Test(args) => test::run(args, context).await,
    }
}

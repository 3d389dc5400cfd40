//! `dbctl toggles`: showing and setting the four switches by hand.

mod set;
mod show;

use clap::{Args, Subcommand};

use super::Context;
use crate::error::{Exit, Result};

#[derive(Debug, Args)]
#[command(after_help = "\
SECURITY_RUNTIME_MODE (memory|postgres) is the default of the others where they are unset: \
SECURITY_KEY_RESOLVER_MODE and SECURITY_REVOCATION_MODE (memory|postgres), and \
SECURITY_NONCE_STORE_MODE (file|postgres).

Example:
  dbctl --env staging toggles show
  dbctl toggles set SECURITY_NONCE_STORE_MODE=postgres --on canary")]
pub struct TogglesArgs {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Show what each target's file says, and what its service says
    Show(show::ShowArgs),
    /// Set toggles, restart, and have each target confirm; its state is carried over
    Set(set::SetArgs),
}

pub async fn run(args: TogglesArgs, context: &Context) -> Result<Exit> {
    match args.command {
        Command::Show(args) => show::run(args, context).await,
        Command::Set(args) => set::run(args, context).await,
    }
}

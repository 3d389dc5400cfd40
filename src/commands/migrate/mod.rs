use clap::Args;

use super::Context;
use crate::error::{Exit, Problem, Result};

#[derive(Debug, Args)]
pub struct MigrateArgs {}

pub async fn run(_args: MigrateArgs, _context: &Context) -> Result<Exit> {
    Err(Problem::new(Exit::Failed, "migrate", "under construction"))
}

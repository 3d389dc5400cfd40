use clap::Args;

use super::Context;
use crate::error::{Exit, Problem, Result};

#[derive(Debug, Args)]
pub struct SmokeArgs {}

pub async fn run(_args: SmokeArgs, _context: &Context) -> Result<Exit> {
    Err(Problem::new(Exit::Failed, "smoke", "under construction"))
}

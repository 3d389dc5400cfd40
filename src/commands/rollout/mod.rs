use clap::Args;

use super::Context;
use crate::error::{Exit, Problem, Result};

#[derive(Debug, Args)]
pub struct RolloutArgs {}

pub async fn run(_args: RolloutArgs, _context: &Context) -> Result<Exit> {
    Err(Problem::new(Exit::Failed, "rollout", "under construction"))
}

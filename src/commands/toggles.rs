use clap::Args;

use super::Context;
use crate::error::{Exit, Problem, Result};

#[derive(Debug, Args)]
pub struct TogglesArgs {}

pub async fn run(_args: TogglesArgs, _context: &Context) -> Result<Exit> {
    Err(Problem::new(Exit::Failed, "toggles", "under construction"))
}

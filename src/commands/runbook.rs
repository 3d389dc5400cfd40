use clap::Args;

use super::Context;
use crate::error::{Exit, Problem, Result};

#[derive(Debug, Args)]
pub struct RunbookArgs {}

pub fn run(_args: RunbookArgs, _context: &Context) -> Result<Exit> {
    Err(Problem::new(Exit::Failed, "runbook", "under construction"))
}

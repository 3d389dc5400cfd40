use clap::Args;

use super::Context;
use crate::error::{Exit, Problem, Result};

#[derive(Debug, Args)]
pub struct InitArgs {}

pub fn run(_args: InitArgs, _context: &Context) -> Result<Exit> {
    Err(Problem::new(Exit::Failed, "init", "under construction"))
}

use clap::Args;

use super::Context;
use crate::error::{Exit, Problem, Result};

#[derive(Debug, Args)]
pub struct ManArgs {}

pub fn run(_args: ManArgs, _context: &Context) -> Result<Exit> {
    Err(Problem::new(Exit::Failed, "man", "under construction"))
}

use clap::Args;

use super::Context;
use crate::error::{Exit, Problem, Result};

#[derive(Debug, Args)]
pub struct CompletionsArgs {}

pub fn run(_args: CompletionsArgs, _context: &Context) -> Result<Exit> {
    Err(Problem::new(
        Exit::Failed,
        "completions",
        "under construction",
    ))
}

use clap::Args;

use super::Context;
use crate::error::{Exit, Problem, Result};

#[derive(Debug, Args)]
pub struct PreflightArgs {}

pub async fn run(_args: PreflightArgs, _context: &Context) -> Result<Exit> {
    Err(Problem::new(
        Exit::Failed,
        "preflight",
        "under construction",
    ))
}

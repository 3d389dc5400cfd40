use clap::Args;

use super::Context;
use crate::error::{Exit, Problem, Result};

#[derive(Debug, Args)]
pub struct VerifyArgs {}

pub async fn run(_args: VerifyArgs, _context: &Context) -> Result<Exit> {
    Err(Problem::new(Exit::Failed, "verify", "under construction"))
}

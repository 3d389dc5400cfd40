use clap::Args;

use super::Context;
use crate::error::{Exit, Problem, Result};

#[derive(Debug, Args)]
pub struct ServiceArgs {}

pub async fn run(_args: ServiceArgs, _context: &Context) -> Result<Exit> {
    Err(Problem::new(Exit::Failed, "service", "under construction"))
}

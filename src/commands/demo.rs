use clap::Args;

use super::Context;
use crate::error::{Exit, Problem, Result};

#[derive(Debug, Args)]
pub struct DemoArgs {}

pub async fn run(_args: DemoArgs, _context: &Context) -> Result<Exit> {
    Err(Problem::new(Exit::Failed, "demo", "under construction"))
}

use clap::Args;

use super::Context;
use crate::error::{Exit, Problem, Result};

#[derive(Debug, Args)]
pub struct KeysArgs {}

pub async fn run(_args: KeysArgs, _context: &Context) -> Result<Exit> {
    Err(Problem::new(Exit::Failed, "keys", "under construction"))
}

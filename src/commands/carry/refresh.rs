use std::fmt::{self, Write as _};
use std::path::PathBuf;

use clap::Args;
use serde::Serialize;

use super::{kit, sides, store, telling};
use crate::carry::merge::Counts;
use crate::carry::over;
use crate::commands::Context;
use crate::contract::KitSeal;
use crate::error::{Exit, Result};
use crate::ui::{Report, Screen};

#[derive(Debug, Args)]
#[command(after_help = "\
A run that is driven refreshes the kit every few seconds. This is for the time after it, from a timer \
for instance: a rollback without Postgres knows what was revoked up to the last refresh.

Example:
  dbctl --env production carry refresh")]
pub struct RefreshArgs {}

/// `dbctl.carry.refresh/1`.
#[derive(Debug, Serialize)]
struct Refreshed {
    env: String,
    file: PathBuf,
    #[serde(flatten)]
    counts: Counts,
    kit: Option<KitSeal>,
}

pub async fn run(_: RefreshArgs, context: &Context) -> Result<Exit> {
    let (env, fleet, database) = sides(context, &[])?;
    let kit = kit(context, env).await?;
    let store = store(context, &database);
    let carried = over::refresh(&fleet, store, &kit, &telling(context)).await?;
    context.ui.report(&Refreshed {
        env: env.name.clone(),
        file: kit.path(),
        counts: carried.counts,
        kit: carried.kit,
    })?;
    Ok(Exit::Ok)
}

impl Report for Refreshed {
    const SCHEMA: &'static str = "dbctl.carry.refresh/1";

    fn human(&self, out: &mut Screen) -> fmt::Result {
        writeln!(out, "{}: {}, fresh", self.file.display(), self.counts)
    }
}

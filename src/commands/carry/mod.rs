//! `dbctl carry`: live state across a switch, by hand, and the rollback kit.

mod accept;
mod export;
mod import;
mod plan;
mod refresh;
mod status;

use std::collections::BTreeMap;

use clap::{Args, Subcommand};

use super::Context;
use super::rollout::recorded_kits;
use crate::carry::kit::Kit;
use crate::carry::over::{Fleet, Progress, Store};
use crate::error::{Exit, Result};
use crate::pg::Database;
use crate::settings::Environment;

#[derive(Debug, Args)]
#[command(after_help = "\
A rollout carries state over by itself, and so does `dbctl toggles set`; see docs/carry.md.

Example:
  dbctl --env production carry status
  dbctl --env production carry plan --to postgres")]
pub struct CarryArgs {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Show what a switch would carry over, what differs and what it would burn; read-only
    Plan(plan::PlanArgs),
    /// Show how far instances and Postgres know the same, and how good the rollback kit is
    Status(status::StatusArgs),
    /// Write what instances, Postgres or the kit know to a new file
    Export(export::ExportArgs),
    /// Merge an exported file into Postgres or into instances; it only ever adds
    Import(import::ImportArgs),
    /// Make the rollback kit fresh, and change nothing else
    Refresh(refresh::RefreshArgs),
    /// Have a rollback use a kit that is not what the journal recorded
    Accept(accept::AcceptArgs),
}

pub async fn run(args: CarryArgs, context: &Context) -> Result<Exit> {
    match args.command {
        Command::Plan(args) => plan::run(args, context).await,
        Command::Status(args) => status::run(args, context).await,
        Command::Export(args) => export::run(args, context).await,
        Command::Import(args) => import::run(args, context).await,
        Command::Refresh(args) => refresh::run(args, context).await,
        Command::Accept(args) => accept::run(args, context).await,
    }
}

/// The instances that `on` names, and their database.
fn sides<'a>(context: &'a Context, on: &[String]) -> Result<(&'a Environment, Fleet, Database)> {
    let env = context.settings.environment(None)?;
    let fleet = Fleet::new(env, &env.select(on)?)?;
    Ok((env, fleet, database(context, env)?))
}

fn database(context: &Context, env: &Environment) -> Result<Database> {
    Database::resolve(&context.settings, Some(env), &|weak| context.ui.warn(weak))
}

fn store<'a>(context: &'a Context, database: &'a Database) -> Store<'a> {
    Store {
        database,
        key_id: &context.settings.config.keys.key_id,
    }
}

/// The kit of an environment beside what the journal, or this machine's mirror of it, recorded.
pub async fn kit(context: &Context, env: &Environment) -> Result<Kit> {
    let kit = Kit::of(&context.settings, env)?;
    let recorded = recorded_kits(context).await.unwrap_or_else(|problem| {
        let warning = format_args!("nobody vouches for the kit: {problem}");
        context.ui.warn(warning);
        BTreeMap::new()
    });
    let seals = recorded.get(&env.name).map_or(&[][..], Vec::as_slice);
    Ok(kit.recorded_as(seals))
}

/// What happens meanwhile, for people who want to know.
fn telling(context: &Context) -> impl Fn(Progress) + Send + Sync {
    let ui = context.ui.clone();
    move |progress| match progress {
        Progress::Without { .. } => ui.warn(progress),
        Progress::Read { .. }
        | Progress::Fenced { .. }
        | Progress::Imported { .. }
        | Progress::Unfenced { .. } => ui.detail(progress),
    }
}

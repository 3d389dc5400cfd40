//! `dbctl migrate`: the files, their history, and running them.

mod apply;
mod drift;
mod dump;
mod list;
mod new;
mod validate;

use std::path::PathBuf;

use clap::{Args, Subcommand};
use tokio_util::sync::CancellationToken;

use super::Context;
use crate::error::{Exit, Result};
use crate::migrate::Source;
use crate::migrate::conventions::{Convention, Reading};
use crate::migrate::finding::Level;
use crate::migrate::trial::Place;
use crate::pg::scratch::Choice;
use crate::ui::interrupts;

#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  dbctl migrate list\n  dbctl migrate validate --dir migrations\n  dbctl --env staging migrate apply"
)]
pub struct MigrateArgs {
    #[command(subcommand)]
    command: MigrateCommand,
}

#[derive(Debug, Subcommand)]
enum MigrateCommand {
    /// Create a migration file with the next number
    New(new::NewArgs),
    /// Show which migrations are pending, applied, missing or divergent
    #[command(alias = "status")]
    List(list::ListArgs),
    /// Check the files and run them all on a scratch database
    Validate(validate::ValidateArgs),
    /// Show what differs between a database and its migrations
    Drift(drift::DriftArgs),
    /// Write the schema that the migrations make, as text for a review
    Dump(dump::DumpArgs),
    /// Apply what is pending
    #[command(alias = "up")]
    Apply(apply::ApplyArgs),
}

/// Where the migrations come from.
#[derive(Debug, Args)]
struct SourceArgs {
    /// Folder of migrations [default: migrations.dir of the settings, else those in dbctl]
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
}

impl SourceArgs {
    fn source(&self, context: &Context) -> Source {
        Source::resolve(self.dir.as_deref(), &context.settings)
    }
}

/// How they are kept.
#[derive(Debug, Args)]
struct ConventionArgs {
    /// How the files are kept, where it is not to be recognized: refinery, flyway, sqlx,
    /// golang-migrate, goose, dbmate, diesel, numbered, folders or sqitch
    #[arg(long, value_name = "NAME")]
    convention: Option<Convention>,
}

impl ConventionArgs {
    /// Reads them; what is wrong with a file is an error.
    fn read(&self, source: &Source) -> Result<Reading> {
        let reading = source.read(self.convention)?;
        let wrong = reading.findings.iter().find(|f| f.level == Level::Error);
        match wrong {
            Some(finding) => Err(reading.problem(finding.clone())),
            None => Ok(reading),
        }
    }
}

/// What they are tried on.
#[derive(Debug, Args)]
struct ScratchArgs {
    /// Where to run them: auto, embedded, native, or the URL of a server
    #[arg(long, value_name = "WHERE", default_value = "auto")]
    scratch: Choice,
    /// Folder with initdb and postgres, for a native scratch database
    #[arg(long, value_name = "DIR")]
    pg_bin: Option<PathBuf>,
}

impl ScratchArgs {
    fn place<'a>(&'a self, cancel: &'a CancellationToken) -> Place<'a> {
        Place {
            scratch: &self.scratch,
            pg_bin: self.pg_bin.as_deref(),
            cancel,
        }
    }
}

/// Is cancelled by Ctrl-C. Once: a second one is not needed.
fn until_ctrl_c() -> CancellationToken {
    let token = CancellationToken::new();
    let cancelled = token.clone();
    tokio::spawn(async move {
        if interrupts::ctrl_c().await {
            cancelled.cancel();
        }
    });
    token
}

pub async fn run(args: MigrateArgs, context: &Context) -> Result<Exit> {
    match args.command {
        MigrateCommand::New(args) => new::run(args, context),
        MigrateCommand::List(args) => list::run(args, context).await,
        MigrateCommand::Validate(args) => validate::run(args, context).await,
        MigrateCommand::Drift(args) => drift::run(args, context).await,
        MigrateCommand::Dump(args) => dump::run(args, context).await,
        MigrateCommand::Apply(args) => apply::run(args, context).await,
    }
}

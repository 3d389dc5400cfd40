//! `dbctl keys kek`: the register of key-encryption keys.

use std::fmt::{self, Write as _};

use clap::{Args, Subcommand};
use serde::Serialize;

use super::database;
use crate::commands::Context;
use crate::error::{Exit, Result};
use crate::keys::{self, By, Dropped, KekEntry};
use crate::rollout::person::Person;
use crate::ui::{Report, Screen, in_column, table};

#[derive(Debug, Args)]
#[command(after_help = "Example:\n  dbctl keys kek list --env production")]
pub struct KekArgs {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// List the key-encryption keys that sealed anything here, by name
    List(ListArgs),
    /// Never seal with a key-encryption key again; one that still seals something is refused
    Drop(DropArgs),
}

#[derive(Debug, Args)]
#[command(after_help = "Example:\n  dbctl keys kek list --env production")]
struct ListArgs {}

#[derive(Debug, Args)]
#[command(after_help = "\
The register remembers its name; the key itself is not here and is not touched. Backups of the
database from before, and what `keys export --sealed` wrote, still open only with it.

Example:
  dbctl keys kek drop kek-0123456789abcdef --env production")]
struct DropArgs {
    /// Its name, as `keys kek list` shows it
    kek_id: String,
}

pub async fn run(args: KekArgs, context: &Context) -> Result<Exit> {
    let (_, db) = database(context).await?;
    match args.command {
        Command::List(ListArgs {}) => {
            let keks = keys::keks(&db).await?;
            context.ui.report(&List { keks })?;
        }
        Command::Drop(DropArgs { kek_id }) => {
            let by = By::new(Person::of_system(), None);
            let outcome = keys::drop_kek(&db, &kek_id, &by).await?;
            context.ui.report(&Drop { kek_id, outcome })?;
        }
    }
    Ok(Exit::Ok)
}

#[derive(Debug, Serialize)]
struct List {
    keks: Vec<KekEntry>,
}

impl Report for List {
    const SCHEMA: &'static str = "dbctl.keys.kek.list/1";

    fn human(&self, out: &mut Screen) -> fmt::Result {
        if self.keks.is_empty() {
            return writeln!(
                out,
                "No key-encryption keys.\n\nNext:\n  dbctl keys new-kek FILE, then dbctl keys seed"
            );
        }
        let rows = self.keks.iter().map(|kek| {
            [
                kek.kek_id.clone(),
                kek.versions.to_string(),
                kek.last_used_at.map(in_column).unwrap_or_default(),
                match kek.retired_at {
                    Some(at) => format!("dropped {}", in_column(at)),
                    None if kek.versions > 0 => "in use".into(),
                    None => "seals nothing".into(),
                },
            ]
        });
        let header = ["key-encryption key", "seals", "last sealed (UTC)", ""];
        let text = table(out, &header, rows);
        out.write_str(&text)
    }
}

#[derive(Debug, Serialize)]
struct Drop {
    kek_id: String,
    outcome: Dropped,
}

impl Report for Drop {
    const SCHEMA: &'static str = "dbctl.keys.kek.drop/1";

    fn human(&self, out: &mut Screen) -> fmt::Result {
        let kek = &self.kek_id;
        match self.outcome {
            Dropped::Before => writeln!(out, "{kek} was dropped before. Nothing was changed."),
            Dropped::Now => {
                writeln!(
                    out,
                    "{kek} is dropped: nothing is sealed with it, nor will be."
                )?;
                writeln!(
                    out,
                    "Keep the key for as long as there are backups from before."
                )
            }
        }
    }
}

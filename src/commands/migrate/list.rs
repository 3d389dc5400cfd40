use std::fmt::{self, Write as _};

use clap::Args;
use serde::Serialize;

use super::SourceArgs;
use crate::commands::Context;
use crate::error::{Exit, Result};
use crate::migrate::{self, State, Status};
use crate::ui::{Report, Screen, Tone, in_column, printable, table};

#[derive(Debug, Args)]
#[command(after_help = "\
Ends with status 5 when files and history do not fit together.

Example:
  dbctl --env production migrate list
  dbctl migrate list --dir db/migrations --format json")]
pub struct ListArgs {
    #[command(flatten)]
    source: SourceArgs,
}

#[derive(Debug, Serialize)]
struct Listed {
    database: String,
    source: String,
    #[serde(flatten)]
    status: Status,
    applied: usize,
    pending: usize,
    missing: usize,
    divergent: usize,
}

impl Report for Listed {
    const SCHEMA: &'static str = "dbctl.migrate.list/1";

    fn human(&self, out: &mut Screen) -> fmt::Result {
        let line = format!("{} · {}", self.database, self.source);
        writeln!(out, "{}", out.tone(Tone::Strong, printable(&line)))?;
        let rows = self.status.entries.iter().map(|e| {
            let state = match e.state {
                State::Pending if e.out_of_order => "pending, out of order".to_owned(),
                state => state.to_string(),
            };
            [
                e.version.to_string(),
                e.name.clone(),
                state,
                e.applied_on.as_deref().map_or_else(String::new, applied),
            ]
        });
        let header = ["version", "name", "state", "applied (UTC)"];
        out.write_str(&table(out, &header, rows))?;
        write!(out, "{} applied · {} pending", self.applied, self.pending)?;
        for (count, word) in [(self.missing, "missing"), (self.divergent, "divergent")] {
            if count > 0 {
                write!(out, " · {count} {word}")?;
            }
        }
        writeln!(out)?;
        match self.next() {
            Some(next) => writeln!(out, "next: {next}"),
            None => Ok(()),
        }
    }
}

/// A time as the history has it; what cannot be read as one is shown as it is.
fn applied(on: &str) -> String {
    on.parse::<jiff::Timestamp>()
        .map_or_else(|_| on.to_owned(), in_column)
}

impl Listed {
    fn next(&self) -> Option<&'static str> {
        if self.divergent > 0 {
            Some("put divergent files back as they were applied; write changes as new migrations")
        } else if self.missing > 0 {
            Some("put the missing files back, or name the right folder with --dir")
        } else if self.status.entries.iter().any(|e| e.out_of_order) {
            Some("give what is out of order a number after the last applied one")
        } else if self.pending > 0 {
            Some("dbctl migrate validate, then dbctl migrate apply")
        } else {
            None
        }
    }
}

pub async fn run(args: ListArgs, context: &Context) -> Result<Exit> {
    let source = args.source.source(context);
    let files = migrate::load(&source)?;
    let (database, _) = context.database()?;
    let status = migrate::status(&database, &files).await?;
    let sound = status.is_sound();
    context.ui.report(&Listed {
        database: database.to_string(),
        source: source.to_string(),
        applied: status.count(State::Applied),
        pending: status.count(State::Pending),
        missing: status.count(State::Missing),
        divergent: status.count(State::Divergent),
        status,
    })?;
    Ok(if sound { Exit::Ok } else { Exit::Findings })
}

use std::fmt::{self, Write as _};

use clap::Args;
use jiff::Timestamp;
use serde::Serialize;

use super::database;
use super::lifecycle::waits;
use crate::commands::Context;
use crate::error::{Exit, Result};
use crate::keys::lifecycle::{Waiting, look_at_all};
use crate::keys::{self, KeyVersion};
use crate::ui::{Report, Screen, in_column, middle, table};

#[derive(Debug, Args)]
#[command(after_help = "Example:\n  dbctl keys list --env production")]
pub struct ListArgs {
    /// Only the versions of this logical key
    #[arg(long, value_name = "NAME")]
    key_id: Option<String>,
}

#[derive(Debug, Serialize)]
struct List {
    versions: Vec<Row>,
    /// The database's time.
    now: Timestamp,
}

/// A version, with where it is in its life.
#[derive(Debug, Serialize)]
struct Row {
    #[serde(flatten)]
    version: KeyVersion,
    state_changed_at: Timestamp,
    stopped_signing_at: Option<Timestamp>,
    waiting: Waiting,
}

impl Row {
    /// What has to come before its next step; nothing where there is none.
    fn waits_for(&self, now: Timestamp) -> Option<String> {
        let version = self.version.version;
        let name = format!("{} version {version}", self.version.key_id);
        let from = |does: &str, from: Timestamp, then: &str| match from <= now {
            true => format!("{name} {does} now: dbctl keys {then} {version}"),
            false => format!("{name} {does} from {} on", in_column(from)),
        };
        match self.waiting {
            Waiting::Nothing => None,
            Waiting::Publication => Some(format!(
                "{name} is not known to be published: dbctl keys rotate records it"
            )),
            Waiting::Promotion { from: at } => Some(from("may sign", at, "promote")),
            Waiting::Retirement { from: at } => Some(from("may be retired", at, "retire")),
            Waiting::Word => Some(format!(
                "{name} signs elsewhere: dbctl keys retire {version} --stopped-signing TIME, once that has ended"
            )),
        }
    }
}

impl Report for List {
    const SCHEMA: &'static str = "dbctl.keys.list/1";

    fn human(&self, out: &mut Screen) -> fmt::Result {
        if self.versions.is_empty() {
            return writeln!(out, "No signing keys.\n\nNext:\n  dbctl keys seed");
        }
        let rows = self.versions.iter().map(|row| {
            let v = &row.version;
            [
                v.key_id.clone(),
                v.version.to_string(),
                v.state.to_string(),
                in_column(row.state_changed_at),
                v.algorithm.to_string(),
                // Enough to tell them apart; JSON has it whole.
                middle(&v.kid, 12),
                v.kek_id
                    .as_deref()
                    .map_or_else(|| "public half only".into(), |kek| middle(kek, 12)),
            ]
        });
        let header = [
            "key",
            "v",
            "state",
            "since (UTC)",
            "alg",
            "kid",
            "sealed with",
        ];
        let text = table(out, &header, rows);
        out.write_str(&text)?;
        let waits = self
            .versions
            .iter()
            .filter_map(|row| row.waits_for(self.now));
        let waits: Vec<String> = waits.collect();
        if !waits.is_empty() {
            writeln!(out, "\nWaiting (UTC):")?;
        }
        waits.iter().try_for_each(|line| out.wrapped(2, line))
    }
}

pub async fn run(args: ListArgs, context: &Context) -> Result<Exit> {
    let (_, db) = database(context).await?;
    let versions = keys::list(&db, args.key_id.as_deref()).await?;
    let (now, lives) = look_at_all(&db).await?;
    let waits = waits(&context.settings.config.keys);
    // One that was made between the two looks is shown the next time.
    let rows = versions.into_iter().filter_map(|version| {
        let (_, life) = lives
            .iter()
            .find(|(key, life)| *key == version.key_id && life.version == version.version)?;
        Some(Row {
            state_changed_at: life.since,
            stopped_signing_at: life.stopped_signing_at,
            waiting: life.waiting(&waits),
            version,
        })
    });
    let versions = rows.collect();
    context.ui.report(&List { versions, now })?;
    Ok(Exit::Ok)
}

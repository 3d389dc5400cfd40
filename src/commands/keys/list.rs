use std::fmt::{self, Write as _};

use clap::Args;
use serde::Serialize;

use super::database;
use crate::commands::Context;
use crate::error::{Exit, Result};
use crate::keys::{self, KeyVersion};
use crate::ui::{Report, Screen, table};

#[derive(Debug, Args)]
#[command(after_help = "Example:\n  dbctl keys list --env production")]
pub struct ListArgs {
    /// Only the versions of this logical key
    #[arg(long, value_name = "NAME")]
    key_id: Option<String>,
}

#[derive(Debug, Serialize)]
struct List {
    versions: Vec<KeyVersion>,
}

impl Report for List {
    const SCHEMA: &'static str = "dbctl.keys.list/1";

    fn human(&self, out: &mut Screen) -> fmt::Result {
        if self.versions.is_empty() {
            return writeln!(out, "No signing keys.\n\nNext:\n  dbctl keys seed");
        }
        let rows = self.versions.iter().map(|v| {
            [
                v.key_id.clone(),
                v.version.to_string(),
                v.state.to_string(),
                v.algorithm.to_string(),
                v.valid_from.strftime("%Y-%m-%d %H:%M").to_string(),
                // Enough to tell them apart; JSON has it whole.
                v.kid.chars().take(11).collect::<String>() + "…",
                v.kek_id.clone().map_or("public half only".into(), |kek| {
                    kek.chars().take(12).collect::<String>() + "…"
                }),
            ]
        });
        let header = [
            "key",
            "v",
            "state",
            "alg",
            "from (UTC)",
            "kid",
            "sealed with",
        ];
        let text = table(out, &header, rows);
        out.write_str(&text)
    }
}

pub async fn run(args: ListArgs, context: &Context) -> Result<Exit> {
    let (_, db) = database(context).await?;
    let versions = keys::list(&db, args.key_id.as_deref()).await?;
    context.ui.report(&List { versions })?;
    Ok(Exit::Ok)
}

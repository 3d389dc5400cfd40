use std::fmt::{self, Write as _};

use clap::Args;
use serde::Serialize;

use super::database;
use crate::commands::Context;
use crate::error::{Exit, Result};
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
                in_column(v.valid_from),
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

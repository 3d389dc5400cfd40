use std::path::PathBuf;

use clap::Args;

use super::database;
use crate::commands::Context;
use crate::error::{Doing as _, Exit, Result};
use crate::keys;

#[derive(Debug, Args)]
#[command(after_help = "Example:\n  dbctl keys export --jwks --out jwks.json")]
pub struct ExportArgs {
    /// As a JSON Web Key Set (RFC 7517): every version that verifies
    #[arg(long, required = true)]
    jwks: bool,

    /// File to write instead of standard output
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

pub async fn run(args: ExportArgs, context: &Context) -> Result<Exit> {
    let (_, db) = database(context).await?;
    let versions = keys::list(&db, None).await?;
    let trusted = versions.iter().filter(|v| v.state.verifies());
    let set = keys::jwks(trusted.map(|v| &v.public));
    let text = format!("{set:#}\n");
    match args.out {
        Some(file) => {
            crate::durable::write(&file, text.as_bytes())
                .doing(Exit::Config, format!("writing {}", file.display()))?;
            context
                .ui
                .status(format_args!("written {}", file.display()));
        }
        None => context.ui.data(&text)?,
    }
    Ok(Exit::Ok)
}

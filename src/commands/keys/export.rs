use std::path::{Path, PathBuf};

use clap::Args;

use super::database;
use crate::commands::Context;
use crate::error::{Doing as _, Exit, Problem, Result};
use crate::keys::{self, KeyVersion};
use crate::pg::Database;

#[derive(Debug, Args)]
#[command(after_help = "\
Private halves leave the database only sealed; what --sealed writes can be imported elsewhere
with the key-encryption key that sealed it, and is of no use without.

Example:
  dbctl keys export --jwks --out jwks.json
  dbctl keys export --pem --kid NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs
  dbctl keys export --sealed --out keys.sealed.json")]
pub struct ExportArgs {
    #[command(flatten)]
    form: Form,

    /// Only the key with this kid
    #[arg(long, value_name = "KID")]
    kid: Option<String>,

    /// File to write instead of standard output
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
struct Form {
    /// As a JSON Web Key Set (RFC 7517): every version that verifies
    #[arg(long)]
    jwks: bool,

    /// As PEM (`BEGIN PUBLIC KEY`), one block for every version that verifies
    #[arg(long)]
    pem: bool,

    /// With the private halves, sealed as they are in the database, as JSON
    #[arg(long)]
    sealed: bool,
}

pub async fn run(args: ExportArgs, context: &Context) -> Result<Exit> {
    let (_, db) = database(context).await?;
    let kid = args.kid.as_deref();
    let text = match (args.form.sealed, args.form.pem) {
        (true, _) => sealed(&db, kid).await?,
        (false, true) => {
            let blocks = trusted(&db, kid).await?;
            let blocks = blocks.iter().map(|v| v.public.to_pem());
            blocks.collect::<Result<Vec<String>>>()?.concat()
        }
        (false, false) => {
            let versions = trusted(&db, kid).await?;
            format!("{:#}\n", keys::jwks(versions.iter().map(|v| &v.public)))
        }
    };
    match args.out {
        Some(file) => {
            put(&file, text.as_bytes(), args.form.sealed)
                .doing(Exit::Config, format!("writing {}", file.display()))?;
            context
                .ui
                .status(format_args!("written {}", file.display()));
        }
        None => context.ui.data(&text)?,
    }
    Ok(Exit::Ok)
}

fn put(file: &Path, bytes: &[u8], private: bool) -> std::io::Result<()> {
    match private {
        true => crate::durable::write_private(file, bytes),
        false => crate::durable::write(file, bytes),
    }
}

/// The versions to trust, or the one that was asked for.
async fn trusted(db: &Database, kid: Option<&str>) -> Result<Vec<KeyVersion>> {
    let versions = keys::list(db, None).await?;
    let Some(kid) = kid else {
        return Ok(versions
            .into_iter()
            .filter(|v| v.state.verifies())
            .collect());
    };
    match versions.into_iter().find(|v| v.kid == kid) {
        Some(version) if version.state.verifies() => Ok(vec![version]),
        Some(version) => Err(none(
            kid,
            &format!("it is {}: nobody should trust it", version.state),
        )),
        None => Err(none(kid, "there is no such key")),
    }
}

async fn sealed(db: &Database, kid: Option<&str>) -> Result<String> {
    let mut versions = keys::load_sealed(db).await?;
    match kid {
        None => versions.retain(|v| v.version.state.verifies()),
        Some(kid) => {
            versions.retain(|v| v.version.kid == kid);
            if versions.is_empty() {
                return Err(none(kid, "there is no such key with a private half"));
            }
        }
    }
    keys::export_sealed(&versions)
}

fn none(kid: &str, why: &str) -> Problem {
    let doing = format!("exporting the key {}", kid.escape_debug());
    Problem::new(Exit::Config, doing, why)
        .next("`dbctl keys list --format json` shows every kid whole")
}

use std::fmt::{self, Write as _};
use std::path::PathBuf;

use clap::Args;
use serde::Serialize;

use super::{database, kek_of};
use crate::commands::Context;
use crate::error::{Exit, Result};
use crate::keys::{self, Algorithm, By, Kek, Seeded};
use crate::rollout::person::Person;
use crate::ui::{Report, Screen};

#[derive(Debug, Args)]
#[command(after_help = "Example:\n  dbctl keys seed --env production\n  \
    dbctl keys seed --kek-file kek.b64 --trust jwks-of-auth-1.json")]
pub struct SeedArgs {
    /// Name of the logical key; `keys.key_id` of the settings without it
    #[arg(long, value_name = "NAME")]
    key_id: Option<String>,

    /// EdDSA, ES256 or RS256; `keys.algorithm` of the settings without it
    #[arg(long)]
    algorithm: Option<Algorithm>,

    /// File with the key-encryption key; that of the environment without it
    #[arg(long, value_name = "FILE")]
    kek_file: Option<PathBuf>,

    /// Public keys to record beside it, as a JWKS file: those of the instances that still sign
    /// without Postgres (their /.well-known/jwks.json)
    #[arg(long, value_name = "FILE")]
    trust: Vec<PathBuf>,
}

#[derive(Debug, Serialize)]
struct SeedReport {
    key_id: String,
    #[serde(flatten)]
    seeded: Seeded,
    kek_id: String,
    public_keys_added: u64,
    public_keys_known: u64,
}

impl Report for SeedReport {
    const SCHEMA: &'static str = "dbctl.keys.seed/1";

    fn human(&self, out: &mut Screen) -> fmt::Result {
        let (first, version, kid) = match &self.seeded {
            Seeded::Created { version, kid } => ("seeded", version, kid),
            Seeded::AlreadySeeded { version, kid } => ("was seeded already", version, kid),
        };
        writeln!(out, "{} {first}: version {version} signs.", self.key_id)?;
        writeln!(out, "  kid     {kid}")?;
        writeln!(out, "  sealed  with {}", self.kek_id)?;
        let given = self.public_keys_added + self.public_keys_known;
        if given > 0 {
            let added = self.public_keys_added;
            writeln!(out, "  trusts  {added} of {given} given public keys newly")?;
        }
        match (&self.seeded, self.public_keys_added) {
            (Seeded::AlreadySeeded { .. }, 0) => writeln!(out, "Nothing was changed."),
            (Seeded::AlreadySeeded { .. } | Seeded::Created { .. }, _) => Ok(()),
        }
    }
}

pub async fn run(args: SeedArgs, context: &Context) -> Result<Exit> {
    let defaults = &context.settings.config.keys;
    let key_id = args.key_id.unwrap_or_else(|| defaults.key_id.clone());
    let algorithm = args.algorithm.unwrap_or(defaults.algorithm);
    // Whatever can be wrong with files is found before the database is touched.
    let mut trusted = Vec::new();
    for file in &args.trust {
        trusted.extend(keys::read_jwks(file)?);
    }
    let from_flag = args.kek_file.as_deref().map(Kek::from_file).transpose()?;
    let (env, db) = database(context).await?;
    let kek = kek_of(from_flag, env).await?;
    let by = By::new(Person::of_system(), None);
    let (seeded, added) = keys::seed(&db, &key_id, algorithm, &kek, &trusted, &by).await?;
    context.ui.report(&SeedReport {
        key_id,
        seeded,
        kek_id: kek.id().to_owned(),
        public_keys_added: added,
        public_keys_known: trusted.len() as u64 - added,
    })?;
    Ok(Exit::Ok)
}

//! `dbctl keys`: the signing keys in Postgres, and the key-encryption key beside it.

mod export;
mod import;
mod kek;
mod lifecycle;
mod list;
mod new_kek;
mod promote;
mod retire;
mod revoke;
mod rewrap;
mod rotate;
mod seed;
mod verify;

use clap::{Args, Subcommand};

use super::Context;
use crate::error::{Exit, Problem, Result};
use crate::keys::Kek;
use crate::pg::Database;
use crate::settings::Environment;

#[derive(Debug, Args)]
#[command(after_help = "Example:\n  dbctl keys new-kek kek.b64\n  dbctl keys seed")]
pub struct KeysArgs {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Make the first version of the signing key; seeding twice changes nothing
    Seed(seed::SeedArgs),
    /// List the versions of signing keys, without any key material
    List(list::ListArgs),
    /// Replace the version that signs, step by step; the next call continues
    Rotate(rotate::RotateArgs),
    /// Let a standby version sign
    Promote(promote::PromoteArgs),
    /// Let a version go whose tokens have all expired
    Retire(retire::RetireArgs),
    /// Never trust a version again
    Revoke(revoke::RevokeArgs),
    /// Take keys that were made elsewhere: PEM, JWK, a JWK set, a sealed export
    Import(import::ImportArgs),
    /// Export the public keys that verifiers should trust, or sealed private ones
    Export(export::ExportArgs),
    /// Look whether every sealed key opens and its halves fit; changes nothing
    Verify(verify::VerifyArgs),
    /// Seal every private key anew with another key-encryption key
    Rewrap(rewrap::RewrapArgs),
    /// The key-encryption keys by name: list them, drop one that is no longer used
    Kek(kek::KekArgs),
    /// Write a new random key-encryption key to a file; never overwrites
    NewKek(new_kek::NewKekArgs),
}

pub async fn run(args: KeysArgs, context: &Context) -> Result<Exit> {
    match args.command {
        Command::Seed(args) => seed::run(args, context).await,
        Command::List(args) => list::run(args, context).await,
        Command::Rotate(args) => rotate::run(args, context).await,
        Command::Promote(args) => promote::run(args, context).await,
        Command::Retire(args) => retire::run(args, context).await,
        Command::Revoke(args) => revoke::run(args, context).await,
        Command::Import(args) => import::run(args, context).await,
        Command::Export(args) => export::run(args, context).await,
        Command::Verify(args) => verify::run(args, context).await,
        Command::Rewrap(args) => rewrap::run(args, context).await,
        Command::Kek(args) => kek::run(args, context).await,
        Command::NewKek(args) => new_kek::run(args, context),
    }
}

/// The environment, where the settings file has any, and its database, which must answer.
async fn database(context: &Context) -> Result<(Option<&Environment>, Database)> {
    let settings = &context.settings;
    let env = match settings.config.environments.is_empty() && settings.env_name.is_none() {
        true => None,
        false => Some(settings.environment(None)?),
    };
    let db = Database::resolve(settings, env, &|notice| context.ui.warn(notice))?;
    db.check().await?;
    Ok((env, db))
}

/// The key-encryption key: that of `--kek-file`, which was read already, else the environment's.
async fn kek_of(from_flag: Option<Kek>, env: Option<&Environment>) -> Result<Kek> {
    match (from_flag, env) {
        (Some(kek), _) => Ok(kek),
        (None, Some(env)) => Kek::of_environment(env).await,
        (None, None) => Err(Problem::new(
            Exit::Config,
            "looking for the key-encryption key",
            "neither --kek-file nor an environment with a key-encryption key was given",
        )
        .next("dbctl keys new-kek kek.b64, then --kek-file kek.b64")),
    }
}

use std::fmt;

use clap::Args;
use serde::Serialize;

use super::lifecycle::{Changed, KekArgs, KeyArgs, Scene};
use crate::commands::Context;
use crate::error::{Exit, Result};
use crate::keys::KeyState;
use crate::keys::lifecycle::{Life, Revocation, Which, revocation, revoke};
use crate::ui::{Report, Screen};

#[derive(Debug, Args)]
#[command(after_help = "\
A revoked version is never trusted again. The current one hands over to a standby in the same
transaction; without one, `dbctl keys rotate --emergency` makes it first. Where somebody is locked
out, the key's name has to be typed.

Example:
  dbctl keys revoke 1 --reason \"laptop stolen\" --env production
  dbctl keys revoke 1 --reason leaked --emergency --confirm access-tokens")]
pub struct RevokeArgs {
    /// The version, by its number or its whole kid
    #[arg(value_name = "VERSION|KID")]
    which: Which,

    /// Why, for security.events
    #[arg(long, value_name = "TEXT", required = true)]
    reason: String,

    #[command(flatten)]
    key: KeyArgs,

    #[command(flatten)]
    kek: KekArgs,

    /// Promote the successor even if it was not published for long enough
    #[arg(long)]
    emergency: bool,
}

/// `dbctl.keys.revoke/1`.
#[derive(Debug, Serialize)]
struct Revoked(Changed);

impl Report for Revoked {
    const SCHEMA: &'static str = "dbctl.keys.revoke/1";

    fn human(&self, out: &mut Screen) -> fmt::Result {
        self.0.human(out)
    }
}

/// The key-encryption key is needed only where a successor begins to sign.
fn hands_over(versions: &[Life], which: &Which) -> bool {
    versions.iter().any(|life| {
        let named = match which {
            Which::Version(version) => life.version == *version,
            Which::Kid(kid) => life.kid == *kid,
        };
        named && life.state == KeyState::Current
    })
}

pub async fn run(args: RevokeArgs, context: &Context) -> Result<Exit> {
    let mut scene = Scene::open(args.key, Some(args.kek), Some(args.reason), context).await?;
    let seen = scene.look().await?;
    let which = &args.which;
    let decided = revocation(
        &seen.versions,
        which,
        seen.now,
        &scene.waits,
        args.emergency,
    );
    let kek = match hands_over(&seen.versions, which) && decided.is_ok() {
        true => Some(scene.kek().await?),
        false => None,
    };
    let named = match decided {
        Ok(Revocation::Go { harm, .. }) => scene.agree(&harm, context).await?,
        // Said by the act itself, which knows better.
        Ok(Revocation::Already) | Err(_) => None,
    };
    let order = scene.order(args.emergency, named.as_ref());
    let done = revoke(&scene.db, &order, which, kek.as_ref()).await?;
    context.ui.report(&Revoked(scene.changed(done).await?))?;
    Ok(Exit::Ok)
}

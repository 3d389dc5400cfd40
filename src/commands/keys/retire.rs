use std::fmt;

use clap::Args;
use jiff::Timestamp;
use serde::Serialize;

use super::lifecycle::{Changed, KeyArgs, Scene};
use crate::commands::Context;
use crate::error::{Exit, Result};
use crate::keys::lifecycle::{Retirement, Which, retire, retirement, stopped_signing};
use crate::ui::{Report, Screen};

#[derive(Debug, Args)]
#[command(after_help = "\
A version verifies until every token that it signed has expired: for keys.token_lifetime and
keys.clock_skew after it stopped signing. For a key that signs without Postgres, only a person
knows when that ended: --stopped-signing says it, and the wait counts from then.

Example:
  dbctl keys retire 1 --env production
  dbctl keys retire 1 --stopped-signing 2026-11-28T10:00:00Z")]
pub struct RetireArgs {
    /// The version, by its number or its whole kid
    #[arg(value_name = "VERSION|KID")]
    which: Which,

    #[command(flatten)]
    key: KeyArgs,

    /// When the last instance that signed with it outside of Postgres was switched or stopped
    #[arg(long, value_name = "TIME")]
    stopped_signing: Option<Timestamp>,

    /// Do not wait: says who is locked out and until when, and wants the key's name typed
    #[arg(long)]
    emergency: bool,

    /// Why, for security.events
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
}

/// `dbctl.keys.retire/1`.
#[derive(Debug, Serialize)]
struct Retired(Changed);

impl Report for Retired {
    const SCHEMA: &'static str = "dbctl.keys.retire/1";

    fn human(&self, out: &mut Screen) -> fmt::Result {
        self.0.human(out)
    }
}

pub async fn run(args: RetireArgs, context: &Context) -> Result<Exit> {
    let scene = Scene::open(args.key, None, args.reason, context).await?;
    let which = &args.which;
    if let Some(stopped) = args.stopped_signing {
        let order = scene.order(false, None);
        let life = stopped_signing(&scene.db, &order, which, stopped).await?;
        context.ui.status(format_args!(
            "recorded: version {} stopped signing at {}",
            life.version,
            crate::keys::lifecycle::at(stopped)
        ));
    }
    let seen = scene.look().await?;
    let decided = retirement(
        &seen.versions,
        which,
        seen.now,
        &scene.waits,
        args.emergency,
    );
    let named = match decided {
        Ok(Retirement::Go { harm, .. }) => scene.agree(harm.as_slice(), context).await?,
        // Said by the act itself, which knows better.
        Ok(Retirement::Already) | Err(_) => None,
    };
    let order = scene.order(args.emergency, named.as_ref());
    let done = retire(&scene.db, &order, which).await?;
    context.ui.report(&Retired(scene.changed(done).await?))?;
    Ok(Exit::Ok)
}

use std::fmt;

use clap::Args;
use serde::Serialize;

use super::lifecycle::{Changed, KekArgs, KeyArgs, Scene};
use crate::commands::Context;
use crate::error::{Exit, Result};
use crate::keys::lifecycle::{Promotion, Which, promote, promotion};
use crate::ui::{Report, Screen};

#[derive(Debug, Args)]
#[command(after_help = "\
A version signs only once it was published for as long as verifiers may keep a key set
(keys.verifier_cache). The one that signed before only verifies from then on.

Example:
  dbctl keys promote 2 --env production
  dbctl keys promote 2 --emergency --confirm access-tokens --reason \"key 1 leaked\"")]
pub struct PromoteArgs {
    /// The version, by its number or its whole kid
    #[arg(value_name = "VERSION|KID")]
    which: Which,

    #[command(flatten)]
    key: KeyArgs,

    #[command(flatten)]
    kek: KekArgs,

    /// Do not wait: says who is locked out and until when, and wants the key's name typed
    #[arg(long)]
    emergency: bool,

    /// Why, for security.events
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
}

/// `dbctl.keys.promote/1`.
#[derive(Debug, Serialize)]
struct Promoted(Changed);

impl Report for Promoted {
    const SCHEMA: &'static str = "dbctl.keys.promote/1";

    fn human(&self, out: &mut Screen) -> fmt::Result {
        self.0.human(out)
    }
}

pub async fn run(args: PromoteArgs, context: &Context) -> Result<Exit> {
    let mut scene = Scene::open(args.key, Some(args.kek), args.reason, context).await?;
    let kek = scene.kek().await?;
    let seen = scene.look().await?;
    let which = &args.which;
    let decided = promotion(
        &seen.versions,
        which,
        seen.now,
        &scene.waits,
        args.emergency,
    );
    let named = match decided {
        Ok(Promotion::Go { harm, .. }) => scene.agree(harm.as_slice(), context).await?,
        // Said by the act itself, which knows better.
        Ok(Promotion::Already) | Err(_) => None,
    };
    let order = scene.order(args.emergency, named.as_ref());
    let done = promote(&scene.db, &order, which, &kek).await?;
    context.ui.report(&Promoted(scene.changed(done).await?))?;
    Ok(Exit::Ok)
}

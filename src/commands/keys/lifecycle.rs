//! What the commands that move a version along have in common.

use std::fmt::{self, Write as _};
use std::path::PathBuf;

use clap::Args;
use serde::Serialize;

use super::{database, kek_of};
use crate::commands::Context;
use crate::error::{Exit, Problem, Result};
use crate::keys::lifecycle::{self, Done, Harm, Life, Look, Named, Transition, Waiting, Waits};
use crate::keys::{By, Kek, KeyState};
use crate::pg::Database;
use crate::rollout::person::Person;
use crate::runtime::resolver::MAX_AGE;
use crate::settings::{Environment, KeysConfig};
use crate::ui::{Answer, Screen, duration};

/// Which key, and how it is confirmed.
#[derive(Debug, Args)]
pub(super) struct KeyArgs {
    /// Name of the logical key; `keys.key_id` of the settings without it
    #[arg(long, value_name = "NAME")]
    key_id: Option<String>,

    /// The key's name, instead of typing it where somebody is locked out
    #[arg(long, value_name = "KEY_ID")]
    confirm: Option<String>,
}

/// The key-encryption key for versions that begin to sign.
#[derive(Debug, Args)]
pub(super) struct KekArgs {
    /// File with the key-encryption key; that of the environment without it
    #[arg(long, value_name = "FILE")]
    kek_file: Option<PathBuf>,
}

/// What has to be waited for, by the settings.
pub(super) fn waits(settings: &KeysConfig) -> Waits {
    Waits {
        verifier_cache: settings.verifier_cache,
        token_lifetime: settings.token_lifetime,
        clock_skew: settings.clock_skew,
    }
}

/// A key in a database, and what its steps need.
pub(super) struct Scene {
    pub db: Database,
    pub key_id: String,
    pub waits: Waits,
    by: By,
    confirm: Option<String>,
    env: Option<Environment>,
    from_flag: Option<Kek>,
}

impl Scene {
    /// Reads files first, then connects.
    pub async fn open(
        args: KeyArgs,
        kek: Option<KekArgs>,
        reason: Option<String>,
        context: &Context,
    ) -> Result<Self> {
        let settings = &context.settings.config.keys;
        let key_id = args.key_id.unwrap_or_else(|| settings.key_id.clone());
        context.ui.refuse_other(&key_id, args.confirm.as_deref())?;
        let file = kek.and_then(|kek| kek.kek_file);
        let from_flag = file.as_deref().map(Kek::from_file).transpose()?;
        let (env, db) = database(context).await?;
        Ok(Self {
            db,
            key_id,
            waits: waits(settings),
            by: By::new(Person::of_system(), reason),
            confirm: args.confirm,
            env: env.cloned(),
            from_flag,
        })
    }

    /// The key-encryption key. It is asked for once, where a version begins to sign.
    pub async fn kek(&mut self) -> Result<Kek> {
        kek_of(self.from_flag.take(), self.env.as_ref()).await
    }

    pub fn order<'a>(&'a self, emergency: bool, named: Option<&'a Named>) -> lifecycle::Order<'a> {
        lifecycle::Order {
            key_id: &self.key_id,
            waits: self.waits,
            by: &self.by,
            emergency,
            named,
        }
    }

    pub async fn look(&self) -> Result<Look> {
        lifecycle::look(&self.db, &self.key_id).await
    }

    /// Says who is locked out, and has the key's name typed. Nothing is asked where nobody is.
    pub async fn agree(&self, harm: &[Harm], context: &Context) -> Result<Option<Named>> {
        if harm.is_empty() {
            return Ok(None);
        }
        for harm in harm {
            context.ui.status(harm.sentence());
        }
        let confirm = self.confirm.as_deref();
        match context.ui.confirm(&self.key_id, "", confirm).await? {
            Answer::Confirmed(typed) => Named::new(&self.key_id, typed.name()).map(Some),
            Answer::Declined => Err(Problem::new(Exit::Unconfirmed, "", "nothing was changed")),
        }
    }

    /// The answer of a command that did `done`.
    pub async fn changed(&self, done: Done) -> Result<Changed> {
        let look = self.look().await?;
        Ok(Changed {
            key_id: self.key_id.clone(),
            changed: !done.did.is_empty(),
            done,
            versions: look.versions,
            waits: self.waits,
        })
    }
}

/// What a command did to the versions of a key, and what they are now.
#[derive(Debug, Serialize)]
pub(super) struct Changed {
    pub key_id: String,
    pub changed: bool,
    #[serde(flatten)]
    pub done: Done,
    pub versions: Vec<Life>,
    #[serde(skip)]
    pub waits: Waits,
}

impl Changed {
    pub fn human(&self, out: &mut Screen) -> fmt::Result {
        let of = |t: &Transition| self.versions.iter().find(|life| life.version == t.version);
        for life in self.done.did.iter().filter_map(of) {
            let text = format!("{}: {}", self.key_id, sentence(life, &self.waits));
            out.wrapped(0, &text)?;
        }
        if !self.changed {
            writeln!(out, "Nothing was changed: it is so already.")?;
        }
        Ok(())
    }
}

/// What a version is, and what that means for the next hours.
pub(super) fn sentence(life: &Life, waits: &Waits) -> String {
    let version = life.version;
    let at = lifecycle::at;
    match life.state {
        KeyState::Standby => match life.waiting(waits) {
            Waiting::Promotion { from } => format!(
                "version {version} is standby: published, and it may sign from {} on.",
                at(from)
            ),
            Waiting::Nothing
            | Waiting::Publication
            | Waiting::Retirement { .. }
            | Waiting::Word => format!("version {version} is standby, not published yet."),
        },
        KeyState::Current => format!(
            "version {version} is current: it signs, every instance of the service within {}.",
            duration(MAX_AGE)
        ),
        KeyState::Retiring => match life.waiting(waits) {
            Waiting::Retirement { from } => {
                format!(
                    "version {version} is retiring: it only verifies, until {} at least.",
                    at(from)
                )
            }
            Waiting::Nothing | Waiting::Publication | Waiting::Promotion { .. } | Waiting::Word => {
                format!(
                    "version {version} is retiring: it only verifies, until somebody says since when it does not sign elsewhere."
                )
            }
        },
        KeyState::Retired => format!("version {version} is retired: nobody accepts it any more."),
        KeyState::Revoked => format!(
            "version {version} is revoked: every instance of the service refuses it within {}; others as \
             soon as they fetch the key set anew.",
            duration(MAX_AGE)
        ),
    }
}

//! The life of a version: `standby → current → retiring → retired`, and `revoked` from any of
//! them. What may happen is decided here, purely; [`act`] carries it out, one transaction for each
//! step.
//!
//! # Why there is no gap (P3)
//!
//! - A version signs only once it was published for [`Waits::verifier_cache`]. Whoever verifies
//!   has by then thrown away every key set that did not hold it. `published_at` is written by a
//!   transaction of its own, after the one that made the version visible, so that it is never
//!   earlier than the first moment in which somebody could see it.
//! - A version verifies for [`Waits::token_lifetime`] and [`Waits::clock_skew`] after it stopped
//!   signing. A signer that still believes an old copy of the keys signs with it for a while
//!   (`resolver::MAX_AGE`, 30 s): the skew has to be longer than that, and 15 minutes are.
//! - All times are the database's. No clock of a machine that runs dbctl decides anything.

mod act;
mod decide;
mod read;

use std::fmt;
use std::time::Duration;

use jiff::Timestamp;
use serde::Serialize;

use super::KeyState;
use crate::error::{Exit, Problem};

pub use act::{Done, Order, Stepped, Transition, promote, retire, revoke, rotate, stopped_signing};
pub use decide::{
    Harm, Next, Pace, Promotion, Refusal, Retirement, Revocation, next, promotion, retirement,
    revocation,
};

pub use read::{Look, look, look_at_all};

/// How long others may hold on to what they know of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Waits {
    /// How long verifiers may keep a key set.
    pub verifier_cache: Duration,
    /// The longest lifetime of a token.
    pub token_lifetime: Duration,
    /// How far clocks may differ, and how long a signer may believe an old copy of the keys.
    pub clock_skew: Duration,
}

impl Waits {
    /// From when on a version that was published at `published` may sign.
    pub fn signs_from(&self, published: Timestamp) -> Timestamp {
        later(published, self.verifier_cache)
    }

    /// From when on a version that stopped signing at `stopped` need not verify any more.
    pub fn verifies_until(&self, stopped: Timestamp) -> Timestamp {
        later(later(stopped, self.token_lifetime), self.clock_skew)
    }
}

/// `at` and `by` later; the end of time where that is beyond it.
fn later(at: Timestamp, by: Duration) -> Timestamp {
    jiff::SignedDuration::try_from(by)
        .ok()
        .and_then(|by| at.checked_add(by).ok())
        .unwrap_or(Timestamp::MAX)
}

/// Which version is meant: by its number within the key, or by its kid.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Which {
    Version(i32),
    Kid(String),
}

impl std::str::FromStr for Which {
    type Err = String;

    /// A number from 1 is a version; everything else is a kid.
    fn from_str(text: &str) -> Result<Self, String> {
        match text.parse::<i32>() {
            Ok(version) if version > 0 => Ok(Which::Version(version)),
            Ok(_) => Err("versions count from 1".into()),
            Err(_) if text.is_empty() => Err("a version or a kid is wanted".into()),
            Err(_) => Ok(Which::Kid(text.to_owned())),
        }
    }
}

impl fmt::Display for Which {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Which::Version(version) => write!(f, "version {version}"),
            Which::Kid(kid) => write!(f, "kid {}", kid.escape_debug()),
        }
    }
}

/// One version as far as its life goes. All times are the database's.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
pub struct Life {
    pub version: i32,
    pub kid: String,
    pub state: KeyState,
    /// When it came into this state.
    pub since: Timestamp,
    /// When verifiers could see it for certain; none while that is not known.
    pub published_at: Option<Timestamp>,
    /// When it stopped signing; none while it has not, and for keys that sign elsewhere.
    pub stopped_signing_at: Option<Timestamp>,
    /// Until when it verifies at least, as it was promised when it stopped signing.
    pub valid_until: Option<Timestamp>,
    /// Whether its private half is in the database.
    pub has_private: bool,
}

/// What a version waits for before its next step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(tag = "for", rename_all = "kebab-case")]
pub enum Waiting {
    /// Nothing: it signs, or its life is over.
    Nothing,
    /// Somebody has to record that it is published; `rotate` and `promote` do.
    Publication,
    /// It may sign from then on.
    Promotion { from: Timestamp },
    /// It need not verify from then on.
    Retirement { from: Timestamp },
    /// It signs elsewhere, and nobody has said when that ended.
    Word,
}

impl Life {
    /// What it waits for.
    pub fn waiting(&self, waits: &Waits) -> Waiting {
        match self.state {
            KeyState::Standby => match self.published_at {
                Some(at) => Waiting::Promotion {
                    from: waits.signs_from(at),
                },
                None => Waiting::Publication,
            },
            KeyState::Retiring => match self.stopped_signing_at {
                // Settings that were shortened meanwhile do not take back what was promised.
                Some(at) => Waiting::Retirement {
                    from: waits
                        .verifies_until(at)
                        .max(self.valid_until.unwrap_or(Timestamp::MIN)),
                },
                None => Waiting::Word,
            },
            KeyState::Current | KeyState::Retired | KeyState::Revoked => Waiting::Nothing,
        }
    }
}

/// Proof that somebody typed the name of the key before people are locked out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Named {
    key_id: String,
}

impl Named {
    /// `typed` is what a person typed; it must be the key's name to the letter.
    ///
    /// # Errors
    /// [`Exit::Unconfirmed`] when it is another name.
    pub fn new(key_id: &str, typed: &str) -> Result<Self, Problem> {
        match typed == key_id {
            true => Ok(Self {
                key_id: key_id.to_owned(),
            }),
            false => Err(Problem::new(
                Exit::Unconfirmed,
                "confirming",
                format!("this is about the key {key_id}"),
            )),
        }
    }

    fn is_for(&self, key_id: &str) -> bool {
        self.key_id == key_id
    }
}

/// A time as messages say it: to the second, in UTC.
pub fn at(time: Timestamp) -> String {
    time.strftime("%F %T UTC").to_string()
}

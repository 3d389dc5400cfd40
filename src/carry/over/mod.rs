//! The sequences that take live state across a switch.
//!
//! Targets are asked in parallel, and each call is bounded in time: one that hangs never holds
//! up the others. Everything merges by union and maximum, so each sequence may be repeated.

mod back;
mod forward;
mod parts;
mod sync;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::client::ServiceClient;
use super::contract::{Imported, KitSeal, Snapshot};
use super::driver::Driver;
use super::kit::Standing;
use super::merge::Counts;
use crate::error::Result;
use crate::pg::Database;
use crate::runtime::revocation::Position;
use crate::settings::{Environment, Target};

pub use self::back::{back, settle};
pub use self::forward::forward;
pub use self::sync::{refresh, sync};

/// How long a rollback waits for what is new in Postgres.
const DELTA_BACK: Duration = Duration::from_millis(300);
/// How long it waits for all of Postgres where no kit can be used: there is nothing else.
const ALONE_BACK: Duration = Duration::from_secs(5);
/// How long a target may take to say what it runs in, or to lift its fence.
const ASK_WITHIN: Duration = Duration::from_secs(2);

/// Targets and the way to talk to them.
#[derive(Debug, Clone)]
pub struct Fleet {
    members: Vec<Member>,
}

#[derive(Debug, Clone)]
pub struct Member {
    pub target: Target,
    pub client: ServiceClient,
    /// On whose behalf it is changed; none by hand.
    pub driver: Option<Arc<Driver>>,
}

impl Fleet {
    /// `targets` of `env`, asked with its administrator's token. Nothing is sent yet.
    pub fn new(env: &Environment, targets: &[&Target]) -> Result<Self> {
        let clients = ServiceClient::each(env, targets)?;
        let members = targets
            .iter()
            .zip(clients)
            .map(|(target, client)| Member {
                target: (*target).clone(),
                client,
                driver: None,
            })
            .collect();
        Ok(Self { members })
    }

    /// Every target of `env`.
    pub fn everyone(env: &Environment) -> Result<Self> {
        Self::new(env, &env.select(&[])?)
    }

    /// The same, changed on behalf of a driver: no longer once somebody else drives.
    pub fn driven_by(mut self, driver: Option<&Arc<Driver>>) -> Self {
        for member in &mut self.members {
            member.driver = driver.cloned();
        }
        self
    }

    pub fn members(&self) -> &[Member] {
        &self.members
    }

    pub fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    /// Those of its members that `keep` says yes to, by name.
    pub fn only(&self, keep: impl Fn(&str) -> bool) -> Self {
        let kept = self.members.iter().filter(|m| keep(&m.target.name));
        Self {
            members: kept.cloned().collect(),
        }
    }

    /// Does `ask` on all of them at once; the answers stand in the order of the members.
    pub async fn all<'a, T, F>(&'a self, ask: impl Fn(&'a Member) -> F) -> Vec<(&'a Member, T)>
    where
        F: Future<Output = T>,
    {
        let asked = self.members.iter().map(|m| {
            let answer = ask(m);
            async move { (m, answer.await) }
        });
        futures_util::future::join_all(asked).await
    }
}

/// The database that takes part, and the logical key that imported public keys belong to.
#[derive(Debug, Clone, Copy)]
pub struct Store<'a> {
    pub database: &'a Database,
    pub key_id: &'a str,
}

/// What happens meanwhile.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Progress {
    Read {
        from: String,
        counts: Counts,
    },
    Fenced {
        target: String,
    },
    Imported {
        into: String,
        added: Imported,
    },
    Unfenced {
        target: String,
    },
    /// Somebody did not do its part, and the sequence goes on without.
    Without {
        target: String,
        why: String,
    },
}

impl fmt::Display for Progress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Progress::Read { from, counts } => write!(f, "{from}: {counts}"),
            Progress::Fenced { target } => write!(f, "{target} is fenced"),
            Progress::Imported { into, added } => write!(
                f,
                "{into} took {} revocations, {} nonce tops, {} keys that it did not have",
                added.tokens_added + added.sessions_added,
                added.watermarks_raised,
                added.keys_added
            ),
            Progress::Unfenced { target } => write!(f, "{target} is no longer fenced"),
            Progress::Without { target, why } => write!(f, "going on without {target}: {why}"),
        }
    }
}

/// Told of each [`Progress`].
pub type Tell<'a> = &'a (dyn Fn(Progress) + Send + Sync);

/// What was carried.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Carried {
    /// What there is now on the side that was carried to.
    pub counts: Counts,
    /// What was new there.
    pub added: Imported,
    pub source: Source,
    /// Targets that did not do their part, and why; the sequence went on without them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub without: Vec<Without>,
    /// The kit's seal, where it was made fresh.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kit: Option<KitSeal>,
}

impl Carried {
    /// What nobody can know after a rollback without Postgres, in a sentence; nothing where it
    /// answered.
    pub fn gap(&self) -> Option<String> {
        let Source::Kit {
            age_ms,
            why,
            deny_issued_before,
            standing,
        } = &self.source
        else {
            return None;
        };
        let seconds = Duration::from_millis(*age_ms).as_secs_f64();
        let then = match deny_issued_before {
            Some(limit) => format!(
                "every token that was issued before {limit:.0} is denied, so that none of them comes back to life"
            ),
            None => "what was revoked in that time is accepted again until it expires or Postgres \
                     answers ([carry] gap = \"deny-issued-before\" would deny it)"
                .into(),
        };
        let vouched = match standing {
            Standing::Recorded => String::new(),
            other => format!(" The kit: {other}."),
        };
        Some(format!(
            "Postgres does not answer ({why}): the rollback kit is {seconds:.1} s old, and of that gap \
             nothing is known; {then}.{vouched}"
        ))
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Without {
    pub target: String,
    pub why: String,
}

/// What a rollback puts beside each target.
#[derive(Debug, Clone, PartialEq)]
pub struct Placed {
    pub snapshot: Snapshot,
    /// Up to where it has what was in Postgres: from there [`settle`] goes on.
    pub position: Option<Position>,
}

/// Where it came from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "from", rename_all = "lowercase")]
pub enum Source {
    /// From the running targets.
    Targets,
    /// From Postgres, which answered.
    Postgres,
    /// From the rollback kit, since Postgres did not answer: as it was `age_ms` ago (the gap), with
    /// a margin on the nonce tops.
    Kit {
        age_ms: u64,
        why: String,
        /// The limit that stands in for the revocations of the gap.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        deny_issued_before: Option<jiff::Timestamp>,
        /// Who vouches for the kit.
        #[serde(default = "nobody")]
        standing: Standing,
    },
}

/// A run of an earlier dbctl did not look.
const fn nobody() -> Standing {
    Standing::Unrecorded
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Source::Targets => f.write_str("from the targets"),
            Source::Postgres => f.write_str("from Postgres"),
            Source::Kit { age_ms, .. } => write!(
                f,
                "from the rollback kit, {:.1} s old",
                Duration::from_millis(*age_ms).as_secs_f64()
            ),
        }
    }
}

/// Lets `fleet` accept revocations and nonces again; best effort. Returns whom it did not reach.
pub async fn unfence(fleet: &Fleet, tell: Tell<'_>) -> Vec<(String, String)> {
    let mut unreached = Vec::new();
    for (member, done) in fleet
        .all(|m| async { m.client.within(ASK_WITHIN).fence(false).await })
        .await
    {
        let target = member.target.name.clone();
        match done {
            Ok(_) => tell(Progress::Unfenced { target }),
            Err(e) => {
                let why = e.failure.to_string();
                tell(Progress::Without {
                    target: target.clone(),
                    why: why.clone(),
                });
                unreached.push((target, why));
            }
        }
    }
    unreached
}

fn add(total: &mut Imported, new: Imported) {
    total.tokens_added += new.tokens_added;
    total.sessions_added += new.sessions_added;
    total.keys_added += new.keys_added;
    total.watermarks_raised += new.watermarks_raised;
}

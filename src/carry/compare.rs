//! How far the two sides of a switch know the same. Reads, and changes nothing.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::client::{CallFailed, ServiceClient};
use super::contract::{Snapshot, Watermark};
use super::merge::{Counts, beyond, merge, without_expired};
use super::over::Fleet;
use super::postgres;
use crate::error::{Problem, Result};
use crate::keys::KeyState;
use crate::pg::Database;
use crate::runtime::toggles::{Mode, Modes};

/// Ids that are shown as examples.
const EXAMPLES: usize = 3;

/// What a running instance says that it knows.
#[derive(Debug, Clone)]
pub struct Said {
    pub target: String,
    pub modes: Modes,
    pub snapshot: Snapshot,
}

/// What Postgres knows.
#[derive(Debug, Clone)]
pub struct Stored {
    pub snapshot: Snapshot,
    /// Keys that it does not list any more, since nothing that they signed is valid.
    retired: BTreeSet<String>,
}

/// Asks one instance what it runs in and what it knows.
pub async fn ask(client: &ServiceClient) -> std::result::Result<Said, CallFailed> {
    let health = client.health().await?;
    let snapshot = client.export().await?;
    Ok(Said {
        target: client.name().to_owned(),
        modes: health.modes,
        snapshot,
    })
}

/// Asks all of a fleet.
///
/// # Errors
/// One that does not answer, or not with a snapshot: an unknown part is never an empty one.
pub async fn ask_all(fleet: &Fleet) -> Result<Vec<Said>> {
    let asked = fleet.all(|m| ask(&m.client)).await;
    let said = asked.into_iter().map(|(_, said)| said);
    said.collect::<std::result::Result<_, _>>()
        .map_err(Problem::from)
}

/// Reads Postgres.
pub async fn stored(database: &Database) -> Result<Stored> {
    let snapshot = postgres::export(database).await?;
    let versions = crate::keys::list(database, None).await?;
    let retired = versions
        .into_iter()
        .filter(|v| v.state == KeyState::Retired)
        .map(|v| v.kid)
        .collect();
    Ok(Stored { snapshot, retired })
}

/// What one side knows and the other does not.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Lacks {
    pub revoked_tokens: u64,
    pub revoked_sessions: u64,
    /// Unknown ones, and ones that are not known to be revoked.
    pub keys: u64,
    /// Ids of some of them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub examples: Vec<String>,
}

impl Lacks {
    fn of(news: &Snapshot) -> Self {
        let counts = Counts::of(news);
        let tokens = news.revoked_tokens.iter().map(|t| &t.token_id);
        let sessions = news.revoked_sessions.iter().map(|s| &s.session_id);
        let keys = news.keys.iter().map(|k| &k.kid);
        Self {
            revoked_tokens: counts.revoked_tokens,
            revoked_sessions: counts.revoked_sessions,
            keys: counts.keys,
            examples: tokens
                .chain(sessions)
                .chain(keys)
                .take(EXAMPLES)
                .cloned()
                .collect(),
        }
    }

    pub fn is_nothing(&self) -> bool {
        self.revoked_tokens + self.revoked_sessions + self.keys == 0
    }

    pub fn revocations(&self) -> u64 {
        self.revoked_tokens + self.revoked_sessions
    }
}

/// One instance beside Postgres.
#[derive(Debug, Clone, Serialize)]
pub struct Beside {
    pub target: String,
    pub modes: Modes,
    pub knows: Counts,
    /// What would be missing if this instance were switched to Postgres without carrying over.
    pub postgres_lacks: Lacks,
    /// What would be missing if it were switched back.
    pub it_lacks: Lacks,
}

impl Said {
    /// What of the instance's state lives in itself and can differ from Postgres.
    pub fn beside(&self, stored: &Stored) -> Beside {
        let now = jiff::Timestamp::now();
        // What expires meanwhile is denied without anybody knowing it.
        let news = |of: &Snapshot, to: &Snapshot| {
            let mut news = without_expired(&beyond(of, to), now, std::time::Duration::ZERO);
            if self.modes.revocation == Mode::Postgres {
                news.revoked_tokens.clear();
                news.revoked_sessions.clear();
            }
            if self.modes.key_resolver == Mode::Postgres {
                news.keys.clear();
            }
            news.keys.retain(|k| !stored.retired.contains(&k.kid));
            Lacks::of(&news)
        };
        Beside {
            target: self.target.clone(),
            modes: self.modes,
            knows: Counts::of(&self.snapshot),
            postgres_lacks: news(&self.snapshot, &stored.snapshot),
            it_lacks: news(&stored.snapshot, &self.snapshot),
        }
    }
}

/// One nonce top as both sides have it. A top is absolute: every nonce below may have been used.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Top {
    pub node_name: String,
    pub nonce_scope: String,
    pub window_size: i64,
    /// By the instances' own word; none where no instance that was asked has this node.
    pub instances: Option<i64>,
    pub postgres: Option<i64>,
    /// Postgres stands below what a node on Postgres has reserved: it lost commits.
    pub postgres_lost: bool,
}

impl Top {
    /// What is known to be used.
    pub fn known(&self) -> i64 {
        self.instances.max(self.postgres).unwrap_or(0)
    }

    /// The first nonce after a switch: the top, one window of margin since it may have been read
    /// just before a last reservation, and the window that a node skips when its mode changed.
    pub fn after_a_switch(&self) -> i64 {
        let windows = self.window_size.max(1).saturating_mul(2);
        self.known().saturating_add(windows)
    }
}

/// The tops of all nodes, by name.
pub fn tops(said: &[Said], stored: &Snapshot) -> Vec<Top> {
    let mut all: BTreeMap<(String, String), Top> = BTreeMap::new();
    let mut see = |w: &Watermark, modes: Option<&Modes>| {
        let top = all
            .entry((w.node_name.clone(), w.nonce_scope.clone()))
            .or_insert_with(|| Top {
                node_name: w.node_name.clone(),
                nonce_scope: w.nonce_scope.clone(),
                window_size: w.window_size,
                instances: None,
                postgres: None,
                postgres_lost: false,
            });
        top.window_size = top.window_size.max(w.window_size);
        match modes {
            None => top.postgres = Some(w.reserved_high),
            Some(modes) => {
                top.instances = top.instances.max(Some(w.reserved_high));
                top.postgres_lost |=
                    modes.nonce_store == Mode::Postgres && top.postgres < Some(w.reserved_high);
            }
        }
    };
    stored.watermarks.iter().for_each(|w| see(w, None));
    for one in said {
        one.snapshot
            .watermarks
            .iter()
            .for_each(|w| see(w, Some(&one.modes)));
    }
    all.into_values().collect()
}

/// All that instances know, merged.
pub fn together(said: &[Said]) -> Snapshot {
    merge(said.iter().map(|s| &s.snapshot))
}

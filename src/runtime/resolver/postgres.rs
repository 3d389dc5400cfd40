//! Keys in Postgres: a copy of the key's versions in memory, refreshed every few seconds.
//!
//! # Bounds
//!
//! - A copy is believed for `max_age` ([`MAX_AGE`] unless the service says otherwise), counted from
//!   when its load began. Within it a new current version begins to sign, a new version is trusted,
//!   a retired or revoked one is refused. A copy that could not be refreshed for longer says nothing
//!   any more: the caller denies. While Postgres answers, [`REFRESH`] is the bound in practice.
//! - `keys.clock_skew` of dbctl must be longer than `max_age`: so long may a signer that is cut off
//!   go on with a version that has stopped signing.
//! - A kid that the copy does not have asks Postgres once, together with everybody who waits for
//!   the same answer, and at most every [`MISS_COOLDOWN`] however many kids are invented. What
//!   Postgres does not know either is remembered for [`UNKNOWN_FOR`], for [`UNKNOWN`] kids at most.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, PoisonError, RwLock, Weak};
use std::time::Duration;

use tokio::time::Instant;

use super::{Fault, KeyError};
use crate::contract::PublicKey;
use crate::error::{Problem, Result};
use crate::keys::{self, Kek, KeyState, SigningKey, StoredVersion, VerifyingKey};
use crate::pg::Database;
use crate::runtime::{STORE_TIMEOUT, Unavailable, suffer};

const STORE: &str = "signing keys in Postgres";

/// How often the copy is refreshed; more often where it may not become so old.
pub const REFRESH: Duration = Duration::from_secs(2);

/// How old the copy may usually become before look-ups fail.
pub const MAX_AGE: Duration = Duration::from_secs(30);

/// After Postgres was asked for an unknown kid, how long others that are unknown do not ask.
pub const MISS_COOLDOWN: Duration = Duration::from_millis(100);

/// How long a kid that Postgres did not know is refused without asking again.
pub const UNKNOWN_FOR: Duration = Duration::from_secs(1);

/// How many unknown kids are remembered.
pub const UNKNOWN: u64 = 10_000;

/// A kid that is longer is none of ours: thumbprints have 43 characters (RFC 7638).
const MAX_KID_BYTES: usize = 256;

/// After a refresh failed, how long the next one waits.
const FAILURE_COOLDOWN: Duration = Duration::from_millis(250);

/// What to load and how to believe it.
#[derive(Debug)]
pub struct Loading<'a> {
    /// The logical key.
    pub key_id: &'a str,
    /// What opens its private halves.
    pub kek: Option<Kek>,
    /// How old the copy may become, such as [`MAX_AGE`].
    pub max_age: Duration,
    pub fault: Option<Fault>,
}

#[derive(Debug)]
pub struct PostgresKeys {
    source: Arc<Source>,
}

struct Source {
    db: Database,
    key_id: String,
    kek: Option<Kek>,
    max_age: Duration,
    fault: Option<Fault>,
    copy: RwLock<Arc<Copy>>,
    unknown: moka::future::Cache<String, ()>,
    /// One refresh at a time; inside is when the last one failed, if it did, and why.
    refreshing: tokio::sync::Mutex<Option<(Instant, Unavailable)>>,
}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} in {}", self.key_id, self.db)
    }
}

/// What opening a private half gave.
type Opened = Result<Arc<SigningKey>, Unavailable>;

struct Copy {
    /// The kid of the version that signs.
    current: Option<String>,
    /// The private halves of what signs now or may next, by kid.
    private: HashMap<String, Opened>,
    trusted: HashMap<String, Arc<VerifyingKey>>,
    revoked: Vec<PublicKey>,
    /// When the load that gave this copy began.
    loaded_at: Instant,
}

impl PostgresKeys {
    /// Loads the key; it must have a current version that can be opened. Refreshes until dropped.
    pub async fn open(db: Database, how: Loading<'_>) -> Result<Self> {
        let Loading {
            key_id,
            kek,
            max_age,
            fault,
        } = how;
        let loaded_at = Instant::now();
        let versions = keys::load(&db, key_id).await?;
        let current = versions.iter().find(|v| v.version.is_current);
        let current = current.ok_or_else(|| {
            Problem::new(
                crate::error::Exit::Config,
                format!("loading the key {key_id} from {db}"),
                "it has no current version",
            )
            .next("seed it: dbctl keys seed")
        })?;
        current.open(kek.as_ref())?;
        let copy = Copy::of(&versions, kek.as_ref(), None, loaded_at);
        let source = Arc::new(Source {
            db,
            key_id: key_id.to_owned(),
            kek,
            max_age,
            fault,
            copy: RwLock::new(Arc::new(copy)),
            unknown: moka::future::Cache::builder()
                .max_capacity(UNKNOWN)
                .time_to_live(UNKNOWN_FOR)
                .build(),
            refreshing: tokio::sync::Mutex::new(None),
        });
        tokio::spawn(refresh(Arc::downgrade(&source)));
        Ok(Self { source })
    }

    pub(super) async fn signing(&self) -> Result<Arc<SigningKey>, KeyError> {
        let copy = self.source.believable().await?;
        let current = copy.current.as_ref().and_then(|kid| copy.private.get(kid));
        match current {
            Some(opened) => opened.clone().map_err(KeyError::from),
            None => Err(Unavailable::new(STORE, "no version is current").into()),
        }
    }

    pub(super) async fn verifying(&self, kid: &str) -> Result<Arc<VerifyingKey>, KeyError> {
        suffer(STORE, self.source.fault.as_ref()).await?;
        let copy = self.source.believable().await?;
        if let Some(key) = copy.trusted.get(kid) {
            return Ok(Arc::clone(key));
        }
        if copy.revoked.iter().any(|k| k.kid == kid) {
            return Err(KeyError::Unknown);
        }
        let unknown = &self.source.unknown;
        if kid.len() > MAX_KID_BYTES || unknown.contains_key(kid) {
            return Err(KeyError::Unknown);
        }
        // It may be so new that the copy does not have it yet.
        let copy = self
            .source
            .newer_than(copy.loaded_at, MISS_COOLDOWN)
            .await?;
        if let Some(key) = copy.trusted.get(kid) {
            return Ok(Arc::clone(key));
        }
        unknown.insert(kid.to_owned(), ()).await;
        Err(KeyError::Unknown)
    }

    pub(super) async fn export(&self) -> Result<Vec<PublicKey>, Unavailable> {
        let copy = self
            .source
            .newer_than(Instant::now(), Duration::ZERO)
            .await?;
        let trusted = copy.trusted.values().map(|k| k.to_contract(false));
        Ok(trusted.chain(copy.revoked.iter().cloned()).collect())
    }

    pub(super) async fn import(&self, given: &[PublicKey]) -> Result<u64, Unavailable> {
        let source = &self.source;
        let copy = source.believable().await?;
        // What is known needs no right to write.
        let news: Vec<PublicKey> = given
            .iter()
            .filter(|k| {
                let revoked = copy.revoked.iter().any(|r| r.kid == k.kid);
                !revoked && (k.revoked || !copy.trusted.contains_key(&k.kid))
            })
            .cloned()
            .collect();
        let added = keys::import_public(&source.db, &source.key_id, &news)
            .await
            .map_err(|p| Unavailable::new(STORE, p))?;
        source.newer_than(Instant::now(), Duration::ZERO).await?;
        Ok(added)
    }
}

impl Source {
    fn copy(&self) -> Arc<Copy> {
        Arc::clone(&self.copy.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// The copy if it is young enough, else a new one.
    async fn believable(&self) -> Result<Arc<Copy>, Unavailable> {
        let copy = self.copy();
        if copy.loaded_at.elapsed() <= self.max_age {
            return Ok(copy);
        }
        self.newer_than(copy.loaded_at, Duration::ZERO).await
    }

    /// A copy whose load began after `seen`; the present one if it is younger than `cooldown`.
    /// Callers that wait for the same refresh share it.
    async fn newer_than(
        &self,
        seen: Instant,
        cooldown: Duration,
    ) -> Result<Arc<Copy>, Unavailable> {
        let mut failed = self.refreshing.lock().await;
        let copy = self.copy();
        if copy.loaded_at > seen || copy.loaded_at.elapsed() < cooldown {
            return Ok(copy);
        }
        // A store that is down is not asked again for each of those who wait in line.
        if let Some((at, error)) = &*failed
            && at.elapsed() < FAILURE_COOLDOWN
        {
            return Err(error.clone());
        }
        let load = Copy::load(&self.db, &self.key_id, self.kek.as_ref(), Some(&copy));
        let loaded = match tokio::time::timeout(STORE_TIMEOUT, load).await {
            Ok(done) => done.map_err(|p| Unavailable::new(STORE, p)),
            Err(_) => {
                let limit = STORE_TIMEOUT.as_millis();
                Err(Unavailable::new(STORE, format!("no answer in {limit} ms")))
            }
        };
        match loaded {
            Ok(loaded) => {
                let loaded = Arc::new(loaded);
                *self.copy.write().unwrap_or_else(PoisonError::into_inner) = Arc::clone(&loaded);
                *failed = None;
                Ok(loaded)
            }
            Err(error) => {
                *failed = Some((Instant::now(), error.clone()));
                Err(error)
            }
        }
    }
}

/// Keeps the copy fresh for as long as the resolver lives.
async fn refresh(source: Weak<Source>) {
    let Some(max_age) = source.upgrade().map(|source| source.max_age) else {
        return;
    };
    let pause = REFRESH.min(max_age / 3);
    loop {
        tokio::time::sleep(pause).await;
        let Some(source) = source.upgrade() else {
            return;
        };
        if let Err(e) = source.newer_than(Instant::now(), pause / 2).await {
            tracing::warn!(event = "key_refresh_failed", error = %e);
        }
    }
}

impl Copy {
    /// `before` saves opening a private key again that did not change.
    async fn load(
        db: &Database,
        key_id: &str,
        kek: Option<&Kek>,
        before: Option<&Copy>,
    ) -> Result<Self> {
        let loaded_at = Instant::now();
        let versions = keys::load(db, key_id).await?;
        Ok(Self::of(&versions, kek, before, loaded_at))
    }

    /// A private half that does not open is no reason to refuse what others have signed.
    fn of(
        versions: &[StoredVersion],
        kek: Option<&Kek>,
        before: Option<&Copy>,
        loaded_at: Instant,
    ) -> Self {
        let mut copy = Copy {
            current: None,
            private: HashMap::new(),
            trusted: HashMap::new(),
            revoked: Vec::new(),
            loaded_at,
        };
        for stored in versions {
            let version = &stored.version;
            match version.state {
                KeyState::Standby | KeyState::Current | KeyState::Retiring => {
                    let key = Arc::new(version.public.clone());
                    copy.trusted.insert(version.kid.clone(), key);
                }
                KeyState::Revoked => copy.revoked.push(version.public.to_contract(true)),
                KeyState::Retired => {}
            }
            if version.is_current {
                copy.current = Some(version.kid.clone());
            }
            // A standby too: whoever could not sign with it says so before it is promoted.
            if stored.sealed.is_some() {
                let opened = opened(stored, kek, before);
                copy.private.insert(version.kid.clone(), opened);
            }
        }
        copy
    }
}

fn opened(stored: &StoredVersion, kek: Option<&Kek>, before: Option<&Copy>) -> Opened {
    let kid = &stored.version.kid;
    let before = before.and_then(|copy| copy.private.get(kid));
    if let Some(Ok(key)) = before {
        return Ok(Arc::clone(key));
    }
    let opened = stored.open(kek).map(Arc::new);
    opened.map_err(|problem| {
        if before.is_none() {
            tracing::error!(event = "key_cannot_be_opened", kid, error = %problem);
        }
        Unavailable::new(STORE, problem)
    })
}

//! Revocations in Postgres, kept in memory and followed.
//!
//! What is kept is the whole: the id of every revocation that has not expired ([`Known`]). So a
//! check needs nobody, also for a token that was never seen before, and "revoked" is an answer for
//! good. "Not revoked" is one only as long as the last look at Postgres is younger than the bound:
//! a revocation that was committed before a look began is known after it, hence on every instance
//! within the bound. Beyond it, and until everything was loaded, Postgres is asked; where it cannot
//! answer, the token is denied, or, if an operator has said so, judged by what is known.
//!
//! How none is missed between two looks: see [`super::position`].

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime};

use futures_util::TryStreamExt as _;
use jiff::Timestamp;
use jiff_sqlx::Timestamp as SqlTime;
use sqlx::{AssertSqlSafe, PgConnection, Row as _};
use tokio_util::sync::{CancellationToken, DropGuard};

use super::known::{Kind, Known};
use super::position::{NEWS, Position, Seen, begin_to_read_part, seen};
use super::{SESSIONS, STORE, Status, TOKENS, Table};
use crate::pg::{self, Database};
use crate::runtime::{CLOCK_SKEW, Unavailable, bounded};

/// Rows in one statement while everything is loaded.
const PAGE: i64 = 20_000;

/// How long a look may take that brings much news, such as a carry-over.
const PATIENCE: Duration = Duration::from_secs(60);

/// How the cache is to be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Caching {
    /// The longest that a revocation may stay unknown to an instance that did not take it itself.
    pub bound: Duration,
    pub unavailable: WhenUnavailable,
}

/// What happens when Postgres has not answered within the bound.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WhenUnavailable {
    Deny,
    /// Go on with what is known, for so long after the last answer.
    Stale(Duration),
}

/// How the cache stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CacheState {
    pub entries: usize,
    /// How old what it knows is; none until everything was loaded.
    pub age: Option<Duration>,
    /// How many answers were older than the bound ([`WhenUnavailable::Stale`]).
    pub stale_answers: u64,
}

/// Ends its task when it is dropped.
#[derive(Debug)]
pub(super) struct Cache {
    inner: Arc<Inner>,
    _stop: DropGuard,
}

#[derive(Debug)]
struct Inner {
    how: Caching,
    known: Known,
    clock: Clock,
    /// When the last good look began, by `clock`; 0: there was none.
    looked: AtomicU64,
    /// The same by the wall clock, in milliseconds since 1970.
    looked_wall: AtomicU64,
    /// The last look failed.
    failing: AtomicBool,
    stale_answers: AtomicU64,
}

/// Milliseconds since it was made, beginning with 1.
#[derive(Debug)]
struct Clock(Instant);

impl Clock {
    fn now(&self) -> u64 {
        u64::try_from(self.0.elapsed().as_millis()).map_or(u64::MAX, |ms| ms.saturating_add(1))
    }
}

fn wall() -> u64 {
    SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .ok()
        .and_then(|d| u64::try_from(d.as_millis()).ok())
        .unwrap_or(u64::MAX)
}

impl Cache {
    /// Begins to load and to follow. To be called inside a runtime.
    pub fn follow(db: &Database, how: Caching) -> Self {
        let inner = Arc::new(Inner {
            how,
            known: Known::new(),
            clock: Clock(Instant::now()),
            looked: AtomicU64::new(0),
            looked_wall: AtomicU64::new(0),
            failing: AtomicBool::new(false),
            stale_answers: AtomicU64::new(0),
        });
        let stop = CancellationToken::new();
        let following = Arc::clone(&inner).follow(db.clone());
        let stopped = stop.clone();
        tokio::spawn(async move { stopped.run_until_cancelled(following).await });
        Self {
            inner,
            _stop: stop.drop_guard(),
        }
    }

    /// What can be said without asking anybody; none: Postgres has to be asked.
    pub fn check(&self, token_id: &str, session_id: &str) -> Option<Status> {
        let inner = &self.inner;
        match inner.known(token_id, session_id) {
            Status::NotRevoked if inner.younger_than(inner.how.bound) => Some(Status::NotRevoked),
            Status::NotRevoked if inner.failing.load(Ordering::Relaxed) => {
                self.stale(token_id, session_id)
            }
            Status::NotRevoked => None,
            revoked @ (Status::TokenRevoked | Status::SessionRevoked) => Some(revoked),
        }
    }

    /// What is to be said when Postgres could not be asked; none: nothing can.
    pub fn stale(&self, token_id: &str, session_id: &str) -> Option<Status> {
        let inner = &self.inner;
        match inner.how.unavailable {
            WhenUnavailable::Stale(limit) if inner.younger_than(limit) => {
                inner.stale_answers.fetch_add(1, Ordering::Relaxed);
                Some(inner.known(token_id, session_id))
            }
            WhenUnavailable::Stale(_) | WhenUnavailable::Deny => None,
        }
    }

    /// What this instance revoked itself is known at once.
    pub fn learn(&self, kind: Kind, id: &str, expires_at: Timestamp) {
        self.inner.known.insert(kind, id, expires_at);
    }

    pub fn state(&self) -> CacheState {
        let inner = &self.inner;
        let looked = inner.looked.load(Ordering::Acquire);
        let age = (looked > 0).then(|| inner.clock.now().saturating_sub(looked));
        CacheState {
            entries: inner.known.len(),
            age: age.map(Duration::from_millis),
            stale_answers: inner.stale_answers.load(Ordering::Relaxed),
        }
    }
}

impl Inner {
    fn known(&self, token_id: &str, session_id: &str) -> Status {
        if self.known.contains(Kind::Token, token_id) {
            Status::TokenRevoked
        } else if self.known.contains(Kind::Session, session_id) {
            Status::SessionRevoked
        } else {
            Status::NotRevoked
        }
    }

    /// By both clocks: the monotonic one stands still while a machine is suspended, the other one
    /// may be set.
    fn younger_than(&self, limit: Duration) -> bool {
        let looked = self.looked.load(Ordering::Acquire);
        let looked_wall = self.looked_wall.load(Ordering::Relaxed);
        let limit = u64::try_from(limit.as_millis()).unwrap_or(u64::MAX);
        looked > 0
            && self.clock.now().saturating_sub(looked) <= limit
            && wall().saturating_sub(looked_wall) <= limit
    }

    async fn follow(self: Arc<Self>, db: Database) {
        let every = (self.how.bound / 4).clamp(Duration::from_millis(10), Duration::from_secs(5));
        let mut position = None;
        let mut turn = 0;
        loop {
            let (begun, begun_wall) = (self.clock.now(), wall());
            match self.look(&db, position.as_ref()).await {
                Ok(seen) => {
                    if position.is_some() {
                        self.looked_wall.store(begun_wall, Ordering::Relaxed);
                        self.looked.store(begun, Ordering::Release);
                    } else {
                        let entries = self.known.len();
                        tracing::info!(event = "revocation_cache_loaded", entries);
                    }
                    if self.failing.swap(false, Ordering::Relaxed) {
                        tracing::info!(event = "revocation_cache_follows_again");
                    }
                    self.known.sweep(turn, seen.now - CLOCK_SKEW);
                    turn += 1;
                    // What was loaded is as old as the beginning of the load: look once more.
                    let loaded = position.replace(seen.position).is_none();
                    if loaded {
                        continue;
                    }
                }
                Err(Lost::Position) => {
                    tracing::warn!(
                        event = "revocation_cache_reloads",
                        why = "another server, or recovered"
                    );
                    position = None;
                }
                Err(Lost::Postgres(e)) => {
                    if !self.failing.swap(true, Ordering::Relaxed) {
                        tracing::warn!(event = "revocation_cache_stale", error = %e);
                    }
                }
            }
            tokio::time::sleep(every).await;
        }
    }

    /// Takes in what is new since `position`, or everything.
    async fn look(&self, db: &Database, position: Option<&Position>) -> Result<Seen, Lost> {
        match position {
            Some(position) => self.news(db, position).await,
            None => Ok(self.load(db).await?),
        }
    }

    /// Page by page, each a transaction of its own: a long one would keep the server from tidying
    /// up. What is added meanwhile is news to the snapshot that was taken first.
    async fn load(&self, db: &Database) -> Result<Seen, Unavailable> {
        let first = async {
            let mut tx = begin_to_read_part(db).await?;
            let seen = primary(&mut tx).await?;
            tx.commit().await?;
            Ok(seen)
        };
        let seen = bounded(STORE, first).await??;
        for (kind, table) in [(Kind::Token, TOKENS), (Kind::Session, SESSIONS)] {
            let mut after = String::new();
            loop {
                let page = patient(page(db, table, &after)).await?;
                for (id, expires_at) in &page {
                    self.known.insert(kind, id, *expires_at);
                }
                match page.into_iter().next_back() {
                    Some((last, _)) => after = last,
                    None => break,
                }
            }
        }
        Ok(seen)
    }

    async fn news(&self, db: &Database, position: &Position) -> Result<Seen, Lost> {
        let first = async {
            let mut tx = begin_to_read_part(db).await?;
            let seen = primary(&mut tx).await?;
            Ok((tx, seen))
        };
        let (mut tx, seen) = bounded(STORE, first).await?;
        let seen = seen?;
        if !seen.position.follows(position) {
            return Err(Lost::Position);
        }
        let take_in = async {
            for (kind, table) in [(Kind::Token, TOKENS), (Kind::Session, SESSIONS)] {
                let mut rows = pg::query(AssertSqlSafe(changed(table)))
                    .bind(position.snapshot())
                    .fetch(&mut *tx);
                while let Some(row) = rows.try_next().await? {
                    let expires_at: SqlTime = row.try_get(1)?;
                    self.known.insert(kind, row.try_get(0)?, expires_at.into());
                }
            }
            tx.commit().await
        };
        patient(take_in).await?;
        Ok(seen)
    }
}

/// Why a look brought nothing.
enum Lost {
    /// It is not known any more where to go on.
    Position,
    Postgres(Unavailable),
}

impl From<Unavailable> for Lost {
    fn from(e: Unavailable) -> Self {
        Lost::Postgres(e)
    }
}

/// What every look begins with.
async fn primary(tx: &mut PgConnection) -> sqlx::Result<Result<Seen, Unavailable>> {
    let seen = seen(tx).await?;
    Ok(match seen.is_standby {
        true => Err(Unavailable::new(STORE, "the server is a standby")),
        false => Ok(seen),
    })
}

/// What is news since an earlier look.
fn changed(Table { name, id }: Table) -> String {
    format!("SELECT {id}, expires_at FROM {name} WHERE {NEWS}")
}

async fn page(
    db: &Database,
    Table { name, id }: Table,
    after: &str,
) -> sqlx::Result<Vec<(String, Timestamp)>> {
    let sql = format!(
        "SELECT {id}, expires_at FROM {name} \
          WHERE {id} > $1 AND expires_at >= now() - $2 * interval '1 second' \
          ORDER BY {id} LIMIT $3"
    );
    let mut tx = begin_to_read_part(db).await?;
    let rows: Vec<(String, SqlTime)> = pg::query_as(AssertSqlSafe(sql))
        .bind(after)
        .bind(CLOCK_SKEW.as_secs_f64())
        .bind(PAGE)
        .fetch_all(&mut *tx)
        .await?;
    tx.commit().await?;
    Ok(rows.into_iter().map(|(id, at)| (id, at.into())).collect())
}

async fn patient<T>(work: impl Future<Output = sqlx::Result<T>>) -> Result<T, Unavailable> {
    match tokio::time::timeout(PATIENCE, work).await {
        Ok(done) => done.map_err(|e| Unavailable::new(STORE, crate::error::Chain(&e))),
        Err(_) => Err(Unavailable::new(
            STORE,
            format_args!("no answer in {} s", PATIENCE.as_secs()),
        )),
    }
}

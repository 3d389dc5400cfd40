//! Nonces that are never used twice (P1); wasting some is fine.
//!
//! Nonces are handed out of a window that was reserved first. A reservation is the absolute top
//! `reserved_high`: every nonce below it may have been used, by this process or an earlier one.
//!
//! 1. Reserve, make it durable, use it afterwards. In Postgres that is one committed transaction
//!    with `synchronous_commit = on`, and then the guard file too.
//! 2. A reservation that was not cleanly acknowledged is burnt: nothing of it is ever used, and
//!    the next one starts above whatever is known.
//! 3. The guard file `nonces.json` in the state directory knows the top in both modes. A
//!    Postgres that lost its last commits (failover, restored backup) is raised from it: the
//!    next reservation starts at the greater of the two.
//! 4. When the mode changed since the last run, or the database's identity or timeline did, a
//!    whole window is skipped beside that.
//! 5. A missing guard file in a directory that was used before, or a damaged one, refuses the
//!    start: guessing "0" would repeat nonces. So does, in file mode, one that is a copy: of a
//!    restored backup nobody could say what was handed out since.
//! 6. A top that jumps further than a node can have come refuses the start or the reservation:
//!    taking it over would be safe, but somebody's mistake would use the numbers up.
//!
//! Two processes with one state directory exclude each other by a lock. Two hosts with one node
//! name in file mode cannot be seen from here; in Postgres the row keeps their ranges apart.
//! `docs/nonces.md` says what to build from such numbers, and what they do not defend against.

mod guard;
mod lot;
mod postgres;

use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::sync::{Arc, PoisonError, RwLock};

use jiff::Timestamp;
use tokio::sync::Mutex;

use super::toggles::Mode;
use super::{Fault, Unavailable, suffer};
use crate::contract::{NonceRange, Watermark};
use crate::error::{Exit, Problem, Result};
use crate::pg::Database;

use guard::Guard;
use lot::{Lot, Window};
use postgres::PostgresRows;
pub(crate) use postgres::prepare;

const STORE: &str = "the nonce store";

/// Reservations stop here, far below the end of the number range: no sum of ours can overflow.
pub const LIMIT: i64 = 1 << 62;

/// The most nonces that one request is given.
pub const MAX_COUNT: u32 = 10_000;

/// The most scopes that one node keeps apart; their names come from callers.
pub const MAX_SCOPES: usize = 1_000;

/// The largest window.
pub const MAX_WINDOW: i64 = 1 << 32;

/// How far a top may be above what this node remembers, where nothing else is said: what it uses
/// in twelve days at a million a second.
pub const MAX_JUMP: i64 = 1 << 40;

/// Why no nonces were handed out.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NonceError {
    #[error("between 1 and {MAX_COUNT} nonces can be asked for")]
    BadCount,
    /// The numbers of this scope are used up; a new node name or scope is needed.
    #[error("the nonces of this scope are used up")]
    Exhausted,
    #[error("this node has {MAX_SCOPES} scopes already")]
    TooManyScopes,
    #[error(transparent)]
    Jump(#[from] Jump),
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
}

/// Somebody says that far more nonces of this node are used than it remembers.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "the nonces of scope `{scope}` are said to be used up to {said}, this node knows of {known}: more than {most} apart"
)]
pub struct Jump {
    pub scope: String,
    pub said: i64,
    pub known: i64,
    pub most: i64,
}

/// The nonces of one node.
#[derive(Debug)]
pub struct Nonces {
    node: String,
    window: i64,
    max_jump: i64,
    fault: Option<Fault>,
    lots: RwLock<HashMap<String, Arc<Lot>>>,
    /// One reservation at a time.
    store: Mutex<Store>,
}

#[derive(Debug)]
struct Store {
    guard: Guard,
    rows: Option<PostgresRows>,
}

/// The nonces of one scope: for whoever takes them by the million.
#[derive(Debug, Clone)]
pub struct Scope<'a> {
    nonces: &'a Nonces,
    name: String,
    lot: Arc<Lot>,
}

/// How to open the nonces of a node.
#[derive(Debug, Clone, Copy)]
pub struct Opening<'a> {
    pub state_dir: &'a Path,
    pub node: &'a str,
    /// How many nonces a reservation takes. It may differ from run to run.
    pub window: i64,
    /// What was carried over to this directory; entries of other nodes are passed over.
    pub carried: &'a [Watermark],
    /// See [`MAX_JUMP`].
    pub max_jump: i64,
    /// The copy of a guard file, named by when it was made, that is known to be the newest there
    /// is: for a node that moves to another disk.
    pub accept_copy: Option<Timestamp>,
}

impl<'a> Opening<'a> {
    /// With a window of 1,000, and nothing that was carried over.
    pub const fn new(state_dir: &'a Path, node: &'a str) -> Self {
        Self {
            state_dir,
            node,
            window: 1_000,
            carried: &[],
            max_jump: MAX_JUMP,
            accept_copy: None,
        }
    }
}

impl Nonces {
    /// Opens the file store, or the Postgres store when there is a database.
    pub async fn open(
        how: Opening<'_>,
        db: Option<&Database>,
        fault: Option<Fault>,
    ) -> Result<Self> {
        if !(1..=MAX_WINDOW).contains(&how.window) {
            return Err(Problem::new(
                Exit::Config,
                "opening the nonce store",
                format!(
                    "a window of {} is not between 1 and {MAX_WINDOW}",
                    how.window
                ),
            ));
        }
        let guard = Guard::open(how.state_dir, how.node)?;
        let copied = guard.copied();
        let rows = db.map(|db| PostgresRows::new(db, how.node));
        let mode = if rows.is_some() {
            Mode::Postgres
        } else {
            Mode::File
        };
        if let Some(made) = copied
            && mode == Mode::File
            && how.accept_copy != Some(made)
        {
            return Err(guard.refuse_copy(made));
        }
        let mut tops = guard.tops();
        // A node that remembers nothing takes anybody's word.
        let most = guard.mode().map(|_| how.max_jump);
        for carried in how.carried.iter().filter(|w| w.node_name == how.node) {
            raise(&mut tops, &carried.nonce_scope, carried.reserved_high, most)?;
        }
        let mut cluster = guard.cluster();
        let mut skip = copied.is_some() || guard.mode().is_some_and(|last| last != mode);
        if let Some(rows) = &rows {
            let seen = rows.look().await.map_err(|e| {
                Problem::new(Exit::Unavailable, "loading nonce watermarks", e.cause)
                    .next("is Postgres up, and are the migrations applied?")
            })?;
            for (scope, high) in &seen.tops {
                raise(&mut tops, scope, *high, most)?;
            }
            seen.tell_what_is_behind(&guard.tops());
            // Where the identity cannot be read, every start counts as a change.
            skip |= seen.cluster.is_none() || (cluster.is_some() && cluster != seen.cluster);
            skip |= guard.mode().is_none() && !seen.tops.is_empty();
            cluster = seen.cluster;
        }
        if skip {
            tracing::warn!(
                event = "nonce_window_skipped", node = how.node,
                copied = copied.is_some(), mode = %mode, cluster,
            );
            for high in tops.values_mut() {
                *high = above(*high, how.window)?;
            }
        }
        guard.begin(mode, cluster, tops, how.window)?;
        Ok(Self {
            node: how.node.to_owned(),
            window: how.window,
            max_jump: how.max_jump,
            fault,
            lots: RwLock::default(),
            store: Mutex::new(Store { guard, rows }),
        })
    }

    /// Hands out `count` nonces of `scope` that nobody else is ever given.
    ///
    /// Run it to its end: dropping it half-way is safe, but burns a window.
    pub async fn reserve(&self, scope: &str, count: u32) -> Result<NonceRange, NonceError> {
        let first = self.scope(scope)?.take(count).await?;
        Ok(NonceRange {
            node_name: self.node.clone(),
            nonce_scope: scope.to_owned(),
            first,
            last: first + i64::from(count) - 1,
        })
    }

    /// The nonces of `scope`, for whoever takes many.
    ///
    /// # Errors
    /// [`NonceError::TooManyScopes`]: their names come from callers, and none is forgotten.
    pub fn scope(&self, scope: &str) -> Result<Scope<'_>, NonceError> {
        let known = self
            .lots
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .get(scope)
            .cloned();
        let lot = match known {
            Some(lot) => lot,
            None => {
                let mut lots = self.lots.write().unwrap_or_else(PoisonError::into_inner);
                if lots.len() >= MAX_SCOPES && !lots.contains_key(scope) {
                    return Err(NonceError::TooManyScopes);
                }
                lots.entry(scope.to_owned()).or_default().clone()
            }
        };
        Ok(Scope {
            nonces: self,
            name: scope.to_owned(),
            lot,
        })
    }

    /// How far a scope is reserved; none before its first reservation.
    pub async fn watermark(&self, scope: &str) -> Option<Watermark> {
        let store = self.store.lock().await;
        let high = store.guard.top(scope)?;
        Some(self.as_watermark(scope, high))
    }

    /// The watermarks of this node; of all nodes in the Postgres store.
    pub async fn export(&self) -> Result<Vec<Watermark>, Unavailable> {
        let store = self.store.lock().await;
        let own = store.guard.tops();
        let mut all: Vec<Watermark> = own
            .iter()
            .map(|(scope, high)| self.as_watermark(scope, *high))
            .collect();
        if let Some(rows) = &store.rows {
            for row in rows.all().await? {
                match all
                    .iter_mut()
                    .find(|w| w.node_name == row.node_name && w.nonce_scope == row.nonce_scope)
                {
                    Some(known) => known.reserved_high = known.reserved_high.max(row.reserved_high),
                    None => all.push(row),
                }
            }
        }
        Ok(all)
    }

    /// Raises watermarks to what was carried over: this node's in the guard file, and in the
    /// Postgres store the rows of all nodes. Durable when it returns. What is left of a raised
    /// scope's window is burnt. Returns how many were raised.
    pub async fn import(&self, given: &[Watermark]) -> Result<u64, NonceError> {
        let store = self.store.lock().await;
        let mut raised = 0;
        let mut tops = store.guard.tops();
        for w in given {
            if !(0..=LIMIT).contains(&w.reserved_high) {
                return Err(NonceError::Exhausted);
            }
            if w.node_name == self.node {
                let known = tops.get(&w.nonce_scope).copied().unwrap_or(0);
                within(&w.nonce_scope, w.reserved_high, known, self.max_jump)?;
            }
        }
        for w in given {
            let window = w.window_size.clamp(1, MAX_WINDOW);
            let own = w.node_name == self.node;
            let behind = tops
                .get(&w.nonce_scope)
                .is_none_or(|top| *top < w.reserved_high);
            let mut counted = false;
            if own && behind {
                tops.insert(w.nonce_scope.clone(), w.reserved_high);
                self.burn(&w.nonce_scope);
                counted = true;
            }
            if let Some(rows) = &store.rows {
                counted |= rows.raise(w, window).await?;
            }
            raised += u64::from(counted);
        }
        store.guard.raise(tops, self.window).await?;
        Ok(raised)
    }

    fn burn(&self, scope: &str) {
        let lots = self.lots.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(lot) = lots.get(scope) {
            lot.burn();
        }
    }

    fn as_watermark(&self, scope: &str, high: i64) -> Watermark {
        Watermark {
            node_name: self.node.clone(),
            nonce_scope: scope.to_owned(),
            reserved_high: high,
            window_size: self.window,
        }
    }
}

impl Scope<'_> {
    /// The first of `count` nonces in a row that nobody else is ever given.
    ///
    /// Run it to its end: dropping it half-way is safe, but burns a window.
    pub async fn take(&self, count: u32) -> Result<i64, NonceError> {
        if !(1..=MAX_COUNT).contains(&count) {
            return Err(NonceError::BadCount);
        }
        suffer(STORE, self.nonces.fault.as_ref()).await?;
        match self.lot.take(count.into()) {
            Some(first) => Ok(first),
            None => self.refill(count.into()).await,
        }
    }

    #[cold]
    async fn refill(&self, count: i64) -> Result<i64, NonceError> {
        let store = self.nonces.store.lock().await;
        // Whoever had the lock before may have filled it.
        if let Some(first) = self.lot.take(count) {
            return Ok(first);
        }
        // Burnt until the new one is in hand, whatever happens in between.
        let left = self.lot.burn();
        let size = self.nonces.window.max(count);
        let mut new = store
            .reserve(&self.name, size, self.nonces.max_jump)
            .await?;
        if new.next == left.end {
            new.next = left.next;
        }
        Ok(self.lot.fill(new, count))
    }
}

impl Store {
    /// Reserves a new window durably.
    async fn reserve(&self, scope: &str, size: i64, max_jump: i64) -> Result<Window, NonceError> {
        let known = self.guard.top(scope).unwrap_or(0);
        let least = above(known, size).map_err(|_| NonceError::Exhausted)?;
        let in_file = |top| {
            let tops = BTreeMap::from([(scope.to_owned(), top)]);
            self.guard.raise(tops, size)
        };
        let end = match &self.rows {
            // Both take a disk its time. What only one of them has is burnt.
            Some(rows) => {
                let row = rows.reserve(scope, known, size, max_jump);
                let (row, file) = tokio::join!(row, in_file(least));
                file?;
                row?
            }
            None => {
                in_file(least).await?;
                least
            }
        };
        // The row can only have been further than the file: trust no answer that is not.
        if end < least {
            return Err(Unavailable::new(STORE, "the watermark did not rise").into());
        }
        if end > least {
            in_file(end).await?;
        }
        Ok(Window {
            next: end - size,
            end,
        })
    }
}

/// `high + window`, as long as that stays below [`LIMIT`].
fn above(high: i64, window: i64) -> Result<i64> {
    high.checked_add(window)
        .filter(|top| (0..=LIMIT).contains(top))
        .ok_or_else(|| {
            Problem::new(
                Exit::Config,
                "opening the nonce store",
                "the nonces of a scope are used up",
            )
            .next("give the node a new name or use another scope")
        })
}

fn within(scope: &str, said: i64, known: i64, most: i64) -> Result<(), Jump> {
    if said.saturating_sub(known) <= most {
        return Ok(());
    }
    Err(Jump {
        scope: scope.to_owned(),
        said,
        known,
        most,
    })
}

fn raise(
    tops: &mut BTreeMap<String, i64>,
    scope: &str,
    high: i64,
    most: Option<i64>,
) -> Result<()> {
    above(high, 0)?;
    let known = tops.get(scope).copied().unwrap_or(0);
    if let Some(most) = most {
        within(scope, high, known, most).map_err(|jump| {
            Problem::new(Exit::Config, "opening the nonce store", jump).next(
                "find out who raised it; if it is right, start once with SERVICE_NONCE_MAX_JUMP above the difference",
            )
        })?;
    }
    tops.insert(scope.to_owned(), known.max(high));
    Ok(())
}

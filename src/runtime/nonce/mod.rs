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
//!    start: guessing "0" would repeat nonces.
//!
//! Two processes with one state directory exclude each other by a lock. Two hosts with one node
//! name in file mode cannot be seen from here; in Postgres the row keeps their ranges apart.

mod guard;
mod postgres;

use std::collections::BTreeMap;
use std::path::Path;

use tokio::sync::Mutex;

use super::toggles::Mode;
use super::{Fault, Unavailable, suffer};
use crate::contract::{NonceRange, Watermark};
use crate::error::{Exit, Problem, Result};
use crate::pg::Database;

use guard::Guard;
use postgres::PostgresRows;

const STORE: &str = "the nonce store";

/// Reservations stop here, far below the end of the number range: no sum of ours can overflow.
pub const LIMIT: i64 = 1 << 62;

/// The most nonces that one request is given.
pub const MAX_COUNT: u32 = 10_000;

/// The most scopes that one node keeps apart; their names come from callers.
pub const MAX_SCOPES: usize = 1_000;

/// The largest window.
pub const MAX_WINDOW: i64 = 1 << 32;

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
    Unavailable(#[from] Unavailable),
}

/// The nonces of one node.
#[derive(Debug)]
pub struct Nonces {
    node: String,
    window: i64,
    fault: Option<Fault>,
    /// One reservation at a time.
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    guard: Guard,
    rows: Option<PostgresRows>,
    windows: BTreeMap<String, Window>,
}

/// What is left of the last reservation of a scope: `next .. end`. Lost with the process.
#[derive(Debug, Clone, Copy, Default)]
struct Window {
    next: i64,
    end: i64,
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
        let rows = db.map(|db| PostgresRows::new(db, how.node));
        let mode = if rows.is_some() {
            Mode::Postgres
        } else {
            Mode::File
        };
        let mut tops = guard.tops();
        for carried in how.carried.iter().filter(|w| w.node_name == how.node) {
            raise(&mut tops, &carried.nonce_scope, carried.reserved_high)?;
        }
        let mut cluster = guard.cluster();
        let mut skip = guard.mode().is_some_and(|last| last != mode);
        if let Some(rows) = &rows {
            let seen = rows.look().await.map_err(|e| {
                Problem::new(Exit::Unavailable, "loading nonce watermarks", e.cause)
                    .next("is Postgres up, and are the migrations applied?")
            })?;
            for (scope, high) in &seen.tops {
                raise(&mut tops, scope, *high)?;
            }
            // Where the identity cannot be read, every start counts as a change.
            skip |= seen.cluster.is_none() || (cluster.is_some() && cluster != seen.cluster);
            skip |= guard.mode().is_none() && !seen.tops.is_empty();
            cluster = seen.cluster;
        }
        if skip {
            for (scope, high) in tops.clone() {
                raise(&mut tops, &scope, above(high, how.window)?)?;
            }
        }
        guard.begin(mode, cluster, tops, how.window)?;
        Ok(Self {
            node: how.node.to_owned(),
            window: how.window,
            fault,
            state: Mutex::new(State {
                guard,
                rows,
                windows: BTreeMap::new(),
            }),
        })
    }

    /// Hands out `count` nonces of `scope` that nobody else is ever given.
    ///
    /// Run it to its end: dropping it half-way is safe, but burns a window.
    pub async fn reserve(&self, scope: &str, count: u32) -> Result<NonceRange, NonceError> {
        if !(1..=MAX_COUNT).contains(&count) {
            return Err(NonceError::BadCount);
        }
        suffer(STORE, self.fault.as_ref()).await?;
        let count = i64::from(count);
        let mut state = self.state.lock().await;
        let mut window = state.windows.get(scope).copied().unwrap_or_default();
        if window.end - window.next < count {
            // Burnt until the new one is in hand, whatever happens in between.
            state.windows.remove(scope);
            let (start, end) = state.reserve_window(scope, self.window.max(count)).await?;
            if start != window.end {
                window.next = start;
            }
            window.end = end;
        }
        let first = window.next;
        window.next += count;
        state.windows.insert(scope.to_owned(), window);
        Ok(NonceRange {
            node_name: self.node.clone(),
            nonce_scope: scope.to_owned(),
            first,
            last: first + count - 1,
        })
    }

    /// How far a scope is reserved; none before its first reservation.
    pub async fn watermark(&self, scope: &str) -> Option<Watermark> {
        let state = self.state.lock().await;
        let high = state.guard.top(scope)?;
        Some(self.as_watermark(scope, high))
    }

    /// The watermarks of this node; of all nodes in the Postgres store.
    pub async fn export(&self) -> Result<Vec<Watermark>, Unavailable> {
        let state = self.state.lock().await;
        let own = state.guard.tops();
        let mut all: Vec<Watermark> = own
            .iter()
            .map(|(scope, high)| self.as_watermark(scope, *high))
            .collect();
        if let Some(rows) = &state.rows {
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
        let mut state = self.state.lock().await;
        let mut raised = 0;
        let mut tops = state.guard.tops();
        for w in given {
            let window = w.window_size.clamp(1, MAX_WINDOW);
            if w.reserved_high > LIMIT || w.reserved_high < 0 {
                return Err(NonceError::Exhausted);
            }
            let own = w.node_name == self.node;
            let behind = tops
                .get(&w.nonce_scope)
                .is_none_or(|top| *top < w.reserved_high);
            let mut counted = false;
            if own && behind {
                tops.insert(w.nonce_scope.clone(), w.reserved_high);
                state.windows.remove(&w.nonce_scope);
                counted = true;
            }
            if let Some(rows) = &state.rows {
                counted |= rows.raise(w, window).await?;
            }
            raised += u64::from(counted);
        }
        state.guard.raise(tops, self.window).await?;
        Ok(raised)
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

impl State {
    /// Reserves a new window durably and returns it as `start .. end`.
    async fn reserve_window(&mut self, scope: &str, size: i64) -> Result<(i64, i64), NonceError> {
        let mut tops = self.guard.tops();
        if !tops.contains_key(scope) && tops.len() >= MAX_SCOPES {
            return Err(NonceError::TooManyScopes);
        }
        let known = tops.get(scope).copied().unwrap_or(0);
        let Ok(least) = above(known, size) else {
            return Err(NonceError::Exhausted);
        };
        let end = match &self.rows {
            Some(rows) => rows.reserve(scope, known, size).await?,
            None => least,
        };
        // The row can only have been further than the file: trust no answer that is not.
        if end < least {
            return Err(Unavailable::new(STORE, "the watermark did not rise").into());
        }
        tops.insert(scope.to_owned(), end);
        self.guard.raise(tops, size).await?;
        Ok((end - size, end))
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

fn raise(tops: &mut BTreeMap<String, i64>, scope: &str, high: i64) -> Result<()> {
    above(high, 0)?;
    let top = tops.entry(scope.to_owned()).or_insert(high);
    *top = high.max(*top);
    Ok(())
}

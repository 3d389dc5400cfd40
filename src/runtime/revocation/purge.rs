//! Removing revocations that nobody needs any more: after their expiry and the clock skew, in
//! small batches.
//!
//! What may go is decided by the database, by its clock and by functions that remove nothing else
//! (`security.purge_revocations`); a trigger refuses what is too early whoever asks. Each batch is
//! a short transaction of its own that waits for nobody, so a purge can be ended at any point and
//! simply be started again: what is left is what has not been removed.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use jiff_sqlx::{Timestamp as SqlTime, ToSqlx as _};
use serde::Serialize;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::error::{Exit, Problem, Result};
use crate::pg::{self, Database, problem};

/// How a purge goes.
#[derive(Debug, Clone, Copy)]
pub struct Purge {
    /// Rows per transaction, 1 to 100,000.
    pub batch: u32,
    /// The least time between two of them. Longer when a batch took longer: a busy server gets at
    /// least half of the time for its other work.
    pub pause: Duration,
    /// How long after its expiry a revocation stays, at least [`CLOCK_SKEW`](crate::runtime::CLOCK_SKEW).
    pub clock_skew: Duration,
}

/// One of the two tables, and how far a purge came in it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Purged {
    /// `tokens` or `sessions`.
    pub store: String,
    /// How many could go when it began.
    pub expired: u64,
    pub removed: u64,
    /// The oldest expiry among those that could go.
    pub oldest: Option<Timestamp>,
    /// The latest expiry among those that are gone.
    pub up_to: Option<Timestamp>,
}

/// What a purge did, or would do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Outcome {
    /// What had expired by then could go: the database's time less the clock skew.
    pub horizon: Timestamp,
    pub stores: Vec<Purged>,
    /// It was ended between two batches; the next one goes on from here.
    pub interrupted: bool,
}

/// What is there to be removed. Changes nothing.
///
/// # Errors
/// Unreachable, a missing privilege, or clocks that differ by more than the clock skew: by one that
/// is ahead, revocations would be removed while their tokens are still accepted.
pub async fn look(database: &Database, how: &Purge, our_clock: Timestamp) -> Result<Outcome> {
    let doing = format!("looking for expired revocations at {database}");
    let wrong = |e: sqlx::Error| problem(&doing, &e);
    let read = async {
        let mut tx = database.begin_with("BEGIN READ ONLY").await?;
        let rows: Vec<(String, i64, Option<SqlTime>, SqlTime)> = pg::query_as(
            "SELECT store, expired, oldest, horizon \
               FROM security.expired_revocations($1 * interval '1 second')",
        )
        .bind(how.clock_skew.as_secs_f64())
        .fetch_all(&mut *tx)
        .await?;
        tx.commit().await?;
        Ok(rows)
    };
    let rows = read.await.map_err(wrong)?;
    let skew = SignedDuration::try_from(how.clock_skew).unwrap_or(SignedDuration::MAX);
    let Some(horizon) = rows.first().map(|row| Timestamp::from(row.3)) else {
        return Err(Problem::new(Exit::Failed, doing, "it says nothing"));
    };
    let apart = horizon.duration_until(our_clock) - skew;
    if apart.abs() > skew {
        let (s, ahead) = (apart.as_secs().abs(), apart.is_negative());
        let which = if ahead { "ahead of" } else { "behind" };
        return Err(Problem::new(
            Exit::Unavailable,
            doing,
            format!(
                "its clock is {s} s {which} ours, more than the clock skew that is allowed for"
            ),
        )
        .next(
            "put the wrong clock right (on the server: SELECT now()); by a clock that is ahead, \
             what is removed may be of tokens that are still accepted",
        ));
    }
    let stores = rows
        .into_iter()
        .map(|(store, expired, oldest, _)| Purged {
            store,
            expired: u64::try_from(expired).unwrap_or(0),
            removed: 0,
            oldest: oldest.map(Timestamp::from),
            up_to: None,
        })
        .collect();
    Ok(Outcome {
        horizon,
        stores,
        interrupted: false,
    })
}

/// Removes what [`look`] found, and what expires meanwhile, until nothing is left or `stop` says so.
/// `told` hears of every batch.
///
/// # Errors
/// As [`look`]. What was removed before an error stays removed; a purge may be repeated.
pub async fn purge(
    database: &Database,
    how: &Purge,
    mut outcome: Outcome,
    stop: &CancellationToken,
    told: &mut (dyn FnMut(&Purged) + Send),
) -> Result<Outcome> {
    for store in &mut outcome.stores {
        let doing = format!(
            "removing expired revocations ({}) at {database}",
            store.store
        );
        let mut since = store.oldest;
        while let Some(from) = since {
            if stop.is_cancelled() {
                outcome.interrupted = true;
                return Ok(outcome);
            }
            let begun = Instant::now();
            let (removed, up_to) = batch(database, how, &store.store, from)
                .await
                .map_err(|e| problem(&doing, &e))?;
            store.removed += removed;
            store.up_to = up_to.or(store.up_to);
            if removed < u64::from(how.batch) {
                break;
            }
            told(store);
            since = up_to;
            let pause = how.pause.max(begun.elapsed());
            // Nothing is under way now: this is the place to be interrupted at.
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = stop.cancelled() => {}
            }
        }
    }
    Ok(outcome)
}

/// One short transaction. It need not be on disk when it is over (what a crash brings back is
/// removed again), and gives way to whoever holds the table.
async fn batch(
    database: &Database,
    how: &Purge,
    store: &str,
    since: Timestamp,
) -> sqlx::Result<(u64, Option<Timestamp>)> {
    let mut tx = database.begin().await?;
    pg::query(
        "SELECT set_config('synchronous_commit', 'off', true), set_config('lock_timeout', '1s', true)",
    )
    .execute(&mut *tx)
    .await?;
    let (removed, up_to): (i64, Option<SqlTime>) = pg::query_as(
        "SELECT removed, up_to FROM security.purge_revocations($1, $2, $3 * interval '1 second', $4)",
    )
    .bind(store)
    .bind(since.to_sqlx())
    .bind(how.clock_skew.as_secs_f64())
    .bind(i32::try_from(how.batch).unwrap_or(i32::MAX))
    .fetch_one(&mut *tx)
    .await?;
    tx.commit().await?;
    Ok((
        u64::try_from(removed).unwrap_or(0),
        up_to.map(Timestamp::from),
    ))
}

//! How long decisions and events are kept: partitions ahead, and those that are old enough away.
//!
//! `authz.policy_decisions` is partitioned by month (UTC). Months are made ahead by every start of
//! a service and by `dbctl security partitions`; a month goes whole once all of it is older than
//! what is to be kept. What has no month of its own, and events, go in batches.

use std::time::Duration;

use jiff::Timestamp;
use jiff_sqlx::Timestamp as SqlTime;
use serde::Serialize;
use tokio_util::sync::CancellationToken;

use crate::error::Result;
use crate::pg::{self, Database, problem};

/// How often a month is tried that somebody holds.
const TRIES: u32 = 10;

/// Between two tries and between two batches.
const PAUSE: Duration = Duration::from_millis(100);

/// A month of decisions.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Month {
    pub partition: String,
    pub since: Timestamp,
    pub until: Timestamp,
    pub size_bytes: i64,
}

/// What was done about the partitions.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Kept {
    /// How many months were made.
    pub made: u32,
    pub dropped: Vec<Month>,
    /// Decisions without a month of their own that were removed.
    pub decisions_removed: u64,
    pub events_removed: u64,
    pub interrupted: bool,
}

/// Makes the months from this one to `ahead` later ones; returns how many were new.
///
/// # Errors
/// Unreachable, or a missing privilege.
pub async fn make_ahead(database: &Database, ahead: u8) -> Result<u32> {
    let doing = format!("making partitions ahead at {database}");
    let made: i32 = patiently(&doing, || async {
        let mut tx = database.begin().await?;
        give_way(&mut tx).await?;
        let made = pg::query_scalar("SELECT authz.ensure_policy_decision_partitions($1)")
            .bind(i32::from(ahead))
            .fetch_one(&mut *tx)
            .await?;
        tx.commit().await?;
        Ok(made)
    })
    .await?;
    Ok(u32::try_from(made).unwrap_or(0))
}

/// All months that there are, the oldest first, and those among them that are older than `keep`.
pub async fn months(
    database: &Database,
    keep: Option<Duration>,
) -> Result<(Vec<Month>, Vec<Month>)> {
    type Row = (String, SqlTime, SqlTime, i64, bool);
    let read = async {
        let mut tx = database.begin_with("BEGIN READ ONLY").await?;
        let rows: Vec<Row> = pg::query_as(
            "SELECT partition, since, until, size_bytes, \
                    coalesce(until <= now() - $1 * interval '1 second', false) \
               FROM authz.policy_decision_months()",
        )
        .bind(keep.map(|k| k.as_secs_f64()))
        .fetch_all(&mut *tx)
        .await?;
        tx.commit().await?;
        Ok::<_, sqlx::Error>(rows)
    };
    let rows = read
        .await
        .map_err(|e| problem(format!("listing the partitions at {database}"), &e))?;
    let month = |(partition, since, until, size_bytes, over): Row| {
        let month = Month {
            partition,
            since: since.into(),
            until: until.into(),
            size_bytes,
        };
        (month, over)
    };
    let all: Vec<(Month, bool)> = rows.into_iter().map(month).collect();
    let old = all.iter().filter(|(_, over)| *over);
    let old = old.map(|(month, _)| month.clone()).collect();
    Ok((all.into_iter().map(|(month, _)| month).collect(), old))
}

/// Drops one month that is older than `keep`. It locks the table for a moment: it waits a tenth
/// of a second for that, gives way, and tries again.
pub async fn drop_month(database: &Database, month: &Month, keep: Duration) -> Result<()> {
    let doing = format!("dropping {} at {database}", month.partition);
    patiently(&doing, || async {
        let mut tx = database.begin().await?;
        give_way(&mut tx).await?;
        pg::query("SELECT authz.drop_policy_decision_month($1, $2 * interval '1 second')")
            .bind(&month.partition)
            .bind(keep.as_secs_f64())
            .execute(&mut *tx)
            .await?;
        tx.commit().await
    })
    .await
}

/// Does what gives way to whoever holds the table, and again until it is let in.
async fn patiently<T, F>(doing: &str, work: impl Fn() -> F) -> Result<T>
where
    F: Future<Output = sqlx::Result<T>>,
{
    let mut tries = 0;
    loop {
        tries += 1;
        match work().await {
            Err(e) if tries < TRIES && lock_not_available(&e) => {}
            done => return done.map_err(|e| problem(doing, &e)),
        }
        tokio::time::sleep(PAUSE * tries).await;
    }
}

/// What is removed in batches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rows {
    /// Decisions that no month was made for.
    DecisionsWithoutMonth,
    Events,
}

/// Removes rows that are older than `keep`, batch by batch, until none is left or `stop` says so.
pub async fn purge_rows(
    database: &Database,
    what: Rows,
    keep: Duration,
    batch: u32,
    stop: &CancellationToken,
) -> Result<u64> {
    let (sql, name) = match what {
        Rows::DecisionsWithoutMonth => (
            "SELECT authz.purge_decisions_without_month($1 * interval '1 second', $2)",
            "decisions",
        ),
        Rows::Events => (
            "SELECT security.purge_events($1 * interval '1 second', $2)",
            "events",
        ),
    };
    let mut removed = 0;
    while !stop.is_cancelled() {
        let one = async {
            let mut tx = database.begin().await?;
            give_way(&mut tx).await?;
            let removed: i64 = pg::query_scalar(sql)
                .bind(keep.as_secs_f64())
                .bind(i32::try_from(batch).unwrap_or(i32::MAX))
                .fetch_one(&mut *tx)
                .await?;
            tx.commit().await?;
            Ok::<_, sqlx::Error>(removed)
        };
        let n = one
            .await
            .map_err(|e| problem(format!("removing old {name} at {database}"), &e))?;
        let n = u64::try_from(n).unwrap_or(0);
        removed += n;
        if n < u64::from(batch) {
            break;
        }
        tokio::time::sleep(PAUSE).await;
    }
    Ok(removed)
}

async fn give_way(tx: &mut sqlx::PgConnection) -> sqlx::Result<()> {
    pg::query("SELECT set_config('lock_timeout', '100ms', true)")
        .execute(tx)
        .await
        .map(|_| ())
}

fn lock_not_available(e: &sqlx::Error) -> bool {
    e.as_database_error()
        .and_then(|e| e.code())
        .is_some_and(|code| code == "55P03")
}

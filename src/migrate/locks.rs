//! Who is in the way: read from a second connection while a migration waits.

use std::time::Duration;

use serde::Serialize;
use sqlx::Row;
use sqlx::postgres::PgRow;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::statements;
use crate::pg::{self, Database};

/// A migration waits for a lock.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Blocked {
    /// Such as `AccessExclusiveLock on public.orders`; none when the wait was over already.
    pub lock: Option<String>,
    pub holders: Vec<Holder>,
}

/// A session that holds what is waited for.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Holder {
    pub pid: i32,
    pub application: String,
    /// Empty where this user may not see it.
    pub user: String,
    /// Such as `idle in transaction`.
    pub state: String,
    /// How long its transaction has been open, else how long it has been in this state.
    pub age_seconds: f64,
    /// Its last statement, literals left out and cut off.
    pub query: String,
}

/// Columns of `pg_stat_activity a` that make a [`Holder`].
const HOLDER: &str = "a.pid, coalesce(a.application_name, '') AS application, \
    coalesce(a.usename::text, '') AS usename, coalesce(a.state, '') AS state, \
    coalesce(extract(epoch FROM pg_catalog.clock_timestamp() - coalesce(a.xact_start, a.state_change, a.backend_start)), 0)::float8 AS age, \
    pg_catalog.left(coalesce(a.query, ''), 500) AS query";

fn holder(row: &PgRow) -> Result<Holder, sqlx::Error> {
    let query: String = row.try_get("query")?;
    let query = statements::without_literals(&query);
    let query = query.split_whitespace().collect::<Vec<_>>().join(" ");
    Ok(Holder {
        pid: row.try_get("pid")?,
        application: row.try_get("application")?,
        user: row.try_get("usename")?,
        state: row.try_get("state")?,
        age_seconds: row.try_get("age")?,
        query: query.chars().take(120).collect(),
    })
}

/// What the backend `pid` waits for at this moment; none when it does not wait.
async fn blocked(database: &Database, pid: i32) -> Result<Option<Blocked>, sqlx::Error> {
    let sql = format!(
        "SELECT {HOLDER} FROM pg_catalog.pg_stat_activity a \
         WHERE a.pid = ANY (pg_catalog.pg_blocking_pids($1)) ORDER BY a.pid"
    );
    let mut tx = database.begin().await?;
    let rows = pg::query(sqlx::AssertSqlSafe(sql))
        .bind(pid)
        .fetch_all(&mut *tx)
        .await?;
    if rows.is_empty() {
        tx.commit().await?;
        return Ok(None);
    }
    let lock: Option<String> = pg::query_scalar(
        "SELECT l.mode || coalesce(' on ' || l.relation::pg_catalog.regclass::text, '') \
         FROM pg_catalog.pg_locks l WHERE l.pid = $1 AND NOT l.granted LIMIT 1",
    )
    .bind(pid)
    .fetch_optional(&mut *tx)
    .await?;
    tx.commit().await?;
    let holders = rows.iter().map(holder).collect::<Result<_, _>>()?;
    Ok(Some(Blocked { lock, holders }))
}

/// Cancels what the backend `pid` is doing.
pub(super) async fn cancel(database: &Database, pid: i32) -> sqlx::Result<()> {
    let mut tx = database.begin().await?;
    pg::query("SELECT pg_catalog.pg_cancel_backend($1)")
        .bind(pid)
        .execute(&mut *tx)
        .await?;
    tx.commit().await
}

/// Who holds dbctl's own lock on migrations in this database.
pub(super) async fn lock_holders(
    connection: &mut sqlx::PgConnection,
    key: i64,
) -> Result<Vec<Holder>, sqlx::Error> {
    // A 64-bit key is shown in two halves (pg_locks, objsubid = 1).
    let sql = format!(
        "SELECT {HOLDER} FROM pg_catalog.pg_locks l JOIN pg_catalog.pg_stat_activity a ON a.pid = l.pid \
         WHERE l.locktype = 'advisory' AND l.granted AND l.objsubid = 1 \
           AND l.database = (SELECT oid FROM pg_catalog.pg_database WHERE datname = pg_catalog.current_database()) \
           AND l.classid::bigint = ($1 >> 32) & 4294967295 AND l.objid::bigint = $1 & 4294967295"
    );
    let rows = pg::query(sqlx::AssertSqlSafe(sql))
        .bind(key)
        .fetch_all(connection)
        .await?;
    rows.iter().map(holder).collect()
}

/// Looks now and then from another connection; ends when dropped.
pub(super) struct Watcher {
    task: JoinHandle<()>,
    pub seen: mpsc::Receiver<Blocked>,
}

impl Watcher {
    const INTERVAL: Duration = Duration::from_millis(500);

    /// Watches the backend `pid`. A look that fails is left out: watching is a courtesy.
    pub fn start(database: Database, pid: i32) -> Self {
        let (sender, seen) = mpsc::channel(1);
        let task = tokio::spawn(async move {
            loop {
                tokio::time::sleep(Self::INTERVAL).await;
                if let Ok(Some(blocked)) = blocked(&database, pid).await
                    && sender.send(blocked).await.is_err()
                {
                    return;
                }
            }
        });
        Self { task, seen }
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        self.task.abort();
    }
}

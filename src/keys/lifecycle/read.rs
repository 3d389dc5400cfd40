//! Reading where the versions of a key are in their lives, by the database's clock.

use jiff::Timestamp;
use jiff_sqlx::Timestamp as SqlTime;
use sqlx::postgres::PgRow;
use sqlx::{PgConnection, Row as _};

use super::Life;
use crate::error::{Exit, Problem, Result};
use crate::keys::Algorithm;
use crate::pg::{self, Database, problem};

/// A key as it is in this moment.
#[derive(Debug, Clone)]
pub struct Look {
    pub key_id: String,
    /// Of new versions.
    pub algorithm: Algorithm,
    /// The database's time.
    pub now: Timestamp,
    /// Newest first.
    pub versions: Vec<Life>,
}

/// Looks at a key without locking anything.
///
/// # Errors
/// [`Exit::Config`] when there is no such key; those of the database.
pub async fn look(db: &Database, key_id: &str) -> Result<Look> {
    let doing = format!("looking at the key {key_id}");
    let fail = |e: &sqlx::Error| problem(&doing, e);
    let mut tx = db.begin().await.map_err(|e| fail(&e))?;
    let look = read(
        &mut tx,
        key_id,
        "SELECT algorithm FROM security.signing_keys WHERE key_id = $1",
    )
    .await?;
    tx.commit().await.map_err(|e| fail(&e))?;
    Ok(look)
}

/// The lives of all versions of all keys, each with its key's name, and the database's time.
pub async fn look_at_all(db: &Database) -> Result<(Timestamp, Vec<(String, Life)>)> {
    let fail = |e: &sqlx::Error| problem("looking at signing keys", e);
    let mut tx = db.begin().await.map_err(|e| fail(&e))?;
    let now = now(&mut tx).await.map_err(|e| fail(&e))?;
    let rows = lives(&mut tx, None).await.map_err(|e| fail(&e))?;
    tx.commit().await.map_err(|e| fail(&e))?;
    let read = |row: &PgRow| {
        let key_id = row.try_get("key_id").map_err(|e| fail(&e))?;
        Ok((key_id, life_of(row)?))
    };
    Ok((now, rows.iter().map(read).collect::<Result<_>>()?))
}

pub(super) async fn read(tx: &mut PgConnection, key_id: &str, key: &'static str) -> Result<Look> {
    let doing = format!("looking at the key {key_id}");
    let fail = |e: &sqlx::Error| match e.as_database_error().and_then(|e| e.code()).as_deref() {
        Some("55P03") => Problem::new(
            Exit::Unavailable,
            &doing,
            "somebody else has been changing this key for 5 s",
        )
        .next("try again; pg_stat_activity shows who holds it"),
        Some(_) | None => problem(&doing, e),
    };
    let algorithm: Option<String> = pg::query_scalar(key)
        .bind(key_id)
        .fetch_optional(&mut *tx)
        .await
        .map_err(|e| fail(&e))?;
    let algorithm = algorithm.ok_or_else(|| {
        Problem::new(Exit::Config, &doing, "there is no such key").next(
            "dbctl keys list shows those that are there; dbctl keys seed makes the first version",
        )
    })?;
    let algorithm = algorithm
        .parse()
        .map_err(|why: String| Problem::new(Exit::Failed, &doing, why))?;
    let rows = lives(&mut *tx, Some(key_id)).await.map_err(|e| fail(&e))?;
    Ok(Look {
        key_id: key_id.to_owned(),
        algorithm,
        now: now(tx).await.map_err(|e| fail(&e))?,
        versions: rows.iter().map(life_of).collect::<Result<_>>()?,
    })
}

async fn now(tx: &mut PgConnection) -> Result<Timestamp, sqlx::Error> {
    let now: SqlTime = pg::query_scalar("SELECT clock_timestamp()")
        .fetch_one(tx)
        .await?;
    Ok(now.into())
}

async fn lives(tx: &mut PgConnection, key_id: Option<&str>) -> Result<Vec<PgRow>, sqlx::Error> {
    pg::query(
        "SELECT key_id, version, kid, state, state_changed_at, published_at, stopped_signing_at, \
                valid_until, kek_id IS NOT NULL AS has_private \
           FROM security.signing_key_versions \
          WHERE $1::text IS NULL OR key_id = $1 \
          ORDER BY key_id, version DESC",
    )
    .bind(key_id)
    .fetch_all(tx)
    .await
}

pub(super) fn time(row: &PgRow, column: &str) -> Result<Option<Timestamp>> {
    row.try_get::<Option<SqlTime>, _>(column)
        .map(|t| t.map(Timestamp::from))
        .map_err(|e| problem("reading a signing key", &e))
}

fn life_of(row: &PgRow) -> Result<Life> {
    let fail = |e: sqlx::Error| problem("reading a signing key", &e);
    let state: String = row.try_get("state").map_err(fail)?;
    Ok(Life {
        version: row.try_get("version").map_err(fail)?,
        kid: row.try_get("kid").map_err(fail)?,
        state: state
            .parse()
            .map_err(|why: String| Problem::new(Exit::Failed, "reading a signing key", why))?,
        since: time(row, "state_changed_at")?.unwrap_or(Timestamp::MIN),
        published_at: time(row, "published_at")?,
        stopped_signing_at: time(row, "stopped_signing_at")?,
        valid_until: time(row, "valid_until")?,
        has_private: row.try_get("has_private").map_err(fail)?,
    })
}

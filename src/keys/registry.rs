//! The register of key-encryption keys, `security.key_encryption_keys`: names and sealed
//! sentinels, never the keys themselves.
//!
//! With the sentinel a wrong key is known as a wrong key before anything is sealed with it. A row
//! without one came with a migration, or from a version that somebody else wrote; dbctl adds the
//! sentinel as soon as it has the key in its hands and writes anyway.

use jiff::Timestamp;
use jiff_sqlx::Timestamp as SqlTime;
use serde::Serialize;
use serde_json::json;
use sqlx::{PgConnection, Row as _};

use super::events::{Event, record};
use super::{By, Kek};
use crate::error::{Exit, Problem, Result};
use crate::pg::{self, Database, problem};

/// A key-encryption key as the register knows it.
#[derive(Debug, Clone, Serialize)]
pub struct KekEntry {
    pub kek_id: String,
    /// How many versions it seals.
    pub versions: i64,
    pub created_at: Timestamp,
    /// When something was first and last sealed with it.
    pub first_used_at: Option<Timestamp>,
    pub last_used_at: Option<Timestamp>,
    /// When it was dropped.
    pub retired_at: Option<Timestamp>,
    /// Whether a sentinel is there, so that a key can be told from another one.
    pub has_sentinel: bool,
}

/// What dropping a key-encryption key did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Dropped {
    Now,
    /// Somebody did it before; nothing was changed.
    Before,
}

/// Makes sure that `kek` is registered with a sentinel that it opens, and was not dropped. Call
/// it after the rows of keys are locked and before something is sealed.
pub(super) async fn register(tx: &mut PgConnection, kek: &Kek) -> Result<()> {
    let doing = format!("registering the key-encryption key {}", kek.id());
    let fail = |e: &sqlx::Error| problem(&doing, e);
    pg::query(
        "INSERT INTO security.key_encryption_keys (kek_id) VALUES ($1) \
         ON CONFLICT (kek_id) DO NOTHING",
    )
    .bind(kek.id())
    .execute(&mut *tx)
    .await
    .map_err(|e| fail(&e))?;
    let known: (Option<Vec<u8>>, Option<Vec<u8>>, Option<SqlTime>) = pg::query_as(
        "SELECT sealed_sentinel, sentinel_nonce, retired_at \
           FROM security.key_encryption_keys WHERE kek_id = $1 FOR UPDATE",
    )
    .bind(kek.id())
    .fetch_one(&mut *tx)
    .await
    .map_err(|e| fail(&e))?;
    match known {
        (_, _, Some(since)) => Err(Problem::new(
            Exit::Config,
            doing,
            format!("it was dropped at {}", Timestamp::from(since)),
        )
        .next("seal with another one: dbctl keys new-kek FILE")),
        (Some(sealed), Some(nonce), None) => match kek.opens_sentinel(&nonce, &sealed) {
            true => Ok(()),
            false => Err(Problem::new(
                Exit::Failed,
                doing,
                format!(
                    "the key from {} does not open its sentinel: the register was changed",
                    kek.origin()
                ),
            )
            .next("dbctl keys verify; restore security.key_encryption_keys from a backup")),
        },
        (_, _, None) => {
            let sentinel = kek.sentinel()?;
            pg::query(
                "UPDATE security.key_encryption_keys \
                    SET sealed_sentinel = $2, sentinel_nonce = $3 WHERE kek_id = $1",
            )
            .bind(kek.id())
            .bind(&sentinel.ciphertext)
            .bind(&sentinel.nonce)
            .execute(tx)
            .await
            .map(|_| ())
            .map_err(|e| fail(&e))
        }
    }
}

/// Every key-encryption key that was ever registered, the newest first.
pub async fn keks(db: &Database) -> Result<Vec<KekEntry>> {
    let doing = "listing key-encryption keys";
    let fail = |e: sqlx::Error| problem(doing, &e);
    let mut tx = db.begin().await.map_err(fail)?;
    let rows = pg::query(
        "SELECT k.kek_id, k.created_at, k.first_used_at, k.last_used_at, k.retired_at, \
                k.sealed_sentinel IS NOT NULL AS has_sentinel, count(v.version) AS versions \
           FROM security.key_encryption_keys k \
           LEFT JOIN security.signing_key_versions v USING (kek_id) \
          GROUP BY k.kek_id ORDER BY k.created_at DESC, k.kek_id",
    )
    .fetch_all(&mut *tx)
    .await
    .map_err(fail)?;
    tx.commit().await.map_err(fail)?;
    rows.iter()
        .map(|row| {
            let time = |column: &str| {
                row.try_get::<Option<SqlTime>, _>(column)
                    .map(|t| t.map(Timestamp::from))
                    .map_err(fail)
            };
            Ok(KekEntry {
                kek_id: row.try_get("kek_id").map_err(fail)?,
                versions: row.try_get("versions").map_err(fail)?,
                created_at: row
                    .try_get::<SqlTime, _>("created_at")
                    .map_err(fail)?
                    .into(),
                first_used_at: time("first_used_at")?,
                last_used_at: time("last_used_at")?,
                retired_at: time("retired_at")?,
                has_sentinel: row.try_get("has_sentinel").map_err(fail)?,
            })
        })
        .collect()
}

/// Marks a key-encryption key as dropped: nothing is ever sealed with it again. One that still
/// seals a version is refused; the database refuses it too, whoever asks.
pub async fn drop_kek(db: &Database, kek_id: &str, by: &By) -> Result<Dropped> {
    let doing = format!("dropping the key-encryption key {}", kek_id.escape_debug());
    let fail = |e: &sqlx::Error| problem(&doing, e);
    let mut tx = db.begin().await.map_err(|e| fail(&e))?;
    let known: Option<(Option<SqlTime>,)> = pg::query_as(
        "SELECT retired_at FROM security.key_encryption_keys WHERE kek_id = $1 FOR UPDATE",
    )
    .bind(kek_id)
    .fetch_optional(&mut *tx)
    .await
    .map_err(|e| fail(&e))?;
    let dropped = match known {
        None => {
            return Err(
                Problem::new(Exit::Config, &doing, "no such key is registered")
                    .next("dbctl keys kek list"),
            );
        }
        Some((Some(_),)) => Dropped::Before,
        Some((None,)) => {
            let sealed = sealed_with(&mut tx, kek_id).await.map_err(|e| fail(&e))?;
            if !sealed.is_empty() {
                let why = format!("it still seals {}", named(&sealed));
                return Err(Problem::new(Exit::Config, &doing, why)
                    .next("move them to another one first: dbctl keys rewrap --to FILE"));
            }
            pg::query(
                "UPDATE security.key_encryption_keys SET retired_at = clock_timestamp() \
                  WHERE kek_id = $1",
            )
            .bind(kek_id)
            .execute(&mut *tx)
            .await
            .map_err(|e| fail(&e))?;
            let event = Event {
                kind: "kek.dropped",
                subject_id: kek_id,
                kid: None,
                detail: json!({}),
            };
            record(&mut tx, by, event).await?;
            Dropped::Now
        }
    };
    tx.commit().await.map_err(|e| fail(&e))?;
    Ok(dropped)
}

async fn sealed_with(
    tx: &mut PgConnection,
    kek_id: &str,
) -> Result<Vec<(String, i32)>, sqlx::Error> {
    pg::query_as(
        "SELECT key_id, version FROM security.signing_key_versions \
          WHERE kek_id = $1 ORDER BY key_id, version",
    )
    .bind(kek_id)
    .fetch_all(tx)
    .await
}

/// Versions, ordered by key, as people write them: `versions 1-3, 5 of access-tokens`.
pub(super) fn named(versions: &[(String, i32)]) -> String {
    let mut keys: Vec<(&str, Vec<(i32, i32)>)> = Vec::new();
    for (key, version) in versions {
        match keys.last_mut() {
            Some((last, runs)) if last == key => match runs.last_mut() {
                Some((_, end)) if *end + 1 == *version => *end = *version,
                Some(_) | None => runs.push((*version, *version)),
            },
            Some(_) | None => keys.push((key, vec![(*version, *version)])),
        }
    }
    let words = keys.into_iter().map(|(key, runs)| {
        let many = runs.len() > 1 || runs.iter().any(|(from, to)| from != to);
        let runs: Vec<String> = runs
            .into_iter()
            .map(|(from, to)| match from == to {
                true => from.to_string(),
                false => format!("{from}-{to}"),
            })
            .collect();
        let word = if many { "versions" } else { "version" };
        format!("{word} {} of {key}", runs.join(", "))
    });
    words.collect::<Vec<_>>().join("; ")
}

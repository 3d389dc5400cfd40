//! Taking state out of Postgres and into it. Both directions only ever add: a union of
//! revocations and keys, a maximum of watermarks. So a repeated import changes nothing.

use std::collections::BTreeSet;

use jiff::Timestamp;
use sqlx::{AssertSqlSafe, PgConnection, Row};

use super::contract::{Imported, RevokedSession, RevokedToken, Snapshot, Watermark};
use crate::error::{Exit, Problem, Result};
use crate::pg::{self, Database, problem};
use crate::runtime::CLOCK_SKEW;
use crate::runtime::revocation::position::{
    NEWS, Position, begin_to_read_all, begin_to_read_part, seen,
};
use crate::runtime::revocation::{SESSIONS, TOKENS, Table};

/// What a snapshot of Postgres calls itself.
pub const SOURCE: &str = "postgres";

/// Rows in one statement: small enough that no lock is held long.
const BATCH: usize = 2_000;

/// How far [`export_since`] looks back beyond the moment that it starts from: clocks differ, and a
/// transaction that was open then may have committed later.
const OVERLAP: std::time::Duration = std::time::Duration::from_secs(5 * 60);

/// What was read, and how far: from there on [`news`] goes on.
#[derive(Debug, Clone, PartialEq)]
pub struct Read {
    pub snapshot: Snapshot,
    /// None where the tables cannot be followed: before migration V0012.
    pub position: Option<Position>,
}

/// Everything that somebody without Postgres would need: revocations whose tokens may still be
/// accepted by somebody, watermarks, public keys.
///
/// # Errors
/// Unreachable, a missing privilege, or a server that is a standby: its answer may be behind.
pub async fn export(database: &Database) -> Result<Snapshot> {
    Ok(everything(database).await?.snapshot)
}

/// As [`export`], for going on from there.
pub async fn everything(database: &Database) -> Result<Read> {
    let read = read(database, &Wanted::Everything).await?;
    Ok(read.expect("only news may be impossible to tell"))
}

/// As [`export`], with only those revocations that came into Postgres after `position`, whoever
/// brought them and whenever they were revoked. None where that cannot be said for sure: another
/// server, or one that has recovered since, may use transaction ids again.
pub async fn news(database: &Database, position: &Position) -> Result<Option<Read>> {
    read(database, &Wanted::News(position)).await
}

/// As [`export`], with only those revocations that were *revoked* since about `since`. What
/// somebody brought late is not among them: for whoever has no time for [`everything`] and no
/// position for [`news`].
pub async fn export_since(database: &Database, since: Timestamp) -> Result<Snapshot> {
    let read = read(database, &Wanted::Since(since)).await?;
    Ok(read.expect("only news may be impossible to tell").snapshot)
}

/// Which revocations.
enum Wanted<'a> {
    Everything,
    News(&'a Position),
    Since(Timestamp),
}

async fn read(database: &Database, wanted: &Wanted<'_>) -> Result<Option<Read>> {
    // The stamp is from before the first read: what came later is never said to be in it.
    let taken_at = Timestamp::now();
    let doing = format!("reading what to carry over from {database}");
    let keys = crate::keys::public_keys(database).await?;
    let read = async {
        let mut tx = match wanted {
            Wanted::Everything | Wanted::Since(_) => begin_to_read_all(database).await?,
            Wanted::News(_) => begin_to_read_part(database).await?,
        };
        let seen = seen(&mut tx).await?;
        let lost = match wanted {
            Wanted::Everything | Wanted::Since(_) => false,
            Wanted::News(position) => !seen.can_be_followed || !seen.position.follows(position),
        };
        let rows = match lost || seen.is_standby {
            true => None,
            false => Some((
                revoked_tokens(&mut tx, wanted).await?,
                revoked_sessions(&mut tx, wanted).await?,
                watermarks(&mut tx).await?,
            )),
        };
        tx.commit().await?;
        Ok::<_, sqlx::Error>((seen, rows))
    };
    let (seen, rows) = read.await.map_err(|e| problem(&doing, &e))?;
    if seen.is_standby {
        return Err(Problem::new(
            Exit::Unavailable,
            doing,
            "this server is a standby: what it says may be behind",
        )
        .next("connect to the primary"));
    }
    let Some((revoked_tokens, revoked_sessions, watermarks)) = rows else {
        return Ok(None);
    };
    Ok(Some(Read {
        snapshot: Snapshot {
            schema: Snapshot::SCHEMA.into(),
            taken_at,
            source: SOURCE.into(),
            revoked_tokens,
            revoked_sessions,
            watermarks,
            keys,
            // Postgres knows each revocation by its id.
            deny_issued_before: None,
        },
        position: seen.can_be_followed.then_some(seen.position),
    }))
}

/// Times travel as microseconds since 1970, Postgres's own resolution.
fn revoked(Table { name, id }: Table, wanted: &Wanted<'_>) -> String {
    let wanted = match wanted {
        Wanted::Everything => "$1::text IS NULL",
        Wanted::News(_) => NEWS,
        Wanted::Since(_) => "revoked_at >= $1::text::timestamptz",
    };
    format!(
        "SELECT {id} AS id, reason,
                (extract(epoch FROM revoked_at) * 1000000)::bigint AS revoked,
                (extract(epoch FROM least(expires_at, timestamptz '9999-12-30 22:00Z')) * 1000000)::bigint AS expires
           FROM {name}
          WHERE expires_at >= now() - $2 * interval '1 second'
            AND {wanted}
            AND isfinite(revoked_at)"
    )
}

/// The `$1` of [`revoked`].
fn from(wanted: &Wanted<'_>) -> Option<String> {
    match wanted {
        Wanted::Everything => None,
        Wanted::News(position) => Some(position.snapshot().to_owned()),
        Wanted::Since(since) => Some(match since.checked_sub(OVERLAP) {
            Ok(since) if since > Timestamp::UNIX_EPOCH => since.to_string(),
            Ok(_) | Err(_) => "-infinity".to_owned(),
        }),
    }
}

struct Revocation {
    id: String,
    revoked_at: Timestamp,
    expires_at: Timestamp,
    reason: Option<String>,
}

async fn revocations(
    c: &mut PgConnection,
    table: Table,
    wanted: &Wanted<'_>,
) -> sqlx::Result<Vec<Revocation>> {
    let rows = pg::query(AssertSqlSafe(revoked(table, wanted)))
        .bind(from(wanted))
        .bind(CLOCK_SKEW.as_secs_f64())
        .fetch_all(c)
        .await?;
    rows.iter()
        .map(|row| {
            Ok(Revocation {
                id: row.try_get("id")?,
                revoked_at: timestamp(row.try_get("revoked")?)?,
                expires_at: timestamp(row.try_get("expires")?)?,
                reason: row.try_get("reason")?,
            })
        })
        .collect()
}

fn timestamp(us: i64) -> sqlx::Result<Timestamp> {
    Timestamp::from_microsecond(us).map_err(|e| sqlx::Error::Decode(Box::new(e)))
}

async fn revoked_tokens(
    c: &mut PgConnection,
    wanted: &Wanted<'_>,
) -> sqlx::Result<Vec<RevokedToken>> {
    let found = revocations(c, TOKENS, wanted).await?;
    let token = |r: Revocation| RevokedToken {
        token_id: r.id,
        revoked_at: r.revoked_at,
        expires_at: r.expires_at,
        reason: r.reason,
    };
    Ok(found.into_iter().map(token).collect())
}

async fn revoked_sessions(
    c: &mut PgConnection,
    wanted: &Wanted<'_>,
) -> sqlx::Result<Vec<RevokedSession>> {
    let found = revocations(c, SESSIONS, wanted).await?;
    let session = |r: Revocation| RevokedSession {
        session_id: r.id,
        revoked_at: r.revoked_at,
        expires_at: r.expires_at,
        reason: r.reason,
    };
    Ok(found.into_iter().map(session).collect())
}

async fn watermarks(c: &mut PgConnection) -> sqlx::Result<Vec<Watermark>> {
    let rows = pg::query(
        "SELECT node_name, nonce_scope, reserved_high, window_size FROM security.nonce_watermarks",
    )
    .fetch_all(c)
    .await?;
    rows.iter()
        .map(|row| {
            Ok(Watermark {
                node_name: row.try_get("node_name")?,
                nonce_scope: row.try_get("nonce_scope")?,
                reserved_high: row.try_get("reserved_high")?,
                window_size: row.try_get("window_size")?,
            })
        })
        .collect()
}

/// Adds a snapshot to Postgres, durably, in batches, and reads the watermarks back.
///
/// Each watermark becomes the maximum of what is there and what is given: exactly, since a row
/// above what its node knows looks as if the node had forgotten. Public keys are recorded as
/// versions of the logical key `key_id`.
///
/// # Errors
/// Whatever was added before an error stays; repeating the import is safe.
pub async fn import(database: &Database, key_id: &str, snapshot: &Snapshot) -> Result<Imported> {
    let doing = format!("carrying over into {database}");
    let wrong = |e: sqlx::Error| problem(&doing, &e);
    let keys_added = crate::keys::import_public(database, key_id, &snapshot.keys).await?;
    let tokens: Vec<_> = snapshot
        .revoked_tokens
        .iter()
        .map(|t| {
            (
                &*t.token_id,
                t.revoked_at,
                t.expires_at,
                t.reason.as_deref(),
            )
        })
        .collect();
    let sessions: Vec<_> = snapshot
        .revoked_sessions
        .iter()
        .map(|s| {
            (
                &*s.session_id,
                s.revoked_at,
                s.expires_at,
                s.reason.as_deref(),
            )
        })
        .collect();
    let mut imported = Imported {
        keys_added,
        ..Imported::default()
    };
    for batch in tokens.chunks(BATCH) {
        imported.tokens_added += add(database, TOKENS, batch).await.map_err(wrong)?;
    }
    for batch in sessions.chunks(BATCH) {
        imported.sessions_added += add(database, SESSIONS, batch).await.map_err(wrong)?;
    }
    for batch in snapshot.watermarks.chunks(BATCH) {
        imported.watermarks_raised += raise(database, batch).await.map_err(wrong)?;
    }
    watermarks_hold(database, snapshot).await?;
    Ok(imported)
}

/// A revocation that is there already is only ever extended. `xmax = 0` tells new rows.
fn adding(Table { name, id }: Table) -> String {
    format!(
        "WITH given AS (
             SELECT * FROM unnest($1::text[], $2::bigint[], $3::bigint[], $4::text[])
                 AS g (id, revoked, expires, reason)
         ), added AS (
             INSERT INTO {name} AS r ({id}, revoked_at, expires_at, reason, revoked_by)
             SELECT id, timestamptz 'epoch' + revoked * interval '1 microsecond',
                    timestamptz 'epoch' + expires * interval '1 microsecond', reason, 'dbctl carry-over'
               FROM given
             ON CONFLICT ({id}) DO UPDATE SET expires_at = excluded.expires_at
                 WHERE excluded.expires_at > r.expires_at
             RETURNING (xmax = 0) AS is_new
         )
         SELECT count(*) FILTER (WHERE is_new) FROM added"
    )
}

async fn add(
    database: &Database,
    table: Table,
    batch: &[(&str, Timestamp, Timestamp, Option<&str>)],
) -> sqlx::Result<u64> {
    // One statement may not touch a row twice; the longest expiry of an id stands last.
    let mut by_id: std::collections::BTreeMap<&str, _> = std::collections::BTreeMap::new();
    for given in batch {
        let kept = by_id.entry(given.0).or_insert(*given);
        if given.2 > kept.2 {
            *kept = *given;
        }
    }
    let column = |of: fn(&(_, Timestamp, Timestamp, _)) -> i64| -> Vec<i64> {
        by_id.values().map(of).collect()
    };
    let ids: Vec<&str> = by_id.keys().copied().collect();
    let reasons: Vec<Option<&str>> = by_id.values().map(|g| g.3).collect();
    let mut tx = database.begin().await?;
    durable(&mut tx).await?;
    let added: i64 = pg::query_scalar(AssertSqlSafe(adding(table)))
        .bind(ids)
        .bind(column(|g| g.1.as_microsecond()))
        .bind(column(|g| g.2.as_microsecond()))
        .bind(reasons)
        .fetch_one(&mut *tx)
        .await?;
    tx.commit().await?;
    Ok(u64::try_from(added).unwrap_or(0))
}

async fn raise(database: &Database, batch: &[Watermark]) -> sqlx::Result<u64> {
    let mut by_name = std::collections::BTreeMap::new();
    for w in batch {
        let kept = by_name
            .entry((w.node_name.as_str(), w.nonce_scope.as_str()))
            .or_insert((w.reserved_high, w.window_size.max(1)));
        kept.0 = kept.0.max(w.reserved_high);
    }
    let nodes: Vec<&str> = by_name.keys().map(|k| k.0).collect();
    let scopes: Vec<&str> = by_name.keys().map(|k| k.1).collect();
    let highs: Vec<i64> = by_name.values().map(|v| v.0).collect();
    let windows: Vec<i64> = by_name.values().map(|v| v.1).collect();
    let mut tx = database.begin().await?;
    durable(&mut tx).await?;
    let raised = pg::query(
        "INSERT INTO security.nonce_watermarks AS w (node_name, nonce_scope, reserved_high, window_size)
         SELECT * FROM unnest($1::text[], $2::text[], $3::bigint[], $4::bigint[])
         ON CONFLICT (node_name, nonce_scope) DO UPDATE
            SET reserved_high = greatest(w.reserved_high, excluded.reserved_high)
            WHERE excluded.reserved_high > w.reserved_high",
    )
    .bind(nodes)
    .bind(scopes)
    .bind(highs)
    .bind(windows)
    .execute(&mut *tx)
    .await?
    .rows_affected();
    tx.commit().await?;
    Ok(raised)
}

/// What is acknowledged must survive a crash; stronger settings stay as they are.
async fn durable(c: &mut PgConnection) -> sqlx::Result<()> {
    pg::query(
        "SELECT pg_catalog.set_config('synchronous_commit', 'on', true)
          WHERE pg_catalog.current_setting('synchronous_commit') IN ('off', 'local')",
    )
    .execute(c)
    .await
    .map(|_| ())
}

async fn watermarks_hold(database: &Database, snapshot: &Snapshot) -> Result<()> {
    if snapshot.watermarks.is_empty() {
        return Ok(());
    }
    let doing = format!("reading the nonce watermarks back from {database}");
    let read = async {
        let mut tx = database.begin().await?;
        let there = watermarks(&mut tx).await?;
        tx.commit().await?;
        Ok::<_, sqlx::Error>(there)
    };
    let there = read.await.map_err(|e| problem(&doing, &e))?;
    let low = snapshot.watermarks.iter().find(|given| {
        !there.iter().any(|w| {
            (&w.node_name, &w.nonce_scope) == (&given.node_name, &given.nonce_scope)
                && w.reserved_high >= given.reserved_high
        })
    });
    match low {
        None => Ok(()),
        Some(w) => Err(Problem::new(
            Exit::Failed,
            doing,
            format!(
                "node {} and scope {} stand below {}, the top that was given",
                w.node_name.escape_debug(),
                w.nonce_scope.escape_debug(),
                w.reserved_high
            ),
        )
        .next("do not switch: nonces would be used twice")),
    }
}

/// The revocations of `snapshot` that Postgres does not have (at least as long), although their
/// tokens have not expired: token ids and session ids.
pub async fn missing(database: &Database, snapshot: &Snapshot) -> Result<BTreeSet<String>> {
    let doing = format!("comparing the revocations in {database}");
    let mut gone = BTreeSet::new();
    let tokens = snapshot
        .revoked_tokens
        .iter()
        .map(|t| (&*t.token_id, t.expires_at));
    let sessions = snapshot
        .revoked_sessions
        .iter()
        .map(|s| (&*s.session_id, s.expires_at));
    let asked = [
        (TOKENS, tokens.collect::<Vec<_>>()),
        (SESSIONS, sessions.collect()),
    ];
    for (table, given) in asked {
        for batch in given.chunks(BATCH) {
            let ids: Vec<&str> = batch.iter().map(|g| g.0).collect();
            let expiries: Vec<i64> = batch.iter().map(|g| g.1.as_microsecond()).collect();
            let mut tx = database.begin().await.map_err(|e| problem(&doing, &e))?;
            let rows: Vec<String> = pg::query_scalar(AssertSqlSafe(lacking(table)))
                .bind(ids)
                .bind(expiries)
                .fetch_all(&mut *tx)
                .await
                .map_err(|e| problem(&doing, &e))?;
            tx.commit().await.map_err(|e| problem(&doing, &e))?;
            gone.extend(rows);
        }
    }
    Ok(gone)
}

fn lacking(Table { name, id }: Table) -> String {
    format!(
        "SELECT g.id FROM unnest($1::text[], $2::bigint[]) AS g (id, expires)
          WHERE timestamptz 'epoch' + g.expires * interval '1 microsecond' > now()
            AND NOT EXISTS (
                SELECT FROM {name} AS r
                 WHERE r.{id} = g.id
                   AND r.expires_at >= timestamptz 'epoch' + g.expires * interval '1 microsecond')"
    )
}

//! Revocations in Postgres. Every check asks the primary: no cache that could miss a revocation, at
//! the price of asking every time. An operator may choose the other way ([`super::cache`]).

use jiff::Timestamp;
use jiff_sqlx::{Timestamp as SqlTime, ToSqlx as _};
use sqlx::{AssertSqlSafe, PgConnection, Row as _};

use super::asking::Asking;
use super::cache::{Cache, CacheState, Caching};
use super::known::Kind;
use super::{By, Fault, STORE, Status};
use crate::contract::{RevokedSession, RevokedToken};
use crate::pg::{self, Database};
use crate::runtime::{CLOCK_SKEW, Unavailable, bounded, suffer};

/// Rows per statement when many are carried over: short statements, so that a shared connection
/// is soon free again.
const BATCH: usize = 1_000;

/// A table of revocations and its key.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Table {
    pub name: &'static str,
    pub id: &'static str,
}

pub(crate) const TOKENS: Table = Table {
    name: "security.revoked_tokens",
    id: "token_id",
};

pub(crate) const SESSIONS: Table = Table {
    name: "security.revoked_sessions",
    id: "session_id",
};

#[derive(Debug)]
pub struct PostgresRevocations {
    db: Database,
    asking: Asking,
    cache: Option<Cache>,
    fault: Option<Fault>,
}

impl PostgresRevocations {
    pub fn new(db: &Database) -> Self {
        Self {
            db: db.clone(),
            asking: Asking::new(db),
            cache: None,
            fault: None,
        }
    }

    /// With a fault that every check suffers that asks Postgres.
    pub fn with_fault(mut self, fault: Fault) -> Self {
        self.fault = Some(fault);
        self
    }

    /// With everything that is revoked kept in memory. To be called inside a runtime: a task
    /// follows the tables from now on, until this is dropped.
    pub fn cached(mut self, how: Caching) -> Self {
        self.cache = Some(Cache::follow(&self.db, how));
        self
    }

    /// How the cache stands, where there is one.
    pub fn cache_state(&self) -> Option<CacheState> {
        self.cache.as_ref().map(Cache::state)
    }

    pub(super) async fn check(
        &self,
        token_id: &str,
        session_id: &str,
    ) -> Result<Status, Unavailable> {
        let cache = self.cache.as_ref();
        if let Some(status) = cache.and_then(|c| c.check(token_id, session_id)) {
            return Ok(status);
        }
        let ask = async {
            suffer(STORE, self.fault.as_ref()).await?;
            self.asking.ask(token_id, session_id).await
        };
        match ask.await {
            Err(e) => cache.and_then(|c| c.stale(token_id, session_id)).ok_or(e),
            answered => answered,
        }
    }

    pub(super) async fn add(
        &self,
        tokens: &[RevokedToken],
        sessions: &[RevokedSession],
        by: &By,
    ) -> Result<(u64, u64), Unavailable> {
        let mut added = (0, 0);
        for batch in tokens.chunks(BATCH) {
            let columns = Columns::new(batch, |t| {
                (&t.token_id, t.revoked_at, t.expires_at, &t.reason)
            });
            added.0 += bounded(STORE, columns.insert(&self.db, TOKENS, by)).await?;
            for token in batch {
                self.learn(Kind::Token, &token.token_id, token.expires_at);
            }
        }
        for batch in sessions.chunks(BATCH) {
            let columns = Columns::new(batch, |s| {
                (&s.session_id, s.revoked_at, s.expires_at, &s.reason)
            });
            added.1 += bounded(STORE, columns.insert(&self.db, SESSIONS, by)).await?;
            for session in batch {
                self.learn(Kind::Session, &session.session_id, session.expires_at);
            }
        }
        Ok(added)
    }

    /// It is durable: this instance knows it at once.
    fn learn(&self, kind: Kind, id: &str, expires_at: Timestamp) {
        if let Some(cache) = &self.cache {
            cache.learn(kind, id, expires_at);
        }
    }

    pub(super) async fn export(
        &self,
    ) -> Result<(Vec<RevokedToken>, Vec<RevokedSession>), Unavailable> {
        let fail = |e: sqlx::Error| Unavailable::new(STORE, crate::error::Chain(&e));
        let mut tx = bounded(STORE, self.db.begin()).await?;
        let tokens = entries(&mut tx, TOKENS).await.map_err(fail)?;
        let sessions = entries(&mut tx, SESSIONS).await.map_err(fail)?;
        tx.commit().await.map_err(fail)?;
        Ok((
            tokens
                .into_iter()
                .map(|(token_id, revoked_at, expires_at, reason)| RevokedToken {
                    token_id,
                    revoked_at,
                    expires_at,
                    reason,
                })
                .collect(),
            sessions
                .into_iter()
                .map(
                    |(session_id, revoked_at, expires_at, reason)| RevokedSession {
                        session_id,
                        revoked_at,
                        expires_at,
                        reason,
                    },
                )
                .collect(),
        ))
    }
}

// An acknowledged revocation must survive a crash of the server, whatever the role's defaults
// say. The setting lasts until the transaction has committed.
fn insert(Table { name, id }: Table) -> String {
    format!(
        "WITH durable AS ( \
             SELECT set_config('synchronous_commit', \
                 CASE current_setting('synchronous_commit') \
                     WHEN 'remote_apply' THEN 'remote_apply' ELSE 'on' END, true)) \
         INSERT INTO {name} AS r ({id}, revoked_at, expires_at, reason, revoked_by, request_id) \
         SELECT id, revoked_at, expires_at, reason, $5, $6 \
           FROM (SELECT DISTINCT ON (id) * \
                   FROM unnest($1::text[], $2::timestamptz[], $3::timestamptz[], $4::text[]) \
                        AS t(id, revoked_at, expires_at, reason) \
                  ORDER BY id, expires_at DESC) AS given, durable \
         ON CONFLICT ({id}) DO UPDATE SET expires_at = EXCLUDED.expires_at \
             WHERE r.expires_at < EXCLUDED.expires_at \
         RETURNING xmax = 0"
    )
}

type Entry = (String, Timestamp, Timestamp, Option<String>);

/// Entries turned into one array per column.
#[derive(Default)]
struct Columns {
    ids: Vec<String>,
    revoked_at: Vec<SqlTime>,
    expires_at: Vec<SqlTime>,
    reasons: Vec<Option<String>>,
}

impl Columns {
    fn new<T>(
        entries: &[T],
        parts: impl Fn(&T) -> (&String, Timestamp, Timestamp, &Option<String>),
    ) -> Self {
        let mut columns = Columns::default();
        for entry in entries {
            let (id, revoked_at, expires_at, reason) = parts(entry);
            columns.ids.push(id.clone());
            columns.revoked_at.push(revoked_at.to_sqlx());
            columns.expires_at.push(expires_at.to_sqlx());
            columns.reasons.push(reason.clone());
        }
        columns
    }

    /// One statement in a transaction of its own; returns how many were new. (In a row that this
    /// statement inserted, and did not extend, `xmax` is 0.)
    async fn insert(self, db: &Database, table: Table, by: &By) -> Result<u64, sqlx::Error> {
        let mut tx = db.begin().await?;
        let new: Vec<bool> = pg::query_scalar(AssertSqlSafe(insert(table)))
            .bind(self.ids)
            .bind(self.revoked_at)
            .bind(self.expires_at)
            .bind(self.reasons)
            .bind(&by.who)
            .bind(&by.request_id)
            .fetch_all(&mut *tx)
            .await?;
        tx.commit().await?;
        Ok(new.iter().filter(|new| **new).count() as u64)
    }
}

/// What has not expired, with the clock skew that is allowed for.
async fn entries(
    connection: &mut PgConnection,
    Table { name, id }: Table,
) -> Result<Vec<Entry>, sqlx::Error> {
    let sql =
        format!("SELECT {id}, revoked_at, expires_at, reason FROM {name} WHERE expires_at > $1");
    let skew = jiff::SignedDuration::from_secs(CLOCK_SKEW.as_secs() as i64);
    pg::query(AssertSqlSafe(sql))
        .bind((Timestamp::now() - skew).to_sqlx())
        .fetch_all(connection)
        .await?
        .iter()
        .map(|row| {
            Ok((
                row.try_get(0)?,
                row.try_get::<SqlTime, _>(1)?.into(),
                row.try_get::<SqlTime, _>(2)?.into(),
                row.try_get(3)?,
            ))
        })
        .collect()
}

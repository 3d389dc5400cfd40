//! Watermark rows in Postgres. A row and not a sequence: sequence values can be handed out again
//! after a crash or a failover.

use std::fmt;

use sqlx::Row as _;

use super::{LIMIT, NonceError, STORE};
use crate::contract::Watermark;
use crate::pg::{self, Database};
use crate::runtime::{Unavailable, bounded};

pub(super) struct PostgresRows {
    db: Database,
    node: String,
}

impl fmt::Debug for PostgresRows {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PostgresRows({})", self.node)
    }
}

/// What the database knows at the start.
pub(super) struct Seen {
    /// Scope and top of this node.
    pub tops: Vec<(String, i64)>,
    /// System identifier and timeline; none where the role may not read them.
    pub cluster: Option<String>,
}

impl PostgresRows {
    pub fn new(db: &Database, node: &str) -> Self {
        Self {
            db: db.clone(),
            node: node.to_owned(),
        }
    }

    pub async fn look(&self) -> Result<Seen, Unavailable> {
        let query = pg::query_as(
            "SELECT nonce_scope, reserved_high FROM security.nonce_watermarks WHERE node_name = $1",
        )
        .bind(&self.node);
        let tops = async {
            let mut tx = self.db.begin().await?;
            let tops = query.fetch_all(&mut *tx).await?;
            tx.commit().await?;
            Ok(tops)
        };
        let tops = bounded(STORE, tops).await?;
        let identity = pg::query_scalar(
            "SELECT s.system_identifier || '/' || c.timeline_id \
               FROM pg_control_system() s, pg_control_checkpoint() c",
        );
        let identity = async {
            let mut tx = self.db.begin().await?;
            let identity = identity.fetch_one(&mut *tx).await?;
            tx.commit().await?;
            Ok(identity)
        };
        let cluster = match bounded(STORE, identity).await {
            Ok(identity) => Some(identity),
            Err(e) => {
                tracing::warn!(event = "database_identity_unknown", error = %e);
                None
            }
        };
        Ok(Seen { tops, cluster })
    }

    /// Reserves `size` nonces above both the row and `known`, and returns the new top once its
    /// transaction has committed. Any error, a time-out of the commit above all, means burnt.
    pub async fn reserve(&self, scope: &str, known: i64, size: i64) -> Result<i64, NonceError> {
        let reserve = async {
            let mut tx = self.db.begin().await?;
            pg::query("SET LOCAL synchronous_commit = on")
                .execute(&mut *tx)
                .await?;
            let top: Option<i64> = pg::query_scalar(
                "INSERT INTO security.nonce_watermarks AS w \
                        (node_name, nonce_scope, reserved_high, window_size, updated_at) \
                 VALUES ($1, $2, $3 + $4, $4, clock_timestamp()) \
                 ON CONFLICT (node_name, nonce_scope) DO UPDATE \
                    SET reserved_high = GREATEST(w.reserved_high, $3) + $4, \
                        window_size = $4, updated_at = clock_timestamp() \
                  WHERE GREATEST(w.reserved_high, $3) <= $5 - $4 \
                 RETURNING reserved_high",
            )
            .bind(&self.node)
            .bind(scope)
            .bind(known)
            .bind(size)
            .bind(LIMIT)
            .fetch_optional(&mut *tx)
            .await?;
            tx.commit().await?;
            Ok(top)
        };
        bounded(STORE, reserve).await?.ok_or(NonceError::Exhausted)
    }

    /// Raises one row to at least what is given; true when it rose.
    pub async fn raise(&self, to: &Watermark, window: i64) -> Result<bool, Unavailable> {
        let raise = pg::query(
            "WITH durable AS (SELECT set_config('synchronous_commit', 'on', true)) \
             INSERT INTO security.nonce_watermarks AS w \
                    (node_name, nonce_scope, reserved_high, window_size, updated_at) \
             SELECT $1, $2, $3, $4, clock_timestamp() FROM durable \
             ON CONFLICT (node_name, nonce_scope) DO UPDATE \
                SET reserved_high = EXCLUDED.reserved_high, updated_at = clock_timestamp() \
              WHERE w.reserved_high < EXCLUDED.reserved_high",
        )
        .bind(&to.node_name)
        .bind(&to.nonce_scope)
        .bind(to.reserved_high)
        .bind(window);
        let raise = async {
            let mut tx = self.db.begin().await?;
            let done = raise.execute(&mut *tx).await?;
            tx.commit().await?;
            Ok(done)
        };
        let done = bounded(STORE, raise).await?;
        Ok(done.rows_affected() > 0)
    }

    pub async fn all(&self) -> Result<Vec<Watermark>, Unavailable> {
        let query = pg::query(
            "SELECT node_name, nonce_scope, reserved_high, window_size \
               FROM security.nonce_watermarks ORDER BY node_name, nonce_scope",
        );
        let rows = async {
            let mut tx = self.db.begin().await?;
            let rows = query.fetch_all(&mut *tx).await?;
            tx.commit().await?;
            Ok(rows)
        };
        bounded(STORE, rows)
            .await?
            .iter()
            .map(|row| {
                Ok(Watermark {
                    node_name: row.try_get(0)?,
                    nonce_scope: row.try_get(1)?,
                    reserved_high: row.try_get(2)?,
                    window_size: row.try_get(3)?,
                })
            })
            .collect::<Result<_, sqlx::Error>>()
            .map_err(|e| Unavailable::new(STORE, crate::error::Chain(&e)))
    }
}

//! Watermark rows in Postgres. A row and not a sequence: sequence values can be handed out again
//! after a crash or a failover.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::LazyLock;

use sqlx::Row as _;

use super::{Jump, LIMIT, NonceError, STORE};
use crate::contract::Watermark;
use crate::pg::{self, Database, Prepared, literal, replicated};
use crate::runtime::{Unavailable, bounded};

/// Node, scope, the top that the node knows, size, the highest credible top. The sum of the third
/// and the fourth is at most [`LIMIT`]: the caller has looked.
static RESERVE: LazyLock<Prepared> = LazyLock::new(|| {
    Prepared::new(
        "text, text, bigint, bigint, bigint",
        &format!(
            "WITH durable AS (SELECT pg_catalog.set_config('synchronous_commit', 'on', true)) \
             INSERT INTO security.nonce_watermarks AS w \
                    (node_name, nonce_scope, reserved_high, window_size, updated_at) \
             SELECT $1, $2, $3 + $4, $4, pg_catalog.clock_timestamp() FROM durable \
             ON CONFLICT (node_name, nonce_scope) DO UPDATE \
                SET reserved_high = GREATEST(w.reserved_high, $3) + $4, \
                    window_size = $4, updated_at = pg_catalog.clock_timestamp() \
              WHERE w.reserved_high <= $5 AND w.reserved_high <= {LIMIT} - $4 \
             RETURNING reserved_high"
        ),
    )
});

/// See [`crate::runtime::prepare`].
pub(crate) fn prepare(db: &Database) {
    db.prepare(&RESERVE);
}

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

impl Seen {
    /// Logs the scopes of which Postgres has forgotten what the guard file remembers: commits were
    /// lost in a failover, or a backup was restored.
    pub fn tell_what_is_behind(&self, remembered: &BTreeMap<String, i64>) {
        for (scope, high) in &self.tops {
            if let Some(known) = remembered.get(scope).filter(|known| *known > high) {
                tracing::warn!(
                    event = "nonce_watermark_behind",
                    scope,
                    postgres = high,
                    guard_file = known,
                );
            }
        }
    }
}

impl PostgresRows {
    pub fn new(db: &Database, node: &str) -> Self {
        prepare(db);
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
    pub async fn reserve(
        &self,
        scope: &str,
        known: i64,
        size: i64,
        max_jump: i64,
    ) -> Result<i64, NonceError> {
        let (node, name) = (literal(&self.node), literal(scope));
        let credible = known.saturating_add(max_jump);
        let arguments = format!("{node}, {name}, {known}, {size}, {credible}");
        let top = async {
            let rows = replicated(self.db.execute(&RESERVE, &arguments)).await?;
            rows.first().map(|row| row.try_get(0)).transpose()
        };
        if let Some(top) = bounded(STORE, top).await? {
            return Ok(top);
        }
        let mut rows = self.look().await?.tops.into_iter();
        match rows.find(|(of, high)| of == scope && *high > credible) {
            Some((scope, said)) => Err(Jump {
                scope,
                said,
                known,
                most: max_jump,
            }
            .into()),
            None => Err(NonceError::Exhausted),
        }
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
            replicated(tx.commit()).await?;
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

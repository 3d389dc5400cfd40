//! Rows of `security.events` that dbctl writes about keys, in the transaction that they tell of.

use serde_json::Value;
use sqlx::PgConnection;

use crate::error::Result;
use crate::pg::{self, problem};

/// One row. `detail` is an object and holds no secret; the role that the database knows the caller
/// by is added to it.
#[derive(Debug)]
pub(super) struct Event<'a> {
    pub request_id: &'a str,
    /// Such as `key.current`.
    pub kind: &'a str,
    /// The logical key, for what happens to keys.
    pub subject_id: &'a str,
    pub kid: Option<&'a str>,
    pub detail: Value,
}

pub(super) async fn record(tx: &mut PgConnection, event: &Event<'_>) -> Result<()> {
    pg::query(
        "INSERT INTO security.events (created_at, request_id, instance, kind, subject_id, kid, detail) \
         VALUES (clock_timestamp(), $1, 'dbctl', $2, $3, $4, \
                 $5 || jsonb_build_object('role', session_user))",
    )
    .bind(event.request_id)
    .bind(event.kind)
    .bind(event.subject_id)
    .bind(event.kid)
    .bind(&event.detail)
    .execute(tx)
    .await
    .map(|_| ())
    .map_err(|e| problem("recording what happened to a key", &e))
}

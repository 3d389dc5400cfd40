//! Rows of `security.events` that dbctl writes about keys, in the transaction that they tell of.

use serde_json::{Value, json};
use sqlx::PgConnection;

use crate::error::Result;
use crate::pg::{self, problem};

/// Who does it, for `security.events`.
#[derive(Debug, Clone)]
pub struct By {
    /// Such as `kim@bastion`.
    pub who: String,
    /// Ties together what one command does.
    pub request_id: String,
    pub reason: Option<String>,
}

impl By {
    /// `who`, in a command of its own.
    pub fn new(who: impl ToString, reason: Option<String>) -> Self {
        Self {
            who: who.to_string(),
            request_id: uuid::Uuid::now_v7().to_string(),
            reason,
        }
    }
}

/// One row. `detail` is an object and holds no secret; who and why are added to it, and the role
/// that the database knows the caller by.
#[derive(Debug)]
pub(super) struct Event<'a> {
    /// Such as `key.current`.
    pub kind: &'a str,
    /// The logical key, for what happens to keys.
    pub subject_id: &'a str,
    pub kid: Option<&'a str>,
    pub detail: Value,
}

pub(super) async fn record(tx: &mut PgConnection, by: &By, event: Event<'_>) -> Result<()> {
    let mut detail = event.detail;
    detail["who"] = json!(by.who);
    if let Some(reason) = &by.reason {
        detail["reason"] = json!(reason);
    }
    pg::query(
        "INSERT INTO security.events (created_at, request_id, instance, kind, subject_id, kid, detail) \
         VALUES (clock_timestamp(), $1, 'dbctl', $2, $3, $4, \
                 $5 || jsonb_build_object('role', session_user))",
    )
    .bind(&by.request_id)
    .bind(event.kind)
    .bind(event.subject_id)
    .bind(event.kid)
    .bind(detail)
    .execute(tx)
    .await
    .map(|_| ())
    .map_err(|e| problem("recording what happened to a key", &e))
}

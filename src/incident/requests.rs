//! Requests that failed: those that the decision log denied, and those that checks, gates and
//! logs named.

use std::collections::BTreeSet;

use jiff::Timestamp;
use jiff_sqlx::{Timestamp as SqlTime, ToSqlx as _};
use serde::Serialize;
use serde_json::Value;

use super::Period;
use crate::check::CheckResult;
use crate::check::queries;
use crate::error::Result;
use crate::pg::{self, Database, problem};
use crate::rollout::journal::Entry;
use crate::rollout::report::failed_requests;

/// So many denied requests are kept, the newest.
pub const MOST: i64 = 100_000;

const WITHIN: std::time::Duration = std::time::Duration::from_secs(60);

/// A decision that denied a request.
#[derive(Debug, Clone, Serialize)]
pub struct Denied {
    pub created_at: Timestamp,
    pub request_id: String,
    pub subject: String,
    pub action: String,
    pub reason_code: String,
    pub kid: Option<String>,
    pub instance: String,
}

/// A request that failed, and who says so.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Failed {
    pub request_id: String,
    /// `decision`, `run RUN`, `log TARGET`.
    pub source: String,
    pub what: String,
}

/// What was denied in `period`, the newest [`MOST`] of it, in order; and how many there were.
///
/// # Errors
/// Unreachable, a privilege that is missing, or longer than a minute.
pub async fn denied(database: &Database, period: Period) -> Result<(Vec<Denied>, i64)> {
    let doing = format!("reading denied requests from {database}");
    let fail = |e: sqlx::Error| problem(&doing, &e);
    let mut tx = queries::begin(database, WITHIN).await.map_err(fail)?;
    let (since, until) = (period.since.to_sqlx(), period.until.to_sqlx());
    let all: i64 = pg::query_scalar(
        "SELECT count(*) FROM authz.policy_decisions \
          WHERE NOT allow AND created_at >= $1 AND created_at <= $2",
    )
    .bind(since)
    .bind(until)
    .fetch_one(&mut *tx)
    .await
    .map_err(fail)?;
    type Row = (
        SqlTime,
        String,
        String,
        String,
        String,
        Option<String>,
        String,
    );
    let rows: Vec<Row> = pg::query_as(
        "SELECT created_at, request_id, subject, action, reason_code, kid, instance \
           FROM authz.policy_decisions \
          WHERE NOT allow AND created_at >= $1 AND created_at <= $2 \
          ORDER BY created_at DESC, request_id LIMIT $3",
    )
    .bind(since)
    .bind(until)
    .bind(MOST)
    .fetch_all(&mut *tx)
    .await
    .map_err(fail)?;
    tx.commit().await.map_err(fail)?;
    let denied = rows.into_iter().rev().map(
        |(at, request_id, subject, action, reason_code, kid, instance)| Denied {
            created_at: at.into(),
            request_id,
            subject,
            action,
            reason_code,
            kid,
            instance,
        },
    );
    Ok((denied.collect(), all))
}

/// The requests that the evidence of a run names as failed.
pub fn of_run(entries: &[Entry]) -> BTreeSet<Failed> {
    let mut found = BTreeSet::new();
    for entry in entries {
        let Ok(body) = serde_json::from_str::<Value>(&entry.body) else {
            continue;
        };
        let source = format!("run {}", entry.record.run);
        let mut add = |of: Vec<(String, String)>| {
            found.extend(of.into_iter().map(|(request_id, what)| Failed {
                request_id,
                source: source.clone(),
                what: format!("event {}: {what}", entry.record.seq),
            }));
        };
        let mut checks = Vec::new();
        checks_in(&body, &mut checks);
        add(failed_requests(&checks, &Value::Null));
        add(failed_requests(&[], &body));
    }
    found
}

/// Every list of results of checks, wherever it stands.
fn checks_in(value: &Value, found: &mut Vec<CheckResult>) {
    match value {
        Value::Array(all) => match serde_json::from_value::<Vec<CheckResult>>(value.clone()) {
            Ok(checks) => found.extend(checks),
            Err(_) => all.iter().for_each(|inner| checks_in(inner, found)),
        },
        Value::Object(all) => all.values().for_each(|inner| checks_in(inner, found)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

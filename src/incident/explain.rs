//! Why a request was allowed or denied: from the request to the decision, the key version, the
//! revocation and the event that they came from.

mod follow;

use jiff::Timestamp;
use jiff_sqlx::Timestamp as SqlTime;
use serde::Serialize;
use serde_json::Value;
use sqlx::postgres::PgRow;
use sqlx::{PgConnection, Row as _};

use crate::check::queries;
use crate::error::Result;
use crate::pg::{self, Database, problem};
use crate::runtime::decisions::IdKey;

const WITHIN: std::time::Duration = std::time::Duration::from_secs(30);

/// Everything that is recorded about a request.
#[derive(Debug, Clone, Serialize)]
pub struct Explanation {
    pub request_id: String,
    /// The decisions, in order; none where the request is not in the decision log.
    pub decisions: Vec<Decision>,
    /// What the request did beside.
    pub events: Vec<Happened>,
}

/// A decision with what it was based on, as far as it is still known.
#[derive(Debug, Clone, Serialize)]
pub struct Decision {
    pub at: Timestamp,
    pub instance: String,
    /// Empty where the token did not say.
    pub subject: String,
    pub action: String,
    pub resource: Option<String>,
    pub allow: bool,
    pub reason_code: String,
    /// The key id of the token, where it came to a key.
    pub kid: Option<String>,
    /// None where no key version here has that kid.
    pub key: Option<Key>,
    pub token: Option<Thing>,
    pub session: Option<Thing>,
    /// In plain words: why.
    pub why: String,
    /// What does not fit together: it should not have been decided so, or the record of why is gone.
    pub odd: Vec<String>,
}

/// A key version, as it is now.
#[derive(Debug, Clone, Serialize)]
pub struct Key {
    pub key_id: String,
    pub version: i32,
    pub state: String,
    pub valid_from: Timestamp,
    pub valid_until: Option<Timestamp>,
}

/// A token or a session.
#[derive(Debug, Clone, Serialize)]
pub struct Thing {
    /// As the decision has it: a keyed hash where the service hides ids.
    pub id: String,
    /// When it was issued, by the event of its issue.
    pub issued: Option<Happened>,
    pub revoked: Option<Revoked>,
    /// The event of its revocation.
    pub revoked_by_event: Option<Happened>,
    /// Why its revocation could not be looked for, where the id is hidden.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub not_followed: Option<String>,
}

/// A row of `security.revoked_tokens` or `revoked_sessions`.
#[derive(Debug, Clone, Serialize)]
pub struct Revoked {
    pub at: Timestamp,
    pub until: Timestamp,
    pub reason: Option<String>,
    pub by: Option<String>,
    pub request_id: Option<String>,
}

/// A row of `security.events`.
#[derive(Debug, Clone, Serialize)]
pub struct Happened {
    pub at: Timestamp,
    pub instance: String,
    pub request_id: String,
    pub kind: String,
    pub subject_id: Option<String>,
    pub kid: Option<String>,
    pub detail: Value,
}

impl Explanation {
    pub fn is_empty(&self) -> bool {
        self.decisions.is_empty() && self.events.is_empty()
    }

    /// Whether something does not fit together.
    pub fn is_odd(&self) -> bool {
        self.decisions.iter().any(|d| !d.odd.is_empty())
    }
}

/// Reads all of it in one read-only transaction. With `key` hidden ids are followed too.
///
/// # Errors
/// Unreachable, or a privilege that is missing (`security_auditor` has all that it takes).
pub async fn explain(
    database: &Database,
    request_id: &str,
    key: Option<&IdKey>,
) -> Result<Explanation> {
    let doing = format!("looking for the request in {database}");
    let read = async {
        let mut tx = queries::begin(database, WITHIN).await?;
        let mut decisions = decisions(&mut tx, request_id).await?;
        follow::follow(&mut tx, &mut decisions, key).await?;
        for decision in &mut decisions {
            let (why, odd) = super::words::why(decision);
            decision.why = why;
            decision.odd = odd;
        }
        let events = of_request(&mut tx, request_id).await?;
        tx.commit().await?;
        Ok::<_, sqlx::Error>((decisions, events))
    };
    let (decisions, events) = read.await.map_err(|e| problem(&doing, &e))?;
    Ok(Explanation {
        request_id: request_id.to_owned(),
        decisions,
        events,
    })
}

async fn decisions(tx: &mut PgConnection, request_id: &str) -> sqlx::Result<Vec<Decision>> {
    // The view has the joins; what is beyond it is looked up for each.
    let rows = pg::query(
        "SELECT t.created_at, t.instance, t.subject, t.action, t.resource, t.allow, t.reason_code, \
                t.kid, t.key_id, t.key_version, t.key_state, t.token_id, t.session_id, \
                v.valid_from, v.valid_until \
           FROM authz.request_trace t \
           LEFT JOIN security.signing_key_versions v ON v.key_id = t.key_id AND v.version = t.key_version \
          WHERE t.request_id = $1 AND t.kind = 'decision' ORDER BY t.created_at LIMIT 1000",
    )
    .bind(request_id)
    .fetch_all(tx)
    .await?;
    let thing = |id: Option<String>| {
        id.map(|id| Thing {
            id,
            issued: None,
            revoked: None,
            revoked_by_event: None,
            not_followed: None,
        })
    };
    rows.iter()
        .map(|row| {
            let key_id: Option<String> = row.try_get("key_id")?;
            let key = match key_id {
                None => None,
                Some(key_id) => Some(Key {
                    key_id,
                    version: row.try_get("key_version")?,
                    state: row.try_get("key_state")?,
                    valid_from: row.try_get::<SqlTime, _>("valid_from")?.into(),
                    valid_until: row
                        .try_get::<Option<SqlTime>, _>("valid_until")?
                        .map(Timestamp::from),
                }),
            };
            Ok(Decision {
                at: row.try_get::<SqlTime, _>("created_at")?.into(),
                instance: row.try_get("instance")?,
                subject: row
                    .try_get::<Option<String>, _>("subject")?
                    .unwrap_or_default(),
                action: row.try_get("action")?,
                resource: row.try_get("resource")?,
                allow: row.try_get("allow")?,
                reason_code: row.try_get("reason_code")?,
                kid: row.try_get("kid")?,
                key,
                token: thing(row.try_get("token_id")?),
                session: thing(row.try_get("session_id")?),
                why: String::new(),
                odd: Vec::new(),
            })
        })
        .collect()
}

async fn of_request(tx: &mut PgConnection, request_id: &str) -> sqlx::Result<Vec<Happened>> {
    let rows = pg::query(
        "SELECT created_at, instance, request_id, kind, subject_id, kid, detail FROM security.events \
          WHERE request_id = $1 ORDER BY created_at LIMIT 1000",
    )
    .bind(request_id)
    .fetch_all(tx)
    .await?;
    rows.iter().map(happened).collect()
}

fn happened(row: &PgRow) -> sqlx::Result<Happened> {
    Ok(Happened {
        at: row.try_get::<SqlTime, _>("created_at")?.into(),
        instance: row.try_get("instance")?,
        request_id: row.try_get("request_id")?,
        kind: row.try_get("kind")?,
        subject_id: row.try_get("subject_id")?,
        kid: row.try_get("kid")?,
        detail: row.try_get("detail")?,
    })
}

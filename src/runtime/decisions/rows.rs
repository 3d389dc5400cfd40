//! Records as rows: one statement for each table, and both in one transaction.

use jiff::Timestamp;
use jiff_sqlx::{Timestamp as SqlTime, ToSqlx as _};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

use crate::pg::{self, Database};
use crate::runtime::STORE_TIMEOUT;

/// A record with its own id, by which it is stored once, however often it is sent.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Record {
    Decision(Decision),
    Event(Event),
}

/// A row of `authz.policy_decisions`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Decision {
    pub id: Uuid,
    pub at: Timestamp,
    pub request_id: String,
    pub subject: String,
    pub action: String,
    pub resource: Option<String>,
    pub allow: bool,
    pub reason_code: String,
    pub kid: Option<String>,
    pub token_id: Option<String>,
    pub session_id: Option<String>,
}

/// A row of `security.events`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Event {
    pub id: Uuid,
    pub at: Timestamp,
    pub request_id: String,
    pub kind: String,
    pub subject_id: Option<String>,
    pub kid: Option<String>,
    pub detail: Value,
}

/// Why records were not stored.
#[derive(Debug)]
pub(super) enum NotStored {
    /// One of them is not what the table takes. Trying it again is of no use.
    Refused(String),
    /// Postgres did not take them, or did not say so in time: they may be there.
    Unavailable(String),
}

impl std::fmt::Display for NotStored {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (NotStored::Refused(why) | NotStored::Unavailable(why)) = self;
        f.write_str(why)
    }
}

impl From<sqlx::Error> for NotStored {
    fn from(e: sqlx::Error) -> Self {
        let code = e.as_database_error().and_then(|e| e.code());
        // Class 22: a value that cannot be; class 23: a constraint.
        let refused = code.is_some_and(|code| code.starts_with("22") || code.starts_with("23"));
        let why = crate::error::Chain(&e).to_string();
        match refused {
            true => NotStored::Refused(why),
            false => NotStored::Unavailable(why),
        }
    }
}

/// Stores all of them or none, durably, within [`STORE_TIMEOUT`].
pub(super) async fn store(
    db: &Database,
    instance: &str,
    records: &[Record],
) -> Result<(), NotStored> {
    let (decisions, events) = columns(records);
    let work = async {
        let mut tx = db.begin().await?;
        pg::query(
            "SELECT set_config('synchronous_commit', 'on', true) \
              WHERE current_setting('synchronous_commit') IN ('off', 'local')",
        )
        .execute(&mut *tx)
        .await?;
        if !decisions.at.is_empty() {
            decisions.insert(&mut tx, instance).await?;
        }
        if !events.at.is_empty() {
            events.insert(&mut tx, instance).await?;
        }
        tx.commit().await
    };
    match tokio::time::timeout(STORE_TIMEOUT, work).await {
        Ok(done) => done.map_err(NotStored::from),
        Err(_) => Err(NotStored::Unavailable(format!(
            "no answer in {} ms",
            STORE_TIMEOUT.as_millis()
        ))),
    }
}

#[derive(Default)]
struct Decisions {
    id: Vec<Uuid>,
    at: Vec<SqlTime>,
    request_id: Vec<String>,
    subject: Vec<String>,
    action: Vec<String>,
    resource: Vec<Option<String>>,
    allow: Vec<bool>,
    reason_code: Vec<String>,
    kid: Vec<Option<String>>,
    token_id: Vec<Option<String>>,
    session_id: Vec<Option<String>>,
}

#[derive(Default)]
struct Events {
    id: Vec<Uuid>,
    at: Vec<SqlTime>,
    request_id: Vec<String>,
    kind: Vec<String>,
    subject_id: Vec<Option<String>>,
    kid: Vec<Option<String>>,
    detail: Vec<Value>,
}

fn columns(records: &[Record]) -> (Decisions, Events) {
    let (mut d, mut e) = (Decisions::default(), Events::default());
    for record in records {
        match record {
            Record::Decision(x) => {
                d.id.push(x.id);
                d.at.push(x.at.to_sqlx());
                d.request_id.push(clean(&x.request_id));
                d.subject.push(clean(&x.subject));
                d.action.push(clean(&x.action));
                d.resource.push(x.resource.as_deref().map(clean));
                d.allow.push(x.allow);
                d.reason_code.push(clean(&x.reason_code));
                d.kid.push(x.kid.as_deref().map(clean));
                d.token_id.push(x.token_id.as_deref().map(clean));
                d.session_id.push(x.session_id.as_deref().map(clean));
            }
            Record::Event(x) => {
                e.id.push(x.id);
                e.at.push(x.at.to_sqlx());
                e.request_id.push(clean(&x.request_id));
                e.kind.push(clean(&x.kind));
                e.subject_id.push(x.subject_id.as_deref().map(clean));
                e.kid.push(x.kid.as_deref().map(clean));
                e.detail.push(x.detail.clone());
            }
        }
    }
    (d, e)
}

/// Postgres text cannot hold NUL, and one bad record must not cost the whole batch.
fn clean(text: &str) -> String {
    text.replace('\0', "\u{fffd}")
}

impl Decisions {
    async fn insert(&self, tx: &mut sqlx::PgConnection, instance: &str) -> sqlx::Result<()> {
        pg::query(
            "INSERT INTO authz.policy_decisions \
                    (created_at, request_id, subject, action, resource, allow, reason_code, \
                     kid, token_id, session_id, decision_id, instance) \
             SELECT t.*, $12 FROM unnest($1::timestamptz[], $2::text[], $3::text[], $4::text[], \
                    $5::text[], $6::boolean[], $7::text[], $8::text[], $9::text[], $10::text[], \
                    $11::text[]::uuid[]) t \
             ON CONFLICT DO NOTHING",
        )
        .bind(&self.at)
        .bind(&self.request_id)
        .bind(&self.subject)
        .bind(&self.action)
        .bind(&self.resource)
        .bind(&self.allow)
        .bind(&self.reason_code)
        .bind(&self.kid)
        .bind(&self.token_id)
        .bind(&self.session_id)
        .bind(texts(&self.id))
        .bind(instance)
        .execute(tx)
        .await
        .map(|_| ())
    }
}

impl Events {
    async fn insert(&self, tx: &mut sqlx::PgConnection, instance: &str) -> sqlx::Result<()> {
        pg::query(
            "INSERT INTO security.events \
                    (created_at, request_id, kind, subject_id, kid, detail, event_id, instance) \
             SELECT t.*, $8 FROM unnest($1::timestamptz[], $2::text[], $3::text[], $4::text[], \
                    $5::text[], $6::jsonb[], $7::text[]::uuid[]) t \
             ON CONFLICT DO NOTHING",
        )
        .bind(&self.at)
        .bind(&self.request_id)
        .bind(&self.kind)
        .bind(&self.subject_id)
        .bind(&self.kid)
        .bind(&self.detail)
        .bind(texts(&self.id))
        .bind(instance)
        .execute(tx)
        .await
        .map(|_| ())
    }
}

fn texts(ids: &[Uuid]) -> Vec<String> {
    ids.iter().map(Uuid::to_string).collect()
}

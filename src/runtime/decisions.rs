//! The decision log: why requests were allowed or denied (`authz.policy_decisions`), and what
//! happened to the security state (`security.events`).
//!
//! # Policy
//!
//! Recording is best effort and never in the way of a request: a request is answered whether or
//! not its record could be kept, and a revocation above all does not wait for it. (What must not
//! be lost, the revocation itself, is a row of its own that is committed before the answer.)
//! Records wait in a bounded queue; a writer stores them in batches, at most [`FLUSH`] later,
//! with one statement per table. A batch that Postgres refuses is tried again for
//! [`GIVE_UP`]; records have their own ids, so that a batch whose answer was lost is not stored
//! twice. Whatever is lost, because the queue is full or the store stays away, is counted
//! in [`DecisionLog::lost`] and told in the service's own log. Shutting down drains the queue.
//!
//! Without Postgres there is no log: records go nowhere.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use jiff::Timestamp;
use jiff_sqlx::{Timestamp as SqlTime, ToSqlx as _};
use serde_json::Value;
use sqlx::postgres::{PgArguments, Postgres};
use sqlx::query::Query;
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::{Unavailable, bounded};
use crate::pg::{self, Database};

const STORE: &str = "the decision log";

/// The longest that a record waits for others before it is stored.
pub const FLUSH: Duration = Duration::from_millis(100);

/// How long storing a batch is tried.
pub const GIVE_UP: Duration = Duration::from_secs(5);

/// How long a shutdown waits for what is still to be stored: a rollback, with Postgres gone,
/// waits for the shutdown.
pub const LAST_CHANCE: Duration = Duration::from_millis(500);

/// How many records may wait.
const QUEUE: usize = 20_000;

/// How many are stored at once.
const BATCH: usize = 500;

/// One decision, a row of `authz.policy_decisions`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decided {
    pub at: Timestamp,
    pub request_id: String,
    /// Who wanted it; empty when the token did not say.
    pub subject: String,
    pub action: &'static str,
    pub resource: Option<String>,
    pub allow: bool,
    pub reason_code: String,
    pub kid: Option<String>,
    pub token_id: Option<String>,
    pub session_id: Option<String>,
}

/// One event, a row of `security.events`.
#[derive(Debug, Clone, PartialEq)]
pub struct Happened {
    pub at: Timestamp,
    pub request_id: String,
    /// Such as `token.issued`.
    pub kind: &'static str,
    /// What it happened to.
    pub subject_id: Option<String>,
    pub kid: Option<String>,
    /// An object; never a secret.
    pub detail: Value,
}

#[derive(Debug)]
enum Record {
    Decided(Decided),
    Happened(Happened),
}

/// Where decisions and events go.
#[derive(Debug)]
pub struct DecisionLog {
    /// None where nothing is kept, or once it is closed.
    queue: RwLock<Option<mpsc::Sender<Record>>>,
    writer: Mutex<Option<tokio::task::JoinHandle<()>>>,
    lost: Arc<AtomicU64>,
    /// Tells the writer that a shutdown waits no longer.
    hurry: CancellationToken,
}

impl DecisionLog {
    /// Keeps nothing.
    pub fn nowhere() -> Self {
        Self {
            queue: RwLock::default(),
            writer: Mutex::default(),
            lost: Arc::default(),
            hurry: CancellationToken::new(),
        }
    }

    /// Keeps records in Postgres under the name of `instance`.
    pub fn postgres(db: &Database, instance: &str) -> Self {
        let (queue, records) = mpsc::channel(QUEUE);
        let lost = Arc::<AtomicU64>::default();
        let hurry = CancellationToken::new();
        let writer = Writer {
            db: db.clone(),
            instance: instance.to_owned(),
            lost: Arc::clone(&lost),
            hurry: hurry.clone(),
        };
        Self {
            queue: RwLock::new(Some(queue)),
            writer: Mutex::new(Some(tokio::spawn(writer.run(records)))),
            lost,
            hurry,
        }
    }

    pub fn decided(&self, decided: Decided) {
        self.push(Record::Decided(decided));
    }

    pub fn happened(&self, happened: Happened) {
        self.push(Record::Happened(happened));
    }

    fn push(&self, record: Record) {
        let queue = self.queue.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(queue) = &*queue
            && queue.try_send(record).is_err()
        {
            self.lost.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// How many records were lost since the start.
    pub fn lost(&self) -> u64 {
        self.lost.load(Ordering::Relaxed)
    }

    /// Stores what still waits, as far as the store takes it in time, and ends the writer.
    pub async fn close(&self) {
        drop(
            self.queue
                .write()
                .unwrap_or_else(PoisonError::into_inner)
                .take(),
        );
        let writer = self
            .writer
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        if let Some(mut writer) = writer
            && tokio::time::timeout(LAST_CHANCE, &mut writer)
                .await
                .is_err()
        {
            self.hurry.cancel();
            let _ = writer.await;
        }
    }
}

struct Writer {
    db: Database,
    instance: String,
    lost: Arc<AtomicU64>,
    hurry: CancellationToken,
}

impl Writer {
    async fn run(self, mut records: mpsc::Receiver<Record>) {
        let mut batch = Vec::with_capacity(BATCH);
        loop {
            if records.recv_many(&mut batch, BATCH).await == 0 {
                return;
            }
            let flush_at = Instant::now() + FLUSH;
            while batch.len() < BATCH {
                let room = BATCH - batch.len();
                let more = records.recv_many(&mut batch, room);
                match tokio::time::timeout_at(flush_at, more).await {
                    Ok(0) | Err(_) => break,
                    Ok(_) => {}
                }
            }
            let (decisions, events) = columns(std::mem::take(&mut batch));
            self.store(decisions).await;
            self.store(events).await;
        }
    }

    async fn store<C: Columns>(&self, columns: C) {
        let rows = columns.len();
        if rows == 0 {
            return;
        }
        let stored = tokio::select! {
            stored = self.insist(&columns) => stored,
            () = self.hurry.cancelled() => Err(Unavailable::new(STORE, "the service stops")),
        };
        if let Err(error) = stored {
            self.lost.fetch_add(rows as u64, Ordering::Relaxed);
            tracing::error!(event = "decision_log_lost", rows, error = %error);
        }
    }

    /// Tries for [`GIVE_UP`].
    async fn insist<C: Columns>(&self, columns: &C) -> Result<(), Unavailable> {
        let give_up_at = Instant::now() + GIVE_UP;
        let mut wait = Duration::from_millis(50);
        loop {
            match columns.insert(&self.db, &self.instance).await {
                Err(_) if Instant::now() + wait <= give_up_at => {}
                done => return done,
            }
            tokio::time::sleep(wait).await;
            wait *= 2;
        }
    }
}

/// Records of one table, turned into one array per column.
trait Columns: Send + Sync {
    fn len(&self) -> usize;

    /// Stores all of them with one statement, or none.
    fn insert(
        &self,
        db: &Database,
        instance: &str,
    ) -> impl Future<Output = Result<(), Unavailable>> + Send;
}

#[derive(Default)]
struct Decisions {
    id: Vec<String>,
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
    id: Vec<String>,
    at: Vec<SqlTime>,
    request_id: Vec<String>,
    kind: Vec<String>,
    subject_id: Vec<Option<String>>,
    kid: Vec<Option<String>>,
    detail: Vec<Value>,
}

fn columns(batch: Vec<Record>) -> (Decisions, Events) {
    let (mut d, mut e) = (Decisions::default(), Events::default());
    for record in batch {
        match record {
            Record::Decided(x) => {
                d.id.push(uuid::Uuid::now_v7().to_string());
                d.at.push(x.at.to_sqlx());
                d.request_id.push(clean(x.request_id));
                d.subject.push(clean(x.subject));
                d.action.push(x.action.to_owned());
                d.resource.push(x.resource.map(clean));
                d.allow.push(x.allow);
                d.reason_code.push(clean(x.reason_code));
                d.kid.push(x.kid.map(clean));
                d.token_id.push(x.token_id.map(clean));
                d.session_id.push(x.session_id.map(clean));
            }
            Record::Happened(x) => {
                e.id.push(uuid::Uuid::now_v7().to_string());
                e.at.push(x.at.to_sqlx());
                e.request_id.push(clean(x.request_id));
                e.kind.push(x.kind.to_owned());
                e.subject_id.push(x.subject_id.map(clean));
                e.kid.push(x.kid.map(clean));
                e.detail.push(x.detail);
            }
        }
    }
    (d, e)
}

/// Postgres text cannot hold NUL, and one bad record must not cost the whole batch.
fn clean(text: String) -> String {
    match text.contains('\0') {
        true => text.replace('\0', "\u{fffd}"),
        false => text,
    }
}

async fn run(db: &Database, insert: Query<'_, Postgres, PgArguments>) -> Result<(), Unavailable> {
    let insert = async {
        let mut tx = db.begin().await?;
        insert.execute(&mut *tx).await?;
        tx.commit().await
    };
    bounded(STORE, insert).await
}

impl Columns for Decisions {
    fn len(&self) -> usize {
        self.at.len()
    }

    async fn insert(&self, db: &Database, instance: &str) -> Result<(), Unavailable> {
        let insert = pg::query(
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
        .bind(&self.id)
        .bind(instance);
        run(db, insert).await
    }
}

impl Columns for Events {
    fn len(&self) -> usize {
        self.at.len()
    }

    async fn insert(&self, db: &Database, instance: &str) -> Result<(), Unavailable> {
        let insert = pg::query(
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
        .bind(&self.id)
        .bind(instance);
        run(db, insert).await
    }
}

//! The decision log: why requests were allowed or denied (`authz.policy_decisions`), and what
//! happened to the security state (`security.events`).
//!
//! # Policy
//!
//! An operator chooses what happens when Postgres does not take a record ([`Policy`]):
//!
//! - [`Policy::Spool`], the default: the request is answered, and the record waits in a local file
//!   that survives a crash. Once Postgres is there again the file is sent, in order; a record has
//!   an id of its own, so that none is stored twice however often it is sent. Nobody is locked out
//!   because of a log. A record is in Postgres or on disk within [`FLUSH`] and one write; what a
//!   kill -9 catches before that is lost.
//! - [`Policy::FailClosed`]: nobody is allowed anything without a committed record of it. An answer
//!   that allows waits for its record, and is a denial ("cannot say") where there is none after
//!   [`STORE_TIMEOUT`](super::STORE_TIMEOUT). What denies, and what happened (a revocation above
//!   all), does not wait and goes by the spool: neither must be kept from anybody by a log.
//!
//! Records that nobody waits for go through a queue of 20,000; a writer stores them in batches. A
//! queue that is half full counts as a Postgres that is too slow, and the spool takes over. What
//! does not fit into the queue, or into a spool that has reached its size, is lost: it is counted in
//! [`DecisionLog::lost`] and told in the service's own log. Shutting down stores or spools all.
//!
//! Without Postgres there is no log: records go nowhere, and a spool of before waits.

mod hidden;
pub mod months;
mod rows;
mod spool;
mod writer;

use std::path::Path;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use jiff::Timestamp;
use serde_json::Value;
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::{STORE_TIMEOUT, Unavailable};
use crate::error::{Doing as _, Exit, Result};
use crate::pg::Database;

use rows::Record;
use spool::Spool;
use writer::{Awaited, Counts, Writer, store_awaited};

pub use hidden::{IdKey, is_hidden};
pub use spool::SPOOL_FILE;

const STORE: &str = "the decision log";

/// The longest that a record waits for others before it is stored.
pub const FLUSH: Duration = Duration::from_millis(100);

/// How long a shutdown waits for Postgres to take what is still to be stored; then the spool gets
/// it. A rollback, with Postgres gone, waits for the shutdown.
pub const LAST_CHANCE: Duration = Duration::from_millis(500);

/// How many records may wait.
const QUEUE: usize = 20_000;

/// How many are stored at once.
const BATCH: usize = 500;

/// How many months have their partitions before they begin.
const MONTHS_AHEAD: u8 = 3;

/// What happens when Postgres does not take a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Policy {
    #[default]
    Spool,
    FailClosed,
}

/// How a decision log is kept.
#[derive(Debug, Clone)]
pub struct Keeping<'a> {
    /// Under whose name.
    pub instance: &'a str,
    /// The folder that the spool lies in.
    pub state_dir: &'a Path,
    pub policy: Policy,
    /// How large the spool may become.
    pub spool_max_bytes: u64,
    /// With it, ids of tokens and sessions are stored as their HMAC-SHA-256 under this key: who
    /// reads the log cannot tell them, nor try out those that can be guessed, and who has the key
    /// can look for one.
    pub id_key: Option<IdKey>,
}

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

/// Where decisions and events go.
#[derive(Debug)]
pub struct DecisionLog {
    /// None where nothing is kept, or once it is closed.
    open: RwLock<Option<Open>>,
    tasks: Mutex<Vec<tokio::task::JoinHandle<()>>>,
    counts: Arc<Counts>,
    /// Tells the writer that a shutdown waits no longer.
    hurry: CancellationToken,
    /// Ends what looks after the partitions.
    closing: CancellationToken,
    id_key: Option<IdKey>,
}

#[derive(Debug)]
struct Open {
    queue: mpsc::Sender<Record>,
    /// Where nothing is allowed without a record.
    awaited: Option<mpsc::Sender<Awaited>>,
}

impl DecisionLog {
    /// Keeps nothing.
    pub fn nowhere() -> Self {
        Self {
            open: RwLock::default(),
            tasks: Mutex::default(),
            counts: Arc::default(),
            hurry: CancellationToken::new(),
            closing: CancellationToken::new(),
            id_key: None,
        }
    }

    /// Keeps records in Postgres. To be called inside a runtime, by one process at a time for a
    /// state directory. A spool that is there is sent first.
    ///
    /// # Errors
    /// The spool cannot be opened.
    pub fn postgres(db: &Database, how: &Keeping<'_>) -> Result<Self> {
        let doing = format!("opening {}", how.state_dir.join(SPOOL_FILE).display());
        let spool = Spool::open(how.state_dir, how.spool_max_bytes).doing(Exit::Config, doing)?;
        if spool.waiting() > 0 {
            tracing::info!(event = "decision_spool_waits", records = spool.waiting());
        }
        let counts = Arc::<Counts>::default();
        let hurry = CancellationToken::new();
        let (queue, records) = mpsc::channel(QUEUE);
        let writer = Writer::new(db, how.instance, spool, &counts, &hurry);
        let closing = CancellationToken::new();
        let months = closing
            .clone()
            .run_until_cancelled_owned(make_months(db.clone()));
        let mut tasks = vec![tokio::spawn(writer.run(records))];
        tasks.push(tokio::spawn(async { months.await.unwrap_or_default() }));
        let awaited = match how.policy {
            Policy::Spool => None,
            Policy::FailClosed => {
                let (awaited, waiting) = mpsc::channel(QUEUE);
                let storing = store_awaited(db.clone(), how.instance.to_owned(), waiting);
                tasks.push(tokio::spawn(storing));
                Some(awaited)
            }
        };
        Ok(Self {
            open: RwLock::new(Some(Open { queue, awaited })),
            tasks: Mutex::new(tasks),
            counts,
            hurry,
            closing,
            id_key: how.id_key.clone(),
        })
    }

    /// Records a decision before it is told. Returns at once, but for one that allows where
    /// nothing is allowed without a record.
    ///
    /// # Errors
    /// It is not recorded and the request must be denied ([`Policy::FailClosed`] only). It may be
    /// recorded all the same where Postgres did not say what became of it.
    pub async fn decided(&self, decided: Decided) -> Result<(), Unavailable> {
        let allow = decided.allow;
        let record = self.decision(decided);
        let awaited = {
            let open = self.open.read().unwrap_or_else(PoisonError::into_inner);
            open.as_ref().and_then(|open| open.awaited.clone())
        };
        let Some(awaited) = awaited.filter(|_| allow) else {
            self.push(record);
            return Ok(());
        };
        let (told, stored) = oneshot::channel();
        if awaited.try_send((record, told)).is_err() {
            return Err(Unavailable::new(STORE, "too many records wait for it"));
        }
        drop(awaited);
        match tokio::time::timeout(STORE_TIMEOUT, stored).await {
            Ok(Ok(stored)) => stored,
            Ok(Err(_)) => Err(Unavailable::new(STORE, "the service stops")),
            Err(_) => Err(Unavailable::new(
                STORE,
                format_args!("no answer in {} ms", STORE_TIMEOUT.as_millis()),
            )),
        }
    }

    /// Records an event; nobody waits for it.
    pub fn happened(&self, happened: Happened) {
        let Happened {
            at,
            request_id,
            kind,
            subject_id,
            kid,
            mut detail,
        } = happened;
        let names_ids = kind.starts_with("token.") || kind.starts_with("session.");
        let hide = |id: String| if names_ids { self.id(id) } else { id };
        if let Some(Value::String(session)) = detail.get_mut("session_id") {
            *session = hide(std::mem::take(session));
        }
        self.push(Record::Event(rows::Event {
            id: Uuid::now_v7(),
            at,
            request_id,
            kind: kind.to_owned(),
            subject_id: subject_id.map(hide),
            kid,
            detail,
        }));
    }

    fn decision(&self, decided: Decided) -> Record {
        Record::Decision(rows::Decision {
            id: Uuid::now_v7(),
            at: decided.at,
            request_id: decided.request_id,
            subject: decided.subject,
            action: decided.action.to_owned(),
            resource: decided.resource,
            allow: decided.allow,
            reason_code: decided.reason_code,
            kid: decided.kid,
            token_id: decided.token_id.map(|id| self.id(id)),
            session_id: decided.session_id.map(|id| self.id(id)),
        })
    }

    /// An id as it is to be stored: hidden, where there is a key.
    fn id(&self, id: String) -> String {
        match &self.id_key {
            Some(key) => key.hide(&id),
            None => id,
        }
    }

    fn push(&self, record: Record) {
        let open = self.open.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(open) = &*open
            && open.queue.try_send(record).is_err()
        {
            self.counts.lost.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// How many records were lost since the start.
    pub fn lost(&self) -> u64 {
        self.counts.lost.load(Ordering::Relaxed)
    }

    /// How many records wait in the spool.
    pub fn waiting(&self) -> u64 {
        self.counts.waiting.load(Ordering::Relaxed)
    }

    /// Stores what still waits in Postgres, as far as that takes it in time, and else in the spool,
    /// and ends the tasks.
    pub async fn close(&self) {
        self.closing.cancel();
        drop(
            self.open
                .write()
                .unwrap_or_else(PoisonError::into_inner)
                .take(),
        );
        let tasks = std::mem::take(&mut *self.tasks.lock().unwrap_or_else(PoisonError::into_inner));
        let mut ended = std::pin::pin!(futures_util::future::join_all(tasks));
        if tokio::time::timeout(LAST_CHANCE, &mut ended).await.is_err() {
            self.hurry.cancel();
            ended.await;
        }
    }
}

/// Looks after the partitions of decisions, at once and then daily. Until a month has one, its rows
/// go to the default partition, so that nothing is lost when this does not work.
async fn make_months(db: Database) {
    loop {
        if let Err(problem) = months::make_ahead(&db, MONTHS_AHEAD).await {
            tracing::warn!(event = "decision_partitions_not_made", error = %problem);
        }
        tokio::time::sleep(Duration::from_secs(24 * 3600)).await;
    }
}

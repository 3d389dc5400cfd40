//! The tasks that store records.

use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::rows::{NotStored, Record, store};
use super::spool::Spool;
use super::{BATCH, FLUSH, QUEUE, STORE};
use crate::pg::Database;
use crate::runtime::Unavailable;

/// Between two tries to send what waits in the spool, doubled up to [`SLOWEST`].
const RETRY: Duration = Duration::from_millis(100);
const SLOWEST: Duration = Duration::from_secs(2);

/// A record that somebody waits for, who wants to know whether it is stored.
pub(super) type Awaited = (Record, oneshot::Sender<Result<(), Unavailable>>);

/// Counts that others read.
#[derive(Debug, Default)]
pub(super) struct Counts {
    pub lost: AtomicU64,
    /// Records in the spool.
    pub waiting: AtomicU64,
}

/// Stores what nobody waits for: in Postgres or, where that does not take it, in the spool.
pub(super) struct Writer {
    db: Database,
    instance: String,
    /// Files are worked on by threads that may wait.
    spool: Arc<Mutex<Spool>>,
    counts: Arc<Counts>,
    /// A shutdown waits no longer.
    hurry: CancellationToken,
}

impl Writer {
    pub fn new(
        db: &Database,
        instance: &str,
        spool: Spool,
        counts: &Arc<Counts>,
        hurry: &CancellationToken,
    ) -> Self {
        counts.waiting.store(spool.waiting(), Ordering::Relaxed);
        Self {
            db: db.clone(),
            instance: instance.to_owned(),
            spool: Arc::new(Mutex::new(spool)),
            counts: Arc::clone(counts),
            hurry: hurry.clone(),
        }
    }

    pub async fn run(self, mut records: mpsc::Receiver<Record>) {
        loop {
            if self.waiting() > 0 {
                if !self.behind(&mut records).await {
                    return;
                }
                continue;
            }
            let batch = gather(&mut records).await;
            if batch.is_empty() {
                return;
            }
            self.direct(batch, &records).await;
        }
    }

    fn waiting(&self) -> u64 {
        self.counts.waiting.load(Ordering::Relaxed)
    }

    /// A batch that nothing older waits before. Where it cannot be stored, or not soon enough for
    /// those behind it, it begins the spool: what comes later must not overtake it.
    async fn direct(&self, batch: Vec<Record>, records: &mpsc::Receiver<Record>) {
        let crowded = async {
            while records.len() < QUEUE / 2 {
                tokio::time::sleep(FLUSH / 2).await;
            }
        };
        let unavailable = |why: &str| Err(NotStored::Unavailable(why.to_owned()));
        let stored = tokio::select! {
            stored = store(&self.db, &self.instance, &batch) => stored,
            () = crowded => unavailable("it is too slow"),
            () = self.hurry.cancelled() => unavailable("the service stops"),
        };
        match stored {
            Ok(()) => {}
            Err(NotStored::Refused(_)) => {
                let rest = self.one_by_one(batch).await;
                self.keep(rest).await;
            }
            Err(e @ NotStored::Unavailable(_)) => {
                tracing::warn!(event = "decision_log_spools", rows = batch.len(), error = %e);
                self.keep(batch).await;
            }
        }
    }

    /// While something waits in the spool, everything goes there, and from its front to Postgres.
    /// False once there is nothing more to come; what waits then is on disk, for the next start.
    async fn behind(&self, records: &mut mpsc::Receiver<Record>) -> bool {
        let mut wait = RETRY;
        let mut next = Instant::now();
        while self.waiting() > 0 {
            let mut batch = Vec::new();
            tokio::select! {
                n = records.recv_many(&mut batch, BATCH) => {
                    if n == 0 {
                        return false;
                    }
                    self.keep(batch).await;
                }
                () = tokio::time::sleep_until(next), if !self.hurry.is_cancelled() => {
                    match self.forward().await {
                        true => wait = RETRY,
                        false => {
                            next = Instant::now() + wait;
                            wait = (wait * 2).min(SLOWEST);
                        }
                    }
                }
            }
        }
        tracing::info!(event = "decision_log_caught_up");
        true
    }

    /// Sends one batch from the front of the spool.
    async fn forward(&self) -> bool {
        let front = match self.on_spool(|spool| spool.front(BATCH)).await {
            Ok(front) => front,
            Err(e) => {
                tracing::error!(event = "decision_spool_unreadable", error = %e);
                return false;
            }
        };
        if front.damaged > 0 {
            self.lost(front.damaged, &"lines of the spool are damaged");
        }
        let stored = tokio::select! {
            stored = store(&self.db, &self.instance, &front.records) => stored,
            () = self.hurry.cancelled() => return false,
        };
        match stored {
            Ok(()) => {}
            Err(NotStored::Refused(_)) => {
                if !self.one_by_one(front.records.clone()).await.is_empty() {
                    return false;
                }
            }
            Err(NotStored::Unavailable(_)) => return false,
        }
        if let Err(e) = self.on_spool(move |spool| spool.sent(&front)).await {
            tracing::error!(event = "decision_spool_unwritable", error = %e);
            return false;
        }
        true
    }

    /// One of them is not what the table takes: the others must not go with it. Returns those that
    /// could not be tried.
    async fn one_by_one(&self, batch: Vec<Record>) -> Vec<Record> {
        let mut rest = batch.into_iter();
        while let Some(record) = rest.next() {
            match store(&self.db, &self.instance, std::slice::from_ref(&record)).await {
                Ok(()) => {}
                Err(e @ NotStored::Refused(_)) => self.lost(1, &e),
                Err(NotStored::Unavailable(_)) => {
                    return std::iter::once(record).chain(rest).collect();
                }
            }
        }
        Vec::new()
    }

    async fn keep(&self, batch: Vec<Record>) {
        let rows = batch.len();
        if rows == 0 {
            return;
        }
        match self.on_spool(move |spool| spool.append(&batch)).await {
            Ok(kept) if kept == rows => {}
            Ok(kept) => self.lost((rows - kept) as u64, &"the spool is full"),
            Err(e) => self.lost(rows as u64, &e),
        }
    }

    async fn on_spool<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Spool) -> io::Result<T> + Send + 'static,
    ) -> io::Result<T> {
        let (spool, counts) = (Arc::clone(&self.spool), Arc::clone(&self.counts));
        let work = move || {
            let mut spool = spool.lock().unwrap_or_else(PoisonError::into_inner);
            let done = work(&mut spool);
            counts.waiting.store(spool.waiting(), Ordering::Relaxed);
            done
        };
        tokio::task::spawn_blocking(work)
            .await
            .map_err(io::Error::other)?
    }

    fn lost(&self, rows: u64, why: &dyn std::fmt::Display) {
        self.counts.lost.fetch_add(rows, Ordering::Relaxed);
        tracing::error!(event = "decision_log_lost", rows, error = %why);
    }
}

/// What comes within [`FLUSH`] of the first one; nothing once there is nothing more to come.
async fn gather(records: &mut mpsc::Receiver<Record>) -> Vec<Record> {
    let mut batch = Vec::new();
    if records.recv_many(&mut batch, BATCH).await == 0 {
        return batch;
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
    batch
}

/// Stores what somebody waits for: those that came while a transaction was under way go together
/// in the next one, and hear at once what became of it.
pub(super) async fn store_awaited(
    db: Database,
    instance: String,
    mut awaited: mpsc::Receiver<Awaited>,
) {
    let mut batch: Vec<Awaited> = Vec::with_capacity(BATCH);
    while awaited.recv_many(&mut batch, BATCH).await > 0 {
        // Who has stopped waiting has denied the request.
        batch.retain(|(_, told)| !told.is_closed());
        let (records, told): (Vec<_>, Vec<_>) = batch.drain(..).unzip();
        if records.is_empty() {
            continue;
        }
        match store(&db, &instance, &records).await {
            Ok(()) => told.into_iter().for_each(|told| drop(told.send(Ok(())))),
            Err(NotStored::Refused(_)) if records.len() > 1 => {
                for (record, told) in records.iter().zip(told) {
                    let alone = store(&db, &instance, std::slice::from_ref(record)).await;
                    let _ = told.send(alone.map_err(|e| Unavailable::new(STORE, e)));
                }
            }
            Err(e) => {
                let e = Unavailable::new(STORE, e);
                told.into_iter()
                    .for_each(|told| drop(told.send(Err(e.clone()))));
            }
        }
    }
}

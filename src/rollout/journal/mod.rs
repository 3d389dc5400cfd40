//! The journal: append-only, tamper-evident, and the only truth about a run (P8).
//!
//! An entry's hash covers a domain tag, the sequence number, the hash before and the exact bytes
//! of the body, so no entry can be changed, moved or left out in the middle unnoticed. A chain
//! alone does not show a cut tail or a full rewrite: its head is printed at every stop, and a
//! copy of it elsewhere is the witness.
//!
//! It lies in a local SQLite file or in a Postgres of a team's choice, behind one surface.

mod chain;
mod export;
mod mirror;
mod postgres;
mod reading;
mod request;
mod sqlite;

use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::lease::{Held, Lease, Taken};
use super::machine::Event;
use super::person::Person;
use crate::error::{Exit, Problem, Result};
use crate::pg::Database;

pub use chain::{Broken, CHECKPOINT_EVERY, Entry, Hash, Head, Record, RunId, Schema, seal, verify};
pub use export::{export, export_text, import};
pub use mirror::{Mirror, Standing, mirrored, mirrors_beside};
use postgres::PostgresStore;
pub use reading::Recent;
pub use request::{Approval, Request, RequestKind, StepAnswer};
use sqlite::SqliteStore;

/// A journal, and who writes to it. Cloning shares its connections.
#[derive(Debug, Clone)]
pub struct Journal {
    store: Store,
    person: Person,
    /// Where this machine mirrors the runs that it drives.
    mirrors: Option<PathBuf>,
}

#[derive(Debug, Clone)]
enum Store {
    File(SqliteStore),
    Database(PostgresStore),
}

/// A run as the journal lists it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunRow {
    pub run: RunId,
    /// The runbook's name.
    pub name: String,
    pub opened_ms: u64,
    pub closed: bool,
}

/// Who caused an event.
#[derive(Debug, Clone, Copy)]
pub enum Cause<'a> {
    /// What happens in the run.
    Driver,
    /// The person in front of this process.
    Person,
    /// Another operator.
    Request(&'a Request),
}

/// Why an entry was not appended.
#[derive(Debug)]
pub enum AppendError {
    /// Somebody else drives the run now; the token has moved on. Nothing was written.
    Fenced { holder: String, token: u64 },
    /// Another entry took the place. Nothing was written.
    Conflict,
    /// The request that it answers was answered or taken back meanwhile. Nothing was written.
    Withdrawn,
    /// With [`Exit::Unavailable`] the store did not answer, and nobody knows whether the entry is
    /// there. Appending the same entry again finds out.
    Failed(Problem),
}

impl From<Problem> for AppendError {
    fn from(problem: Problem) -> Self {
        AppendError::Failed(problem)
    }
}

impl AppendError {
    /// The entry of the head that was to be followed is not there any more.
    fn lost(store: impl fmt::Display, head: Head, last: u64) -> Self {
        AppendError::Failed(
            Problem::new(
                Exit::JournalBroken,
                format!("writing to the journal {store}"),
                format!(
                    "it ends at event {last}, and event {} was there before",
                    head.seq
                ),
            )
            .next(
                "its end was lost: a restored backup, or a failover without the last commits.\n\
                 Compare with a head that was printed; set the toggles by hand if need be",
            ),
        )
    }
}

/// Does the same in whichever store there is.
macro_rules! in_store {
    ($self:ident, $store:ident => $do:expr) => {
        match &$self.store {
            Store::File($store) => $do,
            Store::Database($store) => $do,
        }
    };
}

impl Journal {
    /// Opens a file, and creates it (0600, in a folder of its own closed to others).
    pub async fn create(path: &Path) -> Result<Self> {
        SqliteStore::create(path).await.map(Self::of_file)
    }

    /// Opens an existing file; none is `None`.
    pub async fn open(path: &Path) -> Result<Option<Self>> {
        let store = SqliteStore::open(path).await?;
        Ok(store.map(Self::of_file))
    }

    /// Opens the journal in a database, and makes its tables where they are not there.
    pub async fn create_in(database: Database) -> Result<Self> {
        Self::of_database(PostgresStore::create(database).await?)
    }

    /// Opens the journal in a database; `None` where none was made there yet.
    pub async fn open_in(database: Database) -> Result<Option<Self>> {
        let store = PostgresStore::open(database).await?;
        store.map(Self::of_database).transpose()
    }

    fn of_file(store: SqliteStore) -> Self {
        Self {
            store: Store::File(store),
            person: Person::of_system(),
            mirrors: None,
        }
    }

    fn of_database(store: PostgresStore) -> Result<Self> {
        Ok(Self {
            person: Person::of_role(store.role())?,
            store: Store::Database(store),
            mirrors: None,
        })
    }

    /// The same, written by a person who says that they are somebody.
    pub fn claiming(self, claim: Option<String>) -> Self {
        Self {
            person: self.person.claiming(claim),
            ..self
        }
    }

    /// The same, with the runs that this machine drives mirrored in `dir`.
    pub fn mirrored_in(self, dir: PathBuf) -> Self {
        Self {
            mirrors: Some(dir),
            ..self
        }
    }

    /// Where this machine mirrors the runs that it drives, if it does.
    pub fn mirrors(&self) -> Option<&Path> {
        self.mirrors.as_deref()
    }

    /// Who writes, as far as the store can vouch for them.
    pub fn person(&self) -> &Person {
        &self.person
    }

    /// The file that it lies in; none for one in a database.
    pub fn file(&self) -> Option<&Path> {
        match &self.store {
            Store::File(store) => Some(store.path()),
            Store::Database(_) => None,
        }
    }

    /// All runs, newest first.
    pub async fn runs(&self) -> Result<Vec<RunRow>> {
        in_store!(self, store => store.runs().await)
    }

    /// The number of a run's newest event; cheaper than [`Journal::entries`].
    pub async fn newest(&self, run: &RunId) -> Result<u64> {
        in_store!(self, store => store.newest(run).await)
    }

    /// The stored rows of a run whose numbers are in `from..=to`, in order; nothing is checked.
    async fn rows(&self, run: &RunId, from: u64, to: u64) -> Result<Vec<chain::Row>> {
        in_store!(self, store => store.rows(run, from, to).await)
    }

    /// Writes the first event of a new run and takes its lease. Refused while another run is open.
    pub async fn start(
        &self,
        run: &RunId,
        name: &str,
        holder: &str,
        ttl: Duration,
        at_ms: u64,
        event: Event,
    ) -> Result<(Lease, Entry)> {
        let record = Record {
            schema: Schema::Event1,
            run: run.clone(),
            seq: 1,
            at_ms,
            holder: holder.to_owned(),
            token: 1,
            claim: self.person.claim().map(str::to_owned),
            event,
        };
        let entry = chain::seal(record, Hash::ZERO);
        let lease = in_store!(self, store => store.start(name, ttl, &entry).await)?;
        Ok((lease, entry))
    }

    /// As [`append_for`](Self::append_for), where nobody asked for it.
    pub async fn append(
        &self,
        lease: &Lease,
        head: Head,
        at_ms: u64,
        event: Event,
        closed: bool,
    ) -> Result<Entry, AppendError> {
        let cause = Cause::Driver;
        self.append_for(cause, lease, head, at_ms, event, closed)
            .await
    }

    /// Appends behind `head` under `lease`. The token is checked in the same transaction, so a
    /// driver that was overtaken cannot write (P4). `closed` is whether the run is over then. A
    /// request that asked for it is answered with it, by [`DONE`].
    ///
    /// Appending once more what is there already is a success.
    pub async fn append_for(
        &self,
        cause: Cause<'_>,
        lease: &Lease,
        head: Head,
        at_ms: u64,
        event: Event,
        closed: bool,
    ) -> Result<Entry, AppendError> {
        let (claim, answers) = match cause {
            Cause::Driver => (None, None),
            Cause::Person => (self.person.claim(), None),
            Cause::Request(request) => (request.claim.as_deref(), Some(request.id)),
        };
        let claim = claim.map(str::to_owned);
        let entry = sealed(lease, head, at_ms, claim, event);
        in_store!(self, store => store.append(lease, &entry, closed, answers).await)?;
        Ok(entry)
    }

    /// Appends entries that were written without this journal, as they are, with who brings them
    /// beside them. All of them or none; those that are there already count.
    pub async fn merge(
        &self,
        lease: &Lease,
        entries: &[Entry],
        closed: bool,
    ) -> Result<(), AppendError> {
        match &self.store {
            Store::Database(store) => store.merge(lease, entries, closed).await,
            // A file is its own spool.
            Store::File(store) => {
                for entry in entries {
                    store.append(lease, entry, closed, None).await?;
                }
                Ok(())
            }
        }
    }

    /// Takes the lease if it is free: expired by the store's clock, given back, or (with `force`)
    /// taken from whoever holds it. The token rises each time.
    pub async fn take(
        &self,
        run: &RunId,
        holder: &str,
        ttl: Duration,
        force: bool,
    ) -> Result<Taken> {
        in_store!(self, store => store.take(run, holder, ttl, force).await)
    }

    /// Who holds the lease of a run, if it has not expired.
    pub async fn holder(&self, run: &RunId) -> Result<Option<Held>> {
        in_store!(self, store => store.holder(run).await)
    }

    /// Extends a lease; false when it is not ours any more.
    pub async fn renew(&self, lease: &Lease) -> Result<bool> {
        in_store!(self, store => store.renew(lease).await)
    }

    /// Gives a lease back, so that the next driver need not wait for its expiry.
    pub async fn release(&self, lease: &Lease) -> Result<()> {
        in_store!(self, store => store.release(lease).await)
    }

    /// Leaves a request of this person for whoever drives the run.
    pub async fn request(&self, run: &RunId, kind: RequestKind, detail: &str) -> Result<i64> {
        in_store!(self, store => store.request(run, kind, &self.person, detail).await)
    }

    /// Requests that nobody answered, oldest first.
    pub async fn requests(&self, run: &RunId) -> Result<Vec<Request>> {
        in_store!(self, store => store.requests(run).await)
    }

    /// Tells a requester why not. Nothing happens where the request was answered or taken back
    /// meanwhile. False when the lease is not ours any more: then it is not ours to answer.
    pub async fn refuse(&self, lease: &Lease, request: &Request, why: &str) -> Result<bool> {
        in_store!(self, store => store.refuse(lease, request.id, why).await)
    }

    /// Takes a request back. Returns the answer where the driver was quicker.
    pub async fn withdraw(&self, id: i64) -> Result<Option<String>> {
        in_store!(self, store => store.withdraw(id, WITHDRAWN).await)
    }

    /// The answer to a request, once there is one.
    pub async fn answered(&self, id: i64) -> Result<Option<String>> {
        in_store!(self, store => store.answered(id).await)
    }
}

impl fmt::Display for Journal {
    /// The file, or `user@host:port/database`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        in_store!(self, store => fmt::Display::fmt(store, f))
    }
}

/// The answer of a request that was granted.
pub const DONE: &str = "done";
/// The answer of a request that was taken back.
const WITHDRAWN: &str = "nobody took it in time";

fn sealed(lease: &Lease, head: Head, at_ms: u64, claim: Option<String>, event: Event) -> Entry {
    let record = Record {
        schema: Schema::Event1,
        run: lease.run().clone(),
        seq: head.seq + 1,
        at_ms,
        holder: lease.holder().to_owned(),
        token: lease.token(),
        claim,
        event,
    };
    chain::seal(record, head.hash)
}

/// What there is where an entry belongs.
enum Place {
    Free,
    /// The entry itself: an earlier attempt was not acknowledged, and did it.
    Taken,
}

/// Whether `entry` may follow the `last` one of its run (number and hash).
fn place(
    store: &impl fmt::Display,
    entry: &Entry,
    last: Option<(u64, Vec<u8>)>,
) -> Result<Place, AppendError> {
    let (seq, hash) = last.unwrap_or((0, Hash::ZERO.0.to_vec()));
    let after = entry.after();
    if seq == entry.record.seq && hash == entry.hash.0 {
        Ok(Place::Taken)
    } else if seq == after.seq && hash == after.hash.0 {
        Ok(Place::Free)
    } else if seq < after.seq {
        Err(AppendError::lost(store, after, seq))
    } else {
        Err(AppendError::Conflict)
    }
}

/// Why a second run is not begun.
fn already_open(doing: impl fmt::Display, open: &RunRow) -> Problem {
    Problem::new(
        Exit::LeaseHeld,
        doing,
        format!("run {} ({}) is not finished", open.run, open.name),
    )
    .next("dbctl rollout status      shows where it stands and what may be done")
}

/// Stores have no unsigned integers; these are counters and times, far from either end.
fn signed(n: u64) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}

fn unsigned(n: i64) -> u64 {
    u64::try_from(n).unwrap_or(0)
}

fn millis(d: Duration) -> i64 {
    i64::try_from(d.as_millis()).unwrap_or(i64::MAX)
}

//! The journal in a local SQLite file: the default, since it needs nothing that a rollout could
//! take down. Every write is one immediate transaction with `synchronous = FULL`.

use std::path::{Path, PathBuf};
use std::time::Duration;

use sqlx::sqlite::{
    SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteRow,
    SqliteSynchronous,
};
use sqlx::{Row as _, Sqlite, Transaction};

use super::chain::{self, Entry, Head, Record, RunId};
use super::request::{Request, RequestKind};
use crate::error::{Chain, Exit, Problem, Result};
use crate::rollout::lease::{Held, Lease, Taken};
use crate::rollout::machine::Event;

/// Version 1 of the tables. The triggers make the events append-only for everybody who goes
/// through SQL; the chain shows what goes around it.
const SCHEMA: &str = "
CREATE TABLE runs (
    run       TEXT PRIMARY KEY,
    name      TEXT NOT NULL,
    opened_ms INTEGER NOT NULL,
    closed    INTEGER NOT NULL CHECK (closed IN (0, 1))
) STRICT;
CREATE UNIQUE INDEX one_open_run ON runs (closed) WHERE closed = 0;
CREATE TABLE events (
    run  TEXT NOT NULL REFERENCES runs (run),
    seq  INTEGER NOT NULL,
    body TEXT NOT NULL,
    prev BLOB NOT NULL,
    hash BLOB NOT NULL,
    PRIMARY KEY (run, seq)
) STRICT, WITHOUT ROWID;
CREATE TRIGGER events_are_never_changed BEFORE UPDATE ON events
BEGIN SELECT RAISE(ABORT, 'the journal is append-only'); END;
CREATE TRIGGER events_are_never_removed BEFORE DELETE ON events
BEGIN SELECT RAISE(ABORT, 'the journal is append-only'); END;
CREATE TABLE leases (
    run        TEXT PRIMARY KEY,
    holder     TEXT NOT NULL,
    token      INTEGER NOT NULL,
    expires_ms INTEGER NOT NULL
) STRICT;
CREATE TABLE requests (
    id      INTEGER PRIMARY KEY,
    run     TEXT NOT NULL REFERENCES runs (run),
    kind    TEXT NOT NULL,
    by_whom TEXT NOT NULL,
    detail  TEXT NOT NULL,
    made_ms INTEGER NOT NULL,
    answer  TEXT
) STRICT;
PRAGMA user_version = 1;
";

/// How often, and how soon, a journal is opened again that somebody else is just making.
const OPEN_ATTEMPTS: u32 = 10;
const OPEN_AGAIN: Duration = Duration::from_millis(50);

/// The store's own clock, in milliseconds since 1970.
const NOW: &str = "CAST(unixepoch('subsec') * 1000 AS INTEGER)";

/// A journal file.
#[derive(Debug, Clone)]
pub struct Journal {
    pool: SqlitePool,
    path: PathBuf,
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

/// Why an entry was not appended. Nothing was written.
#[derive(Debug)]
pub enum AppendError {
    /// Somebody else drives the run now; the token has moved on.
    Fenced {
        holder: String,
        token: u64,
    },
    /// Another entry took the place.
    Conflict,
    Failed(Problem),
}

impl From<Problem> for AppendError {
    fn from(problem: Problem) -> Self {
        AppendError::Failed(problem)
    }
}

impl Journal {
    /// Opens the file, and creates it (0600, in a folder of its own closed to others).
    pub async fn create(path: &Path) -> Result<Self> {
        let doing = || format!("opening the journal {}", path.display());
        let failed = |e: std::io::Error| Problem::new(Exit::Config, doing(), e);
        let dir = crate::durable::parent(path);
        crate::durable::create_private_dir(dir).map_err(failed)?;
        if !path.exists() {
            crate::durable::write(path, b"").map_err(failed)?;
        }
        Self::connect(path).await
    }

    /// Opens an existing file; none is `None`.
    pub async fn open(path: &Path) -> Result<Option<Self>> {
        if !path.exists() {
            return Ok(None);
        }
        Self::connect(path).await.map(Some)
    }

    async fn connect(path: &Path) -> Result<Self> {
        let options = SqliteConnectOptions::new()
            .filename(path)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .foreign_keys(true)
            .busy_timeout(Duration::from_secs(5));
        let pool = SqlitePoolOptions::new()
            .max_connections(2)
            .connect_lazy_with(options);
        let journal = Self {
            pool,
            path: path.to_owned(),
        };
        // Switching a new file to write-ahead logging wants it alone for a moment, and SQLite does
        // not wait for that by itself.
        let mut attempt = 1;
        while let Err(problem) = journal.prepare_tables().await {
            if attempt >= OPEN_ATTEMPTS {
                return Err(problem);
            }
            attempt += 1;
            tokio::time::sleep(OPEN_AGAIN).await;
        }
        Ok(journal)
    }

    async fn prepare_tables(&self) -> Result<()> {
        let version: i64 = sqlx::query_scalar("PRAGMA user_version")
            .fetch_one(&self.pool)
            .await
            .map_err(|e| self.problem("opening", &e))?;
        match version {
            1 => return Ok(()),
            0 => {}
            newer => {
                return Err(self
                    .note(
                        "opening",
                        format!("it was written by a newer dbctl (version {newer})"),
                    )
                    .next("use that version of dbctl for this journal"));
            }
        }
        let mut tx = self.begin("opening").await?;
        // Another process may have been quicker.
        let version: i64 = sqlx::query_scalar("PRAGMA user_version")
            .fetch_one(&mut *tx)
            .await
            .map_err(|e| self.problem("opening", &e))?;
        if version == 0 {
            sqlx::raw_sql(SCHEMA)
                .execute(&mut *tx)
                .await
                .map_err(|e| self.problem("opening", &e))?;
        }
        tx.commit().await.map_err(|e| self.problem("opening", &e))
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    async fn begin(&self, act: &str) -> Result<Transaction<'static, Sqlite>> {
        self.pool
            .begin_with("BEGIN IMMEDIATE")
            .await
            .map_err(|e| self.problem(act, &e))
    }

    fn problem(&self, act: &str, error: &sqlx::Error) -> Problem {
        let code = error.as_database_error().and_then(|e| e.code());
        let problem = self.note(act, Chain(error));
        match code.as_deref() {
            // SQLITE_FULL, SQLITE_IOERR and its kin.
            Some("13") => {
                problem.next("the disk is full; nothing was started. Make room and resume")
            }
            Some("5") => problem
                .next("another process keeps the journal locked; see who holds the file open"),
            Some("26") => problem.next("the file is not a journal; name another with journal.path"),
            Some(_) | None => problem,
        }
    }

    fn note(&self, act: &str, cause: impl std::fmt::Display) -> Problem {
        let doing = format!("{act} the journal {}", self.path.display());
        Problem::new(Exit::Failed, doing, cause)
    }

    /// All runs, newest first.
    pub async fn runs(&self) -> Result<Vec<RunRow>> {
        let rows = sqlx::query(
            "SELECT run, name, opened_ms, closed FROM runs ORDER BY opened_ms DESC, rowid DESC",
        )
        .fetch_all(&self.pool)
        .await
        .map_err(|e| self.problem("reading", &e))?;
        rows.iter().map(|row| self.run_row(row)).collect()
    }

    fn run_row(&self, row: &SqliteRow) -> Result<RunRow> {
        let run: String = row.get("run");
        Ok(RunRow {
            run: run.parse().map_err(|e: String| self.note("reading", e))?,
            name: row.get("name"),
            opened_ms: unsigned(row.get("opened_ms")),
            closed: row.get::<i64, _>("closed") != 0,
        })
    }

    /// The number of a run's newest event; cheaper than [`Journal::entries`].
    pub async fn newest(&self, run: &RunId) -> Result<u64> {
        let newest = sqlx::query_scalar("SELECT coalesce(max(seq), 0) FROM events WHERE run = ?")
            .bind(run.as_str())
            .fetch_one(&self.pool);
        let newest: i64 = newest.await.map_err(|e| self.problem("reading", &e))?;
        Ok(unsigned(newest))
    }

    /// The stored rows of a run whose numbers are in `from..=to`, in order; nothing is checked.
    pub(super) async fn rows(&self, run: &RunId, from: u64, to: u64) -> Result<Vec<chain::Row>> {
        let rows = sqlx::query(
            "SELECT seq, body, prev, hash FROM events
             WHERE run = ? AND seq BETWEEN ? AND ? ORDER BY seq",
        )
        .bind(run.as_str())
        .bind(signed(from))
        .bind(signed(to))
        .fetch_all(&self.pool)
        .await
        .map_err(|e| self.problem("reading", &e))?;
        let row = |row: &SqliteRow| {
            (
                unsigned(row.get("seq")),
                row.get("body"),
                row.get("prev"),
                row.get("hash"),
            )
        };
        Ok(rows.iter().map(row).collect())
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
        let act = "starting a run in";
        let failed = |e: sqlx::Error| self.problem(act, &e);
        let mut tx = self.begin(act).await?;
        let open = sqlx::query("SELECT run, name, opened_ms, closed FROM runs WHERE closed = 0")
            .fetch_optional(&mut *tx)
            .await
            .map_err(failed)?;
        if let Some(row) = open {
            let other = self.run_row(&row)?;
            return Err(self
                .note(
                    act,
                    format!("run {} ({}) is not finished", other.run, other.name),
                )
                .with_exit(Exit::LeaseHeld)
                .next("dbctl rollout status      shows where it stands and what may be done"));
        }
        sqlx::query("INSERT INTO runs (run, name, opened_ms, closed) VALUES (?, ?, ?, 0)")
            .bind(run.as_str())
            .bind(name)
            .bind(signed(at_ms))
            .execute(&mut *tx)
            .await
            .map_err(failed)?;
        let before = std::time::Instant::now();
        let sql = format!(
            "INSERT INTO leases (run, holder, token, expires_ms) VALUES (?, ?, 1, {NOW} + ?)"
        );
        sqlx::query(sqlx::AssertSqlSafe(sql))
            .bind(run.as_str())
            .bind(holder)
            .bind(millis(ttl))
            .execute(&mut *tx)
            .await
            .map_err(failed)?;
        let record = Record {
            run: run.clone(),
            seq: 1,
            at_ms,
            holder: holder.to_owned(),
            token: 1,
            event,
        };
        let entry = chain::seal(record, chain::Hash::ZERO);
        insert(&mut tx, &entry).await.map_err(failed)?;
        tx.commit().await.map_err(failed)?;
        Ok((
            Lease::new(run.clone(), holder.to_owned(), 1, ttl, before),
            entry,
        ))
    }

    /// Appends behind `head` under `lease`. The token is checked in the same transaction, so a
    /// driver that was overtaken cannot write (P4). `closed` is whether the run is over then.
    pub async fn append(
        &self,
        lease: &Lease,
        head: Head,
        at_ms: u64,
        event: Event,
        closed: bool,
    ) -> Result<Entry, AppendError> {
        let act = "writing to";
        let failed = |e: sqlx::Error| AppendError::Failed(self.problem(act, &e));
        let mut tx = self.begin(act).await?;
        let row = sqlx::query("SELECT holder, token FROM leases WHERE run = ?")
            .bind(lease.run().as_str())
            .fetch_optional(&mut *tx)
            .await
            .map_err(failed)?;
        let token = row.as_ref().map(|r| unsigned(r.get("token")));
        if token != Some(lease.token()) {
            return Err(AppendError::Fenced {
                holder: row.map_or_else(|| "nobody".into(), |r| r.get("holder")),
                token: token.unwrap_or(0),
            });
        }
        let last: Option<i64> = sqlx::query_scalar("SELECT max(seq) FROM events WHERE run = ?")
            .bind(lease.run().as_str())
            .fetch_one(&mut *tx)
            .await
            .map_err(failed)?;
        if last.map(unsigned) != Some(head.seq) {
            return Err(AppendError::Conflict);
        }
        let record = Record {
            run: lease.run().clone(),
            seq: head.seq + 1,
            at_ms,
            holder: lease.holder().to_owned(),
            token: lease.token(),
            event,
        };
        let entry = chain::seal(record, head.hash);
        insert(&mut tx, &entry).await.map_err(failed)?;
        sqlx::query("UPDATE runs SET closed = ? WHERE run = ? AND closed <> ?")
            .bind(closed)
            .bind(lease.run().as_str())
            .bind(closed)
            .execute(&mut *tx)
            .await
            .map_err(failed)?;
        tx.commit().await.map_err(failed)?;
        Ok(entry)
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
        let act = "taking the lease in";
        // Counted from before the request: the store's clock may start later, never earlier.
        let before = std::time::Instant::now();
        let sql = format!(
            "UPDATE leases SET holder = ?1, token = token + 1, expires_ms = {NOW} + ?2
             WHERE run = ?3 AND (?4 OR expires_ms <= {NOW}) RETURNING token"
        );
        let token: Option<i64> = sqlx::query_scalar(sqlx::AssertSqlSafe(sql))
            .bind(holder)
            .bind(millis(ttl))
            .bind(run.as_str())
            .bind(force)
            .fetch_optional(&self.pool)
            .await
            .map_err(|e| self.problem(act, &e))?;
        if let Some(token) = token {
            let lease = Lease::new(run.clone(), holder.to_owned(), unsigned(token), ttl, before);
            return Ok(Taken::Ours(lease));
        }
        match self.holder(run).await? {
            Some(held) => Ok(Taken::Held(held)),
            None => Err(self.note(act, format!("run {run} is not in it"))),
        }
    }

    /// Who holds the lease of a run, if it has not expired.
    pub async fn holder(&self, run: &RunId) -> Result<Option<Held>> {
        let sql = format!(
            "SELECT holder, token, expires_ms - {NOW} AS left_ms FROM leases WHERE run = ? AND expires_ms > {NOW}"
        );
        let row = sqlx::query(sqlx::AssertSqlSafe(sql))
            .bind(run.as_str())
            .fetch_optional(&self.pool)
            .await
            .map_err(|e| self.problem("reading", &e))?;
        Ok(row.map(|row| Held {
            holder: row.get("holder"),
            token: unsigned(row.get("token")),
            left: Duration::from_millis(unsigned(row.get("left_ms"))),
        }))
    }

    /// Extends a lease; false when it is not ours any more.
    pub async fn renew(&self, lease: &Lease) -> Result<bool> {
        let before = std::time::Instant::now();
        let sql = format!("UPDATE leases SET expires_ms = {NOW} + ? WHERE run = ? AND token = ?");
        let done = sqlx::query(sqlx::AssertSqlSafe(sql))
            .bind(millis(lease.ttl()))
            .bind(lease.run().as_str())
            .bind(signed(lease.token()))
            .execute(&self.pool)
            .await
            .map_err(|e| self.problem("renewing the lease in", &e))?;
        let ours = done.rows_affected() == 1;
        if ours {
            lease.renewed(before);
        }
        Ok(ours)
    }

    /// Gives a lease back, so that the next driver need not wait for its expiry.
    pub async fn release(&self, lease: &Lease) -> Result<()> {
        sqlx::query("UPDATE leases SET expires_ms = 0 WHERE run = ? AND token = ?")
            .bind(lease.run().as_str())
            .bind(signed(lease.token()))
            .execute(&self.pool)
            .await
            .map(|_| ())
            .map_err(|e| self.problem("giving back the lease in", &e))
    }

    /// Leaves a request for whoever drives the run.
    pub async fn request(
        &self,
        run: &RunId,
        kind: RequestKind,
        by: &str,
        detail: &str,
    ) -> Result<i64> {
        let sql = format!(
            "INSERT INTO requests (run, kind, by_whom, detail, made_ms) VALUES (?, ?, ?, ?, {NOW}) RETURNING id"
        );
        sqlx::query_scalar(sqlx::AssertSqlSafe(sql))
            .bind(run.as_str())
            .bind(kind.as_str())
            .bind(by)
            .bind(detail)
            .fetch_one(&self.pool)
            .await
            .map_err(|e| self.problem("leaving a request in", &e))
    }

    /// Requests that nobody answered, oldest first.
    pub async fn requests(&self, run: &RunId) -> Result<Vec<Request>> {
        let rows = sqlx::query("SELECT id, kind, by_whom, detail FROM requests WHERE run = ? AND answer IS NULL ORDER BY id")
            .bind(run.as_str())
            .fetch_all(&self.pool)
            .await
            .map_err(|e| self.problem("reading", &e))?;
        rows.iter()
            .map(|row| {
                let kind: String = row.get("kind");
                Ok(Request {
                    id: row.get("id"),
                    kind: RequestKind::ALL
                        .into_iter()
                        .find(|k| k.as_str() == kind)
                        .ok_or_else(|| {
                            self.note("reading", "it holds a request of an unknown kind")
                        })?,
                    by: row.get("by_whom"),
                    detail: row.get("detail"),
                })
            })
            .collect()
    }

    /// Answers a request: `done`, or why not. The first answer stands.
    pub async fn answer(&self, id: i64, answer: &str) -> Result<()> {
        sqlx::query("UPDATE requests SET answer = ? WHERE id = ? AND answer IS NULL")
            .bind(answer)
            .bind(id)
            .execute(&self.pool)
            .await
            .map(|_| ())
            .map_err(|e| self.problem("answering a request in", &e))
    }

    /// The answer to a request, once there is one.
    pub async fn answered(&self, id: i64) -> Result<Option<String>> {
        sqlx::query_scalar("SELECT answer FROM requests WHERE id = ?")
            .bind(id)
            .fetch_one(&self.pool)
            .await
            .map_err(|e| self.problem("reading", &e))
    }
}

async fn insert(tx: &mut Transaction<'static, Sqlite>, entry: &Entry) -> sqlx::Result<()> {
    sqlx::query("INSERT INTO events (run, seq, body, prev, hash) VALUES (?, ?, ?, ?, ?)")
        .bind(entry.record.run.as_str())
        .bind(signed(entry.record.seq))
        .bind(&entry.body)
        .bind(entry.prev.0.as_slice())
        .bind(entry.hash.0.as_slice())
        .execute(&mut **tx)
        .await
        .map(|_| ())
}

/// SQLite has no unsigned integers; these are counters and times, far from either end.
fn signed(n: u64) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}

fn unsigned(n: i64) -> u64 {
    u64::try_from(n).unwrap_or(0)
}

fn millis(d: Duration) -> i64 {
    i64::try_from(d.as_millis()).unwrap_or(i64::MAX)
}

//! The journal in a local SQLite file: the default, since it needs nothing that a rollout could
//! take down. Every write is one immediate transaction with `synchronous = FULL`.

mod copy;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use sqlx::pool::PoolConnection;
use sqlx::sqlite::{
    SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteRow,
    SqliteSynchronous,
};
use sqlx::{Row as _, Sqlite, Transaction};
use tokio::sync::Mutex;

use super::chain::{self, Entry, RunId};
use super::request::{Request, RequestKind};
use super::{AppendError, DONE, Place, RunRow, already_open, millis, place, signed, unsigned};
use crate::error::{Chain, Exit, Problem, Result};
use crate::rollout::lease::{Held, Lease, Taken};
use crate::rollout::person::Person;

/// The tables of version 2. The triggers make the events append-only for everybody who goes
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
    claim   TEXT,
    detail  TEXT NOT NULL,
    made_ms INTEGER NOT NULL,
    answer  TEXT
) STRICT;
PRAGMA user_version = 2;
";

/// From version 1, which knew no claims.
const FROM_VERSION_1: &str = "
ALTER TABLE requests ADD COLUMN claim TEXT;
PRAGMA user_version = 2;
";

/// How often, and how soon, a journal is opened again that somebody else is just making.
const OPEN_ATTEMPTS: u32 = 10;
const OPEN_AGAIN: Duration = Duration::from_millis(50);

/// What is left when the file cannot be used.
const WITHOUT_IT: &str =
    "dbctl --env NAME rollout rollback --break-glass      goes back without the journal";

/// The store's own clock, in milliseconds since 1970.
const NOW: &str = "CAST(unixepoch('subsec') * 1000 AS INTEGER)";

/// A journal file.
#[derive(Debug, Clone)]
pub(super) struct SqliteStore {
    pool: SqlitePool,
    /// One of the pool's connections, kept by whoever appends: the pool's own hand-over wakes two
    /// threads twice, which takes as long as the durable write.
    writer: Arc<Mutex<Option<PoolConnection<Sqlite>>>>,
    path: PathBuf,
}

impl SqliteStore {
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
        // Without these two a task of the pool may spin for ever: see Database::from_parts.
        let pool = SqlitePoolOptions::new()
            .max_connections(2)
            .idle_timeout(None)
            .max_lifetime(None)
            .connect_lazy_with(options);
        let journal = Self {
            pool,
            writer: Arc::default(),
            path: path.to_owned(),
        };
        // Switching a new file to write-ahead logging wants it alone for a moment, and SQLite does
        // not wait for that by itself.
        let mut attempt = 1;
        // The first one says why; a connection whose commit failed says something else next.
        let mut first = None;
        while let Err(problem) = journal.prepare_tables().await {
            let why = first.take().unwrap_or(problem);
            if attempt >= OPEN_ATTEMPTS {
                return Err(why);
            }
            first = Some(why);
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
            2 => return Ok(()),
            0 | 1 => {}
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
        let due = [SCHEMA, FROM_VERSION_1];
        if let Some(sql) = usize::try_from(version).ok().and_then(|v| due.get(v)) {
            sqlx::raw_sql(*sql)
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
        let code: Option<u32> = code.and_then(|code| code.parse().ok());
        let problem = self.note(act, Chain(error));
        // The low byte is what kind of error it is.
        let next = match code.map(|code| code & 0xff) {
            // SQLITE_FULL; SQLITE_IOERR, which a quota and a limit on the size of files are.
            Some(13 | 10) => {
                "nothing was written, so nothing was begun by it. Make room for the journal\n\
                 (disk, quota, ulimit -f); dbctl rollout resume goes on then\n"
            }
            // SQLITE_BUSY.
            Some(5) => "another process keeps the journal locked; see who holds the file open\n",
            // SQLITE_NOTADB.
            Some(26) => "the file is not a journal; name another with journal.path\n",
            Some(_) | None => "",
        };
        problem.next(format!("{next}{WITHOUT_IT}"))
    }

    fn note(&self, act: &str, cause: impl std::fmt::Display) -> Problem {
        let doing = format!("{act} the journal {}", self.path.display());
        Problem::new(Exit::Failed, doing, cause)
    }

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

    pub async fn newest(&self, run: &RunId) -> Result<u64> {
        let newest = sqlx::query_scalar("SELECT coalesce(max(seq), 0) FROM events WHERE run = ?")
            .bind(run.as_str())
            .fetch_one(&self.pool);
        let newest: i64 = newest.await.map_err(|e| self.problem("reading", &e))?;
        Ok(unsigned(newest))
    }

    pub async fn rows(&self, run: &RunId, from: u64, to: u64) -> Result<Vec<chain::Row>> {
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

    pub async fn start(&self, name: &str, ttl: Duration, entry: &Entry) -> Result<Lease> {
        let act = "starting a run in";
        let failed = |e: sqlx::Error| self.problem(act, &e);
        let (run, holder) = (&entry.record.run, &entry.record.holder);
        let mut tx = self.begin(act).await?;
        let open = sqlx::query("SELECT run, name, opened_ms, closed FROM runs WHERE closed = 0")
            .fetch_optional(&mut *tx)
            .await
            .map_err(failed)?;
        if let Some(row) = open {
            let doing = format!("{act} the journal {self}");
            return Err(already_open(doing, &self.run_row(&row)?));
        }
        sqlx::query("INSERT INTO runs (run, name, opened_ms, closed) VALUES (?, ?, ?, 0)")
            .bind(run.as_str())
            .bind(name)
            .bind(signed(entry.record.at_ms))
            .execute(&mut *tx)
            .await
            .map_err(failed)?;
        let before = std::time::Instant::now();
        let sql = format!(
            "INSERT INTO leases (run, holder, token, expires_ms) VALUES (?, ?, ?, {NOW} + ?)"
        );
        sqlx::query(sqlx::AssertSqlSafe(sql))
            .bind(run.as_str())
            .bind(holder)
            .bind(signed(entry.record.token))
            .bind(millis(ttl))
            .execute(&mut *tx)
            .await
            .map_err(failed)?;
        insert(&mut tx, entry).await.map_err(failed)?;
        tx.commit().await.map_err(failed)?;
        let token = entry.record.token;
        Ok(Lease::new(run.clone(), holder.clone(), token, ttl, before))
    }

    pub async fn append(
        &self,
        lease: &Lease,
        entry: &Entry,
        closed: bool,
        answers: Option<i64>,
    ) -> Result<(), AppendError> {
        let act = "writing to";
        let failed = |e: sqlx::Error| AppendError::Failed(self.problem(act, &e));
        if answers.is_none()
            && self
                .append_at_once(lease, entry, closed)
                .await
                .map_err(failed)?
        {
            return Ok(());
        }
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
        let last =
            sqlx::query("SELECT seq, hash FROM events WHERE run = ? ORDER BY seq DESC LIMIT 1")
                .bind(lease.run().as_str())
                .fetch_optional(&mut *tx)
                .await
                .map_err(failed)?;
        let last = last.map(|row| (unsigned(row.get("seq")), row.get("hash")));
        match place(self, entry, last)? {
            Place::Taken => return Ok(()),
            Place::Free => {}
        }
        insert(&mut tx, entry).await.map_err(failed)?;
        if let Some(id) = answers {
            let answered =
                sqlx::query("UPDATE requests SET answer = ? WHERE id = ? AND answer IS NULL")
                    .bind(DONE)
                    .bind(id)
                    .execute(&mut *tx)
                    .await
                    .map_err(failed)?;
            if answered.rows_affected() == 0 {
                return Err(AppendError::Withdrawn);
            }
        }
        sqlx::query("UPDATE runs SET closed = ? WHERE run = ? AND closed <> ?")
            .bind(closed)
            .bind(lease.run().as_str())
            .bind(closed)
            .execute(&mut *tx)
            .await
            .map_err(failed)?;
        tx.commit().await.map_err(failed)
    }

    /// The usual case in one statement, which is a transaction by itself: the lease is ours, the
    /// entry follows the last one, and the run stays as open as it is. False: nothing was written,
    /// and something else is the case.
    async fn append_at_once(
        &self,
        lease: &Lease,
        entry: &Entry,
        closed: bool,
    ) -> sqlx::Result<bool> {
        let after = entry.after();
        let mut writer = self.writer.lock().await;
        let writer = match &mut *writer {
            Some(writer) => writer,
            none => none.insert(self.pool.acquire().await?),
        };
        let done = sqlx::query(
            "INSERT INTO events (run, seq, body, prev, hash)
             SELECT ?1, ?2, ?3, ?4, ?5 FROM leases, runs
             WHERE leases.run = ?1 AND leases.token = ?6 AND runs.run = ?1 AND runs.closed = ?7
               AND (SELECT max(seq) FROM events WHERE run = ?1) = ?8
               AND (SELECT hash FROM events WHERE run = ?1 AND seq = ?8) = ?4",
        )
        .bind(lease.run().as_str())
        .bind(signed(entry.record.seq))
        .bind(&entry.body)
        .bind(entry.prev.0.as_slice())
        .bind(entry.hash.0.as_slice())
        .bind(signed(lease.token()))
        .bind(closed)
        .bind(signed(after.seq))
        .execute(&mut **writer)
        .await?;
        Ok(done.rows_affected() == 1)
    }

    pub async fn take(
        &self,
        run: &RunId,
        holder: &str,
        ttl: Duration,
        force: bool,
    ) -> Result<Taken> {
        let act = "taking the lease in";
        let sql = format!(
            "UPDATE leases SET holder = ?1, token = token + 1, expires_ms = {NOW} + ?2
             WHERE run = ?3 AND (?4 OR expires_ms <= {NOW}) RETURNING token"
        );
        // Twice: the lease may expire between the attempt and the look at who holds it.
        for _ in 0..2 {
            // Counted from before the request: the store's clock may start later, never earlier.
            let before = std::time::Instant::now();
            // All of it: the row comes before the commit, which may still fail.
            let token: Vec<i64> = sqlx::query_scalar(sqlx::AssertSqlSafe(sql.clone()))
                .bind(holder)
                .bind(millis(ttl))
                .bind(run.as_str())
                .bind(force)
                .fetch_all(&self.pool)
                .await
                .map_err(|e| self.problem(act, &e))?;
            if let Some(token) = token.first().copied() {
                let token = unsigned(token);
                let lease = Lease::new(run.clone(), holder.to_owned(), token, ttl, before);
                return Ok(Taken::Ours(lease));
            }
            if let Some(held) = self.holder(run).await? {
                return Ok(Taken::Held(held));
            }
        }
        Err(self.note(act, format!("run {run} is not in it")))
    }

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

    pub async fn release(&self, lease: &Lease) -> Result<()> {
        sqlx::query("UPDATE leases SET expires_ms = 0 WHERE run = ? AND token = ?")
            .bind(lease.run().as_str())
            .bind(signed(lease.token()))
            .execute(&self.pool)
            .await
            .map(|_| ())
            .map_err(|e| self.problem("giving back the lease in", &e))
    }

    pub async fn request(
        &self,
        run: &RunId,
        kind: RequestKind,
        by: &Person,
        detail: &str,
    ) -> Result<i64> {
        let sql = format!(
            "INSERT INTO requests (run, kind, by_whom, claim, detail, made_ms)
             VALUES (?, ?, ?, ?, ?, {NOW}) RETURNING id"
        );
        // All of it: the row comes before the commit, which may still fail.
        let id: Vec<i64> = sqlx::query_scalar(sqlx::AssertSqlSafe(sql))
            .bind(run.as_str())
            .bind(kind.as_str())
            .bind(by.to_string())
            .bind(by.claim())
            .bind(detail)
            .fetch_all(&self.pool)
            .await
            .map_err(|e| self.problem("leaving a request in", &e))?;
        id.first()
            .copied()
            .ok_or_else(|| self.note("leaving a request in", "it gave no number"))
    }

    pub async fn requests(&self, run: &RunId) -> Result<Vec<Request>> {
        let rows = sqlx::query(
            "SELECT id, kind, by_whom, claim, detail FROM requests
             WHERE run = ? AND answer IS NULL ORDER BY id",
        )
        .bind(run.as_str())
        .fetch_all(&self.pool)
        .await
        .map_err(|e| self.problem("reading", &e))?;
        rows.iter()
            .map(|row| {
                Ok(Request {
                    id: row.get("id"),
                    kind: RequestKind::named(row.get("kind")).ok_or_else(|| {
                        self.note("reading", "it holds a request of an unknown kind")
                    })?,
                    by: row.get("by_whom"),
                    claim: row.get("claim"),
                    detail: row.get("detail"),
                })
            })
            .collect()
    }

    pub async fn refuse(&self, lease: &Lease, id: i64, why: &str) -> Result<bool> {
        let act = "answering a request in";
        let failed = |e: sqlx::Error| self.problem(act, &e);
        let mut tx = self.begin(act).await?;
        let ours: Option<i64> =
            sqlx::query_scalar("SELECT token FROM leases WHERE run = ? AND token = ?")
                .bind(lease.run().as_str())
                .bind(signed(lease.token()))
                .fetch_optional(&mut *tx)
                .await
                .map_err(failed)?;
        if ours.is_none() {
            return Ok(false);
        }
        sqlx::query("UPDATE requests SET answer = ? WHERE id = ? AND answer IS NULL")
            .bind(why)
            .bind(id)
            .execute(&mut *tx)
            .await
            .map_err(failed)?;
        tx.commit().await.map_err(failed)?;
        Ok(true)
    }

    pub async fn withdraw(&self, id: i64, why: &str) -> Result<Option<String>> {
        let done = sqlx::query("UPDATE requests SET answer = ? WHERE id = ? AND answer IS NULL")
            .bind(why)
            .bind(id)
            .execute(&self.pool)
            .await
            .map_err(|e| self.problem("taking back a request in", &e))?;
        if done.rows_affected() == 0 {
            return self.answered(id).await;
        }
        Ok(None)
    }

    pub async fn answered(&self, id: i64) -> Result<Option<String>> {
        sqlx::query_scalar("SELECT answer FROM requests WHERE id = ?")
            .bind(id)
            .fetch_one(&self.pool)
            .await
            .map_err(|e| self.problem("reading", &e))
    }
}

impl std::fmt::Display for SqliteStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.path.display())
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

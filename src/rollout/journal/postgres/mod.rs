//! The journal in a Postgres of a team's choice.
//!
//! Everything is one short transaction with unnamed statements, so it works behind a transaction
//! pooler. A writer locks the lease's row first and checks the token under that lock; the next
//! writer waits there, and then reads what this one committed (`READ COMMITTED`: each statement
//! sees the newest). So an append whose COMMIT was not acknowledged is settled by appending the
//! same entry again: under the lock either it is there, or it never will be.

mod append;
mod lease;
mod requests;

use std::fmt;
use std::time::Duration;

use sqlx::postgres::PgRow;
use sqlx::{Postgres, Row as _, Transaction};

use super::chain::{self, RunId};
use super::{RunRow, signed, unsigned};
use crate::error::{Exit, Problem, Result};
use crate::pg::{self, Database, query, query_scalar};

/// The tables, their triggers, and the function that admits an operator's role.
const SCHEMA: &str = include_str!("schema.sql");

/// Makers of the tables take turns by this advisory lock: `dbctl-jo` in ASCII.
const MAKERS: i64 = 0x6462_6374_6c2d_6a6f;

/// How long anything but reading a whole run may take: a driver has to know whether it still has
/// its lease.
const PATIENCE: Duration = Duration::from_secs(3);
/// How long reading the entries of a run may take.
const READING: Duration = Duration::from_secs(60);

/// What the triggers raise.
const REFUSED: &str = "DBC01";

/// A journal in the schema `dbctl_journal` of a database.
#[derive(Debug, Clone)]
pub(super) struct PostgresStore {
    database: Database,
    /// Who the server says we are.
    role: String,
}

impl PostgresStore {
    pub async fn create(database: Database) -> Result<Self> {
        if let Some(store) = Self::open(database.clone()).await? {
            return Ok(store);
        }
        let unborn = Self {
            database,
            role: String::new(),
        };
        let act = "making the tables of";
        unborn.within(act, unborn.make_tables(act)).await?;
        let store = Self::open(unborn.database.clone()).await?;
        store.ok_or_else(|| unborn.note(act, "they are not there afterwards"))
    }

    pub async fn open(database: Database) -> Result<Option<Self>> {
        database.check().await.map_err(one_way_left)?;
        let mut store = Self {
            database,
            role: String::new(),
        };
        let act = "opening";
        let (role, made) = store
            .within(act, async {
                let mut tx = store.begin(act).await?;
                let row = query(
                    "SELECT session_user::text AS role,
                            pg_catalog.to_regclass('dbctl_journal.version') IS NOT NULL AS made",
                )
                .fetch_one(&mut *tx)
                .await
                .map_err(|e| store.problem(act, &e))?;
                let made: bool = row.get("made");
                let version: Option<i32> = match made {
                    false => None,
                    true => query_scalar("SELECT version FROM dbctl_journal.version")
                        .fetch_optional(&mut *tx)
                        .await
                        .map_err(|e| store.problem(act, &e))?,
                };
                tx.commit().await.map_err(|e| store.problem(act, &e))?;
                Ok::<_, Problem>((row.get::<String, _>("role"), version))
            })
            .await?;
        store.role = role;
        match made {
            None => Ok(None),
            Some(1) => Ok(Some(store)),
            Some(newer) => Err(store
                .note(
                    act,
                    format!("it was made by a newer dbctl (version {newer})"),
                )
                .next("use that version of dbctl for this journal")),
        }
    }

    /// The authenticated role.
    pub fn role(&self) -> &str {
        &self.role
    }

    async fn make_tables(&self, act: &str) -> Result<()> {
        let failed = |e: sqlx::Error| {
            self.problem(act, &e).next(
                "the first `dbctl rollout start` makes the schema dbctl_journal: let a role with\n\
                 CREATE on that database do it, which then admits the others:\n\
                 SELECT dbctl_journal.admit('ROLE')",
            )
        };
        let mut tx = self.begin(act).await?;
        query("SELECT pg_catalog.pg_advisory_xact_lock($1)")
            .bind(MAKERS)
            .execute(&mut *tx)
            .await
            .map_err(failed)?;
        let made: bool =
            query_scalar("SELECT pg_catalog.to_regclass('dbctl_journal.version') IS NOT NULL")
                .fetch_one(&mut *tx)
                .await
                .map_err(failed)?;
        if !made {
            sqlx::raw_sql(SCHEMA)
                .execute(&mut *tx)
                .await
                .map_err(failed)?;
        }
        tx.commit().await.map_err(failed)
    }

    /// What takes longer is given up: whether it happened is then unknown.
    async fn within<T, E: From<Problem>>(
        &self,
        act: &str,
        work: impl Future<Output = Result<T, E>>,
    ) -> Result<T, E> {
        match tokio::time::timeout(PATIENCE, work).await {
            Ok(done) => done,
            Err(_) => {
                let why = format!("no answer within {} s", PATIENCE.as_secs());
                Err(self.silent(act, why).into())
            }
        }
    }

    async fn begin(&self, act: &str) -> Result<Transaction<'static, Postgres>> {
        self.database
            .begin_with("BEGIN ISOLATION LEVEL READ COMMITTED")
            .await
            .map_err(|e| self.problem(act, &e))
    }

    /// Begins a transaction whose end survives a crash of the server, whatever its settings.
    async fn begin_durable(&self, act: &str) -> Result<Transaction<'static, Postgres>> {
        let mut tx = self.begin(act).await?;
        query(
            "SELECT pg_catalog.set_config('synchronous_commit', 'on', true)
              WHERE pg_catalog.current_setting('synchronous_commit') = 'off'",
        )
        .execute(&mut *tx)
        .await
        .map_err(|e| self.problem(act, &e))?;
        Ok(tx)
    }

    /// [`Exit::Unavailable`]: it may work a moment later, and nobody knows what became of it.
    fn problem(&self, act: &str, error: &sqlx::Error) -> Problem {
        one_way_left(self.judged(act, error))
    }

    fn judged(&self, act: &str, error: &sqlx::Error) -> Problem {
        let problem = pg::problem(format!("{act} the journal {self}"), error);
        let code = error.as_database_error().and_then(|e| e.code());
        match code.as_deref() {
            Some(REFUSED) => problem
                .with_exit(Exit::Failed)
                .next("the journal itself refused it, and nothing was written"),
            Some("42501") => problem.next(format!(
                "let the owner of the schema dbctl_journal admit the role:\n\
                 SELECT dbctl_journal.admit('{}')",
                self.database.options().get_username().escape_debug()
            )),
            Some("42P01" | "3F000") => {
                problem.next("the tables of the journal are gone; nobody but a person removes them")
            }
            // Connections, resources, a server that goes down or comes up, conflicts, time-outs.
            Some(code)
                if ["08", "53", "57", "40"].iter().any(|c| code.starts_with(c))
                    || matches!(code, "25006" | "55P03") =>
            {
                problem.with_exit(Exit::Unavailable)
            }
            Some(_) => problem,
            None if is_silence(error) => problem.with_exit(Exit::Unavailable),
            None => problem,
        }
    }

    fn silent(&self, act: &str, why: impl fmt::Display) -> Problem {
        one_way_left(self.note(act, why).with_exit(Exit::Unavailable))
    }

    fn note(&self, act: &str, cause: impl fmt::Display) -> Problem {
        Problem::new(Exit::Failed, format!("{act} the journal {self}"), cause)
    }

    pub async fn runs(&self) -> Result<Vec<RunRow>> {
        let act = "reading";
        self.within(act, async {
            let failed = |e: sqlx::Error| self.problem(act, &e);
            let mut tx = self.begin(act).await?;
            let rows = query(
                "SELECT run, name, opened_ms, closed FROM dbctl_journal.runs ORDER BY place DESC",
            )
            .fetch_all(&mut *tx)
            .await
            .map_err(failed)?;
            tx.commit().await.map_err(failed)?;
            rows.iter().map(|row| self.run_row(row)).collect()
        })
        .await
    }

    fn run_row(&self, row: &PgRow) -> Result<RunRow> {
        let run: String = row.get("run");
        Ok(RunRow {
            run: run.parse().map_err(|e: String| self.note("reading", e))?,
            name: row.get("name"),
            opened_ms: unsigned(row.get("opened_ms")),
            closed: row.get("closed"),
        })
    }

    pub async fn newest(&self, run: &RunId) -> Result<u64> {
        let act = "reading";
        self.within(act, async {
            let failed = |e: sqlx::Error| self.problem(act, &e);
            let mut tx = self.begin(act).await?;
            let newest: i64 = query_scalar(
                "SELECT coalesce(max(seq), 0) FROM dbctl_journal.events WHERE run = $1",
            )
            .bind(run.as_str())
            .fetch_one(&mut *tx)
            .await
            .map_err(failed)?;
            tx.commit().await.map_err(failed)?;
            Ok(unsigned(newest))
        })
        .await
    }

    pub async fn rows(&self, run: &RunId, from: u64, to: u64) -> Result<Vec<chain::Row>> {
        let act = "reading";
        let read = async {
            let failed = |e: sqlx::Error| self.problem(act, &e);
            let mut tx = self.begin(act).await?;
            let rows = query(
                "SELECT seq, body, prev, hash FROM dbctl_journal.events
                  WHERE run = $1 AND seq BETWEEN $2 AND $3 ORDER BY seq",
            )
            .bind(run.as_str())
            .bind(signed(from))
            .bind(signed(to))
            .fetch_all(&mut *tx)
            .await
            .map_err(failed)?;
            tx.commit().await.map_err(failed)?;
            let row = |row: &PgRow| {
                (
                    unsigned(row.get("seq")),
                    row.get("body"),
                    row.get("prev"),
                    row.get("hash"),
                )
            };
            Ok(rows.iter().map(row).collect())
        };
        match tokio::time::timeout(READING, read).await {
            Ok(done) => done,
            Err(_) => Err(self.silent(act, "it took too long")),
        }
    }
}

/// What a journal that does not answer leaves.
fn one_way_left(problem: Problem) -> Problem {
    if problem.exit() != Exit::Unavailable {
        return problem;
    }
    let before = problem.hint().map(|hint| format!("{hint}\n"));
    let next = format!(
        "{}dbctl rollout rollback --break-glass      goes back to memory/file without the journal",
        before.unwrap_or_default()
    );
    problem.next(next)
}

impl fmt::Display for PostgresStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.database, f)
    }
}

/// No word from the server, as against a word that we do not like.
fn is_silence(error: &sqlx::Error) -> bool {
    matches!(
        error,
        sqlx::Error::Io(_)
            | sqlx::Error::Tls(_)
            | sqlx::Error::Protocol(_)
            | sqlx::Error::PoolTimedOut
            | sqlx::Error::WorkerCrashed
            | sqlx::Error::BeginFailed
    )
}

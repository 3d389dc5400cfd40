//! refinery's traits on an sqlx connection: one transaction per migration, history row included.
//!
//! Everything that holds is scoped to that transaction (the lock, the time-out), so that it works
//! through a transaction pooler; nothing is waited for with a transaction open, except by the
//! server itself and for no longer than the lock time-out.

use std::time::Duration;

use futures_util::StreamExt;
use refinery_core::Migration;
use refinery_core::traits::r#async::{AsyncMigrate, AsyncQuery, AsyncTransaction};
use sqlx::pool::PoolConnection;
use sqlx::{AssertSqlSafe, Connection as _, Executor, PgConnection, Postgres};
use tokio::time::Instant;

use super::apply::{Event, Options};
use super::files::File;
use super::history::{HistoryTable, Record, record};
use super::locks::{self, Blocked, Holder, Watcher};
use crate::error::Problem;
use crate::pg::{self, Database};

/// Whoever holds this advisory lock changes the schema of this database ("dbctl" in ASCII).
const LOCK_KEY: i64 = 0x6462_6374_6c00_0001;
/// How often the lock is tried for while another dbctl holds it.
const LOCK_POLL: Duration = Duration::from_millis(250);
/// Pauses between attempts double from here.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// Why a migration was not applied. It has changed nothing, but for the last two.
pub(super) enum Failure {
    /// A statement of ours failed, before the migration began.
    Around(sqlx::Error),
    Told(Problem),
    /// The migration itself failed, after so many of its statements had succeeded.
    InFile {
        error: sqlx::Error,
        completed: usize,
    },
    /// Somebody else applied or removed something since the history was read.
    HistoryMoved,
    /// Another `migrate apply` did not come to its end in time.
    LockHeld(Vec<Holder>),
    /// Every attempt ran into the lock time-out.
    Blocked {
        attempts: u32,
        last: Option<Blocked>,
    },
    Cancelled,
    /// The migration ended the transaction that it ran in: part of it may be committed.
    TransactionEnded,
    /// The commit was sent and no answer came.
    CommitInDoubt(sqlx::Error),
}

/// What refinery is told; the [`Failure`] is kept in [`Connection::failure`].
#[derive(Debug, thiserror::Error)]
#[error("stopped")]
pub(super) struct Stopped;

pub(super) struct Connection<'a> {
    pub connection: PoolConnection<Postgres>,
    pub database: &'a Database,
    pub table: HistoryTable,
    pub options: &'a Options,
    pub on: &'a mut (dyn FnMut(Event) + Send),
    /// The migration that is about to be applied, and the history that it was planned on.
    pub current: Option<&'a File>,
    pub seen: Vec<Record>,
    pub failure: Option<Failure>,
}

impl AsyncTransaction for Connection<'_> {
    type Error = Stopped;

    /// refinery calls this with one statement to make the history table, and with two to apply a
    /// migration: its text and its history row.
    async fn execute<'b, T: Iterator<Item = &'b str> + Send + 'b>(
        &'b mut self,
        queries: T,
    ) -> Result<usize, Stopped> {
        let queries: Vec<&str> = queries.collect();
        let done = match (queries.as_slice(), self.current) {
            ([sql, row], Some(file)) => self.apply(file, sql, row).await,
            (statements, _) => self.make_history(statements).await,
        };
        match done {
            Ok(()) => Ok(queries.len()),
            Err(failure) => {
                self.failure = Some(failure);
                Err(Stopped)
            }
        }
    }
}

impl AsyncQuery<Vec<Migration>> for Connection<'_> {
    async fn query<'b>(&'b mut self, query: &'b str) -> Result<Vec<Migration>, Stopped> {
        let read = async {
            let mut tx = self.connection.begin().await?;
            let rows = pg::query(AssertSqlSafe(query.to_owned()))
                .fetch_all(&mut *tx)
                .await?;
            tx.commit().await?;
            Ok(rows)
        };
        let rows = read.await;
        let history = rows.map_err(Failure::Around).and_then(|rows| {
            rows.iter()
                .map(|row| record(row).and_then(Record::into_migration))
                .collect::<Result<Vec<_>, String>>()
                .map_err(|e| {
                    Failure::Told(Problem::new(
                        crate::error::Exit::Findings,
                        format!("reading {}", self.table),
                        e,
                    ))
                })
        });
        history.map_err(|failure| {
            self.failure = Some(failure);
            Stopped
        })
    }
}

impl AsyncMigrate for Connection<'_> {}

impl Connection<'_> {
    /// The history as it is now.
    pub async fn look(&mut self) -> crate::error::Result<Vec<Record>> {
        let looking = |e: &sqlx::Error| pg::problem(format!("reading {}", self.table), e);
        let mut tx = self.connection.begin().await.map_err(|e| looking(&e))?;
        let history = self.table.read(&mut tx).await?;
        tx.commit().await.map_err(|e| looking(&e))?;
        Ok(history)
    }

    async fn make_history(&mut self, statements: &[&str]) -> Result<(), Failure> {
        // CREATE TABLE IF NOT EXISTS would want the right to create even where it is there.
        if self.table.exists {
            return Ok(());
        }
        for statement in statements {
            let made = (&mut *self.connection)
                .execute(AssertSqlSafe((*statement).to_owned()))
                .await;
            match made {
                Ok(_) => {}
                // Two at once: the other one made it. Which of its parts is met first depends on
                // the moment (unique_violation, duplicate_table, duplicate_object for its type).
                Err(e) if has_code(&e, &["23505", "42P07", "42710"]) => {}
                Err(e) => return Err(Failure::Around(e)),
            }
        }
        self.table.exists = true;
        Ok(())
    }

    /// Tries until the migration is applied, is known not to be, or the patience is at its end.
    async fn apply(&mut self, file: &File, sql: &str, row: &str) -> Result<(), Failure> {
        let patience = Instant::now() + self.options.lock_wait;
        let mut attempt = 1;
        let mut longest = FIRST_PAUSE;
        let mut told_of: Option<Vec<i32>> = None;
        loop {
            let mut last = None;
            match self.attempt(file, sql, row, attempt, &mut last).await {
                Err(Failure::LockHeld(holders)) if Instant::now() < patience => {
                    let pids: Vec<i32> = holders.iter().map(|h| h.pid).collect();
                    if told_of.as_ref() != Some(&pids) {
                        told_of = Some(pids);
                        (self.on)(Event::LockedOut { holders });
                    }
                    pause(self.options, LOCK_POLL).await?;
                }
                // lock_not_available, deadlock_detected: nothing was changed, try again later.
                Err(Failure::InFile { error, .. }) if has_code(&error, &["55P03", "40P01"]) => {
                    if attempt == self.options.attempts {
                        return Err(Failure::Blocked {
                            attempts: attempt,
                            last,
                        });
                    }
                    // Jitter, so that two that block each other do not meet again.
                    let next_in = longest.mul_f64(rand::random_range(0.75..1.25));
                    (self.on)(Event::Retrying {
                        title: file.title(),
                        attempt,
                        of: self.options.attempts,
                        next_in,
                        blocked: last,
                    });
                    pause(self.options, next_in).await?;
                    longest = (longest * 2).min(LONGEST_PAUSE);
                    attempt += 1;
                }
                other => return other,
            }
        }
    }

    /// One transaction, committed or rolled back before this returns.
    async fn attempt(
        &mut self,
        file: &File,
        sql: &str,
        row: &str,
        attempt: u32,
        last: &mut Option<Blocked>,
    ) -> Result<(), Failure> {
        let mut transaction = self.connection.begin().await.map_err(Failure::Around)?;
        let inside = Inside {
            database: self.database,
            table: &self.table,
            seen: &self.seen,
            options: self.options,
            title: file.title(),
            attempt,
        };
        match inside.run(&mut transaction, sql, row, self.on, last).await {
            Ok(completed) => transaction.commit().await.map_err(|error| match error {
                // Constraints that are checked at the end.
                sqlx::Error::Database(_) => Failure::InFile { error, completed },
                error => Failure::CommitInDoubt(error),
            }),
            Err(failure) => {
                // Where the connection is gone, the server rolls back by itself.
                let _ = transaction.rollback().await;
                Err(failure)
            }
        }
    }
}

/// What happens inside one transaction.
struct Inside<'a> {
    database: &'a Database,
    table: &'a HistoryTable,
    seen: &'a [Record],
    options: &'a Options,
    title: String,
    attempt: u32,
}

impl Inside<'_> {
    /// Takes the lock, looks at the history again, runs the file, writes its row. Returns how
    /// many statements the file had.
    async fn run(
        &self,
        transaction: &mut PgConnection,
        sql: &str,
        row: &str,
        on: &mut (dyn FnMut(Event) + Send),
        last: &mut Option<Blocked>,
    ) -> Result<usize, Failure> {
        let (ours, pid): (bool, i32) = pg::query_as(
            "SELECT pg_catalog.pg_try_advisory_xact_lock($1), pg_catalog.pg_backend_pid()",
        )
        .bind(LOCK_KEY)
        .fetch_one(&mut *transaction)
        .await
        .map_err(Failure::Around)?;
        if !ours {
            let holders = locks::lock_holders(transaction, LOCK_KEY)
                .await
                .map_err(Failure::Around)?;
            return Err(Failure::LockHeld(holders));
        }
        // Under the lock: whoever came before us is visible now.
        let history = self.table.read(transaction).await.map_err(Failure::Told)?;
        if history != self.seen {
            return Err(Failure::HistoryMoved);
        }
        let id = begin_guarded(transaction, self.options.lock_timeout)
            .await
            .map_err(Failure::Around)?;
        let completed = self.run_watched(transaction, pid, sql, on, last).await?;
        end_guarded(transaction, &id).await?;
        let insert = transaction.execute(AssertSqlSafe(row.to_owned())).await;
        insert.map_err(|e| match has_code(&e, &["23505"]) {
            true => Failure::HistoryMoved,
            false => Failure::Around(e),
        })?;
        Ok(completed)
    }

    /// Runs the file while somebody looks who is in the way, and while Ctrl-C is listened for.
    async fn run_watched(
        &self,
        transaction: &mut PgConnection,
        pid: i32,
        sql: &str,
        on: &mut (dyn FnMut(Event) + Send),
        last: &mut Option<Blocked>,
    ) -> Result<usize, Failure> {
        // The embedded engine has one connection, and nobody who could be in the way.
        let has_second = self.database.pool().options().get_max_connections() > 1;
        let mut watcher = has_second.then(|| Watcher::start(self.database.clone(), pid));
        let mut running = std::pin::pin!(run_file(transaction, sql));
        let mut cancelled = false;
        loop {
            let seen = async {
                match &mut watcher {
                    Some(watcher) => watcher.seen.recv().await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                done = &mut running => {
                    return match done {
                        Err((_, _)) if cancelled => Err(Failure::Cancelled),
                        Err((error, completed)) => Err(Failure::InFile { error, completed }),
                        Ok(completed) => Ok(completed),
                    };
                }
                Some(blocked) = seen => {
                    if last.as_ref().map(|l| &l.lock) != Some(&blocked.lock) {
                        on(Event::Waiting {
                            title: self.title.clone(),
                            attempt: self.attempt,
                            of: self.options.attempts,
                            blocked: blocked.clone(),
                        });
                    }
                    *last = Some(blocked);
                }
                () = self.options.cancel.cancelled(), if !cancelled => {
                    cancelled = true;
                    if !has_second {
                        return Err(Failure::Cancelled);
                    }
                    // Stops the statement on the server too; its transaction is rolled back.
                    let _ = locks::cancel(self.database, pid).await;
                }
            }
        }
    }
}

async fn pause(options: &Options, time: Duration) -> Result<(), Failure> {
    tokio::select! {
        () = tokio::time::sleep(time) => Ok(()),
        () = options.cancel.cancelled() => Err(Failure::Cancelled),
    }
}

/// Bounds every wait for a lock, and returns the transaction's id.
async fn begin_guarded(
    transaction: &mut PgConnection,
    lock_timeout: Duration,
) -> Result<String, sqlx::Error> {
    pg::query("SELECT pg_catalog.set_config('lock_timeout', $1, true)")
        .bind(format!("{}ms", lock_timeout.as_millis()))
        .execute(&mut *transaction)
        .await?;
    pg::query_scalar("SELECT pg_catalog.pg_current_xact_id()::text")
        .fetch_one(transaction)
        .await
}

/// Makes sure that the transaction is still the same one, and takes back what the migration set
/// for the session: neither its history row nor the next migration may depend on that.
async fn end_guarded(transaction: &mut PgConnection, id: &str) -> Result<(), Failure> {
    let now: Option<String> =
        pg::query_scalar("SELECT pg_catalog.pg_current_xact_id_if_assigned()::text")
            .fetch_one(&mut *transaction)
            .await
            .map_err(Failure::Around)?;
    if now.as_deref() != Some(id) {
        return Err(Failure::TransactionEnded);
    }
    for reset in ["RESET SESSION AUTHORIZATION", "RESET ROLE", "RESET ALL"] {
        transaction.execute(reset).await.map_err(Failure::Around)?;
    }
    Ok(())
}

/// Sends the whole file as one simple query, as refinery does. An error comes with the number of
/// statements that had succeeded.
async fn run_file(connection: &mut PgConnection, sql: &str) -> Result<usize, (sqlx::Error, usize)> {
    let mut results = connection.execute_many(sqlx::raw_sql(AssertSqlSafe(sql.to_owned())));
    let mut completed = 0;
    while let Some(result) = results.next().await {
        match result {
            Ok(_) => completed += 1,
            Err(e) => return Err((e, completed)),
        }
    }
    Ok(completed)
}

fn has_code(error: &sqlx::Error, codes: &[&str]) -> bool {
    error
        .as_database_error()
        .and_then(|e| e.code())
        .is_some_and(|code| codes.contains(&code.as_ref()))
}

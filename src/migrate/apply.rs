//! Applying what is pending, one migration at a time.

use std::time::{Duration, Instant};

use refinery_core::{Migration, Runner, Target};
use serde::Serialize;
use sqlx::Connection as _;
use tokio_util::sync::CancellationToken;

use super::connection::{Connection, Failure};
use super::failure::{self, Ground};
use super::files::{self, File};
use super::history::{self, HistoryTable};
use super::locks::{Blocked, Holder};
use crate::error::{Exit, Problem, Result};
use crate::pg::{Database, problem};

/// How patient to be.
#[derive(Debug, Clone)]
pub struct Options {
    /// How long a statement may wait for a lock: as long, everybody else queues behind it.
    pub lock_timeout: Duration,
    /// How often a migration is tried that runs into the lock time-out.
    pub attempts: u32,
    /// How long another `migrate apply` on the same database is waited for.
    pub lock_wait: Duration,
    /// Ends the work: the statement that runs is stopped and its migration rolled back.
    pub cancel: CancellationToken,
    pub ground: Ground,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            lock_timeout: Duration::from_secs(3),
            attempts: 10,
            lock_wait: Duration::from_secs(60),
            cancel: CancellationToken::new(),
            ground: Ground::Server,
        }
    }
}

/// What happens while migrations are applied.
#[derive(Debug, Clone)]
pub enum Event {
    Started {
        title: String,
    },
    /// A statement waits for a lock; it gives up after the lock time-out.
    Waiting {
        title: String,
        attempt: u32,
        of: u32,
        blocked: Blocked,
    },
    /// It gave up, everything is as before, and it will be tried again.
    Retrying {
        title: String,
        attempt: u32,
        of: u32,
        next_in: Duration,
        blocked: Option<Blocked>,
    },
    /// Another `migrate apply` works on this database.
    LockedOut {
        holders: Vec<Holder>,
    },
    /// Committed, together with its history row.
    Applied {
        title: String,
        took: Duration,
    },
    /// It was pending, and somebody else applied it.
    ByAnother {
        title: String,
    },
}

/// What came of it.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Outcome {
    pub applied: Vec<Done>,
    /// Pending when we began, applied by somebody else.
    pub by_another: usize,
    /// Applied before we began.
    pub before: usize,
}

#[derive(Debug, Clone, Serialize)]
pub struct Done {
    pub version: i32,
    pub name: String,
    pub took_ms: f64,
}

/// Applies what is pending of `files`, each in a transaction of its own that also writes its
/// history row. Two at once never both apply one: each takes the database's migration lock in
/// that same transaction and looks at the history again under it.
///
/// On an error, what was applied before stays applied; the events have told of it.
pub async fn apply(
    database: &Database,
    files: &[File],
    options: &Options,
    on: &mut (dyn FnMut(Event) + Send),
) -> Result<Outcome> {
    database.check().await?;
    let mut connection = database
        .session()
        .await
        .map_err(|e| problem(format!("connecting to {database}"), &e))?;
    let looking = |e: &sqlx::Error| problem(format!("reading the history at {database}"), e);
    let mut tx = connection.begin().await.map_err(|e| looking(&e))?;
    let table = HistoryTable::find(&mut tx).await?;
    tx.commit().await.map_err(|e| looking(&e))?;
    let mut work = Connection {
        connection,
        database,
        table,
        options,
        on,
        current: None,
        seen: Vec::new(),
        failure: None,
    };
    let done = run(&mut work, files).await;
    if done.is_err() {
        // It may be in the middle of something: not one for the pool.
        let _ = work.connection.close().await;
    }
    done
}

async fn run<'a>(work: &mut Connection<'a>, files: &'a [File]) -> Result<Outcome> {
    let migrations: Vec<Migration> = files.iter().map(|f| f.migration.clone()).collect();
    let mut outcome = Outcome::default();
    let mut planned: Option<Vec<&File>> = None;
    loop {
        work.seen = work.look().await?;
        let pending = history::pending(files, &work.seen)?;
        match &mut planned {
            None => {
                let wrong = pending.iter().filter_map(|f| files::transaction_control(f));
                if let Some(problem) = files::combined(wrong.collect()) {
                    return Err(problem);
                }
                outcome.before = work.seen.len();
                planned = Some(pending.clone());
            }
            Some(planned) => {
                for file in
                    planned.extract_if(.., |f| !pending.iter().any(|p| p.version() == f.version()))
                {
                    outcome.by_another += 1;
                    (work.on)(Event::ByAnother {
                        title: file.title(),
                    });
                }
            }
        }
        let Some(file) = pending.first().copied() else {
            return Ok(outcome);
        };
        if work.options.cancel.is_cancelled() {
            return Err(told(file, Failure::Cancelled, work));
        }
        (work.on)(Event::Started {
            title: file.title(),
        });
        let began = Instant::now();
        match one(work, &migrations, file).await {
            Ok(()) => {}
            Err(Failure::HistoryMoved) => continue,
            Err(failure) => return Err(told(file, failure, work)),
        }
        let took = began.elapsed();
        if let Some(planned) = &mut planned {
            planned.retain(|f| f.version() != file.version());
        }
        (work.on)(Event::Applied {
            title: file.title(),
            took,
        });
        outcome.applied.push(Done {
            version: file.version(),
            name: file.name().to_owned(),
            took_ms: took.as_secs_f64() * 1e3,
        });
    }
}

/// Has refinery apply everything up to `file`: exactly that one, since it is the first pending.
async fn one<'a>(
    work: &mut Connection<'a>,
    migrations: &[Migration],
    file: &'a File,
) -> Result<(), Failure> {
    work.current = Some(file);
    let mut runner = Runner::new(migrations).set_target(Target::Version(file.version()));
    runner.set_migration_table_name(work.table.to_string());
    let ran = runner.run_async(work).await;
    match (ran, work.failure.take()) {
        // refinery reads the history as well: it may have found nothing left to do.
        (Ok(report), _) if report.applied_migrations().is_empty() => Err(Failure::HistoryMoved),
        (Ok(_), _) => Ok(()),
        (Err(_), Some(failure)) => Err(failure),
        // Its own checks, which ours have passed: the history moved in between.
        (Err(_), None) => Err(Failure::HistoryMoved),
    }
}

fn told(file: &File, failure: Failure, work: &Connection<'_>) -> Problem {
    let doing = format!("applying {} to {}", file.path, work.database);
    let again = "`dbctl migrate list` shows where it stands; applying again goes on from there";
    match failure {
        Failure::Told(problem) => problem,
        Failure::Around(e) => problem(doing, &e),
        Failure::InFile { error, completed } => {
            failure::in_file(file, &error, completed, work.options.ground)
        }
        Failure::HistoryMoved => Problem::new(Exit::Failed, doing, "somebody else changed the history meanwhile").next(again),
        Failure::LockHeld(holders) => Problem::new(
            Exit::Unavailable,
            doing,
            format!("another migrate apply is at work: {}", held_by(&holders)),
        )
        .next("wait for it and apply again; nothing was changed here"),
        Failure::Blocked { attempts, last } => Problem::new(
            Exit::Unavailable,
            doing,
            match last {
                Some(Blocked { lock, holders }) => format!(
                    "no {} within {} s, {attempts} times; held by {}",
                    lock.as_deref().unwrap_or("lock"),
                    work.options.lock_timeout.as_secs_f64(),
                    held_by(&holders)
                ),
                None => format!("no lock within {} s, {attempts} times", work.options.lock_timeout.as_secs_f64()),
            },
        )
        .next("this migration was rolled back; apply again when the other session is done, or end it with pg_terminate_backend(pid)"),
        Failure::Cancelled => Problem::new(
            Exit::Interrupted,
            doing,
            "interrupted; this migration was rolled back",
        )
        .next(again),
        Failure::TransactionEnded => Problem::new(
            Exit::Findings,
            doing,
            "the migration ended its transaction: part of it may be committed, and it is not in the history",
        )
        .next("look at what it has done; leave BEGIN and COMMIT out of migrations"),
        Failure::CommitInDoubt(e) => Problem::new(
            Exit::Failed,
            doing,
            format!("the connection was lost while committing, so it may be applied or not ({e})"),
        )
        .next(again),
    }
}

fn held_by(holders: &[Holder]) -> String {
    if holders.is_empty() {
        return "a session that has gone since".to_owned();
    }
    let all: Vec<String> = holders.iter().map(Holder::to_string).collect();
    all.join("; ")
}

impl std::fmt::Display for Holder {
    /// `pid 8841 · app=reporting · user=bi · idle in transaction for 14m 2s`
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "pid {}", self.pid)?;
        for (name, value) in [("app", &self.application), ("user", &self.user)] {
            if !value.is_empty() {
                write!(f, " · {name}={}", value.escape_debug())?;
            }
        }
        let seconds = self.age_seconds.max(0.0) as u64;
        let (minutes, seconds) = (seconds / 60, seconds % 60);
        write!(f, " · {} for {minutes}m {seconds:02}s", self.state)
    }
}

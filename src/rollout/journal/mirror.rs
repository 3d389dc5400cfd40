//! A local copy of the run that this process drives, for a journal that lies in a database: what
//! `rollout rollback --break-glass` works from when that database is gone.
//!
//! It is a journal file of one run, written after each append. It may be behind (another machine
//! drove meanwhile) and catches up when this machine drives again.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use super::chain::{self, Entry, Head, RunId};
use super::sqlite::SqliteStore;
use super::{Journal, Person, Store};
use crate::error::{Exit, Problem, Result};

/// The mirror of one run.
#[derive(Debug)]
pub struct Mirror {
    store: SqliteStore,
    run: RunId,
}

/// How a mirror and the journal stand to each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// All of the mirror is in the journal.
    Within,
    /// The mirror goes on where the journal ends.
    Ahead { journal: Head, mirror: Head },
    /// Both went on, differently, after `common`.
    Parted { common: u64, mirror: Head },
}

/// Where the mirrors of a journal lie: beside its local files.
pub fn mirrors_beside(journal: &Path) -> PathBuf {
    crate::durable::parent(journal).join("mirror")
}

/// The runs that `dir` mirrors, the one written last first.
pub fn mirrored(dir: &Path) -> Result<Vec<RunId>> {
    let failed = |e| {
        let doing = format!("looking for mirrors of runs in {}", dir.display());
        Problem::new(Exit::Config, doing, e)
    };
    let files = match std::fs::read_dir(dir) {
        Ok(files) => files,
        Err(e) if matches!(e.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
            return Ok(Vec::new());
        }
        Err(e) => return Err(failed(e)),
    };
    let mut found = Vec::new();
    for file in files {
        let path = file.map_err(failed)?.path();
        let run = path.file_stem().and_then(|name| name.to_str());
        if path.extension().is_some_and(|e| e == "db")
            && let Some(run) = run.and_then(|name| name.parse::<RunId>().ok())
        {
            // What was written last may still lie in the write-ahead log.
            let written = ["db", "db-wal"].map(|extension| {
                let file = std::fs::metadata(path.with_extension(extension));
                file.and_then(|m| m.modified()).ok()
            });
            found.push((written.into_iter().max().flatten(), run));
        }
    }
    found.sort_by(|a, b| b.cmp(a));
    Ok(found.into_iter().map(|(_, run)| run).collect())
}

fn file(dir: &Path, run: &RunId) -> PathBuf {
    dir.join(format!("{run}.db"))
}

impl Mirror {
    /// The mirror of `run` in `dir`, made where there is none.
    pub async fn create(dir: &Path, run: &RunId) -> Result<Self> {
        let store = SqliteStore::create(&file(dir, run)).await?;
        let run = run.clone();
        Ok(Self { store, run })
    }

    pub async fn open(dir: &Path, run: &RunId) -> Result<Option<Self>> {
        let store = SqliteStore::open(&file(dir, run)).await?;
        let run = run.clone();
        Ok(store.map(|store| Self { store, run }))
    }

    /// Removes it: it is kept elsewhere, and the next driver here begins another.
    pub async fn discard(self) -> Result<()> {
        self.store.remove().await
    }

    pub fn run(&self) -> &RunId {
        &self.run
    }

    /// As a journal of its own, written by somebody who acts without the one that it mirrors.
    pub fn as_journal(&self) -> Journal {
        Journal {
            store: Store::File(self.store.clone()),
            person: Person::without_journal(),
            mirrors: None,
        }
    }

    /// Copies what it lacks of the journal. `name` is the runbook's; `closed` is whether the run
    /// is over then.
    ///
    /// # Errors
    /// [`Exit::JournalBroken`] where it holds something that the journal does not.
    pub async fn catch_up(&self, journal: &Journal, name: &str, closed: bool) -> Result<()> {
        match self.standing(journal).await? {
            Standing::Within => {}
            Standing::Ahead { mirror, .. } | Standing::Parted { mirror, .. } => {
                return Err(Problem::new(
                    Exit::JournalBroken,
                    format!("following run {} in the mirror {}", self.run, self.store),
                    format!("its events up to {} are not in the journal", mirror.seq),
                ));
            }
        }
        let from = self.store.newest(&self.run).await? + 1;
        let rows = journal.rows(&self.run, from, u64::MAX).await?;
        self.store.copy(&self.run, name, &rows, closed).await
    }

    /// Takes an entry that the journal has just acknowledged.
    pub async fn follow(
        &self,
        journal: &Journal,
        name: &str,
        entry: &Entry,
        closed: bool,
    ) -> Result<()> {
        if self.store.newest(&self.run).await? + 1 != entry.record.seq {
            return self.catch_up(journal, name, closed).await;
        }
        let row = (
            entry.record.seq,
            entry.body.clone(),
            entry.prev.0.to_vec(),
            entry.hash.0.to_vec(),
        );
        self.store.copy(&self.run, name, &[row], closed).await
    }

    /// Compares the end of both.
    pub async fn standing(&self, journal: &Journal) -> Result<Standing> {
        let last = self.store.newest(&self.run).await?;
        let Some(mirror) = head_at(self.store.rows(&self.run, last, last).await?) else {
            return Ok(Standing::Within);
        };
        let newest = journal.newest(&self.run).await?;
        let common = newest.min(last);
        let theirs = journal.rows(&self.run, common, common).await?;
        let ours = self.store.rows(&self.run, common, common).await?;
        let theirs = head_at(theirs);
        let agreed = theirs.filter(|theirs| head_at(ours) == Some(*theirs));
        Ok(match agreed {
            Some(journal) if last > newest => Standing::Ahead { journal, mirror },
            Some(_) => Standing::Within,
            None => Standing::Parted { common, mirror },
        })
    }
}

fn head_at(rows: Vec<chain::Row>) -> Option<Head> {
    let (seq, _, _, hash) = rows.into_iter().next()?;
    let hash = chain::Hash(hash.try_into().ok()?);
    Some(Head { seq, hash })
}

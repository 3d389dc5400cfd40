//! What was done without the journal, until it is merged into it.
//!
//! A spool is a small file beside the mirrors. For a run it says where the mirror began to go on
//! by itself; for an environment that was set back without a run's mirror it is the record itself.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::journal::{Hash, Head, RunId};
use crate::error::{Doing, Exit, Problem, Result};

const SCHEMA: &str = "dbctl.spool/1";
const UNMERGED: &str = "spool";

/// What was done, by whom and when.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Spooled {
    schema: String,
    /// The operating system's user: nobody else could be asked.
    pub by: String,
    /// What they say of themselves.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub claim: Option<String>,
    /// When it was begun, in milliseconds since 1970.
    pub at_ms: u64,
    pub reason: String,
    pub what: What,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "what", rename_all = "kebab-case", deny_unknown_fields)]
pub enum What {
    /// The run's mirror goes on after this head of the journal.
    Run { run: RunId, base: String },
    /// Every target of an environment was set back to memory/file.
    Environment {
        env: String,
        /// `None` while it is under way, and after a crash: then nobody can tell.
        ended: Option<Ended>,
    },
}

/// How setting an environment back ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ended {
    /// Every target says so itself, and authenticates.
    pub confirmed: bool,
    /// What was not done, or not seen; empty if all was.
    pub wrong: Vec<String>,
    pub evidence: serde_json::Value,
}

/// A spool that was not merged yet.
#[derive(Debug, Clone)]
pub struct Spool {
    pub path: PathBuf,
    pub spooled: Spooled,
}

/// What becomes of a spool.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Settled {
    /// The journal has all of it.
    Merged,
    /// The journal went another way, and names the file.
    Kept,
}

impl What {
    pub fn run(run: &RunId, base: Head) -> Self {
        What::Run {
            run: run.clone(),
            base: base.to_string(),
        }
    }
}

impl Spooled {
    pub fn new(by: String, claim: Option<String>, at_ms: u64, reason: String, what: What) -> Self {
        Self {
            schema: SCHEMA.into(),
            by,
            claim,
            at_ms,
            reason,
            what,
        }
    }
}

/// The spools in `dir` that nobody merged, oldest first.
pub fn unmerged(dir: &Path) -> Result<Vec<Spool>> {
    let doing = || format!("looking for spools in {}", dir.display());
    let files = match std::fs::read_dir(dir) {
        Ok(files) => files,
        Err(e) if matches!(e.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
            return Ok(Vec::new());
        }
        Err(e) => return Err(Problem::new(Exit::Config, doing(), e)),
    };
    let mut spools = Vec::new();
    for file in files {
        let path = file.doing(Exit::Config, doing())?.path();
        if path.extension().is_some_and(|e| e == UNMERGED) {
            spools.push(Spool::read(path)?);
        }
    }
    spools.sort_by_key(|s| s.spooled.at_ms);
    Ok(spools)
}

impl Spool {
    fn read(path: PathBuf) -> Result<Self> {
        let doing = format!("reading the spool {}", path.display());
        let bytes = std::fs::read(&path).doing(Exit::Config, &doing)?;
        let damaged = |why: String| {
            Problem::new(Exit::Config, &doing, why)
                .next("it says what was done without the journal: keep it, and look at it yourself")
        };
        let spooled: Spooled =
            serde_json::from_slice(&bytes).map_err(|e| damaged(format!("it is damaged: {e}")))?;
        if spooled.schema != SCHEMA {
            return Err(damaged("it is of another version of dbctl".into()));
        }
        Ok(Self { path, spooled })
    }

    /// Says, durably, that the mirror of `run` goes on by itself after `base`. One that was begun
    /// before and not merged goes on: its own base counts.
    pub fn of_run(dir: &Path, run: &RunId, spooled: Spooled) -> Result<Self> {
        let path = dir.join(format!("{run}.{UNMERGED}"));
        if path.exists() {
            return Self::read(path);
        }
        let spool = Self { path, spooled };
        spool.write()?;
        Ok(spool)
    }

    /// Says, durably, that an environment is about to be set back.
    pub fn of_environment(dir: &Path, spooled: Spooled) -> Result<Self> {
        crate::durable::create_private_dir(dir)
            .doing(Exit::Config, format!("making {}", dir.display()))?;
        let path = dir.join(format!("kit-{}.{UNMERGED}", spooled.at_ms));
        let spool = Self { path, spooled };
        spool.write()?;
        Ok(spool)
    }

    /// Writes what it says now.
    pub fn write(&self) -> Result<()> {
        let bytes = serde_json::to_vec_pretty(&self.spooled).expect("plain data");
        let doing = format!("writing the spool {}", self.path.display());
        crate::durable::write(&self.path, &bytes).doing(Exit::Failed, doing)
    }

    /// Over its exact bytes; a note in the journal names it.
    pub fn hash(&self) -> Result<Hash> {
        let doing = format!("reading the spool {}", self.path.display());
        let bytes = std::fs::read(&self.path).doing(Exit::Config, doing)?;
        Ok(Hash(Sha256::digest(bytes).into()))
    }

    /// Keeps the file under another name: nothing is to be done for it any more.
    pub fn settle(&self, settled: Settled) -> Result<PathBuf> {
        let path = self.settled_path(settled);
        let doing = format!("renaming the spool {}", self.path.display());
        std::fs::rename(&self.path, &path)
            .and_then(|()| crate::durable::sync_dir(crate::durable::parent(&path)))
            .doing(Exit::Failed, doing)?;
        Ok(path)
    }

    /// Where [`settle`](Self::settle) puts it.
    pub fn settled_path(&self, settled: Settled) -> PathBuf {
        self.path.with_extension(match settled {
            Settled::Merged => "merged",
            Settled::Kept => "kept",
        })
    }
}

//! What verification queries saw the last time, for columns that may only grow.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::durable;
use crate::error::{Doing, Exit, Problem, Result};

/// The last looks of one runbook: a file that survives a power cut, readable by its owner only.
#[derive(Debug)]
pub struct Looks {
    file: PathBuf,
    kept: Kept,
    changed: bool,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Kept {
    schema: String,
    /// By database, then by query and column.
    looks: BTreeMap<String, BTreeMap<String, Look>>,
}

/// The greatest value that a column had.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Look {
    /// As Postgres writes it as text.
    pub value: String,
    /// Its type, as Postgres names it.
    pub r#type: String,
    pub at: Timestamp,
}

const SCHEMA: &str = "dbctl.verify.looks/1";

impl Looks {
    /// Reads the file; one that is not there holds nothing yet.
    ///
    /// # Errors
    /// [`Exit::Config`]: it cannot be read or was not written by dbctl. It is never begun anew by
    /// itself: that would make a column that shrank look new.
    pub fn open(file: &Path) -> Result<Self> {
        let doing = || format!("reading the last looks in {}", file.display());
        let hint = |p: Problem| p.next(format!("to begin anew, delete {}", file.display()));
        let kept = match std::fs::read(file) {
            Ok(bytes) => {
                let kept: Kept = serde_json::from_slice(&bytes)
                    .doing(Exit::Config, doing())
                    .map_err(hint)?;
                if kept.schema != SCHEMA {
                    let cause = format!("it is not {SCHEMA}");
                    return Err(hint(Problem::new(Exit::Config, doing(), cause)));
                }
                kept
            }
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => Kept {
                schema: SCHEMA.into(),
                looks: BTreeMap::new(),
            },
            Err(e) => return Err(hint(Problem::new(Exit::Config, doing(), e))),
        };
        Ok(Self {
            file: file.to_owned(),
            kept,
            changed: false,
        })
    }

    pub fn file(&self) -> &Path {
        &self.file
    }

    pub fn last(&self, database: &str, query: &str, column: &str) -> Option<&Look> {
        self.kept.looks.get(database)?.get(&key(query, column))
    }

    /// Remembers a look; [`Looks::save`] writes it.
    pub fn remember(&mut self, database: &str, query: &str, column: &str, look: Look) {
        let of_database = self.kept.looks.entry(database.to_owned()).or_default();
        of_database.insert(key(query, column), look);
        self.changed = true;
    }

    /// Writes what was remembered.
    ///
    /// # Errors
    /// [`Exit::Failed`]: the next look would compare with an older one.
    pub fn save(&mut self) -> Result<()> {
        if !self.changed {
            return Ok(());
        }
        let doing = || format!("keeping this look in {}", self.file.display());
        let json = serde_json::to_vec_pretty(&self.kept).doing(Exit::Failed, doing())?;
        durable::create_private_dir(durable::parent(&self.file)).doing(Exit::Failed, doing())?;
        durable::write(&self.file, &json).doing(Exit::Failed, doing())?;
        self.changed = false;
        Ok(())
    }
}

fn key(query: &str, column: &str) -> String {
    format!("{query}.{column}")
}

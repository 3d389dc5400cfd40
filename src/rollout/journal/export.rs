//! A run's journal as a file of its own, to be kept with an incident and checked elsewhere.
//!
//! JSON lines: a heading, the entries with the exact bytes of their bodies, and the head last, so
//! that a file that was cut short is noticed.

use std::path::Path;

use serde::{Deserialize, Serialize};

use super::chain::{self, Entry, Head, RunId};
use crate::error::{Doing, Exit, Problem, Result};

const SCHEMA: &str = "dbctl.journal/1";

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Heading {
    schema: String,
    run: RunId,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    seq: u64,
    prev: String,
    hash: String,
    /// The JSON of the record as it was hashed.
    body: String,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Ending {
    head: String,
}

/// Writes the entries of `run` to a new file that only its owner can read.
///
/// # Errors
/// When the file is there already: an export is evidence and is never overwritten.
pub fn export(path: &Path, run: &RunId, entries: &[Entry]) -> Result<()> {
    let text = export_text(run, entries);
    let doing = format!("writing {}", path.display());
    match crate::durable::create_new(path, text.as_bytes()) {
        Err(e) if e.kind() == std::io::ErrorKind::AlreadyExists => Err(Problem::new(
            Exit::Config,
            doing,
            "it exists already, and is never overwritten",
        )
        .next("choose another name")),
        done => done.doing(Exit::Config, doing),
    }
}

/// What [`export`] writes.
pub fn export_text(run: &RunId, entries: &[Entry]) -> String {
    let heading = Heading {
        schema: SCHEMA.into(),
        run: run.clone(),
    };
    let ending = Ending {
        head: entries.last().map_or(Head::EMPTY, Entry::head).to_string(),
    };
    let mut text = json(&heading);
    for entry in entries {
        text += &json(&Line {
            seq: entry.record.seq,
            prev: entry.prev.to_string(),
            hash: entry.hash.to_string(),
            body: entry.body.clone(),
        });
    }
    text + &json(&ending)
}

fn json(value: &impl Serialize) -> String {
    serde_json::to_string(value).expect("plain data") + "\n"
}

/// Reads an export and checks its chain.
///
/// # Errors
/// [`Exit::JournalBroken`] with the first event that does not hold, or for a file that was cut.
pub fn import(path: &Path) -> Result<(RunId, Vec<Entry>)> {
    let doing = format!("checking {}", path.display());
    let text = std::fs::read_to_string(path).doing(Exit::Config, &doing)?;
    let broken = |why: String| {
        Problem::new(Exit::JournalBroken, &doing, why).next(
            "the file was edited or damaged: trust nothing after that event. Compare with the \
             journal that it came from, or with a head (SEQ:HASH) that was printed",
        )
    };
    let no_export = || {
        Problem::new(Exit::Config, &doing, "it is not an exported journal")
            .next("dbctl rollout log --export FILE writes one")
    };
    let mut lines = text.lines();
    let heading: Heading = lines
        .next()
        .and_then(|line| serde_json::from_str(line).ok())
        .ok_or_else(no_export)?;
    if heading.schema != SCHEMA {
        return Err(no_export());
    }
    let ending: Ending = lines
        .next_back()
        .and_then(|line| serde_json::from_str(line).ok())
        .ok_or_else(|| broken("its end is missing".into()))?;
    let mut rows = Vec::new();
    for (number, line) in lines.enumerate() {
        let row: Line = serde_json::from_str(line)
            .map_err(|e| broken(format!("line {} cannot be read: {e}", number + 2)))?;
        // What is no hash cannot be the right one.
        let bytes = |hash: &str| {
            hash.parse()
                .map_or_else(|_| Vec::new(), |h: chain::Hash| h.0.to_vec())
        };
        rows.push((row.seq, row.body, bytes(&row.prev), bytes(&row.hash)));
    }
    let entries = chain::verify(&heading.run, rows).map_err(|e| broken(e.to_string()))?;
    let head = entries.last().map_or(Head::EMPTY, Entry::head).to_string();
    if head != ending.head {
        return Err(broken(format!(
            "it ends at {head}, and says that it ends at {}",
            ending.head.escape_debug()
        )));
    }
    Ok((heading.run, entries))
}

//! The ways in which folders of migrations are kept: how files are named and ordered, and what
//! they say about themselves.
//!
//! Pure: [`Tree`] in, [`Reading`] out. Each convention has a file of its own.

use std::ops::Range;
use std::sync::Arc;

use super::finding::Finding;

/// A way to keep migrations, named for the tool that made it known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Convention {
    /// `V1__name.sql`, `U1__name.sql`: the one that dbctl's own migrations are kept in.
    Refinery,
    /// `V1.2__name.sql`, `R__name.sql`, `U1.2__name.sql`, and `.sql.conf` beside them.
    Flyway,
    /// `20240101000000_name.sql`, or `.up.sql` and `.down.sql`; `-- no-transaction`.
    Sqlx,
    /// `000001_name.up.sql` and `.down.sql`.
    GolangMigrate,
    /// `20240101000000_name.sql` with `-- +goose Up` and `-- +goose Down`.
    Goose,
    /// `20240101000000_name.sql` with `-- migrate:up` and `-- migrate:down`.
    Dbmate,
    /// A folder for each, with `up.sql`, `down.sql` and `metadata.toml`.
    Diesel,
    /// `0001-name.sql`, `1.sql`: a number and nothing more.
    Numbered,
    /// A folder for each version, with numbered files in it.
    Folders,
    /// `sqitch.plan`, with `deploy`, `revert` and `verify`.
    Sqitch,
}

/// The files below a folder, in any order.
#[derive(Debug, Clone, Default)]
pub struct Tree {
    pub files: Vec<Entry>,
}

/// One file.
#[derive(Debug, Clone)]
pub struct Entry {
    /// Below the folder, with `/` between its parts.
    pub path: String,
    /// As it is shown to people.
    pub shown: String,
    /// What is in it, or why that cannot be read.
    pub bytes: Result<Vec<u8>, String>,
}

/// What came of reading a [`Tree`].
#[derive(Debug, Clone)]
pub struct Reading {
    pub convention: Convention,
    /// By what it was recognized, or that it was asked for.
    pub because: String,
    /// In the order in which they run; those that can be repeated come last.
    pub migrations: Vec<Migration>,
    /// What is wrong with names, order and encodings.
    pub findings: Vec<Finding>,
}

/// One migration.
#[derive(Debug, Clone)]
pub struct Migration {
    /// None for one that runs whenever its text has changed.
    pub version: Option<Version>,
    pub name: String,
    pub up: Script,
    pub down: Option<Script>,
    /// Passes where the change is there (sqitch).
    pub verify: Option<Script>,
}

/// A number, or several with dots between, compared one after the other; a missing one is 0.
#[derive(Debug, Clone)]
pub struct Version {
    /// As the file writes it, with its leading zeros.
    pub written: String,
    pub parts: Vec<u64>,
}

/// A part of a file that is run as one.
#[derive(Debug, Clone)]
pub struct Script {
    /// As it is shown to people.
    pub path: String,
    /// All of the file.
    pub text: Arc<str>,
    /// The bytes of it that are run.
    pub range: Range<usize>,
    /// Whether it runs in one transaction with its row of the history. Otherwise each statement
    /// commits by itself.
    pub transaction: bool,
}

impl Script {
    /// What is run.
    pub fn sql(&self) -> &str {
        &self.text[self.range.clone()]
    }
}

impl Version {
    fn significant(&self) -> &[u64] {
        let zeros = self.parts.iter().rev().take_while(|p| **p == 0).count();
        &self.parts[..self.parts.len() - zeros]
    }
}

impl PartialEq for Version {
    fn eq(&self, other: &Self) -> bool {
        self.significant() == other.significant()
    }
}

impl Eq for Version {}

impl PartialOrd for Version {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Version {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.significant().cmp(other.significant())
    }
}

impl std::fmt::Display for Version {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.written)
    }
}

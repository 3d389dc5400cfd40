//! The ways in which folders of migrations are kept: how files are named and ordered, and what
//! they say about themselves.
//!
//! Pure but for [`Tree::of`]: [`Tree`] in, [`Reading`] out. Each convention has a file of its own.

mod common;
mod dbmate;
mod diesel;
mod flyway;
mod folders;
mod golang_migrate;
mod goose;
mod names;
mod numbered;
mod reader;
mod recognize;
mod refinery;
pub(super) mod since;
mod sqitch;
mod sqlx;
mod tree;

use std::ops::Range;
use std::sync::Arc;

pub use self::recognize::read;
use super::finding::Finding;
use crate::error::{Exit, Problem};

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

impl Convention {
    pub const ALL: [Convention; 10] = [
        Convention::Refinery,
        Convention::Flyway,
        Convention::Sqlx,
        Convention::GolangMigrate,
        Convention::Goose,
        Convention::Dbmate,
        Convention::Diesel,
        Convention::Numbered,
        Convention::Folders,
        Convention::Sqitch,
    ];

    /// What `--convention` calls it.
    pub fn name(self) -> &'static str {
        match self {
            Convention::Refinery => "refinery",
            Convention::Flyway => "flyway",
            Convention::Sqlx => "sqlx",
            Convention::GolangMigrate => "golang-migrate",
            Convention::Goose => "goose",
            Convention::Dbmate => "dbmate",
            Convention::Diesel => "diesel",
            Convention::Numbered => "numbered",
            Convention::Folders => "folders",
            Convention::Sqitch => "sqitch",
        }
    }

    /// How a file says that it runs without a transaction; none where its tool knows no such files.
    pub fn without_transaction(self) -> Option<&'static str> {
        match self {
            Convention::Refinery => None,
            Convention::Flyway => {
                Some("`executeInTransaction=false` in a .sql.conf file beside it")
            }
            Convention::Sqlx => Some("`-- no-transaction` as its first line"),
            Convention::Goose => Some("`-- +goose NO TRANSACTION`"),
            Convention::Dbmate => Some("`-- migrate:up transaction:false`"),
            Convention::Diesel => Some("`run_in_transaction = false` in its metadata.toml"),
            Convention::GolangMigrate | Convention::Numbered | Convention::Folders => {
                Some("nothing but this statement in its file")
            }
            Convention::Sqitch => Some("no BEGIN and no COMMIT in its script"),
        }
    }

    /// How its files are named.
    pub fn shape(self) -> &'static str {
        match self {
            Convention::Refinery => "V<number>__<name>.sql",
            Convention::Flyway => "V<version>__<name>.sql, U<version>__<name>.sql or R__<name>.sql",
            Convention::Sqlx => "<number>_<name>.sql, or .up.sql and .down.sql",
            Convention::GolangMigrate => "<number>_<name>.up.sql and .down.sql",
            Convention::Goose => "<number>_<name>.sql with `-- +goose Up` in it",
            Convention::Dbmate => "<number>_<name>.sql with `-- migrate:up` in it",
            Convention::Diesel => "<number>_<name>/up.sql",
            Convention::Numbered => "<number>_<name>.sql or <number>.sql",
            Convention::Folders => "<version>/<number>_<name>.sql",
            Convention::Sqitch => "deploy/<change>.sql, as sqitch.plan says",
        }
    }
}

impl std::fmt::Display for Convention {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

impl std::str::FromStr for Convention {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let known = Convention::ALL.into_iter().find(|c| c.name() == text);
        known.ok_or_else(|| format!("use {}", Convention::ALL.map(Convention::name).join(", ")))
    }
}

/// The files below a folder, sorted by their paths.
#[derive(Debug, Clone, Default)]
pub struct Tree {
    /// The folder, as it is shown to people.
    pub shown: String,
    pub files: Vec<Entry>,
}

/// One file.
#[derive(Debug, Clone)]
pub struct Entry {
    /// Below the folder, with `/` between its parts.
    pub path: String,
    /// As it is shown to people.
    pub shown: String,
    /// What is in it, or why that cannot be read. Of files that are neither SQL nor settings only
    /// the names matter, and this is empty.
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

impl Reading {
    /// What was found as an error that ends a command, with its place.
    pub fn problem(&self, finding: Finding) -> Problem {
        let mut scripts = self.migrations.iter().flat_map(|m| {
            let parts = [Some(&m.up), m.down.as_ref(), m.verify.as_ref()];
            parts.into_iter().flatten()
        });
        let file = finding.file.unwrap_or_default();
        let doing = match file.as_str() {
            "" => "judging the migrations".to_owned(),
            file => format!("judging {file}"),
        };
        let mut problem = Problem::new(Exit::Findings, doing, finding.message);
        let script = scripts.find(|s| s.path == file);
        if let (Some(script), Some(span)) = (script, finding.span) {
            problem = problem.at(&file, &*script.text, span, "here");
        }
        match finding.next {
            Some(next) => problem.next(next),
            None => problem,
        }
    }
}

/// One migration.
#[derive(Debug, Clone)]
pub struct Migration {
    /// None for one that runs whenever its text has changed.
    pub version: Option<Version>,
    pub name: String,
    pub up: Script,
    pub down: Option<Script>,
    /// Passes where the change is there (sqitch); what it does is rolled back.
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
    /// All of the file; where goose ends a statement without a semicolon, one stands in the place
    /// of the annotation, so that every byte is where it is in the file.
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

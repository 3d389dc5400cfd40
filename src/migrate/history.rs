//! refinery's history table, and what it says about the files.

use refinery_core::Migration;
use serde::Serialize;
use sqlx::{AssertSqlSafe, PgConnection, Row};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::files::File;
use crate::error::{Exit, Problem, Result};
use crate::pg::{self, Database, Identifier, problem};

const TABLE: &str = "refinery_schema_history";

/// Where the history lies. refinery writes the name without a schema; dbctl finds out once which
/// table that is and names it in full, so that no migration can move it by `search_path`.
#[derive(Debug, Clone)]
pub(super) struct HistoryTable {
    schema: Identifier,
    pub exists: bool,
}

impl HistoryTable {
    pub async fn find(connection: &mut PgConnection) -> Result<Self> {
        let doing = "looking for the schema history";
        let row = pg::query(
            "SELECT h.oid IS NOT NULL AS found, \
                    coalesce(n.nspname, pg_catalog.current_schema()) AS schema \
             FROM (SELECT pg_catalog.to_regclass($1) AS oid) h \
             LEFT JOIN pg_catalog.pg_class c ON c.oid = h.oid \
             LEFT JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace",
        )
        .bind(TABLE)
        .fetch_one(connection)
        .await
        .map_err(|e| problem(doing, &e))?;
        match row.get::<Option<String>, _>("schema") {
            Some(schema) => Ok(Self {
                schema: Identifier::new(schema)?,
                exists: row.get("found"),
            }),
            None => Err(Problem::new(
                Exit::Unavailable,
                doing,
                "no schema of the search_path exists, so the history table would have no place",
            )
            .next("ALTER ROLE … SET search_path = public, or create the schema")),
        }
    }

    /// Reads every row, the oldest version first.
    pub async fn read(&self, connection: &mut PgConnection) -> Result<Vec<Record>> {
        if !self.exists {
            return Ok(Vec::new());
        }
        let doing = format!("reading {self}");
        let sql =
            format!("SELECT version, name, applied_on, checksum FROM {self} ORDER BY version");
        let rows = pg::query(AssertSqlSafe(sql))
            .fetch_all(connection)
            .await
            .map_err(|e| problem(&doing, &e))?;
        rows.iter()
            .map(|row| record(row).map_err(|e| Problem::new(Exit::Findings, &doing, e)))
            .collect()
    }
}

impl std::fmt::Display for HistoryTable {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{TABLE}", self.schema)
    }
}

/// A row of the history.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    pub version: i32,
    pub name: String,
    /// RFC 3339, as it was written.
    pub applied_on: String,
    pub checksum: u64,
}

impl Record {
    pub(super) fn into_migration(self) -> Result<Migration, String> {
        let applied_on = OffsetDateTime::parse(&self.applied_on, &Rfc3339)
            .map_err(|_| format!("applied_on of version {} is not RFC 3339", self.version))?;
        Ok(Migration::applied(
            self.version,
            self.name,
            applied_on,
            self.checksum,
        ))
    }
}

pub(super) fn record(row: &sqlx::postgres::PgRow) -> Result<Record, String> {
    let version: i32 = row
        .try_get(0)
        .map_err(|e| format!("version is not an int4: {e}"))?;
    let text = |column: usize, name: &str| {
        row.try_get::<Option<String>, _>(column)
            .ok()
            .flatten()
            .ok_or_else(|| format!("{name} of version {version} is not there"))
    };
    let checksum = text(3, "checksum")?;
    Ok(Record {
        version,
        name: text(1, "name")?,
        applied_on: text(2, "applied_on")?,
        checksum: checksum
            .parse()
            .map_err(|_| format!("checksum of version {version} is not a number"))?,
    })
}

/// What the history says about a migration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// A file that is not in the history.
    Pending,
    Applied,
    /// Applied, but no file has its version.
    Missing,
    /// Applied with another name or checksum than the file's.
    Divergent,
}

impl std::fmt::Display for State {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(match self {
            State::Pending => "pending",
            State::Applied => "applied",
            State::Missing => "missing",
            State::Divergent => "divergent",
        })
    }
}

#[derive(Debug, Clone, Serialize)]
pub struct Entry {
    pub version: i32,
    pub name: String,
    pub state: State,
    /// Pending although a later version is applied: it will not run by itself.
    pub out_of_order: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub applied_on: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
}

impl Entry {
    /// What does not fit together here, and what to do about it; none when it fits.
    pub fn unsound(&self) -> Option<Problem> {
        let Entry { version, name, .. } = self;
        let doing = "comparing the migrations with the schema history";
        let (cause, next) = match self.state {
            State::Applied => return None,
            State::Pending if !self.out_of_order => return None,
            State::Pending => (
                format!("version {version} ({name}) is not applied, but later ones are"),
                "give it a number after the last applied one",
            ),
            State::Missing => (
                format!("version {version} ({name}) is applied, but its file is not here"),
                "is this the right folder, and is the checkout up to date? put the file back",
            ),
            State::Divergent => (
                format!(
                    "version {version} ({name}) was applied with another name or text than the file has now"
                ),
                "put the file back as it was applied and write the change as a new migration (line endings count)",
            ),
        };
        Some(Problem::new(Exit::Findings, doing, cause).next(next))
    }
}

/// Files and history beside each other, by version.
#[derive(Debug, Clone, Serialize)]
pub struct Status {
    pub entries: Vec<Entry>,
}

impl Status {
    pub fn count(&self, state: State) -> usize {
        self.entries.iter().filter(|e| e.state == state).count()
    }

    /// Whether files and history fit together: nothing missing, divergent or out of order.
    pub fn is_sound(&self) -> bool {
        self.entries.iter().all(|e| match e.state {
            State::Applied => true,
            State::Pending => !e.out_of_order,
            State::Missing | State::Divergent => false,
        })
    }
}

/// Asks the database which of `files` are applied. Changes nothing; a history that is not there
/// yet is an empty one.
pub async fn status(database: &Database, files: &[File]) -> Result<Status> {
    database.check().await?;
    let wrong = |e: &sqlx::Error| problem(format!("reading the history at {database}"), e);
    let mut tx = database.begin().await.map_err(|e| wrong(&e))?;
    let history = HistoryTable::find(&mut tx).await?;
    let records = history.read(&mut tx).await?;
    tx.commit().await.map_err(|e| wrong(&e))?;
    Ok(compare(files, &records))
}

pub(super) fn compare(files: &[File], records: &[Record]) -> Status {
    let newest = records.last().map_or(-1, |r| r.version);
    let mut entries: Vec<Entry> = files
        .iter()
        .map(|file| {
            let record = records.iter().find(|r| r.version == file.version());
            let state = match record {
                None => State::Pending,
                Some(r) if r.name == file.name() && r.checksum == file.checksum() => State::Applied,
                Some(_) => State::Divergent,
            };
            Entry {
                version: file.version(),
                name: file.name().to_owned(),
                state,
                out_of_order: state == State::Pending
                    && file.is_ordered()
                    && file.version() <= newest,
                applied_on: record.map(|r| r.applied_on.clone()),
                file: Some(file.path.clone()),
            }
        })
        .collect();
    let missing = records
        .iter()
        .filter(|r| !files.iter().any(|f| f.version() == r.version));
    entries.extend(missing.map(|r| Entry {
        version: r.version,
        name: r.name.clone(),
        state: State::Missing,
        out_of_order: false,
        applied_on: Some(r.applied_on.clone()),
        file: None,
    }));
    entries.sort_by_key(|e| e.version);
    Status { entries }
}

/// The files that would run now, in order. What does not fit together is an error, as in
/// refinery: nothing runs on top of a history that is not understood.
pub(super) fn pending<'f>(files: &'f [File], records: &[Record]) -> Result<Vec<&'f File>> {
    let status = compare(files, records);
    let unsound: Vec<Problem> = status.entries.iter().filter_map(Entry::unsound).collect();
    if let Some(problem) = super::files::combined(unsound) {
        return Err(problem);
    }
    Ok(files
        .iter()
        .filter(|f| !records.iter().any(|r| r.version == f.version()))
        .collect())
}

//! Which migrations of a folder a database has, by the history that its own tool wrote there.

use std::collections::BTreeSet;

use super::conventions::{Convention, Migration, Reading};
use crate::error::{Exit, Problem, Result};
use crate::pg::{self, Database, problem};

/// Versions as the tool's history has them, and whether each was finished.
fn asks(convention: Convention) -> Option<&'static str> {
    match convention {
        Convention::Refinery => Some("SELECT version::text, true FROM refinery_schema_history"),
        // What can be repeated has no version there.
        Convention::Flyway => Some(
            "SELECT version::text, success FROM flyway_schema_history WHERE version IS NOT NULL",
        ),
        Convention::Sqlx => Some("SELECT version::text, success FROM _sqlx_migrations"),
        // One row: all up to there.
        Convention::GolangMigrate => Some("SELECT version::text, NOT dirty FROM schema_migrations"),
        // A row for each way; the newest counts. Version 0 is goose's own beginning.
        Convention::Goose => Some(
            "SELECT v, true FROM (SELECT DISTINCT ON (version_id) version_id::text AS v, is_applied \
               FROM goose_db_version WHERE version_id > 0 ORDER BY version_id, id DESC) n WHERE is_applied",
        ),
        Convention::Dbmate => Some("SELECT version::text, true FROM schema_migrations"),
        Convention::Diesel => Some("SELECT version::text, true FROM __diesel_schema_migrations"),
        Convention::Numbered | Convention::Folders | Convention::Sqitch => None,
    }
}

/// A version without what its writing leaves open: leading zeros, dashes, trailing `.0`.
fn bare(written: &str) -> String {
    let digits = written.replace('-', "");
    let parts: Vec<&str> = digits
        .split(['.', '_'])
        .map(|part| part.trim_start_matches('0'))
        .collect();
    let zeros = parts
        .iter()
        .rev()
        .take_while(|part| part.is_empty())
        .count();
    parts[..parts.len() - zeros].join(".")
}

/// The migrations of `reading` that `database` has. What runs whenever it changes is taken as
/// applied once anything is.
///
/// # Errors
/// No history there, or one with versions that were not finished or that no file has: what was
/// applied is not known then. For conventions without a history of one table too.
pub async fn applied(database: &Database, reading: &Reading) -> Result<Reading> {
    let doing = format!("reading what is applied to {database}");
    let Some(asks) = asks(reading.convention) else {
        return Err(Problem::new(
            Exit::Config,
            doing,
            format!(
                "{} keeps no history in one table that dbctl could read",
                reading.convention
            ),
        )
        .next("`dbctl migrate validate --against URL` compares with all of the migrations"));
    };
    let wrong = |e: &sqlx::Error| {
        problem(&doing, e).next("is it the right database, and has the tool ever run there?")
    };
    let mut transaction = database.begin().await.map_err(|e| wrong(&e))?;
    let there: Vec<(String, bool)> = pg::query_as(asks)
        .fetch_all(&mut *transaction)
        .await
        .map_err(|e| wrong(&e))?;
    transaction.commit().await.map_err(|e| wrong(&e))?;
    if let Some((version, _)) = there.iter().find(|(_, finished)| !finished) {
        return Err(Problem::new(
            Exit::Findings,
            doing,
            format!("version {version} was begun there and not finished"),
        )
        .next(format!(
            "put that right with {} first; until then nobody knows what is there",
            reading.convention
        )));
    }
    let there: BTreeSet<String> = there.iter().map(|(version, _)| bare(version)).collect();
    let version = |m: &Migration| m.version.as_ref().map(|v| bare(&v.written));
    let known: BTreeSet<String> = reading.migrations.iter().filter_map(version).collect();
    if let Some(unknown) = there.iter().find(|version| !known.contains(*version)) {
        return Err(Problem::new(
            Exit::Findings,
            doing,
            format!("version {unknown} is applied, but its file is not here"),
        )
        .next("is this the right folder, and is the checkout up to date?"));
    }
    let last = reading
        .migrations
        .iter()
        .rposition(|m| version(m).is_some_and(|v| there.contains(&v)));
    let is_applied =
        |(n, migration): &(usize, &Migration)| match (reading.convention, version(migration)) {
            (_, None) => last.is_some(),
            (Convention::GolangMigrate, Some(_)) => last.is_some_and(|last| *n <= last),
            (_, Some(version)) => there.contains(&version),
        };
    let numbered = reading.migrations.iter().enumerate();
    Ok(Reading {
        migrations: numbered
            .filter(is_applied)
            .map(|(_, m)| m.clone())
            .collect(),
        ..reading.clone()
    })
}

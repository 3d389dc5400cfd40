//! What a session begins with, where it changes what a migration does: `timestamp` to `timestamptz`
//! writes a table anew in Berlin and not in UTC, and `'01/02/2026'` is a day of January or of
//! February.

use sqlx::Row as _;

use super::statements_of;
use crate::error::Result;
use crate::migrate::conventions::Script;
use crate::migrate::finding::{Finding, Layer, Level};
use crate::pg::{self, Database, problem};

/// A setting and its value.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Setting {
    pub name: String,
    pub value: String,
}

/// Those that are copied from a target.
const COPIED: [&str; 4] = ["TimeZone", "DateStyle", "IntervalStyle", "search_path"];

/// What a session of this role begins with at `database`, as far as it is set there for the role or
/// for the database; of the server's own file, as far as the role may see it.
///
/// # Errors
/// When the database does not answer.
pub async fn of_target(database: &Database) -> Result<Vec<Setting>> {
    let asking = |e: &sqlx::Error| problem(format!("asking {database} for its settings"), e);
    let mut transaction = database.begin().await.map_err(|e| asking(&e))?;
    // The driver sets some of them for its own sessions, so SHOW would tell of those. The more
    // narrowly it is set the more it counts: a role's own in this database, then the role's, then
    // the database's.
    let set = "SELECT s.setdatabase = 0 AS everywhere, s.setrole = 0 AS everybody, c.config \
          FROM pg_catalog.pg_db_role_setting s CROSS JOIN LATERAL unnest(s.setconfig) c (config) \
         WHERE s.setdatabase IN (0, (SELECT d.oid FROM pg_catalog.pg_database d WHERE d.datname = pg_catalog.current_database())) \
           AND s.setrole IN (0, (SELECT r.oid FROM pg_catalog.pg_roles r WHERE r.rolname = current_user)) \
         ORDER BY s.setrole <> 0, s.setdatabase <> 0";
    let rows = pg::query(set).fetch_all(&mut *transaction).await;
    let rows = rows.map_err(|e| asking(&e))?;
    let mut found = in_file(&mut transaction).await.map_err(|e| asking(&e))?;
    for row in rows {
        let config: String = row.try_get("config").map_err(|e| asking(&e))?;
        if let Some((name, value)) = config.split_once('=') {
            set_to(&mut found, name, value);
        }
    }
    transaction.commit().await.map_err(|e| asking(&e))?;
    Ok(found)
}

/// Of the server's own file; nothing where the role may not see that.
async fn in_file(connection: &mut sqlx::PgConnection) -> sqlx::Result<Vec<Setting>> {
    let may = "SELECT pg_catalog.has_function_privilege('pg_catalog.pg_show_all_file_settings()', 'EXECUTE')";
    let may: bool = pg::query_scalar(may).fetch_one(&mut *connection).await?;
    let mut found = Vec::new();
    if may {
        let file = "SELECT name, setting FROM pg_catalog.pg_show_all_file_settings() WHERE applied ORDER BY seqno";
        for row in pg::query(file).fetch_all(connection).await? {
            let (name, value): (String, String) = (row.try_get(0)?, row.try_get(1)?);
            set_to(&mut found, &name, &value);
        }
    }
    Ok(found)
}

fn set_to(found: &mut Vec<Setting>, name: &str, value: &str) {
    let Some(name) = COPIED.iter().find(|known| known.eq_ignore_ascii_case(name)) else {
        return;
    };
    found.retain(|setting| setting.name != *name);
    found.push(Setting {
        name: (*name).to_owned(),
        value: value.to_owned(),
    });
}

/// What was read is counted for a whole session until it is sent on.
pub(super) const FLUSH: &str = "SELECT pg_catalog.pg_stat_force_next_flush()";

/// Takes back what was set, and sets what a session begins with. Statistics are sent on, or what one
/// file reads would be told as read by the next one.
pub(super) fn reset(session: &[Setting]) -> String {
    let mut sql = format!("RESET SESSION AUTHORIZATION; RESET ROLE; RESET ALL; {FLUSH}");
    for Setting { name, value } in session {
        sql += &format!(
            "; SELECT pg_catalog.set_config({}, {}, false)",
            pg::literal(name),
            pg::literal(value)
        );
    }
    sql
}

/// What a file leaves set, if anything.
pub(super) fn left(before: &[String], after: &[String]) -> Option<Finding> {
    let left: Vec<&str> = after
        .iter()
        .filter(|setting| !before.contains(setting))
        .map(String::as_str)
        .collect();
    if left.is_empty() {
        return None;
    }
    let finding = Finding::new(
        Layer::Execution,
        "leaks-session-state",
        Level::Error,
        format!("leaves the session changed: {}", left.join(", ")),
    )
    .why(
        "what runs after it in the same session, the tool's own history above all, looks elsewhere",
    )
    .next("SET LOCAL, or set_config(…, true), which ends with the transaction");
    Some(finding)
}

/// Whether anything in it could change the session: only what calls something can.
pub(super) fn may_be_set_by(script: &Script) -> bool {
    let words = [
        "set", "reset", "select", "do", "call", "with", "discard", "insert", "update", "values",
    ];
    let mut spans = statements_of(script).into_iter();
    spans.any(|span| begins_with(&script.text[span], &words))
}

pub(super) fn begins_with(statement: &str, words: &[&str]) -> bool {
    let first = statement.split_whitespace().next().unwrap_or_default();
    let first = first.trim_end_matches(';');
    words.iter().any(|word| first.eq_ignore_ascii_case(word))
}

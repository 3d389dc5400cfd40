//! Roles, which a cluster has and not a database: those that a migration makes on somebody's server
//! do not go with the scratch database.

use std::collections::BTreeSet;

use sqlx::PgConnection;

use crate::migrate::conventions::Script;
use crate::migrate::finding::{Finding, Layer, Level};
use crate::pg;

pub(super) async fn there(connection: &mut PgConnection) -> sqlx::Result<BTreeSet<String>> {
    let names: Vec<String> = pg::query_scalar("SELECT rolname::text FROM pg_catalog.pg_roles")
        .fetch_all(connection)
        .await?;
    Ok(names.into_iter().collect())
}

/// Whether a text could make one; asking costs more than most statements.
pub(super) fn may_be_made_by(sql: &str) -> bool {
    let words = sql.split(|c: char| !c.is_ascii_alphabetic());
    let mut any = words.filter(|word| !word.is_empty());
    any.any(|word| {
        let is = |known: &&str| word.eq_ignore_ascii_case(known);
        ["role", "user", "group"].iter().any(is)
    })
}

/// That a role stays on the server, for people.
pub(super) fn stays(role: &str, why: &str) -> Finding {
    let message = format!("the role `{role}`, which a migration made, stays on the server: {why}");
    let finding = Finding::new(Layer::Execution, "role-stays", Level::Warning, message);
    finding.next(format!(
        "DROP ROLE {role}, or the next validation may fail there"
    ))
}

/// Of those that came while a script ran without a transaction, the ones that it names. Others may
/// have made them in that moment, so nobody drops them.
pub(super) fn uncertain(
    script: &Script,
    before: &BTreeSet<String>,
    after: &BTreeSet<String>,
) -> Vec<Finding> {
    let is_named = |role: &&String| {
        let mut words = script
            .sql()
            .split(|c: char| !(c.is_alphanumeric() || c == '_'));
        words.any(|word| word.eq_ignore_ascii_case(role))
    };
    let new = after.difference(before).filter(is_named);
    let why = "without a transaction around it nobody can tell who made it";
    new.map(|role| stays(role, why).of(&script.path)).collect()
}

//! Roles, which a cluster has and not a database: those that a migration makes on somebody's server
//! do not go with the scratch database.

use std::collections::BTreeSet;

use sqlx::PgConnection;

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

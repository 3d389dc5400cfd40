//! Statements with parameters, as a transaction pooler can bear them.
//!
//! sqlx gives every statement a name and leaves it on the connection, even where its cache has
//! no capacity. Behind a transaction pooler that connection is somebody else's a moment later,
//! where the name is unknown or, worse, means another statement. The unnamed statement avoids
//! that, but sqlx parses and binds in two messages that a pooler may send to two servers: so a
//! statement with parameters belongs in a transaction ([`Database::begin`](super::Database::begin)).

use sqlx::postgres::{PgArguments, PgRow, Postgres};
use sqlx::query::{Query, QueryAs, QueryScalar};
use sqlx::{AssertSqlSafe, FromRow, RawSql, SqlSafeStr, raw_sql};

/// As [`sqlx::query`], without a name.
pub fn query<'q>(sql: impl SqlSafeStr) -> Query<'q, Postgres, PgArguments> {
    sqlx::query(sql).persistent(false)
}

/// As [`sqlx::query_as`], without a name.
pub fn query_as<'q, T>(sql: impl SqlSafeStr) -> QueryAs<'q, Postgres, T, PgArguments>
where
    T: for<'r> FromRow<'r, PgRow>,
{
    sqlx::query_as(sql).persistent(false)
}

/// As [`sqlx::query_scalar`], without a name.
pub fn query_scalar<'q, T>(sql: impl SqlSafeStr) -> QueryScalar<'q, Postgres, T, PgArguments>
where
    (T,): for<'r> FromRow<'r, PgRow>,
{
    sqlx::query_scalar(sql).persistent(false)
}

/// One statement that goes out in one message and commits by itself, so that it costs one round
/// trip: for the few that are asked for all the time. Names that come from outside are put into it
/// by [`literal`].
pub fn simple(sql: String) -> RawSql {
    raw_sql(AssertSqlSafe(sql))
}

/// A text as an SQL expression, whatever is in it: in hexadecimal there is nothing to escape.
///
/// The name of the encoding is a `name`, whose collation is C, and would give it to the result:
/// then a comparison with it would find no use for the index of a column, which has the default.
pub fn literal(text: &str) -> String {
    use std::fmt::Write as _;
    let mut sql = String::from("(convert_from(decode('");
    for byte in text.bytes() {
        write!(sql, "{byte:02x}").expect("a string takes what is written");
    }
    sql + "', 'hex'), 'UTF8') COLLATE pg_catalog.\"default\")"
}

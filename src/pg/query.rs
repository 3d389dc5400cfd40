//! Statements with parameters, as a transaction pooler can bear them. Those that are asked for all
//! the time are in [`Prepared`](super::Prepared).
//!
//! sqlx gives every statement a name and leaves it on the connection, even where its cache has
//! no capacity. Behind a transaction pooler that connection is somebody else's a moment later,
//! where the name is unknown or, worse, means another statement. The unnamed statement avoids
//! that, but sqlx parses and binds in two messages that a pooler may send to two servers: so a
//! statement with parameters belongs in a transaction ([`Database::begin`](super::Database::begin)).

use sqlx::postgres::{PgArguments, PgRow, Postgres};
use sqlx::query::{Query, QueryAs, QueryScalar};
use sqlx::{FromRow, SqlSafeStr};

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

/// A text as an SQL expression, whatever is in it: what is not plain goes in hexadecimal, in which
/// there is nothing to escape. For the arguments of a [`Prepared`](super::Prepared) statement: in
/// a comparison the second form would have the collation C, and find no use for an index.
pub fn literal(text: &str) -> String {
    use std::fmt::Write as _;
    let plain = |byte: u8| (b' '..=b'~').contains(&byte) && byte != b'\'' && byte != b'\\';
    if text.bytes().all(plain) {
        return format!("'{text}'");
    }
    let mut sql = String::from("convert_from(decode('");
    for byte in text.bytes() {
        write!(sql, "{byte:02x}").expect("a string takes what is written");
    }
    sql + "', 'hex'), 'UTF8')"
}

/// Texts as an SQL expression of the type `text[]`.
pub fn literal_array<'a>(texts: impl Iterator<Item = &'a str>) -> String {
    let mut array = String::from("{");
    for (n, text) in texts.enumerate() {
        array += if n == 0 { "\"" } else { ",\"" };
        for c in text.chars() {
            if matches!(c, '"' | '\\') {
                array.push('\\');
            }
            array.push(c);
        }
        array.push('"');
    }
    array.push('}');
    literal(&array) + "::text[]"
}

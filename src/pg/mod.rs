//! Reaching Postgres: connecting, scratch databases, identifiers, error classes.

mod connect;
pub mod embedded;
mod identifier;
pub mod native;
mod query;
mod replicated;
pub mod scratch;
mod temporary;

pub(crate) use connect::read_secret_line;
pub use connect::{Database, Identity, problem};
pub use identifier::Identifier;
pub use query::{literal, query, query_as, query_scalar, simple};
pub use replicated::replicated;

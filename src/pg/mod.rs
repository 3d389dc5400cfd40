//! Reaching Postgres: connecting, scratch databases, identifiers, error classes.

mod connect;
pub mod embedded;
mod identifier;
pub mod native;
mod query;
mod replicated;
pub mod scratch;
mod temporary;

pub use connect::{Database, Identity, problem};
pub(crate) use connect::{read_secret_line, read_secret_text};
pub use identifier::Identifier;
pub use query::{literal, query, query_as, query_scalar, simple};
pub use replicated::replicated;

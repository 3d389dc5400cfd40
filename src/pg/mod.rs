//! Reaching Postgres: connecting, scratch databases, identifiers, error classes.

mod connect;
pub mod embedded;
mod identifier;
pub mod native;
mod prepared;
mod query;
mod replicated;
pub mod scratch;
mod temporary;

pub use connect::{Database, Identity, problem};
pub(crate) use connect::{read_secret_line, read_secret_text};
pub use identifier::Identifier;
pub use prepared::Prepared;
pub use query::{literal, literal_array, query, query_as, query_scalar};
pub use replicated::replicated;

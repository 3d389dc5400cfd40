//! Reaching Postgres: connecting, scratch databases, identifiers, error classes.

mod connect;

pub use connect::{Database, problem};

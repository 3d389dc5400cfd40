//! Migrations: files → checks → plan → apply → history.
//!
//! Data model, file names, checksums and the history table are those of `refinery`, so that
//! `refinery_cli` can go on where dbctl stopped, and the other way round.

mod applied;
mod apply;
pub mod catalog;
mod connection;
pub mod conventions;
mod create;
mod failure;
mod files;
pub mod finding;
mod fix;
mod history;
pub mod layers;
pub mod lint;
mod locks;
mod statements;
pub mod trial;
mod validate;

pub use applied::applied;
pub use apply::{Event, Options, Outcome, apply};
pub use conventions::since::{Before, before, first_new, since};
pub use create::create;
pub use failure::Ground;
pub use files::{FIRST_UNRELEASED, File, Source, load, read};
pub use history::{Entry, Record, State, Status, status};
pub use locks::{Blocked, Holder};
pub use validate::{Validation, validate};

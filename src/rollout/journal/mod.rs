//! The journal: append-only, tamper-evident, and the only truth about a run (P8).
//!
//! An entry's hash covers a domain tag, the sequence number, the hash before and the exact bytes
//! of the body, so no entry can be changed, moved or left out in the middle unnoticed. A chain
//! alone does not show a cut tail or a full rewrite: its head is printed at every stop, and a
//! copy of it elsewhere is the witness.

mod chain;
mod export;
mod reading;
mod request;
mod sqlite;

pub use chain::{Broken, CHECKPOINT_EVERY, Entry, Hash, Head, Record, RunId, seal, verify};
pub use export::{export, import};
pub use reading::Recent;
pub use request::{Approval, Request, RequestKind, StepAnswer};
pub use sqlite::{AppendError, Journal, RunRow};

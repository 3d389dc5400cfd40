//! An incident: what is to be kept of it, in one archive, and why one request was decided as it
//! was.
//!
//! What cannot be collected is said in the archive's manifest, never silently missing. Nothing
//! that looks like a secret gets into it (P10).

mod archive;
pub mod explain;
mod gather;
pub mod requests;
mod settings;
mod words;

pub use archive::{Cover, FileFacts, Manifest, Missing, Period, Written};
pub use gather::Gathered;
pub use settings::without_secrets;

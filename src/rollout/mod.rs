//! The guided rollout and rollback: a pure machine, the loop that drives it, the journal that it
//! is replayed from, and the lease that says who drives.

pub mod engine;
pub mod hindsight;
pub mod journal;
pub mod lease;
pub mod machine;
mod outline;
pub mod person;
pub mod ports;
pub mod rehearsal;
pub mod report;
pub mod spool;
pub mod words;

pub use outline::outline;

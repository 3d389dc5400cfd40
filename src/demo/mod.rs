//! The reference service, its traffic and its faults, and the stage that the demo plays on.

pub mod intervals;
pub mod record;
pub mod service;
pub mod stage;
pub mod supervisor;
pub mod traffic;

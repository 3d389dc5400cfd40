//! The reference service, its traffic and its faults.

pub mod intervals;
pub mod record;
pub mod service;
pub mod traffic;

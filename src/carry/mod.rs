//! Carry-over: taking live state across a switch, both ways, and the rollback kit.

pub use crate::contract;

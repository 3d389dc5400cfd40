//! Carry-over: taking live state across a switch, both ways, and the rollback kit.

pub mod client;
pub mod compare;
pub mod driver;
pub mod file;
pub mod kit;
pub mod merge;
pub mod over;
pub mod postgres;

pub use crate::contract;

//! What tests share.

pub mod cli;
pub mod fleet;
pub mod migrations;
pub mod postgres;
pub mod service;

//! What tests share.

pub mod browser;
pub mod cli;
pub mod fleet;
pub mod migrations;
pub mod nobody;
pub mod pooler;
pub mod postgres;
pub mod programs;
pub mod prometheus;
pub mod proxy;
pub mod receiver;
pub mod secrets;
pub mod service;
pub mod stores;
pub mod story;

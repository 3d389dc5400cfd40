//! What tests share.

pub mod cli;

//! The one test binary: it links once, and a test sees what a user sees. What is real in
//! production is real here (Postgres, HTTP, processes, a pseudo-terminal) or the test fails.

mod support;

mod carry;
mod cli;
mod demo;
mod house;
mod journal;
mod keys;
mod machine;
mod metrics;
mod migrate;
mod preflight;
mod rollout;
mod runbook;
mod schema;
mod secrets;
mod service;
mod smoke;
mod toggles;
mod traffic;
mod validate;
mod verify;

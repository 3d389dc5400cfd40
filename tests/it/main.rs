//! The one test binary: it links once, and a test sees what a user sees. What is real in
//! production is real here (Postgres, HTTP, processes, a pseudo-terminal) or the test fails.

mod support;

mod approvals;
mod break_glass;
mod carry;
mod checkpoints;
mod cli;
mod connections;
mod demo;
mod dry;
mod faults;
mod fence;
mod hooks;
mod house;
mod in_process;
mod journal;
mod journal_driven;
mod journal_postgres;
mod keys;
mod log;
mod machine;
mod metrics;
mod migrate;
mod model;
mod nonces;
mod pipeline;
mod preflight;
mod prompts;
mod reconcile;
mod rehearse;
mod replan;
mod resolver;
mod rollout;
mod runbook;
mod schema;
mod secrets;
mod service;
mod settings;
mod smoke;
mod takeover;
mod toggles;
mod tokens;
mod traffic;
mod validate;
mod verify;

//! Telling others what happens in a run: a program of theirs, or a signed request to their server.
//!
//! A hook only ever hears. It cannot hold up a run, fail it or change it: what is to be told goes
//! into a bounded queue for each hook, and what cannot be delivered is said and given up.

mod config;
mod deliver;
mod queue;

pub use config::{Hook, Occasion, To};
pub use deliver::{Delivered, Output, attempt};
pub use queue::Queue;

use serde::Serialize;

/// What a hook is told; `docs/hooks.md` describes every field. Holds no secrets.
#[derive(Debug, Clone, Serialize)]
pub struct Message {
    pub schema: &'static str,
    /// The same each time that this is sent: a receiver drops what it has seen.
    pub id: String,
    pub event: Occasion,
    /// When it was recorded (RFC 3339, UTC).
    pub time: String,
    pub run: String,
    pub runbook: String,
    /// The number of the event in the run's journal.
    pub seq: u64,
    /// The run's status after it, as `rollout status` says it.
    pub status: String,
    pub reason: Option<String>,
    pub phase: Option<String>,
    pub env: Option<String>,
    pub step: Option<String>,
    /// The exact commands that a person may type now.
    pub next: Vec<String>,
    /// SHA-256 of the plan that the run follows, in hexadecimal.
    pub plan: String,
    /// The journal's head, for `rollout log --expect-head`.
    pub head: String,
    /// Nothing happened: `rollout hooks test` sent it.
    pub sample: bool,
}

impl Message {
    pub const SCHEMA: &'static str = "dbctl.hook/1";

    /// For trying a hook out.
    pub fn sample() -> Self {
        Self {
            schema: Self::SCHEMA,
            id: format!("sample-{}", uuid::Uuid::now_v7()),
            event: Occasion::Started,
            time: jiff::Timestamp::now().to_string(),
            run: "000000".into(),
            runbook: "sample".into(),
            seq: 0,
            status: "running".into(),
            reason: None,
            phase: None,
            env: None,
            step: None,
            next: vec!["dbctl rollout status".into()],
            plan: "0".repeat(64),
            head: format!("0:{}", "0".repeat(64)),
            sample: true,
        }
    }

    /// The bytes that are sent and signed.
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).expect("a message is plain data")
    }
}

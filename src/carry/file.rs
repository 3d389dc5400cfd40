//! Snapshots as files of their own: written by hand, read by hand, and never trusted unread.

use std::path::Path;

use super::contract::Snapshot;
use super::merge::Counts;
use crate::error::{Doing, Exit, Problem, Result};
use crate::keys::VerifyingKey;
use crate::runtime::nonce::LIMIT;

/// The largest file that is read: some millions of revocations.
const LIMIT_BYTES: u64 = 1 << 30;
/// The longest id of a token, a session or a node, in bytes; as the service contract has it.
const LONGEST_ID: usize = 256;

/// Writes a snapshot to a new file, mode 0600.
///
/// # Errors
/// A file that is there is never overwritten.
pub fn write(path: &Path, snapshot: &Snapshot) -> Result<()> {
    let mut bytes = serde_json::to_vec(snapshot).expect("a snapshot is plain data");
    bytes.push(b'\n');
    let doing = format!("writing {}", path.display());
    match crate::durable::create_new(path, &bytes) {
        Err(e) if e.kind() == std::io::ErrorKind::AlreadyExists => Err(Problem::new(
            Exit::Config,
            doing,
            "it exists already, and is never overwritten",
        )
        .next("choose another name")),
        done => done.doing(Exit::Failed, doing),
    }
}

/// Reads a snapshot, and refuses it whole if any part of it cannot be used.
///
/// # Errors
/// Missing, too long, damaged, of another version, a rollback kit: never an empty snapshot.
pub fn read(path: &Path) -> Result<(Snapshot, Counts)> {
    let doing = || format!("reading {}", path.display());
    let length = std::fs::metadata(path).doing(Exit::Config, doing())?.len();
    if length > LIMIT_BYTES {
        let cause = format!("it is longer than {LIMIT_BYTES} bytes");
        return Err(Problem::new(Exit::Config, doing(), cause));
    }
    let bytes = std::fs::read(path).doing(Exit::Config, doing())?;
    let wrong = |why: String| {
        Problem::new(Exit::Config, doing(), why)
            .next("nothing was changed; `dbctl carry export FILE` writes a snapshot")
    };
    let snapshot: Snapshot = serde_json::from_slice(&bytes).map_err(|e| {
        match bytes.starts_with(br#"{"sealed":"#) {
            true => wrong("it is a rollback kit, not a snapshot".into())
                .next("nothing was changed; `dbctl carry export FILE --from kit` writes a snapshot of the kit"),
            false => wrong(format!("it is damaged: {e}")),
        }
    })?;
    check(&snapshot).map_err(wrong)?;
    let counts = Counts::of(&snapshot);
    Ok((snapshot, counts))
}

/// The error says what cannot be used.
fn check(snapshot: &Snapshot) -> std::result::Result<(), String> {
    if snapshot.schema != Snapshot::SCHEMA {
        return Err(format!(
            "its schema is `{}`, not `{}`",
            snapshot.schema.escape_debug(),
            Snapshot::SCHEMA
        ));
    }
    let named = |what: &str, id: &str| match (1..=LONGEST_ID).contains(&id.len()) {
        true if !id.chars().any(char::is_control) => Ok(()),
        true | false => Err(format!(
            "a {what} is not 1 to {LONGEST_ID} bytes without control characters"
        )),
    };
    for token in &snapshot.revoked_tokens {
        named("token_id", &token.token_id)?;
    }
    for session in &snapshot.revoked_sessions {
        named("session_id", &session.session_id)?;
    }
    for w in &snapshot.watermarks {
        named("node_name", &w.node_name)?;
        named("nonce_scope", &w.nonce_scope)?;
        if !(0..=LIMIT).contains(&w.reserved_high) || w.window_size < 1 {
            return Err(format!(
                "the watermark of node {}, scope {} makes no sense",
                w.node_name.escape_debug(),
                w.nonce_scope.escape_debug()
            ));
        }
    }
    for key in &snapshot.keys {
        VerifyingKey::from_contract(key)
            .map_err(|p| format!("a key cannot be used: {}", p.cause()))?;
    }
    Ok(())
}

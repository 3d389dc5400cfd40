//! Revocations in memory, with an append-only log so that a restart brings nothing back to life.
//!
//! A line is on disk (fsync) before it is acknowledged. What a crash can leave behind is one
//! torn last line; it was never acknowledged and is cut off at the next start. Any other damage
//! refuses the start: it might hide a revocation.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::Status;
use crate::contract::{RevokedSession, RevokedToken};
use crate::error::{Doing, Exit, Problem, Result};
use crate::runtime::{CLOCK_SKEW, Unavailable};

const STORE: &str = "the revocation log";

/// Name of the log in the state directory.
pub const LOG_FILE: &str = "revocations.jsonl";

/// Revocations in memory, backed by a log file.
#[derive(Debug)]
pub struct MemoryRevocations {
    known: Arc<RwLock<Known>>,
    /// Held over a whole addition: what is known under this lock is also durable, unless the
    /// log says that it is behind.
    log: Arc<tokio::sync::Mutex<Log>>,
}

#[derive(Debug, Default)]
struct Known {
    tokens: BTreeMap<String, RevokedToken>,
    sessions: BTreeMap<String, RevokedSession>,
    /// Tokens from before this moment are denied: some revocations of theirs are lost.
    issued_before: Option<Timestamp>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Line {
    Token(RevokedToken),
    Session(RevokedSession),
    #[serde(rename = "deny_issued_before")]
    IssuedBefore(Timestamp),
}

#[derive(Debug)]
struct Log {
    path: PathBuf,
    file: Option<File>,
    /// A write or an fsync failed: what the file holds is unknown, so the next addition rewrites
    /// it whole (a failed fsync must not be retried).
    behind: bool,
}

impl MemoryRevocations {
    /// Loads the log of a state directory, or begins one. What expired long enough ago is left out.
    pub fn open(state_dir: &Path) -> Result<Self> {
        let path = state_dir.join(LOG_FILE);
        let doing = format!("loading {}", path.display());
        let text = match std::fs::read(&path) {
            Ok(bytes) => bytes,
            Err(e) if e.kind() == io::ErrorKind::NotFound => Vec::new(),
            Err(e) => return Err(Problem::new(Exit::Config, doing, e)),
        };
        let mut known = Known::read(&text).map_err(|line| {
            Problem::new(Exit::Config, &doing, format!("line {line} is damaged")).next(
                "a revocation may be lost: restore the file from a copy, or put the rollback kit's carry.json beside it and remove the line",
            )
        })?;
        let horizon =
            Timestamp::now() - jiff::SignedDuration::from_secs(CLOCK_SKEW.as_secs() as i64);
        known.tokens.retain(|_, t| t.expires_at > horizon);
        known.sessions.retain(|_, s| s.expires_at > horizon);
        let mut log = Log {
            path,
            file: None,
            behind: true,
        };
        log.rewrite(&known).doing(Exit::Config, doing)?;
        Ok(Self {
            known: Arc::new(RwLock::new(known)),
            log: Arc::new(tokio::sync::Mutex::new(log)),
        })
    }

    pub(super) async fn add(
        &self,
        tokens: &[RevokedToken],
        sessions: &[RevokedSession],
    ) -> Result<(u64, u64), Unavailable> {
        self.change(|known| known.merge(tokens, sessions)).await
    }

    /// Denies every token from before `limit`, durably when it returns; an earlier limit than the
    /// one that holds changes nothing.
    pub(super) async fn deny_issued_before(&self, limit: Timestamp) -> Result<(), Unavailable> {
        self.change(|known| (known.limit(limit), ())).await
    }

    pub(super) fn issued_before(&self) -> Option<Timestamp> {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        known.issued_before
    }

    /// Makes what `how` changed durable; it returns the lines for it.
    async fn change<T>(
        &self,
        how: impl FnOnce(&mut Known) -> (Vec<Line>, T),
    ) -> Result<T, Unavailable> {
        let mut log = self.log.clone().lock_owned().await;
        let (lines, added) = {
            let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
            how(&mut known)
        };
        // Known before it is durable: denying early is harmless, and an error is told below.
        if lines.is_empty() && !log.behind {
            return Ok(added);
        }
        let known = Arc::clone(&self.known);
        let written = tokio::task::spawn_blocking(move || {
            if log.behind {
                let known = known.read().unwrap_or_else(PoisonError::into_inner);
                log.rewrite(&known)
            } else {
                log.append(&lines)
            }
        });
        match written.await {
            Ok(Ok(())) => Ok(added),
            Ok(Err(e)) => Err(Unavailable::new(STORE, e)),
            Err(e) => Err(Unavailable::new(STORE, e)),
        }
    }

    pub(super) fn check(&self, token_id: &str, session_id: &str) -> Status {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        if known.tokens.contains_key(token_id) {
            Status::TokenRevoked
        } else if known.sessions.contains_key(session_id) {
            Status::SessionRevoked
        } else {
            Status::NotRevoked
        }
    }

    pub(super) fn export(&self) -> (Vec<RevokedToken>, Vec<RevokedSession>) {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        (
            known.tokens.values().cloned().collect(),
            known.sessions.values().cloned().collect(),
        )
    }
}

impl Known {
    /// Reads a log; the error is the number of the damaged line.
    fn read(bytes: &[u8]) -> Result<Self, usize> {
        let mut known = Known::default();
        for (index, line) in bytes.split_inclusive(|b| *b == b'\n').enumerate() {
            match serde_json::from_slice(line) {
                Ok(Line::Token(token)) => drop(known.merge(&[token], &[])),
                Ok(Line::Session(session)) => drop(known.merge(&[], &[session])),
                Ok(Line::IssuedBefore(limit)) => drop(known.limit(limit)),
                // Only the last line can be without its end, and then it was never acknowledged.
                Err(_) if !line.ends_with(b"\n") => break,
                Err(_) => return Err(index + 1),
            }
        }
        Ok(known)
    }

    /// The union; of two entries for one id the later expiry stays. Returns what must be logged
    /// and how many tokens and sessions were new.
    fn merge(
        &mut self,
        tokens: &[RevokedToken],
        sessions: &[RevokedSession],
    ) -> (Vec<Line>, (u64, u64)) {
        let mut lines = Vec::new();
        let mut added = (0, 0);
        for token in tokens {
            let old = self.tokens.get(&token.token_id);
            added.0 += u64::from(old.is_none());
            if old.is_none_or(|old| old.expires_at < token.expires_at) {
                self.tokens.insert(token.token_id.clone(), token.clone());
                lines.push(Line::Token(token.clone()));
            }
        }
        for session in sessions {
            let old = self.sessions.get(&session.session_id);
            added.1 += u64::from(old.is_none());
            if old.is_none_or(|old| old.expires_at < session.expires_at) {
                self.sessions
                    .insert(session.session_id.clone(), session.clone());
                lines.push(Line::Session(session.clone()));
            }
        }
        (lines, added)
    }

    /// The later limit stays. Returns what must be logged.
    fn limit(&mut self, limit: Timestamp) -> Vec<Line> {
        if self.issued_before.is_some_and(|old| old >= limit) {
            return Vec::new();
        }
        self.issued_before = Some(limit);
        vec![Line::IssuedBefore(limit)]
    }
}

impl Log {
    fn append(&mut self, lines: &[Line]) -> io::Result<()> {
        let text = encode(lines.iter())?;
        // Behind until it is proven to be on disk.
        self.behind = true;
        let file = match &mut self.file {
            Some(file) => file,
            None => return Err(io::Error::other("the log is not open")),
        };
        file.write_all(&text)?;
        file.sync_data()?;
        self.behind = false;
        Ok(())
    }

    fn rewrite(&mut self, known: &Known) -> io::Result<()> {
        let lines: Vec<Line> = known
            .tokens
            .values()
            .cloned()
            .map(Line::Token)
            .chain(known.sessions.values().cloned().map(Line::Session))
            .chain(known.issued_before.map(Line::IssuedBefore))
            .collect();
        self.file = None;
        crate::durable::write(&self.path, &encode(lines.iter())?)?;
        self.file = Some(File::options().append(true).open(&self.path)?);
        self.behind = false;
        Ok(())
    }
}

fn encode<'a>(lines: impl Iterator<Item = &'a Line>) -> io::Result<Vec<u8>> {
    let mut text = Vec::new();
    for line in lines {
        serde_json::to_writer(&mut text, line)?;
        text.push(b'\n');
    }
    Ok(text)
}

//! Who drives a run (P4).
//!
//! A lease is a row with holder, token and expiry. Its expiry is judged by the store's clock; the
//! holder counts on its own monotonic clock from before each request was sent, renews at a third
//! of the lease's time and gives up at two thirds, before anybody else can take it. Whatever the
//! clocks do, the token decides: the store checks it in the same transaction as each write.

use std::sync::Mutex;
use std::time::{Duration, Instant};

use super::journal::RunId;

/// How long a lease lasts without renewal.
pub const TTL: Duration = Duration::from_secs(15);

/// A lease that this process holds, or held.
#[derive(Debug)]
pub struct Lease {
    run: RunId,
    holder: String,
    token: u64,
    ttl: Duration,
    renewed_at: Mutex<Instant>,
}

/// Somebody else's lease.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Held {
    pub holder: String,
    pub token: u64,
    /// Time until it expires unless it is renewed.
    pub left: Duration,
}

/// What came of trying to take a lease.
#[derive(Debug)]
pub enum Taken {
    Ours(Lease),
    Held(Held),
}

impl Lease {
    /// `since` is a moment before the store was asked.
    pub fn new(run: RunId, holder: String, token: u64, ttl: Duration, since: Instant) -> Self {
        Self {
            run,
            holder,
            token,
            ttl,
            renewed_at: Mutex::new(since),
        }
    }

    pub fn run(&self) -> &RunId {
        &self.run
    }

    pub fn holder(&self) -> &str {
        &self.holder
    }

    /// The fencing token.
    pub fn token(&self) -> u64 {
        self.token
    }

    pub fn ttl(&self) -> Duration {
        self.ttl
    }

    /// It was renewed by a request that was sent at `since`.
    pub fn renewed(&self, since: Instant) {
        *self.lock() = since;
    }

    /// Two thirds of its time have not passed: nobody else can have it.
    pub fn is_safe(&self) -> bool {
        self.lock().elapsed() < self.ttl * 2 / 3
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Instant> {
        // An instant is whole even if a holder of the lock panicked.
        self.renewed_at.lock().unwrap_or_else(|e| e.into_inner())
    }
}

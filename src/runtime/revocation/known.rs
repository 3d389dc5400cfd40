//! The ids of everything that is revoked, small enough for ten million of them.
//!
//! An id is kept as 64 bits of a keyed hash (SipHash, a new random key for each process, so that
//! nobody can choose ids that meet) with the minute from which it may be forgotten: 12 bytes, and 13
//! in the table, which is at least 7/16 full. Ten million take 150 to 300 MB. A hash that meets
//! another one denies a token that was not revoked: with ten million entries once in 10^12 checks.
//! It never allows one that was.

use std::collections::HashSet;
use std::hash::{BuildHasher as _, BuildHasherDefault, Hash, Hasher, RandomState};
use std::sync::{PoisonError, RwLock};

use jiff::Timestamp;

/// Tables grow one by one, and a reader waits for at most one of them: for a thousandth of what the
/// whole would take.
const SHARDS: usize = 1_024;

/// What an id belongs to. Tokens and sessions have names of their own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Kind {
    Token,
    Session,
}

/// A set that only grows, but for what has expired.
#[derive(Debug)]
pub(super) struct Known {
    key: RandomState,
    shards: Vec<RwLock<HashSet<Entry, BuildHasherDefault<AsItIs>>>>,
}

/// Three times 32 bits, so that it takes 12 bytes and not 16.
#[derive(Debug, Clone, Copy)]
struct Entry {
    high: u32,
    low: u32,
    /// Minutes since 1970 from which it may go, rounded up.
    until: u32,
}

impl PartialEq for Entry {
    fn eq(&self, other: &Self) -> bool {
        (self.high, self.low) == (other.high, other.low)
    }
}

impl Eq for Entry {}

impl Hash for Entry {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(u64::from(self.high) << 32 | u64::from(self.low));
    }
}

/// The entries are hashes already.
#[derive(Debug, Default)]
struct AsItIs(u64);

impl Hasher for AsItIs {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0 << 8 | u64::from(*byte);
        }
    }

    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }
}

impl Known {
    pub fn new() -> Self {
        Self {
            key: RandomState::new(),
            shards: (0..SHARDS).map(|_| RwLock::default()).collect(),
        }
    }

    /// The later of two expiries stays.
    pub fn insert(&self, kind: Kind, id: &str, expires_at: Timestamp) {
        let (shard, mut entry) = self.place(kind, id);
        let minute = expires_at.as_second().div_euclid(60) + 1;
        entry.until = u32::try_from(minute.max(0)).unwrap_or(u32::MAX);
        let mut shard = self.shards[shard]
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(old) = shard.get(&entry) {
            entry.until = entry.until.max(old.until);
        }
        shard.replace(entry);
    }

    pub fn contains(&self, kind: Kind, id: &str) -> bool {
        let (shard, entry) = self.place(kind, id);
        let shard = self.shards[shard]
            .read()
            .unwrap_or_else(PoisonError::into_inner);
        shard.contains(&entry)
    }

    /// Forgets in one table, the `turn`th, what was to be kept until before `horizon`.
    pub fn sweep(&self, turn: usize, horizon: Timestamp) {
        let minute = u32::try_from(horizon.as_second().div_euclid(60)).unwrap_or(0);
        let mut shard = self.shards[turn % SHARDS]
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        shard.retain(|entry| entry.until >= minute);
        if shard.capacity() > 4 * shard.len() + 64 {
            shard.shrink_to_fit();
        }
    }

    pub fn len(&self) -> usize {
        let len = |shard: &RwLock<HashSet<_, _>>| {
            shard.read().unwrap_or_else(PoisonError::into_inner).len()
        };
        self.shards.iter().map(len).sum()
    }

    fn place(&self, kind: Kind, id: &str) -> (usize, Entry) {
        let hash = self.key.hash_one((kind, id));
        let entry = Entry {
            high: (hash >> 32) as u32,
            low: hash as u32,
            until: 0,
        };
        // Bits that the table itself takes no notice of at this size: it takes the lowest and the
        // seven highest.
        ((hash >> 44) as usize % SHARDS, entry)
    }
}

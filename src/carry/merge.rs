//! Merging snapshots, as a pure function.
//!
//! The merge is a join of a semilattice: commutative, associative and idempotent. So it does not
//! matter in which order instances are asked, how often, or whether an import is repeated.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use jiff::Timestamp;

use super::contract::{PublicKey, RevokedSession, RevokedToken, Snapshot, Watermark};

/// The union of revocations and keys and the maximum of watermarks, in a canonical order.
///
/// * A revocation keeps its first time, with the reason given then, and its latest expiry.
/// * A watermark keeps its highest top and its largest window.
/// * A key that is revoked anywhere is revoked.
/// * Of two limits for the age of tokens the later one holds: it denies more.
/// * `taken_at` is the latest, `source` is the set of sources joined with `+`.
pub fn merge<'a>(snapshots: impl IntoIterator<Item = &'a Snapshot>) -> Snapshot {
    let mut taken_at = Timestamp::UNIX_EPOCH;
    let mut sources = BTreeSet::new();
    let mut tokens: BTreeMap<&str, RevokedToken> = BTreeMap::new();
    let mut sessions: BTreeMap<&str, RevokedSession> = BTreeMap::new();
    let mut watermarks: BTreeMap<(&str, &str), Watermark> = BTreeMap::new();
    let mut keys: BTreeMap<&str, PublicKey> = BTreeMap::new();
    let mut deny_issued_before = None;
    for snapshot in snapshots {
        taken_at = taken_at.max(snapshot.taken_at);
        // None is the least of all.
        deny_issued_before = snapshot.deny_issued_before.max(deny_issued_before);
        sources.extend(snapshot.source.split('+').filter(|s| !s.is_empty()));
        for given in &snapshot.revoked_tokens {
            tokens
                .entry(&given.token_id)
                .and_modify(|t| {
                    join_revocation(
                        (&mut t.revoked_at, &mut t.reason, &mut t.expires_at),
                        (given.revoked_at, &given.reason, given.expires_at),
                    );
                })
                .or_insert_with(|| given.clone());
        }
        for given in &snapshot.revoked_sessions {
            sessions
                .entry(&given.session_id)
                .and_modify(|s| {
                    join_revocation(
                        (&mut s.revoked_at, &mut s.reason, &mut s.expires_at),
                        (given.revoked_at, &given.reason, given.expires_at),
                    );
                })
                .or_insert_with(|| given.clone());
        }
        for given in &snapshot.watermarks {
            watermarks
                .entry((&given.node_name, &given.nonce_scope))
                .and_modify(|w| {
                    w.reserved_high = w.reserved_high.max(given.reserved_high);
                    w.window_size = w.window_size.max(given.window_size);
                })
                .or_insert_with(|| given.clone());
        }
        for given in &snapshot.keys {
            keys.entry(&given.kid)
                .and_modify(|k| join_key(k, given))
                .or_insert_with(|| given.clone());
        }
    }
    Snapshot {
        schema: Snapshot::SCHEMA.into(),
        taken_at,
        source: sources.into_iter().collect::<Vec<_>>().join("+"),
        revoked_tokens: tokens.into_values().collect(),
        revoked_sessions: sessions.into_values().collect(),
        watermarks: watermarks.into_values().collect(),
        keys: keys.into_values().collect(),
        deny_issued_before,
    }
}

/// The minimum of (time, reason), which is a total order, and the maximum of the expiry.
fn join_revocation(
    (at, reason, expires): (&mut Timestamp, &mut Option<String>, &mut Timestamp),
    (given_at, given_reason, given_expires): (Timestamp, &Option<String>, Timestamp),
) {
    // A reason before none: `is_none()` orders false first.
    let ours = (*at, reason.is_none(), reason.as_ref());
    let theirs = (given_at, given_reason.is_none(), given_reason.as_ref());
    if theirs < ours {
        let new_reason = given_reason.clone();
        *at = given_at;
        *reason = new_reason;
    }
    *expires = (*expires).max(given_expires);
}

/// Two keys with one kid have one JWK, since the kid is its thumbprint; where somebody lies about
/// it, a fixed order decides, so that everybody at least has the same.
fn join_key(ours: &mut PublicKey, given: &PublicKey) {
    let order = |k: &PublicKey| (k.alg.to_string(), k.jwk.to_string());
    let revoked = ours.revoked || given.revoked;
    if order(given) < order(ours) {
        *ours = given.clone();
    }
    ours.revoked = revoked;
}

/// The latest expiry that is told apart: 9999-12-30 22:00 UTC, in microseconds since 1970.
const LAST_US: i64 = 253_402_207_200_000_000;

/// What of `snapshot` is news to somebody who knows `known`: revocations that they lack or have
/// with an earlier expiry, keys that they lack or do not know to be revoked, tops that are higher,
/// a later limit for the age of tokens.
pub fn beyond(snapshot: &Snapshot, known: &Snapshot) -> Snapshot {
    let tokens: HashMap<&str, Timestamp> = known
        .revoked_tokens
        .iter()
        .map(|t| (&*t.token_id, t.expires_at))
        .collect();
    let sessions: HashMap<&str, Timestamp> = known
        .revoked_sessions
        .iter()
        .map(|s| (&*s.session_id, s.expires_at))
        .collect();
    let tops: HashMap<(&str, &str), i64> = known
        .watermarks
        .iter()
        .map(|w| ((&*w.node_name, &*w.nonce_scope), w.reserved_high))
        .collect();
    let keys: HashMap<&str, bool> = known.keys.iter().map(|k| (&*k.kid, k.revoked)).collect();
    // Postgres keeps microseconds, and "for ever" comes back as the last whole second.
    let kept = |t: Timestamp| t.as_microsecond().min(LAST_US);
    let longer =
        |known: Option<&Timestamp>, given: Timestamp| known.is_none_or(|k| kept(*k) < kept(given));
    let tokens_of = snapshot.revoked_tokens.iter();
    let sessions_of = snapshot.revoked_sessions.iter();
    let higher = |w: &&Watermark| {
        let top = tops.get(&(&*w.node_name, &*w.nonce_scope));
        top.is_none_or(|top| *top < w.reserved_high)
    };
    let news = |k: &&PublicKey| {
        keys.get(&*k.kid)
            .is_none_or(|revoked| k.revoked && !revoked)
    };
    Snapshot {
        schema: snapshot.schema.clone(),
        taken_at: snapshot.taken_at,
        source: snapshot.source.clone(),
        revoked_tokens: tokens_of
            .filter(|t| longer(tokens.get(&*t.token_id), t.expires_at))
            .cloned()
            .collect(),
        revoked_sessions: sessions_of
            .filter(|s| longer(sessions.get(&*s.session_id), s.expires_at))
            .cloned()
            .collect(),
        watermarks: snapshot.watermarks.iter().filter(higher).cloned().collect(),
        keys: snapshot.keys.iter().filter(news).cloned().collect(),
        deny_issued_before: snapshot
            .deny_issued_before
            .filter(|limit| Some(*limit) > known.deny_issued_before),
    }
}

/// Raises every watermark by `windows` of its windows: for going on from a copy that may be
/// behind, where wasting nonces is fine and repeating one is not (P1). Saturates at the top.
pub fn with_margin(snapshot: &Snapshot, windows: i64) -> Snapshot {
    let mut raised = snapshot.clone();
    for w in &mut raised.watermarks {
        let margin = w.window_size.max(1).saturating_mul(windows);
        w.reserved_high = w.reserved_high.saturating_add(margin);
    }
    raised
}

/// Without the revocations that nobody needs any more: their token expired more than `skew`
/// before `now`, so that it is denied without them.
pub fn without_expired(snapshot: &Snapshot, now: Timestamp, skew: std::time::Duration) -> Snapshot {
    let limit = now.checked_sub(skew).unwrap_or(Timestamp::UNIX_EPOCH);
    let mut kept = snapshot.clone();
    kept.revoked_tokens.retain(|t| t.expires_at >= limit);
    kept.revoked_sessions.retain(|s| s.expires_at >= limit);
    kept
}

/// How much is in a snapshot, in numbers for people.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Counts {
    pub revoked_tokens: u64,
    pub revoked_sessions: u64,
    /// Nonce tops: one per node and scope.
    pub watermarks: u64,
    pub keys: u64,
}

impl Counts {
    /// Revoked tokens and sessions.
    pub fn revocations(&self) -> u64 {
        self.revoked_tokens + self.revoked_sessions
    }

    pub fn of(snapshot: &Snapshot) -> Self {
        let count = |n: usize| n as u64;
        Self {
            revoked_tokens: count(snapshot.revoked_tokens.len()),
            revoked_sessions: count(snapshot.revoked_sessions.len()),
            watermarks: count(snapshot.watermarks.len()),
            keys: count(snapshot.keys.len()),
        }
    }
}

impl std::fmt::Display for Counts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let revocations = self.revocations();
        let s = |n: u64| if n == 1 { "" } else { "s" };
        write!(
            f,
            "{revocations} revocation{}, {} nonce top{}, {} key{}",
            s(revocations),
            self.watermarks,
            s(self.watermarks),
            self.keys,
            s(self.keys)
        )
    }
}

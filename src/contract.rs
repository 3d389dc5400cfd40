//! The HTTP contract between dbctl and a service, as types. `docs/service-contract.md` is the
//! same for people; it must be enough to write a service in another language.
//!
//! Times are RFC 3339 in UTC. Every answer carries `x-request-id`: the one that was sent, or a new one.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::runtime::toggles::Modes;

/// `GET /healthz`. Answered as soon as the service serves; the modes are what it runs in, not
/// what its files say.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Health {
    /// `ok`, or `degraded` when a store that it needs does not answer.
    pub status: String,
    pub instance: String,
    /// Changes with every start: tells a restarted process from an old one.
    pub boot_id: String,
    pub started_at: Timestamp,
    /// While fenced, revocations and nonces are refused with 503; verification goes on.
    pub fenced: bool,
    pub modes: Modes,
    /// What happens when Postgres does not answer, by name; for people.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub policies: BTreeMap<String, String>,
}

/// `POST /v1/tokens` → 201 [`IssuedToken`].
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct IssueRequest {
    pub subject: String,
    /// A new session without it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub session_id: Option<String>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct IssuedToken {
    pub token: String,
    pub token_id: String,
    pub session_id: String,
    pub expires_at: Timestamp,
    /// The key version that signed.
    pub kid: String,
}

/// `POST /v1/tokens/verify` → 200 when allowed, 401 when denied, 503 when it cannot be said
/// (the caller fails closed); the body is [`Decision`] in all three.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct VerifyRequest {
    pub token: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Decision {
    pub allow: bool,
    /// `ok`, `revoked_token`, `revoked_session`, `issued_too_early`, `expired`, `bad_signature`,
    /// `malformed`, `unknown_key`, `key_lookup_failed`, `revocation_unavailable`,
    /// `decision_log_unavailable`.
    pub reason_code: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub session_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kid: Option<String>,
}

/// `POST /v1/tokens/revoke`, by token or by its id → 200. Idempotent (RFC 7009, section 2.2).
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct RevokeTokenRequest {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token_id: Option<String>,
    /// When the token expires by itself; without it, now plus the longest token lifetime.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// `POST /v1/sessions/revoke` → 200. Idempotent.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct RevokeSessionRequest {
    pub session_id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// `POST /v1/nonces` → 201 [`NonceRange`].
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct NonceRequest {
    pub scope: String,
    #[serde(default = "one")]
    pub count: u32,
}

fn one() -> u32 {
    1
}

/// The nonces `first ..= last` of this node and scope; nobody else is ever given one of them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NonceRange {
    pub node_name: String,
    pub nonce_scope: String,
    pub first: i64,
    pub last: i64,
}

/// `GET /v1/nonces/{scope}` → 200 [`Watermark`], 404 before the first reservation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Watermark {
    pub node_name: String,
    pub nonce_scope: String,
    /// Absolute: every nonce below it may have been used.
    pub reserved_high: i64,
    pub window_size: i64,
}

/// `GET /v1/carry/export` → 200, `POST /v1/carry/import` → 200 [`Imported`], and the file
/// `carry.json` that the local adapters read at their start. Merging is a union of revocations
/// and keys and a maximum of watermarks, so importing twice changes nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Snapshot {
    /// `dbctl.carry/1`.
    pub schema: String,
    pub taken_at: Timestamp,
    /// Whom it came from: an instance, or `postgres`.
    pub source: String,
    pub revoked_tokens: Vec<RevokedToken>,
    pub revoked_sessions: Vec<RevokedSession>,
    pub watermarks: Vec<Watermark>,
    /// Public halves of keys that must be trusted (or, if revoked, must not be).
    pub keys: Vec<PublicKey>,
    /// Some revocations before this moment are lost, and nobody knows which: deny every token that
    /// was issued before it (RFC 7519, section 4.1.6: `iat`). Of two, the later one holds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deny_issued_before: Option<Timestamp>,
}

impl Snapshot {
    pub const SCHEMA: &'static str = "dbctl.carry/1";
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RevokedToken {
    pub token_id: String,
    pub revoked_at: Timestamp,
    pub expires_at: Timestamp,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RevokedSession {
    pub session_id: String,
    pub revoked_at: Timestamp,
    /// When the last token of the session has expired by itself.
    pub expires_at: Timestamp,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// A verification key (RFC 7517), with what a verifier must know beside it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PublicKey {
    /// The RFC 7638 thumbprint.
    pub kid: String,
    pub alg: crate::keys::Algorithm,
    /// The public JWK.
    pub jwk: serde_json::Value,
    pub revoked: bool,
}

/// Names one state of a rollback kit: what a journal records whenever the kit was made fresh, so
/// that one that was edited, swapped or restored from a copy is told from it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct KitSeal {
    /// The machine and the folder that it lies in: whoever drives from there has one of their own
    /// for each environment.
    pub place: String,
    /// Which kit: one that was begun anew is another.
    pub kit: String,
    /// Counts its refreshes up, from 1.
    pub serial: u64,
    /// SHA-256 of what it holds and of the seals before, in hexadecimal.
    pub hash: String,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Imported {
    pub tokens_added: u64,
    pub sessions_added: u64,
    pub keys_added: u64,
    pub watermarks_raised: u64,
    /// The limit that holds there now; none where tokens are not denied for their age.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deny_issued_before: Option<Timestamp>,
}

/// `POST /v1/carry/fence` → 200 [`Fence`]. When the answer arrives, every revocation and nonce
/// that was accepted before is in the next export, and none is accepted until the fence is
/// lifted (`DELETE /v1/carry/fence` → 200 [`Fence`]) or the process restarts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fence {
    pub fenced: bool,
}

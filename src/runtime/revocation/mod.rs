//! Which tokens and sessions are revoked (P2).
//!
//! Revoking twice, or revoking what nobody knows, is a success. An acknowledged revocation is
//! durable in both adapters. A store that cannot answer is [`Unavailable`] and the caller denies.

mod asking;
mod cache;
mod known;
mod memory;
pub(crate) mod position;
mod postgres;
pub mod purge;

use jiff::Timestamp;

use crate::contract::{RevokedSession, RevokedToken};

use super::{Fault, Unavailable};
pub(crate) use asking::prepare;

pub use cache::{CacheState, Caching, WhenUnavailable};
pub use memory::{LOG_FILE, MemoryRevocations};
pub use position::Position;
pub use postgres::PostgresRevocations;
pub(crate) use postgres::{SESSIONS, TOKENS, Table};

const STORE: &str = "revocations in Postgres";

/// The store that the toggle `SECURITY_REVOCATION_MODE` chose.
#[derive(Debug)]
pub enum Revocations {
    Memory(MemoryRevocations),
    Postgres(PostgresRevocations),
}

/// What is known about a token and its session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    NotRevoked,
    TokenRevoked,
    SessionRevoked,
}

/// Who revokes, for the record in Postgres.
#[derive(Debug, Clone, Default)]
pub struct By {
    pub who: String,
    pub request_id: String,
}

impl Revocations {
    /// Revokes a token; true when it was not revoked before. Durable when it returns.
    pub async fn revoke_token(&self, token: &RevokedToken, by: &By) -> Result<bool, Unavailable> {
        let (tokens, _) = self.add(std::slice::from_ref(token), &[], by).await?;
        Ok(tokens > 0)
    }

    /// Revokes a session with all its tokens; true when it was not revoked before.
    pub async fn revoke_session(
        &self,
        session: &RevokedSession,
        by: &By,
    ) -> Result<bool, Unavailable> {
        let (_, sessions) = self.add(&[], std::slice::from_ref(session), by).await?;
        Ok(sessions > 0)
    }

    /// Adds revocations, those already known included; returns how many tokens and sessions
    /// were new. Durable when it returns.
    pub async fn add(
        &self,
        tokens: &[RevokedToken],
        sessions: &[RevokedSession],
        by: &By,
    ) -> Result<(u64, u64), Unavailable> {
        match self {
            Revocations::Memory(store) => store.add(tokens, sessions).await,
            Revocations::Postgres(store) => store.add(tokens, sessions, by).await,
        }
    }

    /// Looks a token and its session up; the token is named first when both are revoked.
    pub async fn check(&self, token_id: &str, session_id: &str) -> Result<Status, Unavailable> {
        match self {
            Revocations::Memory(store) => Ok(store.check(token_id, session_id)),
            Revocations::Postgres(store) => store.check(token_id, session_id).await,
        }
    }

    /// How the cache stands, where there is one.
    pub fn cache_state(&self) -> Option<CacheState> {
        match self {
            Revocations::Memory(_) => None,
            Revocations::Postgres(store) => store.cache_state(),
        }
    }

    /// Denies every token that was issued before `limit`: revocations from before it are lost
    /// (P2). Durable when it returns. Postgres knows each revocation by its id, so there nothing
    /// is to be done.
    pub async fn deny_issued_before(&self, limit: Timestamp) -> Result<(), Unavailable> {
        match self {
            Revocations::Memory(store) => store.deny_issued_before(limit).await,
            Revocations::Postgres(_) => Ok(()),
        }
    }

    /// The moment before which no token may have been issued; none where only ids count.
    pub fn issued_before(&self) -> Option<Timestamp> {
        match self {
            Revocations::Memory(store) => store.issued_before(),
            Revocations::Postgres(_) => None,
        }
    }

    /// Everything that is revoked and may still matter.
    pub async fn export(&self) -> Result<(Vec<RevokedToken>, Vec<RevokedSession>), Unavailable> {
        match self {
            Revocations::Memory(store) => Ok(store.export()),
            Revocations::Postgres(store) => store.export().await,
        }
    }
}

//! Which key signs and which keys verify.
//!
//! An unknown key and a revoked key are the same answer, [`KeyError::Unknown`]: not trusted. A
//! store that cannot be asked is [`KeyError::Unavailable`]; the caller denies in both cases.

mod memory;
mod postgres;

use std::sync::Arc;

use super::{Fault, Unavailable};
use crate::contract::PublicKey;
use crate::keys::{SigningKey, VerifyingKey};

pub use memory::MemoryKeys;
pub use postgres::{Loading, MAX_AGE, MISS_COOLDOWN, PostgresKeys, REFRESH, UNKNOWN, UNKNOWN_FOR};

/// The resolver that the toggle `SECURITY_KEY_RESOLVER_MODE` chose.
#[derive(Debug)]
pub enum KeyResolver {
    Memory(MemoryKeys),
    Postgres(PostgresKeys),
}

/// Why there is no key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// No key that may be trusted has this kid: unknown, retired or revoked.
    #[error("no trusted key has this kid")]
    Unknown,
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
}

impl KeyResolver {
    /// The key that signs now.
    pub async fn signing(&self) -> Result<Arc<SigningKey>, KeyError> {
        match self {
            KeyResolver::Memory(keys) => keys.signing(),
            KeyResolver::Postgres(keys) => keys.signing().await,
        }
    }

    /// The trusted key with this kid.
    pub async fn verifying(&self, kid: &str) -> Result<Arc<VerifyingKey>, KeyError> {
        match self {
            KeyResolver::Memory(keys) => keys.verifying(kid),
            KeyResolver::Postgres(keys) => keys.verifying(kid).await,
        }
    }

    /// Every trusted key, and the revoked ones flagged as such.
    pub async fn export(&self) -> Result<Vec<PublicKey>, Unavailable> {
        match self {
            KeyResolver::Memory(keys) => Ok(keys.export()),
            KeyResolver::Postgres(keys) => keys.export().await,
        }
    }

    /// Adds public keys to trust; a revoked one is never trusted again, also if it was known.
    /// Durable when it returns. Returns how many were new or newly revoked.
    pub async fn import(&self, keys: &[PublicKey]) -> Result<u64, Unavailable> {
        match self {
            KeyResolver::Memory(store) => store.import(keys).await,
            KeyResolver::Postgres(store) => store.import(keys).await,
        }
    }
}

//! Keys without Postgres: the private key from a file; to trust are its public half and what
//! was carried over, which lies in `trusted_keys.json` of the state directory.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

use super::KeyError;
use crate::contract::PublicKey;
use crate::error::{Doing, Exit, Problem, Result};
use crate::keys::{SigningKey, VerifyingKey};
use crate::runtime::Unavailable;

const STORE: &str = "trusted keys in the state directory";

/// Name of the file with carried-over public keys in the state directory.
pub const TRUSTED_FILE: &str = "trusted_keys.json";

#[derive(Debug)]
pub struct MemoryKeys {
    signing: Arc<SigningKey>,
    path: PathBuf,
    known: RwLock<Arc<Known>>,
    /// Held over a whole import, so that two do not overwrite each other's file.
    writing: Arc<tokio::sync::Mutex<()>>,
}

/// Everything that was imported, the service's own key among it only if somebody said so.
#[derive(Debug, Clone, Default)]
struct Known(BTreeMap<String, (Arc<VerifyingKey>, bool)>);

impl MemoryKeys {
    /// With the keys that earlier imports left in `state_dir`.
    pub fn open(signing: SigningKey, state_dir: &Path) -> Result<Self> {
        let path = state_dir.join(TRUSTED_FILE);
        let doing = format!("loading {}", path.display());
        let keys: Vec<PublicKey> = match std::fs::read(&path) {
            Ok(bytes) => serde_json::from_slice(&bytes).doing(Exit::Config, &doing)?,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => Vec::new(),
            Err(e) => return Err(Problem::new(Exit::Config, doing, e)),
        };
        let mut known = Known::default();
        known
            .merge(&keys)
            .map_err(|p| Problem::new(Exit::Config, doing, p.cause()))?;
        Ok(Self {
            signing: Arc::new(signing),
            path,
            known: RwLock::new(Arc::new(known)),
            writing: Arc::default(),
        })
    }

    fn known(&self) -> Arc<Known> {
        Arc::clone(&self.known.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Whether this service may sign: its own key could have been revoked elsewhere.
    pub(super) fn signing(&self) -> Result<Arc<SigningKey>, KeyError> {
        match self.known().0.get(self.signing.public().kid()) {
            Some((_, true)) => Err(KeyError::Unavailable(Unavailable::new(
                "the signing key",
                "it is revoked",
            ))),
            Some((_, false)) | None => Ok(Arc::clone(&self.signing)),
        }
    }

    pub(super) fn verifying(&self, kid: &str) -> Result<Arc<VerifyingKey>, KeyError> {
        match self.known().0.get(kid) {
            Some((_, true)) => Err(KeyError::Unknown),
            Some((key, false)) => Ok(Arc::clone(key)),
            None if kid == self.signing.public().kid() => {
                Ok(Arc::new(self.signing.public().clone()))
            }
            None => Err(KeyError::Unknown),
        }
    }

    pub(super) fn export(&self) -> Vec<PublicKey> {
        let known = self.known();
        let own = self.signing.public();
        let mut keys: Vec<PublicKey> = known
            .0
            .values()
            .map(|(key, revoked)| key.to_contract(*revoked))
            .collect();
        if !known.0.contains_key(own.kid()) {
            keys.push(own.to_contract(false));
        }
        keys
    }

    pub(super) async fn import(&self, keys: &[PublicKey]) -> Result<u64, Unavailable> {
        // The turn goes with the write, which ends even if nobody waits for it any more.
        let turn = Arc::clone(&self.writing).lock_owned().await;
        let mut next = Known::clone(&self.known());
        let added = next
            .merge(keys)
            .map_err(|p| Unavailable::new(STORE, p.cause()))?;
        if added == 0 {
            return Ok(0);
        }
        let next = Arc::new(next);
        let (path, list) = (self.path.clone(), next.list());
        let write = move || {
            let text = serde_json::to_vec_pretty(&list)?;
            crate::durable::write(&path, &text).map(|()| turn)
        };
        let _turn = match tokio::task::spawn_blocking(write).await {
            Ok(Ok(turn)) => turn,
            Ok(Err(e)) => return Err(Unavailable::new(STORE, e)),
            Err(e) => return Err(Unavailable::new(STORE, e)),
        };
        *self.known.write().unwrap_or_else(PoisonError::into_inner) = next;
        Ok(added)
    }
}

impl Known {
    /// The union, in which revocation wins; returns how many entries are new or newly revoked.
    fn merge(&mut self, keys: &[PublicKey]) -> Result<u64> {
        let mut changed = 0;
        for key in keys {
            let parsed = VerifyingKey::from_contract(key)?;
            match self.0.get_mut(parsed.kid()) {
                None => {
                    let entry = (Arc::new(parsed), key.revoked);
                    self.0.insert(key.kid.clone(), entry);
                    changed += 1;
                }
                Some((_, revoked)) if key.revoked && !*revoked => {
                    *revoked = true;
                    changed += 1;
                }
                Some((_, _)) => {}
            }
        }
        Ok(changed)
    }

    fn list(&self) -> Vec<PublicKey> {
        self.0
            .values()
            .map(|(key, revoked)| key.to_contract(*revoked))
            .collect()
    }
}

//! Private halves outside of a database, still sealed: what `keys export --sealed` writes.
//!
//! The bytes are those of the row, so the associated data still binds them to the key, version,
//! algorithm and kid that the file names: nothing in it can be exchanged without the key-encryption
//! key noticing.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::kek::Row;
use super::{Algorithm, Kek, KeyState, Sealed, SigningKey, StoredVersion, VerifyingKey};
use crate::error::{Exit, Problem, Result};

/// Name and version of the file's shape.
const SCHEMA: &str = "dbctl.keys.sealed/1";

/// A sealed key of such a file.
#[derive(Debug, Clone)]
pub struct SealedKey {
    /// The row that it was sealed for.
    pub key_id: String,
    pub version: i32,
    pub public: VerifyingKey,
    pub sealed: Sealed,
}

#[derive(Serialize, Deserialize)]
struct File {
    schema: String,
    keys: Vec<Entry>,
}

#[derive(Serialize, Deserialize)]
struct Entry {
    key_id: String,
    version: i32,
    kid: String,
    algorithm: Algorithm,
    public_key: Value,
    kek_id: String,
    /// Base64, as is the nonce.
    sealed_private_key: String,
    sealing_nonce: String,
}

impl SealedKey {
    /// Opens the private half and checks it against the public one.
    pub fn open(&self, kek: &Kek) -> Result<SigningKey> {
        let row = Row {
            key_id: &self.key_id,
            version: self.version,
            algorithm: self.public.algorithm(),
            kid: self.public.kid(),
        };
        let pair = SigningKey::from_pkcs8(&kek.open(row, &self.sealed)?)?;
        match *pair.public() == self.public {
            true => Ok(pair),
            false => Err(Problem::new(
                Exit::Config,
                format!("opening version {} of key {}", self.version, self.key_id),
                "its private half does not belong to its public half",
            )),
        }
    }
}

/// The text of a file with the sealed halves of these versions, which must have one.
///
/// A retired or revoked version is refused: wherever it is imported it would arrive as one that
/// may sign.
pub fn export_sealed(versions: &[StoredVersion]) -> Result<String> {
    let doing = "exporting sealed keys";
    let mut keys = Vec::new();
    for stored in versions {
        let v = &stored.version;
        let wrong = |why: &str| {
            let why = format!("version {} of {} {why}", v.version, v.key_id);
            Problem::new(Exit::Config, doing, why)
        };
        match v.state {
            KeyState::Standby | KeyState::Current | KeyState::Retiring => {}
            KeyState::Retired | KeyState::Revoked => {
                return Err(wrong(&format!("is {}: it must not sign anywhere", v.state)));
            }
        }
        let sealed = stored
            .sealed
            .as_ref()
            .ok_or_else(|| wrong("has no private half here: it only verifies"))?;
        keys.push(Entry {
            key_id: v.key_id.clone(),
            version: v.version,
            kid: v.kid.clone(),
            algorithm: v.algorithm,
            public_key: v.public.jwk().clone(),
            kek_id: sealed.kek_id.clone(),
            sealed_private_key: STANDARD.encode(&sealed.ciphertext),
            sealing_nonce: STANDARD.encode(&sealed.nonce),
        });
    }
    if keys.is_empty() {
        return Err(Problem::new(Exit::Config, doing, "there is no sealed key")
            .next("dbctl keys list shows what there is"));
    }
    let file = File {
        schema: SCHEMA.into(),
        keys,
    };
    serde_json::to_string_pretty(&file)
        .map(|text| text + "\n")
        .map_err(|e| Problem::new(Exit::Failed, doing, e))
}

/// Whether a JSON value says that it is such a file, of whatever version.
pub(super) fn is_sealed(value: &Value) -> bool {
    let schema = value.get("schema").and_then(Value::as_str);
    schema.is_some_and(|s| s.starts_with("dbctl.keys.sealed/"))
}

pub(super) fn read(value: Value) -> Result<Vec<SealedKey>> {
    let wrong = |why: String| Problem::new(Exit::Config, "reading sealed keys", why);
    let file: File = serde_json::from_value(value)
        .map_err(|_| wrong("a member of the file is missing or has another type".into()))?;
    if file.schema != SCHEMA {
        let why = format!("it is not {SCHEMA}, the only version that is known");
        return Err(wrong(why).next("use the dbctl that wrote it, or a newer one"));
    }
    let keys = file.keys.into_iter().map(|entry| {
        let public = VerifyingKey::from_jwk(&entry.public_key)?;
        if public.kid() != entry.kid || public.algorithm() != entry.algorithm {
            let why = format!(
                "the kid or the algorithm of version {} is not that of its public key",
                entry.version
            );
            return Err(wrong(why));
        }
        let bytes = |text: &str| {
            STANDARD
                .decode(text)
                .map_err(|_| wrong("a sealed half is not base64".into()))
        };
        Ok(SealedKey {
            sealed: Sealed {
                ciphertext: bytes(&entry.sealed_private_key)?,
                nonce: bytes(&entry.sealing_nonce)?,
                kek_id: entry.kek_id,
            },
            key_id: entry.key_id,
            version: entry.version,
            public,
        })
    });
    let keys: Vec<SealedKey> = keys.collect::<Result<_>>()?;
    match keys.is_empty() {
        true => Err(wrong("there is no key in it".into())),
        false => Ok(keys),
    }
}

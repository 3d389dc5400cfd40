//! Key lifecycle: seed, list, seal, export as JWKS.
//!
//! A *key* is a name (`access-tokens`); what signs and verifies is one of its *versions*, known
//! to verifiers by its `kid`. Private halves rest in Postgres only sealed ([`Kek`]), and are
//! checked against their public halves each time they are opened.

mod kek;
mod pair;
mod public;
mod store;

use std::fmt;
use std::str::FromStr;

pub use kek::{Kek, Sealed, new_kek_file};
pub use pair::SigningKey;
pub use public::{VerifyingKey, jwks, read_jwks, thumbprint};
pub use store::{
    KeyState, KeyVersion, Seeded, StoredVersion, import_public, list, load, public_keys, seed,
};

use serde::{Deserialize, Serialize};

/// Signature algorithm, named as in JWS (RFC 7518, RFC 8037).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Algorithm {
    /// Ed25519.
    #[serde(rename = "EdDSA")]
    EdDsa,
    /// ECDSA on P-256 with SHA-256.
    #[serde(rename = "ES256")]
    Es256,
}

impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl Algorithm {
    pub const ALL: [Algorithm; 2] = [Algorithm::EdDsa, Algorithm::Es256];

    /// The JWS name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Algorithm::EdDsa => "EdDSA",
            Algorithm::Es256 => "ES256",
        }
    }

    /// The same algorithm in the words of the JWT library.
    pub const fn jws(self) -> jsonwebtoken::Algorithm {
        match self {
            Algorithm::EdDsa => jsonwebtoken::Algorithm::EdDSA,
            Algorithm::Es256 => jsonwebtoken::Algorithm::ES256,
        }
    }
}

impl FromStr for Algorithm {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        Algorithm::ALL
            .into_iter()
            .find(|a| a.as_str() == name)
            .ok_or_else(|| {
                format!(
                    "`{}` is not a signature algorithm: EdDSA or ES256",
                    name.escape_debug()
                )
            })
    }
}

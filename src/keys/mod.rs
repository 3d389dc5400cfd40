//! Key lifecycle: seed, import, list, seal, export; tokens.
//!
//! A *key* is a name (`access-tokens`); what signs and verifies is one of its *versions*, known
//! to verifiers by its `kid`. Private halves rest in Postgres only sealed ([`Kek`]), and are
//! checked against their public halves each time they are opened.

mod events;
mod import;
mod kek;
pub mod lifecycle;
mod material;
mod pair;
mod public;
mod registry;
mod rewrap;
mod sealed;
mod store;
mod token;
mod verify;

use std::fmt;
use std::str::FromStr;

pub use events::By;
pub use import::{Imported, import};
pub use kek::{Kek, Sealed, new_kek_file};
pub use material::{MAX_FILE_BYTES, Material, OtherKid, read_keys};
pub use pair::SigningKey;
pub use public::{VerifyingKey, jwks, read_jwks, thumbprint};
pub use registry::{Dropped, KekEntry, drop_kek, keks};
pub use rewrap::{Moved, Rewrapped, load_sealed, rewrap};
pub use sealed::{SealedKey, export_sealed};
pub use store::{
    KeyState, KeyVersion, Seeded, StoredVersion, import_public, list, load, public_keys, seed,
};
pub use token::{Claims, MAX_TOKEN_BYTES, Rules, Token, TokenError};
pub use verify::{Health, KekHealth, Verification, VersionHealth, verify};

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
    /// RSASSA-PKCS1-v1_5 with SHA-256, for verifiers that know nothing else.
    #[serde(rename = "RS256")]
    Rs256,
}

impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl Algorithm {
    pub const ALL: [Algorithm; 3] = [Algorithm::EdDsa, Algorithm::Es256, Algorithm::Rs256];

    /// The JWS name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Algorithm::EdDsa => "EdDSA",
            Algorithm::Es256 => "ES256",
            Algorithm::Rs256 => "RS256",
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
                    "`{}` is not a signature algorithm: EdDSA, ES256 or RS256",
                    name.escape_debug()
                )
            })
    }
}

//! Key lifecycle: seed, list, seal, export as JWKS.

use std::fmt;

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
        f.pad(match self {
            Algorithm::EdDsa => "EdDSA",
            Algorithm::Es256 => "ES256",
        })
    }
}

//! Public halves: JWK in and out (RFC 7517, RFC 8037), thumbprints (RFC 7638).

use std::path::Path;

use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ED25519, ParsedPublicKey, VerificationAlgorithm,
};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::jwk::{Jwk, ThumbprintHash};
use jsonwebtoken::{DecodingKey, Validation};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::Algorithm;
use crate::contract::PublicKey;
use crate::error::{Doing as _, Exit, Problem, Result};

/// A key that verifies signatures of exactly one algorithm.
#[derive(Clone)]
pub struct VerifyingKey {
    kid: String,
    algorithm: Algorithm,
    jwk: Value,
    decoding: DecodingKey,
}

impl VerifyingKey {
    /// From the raw public key: 32 bytes for Ed25519, the uncompressed point (65 bytes) for P-256.
    pub fn from_raw(algorithm: Algorithm, raw: &[u8]) -> Result<Self> {
        let bad = || {
            Problem::new(
                Exit::Config,
                "reading a public key",
                format!("it is not a valid {algorithm} key"),
            )
        };
        let check: &'static dyn VerificationAlgorithm = match algorithm {
            Algorithm::EdDsa => &ED25519,
            Algorithm::Es256 => &ECDSA_P256_SHA256_FIXED,
        };
        let canonical = match algorithm {
            Algorithm::EdDsa => raw.len() == 32,
            Algorithm::Es256 => raw.len() == 65 && raw[0] == 4,
        };
        if !canonical || ParsedPublicKey::new(check, raw).is_err() {
            return Err(bad());
        }
        let encode = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        let (mut jwk, decoding) = match algorithm {
            Algorithm::EdDsa => (
                json!({"kty": "OKP", "crv": "Ed25519", "x": encode(raw)}),
                DecodingKey::from_ed_der(raw),
            ),
            Algorithm::Es256 => (
                json!({"kty": "EC", "crv": "P-256", "x": encode(&raw[1..33]), "y": encode(&raw[33..])}),
                DecodingKey::from_ec_der(raw),
            ),
        };
        let kid = thumbprint(&jwk)?;
        jwk["kid"] = json!(kid);
        jwk["alg"] = json!(algorithm.as_str());
        jwk["use"] = json!("sig");
        Ok(Self {
            kid,
            algorithm,
            jwk,
            decoding,
        })
    }

    /// From a public JWK. Its `kid`, if it has one, must be its thumbprint; its `alg` must fit
    /// the key; a private JWK is refused.
    pub fn from_jwk(jwk: &Value) -> Result<Self> {
        let bad = |why: &str| Problem::new(Exit::Config, "reading a public key", why);
        let text = |name: &str| jwk.get(name).and_then(Value::as_str);
        if jwk.get("d").is_some() {
            return Err(bad("the JWK holds a private key").next("export the public half only"));
        }
        let part = |name: &str| {
            text(name)
                .and_then(|t| URL_SAFE_NO_PAD.decode(t).ok())
                .filter(|bytes| bytes.len() == 32)
                .ok_or_else(|| bad("a coordinate of the JWK is not 32 bytes of base64url"))
        };
        let key = match (text("kty"), text("crv")) {
            (Some("OKP"), Some("Ed25519")) => Self::from_raw(Algorithm::EdDsa, &part("x")?)?,
            (Some("EC"), Some("P-256")) => {
                let point = [&[4][..], &part("x")?, &part("y")?].concat();
                Self::from_raw(Algorithm::Es256, &point)?
            }
            (_, _) => return Err(bad("the JWK is neither Ed25519 nor P-256")),
        };
        if text("kid").is_some_and(|kid| kid != key.kid) {
            return Err(bad("the JWK's kid is not its RFC 7638 thumbprint"));
        }
        if text("alg").is_some_and(|alg| alg != key.algorithm.as_str()) {
            return Err(bad("the JWK's alg does not fit the key"));
        }
        Ok(key)
    }

    /// From the contract's form; kid and algorithm must be those of the JWK.
    pub fn from_contract(key: &PublicKey) -> Result<Self> {
        let parsed = Self::from_jwk(&key.jwk)?;
        if parsed.kid != key.kid || parsed.algorithm != key.alg {
            return Err(Problem::new(
                Exit::Config,
                "reading a public key",
                "its kid or alg is not that of its JWK",
            ));
        }
        Ok(parsed)
    }

    pub fn to_contract(&self, revoked: bool) -> PublicKey {
        PublicKey {
            kid: self.kid.clone(),
            alg: self.algorithm,
            jwk: self.jwk.clone(),
            revoked,
        }
    }

    /// The RFC 7638 thumbprint.
    pub fn kid(&self) -> &str {
        &self.kid
    }

    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// The public JWK with `kid`, `alg` and `use`.
    pub fn jwk(&self) -> &Value {
        &self.jwk
    }

    /// Checks a token's signature with this key and this key's algorithm only, then its `exp`,
    /// `iss` and `aud`, and reads its claims as `C`, whose types must fit exactly.
    pub fn decode<C: DeserializeOwned>(
        &self,
        token: &str,
        issuer: &str,
        audience: &str,
    ) -> Result<C, jsonwebtoken::errors::Error> {
        let mut rules = Validation::new(self.algorithm.jws());
        rules.leeway = 0;
        rules.validate_nbf = true;
        rules.set_issuer(&[issuer]);
        rules.set_audience(&[audience]);
        rules.set_required_spec_claims(&["exp", "iss", "aud", "sub"]);
        Ok(jsonwebtoken::decode(token, &self.decoding, &rules)?.claims)
    }
}

impl std::fmt::Debug for VerifyingKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "VerifyingKey({} {})", self.algorithm, self.kid)
    }
}

impl PartialEq for VerifyingKey {
    fn eq(&self, other: &Self) -> bool {
        self.kid == other.kid
    }
}

impl Eq for VerifyingKey {}

/// The RFC 7638 thumbprint (SHA-256, base64url) of a JWK of any type; members that do not
/// identify the key make no difference.
pub fn thumbprint(jwk: &Value) -> Result<String> {
    let bad = |e: &dyn std::fmt::Display| {
        Problem::new(Exit::Config, "computing a key's thumbprint", e.to_string())
    };
    let jwk: Jwk = serde_json::from_value(jwk.clone()).map_err(|e| bad(&e))?;
    jwk.thumbprint(ThumbprintHash::SHA256).map_err(|e| bad(&e))
}

/// A key set (RFC 7517, section 5).
pub fn jwks<'a>(keys: impl IntoIterator<Item = &'a VerifyingKey>) -> Value {
    json!({"keys": keys.into_iter().map(|k| k.jwk.clone()).collect::<Vec<_>>()})
}

/// Reads a file with a key set: the public keys that it holds, none of them revoked.
pub fn read_jwks(file: &Path) -> Result<Vec<PublicKey>> {
    let doing = format!("reading {}", file.display());
    let bytes = std::fs::read(file).doing(Exit::Config, &doing)?;
    let wrong = |why: &dyn std::fmt::Display| {
        Problem::new(Exit::Config, &doing, why.to_string())
            .next("it must be a JWK set such as a service's /.well-known/jwks.json")
    };
    let set: Value = serde_json::from_slice(&bytes).map_err(|e| wrong(&e))?;
    let keys = set.get("keys").and_then(Value::as_array);
    keys.ok_or_else(|| wrong(&"there is no list called `keys`"))?
        .iter()
        .map(|jwk| match VerifyingKey::from_jwk(jwk) {
            Ok(key) => Ok(key.to_contract(false)),
            Err(p) => Err(wrong(&p.cause())),
        })
        .collect()
}

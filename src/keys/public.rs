//! Public halves: JWK (RFC 7517, RFC 8037) and SPKI (RFC 5280) in and out, thumbprints (RFC 7638).

use std::path::Path;

use aws_lc_rs::encoding::AsDer as _;
use aws_lc_rs::rsa;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ED25519, ParsedPublicKey, RSA_PKCS1_2048_8192_SHA256,
    RsaPublicKeyComponents, VerificationAlgorithm,
};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::Algorithm;
use crate::contract::PublicKey;
use crate::error::{Doing as _, Exit, Problem, Result};

/// The members of a JWK that hold a private or a symmetric key (RFC 7518, section 6).
pub(super) const PRIVATE_MEMBERS: [&str; 8] = ["d", "p", "q", "dp", "dq", "qi", "oth", "k"];

/// What stands before the 32 bytes of an Ed25519 key in a SubjectPublicKeyInfo (RFC 8410).
const SPKI_OF_ED25519: [u8; 12] = [0x30, 0x2a, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 3, 0x21, 0];

/// The same before the uncompressed point of a P-256 key (RFC 5480).
const SPKI_OF_P256: [u8; 26] = [
    0x30, 0x59, 0x30, 0x13, 6, 7, 0x2a, 0x86, 0x48, 0xce, 0x3d, 2, 1, 6, 8, 0x2a, 0x86, 0x48, 0xce,
    0x3d, 3, 1, 7, 3, 0x42, 0,
];

/// A key that verifies signatures of exactly one algorithm. It is parsed once, not with each
/// signature: half of the work of an RS256 verification would else be reading the key.
#[derive(Clone)]
pub struct VerifyingKey {
    kid: String,
    algorithm: Algorithm,
    jwk: Value,
    parsed: ParsedPublicKey,
}

impl VerifyingKey {
    /// From the raw public key: 32 bytes for Ed25519, the uncompressed point (65 bytes) for
    /// P-256, the RSAPublicKey of RFC 8017 (DER) for RSA, which has 2048 to 8192 bits.
    pub fn from_raw(algorithm: Algorithm, raw: &[u8]) -> Result<Self> {
        let bad = || reading(format!("it is not a valid {algorithm} key"));
        let check: &'static dyn VerificationAlgorithm = match algorithm {
            Algorithm::EdDsa => &ED25519,
            Algorithm::Es256 => &ECDSA_P256_SHA256_FIXED,
            Algorithm::Rs256 => &RSA_PKCS1_2048_8192_SHA256,
        };
        let encode = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        let mut jwk = match algorithm {
            Algorithm::EdDsa if raw.len() == 32 => {
                json!({"kty": "OKP", "crv": "Ed25519", "x": encode(raw)})
            }
            Algorithm::Es256 if raw.len() == 65 && raw[0] == 4 => {
                json!({"kty": "EC", "crv": "P-256", "x": encode(&raw[1..33]), "y": encode(&raw[33..])})
            }
            Algorithm::Rs256 => {
                let (n, e) = rsa_components(raw).ok_or_else(bad)?;
                long_enough(&n)?;
                json!({"kty": "RSA", "n": encode(&n), "e": encode(&e)})
            }
            Algorithm::EdDsa | Algorithm::Es256 => return Err(bad()),
        };
        let parsed = ParsedPublicKey::new(check, raw).map_err(|_| bad())?;
        let kid = thumbprint(&jwk)?;
        jwk["kid"] = json!(kid);
        jwk["alg"] = json!(algorithm.as_str());
        jwk["use"] = json!("sig");
        Ok(Self {
            kid,
            algorithm,
            jwk,
            parsed,
        })
    }

    /// From a public JWK. Its `kid`, if it has one, must be its thumbprint; its `alg`, `use` and
    /// `key_ops` must fit; a private JWK is refused.
    pub fn from_jwk(jwk: &Value) -> Result<Self> {
        if PRIVATE_MEMBERS.iter().any(|name| jwk.get(name).is_some()) {
            return Err(reading("the JWK holds a private key").next("export the public half only"));
        }
        let key = Self::from_members(jwk)?;
        if jwk.get("kid").is_some_and(|kid| *kid != json!(key.kid)) {
            return Err(reading("the JWK's kid is not its RFC 7638 thumbprint"));
        }
        Ok(key)
    }

    /// From the public members of a JWK, whatever else is in it but for its `kid`.
    pub(super) fn from_members(jwk: &Value) -> Result<Self> {
        let text = |name: &str| jwk.get(name).and_then(Value::as_str);
        let bytes = |name: &str| text(name).and_then(|t| URL_SAFE_NO_PAD.decode(t).ok());
        let coordinate = |name: &str| {
            bytes(name)
                .filter(|bytes| bytes.len() == 32)
                .ok_or_else(|| reading("a coordinate of the JWK is not 32 bytes of base64url"))
        };
        let key = match (text("kty"), text("crv")) {
            (Some("OKP"), Some("Ed25519")) => Self::from_raw(Algorithm::EdDsa, &coordinate("x")?)?,
            (Some("EC"), Some("P-256")) => {
                let point = [&[4][..], &coordinate("x")?, &coordinate("y")?].concat();
                Self::from_raw(Algorithm::Es256, &point)?
            }
            (Some("RSA"), None) => {
                // RFC 7518, section 6.3.1: base64url of the number without leading zero bytes,
                // or one key would have several thumbprints.
                let number = |name: &str| {
                    bytes(name)
                        .filter(|bytes| bytes.first().is_some_and(|first| *first != 0))
                        .ok_or_else(|| {
                            reading(format!(
                                "`{name}` of the JWK is not base64url of a number without leading zeros"
                            ))
                        })
                };
                Self::from_modulus(&number("n")?, &number("e")?)?
            }
            (_, _) => return Err(reading("the JWK is neither Ed25519, P-256 nor RSA")),
        };
        if jwk
            .get("alg")
            .is_some_and(|alg| *alg != json!(key.algorithm.as_str()))
        {
            return Err(reading("the JWK's alg does not fit the key"));
        }
        if jwk
            .get("use")
            .is_some_and(|for_what| *for_what != json!("sig"))
        {
            return Err(reading("the JWK's `use` is not `sig`"));
        }
        let can = |ops: &Value| {
            let named = |op: &Value| *op == json!("verify") || *op == json!("sign");
            ops.as_array().is_some_and(|ops| ops.iter().any(named))
        };
        if jwk.get("key_ops").is_some_and(|ops| !can(ops)) {
            return Err(reading(
                "the JWK's `key_ops` has neither `sign` nor `verify`",
            ));
        }
        Ok(key)
    }

    /// From an RSA key's modulus and exponent, big-endian without leading zeros.
    fn from_modulus(n: &[u8], e: &[u8]) -> Result<Self> {
        long_enough(n)?;
        let components = RsaPublicKeyComponents { n, e };
        let spki = components
            .as_der()
            .map_err(|_| reading("it is not a valid RS256 key"))?;
        Self::from_spki(spki.as_ref()).map_err(|_| reading("it is not a valid RS256 key"))
    }

    /// From a SubjectPublicKeyInfo (RFC 5280), the content of a PEM `PUBLIC KEY`, in its one DER
    /// form; also from an RSAPublicKey (RFC 8017), the content of `RSA PUBLIC KEY`.
    pub fn from_spki(der: &[u8]) -> Result<Self> {
        if let Some(raw) = der.strip_prefix(&SPKI_OF_ED25519) {
            return Self::from_raw(Algorithm::EdDsa, raw);
        }
        if let Some(raw) = der.strip_prefix(&SPKI_OF_P256) {
            return Self::from_raw(Algorithm::Es256, raw);
        }
        let Ok(rsa) = rsa::PublicKey::from_der(der) else {
            return Err(reading(
                "it is not an Ed25519, P-256 (uncompressed point) or RSA key of 2048 to 8192 bits",
            ));
        };
        let key = Self::from_raw(Algorithm::Rs256, rsa.as_ref())?;
        match der == rsa.as_ref() || der == key.spki()? {
            true => Ok(key),
            false => Err(reading("the RSA key is not in DER form")),
        }
    }

    /// The SubjectPublicKeyInfo (DER), which every other tool reads.
    pub fn spki(&self) -> Result<Vec<u8>> {
        let der = self
            .parsed
            .as_der()
            .doing(Exit::Failed, "writing a public key")?;
        Ok(der.as_ref().to_vec())
    }

    /// The PEM text of the public key (`BEGIN PUBLIC KEY`).
    pub fn to_pem(&self) -> Result<String> {
        Ok(pem::encode_config(
            &pem::Pem::new("PUBLIC KEY", self.spki()?),
            pem::EncodeConfig::new().set_line_ending(pem::LineEnding::LF),
        ))
    }

    /// From the contract's form; kid and algorithm must be those of the JWK.
    pub fn from_contract(key: &PublicKey) -> Result<Self> {
        let parsed = Self::from_jwk(&key.jwk)?;
        if parsed.kid != key.kid || parsed.algorithm != key.alg {
            return Err(reading("its kid or alg is not that of its JWK"));
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

    /// Whether this key signed `message`. The signature is in the form of JWS (RFC 7518, section
    /// 3; RFC 8037): 64 bytes for EdDSA and ES256, as long as the modulus for RS256.
    pub fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        self.parsed.verify_sig(message, signature).is_ok()
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

fn reading(why: impl std::fmt::Display) -> Problem {
    Problem::new(Exit::Config, "reading a public key", why)
}

/// Modulus and exponent of an RSAPublicKey that is valid and in DER form.
fn rsa_components(der: &[u8]) -> Option<(Vec<u8>, Vec<u8>)> {
    let key = rsa::PublicKey::from_der(der)
        .ok()
        .filter(|key| key.as_ref() == der)?;
    let bytes =
        |number: aws_lc_rs::io::Positive<'_>| number.big_endian_without_leading_zero().to_vec();
    Some((bytes(key.modulus()), bytes(key.exponent())))
}

/// RFC 7518, section 3.3: a key of 2048 bits or larger must be used.
fn long_enough(modulus: &[u8]) -> Result<()> {
    let unused = modulus.first().map_or(0, |first| first.leading_zeros());
    match modulus.len() * 8 - unused as usize {
        2048..=8192 => Ok(()),
        bits => Err(reading(format!(
            "the RSA key has {bits} bits: from 2048 to 8192 are taken"
        ))),
    }
}

/// The RFC 7638 thumbprint (SHA-256, base64url) of a public JWK; members that do not identify
/// the key make no difference.
pub fn thumbprint(jwk: &Value) -> Result<String> {
    let bad = |why: String| Problem::new(Exit::Config, "computing a key's thumbprint", why);
    // Section 3.2: the required members of each type, in lexicographic order.
    let members: &[&str] = match jwk.get("kty").and_then(Value::as_str) {
        Some("OKP") => &["crv", "kty", "x"],
        Some("EC") => &["crv", "kty", "x", "y"],
        Some("RSA") => &["e", "kty", "n"],
        Some(_) | None => return Err(bad("`kty` is none of OKP, EC and RSA".into())),
    };
    let mut identity = serde_json::Map::new();
    for name in members {
        match jwk.get(name).and_then(Value::as_str) {
            Some(value) => identity.insert((*name).to_owned(), json!(value)),
            None => return Err(bad(format!("the JWK has no text called `{name}`"))),
        };
    }
    // The map keeps the order in which it was filled, and writes no spaces.
    let digest = Sha256::digest(Value::Object(identity).to_string());
    Ok(URL_SAFE_NO_PAD.encode(digest))
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

//! Reading keys out of a file: PEM (PKCS#8, SEC 1, PKCS#1, SPKI), JWK, a JWK set, or what
//! `keys export --sealed` wrote. Nothing of what stands in such a file is ever quoted.

use serde_json::Value;
use zeroize::Zeroizing;

use super::{SealedKey, SigningKey, VerifyingKey, sealed};
use crate::error::{Exit, Problem, Result};

/// A file of keys longer than this is refused, in bytes.
pub const MAX_FILE_BYTES: usize = 1024 * 1024;

/// A key of a file.
#[derive(Debug, Clone)]
pub enum Material {
    /// Both halves, which fit together.
    Private(SigningKey),
    Public(VerifyingKey),
    /// Both halves, the private one still sealed.
    Sealed(SealedKey),
}

/// What to do with a JWK whose `kid` is not its RFC 7638 thumbprint, which is the only name that
/// verifiers here know a key by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OtherKid {
    /// Tokens that carry that kid would not verify: a gap, so it is refused.
    Refused,
    /// It is forgotten. Whoever asks for it has no such tokens.
    Forgotten,
}

impl Material {
    /// The thumbprint.
    pub fn kid(&self) -> &str {
        match self {
            Material::Private(key) => key.public().kid(),
            Material::Public(key) => key.kid(),
            Material::Sealed(key) => key.public.kid(),
        }
    }

    /// Whether the file holds a private half that anybody who reads it has.
    pub fn is_private(&self) -> bool {
        match self {
            Material::Private(_) => true,
            Material::Public(_) | Material::Sealed(_) => false,
        }
    }
}

/// The keys of a file, at least one. A public half beside its private one is checked and taken
/// with it; a key that stands there twice is refused.
pub fn read_keys(bytes: &[u8], other_kid: OtherKid) -> Result<Vec<Material>> {
    if bytes.len() > MAX_FILE_BYTES {
        return Err(reading("the file is longer than 1 MiB"));
    }
    let start = bytes.trim_ascii_start();
    let keys = match start.first() {
        None => return Err(reading("the file is empty")),
        Some(b'{') => json(start, other_kid)?,
        // A DER SEQUENCE; the text `0` (0x30 too) is no key either.
        Some(0x30) => {
            return Err(reading("it looks like DER; PEM and JWK are taken")
                .next("openssl pkey -inform DER -in FILE | dbctl keys import -"));
        }
        Some(_) => pem_blocks(start)?,
    };
    folded(keys)
}

/// Public halves go into their private ones.
fn folded(keys: Vec<Material>) -> Result<Vec<Material>> {
    let mut kept: Vec<Material> = Vec::new();
    for key in keys {
        match kept.iter().position(|k| k.kid() == key.kid()) {
            None => kept.push(key),
            Some(at) => match (&kept[at], &key) {
                (Material::Private(_), Material::Public(_)) => {}
                (Material::Public(_), Material::Private(_)) => kept[at] = key,
                (_, _) => {
                    let why = format!("the key {} stands there twice", key.kid());
                    return Err(reading(why));
                }
            },
        }
    }
    let private = kept.iter().any(Material::is_private);
    let stranger = kept.iter().find(|k| matches!(k, Material::Public(_)));
    match stranger {
        Some(public) if private => Err(reading(format!(
            "it holds a private key, and the public half {} of another one",
            public.kid()
        ))
        .next("import them from two files, if both are meant")),
        Some(_) | None => Ok(kept),
    }
}

fn json(text: &[u8], other_kid: OtherKid) -> Result<Vec<Material>> {
    // serde_json says what it expected and where, never what stands there.
    let value: Value = serde_json::from_slice(text).map_err(|e| {
        reading(format!(
            "it is not JSON: line {} column {}",
            e.line(),
            e.column()
        ))
    })?;
    if sealed::is_sealed(&value) {
        let keys = sealed::read(value)?;
        return Ok(keys.into_iter().map(Material::Sealed).collect());
    }
    match value.get("keys") {
        Some(Value::Array(keys)) if !keys.is_empty() => {
            let numbered = keys.iter().enumerate();
            numbered
                .map(|(i, key)| {
                    jwk(key, other_kid).map_err(|p| {
                        let why = format!("key {} of {}: {}", i + 1, keys.len(), p.cause());
                        with_hint(reading(why), p.hint())
                    })
                })
                .collect()
        }
        Some(_) => Err(reading("its `keys` is not a list with keys in it")),
        None => Ok(vec![jwk(&value, other_kid)?]),
    }
}

fn jwk(value: &Value, other_kid: OtherKid) -> Result<Material> {
    let key = match SigningKey::is_private_jwk(value) {
        true => Material::Private(SigningKey::from_jwk_members(value)?),
        false => Material::Public(VerifyingKey::from_members(value)?),
    };
    match value.get("kid") {
        Some(kid) if kid != key.kid() && other_kid == OtherKid::Refused => Err(reading(format!(
            "its kid is not its RFC 7638 thumbprint, {}: tokens that carry the other kid would not be verified here",
            key.kid()
        ))
        .next("if there are no such tokens: --forget-kid takes it under its thumbprint")),
        Some(_) | None => Ok(key),
    }
}

fn pem_blocks(text: &[u8]) -> Result<Vec<Material>> {
    let shape = || {
        reading("it is neither PEM nor JSON")
            .next("PEM (PKCS#8, SEC 1, PKCS#1, SPKI), a JWK or a JWK set are taken")
    };
    let blocks = pem::parse_many(text).map_err(|_| shape())?;
    if blocks.is_empty() {
        return Err(shape());
    }
    let mut keys = Vec::new();
    for block in blocks {
        let tag = block.tag().to_owned();
        let enciphered = block.headers().get("Proc-Type").is_some();
        let der = Zeroizing::new(block.into_contents());
        if enciphered {
            return Err(encrypted());
        }
        match &*tag {
            "PRIVATE KEY" => keys.push(Material::Private(SigningKey::from_pkcs8(&der)?)),
            "EC PRIVATE KEY" => keys.push(Material::Private(SigningKey::from_sec1(&der)?)),
            "RSA PRIVATE KEY" => keys.push(Material::Private(SigningKey::from_pkcs1(&der)?)),
            "PUBLIC KEY" | "RSA PUBLIC KEY" => {
                keys.push(Material::Public(VerifyingKey::from_spki(&der)?));
            }
            // `openssl ecparam -genkey` writes it before the key, which names its curve itself.
            "EC PARAMETERS" => {}
            "ENCRYPTED PRIVATE KEY" => return Err(encrypted()),
            "OPENSSH PRIVATE KEY" => {
                return Err(reading("it is in the form of OpenSSH")
                    .next("ssh-keygen -p -m PKCS8 -f a COPY of it writes it as PKCS#8"));
            }
            "CERTIFICATE" => {
                return Err(reading("it is a certificate")
                    .next("openssl x509 -in FILE -pubkey -noout | dbctl keys import -"));
            }
            _ => return Err(shape()),
        }
    }
    match keys.is_empty() {
        true => Err(reading("there is no key in it")),
        false => Ok(keys),
    }
}

fn encrypted() -> Problem {
    reading("it is encrypted with a passphrase")
        .next("openssl pkey -in FILE | dbctl keys import -   (it asks for the passphrase)")
}

fn reading(why: impl std::fmt::Display) -> Problem {
    Problem::new(Exit::Config, "reading keys", why)
}

fn with_hint(problem: Problem, hint: Option<&str>) -> Problem {
    match hint {
        Some(hint) => problem.next(hint),
        None => problem,
    }
}

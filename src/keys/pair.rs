//! Private halves: generating, reading, signing. The bytes are wiped when the key is dropped.

use std::path::Path;
use std::sync::Arc;

use aws_lc_rs::encoding::{AsDer as _, Pkcs8V1Der};
use aws_lc_rs::error::KeyRejected;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::{self, KeyPairComponents, KeySize};
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair, RSA_PKCS1_SHA256,
    RsaPublicKeyComponents,
};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Serialize;
use serde_json::{Value, json};
use zeroize::Zeroizing;

use super::public::PRIVATE_MEMBERS;
use super::{Algorithm, VerifyingKey};
use crate::error::{Doing, Exit, Problem, Result};

/// A key that signs, with its public half. It is parsed once; clones share it.
#[derive(Clone)]
pub struct SigningKey {
    public: VerifyingKey,
    private: Arc<Private>,
    /// The same as PKCS#8 version 1 (DER), which every other tool reads: one form for one key,
    /// however it came in.
    pkcs8: Arc<Zeroizing<Vec<u8>>>,
    /// The protected header of every token that it signs, base64url.
    header: Arc<str>,
}

/// The parsed pair; aws-lc wipes it when it is freed.
enum Private {
    EdDsa(Ed25519KeyPair),
    Es256(EcdsaKeyPair),
    Rs256(rsa::KeyPair),
}

impl Private {
    fn pkcs8(&self) -> Result<Zeroizing<Vec<u8>>> {
        let doing = "writing a private key";
        let bytes = match self {
            Private::EdDsa(pair) => {
                let der = pair.to_pkcs8v1().doing(Exit::Failed, doing)?;
                der.as_ref().to_vec()
            }
            Private::Es256(pair) => {
                let der = pair.to_pkcs8v1().doing(Exit::Failed, doing)?;
                der.as_ref().to_vec()
            }
            Private::Rs256(pair) => {
                let der: Pkcs8V1Der<'_> = pair.as_der().doing(Exit::Failed, doing)?;
                der.as_ref().to_vec()
            }
        };
        Ok(Zeroizing::new(bytes))
    }
}

impl SigningKey {
    pub fn generate(algorithm: Algorithm) -> Result<Self> {
        let doing = "generating a key pair";
        let private = match algorithm {
            Algorithm::EdDsa => Ed25519KeyPair::generate().map(Private::EdDsa),
            Algorithm::Es256 => {
                EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).map(Private::Es256)
            }
            // 112 bits of security until 2030 (NIST SP 800-57); its tokens are long enough.
            Algorithm::Rs256 => rsa::KeyPair::generate(KeySize::Rsa2048).map(Private::Rs256),
        };
        Self::from_pair(private.doing(Exit::Failed, doing)?)
    }

    fn from_pair(private: Private) -> Result<Self> {
        let public = match &private {
            Private::EdDsa(pair) => {
                VerifyingKey::from_raw(Algorithm::EdDsa, pair.public_key().as_ref())?
            }
            Private::Es256(pair) => {
                VerifyingKey::from_raw(Algorithm::Es256, pair.public_key().as_ref())?
            }
            Private::Rs256(pair) => {
                VerifyingKey::from_raw(Algorithm::Rs256, pair.public_key().as_ref())?
            }
        };
        let header = json!({"typ": "JWT", "alg": public.algorithm().as_str(), "kid": public.kid()});
        Ok(Self {
            header: URL_SAFE_NO_PAD.encode(header.to_string()).into(),
            pkcs8: Arc::new(private.pkcs8()?),
            public,
            private: Arc::new(private),
        })
    }

    /// Reads a PKCS#8 document (DER). Where it holds the public half too, the halves must fit.
    pub fn from_pkcs8(der: &[u8]) -> Result<Self> {
        if let Ok(pair) = Ed25519KeyPair::from_pkcs8(der) {
            return Self::from_pair(Private::EdDsa(pair));
        }
        if let Ok(pair) = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, der) {
            return Self::from_pair(Private::Es256(pair));
        }
        match rsa::KeyPair::from_pkcs8(der) {
            Ok(pair) => Self::from_pair(Private::Rs256(pair)),
            Err(why) => Err(refused(
                &why,
                "it is not an Ed25519, P-256 or RSA key in PKCS#8 form whose halves fit together",
            )),
        }
    }

    /// Reads an ECPrivateKey of RFC 5915 (SEC 1), the content of a PEM `EC PRIVATE KEY`. Where it
    /// holds the public half too, the halves must fit.
    pub fn from_sec1(der: &[u8]) -> Result<Self> {
        match EcdsaKeyPair::from_private_key_der(&ECDSA_P256_SHA256_FIXED_SIGNING, der) {
            Ok(pair) => Self::from_pair(Private::Es256(pair)),
            Err(why) => Err(refused(
                &why,
                "it is not a P-256 key in SEC 1 form whose halves fit together",
            )),
        }
    }

    /// Reads an RSAPrivateKey of RFC 8017 (PKCS#1), the content of a PEM `RSA PRIVATE KEY`.
    pub fn from_pkcs1(der: &[u8]) -> Result<Self> {
        match rsa::KeyPair::from_der(der) {
            Ok(pair) => Self::from_pair(Private::Rs256(pair)),
            Err(why) => Err(refused(
                &why,
                "it is not an RSA key in PKCS#1 form whose numbers fit together",
            )),
        }
    }

    /// Reads a private JWK (RFC 7518, section 6; RFC 8037) and checks its halves against each
    /// other. Its `kid` is not looked at.
    pub(super) fn from_jwk_members(jwk: &Value) -> Result<Self> {
        let public = VerifyingKey::from_members(jwk)?;
        let member = |name: &str| {
            let text = jwk.get(name).and_then(Value::as_str);
            text.and_then(|t| URL_SAFE_NO_PAD.decode(t).ok())
                .map(Zeroizing::new)
                .ok_or_else(|| reading(format!("`{name}` of the private JWK is not base64url")))
        };
        let misfit = |why: KeyRejected| {
            refused(
                &why,
                "the private half of the JWK does not fit its public half",
            )
        };
        let private = match public.algorithm() {
            Algorithm::EdDsa => {
                let seed = member("d")?;
                if seed.len() != 32 {
                    return Err(reading("`d` of the private JWK is not 32 bytes"));
                }
                Ed25519KeyPair::from_seed_and_public_key(&seed, &member("x")?)
                    .map(Private::EdDsa)
                    .map_err(misfit)?
            }
            Algorithm::Es256 => {
                let point = [&[4][..], &member("x")?, &member("y")?].concat();
                EcdsaKeyPair::from_private_key_and_public_key(
                    &ECDSA_P256_SHA256_FIXED_SIGNING,
                    &member("d")?,
                    &point,
                )
                .map(Private::Es256)
                .map_err(misfit)?
            }
            Algorithm::Rs256 => {
                if jwk.get("oth").is_some() {
                    return Err(reading("an RSA key of more than two primes is not taken"));
                }
                let numbers = KeyPairComponents {
                    public_key: RsaPublicKeyComponents {
                        n: member("n")?,
                        e: member("e")?,
                    },
                    d: member("d")?,
                    p: member("p")?,
                    q: member("q")?,
                    dP: member("dp")?,
                    dQ: member("dq")?,
                    qInv: member("qi")?,
                };
                rsa::KeyPair::from_components(&numbers)
                    .map(Private::Rs256)
                    .map_err(misfit)?
            }
        };
        let key = Self::from_pair(private)?;
        match *key.public() == public {
            true => Ok(key),
            false => Err(reading(
                "the private half of the JWK does not fit its public half",
            )),
        }
    }

    /// Whether a JWK holds anything that is not public.
    pub(super) fn is_private_jwk(jwk: &Value) -> bool {
        PRIVATE_MEMBERS.iter().any(|name| jwk.get(name).is_some())
    }

    /// Reads a PEM file (`BEGIN PRIVATE KEY`); refused when others can read it.
    pub fn from_pem_file(path: &Path) -> Result<Self> {
        let doing = format!("reading the signing key {}", path.display());
        if crate::durable::others_can_read(path).doing(Exit::Config, &doing)? {
            return Err(
                Problem::new(Exit::Config, doing, "others can read the file")
                    .next(format!("chmod 600 {}", path.display())),
            );
        }
        let text = Zeroizing::new(std::fs::read(path).doing(Exit::Config, &doing)?);
        let shape = || {
            Problem::new(Exit::Config, &doing, "it is not a private key in PEM form").next(
                "openssl genpkey -algorithm ed25519, or `dbctl service init`, writes such a file",
            )
        };
        let parsed = pem::parse(&*text).map_err(|_| shape())?;
        if parsed.tag() != "PRIVATE KEY" {
            return Err(shape());
        }
        let der = Zeroizing::new(parsed.into_contents());
        Self::from_pkcs8(&der).map_err(|p| Problem::new(Exit::Config, &doing, p.cause()))
    }

    /// The PEM text of the private key.
    pub fn to_pem(&self) -> Zeroizing<String> {
        Zeroizing::new(pem::encode_config(
            &pem::Pem::new("PRIVATE KEY", self.pkcs8()),
            pem::EncodeConfig::new().set_line_ending(pem::LineEnding::LF),
        ))
    }

    pub fn public(&self) -> &VerifyingKey {
        &self.public
    }

    pub(crate) fn pkcs8(&self) -> &[u8] {
        &self.pkcs8
    }

    /// A signed JWT (JWS compact form, RFC 7515) whose header names this key.
    pub fn sign<C: Serialize>(&self, claims: &C) -> Result<String> {
        let claims = serde_json::to_vec(claims).doing(Exit::Failed, "writing claims")?;
        let message = format!("{}.{}", self.header, URL_SAFE_NO_PAD.encode(claims));
        let signature = self.sign_bytes(message.as_bytes())?;
        Ok(format!("{message}.{signature}"))
    }

    /// The signature over `message` as in a JWS ([`VerifyingKey::verifies`]), base64url.
    pub fn sign_bytes(&self, message: &[u8]) -> Result<String> {
        let (doing, random) = ("signing", SystemRandom::new());
        let signature = match &*self.private {
            Private::EdDsa(pair) => {
                let signed = pair.try_sign(message).doing(Exit::Failed, doing)?;
                URL_SAFE_NO_PAD.encode(signed)
            }
            Private::Es256(pair) => {
                let signed = pair.sign(&random, message).doing(Exit::Failed, doing)?;
                URL_SAFE_NO_PAD.encode(signed)
            }
            Private::Rs256(pair) => {
                let mut signed = vec![0; pair.public_modulus_len()];
                pair.sign(&RSA_PKCS1_SHA256, &random, message, &mut signed)
                    .doing(Exit::Failed, doing)?;
                URL_SAFE_NO_PAD.encode(signed)
            }
        };
        Ok(signature)
    }
}

impl std::fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "SigningKey({} {})",
            self.public.algorithm(),
            self.public.kid()
        )
    }
}

fn reading(why: impl std::fmt::Display) -> Problem {
    Problem::new(Exit::Config, "reading a private key", why)
}

/// The library's reason where it helps, else ours.
fn refused(why: &KeyRejected, otherwise: &str) -> Problem {
    match why.to_string().as_str() {
        "TooSmall" => reading("the RSA key has fewer than 2048 bits"),
        "TooLarge" => reading("the RSA key has more than 8192 bits"),
        _ => reading(otherwise),
    }
}

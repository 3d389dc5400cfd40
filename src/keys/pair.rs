//! Private halves: generating, reading, signing. The bytes are wiped when the key is dropped.

use std::path::Path;

use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair,
};
use jsonwebtoken::{EncodingKey, Header};
use serde::Serialize;
use zeroize::Zeroizing;

use super::{Algorithm, VerifyingKey};
use crate::error::{Doing, Exit, Problem, Result};

/// A key that signs, with its public half.
#[derive(Clone)]
pub struct SigningKey {
    public: VerifyingKey,
    /// Holds the PKCS#8 document and wipes it on drop.
    encoding: EncodingKey,
}

impl SigningKey {
    pub fn generate(algorithm: Algorithm) -> Result<Self> {
        let doing = "generating a key pair";
        // PKCS#8 version 1, which every other tool reads.
        let pkcs8 = match algorithm {
            Algorithm::EdDsa => Ed25519KeyPair::generate()
                .and_then(|k| k.to_pkcs8v1())
                .doing(Exit::Failed, doing)?,
            Algorithm::Es256 => EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING)
                .and_then(|k| k.to_pkcs8v1())
                .doing(Exit::Failed, doing)?,
        };
        Self::from_pkcs8(pkcs8.as_ref())
    }

    /// Reads a PKCS#8 document (DER). Where it holds the public half too, the halves must fit.
    pub fn from_pkcs8(der: &[u8]) -> Result<Self> {
        if let Ok(pair) = Ed25519KeyPair::from_pkcs8(der) {
            let public = VerifyingKey::from_raw(Algorithm::EdDsa, pair.public_key().as_ref())?;
            let encoding = EncodingKey::from_ed_der(der);
            return Ok(Self { public, encoding });
        }
        match EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, der) {
            Ok(pair) => {
                let public = VerifyingKey::from_raw(Algorithm::Es256, pair.public_key().as_ref())?;
                let encoding = EncodingKey::from_ec_der(der);
                Ok(Self { public, encoding })
            }
            Err(_) => Err(Problem::new(
                Exit::Config,
                "reading a private key",
                "it is not an Ed25519 or P-256 key in PKCS#8 form whose halves fit together",
            )),
        }
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
        self.encoding.as_bytes()
    }

    /// A signed JWT (JWS compact form, RFC 7515) whose header names this key.
    pub fn sign<C: Serialize>(&self, claims: &C) -> Result<String> {
        let mut header = Header::new(self.public.algorithm().jws());
        header.kid = Some(self.public.kid().to_owned());
        jsonwebtoken::encode(&header, claims, &self.encoding).doing(Exit::Failed, "signing a token")
    }

    /// The signature over `message` (JWS form: 64 bytes for both algorithms), base64url.
    pub fn sign_bytes(&self, message: &[u8]) -> Result<String> {
        jsonwebtoken::crypto::sign(message, &self.encoding, self.public.algorithm().jws())
            .doing(Exit::Failed, "signing")
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

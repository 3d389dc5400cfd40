//! Ids that are hidden from whoever reads decisions and events: a keyed hash stands in their place.

use std::path::Path;

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use secrecy::ExposeSecret as _;
use zeroize::Zeroizing;

use crate::error::{Exit, Problem, Result};

const PREFIX: &str = "hmac-sha256:";

/// The key that ids are hidden with.
#[derive(Debug, Clone)]
pub struct IdKey(hmac::Key);

impl IdKey {
    /// From a file with 32 bytes as base64 that only its owner can read.
    pub fn from_file(file: &Path) -> Result<Self> {
        let what = "the key for ids in decisions";
        let line = crate::pg::read_secret_line(file, what)?;
        let bytes = BASE64.decode(line.expose_secret().trim());
        match bytes.map(Zeroizing::new) {
            Ok(key) if key.len() == 32 => Ok(Self(hmac::Key::new(hmac::HMAC_SHA256, &key))),
            Ok(_) | Err(_) => Err(Problem::new(
                Exit::Config,
                format!("reading {what} from {}", file.display()),
                "it is not 32 bytes as base64",
            )
            .next("dbctl keys new-kek FILE writes 32 random bytes")),
        }
    }

    /// What stands in the place of an id.
    pub fn hide(&self, id: &str) -> String {
        let tag = hmac::sign(&self.0, id.as_bytes());
        let digits: String = tag.as_ref().iter().map(|b| format!("{b:02x}")).collect();
        format!("{PREFIX}{digits}")
    }
}

/// Whether this stands in the place of an id.
pub fn is_hidden(id: &str) -> bool {
    id.starts_with(PREFIX)
}

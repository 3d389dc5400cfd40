//! The key-encryption key and what it seals.
//!
//! AES-256-GCM with a random 96-bit nonce for each sealing (NIST SP 800-38D, section 8.2.2;
//! far below 2^32 sealings under one key). The associated data binds the row, so that a
//! ciphertext that was moved to another row does not open there.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use aws_lc_rs::aead::{AES_256_GCM, Aad, Nonce, RandomizedNonceKey};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use super::Algorithm;
use crate::error::{Doing, Exit, Problem, Result};
use crate::settings::Environment;

/// How long a command may take to print the key (a vault over the network).
const COMMAND_TIMEOUT: Duration = Duration::from_secs(30);

/// A key-encryption key, by what it is called and where it came from.
pub struct Kek {
    key: RandomizedNonceKey,
    id: String,
    /// For messages: the file or the command.
    origin: String,
}

/// A sealed private key as it lies in its row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sealed {
    pub ciphertext: Vec<u8>,
    pub nonce: Vec<u8>,
    pub kek_id: String,
}

/// What a sealed private key belongs to.
#[derive(Debug, Clone, Copy)]
pub(super) struct Row<'a> {
    pub key_id: &'a str,
    pub version: i32,
    pub algorithm: Algorithm,
    pub kid: &'a str,
}

impl Row<'_> {
    /// The associated data: a tag for the scheme, then each field with its length.
    fn associated(&self) -> Vec<u8> {
        let version = self.version.to_be_bytes();
        let mut data = b"dbctl/signing-key/v1".to_vec();
        for field in [
            self.key_id.as_bytes(),
            &version,
            self.algorithm.as_str().as_bytes(),
            self.kid.as_bytes(),
        ] {
            data.extend((field.len() as u64).to_be_bytes());
            data.extend(field);
        }
        data
    }
}

impl Kek {
    /// Reads the key from a file: 32 bytes as base64 on its first line; refused when others can
    /// read it.
    pub fn from_file(path: &Path) -> Result<Self> {
        let line = crate::pg::read_secret_line(path, "the key-encryption key")?;
        Self::parse(&line, path.display().to_string())
    }

    /// Takes the key from the output of a program (a KMS, a vault). Its stderr stays visible.
    pub async fn from_command(argv: &[String]) -> Result<Self> {
        let doing = "running kek_command";
        let Some((program, args)) = argv.split_first() else {
            return Err(Problem::new(Exit::Config, doing, "it is empty"));
        };
        let child = tokio::process::Command::new(program)
            .args(args)
            .stdin(Stdio::null())
            .stderr(Stdio::inherit())
            .kill_on_drop(true)
            .output();
        let output = tokio::time::timeout(COMMAND_TIMEOUT, child)
            .await
            .map_err(|_| {
                let limit = COMMAND_TIMEOUT.as_secs();
                Problem::new(Exit::Unavailable, doing, format!("no answer in {limit} s"))
            })?
            .doing(Exit::Unavailable, format!("{doing} ({program})"))?;
        let stdout = Zeroizing::new(output.stdout);
        if !output.status.success() {
            return Err(Problem::new(
                Exit::Unavailable,
                doing,
                format!("`{program}` ended with {}", output.status),
            ));
        }
        let text = std::str::from_utf8(&stdout)
            .map_err(|_| Problem::new(Exit::Config, doing, "its output is not text"))?;
        Self::parse(
            &SecretString::from(text.trim()),
            format!("the command `{program}`"),
        )
    }

    /// The key of an environment: `kek_file`, else `kek_command`.
    pub async fn of_environment(env: &Environment) -> Result<Self> {
        match (&env.kek_file, &env.kek_command) {
            (Some(file), _) => Self::from_file(file),
            (None, Some(argv)) => Self::from_command(argv).await,
            (None, None) => Err(Problem::new(
                Exit::Config,
                "looking for the key-encryption key",
                format!("environment {} names none", env.name),
            )
            .next("set kek_file or kek_command; `dbctl keys new-kek FILE` makes a new one")),
        }
    }

    fn parse(text: &SecretString, origin: String) -> Result<Self> {
        let bad = |why: &str| {
            Problem::new(
                Exit::Config,
                format!("reading the key-encryption key from {origin}"),
                why,
            )
            .next("it must be 32 random bytes as base64: `dbctl keys new-kek FILE`")
        };
        let bytes = STANDARD
            .decode(text.expose_secret())
            .map(Zeroizing::new)
            .map_err(|_| bad("it is not base64"))?;
        if bytes.len() != 32 {
            return Err(bad(&format!("it has {} bytes instead of 32", bytes.len())));
        }
        let key = RandomizedNonceKey::new(&AES_256_GCM, &bytes)
            .map_err(|_| bad("the cipher does not take it"))?;
        let id = derived_id(&bytes);
        Ok(Self { key, id, origin })
    }

    /// `kek-` and 16 hexadecimal digits, derived from the key: it tells which key sealed a row
    /// and tells nothing about the key.
    pub fn id(&self) -> &str {
        &self.id
    }

    pub(super) fn seal(&self, row: Row<'_>, private: &[u8]) -> Result<Sealed> {
        // With room for the tag: growing would leave a copy of the plain bytes behind.
        let mut buffer = Vec::with_capacity(private.len() + AES_256_GCM.tag_len());
        buffer.extend_from_slice(private);
        let nonce = self
            .key
            .seal_in_place_append_tag(Aad::from(row.associated()), &mut buffer)
            .doing(Exit::Failed, "sealing a private key")?;
        Ok(Sealed {
            ciphertext: buffer,
            nonce: nonce.as_ref().to_vec(),
            kek_id: self.id.clone(),
        })
    }

    /// Opens what [`Kek::seal`] made for the same row.
    pub(super) fn open(&self, row: Row<'_>, sealed: &Sealed) -> Result<Zeroizing<Vec<u8>>> {
        let doing = format!("opening version {} of key {}", row.version, row.key_id);
        if sealed.kek_id != self.id {
            return Err(Problem::new(
                Exit::Config,
                doing,
                format!(
                    "it is sealed with {}, but {} was given (from {})",
                    sealed.kek_id, self.id, self.origin
                ),
            )
            .next("give the key-encryption key that sealed it (kek_file, SERVICE_KEK_FILE)"));
        }
        let damaged = || {
            Problem::new(
                Exit::Config,
                &doing,
                format!(
                    "the right key-encryption key ({}) does not open it: the sealed bytes were changed or belong to another row",
                    self.id
                ),
            )
            .next("restore this row from a backup, or seed a new version")
        };
        let nonce = Nonce::try_assume_unique_for_key(&sealed.nonce).map_err(|_| damaged())?;
        let mut buffer = Zeroizing::new(sealed.ciphertext.clone());
        let length = self
            .key
            .open_in_place(nonce, Aad::from(row.associated()), &mut buffer)
            .map_err(|_| damaged())?
            .len();
        buffer.truncate(length);
        Ok(buffer)
    }
}

impl std::fmt::Debug for Kek {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Kek({})", self.id)
    }
}

fn derived_id(key: &[u8]) -> String {
    let digest = Sha256::new()
        .chain_update(b"dbctl/kek-id/v1\0")
        .chain_update(key)
        .finalize();
    digest[..8]
        .iter()
        .fold("kek-".to_owned(), |id, byte| id + &format!("{byte:02x}"))
}

/// Writes a new random key-encryption key, mode 0600, and returns its id. Never overwrites: the
/// old key may be the only one that opens what lies in a database.
pub fn new_kek_file(path: &Path) -> Result<String> {
    let doing = format!("writing {}", path.display());
    let mut bytes = Zeroizing::new([0_u8; 32]);
    aws_lc_rs::rand::fill(&mut *bytes).doing(Exit::Failed, "drawing random bytes")?;
    let text = Zeroizing::new(STANDARD.encode(*bytes) + "\n");
    crate::durable::create_new(path, text.as_bytes()).map_err(|e| {
        let problem = Problem::new(Exit::Config, &doing, &e);
        match e.kind() {
            std::io::ErrorKind::AlreadyExists => {
                problem.next("choose another name; what the old key sealed only opens with it")
            }
            _ => problem,
        }
    })?;
    Ok(derived_id(&*bytes))
}

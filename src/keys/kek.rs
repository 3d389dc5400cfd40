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

/// What a sentinel says. Whoever opens it holds the key that it is named after.
const SENTINEL: &[u8] = b"dbctl key-encryption key sentinel";

/// How long a command may take to print the key (a vault over the network).
const COMMAND_TIMEOUT: Duration = Duration::from_secs(30);

/// A key-encryption key, by what it is called and where it came from. It seals; beside it there
/// may be others that only open, so that a service can have the next one before anything is
/// sealed with it, and the one of before until nothing is.
pub struct Kek {
    key: RandomizedNonceKey,
    id: String,
    /// The ones that only open; they have none themselves.
    others: Vec<Kek>,
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
    fn associated(&self) -> Vec<u8> {
        let version = self.version.to_be_bytes();
        let fields = [
            self.key_id.as_bytes(),
            &version,
            self.algorithm.as_str().as_bytes(),
            self.kid.as_bytes(),
        ];
        associated(b"dbctl/signing-key/v1", &fields)
    }
}

/// Associated data: a tag for the scheme, then each field with its length.
fn associated(tag: &[u8], fields: &[&[u8]]) -> Vec<u8> {
    let mut data = tag.to_vec();
    for field in fields {
        data.extend((field.len() as u64).to_be_bytes());
        data.extend(*field);
    }
    data
}

impl Kek {
    /// Reads the key from a file: 32 bytes as base64 on its first line, and on each further line
    /// another one that only opens; refused when others can read it.
    pub fn from_file(path: &Path) -> Result<Self> {
        let text = crate::pg::read_secret_text(path, "the key-encryption key")?;
        Self::parse(&text, path.display().to_string())
    }

    /// Reads the key from a file of systemd's credentials (`LoadCredential=`, `SetCredential=`):
    /// `name` in the folder that `$CREDENTIALS_DIRECTORY` names. systemd keeps that folder closed
    /// to others; a file in it that everybody could read is refused all the same.
    pub fn from_credential(name: &str) -> Result<Self> {
        let doing = format!("reading the credential {}", name.escape_debug());
        let wrong = |why: &str, next: &str| Problem::new(Exit::Config, &doing, why).next(next);
        let mut parts = Path::new(name).components();
        let plain = matches!(parts.next(), Some(std::path::Component::Normal(_)));
        if !plain || parts.next().is_some() {
            return Err(wrong(
                "it is not the bare name of a file",
                "name it as in LoadCredential=NAME:PATH",
            ));
        }
        let Some(dir) = std::env::var_os("CREDENTIALS_DIRECTORY").filter(|dir| !dir.is_empty())
        else {
            return Err(wrong(
                "CREDENTIALS_DIRECTORY is not set",
                "systemd sets it for a unit with LoadCredential= (systemd-run -p LoadCredential=NAME:PATH); elsewhere use kek_file",
            ));
        };
        let path = Path::new(&dir).join(name);
        if crate::durable::everybody_can_read(&path).doing(Exit::Config, &doing)? {
            return Err(wrong("everybody can read the file", "let systemd place it"));
        }
        let text = Zeroizing::new(std::fs::read_to_string(&path).doing(Exit::Config, &doing)?);
        let text = SecretString::from(text.as_str());
        Self::parse(&text, format!("the credential {name}"))
    }

    /// Takes the key from the output of a program (a KMS, a vault). Its stderr stays visible.
    pub async fn from_command(argv: &[String]) -> Result<Self> {
        let doing = "asking a command for the key-encryption key";
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
            &SecretString::from(text),
            format!("the command `{program}`"),
        )
    }

    /// The key of an environment: `kek_file`, `kek_command` or `kek_credential`, of which there
    /// is one.
    pub async fn of_environment(env: &Environment) -> Result<Self> {
        match (&env.kek_file, &env.kek_command, &env.kek_credential) {
            (Some(file), None, None) => Self::from_file(file),
            (None, Some(argv), None) => Self::from_command(argv).await,
            (None, None, Some(name)) => Self::from_credential(name),
            (file, command, credential) => {
                let none = file.is_none() && command.is_none() && credential.is_none();
                let why = match none {
                    true => format!("environment {} names none", env.name),
                    false => format!("environment {} names more than one", env.name),
                };
                Err(
                    Problem::new(Exit::Config, "looking for the key-encryption key", why).next(
                        "set one of kek_file, kek_command and kek_credential; `dbctl keys new-kek FILE` makes a new key",
                    ),
                )
            }
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
        let lines = text.expose_secret().lines().map(str::trim);
        let mut lines = lines.enumerate().filter(|(_, line)| !line.is_empty());
        let one = |(index, line): (usize, &str)| {
            let at = match index {
                0 => "it".to_owned(),
                n => format!("line {}", n + 1),
            };
            let bytes = STANDARD
                .decode(line)
                .map(Zeroizing::new)
                .map_err(|_| bad(&format!("{at} is not base64")))?;
            match bytes.len() {
                32 => Self::from_bytes(&bytes, origin.clone()),
                n => Err(bad(&format!("{at} has {n} bytes instead of 32"))),
            }
        };
        let first = lines.next().ok_or_else(|| bad("the file is empty"))?;
        let mut kek = one(first)?;
        for line in lines {
            let other = one(line)?;
            if kek.with_id(&other.id).is_none() {
                kek.others.push(other);
            }
        }
        Ok(kek)
    }

    /// From the 32 bytes themselves; `origin` says where they came from, for messages.
    pub fn from_bytes(bytes: &[u8], origin: impl Into<String>) -> Result<Self> {
        let key = RandomizedNonceKey::new(&AES_256_GCM, bytes).doing(
            Exit::Config,
            "taking a key-encryption key (AES-256 wants 32 bytes)",
        )?;
        Ok(Self {
            key,
            id: derived_id(bytes),
            others: Vec::new(),
            origin: origin.into(),
        })
    }

    /// Where it came from, for messages: a file, a command, a credential.
    pub fn origin(&self) -> &str {
        &self.origin
    }

    /// `kek-` and 16 hexadecimal digits, derived from the key: it tells which key sealed a row
    /// and tells nothing about the key.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// This key or one beside it, by its name.
    pub fn with_id(&self, id: &str) -> Option<&Kek> {
        let beside = || self.others.iter().find(|other| other.id == id);
        if self.id == id { Some(self) } else { beside() }
    }

    /// The names of this key and of those beside it.
    pub fn ids(&self) -> String {
        let others = self.others.iter().map(|other| &*other.id);
        let all: Vec<&str> = std::iter::once(&*self.id).chain(others).collect();
        all.join(", ")
    }

    pub(super) fn seal(&self, row: Row<'_>, private: &[u8]) -> Result<Sealed> {
        self.seal_bytes(row.associated(), private, "sealing a private key")
    }

    fn seal_bytes(&self, associated: Vec<u8>, plain: &[u8], doing: &str) -> Result<Sealed> {
        // With room for the tag: growing would leave a copy of the plain bytes behind.
        let mut buffer = Vec::with_capacity(plain.len() + AES_256_GCM.tag_len());
        buffer.extend_from_slice(plain);
        let nonce = self
            .key
            .seal_in_place_append_tag(Aad::from(associated), &mut buffer)
            .doing(Exit::Failed, doing)?;
        Ok(Sealed {
            ciphertext: buffer,
            nonce: nonce.as_ref().to_vec(),
            kek_id: self.id.clone(),
        })
    }

    /// The plain bytes, if this key sealed exactly them (ciphertext and tag) with this nonce (12
    /// bytes) and this associated data. Nothing of a forgery is shown.
    pub fn open_bytes(
        &self,
        associated: &[u8],
        nonce: &[u8],
        ciphertext: &[u8],
    ) -> Option<Zeroizing<Vec<u8>>> {
        let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
        let mut buffer = Zeroizing::new(ciphertext.to_vec());
        let length = self
            .key
            .open_in_place(nonce, Aad::from(associated), &mut buffer)
            .ok()?
            .len();
        buffer.truncate(length);
        Some(buffer)
    }

    /// A constant sealed with this key and bound to its name: what the register keeps of it.
    pub(super) fn sentinel(&self) -> Result<Sealed> {
        let bound = associated(b"dbctl/kek-sentinel/v1", &[self.id.as_bytes()]);
        self.seal_bytes(bound, SENTINEL, "sealing a sentinel")
    }

    /// Whether `sealed` is a sentinel of this very key.
    pub(super) fn opens_sentinel(&self, nonce: &[u8], ciphertext: &[u8]) -> bool {
        let bound = associated(b"dbctl/kek-sentinel/v1", &[self.id.as_bytes()]);
        self.open_bytes(&bound, nonce, ciphertext)
            .is_some_and(|plain| plain.as_slice() == SENTINEL)
    }

    /// Opens what [`Kek::seal`] made for the same row.
    pub(super) fn open(&self, row: Row<'_>, sealed: &Sealed) -> Result<Zeroizing<Vec<u8>>> {
        let doing = format!("opening version {} of key {}", row.version, row.key_id);
        let Some(kek) = self.with_id(&sealed.kek_id) else {
            return Err(Problem::new(
                Exit::Config,
                doing,
                format!(
                    "it is sealed with {}, but {} was given (from {})",
                    sealed.kek_id,
                    self.ids(),
                    self.origin
                ),
            )
            .next("give the key-encryption key that sealed it (kek_file, SERVICE_KEK_FILE)"));
        };
        let damaged = || {
            Problem::new(
                Exit::Config,
                &doing,
                format!(
                    "the right key-encryption key ({}) does not open it: the sealed bytes were changed or belong to another row",
                    kek.id
                ),
            )
            .next("restore this row from a backup, or make a new version: `dbctl keys rotate`")
        };
        kek.open_bytes(&row.associated(), &sealed.nonce, &sealed.ciphertext)
            .ok_or_else(damaged)
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

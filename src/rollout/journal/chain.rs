//! The hash chain, without any storage.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::rollout::machine::Event;

/// Separates these hashes from any other use of SHA-256.
const DOMAIN: &[u8] = b"dbctl/journal/v1\0";

/// Names a run: six hexadecimal digits, short enough to say aloud.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct RunId(String);

impl RunId {
    /// A new one at random; the journal refuses one that it already has.
    pub fn random() -> Self {
        RunId(format!("{:06x}", rand::random::<u32>() & 0xff_ffff))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for RunId {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let digits = |c: char| c.is_ascii_digit() || ('a'..='f').contains(&c);
        if text.len() == 6 && text.chars().all(digits) {
            Ok(RunId(text.to_owned()))
        } else {
            Err("a run is named by six hexadecimal digits, such as 7f3c1a".to_owned())
        }
    }
}

impl TryFrom<String> for RunId {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<RunId> for String {
    fn from(run: RunId) -> Self {
        run.0
    }
}

impl fmt::Display for RunId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// A SHA-256.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Hash(pub [u8; 32]);

impl Hash {
    /// What stands before the first entry.
    pub const ZERO: Hash = Hash([0; 32]);
}

impl fmt::Display for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|b| write!(f, "{b:02x}"))
    }
}

impl fmt::Debug for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Hash {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || "a hash is 64 hexadecimal digits".to_owned();
        let mut bytes = [0; 32];
        if text.len() != 64 || !text.is_ascii() {
            return Err(wrong());
        }
        for (i, byte) in bytes.iter_mut().enumerate() {
            *byte = u8::from_str_radix(&text[2 * i..2 * i + 2], 16).map_err(|_| wrong())?;
        }
        Ok(Hash(bytes))
    }
}

/// How a record is written: [`Record`] as JSON, in this version of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Schema {
    #[serde(rename = "dbctl.event/1")]
    Event1,
}

/// What an entry says, before it is sealed. Its JSON is the body.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Record {
    pub schema: Schema,
    pub run: RunId,
    /// 1 for the first entry of a run.
    pub seq: u64,
    /// By the driver's clock, in milliseconds since 1970.
    pub at_ms: u64,
    pub holder: String,
    /// The fencing token of the lease under which it was written.
    pub token: u64,
    /// What the person whom the event is by says of themselves.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub claim: Option<String>,
    pub event: Event,
}

/// A sealed entry: the exact bytes of the body and its place in the chain.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    pub record: Record,
    pub body: String,
    pub prev: Hash,
    pub hash: Hash,
}

impl Entry {
    /// The chain's end before it.
    pub fn after(&self) -> Head {
        Head {
            seq: self.record.seq - 1,
            hash: self.prev,
        }
    }

    /// The chain's end, were this its last entry.
    pub fn head(&self) -> Head {
        Head {
            seq: self.record.seq,
            hash: self.hash,
        }
    }
}

/// The end of a chain: what a witness keeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Head {
    pub seq: u64,
    pub hash: Hash,
}

impl Head {
    pub const EMPTY: Head = Head {
        seq: 0,
        hash: Hash::ZERO,
    };
}

impl fmt::Display for Head {
    /// `12:9a41…`, the whole hash: it is compared by programs.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.seq, self.hash)
    }
}

impl FromStr for Head {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || "a head is written SEQ:HASH, as `rollout log` prints it".to_owned();
        let (seq, hash) = text.split_once(':').ok_or_else(wrong)?;
        Ok(Head {
            seq: seq.parse().map_err(|_| wrong())?,
            hash: hash.parse()?,
        })
    }
}

/// Seals a record behind `prev`.
pub fn seal(record: Record, prev: Hash) -> Entry {
    let body = serde_json::to_string(&record).expect("a record is plain data");
    let hash = hash(record.seq, prev, body.as_bytes());
    Entry {
        record,
        body,
        prev,
        hash,
    }
}

fn hash(seq: u64, prev: Hash, body: &[u8]) -> Hash {
    let mut sha = Sha256::new();
    sha.update(DOMAIN);
    sha.update(seq.to_be_bytes());
    sha.update(prev.0);
    sha.update(Sha256::digest(body));
    Hash(sha.finalize().into())
}

/// The first entry that does not hold, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Broken {
    /// Sequence number at which the chain breaks.
    pub seq: u64,
    pub why: String,
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "event {}: {}", self.seq, self.why)
    }
}

impl std::error::Error for Broken {}

/// One stored row: sequence number, body, and the two hashes as they were stored.
pub type Row = (u64, String, Vec<u8>, Vec<u8>);

/// Every entry whose number is a multiple of this is a checkpoint, so that a reader finds the
/// newest one by counting.
pub const CHECKPOINT_EVERY: u64 = 512;

/// Checks a run's rows from the first on and parses them.
pub fn verify(run: &RunId, rows: impl IntoIterator<Item = Row>) -> Result<Vec<Entry>, Broken> {
    verify_after(run, Head::EMPTY, rows)
}

/// Checks the rows that follow `head` and parses them.
fn verify_after(
    run: &RunId,
    mut head: Head,
    rows: impl IntoIterator<Item = Row>,
) -> Result<Vec<Entry>, Broken> {
    let mut entries = Vec::new();
    for (seq, body, prev, stored) in rows {
        let broken = |why: String| Broken {
            seq: head.seq + 1,
            why,
        };
        if seq != head.seq + 1 {
            return Err(broken(format!("it is missing; the next one is {seq}")));
        }
        if prev != head.hash.0 {
            return Err(broken("it does not follow the one before it".into()));
        }
        let hash = hash(seq, head.hash, body.as_bytes());
        if stored != hash.0 {
            return Err(broken("its text is not what was written".into()));
        }
        let record: Record = serde_json::from_str(&body).map_err(|e| {
            broken(format!(
                "its text cannot be read by this version of dbctl: {e}"
            ))
        })?;
        if record.seq != seq || record.run != *run {
            return Err(broken("it belongs to another place in the journal".into()));
        }
        entries.push(Entry {
            record,
            body,
            prev: head.hash,
            hash,
        });
        head = Head { seq, hash };
    }
    Ok(entries)
}

/// Checks and parses a part of a chain: `rows` from number `from` on, whatever is before them.
/// What the part says holds as far as the end of the chain is known.
pub fn verify_part(
    run: &RunId,
    from: u64,
    rows: impl IntoIterator<Item = Row>,
) -> Result<Vec<Entry>, Broken> {
    let mut rows = rows.into_iter().peekable();
    let before = match rows.peek() {
        Some((_, _, prev, _)) if from > 1 => prev.as_slice().try_into().map_err(|_| Broken {
            seq: from,
            why: "what stands for the hash before it is none".into(),
        })?,
        Some(_) | None => Hash::ZERO.0,
    };
    let before = Head {
        seq: from - 1,
        hash: Hash(before),
    };
    verify_after(run, before, rows)
}

//! Who vouches for a kit: the journal, which records the kit's seal whenever it was made fresh.
//!
//! The seal is a SHA-256 over all that the kit holds and over the seals before it. By itself it only
//! shows damage, for whoever can write the kit can seal it anew. Against the journal's record it
//! shows more: a kit that was edited, one of another environment, and an old one that was put back.
//! What it cannot show: an edit by somebody who can also rewrite the journal (a journal in a database
//! lets no operator do that), and what was changed after the newest record, which is why a kit that
//! is newer than its record is told as such.

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::contract::KitSeal;

/// Separates these hashes from any other use of SHA-256.
const DOMAIN: &[u8] = b"dbctl/kit/v2\0";

/// How many earlier seals a kit carries: as many refreshes as may go unrecorded, some minutes' worth.
const EARLIER: usize = 64;

/// What is sealed beside the body.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Sealed {
    pub schema: String,
    pub env: String,
    pub place: String,
    pub kit: String,
    pub serial: u64,
    /// Hashes of the serials before this one, the newest first.
    pub earlier: Vec<String>,
}

impl Sealed {
    /// The first seal of a kit of `place` for `env`.
    pub fn first(schema: &str, env: &str, place: &str) -> Self {
        Self {
            schema: schema.to_owned(),
            env: env.to_owned(),
            place: place.to_owned(),
            kit: uuid::Uuid::now_v7().to_string(),
            serial: 1,
            earlier: Vec::new(),
        }
    }

    /// The one after this one, whose hash is `hash`.
    pub fn next(&self, hash: &str) -> Self {
        let earlier = std::iter::once(hash).chain(self.earlier.iter().map(String::as_str));
        Self {
            serial: self.serial.saturating_add(1),
            earlier: earlier.take(EARLIER).map(str::to_owned).collect(),
            ..self.clone()
        }
    }

    /// The one after what a journal recorded, where the kit itself is gone or is not to be trusted.
    pub fn after_record(self, recorded: &KitSeal) -> Self {
        Self {
            kit: recorded.kit.clone(),
            serial: recorded.serial.saturating_add(1),
            earlier: vec![recorded.hash.clone()],
            ..self
        }
    }

    pub fn hash(&self, body: &[u8]) -> String {
        let sealed = serde_json::to_vec(self).expect("plain data");
        let mut sha = Sha256::new();
        sha.update(DOMAIN);
        sha.update(Sha256::digest(&sealed));
        sha.update(Sha256::digest(body));
        sha.finalize().iter().map(|b| format!("{b:02x}")).collect()
    }
}

/// Whether a kit is the one that dbctl made last.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "standing", rename_all = "kebab-case")]
pub enum Standing {
    /// The journal recorded exactly this one last.
    Recorded,
    /// It follows the one that the journal recorded last: made by hand since, or by a driver that
    /// ended before it wrote that down. Nobody vouches for what came in between.
    Newer { by: u64 },
    /// No journal that could be asked recorded a kit of this environment on this machine.
    Unrecorded,
    /// It is not what the journal recorded, and a person said to use it all the same.
    Accepted { who: String, why: String },
    /// It is not what the journal recorded.
    Contradicted { why: String },
}

impl Standing {
    /// Whether a rollback may go by it.
    pub const fn is_usable(&self) -> bool {
        match self {
            Standing::Recorded
            | Standing::Newer { .. }
            | Standing::Unrecorded
            | Standing::Accepted { .. } => true,
            Standing::Contradicted { .. } => false,
        }
    }
}

impl std::fmt::Display for Standing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Standing::Recorded => f.write_str("as the journal recorded it"),
            Standing::Newer { by: 1 } => f.write_str(
                "one refresh newer than the journal's record; nobody vouches for that one",
            ),
            Standing::Newer { by } => write!(
                f,
                "{by} refreshes newer than the journal's record; nobody vouches for those"
            ),
            Standing::Unrecorded => f.write_str("no journal recorded it: nobody vouches for it"),
            Standing::Accepted { who, why } => {
                write!(
                    f,
                    "not what the journal recorded ({why}), accepted by {who}"
                )
            }
            Standing::Contradicted { why } => write!(f, "NOT WHAT THE JOURNAL RECORDED: {why}"),
        }
    }
}

/// Compares a kit of the environment `env` with what a journal recorded of it on this machine.
pub(super) fn compare(
    sealed: &Sealed,
    hash: &str,
    env: &str,
    recorded: Option<&KitSeal>,
) -> Standing {
    let contradicted = |why: String| Standing::Contradicted { why };
    if sealed.env != env {
        let of = sealed.env.escape_debug();
        return contradicted(format!("it is the kit of {of}, not of {env}"));
    }
    let Some(known) = recorded else {
        return Standing::Unrecorded;
    };
    if known.kit != sealed.kit {
        let other = sealed.kit.escape_debug();
        return contradicted(format!(
            "it is a kit that the journal does not know ({other})"
        ));
    }
    let (ours, theirs) = (sealed.serial, known.serial);
    match ours.checked_sub(theirs) {
        None => contradicted(format!(
            "it is refresh {ours}, and the journal recorded refresh {theirs}: an old copy"
        )),
        Some(0) if hash == known.hash => Standing::Recorded,
        Some(0) => contradicted(format!("refresh {ours} holds something else than it did")),
        Some(by) => {
            let at = usize::try_from(by - 1).unwrap_or(usize::MAX);
            match sealed.earlier.get(at) {
                Some(earlier) if *earlier != known.hash => contradicted(format!(
                    "it does not follow refresh {theirs}, which the journal recorded"
                )),
                // Too many refreshes since to tell: none of them was recorded.
                Some(_) | None => Standing::Newer { by },
            }
        }
    }
}

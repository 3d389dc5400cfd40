//! The rollback kit: a local copy of what a rollback needs, kept fresh while a run goes on, so
//! that going back works when Postgres does not answer (P7).
//!
//! It holds token ids, session ids, nonce tops and public keys: no secrets, yet nobody else's
//! business either, so it is readable by its owner only. Two lines of JSON: the seal, then what is
//! sealed; see [`Standing`] for what the seal shows.

mod pace;
mod seal;

use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use self::pace::{Pace, paces, with_margin_for_age};
use self::seal::Sealed;
use super::client::age;
use super::contract::{KitSeal, Snapshot};
use super::merge::{Counts, merge, without_expired};
use crate::error::{Doing, Exit, Problem, Result};
use crate::runtime::CLOCK_SKEW;
use crate::runtime::revocation::Position;
use crate::settings::{Environment, Gap, Settings};

pub use self::seal::Standing;

/// Name of the file that a service's local adapters read at their start.
pub const CARRY_FILE: &str = "carry.json";
const KIT_FILE: &str = "kit.json";
const LOCK_FILE: &str = "kit.lock";
const ACCEPTED_FILE: &str = "accepted.json";
const SCHEMA: &str = "dbctl.kit/2";
/// How long another process may take to refresh the kit.
const LOCK_WITHIN: Duration = Duration::from_secs(2);
const LOCK_AGAIN: Duration = Duration::from_millis(5);

/// Where the kit lies. It is read anew each time: several commands may share it.
#[derive(Debug, Clone)]
pub struct Kit {
    dir: PathBuf,
    env: String,
    gap: Gap,
    place: String,
    /// What a journal recorded last of the kit of this environment on this machine.
    recorded: Option<KitSeal>,
}

/// What is in it.
#[derive(Debug, Clone, PartialEq)]
pub struct Kept {
    /// `taken_at` is the moment up to which Postgres had been read.
    pub snapshot: Snapshot,
    /// When all of Postgres was read the last time, not only what was new.
    pub complete_at: Option<Timestamp>,
    /// Every revocation that Postgres had at this position is in it. None where that is not known:
    /// a kit of an earlier dbctl, tables that cannot be followed.
    pub position: Option<Position>,
    /// How fast nonces are used up: what a rollback adds for the time since `taken_at`.
    pace: Vec<Pace>,
    sealed: Sealed,
    hash: String,
}

/// The first line of the file.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Head {
    sealed: Sealed,
    hash: String,
}

/// The second line of the file.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Body {
    snapshot: Snapshot,
    complete_at: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    position: Option<Position>,
    pace: Vec<Pace>,
}

/// How much of Postgres was read for a refresh.
#[derive(Debug, Clone, PartialEq)]
pub enum Reach {
    /// All of it, up to this position where there is one.
    Everything { to: Option<Position> },
    /// What came in after `from`.
    News {
        from: Position,
        to: Option<Position>,
    },
}

impl Reach {
    /// Up to where a kit has everything that was at `before` and gets what was read.
    fn position(&self, before: Option<&Position>) -> Option<Position> {
        match self {
            Reach::Everything { to } => to.clone(),
            // Whoever else refreshed it meanwhile may have begun it anew.
            Reach::News { from, to } if before == Some(from) => to.clone(),
            Reach::News { .. } => before.cloned(),
        }
    }
}

/// A person's word that a kit is to be used although it is not what the journal recorded.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Accepted {
    seal: KitSeal,
    by: String,
    at: Timestamp,
}

impl Kit {
    /// The kit of the environment `env` in `dir`, which is made if it is not there, closed to
    /// others.
    pub fn open(dir: &Path, env: &str) -> Result<Self> {
        crate::durable::create_private_dir(dir).doing(
            Exit::Config,
            format!("making the folder of the rollback kit {}", dir.display()),
        )?;
        let lies_in = std::fs::canonicalize(dir).unwrap_or_else(|_| dir.to_owned());
        Ok(Self {
            dir: dir.to_owned(),
            env: env.to_owned(),
            gap: Gap::default(),
            place: format!("{}:{}", crate::settings::host(), lies_in.display()),
            recorded: None,
        })
    }

    /// The kit of an environment, beside the journal of its rollouts.
    pub fn of(settings: &Settings, env: &Environment) -> Result<Self> {
        let mut name = String::new();
        for byte in env.name.bytes() {
            match byte {
                b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' => name.push(byte.into()),
                other => name += &format!("%{other:02x}"),
            }
        }
        let beside = crate::durable::parent(&settings.config.journal.path);
        let kit = Self::open(&beside.join("kit").join(name), &env.name)?;
        Ok(Self {
            gap: settings.config.carry.gap,
            ..kit
        })
    }

    /// The same, compared with what a journal recorded of kits of its environment, the newest last.
    /// Those of other machines are no matter here.
    pub fn recorded_as(self, recorded: &[KitSeal]) -> Self {
        let ours = recorded.iter().rev().find(|r| r.place == self.place);
        Self {
            recorded: ours.cloned(),
            ..self
        }
    }

    pub fn path(&self) -> PathBuf {
        self.dir.join(KIT_FILE)
    }

    /// What is in it; nothing before the first refresh. Who vouches for it is another question:
    /// see [`Kit::trusted`].
    ///
    /// # Errors
    /// A damaged kit is an error, never an empty one: it would bring revoked tokens back (P2).
    pub fn load(&self) -> Result<Option<Kept>> {
        let path = self.path();
        let doing = || format!("reading the rollback kit {}", path.display());
        let bytes = match std::fs::read(&path) {
            Ok(bytes) => bytes,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(e) => return Err(Problem::new(Exit::Config, doing(), e)),
        };
        Kept::parse(&bytes).map(Some).map_err(|why| {
            Problem::new(Exit::Config, doing(), why).next(format!(
                "with Postgres running, move the file away: `dbctl --env {} carry refresh` makes it anew",
                self.env
            ))
        })
    }

    /// Whether `kept` is what dbctl made last, as far as the journal that was asked can tell.
    pub fn standing(&self, kept: &Kept) -> Standing {
        let standing = seal::compare(&kept.sealed, &kept.hash, &self.env, self.recorded.as_ref());
        let Standing::Contradicted { why } = standing else {
            return standing;
        };
        let accepted = std::fs::read(self.dir.join(ACCEPTED_FILE)).ok();
        let accepted = accepted.and_then(|b| serde_json::from_slice::<Accepted>(&b).ok());
        match accepted.filter(|a| a.seal == kept.seal()) {
            Some(accepted) => Standing::Accepted {
                who: accepted.by,
                why,
            },
            None => Standing::Contradicted { why },
        }
    }

    /// As [`Kit::load`], for going by it.
    ///
    /// # Errors
    /// Also when it is not what the journal recorded, and no person accepted it.
    pub fn trusted(&self) -> Result<Option<Kept>> {
        self.load()?.map(|kept| self.vouched(kept)).transpose()
    }

    fn vouched(&self, kept: Kept) -> Result<Kept> {
        match self.standing(&kept) {
            Standing::Contradicted { why } => Err(Problem::new(
                Exit::Config,
                format!("checking the rollback kit {}", self.path().display()),
                why,
            )
            .next(format!(
                "put the right one back; or look at it with `dbctl --env {0} carry status`, and have it used all \
                 the same with `dbctl --env {0} carry accept`",
                self.env
            ))),
            Standing::Recorded
            | Standing::Newer { .. }
            | Standing::Unrecorded
            | Standing::Accepted { .. } => Ok(kept),
        }
    }

    /// Has `kept` be used although it is not what the journal recorded: **what was revoked and is
    /// not in it is accepted again** by a rollback without Postgres.
    pub fn dangerously_accept(&self, kept: &Kept, by: &str) -> Result<()> {
        let accepted = Accepted {
            seal: kept.seal(),
            by: by.to_owned(),
            at: Timestamp::now(),
        };
        let path = self.dir.join(ACCEPTED_FILE);
        let bytes = serde_json::to_vec(&accepted).expect("plain data");
        crate::durable::write_private(&path, &bytes)
            .doing(Exit::Failed, format!("writing {}", path.display()))
    }

    /// Adds `fresh` to the kit, durably, and drops what has expired. Where everything was read for
    /// it, a kit that is not to be trusted is begun anew. Returns what it holds now, and the seal
    /// for the journal.
    pub fn refresh(&self, fresh: &Snapshot, reach: &Reach) -> Result<(Counts, KitSeal)> {
        let (snapshot, seal) = self.renew(fresh, reach)?;
        Ok((Counts::of(&snapshot), seal))
    }

    /// As [`Kit::refresh`], for whoever goes on with all that it holds now: a large kit takes long
    /// to read.
    pub fn renew(&self, fresh: &Snapshot, reach: &Reach) -> Result<(Snapshot, KitSeal)> {
        let _alone = self.lock()?;
        let now = Timestamp::now();
        // One that is damaged is left for a person to look at.
        let complete = matches!(reach, Reach::Everything { .. });
        let old = match self.load()? {
            Some(kept) if complete && !self.standing(&kept).is_usable() => None,
            Some(kept) => Some(self.vouched(kept)?),
            None => None,
        };
        let (before, mut complete_at, pace) = match &old {
            Some(k) => (Some(&k.snapshot), k.complete_at, k.pace.as_slice()),
            None => (None, None, &[][..]),
        };
        if complete {
            complete_at = Some(fresh.taken_at);
        }
        let snapshot = merge(before.into_iter().chain([fresh]));
        let snapshot = without_expired(&snapshot, now, CLOCK_SKEW);
        let body = Body {
            pace: paces(before, pace, &snapshot),
            snapshot,
            complete_at,
            position: reach.position(old.as_ref().and_then(|k| k.position.as_ref())),
        };
        let held = serde_json::to_vec(&body).expect("a kit is plain data");
        let first = || Sealed::first(SCHEMA, &self.env, &self.place);
        let sealed = match (&old, &self.recorded) {
            (Some(old), _) => Sealed {
                place: self.place.clone(),
                ..old.sealed.next(&old.hash)
            },
            (None, Some(recorded)) => first().after_record(recorded),
            (None, None) => first(),
        };
        let head = Head {
            hash: sealed.hash(&held),
            sealed,
        };
        let mut bytes = serde_json::to_vec(&head).expect("a seal is plain data");
        bytes.push(b'\n');
        bytes.extend_from_slice(&held);
        bytes.push(b'\n');
        let path = self.path();
        crate::durable::write_private(&path, &bytes).doing(
            Exit::Failed,
            format!("writing the rollback kit {}", path.display()),
        )?;
        Ok((body.snapshot, head.sealed.named(&head.hash)))
    }

    /// One refresh at a time: two would both follow the same one.
    fn lock(&self) -> Result<File> {
        let path = self.dir.join(LOCK_FILE);
        let doing = || format!("locking {}", path.display());
        let mut options = File::options();
        options.write(true).create(true).truncate(false);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let file = options.open(&path).doing(Exit::Failed, doing())?;
        let began = Instant::now();
        loop {
            match file.try_lock() {
                Ok(()) => return Ok(file),
                Err(TryLockError::WouldBlock) if began.elapsed() < LOCK_WITHIN => {
                    std::thread::sleep(LOCK_AGAIN);
                }
                Err(TryLockError::WouldBlock) => {
                    let cause = "another process has been refreshing the kit for some seconds";
                    return Err(Problem::new(Exit::Failed, doing(), cause)
                        .next("is another dbctl stopped? End it, and try again"));
                }
                Err(TryLockError::Error(e)) => return Err(Problem::new(Exit::Failed, doing(), e)),
            }
        }
    }

    /// What a rollback without Postgres goes by, at `now`: every watermark raised for the kit's age
    /// (P1), and what the settings say about the revocations that it cannot know (P2).
    pub fn for_going_back(&self, kept: &Kept, now: Timestamp) -> Snapshot {
        let mut raised = with_margin_for_age(&kept.snapshot, &kept.pace, now);
        raised.deny_issued_before = match self.gap {
            Gap::Accept => raised.deny_issued_before,
            Gap::DenyIssuedBefore => raised.deny_issued_before.max(Some(now)),
        };
        raised
    }
}

impl Kept {
    /// The error says why the bytes are no kit.
    fn parse(bytes: &[u8]) -> std::result::Result<Self, String> {
        let damaged = |why: &dyn std::fmt::Display| format!("it is damaged: {why}");
        let (first, rest) = match bytes.iter().position(|b| *b == b'\n') {
            Some(end) => (&bytes[..end], &bytes[end + 1..]),
            None => (bytes, &[][..]),
        };
        let head: Head = serde_json::from_slice(first).map_err(|e| match schema_of(first) {
            Some(schema) if schema != SCHEMA => format!(
                "it is of another version of dbctl: `{}`, and this one reads `{SCHEMA}`",
                schema.escape_debug()
            ),
            Some(_) | None => damaged(&e),
        })?;
        if head.sealed.schema != SCHEMA {
            return Err(format!(
                "it is of another version of dbctl: `{}`, and this one reads `{SCHEMA}`",
                head.sealed.schema.escape_debug()
            ));
        }
        let body = rest.strip_suffix(b"\n");
        let body = body.ok_or_else(|| damaged(&"its end is missing"))?;
        if head.sealed.hash(body) != head.hash {
            return Err(damaged(&"what it holds is not what was sealed"));
        }
        let Head { sealed, hash } = head;
        let body: Body = serde_json::from_slice(body).map_err(|e| damaged(&e))?;
        if body.snapshot.schema != Snapshot::SCHEMA {
            return Err("its snapshot is of another version of dbctl".into());
        }
        Ok(Self {
            snapshot: body.snapshot,
            complete_at: body.complete_at,
            position: body.position,
            pace: body.pace,
            sealed,
            hash,
        })
    }

    /// What a journal records of it.
    pub fn seal(&self) -> KitSeal {
        self.sealed.named(&self.hash)
    }

    /// How long ago Postgres was read for it: what is lost if Postgres is gone.
    pub fn age(&self, now: Timestamp) -> Duration {
        age(self.snapshot.taken_at, now)
    }
}

/// What a file of another version says of itself.
fn schema_of(text: &[u8]) -> Option<String> {
    let json: serde_json::Value = serde_json::from_slice(text).ok()?;
    Some(json.get("schema")?.as_str()?.to_owned())
}

impl Sealed {
    fn named(&self, hash: &str) -> KitSeal {
        KitSeal {
            place: self.place.clone(),
            kit: self.kit.clone(),
            serial: self.serial,
            hash: hash.to_owned(),
        }
    }
}

/// Puts `snapshot` where the local adapters of a target read it at their start: `carry.json` in
/// its state directory, readable by its owner only.
pub fn place(state_dir: &Path, snapshot: &Snapshot) -> Result<()> {
    let path = state_dir.join(CARRY_FILE);
    let bytes = serde_json::to_vec(snapshot).expect("a snapshot is plain data");
    crate::durable::create_private_dir(state_dir)
        .and_then(|()| crate::durable::write(&path, &bytes))
        .doing(Exit::Failed, format!("placing {}", path.display()))
}

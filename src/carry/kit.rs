//! The rollback kit: a local copy of what a rollback needs, kept fresh while a run goes on, so
//! that going back works when Postgres does not answer (P7).
//!
//! It holds token ids, session ids, nonce tops and public keys: no secrets, yet nobody else's
//! business either, so it is readable by its owner only.

use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::client::age;
use super::contract::Snapshot;
use super::merge::{Counts, merge, without_expired};
use crate::error::{Doing, Exit, Problem, Result};
use crate::runtime::CLOCK_SKEW;
use crate::settings::{Environment, Settings};

/// Name of the file that a service's local adapters read at their start.
pub const CARRY_FILE: &str = "carry.json";
const KIT_FILE: &str = "kit.json";
const SCHEMA: &str = "dbctl.kit/1";

/// Where the kit lies. It is read anew each time: several commands may share it.
#[derive(Debug, Clone)]
pub struct Kit {
    dir: PathBuf,
}

/// What is in it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Kept {
    schema: String,
    /// `taken_at` is the moment up to which Postgres had been read.
    pub snapshot: Snapshot,
    /// When all of Postgres was read the last time, not only what was new.
    pub complete_at: Option<Timestamp>,
    /// How fast nonces are used up: what a rollback adds for the time since `taken_at`.
    pace: Vec<Pace>,
}

/// The fastest rise of one watermark, slowly forgotten.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Pace {
    node_name: String,
    nonce_scope: String,
    per_second: f64,
}

impl Kit {
    /// The kit in `dir`, which is made if it is not there, closed to others.
    pub fn open(dir: &Path) -> Result<Self> {
        crate::durable::create_private_dir(dir).doing(
            Exit::Config,
            format!("making the folder of the rollback kit {}", dir.display()),
        )?;
        Ok(Self {
            dir: dir.to_owned(),
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
        Self::open(&beside.join("kit").join(name))
    }

    pub fn path(&self) -> PathBuf {
        self.dir.join(KIT_FILE)
    }

    /// What is in it; nothing before the first refresh.
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
        let damaged = |why: String| {
            Problem::new(Exit::Config, doing(), why)
                .next("with Postgres running, move the file away: it is made anew from Postgres")
        };
        let kept: Kept =
            serde_json::from_slice(&bytes).map_err(|e| damaged(format!("it is damaged: {e}")))?;
        if kept.schema == SCHEMA && kept.snapshot.schema == Snapshot::SCHEMA {
            Ok(Some(kept))
        } else {
            Err(damaged("it is of another version of dbctl".into()))
        }
    }

    /// How long ago it was made fresh; nothing before the first time.
    pub fn age(&self) -> Result<Option<Duration>> {
        let kept = self.load()?;
        Ok(kept.map(|k| age(k.snapshot.taken_at, Timestamp::now())))
    }

    /// Adds `fresh` to the kit, durably, and drops what has expired. `complete`: all of Postgres
    /// was read for it.
    pub fn refresh(&self, fresh: &Snapshot, complete: bool) -> Result<Counts> {
        let now = Timestamp::now();
        let old = self.load()?;
        let (before, mut complete_at, pace) = match &old {
            Some(k) => (Some(&k.snapshot), k.complete_at, k.pace.as_slice()),
            None => (None, None, &[][..]),
        };
        if complete {
            complete_at = Some(fresh.taken_at);
        }
        let snapshot = merge(before.into_iter().chain([fresh]));
        let snapshot = without_expired(&snapshot, now, CLOCK_SKEW);
        let counts = Counts::of(&snapshot);
        let kept = Kept {
            schema: SCHEMA.into(),
            pace: paces(before, pace, &snapshot),
            snapshot,
            complete_at,
        };
        let bytes = serde_json::to_vec(&kept).expect("a kit is plain data");
        let path = self.path();
        crate::durable::write(&path, &bytes).doing(
            Exit::Failed,
            format!("writing the rollback kit {}", path.display()),
        )?;
        Ok(counts)
    }
}

/// How each watermark rose from `before` to `after`, or how it rose earlier, whichever is faster;
/// what is old loses a tenth each time.
fn paces(before: Option<&Snapshot>, old: &[Pace], after: &Snapshot) -> Vec<Pace> {
    let Some(before) = before else {
        return Vec::new();
    };
    let seconds = age(before.taken_at, after.taken_at).as_secs_f64();
    let pace = |w: &super::contract::Watermark| {
        let same = |node: &str, scope: &str| node == w.node_name && scope == w.nonce_scope;
        let earlier = before
            .watermarks
            .iter()
            .find(|b| same(&b.node_name, &b.nonce_scope))?;
        #[expect(clippy::cast_precision_loss, reason = "an estimate")]
        let rise = (w.reserved_high - earlier.reserved_high) as f64;
        let now = if seconds > 0.0 { rise / seconds } else { 0.0 };
        let known = old
            .iter()
            .find(|p| same(&p.node_name, &p.nonce_scope))
            .map_or(0.0, |p| p.per_second * 0.9);
        Some(Pace {
            node_name: w.node_name.clone(),
            nonce_scope: w.nonce_scope.clone(),
            per_second: now.max(known),
        })
    };
    after.watermarks.iter().filter_map(pace).collect()
}

impl Kept {
    /// The snapshot for going back without Postgres: every watermark is raised by one window and
    /// by twice of what may have been used since the kit was fresh, in whole windows (P1).
    pub fn for_going_back(&self, now: Timestamp) -> Snapshot {
        let seconds = age(self.snapshot.taken_at, now).as_secs_f64();
        let mut raised = self.snapshot.clone();
        for w in &mut raised.watermarks {
            let window = w.window_size.max(1);
            let pace = self
                .pace
                .iter()
                .find(|p| (&p.node_name, &p.nonce_scope) == (&w.node_name, &w.nonce_scope))
                .map_or(0.0, |p| p.per_second);
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_precision_loss,
                reason = "an estimate; the cast saturates"
            )]
            let used = (pace * seconds * 2.0 / window as f64).ceil() as i64;
            let margin = window.saturating_mul(used.saturating_add(1));
            w.reserved_high = w.reserved_high.saturating_add(margin);
        }
        raised
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

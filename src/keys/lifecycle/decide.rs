//! What may happen to a version, and what comes next for a key. No IO and no clock: whoever asks
//! brings the versions and the database's time.

use std::time::Duration;

use jiff::Timestamp;
use serde::Serialize;

use super::{KeyState, Life, Waiting, Waits, Which, at, later};
use crate::error::{Exit, Problem};

/// Why something may not be done, and what can be done instead.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    pub why: String,
    /// From when on it may be done; none where waiting does not help.
    pub from: Option<Timestamp>,
    pub way_out: String,
}

impl Refusal {
    fn new(why: impl Into<String>, way_out: impl Into<String>) -> Self {
        Self {
            why: why.into(),
            from: None,
            way_out: way_out.into(),
        }
    }

    pub fn problem(self, doing: impl std::fmt::Display) -> Problem {
        Problem::new(Exit::Findings, doing, self.why).next(self.way_out)
    }
}

/// Who is locked out by what is about to be done, and until when at most.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "locked_out", rename_all = "kebab-case")]
pub enum Harm {
    /// Verifiers with an old key set refuse what the new version signs.
    NewTokens { version: i32, until: Timestamp },
    /// Whoever holds a token that the old version signed has to sign in again.
    OldTokens {
        version: i32,
        /// The last such token expires then; none where nobody knows when the version stopped.
        until: Option<Timestamp>,
    },
}

impl Harm {
    /// The sentence that a person reads before they type the name.
    pub fn sentence(&self) -> String {
        match self {
            Harm::NewTokens { version, until } => format!(
                "Locked out: verifiers whose key set is older than version {version} refuse every token \
                 that it signs, until {} at the latest.",
                at(*until)
            ),
            Harm::OldTokens {
                version,
                until: Some(until),
            } => format!(
                "Locked out: whoever holds a token that version {version} signed, until they sign in \
                 again. The last of these tokens would have been valid until {}.",
                at(*until)
            ),
            Harm::OldTokens {
                version,
                until: None,
            } => format!(
                "Locked out: whoever holds a token that version {version} signed, until they sign in \
                 again. It signs elsewhere, so how long these tokens would have been valid is not known \
                 here.",
            ),
        }
    }
}

/// What a promotion does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Promotion {
    /// It signs already.
    Already,
    Go {
        version: i32,
        /// The version that stops signing.
        demotes: Option<i32>,
        harm: Option<Harm>,
    },
}

/// What a retirement does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Retirement {
    /// It is retired, or revoked, already.
    Already,
    Go {
        version: i32,
        harm: Option<Harm>,
    },
}

/// What a revocation does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Revocation {
    /// It is revoked already.
    Already,
    Go {
        version: i32,
        /// The version that begins to sign in the same transaction.
        successor: Option<i32>,
        harm: Vec<Harm>,
    },
}

fn find<'v>(versions: &'v [Life], which: &Which) -> Result<&'v Life, Refusal> {
    let found = versions.iter().find(|life| match which {
        Which::Version(version) => life.version == *version,
        Which::Kid(kid) => life.kid == *kid,
    });
    found.ok_or_else(|| {
        Refusal::new(
            format!("the key has no {which}"),
            "dbctl keys list --format json   shows versions and whole kids",
        )
    })
}

fn current(versions: &[Life]) -> Option<&Life> {
    versions.iter().find(|life| life.state == KeyState::Current)
}

/// Whether `which` may begin to sign at `now`.
///
/// # Errors
/// The reason, the moment from which it may, and the way out.
pub fn promotion(
    versions: &[Life],
    which: &Which,
    now: Timestamp,
    waits: &Waits,
    emergency: bool,
) -> Result<Promotion, Refusal> {
    let life = find(versions, which)?;
    let version = life.version;
    match life.state {
        KeyState::Current => return Ok(Promotion::Already),
        KeyState::Standby => {}
        KeyState::Retiring | KeyState::Retired | KeyState::Revoked => {
            return Err(Refusal::new(
                format!(
                    "version {version} is {}, and a version never goes back",
                    life.state
                ),
                "dbctl keys rotate   makes a new one",
            ));
        }
    }
    if !life.has_private {
        return Err(Refusal::new(
            format!(
                "the private half of version {version} is not in the database, so it cannot sign"
            ),
            "dbctl keys rotate   makes one that can",
        ));
    }
    let go = |harm| Promotion::Go {
        version,
        demotes: current(versions).map(|life| life.version),
        harm,
    };
    let from = match life.waiting(waits) {
        Waiting::Promotion { from } => from,
        Waiting::Publication | Waiting::Nothing | Waiting::Retirement { .. } | Waiting::Word => {
            waits.signs_from(now)
        }
    };
    if now >= from {
        return Ok(go(None));
    }
    if emergency {
        return Ok(go(Some(Harm::NewTokens {
            version,
            until: from,
        })));
    }
    Err(Refusal {
        why: format!(
            "version {version} is not published for long enough: verifiers may keep a key set for {}, \
             so that some would refuse what it signs before {}",
            words(waits.verifier_cache),
            at(from)
        ),
        from: Some(from),
        way_out: format!(
            "again from {} on; --emergency does it now and says who is locked out",
            at(from)
        ),
    })
}

/// Whether `which` may stop verifying at `now`.
///
/// # Errors
/// The reason, the moment from which it may, and the way out.
pub fn retirement(
    versions: &[Life],
    which: &Which,
    now: Timestamp,
    waits: &Waits,
    emergency: bool,
) -> Result<Retirement, Refusal> {
    let life = find(versions, which)?;
    let version = life.version;
    match life.state {
        KeyState::Retired | KeyState::Revoked => return Ok(Retirement::Already),
        KeyState::Retiring => {}
        KeyState::Current => {
            return Err(Refusal::new(
                format!("version {version} is the current one: it signs"),
                "dbctl keys rotate   brings its successor first",
            ));
        }
        KeyState::Standby => {
            return Err(Refusal::new(
                format!("version {version} is standby: it has signed nothing that could expire"),
                format!(
                    "dbctl keys promote {version}, or dbctl keys revoke {version} to be rid of it"
                ),
            ));
        }
    }
    let (why, from) = match life.waiting(waits) {
        Waiting::Retirement { from } if now >= from => {
            return Ok(Retirement::Go {
                version,
                harm: None,
            });
        }
        Waiting::Retirement { from } => (
            format!(
                "tokens that version {version} signed may be valid until {}: it stopped signing at {}, \
                 and a token lives for {}, with {} for clocks that differ",
                at(from),
                life.stopped_signing_at.map_or_else(String::new, at),
                words(waits.token_lifetime),
                words(waits.clock_skew),
            ),
            Some(from),
        ),
        Waiting::Nothing | Waiting::Publication | Waiting::Promotion { .. } | Waiting::Word => (
            format!(
                "version {version} signs elsewhere (its private half is not here), and nobody has said \
                 when that ended"
            ),
            None,
        ),
    };
    if emergency {
        let until = life
            .stopped_signing_at
            .map(|at| later(at, waits.token_lifetime));
        // What has expired by itself locks nobody out.
        let harm = until.is_none_or(|until| until > now);
        return Ok(Retirement::Go {
            version,
            harm: harm.then_some(Harm::OldTokens { version, until }),
        });
    }
    let way_out = match from {
        Some(from) => format!(
            "again from {} on; --emergency does it now and says who is locked out",
            at(from)
        ),
        None => format!(
            "dbctl keys retire {version} --stopped-signing TIME   says when the last instance that \
             signed with it was switched; the wait counts from then"
        ),
    };
    Err(Refusal { why, from, way_out })
}

/// Whether `which` may be refused from now on. The current version needs a successor that takes
/// its place in the same moment.
///
/// # Errors
/// The reason and the way out.
pub fn revocation(
    versions: &[Life],
    which: &Which,
    now: Timestamp,
    waits: &Waits,
    emergency: bool,
) -> Result<Revocation, Refusal> {
    let life = find(versions, which)?;
    let version = life.version;
    let mut harm = Vec::new();
    let mut successor = None;
    match life.state {
        KeyState::Revoked => return Ok(Revocation::Already),
        KeyState::Retired | KeyState::Standby => {}
        KeyState::Retiring => {
            let until = life
                .stopped_signing_at
                .map(|at| later(at, waits.token_lifetime));
            if until.is_none_or(|until| until > now) {
                harm.push(Harm::OldTokens { version, until });
            }
        }
        KeyState::Current => {
            harm.push(Harm::OldTokens {
                version,
                until: Some(later(now, waits.token_lifetime)),
            });
            let next = successor_of(versions, now, waits, emergency)?;
            let which = Which::Version(next);
            // It cannot be refused, since it was chosen so.
            if let Promotion::Go {
                harm: Some(early), ..
            } = promotion(versions, &which, now, waits, emergency)?
            {
                harm.push(early);
            }
            successor = Some(next);
        }
    }
    Ok(Revocation::Go {
        version,
        successor,
        harm,
    })
}

/// The standby version that has been published longest, if it may sign.
fn successor_of(
    versions: &[Life],
    now: Timestamp,
    waits: &Waits,
    emergency: bool,
) -> Result<i32, Refusal> {
    let Some(standby) = oldest_standby(versions) else {
        return Err(Refusal::new(
            "it is the current version, and there is no standby to take its place: nothing could be signed",
            "dbctl keys rotate --emergency   makes a successor and promotes it at once; then revoke again",
        ));
    };
    let version = standby.version;
    match promotion(versions, &Which::Version(version), now, waits, emergency) {
        Ok(_) => Ok(version),
        Err(refusal) => Err(Refusal {
            why: format!(
                "it is the current version, and its successor is not ready: {}",
                refusal.why
            ),
            ..refusal
        }),
    }
}

/// Of the standby versions that can sign, the one that was published first.
fn oldest_standby(versions: &[Life]) -> Option<&Life> {
    versions
        .iter()
        .filter(|life| life.state == KeyState::Standby && life.has_private)
        .min_by_key(|life| (life.published_at.unwrap_or(Timestamp::MAX), life.version))
}

/// How a rotation is paced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pace {
    /// A new rotation begins only so long after the last one did its last step. Without that, who
    /// calls again because the answer of a finished rotation was lost would rotate twice.
    pub again_after: Duration,
    /// The wait before a promotion is skipped, and a new rotation does not wait for the end of
    /// the last one.
    pub emergency: bool,
    /// Whether this call may begin a new rotation at all.
    pub may_begin: bool,
}

/// The next step of a rotation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "step", rename_all = "kebab-case")]
pub enum Next {
    /// The key has never signed: it is seeded, not rotated.
    Seed,
    /// Make a standby version.
    Make,
    /// Record that a version is published.
    Publish {
        version: i32,
    },
    Promote {
        version: i32,
    },
    Retire {
        version: i32,
    },
    /// Nothing before `until`; then `version` is promoted or retired.
    Wait {
        version: i32,
        state: KeyState,
        until: Timestamp,
    },
    /// Every step is done; another rotation may begin at `until`.
    Rest {
        until: Timestamp,
    },
}

/// The one next step of a rotation, from wherever the last call came to.
pub fn next(versions: &[Life], now: Timestamp, waits: &Waits, pace: &Pace) -> Next {
    let standby = oldest_standby(versions);
    let unpublished = versions
        .iter()
        .filter(|life| life.state == KeyState::Standby && life.published_at.is_none())
        .min_by_key(|life| life.version);
    if let Some(life) = unpublished {
        return Next::Publish {
            version: life.version,
        };
    }
    if current(versions).is_none() && standby.is_none() {
        return Next::Seed;
    }
    let mut waiting: Vec<(Timestamp, &Life)> = Vec::new();
    if let Some(life) = standby
        && let Waiting::Promotion { from } = life.waiting(waits)
    {
        if now >= from || pace.emergency {
            return Next::Promote {
                version: life.version,
            };
        }
        waiting.push((from, life));
    }
    for life in versions {
        if let Waiting::Retirement { from } = life.waiting(waits) {
            if now >= from {
                return Next::Retire {
                    version: life.version,
                };
            }
            waiting.push((from, life));
        }
    }
    if !pace.emergency
        && let Some((until, life)) = waiting.into_iter().min_by_key(|(from, _)| *from)
    {
        return Next::Wait {
            version: life.version,
            state: life.state,
            until,
        };
    }
    match last_step(versions).map(|last| later(last, pace.again_after)) {
        Some(until) if now < until => Next::Rest { until },
        Some(_) | None if pace.may_begin => Next::Make,
        Some(_) | None => Next::Rest { until: now },
    }
}

/// When a rotation of this key last did something: a version stopped signing, or was let go after
/// that. A key that was seeded and never rotated has no such moment.
fn last_step(versions: &[Life]) -> Option<Timestamp> {
    versions
        .iter()
        .filter_map(|life| match life.state {
            KeyState::Retiring => life.stopped_signing_at,
            KeyState::Retired => life.stopped_signing_at.map(|at| at.max(life.since)),
            // A person's act, and no reason to wait with a new key.
            KeyState::Revoked | KeyState::Standby | KeyState::Current => None,
        })
        .max()
}

/// A duration as messages say it.
pub(super) fn words(duration: Duration) -> String {
    match jiff::SignedDuration::try_from(duration) {
        Ok(duration) => format!("{duration:#}"),
        Err(_) => "for ever".into(),
    }
}

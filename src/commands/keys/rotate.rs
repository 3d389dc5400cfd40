use std::fmt::{self, Write as _};
use std::time::Duration;

use clap::Args;
use jiff::Timestamp;
use serde::Serialize;

use super::lifecycle::{KekArgs, KeyArgs, Scene, sentence};
use crate::commands::Context;
use crate::error::{Exit, Problem, Result};
use crate::keys::lifecycle::{
    self, Harm, Life, Named, Next, Pace, Promotion, Stepped, Waits, Which, at, next, promotion,
};
use crate::keys::{Algorithm, Kek, KeyState};
use crate::settings::parse_duration;
use crate::ui::{Report, Screen, duration};

/// The longest sleep before the database is asked again: somebody else may go on meanwhile.
const LOOK_EVERY: Duration = Duration::from_secs(20);

/// How long a database that does not answer is left alone while a rotation waits.
const RETRY_AFTER: Duration = Duration::from_secs(5);

#[derive(Debug, Args)]
#[command(after_help = "\
A rotation is: make and publish a version, wait until verifiers know it (keys.verifier_cache),
promote it, wait until the old tokens have expired (keys.token_lifetime and keys.clock_skew),
retire the old version. Each call does what can be done now and says when to come back; one that
was interrupted anywhere is continued by the next. Safe to run from a timer.

Example:
  dbctl keys rotate --env production
  dbctl keys rotate --wait
  dbctl keys rotate --again-after 30d     # from a timer: once in 30 days
  dbctl keys rotate --emergency --confirm access-tokens --reason \"key 1 leaked\"")]
pub struct RotateArgs {
    #[command(flatten)]
    key: KeyArgs,

    #[command(flatten)]
    kek: KekArgs,

    /// EdDSA, ES256 or RS256 for the new version; that of the key without it
    #[arg(long)]
    algorithm: Option<Algorithm>,

    /// Wait for what has to be waited for, until the old version is retired
    #[arg(long)]
    wait: bool,

    /// Begin no new rotation sooner than this after the last step of the one before
    #[arg(long, value_name = "TIME", default_value = "1d", value_parser = parse_duration)]
    again_after: Duration,

    /// Promote at once: says who is locked out and until when, and wants the key's name typed
    #[arg(long)]
    emergency: bool,

    /// Why, for security.events
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
}

/// `dbctl.keys.rotate/1`.
#[derive(Debug, Serialize)]
struct Rotated {
    key_id: String,
    did: Vec<Act>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    locked_out: Vec<Harm>,
    next: Next,
    now: Timestamp,
    versions: Vec<Life>,
    #[serde(skip)]
    waits: Waits,
}

/// One thing that was done.
#[derive(Debug, Clone, Serialize)]
struct Act {
    act: Verb,
    version: i32,
    at: Timestamp,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
enum Verb {
    Made,
    Published,
    Promoted,
    Retired,
}

impl Act {
    fn of(stepped: &Stepped) -> Option<Self> {
        let (act, version, at) = match stepped {
            Stepped::Did(t) => {
                let act = match t.to {
                    KeyState::Standby => Verb::Made,
                    KeyState::Current => Verb::Promoted,
                    KeyState::Retiring | KeyState::Retired | KeyState::Revoked => Verb::Retired,
                };
                (act, t.version, t.at)
            }
            Stepped::Published { version, at } => (Verb::Published, *version, *at),
            Stepped::Not { .. } => return None,
        };
        Some(Self { act, version, at })
    }
}

impl Report for Rotated {
    const SCHEMA: &'static str = "dbctl.keys.rotate/1";

    fn human(&self, out: &mut Screen) -> fmt::Result {
        for life in self.versions.iter().rev() {
            if self.did.iter().any(|act| act.version == life.version)
                || life.state == KeyState::Retiring && self.has(Verb::Promoted)
            {
                let text = format!("{}: {}", self.key_id, sentence(life, &self.waits));
                out.wrapped(0, &text)?;
            }
        }
        let away = |until: Timestamp| {
            let away = until.duration_since(self.now);
            Duration::try_from(away).unwrap_or_default()
        };
        let nothing = match self.did.is_empty() {
            true => "Nothing to do before then.\n",
            false => "",
        };
        match &self.next {
            Next::Wait {
                version,
                state,
                until,
            } => {
                let does = match state {
                    KeyState::Standby => "promotes",
                    KeyState::Current
                    | KeyState::Retiring
                    | KeyState::Retired
                    | KeyState::Revoked => "retires",
                };
                write!(
                    out,
                    "{nothing}\nNext:\n  from {} on (in {})\n  dbctl keys rotate   {does} version {version}\n",
                    at(*until),
                    duration(whole(away(*until)))
                )
            }
            Next::Rest { .. } if self.has(Verb::Retired) => {
                writeln!(out, "The rotation is complete.")
            }
            Next::Rest { until } => out.wrapped(
                0,
                &format!(
                    "Nothing to rotate: the last rotation did its last step not long ago. Another one may \
                     begin from {} on, or sooner with --again-after TIME.",
                    at(*until)
                ),
            ),
            Next::Seed
            | Next::Make
            | Next::Publish { .. }
            | Next::Promote { .. }
            | Next::Retire { .. } => {
                writeln!(out, "\nNext:\n  dbctl keys rotate   goes on")
            }
        }
    }
}

impl Rotated {
    fn has(&self, verb: Verb) -> bool {
        self.did.iter().any(|act| act.act == verb)
    }
}

pub async fn run(args: RotateArgs, context: &Context) -> Result<Exit> {
    let RotateArgs {
        key,
        kek,
        algorithm,
        wait,
        again_after,
        emergency,
        reason,
    } = args;
    let mut scene = Scene::open(key, Some(kek), reason, context).await?;
    let kek = scene.kek().await?;
    let pace = Pace {
        again_after,
        emergency,
        may_begin: true,
    };
    let harm = match emergency {
        true => foresee(&scene, &pace).await?,
        false => Vec::new(),
    };
    let named = scene.agree(&harm, context).await?;
    let mut rotation = Rotation {
        scene: &scene,
        kek: &kek,
        context,
        algorithm,
        pace,
        named,
        did: Vec::new(),
    };
    let (next, now) = tokio::select! {
        done = rotation.drive(wait) => done?,
        // Listened for only while something may wait: what is under way is whole or not there.
        true = interrupted(wait) => return Err(Problem::new(
            Exit::Interrupted,
            "waiting for the next step of a rotation",
            "interrupted; what was done stays, and nothing is half done",
        )
        .next("dbctl keys rotate --wait   goes on; dbctl keys list shows where it stands")),
    };
    context.ui.report(&Rotated {
        key_id: scene.key_id.clone(),
        did: rotation.did,
        locked_out: harm,
        next,
        now,
        versions: scene.look().await?.versions,
        waits: scene.waits,
    })?;
    Ok(Exit::Ok)
}

/// Ctrl-C while it waits; without waiting a signal ends the process as usual.
async fn interrupted(wait: bool) -> bool {
    match wait {
        true => crate::ui::interrupts::ctrl_c().await,
        false => false,
    }
}

/// Who is locked out when the waits before a promotion are skipped.
async fn foresee(scene: &Scene, pace: &Pace) -> Result<Vec<Harm>> {
    let seen = scene.look().await?;
    let version = match next(&seen.versions, seen.now, &scene.waits, pace) {
        Next::Make => {
            let last = seen.versions.iter().map(|life| life.version).max();
            return Ok(vec![Harm::NewTokens {
                version: last.unwrap_or(0) + 1,
                until: scene.waits.signs_from(seen.now),
            }]);
        }
        Next::Publish { version } | Next::Promote { version } => version,
        Next::Seed | Next::Retire { .. } | Next::Wait { .. } | Next::Rest { .. } => {
            return Ok(Vec::new());
        }
    };
    let which = Which::Version(version);
    match promotion(&seen.versions, &which, seen.now, &scene.waits, true) {
        Ok(Promotion::Go {
            harm: Some(harm), ..
        }) => Ok(vec![harm]),
        Ok(Promotion::Go { harm: None, .. } | Promotion::Already) | Err(_) => Ok(Vec::new()),
    }
}

struct Rotation<'a> {
    scene: &'a Scene,
    kek: &'a Kek,
    context: &'a Context,
    algorithm: Option<Algorithm>,
    pace: Pace,
    named: Option<Named>,
    did: Vec<Act>,
}

impl Rotation<'_> {
    /// Does step after step until nothing can be done now, or with `wait` until the rotation is
    /// complete. Returns what comes next and the database's time.
    async fn drive(&mut self, wait: bool) -> Result<(Next, Timestamp)> {
        let mut told = None;
        loop {
            let stepped = match self.step().await {
                Ok(stepped) => stepped,
                // It has worked before: a database that is away for a while ends no long wait.
                Err(problem) if told.is_some() && problem.exit() == Exit::Unavailable => {
                    self.context
                        .ui
                        .warn(format_args!("{problem}; trying again"));
                    tokio::time::sleep(RETRY_AFTER).await;
                    continue;
                }
                Err(problem) => return Err(problem),
            };
            if let Some(act) = Act::of(&stepped) {
                self.tell(&act, wait);
                self.did.push(act);
                continue;
            }
            let Stepped::Not { next, now } = stepped else {
                continue;
            };
            match next {
                Next::Wait { until, version, .. } if wait => {
                    let left = until.duration_since(now);
                    let left = Duration::try_from(left).unwrap_or_default();
                    if told.replace(until) != Some(until) {
                        self.context.ui.status(format_args!(
                            "waiting for version {version} until {} ({})   Ctrl-C stops waiting, and nothing is lost",
                            at(until),
                            duration(whole(left))
                        ));
                    }
                    self.sleep(left).await;
                }
                Next::Seed => {
                    return Err(Problem::new(
                        Exit::Config,
                        format!("rotating the key {}", self.scene.key_id),
                        "it has no version that can sign",
                    )
                    .next("dbctl keys seed   makes the first one, which signs at once"));
                }
                Next::Wait { .. }
                | Next::Rest { .. }
                | Next::Make
                | Next::Publish { .. }
                | Next::Promote { .. }
                | Next::Retire { .. } => return Ok((next, now)),
            }
        }
    }

    async fn step(&self) -> Result<Stepped> {
        // What an emergency skips is the wait before the promotion, once.
        let promoted = self.did.iter().any(|act| act.act == Verb::Promoted);
        let emergency = self.pace.emergency && !promoted;
        let order = self.scene.order(emergency, self.named.as_ref());
        let pace = Pace {
            emergency,
            may_begin: self.did.is_empty(),
            ..self.pace
        };
        lifecycle::rotate(&self.scene.db, &order, &pace, self.algorithm, self.kek).await
    }

    fn tell(&self, act: &Act, wait: bool) {
        let word = match act.act {
            Verb::Made => "made",
            Verb::Published => "published",
            Verb::Promoted => "promoted",
            Verb::Retired => "retired",
        };
        let text = format!("version {} {word} at {}", act.version, at(act.at));
        match wait {
            true => self.context.ui.status(text),
            false => self.context.ui.detail(text),
        }
    }

    /// Sleeps until `left` is over, or until it is time to look again.
    async fn sleep(&self, left: Duration) {
        let bar = self.context.ui.counting(left.as_secs());
        let slice = left.min(LOOK_EVERY) + Duration::from_millis(20);
        let end = tokio::time::Instant::now() + slice;
        while tokio::time::Instant::now() < end {
            tokio::time::sleep_until(end.min(tokio::time::Instant::now() + Duration::from_secs(1)))
                .await;
            bar.inc(1);
        }
        bar.finish_and_clear();
    }
}

/// Whole seconds, rounded up.
fn whole(duration: Duration) -> Duration {
    Duration::from_secs(duration.as_secs() + u64::from(duration.subsec_nanos() > 0))
}

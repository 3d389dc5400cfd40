//! Reading and setting toggles on targets: the file, the restart, and the service's own word.

mod file;
mod restart;
pub mod switch;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

pub use file::{FileSays, preview, read as read_file, set as set_file};
pub use restart::{CONFIRM_WITHIN, RESTART_WITHIN, boot_id, confirm, restart};

use crate::carry::contract::{Health, Snapshot};
use crate::carry::kit;
use crate::carry::over::{Fleet, Member};
use crate::error::{Exit, Problem, Result};
use crate::runtime::toggles::{Mode, Modes, Toggle};
use crate::settings::Target;

/// How long the files of one target may take.
const WRITE_WITHIN: Duration = Duration::from_secs(5);

/// What a target's env file says.
pub fn read(target: &Target) -> Result<FileSays> {
    read_file(&target.env_file)
}

/// Sets toggles in a target's env file; see [`set_file`]. The running service goes on as it is.
pub fn set(target: &Target, toggles: &BTreeMap<Toggle, Mode>) -> Result<FileSays> {
    set_file(&target.env_file, toggles)
}

/// What happens meanwhile.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Progress {
    Set {
        target: String,
        took: Duration,
    },
    Restarted {
        target: String,
        took: Duration,
    },
    Confirmed {
        target: String,
        modes: Modes,
        took: Duration,
    },
    Failed {
        target: String,
        why: String,
    },
}

impl fmt::Display for Progress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = |took: &Duration| took.as_secs_f64();
        match self {
            Progress::Set { target, took } => {
                write!(f, "toggles on {target} are set ({:.2} s)", seconds(took))
            }
            Progress::Restarted { target, took } => {
                write!(f, "{target} is restarted ({:.2} s)", seconds(took))
            }
            Progress::Confirmed {
                target,
                modes,
                took,
            } => {
                write!(f, "{target} says {modes} ({:.2} s)", seconds(took))
            }
            Progress::Failed { target, why } => write!(f, "{target}: {why}"),
        }
    }
}

/// Told of each [`Progress`].
pub type Tell<'a> = &'a (dyn Fn(Progress) + Send + Sync);

/// How switching one target went.
#[derive(Debug)]
pub struct Switched {
    pub target: String,
    pub times: Times,
    /// What the target says of itself now.
    pub result: Result<Health>,
}

/// How long each part took, in milliseconds; a part that was not reached has none.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Times {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub set_ms: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub restart_ms: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub confirm_ms: Option<f64>,
}

/// How long restarting and confirming may take.
#[derive(Debug, Clone, Copy)]
pub struct Patience {
    pub restart: Duration,
    pub confirm: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            restart: RESTART_WITHIN,
            confirm: CONFIRM_WITHIN,
        }
    }
}

/// Sets toggles on all targets at once, without restarting any; what must be there at their start
/// is placed first, and a target that cannot take it keeps its toggles (P2). Each target's result
/// stands by its name, in the order of the fleet; one that fails, or whose disk hangs, does not
/// hold up the others.
pub async fn set_all(
    fleet: &Fleet,
    toggles: &BTreeMap<Toggle, Mode>,
    placing: Option<&Snapshot>,
    tell: Tell<'_>,
) -> Vec<(String, Result<FileSays>)> {
    let placing = placing.cloned().map(Arc::new);
    let done = fleet
        .all(|m| set_one(m, toggles, placing.clone(), tell))
        .await;
    done.into_iter()
        .map(|(m, (result, _))| (m.target.name.clone(), result))
        .collect()
}

/// Restarts all targets at once and has each confirm that it is a new process in the modes that
/// its file says.
pub async fn restart_all(fleet: &Fleet, patience: Patience, tell: Tell<'_>) -> Vec<Switched> {
    let done = fleet.all(|m| async move {
        let before = boot_id(&m.client).await;
        let mut times = Times::default();
        let result = match file_says(m).await {
            Ok(says) => restart_one(m, &says.modes, before, patience, &mut times, tell).await,
            Err(problem) => Err(problem),
        };
        (times, result)
    });
    switched(done.await, tell)
}

/// Sets toggles on all targets as [`set_all`] does, restarts them and has them confirm, all targets
/// at once. Files come first everywhere: what restarts by itself meanwhile already reads the new
/// ones.
pub async fn flip(
    fleet: &Fleet,
    toggles: &BTreeMap<Toggle, Mode>,
    placing: Option<&Snapshot>,
    patience: Patience,
    tell: Tell<'_>,
) -> Vec<Switched> {
    let placing = placing.cloned().map(Arc::new);
    let placing = &placing;
    let done = fleet.all(|m| async move {
        let mut times = Times::default();
        // At once: a target that hangs must not delay its own toggles.
        let setting = set_one(m, toggles, placing.clone(), tell);
        let (before, (set, took)) = futures_util::future::join(boot_id(&m.client), setting).await;
        let result = match set {
            Ok(says) => {
                times.set_ms = Some(millis(took));
                restart_one(m, &says.modes, before, patience, &mut times, tell).await
            }
            Err(problem) => Err(problem),
        };
        (times, result)
    });
    switched(done.await, tell)
}

async fn set_one(
    member: &Member,
    toggles: &BTreeMap<Toggle, Mode>,
    placing: Option<Arc<Snapshot>>,
    tell: Tell<'_>,
) -> (Result<FileSays>, Duration) {
    let began = Instant::now();
    let (target, toggles) = (member.target.clone(), toggles.clone());
    let driver = member.driver.clone();
    let going_back = toggles.values().all(|mode| *mode != Mode::Postgres);
    // Gone as soon as nobody waits any more, so that a thread that comes late changes nothing: the
    // run may have turned back meanwhile.
    let wanted = Arc::new(());
    let still_wanted = Arc::downgrade(&wanted);
    // A file system that hangs holds up its own target only.
    let writing = tokio::task::spawn_blocking(move || {
        // Kept until all is written: whoever overtakes this driver comes before it or after.
        let _passed = driver
            .map(|driver| driver.pass(&target.state_dir, going_back))
            .transpose()?;
        if still_wanted.strong_count() == 0 {
            return Err(too_late(&target));
        }
        if let Some(snapshot) = placing {
            kit::place(&target.state_dir, &snapshot)?;
        }
        set(&target, &toggles)
    });
    let result = match tokio::time::timeout(WRITE_WITHIN, writing).await {
        Ok(done) => done.unwrap_or_else(|e| Err(restart::broken(&member.target.name, &e))),
        Err(_) => Err(hangs(member)),
    };
    drop(wanted);
    let took = began.elapsed();
    if result.is_ok() {
        tell(Progress::Set {
            target: member.target.name.clone(),
            took,
        });
    }
    (result, took)
}

fn too_late(target: &Target) -> Problem {
    let doing = format!("setting the toggles of {}", target.name);
    Problem::new(Exit::Interrupted, doing, "nobody waits for it any more")
}

fn hangs(member: &Member) -> Problem {
    Problem::new(
        Exit::Unavailable,
        format!("setting the toggles of {}", member.target.name),
        format!(
            "its files could not be written within {} s; whether they will be is unknown",
            WRITE_WITHIN.as_secs()
        ),
    )
    .next(format!(
        "does the file system of {} answer?",
        member.target.env_file.display()
    ))
}

async fn file_says(member: &Member) -> Result<FileSays> {
    let target = member.target.clone();
    let done = tokio::task::spawn_blocking(move || read(&target)).await;
    done.unwrap_or_else(|e| Err(restart::broken(&member.target.name, &e)))
}

async fn restart_one(
    member: &Member,
    expected: &Modes,
    before: Option<String>,
    patience: Patience,
    times: &mut Times,
    tell: Tell<'_>,
) -> Result<Health> {
    let target = &member.target;
    let began = Instant::now();
    restart(target, patience.restart).await?;
    let took = began.elapsed();
    times.restart_ms = Some(millis(took));
    tell(Progress::Restarted {
        target: target.name.clone(),
        took,
    });
    let began = Instant::now();
    let before = before.as_deref();
    let health = confirm(&member.client, expected, before, patience.confirm).await?;
    let took = began.elapsed();
    times.confirm_ms = Some(millis(took));
    tell(Progress::Confirmed {
        target: target.name.clone(),
        modes: health.modes,
        took,
    });
    Ok(health)
}

fn switched(done: Vec<(&Member, (Times, Result<Health>))>, tell: Tell<'_>) -> Vec<Switched> {
    done.into_iter()
        .map(|(member, (times, result))| {
            let target = member.target.name.clone();
            if let Err(problem) = &result {
                tell(Progress::Failed {
                    target: target.clone(),
                    why: problem.to_string(),
                });
            }
            Switched {
                target,
                times,
                result,
            }
        })
        .collect()
}

fn millis(d: Duration) -> f64 {
    (d.as_secs_f64() * 1e6).round() / 1e3
}

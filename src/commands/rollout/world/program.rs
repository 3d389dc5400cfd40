//! Steps that are somebody else's program.
//!
//! A program may outlive a dbctl that was killed, and act when somebody already looks whether it
//! did. So it holds a locked file as its standard input, and so does all that it starts: while
//! that lock is held, nothing can be said about the step, and it is not begun again.

use std::fs::File;
use std::path::Path;
use std::process::{ExitStatus, Stdio};
use std::time::{Duration, Instant};

use serde_json::json;
use tokio::process::Command;

use crate::programs::Group;
use crate::rollout::machine::{Found, Outcome};
use crate::rollout::ports::Done;

/// Runs a program to its end. What it prints goes to our stderr and nowhere else: it may hold
/// secrets, and the journal is for ever.
pub async fn run(argv: &[String], timeout: Duration, lock: &Path) -> Done {
    let began = Instant::now();
    let ended = match take(lock) {
        Ok(held) => wait(argv, timeout, Stdio::from(held)).await,
        Err(why) => Err(why),
    };
    let evidence = |exit: Option<i32>| {
        json!({
            "program": argv.first(),
            "exit_status": exit,
            "took_ms": u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX),
        })
    };
    match ended {
        Ok(Some(status)) if status.success() => super::succeeded(evidence(status.code())),
        Ok(Some(status)) => {
            super::failed(format!("it ended with {status}"), evidence(status.code()))
        }
        Ok(None) => Done {
            outcome: Outcome::Unknown(format!(
                "it did not end within {} and was stopped",
                crate::ui::duration(timeout)
            )),
            evidence: evidence(None),
        },
        Err(why) => super::failed(why, evidence(None)),
    }
}

/// Asks a probe: 0 says done, 1 says not done, anything else says nothing.
pub async fn probe(argv: &[String], timeout: Duration, lock: &Path) -> (Found, String) {
    let until = Instant::now() + timeout;
    while let Err(why) = take(lock) {
        if Instant::now() >= until {
            return (Found::Unknown, why);
        }
        tokio::time::sleep(LOOK_AGAIN).await;
    }
    ask(argv, timeout).await
}

/// As [`probe`], beside nothing that runs, and without leaving a file.
pub async fn ask(argv: &[String], timeout: Duration) -> (Found, String) {
    match wait(argv, timeout, Stdio::null()).await {
        Ok(Some(status)) => match status.code() {
            Some(0) => (Found::Done, "the probe says done".into()),
            Some(1) => (Found::NotDone, "the probe says not done".into()),
            Some(_) | None => (Found::Unknown, format!("the probe ended with {status}")),
        },
        Ok(None) => (Found::Unknown, "the probe did not end in time".into()),
        Err(why) => (Found::Unknown, why),
    }
}

/// How often it is looked whether a program from before still runs.
const LOOK_AGAIN: Duration = Duration::from_millis(50);

/// Locks the file that says that the step's program runs.
fn take(lock: &Path) -> Result<File, String> {
    let failed = |e: std::io::Error| format!("{}: {e}", lock.display());
    crate::durable::create_private_dir(crate::durable::parent(lock)).map_err(failed)?;
    let file = File::options()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(lock)
        .map_err(failed)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(std::fs::TryLockError::WouldBlock) => {
            Err("the program of an earlier attempt still runs".into())
        }
        Err(std::fs::TryLockError::Error(e)) => Err(failed(e)),
    }
}

/// The exit status, or nothing when it was stopped for taking too long.
async fn wait(
    argv: &[String],
    timeout: Duration,
    stdin: Stdio,
) -> Result<Option<ExitStatus>, String> {
    let [program, args @ ..] = argv else {
        return Err("the step names no program".into());
    };
    let mut command = Command::new(program);
    command
        .args(args)
        .stdin(stdin)
        .stdout(crate::ui::Ui::stderr_of_child());
    let mut group =
        Group::spawn(&mut command).map_err(|e| format!("{program} could not be started: {e}"))?;
    // With it goes our copy of the locked file: only the program and what it starts hold the lock,
    // so that a driver that is stopped does not hold it for ever.
    drop(command);
    match tokio::time::timeout(timeout, group.wait()).await {
        Ok(ended) => ended.map(Some).map_err(|e| e.to_string()),
        Err(_) => Ok(None),
    }
}

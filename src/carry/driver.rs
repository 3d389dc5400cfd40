//! Who may switch a target: the token of a lease, kept beside the target's state.
//!
//! A journal refuses the writes of a driver that was overtaken; a file of a target would not. So
//! the token lies where the effect is as well (M. Kleppmann, "How to do distributed locking",
//! 2016): it is compared under a lock that is held while the target is changed.

use std::fs::{File, TryLockError};
use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
use std::path::Path;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use crate::error::{Doing as _, Exit, Problem, Result};

/// In a target's state directory.
const FILE: &str = "driver.json";
/// How long the lock is waited for: whoever holds it longer was stopped while they held it.
const LOCK_WITHIN: Duration = Duration::from_millis(300);
const LOCK_AGAIN: Duration = Duration::from_millis(5);

/// The driver of a run, to its targets.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Driver {
    pub run: String,
    /// The fencing token: it rises with every driver of the run.
    pub token: u64,
    pub holder: String,
}

/// While this is kept, no other driver changes the target.
#[derive(Debug)]
pub struct Passed {
    // Closing it gives the lock back.
    _file: File,
}

/// What stands in the file of a target, under its lock.
struct Locked {
    file: File,
    known: Option<Driver>,
}

impl Driver {
    /// From now on this driver, and no earlier one of its run, may change the target.
    ///
    /// # Errors
    /// A later driver of the run was there; somebody else changes the target just now; the file
    /// cannot be written.
    pub fn take(&self, state_dir: &Path) -> Result<()> {
        let locked = self.lock(state_dir, false)?;
        self.not_overtaken(locked.known.as_ref())?;
        self.write(locked, state_dir).map(|_| ())
    }

    /// Lets this driver change the target, unless it was overtaken. Where it is `going_back`, the
    /// driver of another run is no obstacle, nor is somebody who was stopped with the lock in
    /// their hands: a rollback waits for nobody (P7).
    ///
    /// # Errors
    /// As [`Driver::take`]; without `going_back` also that another run has taken the target.
    pub fn pass(&self, state_dir: &Path, going_back: bool) -> Result<Passed> {
        let locked = self.lock(state_dir, going_back)?;
        self.not_overtaken(locked.known.as_ref())?;
        let other = locked.known.as_ref().filter(|k| k.run != self.run);
        match other {
            Some(other) if !going_back => Err(self.refused(other)),
            Some(_) | None => self.write(locked, state_dir),
        }
    }

    fn not_overtaken(&self, known: Option<&Driver>) -> Result<()> {
        match known {
            Some(other) if other.run == self.run && other.token > self.token => {
                Err(self.refused(other))
            }
            Some(_) | None => Ok(()),
        }
    }

    fn refused(&self, other: &Driver) -> Problem {
        Problem::new(
            Exit::LeaseHeld,
            format!("changing a target for run {}", self.run),
            format!(
                "{} has taken the target for run {}",
                other.holder, other.run
            ),
        )
        .next("nothing was changed there; dbctl rollout status shows who drives")
    }

    /// What cannot be read in the file was not written by a driver, and stops nobody.
    fn lock(&self, state_dir: &Path, going_back: bool) -> Result<Locked> {
        let path = state_dir.join(FILE);
        let doing = || format!("locking {}", path.display());
        crate::durable::create_private_dir(state_dir).doing(Exit::Failed, doing())?;
        let mut options = File::options();
        options.read(true).write(true).create(true).truncate(false);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let mut file = options.open(&path).doing(Exit::Failed, doing())?;
        let began = Instant::now();
        loop {
            match file.try_lock() {
                Ok(()) => break,
                Err(TryLockError::WouldBlock) if began.elapsed() < LOCK_WITHIN => {
                    std::thread::sleep(LOCK_AGAIN);
                }
                Err(TryLockError::WouldBlock) if going_back => break,
                Err(TryLockError::WouldBlock) => {
                    let cause = "another driver is changing the target, or was stopped meanwhile";
                    return Err(Problem::new(Exit::LeaseHeld, doing(), cause)
                        .next("end that process, then resume"));
                }
                Err(TryLockError::Error(e)) => return Err(Problem::new(Exit::Failed, doing(), e)),
            }
        }
        let mut text = String::new();
        let read = file.read_to_string(&mut text);
        let known = read.ok().and_then(|_| serde_json::from_str(&text).ok());
        Ok(Locked { file, known })
    }

    fn write(&self, locked: Locked, state_dir: &Path) -> Result<Passed> {
        let Locked { mut file, known } = locked;
        if known.as_ref() != Some(self) {
            let text = serde_json::to_string(self).expect("plain data");
            let mut write = || {
                file.seek(SeekFrom::Start(0))?;
                file.set_len(0)?;
                file.write_all(text.as_bytes())?;
                file.sync_data()
            };
            let doing = format!("writing {}", state_dir.join(FILE).display());
            write().doing(Exit::Failed, doing)?;
        }
        Ok(Passed { _file: file })
    }
}

//! Folders for throw-away clusters that a crash cannot leave behind for good.
//!
//! Each holds a file that its process keeps locked. The lock goes with the process, however it
//! ends; the next start removes every folder whose lock is free.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use crate::error::{Doing, Exit, Result};

const PREFIX: &str = "dbctl-scratch-";
const LOCK: &str = "owner.lock";

/// A folder of this process, removed when dropped.
#[derive(Debug)]
pub(super) struct Temporary {
    dir: PathBuf,
    _lock: File,
}

impl Temporary {
    /// Makes a folder only for this user; first sweeps what crashed processes left.
    /// `before_removal` is called with each such folder, to end what may still run in it.
    pub fn create(before_removal: &dyn Fn(&Path)) -> Result<Self> {
        let doing = "making a folder for the scratch database";
        sweep(before_removal);
        let mut builder = tempfile::Builder::new();
        builder.prefix(PREFIX);
        // Whoever can open a socket in it is the superuser of a native cluster.
        #[cfg(unix)]
        builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o700));
        let dir = builder.tempdir().doing(Exit::Unavailable, doing)?;
        // Locked before it gets its name: no sweep ever finds it free.
        let unnamed = dir.path().join("owner.new");
        let locked = || -> io::Result<File> {
            let lock = File::create(&unnamed)?;
            lock.try_lock()?;
            std::fs::rename(&unnamed, dir.path().join(LOCK))?;
            Ok(lock)
        };
        let lock = locked().doing(Exit::Unavailable, doing)?;
        Ok(Self {
            dir: dir.keep(),
            _lock: lock,
        })
    }

    pub fn path(&self) -> &Path {
        &self.dir
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        remove(&self.dir);
    }
}

/// Removes a folder, its lock file last: what is interrupted here is swept later.
fn remove(dir: &Path) {
    let entries = std::fs::read_dir(dir).into_iter().flatten().flatten();
    for path in entries.map(|e| e.path()) {
        if path.is_dir() {
            let _ = std::fs::remove_dir_all(&path);
        } else if !path.ends_with(LOCK) {
            let _ = std::fs::remove_file(&path);
        }
    }
    // Only an empty folder goes, and only then its lock.
    let emptied = std::fs::read_dir(dir).is_ok_and(|left| left.count() == 1);
    if emptied {
        let _ = std::fs::remove_dir_all(dir);
    }
}

/// Removes folders whose owner is gone. What cannot be read or removed (another user's) stays.
fn sweep(before_removal: &dyn Fn(&Path)) {
    let Ok(entries) = std::fs::read_dir(std::env::temp_dir()) else {
        return;
    };
    let left: Vec<PathBuf> = entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| {
            path.file_name()
                .and_then(|name| name.to_str())
                .is_some_and(|name| name.starts_with(PREFIX))
        })
        .collect();
    for dir in left {
        // A folder that was only just made has no lock file yet: not ours to judge.
        let Ok(lock) = File::open(dir.join(LOCK)) else {
            continue;
        };
        if lock.try_lock().is_ok() {
            before_removal(&dir);
            remove(&dir);
        }
    }
}

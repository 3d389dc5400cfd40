//! The guard file: how far this node has ever reserved, in whichever mode.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{LIMIT, STORE};
use crate::durable::birth;
use crate::error::{Exit, Problem, Result};
use crate::runtime::Unavailable;
use crate::runtime::toggles::Mode;

/// Name of the guard file in the state directory.
pub const GUARD_FILE: &str = "nonces.json";

/// Its lock; a file of its own, since the guard file is replaced by a rename at each write.
const LOCK_FILE: &str = "nonces.lock";

const SCHEMA: &str = "dbctl.nonces/1";

/// Cheap to clone: a write that nobody waits for any more still holds the lock and the content,
/// so it can neither be overtaken nor outlive them.
#[derive(Debug, Clone)]
pub(super) struct Guard(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    path: PathBuf,
    /// When the file was copied, if it was not written by a process that served.
    copied: Option<Timestamp>,
    content: Mutex<Content>,
    /// One write at a time; each writes the newest content.
    writing: Mutex<()>,
    /// Locked for as long as it is open; the system unlocks it when the process ends.
    _lock: File,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Content {
    schema: String,
    node_name: String,
    /// The mode of the last run; none before the first.
    mode: Option<Mode>,
    /// System identifier and timeline of the database that was last used.
    cluster: Option<String>,
    scopes: BTreeMap<String, Top>,
    /// When the file that holds this came into being; a copy came later. None where the file
    /// system does not say, and in files of before this was written down.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    born: Option<Timestamp>,
}

#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Top {
    reserved_high: i64,
    window_size: i64,
}

impl Guard {
    /// Locks the directory's nonces for this process and reads the file.
    pub fn open(state_dir: &Path, node: &str) -> Result<Self> {
        let path = state_dir.join(GUARD_FILE);
        let doing = format!("opening {}", path.display());
        let wrong = |why: &str| {
            Problem::new(Exit::Config, &doing, why).next(
                "restore it from a copy; or take a new node name (SERVICE_NAME) and an empty state directory, which never repeats a nonce",
            )
        };
        let lock = lock(&state_dir.join(LOCK_FILE))?;
        let content = match std::fs::read(&path) {
            Ok(bytes) => {
                let content: Content = serde_json::from_slice(&bytes)
                    .map_err(|e| wrong(&format!("it is damaged: {e}")))?;
                let sound = content
                    .scopes
                    .values()
                    .all(|t| (0..=LIMIT).contains(&t.reserved_high));
                if content.schema != SCHEMA || !sound {
                    return Err(wrong("it is damaged: its content makes no sense"));
                }
                if content.node_name != node {
                    return Err(wrong(&format!(
                        "it belongs to the node `{}`, not to `{node}`",
                        content.node_name
                    )));
                }
                content
            }
            Err(e) if e.kind() == io::ErrorKind::NotFound => {
                let used = state_dir.join(crate::runtime::revocation::LOG_FILE);
                if used.exists() {
                    return Err(wrong(
                        "it is missing, although this state directory was used before",
                    ));
                }
                Content {
                    schema: SCHEMA.to_owned(),
                    node_name: node.to_owned(),
                    mode: None,
                    cluster: None,
                    scopes: BTreeMap::new(),
                    born: None,
                }
            }
            Err(e) => return Err(Problem::new(Exit::Config, &doing, e)),
        };
        let born = std::fs::metadata(&path).ok().and_then(|file| birth(&file));
        let copied = born.filter(|born| content.born.is_some_and(|written| written != *born));
        Ok(Self(Arc::new(Inner {
            path,
            copied,
            content: Mutex::new(content),
            writing: Mutex::new(()),
            _lock: lock,
        })))
    }

    fn content(&self) -> MutexGuard<'_, Content> {
        self.0
            .content
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// When the file that was found came to its place, if it is a copy: a backup, another disk.
    pub fn copied(&self) -> Option<Timestamp> {
        self.0.copied
    }

    /// Why a node that has nothing but this copy must not start from it.
    pub fn refuse_copy(&self, made: Timestamp) -> Problem {
        Problem::new(
            Exit::Config,
            format!("opening {}", self.0.path.display()),
            format!("it is a copy, made at {made}: if it is older than the last nonce that was handed out, nonces would be used twice"),
        )
        .next(format!(
            "take a new node name (SERVICE_NAME) and an empty state directory; only if no newer one exists (the disk was changed), start once with SERVICE_NONCE_ACCEPT_COPY={made}"
        ))
    }

    pub fn mode(&self) -> Option<Mode> {
        self.content().mode
    }

    pub fn cluster(&self) -> Option<String> {
        self.content().cluster.clone()
    }

    pub fn top(&self, scope: &str) -> Option<i64> {
        self.content().scopes.get(scope).map(|t| t.reserved_high)
    }

    pub fn tops(&self) -> BTreeMap<String, i64> {
        self.content()
            .scopes
            .iter()
            .map(|(scope, top)| (scope.clone(), top.reserved_high))
            .collect()
    }

    /// Records how this run begins, durably, before anything is handed out.
    pub fn begin(
        &self,
        mode: Mode,
        cluster: Option<String>,
        tops: BTreeMap<String, i64>,
        window: i64,
    ) -> Result<()> {
        {
            let mut content = self.content();
            content.mode = Some(mode);
            content.cluster = cluster;
            content.raise(tops, window);
        }
        self.write().map_err(|e| {
            Problem::new(
                Exit::Config,
                format!("writing {}", self.0.path.display()),
                e,
            )
        })
    }

    /// Raises tops durably. After an error what the file holds is unknown, and the tops are
    /// raised here all the same: what may have been reserved is burnt.
    pub async fn raise(&self, tops: BTreeMap<String, i64>, window: i64) -> Result<(), Unavailable> {
        self.content().raise(tops, window);
        let guard = self.clone();
        match tokio::task::spawn_blocking(move || guard.write()).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(e)) => Err(Unavailable::new(STORE, e)),
            Err(e) => Err(Unavailable::new(STORE, e)),
        }
    }

    /// Tops only rise, so writing whatever is newest is always right.
    fn write(&self) -> io::Result<()> {
        let _turn = self
            .0
            .writing
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        crate::durable::write_born(&self.0.path, |born| {
            let mut content = self.content();
            content.born = born;
            Ok(serde_json::to_vec_pretty(&*content)?)
        })
    }
}

impl Content {
    fn raise(&mut self, tops: BTreeMap<String, i64>, window: i64) {
        for (scope, high) in tops {
            let top = self.scopes.entry(scope).or_insert(Top {
                reserved_high: 0,
                window_size: window,
            });
            if high > top.reserved_high {
                *top = Top {
                    reserved_high: high,
                    window_size: window,
                };
            }
        }
    }
}

fn lock(path: &Path) -> Result<File> {
    let doing = format!("locking {}", path.display());
    let file = File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(path)
        .map_err(|e| Problem::new(Exit::Config, &doing, e))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(std::fs::TryLockError::WouldBlock) => Err(Problem::new(
            Exit::Config,
            doing,
            "another process serves from this state directory",
        )
        .next("stop it first, or give this instance a state directory and a name of its own")),
        Err(std::fs::TryLockError::Error(e)) => Err(Problem::new(Exit::Config, doing, e)),
    }
}

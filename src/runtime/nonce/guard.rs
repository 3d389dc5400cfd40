//! The guard file: how far this node has ever reserved, in whichever mode.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::{Deserialize, Serialize};

use super::{LIMIT, STORE};
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
                }
            }
            Err(e) => return Err(Problem::new(Exit::Config, &doing, e)),
        };
        Ok(Self(Arc::new(Inner {
            path,
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
        let text = serde_json::to_vec_pretty(&*self.content())?;
        crate::durable::write(&self.0.path, &text)
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

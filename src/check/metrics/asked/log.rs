//! Lines of a log that match a pattern: how many came in the window.
//!
//! What was there before the first look does not count. A file that is rotated or emptied is
//! followed; a program is started once and read for as long as it writes.

use std::collections::{BTreeMap, VecDeque};
use std::fs::File;
use std::io::{BufRead as _, BufReader, Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use jiff::Timestamp;
use regex::Regex;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _};
use tokio::task::JoinHandle;

use super::Said;
use crate::carry::client::age;
use crate::programs::Group;
use crate::runbook::model::Log;

/// A file that grows faster than this from one look to the next is not read to its end.
const MOST_BYTES: u64 = 64 << 20;
/// Longer lines are read in pieces of this size.
const LINE_BYTES: u64 = 64 << 10;
/// How long a program that was just started may take to say that it cannot be started.
const STARTS_WITHIN: Duration = Duration::from_millis(300);
/// Matches are kept for as long as any window can be.
const KEPT: Duration = Duration::from_secs(48 * 3600);
/// Times with matches that are kept of one log.
const MOST_TIMES: usize = 100_000;

/// Every log that was asked for.
#[derive(Debug, Default)]
pub struct Logs(tokio::sync::Mutex<BTreeMap<String, Following>>);

impl Logs {
    /// Matching lines in the window up to now.
    pub(super) async fn ask(&self, log: &Log, window: Duration, now: Timestamp) -> Said {
        let key = format!("{log:?}");
        let mut all = self.0.lock().await;
        if !all.contains_key(&key) {
            match Following::begin(log).await {
                Ok(following) => all.insert(key.clone(), following),
                Err(said) => return said,
            };
        }
        let Some(following) = all.get_mut(&key) else {
            return Said::Silent("it is not followed".into());
        };
        match following.matches(window, now).await {
            Ok(count) => Said::number(count),
            Err(why) => {
                // A program is started again by the next look. A file that is being rotated will
                // be there again, and is then read from its beginning.
                if matches!(following, Following::Program { .. }) {
                    all.remove(&key);
                }
                Said::Silent(why)
            }
        }
    }
}

#[derive(Debug)]
enum Following {
    File(Arc<Mutex<Tail>>),
    Program {
        matches: Arc<Mutex<Matches>>,
        reading: JoinHandle<String>,
    },
}

impl Drop for Following {
    fn drop(&mut self) {
        match self {
            // With the task goes the program.
            Following::Program { reading, .. } => reading.abort(),
            Following::File(_) => {}
        }
    }
}

impl Following {
    async fn begin(log: &Log) -> Result<Self, Said> {
        let pattern = |text: &str| {
            Regex::new(text).map_err(|e| Said::Wrong(format!("its pattern cannot be read: {e}")))
        };
        match log {
            Log::File { file, pattern: p } => {
                let (file, pattern) = (PathBuf::from(file), pattern(p)?);
                let tail = tokio::task::spawn_blocking(move || Tail::open(file, pattern));
                let tail = tail.await.map_err(|e| Said::Silent(e.to_string()))?;
                Ok(Following::File(Arc::new(Mutex::new(
                    tail.map_err(Said::Silent)?,
                ))))
            }
            Log::Program { run, pattern: p } => {
                let pattern = pattern(p)?;
                let matches: Arc<Mutex<Matches>> = Arc::default();
                let mut reading = tokio::spawn(follow(run.clone(), pattern, matches.clone()));
                match tokio::time::timeout(STARTS_WITHIN, &mut reading).await {
                    Ok(ended) => Err(Said::Silent(ended.unwrap_or_else(|e| e.to_string()))),
                    Err(_) => Ok(Following::Program { matches, reading }),
                }
            }
        }
    }

    async fn matches(&mut self, window: Duration, now: Timestamp) -> Result<f64, String> {
        match self {
            Following::File(tail) => {
                let tail = tail.clone();
                let read = tokio::task::spawn_blocking(move || {
                    let mut tail = locked(&tail);
                    tail.read(now)?;
                    Ok(tail.matches.within(window, now))
                });
                read.await.map_err(|e| e.to_string())?
            }
            Following::Program { matches, reading } => {
                if reading.is_finished() {
                    return Err(reading.await.unwrap_or_else(|e| e.to_string()));
                }
                Ok(locked(matches).within(window, now))
            }
        }
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner)
}

/// When matching lines came.
#[derive(Debug, Default)]
struct Matches(VecDeque<(Timestamp, u32)>);

impl Matches {
    fn add(&mut self, at: Timestamp, count: u32) {
        if count == 0 {
            return;
        }
        match self.0.back_mut() {
            Some((last, n)) if *last == at => *n = n.saturating_add(count),
            Some(_) | None => self.0.push_back((at, count)),
        }
        while self.0.len() > MOST_TIMES
            || self
                .0
                .front()
                .is_some_and(|(first, _)| age(*first, at) > KEPT)
        {
            self.0.pop_front();
        }
    }

    fn within(&self, window: Duration, now: Timestamp) -> f64 {
        let inside = self.0.iter().rev();
        let inside = inside.take_while(|(at, _)| age(*at, now) < window);
        inside.map(|(_, count)| f64::from(*count)).sum()
    }
}

/// The end of a file.
#[derive(Debug)]
struct Tail {
    path: PathBuf,
    pattern: Regex,
    file: File,
    read: u64,
    /// A line whose end has not come yet.
    begun: Vec<u8>,
    matches: Matches,
}

impl Tail {
    /// At the file's end.
    fn open(path: PathBuf, pattern: Regex) -> Result<Self, String> {
        let (mut file, _) = opened(&path)?;
        let read = file
            .seek(SeekFrom::End(0))
            .map_err(|e| format!("{}: {e}", path.display()))?;
        Ok(Self {
            path,
            pattern,
            file,
            read,
            begun: Vec::new(),
            matches: Matches::default(),
        })
    }

    /// Reads what is new: the rest of this file, and all of one that took its place.
    fn read(&mut self, now: Timestamp) -> Result<(), String> {
        self.read_on(now)?;
        let (file, there) = opened(&self.path)?;
        let ours = self.file.metadata().map_err(|e| self.said(&e))?;
        if same(&ours, &there) {
            return Ok(());
        }
        self.file = file;
        self.read = 0;
        self.begun.clear();
        self.read_on(now)
    }

    fn read_on(&mut self, now: Timestamp) -> Result<(), String> {
        let length = self.file.metadata().map_err(|e| self.said(&e))?.len();
        if length < self.read {
            // It was emptied.
            self.read = 0;
            self.begun.clear();
        }
        if length - self.read > MOST_BYTES {
            self.read = length;
            self.begun.clear();
            return Err(format!(
                "{} grew by more than {} MiB since the last look",
                self.path.display(),
                MOST_BYTES >> 20
            ));
        }
        self.file
            .seek(SeekFrom::Start(self.read))
            .map_err(|e| self.said(&e))?;
        let mut reader = BufReader::new(self.file.try_clone().map_err(|e| self.said(&e))?)
            .take(length - self.read);
        let mut count = 0;
        loop {
            let before = self.begun.len();
            let room = LINE_BYTES.saturating_sub(before as u64).max(1);
            let got = (&mut reader)
                .take(room)
                .read_until(b'\n', &mut self.begun)
                .map_err(|e| format!("{}: {e}", self.path.display()))?;
            if got == 0 {
                break;
            }
            self.read += got as u64;
            if self.begun.ends_with(b"\n") || self.begun.len() as u64 >= LINE_BYTES {
                count += u32::from(is_match(&self.pattern, &self.begun));
                self.begun.clear();
            }
        }
        self.matches.add(now, count);
        Ok(())
    }

    fn said(&self, error: &std::io::Error) -> String {
        format!("{}: {error}", self.path.display())
    }
}

fn is_match(pattern: &Regex, line: &[u8]) -> bool {
    pattern.is_match(String::from_utf8_lossy(line).trim_end_matches(['\r', '\n']))
}

fn opened(path: &Path) -> Result<(File, std::fs::Metadata), String> {
    let said = |e: std::io::Error| format!("{}: {e}", path.display());
    // Opening a pipe would wait for somebody who writes.
    if !std::fs::metadata(path).map_err(said)?.is_file() {
        return Err(format!("{} is not a file", path.display()));
    }
    let file = File::open(path).map_err(said)?;
    let metadata = file.metadata().map_err(said)?;
    Ok((file, metadata))
}

#[cfg(unix)]
fn same(one: &std::fs::Metadata, two: &std::fs::Metadata) -> bool {
    use std::os::unix::fs::MetadataExt as _;
    (one.dev(), one.ino()) == (two.dev(), two.ino())
}

#[cfg(not(unix))]
fn same(one: &std::fs::Metadata, two: &std::fs::Metadata) -> bool {
    one.created().ok() == two.created().ok()
}

/// Reads what a program writes until it ends; says how it ended. Nothing that it writes is ever
/// quoted.
async fn follow(run: Vec<String>, pattern: Regex, matches: Arc<Mutex<Matches>>) -> String {
    let Some((program, arguments)) = run.split_first() else {
        return "it names no program".into();
    };
    let mut command = tokio::process::Command::new(program);
    command
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null());
    let mut group = match Group::spawn(&mut command) {
        Ok(group) => group,
        Err(e) => return format!("{program} could not be started: {e}"),
    };
    if let Some(stdout) = group.stdout() {
        let mut reader = tokio::io::BufReader::new(stdout);
        let mut line = Vec::new();
        loop {
            let room = LINE_BYTES.saturating_sub(line.len() as u64).max(1);
            match (&mut reader).take(room).read_until(b'\n', &mut line).await {
                Ok(0) | Err(_) => break,
                Ok(_) if line.ends_with(b"\n") || line.len() as u64 >= LINE_BYTES => {
                    let count = u32::from(is_match(&pattern, &line));
                    locked(&matches).add(Timestamp::now(), count);
                    line.clear();
                }
                Ok(_) => {}
            }
        }
    }
    match group.wait().await {
        Ok(status) => format!("{program} ended with {status}: its log is not followed any more"),
        Err(e) => format!("{program}: {e}"),
    }
}

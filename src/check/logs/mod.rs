//! What a service's own log says of trouble: evidence for whoever writes the post-mortem.
//!
//! Only the end of a log is read, of it only the lines that speak of trouble, and of those the
//! first and the newest are kept. What looks like a secret is masked before a line leaves this
//! room (P10).

mod redact;
mod secrets;
mod when;

use std::collections::VecDeque;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::LazyLock;
use std::time::Duration;

use regex::Regex;
use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use tokio::io::AsyncReadExt as _;

use crate::programs::Group;

pub use redact::Redactor;
pub use secrets::secrets;

/// How much of a log is looked at, and how much of that is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Extent {
    /// So much of the end of a log is read.
    tail_bytes: usize,
    /// The longest line that is kept whole, in characters.
    line_chars: usize,
    /// Lines that are kept: the first of the trouble, and the newest.
    first: usize,
    newest: usize,
    /// Ids of requests that are kept, the newest.
    ids: usize,
    /// How long reading may take. A program that goes on longer is stopped; what it printed counts.
    within: Duration,
}

impl Extent {
    /// For a journal: a glance, beside which nothing else waits.
    pub const GLANCE: Extent = Extent {
        tail_bytes: 256 << 10,
        line_chars: 400,
        first: 5,
        newest: 15,
        ids: 20,
        within: Duration::from_secs(2),
    };

    /// For an archive that is kept with an incident.
    pub const INCIDENT: Extent = Extent {
        tail_bytes: 32 << 20,
        line_chars: 8_000,
        first: 2_000,
        newest: 8_000,
        ids: 10_000,
        within: Duration::from_secs(30),
    };
}

/// A log that writes whole seconds says a time that is up to so much too early.
pub const WHOLE_SECOND_MS: u64 = 1_000;

/// What makes a line one of trouble, where the settings say nothing else.
pub const ERRORS: &str =
    r"(?i)\b(error|err|fatal|crit|critical|panic|panicked|emerg|severe|exception|traceback)\b";

/// `log = { file = "…" }` or `log = { run = ["journalctl", …] }` of a target.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LogConfig {
    /// The file that the service writes.
    pub file: Option<PathBuf>,
    /// A program that prints the newest lines, as an argument vector.
    pub run: Option<Vec<String>>,
    /// What makes a line one of trouble; without it [`ERRORS`].
    pub errors: Option<String>,
}

impl LogConfig {
    /// # Errors
    /// Not exactly one of `file` and `run`; a pattern that cannot be read.
    pub fn check(&self) -> Result<(), String> {
        match (&self.file, &self.run) {
            (Some(_), None) => {}
            (None, Some(run)) if !run.is_empty() => {}
            (None, Some(_)) => return Err("`run` of `log` names no program".into()),
            (Some(_), Some(_)) | (None, None) => {
                return Err("`log` wants exactly one of `file` and `run`".into());
            }
        }
        self.pattern().map(|_| ())
    }

    fn pattern(&self) -> Result<Regex, String> {
        let text = self.errors.as_deref().unwrap_or(ERRORS);
        Regex::new(text).map_err(|e| format!("`errors` of `log` cannot be read: {e}"))
    }

    /// The file, or the program.
    fn source(&self) -> String {
        match (&self.file, &self.run) {
            (Some(file), _) => file.display().to_string(),
            (None, Some(run)) => run.first().cloned().unwrap_or_default(),
            (None, None) => String::new(),
        }
    }
}

/// What a log said, as the journal keeps it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogExcerpt {
    /// `production/auth-1`.
    pub target: String,
    /// The file, or the program that printed it.
    pub source: String,
    /// Why it could not be read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
    /// How many lines spoke of trouble, in the part that was read.
    pub matched: u64,
    /// The first of them and the newest, without what looks like a secret.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub lines: Vec<LogLine>,
    /// The requests that they name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub request_ids: Vec<String>,
}

/// A line of a log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogLine {
    /// By the log's own clock, in milliseconds since 1970; none where the line does not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at_ms: Option<u64>,
    pub text: String,
}

/// Reads the end of a target's log. Lines from before `since_ms` are not about this, where they
/// say when they are from. `secrets` are masked wherever they stand, beside what looks like one.
pub async fn read(
    config: &LogConfig,
    target: String,
    since_ms: u64,
    secrets: &[SecretString],
) -> LogExcerpt {
    let window = since_ms..=u64::MAX;
    let read = read_more(config, target, window, secrets, &Extent::GLANCE);
    read.await.0
}

/// As [`read`], of a window of time (in milliseconds since 1970) and as much as `extent` says; and
/// whether the log is longer than what was read of it.
pub async fn read_more(
    config: &LogConfig,
    target: String,
    window: RangeInclusive<u64>,
    secrets: &[SecretString],
    extent: &Extent,
) -> (LogExcerpt, bool) {
    let mut excerpt = LogExcerpt {
        target,
        source: config.source(),
        why: None,
        matched: 0,
        lines: Vec::new(),
        request_ids: Vec::new(),
    };
    let mut cut = false;
    let tail = match (&config.file, &config.run) {
        (Some(file), _) => of_file(file.clone(), *extent).await,
        (None, Some(run)) => printed(run, extent).await,
        (None, None) => Err("neither a file nor a program is named".into()),
    };
    match tail.and_then(|tail| Ok((tail, config.pattern()?))) {
        Ok((tail, pattern)) => {
            cut = tail.cut;
            excerpt.take(&tail, &pattern, &window, &Redactor::new(secrets), extent);
        }
        Err(why) => excerpt.why = Some(why),
    }
    (excerpt, cut)
}

/// The end of a log.
struct Tail {
    bytes: Vec<u8>,
    /// It begins in the middle of a line.
    cut: bool,
}

async fn of_file(file: PathBuf, extent: Extent) -> Result<Tail, String> {
    let name = file.display().to_string();
    let reading = tokio::task::spawn_blocking(move || end_of(&file, extent.tail_bytes));
    match tokio::time::timeout(extent.within, reading).await {
        Ok(Ok(read)) => read.map_err(|e| e.to_string()),
        Ok(Err(e)) => Err(e.to_string()),
        Err(_) => Err(format!("{name} does not answer")),
    }
}

fn end_of(file: &Path, most: usize) -> std::io::Result<Tail> {
    // Opening a pipe would wait for somebody who writes.
    if !std::fs::metadata(file)?.is_file() {
        return Err(std::io::Error::other("it is not a file"));
    }
    let mut file = std::fs::File::open(file)?;
    let most = most as u64;
    let begins = file.metadata()?.len().saturating_sub(most);
    file.seek(SeekFrom::Start(begins))?;
    let mut bytes = Vec::new();
    file.take(most).read_to_end(&mut bytes)?;
    Ok(Tail {
        bytes,
        cut: begins > 0,
    })
}

/// What a program prints, for as long as it may take.
async fn printed(run: &[String], extent: &Extent) -> Result<Tail, String> {
    let Some((program, arguments)) = run.split_first() else {
        return Err("it names no program".into());
    };
    let mut command = tokio::process::Command::new(program);
    command
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null());
    let mut group =
        Group::spawn(&mut command).map_err(|e| format!("{program} could not be started: {e}"))?;
    let mut tail = Tail {
        bytes: Vec::new(),
        cut: false,
    };
    let until_the_end = async {
        if let Some(mut stdout) = group.stdout() {
            let mut piece = vec![0; 16 << 10];
            while let Ok(n @ 1..) = stdout.read(&mut piece).await {
                tail.bytes.extend_from_slice(&piece[..n]);
                tail.keep_the_end(2 * extent.tail_bytes, extent.tail_bytes);
            }
        }
        group.wait().await
    };
    let ended = tokio::time::timeout(extent.within, until_the_end).await;
    tail.keep_the_end(extent.tail_bytes, extent.tail_bytes);
    match ended {
        Ok(Ok(status)) if !status.success() && tail.bytes.is_empty() => {
            Err(format!("{program} ended with {status}"))
        }
        Ok(Err(e)) if tail.bytes.is_empty() => Err(format!("{program}: {e}")),
        Ok(Ok(_) | Err(_)) | Err(_) => Ok(tail),
    }
}

impl Tail {
    /// Forgets the beginning of what is longer than `most` bytes, so that `kept` stay.
    fn keep_the_end(&mut self, most: usize, kept: usize) {
        if self.bytes.len() > most {
            self.bytes.drain(..self.bytes.len() - kept);
            self.cut = true;
        }
    }
}

impl LogExcerpt {
    fn take(
        &mut self,
        tail: &Tail,
        pattern: &Regex,
        window: &RangeInclusive<u64>,
        redactor: &Redactor,
        extent: &Extent,
    ) {
        let outside = |at: u64| at + WHOLE_SECOND_MS <= *window.start() || at > *window.end();
        let text = String::from_utf8_lossy(&tail.bytes);
        let (mut first, mut newest) = (Vec::new(), VecDeque::new());
        let mut ids = VecDeque::new();
        // A line without a time belongs to the one before it.
        let mut said = None;
        for line in text.lines().skip(usize::from(tail.cut)) {
            let line = without_colours(line);
            let at_ms = when::of(&line);
            said = at_ms.or(said);
            if said.is_some_and(outside) || !pattern.is_match(&line) {
                continue;
            }
            self.matched += 1;
            for id in redact::request_ids(&line) {
                ids.retain(|known| known != id);
                ids.push_back(id.to_owned());
            }
            match first.len() < extent.first {
                true => first.push((at_ms, line)),
                false => newest.push_back((at_ms, line)),
            }
            if newest.len() > extent.newest {
                newest.pop_front();
            }
            if ids.len() > extent.ids {
                ids.pop_front();
            }
        }
        let kept = first.into_iter().chain(newest);
        self.lines = kept
            .map(|(at_ms, line)| LogLine {
                at_ms,
                // Masked first: a secret that is cut would not be known any more.
                text: short(&shown(&redactor.mask(&line)), extent.line_chars),
            })
            .collect();
        self.request_ids = ids.into();
    }
}

/// Colours would hide what is to be masked from whoever looks for it.
fn without_colours(line: &str) -> String {
    static ESCAPES: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new("\u{1b}\\[[0-9;:?]*[ -/]*[@-~]").expect("a pattern that is right")
    });
    ESCAPES.replace_all(line, "").into_owned()
}

/// With control characters escaped.
fn shown(line: &str) -> String {
    let mut shown = String::with_capacity(line.len());
    for c in line.trim_end().chars() {
        match c {
            '\t' => shown.push(' '),
            c if c.is_control() => shown.extend(c.escape_unicode()),
            c => shown.push(c),
        }
    }
    shown
}

/// Without its middle where it is long.
fn short(line: &str, most: usize) -> String {
    let length = line.chars().count();
    if length <= most {
        return line.to_owned();
    }
    let (head, tail) = (most * 2 / 3, most / 3);
    let begins: String = line.chars().take(head).collect();
    let ends: String = line.chars().skip(length - tail).collect();
    format!("{begins} … {ends}")
}

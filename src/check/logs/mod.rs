//! What a service's own log says of trouble: evidence for whoever writes the post-mortem.
//!
//! Only the end of a log is read, of it only the lines that speak of trouble, and of those the
//! first and the newest are kept. What looks like a secret is masked before a line leaves this
//! room (P10).

mod redact;
mod when;

use std::collections::VecDeque;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::LazyLock;
use std::time::Duration;

use regex::Regex;
use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use tokio::io::AsyncReadExt as _;

use crate::programs::Group;
use redact::Redactor;

/// So much of the end of a log is read.
const TAIL_BYTES: usize = 256 << 10;
/// The longest line that is kept whole, in characters.
const LINE_CHARS: usize = 400;
/// Lines that are kept: the first of the trouble, and the newest.
const FIRST: usize = 5;
const NEWEST: usize = 15;
/// Ids of requests that are kept, the newest.
const IDS: usize = 20;
/// How long reading may take. A program that goes on longer is stopped; what it printed counts.
const WITHIN: Duration = Duration::from_secs(2);

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
    let mut excerpt = LogExcerpt {
        target,
        source: config.source(),
        why: None,
        matched: 0,
        lines: Vec::new(),
        request_ids: Vec::new(),
    };
    let tail = match (&config.file, &config.run) {
        (Some(file), _) => of_file(file.clone()).await,
        (None, Some(run)) => printed(run).await,
        (None, None) => Err("neither a file nor a program is named".into()),
    };
    match tail.and_then(|tail| Ok((tail, config.pattern()?))) {
        Ok((tail, pattern)) => excerpt.take(&tail, &pattern, since_ms, &Redactor::new(secrets)),
        Err(why) => excerpt.why = Some(why),
    }
    excerpt
}

/// The end of a log.
struct Tail {
    bytes: Vec<u8>,
    /// It begins in the middle of a line.
    cut: bool,
}

async fn of_file(file: PathBuf) -> Result<Tail, String> {
    let name = file.display().to_string();
    let reading = tokio::task::spawn_blocking(move || end_of(&file));
    match tokio::time::timeout(WITHIN, reading).await {
        Ok(Ok(read)) => read.map_err(|e| e.to_string()),
        Ok(Err(e)) => Err(e.to_string()),
        Err(_) => Err(format!("{name} does not answer")),
    }
}

fn end_of(file: &Path) -> std::io::Result<Tail> {
    // Opening a pipe would wait for somebody who writes.
    if !std::fs::metadata(file)?.is_file() {
        return Err(std::io::Error::other("it is not a file"));
    }
    let mut file = std::fs::File::open(file)?;
    let most = TAIL_BYTES as u64;
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
async fn printed(run: &[String]) -> Result<Tail, String> {
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
                tail.keep_the_end(2 * TAIL_BYTES);
            }
        }
        group.wait().await
    };
    let ended = tokio::time::timeout(WITHIN, until_the_end).await;
    tail.keep_the_end(TAIL_BYTES);
    match ended {
        Ok(Ok(status)) if !status.success() && tail.bytes.is_empty() => {
            Err(format!("{program} ended with {status}"))
        }
        Ok(Err(e)) if tail.bytes.is_empty() => Err(format!("{program}: {e}")),
        Ok(Ok(_) | Err(_)) | Err(_) => Ok(tail),
    }
}

impl Tail {
    /// Forgets the beginning of what is longer than `most` bytes.
    fn keep_the_end(&mut self, most: usize) {
        if self.bytes.len() > most {
            self.bytes.drain(..self.bytes.len() - TAIL_BYTES);
            self.cut = true;
        }
    }
}

impl LogExcerpt {
    fn take(&mut self, tail: &Tail, pattern: &Regex, since_ms: u64, redactor: &Redactor) {
        let text = String::from_utf8_lossy(&tail.bytes);
        let (mut first, mut newest) = (Vec::new(), VecDeque::new());
        let mut ids = VecDeque::new();
        // A line without a time belongs to the one before it.
        let mut said = None;
        for line in text.lines().skip(usize::from(tail.cut)) {
            let line = without_colours(line);
            let at_ms = when::of(&line);
            said = at_ms.or(said);
            if said.is_some_and(|at| at + WHOLE_SECOND_MS <= since_ms) || !pattern.is_match(&line) {
                continue;
            }
            self.matched += 1;
            for id in redact::request_ids(&line) {
                ids.retain(|known| known != id);
                ids.push_back(id.to_owned());
            }
            match first.len() < FIRST {
                true => first.push((at_ms, line)),
                false => newest.push_back((at_ms, line)),
            }
            if newest.len() > NEWEST {
                newest.pop_front();
            }
            if ids.len() > IDS {
                ids.pop_front();
            }
        }
        let kept = first.into_iter().chain(newest);
        self.lines = kept
            .map(|(at_ms, line)| LogLine {
                at_ms,
                // Masked first: a secret that is cut would not be known any more.
                text: short(&shown(&redactor.mask(&line))),
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
fn short(line: &str) -> String {
    let length = line.chars().count();
    if length <= LINE_CHARS {
        return line.to_owned();
    }
    let (head, tail) = (LINE_CHARS * 2 / 3, LINE_CHARS / 3);
    let begins: String = line.chars().take(head).collect();
    let ends: String = line.chars().skip(length - tail).collect();
    format!("{begins} … {ends}")
}

//! The env-file provider: toggles as `NAME=value` lines in a file that the service reads when it
//! starts (systemd's `EnvironmentFile`, `docker --env-file`, a shell that sources it).
//!
//! Those readers differ in what they do with quotes, comments behind a value and repeated names.
//! What would mean one thing to one of them and another to the next is an error here. Lines that
//! are not toggles are kept to the byte and never shown: they may hold secrets (P10).

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::error::{Doing, Exit, Problem, Result};
use crate::runtime::toggles::{Mode, Modes, Toggle};

/// An env file is a few kilobytes; a path to something else is a mistake.
const LIMIT_BYTES: u64 = 1 << 20;

/// What a file says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FileSays {
    /// The toggles that are set, as they stand there.
    pub set: BTreeMap<Toggle, Mode>,
    /// What follows from them.
    pub modes: Modes,
}

/// Reads the toggles of an env file.
///
/// # Errors
/// A file that cannot be read; a value that is none; a toggle that is set twice differently. The
/// line is named, never quoted.
pub fn read(path: &Path) -> Result<FileSays> {
    let text = load(path)?;
    says(path, &text)
}

/// Sets toggles in an env file, wholly or not at all, and returns what the file says then.
///
/// Everything else stays as it is: other lines, their order, comments, line ends, `export `,
/// quotes, the file's mode and owner. A symbolic link is followed, not replaced. Setting what is
/// set already does not touch the file.
///
/// # Errors
/// As [`read`], for what the file would say; nothing was changed then.
pub fn set(path: &Path, toggles: &BTreeMap<Toggle, Mode>) -> Result<FileSays> {
    let old = load(path)?;
    let new = edited(&old, toggles);
    let said = says(path, &new)?;
    if new != old {
        let real = resolved(path)?;
        crate::durable::write(&real, &new)
            .doing(Exit::Failed, format!("writing {}", path.display()))?;
    }
    Ok(said)
}

/// What [`set`] would make the file say; changes nothing.
pub fn preview(path: &Path, toggles: &BTreeMap<Toggle, Mode>) -> Result<FileSays> {
    says(path, &edited(&load(path)?, toggles))
}

fn load(path: &Path) -> Result<Vec<u8>> {
    let doing = format!("reading the toggles of {}", path.display());
    let about = std::fs::metadata(path).map_err(|e| {
        let missing = e.kind() == std::io::ErrorKind::NotFound;
        let problem = Problem::new(Exit::Config, &doing, e);
        if missing {
            problem.next("if the path is right, make an empty file there, mode 0600, that the service reads at its start")
        } else {
            problem
        }
    })?;
    if !about.is_file() || about.len() > LIMIT_BYTES {
        return Err(Problem::new(
            Exit::Config,
            doing,
            "it is not a file of NAME=value lines",
        ));
    }
    std::fs::read(path).doing(Exit::Config, doing)
}

fn resolved(path: &Path) -> Result<PathBuf> {
    std::fs::canonicalize(path).doing(Exit::Config, format!("following {}", path.display()))
}

/// One line that sets a toggle.
struct Setting {
    toggle: Toggle,
    /// 1-based.
    line: usize,
    /// Where the value stands in the file, without its quotes.
    value: Range<usize>,
    /// Something stands behind the value that readers take differently.
    trailing: bool,
}

/// Finds the lines that set a toggle. Lines inside a quoted value of several lines are not looked
/// at: they belong to that value.
fn settings(text: &[u8]) -> Vec<Setting> {
    let mut found = Vec::new();
    let mut start = 0;
    let mut line = 1;
    while start < text.len() {
        let end = line_end(text, start);
        let mut next = (end + 1).min(text.len());
        let mut lines = 1;
        if let Some((name, value)) = name_and_value(text, start..end) {
            let quote = text
                .get(value.start)
                .copied()
                .filter(|c| matches!(c, b'"' | b'\''));
            let toggle = Toggle::ALL
                .into_iter()
                .find(|t| t.name().as_bytes() == &text[name.clone()]);
            match (toggle, quote) {
                (Some(toggle), quote) => found.push(setting(toggle, text, line, value, quote)),
                (None, Some(quote)) => {
                    // A quote that is never closed is an ordinary character.
                    if let Some(close) = closing(text, value.start + 1, quote) {
                        let last = line_end(text, close);
                        lines = text[start..last].iter().filter(|b| **b == b'\n').count() + 1;
                        next = (last + 1).min(text.len());
                    }
                }
                (None, None) => {}
            }
        }
        start = next;
        line += lines;
    }
    found
}

fn line_end(text: &[u8], from: usize) -> usize {
    text[from..]
        .iter()
        .position(|b| *b == b'\n')
        .map_or(text.len(), |n| from + n)
}

/// `NAME=value`, with `export ` and blanks around the name left out; nothing for a comment.
fn name_and_value(text: &[u8], line: Range<usize>) -> Option<(Range<usize>, Range<usize>)> {
    const BYTE_ORDER_MARK: &[u8] = b"\xEF\xBB\xBF";
    let mut start = line.start;
    if start == 0 && text.starts_with(BYTE_ORDER_MARK) {
        start = BYTE_ORDER_MARK.len();
    }
    let blank = |b: &u8| matches!(b, b' ' | b'\t');
    let skip = |from: usize| from + text[from..line.end].iter().take_while(|b| blank(b)).count();
    start = skip(start);
    if text[start..line.end].starts_with(b"export") && text.get(start + 6).is_some_and(blank) {
        start = skip(start + 6);
    }
    let equals = start + text[start..line.end].iter().position(|b| *b == b'=')?;
    let name = text[start..equals].trim_ascii_end();
    if name.is_empty() || matches!(name[0], b'#' | b';') {
        return None;
    }
    let value_start = skip(equals + 1);
    let value_end = value_start + text[value_start..line.end].trim_ascii_end().len();
    Some((start..start + name.len(), value_start..value_end))
}

fn setting(
    toggle: Toggle,
    text: &[u8],
    line: usize,
    whole: Range<usize>,
    quote: Option<u8>,
) -> Setting {
    let (value, rest) = match quote {
        Some(quote) => {
            let inner = whole.start + 1;
            let close = text[inner..whole.end].iter().position(|b| *b == quote);
            match close {
                Some(n) => (inner..inner + n, inner + n + 1..whole.end),
                // Not closed on its line: all of it is the value, which is then none.
                None => (whole.clone(), whole.end..whole.end),
            }
        }
        None => {
            let n = text[whole.clone()]
                .iter()
                .position(|b| matches!(b, b' ' | b'\t' | b'#' | b'"' | b'\''))
                .unwrap_or(whole.len());
            (whole.start..whole.start + n, whole.start + n..whole.end)
        }
    };
    Setting {
        toggle,
        line,
        value,
        trailing: !rest.is_empty(),
    }
}

fn closing(text: &[u8], from: usize, quote: u8) -> Option<usize> {
    let mut escaped = false;
    for (i, b) in text.iter().enumerate().skip(from) {
        match b {
            _ if escaped => escaped = false,
            b'\\' if quote == b'"' => escaped = true,
            b if *b == quote => return Some(i),
            _ => {}
        }
    }
    None
}

fn says(path: &Path, text: &[u8]) -> Result<FileSays> {
    let mut set: BTreeMap<Toggle, (Mode, usize)> = BTreeMap::new();
    for found in settings(text) {
        let at = |why: String| {
            Problem::new(
                Exit::Config,
                format!("reading line {} of {}", found.line, path.display()),
                why,
            )
            .next(format!(
                "write {}={} or {}=postgres",
                found.toggle,
                found.toggle.local(),
                found.toggle
            ))
        };
        if found.trailing {
            return Err(at(format!(
                "something stands behind the value of {}, and not every reader passes it over",
                found.toggle
            )));
        }
        let value = &text[found.value.clone()];
        let mode = std::str::from_utf8(value)
            .ok()
            .and_then(|v| found.toggle.parse_mode(v).ok())
            .ok_or_else(|| {
                at(format!(
                    "{} is not one of the values of {}",
                    shown(value),
                    found.toggle
                ))
            })?;
        match set.insert(found.toggle, (mode, found.line)) {
            Some((other, line)) if other != mode => {
                return Err(at(format!(
                    "{} is set to {mode} here and to {other} on line {line}",
                    found.toggle
                )));
            }
            Some(_) | None => {}
        }
    }
    let set = set.into_iter().map(|(t, (mode, _))| (t, mode)).collect();
    Ok(FileSays {
        modes: Modes::resolve(&set),
        set,
    })
}

/// A wrong value, where it is a plain short word; anything else may be a secret that slipped in.
fn shown(value: &[u8]) -> String {
    match std::str::from_utf8(value) {
        Ok("") => "nothing".to_owned(),
        Ok(v) if v.len() <= 16 && v.bytes().all(|b| b.is_ascii_alphabetic() || b == b'-') => {
            format!("`{v}`")
        }
        Ok(_) | Err(_) => "what stands there".to_owned(),
    }
}

/// The text with the toggles set: each line that sets one gets the value, and those that are
/// missing are added at the end.
fn edited(old: &[u8], toggles: &BTreeMap<Toggle, Mode>) -> Vec<u8> {
    let mut new = Vec::with_capacity(old.len() + 128);
    let mut copied = 0;
    let mut missing = toggles.clone();
    for found in settings(old) {
        let Some(mode) = toggles.get(&found.toggle) else {
            continue;
        };
        missing.remove(&found.toggle);
        new.extend_from_slice(&old[copied..found.value.start]);
        let line_start = old[..found.value.start]
            .iter()
            .rposition(|b| *b == b'\n')
            .map_or(0, |n| n + 1);
        let line_in_new = new.len() - (found.value.start - line_start.max(copied));
        new.extend_from_slice(mode.as_str().as_bytes());
        copied = found.value.end;
        if found.trailing {
            let rest = Rest::of(old, &found);
            new.extend_from_slice(rest.closing_quote);
            if let Some(comment) = rest.comment {
                let end = line_end_bytes(old);
                new.splice(line_in_new..line_in_new, [comment, end].concat());
            }
            copied = rest.end;
        }
    }
    new.extend_from_slice(&old[copied..]);
    if missing.is_empty() {
        return new;
    }
    let line_end = line_end_bytes(old);
    if !new.is_empty() && !new.ends_with(b"\n") {
        new.extend_from_slice(line_end);
    }
    for (toggle, mode) in missing {
        new.extend_from_slice(format!("{toggle}={mode}").as_bytes());
        new.extend_from_slice(line_end);
    }
    new
}

/// What stands behind the value of a line that is being set. A comment moves to a line of its
/// own, where every reader takes it for one; anything else was part of a broken value and goes.
struct Rest<'a> {
    closing_quote: &'a [u8],
    comment: Option<&'a [u8]>,
    /// Where copying goes on: the end of the line, before its line end.
    end: usize,
}

impl<'a> Rest<'a> {
    fn of(text: &'a [u8], found: &Setting) -> Self {
        let line = line_end(text, found.value.end);
        let end = found.value.end + text[found.value.end..line].trim_ascii_end().len();
        let behind = &text[found.value.end..end];
        let opening = found.value.start.checked_sub(1).map(|i| text[i]);
        let quoted = opening.is_some_and(|q| matches!(q, b'"' | b'\''))
            && behind.first() == opening.as_ref();
        let (closing_quote, behind) = behind.split_at(usize::from(quoted));
        let behind = behind.trim_ascii_start();
        Self {
            closing_quote,
            comment: behind.starts_with(b"#").then_some(behind),
            end,
        }
    }
}

fn line_end_bytes(text: &[u8]) -> &'static [u8] {
    if text.windows(2).any(|w| w == b"\r\n") {
        b"\r\n"
    } else {
        b"\n"
    }
}

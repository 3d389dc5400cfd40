//! Where something is: in a text, and in a repository.

use std::ops::Range;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use crate::error::without_passwords;

/// A line and a column, both counted from 1; columns in characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Position {
    pub line: usize,
    pub column: usize,
}

/// From the first character to behind the last one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Region {
    pub start: Position,
    pub end: Position,
}

/// The text of a file, with its lines found once: thousands of findings may point into it.
pub(super) struct Text {
    /// As it is in the file: columns are counted in this one.
    raw: Arc<str>,
    /// With stars for passwords, and as long, so that a span means the same in both.
    shown: String,
    /// Where each line begins.
    starts: Vec<usize>,
}

impl Text {
    pub fn of(text: &Arc<str>) -> Self {
        let ends = text.match_indices('\n').map(|(at, _)| at + 1);
        Self {
            raw: text.clone(),
            shown: without_passwords(&**text),
            starts: std::iter::once(0).chain(ends).collect(),
        }
    }

    /// What may be shown of it.
    pub fn shown(&self) -> &str {
        &self.shown
    }

    /// Which line holds that byte, counted from 0.
    pub fn line_at(&self, offset: usize) -> usize {
        self.starts.partition_point(|start| *start <= offset) - 1
    }

    /// The bytes of a line with its end; the last one may have none.
    pub fn line(&self, line: usize) -> Range<usize> {
        let end = self.starts.get(line + 1).copied();
        self.starts[line]..end.unwrap_or(self.raw.len())
    }

    pub fn line_count(&self) -> usize {
        // Behind the last newline there is no line any more.
        let trailing = self.starts.len() > 1 && self.starts.last() == Some(&self.raw.len());
        self.starts.len() - usize::from(trailing)
    }

    /// Those bytes of the text that there are, never a part of a character.
    pub fn within(&self, span: &Range<usize>) -> Range<usize> {
        let floor = |offset: usize| self.raw.floor_char_boundary(offset.min(self.raw.len()));
        let start = floor(span.start);
        start..floor(span.end).max(start)
    }

    /// The bytes that a finding points at: without the white space around them, and what points
    /// behind the end points behind the last word.
    pub fn pointed_at(&self, span: &Range<usize>) -> Range<usize> {
        let span = self.within(span);
        let inside = &self.raw[span.clone()];
        let words = inside.trim();
        if words.is_empty() {
            let start = span.start.min(self.raw.trim_end().len());
            return start..start;
        }
        let start = span.start + (inside.len() - inside.trim_start().len());
        start..start + words.len()
    }

    pub fn position(&self, offset: usize) -> Position {
        let line = self.line_at(offset);
        // A byte order mark is no character to those who count columns.
        let before = self.raw[self.starts[line]..offset].trim_start_matches('\u{feff}');
        Position {
            line: line + 1,
            column: before.chars().count() + 1,
        }
    }

    /// Of what a finding points at.
    pub fn region(&self, span: &Range<usize>) -> Region {
        self.exactly(&self.pointed_at(span))
    }

    /// Of these bytes and no others, as an edit wants it.
    pub fn exactly(&self, span: &Range<usize>) -> Region {
        let span = self.within(span);
        Region {
            start: self.position(span.start),
            end: self.position(span.end),
        }
    }

    /// The words there, with one space between: the same wherever they stand.
    pub fn words(&self, span: &Range<usize>) -> String {
        let span = self.pointed_at(span);
        // Where nothing is pointed at, the line is what stays.
        let span = if span.is_empty() {
            self.line(self.line_at(span.start))
        } else {
            span
        };
        let words = self.shown[span].split_whitespace();
        words.collect::<Vec<_>>().join(" ")
    }
}

/// Where a repository begins: a forge knows files by their paths from there.
#[derive(Debug, Clone)]
pub struct Root {
    /// What paths that are shown are relative to.
    here: PathBuf,
    root: PathBuf,
}

impl Root {
    /// The repository around `here`; `here` itself where there is none.
    pub fn around(here: impl Into<PathBuf>) -> Self {
        let here = here.into();
        let root = here.ancestors().find(|dir| dir.join(".git").exists());
        Self {
            root: root.unwrap_or(&here).to_owned(),
            here,
        }
    }

    /// A path as people see it, as the forge knows it: from the root, with `/`. One that leads out of
    /// the repository is left as it is.
    pub fn path(&self, shown: &str) -> String {
        let path = plain(&self.here.join(shown));
        if let Ok(inside) = path.strip_prefix(&self.root) {
            return slashes(inside);
        }
        // One of them may be named through a link.
        let real = path.canonicalize().ok().zip(self.root.canonicalize().ok());
        let inside = real.and_then(|(path, root)| Some(slashes(path.strip_prefix(root).ok()?)));
        inside.unwrap_or_else(|| shown.to_owned())
    }
}

/// Without `.` and `..`.
fn plain(path: &Path) -> PathBuf {
    let mut plain = PathBuf::new();
    for part in path.components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir => {
                plain.pop();
            }
            Component::Prefix(_) | Component::RootDir | Component::Normal(_) => plain.push(part),
        }
    }
    plain
}

fn slashes(path: &Path) -> String {
    let parts = path.iter().map(|part| part.to_string_lossy());
    match parts.collect::<Vec<_>>().join("/") {
        path if path.is_empty() => ".".to_owned(),
        path => path,
    }
}

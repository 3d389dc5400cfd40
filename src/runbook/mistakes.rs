//! Collecting every mistake of a document, each at its place, into one [`Problem`].

use std::fmt::Display;
use std::ops::Range;

use super::model::Position;
pub use crate::error::nearest;
use crate::error::{Exit, Problem, Result};

/// The mistakes of one document so far.
pub struct Mistakes<'t> {
    file: String,
    text: &'t str,
    found: Vec<(usize, Problem)>,
}

impl<'t> Mistakes<'t> {
    pub fn new(file: impl Display, text: &'t str) -> Self {
        Self {
            file: file.to_string(),
            text,
            found: Vec::new(),
        }
    }

    /// `cause` says what is wrong, `label` stands at the place, `hint` says what to write.
    pub fn add(
        &mut self,
        span: Range<usize>,
        cause: impl Display,
        label: impl Display,
        hint: impl Display,
    ) {
        let start = span.start.min(self.text.len());
        let length = span.end.saturating_sub(span.start);
        let problem = Problem::new(Exit::Config, self.doing(), cause)
            .at(&self.file, self.text, (start, length), label)
            .next(hint);
        self.found.push((start, problem));
    }

    pub fn position(&self, offset: usize) -> Position {
        position(self.text, offset)
    }

    /// All of them, in the order of the document.
    pub fn finish(self) -> Result<()> {
        let doing = self.doing();
        let mut found = self.found;
        found.sort_by_key(|(offset, _)| *offset);
        let summary = match found.len() {
            0 => return Ok(()),
            1 => "it has 1 mistake".to_owned(),
            n => format!("it has {n} mistakes"),
        };
        Err(Problem::new(Exit::Config, doing, summary).related(found.into_iter().map(|(_, p)| p)))
    }

    fn doing(&self) -> String {
        format!("reading {}", self.file)
    }
}

/// Line and column of a byte offset, both from 1; a column is a character.
pub fn position(text: &str, offset: usize) -> Position {
    let before = &text[..text.floor_char_boundary(offset)];
    let line_start = before.rfind('\n').map_or(0, |i| i + 1);
    Position {
        offset,
        line: before.matches('\n').count() + 1,
        column: before[line_start..].chars().count() + 1,
    }
}

/// "did you mean `x`?" where a name is near, else all that are known.
pub fn suggestion(name: &str, known: &[&str]) -> String {
    match nearest(name, known.iter().copied()) {
        Some(near) => format!("did you mean `{near}`?"),
        None => format!("known: {}", known.join(", ")),
    }
}

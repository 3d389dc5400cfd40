//! The lines of a file that a finding points at, drawn by miette.
//!
//! Not over the whole text: miette goes through all that stands before a place, for each place anew,
//! and counts columns in bytes.

use std::fmt;
use std::ops::Range;

use miette::{LabeledSpan, MietteError, MietteSpanContents, SourceCode, SourceSpan, SpanContents};

use super::place::{Position, Text};
use crate::ui::table::is_hidden;

/// Of what is longer only the first line is shown.
const LINES: usize = 8;
/// What stands beside the lines: their numbers come on top.
const BESIDE: usize = 8;

/// Some lines, cut to the width of the screen.
#[derive(Debug)]
pub(super) struct Excerpt {
    name: String,
    text: String,
    /// The number of the first line, counted from 0.
    first: usize,
    position: Position,
    /// What is underlined, in `text`.
    span: Range<usize>,
}

impl Excerpt {
    pub fn of(name: &str, text: &Text, span: &Range<usize>, width: usize) -> Self {
        let pointed = text.pointed_at(span);
        let (first, last) = (text.line_at(pointed.start), text.line_at(pointed.end));
        let (last, end) = if last - first < LINES {
            (last, pointed.end)
        } else {
            (first, text.line(first).end)
        };
        let around = first.saturating_sub(1)..(last + 2).min(text.line_count());
        let room = width.saturating_sub(around.end.to_string().len() + BESIDE);
        let before = &text.shown()[text.line(first).start..pointed.start];
        let window = Window::around(before.chars().count(), room.max(20));
        let mut excerpt = Self {
            name: name.to_owned(),
            text: String::new(),
            first: around.start,
            position: text.position(pointed.start),
            span: 0..0,
        };
        for number in around {
            let bytes = text.line(number);
            let line = text.shown()[bytes.clone()].trim_end_matches(['\n', '\r']);
            let seen = window.over(line);
            let at = |offset: usize| excerpt.text.len() + seen.at(offset - bytes.start);
            if number == first {
                excerpt.span.start = at(pointed.start);
            }
            if number == last {
                excerpt.span.end = at(end);
            }
            excerpt.text.push_str(&seen.text);
            excerpt.text.push('\n');
        }
        excerpt
    }
}

/// The characters of lines that fit on the screen.
struct Window {
    from: usize,
    room: usize,
}

/// What is seen of a line, and which bytes of it that is.
struct Seen {
    text: String,
    bytes: Range<usize>,
    /// Bytes before them that are not of the line.
    lead: usize,
}

impl Window {
    /// With the character of that number in it, and more of what follows than of what is before.
    fn around(character: usize, room: usize) -> Self {
        let from = if character > room / 3 * 2 {
            character - room / 3
        } else {
            0
        };
        Self { from, room }
    }

    fn over(&self, line: &str) -> Seen {
        let byte = |nth: usize| {
            line.char_indices()
                .nth(nth)
                .map_or(line.len(), |(at, _)| at)
        };
        let bytes = byte(self.from)..byte(self.from + self.room);
        let lead = if bytes.start > 0 { "…" } else { "" };
        let rest = if bytes.end < line.len() { "…" } else { "" };
        let text: String = line[bytes.clone()].chars().map(visible).collect();
        Seen {
            text: format!("{lead}{text}{rest}"),
            lead: lead.len(),
            bytes,
        }
    }
}

impl Seen {
    fn at(&self, offset: usize) -> usize {
        self.lead + offset.clamp(self.bytes.start, self.bytes.end) - self.bytes.start
    }
}

/// What could drive a terminal as a character of as many bytes that cannot.
fn visible(c: char) -> char {
    match c.len_utf8() {
        _ if c == '\t' || !is_hidden(c) => c,
        1 => '?',
        2 => '¿',
        _ => '\u{fffd}',
    }
}

impl SourceCode for Excerpt {
    fn read_span<'a>(
        &'a self,
        _span: &SourceSpan,
        lines_before: usize,
        _lines_after: usize,
    ) -> Result<Box<dyn SpanContents<'a> + 'a>, MietteError> {
        // Without lines around it, it is the place that is asked for.
        let (line, column) = match lines_before {
            0 => (self.position.line - 1, self.position.column - 1),
            _ => (self.first, 0),
        };
        Ok(Box::new(MietteSpanContents::new_named(
            self.name.clone(),
            self.text.as_bytes(),
            SourceSpan::from(0..self.text.len()),
            line,
            column,
            self.text.lines().count(),
        )))
    }
}

impl miette::Diagnostic for Excerpt {
    fn source_code(&self) -> Option<&dyn SourceCode> {
        Some(self)
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        let label = LabeledSpan::underline(self.span.clone());
        Some(Box::new(std::iter::once(label)))
    }
}

impl fmt::Display for Excerpt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

impl std::error::Error for Excerpt {}

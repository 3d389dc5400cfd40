//! Comments that silence rules, in the form that squawk gave them: `-- squawk-ignore RULE, RULE`
//! for the line below, `-- squawk-ignore-file RULE` for the file, and without a rule for all of it.
//! They silence rules of ours in the same way.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use squawk_lexer::{TokenKind, tokenize};

use super::rules;

/// What the comments of a file say.
#[derive(Debug, Default)]
pub(super) struct Ignores {
    lines: BTreeMap<usize, BTreeSet<String>>,
    file: BTreeSet<String>,
    whole_file: bool,
    /// Names that no rule has, and where they stand.
    pub unknown: Vec<(String, Range<usize>)>,
    starts: Vec<usize>,
}

impl Ignores {
    /// Reads the comments of all of a file: one for the file may stand above the part that runs.
    pub fn of(text: &str) -> Self {
        let mut found = Self::default();
        // Most files have none, and reading every word twice takes time.
        if !text.contains("squawk-ignore") {
            return found;
        }
        let newlines = text.bytes().enumerate().filter(|(_, b)| *b == b'\n');
        found.starts = std::iter::once(0)
            .chain(newlines.map(|(at, _)| at + 1))
            .collect();
        let mut at = 0;
        for token in tokenize(text) {
            let end = at + token.len as usize;
            match token.kind {
                TokenKind::LineComment => found.comment(text, at + 2, end),
                TokenKind::BlockComment { terminated: true } => {
                    found.comment(text, at + 2, end - 2);
                }
                _ => {}
            }
            at = end;
        }
        found
    }

    /// Whether `rule` is silenced for what begins at the byte `at`, in a statement that begins at
    /// `statement`: on that line or the one above.
    pub fn cover(&self, rule: &str, at: usize, statement: usize) -> bool {
        if self.whole_file || self.file.contains(rule) {
            return true;
        }
        if self.lines.is_empty() {
            return false;
        }
        [at, statement].into_iter().any(|at| {
            let line = self.line(at);
            [Some(line), line.checked_sub(1)]
                .into_iter()
                .flatten()
                .filter_map(|line| self.lines.get(&line))
                .any(|rules| rules.contains(rule))
        })
    }

    fn line(&self, at: usize) -> usize {
        self.starts.partition_point(|start| *start <= at) - 1
    }

    /// Takes in a comment whose text is `text[start..end]`.
    fn comment(&mut self, text: &str, start: usize, end: usize) {
        let body = &text[start..end];
        // What follows a second `--` says why.
        let said = body.split_once("--").map_or(body, |(said, _)| said);
        let Some(rest) = said.trim_start().strip_prefix("squawk-ignore") else {
            return;
        };
        let (names, whole) = match rest.strip_prefix("-file") {
            Some(names) => (names, true),
            None => (rest, false),
        };
        if !names.is_empty() && !names.starts_with(char::is_whitespace) {
            return;
        }
        if whole && names.trim().is_empty() {
            self.whole_file = true;
        }
        let mut next = start + (said.len() - names.len());
        let line = self.line(start);
        for part in names.split(',') {
            let from = next + (part.len() - part.trim_start().len());
            next += part.len() + 1;
            let name = part.trim();
            if name.is_empty() {
                continue;
            }
            let known: Vec<&str> = match rules::find(name) {
                Some(rule) => std::iter::once(rule.name)
                    .chain(rules::expanded(rule.name).iter().copied())
                    .collect(),
                None => {
                    self.unknown
                        .push((name.to_owned(), from..from + name.len()));
                    continue;
                }
            };
            let known = known.into_iter().map(str::to_owned);
            match whole {
                true => self.file.extend(known),
                false => self.lines.entry(line).or_default().extend(known),
            }
        }
    }
}

//! Where one SQL statement ends and the next begins, as psql sees it.
//!
//! Needed to point at the statement of an error that has no position of its own. A semicolon
//! ends a statement unless it stands in a string, a quoted name, a dollar-quoted body, a comment,
//! parentheses (rules) or a `BEGIN ATOMIC` body (PostgreSQL 14 on).

use std::ops::Range;

/// The statements of `sql` as byte ranges: from the first character that is not blank or
/// comment to the semicolon, without it. Empty statements are left out, as the server does.
pub(super) fn split(sql: &str) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    let mut start: Option<usize> = None;
    let mut end = 0;
    let mut parentheses = 0_u32;
    let mut body = AtomicBody::default();
    let tokens = Tokens { sql, at: 0 };
    for token in tokens {
        let text = &sql[token.range.clone()];
        match token.kind {
            Kind::Blank => continue,
            Kind::Word => body.word(text),
            Kind::Other => match text {
                "(" => parentheses += 1,
                ")" => parentheses = parentheses.saturating_sub(1),
                ";" if parentheses == 0 && body.depth == 0 => {
                    found.extend(start.take().map(|s| s..end));
                    body = AtomicBody::default();
                    continue;
                }
                _ => {}
            },
            Kind::Quoted => {}
        }
        start.get_or_insert(token.range.start);
        end = token.range.end;
    }
    found.extend(start.map(|s| s..end));
    found
}

/// Whether a statement begins or ends a transaction (going back to a savepoint does not).
pub(super) fn ends_transaction(statement: &str) -> bool {
    let mut words = Tokens {
        sql: statement,
        at: 0,
    }
    .filter(|t| t.kind == Kind::Word)
    .map(|t| statement[t.range].to_ascii_uppercase());
    match words.next().as_deref() {
        Some("BEGIN" | "COMMIT" | "END" | "ABORT") => true,
        Some("START") => words.next().as_deref() == Some("TRANSACTION"),
        Some("PREPARE") => words.next().as_deref() == Some("TRANSACTION"),
        Some("ROLLBACK") => !words.any(|w| w == "TO"),
        Some(_) | None => false,
    }
}

/// Depth of `BEGIN ATOMIC … END` in a CREATE FUNCTION or PROCEDURE; CASE has an END of its own.
#[derive(Default)]
struct AtomicBody {
    depth: u32,
    last_was_begin: bool,
    creates: bool,
    words: u32,
}

impl AtomicBody {
    fn word(&mut self, word: &str) {
        let is = |w: &str| word.eq_ignore_ascii_case(w);
        self.words += 1;
        if self.words == 1 {
            self.creates = is("create");
        }
        if self.creates {
            if self.last_was_begin && is("atomic") || self.depth > 0 && (is("case")) {
                self.depth += 1;
            } else if self.depth > 0 && is("end") {
                self.depth -= 1;
            }
        }
        self.last_was_begin = is("begin");
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// White space and comments.
    Blank,
    /// A key word or an unquoted name.
    Word,
    /// A string or a quoted name, whole.
    Quoted,
    Other,
}

struct Token {
    kind: Kind,
    range: Range<usize>,
}

/// A lexer that is just exact enough: <https://www.postgresql.org/docs/current/sql-syntax-lexical.html>.
struct Tokens<'a> {
    sql: &'a str,
    at: usize,
}

impl Iterator for Tokens<'_> {
    type Item = Token;

    fn next(&mut self) -> Option<Token> {
        let rest = &self.sql[self.at..];
        let first = rest.chars().next()?;
        let (kind, length) = if first.is_whitespace() {
            let length = rest.len() - rest.trim_start().len();
            (Kind::Blank, length)
        } else if rest.starts_with("--") {
            (Kind::Blank, rest.find('\n').unwrap_or(rest.len()))
        } else if rest.starts_with("/*") {
            (Kind::Blank, comment(rest))
        } else if first == '\'' {
            (Kind::Quoted, quoted(rest, '\'', false))
        } else if first == '"' {
            (Kind::Quoted, quoted(rest, '"', false))
        } else if first == '$'
            && let Some(length) = dollar_quoted(rest)
        {
            (Kind::Quoted, length)
        } else if first.is_alphabetic() || first == '_' {
            let length = rest
                .find(|c: char| !(c.is_alphanumeric() || c == '_' || c == '$'))
                .unwrap_or(rest.len());
            // E'…' takes backslash escapes; other prefixes (B, X, N, U&) do not matter here.
            if length == 1 && matches!(first, 'e' | 'E') && rest[1..].starts_with('\'') {
                (Kind::Quoted, 1 + quoted(&rest[1..], '\'', true))
            } else {
                (Kind::Word, length)
            }
        } else if first.is_ascii_digit() {
            // With what is glued to it, so that the `$1` of `1$1` opens no dollar quote.
            let length = rest
                .find(|c: char| !c.is_alphanumeric())
                .unwrap_or(rest.len());
            (Kind::Other, length)
        } else {
            (Kind::Other, first.len_utf8())
        };
        let range = self.at..self.at + length;
        self.at = range.end;
        Some(Token { kind, range })
    }
}

/// Length of a comment; they nest. An open one goes to the end.
fn comment(text: &str) -> usize {
    let mut depth = 0_u32;
    let mut at = 0;
    while at < text.len() {
        if text[at..].starts_with("/*") {
            depth += 1;
            at += 2;
        } else if text[at..].starts_with("*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                return at;
            }
        } else {
            at += text[at..].chars().next().map_or(1, char::len_utf8);
        }
    }
    text.len()
}

/// Length of a quoted text; a doubled quote is part of it. An open one goes to the end.
fn quoted(text: &str, quote: char, backslash: bool) -> usize {
    let mut characters = text.char_indices().skip(1).peekable();
    while let Some((at, c)) = characters.next() {
        if backslash && c == '\\' {
            characters.next();
        } else if c == quote {
            if characters.peek().is_some_and(|(_, next)| *next == quote) {
                characters.next();
            } else {
                return at + quote.len_utf8();
            }
        }
    }
    text.len()
}

/// Length of `$tag$ … $tag$`, or none when no tag is there (`$1`).
fn dollar_quoted(text: &str) -> Option<usize> {
    let tag_end = text[1..].find('$')? + 2;
    let tag = &text[..tag_end];
    let name = &tag[1..tag_end - 1];
    let is_tag = name.chars().all(|c| c.is_alphanumeric() || c == '_')
        && !name.starts_with(|c: char| c.is_ascii_digit());
    if !is_tag {
        return None;
    }
    Some(match text[tag_end..].find(tag) {
        Some(at) => tag_end + at + tag.len(),
        None => text.len(),
    })
}

/// `sql` with every literal's content replaced: what other sessions run may hold a secret.
pub(super) fn without_literals(sql: &str) -> String {
    Tokens { sql, at: 0 }
        .map(|t| match (t.kind, &sql[t.range]) {
            (Kind::Blank, _) => " ",
            (Kind::Quoted, text) if !text.starts_with('"') => "'…'",
            (_, text) => text,
        })
        .collect()
}

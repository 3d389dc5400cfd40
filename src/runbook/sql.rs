//! Looking at a verification query before it is sent: that it is one statement, and one that
//! only reads. The server judges everything else.

use std::ops::Range;

use squawk_lexer::{TokenKind, tokenize};

/// How a query is run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// `SELECT`, `WITH`, `VALUES`, `TABLE`: can stand in a cursor and in a subquery.
    Rows,
    /// `SHOW`, `EXPLAIN`: answers with rows, but only by itself, so it can carry no expectation.
    Report,
}

/// One statement, ready to be wrapped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Statement<'q> {
    /// Without what stands behind its last word: a semicolon, a comment, space.
    pub text: &'q str,
    pub form: Form,
}

/// Why a query is not sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Flaw {
    /// Bytes of the query that are at fault.
    pub span: Range<usize>,
    pub cause: String,
    pub hint: &'static str,
}

impl Flaw {
    fn new(span: Range<usize>, cause: impl Into<String>, hint: &'static str) -> Self {
        Self {
            span,
            cause: cause.into(),
            hint,
        }
    }
}

const ONLY_SHOWN: &str = "a fence that is only shown is written ```sql example";

/// Takes a fence for one statement that only reads.
pub fn statement(sql: &str) -> Result<Statement<'_>, Flaw> {
    let words = significant(sql)?;
    let Some((_, first)) = words.iter().find(|(kind, _)| *kind != TokenKind::Semi) else {
        return Err(Flaw::new(
            0..sql.len(),
            "the query is empty",
            "write the query, or take the fence away",
        ));
    };
    let semicolon = words
        .iter()
        .skip_while(|(_, span)| span.start < first.start)
        .position(|(kind, _)| *kind == TokenKind::Semi);
    let leading = words
        .iter()
        .take_while(|(_, s)| s.start < first.start)
        .count();
    let end = semicolon.map_or(words.len(), |i| leading + i);
    if let Some((_, second)) = words[end..].iter().find(|(k, _)| *k != TokenKind::Semi) {
        return Err(Flaw::new(
            second.clone(),
            "several statements in one fence",
            "one fence is one query: give each its own fence",
        ));
    }
    balanced(&words[leading..end])?;
    let last = words[end - 1].1.end;
    let text = &sql[first.start..last];
    Ok(Statement {
        text,
        form: form(sql, &words[leading..end])?,
    })
}

/// Checks a boolean expression that is going to stand in parentheses.
pub fn condition(sql: &str) -> Result<(), Flaw> {
    let words = significant(sql)?;
    if let Some((_, span)) = words.iter().find(|(kind, _)| *kind == TokenKind::Semi) {
        return Err(Flaw::new(
            span.clone(),
            "a condition has no semicolon",
            "write what could stand after WHERE",
        ));
    }
    if words.is_empty() {
        return Err(Flaw::new(
            0..sql.len(),
            "the condition is empty",
            "write what could stand after WHERE",
        ));
    }
    balanced(&words)
}

type Word = (TokenKind, Range<usize>);

/// The tokens without space and comments. What is never closed is a flaw: it would swallow what
/// the query is wrapped in.
fn significant(sql: &str) -> Result<Vec<Word>, Flaw> {
    let mut words = Vec::new();
    let mut at = 0;
    for token in tokenize(sql) {
        let span = at..at + token.len as usize;
        at = span.end;
        match token.kind {
            TokenKind::Whitespace | TokenKind::LineComment | TokenKind::Eof => {}
            TokenKind::BlockComment { terminated: true } => {}
            TokenKind::BlockComment { terminated: false } => {
                return Err(Flaw::new(
                    span,
                    "the comment is never closed",
                    "close it with */",
                ));
            }
            TokenKind::PositionalParam { .. } => {
                return Err(Flaw::new(
                    span,
                    "there are no parameters here",
                    "write the value itself",
                ));
            }
            kind => words.push((kind, span)),
        }
    }
    Ok(words)
}

fn balanced(words: &[Word]) -> Result<(), Flaw> {
    let mut open: Vec<&Range<usize>> = Vec::new();
    for (kind, span) in words {
        match kind {
            TokenKind::OpenParen => open.push(span),
            TokenKind::CloseParen if open.pop().is_none() => {
                return Err(Flaw::new(
                    span.clone(),
                    "a parenthesis closes that was never opened",
                    "take it away, or open it",
                ));
            }
            _ => {}
        }
    }
    match open.pop() {
        Some(span) => Err(Flaw::new(
            span.clone(),
            "the parenthesis is never closed",
            "close it",
        )),
        None => Ok(()),
    }
}

fn form(sql: &str, words: &[Word]) -> Result<Form, Flaw> {
    let (_, first) = words
        .iter()
        .find(|(kind, _)| *kind != TokenKind::OpenParen)
        .unwrap_or(&words[0]);
    let word = &sql[first.clone()];
    match word.to_ascii_uppercase().as_str() {
        "SELECT" | "WITH" | "VALUES" | "TABLE" => Ok(Form::Rows),
        "SHOW" | "EXPLAIN" => Ok(Form::Report),
        _ => Err(Flaw::new(
            first.clone(),
            format!("a verification query only reads, and this one starts with `{word}`"),
            ONLY_SHOWN,
        )),
    }
}

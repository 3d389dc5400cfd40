//! A migration that failed: what Postgres said, at the place in the file.

use std::ops::Range;

use sqlx::postgres::{PgDatabaseError, PgErrorPosition};

use super::files::File;
use super::statements;
use crate::error::{Exit, Problem};
use crate::pg::problem;
use crate::pg::scratch::Scratch;

/// Where the migration ran: ways out differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ground {
    /// The embedded scratch database.
    Embedded,
    /// Any server.
    Server,
}

impl Ground {
    pub fn of(scratch: &Scratch) -> Self {
        match scratch {
            Scratch::Embedded(_) => Ground::Embedded,
            Scratch::Native(_) | Scratch::Url(_) => Ground::Server,
        }
    }
}

/// What Postgres said of a statement, for people.
pub(super) struct Told {
    /// Bytes of the file.
    pub span: Range<usize>,
    pub label: String,
    pub cause: String,
    /// What ran inside of the statement when it failed.
    pub running: Option<String>,
    pub next: Option<String>,
}

/// `completed` is how many statements of the file had succeeded before.
pub(super) fn in_file(
    file: &File,
    error: &sqlx::Error,
    completed: usize,
    ground: Ground,
) -> Problem {
    let doing = format!("running {}", file.path);
    let statements = statements::split(&file.sql);
    let statement = statements.get(completed).cloned().unwrap_or(0..0);
    // The whole file was sent: that is where positions count from.
    let Some(told) = tell(&file.sql, 0, statement, error, ground) else {
        return problem(doing, error);
    };
    let found = Problem::new(Exit::Findings, doing, told.cause);
    let found = found.at(&file.path, &file.sql, told.span, told.label);
    match told.next {
        Some(next) => found.next(next),
        None => found,
    }
}

/// Of a statement that was sent by itself, `statement` being its bytes of `text`; none where it is
/// not the statement's fault.
pub(super) fn of_statement(
    text: &str,
    statement: Range<usize>,
    error: &sqlx::Error,
    ground: Ground,
) -> Option<Told> {
    tell(text, statement.start, statement, error, ground)
}

/// `sent_from` is the byte of `text` where what was sent began.
fn tell(
    text: &str,
    sent_from: usize,
    statement: Range<usize>,
    error: &sqlx::Error,
    ground: Ground,
) -> Option<Told> {
    let e = error
        .as_database_error()
        .and_then(|e| e.try_downcast_ref::<PgDatabaseError>())?;
    let mut running = None;
    let (span, label) = match e.position() {
        Some(PgErrorPosition::Original(characters)) => {
            let token = token_at(&text[sent_from..], characters);
            let token = sent_from + token.start..sent_from + token.end;
            (token, "here".to_owned())
        }
        // Inside a function or DO block: the position counts in a text that is not in the file.
        Some(PgErrorPosition::Internal { query, .. }) => {
            let query = format!("while running: {}", one_line(query));
            running = Some(query.clone());
            (first_line(text, statement.clone()), query)
        }
        None => (
            first_line(text, statement.clone()),
            "this statement".to_owned(),
        ),
    };
    let mut cause = format!("{} (SQLSTATE {})", e.message(), e.code());
    if let Some(detail) = e.detail() {
        cause += &format!("\n{detail}");
    }
    if let Some(context) = e.r#where().and_then(|w| w.lines().next()) {
        cause += &format!("\nin {context}");
    }
    let next = way_out(e, &text[statement], ground).or_else(|| e.hint().map(str::to_owned));
    Some(Told {
        span,
        label,
        cause,
        running,
        next,
    })
}

pub(super) fn creates_extension(statement: &str) -> bool {
    let mut said = statement.split_whitespace();
    ["create", "extension"]
        .iter()
        .all(|word| said.next().is_some_and(|s| s.eq_ignore_ascii_case(word)))
}

/// What helps beyond Postgres's own hint.
fn way_out(e: &PgDatabaseError, statement: &str, ground: Ground) -> Option<String> {
    match e.code() {
        // feature_not_supported, undefined_file
        "0A000" | "58P01" if creates_extension(statement) => Some(match ground {
            Ground::Embedded => "the embedded PostgreSQL does not have this extension; run it with --scratch native or \
                 --scratch URL on a server that has it (gen_random_uuid() is built in and needs none)".to_owned(),
            Ground::Server => "install the extension's package on the server".to_owned(),
        }),
        // active_sql_transaction
        "25001" => Some(
            "every migration runs in a transaction together with its history row, as in refinery; \
             run this statement by hand, or without CONCURRENTLY where the lock may be held"
                .to_owned(),
        ),
        // unsafe_new_enum_value_usage
        "55P04" => Some("use the new value in a migration of its own, after this one".to_owned()),
        // insufficient_privilege
        "42501" => Some("the user of the database lacks a privilege for this statement".to_owned()),
        _ => None,
    }
}

/// The token at a 1-based position in characters, as Postgres counts.
fn token_at(sql: &str, characters: usize) -> Range<usize> {
    let start = sql
        .char_indices()
        .nth(characters.saturating_sub(1))
        .map_or(sql.len(), |(at, _)| at);
    let rest = &sql[start..];
    let word = rest
        .find(|c: char| !(c.is_alphanumeric() || matches!(c, '_' | '.')))
        .unwrap_or(rest.len());
    let one = rest.chars().next().map_or(0, char::len_utf8);
    start..start + word.max(one)
}

fn first_line(sql: &str, statement: Range<usize>) -> Range<usize> {
    let text = &sql[statement.clone()];
    let length = text.find('\n').unwrap_or(text.len());
    statement.start..statement.start + text[..length].trim_end().len()
}

fn one_line(text: &str) -> String {
    let words: Vec<&str> = text.split_whitespace().collect();
    let line = words.join(" ");
    match line.char_indices().nth(70) {
        Some((at, _)) => format!("{}…", &line[..at]),
        None => line,
    }
}

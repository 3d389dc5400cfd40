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
    let mut open = Open::default();
    for token in (Tokens { sql, at: 0 }) {
        if open.ends_with(&sql[token.range.clone()], &token) {
            found.extend(open.take());
        }
    }
    found.extend(open.take());
    found
}

/// The statement that is being read.
#[derive(Default)]
struct Open {
    start: Option<usize>,
    end: usize,
    parentheses: u32,
    body: AtomicBody,
}

impl Open {
    /// Takes the next token in, and says whether it is the semicolon that ends the statement.
    fn ends_with(&mut self, text: &str, token: &Token) -> bool {
        match token.kind {
            Kind::Blank => return false,
            Kind::Word => self.body.word(text),
            Kind::Other => match text {
                "(" => self.parentheses += 1,
                ")" => self.parentheses = self.parentheses.saturating_sub(1),
                ";" if self.parentheses == 0 && self.body.depth == 0 => return true,
                _ => {}
            },
            Kind::Quoted => {}
        }
        self.start.get_or_insert(token.range.start);
        self.end = token.range.end;
        false
    }

    /// Its range, if there was anything in it; the next one begins.
    fn take(&mut self) -> Option<Range<usize>> {
        let done = std::mem::take(self);
        done.start.map(|start| start..done.end)
    }
}

/// What a script holds that is no SQL to a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Oddity {
    /// `\connect`, `\i file`: to the end of the line.
    PsqlCommand,
    /// `:name`, `:'name'`, `:"name"`: psql puts a value there.
    PsqlVariable,
    /// `{{ … }}`, `{% … %}`, `${…}`: another program puts something there.
    Template,
    /// `COPY … FROM stdin` with its data, which stands in the file behind it.
    CopyData,
}

/// A script as psql reads it.
#[derive(Debug, Default)]
pub(super) struct Scan {
    pub statements: Vec<Range<usize>>,
    pub oddities: Vec<(Oddity, Range<usize>)>,
}

/// Reads a script of which it is not known whether a server understands all of it.
pub(super) fn scan(sql: &str) -> Scan {
    let mut found = Scan::default();
    let mut open = Open::default();
    let mut brackets = 0_u32;
    let mut tokens = Tokens { sql, at: 0 };
    while let Some(token) = tokens.next() {
        let text = &sql[token.range.clone()];
        match text {
            "[" => brackets += 1,
            "]" => brackets = brackets.saturating_sub(1),
            _ => {}
        }
        if token.kind == Kind::Other
            && let Some((oddity, end)) = odd(sql, token.range.start, brackets > 0)
        {
            found.oddities.push((oddity, token.range.start..end));
            tokens.at = end;
            continue;
        }
        if open.ends_with(text, &token)
            && let Some(statement) = open.take()
        {
            if copies_from_stdin(&sql[statement.clone()]) {
                tokens.at = end_of_copy_data(sql, token.range.end);
                let all = statement.start..tokens.at;
                found.oddities.push((Oddity::CopyData, all));
            }
            found.statements.push(statement);
            brackets = 0;
        }
    }
    found.statements.extend(open.take());
    found
}

/// What begins at `at`, outside of every quote and comment, and where it ends.
fn odd(sql: &str, at: usize, in_brackets: bool) -> Option<(Oddity, usize)> {
    let rest = &sql[at..];
    let template = |close: &str| {
        // Not further than that: a line may be as long as a file.
        let near = &rest[..rest.floor_char_boundary(200)];
        let near = near.split('\n').next().unwrap_or(near);
        let length = near.find(close).map_or(2, |found| found + close.len());
        Some((Oddity::Template, at + length))
    };
    match rest.as_bytes() {
        // No operator has a backslash in it, and psql reads the rest of the line.
        [b'\\', ..] => {
            let line = rest.split('\n').next().unwrap_or(rest).trim_end();
            Some((Oddity::PsqlCommand, at + line.len()))
        }
        [b'{', b'{', ..] => template("}}"),
        [b'{', b'%', ..] => template("%}"),
        [b'$', b'{', ..] => template("}"),
        // `::` is a cast, `:=` names an argument, and `[1:n]` is a slice.
        [b':', next, ..] if !in_brackets && !sql[..at].ends_with(':') => {
            let is_name = next.is_ascii_alphabetic() || matches!(next, b'_' | b'\'' | b'"');
            let name = Tokens { sql, at: at + 1 }.next().filter(|_| is_name)?;
            Some((Oddity::PsqlVariable, name.range.end))
        }
        _ => None,
    }
}

/// `COPY … FROM stdin`; the file of `COPY … FROM 'file'` is another matter.
fn copies_from_stdin(statement: &str) -> bool {
    let mut words = words(statement);
    if words.next().as_deref() != Some("COPY") {
        return false;
    }
    words.any(|word| word == "FROM") && words.next().as_deref() == Some("STDIN")
}

/// The data begin on the next line and end with a line `\.`, or with the file.
fn end_of_copy_data(sql: &str, semicolon: usize) -> usize {
    let mut at = semicolon;
    for (number, line) in sql[semicolon..].split_inclusive('\n').enumerate() {
        at += line.len();
        if number > 0 && line.trim_end() == "\\." {
            return at;
        }
    }
    sql.len()
}

/// The key words and unquoted names of a statement, in capitals.
fn words(statement: &str) -> impl Iterator<Item = String> {
    Tokens {
        sql: statement,
        at: 0,
    }
    .filter(|t| t.kind == Kind::Word)
    .map(move |t| statement[t.range].to_ascii_uppercase())
}

/// Whether a semicolon stands in it, outside of quotes and comments.
pub(super) fn has_semicolon(sql: &str) -> bool {
    Tokens { sql, at: 0 }.any(|t| &sql[t.range] == ";")
}

/// Whether Postgres refuses a statement inside a transaction.
pub(super) fn stands_alone(statement: &str) -> bool {
    // The words that decide are among the first; a definition may go on for long.
    let words: Vec<String> = words(statement).take(24).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let concurrently = words.contains(&"CONCURRENTLY");
    match words.as_slice() {
        ["VACUUM", ..] | ["ALTER", "SYSTEM", ..] | ["DISCARD", "ALL"] => true,
        ["CREATE" | "DROP", "DATABASE" | "TABLESPACE", ..] => true,
        ["CREATE", "SUBSCRIPTION", ..] | ["CLUSTER"] | ["CLUSTER", "VERBOSE"] => true,
        ["CREATE", "INDEX", ..] | ["CREATE", "UNIQUE", "INDEX", ..] | ["DROP", "INDEX", ..] => {
            concurrently
        }
        ["ALTER", "TABLE", ..] => concurrently && words.contains(&"DETACH"),
        ["REINDEX", rest @ ..] => {
            let whole = |w: &&str| matches!(*w, "SCHEMA" | "DATABASE" | "SYSTEM");
            concurrently || rest.iter().any(whole)
        }
        _ => false,
    }
}

/// One transaction around all of a script.
pub(super) struct Wrapped {
    /// The bytes between its beginning and its end.
    pub inside: Range<usize>,
    /// Otherwise it is rolled back, as a verification does that leaves nothing behind.
    pub commits: bool,
}

/// `BEGIN … COMMIT` around all the other statements, where nothing but these two is said of
/// transactions.
pub(super) fn wrapped(sql: &str, statements: &[Range<usize>]) -> Option<Wrapped> {
    let [first, inner @ .., last] = statements else {
        return None;
    };
    let said = |of: &Range<usize>| words(&sql[of.clone()]).collect::<Vec<_>>();
    let begins = matches!(
        said(first).join(" ").as_str(),
        "BEGIN" | "BEGIN WORK" | "BEGIN TRANSACTION" | "START TRANSACTION"
    );
    let end = said(last);
    let (act, tail) = end.split_first()?;
    let commits = match act.as_str() {
        "COMMIT" | "END" => true,
        "ROLLBACK" | "ABORT" => false,
        _ => return None,
    };
    let plain = matches!(tail.join(" ").as_str(), "" | "WORK" | "TRANSACTION");
    let others = inner.iter().any(|s| ends_transaction(&sql[s.clone()]));
    (begins && plain && !others).then_some(Wrapped {
        inside: first.end..last.start,
        commits,
    })
}

/// Whether a statement begins or ends a transaction (going back to a savepoint does not).
pub(super) fn ends_transaction(statement: &str) -> bool {
    let mut words = words(statement);
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

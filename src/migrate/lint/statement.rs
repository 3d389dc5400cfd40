//! The statements of a script, as the rules look at them: where each begins and ends is what the
//! syntax tree says; what it does is read off its words, which are never inside of a string or a
//! comment.

use std::collections::HashMap;
use std::ops::Range;

use squawk_lexer::{LiteralKind, TokenKind, tokenize};
use squawk_syntax::ast::AstNode as _;
use squawk_syntax::{Parse, SourceFile, SyntaxNode};

/// What kind of word it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// A key word or a name without quotes.
    Bare,
    /// A name in double quotes.
    Quoted,
    /// A string of any kind.
    Text,
    Other,
}

/// A word, a number, a string or a sign.
#[derive(Debug, Clone, Copy)]
pub(super) struct Word<'a> {
    pub kind: Kind,
    pub text: &'a str,
    /// Where it begins.
    pub at: usize,
    /// How many parentheses it stands in.
    pub depth: usize,
}

impl Word<'_> {
    /// Whether it is this key word (in capitals) or sign.
    pub fn is(&self, word: &str) -> bool {
        matches!(self.kind, Kind::Bare | Kind::Other) && self.text.eq_ignore_ascii_case(word)
    }

    pub fn span(&self) -> Range<usize> {
        self.at..self.at + self.text.len()
    }
}

/// The words of `text`, which begins at the byte `base`.
pub(super) fn words(text: &str, base: usize) -> Vec<Word<'_>> {
    let mut found = Vec::new();
    let mut at = 0;
    let mut depth = 0_usize;
    for token in tokenize(text) {
        let end = at + token.len as usize;
        let kind = match token.kind {
            TokenKind::Whitespace
            | TokenKind::LineComment
            | TokenKind::BlockComment { .. }
            | TokenKind::Eof => None,
            TokenKind::Ident => Some(Kind::Bare),
            TokenKind::QuotedIdent { .. } => Some(Kind::Quoted),
            TokenKind::Literal { kind } => Some(match kind {
                LiteralKind::Int { .. } | LiteralKind::Numeric { .. } => Kind::Other,
                LiteralKind::Str { .. }
                | LiteralKind::NationalStr { .. }
                | LiteralKind::ByteStr { .. }
                | LiteralKind::BitStr { .. }
                | LiteralKind::DollarQuotedString { .. }
                | LiteralKind::UnicodeEscStr { .. }
                | LiteralKind::EscStr { .. } => Kind::Text,
            }),
            _ => Some(Kind::Other),
        };
        if token.kind == TokenKind::CloseParen {
            depth = depth.saturating_sub(1);
        }
        if let Some(kind) = kind {
            found.push(Word {
                kind,
                text: &text[at..end],
                at: base + at,
                depth,
            });
        }
        if token.kind == TokenKind::OpenParen {
            depth += 1;
        }
        at = end;
    }
    found
}

/// The name of a table or something like it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Name {
    schema: Option<String>,
    name: String,
    /// As the script writes it.
    pub written: String,
}

impl Name {
    /// Whether both may mean the same: a name without a schema means one of the search path.
    pub fn may_be(&self, other: &Name) -> bool {
        self.name == other.name
            && match (&self.schema, &other.schema) {
                (Some(a), Some(b)) => a == b,
                (Some(_), None) | (None, _) => true,
            }
    }

    /// The schema as the script writes it.
    pub fn written_schema(&self) -> Option<&str> {
        self.schema.as_ref()?;
        self.written.rsplit_once('.').map(|(schema, _)| schema)
    }
}

/// What a bare or quoted word means as a name.
fn plain(word: &Word<'_>) -> Option<String> {
    match word.kind {
        Kind::Bare => Some(word.text.to_lowercase()),
        Kind::Quoted => {
            let inside = word.text.strip_prefix('"')?.strip_suffix('"')?;
            Some(inside.replace("\"\"", "\""))
        }
        Kind::Text | Kind::Other => None,
    }
}

/// Reads words one after the other.
#[derive(Debug, Clone)]
pub(super) struct Cursor<'w, 'a> {
    pub words: &'w [Word<'a>],
    pub at: usize,
}

impl<'w, 'a> Cursor<'w, 'a> {
    pub fn new(words: &'w [Word<'a>]) -> Self {
        Self { words, at: 0 }
    }

    pub fn peek(&self) -> Option<&'w Word<'a>> {
        self.words.get(self.at)
    }

    /// Goes on behind `word` (several with blanks between) if that is what comes next.
    pub fn eat(&mut self, word: &str) -> bool {
        let mut at = self.at;
        for part in word.split(' ') {
            if !self.words.get(at).is_some_and(|w| w.is(part)) {
                return false;
            }
            at += 1;
        }
        self.at = at;
        true
    }

    /// As [`Self::eat`], the first that fits.
    pub fn eat_any(&mut self, words: &[&str]) -> bool {
        words.iter().any(|word| self.eat(word))
    }

    /// What is left.
    pub fn rest(&self) -> &'w [Word<'a>] {
        &self.words[self.at.min(self.words.len())..]
    }

    /// A name with as many parts as it has.
    pub fn name(&mut self) -> Option<Name> {
        let first = self.peek()?;
        let mut parts = vec![plain(first)?];
        let mut written = first.text.to_owned();
        self.at += 1;
        while let [dot, part, ..] = self.rest()
            && dot.is(".")
            && let Some(name) = plain(part)
        {
            written = format!("{written}.{}", part.text);
            parts.push(name);
            self.at += 2;
        }
        let name = parts.pop()?;
        Some(Name {
            schema: parts.pop(),
            name,
            written,
        })
    }
}

/// One statement.
#[derive(Debug)]
pub(super) struct Statement<'a> {
    /// For the ones inside of it.
    pub node: SyntaxNode,
    /// Without the semicolon.
    pub words: Vec<Word<'a>>,
    /// The table, view or index that it is about.
    pub target: Option<Name>,
    /// The parser did not make sense of it: no rule of ours looks at it.
    pub broken: bool,
}

impl<'a> Statement<'a> {
    pub fn cursor(&self) -> Cursor<'_, 'a> {
        Cursor::new(&self.words)
    }

    /// Whether it begins with these words.
    pub fn begins(&self, words: &str) -> bool {
        self.cursor().eat(words)
    }

    pub fn start(&self) -> usize {
        self.words.first().map_or(0, |w| w.at)
    }

    pub fn span(&self) -> Range<usize> {
        self.start()..self.words.last().map_or(0, |w| w.span().end)
    }

    /// Whether one of its words outside of parentheses is this one.
    pub fn has(&self, word: &str) -> bool {
        self.words.iter().any(|w| w.depth == 0 && w.is(word))
    }

    /// The actions of an ALTER TABLE; none of anything else.
    pub fn actions(&self) -> Vec<&[Word<'a>]> {
        let mut cursor = self.cursor();
        if !cursor.eat("ALTER TABLE") {
            return Vec::new();
        }
        cursor.eat("IF EXISTS");
        cursor.eat("ONLY");
        if cursor.name().is_none() {
            return Vec::new();
        }
        cursor.eat("*");
        cursor
            .rest()
            .split(|w| w.depth == 0 && w.is(","))
            .filter(|action| !action.is_empty())
            .collect()
    }
}

/// A script, taken apart.
#[derive(Debug)]
pub(super) struct Statements<'a> {
    pub all: Vec<Statement<'a>>,
    /// Tables and views that it makes, by their names without a schema, each with the number of the
    /// statement.
    made: HashMap<String, Vec<(Name, usize)>>,
}

impl<'a> Statements<'a> {
    pub fn of(sql: &'a str, parse: &Parse<SourceFile>, errors: &[Range<usize>]) -> Self {
        let mut all = Vec::new();
        let mut made: HashMap<String, Vec<(Name, usize)>> = HashMap::new();
        for statement in parse.tree().stmts() {
            let node = statement.syntax().clone();
            let range: Range<usize> = node.text_range().into();
            let mut words = words(&sql[range.clone()], range.start);
            while words.last().is_some_and(|w| w.is(";")) {
                words.pop();
            }
            if words.is_empty() {
                continue;
            }
            let broken = errors
                .iter()
                .any(|e| e.start <= range.end && range.start <= e.end);
            if let Some(name) = makes(&words) {
                made.entry(name.name.clone())
                    .or_default()
                    .push((name, all.len()));
            }
            all.push(Statement {
                node,
                target: target(&words),
                words,
                broken,
            });
        }
        Self { all, made }
    }

    /// Whether an earlier statement of the script than `index` made it: nobody waits for it, and it
    /// holds no row of old.
    pub fn made_before(&self, name: &Name, index: usize) -> bool {
        let made = self.made.get(&name.name);
        made.is_some_and(|made| made.iter().any(|(n, i)| *i < index && n.may_be(name)))
    }

    /// The statement that the byte `at` belongs to.
    pub fn at(&self, at: usize) -> Option<(usize, &Statement<'a>)> {
        let index = self
            .all
            .partition_point(|s| s.start() <= at)
            .checked_sub(1)?;
        Some((index, &self.all[index]))
    }
}

/// What a statement is about.
fn target(words: &[Word<'_>]) -> Option<Name> {
    let mut cursor = Cursor::new(words);
    if cursor.eat("CREATE") {
        if let Some(name) = makes(words) {
            return Some(name);
        }
        cursor.eat("UNIQUE");
        if !cursor.eat("INDEX") {
            return None;
        }
        let on = words.iter().position(|w| w.depth == 0 && w.is("ON"))?;
        cursor.at = on + 1;
        cursor.eat("ONLY");
        return cursor.name();
    }
    if cursor.eat_any(&["ALTER", "DROP"]) {
        let known = [
            "TABLE",
            "FOREIGN TABLE",
            "MATERIALIZED VIEW",
            "VIEW",
            "INDEX",
            "TYPE",
            "DOMAIN",
            "SCHEMA",
            "SEQUENCE",
        ];
        if !cursor.eat_any(&known) {
            return None;
        }
        cursor.eat("CONCURRENTLY");
        cursor.eat("IF EXISTS");
        cursor.eat("ONLY");
        return cursor.name();
    }
    if cursor.eat("REFRESH MATERIALIZED VIEW") {
        cursor.eat("CONCURRENTLY");
        return cursor.name();
    }
    if cursor.eat("REINDEX") {
        skip_parentheses(&mut cursor);
        cursor.eat_any(&["INDEX", "TABLE"]);
        cursor.eat("CONCURRENTLY");
        return cursor.name();
    }
    if cursor.eat_any(&["VACUUM", "CLUSTER"]) {
        skip_parentheses(&mut cursor);
        while cursor.eat_any(&["FULL", "FREEZE", "VERBOSE", "ANALYZE"]) {}
        return cursor.name();
    }
    if cursor.eat_any(&["TRUNCATE TABLE", "TRUNCATE", "LOCK TABLE", "LOCK"]) {
        cursor.eat("ONLY");
        return cursor.name();
    }
    None
}

pub(super) fn skip_parentheses(cursor: &mut Cursor<'_, '_>) {
    if !cursor.peek().is_some_and(|w| w.is("(")) {
        return;
    }
    let depth = cursor.peek().map_or(0, |w| w.depth);
    while let Some(word) = cursor.peek() {
        cursor.at += 1;
        if word.depth == depth && word.is(")") {
            return;
        }
    }
}

/// The table or materialized view that a statement makes, or the new name that it gives to one.
fn makes(words: &[Word<'_>]) -> Option<Name> {
    let mut cursor = Cursor::new(words);
    if cursor.eat("CREATE") {
        while cursor.eat_any(&[
            "GLOBAL",
            "LOCAL",
            "TEMPORARY",
            "TEMP",
            "UNLOGGED",
            "FOREIGN",
        ]) {}
        if !cursor.eat_any(&["TABLE", "MATERIALIZED VIEW"]) {
            return None;
        }
        cursor.eat("IF NOT EXISTS");
        return cursor.name();
    }
    if words.first()?.is("SELECT") {
        let into = words.iter().position(|w| w.depth == 0 && w.is("INTO"))?;
        cursor.at = into + 1;
        while cursor.eat_any(&["TEMPORARY", "TEMP", "UNLOGGED", "TABLE"]) {}
        return cursor.name();
    }
    None
}

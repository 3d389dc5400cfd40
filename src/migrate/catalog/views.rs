//! The text of a view, as every version of Postgres from 15 on would write it.
//!
//! Before 16 the tables of a view had two hidden companions (`OLD` and `NEW`), and so the columns of
//! one that reads a single table were written with that table's name, and are not from 16 on.

use std::ops::Range;

use squawk_lexer::{TokenKind, tokenize};

struct Token<'a> {
    text: &'a str,
    span: Range<usize>,
    kind: TokenKind,
}

impl Token<'_> {
    fn is(&self, word: &str) -> bool {
        self.kind == TokenKind::Ident && self.text.eq_ignore_ascii_case(word)
    }
}

/// Without the name of the table before its columns, where it is the only one that is read.
pub(super) fn plain(definition: &str) -> String {
    let tokens = tokens(definition);
    let scopes = scopes(&tokens);
    let Some(only) = only_table(&tokens, &scopes) else {
        return definition.to_owned();
    };
    let mut text = String::with_capacity(definition.len());
    let mut done = 0;
    for (n, three) in tokens.windows(3).enumerate() {
        let [name, dot, column] = three else { continue };
        let before = n.checked_sub(1).map(|before| tokens[before].kind);
        let after = tokens.get(n + 3).map(|after| after.kind);
        // A schema may have the same name: that of a type stands behind `::`, that of a function
        // before its arguments.
        let of_schema = before == Some(TokenKind::Colon) || after == Some(TokenKind::OpenParen);
        let qualifies = scopes[n] == Scope::Own
            && name.text == only
            && dot.kind == TokenKind::Dot
            && column.kind != TokenKind::Star
            && before != Some(TokenKind::Dot)
            && !of_schema;
        if qualifies {
            text.push_str(&definition[done..name.span.start]);
            done = column.span.start;
        }
    }
    text + &definition[done..]
}

/// What is no blank and no comment.
fn tokens(sql: &str) -> Vec<Token<'_>> {
    let mut at = 0;
    let mut found = Vec::new();
    for token in tokenize(sql) {
        let span = at..at + token.len as usize;
        at = span.end;
        match token.kind {
            TokenKind::Whitespace | TokenKind::LineComment | TokenKind::BlockComment { .. } => {}
            kind => found.push(Token {
                text: &sql[span.clone()],
                span,
                kind,
            }),
        }
    }
    found
}

/// Which query a token belongs to.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Scope {
    /// The view's own, outside of all brackets or within those of an expression.
    Own,
    /// One within brackets, or a CTE.
    Inner,
}

fn scopes(tokens: &[Token]) -> Vec<Scope> {
    let mut open: Vec<Scope> = Vec::new();
    let mut scopes = Vec::with_capacity(tokens.len());
    for (n, token) in tokens.iter().enumerate() {
        let now = open.last().copied().unwrap_or(Scope::Own);
        match token.kind {
            TokenKind::OpenParen => {
                let begins = tokens.get(n + 1).is_some_and(|next| {
                    ["SELECT", "WITH", "VALUES"]
                        .iter()
                        .any(|word| next.is(word))
                });
                open.push(if begins { Scope::Inner } else { now });
            }
            TokenKind::CloseParen => {
                open.pop();
            }
            _ => {}
        }
        scopes.push(now);
    }
    scopes
}

/// The name under which the view's own query knows what it reads, if that is one thing alone.
fn only_table<'a>(tokens: &[Token<'a>], scopes: &[Scope]) -> Option<&'a str> {
    let mut depth = 0_i32;
    let mut own = Vec::new();
    for (token, scope) in tokens.iter().zip(scopes) {
        match token.kind {
            TokenKind::OpenParen => depth += 1,
            TokenKind::CloseParen => depth -= 1,
            _ if depth == 0 && *scope == Scope::Own => own.push(token),
            _ => {}
        }
    }
    let ends = ["UNION", "INTERSECT", "EXCEPT", "JOIN"];
    if own
        .iter()
        .any(|token| ends.iter().any(|word| token.is(word)))
    {
        return None;
    }
    let mut froms = own.iter().enumerate().filter(|(_, token)| token.is("FROM"));
    let (from, _) = froms.next()?;
    if froms.next().is_some() {
        return None;
    }
    let clauses = [
        "WHERE", "GROUP", "HAVING", "WINDOW", "ORDER", "LIMIT", "OFFSET", "FETCH", "FOR",
    ];
    let read = own[from + 1..].iter().take_while(|token| {
        token.kind != TokenKind::Semi && !clauses.iter().any(|word| token.is(word))
    });
    let read: Vec<_> = read.collect();
    if read.iter().any(|token| token.kind == TokenKind::Comma) {
        return None;
    }
    // `schema.table`, `schema.table alias`: the last name counts.
    read.last()
        .filter(|token| matches!(token.kind, TokenKind::Ident | TokenKind::QuotedIdent { .. }))
        .map(|token| token.text)
}

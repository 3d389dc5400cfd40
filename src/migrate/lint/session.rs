//! Rules about transactions, and about what a migration leaves behind in its session.

use std::collections::HashMap;

use super::own::same_case;
use super::statement::{Cursor, Kind, Statement, Statements, Word, skip_parentheses, words};
use super::{Looked, Seen};
use crate::migrate::finding::Edit;

/// For each statement, whether a transaction is open around it.
pub(super) fn transactions(open: bool, statements: &Statements<'_>) -> Vec<bool> {
    let mut open = open;
    statements
        .all
        .iter()
        .map(|statement| {
            let around = open;
            if statement.begins("BEGIN") || statement.begins("START TRANSACTION") {
                open = true;
            } else if ends_transaction(statement) {
                open = false;
            }
            around
        })
        .collect()
}

fn ends_transaction(statement: &Statement<'_>) -> bool {
    let mut cursor = statement.cursor();
    let ends = cursor.eat_any(&["COMMIT", "END", "ROLLBACK", "ABORT", "PREPARE TRANSACTION"]);
    ends && !statement.has("TO") && !statement.has("PREPARED")
}

/// Runs the rules of this file.
pub(super) fn look(script: &Looked<'_>, seen: &mut Vec<Seen>) {
    for (index, statement) in script.statements.all.iter().enumerate() {
        if statement.broken {
            continue;
        }
        if script.in_transaction(index) {
            refused(statement, seen);
            commits(script, index, statement, seen);
            enum_value(script, index, statement, seen);
        }
        left_set(script, index, statement, seen);
        configured(script, index, statement, seen);
    }
    alone(script, seen);
}

/// What Postgres refuses inside of a transaction, as it is told; none of anything else.
fn refused_in_transaction(statement: &Statement<'_>) -> Option<String> {
    let mut cursor = statement.cursor();
    if cursor.eat_any(&["CREATE UNIQUE INDEX", "CREATE INDEX"]) {
        return None;
    }
    if cursor.eat("DROP INDEX CONCURRENTLY") {
        return Some("DROP INDEX CONCURRENTLY".to_owned());
    }
    if cursor.eat("REINDEX") {
        if reindexes_concurrently(statement) {
            return Some("REINDEX CONCURRENTLY".to_owned());
        }
        skip_parentheses(&mut cursor);
        let many = ["DATABASE", "SYSTEM", "SCHEMA"];
        let what = many.into_iter().find(|what| cursor.clone().eat(what))?;
        return Some(format!("REINDEX {what}"));
    }
    if detaches_concurrently(statement) {
        return Some("DETACH PARTITION CONCURRENTLY".to_owned());
    }
    if statement.begins("ALTER DATABASE") && statement.has("TABLESPACE") {
        return Some("ALTER DATABASE SET TABLESPACE".to_owned());
    }
    // Without a table it means all of them, each in a transaction of its own.
    if statement.begins("CLUSTER") {
        return statement.target.is_none().then(|| "CLUSTER".to_owned());
    }
    let whole = [
        "VACUUM",
        "CREATE DATABASE",
        "DROP DATABASE",
        "CREATE TABLESPACE",
        "DROP TABLESPACE",
        "ALTER SYSTEM",
        "DISCARD ALL",
    ];
    whole
        .into_iter()
        .find(|words| statement.begins(words))
        .map(str::to_owned)
}

fn reindexes_concurrently(statement: &Statement<'_>) -> bool {
    statement.begins("REINDEX") && statement.words.iter().any(|w| w.is("CONCURRENTLY"))
}

fn detaches_concurrently(statement: &Statement<'_>) -> bool {
    statement.begins("ALTER TABLE") && statement.has("DETACH") && statement.has("CONCURRENTLY")
}

/// The word CONCURRENTLY of a `CREATE INDEX CONCURRENTLY`.
fn builds_concurrently<'w, 'a>(statement: &'w Statement<'a>) -> Option<&'w Word<'a>> {
    let mut cursor = statement.cursor();
    let creates = cursor.eat_any(&["CREATE UNIQUE INDEX", "CREATE INDEX"]);
    cursor
        .peek()
        .filter(|word| creates && word.is("CONCURRENTLY"))
}

fn refused(statement: &Statement<'_>, seen: &mut Vec<Seen>) {
    if let Some(concurrently) = builds_concurrently(statement) {
        seen.push(
            Seen::new(
                "ban-concurrent-index-creation-in-transaction",
                concurrently.span(),
            )
            .of(statement.target.as_ref()),
        );
    } else if let Some(what) = refused_in_transaction(statement) {
        seen.push(Seen::new("cannot-run-in-transaction", statement.span()).named(what));
    }
}

/// One that runs CONCURRENTLY among others, in a file without a transaction.
fn alone(script: &Looked<'_>, seen: &mut Vec<Seen>) {
    if script.transaction {
        return;
    }
    let all = &script.statements.all;
    for statement in all {
        if statement.broken || builds_concurrently(statement).is_none() {
            continue;
        }
        // Clearing away what a failed attempt left belongs to it, and so do its own settings.
        let others = all
            .iter()
            .filter(|other| !std::ptr::eq(*other, statement))
            .any(|other| {
                !(other.begins("DROP INDEX CONCURRENTLY")
                    || other.begins("SET")
                    || other.begins("RESET"))
            });
        if others {
            let found = Seen::new("concurrently-with-others", statement.span());
            seen.push(found.of(statement.target.as_ref()));
            return;
        }
    }
}

/// A DO block that commits, and a CALL of a procedure of this script that does.
fn commits(script: &Looked<'_>, index: usize, statement: &Statement<'_>, seen: &mut Vec<Seen>) {
    if statement.begins("DO") && body(statement).is_some_and(commits_inside) {
        seen.push(Seen::new("commits-in-transaction", statement.span()).named("this DO block"));
    }
    let mut cursor = statement.cursor();
    if !cursor.eat("CALL") {
        return;
    }
    let Some(called) = cursor.name() else {
        return;
    };
    let commits = script.statements.all[..index].iter().any(|made| {
        let mut cursor = made.cursor();
        cursor.eat("CREATE");
        cursor.eat("OR REPLACE");
        cursor.eat("PROCEDURE")
            && cursor.name().is_some_and(|name| name.may_be(&called))
            && body(made).is_some_and(commits_inside)
    });
    if commits {
        let what = format!("the procedure `{}`", called.written);
        seen.push(Seen::new("commits-in-transaction", statement.span()).named(what));
    }
}

/// The text of a body in dollar quotes or quotes, without them.
fn body<'a>(statement: &Statement<'a>) -> Option<&'a str> {
    let texts = statement.words.iter().filter(|w| w.kind == Kind::Text);
    let text = texts.map(|w| w.text).max_by_key(|text| text.len())?;
    if let Some(behind) = text.strip_prefix('$') {
        let tag = behind.find('$')? + 2;
        return text.get(tag..text.len().checked_sub(tag)?);
    }
    text.get(1..text.len().checked_sub(1)?)
}

/// Whether a statement of a PL/pgSQL body is COMMIT or ROLLBACK.
fn commits_inside(body: &str) -> bool {
    let words = words(body, 0);
    words.iter().enumerate().any(|(at, word)| {
        let begins = at.checked_sub(1).is_none_or(|before| {
            [";", "BEGIN", "THEN", "ELSE", "LOOP", ">"]
                .iter()
                .any(|w| words[before].is(w))
        });
        let ends = words
            .get(at + 1)
            .is_none_or(|after| after.is(";") || after.is("AND") || after.is("WORK"));
        begins && ends && (word.is("COMMIT") || word.is("ROLLBACK"))
    })
}

/// A value that ALTER TYPE adds, and that a later statement of the same transaction uses.
fn enum_value(script: &Looked<'_>, index: usize, statement: &Statement<'_>, seen: &mut Vec<Seen>) {
    if !statement.begins("ALTER TYPE") {
        return;
    }
    let mut cursor = statement.cursor();
    let Some(add) = statement
        .words
        .windows(2)
        .position(|w| w[0].is("ADD") && w[1].is("VALUE"))
    else {
        return;
    };
    cursor.at = add + 2;
    cursor.eat("IF NOT EXISTS");
    let Some(value) = cursor.peek().filter(|w| w.kind == Kind::Text) else {
        return;
    };
    // Where the type itself is new, Postgres allows it.
    let made_here = script.statements.all[..index].iter().any(|s| {
        let mut cursor = s.cursor();
        let made = cursor.eat("CREATE TYPE").then(|| cursor.name()).flatten();
        match (made, &statement.target) {
            (Some(made), Some(target)) => made.may_be(target),
            (Some(_), None) | (None, _) => false,
        }
    });
    if made_here {
        return;
    }
    let later = script.statements.all.iter().enumerate().skip(index + 1);
    for (_, later) in later.take_while(|(i, _)| script.in_transaction(*i)) {
        // Another value of the same name, a comment, or a body that runs later.
        let harmless = [
            "ALTER TYPE",
            "COMMENT",
            "CREATE FUNCTION",
            "CREATE OR REPLACE",
        ];
        if harmless.iter().any(|words| later.begins(words)) {
            continue;
        }
        let uses = later
            .words
            .iter()
            .find(|w| w.kind == Kind::Text && w.text == value.text);
        if let Some(uses) = uses {
            let found = Seen::new("enum-value-used-in-transaction", uses.span());
            seen.push(found.named(value.text));
            return;
        }
    }
}

/// What a SET sets.
struct Set<'w, 'a> {
    /// In lower case, under the name that RESET knows.
    variable: String,
    local: bool,
    /// The word SESSION, where it stands there.
    session: Option<&'w Word<'a>>,
    value: &'w [Word<'a>],
}

/// Reads a SET; none of those that end with their transaction.
fn set<'w, 'a>(statement: &'w Statement<'a>) -> Option<Set<'w, 'a>> {
    let mut cursor: Cursor<'w, 'a> = statement.cursor();
    if !cursor.eat("SET") {
        return None;
    }
    let mut found = Set {
        variable: String::new(),
        local: false,
        session: None,
        value: &[],
    };
    if !cursor.rest().get(1).is_some_and(|w| {
        // SET SESSION AUTHORIZATION and CHARACTERISTICS are names of their own.
        ["AUTHORIZATION", "CHARACTERISTICS"].iter().any(|n| w.is(n))
    }) {
        found.session = cursor.peek().filter(|w| w.is("SESSION"));
        found.local = cursor.eat("LOCAL");
        cursor.eat("SESSION");
    }
    if cursor.eat_any(&["TRANSACTION", "CONSTRAINTS"]) {
        return None;
    }
    let special = [
        ("SESSION AUTHORIZATION", "session_authorization"),
        ("SESSION CHARACTERISTICS", "default_transaction_isolation"),
        ("TIME ZONE", "timezone"),
        ("ROLE", "role"),
        ("SCHEMA", "search_path"),
        ("NAMES", "client_encoding"),
    ];
    found.variable = match special.into_iter().find(|(words, _)| cursor.eat(words)) {
        Some((_, name)) => name.to_owned(),
        None => cursor.name()?.written.to_lowercase(),
    };
    cursor.eat_any(&["TO", "=", "AS TRANSACTION"]);
    found.value = cursor.rest();
    Some(found)
}

/// Where variables are put back: the last statement that does it, for each.
#[derive(Debug, Default)]
pub(super) struct Resets {
    one: HashMap<String, usize>,
    /// RESET ALL leaves the role as it is.
    all_but_role: Option<usize>,
    all: Option<usize>,
}

impl Resets {
    pub fn of(statements: &Statements<'_>) -> Self {
        let mut found = Self::default();
        for (index, statement) in statements.all.iter().enumerate() {
            let mut cursor = statement.cursor();
            if cursor.eat("DISCARD ALL") {
                found.all = Some(index);
            } else if cursor.eat("RESET ALL") {
                found.all_but_role = Some(index);
            } else if cursor.eat("RESET SESSION AUTHORIZATION") {
                found.one.insert("session_authorization".to_owned(), index);
            } else if cursor.eat("RESET TIME ZONE") {
                found.one.insert("timezone".to_owned(), index);
            } else if cursor.eat("RESET") {
                let name = cursor.name().map(|n| n.written.to_lowercase());
                found.one.extend(name.map(|name| (name, index)));
            } else if let Some(set) = set(statement)
                && !set.local
                && is_default(set.value)
            {
                found.one.insert(set.variable, index);
            }
        }
        found
    }

    /// Whether a statement after `index` puts the variable back.
    fn after(&self, index: usize, variable: &str) -> bool {
        let mine = self.one.get(variable).copied();
        let all = self.all_but_role.filter(|_| variable != "role");
        [mine, all, self.all]
            .into_iter()
            .flatten()
            .any(|at| at > index)
    }
}

fn is_default(value: &[Word<'_>]) -> bool {
    matches!(value, [one] if one.is("DEFAULT") || one.is("NONE") || one.is("LOCAL"))
}

/// SET without LOCAL, and a lock_timeout that is switched off.
fn left_set(script: &Looked<'_>, index: usize, statement: &Statement<'_>, seen: &mut Vec<Seen>) {
    let Some(set) = set(statement) else {
        return;
    };
    let off = matches!(set.value, [zero] if matches!(zero.text, "0" | "'0'"));
    if off && set.variable == "lock_timeout" {
        seen.push(Seen::new("lock-timeout-off", statement.span()));
        return;
    }
    if set.local || is_default(set.value) || script.resets.after(index, &set.variable) {
        return;
    }
    let found = Seen::new("leaks-session-state", statement.span());
    let found = found.named(format!("`{}`", set.variable));
    let word = &statement.words[0];
    let settable = !["session_authorization", "default_transaction_isolation"]
        .contains(&set.variable.as_str());
    seen.push(if script.in_transaction(index) && settable {
        let local = same_case(word.text, "local");
        let edit = match set.session {
            Some(session) => Edit {
                span: session.span(),
                text: local,
            },
            None => Edit {
                span: word.span().end..word.span().end,
                text: format!(" {local}"),
            },
        };
        found.fix("Let it end with the transaction", vec![edit])
    } else {
        found
    });
}

/// `set_config('search_path', '', false)`, which is how a dump sets it.
fn configured(script: &Looked<'_>, index: usize, statement: &Statement<'_>, seen: &mut Vec<Seen>) {
    if !statement.begins("SELECT") {
        return;
    }
    let words = &statement.words;
    for (at, pair) in words.windows(2).enumerate() {
        if !(pair[0].is("SET_CONFIG") && pair[1].is("(")) {
            continue;
        }
        let depth = pair[1].depth;
        let inside = &words[at + 2..];
        let end = inside
            .iter()
            .position(|w| w.depth == depth && w.is(")"))
            .unwrap_or(inside.len());
        let arguments: Vec<&[Word<'_>]> = inside[..end]
            .split(|w| w.depth == depth + 1 && w.is(","))
            .collect();
        let [[name], _, [lasts]] = arguments.as_slice() else {
            continue;
        };
        let variable = name.text.trim_matches('\'').to_lowercase();
        if !lasts.is("FALSE") || script.resets.after(index, &variable) {
            continue;
        }
        let closing = inside.get(end).unwrap_or(lasts);
        let found = Seen::new("leaks-session-state", pair[0].at..closing.span().end);
        let found = found.named(format!("`{variable}`"));
        seen.push(if script.in_transaction(index) {
            let edit = Edit {
                span: lasts.span(),
                text: same_case(lasts.text, "true"),
            };
            found.fix("Let it end with the transaction", vec![edit])
        } else {
            found
        });
    }
}

//! Rules of our own where squawk has none: what locks, rewrites, loses or breaks. Those about
//! transactions and the session are in `session`.

use squawk_syntax::ast::{self, AstNode as _};

use super::rules::{Rule, Setting};
use super::squawk::is_serial;
use super::statement::{Cursor, Kind, Name, Statement, Word, words};
use super::{Looked, Seen};
use crate::migrate::finding::Edit;

use Setting::{Error, Warning};

const fn rule(name: &'static str, default: Setting) -> Rule {
    Rule {
        name,
        default,
        because: "",
    }
}

/// Our own rules. An error is what stops a service, fails or loses something.
pub(super) const RULES: &[Rule] = &[
    rule("update-without-where", Error),
    rule("delete-without-where", Error),
    rule("truncate-table", Error),
    rule("drop-cascade", Error),
    rule("adding-serial-column", Error),
    rule("rewrites-table", Error),
    rule("require-concurrent-refresh", Error),
    rule("create-partition-of", Warning),
    rule("explicit-table-lock", Warning),
    rule("disables-triggers", Warning),
    rule("disables-row-security", Error),
    rule("prefer-jsonb", Warning),
    rule("concurrently-if-not-exists", Error),
    rule("concurrently-with-others", Warning),
    rule("cannot-run-in-transaction", Error),
    rule("commits-in-transaction", Error),
    rule("enum-value-used-in-transaction", Error),
    rule("leaks-session-state", Warning),
    rule("lock-timeout-off", Error),
    rule("syntax-error", Error),
    rule("not-linted", Error),
];

/// Runs the rules of this file.
pub(super) fn look(script: &Looked<'_>, seen: &mut Vec<Seen>) {
    for (index, statement) in script.statements.all.iter().enumerate() {
        if statement.broken {
            continue;
        }
        let at = At {
            script,
            index,
            statement,
        };
        whole_tables(&at, seen);
        stops(&at, seen);
        cascades(&at, seen);
        for action in statement.actions() {
            altered(&at, action, seen);
        }
        for (word, name) in typed(statement) {
            if name.is("JSON") {
                let edit = Edit {
                    span: name.span(),
                    text: same_case(name.text, "jsonb"),
                };
                seen.push(
                    Seen::new("prefer-jsonb", word.at..name.span().end)
                        .fix("Use jsonb", vec![edit]),
                );
            }
        }
    }
}

/// A statement and where it stands.
struct At<'a, 's> {
    script: &'a Looked<'a>,
    index: usize,
    statement: &'a Statement<'s>,
}

impl At<'_, '_> {
    /// Whether it is about something that this script made before.
    fn made_here(&self, name: &Name) -> bool {
        self.script.statements.made_before(name, self.index)
    }

    fn target_is_made_here(&self) -> bool {
        let target = self.statement.target.as_ref();
        target.is_some_and(|name| self.made_here(name))
    }

    fn seen(&self, rule: &'static str) -> Seen {
        Seen::new(rule, self.statement.span()).of(self.statement.target.as_ref())
    }
}

/// `text` in capitals where `like` is.
pub(super) fn same_case(like: &str, text: &str) -> String {
    if like.chars().any(char::is_lowercase) {
        text.to_lowercase()
    } else {
        text.to_uppercase()
    }
}

/// UPDATE and DELETE without WHERE, wherever they stand, and TRUNCATE.
fn whole_tables(at: &At<'_, '_>, seen: &mut Vec<Seen>) {
    let statement = at.statement;
    // A function or rule that is only made removes nothing yet.
    if !statement.begins("CREATE") {
        for node in statement.node.descendants() {
            let (word, rule) = if ast::Update::can_cast(node.kind()) {
                ("UPDATE", "update-without-where")
            } else if ast::Delete::can_cast(node.kind()) {
                ("DELETE", "delete-without-where")
            } else {
                continue;
            };
            let range: std::ops::Range<usize> = node.text_range().into();
            let inside = words(&at.script.sql[range.clone()], range.start);
            let top = |w: &Word<'_>, word: &str| w.depth == 0 && w.is(word);
            let Some(start) = inside.iter().position(|w| top(w, word)) else {
                continue;
            };
            let inside = &inside[start..];
            let mut cursor = Cursor::new(inside);
            cursor.eat(word);
            cursor.eat("FROM");
            cursor.eat("ONLY");
            let table = cursor.name();
            let all = !inside.iter().any(|w| top(w, "WHERE"));
            if all && !table.as_ref().is_some_and(|t| at.made_here(t)) {
                let end = inside
                    .iter()
                    .rfind(|w| !w.is(";"))
                    .map_or(range.end, |w| w.span().end);
                let start = inside.first().map_or(range.start, |w| w.at);
                seen.push(Seen::new(rule, start..end).of(table.as_ref()));
            }
        }
    }
    if statement.begins("TRUNCATE") && !statement.has("CASCADE") && !at.target_is_made_here() {
        seen.push(at.seen("truncate-table"));
    }
}

/// What stops a table or a view, and CREATE INDEX CONCURRENTLY IF NOT EXISTS.
fn stops(at: &At<'_, '_>, seen: &mut Vec<Seen>) {
    let statement = at.statement;
    let mut cursor = statement.cursor();
    if cursor.eat("REFRESH MATERIALIZED VIEW") {
        let concurrent = cursor.eat("CONCURRENTLY");
        let empties = statement
            .words
            .windows(3)
            .any(|w| w[0].is("WITH") && w[1].is("NO") && w[2].is("DATA"));
        if !concurrent && !empties && !at.target_is_made_here() {
            let view = &statement.words[2];
            let edit = Edit {
                span: view.span().end..view.span().end,
                text: format!(" {}", same_case(view.text, "concurrently")),
            };
            let found = at.seen("require-concurrent-refresh");
            seen.push(found.fix("Add CONCURRENTLY", vec![edit]));
        }
    }
    let rewrites = if statement.begins("CLUSTER") {
        Some("CLUSTER")
    } else {
        is_vacuum_full(statement).then_some("VACUUM FULL")
    };
    // squawk says it of the versions that have REPACK.
    let has_repack = at.script.postgres.is_some_and(|major| major >= 19);
    if let Some(what) = rewrites
        && !has_repack
        && !at.target_is_made_here()
    {
        seen.push(at.seen("rewrites-table").named(what));
    }
    if let Some(mode) = lock_mode(statement)
        && !at.target_is_made_here()
    {
        seen.push(at.seen("explicit-table-lock").named(mode));
    }
    if let Some(parent) = partition_of(statement)
        && !at.made_here(&parent)
    {
        let child = statement.target.as_ref().map(|c| c.written.clone());
        seen.push(
            Seen::new("create-partition-of", statement.span())
                .of(Some(&parent))
                .named(child.unwrap_or_default()),
        );
    }
    if_not_exists(at, seen);
}

/// `VACUUM FULL t`, `VACUUM (FULL, ANALYZE) t`.
fn is_vacuum_full(statement: &Statement<'_>) -> bool {
    let mut cursor = statement.cursor();
    if !cursor.eat("VACUUM") {
        return false;
    }
    let old = cursor.eat("FULL");
    let has_options = cursor.peek().is_some_and(|w| w.is("("));
    let among_them = |w: &Word<'_>| w.depth == 1 && w.is("FULL");
    old || has_options && statement.words.iter().any(among_them)
}

/// The mode of a LOCK that readers or writers wait for.
fn lock_mode(statement: &Statement<'_>) -> Option<String> {
    if !statement.begins("LOCK") {
        return None;
    }
    let words = &statement.words;
    let Some(start) = words.iter().position(|w| w.is("IN")) else {
        return Some("ACCESS EXCLUSIVE".to_owned());
    };
    let mode: Vec<String> = words[start + 1..]
        .iter()
        .take_while(|w| !w.is("MODE"))
        .map(|w| w.text.to_uppercase())
        .collect();
    let mode = mode.join(" ");
    let harmless = ["ACCESS SHARE", "ROW SHARE", "ROW EXCLUSIVE"];
    (!harmless.contains(&&*mode)).then_some(mode)
}

/// The table that a `CREATE TABLE … PARTITION OF` is attached to.
fn partition_of(statement: &Statement<'_>) -> Option<Name> {
    if !statement.begins("CREATE") {
        return None;
    }
    let start = statement
        .words
        .windows(2)
        .position(|w| w[0].depth == 0 && w[0].is("PARTITION") && w[1].is("OF"))?;
    let mut cursor = statement.cursor();
    cursor.at = start + 2;
    cursor.name()
}

/// `CREATE INDEX CONCURRENTLY IF NOT EXISTS`, unless the script drops the index first.
fn if_not_exists(at: &At<'_, '_>, seen: &mut Vec<Seen>) {
    let statement = at.statement;
    let mut cursor = statement.cursor();
    if !(cursor.eat_any(&["CREATE UNIQUE INDEX", "CREATE INDEX"]) && cursor.eat("CONCURRENTLY")) {
        return;
    }
    let begin = cursor.at;
    if !cursor.eat("IF NOT EXISTS") {
        return;
    }
    let Some(index) = cursor.name() else {
        return;
    };
    let earlier = &at.script.statements.all[..at.index];
    let dropped = earlier.iter().any(|s| {
        s.begins("DROP INDEX") && s.target.as_ref().is_some_and(|name| name.may_be(&index))
    });
    if dropped {
        return;
    }
    // An index lies in the schema of its table.
    let schema = statement.target.as_ref().and_then(Name::written_schema);
    let full = match schema {
        Some(schema) => format!("{schema}.{}", index.written),
        None => index.written.clone(),
    };
    let found = at.seen("concurrently-if-not-exists").named(full.clone());
    let first = &statement.words[0];
    let words = [&statement.words[begin], &statement.words[begin + 3]];
    let drop = same_case(first.text, "drop index concurrently if exists");
    seen.push(found.fix(
        "Drop what a failed attempt left",
        vec![
            Edit {
                span: first.at..first.at,
                text: format!("{drop} {full};\n"),
            },
            Edit {
                span: words[0].at..words[1].at,
                text: String::new(),
            },
        ],
    ));
}

/// What takes more with it than it names.
fn cascades(at: &At<'_, '_>, seen: &mut Vec<Seen>) {
    let statement = at.statement;
    if statement.begins("DROP") && statement.has("CASCADE") && !at.target_is_made_here() {
        let cascade = statement.words.iter().rfind(|w| w.is("CASCADE"));
        seen.extend(cascade.map(|c| Seen::new("drop-cascade", c.span())));
    }
}

/// One action of an ALTER TABLE.
fn altered(at: &At<'_, '_>, action: &[Word<'_>], seen: &mut Vec<Seen>) {
    if at.target_is_made_here() {
        return;
    }
    let (Some(first), Some(last)) = (action.first(), action.last()) else {
        return;
    };
    let found = |rule| Seen::new(rule, first.at..last.span().end).of(at.statement.target.as_ref());
    let mut cursor = Cursor::new(action);
    let rewrites = [
        ("SET LOGGED", "SET LOGGED"),
        ("SET UNLOGGED", "SET UNLOGGED"),
        ("SET TABLESPACE", "SET TABLESPACE"),
        ("SET ACCESS METHOD", "SET ACCESS METHOD"),
    ];
    if let Some((_, what)) = rewrites.iter().find(|(words, _)| cursor.clone().eat(words)) {
        seen.push(found("rewrites-table").named(*what));
    } else if cursor.eat("DISABLE TRIGGER") {
        let Some(trigger) = cursor.peek() else {
            return;
        };
        if !enabled_later(at, trigger) {
            seen.push(found("disables-triggers").named(trigger.text));
        }
    } else if cursor.eat("DISABLE ROW LEVEL SECURITY") {
        seen.push(found("disables-row-security"));
    } else if cursor.eat("DROP") {
        if last.is("CASCADE") {
            seen.push(Seen::new("drop-cascade", last.span()));
        }
    } else if cursor.eat("ADD") {
        cursor.eat("COLUMN");
        cursor.eat("IF NOT EXISTS");
        if cursor.name().is_some() && cursor.peek().is_some_and(is_serial) {
            seen.push(found("adding-serial-column"));
        }
    }
}

/// Whether a later statement switches the trigger, or all of them, on again.
fn enabled_later(at: &At<'_, '_>, trigger: &Word<'_>) -> bool {
    at.script.statements.all[at.index..].iter().any(|later| {
        let same = match (&later.target, &at.statement.target) {
            (Some(a), Some(b)) => a.may_be(b),
            (Some(_), None) | (None, _) => false,
        };
        same && later.actions().into_iter().any(|action| {
            let mut cursor = Cursor::new(action);
            let forms = [
                "ENABLE TRIGGER",
                "ENABLE ALWAYS TRIGGER",
                "ENABLE REPLICA TRIGGER",
            ];
            cursor.eat_any(&forms)
                && cursor
                    .peek()
                    .is_some_and(|w| w.is("ALL") || w.text.eq_ignore_ascii_case(trigger.text))
        })
    })
}

/// The columns that a statement gives a type, each with the word of the type.
fn typed<'w, 'a>(statement: &'w Statement<'a>) -> Vec<(&'w Word<'a>, &'w Word<'a>)> {
    let mut found = Vec::new();
    let column = |mut cursor: Cursor<'w, 'a>| {
        let name = cursor.peek()?;
        cursor.name()?;
        let ty = cursor.peek().filter(|ty| ty.kind == Kind::Bare)?;
        Some((name, ty))
    };
    let creates = statement.begins("CREATE");
    let makes_table = statement.words.iter().take(4).any(|w| w.is("TABLE"));
    if creates && makes_table {
        // Each column begins behind the first parenthesis or a comma in it.
        for (at, word) in statement.words.iter().enumerate() {
            let opens = word.depth == 0 && word.is("(") || word.depth == 1 && word.is(",");
            if opens {
                found.extend(column(Cursor::new(&statement.words[at + 1..])));
            }
            if word.depth == 0 && word.is(")") {
                break;
            }
        }
        return found;
    }
    // The actions of an ALTER TABLE, found by where they begin so that the words live on.
    if !statement.begins("ALTER TABLE") {
        return found;
    }
    for (at, word) in statement.words.iter().enumerate() {
        let mut cursor = Cursor::new(&statement.words[at..]);
        if word.depth != 0 {
            continue;
        }
        if cursor.eat("ADD") {
            cursor.eat("COLUMN");
            cursor.eat("IF NOT EXISTS");
            found.extend(column(cursor));
        } else if cursor.eat("ALTER") {
            cursor.eat("COLUMN");
            let name = cursor.peek();
            if cursor.name().is_some()
                && cursor.eat_any(&["SET DATA TYPE", "TYPE"])
                && let (Some(name), Some(ty)) = (name, cursor.peek())
            {
                found.push((name, ty));
            }
        }
    }
    found
}

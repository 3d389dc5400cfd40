//! What the text of a migration says of itself before anything runs: squawk's rules, and rules of
//! ours where it has none. Pure: text in, findings out.
//!
//! It guesses: it knows neither the catalog nor how many rows a table has. What is observed on a
//! scratch database goes before it.

mod ignore;
mod locks;
mod observed;
mod own;
mod rules;
mod session;
mod squawk;
mod statement;

use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};

use squawk_syntax::{Parse, SourceFile};

use super::conventions::{Script, Version};
use super::finding::{Edit, Finding, Fix, Layer};
use ignore::Ignores;
use locks::Told;
use statement::Statements;

pub use observed::{OBSERVED, observed_as, weighed};
pub use rules::{FirstVersion, PathRules, Pattern, Rule, RuleName, Rules, Setting, all as rules};

/// What the lint is to know beside the text.
#[derive(Debug, Clone, Copy)]
pub struct Context<'a> {
    /// `[migrations.lint]` of the settings.
    pub rules: &'a Rules,
    /// The version of the migration; none for one that runs whenever it has changed.
    pub version: Option<&'a Version>,
    /// The major version of the Postgres that it is meant for, where that is known.
    pub postgres: Option<u32>,
}

/// What is seen before it is told.
#[derive(Debug)]
struct Seen {
    rule: &'static str,
    /// Its key in `locks`.
    told: &'static str,
    /// Bytes of what was parsed.
    span: Range<usize>,
    table: Option<String>,
    /// Whatever else the rule names.
    name: String,
    /// What squawk says, where we have no words for it.
    said: Option<(String, Option<String>)>,
    fix: Option<Fix>,
}

impl Seen {
    fn new(rule: &'static str, span: Range<usize>) -> Self {
        Self {
            rule,
            told: rule,
            span,
            table: None,
            name: String::new(),
            said: None,
            fix: None,
        }
    }

    fn of(mut self, table: Option<&statement::Name>) -> Self {
        self.table = table.map(|name| name.written.clone());
        self
    }

    fn named(mut self, name: impl Into<String>) -> Self {
        self.name = name.into();
        self
    }

    fn fix(mut self, title: impl Into<String>, edits: Vec<Edit>) -> Self {
        self.fix = Some(Fix {
            title: title.into(),
            edits,
        });
        self
    }
}

/// A script as the rules look at it.
struct Looked<'a> {
    sql: &'a str,
    path: &'a str,
    transaction: bool,
    rules: &'a Rules,
    postgres: Option<u32>,
    parse: &'a Parse<SourceFile>,
    statements: &'a Statements<'a>,
    /// For each statement, whether a transaction is open around it.
    transactions: Vec<bool>,
    resets: session::Resets,
}

impl Looked<'_> {
    fn in_transaction(&self, statement: usize) -> bool {
        self.transactions
            .get(statement)
            .copied()
            .unwrap_or(self.transaction)
    }
}

/// Looks at one script.
pub fn lint(script: &Script, context: &Context<'_>) -> Vec<Finding> {
    let job = (script, context.version);
    lint_all(&[job], context.rules, context.postgres)
        .pop()
        .unwrap_or_default()
}

/// Whether a statement is one that the parser knows: it knows those of newer servers too.
pub fn is_known(statement: &str) -> bool {
    let parses = || SourceFile::parse(statement).errors().is_empty();
    depth(statement) <= SHALLOW && std::panic::catch_unwind(parses).unwrap_or(false)
}

/// So deep the parser may go on any stack.
const SHALLOW: usize = 50;
/// Enough for [`DEEPEST`]: the parser calls itself for each level, and so does what frees its tree.
const STACK_BYTES: usize = 64 * 1024 * 1024;
const DEEPEST: usize = 1_000;

/// Looks at many scripts at once, on all processors. The findings come in the order of the scripts.
pub fn lint_all(
    jobs: &[(&Script, Option<&Version>)],
    rules: &Rules,
    postgres: Option<u32>,
) -> Vec<Vec<Finding>> {
    let workers = std::thread::available_parallelism()
        .map_or(1, usize::from)
        .min(jobs.len());
    let next = AtomicUsize::new(0);
    let work = || {
        let mut done = Vec::new();
        loop {
            let index = next.fetch_add(1, Ordering::Relaxed);
            let Some((script, version)) = jobs.get(index) else {
                return done;
            };
            let context = Context {
                rules,
                version: *version,
                postgres,
            };
            done.push((index, guarded(script, &context)));
        }
    };
    let mut done: Vec<(usize, Vec<Finding>)> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..workers)
            .map(|_| {
                std::thread::Builder::new()
                    .stack_size(STACK_BYTES)
                    .spawn_scoped(scope, work)
            })
            .collect();
        threads
            .into_iter()
            .flatten()
            .flat_map(|thread| thread.join().expect("a panic is caught where it happens"))
            .collect()
    });
    // Where no thread could be started, nobody has looked.
    if done.len() < jobs.len() {
        let seen: std::collections::BTreeSet<usize> = done.iter().map(|(i, _)| *i).collect();
        for (index, (script, _)) in jobs.iter().enumerate() {
            if !seen.contains(&index) {
                done.push((
                    index,
                    not_linted(script, rules, "no thread could be started"),
                ));
            }
        }
    }
    done.sort_by_key(|(index, _)| *index);
    done.into_iter().map(|(_, findings)| findings).collect()
}

/// One file that makes a parser of others panic must not take the rest with it.
fn guarded(script: &Script, context: &Context<'_>) -> Vec<Finding> {
    if context.rules.passes_over(context.version) {
        return Vec::new();
    }
    let looks = std::panic::AssertUnwindSafe(|| look(script, context));
    std::panic::catch_unwind(looks)
        .unwrap_or_else(|_| not_linted(script, context.rules, "the parser gave up"))
}

fn not_linted(script: &Script, rules: &Rules, why: &str) -> Vec<Finding> {
    let ignores = Ignores::of(&script.text);
    let seen = Seen::new("not-linted", 0..0).named(why);
    let mut found: Vec<Finding> = told(script, rules, &ignores, seen, 0).into_iter().collect();
    for finding in &mut found {
        finding.span = None;
    }
    found
}

fn look(script: &Script, context: &Context<'_>) -> Vec<Finding> {
    let sql = without_data(script.sql());
    if depth(&sql) > DEEPEST {
        return not_linted(script, context.rules, "it is nested too deeply");
    }
    let ignores = Ignores::of(&script.text);
    let parse = SourceFile::parse(&sql);
    let errors = parse.errors();
    let spans: Vec<Range<usize>> = errors.iter().map(|e| e.range().into()).collect();
    let statements = Statements::of(&sql, &parse, &spans);
    let looked = Looked {
        sql: &sql,
        path: &script.path,
        transaction: script.transaction,
        rules: context.rules,
        postgres: context.postgres,
        parse: &parse,
        statements: &statements,
        transactions: session::transactions(script.transaction, &statements),
        resets: session::Resets::of(&statements),
    };
    let mut seen = squawk::look(&looked);
    own::look(&looked, &mut seen);
    session::look(&looked, &mut seen);
    // One mistake makes many: the first one is where to look.
    if let (Some(error), Some(span)) = (errors.first(), spans.first()) {
        seen.push(not_understood(&sql, error.message(), span.clone()));
    }
    let mut findings: Vec<Finding> = seen
        .into_iter()
        .filter_map(|seen| {
            let statement = statements.at(seen.span.start);
            let start = statement.map_or(seen.span.start, |(_, s)| s.start());
            told(script, context.rules, &ignores, seen, start)
        })
        .collect();
    findings.extend(unused(script, context.rules, &ignores));
    findings.sort_by_key(|f| f.span.as_ref().map(|s| (s.start, s.end)));
    findings
}

/// A mistake of syntax: the word that it is about, where the parser names only a place before it,
/// and that word itself in place of what the parser calls it.
fn not_understood(sql: &str, message: &str, mut span: Range<usize>) -> Seen {
    let mut said = message.trim_end_matches('.').to_owned();
    if span.is_empty()
        && let Some(rest) = sql.get(span.start..)
        && let Some(word) = statement::words(rest, span.start).first()
    {
        span = word.span();
        let text: String = word.text.chars().take(30).collect();
        if let Some((expected, _)) = message.split_once(", found ") {
            said = format!("{expected}, found `{text}`");
        }
    }
    Seen::new("syntax-error", span).named(said)
}

/// What was seen as a finding of the whole file; none where it is silenced or off. `statement` is
/// where its statement begins.
fn told(
    script: &Script,
    rules: &Rules,
    ignores: &Ignores,
    seen: Seen,
    statement: usize,
) -> Option<Finding> {
    let base = script.range.start;
    if ignores.cover(seen.rule, base + seen.span.start, base + statement) {
        return None;
    }
    let level = rules.level(rules::find(seen.rule)?, &script.path)?;
    let table = seen.table.as_deref();
    let fill = |text: &str| Told::fill(text, table, &seen.name);
    let (message, why, next) = match locks::told(seen.told) {
        Some(told) => (
            fill(told.message),
            Some(fill(told.why)),
            Some(fill(told.next)),
        ),
        None => {
            let (message, help) = seen.said?;
            (message.trim_end_matches('.').to_owned(), None, help)
        }
    };
    let mut finding = Finding::new(Layer::Lint, seen.rule, level, message)
        .at(&*script.path, base + seen.span.start..base + seen.span.end);
    finding.why = why;
    finding.next = next;
    finding.fix = seen.fix.map(|fix| Fix {
        title: fix.title,
        edits: fix
            .edits
            .into_iter()
            .map(|edit| Edit {
                span: base + edit.span.start..base + edit.span.end,
                text: edit.text,
            })
            .collect(),
    });
    Some(finding)
}

/// Names in comments that no rule has.
fn unused(script: &Script, rules: &Rules, ignores: &Ignores) -> Vec<Finding> {
    let Some(rule) = rules::find("unused-ignore") else {
        return Vec::new();
    };
    let Some(level) = rules.level(rule, &script.path) else {
        return Vec::new();
    };
    let told = locks::told(rule.name);
    ignores
        .unknown
        .iter()
        .map(|(name, span)| {
            let fill = |text: &str| Told::fill(text, None, name);
            let message = told.map_or_else(|| name.clone(), |t| fill(t.message));
            let mut finding = Finding::new(Layer::Lint, rule.name, level, message)
                .at(&*script.path, span.clone());
            finding.why = told.map(|t| fill(t.why));
            finding.next = match rules::meant(name) {
                Some(meant) => Some(format!("did you mean `{meant}`?")),
                None => told.map(|t| fill(t.next)),
            };
            finding
        })
        .collect()
}

/// How deep the text is nested at most, counted generously: brackets, CASE, and rows of the same
/// sign or key word, each of which is one call more for a parser.
fn depth(sql: &str) -> usize {
    let (mut open, mut cases, mut row, mut deepest) = (0_usize, 0_usize, 0_usize, 0_usize);
    let mut last = "";
    for word in statement::words(sql, 0) {
        match word.text {
            "(" | "[" | "{" => open += 1,
            ")" | "]" | "}" => open = open.saturating_sub(1),
            ";" => (open, cases) = (0, 0),
            _ if word.is("CASE") => cases += 1,
            _ if word.is("END") => cases = cases.saturating_sub(1),
            _ => {}
        }
        let repeats = word.text == last && !matches!(word.text, "(" | "[" | "{" | ")" | "]" | "}");
        row = if repeats { row + 1 } else { 0 };
        last = word.text;
        deepest = deepest.max(open + cases + row);
    }
    deepest
}

/// The script with blanks in place of what is no SQL: the rows behind `COPY … FROM stdin`, and
/// psql's own commands. Every byte stays where it is.
fn without_data(sql: &str) -> std::borrow::Cow<'_, str> {
    if !sql.contains("\n\\") && !sql.starts_with('\\') {
        return sql.into();
    }
    let mut text = String::with_capacity(sql.len());
    let mut in_data = false;
    for line in sql.split_inclusive('\n') {
        let ends = line.trim_end() == "\\.";
        if in_data || line.starts_with('\\') {
            text.extend(line.bytes().map(|b| match b {
                b'\n' | b'\r' => char::from(b),
                _ => ' ',
            }));
        } else {
            text.push_str(line);
        }
        if ends {
            in_data = false;
        } else if !in_data {
            in_data = copies_from_stdin(line);
        }
    }
    text.into()
}

/// Whether rows follow this line, which is how dumps write it: `COPY t (a, b) FROM stdin;`.
fn copies_from_stdin(line: &str) -> bool {
    let words = statement::words(line, 0);
    let is = |at: usize, word: &str| words.get(at).is_some_and(|w| w.is(word));
    let from = words
        .windows(2)
        .any(|pair| pair[0].is("FROM") && pair[1].is("STDIN"));
    is(0, "COPY") && from && words.last().is_some_and(|w| w.is(";"))
}

//! Selectors of series: how a runbook names what it measures. A part of PromQL.

use std::collections::BTreeMap;
use std::fmt;

use regex::Regex;

/// A metric's name at the start of a text, and what stands behind it.
pub(crate) fn metric_name(text: &str) -> Result<(&str, &str), &'static str> {
    let end = text
        .find(|c: char| !(c.is_ascii_alphanumeric() || c == '_' || c == ':'))
        .unwrap_or(text.len());
    let (name, rest) = text.split_at(end);
    if name.is_empty() || name.starts_with(|c: char| c.is_ascii_digit()) {
        return Err("a metric's name is missing");
    }
    Ok((name, rest.trim_start()))
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Op {
    Equal,
    NotEqual,
    Match,
    NotMatch,
}

pub(crate) type RawMatcher = (String, Op, String);

/// What stands after `{`, up to and including `}`; and the rest.
pub(crate) fn braces(mut text: &str) -> Result<(Vec<RawMatcher>, &str), &'static str> {
    let mut found = Vec::new();
    loop {
        text = text.trim_start();
        if let Some(rest) = text.strip_prefix('}') {
            return Ok((found, rest));
        }
        let end = text
            .find(|c: char| !(c.is_ascii_alphanumeric() || c == '_'))
            .ok_or("a `}` is missing")?;
        let (label, rest) = text.split_at(end);
        if label.is_empty() || label.starts_with(|c: char| c.is_ascii_digit()) {
            return Err("a label's name is missing");
        }
        let (op, rest) = operator(rest.trim_start()).ok_or("an `=` is missing behind a label")?;
        let rest = rest.trim_start();
        let quoted = rest
            .strip_prefix('"')
            .ok_or("a label's value wants quotes")?;
        let (value, rest) = unescape(quoted)?;
        found.push((label.to_owned(), op, value));
        text = rest.trim_start();
        if let Some(rest) = text.strip_prefix(',') {
            text = rest;
        } else if !text.starts_with('}') {
            return Err("a `,` or `}` is missing behind a label");
        }
    }
}

fn operator(text: &str) -> Option<(Op, &str)> {
    // The longer ones first.
    [
        ("=~", Op::Match),
        ("!~", Op::NotMatch),
        ("!=", Op::NotEqual),
        ("=", Op::Equal),
    ]
    .into_iter()
    .find_map(|(sign, op)| Some((op, text.strip_prefix(sign)?)))
}

/// A quoted value up to its closing quote, with `\\`, `\"` and `\n` resolved. Another escape
/// stays as it is: it is a regular expression's.
fn unescape(text: &str) -> Result<(String, &str), &'static str> {
    let mut value = String::new();
    let mut chars = text.char_indices();
    while let Some((i, c)) = chars.next() {
        match c {
            '"' => return Ok((value, &text[i + 1..])),
            '\\' => match chars.next() {
                Some((_, 'n')) => value.push('\n'),
                Some((_, c @ ('\\' | '"'))) => value.push(c),
                Some((_, c)) => value.extend(['\\', c]),
                None => break,
            },
            c => value.push(c),
        }
    }
    Err("a closing quote is missing")
}

/// Chooses series: a metric's name, and conditions on labels as in PromQL
/// (`=`, `!=`, `=~`, `!~`; a label that is not there counts as empty; expressions match wholly).
#[derive(Debug, Clone)]
pub struct Selector {
    pub name: String,
    matchers: Vec<Matcher>,
    text: String,
}

#[derive(Debug, Clone)]
struct Matcher {
    label: String,
    test: Test,
    wanted: bool,
}

#[derive(Debug, Clone)]
enum Test {
    Is(String),
    Matches(Regex),
}

impl Selector {
    /// # Errors
    /// In words, for the person who wrote it.
    pub fn parse(text: &str) -> Result<Self, String> {
        let wrong = |why: &str| {
            format!(
                "`{text}` is not a metric's name with labels, such as requests_total{{code=\"500\"}}: {why}"
            )
        };
        let (name, rest) = metric_name(text.trim()).map_err(wrong)?;
        let (raw, rest) = match rest.strip_prefix('{') {
            Some(inside) => braces(inside).map_err(wrong)?,
            None => (Vec::new(), rest),
        };
        if !rest.trim().is_empty() {
            return Err(wrong("functions and ranges are dbctl's part here"));
        }
        let matcher = |(label, op, value): RawMatcher| {
            let test = match op {
                Op::Equal | Op::NotEqual => Test::Is(value),
                Op::Match | Op::NotMatch => Test::Matches(
                    Regex::new(&format!("^(?s:{value})$")).map_err(|e| wrong(&e.to_string()))?,
                ),
            };
            Ok(Matcher {
                label,
                test,
                wanted: matches!(op, Op::Equal | Op::Match),
            })
        };
        Ok(Self {
            name: name.to_owned(),
            matchers: raw
                .into_iter()
                .map(matcher)
                .collect::<Result<_, String>>()?,
            text: text.trim().to_owned(),
        })
    }

    /// The same conditions on another metric: `x_bucket` for the histogram `x`.
    pub fn with_suffix(&self, suffix: &str) -> Self {
        Self {
            name: format!("{}{suffix}", self.name),
            ..self.clone()
        }
    }

    pub fn matches(&self, name: &str, labels: &BTreeMap<String, String>) -> bool {
        name == self.name && self.matchers.iter().all(|m| m.holds(labels))
    }

    /// The label of the first condition that none of these label sets meets.
    pub fn unmet(&self, all: &[&BTreeMap<String, String>]) -> Option<&str> {
        let unmet = |m: &&Matcher| !all.iter().any(|labels| m.holds(labels));
        self.matchers.iter().find(unmet).map(|m| m.label.as_str())
    }
}

impl Matcher {
    fn holds(&self, labels: &BTreeMap<String, String>) -> bool {
        let value = labels.get(&self.label).map_or("", String::as_str);
        let holds = match &self.test {
            Test::Is(wanted) => value == wanted,
            Test::Matches(regex) => regex.is_match(value),
        };
        holds == self.wanted
    }
}

impl fmt::Display for Selector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

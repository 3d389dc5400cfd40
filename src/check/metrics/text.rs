//! Prometheus's text format and selectors of series.
//!
//! The reader is strict: a line that cannot be read makes the whole scrape an error, as in
//! Prometheus itself. Dropping it in silence would turn errors into zeros (P6).

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use regex::Regex;

pub type Labels = BTreeMap<String, String>;

/// One sample line.
#[derive(Debug, Clone, PartialEq)]
pub struct Series {
    pub name: String,
    pub labels: Labels,
    pub value: f64,
}

/// A scrape.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Exposition {
    pub series: Vec<Series>,
    /// Names that a `# TYPE` line announces, also those without a sample yet.
    pub announced: BTreeSet<String>,
    /// The process that answered, where it says so beside its metrics.
    pub boot_id: Option<String>,
}

/// Reads the text exposition format, version 0.0.4, and what OpenMetrics adds on sample lines
/// (exemplars). Time stamps are passed over: what counts is when it was scraped.
///
/// # Errors
/// The line's number and what is wrong with it; the line itself is not quoted.
pub fn parse(text: &str) -> Result<Exposition, String> {
    let mut read = Exposition::default();
    for (number, line) in text.lines().enumerate() {
        let line = line.trim_matches([' ', '\t', '\r']);
        if let Some(comment) = line.strip_prefix('#') {
            let mut words = comment.split_whitespace();
            if let (Some("TYPE"), Some(name)) = (words.next(), words.next()) {
                read.announced.insert(name.to_owned());
            }
        } else if !line.is_empty() {
            let series = sample(line).map_err(|why| format!("line {}: {why}", number + 1))?;
            read.series.push(series);
        }
    }
    Ok(read)
}

fn sample(line: &str) -> Result<Series, &'static str> {
    let (name, rest) = metric_name(line)?;
    let (labels, rest) = match rest.strip_prefix('{') {
        Some(inside) => {
            let (matchers, rest) = braces(inside)?;
            let mut labels = Labels::new();
            for (label, op, value) in matchers {
                if op != Op::Equal {
                    return Err("a label wants `=`");
                }
                if labels.insert(label, value).is_some() {
                    return Err("a label stands there twice");
                }
            }
            (labels, rest)
        }
        None => (Labels::new(), rest),
    };
    let mut words = rest.split_whitespace();
    let value = words.next().ok_or("the value is missing")?;
    let value: f64 = value.parse().map_err(|_| "the value is not a number")?;
    // A time stamp: milliseconds, in OpenMetrics seconds with a fraction.
    let mut behind = words.next();
    if behind.is_some_and(|w| w.parse::<f64>().is_ok()) {
        behind = words.next();
    }
    match behind {
        // An exemplar.
        Some("#") | None => {}
        Some(_) => return Err("something stands behind the value"),
    }
    Ok(Series {
        name: name.to_owned(),
        labels,
        value,
    })
}

fn metric_name(text: &str) -> Result<(&str, &str), &'static str> {
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
enum Op {
    Equal,
    NotEqual,
    Match,
    NotMatch,
}

type RawMatcher = (String, Op, String);

/// What stands after `{`, up to and including `}`; and the rest.
fn braces(mut text: &str) -> Result<(Vec<RawMatcher>, &str), &'static str> {
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

    pub fn matches(&self, name: &str, labels: &Labels) -> bool {
        name == self.name
            && self.matchers.iter().all(|m| {
                let value = labels.get(&m.label).map_or("", String::as_str);
                let holds = match &m.test {
                    Test::Is(wanted) => value == wanted,
                    Test::Matches(regex) => regex.is_match(value),
                };
                holds == m.wanted
            })
    }
}

impl fmt::Display for Selector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// `name{label="value"}`.
pub fn series_text(name: &str, labels: &Labels) -> String {
    if labels.is_empty() {
        return name.to_owned();
    }
    let inside: Vec<String> = labels.iter().map(|(k, v)| format!("{k}={v:?}")).collect();
    format!("{name}{{{}}}", inside.join(","))
}

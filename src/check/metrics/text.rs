//! Prometheus's text format.
//!
//! The reader is strict: a line that cannot be read makes the whole scrape an error, as in
//! Prometheus itself. Dropping it in silence would turn errors into zeros (P6).

use std::collections::{BTreeMap, BTreeSet};

use crate::runbook::selector::{Op, braces, metric_name};

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

/// `name{label="value"}`.
pub fn series_text(name: &str, labels: &Labels) -> String {
    if labels.is_empty() {
        return name.to_owned();
    }
    let inside: Vec<String> = labels.iter().map(|(k, v)| format!("{k}={v:?}")).collect();
    format!("{name}{{{}}}", inside.join(","))
}

//! What there is instead, where a query finds nothing.

use std::collections::BTreeSet;
use std::time::Duration;

use jiff::Timestamp;

use super::super::text::Labels;
use super::api::Server;
use crate::runbook::selector::{Op, RawMatcher, braces, metric_name};

/// How far back it is looked for series.
const BACK: Duration = Duration::from_secs(300);
/// How many values are named.
const FEW: usize = 4;

/// The values that a label has among the series of a selector.
pub(super) async fn values(
    server: &Server,
    selector: &str,
    label: &str,
    now: Timestamp,
) -> Result<BTreeSet<String>, String> {
    let series = server.series(selector, (now - BACK, now)).await?;
    Ok(of(&series, label))
}

fn of(series: &[Labels], label: &str) -> BTreeSet<String> {
    let values = series.iter().filter_map(|labels| labels.get(label));
    values.cloned().collect()
}

/// A few of them, for one line.
pub(super) fn few(values: &BTreeSet<String>) -> String {
    let mut shown: Vec<&str> = values.iter().take(FEW).map(String::as_str).collect();
    let more = format!("… ({} in all)", values.len());
    if values.len() > FEW {
        shown.push(&more);
    }
    shown.join(", ")
}

/// Why an expression came to nothing: the first of its selectors that chooses no series, and what
/// there is beside it. Nothing where every selector has series.
pub async fn empty(server: &Server, query: &str, now: Timestamp) -> Option<String> {
    for (name, matchers) in selectors(query) {
        let series = match server.series(&name, (now - BACK, now)).await {
            Ok(series) => series,
            Err(why) => return Some(why),
        };
        if series.is_empty() {
            return Some(format!("there is no series called {name}"));
        }
        for (label, op, value) in matchers {
            let known = of(&series, &label);
            if known.is_empty() && !value.is_empty() && matches!(op, Op::Equal | Op::Match) {
                let labels: BTreeSet<String> = series
                    .iter()
                    .flat_map(|s| s.keys().cloned())
                    .filter(|label| label != "__name__")
                    .collect();
                return Some(format!(
                    "no series of {name} has the label {label}; its labels: {}",
                    few(&labels)
                ));
            }
            let fits = |known: &String| match op {
                Op::Equal => *known == value,
                Op::Match => regex::Regex::new(&format!("^(?s:{value})$"))
                    .is_ok_and(|regex| regex.is_match(known)),
                Op::NotEqual | Op::NotMatch => true,
            };
            if !known.iter().any(fits) && matches!(op, Op::Equal | Op::Match) {
                let sign = if op == Op::Equal { "=" } else { "=~" };
                return Some(format!(
                    "no series of {name} matches {label}{sign}{value:?}; {label} has: {}",
                    few(&known)
                ));
            }
        }
    }
    None
}

/// The selectors with labels in an expression: a name right before braces.
fn selectors(query: &str) -> Vec<(String, Vec<RawMatcher>)> {
    let mut found = Vec::new();
    for (at, _) in query.match_indices('{') {
        let before = &query[..at];
        let named = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == ':';
        let start = before.trim_end().rfind(|c| !named(c)).map_or(0, |i| i + 1);
        let name = before[start..].trim_end();
        let (Ok((name, "")), Ok((matchers, _))) = (metric_name(name), braces(&query[at + 1..]))
        else {
            continue;
        };
        found.push((name.to_owned(), matchers));
    }
    found
}

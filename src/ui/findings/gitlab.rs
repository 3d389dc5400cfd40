//! GitLab's code quality report: what a merge request brings, and what it puts right.

use std::fmt::{self, Write as _};

use serde::Serialize;

use super::{Entry, Group, hash, told, told_of};
use crate::migrate::finding::{Level, Unjudged};
use crate::ui::{Screen, escape_controls};

#[derive(Serialize)]
struct Issue<'a> {
    description: String,
    check_name: &'a str,
    fingerprint: String,
    severity: &'static str,
    location: Location<'a>,
}

#[derive(Serialize)]
struct Location<'a> {
    path: &'a str,
    lines: Lines,
}

#[derive(Serialize)]
struct Lines {
    begin: usize,
    end: usize,
}

pub(super) fn write(groups: &[Group], out: &mut Screen) -> fmt::Result {
    let issues: Vec<Issue> = groups
        .iter()
        .flat_map(|group| {
            let entries = group.entries.iter().map(move |entry| issue(group, entry));
            let unjudged = group.unjudged.iter();
            entries.chain(unjudged.map(move |unjudged| not_judged(group, unjudged)))
        })
        .collect();
    let json = serde_json::to_string_pretty(&issues).map_err(|_| fmt::Error)?;
    writeln!(out, "{}", escape_controls(&json))
}

fn issue<'a>(group: &'a Group, entry: &'a Entry) -> Issue<'a> {
    let (begin, end) = match entry.region {
        Some(region) => (region.start.line, region.end.line),
        None => (1, 1),
    };
    Issue {
        description: one_line(&told(entry.finding)),
        check_name: &entry.finding.rule,
        fingerprint: entry.fingerprint.clone(),
        severity: match entry.finding.level {
            Level::Error => "critical",
            Level::Warning => "minor",
        },
        location: Location {
            path: &group.path,
            lines: Lines { begin, end },
        },
    }
}

fn not_judged<'a>(group: &'a Group, unjudged: &Unjudged) -> Issue<'a> {
    Issue {
        description: one_line(&told_of(unjudged)),
        check_name: "not-judged",
        fingerprint: hash(&format!("not-judged\0{}\0{}", group.path, unjudged.message)),
        severity: "major",
        location: Location {
            path: &group.path,
            lines: Lines { begin: 1, end: 1 },
        },
    }
}

/// It is shown as one line.
fn one_line(parts: &[String]) -> String {
    let words = |part: &String| part.split_whitespace().collect::<Vec<_>>().join(" ");
    let parts = parts.iter().map(words);
    let parts: Vec<String> = parts
        .map(|part| part.trim_end_matches('.').to_owned())
        .collect();
    parts.join(". ")
}

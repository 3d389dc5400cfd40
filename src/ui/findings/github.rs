//! Annotations of a GitHub workflow: lines that its runner picks out of what a step prints, and shows
//! beside the lines of the file.

use std::fmt::{self, Write as _};

use super::place::Region;
use super::{Entry, Group, Results, clean, counts, told, told_of};
use crate::migrate::finding::Level;
use crate::ui::{Screen, printable};

pub(super) fn write(results: &Results, groups: &[Group], out: &mut Screen) -> fmt::Result {
    for group in groups {
        for entry in &group.entries {
            annotation(group, entry, out)?;
        }
        for unjudged in &group.unjudged {
            let place = place(group, None);
            let told = told_of(unjudged);
            writeln!(
                out,
                "::error {place}title=not-judged::{}",
                data(&told.join("\n"))
            )?;
        }
    }
    let counts = counts(results).into_iter().map(|(_, count)| count);
    let summary = Some(printable(&clean(results.summary))).filter(|s| !s.is_empty());
    let parts: Vec<String> = summary.into_iter().chain(counts).collect();
    writeln!(out, "{}", parts.join(" · "))
}

fn annotation(group: &Group, entry: &Entry, out: &mut Screen) -> fmt::Result {
    let command = match entry.finding.level {
        Level::Error => "error",
        Level::Warning => "warning",
    };
    let place = place(group, entry.region);
    let title = property(&entry.finding.rule);
    let told = told(entry.finding);
    writeln!(
        out,
        "::{command} {place}title={title}::{}",
        data(&told.join("\n"))
    )
}

/// What belongs to no file is shown with the step as a whole.
fn place(group: &Group, region: Option<Region>) -> String {
    if group.file.is_none() {
        return String::new();
    }
    let file = format!("file={},", property(&group.path));
    let Some(Region { start, end }) = region else {
        return file;
    };
    if start.line == end.line {
        let (line, from) = (start.line, start.column);
        // The last character's column, where there is one.
        let to = end.column.saturating_sub(1).max(from);
        format!("{file}line={line},endLine={line},col={from},endColumn={to},")
    } else {
        // Columns are for places in one line only.
        format!("{file}line={},endLine={},", start.line, end.line)
    }
}

/// The text of a command. A line of a log must not begin another one.
fn data(text: &str) -> String {
    let lines: Vec<String> = text.lines().map(printable).collect();
    escaped(&lines.join("\n"))
}

fn property(text: &str) -> String {
    escaped(text).replace(':', "%3A").replace(',', "%2C")
}

fn escaped(text: &str) -> String {
    text.replace('%', "%25")
        .replace('\r', "%0D")
        .replace('\n', "%0A")
}

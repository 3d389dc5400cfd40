//! For programs: `dbctl.migrate.validate/2`.

use std::fmt::{self, Write as _};

use serde::Serialize;

use super::place::{Position, Text};
use super::{Entry, Group, Results, clean};
use crate::migrate::finding::{Edit, Fix, Layer, Level, Unjudged};
use crate::ui::{Screen, escape_controls};

const SCHEMA: &str = "dbctl.migrate.validate/2";

#[derive(Serialize)]
struct Document<'a> {
    schema: &'static str,
    #[serde(flatten)]
    about: &'a serde_json::Map<String, serde_json::Value>,
    findings: Vec<One<'a>>,
    not_judged: Vec<NotJudged<'a>>,
}

/// Lines and columns are counted from 1, columns in characters; the end is behind the last one.
#[derive(Serialize)]
struct One<'a> {
    layer: Layer,
    rule: &'a str,
    level: Level,
    file: Option<&'a str>,
    line: Option<usize>,
    column: Option<usize>,
    end_line: Option<usize>,
    end_column: Option<usize>,
    message: String,
    why: Option<String>,
    next: Option<String>,
    fix: Option<Change>,
    /// The same in the next run for the same finding.
    fingerprint: &'a str,
}

#[derive(Serialize)]
struct Change {
    title: String,
    edits: Vec<Replacement>,
}

#[derive(Serialize)]
struct Replacement {
    line: usize,
    column: usize,
    end_line: usize,
    end_column: usize,
    text: String,
}

#[derive(Serialize)]
struct NotJudged<'a> {
    layer: Layer,
    file: Option<&'a str>,
    message: String,
    next: Option<String>,
}

pub(super) fn write(results: &Results, groups: &[Group], out: &mut Screen) -> fmt::Result {
    let findings = groups.iter().flat_map(|group| {
        let entries = group.entries.iter();
        entries.map(move |entry| one(group, entry))
    });
    let unjudged = groups.iter().flat_map(|group| &group.unjudged);
    let document = Document {
        schema: SCHEMA,
        about: results.about,
        findings: findings.collect(),
        not_judged: unjudged.map(|unjudged| not_judged(unjudged)).collect(),
    };
    let json = serde_json::to_string_pretty(&document).map_err(|_| fmt::Error)?;
    writeln!(out, "{}", escape_controls(&json))
}

fn one<'a>(group: &Group<'a>, entry: &'a Entry<'a>) -> One<'a> {
    let finding = entry.finding;
    let cleaned = |text: &Option<String>| text.as_deref().map(clean);
    let (start, end) = entry
        .region
        .map(|region| (region.start, region.end))
        .unzip();
    let line = |position: Option<Position>| position.map(|p| p.line);
    let column = |position: Option<Position>| position.map(|p| p.column);
    One {
        layer: finding.layer,
        rule: &finding.rule,
        level: finding.level,
        file: group.file,
        line: line(start),
        column: column(start),
        end_line: line(end),
        end_column: column(end),
        message: clean(&finding.message),
        why: cleaned(&finding.why),
        next: cleaned(&finding.next),
        fix: entry
            .fix()
            .zip(group.text.as_ref())
            .map(|(fix, text)| change(fix, text)),
        fingerprint: &entry.fingerprint,
    }
}

fn change(fix: &Fix, text: &Text) -> Change {
    Change {
        title: clean(&fix.title),
        edits: fix
            .edits
            .iter()
            .map(|edit| replacement(edit, text))
            .collect(),
    }
}

fn replacement(edit: &Edit, text: &Text) -> Replacement {
    let region = text.exactly(&edit.span);
    Replacement {
        line: region.start.line,
        column: region.start.column,
        end_line: region.end.line,
        end_column: region.end.column,
        text: edit.text.clone(),
    }
}

fn not_judged(unjudged: &Unjudged) -> NotJudged<'_> {
    NotJudged {
        layer: unjudged.layer,
        file: unjudged.file.as_deref(),
        message: clean(&unjudged.message),
        next: unjudged.next.as_deref().map(clean),
    }
}

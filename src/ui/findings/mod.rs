//! What a validation found, in the shapes that people and pipelines read.
//!
//! Each shape has a file of its own. None of them shows the password of a URL, whether it stands in
//! a message or in the lines of a file (P10).

mod difference;
mod excerpt;
mod github;
mod gitlab;
mod human;
mod json;
mod junit;
mod place;
mod sarif;

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use clap::{Args, ValueEnum};
use sha2::{Digest as _, Sha256};

use super::{Screen, Tone};
use crate::error::without_passwords;
use crate::migrate::finding::{Finding, Fix, Level, Unjudged};
use crate::settings::Format;

pub use place::Root;
use place::{Region, Text};

/// Who reads it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Shape {
    /// People: the lines of the files, why, and the way around
    Human,
    /// Programs: `dbctl.migrate.validate/2`
    Json,
    /// Test reports: a case for each file
    Junit,
    /// Code scanning: SARIF 2.1.0
    Sarif,
    /// Annotations of a GitHub workflow
    Github,
    /// GitLab's code quality report
    Gitlab,
}

/// From which level on a finding makes the command fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum FailOn {
    /// Errors
    Error,
    /// Errors and warnings
    Warning,
    /// None of them
    Never,
}

impl FailOn {
    /// Whether a finding of that level counts as a failure.
    pub fn counts(self, level: Level) -> bool {
        match self {
            FailOn::Error => level == Level::Error,
            FailOn::Warning => true,
            FailOn::Never => false,
        }
    }

    /// Whether the command fails because of `findings`. What could not be judged is another matter.
    pub fn fails(self, findings: &[Finding]) -> bool {
        findings.iter().any(|f| self.counts(f.level))
    }
}

/// How a command that finds something says so.
#[derive(Debug, Clone, Copy, Args)]
pub struct OutputArgs {
    /// Shape of what is printed on stdout; without it that of --format
    #[arg(long, value_enum, value_name = "SHAPE")]
    pub output: Option<Shape>,
    /// From which level on a finding ends the command with status 5
    #[arg(long, value_enum, value_name = "LEVEL", default_value_t = FailOn::Error)]
    pub fail_on: FailOn,
}

impl OutputArgs {
    /// What was asked for here goes before what `--format` asks of every command.
    pub fn shape(&self, format: Format) -> Shape {
        self.output.unwrap_or(match format {
            Format::Human => Shape::Human,
            Format::Json => Shape::Json,
        })
    }
}

/// What a validation found, and what is needed to show it.
#[derive(Debug, Clone, Copy)]
pub struct Results<'a> {
    /// The folder as it is shown to people. What belongs to no file is shown there.
    pub folder: &'a str,
    /// Every file that was looked at, as it is shown to people, with its text; in the order in which
    /// they are told of. A file whose text cannot be read has none here.
    pub files: &'a [(String, Arc<str>)],
    pub findings: &'a [Finding],
    pub unjudged: &'a [Unjudged],
    /// What was done, for the last line: "13 migrations ran on embedded PostgreSQL 17.5 in 0.9 s".
    pub summary: &'a str,
    /// What is told of the run in JSON beside the findings. Not `findings` nor `not_judged`.
    pub about: &'a serde_json::Map<String, serde_json::Value>,
    pub fail_on: FailOn,
    /// What paths are relative to in everything that a forge reads.
    pub root: &'a Root,
}

/// Writes `results` in the shape that was asked for, with a newline at the end.
pub fn write(shape: Shape, results: &Results, out: &mut Screen) -> fmt::Result {
    let groups = groups(results);
    match shape {
        Shape::Human => human::write(results, &groups, out),
        Shape::Json => json::write(results, &groups, out),
        Shape::Junit => junit::write(results, &groups, out),
        Shape::Sarif => sarif::write(results, &groups, out),
        Shape::Github => github::write(results, &groups, out),
        Shape::Gitlab => gitlab::write(&groups, out),
    }
}

/// A file with all that is told of it.
struct Group<'a> {
    /// As it is shown to people; none for what belongs to no file.
    file: Option<&'a str>,
    /// As a forge knows it.
    path: String,
    /// Only where something was found.
    text: Option<Text>,
    entries: Vec<Entry<'a>>,
    unjudged: Vec<&'a Unjudged>,
}

/// A finding and its place.
struct Entry<'a> {
    finding: &'a Finding,
    region: Option<Region>,
    /// The same for the same finding, also where lines above it came or went; no other one has it.
    fingerprint: String,
}

impl Entry<'_> {
    /// Its fix, unless that holds a password: with stars in its place it would be a wrong one.
    fn fix(&self) -> Option<&Fix> {
        let fix = self.finding.fix.as_ref()?;
        let shown = |text: &String| without_passwords(text.as_str()) == *text;
        fix.edits.iter().all(|e| shown(&e.text)).then_some(fix)
    }
}

/// By file: first what belongs to none, then in the order of the files, then the files that only
/// findings name. Within a file from its beginning to its end.
fn groups<'a>(results: &'a Results) -> Vec<Group<'a>> {
    let named = results.files.iter().map(|(file, _)| Some(file.as_str()));
    let found = results.findings.iter().map(|f| f.file.as_deref());
    let unjudged = results.unjudged.iter().map(|u| u.file.as_deref());
    let mut index = HashMap::new();
    let mut groups: Vec<Group> = Vec::new();
    for file in std::iter::once(None)
        .chain(named)
        .chain(found)
        .chain(unjudged)
    {
        index.entry(file).or_insert_with(|| {
            groups.push(Group {
                file,
                path: results.root.path(file.unwrap_or(results.folder)),
                text: None,
                entries: Vec::new(),
                unjudged: Vec::new(),
            });
            groups.len() - 1
        });
    }
    let mut findings: Vec<Vec<&Finding>> = groups.iter().map(|_| Vec::new()).collect();
    for finding in results.findings {
        findings[index[&finding.file.as_deref()]].push(finding);
    }
    for (file, text) in results.files {
        let at = index[&Some(file.as_str())];
        if !findings[at].is_empty() {
            groups[at].text = Some(Text::of(text));
        }
    }
    for (group, mut findings) in groups.iter_mut().zip(findings) {
        findings.sort_by_key(|f| f.span.as_ref().map(|s| (s.start, s.end)));
        group.entries = entries(group, findings);
    }
    for unjudged in results.unjudged {
        groups[index[&unjudged.file.as_deref()]]
            .unjudged
            .push(unjudged);
    }
    groups.retain(|g| g.file.is_some() || !g.entries.is_empty() || !g.unjudged.is_empty());
    groups
}

fn entries<'a>(group: &Group<'a>, findings: Vec<&'a Finding>) -> Vec<Entry<'a>> {
    let mut seen = HashMap::new();
    let entry = |finding: &'a Finding| {
        let place = finding.span.as_ref().zip(group.text.as_ref());
        // What the text says there; where it is said of no text, what is said of it.
        let said = match place {
            Some((span, text)) => text.words(span),
            None => clean(&finding.message),
        };
        let key = format!("{}\0{}\0{said}", finding.rule, group.path);
        let nth = seen
            .entry(key.clone())
            .and_modify(|n| *n += 1)
            .or_insert(0_usize);
        Entry {
            finding,
            region: place.map(|(span, text)| text.region(span)),
            fingerprint: hash(&format!("{key}\0{nth}")),
        }
    };
    findings.into_iter().map(entry).collect()
}

fn hash(text: &str) -> String {
    let digest = Sha256::digest(text.as_bytes());
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A text that may be shown.
fn clean(text: &str) -> String {
    without_passwords(text.trim())
}

/// What is said of a finding: what is the matter, why anybody should care, and the way around.
fn told(finding: &Finding) -> Vec<String> {
    let message = Some(&finding.message);
    let parts = [message, finding.why.as_ref(), finding.next.as_ref()];
    parts
        .into_iter()
        .flatten()
        .map(|part| clean(part))
        .collect()
}

/// What is said of what could not be judged.
fn told_of(unjudged: &Unjudged) -> Vec<String> {
    let mut parts = vec![format!("not judged: {}", clean(&unjudged.message))];
    parts.extend(unjudged.next.as_deref().map(clean));
    parts
}

/// The end of the last line: what came of it, each count with the tone that it is said in.
fn counts(results: &Results) -> Vec<(Tone, String)> {
    let count = |level| results.findings.iter().filter(|f| f.level == level).count();
    let (errors, warnings) = (count(Level::Error), count(Level::Warning));
    let several = |n: usize, what: &str| match n {
        1 => format!("1 {what}"),
        _ => format!("{n} {what}s"),
    };
    let mut counts = Vec::new();
    match errors {
        0 if !results.unjudged.is_empty() => {}
        0 => counts.push((Tone::Good, "no errors".to_owned())),
        _ => counts.push((Tone::Bad, several(errors, "error"))),
    }
    if warnings > 0 {
        counts.push((Tone::Unsure, several(warnings, "warning")));
    }
    if !results.unjudged.is_empty() {
        counts.push((Tone::Bad, format!("{} not judged", results.unjudged.len())));
    }
    counts
}

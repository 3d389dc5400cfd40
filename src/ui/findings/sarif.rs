//! SARIF 2.1.0, as code scanning reads it.

use std::collections::BTreeMap;
use std::fmt::{self, Write as _};

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_sarif::sarif;

use super::place::{Region, Text};
use super::{Entry, Group, Results, clean, told, told_of};
use crate::migrate::finding::{Edit, Fix, Level, Unjudged};
use crate::ui::{Screen, escape_controls};

/// What stays as it is in the path of a URI.
const PATH: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'/')
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

const SCHEMA: &str =
    "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json";

/// What relative paths are relative to: the root of the repository.
const ROOT: &str = "%SRCROOT%";

pub(super) fn write(results: &Results, groups: &[Group], out: &mut Screen) -> fmt::Result {
    let mut rules = Rules::default();
    let mut found = Vec::new();
    for group in groups {
        for entry in &group.entries {
            let rule = rules.index(entry);
            found.push(result(group, entry, rule));
        }
    }
    let mut driver = sarif::ToolComponent::builder().name("dbctl").build();
    driver.version = Some(env!("CARGO_PKG_VERSION").to_owned());
    driver.rules = Some(rules.listed);
    let mut run = sarif::Run::builder()
        .tool(sarif::Tool::builder().driver(driver).build())
        .build();
    run.column_kind = Some("unicodeCodePoints".into());
    run.invocations = Some(vec![invocation(results, groups)]);
    run.results = Some(found);
    let mut log = sarif::Sarif::builder()
        .version("2.1.0")
        .runs(vec![run])
        .build();
    log.schema = Some(SCHEMA.to_owned());
    let json = serde_json::to_string_pretty(&log).map_err(|_| fmt::Error)?;
    writeln!(out, "{}", escape_controls(&json))
}

/// Every rule that found something, in the order in which they are met.
#[derive(Default)]
struct Rules {
    listed: Vec<sarif::ReportingDescriptor>,
    known: BTreeMap<String, i64>,
}

impl Rules {
    fn index(&mut self, entry: &Entry) -> i64 {
        let finding = entry.finding;
        if let Some(index) = self.known.get(&*finding.rule) {
            return *index;
        }
        let index = i64::try_from(self.listed.len()).unwrap_or(i64::MAX);
        let mut rule = sarif::ReportingDescriptor::builder()
            .id(&*finding.rule)
            .build();
        let words = finding.rule.replace('-', " ");
        rule.short_description = Some((&words).into());
        let mut level = sarif::ReportingConfiguration::builder().build();
        level.level = Some(word(finding.level).into());
        rule.default_configuration = Some(level);
        let mut properties = sarif::PropertyBag::builder().build();
        let layer = serde_json::to_value(finding.layer).ok();
        let layer = layer.as_ref().and_then(|layer| layer.as_str());
        properties.tags = layer.map(|layer| vec![layer.to_owned()]);
        rule.properties = Some(properties);
        self.listed.push(rule);
        self.known.insert(finding.rule.to_string(), index);
        index
    }
}

const fn word(level: Level) -> &'static str {
    match level {
        Level::Error => "error",
        Level::Warning => "warning",
    }
}

fn result(group: &Group, entry: &Entry, rule: i64) -> sarif::Result {
    let finding = entry.finding;
    let mut result = sarif::Result::builder()
        .message(message(&told(finding).join("\n")))
        .build();
    result.rule_id = Some(finding.rule.to_string());
    result.rule_index = Some(rule);
    result.level = Some(match finding.level {
        Level::Error => sarif::ResultLevel::Error,
        Level::Warning => sarif::ResultLevel::Warning,
    });
    result.locations = Some(vec![location(group, entry.region)]);
    let fingerprint = ("dbctl/v1".to_owned(), entry.fingerprint.clone());
    result.partial_fingerprints = Some(BTreeMap::from([fingerprint]));
    let fix = entry.fix().zip(group.text.as_ref());
    result.fixes = fix
        .filter(|(fix, _)| !fix.edits.is_empty())
        .map(|(fix, text)| vec![change(group, fix, text)]);
    result
}

fn message(text: &str) -> sarif::Message {
    text.into()
}

/// Code scanning shows nothing that has no line: what is about a whole file is shown at its first one.
fn location(group: &Group, region: Option<Region>) -> sarif::Location {
    let mut first = sarif::Region::builder().build();
    first.start_line = Some(1);
    let mut place = sarif::PhysicalLocation::builder().build();
    place.artifact_location = Some(artifact(&group.path));
    place.region = Some(region.map_or(first, area));
    let mut location = sarif::Location::builder().build();
    location.physical_location = Some(place);
    location
}

fn area(region: Region) -> sarif::Region {
    let number = |n: usize| i64::try_from(n).ok();
    let mut area = sarif::Region::builder().build();
    area.start_line = number(region.start.line);
    area.start_column = number(region.start.column);
    area.end_line = number(region.end.line);
    area.end_column = number(region.end.column);
    area
}

fn artifact(path: &str) -> sarif::ArtifactLocation {
    let mut artifact = sarif::ArtifactLocation::builder().build();
    let slashes = path.replace('\\', "/");
    let encoded = |path: &str| utf8_percent_encode(path, PATH).to_string();
    if std::path::Path::new(path).is_absolute() {
        let rest = encoded(slashes.trim_start_matches('/'));
        artifact.uri = Some(format!("file:///{rest}"));
    } else {
        artifact.uri = Some(encoded(path));
        artifact.uri_base_id = Some(ROOT.to_owned());
    }
    artifact
}

fn change(group: &Group, fix: &Fix, text: &Text) -> sarif::Fix {
    let replacement = |edit: &Edit| {
        let mut replacement = sarif::Replacement::builder()
            .deleted_region(area(text.exactly(&edit.span)))
            .build();
        let mut content = sarif::ArtifactContent::builder().build();
        content.text = Some(edit.text.clone());
        replacement.inserted_content = Some(content);
        replacement
    };
    let replacements: Vec<_> = fix.edits.iter().map(replacement).collect();
    let change = sarif::ArtifactChange::builder()
        .artifact_location(artifact(&group.path))
        .replacements(replacements)
        .build();
    let mut whole = sarif::Fix::builder().artifact_changes(vec![change]).build();
    whole.description = Some(message(&clean(&fix.title)));
    whole
}

/// What could not be judged is told as what kept the tool from its work.
fn invocation(results: &Results, groups: &[Group]) -> sarif::Invocation {
    let notification = |group: &Group, unjudged: &Unjudged| {
        let mut notification = sarif::Notification::builder()
            .message(message(&told_of(unjudged).join("\n")))
            .build();
        notification.level = Some(word(Level::Error).into());
        notification.locations = Some(vec![location(group, None)]);
        notification
    };
    let unjudged = groups.iter().flat_map(|group| {
        let unjudged = group.unjudged.iter();
        unjudged.map(move |unjudged| notification(group, unjudged))
    });
    let mut invocation = sarif::Invocation::builder()
        .execution_successful(results.unjudged.is_empty())
        .build();
    let notifications: Vec<_> = unjudged.collect();
    invocation.tool_execution_notifications = Some(notifications);
    invocation
}

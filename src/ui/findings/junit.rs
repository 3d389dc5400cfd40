//! A test report: a case for each file. What counts as a failure makes its file's case fail; other
//! findings are what a passed case printed.

use std::fmt::{self, Write as _};

use quick_junit::{NonSuccessKind, Report, TestCase, TestCaseStatus, TestSuite, XmlString};

use super::{Entry, Group, Results, told, told_of};
use crate::migrate::finding::Level;
use crate::ui::Screen;

const NAME: &str = "dbctl migrate validate";

pub(super) fn write(results: &Results, groups: &[Group], out: &mut Screen) -> fmt::Result {
    let mut suite = TestSuite::new(NAME);
    for group in groups {
        suite.add_test_case(case(group, results));
    }
    let mut report = Report::new(NAME);
    report.add_test_suite(suite);
    let xml = report.to_string().map_err(|_| fmt::Error)?;
    out.write_str(xml.trim_end())?;
    writeln!(out)
}

fn case(group: &Group, results: &Results) -> TestCase {
    let (failures, others): (Vec<&Entry>, Vec<&Entry>) = group
        .entries
        .iter()
        .partition(|entry| results.fail_on.counts(entry.finding.level));
    let mut case = TestCase::new(
        xml(group.file.unwrap_or(results.folder)),
        status(group, &failures),
    );
    case.set_classname("dbctl.migrate.validate");
    case.extra.insert("file".into(), xml(&group.path).into());
    if !others.is_empty() {
        case.set_system_out(xml(&listed(group, &others)));
    }
    case
}

fn status(group: &Group, failures: &[&Entry]) -> TestCaseStatus {
    let unjudged: Vec<String> = group
        .unjudged
        .iter()
        .map(|u| told_of(u).join("\n"))
        .collect();
    // What is known to be wrong goes before what is not known: a case has one status.
    let (kind, title, rule) = match (failures.first(), unjudged.first()) {
        (Some(first), _) => {
            let worst = failures.iter().find(|e| e.finding.level == Level::Error);
            let finding = worst.unwrap_or(first).finding;
            (
                NonSuccessKind::Failure,
                told(finding).join("\n"),
                &*finding.rule,
            )
        }
        (None, Some(first)) => (NonSuccessKind::Error, first.clone(), "not-judged"),
        (None, None) => return TestCaseStatus::success(),
    };
    let title = title.lines().next().unwrap_or_default();
    let more = failures.len() + unjudged.len() - 1;
    let title = match more {
        0 => title.to_owned(),
        _ => format!("{title} (and {more} more)"),
    };
    let mut text = listed(group, failures);
    for unjudged in unjudged {
        let _ = writeln!(text, "{unjudged}");
    }
    let mut status = TestCaseStatus::non_success(kind);
    status
        .set_message(xml(&title))
        .set_type(xml(rule))
        .set_description(xml(&text));
    status
}

/// Each with its place, the lines that follow the first indented.
fn listed(group: &Group, entries: &[&Entry]) -> String {
    let mut text = String::new();
    for entry in entries {
        let level = match entry.finding.level {
            Level::Error => "error",
            Level::Warning => "warning",
        };
        let place = match entry.region {
            Some(region) => {
                let (line, column) = (region.start.line, region.start.column);
                format!("{}:{line}:{column}: ", group.path)
            }
            None => format!("{}: ", group.path),
        };
        let told = told(entry.finding).join("\n").replace('\n', "\n  ");
        let _ = writeln!(text, "{place}{level}[{}]: {told}", entry.finding.rule);
    }
    text
}

/// Without white space at the end, and without the two characters that XML has no place for and the
/// crate lets through.
fn xml(text: &str) -> String {
    // What would drive a terminal goes first: white space may stand before it.
    let text = XmlString::new(text);
    text.trim_end()
        .replace(['\u{fffe}', '\u{ffff}'], "\u{fffd}")
}

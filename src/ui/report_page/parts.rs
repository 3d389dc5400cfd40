//! Small things that every part of the page uses.

use std::time::Duration;

use jiff::Timestamp;
use maud::{Markup, html};
use serde_json::Value;

use crate::check::{CheckResult, Verdict};
use crate::rollout::report::{Excerpt, RunReport, Tone};
pub use crate::ui::amounts::{amount, difference};

/// The report, and how its times are written.
pub struct Page<'a> {
    pub report: &'a RunReport,
    /// All of it happened on one day, so that a time of day says enough.
    one_day: bool,
}

impl<'a> Page<'a> {
    pub fn of(report: &'a RunReport) -> Self {
        let day = |ms| stamp(ms).map(|at| at.strftime("%F").to_string());
        Self {
            report,
            one_day: day(report.started_at_ms) == day(report.last_event_ms),
        }
    }

    /// Absolute, and relative to the start.
    pub fn time(&self, ms: u64) -> Markup {
        html! { (self.absolute(ms, self.one_day)) " " span.rel { (self.relative(ms)) } }
    }

    /// With its date.
    pub fn full_time(&self, ms: u64) -> Markup {
        self.absolute(ms, false)
    }

    fn absolute(&self, ms: u64, short: bool) -> Markup {
        let Some(at) = stamp(ms) else {
            return html! { "?" };
        };
        let shown = match short {
            true => at.strftime("%T UTC"),
            false => at.strftime("%F %T UTC"),
        };
        html! { time datetime=(at) { (shown.to_string()) } }
    }

    /// Such as `+12m 03s`.
    pub fn relative(&self, ms: u64) -> String {
        match ms.checked_sub(self.report.started_at_ms) {
            Some(after) => format!("+{}", span(after)),
            None => format!("−{}", span(self.report.started_at_ms - ms)),
        }
    }

    /// A time of day, for an axis.
    pub fn clock(&self, ms: u64) -> String {
        stamp(ms).map_or_else(|| "?".into(), |at| at.strftime("%T UTC").to_string())
    }
}

fn stamp(ms: u64) -> Option<Timestamp> {
    let ms = i64::try_from(ms).ok()?;
    Timestamp::from_millisecond(ms).ok()
}

/// Milliseconds as a duration in words.
pub fn span(ms: u64) -> String {
    match ms {
        0..1_000 => format!("{ms} ms"),
        1_000.. => crate::ui::duration(Duration::from_millis(ms)),
    }
}

/// Milliseconds that were measured in parts.
pub fn millis(ms: Option<f64>) -> String {
    match ms {
        None => "–".into(),
        Some(ms) if ms < 1_000.0 => format!("{ms:.0} ms"),
        Some(ms) => format!("{:.1} s", ms / 1_000.0),
    }
}

/// A long value, shortened in the middle; the whole of it in its title.
pub fn code(text: &str, around: usize) -> Markup {
    html! { code title=(text) { (super::super::middle(text, around)) } }
}

/// A verdict: its mark, and its word.
pub fn verdict(verdict: Verdict) -> Markup {
    let (tone, mark) = match verdict {
        Verdict::Pass => ("good", "✓"),
        Verdict::Fail => ("bad", "✗"),
        Verdict::Inconclusive => ("unsure", "?"),
        Verdict::Error => ("bad", "!"),
    };
    marked(tone, mark, &verdict.to_string())
}

/// A word with a mark before it, in a tone that repeats it.
pub fn marked(tone: &str, mark: &str, word: &str) -> Markup {
    html! { span.v.(tone) { span aria-hidden="true" { (mark) } " " (word) } }
}

pub fn tone(tone: Tone) -> &'static str {
    match tone {
        Tone::Good => "good",
        Tone::Bad => "bad",
        Tone::Unsure => "unsure",
        Tone::Person => "person",
        Tone::Plain => "plain",
    }
}

/// A table that becomes a list of cards on a narrow screen.
pub fn table<const N: usize>(
    name: &str,
    header: [&str; N],
    rows: impl IntoIterator<Item = [Markup; N]>,
) -> Markup {
    html! {
        table {
            caption { (name) }
            thead { tr { @for title in header { th scope="col" { (title) } } } }
            tbody {
                @for row in rows {
                    tr { @for (title, cell) in header.iter().zip(row) {
                        td data-label=(title) { div { (cell) } }
                    } }
                }
            }
        }
    }
}

/// How many lines of an excerpt are missing, where they would stand.
pub fn left_out<T>(excerpt: &Excerpt<T>) -> Option<String> {
    let n = excerpt.left_out;
    (n > 0).then(|| format!("{n} more are left out here; `dbctl rollout log` shows every event"))
}

/// A section with its heading; the id is what the contents link to.
pub fn section(id: &str, title: &str, content: Markup) -> Markup {
    html! {
        section id=(id) aria-labelledby={ (id) "-title" } {
            h2 id={ (id) "-title" } { (title) }
            (content)
        }
    }
}

pub fn nothing(text: &str) -> Markup {
    html! { p.none { (text) } }
}

/// Results of checks, the evidence of each folded away where it passed.
pub fn checks(name: &str, checks: &[CheckResult]) -> Markup {
    let rows = checks.iter().map(|check| {
        [
            verdict(check.verdict),
            html! {
                strong { (check.name) }
                @if !check.subject.is_empty() { " on " (check.subject) }
            },
            html! {
                (check.summary)
                @if let Some(next) = &check.next { br; "next: " (next) }
                @if !check.evidence.is_empty() {
                    details open[check.verdict != Verdict::Pass] {
                        summary { "what was seen" }
                        dl.seen { @for seen in &check.evidence {
                            dt { (seen.what) } dd { (seen.seen) }
                        } }
                    }
                }
            },
        ]
    });
    table(name, ["Verdict", "Check", "Result"], rows)
}

/// What a step saw, whatever its shape.
pub fn evidence(value: &Value) -> Markup {
    match value {
        Value::Null => html! { "–" },
        Value::Bool(yes) => html! { (yes) },
        Value::Number(number) => html! { (number) },
        Value::String(text) => html! { (text) },
        Value::Array(all) if all.iter().all(is_flat) => {
            let texts: Vec<String> = all.iter().map(flat).collect();
            html! { (texts.join(", ")) }
        }
        Value::Array(all) => html! { ul.seen { @for one in all { li { (evidence(one)) } } } },
        Value::Object(all) => html! {
            dl.seen { @for (name, one) in all { dt { (name) } dd { (evidence(one)) } } }
        },
    }
}

fn is_flat(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => true,
        Value::Array(_) | Value::Object(_) => false,
    }
}

fn flat(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => {
            value.to_string()
        }
    }
}

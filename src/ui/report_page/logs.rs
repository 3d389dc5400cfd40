//! What the services' own logs said when something stopped the run.

use maud::{Markup, html};

use super::parts::{Page, left_out, section, table};
use crate::rollout::report::LogFacts;

pub fn section_of(page: &Page) -> Markup {
    let logs = &page.report.logs;
    if logs.items.is_empty() {
        return html! {};
    }
    let content = html! {
        p.quiet {
            "Lines of trouble from the end of each log, read when something stopped the run: the first and the \
            newest. What looks like a secret is masked. Times are by the log's own clock."
        }
        @for log in &logs.items { (log_of(page, log)) }
        @if let Some(text) = left_out(logs) { p.none { (text) } }
    };
    section("logs", "Logs", content)
}

fn log_of(page: &Page, facts: &LogFacts) -> Markup {
    let log = &facts.log;
    let kept = log.lines.len() as u64;
    let rows = log.lines.iter().map(|line| {
        [
            html! { @match line.at_ms { Some(at) => (page.time(at)), None => "not said" } },
            html! { span.log { (line.text) } },
        ]
    });
    html! {
        h3 { (log.target) }
        p.counts {
            "Read " (page.time(facts.at_ms)) ", after event " (facts.of) ", from "
            span.query { (log.source) } ": "
            @match &log.why {
                Some(why) => { "it could not be read: " (why) }
                None if log.matched == 0 => { "nothing of trouble" }
                None => {
                    (log.matched) @if log.matched == 1 { " line" } @else { " lines" } " of trouble"
                    @if log.matched > kept { ", " (kept) " of them kept" }
                }
            }
            "."
        }
        @if !log.lines.is_empty() { (table("What it said", ["When", "Line"], rows)) }
    }
}

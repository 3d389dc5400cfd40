//! A run as one HTML file that needs nothing else: no script, no request, no other font.
//!
//! What comes from outside goes through the markup's own escaping, and control characters are made
//! visible over the whole page at the end, so that no place can be forgotten. A policy in the page
//! lets the browser load and run nothing, whatever the text says.

mod bakes;
mod logs;
mod parts;
mod plot;
mod post_mortem;
mod sections;
mod steps;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use maud::{DOCTYPE, Markup, PreEscaped, html};
use sha2::{Digest as _, Sha256};

use crate::rollout::machine::{PausedBy, Status};
use crate::rollout::report::RunReport;
use parts::Page;

const STYLE: &str = include_str!("style.css");

/// The whole page.
pub fn report_page(report: &RunReport) -> String {
    let page = Page::of(report);
    let style = STYLE.trim();
    // Nothing but this style is allowed.
    let policy = format!(
        "default-src 'none'; style-src 'sha256-{}'; base-uri 'none'; form-action 'none'",
        STANDARD.encode(Sha256::digest(style))
    );
    let markup = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta http-equiv="Content-Security-Policy" content=(policy);
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                meta name="referrer" content="no-referrer";
                meta name="robots" content="noindex";
                title { "Run " (report.run) " · " (report.runbook) " · " (report.status) }
                style { (PreEscaped(style)) }
            }
            body {
                (plot::patterns())
                a.skip href="#main" { "To the content" }
                (head(&page))
                main #main { (sections::all(&page)) }
                (sections::foot(&page))
            }
        }
    };
    visible(&markup.into_string())
}

fn head(page: &Page) -> Markup {
    let report = page.report;
    let (tone, mark) = badge(&report.status);
    let environments = report.environments.iter().map(|e| e.name.as_str());
    let environments: Vec<&str> = environments.collect();
    let took = report.last_event_ms.saturating_sub(report.started_at_ms);
    html! {
        header {
            p.over { "Run " code { (report.run) } " · " (report.runbook) }
            h1 { (report.title) }
            p.status {
                span.badge.(tone) { span aria-hidden="true" { (mark) } " " (report.status) }
                " " (report.sentence)
            }
            @if let Some(reason) = &report.reason {
                p.reason { strong { "Reason: " } (reason) }
            }
            @if report.open {
                p.asof {
                    strong { "As of " } (page.full_time(report.made_at_ms))
                    ". The run may go on; this page does not follow it."
                }
            }
            dl.facts {
                (fact("Environments", html! { (environments.join(", ")) }))
                (fact("Started", html! { (page.full_time(report.started_at_ms)) " by " (report.started_by) }))
                (fact("Last event", html! { (page.full_time(report.last_event_ms)) }))
                (fact(if report.open { "So far" } else { "Took" }, html! { (parts::span(took)) }))
                (fact("Plan", html! {
                    (parts::code(&report.plan.hash, 12))
                    @if report.plan.replanned > 0 { " (taken up under way)" }
                    @if let Some(words) = &report.plan.shortened {
                        " · " (words)
                    }
                }))
                (fact("Journal", html! {
                    (report.journal.events) " events, head " (parts::code(&report.journal.head, 20))
                }))
            }
            (sections::contents(page))
        }
    }
}

fn fact(name: &str, value: Markup) -> Markup {
    html! { div { dt { (name) } dd { (value) } } }
}

/// The tone and the mark of a state; the word stands beside it.
fn badge(status: &Status) -> (&'static str, &'static str) {
    match status {
        Status::Running => ("plain", "●"),
        Status::AwaitingApproval { .. } | Status::AwaitingAnswer { .. } => ("person", "◷"),
        Status::Paused {
            by: PausedBy::Person,
        } => ("person", "‖"),
        Status::Paused { .. } => ("unsure", "‖"),
        Status::RollingBack => ("bad", "↶"),
        Status::RolledBack => ("unsure", "↶"),
        Status::Stuck { .. } => ("bad", "✗"),
        Status::Completed => ("good", "✓"),
        Status::Aborted => ("person", "–"),
    }
}

/// The page with what could drive a terminal or turn text around made visible. The markup itself
/// has no such characters.
fn visible(html: &str) -> String {
    let mut clean = String::with_capacity(html.len());
    for c in html.chars() {
        if c != '\n' && super::table::is_hidden(c) {
            clean.extend(c.escape_unicode());
        } else {
            clean.push(c);
        }
    }
    clean
}

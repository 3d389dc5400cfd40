//! The beginning of a post-mortem, with room for what only people know.

use maud::{Markup, html};

use super::parts::{Page, code, left_out, nothing, section, span, table, verdict};
use crate::rollout::report::{PostMortem, Sign};

pub fn section_of(page: &Page) -> Markup {
    let Some(mortem) = &page.report.post_mortem else {
        return html! {};
    };
    let content = html! {
        p.lead { strong { @if mortem.trigger.is_some() { "Trigger: " } @else { "Reason: " } } (mortem.reason) }
        (times(page, mortem))
        h3 { "First sign of trouble" }
        (first_sign(page, mortem))
        h3 { "Errors" }
        (errors(page, mortem))
        h3 { "Failed requests" }
        (requests(page, mortem))
        (blank("Impact", "Who noticed what, from when until when, and how many were affected."))
        (blank("Cause", "What made it happen, and why it was not found before."))
        (blank("What went well, and what did not", "The watch, the rollback, the people."))
        (blank("Follow-ups", "What is to be done, by whom, until when."))
    };
    section("post-mortem", "Post-mortem", content)
}

fn times(page: &Page, mortem: &PostMortem) -> Markup {
    let part = |name: &str, ms: Option<u64>| {
        html! { div { dt { (name) } dd {
            @match ms { Some(ms) => (span(ms)), None => "not recorded" }
        } } }
    };
    html! {
        dl.facts {
            div { dt { "Rollback began" } dd { (page.time(mortem.began_ms)) } }
            (part("Toggles set after", mortem.toggles_ms))
            (part("Authentication works after", mortem.recovered_ms))
            (part("Rolled back after", mortem.took_ms))
        }
    }
}

fn first_sign(page: &Page, mortem: &PostMortem) -> Markup {
    let before = |sign: &Sign| span(mortem.began_ms.saturating_sub(sign.at_ms));
    html! {
        @match &mortem.first_sign {
            Some(sign) => p {
                (page.time(sign.at_ms)) ", " strong { (before(sign)) " before the rollback" } ": "
                (sign.what) " " (verdict(sign.verdict)) ": " (sign.why)
            }
            None => p {
                @if mortem.trigger.is_some() {
                    "The trigger itself: no gate and no step was odd between the last switch and it."
                } @else {
                    "The journal holds none between the last switch and the rollback."
                }
            }
        }
        @if let Some(first) = &mortem.first_sign {
            (table("What followed", ["When", "After", "What", "Verdict", "Why"], followed(page, mortem, first)))
        }
        @if mortem.earlier_signs > 0 {
            p.quiet { (mortem.earlier_signs) " odd readings and failures before the last switch are in the timeline and the plots." }
        }
    }
}

/// What was odd after the first sign, and how that ended.
fn followed(page: &Page, mortem: &PostMortem, first: &Sign) -> Vec<[Markup; 5]> {
    let after = |at_ms: u64| span(at_ms.saturating_sub(first.at_ms));
    let signs = mortem.signs.iter().map(|sign| {
        [
            page.time(sign.at_ms),
            html! { (after(sign.at_ms)) },
            html! { (sign.what) },
            verdict(sign.verdict),
            html! { (sign.why) },
        ]
    });
    let none = || html! {};
    let began = [
        page.time(mortem.began_ms),
        html! { (after(mortem.began_ms)) },
        html! { strong { "the rollback began" } },
        none(),
        html! { (mortem.reason) },
    ];
    let parts = [
        (mortem.toggles_ms, "toggles were set"),
        (mortem.recovered_ms, "authentication worked again"),
        (mortem.took_ms, "it was rolled back"),
    ];
    let parts = parts.into_iter().filter_map(|(took, what)| {
        let at_ms = mortem.began_ms + took?;
        Some([
            page.time(at_ms),
            html! { (after(at_ms)) },
            html! { (what) },
            none(),
            none(),
        ])
    });
    signs.chain([began]).chain(parts).collect()
}

fn errors(page: &Page, mortem: &PostMortem) -> Markup {
    let rows = mortem.errors.items.iter().map(|error| {
        [
            page.time(error.at_ms),
            html! { (error.what) },
            html! { span.log { (error.text) } },
        ]
    });
    html! {
        @if mortem.errors.items.is_empty() {
            (nothing("The journal holds none. Output of programs is not kept, since it may hold secrets; with `log` of the targets in the settings, what the service's own log says is."))
        } @else {
            (table("Errors that the journal holds", ["When", "Where", "What it said"], rows))
            @if let Some(text) = left_out(&mortem.errors) { p.none { (text) } }
        }
    }
}

fn requests(page: &Page, mortem: &PostMortem) -> Markup {
    let rows = mortem.failed_requests.items.iter().map(|request| {
        [
            page.time(request.at_ms),
            code(&request.id, 40),
            html! { (request.what) },
        ]
    });
    html! {
        @if mortem.failed_requests.items.is_empty() {
            (nothing("The journal holds no request id. Those of real traffic are in authz.policy_decisions and security.events, by request_id."))
        } @else {
            (table("Requests that failed; the service's records have them under these ids", ["When", "Request", "What for"], rows))
            @if let Some(text) = left_out(&mortem.failed_requests) { p.none { (text) } }
        }
    }
}

fn blank(title: &str, hint: &str) -> Markup {
    html! { h3 { (title) } p.blank { (hint) } }
}

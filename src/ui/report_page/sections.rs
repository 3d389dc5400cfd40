//! The sections of the page in their order.

use maud::{Markup, html};

use super::parts::{
    Page, code, left_out, marked, millis, nothing, section, span, table, tone, verdict,
};
use super::{bakes, logs, post_mortem, steps};
use crate::rollout::machine::Part;
use crate::rollout::report::{Approval, Approved, Moment, RemarkKind};

/// What there is to jump to.
const CONTENTS: [(&str, &str); 12] = [
    ("post-mortem", "Post-mortem"),
    ("timeline", "Timeline"),
    ("steps", "Steps"),
    ("approvals", "Approvals"),
    ("logs", "Logs"),
    ("gates", "Gates"),
    ("triggers", "Triggers"),
    ("toggles", "Toggles"),
    ("queries", "Verification queries"),
    ("smoke", "Smoke checks"),
    ("criteria", "Completion criteria"),
    ("people", "Drivers and notes"),
];

pub fn contents(page: &Page) -> Markup {
    let mortem = page.report.post_mortem.is_some();
    let logs = !page.report.logs.items.is_empty();
    let shown = CONTENTS.iter().filter(|(id, _)| match *id {
        "post-mortem" => mortem,
        "logs" => logs,
        _ => true,
    });
    html! {
        nav aria-label="Contents" { ul { @for (id, name) in shown {
            li { a href={ "#" (id) } { (name) } }
        } } }
    }
}

pub fn all(page: &Page) -> Markup {
    html! {
        (post_mortem::section_of(page))
        (timeline(page))
        (steps::section_of(page))
        (approvals(page))
        (logs::section_of(page))
        (bakes::section_of(page))
        (bakes::triggers(page))
        (toggles(page))
        (queries(page))
        (smoke(page))
        (criteria(page))
        (people(page))
    }
}

pub fn foot(page: &Page) -> Markup {
    let report = page.report;
    html! {
        footer {
            p {
                "Made " (page.full_time(report.made_at_ms)) " from the journal alone. Times are by the clock \
                of whoever drove. Long texts are shortened in the middle, long lists keep their beginning \
                and their end, and measurements are down-sampled where it says so; "
                code { "dbctl rollout log --run " (report.run) } " has every event."
            }
            p { "Journal head " code.whole { (report.journal.head) } " · plan " code.whole { (report.plan.hash) } }
        }
    }
}

fn timeline(page: &Page) -> Markup {
    let excerpt = &page.report.timeline;
    let content = html! {
        ol.timeline { @for (index, moment) in excerpt.items.iter().enumerate() {
            @if index == excerpt.left_out_behind {
                @if let Some(text) = left_out(excerpt) { li.none { (text) } }
            }
            (moment_of(page, moment))
        } }
    };
    section("timeline", "Timeline", content)
}

fn moment_of(page: &Page, moment: &Moment) -> Markup {
    html! {
        li.(tone(moment.tone)) {
            span.when { (page.time(moment.at_ms)) }
            span.what { (moment.text) }
        }
    }
}

fn approvals(page: &Page) -> Markup {
    let approvals = &page.report.approvals;
    let rows = approvals.items.iter().map(|approval| {
        [
            html! {
                @match approval.of {
                    Approved::Phase => { "Phase " strong { (approval.name) } " in " (approval.what) }
                    Approved::Step => { strong { (approval.name) } ": " (approval.what) }
                }
            },
            who(approval),
            html! { @match approval.at_ms {
                Some(at) => (page.time(at)),
                None => (marked("person", "◷", "waited for")),
            } },
            html! { @match approval.wanted_at_ms {
                Some(wanted) => (span(approval.at_ms.unwrap_or(page.report.made_at_ms).saturating_sub(wanted))),
                None => "–",
            } },
            html! { @match &approval.plan { Some(plan) => (code(plan, 12)), None => "–" } },
        ]
    });
    let content = html! {
        @if approvals.items.is_empty() {
            (nothing("Nothing was approved, and nobody was asked."))
        } @else {
            (table("Approvals", ["What", "Who", "When", "Waited", "Plan"], rows))
            @if let Some(text) = left_out(approvals) { p.none { (text) } }
        }
    };
    section("approvals", "Approvals", content)
}

fn who(approval: &Approval) -> Markup {
    html! {
        @match &approval.by { Some(by) => (person(by, approval.claim.as_deref())), None => "nobody yet" }
    }
}

/// A person, and what they say of themselves.
fn person(by: &str, claim: Option<&str>) -> Markup {
    html! {
        (by)
        @if let Some(claim) = claim {
            " " span.claim { "claims to be " (claim) " (not checked)" }
        }
    }
}

fn toggles(page: &Page) -> Markup {
    let toggles = &page.report.toggles;
    let rows = toggles.items.iter().map(|change| {
        let back = change.part == Part::Rollback;
        [
            page.time(change.ended_ms),
            html! { strong { (change.env) @if !change.env.is_empty() { "/" } (change.target) } },
            html! {
                @match &change.modes { Some(modes) => (modes), None => "does not say" }
                @if back { " (rollback)" }
            },
            html! { (millis(change.set_ms)) },
            html! { (millis(change.restart_ms)) },
            html! { (millis(change.confirm_ms)) },
            html! { (change.step) @if change.attempt > 1 { " (attempt " (change.attempt) ")" } },
        ]
    });
    let content = html! {
        @if toggles.items.is_empty() {
            (nothing("No target was switched."))
        } @else {
            (table(
                "Targets that were switched or restarted, and the modes that they then said themselves",
                ["Done", "Target", "Says", "Set", "Restart", "Confirm", "Step"],
                rows,
            ))
            @if let Some(text) = left_out(toggles) { p.none { (text) } }
        }
    };
    section("toggles", "Toggle changes", content)
}

fn queries(page: &Page) -> Markup {
    let queries = &page.report.queries;
    let content = html! {
        @if queries.is_empty() { (nothing("The runbook has no verification query.")) }
        @for query in queries {
            article {
                h3 { (query.name) }
                @for result in &query.results {
                    p {
                        (verdict(result.verdict)) " in " (result.env) ": " (result.summary)
                        " · " (page.time(result.at_ms)) " by " (result.step)
                    }
                }
                @if query.results.is_empty() { (nothing("Not run in this run.")) }
                details { summary { "SQL" } pre { (query.sql) } }
            }
        }
    };
    section("queries", "Verification queries", content)
}

fn smoke(page: &Page) -> Markup {
    let steps = page.report.steps.iter().filter(|s| s.kind == "smoke");
    let looked = steps.filter_map(|s| Some((s, s.attempts.items.last()?)));
    let looked: Vec<_> = looked.filter(|(_, a)| !a.checks.is_empty()).collect();
    let content = html! {
        @if looked.is_empty() { (nothing("No smoke check was made.")) }
        @for (step, attempt) in looked {
            (table(
                &format!("{} in {}", step.id, step.env),
                ["Verdict", "Check", "On", "Took", "Result"],
                attempt.checks.iter().map(|check| [
                    verdict(check.verdict),
                    html! { strong { (check.name) } },
                    html! { (check.subject) },
                    html! { (millis(Some(check.duration.as_secs_f64() * 1e3))) },
                    html! { (check.summary) },
                ]),
            ))
        }
    };
    section("smoke", "Smoke checks", content)
}

fn criteria(page: &Page) -> Markup {
    let rows = page.report.criteria.iter().map(|criterion| {
        [
            html! { @match criterion.verdict {
                Some(said) => (verdict(said)),
                None => (marked("plain", "·", "not judged")),
            } },
            html! { strong { (criterion.id) } },
            html! { (criterion.summary) },
        ]
    });
    let content = html! {
        @if page.report.criteria.is_empty() {
            (nothing("The runbook has no completion criterion."))
        } @else {
            (table("What has to hold at the end", ["Verdict", "Criterion", "Seen, or wanted"], rows))
        }
    };
    section("criteria", "Completion criteria", content)
}

fn people(page: &Page) -> Markup {
    let (drivers, remarks) = (&page.report.drivers, &page.report.remarks);
    let content = html! {
        (table("Who drove", ["From", "Who", "Process", "Token"], drivers.items.iter().map(|driver| [
            page.time(driver.from_ms),
            person(&driver.by, driver.claim.as_deref()),
            code(&driver.holder, 40),
            html! { (driver.token) },
        ])))
        @if let Some(text) = left_out(drivers) { p.none { (text) } }
        @if remarks.items.is_empty() {
            (nothing("No notes, no hand-over, nothing was done without the journal."))
        } @else {
            (table("Notes and hand-overs", ["When", "What", "Who", "Text"], remarks.items.iter().map(|remark| [
                page.time(remark.at_ms),
                html! { (kind(remark.kind)) },
                person(&remark.by, remark.claim.as_deref()),
                html! { (remark.text) },
            ])))
            @if let Some(text) = left_out(remarks) { p.none { (text) } }
        }
    };
    section("people", "Drivers, hand-overs and notes", content)
}

const fn kind(kind: RemarkKind) -> &'static str {
    match kind {
        RemarkKind::Note => "note",
        RemarkKind::Takeover => "take-over",
        RemarkKind::BreakGlass => "without the journal",
        RemarkKind::Replan => "another plan",
        RemarkKind::Waiver => "waived",
    }
}

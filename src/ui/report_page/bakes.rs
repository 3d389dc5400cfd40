//! The bakes: how much was observed, and each gate as a plot.

use maud::{Markup, html};

use super::parts::{Page, amount, difference, left_out, nothing, section, span, table, verdict};
use super::plot;
use crate::rollout::report::{BakeFacts, Counts, GateFacts};

pub fn section_of(page: &Page) -> Markup {
    let bakes = &page.report.bakes;
    let content = html! {
        @if bakes.is_empty() {
            (nothing("No bake was begun."))
        } @else {
            (legend())
            @for bake in bakes { (bake_of(page, bake)) }
        }
    };
    section("gates", "Gates", content)
}

fn legend() -> Markup {
    let key = |class: &str, fill: Option<&str>, name: &str| {
        html! {
            li {
                svg.key width="26" height="14" aria-hidden="true" focusable="false" {
                    rect.ground width="26" height="14" {}
                    rect.(class) fill=[fill] width="26" height="14" {}
                }
                " " (name)
            }
        }
    };
    html! {
        ul.legend {
            li { svg.key width="26" height="14" aria-hidden="true" focusable="false" {
                line.value.line x1="0" x2="26" y1="7" y2="7" {}
            } " these targets" }
            li { svg.key width="26" height="14" aria-hidden="true" focusable="false" {
                line.others.line x1="0" x2="26" y1="7" y2="7" {}
            } " the others" }
            (key("pass", None, "pass (low)"))
            (key("fail", None, "fail (high)"))
            (key("inconclusive", None, "inconclusive (half)"))
            (key("error", None, "error (high)"))
            (key("plainly", Some("url(#unjudged)"), "not judged"))
            (key("plainly", Some("url(#unseen)"), "not seen, or not all of it: no bake time"))
        }
    }
}

fn bake_of(page: &Page, bake: &BakeFacts) -> Markup {
    let length = bake.ended_ms.saturating_sub(bake.began_ms);
    let unseen = length.saturating_sub(bake.observed_ms);
    html! {
        article.bake {
            h3 {
                (bake.step)
                @if bake.attempt > 1 { " (attempt " (bake.attempt) ")" }
            }
            p {
                (span(bake.observed_ms)) " observed of " (span(bake.needed_ms)) " that it needs, in "
                (bake.looks) " looks, " (page.time(bake.began_ms)) " to " (page.time(bake.ended_ms))
                @if unseen >= 1_000 || !bake.gaps.items.is_empty() { "; " (span(unseen)) " of that was not observed and does not count" }
                "."
                @if let Some(since) = unwatched(bake) { " Nobody has looked since " (page.time(since)) "." }
                @if let Some(text) = left_out(&bake.gaps) { " Of the gaps " (text) "." }
            }
            @for gate in &bake.gates { (gate_of(page, bake, gate)) }
            @if bake.gates.is_empty() { (nothing("It watches no gate.")) }
        }
    }
}

/// The last look, where the bake ends with a gap.
fn unwatched(bake: &BakeFacts) -> Option<u64> {
    let last = bake.gaps.items.last()?;
    (last.to_ms == bake.ended_ms).then_some(last.from_ms)
}

fn gate_of(page: &Page, bake: &BakeFacts, gate: &GateFacts) -> Markup {
    html! {
        figure {
            figcaption {
                strong { (gate.id) }
                @if gate.heading != gate.id { " · " (gate.heading) }
                @if gate.muted { " · muted: it is measured and decides nothing" }
                br;
                span.query { (gate.query) }
                @for threshold in &gate.thresholds {
                    " · " (threshold.what) " " (amount(gate.unit, threshold.value))
                }
                @if let Some(margin) = gate.margin {
                    " · at most " (difference(gate.unit, margin)) " worse than the others"
                }
            }
            (plot::of_gate(page, bake, gate))
            p.counts { (counts(&gate.counts)) }
            @if let Some(last) = &gate.last {
                p.counts {
                    "last: "
                    @if last.warming { "warming up" } @else { (verdict(last.verdict)) }
                    ": " (last.why)
                    @if let Some(samples) = last.samples { " · " (format!("{samples:.0}")) " samples" }
                    " · " (page.time(last.at_ms))
                }
            }
            @if gate.series.down_sampled {
                p.counts.quiet {
                    "Down-sampled: each stretch of " (span(gate.series.bucket_ms))
                    " shows the highest, the lowest and the worst verdict of its readings."
                }
            }
        }
    }
}

fn counts(counts: &Counts) -> String {
    let each = [
        (counts.pass, "pass"),
        (counts.fail, "fail"),
        (counts.inconclusive, "inconclusive"),
        (counts.error, "error"),
        (counts.warming, "warming up"),
    ];
    let all = counts.all();
    let unseen = match counts.unseen {
        0 => String::new(),
        n => format!("; {n} of them saw only a part of their time"),
    };
    let each = each.iter().filter(|(n, _)| *n > 0);
    let words: Vec<String> = each.map(|(n, word)| format!("{n} {word}")).collect();
    match all {
        0 => "no reading".into(),
        all => format!("{all} readings: {}{unseen}", words.join(", ")),
    }
}

/// The triggers, and when they fired.
pub fn triggers(page: &Page) -> Markup {
    let report = page.report;
    let rows = report.triggers.iter().map(|trigger| {
        [
            html! { strong { (trigger.id) } br; span.query { (trigger.query) } },
            html! { "above " (amount(trigger.unit, trigger.above)) " in " (span(trigger.window_ms)) },
            html! { @if trigger.rolls_back { "rolls back" } @else { "pauses" } },
            html! {
                @if trigger.fired.items.is_empty() { "did not fire" }
                @for fired in &trigger.fired.items {
                    div { strong { "fired " } (page.time(fired.at_ms)) ": " (fired.why) }
                }
                @if let Some(text) = left_out(&trigger.fired) { (text) }
            },
        ]
    });
    let content = html! {
        @if report.triggers.is_empty() {
            (nothing("The runbook has no triggers."))
        } @else {
            p {
                @match report.triggers_armed_at_ms {
                    Some(at) => { "Armed from " (page.time(at)) " on, when the first target was being switched." }
                    None => { "Never armed: no target was switched." }
                }
            }
            (table("Triggers", ["Trigger", "Fires", "Then", "What happened"], rows))
        }
    };
    section("triggers", "Triggers", content)
}

//! The steps: what became of each attempt, with its evidence.

use maud::{Markup, html};
use serde_json::Value;

use super::parts::{Page, checks, evidence, left_out, marked, section, span};
use crate::rollout::machine::{Part, Progress};
use crate::rollout::report::{Attempt, AttemptOutcome, StepFacts};
use crate::rollout::words;

pub fn section_of(page: &Page) -> Markup {
    let report = page.report;
    let unwound = report.steps.iter().any(|s| {
        let begun = !s.attempts.items.is_empty();
        begun && s.part != Part::Forward
    });
    let content = html! {
        @for phase in &report.plan.phases {
            (group(page, &format!("Phase {} in {}", phase.name, phase.env), |s| {
                s.part == Part::Forward && s.planned && s.phase == phase.name
            }))
        }
        (group(page, "Of an earlier plan", |s| !s.planned))
        @if unwound {
            (group(page, "Rollback", |s| s.part == Part::Rollback && s.planned))
            (group(page, "After the rollback", |s| s.part == Part::Afterwards && s.planned))
        }
    };
    section("steps", "Steps", content)
}

fn group(page: &Page, title: &str, within: impl Fn(&StepFacts) -> bool) -> Markup {
    let steps: Vec<&StepFacts> = page.report.steps.iter().filter(|s| within(s)).collect();
    if steps.is_empty() {
        return html! {};
    }
    html! {
        h3 { (title) }
        ol.steps { @for step in steps { li { (step_of(page, step)) } } }
    }
}

fn step_of(page: &Page, step: &StepFacts) -> Markup {
    let took = took(step);
    html! {
        details {
            summary {
                span.name { (step.id) }
                " " (progress(step.progress))
                " " span.quiet {
                    "· " (step.kind)
                    @if !step.targets.is_empty() { " on " (step.targets.join(", ")) }
                    @if let Some(first) = step.attempts.items.first() {
                        " · " span.rel { (page.relative(first.began_ms)) }
                    }
                    @if let Some(took) = took { ", " span.rel { (span(took)) } }
                    @if step.attempts.items.len() > 1 { " · " (step.attempts.items.len()) " attempts" }
                }
            }
            p.quiet { (step.heading) }
            @if step.attempts.items.is_empty() { p.none { "Not begun." } }
            @for (index, attempt) in step.attempts.items.iter().enumerate() {
                @if index == step.attempts.left_out_behind {
                    @if let Some(text) = left_out(&step.attempts) { p.none { (text) } }
                }
                (attempt_of(page, attempt))
            }
        }
    }
}

/// From the first attempt's beginning to the last one's end.
fn took(step: &StepFacts) -> Option<u64> {
    let (first, last) = (step.attempts.items.first()?, step.attempts.items.last()?);
    last.ended_ms?.checked_sub(first.began_ms)
}

fn attempt_of(page: &Page, attempt: &Attempt) -> Markup {
    html! {
        div.attempt {
            p {
                "Attempt " (attempt.number) ": " (outcome(attempt.outcome))
                " · " (page.time(attempt.began_ms))
                @if let Some(ended) = attempt.ended_ms {
                    " · took " (span(ended.saturating_sub(attempt.began_ms)))
                }
                " · event " (attempt.began_seq)
            }
            @if let Some(why) = &attempt.why { p.why { (why) } }
            @for probe in &attempt.probes {
                p.why { "probed " (page.time(probe.at_ms)) ": " (words::of_probe(probe.found)) " (" (probe.why) ")" }
            }
            @if !attempt.checks.is_empty() { (checks("Checks", &attempt.checks)) }
            @if attempt.evidence != Value::Null { (evidence(&attempt.evidence)) }
        }
    }
}

fn progress(progress: Progress) -> Markup {
    match progress {
        Progress::Done => marked("good", "✓", "done"),
        Progress::Unconfirmed => marked("unsure", "?", "done, not confirmed"),
        Progress::InFlight => marked("plain", "●", "under way"),
        Progress::InDoubt => marked("unsure", "?", "in doubt"),
        Progress::Failed { inconclusive: true } => marked("unsure", "?", "could not be judged"),
        Progress::Failed {
            inconclusive: false,
        } => marked("bad", "✗", "failed"),
        Progress::Abandoned => marked("plain", "–", "given up"),
        Progress::Pending => marked("plain", "·", "not done"),
    }
}

fn outcome(outcome: AttemptOutcome) -> Markup {
    match outcome {
        AttemptOutcome::Succeeded => marked("good", "✓", "succeeded"),
        AttemptOutcome::Unconfirmed => marked("unsure", "?", "done, not confirmed"),
        AttemptOutcome::Failed => marked("bad", "✗", "failed"),
        AttemptOutcome::Inconclusive => marked("unsure", "?", "could not be judged"),
        AttemptOutcome::InDoubt => marked("unsure", "?", "in doubt"),
        AttemptOutcome::Open => marked("plain", "●", "no outcome recorded"),
    }
}

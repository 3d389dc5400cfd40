//! The steps, and what became of each attempt.

use std::collections::BTreeMap;

use serde_json::Value;

use super::evidence;
use super::limits::{Keep, TEXT, short};
use super::{Attempt, AttemptOutcome, Excerpt, Probe, StepFacts};
use crate::check::CheckResult;
use crate::rollout::engine::Known;
use crate::rollout::journal::Entry;
use crate::rollout::machine::{Found, Part, Progress, StepRef};
use crate::runbook::plan::{Plan, Planned};

/// How many probes of an attempt are kept.
const PROBES: usize = 20;

/// What happened to steps, by part and id: another plan may move a step.
#[derive(Debug, Default)]
pub(super) struct Steps {
    attempts: BTreeMap<(Part, String), Book>,
}

#[derive(Debug)]
struct Book {
    attempts: Keep<Attempt>,
    /// The step as the plan had it when it was last begun.
    planned: Planned,
}

/// How an attempt ended.
#[derive(Clone, Copy)]
pub(super) struct End<'a> {
    pub outcome: AttemptOutcome,
    pub why: Option<&'a str>,
    pub evidence: &'a Value,
}

impl Steps {
    pub fn begun(&mut self, known: &Known, entry: &Entry, at: StepRef, number: u32) {
        let Some(planned) = planned(&known.plan, at) else {
            return;
        };
        let key = (at.part, planned.step.id.clone());
        let book = self.attempts.entry(key).or_insert_with(|| Book {
            attempts: Keep::new(4, 12),
            planned: planned.clone(),
        });
        book.planned = planned.clone();
        book.attempts.push(Attempt {
            number,
            began_seq: entry.record.seq,
            began_ms: entry.record.at_ms,
            ended_ms: None,
            outcome: AttemptOutcome::Open,
            why: None,
            probes: Vec::new(),
            checks: Vec::new(),
            evidence: Value::Null,
        });
    }

    /// The newest attempt ended; returns it as it stands then.
    pub fn ended(
        &mut self,
        known: &Known,
        entry: &Entry,
        at: StepRef,
        end: &End,
    ) -> Option<&Attempt> {
        let planned = planned(&known.plan, at)?;
        let attempt = self.newest(at.part, &planned.step.id)?;
        let (checks, evidence) = evidence::of_step(&planned.step.kind, end.evidence);
        attempt.ended_ms = Some(entry.record.at_ms);
        attempt.outcome = end.outcome;
        attempt.why = end.why.map(|why| short(why, TEXT));
        attempt.checks = checks;
        attempt.evidence = evidence;
        Some(attempt)
    }

    pub fn probed(&mut self, known: &Known, entry: &Entry, at: StepRef, found: Found, why: &str) {
        let id = known.state.outline.id(at);
        let Some(attempt) = self.newest(at.part, id) else {
            return;
        };
        if attempt.probes.len() < PROBES {
            attempt.probes.push(Probe {
                at_ms: entry.record.at_ms,
                found,
                why: short(why, TEXT),
            });
        }
        match found {
            Found::Done => {
                attempt.outcome = AttemptOutcome::Succeeded;
                attempt.ended_ms = Some(entry.record.at_ms);
            }
            Found::NotDone => {
                attempt.outcome = AttemptOutcome::Open;
                attempt.ended_ms = Some(entry.record.at_ms);
            }
            Found::Unknown => attempt.outcome = AttemptOutcome::InDoubt,
        }
    }

    fn newest(&mut self, part: Part, id: &str) -> Option<&mut Attempt> {
        let book = self.attempts.get_mut(&(part, id.to_owned()))?;
        book.attempts.last_mut()
    }

    /// Every check of an attempt, oldest attempt first, with the step that it belongs to.
    pub fn checks(&self) -> impl Iterator<Item = (&Planned, &Attempt, &CheckResult)> {
        self.attempts.values().flat_map(|book| {
            let attempts = book.attempts.iter();
            attempts.flat_map(move |a| a.checks.iter().map(move |c| (&book.planned, a, c)))
        })
    }

    /// The steps in the order of the plan at the end; then those that it left out.
    pub fn finish(mut self, known: &Known) -> Vec<StepFacts> {
        let (plan, state) = (&known.plan, &known.state);
        let mut steps = Vec::new();
        for (part, planned) in [
            (Part::Forward, &plan.forward),
            (Part::Rollback, &plan.rollback),
            (Part::Afterwards, &plan.afterwards),
        ] {
            for (planned, step) in planned.iter().zip(state.steps(part)) {
                let book = self.attempts.remove(&(part, planned.step.id.clone()));
                let attempts = book.map_or_else(nothing, |b| b.attempts.excerpt());
                steps.push(facts(part, planned, step.progress, true, attempts));
            }
        }
        for ((part, _), book) in self.attempts {
            let attempts = book.attempts.excerpt();
            steps.push(facts(
                part,
                &book.planned,
                Progress::Abandoned,
                false,
                attempts,
            ));
        }
        steps
    }
}

fn nothing() -> Excerpt<Attempt> {
    Keep::new(0, 0).excerpt()
}

fn facts(
    part: Part,
    planned: &Planned,
    progress: Progress,
    in_plan: bool,
    attempts: Excerpt<Attempt>,
) -> StepFacts {
    let step = &planned.step;
    StepFacts {
        part,
        phase: match part {
            Part::Forward => step.phase.clone(),
            Part::Rollback | Part::Afterwards => String::new(),
        },
        id: step.id.clone(),
        kind: step.kind.name(),
        heading: short(&step.heading, TEXT),
        env: step.env.clone(),
        targets: planned.targets.clone(),
        progress,
        planned: in_plan,
        attempts,
    }
}

pub(super) fn planned(plan: &Plan, at: StepRef) -> Option<&Planned> {
    let steps = match at.part {
        Part::Forward => &plan.forward,
        Part::Rollback => &plan.rollback,
        Part::Afterwards => &plan.afterwards,
    };
    steps.get(at.index)
}

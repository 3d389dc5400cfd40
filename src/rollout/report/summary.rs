//! From what was collected to the report, and the sentence at its head.

use std::collections::BTreeMap;

use super::collect::Collector;
use super::gates;
use super::limits::{Keep, TEXT, short};
use super::{
    CriterionFacts, EnvironmentFacts, JournalFacts, PhaseFacts, PlanFacts, QueryFacts, QueryResult,
    RunReport, TriggerFacts,
};
use crate::rollout::engine::Known;
use crate::rollout::journal::RunId;
use crate::rollout::machine::{Part, PausedBy, State, Status, StepRef};
use crate::runbook::describe;
use crate::runbook::model::{OnTrigger, StepKind};
use crate::runbook::plan::Plan;

impl Collector {
    pub(super) fn report(mut self, run: RunId, known: &Known, now_ms: u64) -> RunReport {
        let (plan, state) = (&known.plan, &known.state);
        self.still_wants(known);
        // A bake that is under way is seen up to now, any other up to the newest event.
        let until_ms = match state.baking() {
            Some(_) => now_ms.max(known.last_at_ms),
            None => known.last_at_ms,
        };
        let queries = self.queries(plan);
        let criteria = self.criteria(plan);
        let triggers = self.triggers(plan);
        let post_mortem = self.mortem.finish();
        let reason = match explains(&state.status) {
            true => known.told.reason.as_deref(),
            false => None,
        };
        RunReport {
            run,
            runbook: plan.runbook.clone(),
            title: short(&plan.title, TEXT),
            sentence: sentence(state, plan),
            status: state.status.clone(),
            open: !state.is_closed(),
            reason: reason.map(|reason| short(reason, TEXT)),
            made_at_ms: now_ms,
            started_at_ms: self.started.0,
            started_by: self.started.1,
            last_event_ms: known.last_at_ms,
            plan: plan_facts(plan, state, self.plan_in, self.replanned),
            environments: environments(plan),
            journal: JournalFacts {
                events: known.head.seq,
                head: known.head.to_string(),
            },
            drivers: self.drivers.excerpt(),
            timeline: self.timeline.excerpt(),
            steps: self.steps.finish(known),
            approvals: self.approvals.excerpt(),
            logs: self.logs.excerpt(),
            bakes: self.bakes.into_iter().map(|b| b.finish(until_ms)).collect(),
            triggers,
            triggers_armed_at_ms: self.armed_at_ms,
            toggles: self.toggles.excerpt(),
            queries,
            criteria,
            remarks: self.remarks.excerpt(),
            post_mortem,
        }
    }
}

impl Collector {
    /// What is waited for at the end, whether it was asked once or again.
    fn still_wants(&mut self, known: &Known) {
        match known.state.status {
            Status::AwaitingApproval { phase } => {
                self.wants_approval(known, known.last_at_ms, phase);
            }
            Status::AwaitingAnswer { step } => self.wants_answer(known, known.last_at_ms, step),
            Status::Running
            | Status::Paused { .. }
            | Status::RollingBack
            | Status::RolledBack
            | Status::Stuck { .. }
            | Status::Completed
            | Status::Aborted => self.wanted = None,
        }
        if let Some(wanted) = self.wanted.take() {
            self.approvals.push(wanted);
        }
    }

    fn queries(&self, plan: &Plan) -> Vec<QueryFacts> {
        let mut newest: BTreeMap<(&str, &str), QueryResult> = BTreeMap::new();
        for (planned, attempt, check) in self.steps.checks() {
            if !matches!(planned.step.kind, StepKind::Verify { .. }) {
                continue;
            }
            let at_ms = attempt.ended_ms.unwrap_or(attempt.began_ms);
            let key = (check.name.as_str(), check.subject.as_str());
            if newest.get(&key).is_some_and(|known| known.at_ms > at_ms) {
                continue;
            }
            let result = QueryResult {
                step: planned.step.id.clone(),
                env: check.subject.clone(),
                at_ms,
                verdict: check.verdict,
                summary: check.summary.clone(),
            };
            newest.insert(key, result);
        }
        let facts = plan.queries.iter().map(|query| QueryFacts {
            name: query.name.clone(),
            heading: short(&query.heading, TEXT),
            sql: short(&query.sql, 2 * TEXT),
            results: newest
                .iter()
                .filter(|((name, _), _)| *name == query.name)
                .map(|(_, result)| result.clone())
                .collect(),
        });
        facts.collect()
    }

    fn criteria(&self, plan: &Plan) -> Vec<CriterionFacts> {
        let judged: BTreeMap<&str, _> = self
            .steps
            .checks()
            .filter(|(planned, _, _)| matches!(planned.step.kind, StepKind::Complete))
            .map(|(_, _, check)| (check.name.as_str(), check))
            .collect();
        let facts = plan.criteria.iter().map(|criterion| {
            let judged = judged.get(criterion.id.as_str());
            CriterionFacts {
                id: criterion.id.clone(),
                heading: short(&criterion.heading, TEXT),
                verdict: judged.map(|check| check.verdict),
                summary: match judged {
                    Some(check) => check.summary.clone(),
                    None => describe::proof(&criterion.proof),
                },
            }
        });
        facts.collect()
    }

    fn triggers(&mut self, plan: &Plan) -> Vec<TriggerFacts> {
        let facts = plan.triggers.iter().map(|trigger| {
            let fired = self.fired.remove(&trigger.id);
            TriggerFacts {
                id: trigger.id.clone(),
                heading: short(&trigger.heading, TEXT),
                query: describe::measure(&trigger.measure),
                unit: gates::unit(&trigger.measure),
                above: trigger.above,
                window_ms: millis(trigger.window),
                rolls_back: trigger.on_trigger == OnTrigger::Rollback,
                fired: fired.unwrap_or_else(|| Keep::new(0, 0)).excerpt(),
            }
        });
        facts.collect()
    }
}

/// Whether the newest reason says why the run is in this state.
const fn explains(status: &Status) -> bool {
    match status {
        Status::Paused { .. }
        | Status::RollingBack
        | Status::RolledBack
        | Status::Stuck { .. }
        | Status::Aborted => true,
        Status::Running
        | Status::AwaitingApproval { .. }
        | Status::AwaitingAnswer { .. }
        | Status::Completed => false,
    }
}

fn plan_facts(plan: &Plan, state: &State, in_event: u64, replanned: u64) -> PlanFacts {
    let phases = plan.phases.iter().map(|p| PhaseFacts {
        name: p.name.clone(),
        env: p.env.clone(),
    });
    PlanFacts {
        hash: state.outline.plan.clone(),
        in_event,
        phases: phases.collect(),
        shortened_ms: plan.shortened.map(millis),
        shortened: plan.shortened_in_words(),
        widened: plan.widened.clone(),
        replanned,
    }
}

fn environments(plan: &Plan) -> Vec<EnvironmentFacts> {
    let facts = plan.environments.iter().map(|env| EnvironmentFacts {
        name: env.name.clone(),
        targets: env.targets.iter().map(|t| t.name.clone()).collect(),
    });
    facts.collect()
}

fn millis(d: std::time::Duration) -> u64 {
    u64::try_from(d.as_millis()).unwrap_or(u64::MAX)
}

/// What became of the run, in one sentence.
fn sentence(state: &State, plan: &Plan) -> String {
    let doing = || {
        let at = state.in_flight().or_else(|| state.next_step(Part::Forward));
        at.map(|at| state.outline.id(at).to_owned())
    };
    match &state.status {
        Status::Running => match (&state.bake, doing()) {
            (Some(_), Some(id)) => format!("Under way: {id} watches its gates."),
            (_, Some(id)) => format!("Under way: step {id}."),
            (_, None) => "Under way.".into(),
        },
        Status::AwaitingApproval { phase } => match plan.phases.get(*phase) {
            Some(p) => format!("Waits for an approval of phase {} in {}.", p.name, p.env),
            None => "Waits for an approval.".into(),
        },
        Status::AwaitingAnswer { step } => {
            let id = state.outline.id(*step);
            format!("Waits for a person's answer to step {id}.")
        }
        Status::Paused { by } => match doing() {
            Some(id) => format!("Paused {} at step {id}.", paused_by(*by)),
            None => format!("Paused {}.", paused_by(*by)),
        },
        Status::RollingBack => {
            let due = state.rollback.iter().enumerate();
            let due = due.filter(|(index, _)| state.is_due(StepRef::new(Part::Rollback, *index)));
            let (mut done, mut all) = (0, 0);
            for (_, step) in due {
                all += 1;
                done += usize::from(step.progress.is_finished());
            }
            format!("Rolling back: {done} of {all} steps are done.")
        }
        Status::RolledBack if state.waived => {
            "Rolled back; what was due afterwards was given up.".into()
        }
        Status::RolledBack if state.is_closed() => {
            "Rolled back, and everything that was due afterwards is done.".into()
        }
        Status::RolledBack => "Rolled back; what is due before another attempt is not done.".into(),
        Status::Stuck { step } => {
            let id = state.outline.id(*step);
            format!("Stuck at step {id} of the rollback: it cannot go on without a person.")
        }
        Status::Completed => match plan.shortened {
            None => "Completed: every step and every criterion holds.".into(),
            Some(to) => format!(
                "Completed: every step and every criterion holds, with bakes shortened to {}.",
                describe::words(to)
            ),
        },
        Status::Aborted => "Aborted by a person before anything was switched.".into(),
    }
}

const fn paused_by(by: PausedBy) -> &'static str {
    match by {
        PausedBy::Person => "by a person",
        PausedBy::Gate => "by a gate that could not be judged",
        PausedBy::Trigger => "by a trigger",
        PausedBy::Failure => "by a step that failed",
        PausedBy::Inconclusive => "by a check that could not be judged",
        PausedBy::Doubt => "by a step in doubt",
    }
}

//! Looking, before a run, at what its gates and triggers measure.

use std::time::Duration;

use jiff::Timestamp;

use super::Live;
use super::foresee::{Ahead, Changes, Foreseen, Looked, Now};
use super::look::arms;
use super::sources::{of_gate, of_trigger};
use crate::check::gates::required_in_words;
use crate::check::metrics::{EVERYTHING, Span, ask_once};
use crate::check::{CheckResult, Verdict};
use crate::error::{Problem, Result};
use crate::runbook::model::{Gate, Measure, StepKind};
use crate::runbook::plan::{Plan, Planned};
use crate::settings::Environment;

/// The time over which a dry run counts requests.
const BETWEEN_SAMPLES: Duration = Duration::from_secs(2);

/// What was seen: of the targets themselves, and of what is measured there.
struct Seen {
    targets: Vec<CheckResult>,
    measures: Vec<CheckResult>,
}

impl Live {
    pub(super) async fn foresee_bake(
        &self,
        plan: &Plan,
        planned: &Planned,
        env: &Environment,
        ahead: &Ahead,
    ) -> Result<Foreseen> {
        let seen = self.measured_now(plan, planned).await?;
        // A program that was not run may be what brings a metric along.
        let program = ahead.before(&env.name, &[]);
        let targets = seen.targets.into_iter().map(|r| Looked::new(r, None));
        let measures = seen.measures.into_iter();
        let measures = measures.map(|r| Looked::new(r, program.clone()));
        let checks: Vec<Looked> = targets.chain(measures).collect();
        let judged = checks.iter().filter(|l| l.not_before.is_none());
        let verdict = Verdict::worst(judged.map(|l| l.result.verdict));
        if verdict != Verdict::Pass {
            let wrong = |l: &Looked| l.result.verdict != Verdict::Pass;
            return Ok(Foreseen {
                checks: checks.into_iter().filter(wrong).collect(),
                ..Foreseen::judged(verdict, "it could not be watched now")
            });
        }
        let before = ahead.before(&env.name, &[Changes::Toggles]);
        let before = before.unwrap_or_else(|| planned.step.id.clone());
        let why = "the metrics of every target can be read";
        let telling = |l: &Looked| l.not_before.is_some() || l.result.summary != EVERYTHING;
        let needed = self.traffic_needed(plan, planned).await?;
        let needed = needed.into_iter().map(|r| Looked::new(r, None));
        Ok(Foreseen {
            checks: checks
                .into_iter()
                .filter(|l| l.result.name != "metrics" && telling(l))
                .chain(needed)
                .collect(),
            ..Foreseen::new(Now::NotKnown { before }, why)
        })
    }

    /// How much traffic each margin of a bake needs, and how long that takes with what there is
    /// now.
    async fn traffic_needed(&self, plan: &Plan, bake: &Planned) -> Result<Vec<CheckResult>> {
        let (on, others) = arms(plan, bake);
        let compared = |g: &&Gate| g.margin.is_some() && !g.muted && !others.is_empty();
        let gates: Vec<&Gate> = gates(plan, bake).filter(compared).collect();
        let StepKind::Bake {
            duration, extend, ..
        } = &bake.step.kind
        else {
            return Ok(Vec::new());
        };
        if gates.is_empty() {
            return Ok(Vec::new());
        }
        let (mut watch, asker) = self.watch_over(plan)?;
        watch.sample(Timestamp::now()).await;
        tokio::time::sleep(BETWEEN_SAMPLES).await;
        let now = Timestamp::now();
        watch.sample(now).await;
        let decisions = if extend.is_zero() { 1 } else { 2 };
        let mut told = Vec::new();
        for gate in gates {
            for targets in [&on, &others] {
                if let Some(question) = of_gate(gate, targets) {
                    let said = asker.ask(&question, now).await;
                    let sent = asker.sent(&question);
                    watch.hear(question, sent, now, said);
                }
            }
            let span = Span {
                window: gate.window,
                interval: gate.interval.max(BETWEEN_SAMPLES),
                this_process: true,
            };
            let mut rates = [&on, &others].map(|t| watch.measure(&gate.measure, t, span, now));
            if matches!(gate.measure, Measure::Asked(_)) {
                // Its counts are of a whole window, whenever it was asked first.
                let window = u64::try_from(gate.window.as_millis()).unwrap_or(u64::MAX);
                rates.iter_mut().for_each(|m| m.observed_ms = window);
            }
            let [baking, there] = &rates;
            let longest = *duration + *extend;
            let words = required_in_words(gate, (baking, there), decisions, longest);
            told.extend(words.map(|summary| CheckResult {
                name: gate.id.clone(),
                subject: String::new(),
                verdict: Verdict::Pass,
                summary,
                next: None,
                evidence: Vec::new(),
                duration: Duration::ZERO,
            }));
        }
        Ok(told)
    }

    /// Refuses a run that could not be watched: every provider is asked, and every query run once.
    ///
    /// # Errors
    /// What cannot be measured, all of it at once.
    pub async fn metrics_ready(&self, plan: &Plan) -> Result<()> {
        let mut wrong: Vec<CheckResult> = Vec::new();
        for (index, bake) in plan.forward.iter().enumerate() {
            if !matches!(bake.step.kind, StepKind::Bake { .. }) {
                continue;
            }
            let programs = plan.forward[..index].iter().any(|p| {
                p.step.env == bake.step.env && matches!(p.step.kind, StepKind::Command { .. })
            });
            let seen = self.measured_now(plan, bake).await?;
            let measures = seen.measures.into_iter().filter(|_| !programs);
            let all = seen.targets.into_iter().chain(measures);
            for result in all.filter(|r| r.verdict != Verdict::Pass) {
                let known = |r: &CheckResult| r.name == result.name && r.subject == result.subject;
                if !wrong.iter().any(known) {
                    wrong.push(result);
                }
            }
        }
        let exit = Verdict::worst(wrong.iter().map(|r| r.verdict)).exit();
        let mut problems = wrong.into_iter().map(|r| {
            let of = match r.subject.as_str() {
                "" => r.name,
                subject => format!("{} on {subject}", r.name),
            };
            Problem::new(
                exit,
                format!("looking at what is measured: {of}"),
                r.summary,
            )
        });
        match problems.next() {
            None => Ok(()),
            Some(first) => Err(first.related(problems).next(
                "nothing was begun; a run could not be watched like this. \
                 `dbctl rollout plan --dry-run` looks again",
            )),
        }
    }

    async fn measured_now(&self, plan: &Plan, bake: &Planned) -> Result<Seen> {
        let (mut watch, asker) = self.watch_over(plan)?;
        let now = Timestamp::now();
        watch.sample(now).await;
        let (on, others) = arms(plan, bake);
        let all: Vec<String> = on.iter().chain(&others).cloned().collect();
        let mut targets: Vec<CheckResult> = all.iter().map(|t| watch.readable(t)).collect();
        if let Some(of) = asker.prometheus.get(&bake.step.env) {
            let said = of.clock_is_off().await.unwrap_or_else(Some);
            targets.extend(said.map(|why| unreadable(&bake.step.env, why)));
        }
        let mut measures = Vec::new();
        for gate in gates(plan, bake) {
            let compared: &[String] = if gate.margin.is_some() { &all } else { &on };
            let seen = compared.iter();
            measures.extend(seen.filter_map(|t| watch.preview(&gate.id, &gate.measure, t)));
            if let Some(question) = of_gate(gate, &on) {
                let others = of_gate(gate, &others);
                let asked = ask_once(&asker, &gate.id, &question, others.as_ref(), now);
                measures.push(asked.await);
            }
        }
        for trigger in &plan.triggers {
            let seen = all.iter();
            measures.extend(seen.filter_map(|t| watch.preview(&trigger.id, &trigger.measure, t)));
            if let Some(question) = of_trigger(trigger, &all) {
                measures.push(ask_once(&asker, &trigger.id, &question, None, now).await);
            }
        }
        Ok(Seen { targets, measures })
    }
}

fn gates<'p>(plan: &'p Plan, bake: &'p Planned) -> impl Iterator<Item = &'p Gate> {
    let ids: &[String] = if let StepKind::Bake { gates, .. } = &bake.step.kind {
        gates
    } else {
        &[]
    };
    ids.iter().filter_map(|id| plan.gate(id))
}

fn unreadable(env: &str, why: String) -> CheckResult {
    CheckResult {
        name: "metrics".into(),
        subject: env.to_owned(),
        verdict: Verdict::Error,
        summary: why,
        next: None,
        evidence: Vec::new(),
        duration: Duration::ZERO,
    }
}

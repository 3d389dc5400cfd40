//! Looking, before a run, at what its gates and triggers measure.

use std::fmt;
use std::time::Duration;

use jiff::Timestamp;

use super::Live;
use super::foresee::{Ahead, Changes, Foreseen, Looked, Now};
use super::look::arms;
use super::sources::{of_gate, of_trigger};
use crate::check::gates::{Reach, Traffic, traffic};
use crate::check::metrics::{
    Asker, EVERYTHING, Measurement, Preview, Sources, Span, Watch, ask_once,
};
use crate::check::{CheckResult, Verdict};
use crate::error::{Problem, Result};
use crate::runbook::model::{Gate, Measure, StepKind};
use crate::runbook::plan::{Plan, Planned};
use crate::settings::Environment;
use crate::ui::printable;

/// The time over which requests are counted before a run.
const BETWEEN_SAMPLES: Duration = Duration::from_secs(2);

/// What was seen: of the targets themselves, and of what is measured there.
struct Seen {
    targets: Vec<CheckResult>,
    measures: Vec<Preview>,
}

/// What the margin of a gate needs in a bake.
#[derive(Debug)]
pub struct Margin {
    pub bake: String,
    pub gate: String,
    pub traffic: Traffic,
}

/// A metric that was not there when it was looked at before the run.
#[derive(Debug)]
pub struct Unchecked {
    result: CheckResult,
    /// The step that may bring it along.
    after: String,
}

impl fmt::Display for Unchecked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { result, after } = self;
        let (what, why) = (subject(result), &result.summary);
        write!(
            f,
            "not checked: {what}: {why}; step {after} may bring it along"
        )
    }
}

impl From<Margin> for CheckResult {
    fn from(margin: Margin) -> Self {
        let Margin { gate, traffic, .. } = margin;
        Self {
            name: gate,
            subject: String::new(),
            // It stops no run: there may be more traffic in the night, or less.
            verdict: match traffic.reach {
                Reach::Enough => Verdict::Pass,
                Reach::Perhaps | Reach::TooShort | Reach::Unknown => Verdict::Inconclusive,
            },
            summary: traffic.why,
            next: None,
            evidence: Vec::new(),
            duration: Duration::ZERO,
        }
    }
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
        let measures = measures.map(|Preview { result, absent }| {
            Looked::new(result, program.clone().filter(|_| absent))
        });
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
        let needed = self.margins(plan, &[planned]).await?;
        let needed = needed.into_iter().map(|m| Looked::new(m.into(), None));
        Ok(Foreseen {
            checks: checks
                .into_iter()
                .filter(|l| l.result.name != "metrics" && telling(l))
                .chain(needed)
                .collect(),
            ..Foreseen::new(Now::NotKnown { before }, why)
        })
    }

    /// How much traffic the margins of bakes need, and whether these are long enough for it with
    /// what there is now.
    pub async fn margins(&self, plan: &Plan, bakes: &[&Planned]) -> Result<Vec<Margin>> {
        if bakes.iter().all(|bake| plan.compared(bake).is_empty()) {
            return Ok(Vec::new());
        }
        let (mut watch, asker) = self.watch_over(plan)?;
        watch.sample(Timestamp::now()).await;
        tokio::time::sleep(BETWEEN_SAMPLES).await;
        let now = Timestamp::now();
        watch.sample(now).await;
        let mut told = Vec::new();
        for bake in bakes {
            let StepKind::Bake {
                duration, extend, ..
            } = &bake.step.kind
            else {
                continue;
            };
            let decisions = if extend.is_zero() { 1 } else { 2 };
            for gate in plan.compared(bake) {
                let arms = rates(&mut watch, &asker, gate, arms(plan, bake), now).await;
                let traffic = traffic(gate, (&arms[0], &arms[1]), decisions, *duration + *extend);
                told.extend(traffic.map(|traffic| Margin {
                    bake: bake.step.id.clone(),
                    gate: gate.id.clone(),
                    traffic,
                }));
            }
        }
        Ok(told)
    }

    /// Refuses a run that could not be watched: every provider is asked, and every query run once.
    /// Returns what a person should look at: what is not there yet and may come with a step before
    /// its bake, and what may only be misspelt.
    ///
    /// # Errors
    /// What cannot be measured, all of it at once.
    pub async fn metrics_ready(&self, plan: &Plan) -> Result<Vec<String>> {
        let mut wrong: Vec<CheckResult> = Vec::new();
        let mut unchecked: Vec<Unchecked> = Vec::new();
        let mut doubtful: Vec<CheckResult> = Vec::new();
        for (index, bake) in plan.forward.iter().enumerate() {
            if !matches!(bake.step.kind, StepKind::Bake { .. }) {
                continue;
            }
            let program = plan.forward[..index].iter().rev().find(|p| {
                p.step.env == bake.step.env && matches!(p.step.kind, StepKind::Command { .. })
            });
            let seen = self.measured_now(plan, bake).await?;
            let is =
                |r: &CheckResult, of: &CheckResult| r.name == of.name && r.subject == of.subject;
            let targets = seen.targets.into_iter().map(|result| Preview {
                result,
                absent: false,
            });
            for Preview { result, absent } in targets.chain(seen.measures) {
                if result.verdict == Verdict::Pass {
                    let told = doubtful.iter().any(|d| is(d, &result));
                    doubtful.extend(Some(result).filter(|r| r.next.is_some() && !told));
                    continue;
                }
                if wrong.iter().any(|w| is(w, &result)) {
                    continue;
                }
                match program.filter(|_| absent) {
                    Some(_) if unchecked.iter().any(|u| is(&u.result, &result)) => {}
                    Some(program) => unchecked.push(Unchecked {
                        after: program.step.id.clone(),
                        result,
                    }),
                    None => wrong.push(result),
                }
            }
        }
        let exit = Verdict::worst(wrong.iter().map(|r| r.verdict)).exit();
        let mut problems = wrong.into_iter().map(|r| {
            let doing = format!("looking at what is measured: {}", subject(&r));
            Problem::new(exit, doing, r.summary)
        });
        match problems.next() {
            None => Ok(unchecked
                .iter()
                .map(ToString::to_string)
                .chain(in_doubt(doubtful))
                .collect()),
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

/// What a gate measures now on its baking targets, and on the others.
async fn rates(
    watch: &mut Watch<Sources>,
    asker: &Asker,
    gate: &Gate,
    (on, others): (Vec<String>, Vec<String>),
    now: Timestamp,
) -> [Measurement; 2] {
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
    let mut rates = [on, others].map(|t| watch.measure(&gate.measure, &t, span, now));
    if matches!(gate.measure, Measure::Asked(_)) {
        // Its counts are of a whole window, whenever it was asked first.
        let window = u64::try_from(gate.window.as_millis()).unwrap_or(u64::MAX);
        rates.iter_mut().for_each(|m| m.observed_ms = window);
    }
    rates
}

/// A check and what it is about.
fn subject(of: &CheckResult) -> String {
    match of.subject.as_str() {
        "" => of.name.clone(),
        subject => format!("{} on {subject}", of.name),
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

/// The same doubt on several targets is one.
fn in_doubt(results: Vec<CheckResult>) -> Vec<String> {
    let mut told: Vec<(CheckResult, Vec<String>)> = Vec::new();
    for result in results {
        let subject = result.subject.clone();
        let same = |(r, _): &&mut (CheckResult, Vec<String>)| {
            r.name == result.name && r.summary == result.summary
        };
        match told.iter_mut().find(same) {
            Some((_, subjects)) => subjects.push(subject),
            None => told.push((result, vec![subject])),
        }
    }
    let words = |(result, subjects): (CheckResult, Vec<String>)| {
        let next = result.next.unwrap_or_default();
        let (name, on) = (result.name, subjects.join(", "));
        printable(&format!("{name} on {on}: {} ({next})", result.summary))
    };
    told.into_iter().map(words).collect()
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

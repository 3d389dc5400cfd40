//! The one pass over a run's events.

use std::collections::BTreeMap;

use serde_json::Value;

use super::attempts::{End, Steps, planned};
use super::evidence;
use super::gates::Bake;
use super::limits::{Keep, TEXT, bounded, short};
use super::post_mortem::{Left, Mortem};
use super::{
    Approval, Approved, AttemptOutcome, DriverFacts, Fired, LogFacts, Moment, Remark, RemarkKind,
    RunReport, ToggleChange, Tone,
};
use crate::check::Verdict;
use crate::check::logs::LogExcerpt;
use crate::error::{Exit, Problem, Result};
use crate::rollout::engine::Known;
use crate::rollout::journal::{Entry, RunId};
use crate::rollout::machine::{Class, Event, Found, Part, PausedBy, StepRef};
use crate::rollout::{person, words};
use crate::runbook::describe;
use crate::runbook::model::StepKind;

/// How many attempts of a bake are kept, with their plots.
const BAKES: usize = 6;

/// Takes the entries of a run one by one, from the first on.
#[derive(Debug)]
pub struct Collector {
    run: Option<RunId>,
    pub(super) known: Option<Known>,
    pub(super) started: (u64, String),
    pub(super) replanned: u64,
    pub(super) plan_in: u64,
    pub(super) armed_at_ms: Option<u64>,
    pub(super) drivers: Keep<DriverFacts>,
    pub(super) timeline: Keep<Moment>,
    pub(super) steps: Steps,
    pub(super) approvals: Keep<Approval>,
    /// What is waited for, and since when.
    pub(super) wanted: Option<Approval>,
    pub(super) logs: Keep<LogFacts>,
    pub(super) bakes: Vec<Bake>,
    pub(super) fired: BTreeMap<String, Keep<Fired>>,
    pub(super) toggles: Keep<ToggleChange>,
    pub(super) remarks: Keep<Remark>,
    pub(super) mortem: Mortem,
}

impl Default for Collector {
    fn default() -> Self {
        Self {
            run: None,
            known: None,
            started: (0, String::new()),
            replanned: 0,
            plan_in: 1,
            armed_at_ms: None,
            drivers: Keep::new(20, 80),
            timeline: Keep::new(400, 1_200),
            steps: Steps::default(),
            approvals: Keep::new(100, 100),
            wanted: None,
            logs: Keep::new(10, 30),
            bakes: Vec::new(),
            fired: BTreeMap::new(),
            toggles: Keep::new(200, 400),
            remarks: Keep::new(100, 200),
            mortem: Mortem::new(),
        }
    }
}

impl Collector {
    /// # Errors
    /// [`Exit::JournalBroken`]: the entry cannot follow the ones before it.
    pub fn take(&mut self, entry: &Entry) -> Result<()> {
        let known = match self.known.take() {
            None => Known::from(entry)?,
            Some(known) => known.after(entry)?,
        };
        self.run.get_or_insert_with(|| entry.record.run.clone());
        self.hear(&known, entry);
        self.known = Some(known);
        Ok(())
    }

    /// What all of them come to, seen at `now_ms`.
    ///
    /// # Errors
    /// [`Exit::JournalBroken`]: there was none.
    pub fn finish(self, now_ms: u64) -> Result<RunReport> {
        match (self.run.clone(), self.known.clone()) {
            (Some(run), Some(known)) => Ok(self.report(run, &known, now_ms)),
            (None, _) | (_, None) => Err(Problem::new(
                Exit::JournalBroken,
                "reading the journal",
                "the run has no events",
            )),
        }
    }

    fn hear(&mut self, known: &Known, entry: &Entry) {
        self.tell(known, entry);
        let at_ms = entry.record.at_ms;
        match &entry.record.event {
            Event::Started { by, .. } => {
                self.started = (at_ms, by.clone());
                self.driven(entry, by);
            }
            Event::Driven { by } => self.driven(entry, by),
            Event::ApprovalWanted { phase } => self.wants_approval(known, at_ms, *phase),
            Event::Approved { phase, plan, by } => {
                self.wants_approval(known, at_ms, *phase);
                self.approved(entry, by, Some(plan));
            }
            Event::AnswerWanted { step } => {
                self.wants_answer(known, at_ms, *step);
                let attempt = known.state.step(*step).map_or(0, |s| s.attempts);
                self.steps.begun(known, entry, *step, attempt);
            }
            Event::Agreed { step, by, .. } => {
                self.wants_answer(known, at_ms, *step);
                self.approved(entry, by, None);
                // It may want another person.
                self.wanted = None;
            }
            Event::Intended { step, attempt } => self.intended(known, entry, *step, *attempt),
            Event::Succeeded {
                step,
                unconfirmed,
                evidence,
                ..
            } => {
                let outcome = match unconfirmed {
                    None => AttemptOutcome::Succeeded,
                    Some(_) => AttemptOutcome::Unconfirmed,
                };
                let why = unconfirmed.as_deref();
                let end = End {
                    outcome,
                    why,
                    evidence,
                };
                self.ended(known, entry, *step, end);
                self.mortem.done(known, entry, *step);
            }
            Event::Failed {
                step,
                why,
                inconclusive,
                evidence,
                ..
            } => {
                let (outcome, verdict) = match inconclusive {
                    true => (AttemptOutcome::Inconclusive, Verdict::Inconclusive),
                    false => (AttemptOutcome::Failed, Verdict::Fail),
                };
                let why = Some(why.as_str());
                self.went_wrong(known, entry, *step, verdict, why);
                let end = End {
                    outcome,
                    why,
                    evidence,
                };
                self.ended(known, entry, *step, end);
            }
            Event::InDoubt { step, why, .. } => {
                let why = Some(why.as_str());
                self.went_wrong(known, entry, *step, Verdict::Inconclusive, why);
                let end = End {
                    outcome: AttemptOutcome::InDoubt,
                    why,
                    evidence: &Value::Null,
                };
                self.ended(known, entry, *step, end);
            }
            Event::Probed {
                step, found, why, ..
            } => {
                self.steps.probed(known, entry, *step, *found, why);
                if *found == Found::Done {
                    self.mortem.done(known, entry, *step);
                }
            }
            Event::Observed {
                step,
                at_ms,
                gained_ms,
                readings,
            } => {
                self.observed(known, entry, *step, (*at_ms, *gained_ms), readings);
            }
            Event::Triggered {
                id,
                why,
                rolls_back,
                evidence,
            } => self.triggered(entry, id, why, *rolls_back, evidence),
            Event::RollbackStarted { why } => {
                self.end_bakes(at_ms);
                self.wanted = None;
                self.mortem.begins(entry, why, None);
            }
            Event::RolledBack => self.mortem.rolled_back(entry),
            Event::Aborted { .. } => {
                self.end_bakes(at_ms);
                self.wanted = None;
            }
            Event::Waived { by } => {
                let text = "what was due after the rollback is given up";
                self.remark(entry, RemarkKind::Waiver, by, text);
            }
            Event::Note { by, text } => self.remark(entry, RemarkKind::Note, by, text),
            Event::Logged { of, logs } => self.logged(entry, *of, logs),
            Event::Replanned { by, outline, .. } => {
                self.end_bakes(at_ms);
                self.wanted = None;
                self.replanned += 1;
                self.plan_in = entry.record.seq;
                let text = format!("the run follows plan {} from here on", outline.plan);
                self.remark(entry, RemarkKind::Replan, by, &text);
            }
            Event::Paused { .. } => self.wanted = None,
            Event::Resumed { .. }
            | Event::Stuck { .. }
            | Event::Completed
            | Event::KitRefreshed { .. }
            | Event::Checkpoint(_) => {}
        }
    }

    /// A line of the timeline.
    fn tell(&mut self, known: &Known, entry: &Entry) {
        let event = &entry.record.event;
        if let Some(text) = words::line_of(entry, &known.plan, &known.state) {
            self.timeline.push(Moment {
                seq: entry.record.seq,
                at_ms: entry.record.at_ms,
                kind: event.name(),
                tone: tone(event),
                text: short(&text, TEXT),
            });
        }
    }

    fn remark(&mut self, entry: &Entry, kind: RemarkKind, by: &str, text: &str) {
        let record = &entry.record;
        self.remarks.push(Remark {
            seq: record.seq,
            at_ms: record.at_ms,
            kind,
            by: by.to_owned(),
            claim: record.claim.clone(),
            text: short(text, TEXT),
        });
    }

    fn driven(&mut self, entry: &Entry, by: &str) {
        let record = &entry.record;
        let before = self.drivers.iter().next_back().map(|d| d.by.clone());
        if person::is_without_journal(by) {
            let text = "drives without the journal from here on; merged into it later";
            self.remark(entry, RemarkKind::BreakGlass, by, text);
        } else if let Some(before) = before.filter(|before| before != by) {
            let text = format!("drives from here on; what {before} still writes is refused");
            self.remark(entry, RemarkKind::Takeover, by, &text);
        }
        self.drivers.push(DriverFacts {
            seq: record.seq,
            from_ms: record.at_ms,
            by: by.to_owned(),
            holder: record.holder.clone(),
            token: record.token,
            claim: record.claim.clone(),
        });
    }

    pub(super) fn wants_approval(&mut self, known: &Known, at_ms: u64, phase: usize) {
        let phase = known.plan.phases.get(phase);
        let name = phase.map_or("?", |p| p.name.as_str());
        let what = phase.map_or("?", |p| p.env.as_str());
        self.wants(Approved::Phase, name, what, at_ms);
    }

    pub(super) fn wants_answer(&mut self, known: &Known, at_ms: u64, step: StepRef) {
        let Some(planned) = planned(&known.plan, step) else {
            return;
        };
        let what = describe::step(&planned.step.kind);
        self.wants(Approved::Step, &planned.step.id, &what, at_ms);
    }

    /// Somebody is asked; asking the same again is no new question.
    fn wants(&mut self, of: Approved, name: &str, what: &str, at_ms: u64) {
        let same = |a: &Approval| a.of == of && a.name == name;
        if self.wanted.as_ref().is_some_and(same) {
            return;
        }
        self.wanted = Some(Approval {
            of,
            name: name.to_owned(),
            what: short(what, TEXT),
            wanted_at_ms: Some(at_ms),
            seq: None,
            at_ms: None,
            by: None,
            claim: None,
            plan: None,
        });
    }

    fn approved(&mut self, entry: &Entry, by: &str, plan: Option<&str>) {
        if let Some(wanted) = self.wanted.take() {
            let record = &entry.record;
            self.approvals.push(Approval {
                seq: Some(record.seq),
                at_ms: Some(record.at_ms),
                by: Some(by.to_owned()),
                claim: record.claim.clone(),
                plan: plan.map(str::to_owned),
                ..wanted
            });
        }
    }

    fn intended(&mut self, known: &Known, entry: &Entry, at: StepRef, attempt: u32) {
        self.steps.begun(known, entry, at, attempt);
        let Some(outline) = known.state.outline.step(at) else {
            return;
        };
        let at_ms = entry.record.at_ms;
        if outline.flips && at.part == Part::Forward {
            self.armed_at_ms.get_or_insert(at_ms);
            self.mortem.switches(at_ms);
        }
        if let Class::Bake(bake) = &outline.class {
            self.end_bakes(at_ms);
            let id = &outline.id;
            let old = self.bakes.iter().filter(|b| b.step == *id).count();
            if old >= BAKES
                && let Some(first) = self.bakes.iter().position(|b| b.step == *id)
            {
                self.bakes.remove(first);
            }
            let bake = Bake::new(&known.plan, id, attempt, bake, at_ms);
            self.bakes.push(bake);
        }
    }

    fn end_bakes(&mut self, at_ms: u64) {
        self.bakes.iter_mut().for_each(|b| b.end(at_ms));
    }

    fn went_wrong(
        &mut self,
        known: &Known,
        entry: &Entry,
        at: StepRef,
        verdict: Verdict,
        why: Option<&str>,
    ) {
        if at.part == Part::Forward {
            let what = format!("step {}", known.state.outline.id(at));
            self.mortem
                .odd(entry, what, verdict, why.unwrap_or_default());
        }
    }

    fn ended(&mut self, known: &Known, entry: &Entry, at: StepRef, end: End) {
        let at_ms = entry.record.at_ms;
        let id = known.state.outline.id(at).to_owned();
        if at.part == Part::Forward
            && let Some(bake) = self.bakes.iter_mut().rfind(|b| b.step == id)
        {
            bake.end(at_ms);
        }
        let Some(attempt) = self.steps.ended(known, entry, at, &end) else {
            return;
        };
        let wrong = match end.outcome {
            AttemptOutcome::Failed | AttemptOutcome::Inconclusive | AttemptOutcome::InDoubt => true,
            AttemptOutcome::Succeeded | AttemptOutcome::Unconfirmed | AttemptOutcome::Open => false,
        };
        if wrong {
            let left = Left {
                why: end.why,
                checks: &attempt.checks,
                evidence: end.evidence,
            };
            self.mortem.evidence(entry, &id, &left);
        }
        let kind = planned(&known.plan, at).map(|p| &p.step.kind);
        if switches(kind) {
            for target in evidence::targets(end.evidence) {
                self.toggles.push(ToggleChange {
                    step: id.clone(),
                    part: at.part,
                    attempt: attempt.number,
                    began_ms: attempt.began_ms,
                    ended_ms: at_ms,
                    env: target.env,
                    target: target.target,
                    modes: target.modes,
                    set_ms: target.set_ms,
                    restart_ms: target.restart_ms,
                    confirm_ms: target.confirm_ms,
                });
            }
        }
    }

    fn observed(
        &mut self,
        known: &Known,
        entry: &Entry,
        at: StepRef,
        (at_ms, gained_ms): (u64, u64),
        readings: &[crate::rollout::machine::Reading],
    ) {
        let id = known.state.outline.id(at);
        let open = |b: &&mut Bake| b.step == id && !b.is_over();
        let Some(bake) = self.bakes.iter_mut().rfind(open) else {
            return;
        };
        let seq = entry.record.seq;
        for change in bake.observed(seq, at_ms, gained_ms, readings) {
            let more = match change.last_told {
                true => " (further changes are in the plot)",
                false => "",
            };
            self.timeline.push(Moment {
                seq,
                at_ms: entry.record.at_ms,
                kind: "verdict",
                tone: tone_of(change.verdict),
                text: format!(
                    "gate {}: {}: {}{more}",
                    change.gate, change.verdict, change.why
                ),
            });
        }
        for reading in readings.iter().filter(|r| r.verdict != Verdict::Pass) {
            if !reading.warming || reading.verdict == Verdict::Fail {
                let what = format!("gate {}", reading.gate);
                self.mortem.odd(entry, what, reading.verdict, &reading.why);
            }
        }
    }

    fn triggered(
        &mut self,
        entry: &Entry,
        id: &str,
        why: &str,
        rolls_back: bool,
        evidence: &Value,
    ) {
        let record = &entry.record;
        let fired = self.fired.entry(id.to_owned());
        fired.or_insert_with(|| Keep::new(10, 20)).push(Fired {
            seq: record.seq,
            at_ms: record.at_ms,
            why: short(why, TEXT),
            rolled_back: rolls_back,
            evidence: bounded(evidence),
        });
        let what = format!("trigger {id}");
        let left = Left {
            why: None,
            checks: &[],
            evidence,
        };
        self.mortem.evidence(entry, &what, &left);
        self.wanted = None;
        if rolls_back {
            self.end_bakes(record.at_ms);
            self.mortem.begins(entry, &format!("{id}: {why}"), Some(id));
        } else {
            self.mortem.odd(entry, what, Verdict::Fail, why);
        }
    }
}

impl Collector {
    fn logged(&mut self, entry: &Entry, of: u64, logs: &[LogExcerpt]) {
        self.mortem.logged(entry, logs);
        for log in logs {
            self.logs.push(LogFacts {
                seq: entry.record.seq,
                at_ms: entry.record.at_ms,
                of,
                log: log.clone(),
            });
        }
    }
}

/// Whether a step's evidence says which targets it switched or restarted.
fn switches(kind: Option<&StepKind>) -> bool {
    match kind {
        Some(StepKind::Toggles { .. } | StepKind::Restart { .. } | StepKind::Rehearse { .. }) => {
            true
        }
        Some(
            StepKind::Confirm { .. }
            | StepKind::Approve { .. }
            | StepKind::Command { .. }
            | StepKind::Preflight
            | StepKind::Migrate
            | StepKind::Keys
            | StepKind::Carry { .. }
            | StepKind::Smoke { .. }
            | StepKind::Verify { .. }
            | StepKind::Integrity
            | StepKind::Bake { .. }
            | StepKind::Recover { .. }
            | StepKind::Complete,
        )
        | None => false,
    }
}

pub(super) const fn tone_of(verdict: Verdict) -> Tone {
    match verdict {
        Verdict::Pass => Tone::Good,
        Verdict::Fail | Verdict::Error => Tone::Bad,
        Verdict::Inconclusive => Tone::Unsure,
    }
}

fn tone(event: &Event) -> Tone {
    match event {
        Event::Succeeded {
            unconfirmed: None, ..
        }
        | Event::Completed
        | Event::RolledBack => Tone::Good,
        Event::Succeeded { .. } | Event::InDoubt { .. } | Event::Probed { .. } => Tone::Unsure,
        Event::Failed {
            inconclusive: false,
            ..
        }
        | Event::Triggered { .. }
        | Event::RollbackStarted { .. }
        | Event::Stuck { .. } => Tone::Bad,
        Event::Logged { logs, .. } => match logs.iter().any(|l| l.matched > 0) {
            true => Tone::Bad,
            false => Tone::Plain,
        },
        Event::Failed { .. } => Tone::Unsure,
        Event::Paused { by, .. } => match by {
            PausedBy::Person => Tone::Person,
            PausedBy::Failure | PausedBy::Trigger => Tone::Bad,
            PausedBy::Gate | PausedBy::Inconclusive | PausedBy::Doubt => Tone::Unsure,
        },
        Event::Approved { .. }
        | Event::Agreed { .. }
        | Event::Resumed { .. }
        | Event::Aborted { .. }
        | Event::Waived { .. }
        | Event::Note { .. }
        | Event::Replanned { .. } => Tone::Person,
        Event::Started { .. }
        | Event::Driven { .. }
        | Event::ApprovalWanted { .. }
        | Event::AnswerWanted { .. }
        | Event::Intended { .. }
        | Event::Observed { .. }
        | Event::KitRefreshed { .. }
        | Event::Checkpoint(_) => Tone::Plain,
    }
}

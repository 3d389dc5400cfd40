//! The only place where a state changes. Live and replay both go through here (P8).

use std::collections::BTreeMap;

use super::bake::Bake;
use super::event::{Event, Found, Illegal, Reading};
use super::outline::{Class, Outline, Part, StepRef};
use super::state::{PausedBy, Progress, State, Status, StepState};
use crate::contract::KitSeal;

impl State {
    /// The state after a run's first event.
    pub fn start(event: &Event) -> Result<State, Illegal> {
        match event {
            Event::Started { outline, .. } => Ok(State::new(outline.clone())),
            Event::Driven { .. }
            | Event::ApprovalWanted { .. }
            | Event::Approved { .. }
            | Event::AnswerWanted { .. }
            | Event::Intended { .. }
            | Event::Succeeded { .. }
            | Event::Failed { .. }
            | Event::InDoubt { .. }
            | Event::Probed { .. }
            | Event::Observed { .. }
            | Event::Triggered { .. }
            | Event::Paused { .. }
            | Event::Resumed { .. }
            | Event::RollbackStarted { .. }
            | Event::RolledBack
            | Event::Stuck { .. }
            | Event::Completed
            | Event::Aborted { .. }
            | Event::Waived { .. }
            | Event::Note { .. }
            | Event::KitRefreshed { .. }
            | Event::Logged { .. }
            | Event::Agreed { .. }
            | Event::Replanned { .. }
            | Event::Checkpoint(_) => Err(Illegal {
                event: event.name(),
                state: "nothing".into(),
            }),
        }
    }

    fn new(outline: Outline) -> State {
        let steps = |part| vec![StepState::default(); outline.steps(part).len()];
        State {
            status: Status::Running,
            forward: steps(Part::Forward),
            rollback: steps(Part::Rollback),
            afterwards: steps(Part::Afterwards),
            approved: vec![None; outline.phases.len()],
            flipped: false,
            bake: None,
            passed_gates: Vec::new(),
            in_aftermath: false,
            waived: false,
            kits: BTreeMap::new(),
            outline,
        }
    }

    /// Folds a whole journal.
    pub fn replay<'a>(events: impl IntoIterator<Item = &'a Event>) -> Result<State, Illegal> {
        let mut events = events.into_iter();
        let first = events.next().ok_or(Illegal {
            event: "nothing",
            state: "nothing".into(),
        })?;
        let mut state = State::start(first)?;
        events.try_for_each(|event| state.apply(event))?;
        Ok(state)
    }

    /// Changes the state by one event; an event that may not follow changes nothing.
    pub fn apply(&mut self, event: &Event) -> Result<(), Illegal> {
        let legal = match event {
            Event::Started { .. } => false,
            Event::Note { .. } | Event::Logged { .. } => true,
            Event::KitRefreshed { env, seal } => self.kit_refreshed(env, seal),
            Event::Driven { .. } => self.driven(),
            Event::ApprovalWanted { phase } => self.approval_wanted(*phase),
            Event::Approved { phase, plan, by } => self.approved(*phase, plan, by),
            Event::AnswerWanted { step } => self.answer_wanted(*step),
            Event::Intended { step, attempt } => self.intended(*step, *attempt),
            Event::Succeeded {
                step,
                attempt,
                unconfirmed,
                ..
            } => self.succeeded(*step, *attempt, unconfirmed.is_some()),
            Event::Failed {
                step,
                attempt,
                inconclusive,
                ..
            } => self.failed(*step, *attempt, *inconclusive),
            Event::InDoubt { step, attempt, .. } => self.in_doubt(*step, *attempt),
            Event::Probed {
                step,
                attempt,
                found,
                ..
            } => self.probed(*step, *attempt, *found),
            Event::Observed {
                step,
                at_ms,
                gained_ms,
                readings,
            } => self.observed(*step, *at_ms, *gained_ms, readings),
            Event::Triggered { rolls_back, .. } => self.triggered(*rolls_back),
            Event::Paused { by, .. } => self.pause(*by),
            Event::Resumed { .. } => self.resumed(),
            Event::RollbackStarted { .. } => self.rollback_started(),
            Event::RolledBack => self.rolled_back(),
            Event::Stuck { step, .. } => self.stuck(*step),
            Event::Completed => self.completed(),
            Event::Aborted { .. } => self.aborted(),
            Event::Waived { .. } => self.waive(),
            Event::Agreed { step, attempt, by } => self.agreed(*step, *attempt, by),
            Event::Replanned { outline, .. } => self.replanned(outline),
            Event::Checkpoint(checkpoint) => checkpoint.state == *self,
        };
        if legal {
            Ok(())
        } else {
            Err(Illegal {
                event: event.name(),
                state: self.status.to_string(),
            })
        }
    }

    /// Nothing is known of what the driver before had in flight.
    fn driven(&mut self) -> bool {
        for part in [Part::Forward, Part::Rollback, Part::Afterwards] {
            for index in 0..self.steps(part).len() {
                let at = StepRef::new(part, index);
                if self.step(at).map(|s| s.progress) != Some(Progress::InFlight) {
                    continue;
                }
                let now = match (self.class(at), part) {
                    (Some(Class::Effect) | None, _) => Progress::InDoubt,
                    (Some(Class::Check), _) => Progress::Pending,
                    (Some(Class::Bake(_)), _) => Progress::InFlight,
                    // The question stands, whoever asks it.
                    (Some(Class::Ask), Part::Forward | Part::Afterwards) => Progress::InFlight,
                    (Some(Class::Ask), Part::Rollback) => Progress::Pending,
                };
                self.steps_mut(part)[index].progress = now;
            }
        }
        self.interrupt_bake();
        self.in_aftermath = false;
        true
    }

    fn interrupt_bake(&mut self) {
        if let Some(bake) = &mut self.bake {
            bake.interrupt();
        }
    }

    fn approval_wanted(&mut self, phase: usize) -> bool {
        let entering = self
            .next_step(Part::Forward)
            .and_then(|at| self.outline.step(at));
        let legal = self.status == Status::Running
            && entering.is_some_and(|s| s.phase == phase)
            && self.approved.get(phase) == Some(&None);
        if legal {
            self.status = Status::AwaitingApproval { phase };
        }
        legal
    }

    fn approved(&mut self, phase: usize, plan: &str, by: &str) -> bool {
        let legal = self.status == Status::AwaitingApproval { phase } && plan == self.outline.plan;
        if legal {
            self.approved[phase] = Some(by.to_owned());
            self.status = Status::Running;
        }
        legal
    }

    /// The step may begin now: it is the next one of its part, and the run is in that part.
    fn may_begin(&self, step: StepRef) -> bool {
        let in_part = match step.part {
            Part::Forward => {
                let phase = self.outline.step(step).map(|s| s.phase);
                let entered = phase.and_then(|p| self.approved.get(p));
                self.status == Status::Running && entered.is_some_and(Option::is_some)
            }
            Part::Rollback => self.status == Status::RollingBack,
            Part::Afterwards => self.status == Status::RolledBack && self.in_aftermath,
        };
        let ready = match self.step(step).map(|s| s.progress) {
            Some(Progress::Pending) => true,
            Some(Progress::Failed { .. }) => step.part == Part::Rollback,
            Some(
                Progress::InFlight
                | Progress::InDoubt
                | Progress::Done
                | Progress::Unconfirmed
                | Progress::Abandoned,
            )
            | None => false,
        };
        in_part && ready && self.next_step(step.part) == Some(step)
    }

    fn answer_wanted(&mut self, step: StepRef) -> bool {
        let legal = self.may_begin(step)
            && self.class(step) == Some(&Class::Ask)
            && step.part != Part::Rollback;
        if legal {
            self.begin(step);
            if step.part == Part::Forward {
                self.status = Status::AwaitingAnswer { step };
            }
        }
        legal
    }

    fn begin(&mut self, step: StepRef) {
        let state = &mut self.steps_mut(step.part)[step.index];
        state.attempts += 1;
        state.progress = Progress::InFlight;
        state.agreed.clear();
    }

    fn intended(&mut self, step: StepRef, attempt: u32) -> bool {
        let next_attempt = self.step(step).map(|s| s.attempts + 1);
        let class = self.class(step).cloned();
        let legal =
            self.may_begin(step) && next_attempt == Some(attempt) && class != Some(Class::Ask);
        if legal {
            self.begin(step);
            self.flipped |= self.outline.step(step).is_some_and(|s| s.flips);
            if let Some(Class::Bake(bake)) = class {
                self.bake = Some(Bake::new(step.index, &bake));
            }
        }
        legal
    }

    /// The step is in flight with this attempt, in a status in which it can end.
    fn may_end(&self, step: StepRef, attempt: u32) -> bool {
        let in_part = match (step.part, &self.status) {
            (Part::Forward, Status::Running | Status::Paused { .. }) => true,
            (Part::Forward, Status::AwaitingAnswer { step: asked }) => *asked == step,
            (Part::Rollback, Status::RollingBack) => true,
            (Part::Afterwards, Status::RolledBack) => true,
            (Part::Forward | Part::Rollback | Part::Afterwards, _) => false,
        };
        let in_flight = self
            .step(step)
            .is_some_and(|s| s.progress == Progress::InFlight && s.attempts == attempt);
        in_part && in_flight
    }

    fn end(&mut self, step: StepRef, progress: Progress) {
        self.steps_mut(step.part)[step.index].progress = progress;
        if self.status == (Status::AwaitingAnswer { step }) {
            self.status = Status::Running;
        }
        if self
            .bake
            .as_ref()
            .is_some_and(|b| StepRef::new(Part::Forward, b.step) == step)
        {
            self.bake = None;
        }
    }

    fn agreed(&mut self, step: StepRef, attempt: u32, by: &str) -> bool {
        let asks = self.class(step) == Some(&Class::Ask);
        let known = |s: &StepState| s.agreed.iter().any(|who| who == by);
        let legal =
            asks && self.may_end(step, attempt) && self.step(step).is_some_and(|s| !known(s));
        if legal {
            let step = &mut self.steps_mut(step.part)[step.index];
            step.agreed.push(by.to_owned());
        }
        legal
    }

    fn succeeded(&mut self, step: StepRef, attempt: u32, unconfirmed: bool) -> bool {
        let agreed = self.step(step).map_or(0, |s| s.agreed.len());
        let enough = self
            .outline
            .step(step)
            .is_some_and(|s| s.class != Class::Ask || agreed >= s.approvals as usize);
        let legal =
            self.may_end(step, attempt) && enough && !(unconfirmed && step.part == Part::Forward);
        if legal {
            if let Some(Class::Bake(bake)) = self.class(step).cloned() {
                let judged = bake.gates.into_iter().filter(|g| !g.muted);
                self.passed_gates.extend(judged.map(|g| g.id));
            }
            self.end(
                step,
                if unconfirmed {
                    Progress::Unconfirmed
                } else {
                    Progress::Done
                },
            );
        }
        legal
    }

    fn failed(&mut self, step: StepRef, attempt: u32, inconclusive: bool) -> bool {
        let legal = self.may_end(step, attempt);
        if legal {
            self.end(step, Progress::Failed { inconclusive });
            if step.part == Part::Afterwards {
                self.in_aftermath = false;
            }
        }
        legal
    }

    fn in_doubt(&mut self, step: StepRef, attempt: u32) -> bool {
        let legal = self.may_end(step, attempt) && self.class(step) == Some(&Class::Effect);
        if legal {
            self.end(step, Progress::InDoubt);
        }
        legal
    }

    fn probed(&mut self, step: StepRef, attempt: u32, found: Found) -> bool {
        let in_part = match step.part {
            Part::Forward => self.status == Status::Running,
            Part::Rollback => self.status == Status::RollingBack,
            Part::Afterwards => self.status == Status::RolledBack,
        };
        let legal = in_part
            && self
                .step(step)
                .is_some_and(|s| s.progress == Progress::InDoubt && s.attempts == attempt);
        if legal {
            let repeatable = self.outline.step(step).is_some_and(|s| s.repeatable);
            let progress = match found {
                Found::Done => Progress::Done,
                Found::NotDone => Progress::Pending,
                // Going back must not wait for somebody who can tell; going forward must.
                Found::Unknown if repeatable && step.part == Part::Rollback => Progress::Pending,
                Found::Unknown => Progress::InDoubt,
            };
            self.steps_mut(step.part)[step.index].progress = progress;
            if step.part == Part::Afterwards && found == Found::Unknown {
                self.in_aftermath = false;
            }
        }
        legal
    }

    fn observed(
        &mut self,
        step: StepRef,
        at_ms: u64,
        gained_ms: u64,
        readings: &[Reading],
    ) -> bool {
        let Some(Class::Bake(outline)) = self.class(step).cloned() else {
            return false;
        };
        let legal = self.baking().is_some_and(|b| {
            StepRef::new(Part::Forward, b.step) == step
                && b.gained_ms(&outline, at_ms, readings) == gained_ms
        });
        if legal && let Some(bake) = &mut self.bake {
            bake.take(&outline, at_ms, gained_ms, readings);
        }
        legal
    }

    fn triggered(&mut self, rolls_back: bool) -> bool {
        let legal = self.triggers_armed();
        if legal && rolls_back {
            return self.rollback_started();
        }
        if legal && !matches!(self.status, Status::Paused { .. }) {
            return self.pause(PausedBy::Trigger);
        }
        legal
    }

    fn pause(&mut self, by: PausedBy) -> bool {
        let legal = match self.status {
            Status::Running | Status::AwaitingApproval { .. } => true,
            Status::AwaitingAnswer { step } => {
                self.steps_mut(step.part)[step.index].progress = Progress::Pending;
                true
            }
            Status::Paused { .. }
            | Status::RollingBack
            | Status::RolledBack
            | Status::Stuck { .. }
            | Status::Completed
            | Status::Aborted => false,
        };
        if legal {
            self.status = Status::Paused { by };
            self.interrupt_bake();
        }
        legal
    }

    fn resumed(&mut self) -> bool {
        match self.status {
            Status::Paused { .. } => {
                try_again(&mut self.forward);
                self.go_on_baking();
                self.status = Status::Running;
                true
            }
            Status::RolledBack if self.next_step(Part::Afterwards).is_some() => {
                try_again(&mut self.afterwards);
                self.in_aftermath = true;
                true
            }
            Status::RolledBack
            | Status::Running
            | Status::AwaitingApproval { .. }
            | Status::AwaitingAnswer { .. }
            | Status::RollingBack
            | Status::Stuck { .. }
            | Status::Completed
            | Status::Aborted => false,
        }
    }

    fn go_on_baking(&mut self) {
        let step = self.bake.as_ref().map(|b| b.step);
        let at = step.map(|index| StepRef::new(Part::Forward, index));
        if let Some(Class::Bake(outline)) = at.and_then(|at| self.class(at)).cloned()
            && let Some(bake) = &mut self.bake
        {
            bake.go_on(&outline);
        }
    }

    fn rollback_started(&mut self) -> bool {
        let legal = self.flipped
            && match self.status {
                Status::Running
                | Status::AwaitingApproval { .. }
                | Status::AwaitingAnswer { .. }
                | Status::Paused { .. }
                | Status::Stuck { .. }
                | Status::Completed => true,
                Status::RollingBack | Status::RolledBack | Status::Aborted => false,
            };
        if legal {
            self.status = Status::RollingBack;
            self.abandon_forward();
            // A person has a stuck rollback tried again.
            try_again(&mut self.rollback);
        }
        legal
    }

    fn abandon_forward(&mut self) {
        self.bake = None;
        for step in &mut self.forward {
            if matches!(step.progress, Progress::InFlight | Progress::InDoubt) {
                step.progress = Progress::Abandoned;
            }
        }
    }

    fn rolled_back(&mut self) -> bool {
        let legal = self.status == Status::RollingBack && self.next_step(Part::Rollback).is_none();
        if legal {
            self.status = Status::RolledBack;
        }
        legal
    }

    fn stuck(&mut self, step: StepRef) -> bool {
        let legal = self.status == Status::RollingBack
            && self.next_step(Part::Rollback) == Some(step)
            && self
                .step(step)
                .is_some_and(|s| matches!(s.progress, Progress::Failed { .. } | Progress::InDoubt));
        if legal {
            self.status = Status::Stuck { step };
        }
        legal
    }

    fn completed(&mut self) -> bool {
        let legal = self.status == Status::Running && self.next_step(Part::Forward).is_none();
        if legal {
            self.status = Status::Completed;
        }
        legal
    }

    /// Each machine keeps a kit of its own.
    fn kit_refreshed(&mut self, env: &str, seal: &KitSeal) -> bool {
        let kits = self.kits.entry(env.to_owned()).or_default();
        kits.retain(|known| known.place != seal.place);
        kits.push(seal.clone());
        true
    }

    fn waive(&mut self) -> bool {
        let legal = self.status == Status::RolledBack && !self.is_closed();
        self.waived |= legal;
        legal
    }

    fn aborted(&mut self) -> bool {
        let legal = !self.flipped && self.can_go_forward();
        if legal {
            self.status = Status::Aborted;
            self.abandon_forward();
        }
        legal
    }
}

fn try_again(steps: &mut [StepState]) {
    for step in steps {
        if matches!(step.progress, Progress::Failed { .. }) {
            step.progress = Progress::Pending;
        }
    }
}

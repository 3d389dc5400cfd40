//! The world around the machine: a journal with a lease, two drivers that may die at any moment,
//! effects that happen or do not, and people. The machine in it is the real one.

use std::collections::BTreeSet;

use dbctl::check::Verdict;
use dbctl::rollout::machine::{
    Class, Decision, Effect, Event, Found, Input, Outline, Part, Progress, State, Status, StepRef,
    StepState, decide,
};
use stateright::{Model, Property};

use super::people::{outcome, words};
use super::properties;
use crate::machine::{is_short, look, now_for, starting, undecided};

/// What may be wrong on purpose, so that each property is known to be able to fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Defect {
    /// The store takes a write of whoever once held the lease.
    StoreIgnoresTheToken,
    /// The effect starts before its intent is on disk.
    EffectBeforeIntent,
    /// A probe does not wait for a program that outlived its driver.
    ProbeDoesNotWait,
    /// A step in doubt is begun again without asking.
    DoubtIsForgotten,
    /// A gate that could not be judged counts as a pass.
    NoDataPasses,
    /// At the end of its time a bake takes what is not certain for shown.
    ATimerDecides,
    /// Nobody hears a rollback while the run is paused.
    PausedIsDeaf,
    /// An effect under way goes on when the rollback begins.
    EffectSurvivesRollback,
    /// An approval is taken whatever plan it was given for.
    AnyPlanWillDo,
    /// A driver forgets to say that it is stuck.
    StuckInSilence,
    /// A driver changes its state by something that it does not record.
    UnrecordedChange,
    /// What was approved for one plan stands for the next one too.
    ApprovalsOutliveTheirPlan,
    /// The same person may agree for two.
    OneMayAgreeTwice,
}

/// How much may happen: what makes the number of states finite.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    /// Times that somebody begins to drive.
    pub drivings: u8,
    /// Words of people, and triggers.
    pub words: u8,
    /// Attempts of one step.
    pub attempts: u32,
    /// Looks at the gates of a bake.
    pub looks: u32,
}

pub struct Rollout {
    pub outline: Outline,
    pub bounds: Bounds,
    pub defect: Option<Defect>,
}

/// Everything there is.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct System {
    /// What is on disk, folded.
    pub journal: State,
    /// The token of the lease, and who holds it; nobody once it has expired.
    token: u8,
    holder: Option<usize>,
    pub drivers: [Option<Driver>; 2],
    /// Programs that outlived their driver and still run.
    orphan: Option<Running>,
    /// How often the effect of each forward step happened.
    pub happened: Vec<u8>,
    drivings: u8,
    words: u8,
    /// The plan that each phase was last approved for.
    approved_for: Vec<String>,
    /// Who said yes to the question that is open.
    said_yes: BTreeSet<String>,
    /// A promise was broken on the way here.
    pub broken: Option<Broken>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Driver {
    pub state: State,
    token: u8,
    pub running: Option<Running>,
}

/// An effect, a check or a probe under way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Running {
    step: StepRef,
    attempt: u32,
    probes: bool,
    /// The world has changed by it already.
    happened: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Broken {
    /// A bake passed on something else than a pass of its gate.
    PassedUnseen,
    /// The world changed for a step that the journal knows nothing of.
    NoIntent,
    /// A forward effect happened after the rollback had begun.
    ForwardInRollback,
    /// An approval was taken that was given for another plan, or something was begun on one.
    OtherPlan,
    /// A step that wants two people went on by the word of one.
    OnePerson,
    /// Somebody wrote whose lease was over.
    StaleWrite,
}

#[derive(Debug, Clone, PartialEq)]
pub enum Action {
    /// Somebody begins to drive: the lease is free, or is taken by force.
    Drive(usize),
    /// Something reaches the driver, the question what is next included; it dies once so many of
    /// the events that follow are on disk.
    Tell(usize, Input, Option<usize>),
    /// The world changes.
    Happen(usize),
    /// The driver hears how its effect, check or probe ended.
    Hear(usize, Ending),
    Die(usize),
    /// The store's clock has run past the lease.
    Expire,
    /// A program without a driver ends, after it has changed the world or before.
    OrphanHappens,
    OrphanEnds,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    Well,
    Badly,
    Unjudged,
    Unknown,
}

impl Rollout {
    fn is(&self, defect: Defect) -> bool {
        self.defect == Some(defect)
    }

    fn is_effect(&self, step: StepRef) -> bool {
        let outline = self.outline.step(step);
        outline.is_some_and(|s| s.class == Class::Effect)
    }

    /// A program of its own, not a part of the driver: it may outlive it, and holds a lock.
    fn is_program(&self, step: StepRef) -> bool {
        let outline = self.outline.step(step);
        outline.is_some_and(|s| s.class == Class::Effect && !s.repeatable)
    }

    pub fn decide(&self, state: &State, input: &Input) -> Option<Decision> {
        let mut input = input.clone();
        match &mut input {
            Input::Look { readings } if self.is(Defect::NoDataPasses) => {
                for reading in readings {
                    if reading.verdict == Verdict::Inconclusive {
                        reading.verdict = Verdict::Pass;
                    }
                }
            }
            Input::Look { readings } if self.is(Defect::ATimerDecides) => {
                for reading in readings.iter_mut().filter(|r| r.shown == Some(false)) {
                    reading.shown = Some(true);
                    reading.verdict = Verdict::Pass;
                    reading.warming = false;
                }
            }
            Input::Approve { plan, .. } if self.is(Defect::AnyPlanWillDo) => {
                *plan = state.outline.plan.clone();
            }
            Input::Answer { step, by, .. } if self.is(Defect::OneMayAgreeTwice) => {
                let agreed = state.step(*step).map_or(0, |s| s.agreed.len());
                *by = agreed.to_string();
            }
            Input::Rollback { .. }
                if self.is(Defect::PausedIsDeaf)
                    && matches!(state.status, Status::Paused { .. }) =>
            {
                return None;
            }
            _ => {}
        }
        let mut decision = decide(state, now_for(state), input).ok()?;
        if self.is(Defect::StuckInSilence) {
            decision
                .events
                .retain(|e| !matches!(e, Event::Stuck { .. }));
        }
        Some(decision)
    }

    /// The driver records events and starts what follows, or dies in between.
    fn act(&self, system: &mut System, who: usize, input: &Input, dies_after: Option<usize>) {
        let Some(mut driver) = system.drivers[who].take() else {
            return;
        };
        let Some(decision) = self.decide(&driver.state, input) else {
            system.drivers[who] = Some(driver);
            return;
        };
        let start = decision.effect.and_then(|effect| started(&effect));
        if self.is(Defect::EffectBeforeIntent)
            && let Some(running) = start
            && self.is_effect(running.step)
        {
            self.happen(system, running);
        }
        for (n, event) in decision.events.iter().enumerate() {
            if dies_after == Some(n) {
                self.orphan_of(system, &driver);
                return;
            }
            let stale = driver.token != system.token;
            if stale && !self.is(Defect::StoreIgnoresTheToken) {
                // Fenced: it stops at once, and what it has under way with it.
                self.orphan_of(system, &driver);
                return;
            }
            if stale {
                system.broken = Some(Broken::StaleWrite);
            }
            system.judge(input, event);
            let approved = driver.state.approved.clone();
            // A stale writer may write what the journal cannot follow.
            let _ = system.journal.apply(event);
            if driver.state.apply(event).is_err() {
                return;
            }
            if self.is(Defect::ApprovalsOutliveTheirPlan)
                && matches!(event, Event::Replanned { .. })
            {
                driver.state.approved = approved.clone();
                system.journal.approved = approved;
            }
        }
        if dies_after.is_some() {
            self.orphan_of(system, &driver);
            return;
        }
        // What the run does not wait for any more is stopped, and its end is waited for.
        let wanted = driver.running.is_none_or(|r| {
            let progress = driver.state.step(r.step).map(|s| s.progress);
            match r.probes {
                true => progress == Some(Progress::InDoubt),
                false => progress == Some(Progress::InFlight),
            }
        });
        if !wanted && !self.is(Defect::EffectSurvivesRollback) {
            driver.running = None;
        }
        if driver.running.is_none() {
            driver.running = start;
        }
        if self.is(Defect::UnrecordedChange) && driver.state.status == Status::Completed {
            driver.state.flipped = !driver.state.flipped;
        }
        if self.is(Defect::DoubtIsForgotten) {
            forget_doubt(&mut driver.state);
            forget_doubt(&mut system.journal);
        }
        system.drivers[who] = Some(driver);
    }

    /// A program of a driver that is gone runs on.
    fn orphan_of(&self, system: &mut System, driver: &Driver) {
        if let Some(running) = driver.running
            && !running.probes
            && self.is_program(running.step)
        {
            system.orphan = Some(running);
        }
    }

    fn happen(&self, system: &mut System, running: Running) {
        if running.step.part != Part::Forward {
            return;
        }
        let known = system.journal.step(running.step);
        if known.is_none_or(|s| s.attempts < running.attempt) {
            system.broken = Some(Broken::NoIntent);
        }
        let back = matches!(
            system.journal.status,
            Status::RollingBack | Status::RolledBack | Status::Stuck { .. }
        );
        // A program that outlived its driver is known to run, and its undo waits for its lock.
        if back && !self.is_program(running.step) {
            system.broken = Some(Broken::ForwardInRollback);
        }
        let count = &mut system.happened[running.step.index];
        *count = (*count + 1).min(2);
    }

    /// A person looks at a step in doubt and says what they see, once nothing runs there any more.
    fn looked(&self, system: &System, state: &State) -> Option<Input> {
        let of = |part, steps: &[StepState]| {
            let mut steps = steps.iter();
            let index = steps.position(|s| s.progress == Progress::InDoubt)?;
            Some(StepRef::new(part, index))
        };
        let step = of(Part::Forward, &state.forward)
            .or_else(|| of(Part::Rollback, &state.rollback))
            .filter(|step| system.orphan.is_none_or(|o| o.step != *step))?;
        Some(Input::Resolve {
            step,
            done: step.part != Part::Forward || system.happened[step.index] > 0,
            by: "somebody".into(),
            why: "because".into(),
        })
    }

    /// Nothing that the driver could start or hear stands in its way.
    fn probe_may_end(&self, system: &System, running: Running) -> bool {
        self.is(Defect::ProbeDoesNotWait) || system.orphan.is_none_or(|o| o.step != running.step)
    }
}

fn forget_doubt(state: &mut State) {
    for step in &mut state.forward {
        if step.progress == Progress::InDoubt {
            step.progress = Progress::Pending;
        }
    }
}

fn started(effect: &Effect) -> Option<Running> {
    let (step, attempt, probes) = match *effect {
        Effect::Run { step, attempt } => (step, attempt, false),
        Effect::Probe { step, attempt } => (step, attempt, true),
        Effect::AskApproval { .. } | Effect::AskPerson { .. } => return None,
    };
    Some(Running {
        step,
        attempt,
        probes,
        happened: false,
    })
}

impl System {
    fn judge(&mut self, input: &Input, event: &Event) {
        match (event, input) {
            (Event::Succeeded { step, .. }, Input::Look { readings })
                if self
                    .journal
                    .bake
                    .as_ref()
                    .is_some_and(|b| b.step == step.index)
                    && readings
                        .iter()
                        .any(|r| r.verdict != Verdict::Pass || r.shown != Some(true)) =>
            {
                self.broken = Some(Broken::PassedUnseen);
            }
            (Event::Approved { phase, .. }, Input::Approve { plan, .. }) => {
                if *plan != self.journal.outline.plan {
                    self.broken = Some(Broken::OtherPlan);
                }
                self.approved_for[*phase] = plan.clone();
            }
            (Event::Intended { step, .. }, _) if step.part == Part::Forward => {
                let phase = self.journal.outline.forward[step.index].phase;
                if self.approved_for[phase] != self.journal.outline.plan {
                    self.broken = Some(Broken::OtherPlan);
                }
            }
            (Event::AnswerWanted { .. }, _) => self.said_yes.clear(),
            (Event::Agreed { .. }, Input::Answer { by, .. }) => {
                self.said_yes.insert(by.clone());
            }
            (Event::Succeeded { step, .. }, Input::Answer { .. }) => {
                let outline = self.journal.outline.step(*step);
                if outline.is_some_and(|s| self.said_yes.len() < s.approvals as usize) {
                    self.broken = Some(Broken::OnePerson);
                }
                self.said_yes.clear();
            }
            _ => {}
        }
    }

    /// Drivers whose lease is good.
    pub fn driving(&self) -> impl Iterator<Item = &Driver> {
        let drivers = self.drivers.iter().flatten();
        drivers.filter(|d| d.token == self.token && self.holder.is_some())
    }
}

impl Model for Rollout {
    type State = System;
    type Action = Action;

    fn init_states(&self) -> Vec<System> {
        let journal = State::start(&starting(self.outline.clone())).expect("a run starts");
        vec![System {
            happened: vec![0; journal.forward.len()],
            journal,
            token: 0,
            holder: None,
            drivers: [None, None],
            orphan: None,
            drivings: 0,
            words: 0,
            approved_for: vec![String::new(); self.outline.phases.len()],
            said_yes: BTreeSet::new(),
            broken: None,
        }]
    }

    fn actions(&self, system: &System, actions: &mut Vec<Action>) {
        for (who, driver) in system.drivers.iter().enumerate() {
            let Some(driver) = driver else {
                if system.drivings < self.bounds.drivings {
                    actions.push(Action::Drive(who));
                }
                continue;
            };
            actions.push(Action::Die(who));
            let mut inputs = Vec::new();
            if driver.running.is_none() {
                inputs.push(Input::Tick);
            }
            if system.words < self.bounds.words {
                inputs.extend(words(&driver.state));
                inputs.extend(self.looked(system, &driver.state));
            }
            if driver.state.baking().is_some() {
                inputs.extend(Verdict::ALL.map(look));
                inputs.push(undecided());
            }
            for input in inputs {
                let Some(decision) = self.decide(&driver.state, &input) else {
                    continue;
                };
                for n in 1..=decision.events.len() {
                    actions.push(Action::Tell(who, input.clone(), Some(n)));
                }
                if !decision.events.is_empty() || decision.effect.is_some() {
                    actions.push(Action::Tell(who, input, None));
                }
            }
            if let Some(running) = driver.running {
                if running.probes {
                    if self.probe_may_end(system, running) {
                        actions.push(Action::Hear(who, Ending::Well));
                        actions.push(Action::Hear(who, Ending::Unknown));
                    }
                } else if self.is_effect(running.step) {
                    if !running.happened {
                        actions.push(Action::Happen(who));
                        actions.push(Action::Hear(who, Ending::Badly));
                    } else {
                        actions.push(Action::Hear(who, Ending::Well));
                    }
                    actions.push(Action::Hear(who, Ending::Unknown));
                } else {
                    for ending in [Ending::Well, Ending::Badly, Ending::Unjudged] {
                        actions.push(Action::Hear(who, ending));
                    }
                }
            }
        }
        if system.holder.is_some() {
            actions.push(Action::Expire);
        }
        if let Some(orphan) = system.orphan {
            if !orphan.happened {
                actions.push(Action::OrphanHappens);
            }
            actions.push(Action::OrphanEnds);
        }
    }

    fn next_state(&self, last: &System, action: Action) -> Option<System> {
        let mut system = last.clone();
        match action {
            Action::Drive(who) => {
                system.drivings += 1;
                system.token += 1;
                system.holder = Some(who);
                // Whoever held it before has given up by its own clock, or is fenced at its next
                // write; what is a part of it ends with it.
                if !self.is(Defect::StoreIgnoresTheToken) {
                    let others = system.drivers.clone();
                    for driver in others.into_iter().flatten() {
                        self.orphan_of(&mut system, &driver);
                    }
                    for driver in system.drivers.iter_mut().flatten() {
                        driver.running = None;
                    }
                }
                system.drivers[who] = Some(Driver {
                    state: system.journal.clone(),
                    token: system.token,
                    running: None,
                });
                let by = "somebody".to_owned();
                self.act(&mut system, who, &Input::TakeOver { by }, None);
            }
            Action::Tell(who, input, dies_after) => {
                if !matches!(input, Input::Look { .. } | Input::Tick) {
                    system.words += 1;
                }
                self.act(&mut system, who, &input, dies_after);
            }
            Action::Happen(who) => {
                let running = system.drivers[who].as_mut()?.running.as_mut()?;
                running.happened = true;
                let running = *running;
                self.happen(&mut system, running);
            }
            Action::Hear(who, ending) => {
                let running = system.drivers[who].as_mut()?.running.take()?;
                let Running { step, attempt, .. } = running;
                let input = if running.probes {
                    Input::Probed {
                        step,
                        attempt,
                        found: found(&system, running, ending),
                        why: String::new(),
                    }
                } else {
                    Input::Ended {
                        step,
                        attempt,
                        outcome: outcome(ending),
                        evidence: serde_json::Value::Null,
                    }
                };
                self.act(&mut system, who, &input, None);
            }
            Action::Die(who) => {
                let driver = system.drivers[who].take()?;
                self.orphan_of(&mut system, &driver);
            }
            Action::Expire => system.holder = None,
            Action::OrphanHappens => {
                let orphan = system.orphan.as_mut()?;
                orphan.happened = true;
                let orphan = *orphan;
                self.happen(&mut system, orphan);
            }
            Action::OrphanEnds => system.orphan = None,
        }
        (system != *last).then_some(system)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        properties::all()
    }

    fn within_boundary(&self, system: &System) -> bool {
        let states = system.drivers.iter().flatten().map(|d| &d.state);
        states.chain([&system.journal]).all(|state| {
            let forward = state.forward.iter().chain(&state.afterwards);
            forward
                .into_iter()
                .all(|s| s.attempts <= self.bounds.attempts)
                && state.rollback.iter().all(|s| s.attempts <= 3)
                && state
                    .bake
                    .as_ref()
                    .is_none_or(|b| is_short(b, self.bounds.looks))
        })
    }
}

fn found(system: &System, running: Running, ending: Ending) -> Found {
    let happened = match running.step.part {
        Part::Forward => system.happened[running.step.index] > 0,
        // What goes back may be found either way; done is what ends it.
        Part::Rollback | Part::Afterwards => true,
    };
    match ending {
        Ending::Unknown => Found::Unknown,
        Ending::Well | Ending::Badly | Ending::Unjudged if happened => Found::Done,
        Ending::Well | Ending::Badly | Ending::Unjudged => Found::NotDone,
    }
}

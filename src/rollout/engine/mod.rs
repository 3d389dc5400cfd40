//! The loop: decide → journal the intent → effect → journal the outcome.
//!
//! Nothing here decides; [`machine::decide`](super::machine::decide) does. The loop only makes
//! sure that every event is durable before what follows from it begins, that an effect of a run
//! that turned back is stopped, and that triggers, requests of other operators and the lease are
//! heard at every moment, prompts and bakes included.

mod asking;
mod ending;
mod logs;
mod looks;
mod mirroring;
mod outside;
mod record;
mod replay;

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;

use super::journal::{Cause, Head, Journal, Mirror, RunId};
use super::lease::{self, Lease, Taken};
use super::machine::{Class, Effect, Event, Input, Part, Refusal, State, Status, StepRef, decide};
use super::outline::outline;
use super::ports::{Agreed, Job, Looked, Operator, World, flipped};
use crate::error::{Exit, Problem, Result};
use crate::runbook::plan::{Phase, Plan};
pub use ending::Ending;
pub use replay::{Known, recall, replay};

pub use outside::now_ms;
use outside::{Asked, Outside, Ran, Running, every, join, join_asking, join_looking, join_running};

/// How often requests of other operators are looked for.
const REQUESTS_EVERY: Duration = Duration::from_millis(200);
/// How often the rollback kit is refreshed.
const TEND_EVERY: Duration = Duration::from_secs(5);
/// How long leaving waits for the last refresh.
const LAST_TEND: Duration = Duration::from_secs(3);

/// After what driving ends.
#[derive(Debug, Clone, Copy)]
enum Until {
    Phase(usize),
    Step(usize),
}

/// A run that this process drives.
pub struct Engine<W, O> {
    world: Arc<W>,
    operator: Arc<O>,
    journal: Journal,
    lease: Lease,
    known: Known,
    /// After what driving ends, if it does before the run does.
    until: Option<Until>,
    /// When the gates of a bake were last looked at.
    gates_looked_at: Option<tokio::time::Instant>,
    /// The journal did not answer the last time.
    unheard: bool,
    mirror: Option<Mirror>,
    /// The mirror could not be written the last time.
    unmirrored: bool,
    logs: logs::Wanted,
}

impl<W: World, O: Operator> Engine<W, O> {
    /// Begins a new run.
    pub async fn start(
        world: Arc<W>,
        operator: Arc<O>,
        journal: Journal,
        plan: Plan,
    ) -> Result<Self> {
        let json = plan.to_json();
        let holder = journal.person().holder();
        let event = Event::Started {
            by: journal.person().to_string(),
            outline: outline(&plan, &Plan::hash(&json)),
            plan: json,
        };
        let (lease, entry) = journal
            .start(
                &RunId::random(),
                &plan.runbook,
                &holder,
                lease::TTL,
                now_ms(),
                event,
            )
            .await?;
        let known = Known::from(&entry)?;
        operator.recorded(&entry, &known.state, &known.plan);
        let logs = logs::Wanted::since(entry.record.at_ms);
        let mut engine = Self {
            world,
            operator,
            journal,
            lease,
            known,
            until: None,
            gates_looked_at: None,
            unheard: false,
            mirror: None,
            unmirrored: false,
            logs,
        };
        engine.mirror(&entry).await;
        engine.take_targets().await;
        Ok(engine)
    }

    /// Takes an existing run over; what was in flight is in doubt from here on. `force` takes
    /// the lease from a holder that is alive.
    pub async fn resume(
        world: Arc<W>,
        operator: Arc<O>,
        journal: Journal,
        run: &RunId,
        force: bool,
    ) -> Result<Self> {
        let holder = journal.person().holder();
        let lease = match journal.take(run, &holder, lease::TTL, force).await? {
            Taken::Ours(lease) => lease,
            Taken::Held(held) => {
                return Err(Problem::new(
                    Exit::LeaseHeld,
                    format!("taking over run {run}"),
                    format!(
                        "{} drives it (for another {} s unless renewed)",
                        held.holder,
                        held.left.as_secs()
                    ),
                )
                .next(format!(
                    "dbctl rollout takeover      drives it from here and fences that process\n\
                     if it is gone, try again in {} s\n\
                     pause, approve, note and rollback reach it while it lives",
                    held.left.as_secs() + 1
                )));
            }
        };
        let known = recall(&journal, run).await?;
        let runs = journal.runs().await?;
        let opened = runs.iter().find(|row| row.run == *run);
        let logs = logs::Wanted::since(opened.map_or(0, |row| row.opened_ms));
        let mut engine = Self {
            world,
            operator,
            journal,
            lease,
            known,
            until: None,
            gates_looked_at: None,
            unheard: false,
            mirror: None,
            unmirrored: false,
            logs,
        };
        engine.take_targets().await;
        let by = engine.by();
        engine.tell(Input::TakeOver { by }).await?;
        Ok(engine)
    }

    /// Whoever drove before must not reach a target any more. A target that cannot be told does
    /// not keep anybody from driving: going back must be possible.
    async fn take_targets(&self) {
        let (run, token, holder) = (self.run(), self.lease.token(), self.lease.holder());
        let plan = self.known.plan.clone();
        for why in self.world.take(plan, run, token, holder).await {
            self.operator.note(&why);
        }
    }

    pub fn run(&self) -> &RunId {
        self.lease.run()
    }

    /// Who drives, as events name them.
    pub fn by(&self) -> String {
        self.journal.person().to_string()
    }

    pub fn state(&self) -> &State {
        &self.known.state
    }

    pub fn world(&self) -> &W {
        &self.world
    }

    pub fn plan(&self) -> &Plan {
        &self.known.plan
    }

    pub fn head(&self) -> Head {
        self.known.head
    }

    /// Gives the machine an input that does not come from the loop: a person's word at the start.
    ///
    /// # Errors
    /// It is not in the journal, or nobody knows whether it is: whoever said it must not be told
    /// that it counts.
    pub async fn tell(&mut self, input: Input) -> Result<()> {
        match self.input(input).await? {
            None => Ok(()),
            Some(ending) => Err(ending.instead_of_a_word(self.run())),
        }
    }

    /// Has driving end once every step of a phase is finished, before the next phase's approval
    /// is asked for. The last phase ends with the run.
    pub fn stop_after(&mut self, phase: usize) {
        self.until = Some(Until::Phase(phase));
    }

    /// Has driving end once a forward step, and so every one before it, is finished.
    pub fn stop_behind(&mut self, step: usize) {
        self.until = Some(Until::Step(step));
    }

    /// Whether the machine would take an input now.
    pub fn would(&self, input: Input) -> Result<(), Refusal> {
        decide(&self.known.state, now_ms(), input).map(|_| ())
    }

    /// Gives the lease back without driving. Best effort: an expired lease is free as well.
    pub async fn leave(&self) {
        let _ = self.journal.release(&self.lease).await;
        self.operator.leaving().await;
    }

    /// Drives until there is nothing that this process can do. `interrupt` says each Ctrl-C.
    pub async fn drive(&mut self, interrupt: &mut mpsc::Receiver<()>) -> Result<Ending> {
        let mut outside = Outside::default();
        self.world.kits_recorded(&self.known.state.kits);
        let ending = self.drive_loop(&mut outside, interrupt).await;
        let reading = outside.reading.take();
        outside.stop_all().await;
        if let Ok(ending) = &ending {
            self.keep_last_logs(reading, ending).await;
        }
        self.tend_once_more().await;
        match ending {
            // It would not hear that either.
            Ok(Ending::Unreachable { .. }) => {}
            Ok(Ending::Fenced { .. }) | Err(_) => self.leave().await,
            Ok(_) => {
                // A kit that is newer than its record is told as such; that is all that is lost.
                let _ = self.record_kits(true).await;
                self.leave().await;
            }
        }
        ending
    }

    /// Whoever leaves leaves a fresh kit: nobody refreshes it until the next driver comes.
    async fn tend_once_more(&self) {
        if !self.known.state.triggers_armed() {
            return;
        }
        let targets = flipped(&self.known.plan, &self.known.state);
        let tended = self.world.tend(self.known.plan.clone(), targets);
        let why = match tokio::time::timeout(LAST_TEND, tended).await {
            Ok(Ok(())) => return,
            Ok(Err(why)) => why,
            Err(_) => "no answer in time".into(),
        };
        self.operator
            .note(&format!("the rollback kit was not refreshed: {why}"));
    }

    async fn drive_loop(
        &mut self,
        outside: &mut Outside,
        interrupt: &mut mpsc::Receiver<()>,
    ) -> Result<Ending> {
        let mut renewals = every(self.lease.ttl() / 3);
        let mut requests = every(REQUESTS_EVERY);
        let mut looks = every(self.look_interval());
        let mut tends = every(TEND_EVERY);
        loop {
            if !self.lease.is_safe()
                && let Some(ending) = self.renew().await?
            {
                return Ok(ending);
            }
            self.read_logs(outside);
            if let Some(ending) = self.record_kits(false).await? {
                return Ok(ending);
            }
            if let Some(ending) = self.advance(outside).await? {
                return Ok(ending);
            }
            let input = tokio::select! {
                biased;
                Some(()) = interrupt.recv() => match self.interrupted(outside) {
                    Some(ending) => return Ok(ending),
                    None => continue,
                },
                _ = renewals.tick() => match self.renew().await? {
                    Some(ending) => return Ok(ending),
                    None => continue,
                },
                _ = requests.tick() => {
                    if self.unheard && let Some(ending) = self.renew().await? {
                        return Ok(ending);
                    }
                    if let Some(ending) = self.take_requests(outside).await? {
                        return Ok(ending);
                    }
                    continue;
                }
                looked = join_looking(&mut outside.looking) => {
                    if let Some(ending) = self.take_look(looked, outside).await? {
                        return Ok(ending);
                    }
                    continue;
                }
                ran = join_running(&mut outside.running) => ran,
                said = join_asking(&mut outside.asking) => match self.said(said) {
                    Some(Ok(input)) => input,
                    Some(Err(ending)) => return Ok(ending),
                    None => continue,
                },
                tended = join(&mut outside.tending) => {
                    if let Some(Err(why)) = tended {
                        self.operator.note(&format!("the rollback kit was not refreshed: {why}"));
                    }
                    continue;
                }
                logs = join(&mut outside.reading) => match logs.filter(logs::say_something) {
                    Some(input) => input,
                    None => continue,
                },
                _ = looks.tick(), if self.must_look() && outside.looking.is_none() => {
                    outside.looking = Some(self.begin_look());
                    continue;
                }
                _ = tends.tick(), if self.known.state.triggers_armed() && outside.tending.is_none() => {
                    let (world, plan) = (self.world.clone(), self.known.plan.clone());
                    let targets = flipped(&self.known.plan, &self.known.state);
                    outside.tending = Some(tokio::spawn(async move { world.tend(plan, targets).await }));
                    continue;
                }
            };
            if let Some(ending) = self.input_and_stop(input, outside).await? {
                return Ok(ending);
            }
        }
    }

    /// Lets the machine go on as far as it can without waiting, and says whether driving is over.
    async fn advance(&mut self, outside: &mut Outside) -> Result<Option<Ending>> {
        while outside.running.is_none() && outside.asking.is_none() {
            if outside.leaving {
                return Ok(Some(Ending::Detached));
            }
            if let Some(phase) = self.reached() {
                return Ok(Some(Ending::Reached { phase }));
            }
            let Ok(decision) = decide(&self.known.state, now_ms(), Input::Tick) else {
                break;
            };
            if decision.events.is_empty() && decision.effect.is_none() {
                return Ok(self.resting(outside));
            }
            if let Some(ending) = self.record(&decision).await? {
                return Ok(Some(ending));
            }
            if let Some(effect) = decision.effect {
                self.begin(effect, outside);
            }
        }
        Ok(None)
    }

    /// The name of what driving was to end after, once it is finished.
    fn reached(&self) -> Option<String> {
        let state = &self.known.state;
        match self.until? {
            Until::Phase(phase) => state.stands_behind(phase).then(|| self.phase(phase).name),
            Until::Step(step) => {
                let mut steps = state.forward.iter().take(step + 1);
                let finished = steps.all(|s| s.progress.is_finished());
                let id = &state.outline.forward.get(step)?.id;
                (state.status == Status::Running && finished).then(|| id.clone())
            }
        }
    }

    /// The machine waits for something from outside. Is it something that can come to us?
    fn resting(&self, outside: &mut Outside) -> Option<Ending> {
        match &self.known.state.status {
            Status::Completed => Some(Ending::Completed),
            Status::Aborted => Some(Ending::Aborted),
            Status::Stuck { .. } => Some(Ending::Stuck),
            Status::RolledBack => Some(Ending::RolledBack),
            Status::Paused { .. } => {
                let operator = self.operator.clone();
                let why = format!("run {}", self.run());
                outside.asking = Some((
                    Asked::Pause,
                    tokio::spawn(async move { operator.paused(why).await }),
                ));
                None
            }
            // A bake under way.
            Status::Running
            | Status::RollingBack
            | Status::AwaitingApproval { .. }
            | Status::AwaitingAnswer { .. } => None,
        }
    }

    fn begin(&self, effect: Effect, outside: &mut Outside) {
        match effect {
            Effect::Run { step, attempt } => {
                // A bake is not a task: the looks drive it.
                if matches!(self.class(step), Some(Class::Bake(_))) {
                    return;
                }
                let (world, job) = (self.world.clone(), self.job(step, attempt));
                let task = tokio::spawn(async move { Ran::Performed(world.perform(job).await) });
                outside.running = Some(Running {
                    step,
                    attempt,
                    task,
                });
            }
            Effect::Probe { step, attempt } => {
                let (world, job) = (self.world.clone(), self.job(step, attempt));
                let task = tokio::spawn(async move {
                    let (found, why) = world.probe(job).await;
                    Ran::Probed(found, why)
                });
                outside.running = Some(Running {
                    step,
                    attempt,
                    task,
                });
            }
            Effect::AskApproval { phase } => {
                let operator = self.operator.clone();
                let (plan, hash) = (
                    self.known.plan.clone(),
                    self.known.state.outline.plan.clone(),
                );
                let entered = self.phase(phase);
                let task = tokio::spawn(async move { operator.approve(entered, plan, hash).await });
                outside.asking = Some((Asked::Approval { phase }, task));
            }
            Effect::AskPerson { step } => {
                let operator = self.operator.clone();
                let planned = self.job(step, 0).planned().clone();
                let agreed = Agreed::of(&self.known.state, step, &self.by());
                let task = tokio::spawn(async move { operator.answer(planned, agreed).await });
                outside.asking = Some((Asked::Answer { step }, task));
            }
        }
    }

    fn phase(&self, phase: usize) -> Phase {
        self.known.plan.phases[phase].clone()
    }

    fn class(&self, step: StepRef) -> Option<&Class> {
        self.known.state.outline.step(step).map(|s| &s.class)
    }

    fn job(&self, at: StepRef, attempt: u32) -> Job {
        Job {
            plan: self.known.plan.clone(),
            at,
            attempt,
            state: Arc::new(self.known.state.clone()),
        }
    }

    /// A first Ctrl-C lets an effect under way end and then leaves; the second leaves at once.
    fn interrupted(&self, outside: &mut Outside) -> Option<Ending> {
        let in_effect = outside
            .running
            .as_ref()
            .is_some_and(|r| matches!(self.class(r.step), Some(Class::Effect)));
        if !in_effect || outside.leaving {
            return Some(Ending::Detached);
        }
        outside.leaving = true;
        self.operator.note(
            "finishing the step under way, then leaving; Ctrl-C again leaves now (the step is then in doubt)",
        );
        None
    }

    async fn take_look(
        &mut self,
        looked: Option<(bool, Looked)>,
        outside: &mut Outside,
    ) -> Result<Option<Ending>> {
        let Some((at_gates, looked)) = looked else {
            return Ok(None);
        };
        self.operator.looked(&looked);
        for fired in looked.fired {
            let input = Input::Trigger {
                id: fired.id,
                why: fired.why,
                rolls_back: fired.rolls_back,
                evidence: fired.evidence,
            };
            if let Some(ending) = self.input_and_stop(input, outside).await? {
                return Ok(Some(ending));
            }
        }
        if at_gates && self.known.state.baking().is_some() {
            // A gate of which nothing is said was not judged.
            let readings = looked.gates.unwrap_or_default();
            return self.input_and_stop(Input::Look { readings }, outside).await;
        }
        Ok(None)
    }

    async fn input_and_stop(
        &mut self,
        input: Input,
        outside: &mut Outside,
    ) -> Result<Option<Ending>> {
        let ending = self.input(input).await?;
        self.stop_what_is_over(outside).await;
        Ok(ending)
    }

    /// An input that is refused is about something that is over: it changes nothing.
    async fn input(&mut self, input: Input) -> Result<Option<Ending>> {
        let cause = match record::is_word(&input) {
            true => Cause::Person,
            false => Cause::Driver,
        };
        match decide(&self.known.state, now_ms(), input) {
            Ok(decision) => self.record_by(&decision, cause).await,
            Err(_) => Ok(None),
        }
    }

    /// Stops what the run has turned away from: a forward effect once it rolls back, a prompt
    /// whose question is not open any more.
    async fn stop_what_is_over(&self, outside: &mut Outside) {
        let over = outside
            .running
            .as_ref()
            .is_some_and(|r| r.step.part == Part::Forward && !self.known.state.can_go_forward());
        if over && let Some(running) = outside.running.take() {
            running.task.abort();
            // Until it is really gone it could still act.
            let _ = running.task.await;
        }
        let open = outside
            .asking
            .as_ref()
            .is_none_or(|(asked, _)| match asked {
                Asked::Approval { phase } => {
                    self.known.state.status == (Status::AwaitingApproval { phase: *phase })
                }
                Asked::Answer { step } => self.known.state.in_flight() == Some(*step),
                Asked::Pause => matches!(self.known.state.status, Status::Paused { .. }),
            });
        if !open && let Some((_, task)) = outside.asking.take() {
            task.abort();
        }
    }
}

//! How the engine reaches the world: traits that `commands/rollout` implements with the domain
//! rooms, and a test with whatever it wants to happen.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::Arc;

use serde_json::Value;

use super::journal::{Entry, RunId};
use super::machine::{Bake, BakeOutline, Found, Outcome, Part, Reading, State, Status, StepRef};
use crate::check::logs::LogExcerpt;
use crate::contract::KitSeal;
use crate::runbook::model::{Gate, StepKind};
use crate::runbook::plan::{Phase, Plan, Planned, TargetRef};

/// One attempt of one step.
#[derive(Debug, Clone)]
pub struct Job {
    pub plan: Arc<Plan>,
    pub at: StepRef,
    pub attempt: u32,
    /// The run's state when the attempt began.
    pub state: Arc<State>,
}

impl Job {
    pub fn planned(&self) -> &Planned {
        let steps = match self.at.part {
            Part::Forward => &self.plan.forward,
            Part::Rollback => &self.plan.rollback,
            Part::Afterwards => &self.plan.afterwards,
        };
        &steps[self.at.index]
    }

    /// The targets that the step acts on: its own, or all that were switched where the step
    /// names no environment (in a rollback and after it).
    pub fn targets(&self) -> Vec<TargetRef> {
        match self.planned().step.environment() {
            None => flipped(&self.plan, &self.state),
            Some(_) => self.planned().target_refs().collect(),
        }
    }

    /// The environments that the step acts on, by the same rule.
    pub fn environments(&self) -> Vec<String> {
        match self.planned().step.environment() {
            None => {
                let mut names: Vec<String> = self.targets().into_iter().map(|t| t.env).collect();
                names.dedup();
                names
            }
            Some(env) => vec![env.to_owned()],
        }
    }
}

/// Every target that a step of this run switched, or may have begun to switch.
pub fn flipped(plan: &Plan, state: &State) -> Vec<TargetRef> {
    let begun = plan.forward.iter().zip(&state.forward);
    let mut targets: Vec<TargetRef> = begun
        .filter(|(planned, step)| planned.flips() && step.attempts > 0)
        .flat_map(|(planned, _)| planned.target_refs())
        .collect();
    targets.sort();
    targets.dedup();
    targets
}

/// How an attempt ended, and what was seen.
#[derive(Debug, Clone)]
pub struct Done {
    pub outcome: Outcome,
    pub evidence: Value,
}

/// What to look at.
#[derive(Debug, Clone)]
pub struct Look {
    pub plan: Arc<Plan>,
    /// The targets that triggers watch.
    pub flipped: Vec<TargetRef>,
    /// The bake under way, when its gates are due to be looked at.
    pub bake: Option<Baking>,
    /// The bake whose gates are watched while the run waits for a person: one that fails and
    /// stays so is as a trigger that fires.
    pub vigil: Option<Vigil>,
}

/// A bake that was passed, or that is paused.
#[derive(Debug, Clone)]
pub struct Vigil {
    pub planned: Planned,
    /// The run stands still already: only what turns it back counts.
    pub paused: bool,
}

impl Vigil {
    /// While a person is waited for: the bake that was begun last, unless more was switched since.
    /// Its gates stay live; the machine hears of them as of triggers.
    pub fn of(plan: &Plan, state: &State) -> Option<Self> {
        let paused = match state.status {
            Status::Paused { .. } => true,
            Status::AwaitingApproval { .. } | Status::AwaitingAnswer { .. } => false,
            Status::Running
            | Status::RollingBack
            | Status::RolledBack
            | Status::Stuck { .. }
            | Status::Completed
            | Status::Aborted => return None,
        };
        let begun = plan.forward.iter().zip(&state.forward);
        let mut begun = begun.rev().filter(|(_, step)| step.attempts > 0);
        let is_bake = |p: &Planned| matches!(p.step.kind, StepKind::Bake { .. });
        let (last, _) = begun.find(|(p, _)| p.flips() || is_bake(p))?;
        (state.triggers_armed() && is_bake(last)).then(|| Self {
            planned: last.clone(),
            paused,
        })
    }

    /// The gates that are watched: those that may decide.
    pub fn gates<'a>(&'a self, plan: &'a Plan) -> impl Iterator<Item = &'a Gate> {
        let ids: &[String] = if let StepKind::Bake { gates, .. } = &self.planned.step.kind {
            gates
        } else {
            &[]
        };
        let gates = ids.iter().filter_map(|id| plan.gate(id));
        gates.filter(|gate| !gate.muted)
    }
}

/// A bake under way, with what its looks came to so far.
#[derive(Debug, Clone)]
pub struct Baking {
    pub planned: Planned,
    pub outline: BakeOutline,
    pub so_far: Bake,
}

/// What was seen.
#[derive(Debug, Clone, Default)]
pub struct Looked {
    /// One for each gate of the bake; none where no bake was to be looked at.
    pub gates: Option<Vec<Reading>>,
    /// One for each gate that is watched while the run waits for a person; none where it does not.
    pub vigil: Option<Vec<Reading>>,
    pub fired: Vec<Fired>,
    /// Triggers that could not be judged: shown, never taken for quiet.
    pub unknown: Vec<(String, String)>,
}

/// A trigger that fired.
#[derive(Debug, Clone)]
pub struct Fired {
    pub id: String,
    pub why: String,
    pub rolls_back: bool,
    pub evidence: Value,
}

/// Effects, probes and looks.
pub trait World: Send + Sync + 'static {
    /// From here on this process drives the run: no earlier driver may reach a target any more.
    /// Says where that could not be had.
    fn take(
        &self,
        plan: Arc<Plan>,
        run: &RunId,
        token: u64,
        holder: &str,
    ) -> impl Future<Output = Vec<String>> + Send;

    /// Does the step. Never panics; an effect that may or may not have happened is
    /// [`Outcome::Unknown`]. Dropping the future stops it at the next safe point.
    fn perform(&self, job: Job) -> impl Future<Output = Done> + Send;

    /// Finds out whether a step in doubt was done, without doing anything.
    fn probe(&self, job: Job) -> impl Future<Output = (Found, String)> + Send;

    /// Samples the metrics and judges gates and triggers.
    fn look(&self, look: Look) -> impl Future<Output = Looked> + Send;

    /// What the logs of these targets say of trouble since `since_ms`; nothing of targets whose log
    /// nobody named. Bounded in time and in size, and without secrets.
    fn logs(
        &self,
        _targets: Vec<TargetRef>,
        _since_ms: u64,
    ) -> impl Future<Output = Vec<LogExcerpt>> + Send {
        std::future::ready(Vec::new())
    }

    /// What the journal recorded of rollback kits, by environment: one that is something else is
    /// not gone by.
    fn kits_recorded(&self, _kits: &BTreeMap<String, Vec<KitSeal>>) {}

    /// Seals of rollback kits that were made fresh, by environment, for the journal: those that are
    /// due, or all that it does not know yet. None is named twice.
    fn kits_made(&self, _all: bool) -> Vec<(String, KitSeal)> {
        Vec::new()
    }

    /// Keeps the rollback kit fresh and both sides of the switch in step.
    fn tend(
        &self,
        plan: Arc<Plan>,
        flipped: Vec<TargetRef>,
    ) -> impl Future<Output = Result<(), String>> + Send;
}

/// What a person said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Said {
    Yes,
    /// Leave everything as it is.
    No,
    Rollback,
    /// There is nobody to ask here.
    NobodyThere,
}

/// Who said yes to a question so far.
#[derive(Debug, Clone)]
pub struct Agreed {
    pub by: Vec<String>,
    /// How many people it wants.
    pub of: u32,
    /// The person in front of this process is among them, and another one has to.
    pub here: bool,
}

impl Agreed {
    /// For the question of a step; `me` is the person in front of this process.
    pub fn of(state: &State, step: StepRef, me: &str) -> Self {
        let by = state.step(step).map_or_else(Vec::new, |s| s.agreed.clone());
        Self {
            here: by.iter().any(|who| who == me),
            of: state.outline.step(step).map_or(1, |s| s.approvals),
            by,
        }
    }
}

/// The person in front of it, and the screen.
pub trait Operator: Send + Sync + 'static {
    fn approve(
        &self,
        phase: Phase,
        plan: Arc<Plan>,
        hash: String,
    ) -> impl Future<Output = Said> + Send;

    /// Asks whether a step that only a person can do was done.
    fn answer(&self, step: Planned, agreed: Agreed) -> impl Future<Output = Said> + Send;

    /// Asks how to go on from a pause: yes resumes.
    fn paused(&self, why: String) -> impl Future<Output = Said> + Send;

    /// An event was recorded; `state` is after it.
    fn recorded(&self, entry: &Entry, state: &State, plan: &Plan);

    /// What a look saw, also where nothing is recorded.
    fn looked(&self, looked: &Looked);

    /// Something a person should know that is not an event.
    fn note(&self, text: &str);

    /// The driver leaves, its lease is given back. What is still under way beside the run may be
    /// waited for, but not for long.
    fn leaving(&self) -> impl Future<Output = ()> + Send {
        std::future::ready(())
    }
}

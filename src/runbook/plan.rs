//! A runbook resolved against one set of environments: what will be done, to which targets, in
//! which order. A run is pinned to its plan's hash; the whole plan lies in the journal.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::describe;
use super::model::{Criterion, Gate, Position, Query, Runbook, Step, StepKind, Trigger};
use crate::error::{Exit, Problem, Result};
use crate::runtime::toggles::Mode;
use crate::settings::{Environment, Settings};

/// Everything that a run will do. Its JSON is what is hashed and approved.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Plan {
    pub schema: String,
    pub runbook: String,
    pub title: String,
    /// The runbook's exact text.
    pub text: String,
    pub phases: Vec<Phase>,
    pub forward: Vec<Planned>,
    pub rollback: Vec<Planned>,
    pub afterwards: Vec<Planned>,
    pub gates: Vec<Gate>,
    pub triggers: Vec<Trigger>,
    pub queries: Vec<Query>,
    pub criteria: Vec<Criterion>,
    pub environments: Vec<PlannedEnvironment>,
    /// Bakes are shortened to this; said wherever the plan is shown.
    pub shortened: Option<Duration>,
    /// The margins that became wider with it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub widened: Vec<Widened>,
}

/// A margin that a shortened bake can still tell.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Widened {
    pub gate: String,
    /// As the runbook has it.
    pub from: f64,
    pub to: f64,
}

/// Steps that are entered together, by one approval.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Phase {
    pub name: String,
    /// The environment of its first step: the name that an approval types.
    pub env: String,
}

/// A step with what it resolves to.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Planned {
    pub step: Step,
    /// Index into [`Plan::phases`].
    pub phase: usize,
    /// Names of the targets that it acts on, in its environment. Empty for a step of a rollback:
    /// that acts on every target that the run switched, whatever its environment.
    pub targets: Vec<String>,
    /// The forward step that this one undoes.
    pub undoes: Option<usize>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlannedEnvironment {
    pub name: String,
    pub targets: Vec<PlannedTarget>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlannedTarget {
    pub name: String,
    pub url: String,
    pub groups: Vec<String>,
}

/// One instance in one environment.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct TargetRef {
    pub env: String,
    pub name: String,
}

impl std::fmt::Display for TargetRef {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.env, self.name)
    }
}

impl Plan {
    pub const SCHEMA: &'static str = "dbctl.plan/1";

    /// Resolves a runbook. `shorten` caps the time of every bake.
    pub fn resolve(
        runbook: &Runbook,
        settings: &Settings,
        shorten: Option<Duration>,
    ) -> Result<Plan> {
        let resolver = Resolver { runbook, settings };
        let mut phases: Vec<Phase> = Vec::new();
        let mut forward = Vec::new();
        for step in &runbook.steps {
            if phases.last().is_none_or(|p| p.name != step.phase) {
                phases.push(Phase {
                    name: step.phase.clone(),
                    env: step.env.clone(),
                });
            }
            forward.push(resolver.planned(step, phases.len() - 1)?);
        }
        if forward.is_empty() {
            return Err(Problem::new(
                Exit::Config,
                format!("planning {}", runbook.path.display()),
                "the runbook binds no step, so there is nothing to roll out",
            )
            .next("`dbctl verify --runbook FILE` runs its queries; docs/runbooks.md shows how to bind steps"));
        }
        if !runbook.criteria.is_empty() {
            forward.push(resolver.completion(phases.len() - 1));
        }
        let mut rollback = Vec::new();
        for step in &runbook.rollback {
            rollback.push(resolver.unplaced(step));
        }
        rollback.extend(undo_steps(&forward));
        let mut afterwards = Vec::new();
        for step in &runbook.afterwards {
            afterwards.push(match step.environment() {
                None => resolver.unplaced(step),
                Some(_) => resolver.planned(step, 0)?,
            });
        }
        let mut plan = Plan {
            schema: Self::SCHEMA.into(),
            runbook: runbook.name.clone(),
            title: runbook.title.clone(),
            text: runbook.text.clone(),
            environments: resolver.environments(&forward)?,
            phases,
            forward,
            rollback,
            afterwards,
            gates: runbook.gates.clone(),
            triggers: runbook.triggers.clone(),
            queries: runbook.queries.clone(),
            criteria: runbook.criteria.clone(),
            shortened: None,
            widened: Vec::new(),
        };
        if let Some(limit) = shorten {
            plan.shorten(limit);
        }
        Ok(plan)
    }

    /// Shortens bakes, and with them what gates and triggers look back on: a window longer than
    /// the bake would never be full. Fewer samples are asked for in proportion, and a margin is
    /// wider in proportion, since less evidence cannot tell a smaller difference.
    fn shorten(&mut self, limit: Duration) {
        for planned in &mut self.forward {
            if let StepKind::Bake {
                duration, extend, ..
            } = &mut planned.step.kind
                && *duration > limit
            {
                *duration = limit;
                *extend = limit.min(*extend);
                self.shortened = Some(limit);
            }
        }
        // Bakes that are short enough are left as they are, and so is what they are judged by.
        if self.shortened.is_none() {
            return;
        }
        let window = limit / 2;
        for gate in &mut self.gates {
            let least = Duration::from_millis(500);
            let shorter = shortened(&mut gate.window, &mut gate.interval, window, least);
            gate.initial_delay = gate.initial_delay.mul_f64(shorter).min(limit / 4);
            gate.min_samples = fewer(gate.min_samples, shorter);
            if let Some(from) = gate.margin.filter(|_| shorter < 1.0) {
                let (gate_id, to) = (gate.id.clone(), from / shorter);
                gate.margin = Some(to);
                self.widened.push(Widened {
                    gate: gate_id,
                    from,
                    to,
                });
            }
            // One bad moment is seen in every sample of a window.
            let samples = gate.window.as_millis() / gate.interval.as_millis().max(1);
            let samples = u32::try_from(samples).unwrap_or(u32::MAX);
            if let Some(total) = &mut gate.limits.failures {
                *total = total.saturating_add(samples);
            }
            if let Some(last) = &mut gate.limits.of_last {
                last.at_most = (last.at_most + samples).min(last.of_last - 1);
            }
        }
        for trigger in &mut self.triggers {
            let least = Duration::from_millis(200);
            let shorter = shortened(&mut trigger.window, &mut trigger.interval, window, least);
            trigger.min_samples = fewer(trigger.min_samples, shorter);
        }
    }

    /// The JSON that is hashed, journalled and approved.
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).expect("a plan is plain data")
    }

    /// SHA-256 of [`Plan::to_json`], in hexadecimal.
    pub fn hash(json: &str) -> String {
        Sha256::digest(json)
            .iter()
            .map(|b| format!("{b:02x}"))
            .collect()
    }

    pub fn from_json(json: &str) -> Result<Plan> {
        serde_json::from_str(json).map_err(|e| {
            Problem::new(Exit::JournalBroken, "reading the plan in the journal", e)
                .next("it was written by another version of dbctl: use that one for this run")
        })
    }

    /// The targets of a step's environment that it does not act on: what a bake is compared with.
    pub fn others(&self, planned: &Planned) -> Vec<TargetRef> {
        let env = self
            .environments
            .iter()
            .find(|e| e.name == planned.step.env);
        env.into_iter()
            .flat_map(|e| &e.targets)
            .filter(|t| !planned.targets.contains(&t.name))
            .map(|t| TargetRef {
                env: planned.step.env.clone(),
                name: t.name.clone(),
            })
            .collect()
    }

    /// The gates of a bake that are decided by their margin: others are there to compare with.
    pub fn compared(&self, planned: &Planned) -> Vec<&Gate> {
        let StepKind::Bake { gates, .. } = &planned.step.kind else {
            return Vec::new();
        };
        if self.others(planned).is_empty() {
            return Vec::new();
        }
        let gates = gates.iter().filter_map(|id| self.gate(id));
        gates.filter(|g| g.margin.is_some() && !g.muted).collect()
    }

    /// What shortened bakes do not show, in words; nothing where they are as the runbook has them.
    pub fn shortened_in_words(&self) -> Option<String> {
        let to = describe::words(self.shortened?);
        let mut text = format!(
            "bakes are shortened to {to} and prove less than the runbook asks for: their gates \
             look back less far and want fewer samples"
        );
        let wider = self.widened.iter().map(|Widened { gate, from, to }| {
            let (from, to) = (from * 100.0, to * 100.0);
            match to >= 100.0 {
                true => format!("{gate} (from {from:.2} pp to {to:.0} pp, which is no limit)"),
                false => format!("{gate} (from {from:.2} pp to {to:.2} pp)"),
            }
        });
        let wider: Vec<String> = wider.collect();
        if !wider.is_empty() {
            text += &format!(", and margins are wider: {}", wider.join(", "));
        }
        Some(text)
    }

    pub fn gate(&self, id: &str) -> Option<&Gate> {
        self.gates.iter().find(|g| g.id == id)
    }
}

impl Planned {
    /// It switches its targets to Postgres, at least in part.
    pub fn flips(&self) -> bool {
        match &self.step.kind {
            StepKind::Toggles { set, .. } => set.values().any(|m| *m == Mode::Postgres),
            StepKind::Rehearse { .. } => true,
            StepKind::Confirm { .. }
            | StepKind::Approve { .. }
            | StepKind::Command { .. }
            | StepKind::Preflight
            | StepKind::Migrate
            | StepKind::Keys
            | StepKind::Carry { .. }
            | StepKind::Restart { .. }
            | StepKind::Smoke { .. }
            | StepKind::Verify { .. }
            | StepKind::Integrity
            | StepKind::Bake { .. }
            | StepKind::Recover { .. }
            | StepKind::Complete => false,
        }
    }

    /// The targets that it acts on, with their environment.
    pub fn target_refs(&self) -> impl Iterator<Item = TargetRef> {
        self.targets.iter().map(|name| TargetRef {
            env: self.step.env.clone(),
            name: name.clone(),
        })
    }
}

struct Resolver<'a> {
    runbook: &'a Runbook,
    settings: &'a Settings,
}

impl Resolver<'_> {
    fn planned(&self, step: &Step, phase: usize) -> Result<Planned> {
        let env = self.environment(step)?;
        let targets = match on(&step.kind) {
            Some(on) => env.select(on).map_err(|p| self.place(p, step))?,
            None => Vec::new(),
        };
        if on(&step.kind).is_some() && targets.is_empty() {
            let problem = Problem::new(
                Exit::Config,
                format!("planning step {}", step.id),
                format!("environment {} has no targets", env.name),
            )
            .next(format!(
                "add [[environments.{}.targets]] to the settings file",
                env.name
            ));
            return Err(self.place(problem, step));
        }
        Ok(Planned {
            step: step.clone(),
            phase,
            targets: targets.into_iter().map(|t| t.name.clone()).collect(),
            undoes: None,
        })
    }

    fn unplaced(&self, step: &Step) -> Planned {
        Planned {
            step: step.clone(),
            phase: 0,
            targets: Vec::new(),
            undoes: None,
        }
    }

    /// The step that judges the completion criteria.
    fn completion(&self, phase: usize) -> Planned {
        let first = &self.runbook.criteria[0];
        Planned {
            step: Step {
                id: "completion".into(),
                heading: first.heading.clone(),
                prose: "Judges the completion criteria, each with evidence.".into(),
                phase: self
                    .runbook
                    .steps
                    .last()
                    .map(|s| s.phase.clone())
                    .unwrap_or_default(),
                env: self
                    .runbook
                    .steps
                    .last()
                    .map(|s| s.env.clone())
                    .unwrap_or_default(),
                kind: StepKind::Complete,
                at: first.at,
            },
            phase,
            targets: Vec::new(),
            undoes: None,
        }
    }

    fn environment(&self, step: &Step) -> Result<&Environment> {
        self.settings
            .environment(Some(&step.env))
            .map_err(|p| self.place(p, step))
    }

    fn place(&self, problem: Problem, step: &Step) -> Problem {
        let Position { offset, .. } = step.at;
        problem.at(
            self.runbook.path.display(),
            self.runbook.text.clone(),
            (offset, 0),
            format!("step {}", step.id),
        )
    }

    fn environments(&self, forward: &[Planned]) -> Result<Vec<PlannedEnvironment>> {
        let mut seen = BTreeMap::new();
        for planned in forward {
            let env = self.environment(&planned.step)?;
            seen.entry(env.name.clone())
                .or_insert_with(|| PlannedEnvironment {
                    name: env.name.clone(),
                    targets: env
                        .targets
                        .iter()
                        .map(|t| PlannedTarget {
                            name: t.name.clone(),
                            url: t.url.clone(),
                            groups: t.groups.clone(),
                        })
                        .collect(),
                });
        }
        Ok(seen.into_values().collect())
    }
}

/// The targets that a kind of step names; `None` for one that acts on no target.
fn on(kind: &StepKind) -> Option<&[String]> {
    match kind {
        StepKind::Carry { on }
        | StepKind::Toggles { on, .. }
        | StepKind::Restart { on }
        | StepKind::Smoke { on, .. }
        | StepKind::Bake { on, .. }
        | StepKind::Recover { on, .. }
        | StepKind::Rehearse { on } => Some(on),
        StepKind::Confirm { .. }
        | StepKind::Approve { .. }
        | StepKind::Command { .. }
        | StepKind::Preflight
        | StepKind::Migrate
        | StepKind::Keys
        | StepKind::Verify { .. }
        | StepKind::Integrity
        | StepKind::Complete => None,
    }
}

/// Commands that say how they are undone are unwound last to first, after the toggles.
fn undo_steps(forward: &[Planned]) -> Vec<Planned> {
    let undo = |(index, planned): (usize, &Planned)| {
        let StepKind::Command {
            undo: Some(undo),
            timeout,
            ..
        } = &planned.step.kind
        else {
            return None;
        };
        Some(Planned {
            step: Step {
                id: format!("undo-{}", planned.step.id),
                kind: StepKind::Command {
                    run: undo.clone(),
                    probe: None,
                    undo: None,
                    timeout: *timeout,
                },
                ..planned.step.clone()
            },
            phase: 0,
            targets: Vec::new(),
            undoes: Some(index),
        })
    };
    forward.iter().enumerate().rev().filter_map(undo).collect()
}

/// Caps a window and samples it more often; returns the factor that it became shorter by.
fn shortened(
    window: &mut Duration,
    interval: &mut Duration,
    limit: Duration,
    least: Duration,
) -> f64 {
    if *window <= limit {
        return 1.0;
    }
    let factor = limit.as_secs_f64() / window.as_secs_f64();
    *window = limit;
    *interval = interval.mul_f64(factor).max(least);
    factor
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "a small count; the cast saturates"
)]
fn fewer(samples: u64, factor: f64) -> u64 {
    (samples as f64 * factor).ceil() as u64
}

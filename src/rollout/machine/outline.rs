//! As much of a plan as the machine needs.

use serde::{Deserialize, Serialize};

use crate::runbook::model::OfLast;

/// The steps of a plan and what kind of thing each is.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Outline {
    /// SHA-256 of the plan, in hexadecimal. An approval names it.
    pub plan: String,
    /// The name that has to be typed to enter each phase: its environment.
    pub phases: Vec<String>,
    pub forward: Vec<StepOutline>,
    pub rollback: Vec<StepOutline>,
    /// What is due after a rollback, before another attempt.
    pub afterwards: Vec<StepOutline>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct StepOutline {
    pub id: String,
    /// Index into [`Outline::phases`]; 0 for steps that are not forward steps.
    pub phase: usize,
    pub class: Class,
    /// It switches a target: from its intent on there is something to roll back.
    pub flips: bool,
    /// Doing it again when it was already done changes nothing.
    pub repeatable: bool,
    /// A rollback step that undoes this forward step: due only if that was begun.
    pub undoes: Option<usize>,
    /// How many different people have to say yes to a step that asks.
    #[serde(default = "one")]
    pub approvals: u32,
    /// SHA-256 of all that the plan says of the step; two plans with the same one do the same.
    #[serde(default)]
    pub digest: String,
}

const fn one() -> u32 {
    1
}

/// How a step behaves when its driver dies.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Class {
    /// Changes the world: in doubt after a crash, and probed.
    Effect,
    /// Only looks: simply done again after a crash.
    Check,
    /// Only looks, for a time; what was observed counts, what was not does not.
    Bake(BakeOutline),
    /// A person answers.
    Ask,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct BakeOutline {
    pub needed_ms: u64,
    /// How much longer it may take until every gate that is compared is certain.
    pub extend_ms: u64,
    /// The longest time between two observations that counts as observed.
    pub longest_gap_ms: u64,
    pub gates: Vec<GateOutline>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct GateOutline {
    pub id: String,
    /// Observed time before the gate is looked at.
    pub delay_ms: u64,
    /// Failed looks that are allowed in the whole bake; none: as many as like.
    pub failure_limit: Option<u32>,
    /// Failed looks that are allowed among the last ones.
    pub failures_of_last: Option<OfLast>,
    /// Errors in a row that are allowed.
    pub error_limit: u32,
    /// Looks in a row that could not be judged and are allowed.
    pub inconclusive_limit: u32,
    /// More failures than are allowed roll the run back; otherwise they pause it.
    pub rolls_back: bool,
    /// It passes only once it was shown, over the whole bake, not to be worse than the others.
    pub compared: bool,
    /// It is measured and journalled; it decides nothing.
    pub muted: bool,
}

/// The three lists of steps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Part {
    Forward,
    Rollback,
    Afterwards,
}

/// One step of an outline.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct StepRef {
    pub part: Part,
    pub index: usize,
}

impl StepRef {
    pub const fn new(part: Part, index: usize) -> Self {
        Self { part, index }
    }
}

impl Outline {
    pub fn steps(&self, part: Part) -> &[StepOutline] {
        match part {
            Part::Forward => &self.forward,
            Part::Rollback => &self.rollback,
            Part::Afterwards => &self.afterwards,
        }
    }

    pub fn step(&self, at: StepRef) -> Option<&StepOutline> {
        self.steps(at.part).get(at.index)
    }

    /// The id of a step; `?` for one that does not exist.
    pub fn id(&self, at: StepRef) -> &str {
        self.step(at).map_or("?", |s| &s.id)
    }
}

//! What a runbook says, resolved from its text, with source positions.
//!
//! A fenced block whose info string is `toml step`, `toml gate`, `toml trigger`,
//! `toml criterion` or `toml expect` is a binding and belongs to the heading above it; a `sql`
//! fence is a verification query. Everything else is prose.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

pub use super::thresholds::{Comparison, Condition, Judged, Limits, OfLast, Thresholds};
use crate::runtime::toggles::{Mode, Toggle};

/// A parsed runbook. Its name is the file's stem.
#[derive(Debug, Clone)]
pub struct Runbook {
    pub name: String,
    pub path: PathBuf,
    /// The first heading of level one, else the name.
    pub title: String,
    /// The exact text, without a byte-order mark; its SHA-256 is part of the plan's hash.
    pub text: String,
    /// Forward steps, in the order of the document. Steps of one phase stand together.
    pub steps: Vec<Step>,
    /// What a rollback does, in order (`part = "rollback"`).
    pub rollback: Vec<Step>,
    /// What is to be done after a rollback, before another attempt (`part = "afterwards"`).
    pub afterwards: Vec<Step>,
    pub gates: Vec<Gate>,
    pub triggers: Vec<Trigger>,
    pub queries: Vec<Query>,
    pub criteria: Vec<Criterion>,
}

/// Where in the text something stands: byte offset, 1-based line and column (in characters).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Position {
    pub offset: usize,
    pub line: usize,
    pub column: usize,
}

/// One step of the procedure.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Step {
    /// Unique among the steps of all parts; `[a-z0-9-]+`.
    pub id: String,
    /// The heading that it stands under.
    pub heading: String,
    /// What a person reads before it is done: the paragraph before its fence, else the first one
    /// under the heading.
    pub prose: String,
    /// The phase (forward steps only): a name such as `staging`, `canary`, `full`. Entering a
    /// phase wants an approval.
    pub phase: String,
    /// The environment that it acts on, as named in `dbctl.toml`; one for all steps of a phase.
    /// Empty for a step of the rollback or after it that acts wherever the run has switched
    /// something.
    pub env: String,
    pub kind: StepKind,
    pub at: Position,
}

impl Step {
    /// The environment; none for a step that acts wherever the run has switched something.
    pub fn environment(&self) -> Option<&str> {
        (!self.env.is_empty()).then_some(self.env.as_str())
    }
}

/// What a step does.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum StepKind {
    /// A person says that it was done. `question` is what they confirm.
    Confirm { question: String },
    /// So many different people let the run go on.
    Approve { approvals: u32 },
    /// Runs a program; exit status 0 is success.
    Command {
        run: Vec<String>,
        /// Says whether it was already done (exit status 0: done, 1: not done), for a step in doubt.
        probe: Option<Vec<String>>,
        undo: Option<Vec<String>>,
        timeout: Duration,
    },
    /// The preconditions of `dbctl preflight`.
    Preflight,
    /// Applies pending migrations.
    Migrate,
    /// Seeds the signing key.
    Keys,
    /// Exchanges revocations, watermarks and public keys between the targets and Postgres,
    /// without switching anything.
    Carry { on: Vec<String> },
    /// Carries over, sets the toggles of `on`, restarts them and has them confirm their modes.
    Toggles {
        on: Vec<String>,
        set: BTreeMap<Toggle, Mode>,
        /// Restart and confirm as part of this step (the default); rollback does it in a later one.
        restart: bool,
    },
    /// Restarts the targets and has them confirm the modes that their toggles say.
    Restart { on: Vec<String> },
    /// Smoke checks by name; all of them when empty.
    Smoke {
        on: Vec<String>,
        checks: Vec<String>,
    },
    /// Verification queries by name; all of them when empty.
    Verify { queries: Vec<String> },
    /// The checks of `dbctl security check`.
    Integrity,
    /// Watches gates for a time; only observed time counts (P6).
    Bake {
        on: Vec<String>,
        duration: Duration,
        /// How much longer it may take until every gate with a margin is certain.
        extend: Duration,
        gates: Vec<String>,
    },
    /// Waits until authentication works again: token checks pass on every target.
    Recover { on: Vec<String>, timeout: Duration },
    /// Goes back to memory/file, checks, and forward again: proves the way back.
    Rehearse { on: Vec<String> },
    /// Judges the completion criteria. Not written in a runbook: the plan adds it at the end.
    Complete,
}

impl StepKind {
    pub const fn name(&self) -> &'static str {
        match self {
            StepKind::Confirm { .. } => "confirm",
            StepKind::Approve { .. } => "approve",
            StepKind::Command { .. } => "command",
            StepKind::Preflight => "preflight",
            StepKind::Migrate => "migrate",
            StepKind::Keys => "keys",
            StepKind::Carry { .. } => "carry",
            StepKind::Toggles { .. } => "toggles",
            StepKind::Restart { .. } => "restart",
            StepKind::Smoke { .. } => "smoke",
            StepKind::Verify { .. } => "verify",
            StepKind::Integrity => "integrity",
            StepKind::Bake { .. } => "bake",
            StepKind::Recover { .. } => "recover",
            StepKind::Rehearse { .. } => "rehearse",
            StepKind::Complete => "complete",
        }
    }
}

/// A number read from the targets' metrics over a window.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase", deny_unknown_fields)]
pub enum Measure {
    /// Increase of `bad` divided by the increase of `total`; samples: the increase of `total`.
    Ratio { bad: String, total: String },
    /// The share of observations above `than`, which must be the bound of a bucket: counts, and
    /// so it can be compared with bounds. Samples: the increase of the histogram's count.
    Slower { histogram: String, than: f64 },
    /// A quantile in seconds out of a histogram, as Prometheus's `histogram_quantile` does it;
    /// samples: the increase of its count.
    Quantile { q: f64, histogram: String },
    /// How much a counter increased. It needs no traffic to be judged, but it needs the series.
    Increase { counter: String },
    /// How much `left` increased within a time of an increase of `right`, less what it would have
    /// by chance. Verification failures that coincide with key look-up failures.
    Coincidence {
        left: String,
        right: String,
        within: Duration,
    },
    /// How fast an error budget burns, over the window and over its last twelfth.
    #[serde(rename = "burn_rate")]
    BurnRate(BurnRate),
    /// A number that somebody else computes.
    #[serde(untagged)]
    Asked(Asked),
}

/// An error budget. It burns at the rate 1 when all of it is gone at the end of its period (Google,
/// "The Site Reliability Workbook", chapter 5).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BurnRate {
    pub bad: String,
    pub total: String,
    /// The share of requests that is meant to be good: 0.999.
    pub objective: f64,
    /// The part of the budget that may burn in one window.
    pub budget: f64,
    /// What the objective is meant for: 30 days.
    pub period: Duration,
}

impl BurnRate {
    /// The short window is this part of the long one: it ends the alarm soon after the harm ends.
    pub const SHORT: u32 = 12;

    /// The rate at which `budget` of the whole burns in one window.
    pub fn factor(&self, window: Duration) -> f64 {
        self.budget * self.period.as_secs_f64() / window.as_secs_f64()
    }

    /// The share of bad requests that the objective allows.
    pub fn allowed(&self) -> f64 {
        1.0 - self.objective
    }

    /// So many requests that a single bad one burns no faster than `factor`.
    pub fn enough(&self, window: Duration) -> u64 {
        let needed = 1.0 / (self.factor(window) * self.allowed());
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a float's `as` saturates"
        )]
        let needed = needed.ceil() as u64;
        needed
    }
}

/// A query of the runbook's own. `{{targets}}` in it stands for the targets that are judged, and
/// `{{window}}` for the window.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Asked {
    /// An instant query of the Prometheus server of the targets' environment.
    Prometheus(Wanted),
    /// A query of a database: one row of one number. Without `env`: of the targets' environment.
    Sql {
        #[serde(flatten)]
        wanted: Wanted,
        env: Option<String>,
        timeout: Duration,
    },
    /// A program that prints one number.
    Command { run: Vec<String>, timeout: Duration },
    /// One number of a JSON answer, by JSONPath (RFC 9535).
    Http {
        url: String,
        path: String,
        timeout: Duration,
    },
    /// Lines of a log that match a pattern: how many came in the window.
    Log(Log),
}

/// A log and what to look for in it: a regular expression.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Log {
    File {
        file: String,
        pattern: String,
    },
    /// What a program writes for as long as it runs.
    Program {
        run: Vec<String>,
        pattern: String,
    },
}

/// What is asked for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Wanted {
    /// The number itself.
    One { query: String },
    /// Two counts, whose share is the number: then a difference to others has bounds.
    Share { bad: String, total: String },
}

impl Measure {
    /// It is a share of counted requests, so that two arms can be compared with bounds.
    pub fn is_share(&self) -> bool {
        match self {
            Measure::Ratio { .. } | Measure::Slower { .. } => true,
            Measure::Asked(asked) => asked.counts(),
            Measure::Quantile { .. }
            | Measure::Increase { .. }
            | Measure::Coincidence { .. }
            | Measure::BurnRate(_) => false,
        }
    }
}

/// A condition that a bake watches.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Gate {
    pub id: String,
    pub heading: String,
    pub measure: Measure,
    /// Judged on the newest window, at every look.
    #[serde(flatten)]
    pub thresholds: Thresholds,
    /// How much worse than the targets that are not baking it may be, for a measure that is a
    /// share. Judged over the whole bake, at its end.
    pub margin: Option<f64>,
    pub interval: Duration,
    pub window: Duration,
    /// Observed time of the bake that passes before the gate is looked at.
    pub initial_delay: Duration,
    /// Fewer samples than this in the window: inconclusive.
    pub min_samples: u64,
    pub limits: Limits,
    /// Measured, shown and journalled; decides nothing.
    pub muted: bool,
    pub at: Position,
}

/// A condition that starts a rollback (or a pause), from the first toggle flip until Completed.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Trigger {
    pub id: String,
    pub heading: String,
    pub measure: Measure,
    /// Fires when the value over the window is above this.
    pub above: f64,
    pub window: Duration,
    pub interval: Duration,
    pub min_samples: u64,
    pub on_trigger: OnTrigger,
    pub at: Position,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OnTrigger {
    Rollback,
    Pause,
}

/// A verification query: one SQL fence.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Query {
    /// A slug of the text before the fence: its paragraph, else its heading.
    pub name: String,
    pub heading: String,
    /// One statement that only reads, as written.
    pub sql: String,
    pub expect: Expect,
    /// Where the SQL begins (not its fence), so that the server's positions can be placed.
    pub at: Position,
}

/// What a query's rows must be like (`toml expect` right after the fence).
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Expect {
    pub min_rows: Option<u64>,
    pub max_rows: Option<u64>,
    /// Boolean SQL over the columns; must be true (not null) for every row.
    pub each_row: Option<String>,
    /// Boolean SQL over the columns; must be true for at least one row.
    pub some_row: Option<String>,
    pub newest: Option<Newest>,
    /// A column whose greatest value may only grow from one look to the next.
    pub grows: Option<String>,
}

/// The newest value of a timestamp column is not older than this.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Newest {
    pub column: String,
    #[serde(with = "crate::settings::duration_in_words")]
    pub within: Duration,
}

/// What must hold before a run is Completed.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Criterion {
    pub id: String,
    pub heading: String,
    pub proof: Proof,
    pub at: Position,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "proof", rename_all = "lowercase", deny_unknown_fields)]
pub enum Proof {
    /// Every target of the environment says that it runs in these modes.
    Modes {
        env: String,
        set: BTreeMap<Toggle, Mode>,
    },
    /// The bakes of this run passed these gates.
    Gates { gates: Vec<String> },
    /// These verification queries meet their expectations.
    Queries { env: String, queries: Vec<String> },
    /// A rehearsal of the rollback succeeded in this run, and the runbook documents a rollback.
    Rehearsal { step: String },
    /// `rollout rehearse` passed in the environment with these steps, not longer ago than this.
    Rehearsed { env: String, within: Duration },
}

//! What became of a run, collected from its journal: one pass over the events, nothing else is
//! asked. The HTML page is rendered from the same value that a program reads as JSON, described in
//! `docs/report.md`.
//!
//! What grows with the length of a run is bounded: measurements are down-sampled with their
//! extremes kept, lists keep their beginning and their end and say how many are left out.

mod attempts;
mod collect;
mod evidence;
mod gates;
mod limits;
mod post_mortem;
mod series;
mod summary;

use serde::Serialize;
use serde_json::Value;

use super::journal::RunId;
use super::machine::{Found, Part, Progress, Status};
use crate::check::logs::LogExcerpt;
use crate::check::{CheckResult, Verdict};
use crate::runbook::plan::Widened;

pub use collect::Collector;
pub use evidence::{Numbers, failed_requests};
pub use gates::unit;
pub use series::BUCKETS;

/// `dbctl.rollout-report/1`. Times are milliseconds since 1970 by the clock of whoever drove.
#[derive(Debug, Clone, Serialize)]
pub struct RunReport {
    pub run: RunId,
    /// The runbook's name and its title.
    pub runbook: String,
    pub title: String,
    /// What became of it, in one sentence.
    pub sentence: String,
    #[serde(flatten)]
    pub status: Status,
    /// The run may still go on: the report says how it stood at `made_at_ms`.
    pub open: bool,
    /// Why it paused, turned back or got stuck.
    pub reason: Option<String>,
    pub made_at_ms: u64,
    pub started_at_ms: u64,
    pub started_by: String,
    /// When the newest event was recorded.
    pub last_event_ms: u64,
    pub plan: PlanFacts,
    pub environments: Vec<EnvironmentFacts>,
    pub journal: JournalFacts,
    /// Who drove, from when on.
    pub drivers: Excerpt<DriverFacts>,
    pub timeline: Excerpt<Moment>,
    pub steps: Vec<StepFacts>,
    pub approvals: Excerpt<Approval>,
    /// What the services' own logs said when something stopped the run.
    pub logs: Excerpt<LogFacts>,
    pub bakes: Vec<BakeFacts>,
    pub triggers: Vec<TriggerFacts>,
    /// When a target was first being switched, and so every trigger armed.
    pub triggers_armed_at_ms: Option<u64>,
    pub toggles: Excerpt<ToggleChange>,
    pub queries: Vec<QueryFacts>,
    pub criteria: Vec<CriterionFacts>,
    /// Notes, hand-overs, other plans, what was done without the journal.
    pub remarks: Excerpt<Remark>,
    pub post_mortem: Option<PostMortem>,
}

/// The beginning and the end of a list.
#[derive(Debug, Clone, Serialize)]
pub struct Excerpt<T> {
    pub items: Vec<T>,
    /// How many are left out, behind the first so many.
    pub left_out: u64,
    pub left_out_behind: usize,
}

/// The plan that the run follows at the end.
#[derive(Debug, Clone, Serialize)]
pub struct PlanFacts {
    /// SHA-256 of its JSON.
    pub hash: String,
    /// The event that holds it.
    pub in_event: u64,
    pub phases: Vec<PhaseFacts>,
    /// Bakes were shortened to this.
    pub shortened_ms: Option<u64>,
    /// What they did not show for that, in words.
    pub shortened: Option<String>,
    /// The margins that became wider with it.
    pub widened: Vec<Widened>,
    /// How often another plan was taken up under way.
    pub replanned: u64,
}

#[derive(Debug, Clone, Serialize)]
pub struct PhaseFacts {
    pub name: String,
    pub env: String,
}

#[derive(Debug, Clone, Serialize)]
pub struct EnvironmentFacts {
    pub name: String,
    pub targets: Vec<String>,
}

#[derive(Debug, Clone, Serialize)]
pub struct JournalFacts {
    pub events: u64,
    /// `SEQ:HASH` of the newest event.
    pub head: String,
}

#[derive(Debug, Clone, Serialize)]
pub struct DriverFacts {
    pub seq: u64,
    pub from_ms: u64,
    pub by: String,
    /// User, host and process.
    pub holder: String,
    /// The fencing token.
    pub token: u64,
    pub claim: Option<String>,
}

/// How something is to be taken; a colour only repeats it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Tone {
    Good,
    Bad,
    Unsure,
    /// A person said or did it.
    Person,
    Plain,
}

/// One line of the timeline.
#[derive(Debug, Clone, Serialize)]
pub struct Moment {
    pub seq: u64,
    pub at_ms: u64,
    /// The event's `type`; `verdict` where a gate's verdict changed.
    pub kind: &'static str,
    pub tone: Tone,
    pub text: String,
}

#[derive(Debug, Clone, Serialize)]
pub struct StepFacts {
    pub part: Part,
    pub phase: String,
    pub id: String,
    pub kind: &'static str,
    pub heading: String,
    pub env: String,
    pub targets: Vec<String>,
    pub progress: Progress,
    /// The plan at the end has it; another plan under way may have left it out.
    pub planned: bool,
    pub attempts: Excerpt<Attempt>,
}

#[derive(Debug, Clone, Serialize)]
pub struct Attempt {
    pub number: u32,
    pub began_seq: u64,
    pub began_ms: u64,
    pub ended_ms: Option<u64>,
    pub outcome: AttemptOutcome,
    pub why: Option<String>,
    pub probes: Vec<Probe>,
    /// The results, of a step that consists of checks.
    pub checks: Vec<CheckResult>,
    /// What was seen, of another step; cut where it is very long.
    #[serde(skip_serializing_if = "Value::is_null")]
    pub evidence: Value,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum AttemptOutcome {
    Succeeded,
    /// Done, and nothing could confirm it.
    Unconfirmed,
    Failed,
    /// It could not be judged.
    Inconclusive,
    /// Nobody knows whether it happened.
    InDoubt,
    /// No outcome is recorded: it is under way, was begun anew, or was given up.
    Open,
}

/// What looking at the world said about a step in doubt.
#[derive(Debug, Clone, Serialize)]
pub struct Probe {
    pub at_ms: u64,
    pub found: Found,
    pub why: String,
}

/// A person's yes, or that one is waited for.
#[derive(Debug, Clone, Serialize)]
pub struct Approval {
    pub of: Approved,
    /// The phase's name or the step's id.
    pub name: String,
    /// What was asked, or the environment of the phase.
    pub what: String,
    pub wanted_at_ms: Option<u64>,
    /// Nothing: it is still waited for.
    pub seq: Option<u64>,
    pub at_ms: Option<u64>,
    pub by: Option<String>,
    /// What they say of themselves; nobody checked it.
    pub claim: Option<String>,
    /// The plan that they saw.
    pub plan: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Approved {
    Phase,
    Step,
}

/// What the log of a target said of trouble.
#[derive(Debug, Clone, Serialize)]
pub struct LogFacts {
    pub seq: u64,
    /// When it was read.
    pub at_ms: u64,
    /// The event that stopped the run.
    pub of: u64,
    #[serde(flatten)]
    pub log: LogExcerpt,
}

/// One attempt of a bake, and its gates.
#[derive(Debug, Clone, Serialize)]
pub struct BakeFacts {
    pub step: String,
    pub attempt: u32,
    pub needed_ms: u64,
    /// Time that was observed; it alone counts.
    pub observed_ms: u64,
    pub began_ms: u64,
    pub ended_ms: u64,
    pub last_look_ms: Option<u64>,
    pub looks: u64,
    /// Time inside it in which nobody looked.
    pub gaps: Excerpt<Gap>,
    pub gates: Vec<GateFacts>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Gap {
    pub from_ms: u64,
    pub to_ms: u64,
}

/// What a number is in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Unit {
    /// 1 is all of them.
    Share,
    Seconds,
    Count,
}

#[derive(Debug, Clone, Serialize)]
pub struct GateFacts {
    pub id: String,
    pub heading: String,
    /// What was asked, in words; as it was resolved, where a measurement says so.
    pub query: String,
    pub unit: Unit,
    /// The values above which something happens.
    pub thresholds: Vec<Threshold>,
    /// How much worse than the others it may be.
    pub margin: Option<f64>,
    /// The evidence of harm at which it acts (natural logarithm), where it is compared.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub alarm: Option<f64>,
    /// Measured and shown; decides nothing.
    pub muted: bool,
    pub counts: Counts,
    pub last: Option<LastReading>,
    /// The first reading that was no pass and no warming up.
    pub first_bad: Option<Sign>,
    pub series: Series,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Threshold {
    pub what: String,
    pub value: f64,
}

/// How many readings came to what.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    pub pass: u64,
    pub fail: u64,
    pub inconclusive: u64,
    pub error: u64,
    /// Not judged only because the watch was younger than the window.
    pub warming: u64,
    /// How many of all of them saw only a part of the time since the look before: no bake time.
    pub unseen: u64,
}

#[derive(Debug, Clone, Serialize)]
pub struct LastReading {
    pub at_ms: u64,
    pub verdict: Verdict,
    pub warming: bool,
    pub why: String,
    pub samples: Option<f64>,
}

/// The measurements of a gate, each stretch of time with its extremes.
#[derive(Debug, Clone, Serialize)]
pub struct Series {
    pub from_ms: u64,
    pub bucket_ms: u64,
    /// Whether a stretch holds more than one reading somewhere.
    pub down_sampled: bool,
    /// Only those in which something was read.
    pub buckets: Vec<Bucket>,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Bucket {
    /// Its number from `from_ms` on.
    pub at: u64,
    pub counts: Counts,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value: Option<Range>,
    /// The targets that were not baking.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub others: Option<Range>,
    /// The upper bound of how much worse than the others.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub worse_by: Option<Range>,
    /// The evidence of harm (natural logarithm).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub harm: Option<Range>,
}

#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Range {
    pub min: f64,
    pub max: f64,
}

#[derive(Debug, Clone, Serialize)]
pub struct TriggerFacts {
    pub id: String,
    pub heading: String,
    pub query: String,
    pub unit: Unit,
    pub above: f64,
    pub window_ms: u64,
    /// It starts a rollback; else it pauses.
    pub rolls_back: bool,
    pub fired: Excerpt<Fired>,
}

#[derive(Debug, Clone, Serialize)]
pub struct Fired {
    pub seq: u64,
    pub at_ms: u64,
    pub why: String,
    pub rolled_back: bool,
    #[serde(skip_serializing_if = "Value::is_null")]
    pub evidence: Value,
}

/// A target was switched or restarted, as the step's evidence says.
#[derive(Debug, Clone, Serialize)]
pub struct ToggleChange {
    pub step: String,
    pub part: Part,
    pub attempt: u32,
    pub began_ms: u64,
    pub ended_ms: u64,
    pub env: String,
    pub target: String,
    /// The modes that it said itself that it runs in afterwards.
    pub modes: Option<String>,
    pub set_ms: Option<f64>,
    pub restart_ms: Option<f64>,
    pub confirm_ms: Option<f64>,
}

#[derive(Debug, Clone, Serialize)]
pub struct QueryFacts {
    pub name: String,
    pub heading: String,
    pub sql: String,
    /// The newest result in each environment.
    pub results: Vec<QueryResult>,
}

#[derive(Debug, Clone, Serialize)]
pub struct QueryResult {
    pub step: String,
    pub env: String,
    pub at_ms: u64,
    pub verdict: Verdict,
    pub summary: String,
}

#[derive(Debug, Clone, Serialize)]
pub struct CriterionFacts {
    pub id: String,
    pub heading: String,
    /// Nothing: it was not judged yet.
    pub verdict: Option<Verdict>,
    pub summary: String,
}

#[derive(Debug, Clone, Serialize)]
pub struct Remark {
    pub seq: u64,
    pub at_ms: u64,
    pub kind: RemarkKind,
    pub by: String,
    pub claim: Option<String>,
    pub text: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum RemarkKind {
    Note,
    /// Somebody else drives from here on; whoever drove before is fenced.
    Takeover,
    /// Written without the journal, and merged.
    BreakGlass,
    Replan,
    Waiver,
}

/// What whoever writes the post-mortem begins with.
#[derive(Debug, Clone, Serialize)]
pub struct PostMortem {
    pub began_ms: u64,
    /// What started the rollback.
    pub reason: String,
    /// The trigger, where it was one.
    pub trigger: Option<String>,
    /// From the beginning of the rollback until it was confirmed.
    pub took_ms: Option<u64>,
    /// Until the last step that sets toggles was done.
    pub toggles_ms: Option<u64>,
    /// Until authentication worked again on every target.
    pub recovered_ms: Option<u64>,
    /// The first odd thing after the last switch forward.
    pub first_sign: Option<Sign>,
    /// What else was odd between that switch and the rollback, the first of each kind, in order.
    pub signs: Vec<Sign>,
    /// How many odd readings and failures there were before that switch.
    pub earlier_signs: u64,
    pub errors: Excerpt<ErrorLine>,
    pub failed_requests: Excerpt<FailedRequest>,
}

/// Something that was not as it should be.
#[derive(Debug, Clone, Serialize)]
pub struct Sign {
    pub seq: u64,
    pub at_ms: u64,
    /// A gate, a step, a trigger or a log.
    pub what: String,
    pub verdict: Verdict,
    pub why: String,
}

/// What a check, a program or a trigger said went wrong.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ErrorLine {
    pub seq: u64,
    pub at_ms: u64,
    pub what: String,
    pub text: String,
}

/// A request that failed; the service's own records hold it under this id.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct FailedRequest {
    pub seq: u64,
    pub at_ms: u64,
    pub id: String,
    pub what: String,
}

//! What the evidence in a journal holds, whoever wrote it: read by the names of its members, and
//! what is not there is not there.

use serde_json::Value;

use super::limits::{TEXT, bounded, short};
use crate::check::{CheckResult, Evidence, Verdict};
use crate::rollout::machine::Reading;
use crate::runbook::model::StepKind;

/// How many checks of a step are kept, and how much each of them saw.
const CHECKS: usize = 300;
const SEEN: usize = 20;

/// The results of a step that consists of checks, and the evidence of any other.
pub(super) fn of_step(kind: &StepKind, evidence: &Value) -> (Vec<CheckResult>, Value) {
    match kind {
        StepKind::Preflight
        | StepKind::Smoke { .. }
        | StepKind::Verify { .. }
        | StepKind::Integrity
        | StepKind::Complete => {
            match serde_json::from_value::<Vec<CheckResult>>(evidence.clone()) {
                Ok(checks) => {
                    let checks = checks.into_iter().take(CHECKS).map(bounded_check);
                    (checks.collect(), Value::Null)
                }
                Err(_) => (Vec::new(), bounded(evidence)),
            }
        }
        // The newest readings of its gates, which the plots show.
        StepKind::Bake { .. } => (Vec::new(), Value::Null),
        StepKind::Confirm { .. }
        | StepKind::Approve { .. }
        | StepKind::Command { .. }
        | StepKind::Migrate
        | StepKind::Keys
        | StepKind::Carry { .. }
        | StepKind::Toggles { .. }
        | StepKind::Restart { .. }
        | StepKind::Recover { .. }
        | StepKind::Rehearse { .. } => (Vec::new(), bounded(evidence)),
    }
}

fn bounded_check(check: CheckResult) -> CheckResult {
    let seen = |e: Evidence| Evidence {
        what: short(&e.what, 200),
        seen: short(&e.seen, 500),
    };
    CheckResult {
        name: short(&check.name, 200),
        subject: short(&check.subject, 200),
        summary: short(&check.summary, TEXT),
        next: check.next.map(|next| short(&next, TEXT)),
        evidence: check.evidence.into_iter().take(SEEN).map(seen).collect(),
        ..check
    }
}

/// The numbers of a gate's reading.
#[derive(Debug, Clone, Copy, Default)]
pub struct Numbers {
    pub value: Option<f64>,
    /// Of the targets that are not baking.
    pub others: Option<f64>,
    /// The upper bound of how much worse than the others.
    pub worse_by: Option<f64>,
    /// The evidence of harm, and where the alarm is (natural logarithms).
    pub harm: Option<f64>,
    pub alarm: Option<f64>,
    pub samples: Option<f64>,
    /// How many samples a second there were, in the part of the window that was observed.
    pub rate: Option<f64>,
}

impl Numbers {
    pub fn of(reading: &Reading) -> Self {
        let evidence = &reading.evidence;
        let measured = evidence.get("measured").unwrap_or(evidence);
        let number = |of: Option<&Value>, key: &str| of?.get(key)?.as_f64();
        let samples = number(Some(measured), "samples");
        let seconds = number(Some(measured), "observed_ms").map(|ms| ms / 1_000.0);
        let seconds = seconds.filter(|s| *s > 0.0);
        let comparison = evidence.get("comparison");
        let difference = comparison.and_then(|c| c.get("difference"));
        Self {
            value: number(Some(measured), "value"),
            rate: samples.zip(seconds).map(|(n, s)| n / s),
            samples,
            others: number(evidence.get("others"), "value"),
            worse_by: number(difference, "upper"),
            harm: number(comparison, "harm"),
            alarm: number(comparison, "alarm"),
        }
    }
}

/// What was asked, as it was resolved.
pub(super) fn query_of(evidence: &Value) -> Option<&str> {
    let measured = evidence.get("measured").unwrap_or(evidence);
    measured.get("query")?.as_str()
}

/// A target that was set or restarted.
#[derive(Debug, Clone, Default)]
pub(super) struct Target {
    pub env: String,
    pub target: String,
    pub modes: Option<String>,
    pub set_ms: Option<f64>,
    pub restart_ms: Option<f64>,
    pub confirm_ms: Option<f64>,
}

/// Every target in the evidence of a step that switches, wherever it stands in it.
pub(super) fn targets(evidence: &Value) -> Vec<Target> {
    let mut found = Vec::new();
    collect_targets(evidence, "", &mut found);
    found
}

fn collect_targets(value: &Value, env: &str, found: &mut Vec<Target>) {
    match value {
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        Value::Array(all) => all.iter().for_each(|v| collect_targets(v, env, found)),
        Value::Object(all) => {
            let env = all.get("env").and_then(Value::as_str).unwrap_or(env);
            let name = all.get("target").and_then(Value::as_str);
            let (Some(name), Some(times)) = (name, all.get("times")) else {
                all.values().for_each(|v| collect_targets(v, env, found));
                return;
            };
            let ms = |key: &str| times.get(key).and_then(Value::as_f64);
            found.push(Target {
                env: short(env, 200),
                target: short(name, 200),
                modes: all.get("modes").and_then(modes),
                set_ms: ms("set_ms"),
                restart_ms: ms("restart_ms"),
                confirm_ms: ms("confirm_ms"),
            });
        }
    }
}

/// Modes in words: one where all are alike, else each by its name.
fn modes(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(short(text, 200)),
        Value::Object(all) => {
            let mut values: Vec<&str> = all.values().filter_map(Value::as_str).collect();
            values.dedup();
            let local = |v: &&str| matches!(*v, "memory" | "file");
            if values == ["postgres"] {
                return Some("postgres".into());
            }
            if !values.is_empty() && values.iter().all(local) {
                return Some("memory/file".into());
            }
            let pair = |(name, v): (&String, &Value)| Some(format!("{name} {}", v.as_str()?));
            Some(all.iter().filter_map(pair).collect::<Vec<_>>().join(", "))
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) => None,
    }
}

/// Ids of requests that failed, with what they were for.
pub fn failed_requests(checks: &[CheckResult], evidence: &Value) -> Vec<(String, String)> {
    let mut found = Vec::new();
    for check in checks.iter().filter(|c| c.verdict != Verdict::Pass) {
        let on = match check.subject.as_str() {
            "" => check.name.clone(),
            subject => format!("{} on {subject}", check.name),
        };
        for seen in &check.evidence {
            let ids = seen.seen.match_indices("request ");
            let ids = ids.filter_map(|(at, word)| request_id(&seen.seen[at + word.len()..]));
            found.extend(ids.map(|id| (id, format!("{on}: {}", seen.what))));
        }
    }
    members(
        evidence,
        &["request_id", "request_ids", "trace_id"],
        &mut |text| {
            found.push((short(text, 100), String::new()));
        },
    );
    found
}

/// The id at the beginning of a text: a word that no English one looks like.
fn request_id(text: &str) -> Option<String> {
    let end = text.find(|c: char| !c.is_ascii_alphanumeric() && c != '-' && c != '_');
    let id = &text[..end.unwrap_or(text.len())];
    let looks = (8..=100).contains(&id.len()) && id.contains(|c: char| c.is_ascii_digit());
    looks.then(|| id.to_owned())
}

/// Lines of logs and errors that evidence carries.
pub(super) fn log_lines(evidence: &Value) -> Vec<String> {
    const NAMES: [&str; 7] = [
        "log",
        "logs",
        "lines",
        "log_lines",
        "error",
        "errors",
        "stderr",
    ];
    let mut found = Vec::new();
    members(evidence, &NAMES, &mut |text| found.push(short(text, TEXT)));
    found
}

/// Every text, or text in a list, that stands under one of `names`.
fn members(value: &Value, names: &[&str], each: &mut impl FnMut(&str)) {
    match value {
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        Value::Array(all) => all.iter().for_each(|v| members(v, names, each)),
        Value::Object(all) => {
            for (name, inner) in all {
                if !names.contains(&name.as_str()) {
                    members(inner, names, each);
                    continue;
                }
                match inner {
                    Value::String(text) => each(text),
                    Value::Array(list) => {
                        list.iter().filter_map(Value::as_str).for_each(&mut *each)
                    }
                    Value::Object(_) => members(inner, names, each),
                    Value::Null | Value::Bool(_) | Value::Number(_) => {}
                }
            }
        }
    }
}

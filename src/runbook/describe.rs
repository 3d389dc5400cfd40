//! What the parts of a runbook do, in a few words for people.

use std::collections::BTreeMap;
use std::time::Duration;

use super::model::{
    Asked, BurnRate, Comparison, Condition, Expect, Gate, Log, Measure, OnTrigger, Proof, StepKind,
    Thresholds, Trigger, Wanted,
};
use crate::runtime::toggles::{Mode, Modes, Toggle};

/// What a step does beyond its kind's name.
pub fn step(kind: &StepKind) -> String {
    match kind {
        StepKind::Confirm { question } => question.clone(),
        StepKind::Approve { approvals: 1 } => "an operator lets the run go on".into(),
        StepKind::Approve { approvals } => format!("{approvals} people let the run go on"),
        StepKind::Command { run, .. } => run.join(" "),
        StepKind::Preflight => "the preconditions hold".into(),
        StepKind::Migrate => "apply pending migrations".into(),
        StepKind::Keys => "seed the signing key".into(),
        StepKind::Carry { on } => format!("exchange with Postgres: {}", targets(on)),
        StepKind::Toggles { on, set, restart } => {
            let then = if *restart { ", restart" } else { "" };
            format!("{} to {}{then}", targets(on), modes(set))
        }
        StepKind::Restart { on } => targets(on),
        StepKind::Smoke { on, checks } => {
            let checks = names(checks, "all checks");
            format!("{checks}: {}", targets(on))
        }
        StepKind::Verify { queries } => names(queries, "all queries"),
        StepKind::Integrity => "the security state is whole".into(),
        StepKind::Bake {
            on,
            duration,
            extend: _,
            gates,
        } => format!("{} {}: {}", targets(on), words(*duration), gates.join(", ")),
        StepKind::Recover { on, timeout } => {
            format!("{} within {}", targets(on), words(*timeout))
        }
        StepKind::Rehearse { on } => format!("back and forward again: {}", targets(on)),
        StepKind::Complete => "the completion criteria hold".into(),
    }
}

fn names(names: &[String], all: &str) -> String {
    if names.is_empty() {
        all.to_owned()
    } else {
        names.join(", ")
    }
}

fn targets(on: &[String]) -> String {
    names(on, "all targets")
}

fn modes(set: &BTreeMap<Toggle, Mode>) -> String {
    if set.len() == Toggle::ALL.len() {
        return Modes::resolve(set).to_string();
    }
    let pair = |(toggle, mode): (&Toggle, &Mode)| format!("{toggle}={mode}");
    set.iter().map(pair).collect::<Vec<_>>().join(" ")
}

/// What a measure counts.
pub fn measure(measure: &Measure) -> String {
    match measure {
        Measure::Ratio { bad, total } => format!("{bad} / {total}"),
        Measure::Slower { histogram, than } => {
            format!("{histogram} above {} ms", short(than * 1000.0))
        }
        Measure::Quantile { q, histogram } => format!("quantile {q} of {histogram}"),
        Measure::Increase { counter } => format!("increase of {counter}"),
        Measure::Coincidence {
            left,
            right,
            within,
        } => format!("{left} within {} of {right}", words(*within)),
        Measure::BurnRate(BurnRate {
            bad,
            total,
            objective,
            budget,
            period,
        }) => format!(
            "{bad} / {total} burn {} % of the budget of {} % in {}",
            short(budget * 100.0),
            short(objective * 100.0),
            days(*period),
        ),
        Measure::Asked(asked) => query(asked),
    }
}

/// What is asked of whom.
pub fn query(asked: &Asked) -> String {
    let wanted = |wanted: &Wanted| match wanted {
        Wanted::One { query } => query.clone(),
        Wanted::Share { bad, total } => format!("({bad}) / ({total})"),
    };
    match asked {
        Asked::Prometheus(query) => format!("Prometheus: {}", wanted(query)),
        Asked::Sql { wanted: w, env, .. } => match env {
            Some(env) => format!("SQL in {env}: {}", wanted(w)),
            None => format!("SQL: {}", wanted(w)),
        },
        Asked::Command { run, .. } => format!("what {} prints", run.join(" ")),
        Asked::Http { url, path, .. } => format!("{path} of {url}"),
        Asked::Log(Log::File { file, pattern }) => format!("lines of {file} with `{pattern}`"),
        Asked::Log(Log::Program { run, pattern }) => {
            format!("lines of {} with `{pattern}`", run.join(" "))
        }
    }
}

/// A limit in the unit of its measure.
fn amount(of: &Measure, value: f64) -> String {
    match of {
        Measure::Ratio { .. } | Measure::Slower { .. } => format!("{} %", short(value * 100.0)),
        Measure::Quantile { .. } => format!("{} s", short(value)),
        Measure::Asked(asked) if asked.counts() => format!("{} %", short(value * 100.0)),
        Measure::BurnRate(_) => format!("{} times", short(value)),
        Measure::Increase { .. } | Measure::Coincidence { .. } | Measure::Asked(_) => short(value),
    }
}

/// Without the noise of a multiplication: 0.2, not 0.20000000000000001.
fn short(value: f64) -> String {
    let rounded = (value * 1e6).round() / 1e6;
    rounded.to_string()
}

fn samples(min: u64) -> String {
    match min {
        0 => String::new(),
        n => format!(", from {n} samples"),
    }
}

pub fn gate(gate: &Gate) -> String {
    let margin = gate
        .margin
        .map(|m| format!(", others + {} points", short(m * 100.0)));
    let muted = if gate.muted { "muted: " } else { "" };
    format!(
        "{muted}{} {}{}; {} every {}{}",
        measure(&gate.measure),
        thresholds(gate),
        margin.unwrap_or_default(),
        words(gate.window),
        words(gate.interval),
        samples(gate.min_samples),
    )
}

/// `≤ 1 %`; what is given beyond that in words.
fn thresholds(gate: &Gate) -> String {
    let of = |c: Condition| {
        let sign = match c.comparison {
            Comparison::Below => "<",
            Comparison::AtMost => "≤",
            Comparison::Above => ">",
            Comparison::AtLeast => "≥",
        };
        format!("{sign} {}", amount(&gate.measure, c.number))
    };
    let Thresholds {
        pass,
        fail,
        rollback,
        on_fail,
    } = gate.thresholds;
    let mut text = match (pass, fail) {
        (Some(pass), Some(fail)) if pass.number == fail.number => of(pass),
        (Some(pass), Some(fail)) => format!("{}, fails {}", of(pass), of(fail)),
        (Some(pass), None) => of(pass),
        (None, Some(fail)) => format!("fails {}", of(fail)),
        (None, None) => String::new(),
    };
    match (on_fail, rollback) {
        (OnTrigger::Pause, Some(back)) => {
            text += &format!(", else pauses; rolls back {}", of(back));
        }
        (OnTrigger::Pause, None) => text += ", else pauses",
        (OnTrigger::Rollback, _) => {}
    }
    text
}

pub fn trigger(trigger: &Trigger) -> String {
    let then = match trigger.on_trigger {
        OnTrigger::Rollback => "rolls back",
        OnTrigger::Pause => "pauses",
    };
    format!(
        "{then} when {} > {}; {} every {}{}",
        measure(&trigger.measure),
        amount(&trigger.measure, trigger.above),
        words(trigger.window),
        words(trigger.interval),
        samples(trigger.min_samples),
    )
}

pub fn expect(expect: &Expect) -> String {
    let Expect {
        min_rows,
        max_rows,
        each_row,
        some_row,
        newest,
        grows,
    } = expect;
    let parts: Vec<String> = [
        min_rows.map(|n| format!("at least {n} row{}", plural(n))),
        max_rows.map(|n| format!("at most {n} row{}", plural(n))),
        each_row.as_ref().map(|c| format!("each row: {c}")),
        some_row.as_ref().map(|c| format!("some row: {c}")),
        newest
            .as_ref()
            .map(|n| format!("{} within {}", n.column, words(n.within))),
        grows.as_ref().map(|c| format!("{c} only grows")),
    ]
    .into_iter()
    .flatten()
    .collect();
    if parts.is_empty() {
        "only shown".into()
    } else {
        parts.join("; ")
    }
}

fn plural(n: u64) -> &'static str {
    if n == 1 { "" } else { "s" }
}

pub fn proof(proof: &Proof) -> String {
    match proof {
        Proof::Modes { env, set } => format!("{env} runs on {}", modes(set)),
        Proof::Gates { gates } => format!("gates {}", gates.join(", ")),
        Proof::Queries { env, queries } => {
            format!("queries in {env}: {}", names(queries, "all of them"))
        }
        Proof::Rehearsal { step } => format!("step {step} of the same run"),
        Proof::Rehearsed { env, within } => {
            format!("rehearsed in {env} within {}", words(*within))
        }
    }
}

/// A long duration, in days where it has no rest.
fn days(duration: Duration) -> String {
    const DAY_S: u64 = 24 * 3600;
    match duration.as_secs() {
        s if s > 0 && s % DAY_S == 0 && duration.subsec_nanos() == 0 => format!("{}d", s / DAY_S),
        _ => words(duration),
    }
}

/// A duration as a runbook writes it.
pub fn words(duration: Duration) -> String {
    let signed = jiff::SignedDuration::try_from(duration).unwrap_or(jiff::SignedDuration::MAX);
    format!("{signed:#}")
}

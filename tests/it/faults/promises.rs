//! What a user would notice if a promise had been broken, looked for after a run.

use std::collections::BTreeMap;
use std::path::PathBuf;

use dbctl::demo::record::{Phase, Summary};
use dbctl::demo::traffic::Traffic;
use dbctl::rollout::machine::{Event, Part, Progress, State, Status, StepRef};
use dbctl::runbook::model::StepKind;
use dbctl::runbook::plan::{Plan, Planned, TargetRef};

use super::scene::Scene;
use crate::support::migrations::of_the_package;

/// Stops the traffic and says every promise that was broken. `last` is what the last driver that
/// ended by itself said, and its exit status.
pub fn broken(scene: &Scene, traffic: Traffic, last: &(i32, String)) -> Vec<String> {
    traffic.enter(Phase::After);
    let summary = scene.runtime.block_on(traffic.stop());
    let (_, state, plan) = scene.state().expect("a run");
    let mut broken = seen_by_clients(&summary);
    broken.extend(effects(scene, &state, &plan));
    broken.extend(switched(scene, &state, &plan));
    broken.extend(journal(scene));
    broken.extend(said(scene, &state, last));
    broken
}

/// P1, P2, P3: the traffic's own books.
fn seen_by_clients(summary: &Summary) -> Vec<String> {
    let mut broken = summary.details.clone();
    if !summary.holds() && broken.is_empty() {
        broken.push(format!(
            "the traffic cannot claim its promises: {summary:?}"
        ));
    }
    broken
}

fn planned(plan: &Plan, at: StepRef) -> &Planned {
    let steps = match at.part {
        Part::Forward => &plan.forward,
        Part::Rollback => &plan.rollback,
        Part::Afterwards => &plan.afterwards,
    };
    &steps[at.index]
}

/// P5: programs left their line once for each time that the journal says so, no instance was
/// restarted more often than the journal allows, migrations and keys are there once.
fn effects(scene: &Scene, state: &State, plan: &Plan) -> Vec<String> {
    let mut broken = Vec::new();
    let mut lines: BTreeMap<String, usize> = BTreeMap::new();
    for line in scene.done() {
        *lines.entry(line).or_default() += 1;
    }
    for part in [Part::Forward, Part::Rollback, Part::Afterwards] {
        for (index, step) in state.steps(part).iter().enumerate() {
            let planned = planned(plan, StepRef::new(part, index));
            if !matches!(planned.step.kind, StepKind::Command { .. }) {
                continue;
            }
            let id = &planned.step.id;
            let seen = lines.remove(id).unwrap_or(0);
            let wrong = match step.progress {
                Progress::Done | Progress::Unconfirmed => seen != 1,
                Progress::Pending => seen != 0,
                Progress::InFlight
                | Progress::InDoubt
                | Progress::Failed { .. }
                | Progress::Abandoned => seen > 1,
            };
            if wrong {
                let progress = step.progress;
                broken.push(format!(
                    "P5: {id} is {progress:?} and happened {seen} times"
                ));
            }
        }
    }
    for (line, times) in lines {
        broken.push(format!(
            "P5: nobody knows of {line}, which happened {times} times"
        ));
    }
    let allowed = allowed_restarts(scene, plan);
    for (name, restarts) in scene.restarts() {
        let most = allowed.get(name).copied().unwrap_or(0);
        if restarts > most {
            broken.push(format!(
                "P5: {name} was restarted {restarts} times, allowed are {most}"
            ));
        }
    }
    for (env, database) in &scene.databases {
        let count = |sql: &str| database.psql(sql);
        let keyed = |kind: &str| {
            let steps = plan.forward.iter().zip(&state.forward);
            let mut of_kind =
                steps.filter(|(p, _)| p.step.kind.name() == kind && p.step.env == *env);
            of_kind.any(|(_, s)| s.progress == Progress::Done)
        };
        if keyed("migrate") {
            let versions = count(
                "SELECT string_agg(version::text, ',' ORDER BY version) FROM refinery_schema_history",
            );
            if versions != every_migration() {
                broken.push(format!("P5: {env} has the migrations {versions}"));
            }
        }
        if keyed("keys") {
            let current =
                count("SELECT count(*) FROM security.signing_key_versions WHERE is_current");
            if current != "1" {
                broken.push(format!("P5: {env} has {current} current keys"));
            }
        }
    }
    broken
}

fn every_migration() -> String {
    let of = |file: &PathBuf| {
        let name = file.file_name()?.to_str()?;
        name.get(1..5)?.parse::<u32>().ok()
    };
    let versions = of_the_package();
    let versions: Vec<_> = versions
        .iter()
        .filter_map(of)
        .map(|v| v.to_string())
        .collect();
    versions.join(",")
}

/// How often each instance may have been restarted: once for each attempt of a step that does so.
fn allowed_restarts(scene: &Scene, plan: &Plan) -> BTreeMap<String, u32> {
    let mut allowed: BTreeMap<String, u32> = BTreeMap::new();
    let (_, entries) = scene.entries().expect("a run");
    for entry in &entries {
        let Event::Intended { step: at, .. } = &entry.record.event else {
            continue;
        };
        let planned = planned(plan, *at);
        let each = match &planned.step.kind {
            StepKind::Toggles { restart: true, .. } | StepKind::Restart { .. } => 1,
            StepKind::Rehearse { .. } => 2,
            _ => continue,
        };
        let on: Vec<TargetRef> = match planned.step.environment() {
            Some(_) => planned.target_refs().collect(),
            None => every_flipped(plan),
        };
        for target in on {
            *allowed.entry(target.name).or_default() += each;
        }
    }
    allowed
}

fn every_flipped(plan: &Plan) -> Vec<TargetRef> {
    let steps = plan.forward.iter().filter(|p| p.flips());
    let mut on: Vec<TargetRef> = steps.flat_map(Planned::target_refs).collect();
    on.sort();
    on.dedup();
    on
}

/// P11: a run that is completed has every instance on Postgres, one that is rolled back none of
/// those that it switched; files and processes say the same, and nobody is fenced.
fn switched(scene: &Scene, state: &State, plan: &Plan) -> Vec<String> {
    let postgres = match state.status {
        Status::Completed => true,
        Status::RolledBack => false,
        Status::Running
        | Status::AwaitingApproval { .. }
        | Status::AwaitingAnswer { .. }
        | Status::Paused { .. }
        | Status::RollingBack
        | Status::Stuck { .. }
        | Status::Aborted => return Vec::new(),
    };
    let mut broken = Vec::new();
    for target in every_flipped(plan) {
        let health = scene.health(&target.name);
        let (runtime, nonces) = if postgres {
            ("postgres", "postgres")
        } else {
            ("memory", "file")
        };
        let modes = &health["modes"];
        let right = modes["SECURITY_RUNTIME_MODE"] == runtime
            && modes["SECURITY_REVOCATION_MODE"] == runtime
            && modes["SECURITY_KEY_RESOLVER_MODE"] == runtime
            && modes["SECURITY_NONCE_STORE_MODE"] == nonces
            && health["fenced"] == false;
        let mut players = scene.stage.instances.iter();
        let player = players.find(|p| p.name == target.name).expect("it exists");
        let file = std::fs::read_to_string(&player.env_file).expect("its env file");
        if !right || !file.contains(&format!("SECURITY_RUNTIME_MODE={runtime}\n")) {
            broken.push(format!(
                "P11: the run is {}, and {target} says {health}",
                state.status
            ));
        }
    }
    broken
}

/// P8: the chain holds, and `status` says what the journal replays to.
fn journal(scene: &Scene) -> Vec<String> {
    let mut broken = Vec::new();
    let log = scene.rollout(&["log"]);
    if log.code != 0 || !log.stdout.contains("hash chain intact") {
        broken.push(format!(
            "P8: rollout log ends with {}: {}",
            log.code, log.stderr
        ));
    }
    let (_, entries) = scene.entries().expect("a run");
    let starts = entries
        .iter()
        .filter(|e| matches!(e.record.event, Event::Started { .. }));
    if starts.count() != 1 {
        broken.push("P8: the run began more than once".into());
    }
    broken
}

/// P11: the last words, the exit status, `rollout status` and the journal agree.
fn said(scene: &Scene, state: &State, (code, last): &(i32, String)) -> Vec<String> {
    let (exit, word) = match state.status {
        Status::Completed => (0, "COMPLETED run"),
        Status::RolledBack => (13, "ROLLED BACK run"),
        Status::Stuck { .. } => (14, "STUCK run"),
        Status::Aborted => (18, "ABORTED run"),
        Status::AwaitingApproval { .. } | Status::AwaitingAnswer { .. } => (10, "WAITING run"),
        Status::Paused { by } if by.is_gate() => (12, "PAUSED run"),
        Status::Paused { .. } => (11, "PAUSED run"),
        Status::Running | Status::RollingBack => (0, ""),
    };
    let mut broken = Vec::new();
    let status = scene.rollout(&["status"]);
    if status.code != exit {
        broken.push(format!(
            "P11: status says {} for {}",
            status.code, state.status
        ));
    }
    if *code != exit || !last.contains(word) {
        broken.push(format!(
            "P11: the run is {}, and the driver ended with {code}: {last}",
            state.status
        ));
    }
    broken
}

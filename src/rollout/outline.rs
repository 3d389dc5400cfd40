//! From a plan to what the machine needs of it.

use std::time::Duration;

use sha2::{Digest, Sha256};

use super::machine::{BakeOutline, Class, GateOutline, Outline, StepOutline};
use crate::runbook::model::{Gate, OnTrigger, StepKind};
use crate::runbook::plan::{Plan, Planned};

/// The outline of a plan whose hash is `hash`.
pub fn outline(plan: &Plan, hash: &str) -> Outline {
    let steps = |steps: &[Planned]| steps.iter().map(|s| step(plan, s)).collect();
    Outline {
        plan: hash.to_owned(),
        phases: plan.phases.iter().map(|p| p.env.clone()).collect(),
        forward: steps(&plan.forward),
        rollback: steps(&plan.rollback),
        afterwards: steps(&plan.afterwards),
    }
}

fn step(plan: &Plan, planned: &Planned) -> StepOutline {
    let (class, repeatable) = match &planned.step.kind {
        StepKind::Confirm { .. } | StepKind::Approve { .. } => (Class::Ask, true),
        // What a program of somebody else's does twice is not ours to say.
        StepKind::Command { .. } => (Class::Effect, false),
        // A rehearsal starts with setting everything back, so beginning again is safe.
        StepKind::Migrate
        | StepKind::Keys
        | StepKind::Carry { .. }
        | StepKind::Toggles { .. }
        | StepKind::Restart { .. }
        | StepKind::Rehearse { .. }
        // Only looks, but a rollback is not confirmed without it, so it may not be waived.
        | StepKind::Recover { .. } => (Class::Effect, true),
        StepKind::Preflight
        | StepKind::Smoke { .. }
        | StepKind::Verify { .. }
        | StepKind::Integrity
        | StepKind::Complete => (Class::Check, true),
        StepKind::Bake {
            duration,
            extend,
            gates,
            ..
        } => (bake(plan, planned, (*duration, *extend), gates), true),
    };
    StepOutline {
        id: planned.step.id.clone(),
        phase: planned.phase,
        class,
        flips: planned.flips(),
        repeatable,
        undoes: planned.undoes,
        approvals: match planned.step.kind {
            StepKind::Approve { approvals } => approvals,
            StepKind::Confirm { .. }
            | StepKind::Command { .. }
            | StepKind::Preflight
            | StepKind::Migrate
            | StepKind::Keys
            | StepKind::Carry { .. }
            | StepKind::Toggles { .. }
            | StepKind::Restart { .. }
            | StepKind::Rehearse { .. }
            | StepKind::Recover { .. }
            | StepKind::Smoke { .. }
            | StepKind::Verify { .. }
            | StepKind::Integrity
            | StepKind::Complete
            | StepKind::Bake { .. } => 1,
        },
        digest: digest(plan, planned),
    }
}

/// Of what the step does and to which targets, in hexadecimal; not of how it is told or where it
/// stands in the document.
fn digest(plan: &Plan, planned: &Planned) -> String {
    let env = plan
        .environments
        .iter()
        .find(|e| e.name == planned.step.env);
    let targets: Vec<_> = env
        .into_iter()
        .flat_map(|e| &e.targets)
        .filter(|t| planned.targets.contains(&t.name))
        .collect();
    let of = serde_json::json!([
        planned.step.kind,
        planned.step.env,
        planned.targets,
        targets
    ]);
    let bytes = Sha256::digest(of.to_string());
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

/// Three intervals without a look are a gap: one may be late, two may be slow, three are missing.
const GAP_INTERVALS: u32 = 3;

fn bake(
    plan: &Plan,
    planned: &Planned,
    (needed, extend): (Duration, Duration),
    names: &[String],
) -> Class {
    let gates: Vec<&Gate> = names.iter().filter_map(|id| plan.gate(id)).collect();
    let longest = gates
        .iter()
        .map(|g| g.interval)
        .max()
        .unwrap_or(Duration::from_secs(5));
    let alone = plan.others(planned).is_empty();
    Class::Bake(BakeOutline {
        needed_ms: millis(needed),
        extend_ms: millis(extend),
        longest_gap_ms: millis(longest * GAP_INTERVALS),
        gates: gates
            .into_iter()
            .map(|g| GateOutline {
                id: g.id.clone(),
                delay_ms: millis(g.initial_delay),
                failure_limit: g.limits.failures,
                failures_of_last: g.limits.of_last,
                error_limit: g.limits.errors,
                inconclusive_limit: g.limits.inconclusive,
                rolls_back: g.thresholds.on_fail == OnTrigger::Rollback,
                compared: g.margin.is_some() && !alone,
                muted: g.muted,
            })
            .collect(),
    })
}

fn millis(d: Duration) -> u64 {
    u64::try_from(d.as_millis()).unwrap_or(u64::MAX)
}

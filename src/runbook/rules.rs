//! What must hold between the bindings of a document: names that exist, a way back, an order
//! that can be followed.

use std::collections::BTreeSet;
use std::ops::Range;

use super::bindings::{Draft, Kind, Part, StepDraft};
use super::mistakes::{Mistakes, nearest};
use super::model::{Gate, OnTrigger, Proof, StepKind};
use crate::runtime::toggles::{Mode, Toggle};

/// Checks everything and reports every breach.
pub fn check(draft: &Draft, mistakes: &mut Mistakes) {
    unique(draft, mistakes);
    known(draft, mistakes);
    phases(draft, mistakes);
    way_back(draft, mistakes);
    restarts(draft, mistakes);
    watched(draft, mistakes);
    if let Some(first) = draft.binds.clone().filter(|_| nothing_to_do(draft)) {
        mistakes.add(
            first,
            "the document binds something but has no step to roll out",
            "first binding",
            "bind a step: a fence with the info string `toml step`; docs/runbooks.md shows how",
        );
    }
}

/// Every step could be read, so that what is missing is missing indeed.
fn readable(draft: &Draft) -> bool {
    let read = draft.ids.iter().filter(|(kind, _)| *kind == Kind::Step);
    !draft.unread.contains(&Kind::Step)
        && read.count() == draft.steps.len()
        && draft.steps.iter().all(|s| s.kind.is_some())
}

fn nothing_to_do(draft: &Draft) -> bool {
    readable(draft) && draft.steps.iter().all(|s| s.part != Part::Forward)
}

/// Ids that dbctl gives to steps of its own.
fn reserved(id: &str) -> bool {
    id == "completion" || id.starts_with("undo-")
}

fn unique(draft: &Draft, mistakes: &mut Mistakes) {
    for (index, (kind, id)) in draft.ids.iter().enumerate() {
        let first = draft.ids[..index]
            .iter()
            .find(|(k, i)| k == kind && i.value == id.value);
        if let Some((_, first)) = first {
            let line = mistakes.position(first.span.start).line;
            mistakes.add(
                id.span.clone(),
                format_args!("a second {} is called `{}`", kind.name(), id.value),
                "not unique",
                format_args!("the first one is in line {line}; give this one another id"),
            );
        }
        if *kind == Kind::Step && reserved(&id.value) {
            mistakes.add(
                id.span.clone(),
                format_args!("dbctl has a step of its own called `{}`", id.value),
                "reserved",
                "give it another id: `completion` and what starts with `undo-` are taken",
            );
        }
    }
}

fn known(draft: &Draft, mistakes: &mut Mistakes) {
    for reference in &draft.references {
        let kind = reference.kind;
        let names: Vec<&str> = if kind == Kind::Query {
            draft.queries.iter().map(|q| q.name.as_str()).collect()
        } else {
            let ids = draft.ids.iter().filter(|(k, _)| *k == kind);
            ids.map(|(_, id)| id.value.as_str()).collect()
        };
        if names.contains(&reference.name.as_str()) || draft.unread.contains(&kind) {
            continue;
        }
        let hint = match nearest(&reference.name, names.iter().copied()) {
            Some(near) => format!("did you mean `{near}`?"),
            None if names.is_empty() => format!("the document has no {}", kind.plural()),
            None => format!("the document's {}: {}", kind.plural(), names.join(", ")),
        };
        mistakes.add(
            reference.span.clone(),
            format_args!("there is no {} called `{}`", kind.name(), reference.name),
            format_args!("unknown {}", kind.name()),
            hint,
        );
    }
}

/// Steps of one phase stand together and act on one environment: its name is what an approval
/// types, and nothing else may be changed by it.
fn phases(draft: &Draft, mistakes: &mut Mistakes) {
    let mut left: BTreeSet<&str> = BTreeSet::new();
    let mut current: Option<(&str, Option<&str>)> = None;
    for step in forward(draft) {
        let Some(phase) = &step.phase else {
            continue;
        };
        let name = phase.value.as_str();
        let env = step.env.as_ref().map(|e| e.value.as_str());
        match current {
            Some((now, known)) if now == name => {
                if let (Some(known), Some(env), Some(placed)) = (known, env, &step.env)
                    && known != env
                {
                    mistakes.add(
                        placed.span.clone(),
                        format_args!("phase `{name}` acts on two environments"),
                        format_args!("the steps before act on `{known}`"),
                        "one approval is for one environment: give these steps a phase of their own",
                    );
                }
                current = Some((name, known.or(env)));
            }
            _ => {
                if let Some((before, _)) = current {
                    left.insert(before);
                }
                if left.contains(name) {
                    mistakes.add(
                        phase.span.clone(),
                        format_args!("phase `{name}` was left before and begins again"),
                        "again",
                        "steps of one phase stand together: move this step or give it another phase",
                    );
                }
                current = Some((name, env));
            }
        }
    }
}

fn forward(draft: &Draft) -> impl Iterator<Item = &StepDraft> {
    draft.steps.iter().filter(|s| s.part == Part::Forward)
}

/// Every toggle that the rollout flips is taken back by the rollback (P7).
fn way_back(draft: &Draft, mistakes: &mut Mistakes) {
    let unreadable = !readable(draft);
    let mut flipped: Vec<(Toggle, Range<usize>)> = Vec::new();
    let mut back = BTreeSet::new();
    for step in &draft.steps {
        match (&step.kind, step.part) {
            (Some(StepKind::Toggles { set, .. }), Part::Forward) => {
                let flips = set.iter().filter(|(_, mode)| **mode == Mode::Postgres);
                flipped.extend(flips.map(|(toggle, _)| (*toggle, step.info.clone())));
            }
            (Some(StepKind::Toggles { set, .. }), Part::Rollback) => {
                if set.values().any(|mode| *mode == Mode::Postgres) {
                    mistakes.add(
                        step.info.clone(),
                        "the rollback sets toggles to postgres",
                        "this way is forward",
                        "set = \"local\" goes back to memory/file",
                    );
                }
                back.extend(set.keys().copied());
            }
            _ => {}
        }
    }
    let kept: BTreeSet<Toggle> = flipped
        .iter()
        .map(|(t, _)| *t)
        .filter(|t| !back.contains(t))
        .collect();
    if let Some((_, first)) = flipped.iter().find(|(t, _)| kept.contains(t))
        && !unreadable
    {
        let names: Vec<&str> = kept.iter().map(|t| t.name()).collect();
        let cause = if back.is_empty() {
            "there is no way back: the rollback has no step that sets toggles".to_owned()
        } else {
            format!("the rollback leaves {} on postgres", names.join(", "))
        };
        mistakes.add(
            first.clone(),
            cause,
            "flipped here",
            "add a step with part = \"rollback\", kind = \"toggles\" and set = \"local\"",
        );
    }
    let no_rollback = draft.steps.iter().all(|s| s.part != Part::Rollback);
    for trigger in &draft.triggers {
        if trigger.on_trigger == OnTrigger::Rollback
            && no_rollback
            && !unreadable
            && flipped.is_empty()
        {
            mistakes.add(
                trigger.at.offset..trigger.at.offset,
                format_args!(
                    "trigger `{}` starts a rollback, and there is none",
                    trigger.id
                ),
                "rolls back",
                "add steps with part = \"rollback\", or say on_trigger = \"pause\"",
            );
        }
    }
}

/// Toggles that are set without a restart only take effect by a later one.
fn restarts(draft: &Draft, mistakes: &mut Mistakes) {
    for (index, step) in draft.steps.iter().enumerate() {
        let Some(StepKind::Toggles { restart: false, .. }) = step.kind else {
            continue;
        };
        let restarted = draft.steps[index + 1..].iter().any(|later| {
            later.part == step.part
                && later.env.as_ref().map(|e| &e.value) == step.env.as_ref().map(|e| &e.value)
                && matches!(later.kind, Some(StepKind::Restart { .. }) | None)
        });
        if !restarted {
            mistakes.add(
                step.info.clone(),
                "the toggles are set without a restart, and none follows: they would not take effect",
                "restart = false",
                "add a step with kind = \"restart\" behind it, or take restart = false away",
            );
        }
    }
}

/// A bake is long enough for its gates, and gates that a criterion relies on are watched.
fn watched(draft: &Draft, mistakes: &mut Mistakes) {
    let mut baked: BTreeSet<&str> = BTreeSet::new();
    for step in forward(draft) {
        let Some(StepKind::Bake {
            duration, gates, ..
        }) = &step.kind
        else {
            continue;
        };
        baked.extend(gates.iter().map(String::as_str));
        let needs = |g: &&Gate| g.initial_delay + g.window;
        let longest = draft
            .gates
            .iter()
            .filter(|g| gates.contains(&g.id))
            .max_by_key(needs);
        if let Some(gate) = longest.filter(|g| needs(g) > *duration) {
            let what = if gate.initial_delay.is_zero() {
                "window"
            } else {
                "initial delay and window"
            };
            mistakes.add(
                step.info.clone(),
                format_args!(
                    "the bake takes {}, which is shorter than the {what} of gate `{}` ({})",
                    super::describe::words(*duration),
                    gate.id,
                    super::describe::words(needs(&gate)),
                ),
                "too short",
                "bake at least as long as the longest window",
            );
        }
    }
    for gate in &draft.gates {
        let known = |c: &super::model::Criterion| match &c.proof {
            Proof::Gates { gates } => gates.contains(&gate.id),
            Proof::Modes { .. }
            | Proof::Queries { .. }
            | Proof::Rehearsal { .. }
            | Proof::Rehearsed { .. } => false,
        };
        // A criterion that relies on it says so itself.
        if !baked.contains(gate.id.as_str())
            && !draft.criteria.iter().any(known)
            && readable(draft)
            && !nothing_to_do(draft)
        {
            mistakes.add(
                gate.at.offset..gate.at.offset,
                format_args!("gate `{}` is watched by no bake", gate.id),
                "watches nothing",
                "name it in the `gates` of a bake, or take it away",
            );
        }
    }
    for criterion in &draft.criteria {
        let at = criterion.at.offset..criterion.at.offset;
        match &criterion.proof {
            Proof::Gates { gates } => {
                let muted = |id: &&String| draft.gates.iter().any(|g| g.id == **id && g.muted);
                if let Some(gate) = gates.iter().find(muted) {
                    mistakes.add(
                        at.clone(),
                        format_args!(
                            "criterion `{}` relies on gate `{gate}`, which is muted",
                            criterion.id
                        ),
                        "can never hold",
                        "a muted gate is only shown; take `muted` away, or the gate out of here",
                    );
                }
                for gate in gates.iter().filter(|g| !baked.contains(g.as_str())) {
                    if draft.gates.iter().any(|g| g.id == *gate) {
                        mistakes.add(
                            at.clone(),
                            format_args!(
                                "criterion `{}` relies on gate `{gate}`, which no bake watches",
                                criterion.id
                            ),
                            "can never hold",
                            "name the gate in the `gates` of a bake",
                        );
                    }
                }
            }
            Proof::Rehearsal { step } => {
                let found = draft.steps.iter().find(|s| s.id == *step);
                let rehearses = |s: &StepDraft| {
                    s.part == Part::Forward
                        && matches!(s.kind, Some(StepKind::Rehearse { .. }) | None)
                };
                if found.is_some_and(|s| !rehearses(s)) {
                    mistakes.add(
                        at,
                        format_args!("criterion `{}` wants a rehearsal, and step `{step}` is none of the rollout", criterion.id),
                        "can never hold",
                        "name a step of kind \"rehearse\" that has a phase",
                    );
                }
            }
            Proof::Modes { .. } | Proof::Queries { .. } => {}
            Proof::Rehearsed { env, .. } => rehearsed(draft, criterion, env, mistakes),
        }
    }
}

/// What is rehearsed in an environment is what the rollout does there.
fn rehearsed(
    draft: &Draft,
    criterion: &super::model::Criterion,
    env: &str,
    mistakes: &mut Mistakes,
) {
    let acts = |s: &StepDraft| s.env.as_ref().is_none_or(|e| e.value == env);
    if readable(draft) && !forward(draft).any(acts) {
        mistakes.add(
            criterion.at.offset..criterion.at.offset,
            format_args!(
                "criterion `{}` wants a rehearsal in `{env}`, and no step acts there",
                criterion.id
            ),
            "can never hold",
            "name an environment that a phase of the rollout acts in",
        );
    }
}

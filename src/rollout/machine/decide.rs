//! What follows from a state and an input.

use super::ROLLBACK_ATTEMPTS;
use super::bake::Asks;
use super::event::{Event, Found, Outcome, Reading};
use super::input::{Answer, Decision, Effect, Input, Refusal};
use super::outline::{Class, Part, StepRef};
use super::state::{PausedBy, Progress, State, Status, StepState};

/// Decides. `now_ms` is the time of the input, in milliseconds since 1970.
pub fn decide(state: &State, now_ms: u64, input: Input) -> Result<Decision, Refusal> {
    match input {
        Input::Tick => Ok(tick(state)),
        Input::TakeOver { by } => Ok(Decision::event(Event::Driven { by })),
        Input::Note { by, text } => Ok(Decision::event(Event::Note { by, text })),
        Input::Kit { env, seal } => Ok(Decision::event(Event::KitRefreshed { env, seal })),
        Input::Logs { of, logs } => Ok(Decision::event(Event::Logged { of, logs })),
        Input::Approve { phase, plan, by } => approve(state, phase, plan, by),
        Input::Answer { step, said, by } => answer(state, step, said, by),
        Input::Ended {
            step,
            attempt,
            outcome,
            evidence,
        } => ended(state, step, attempt, outcome, evidence),
        Input::Probed {
            step,
            attempt,
            found,
            why,
        } => probed(state, step, attempt, found, why),
        Input::Look { readings } => look(state, now_ms, readings),
        Input::Trigger {
            id,
            why,
            rolls_back,
            evidence,
        } => {
            if !state.triggers_armed() {
                return Err(Refusal::Stale);
            }
            Ok(Decision::event(Event::Triggered {
                id,
                why,
                rolls_back,
                evidence,
            }))
        }
        Input::Waive { by } => {
            if state.status == Status::RolledBack && !state.is_closed() {
                Ok(Decision::event(Event::Waived { by }))
            } else {
                Err(Refusal::NotAwaited)
            }
        }
        Input::Replan { by, outline, plan } => {
            state.may_replan(&outline).map_err(Refusal::CannotReplan)?;
            Ok(Decision::event(Event::Replanned { by, outline, plan }))
        }
        Input::Resolve {
            step,
            done,
            by,
            why,
        } => resolve(state, step, done, by, why),
        Input::Pause { by, why } => pause(state, by, why),
        Input::Resume { by } => resume(state, by),
        Input::Abort { by, why } => {
            if !state.can_go_forward() {
                return Err(Refusal::Ended);
            }
            if state.flipped {
                return Err(Refusal::MustRollBack);
            }
            Ok(Decision::event(Event::Aborted { by, why }))
        }
        Input::Rollback { by, why } => roll_back(state, format!("{by}: {why}")),
    }
}

fn tick(state: &State) -> Decision {
    match &state.status {
        Status::Running => forward(state),
        Status::AwaitingApproval { phase } => {
            Decision::effect(Effect::AskApproval { phase: *phase })
        }
        Status::AwaitingAnswer { step } => Decision::effect(Effect::AskPerson { step: *step }),
        Status::RollingBack => backward(state),
        Status::RolledBack if state.in_aftermath => match state.next_step(Part::Afterwards) {
            Some(step) => advance(state, step),
            None => Decision::default(),
        },
        Status::RolledBack
        | Status::Paused { .. }
        | Status::Stuck { .. }
        | Status::Completed
        | Status::Aborted => Decision::default(),
    }
}

fn forward(state: &State) -> Decision {
    let Some(step) = state.next_step(Part::Forward) else {
        return Decision::event(Event::Completed);
    };
    let phase = state.outline.step(step).map_or(0, |s| s.phase);
    if state.approved.get(phase).is_some_and(Option::is_none) {
        return Decision::event(Event::ApprovalWanted { phase });
    }
    let id = state.outline.id(step);
    match state.step(step).map(|s| s.progress) {
        // A bake that failed its gates is harm, seen on what was switched.
        Some(Progress::Failed {
            inconclusive: false,
        }) if state.flipped && matches!(state.class(step), Some(Class::Bake(_))) => {
            Decision::event(Event::RollbackStarted {
                why: format!("the gates of {id} failed"),
            })
        }
        Some(Progress::Failed { inconclusive }) => Decision::event(Event::Paused {
            by: if inconclusive {
                PausedBy::Inconclusive
            } else {
                PausedBy::Failure
            },
            why: format!("step {id} did not succeed"),
        }),
        Some(
            Progress::Pending
            | Progress::InFlight
            | Progress::InDoubt
            | Progress::Done
            | Progress::Unconfirmed
            | Progress::Abandoned,
        )
        | None => advance(state, step),
    }
}

fn backward(state: &State) -> Decision {
    let Some(step) = state.next_step(Part::Rollback) else {
        return Decision::event(Event::RolledBack);
    };
    let attempts = state.step(step).map_or(0, |s| s.attempts);
    match state.step(step).map(|s| s.progress) {
        Some(Progress::Failed { .. }) if attempts.is_multiple_of(ROLLBACK_ATTEMPTS) => {
            Decision::event(Event::Stuck {
                step,
                why: format!("{} failed {attempts} times", state.outline.id(step)),
            })
        }
        Some(Progress::Failed { .. }) => begin(step, attempts),
        Some(
            Progress::Pending
            | Progress::InFlight
            | Progress::InDoubt
            | Progress::Done
            | Progress::Unconfirmed
            | Progress::Abandoned,
        )
        | None => advance(state, step),
    }
}

/// Begins a pending step, probes one in doubt, waits for one in flight.
fn advance(state: &State, step: StepRef) -> Decision {
    let attempts = state.step(step).map_or(0, |s| s.attempts);
    match state.step(step).map(|s| s.progress) {
        Some(Progress::Pending) => match state.class(step) {
            Some(Class::Ask) => Decision {
                events: vec![Event::AnswerWanted { step }],
                effect: Some(Effect::AskPerson { step }),
            },
            Some(Class::Effect | Class::Check | Class::Bake(_)) | None => begin(step, attempts),
        },
        Some(Progress::InDoubt) => Decision::effect(Effect::Probe {
            step,
            attempt: attempts,
        }),
        Some(Progress::InFlight) if state.class(step) == Some(&Class::Ask) => {
            Decision::effect(Effect::AskPerson { step })
        }
        Some(
            Progress::InFlight
            | Progress::Done
            | Progress::Unconfirmed
            | Progress::Failed { .. }
            | Progress::Abandoned,
        )
        | None => Decision::default(),
    }
}

fn begin(step: StepRef, attempts: u32) -> Decision {
    let attempt = attempts + 1;
    Decision {
        events: vec![Event::Intended { step, attempt }],
        effect: Some(Effect::Run { step, attempt }),
    }
}

fn approve(state: &State, phase: usize, plan: String, by: String) -> Result<Decision, Refusal> {
    if state.status != (Status::AwaitingApproval { phase }) {
        return Err(Refusal::NotAwaited);
    }
    if plan != state.outline.plan {
        return Err(Refusal::OtherPlan);
    }
    Ok(Decision::event(Event::Approved { phase, plan, by }))
}

/// A yes counts once for each person; with as many as the step wants, it is done.
fn answer(state: &State, step: StepRef, said: Answer, by: String) -> Result<Decision, Refusal> {
    let asked = state.outline.step(step).filter(|s| s.class == Class::Ask);
    let open = state
        .step(step)
        .filter(|s| s.progress == Progress::InFlight);
    let (Some(outline), Some(open)) = (asked, open) else {
        return Err(Refusal::NotAwaited);
    };
    if matches!(state.status, Status::Paused { .. }) {
        return Err(Refusal::NotAwaited);
    }
    let attempt = open.attempts;
    if let Answer::No { why } = said {
        let why = format!("{by} said no: {why}");
        let mut decision = Decision::event(Event::Failed {
            step,
            attempt,
            why: why.clone(),
            inconclusive: false,
            evidence: serde_json::json!({ "answered_by": by }),
        });
        if step.part == Part::Forward {
            let by = PausedBy::Person;
            decision.events.push(Event::Paused { by, why });
        }
        return Ok(decision);
    }
    if open.agreed.contains(&by) {
        return Err(Refusal::AgreedAlready);
    }
    let mut people = open.agreed.clone();
    people.push(by.clone());
    let mut decision = Decision::event(Event::Agreed { step, attempt, by });
    if people.len() >= outline.approvals as usize {
        decision.events.push(Event::Succeeded {
            step,
            attempt,
            unconfirmed: None,
            evidence: serde_json::json!({ "answered_by": people }),
        });
    }
    Ok(decision)
}

fn is_current(state: &State, step: StepRef, attempt: u32, progress: Progress) -> bool {
    state
        .step(step)
        .is_some_and(|s| s.attempts == attempt && s.progress == progress)
}

fn ended(
    state: &State,
    step: StepRef,
    attempt: u32,
    outcome: Outcome,
    evidence: serde_json::Value,
) -> Result<Decision, Refusal> {
    // A bake ends by what is observed, a question by its answer: nothing else may end them.
    let ends_by_itself = matches!(state.class(step), Some(Class::Effect | Class::Check));
    if !ends_by_itself || !is_current(state, step, attempt, Progress::InFlight) {
        return Err(Refusal::Stale);
    }
    let failed = |why, inconclusive, evidence| Event::Failed {
        step,
        attempt,
        why,
        inconclusive,
        evidence,
    };
    let event = match outcome {
        Outcome::Succeeded => Event::Succeeded {
            step,
            attempt,
            unconfirmed: None,
            evidence,
        },
        Outcome::Failed(why) => failed(why, false, evidence),
        // What only looks must not hold up a rollback when there is nothing to see (P7); it is
        // not called a pass either.
        Outcome::Inconclusive(why)
            if step.part == Part::Rollback && state.class(step) == Some(&Class::Check) =>
        {
            Event::Succeeded {
                step,
                attempt,
                unconfirmed: Some(why),
                evidence,
            }
        }
        Outcome::Inconclusive(why) => failed(why, true, evidence),
        Outcome::Unknown(why) if state.class(step) == Some(&Class::Effect) => {
            Event::InDoubt { step, attempt, why }
        }
        Outcome::Unknown(why) => failed(why, true, evidence),
    };
    Ok(Decision::event(event))
}

fn probed(
    state: &State,
    step: StepRef,
    attempt: u32,
    found: Found,
    why: String,
) -> Result<Decision, Refusal> {
    if !is_current(state, step, attempt, Progress::InDoubt) {
        return Err(Refusal::Stale);
    }
    let in_part = match step.part {
        Part::Forward => state.status == Status::Running,
        Part::Rollback => state.status == Status::RollingBack,
        Part::Afterwards => state.status == Status::RolledBack,
    };
    if !in_part {
        return Err(Refusal::Stale);
    }
    let repeatable = state.outline.step(step).is_some_and(|s| s.repeatable);
    let mut decision = Decision::event(Event::Probed {
        step,
        attempt,
        found,
        why: why.clone(),
    });
    match (found, step.part) {
        (Found::Unknown, Part::Forward) => decision.events.push(Event::Paused {
            by: PausedBy::Doubt,
            why,
        }),
        (Found::Unknown, Part::Rollback) if !repeatable => {
            decision.events.push(Event::Stuck { step, why });
        }
        (Found::Unknown, Part::Rollback | Part::Afterwards) | (Found::Done | Found::NotDone, _) => {
        }
    }
    Ok(decision)
}

/// A person's word in place of a probe that cannot say. The run goes on by it: it stood still only
/// for want of that word.
fn resolve(
    state: &State,
    step: StepRef,
    done: bool,
    by: String,
    why: String,
) -> Result<Decision, Refusal> {
    let in_doubt = |s: &&StepState| s.progress == Progress::InDoubt;
    let attempt = state.step(step).filter(in_doubt).map(|s| s.attempts);
    let attempt = attempt.ok_or(Refusal::NotInDoubt)?;
    let mut events = match (step.part, &state.status) {
        (Part::Forward, Status::Paused { .. }) => vec![Event::Resumed { by: by.clone() }],
        (Part::Rollback, Status::Stuck { .. }) => vec![Event::RollbackStarted {
            why: format!("{by}: {} is not in doubt any more", state.outline.id(step)),
        }],
        (Part::Forward, Status::Running)
        | (Part::Rollback, Status::RollingBack)
        | (Part::Afterwards, Status::RolledBack) => Vec::new(),
        (
            _,
            Status::Running
            | Status::AwaitingApproval { .. }
            | Status::AwaitingAnswer { .. }
            | Status::Paused { .. }
            | Status::RollingBack
            | Status::RolledBack
            | Status::Stuck { .. }
            | Status::Completed
            | Status::Aborted,
        ) => return Err(Refusal::Stale),
    };
    events.push(Event::Probed {
        step,
        attempt,
        found: if done { Found::Done } else { Found::NotDone },
        why: format!("{by} has looked: {why}"),
    });
    Ok(Decision {
        events,
        effect: None,
    })
}

/// Takes an observation of a bake: passed when the observed time is full, every gate passes now
/// and those that are compared were shown not to be worse; failed or paused when a gate asks for
/// it. An early pass does not exist, and no timer makes one.
fn look(state: &State, now_ms: u64, readings: Vec<Reading>) -> Result<Decision, Refusal> {
    let Some(bake) = state.baking() else {
        return Err(Refusal::Stale);
    };
    let step = StepRef::new(Part::Forward, bake.step);
    let Some(Class::Bake(outline)) = state.class(step) else {
        return Err(Refusal::Stale);
    };
    let observed = Event::Observed {
        step,
        at_ms: now_ms,
        gained_ms: bake.gained_ms(outline, now_ms, &readings),
        readings: readings.clone(),
    };
    let mut after = state.clone();
    if after.apply(&observed).is_err() {
        return Err(Refusal::Stale);
    }
    let mut decision = Decision::event(observed);
    let attempt = state.step(step).map_or(0, |s| s.attempts);
    let Some(bake) = after.bake else {
        return Ok(decision);
    };
    let why = |gate: &str| {
        let reading = readings.iter().find(|r| r.gate == gate);
        format!("{gate}: {}", reading.map_or("not measured", |r| &r.why))
    };
    let mut gates = outline.gates.iter().zip(&bake.gates);
    let asks = |what: Asks| {
        let asking = gates.clone().find(|(g, c)| c.asks(g) == Some(what));
        asking.map(|(gate, _)| why(&gate.id))
    };
    if let Some(why) = asks(Asks::Rollback) {
        decision.events.push(Event::Failed {
            step,
            attempt,
            why: why.clone(),
            inconclusive: false,
            evidence: serde_json::Value::Null,
        });
        // With the numbers in it: whoever is woken reads this first.
        if state.flipped {
            let id = state.outline.id(step);
            let why = format!("{id} failed: {why}");
            decision.events.push(Event::RollbackStarted { why });
        }
    } else if let Some(why) = asks(Asks::Pause) {
        decision.events.push(Event::Paused {
            by: PausedBy::Gate,
            why,
        });
    } else if bake.observed_ms >= outline.needed_ms && gates.all(|(g, c)| c.is_satisfied(g)) {
        decision.events.push(Event::Succeeded {
            step,
            attempt,
            unconfirmed: None,
            evidence: serde_json::json!({
                "observed_ms": bake.observed_ms,
                "gates": readings,
            }),
        });
    }
    Ok(decision)
}

fn pause(state: &State, by: String, why: String) -> Result<Decision, Refusal> {
    match state.status {
        Status::Running | Status::AwaitingApproval { .. } | Status::AwaitingAnswer { .. } => {
            Ok(Decision::event(Event::Paused {
                by: PausedBy::Person,
                why: format!("{by}: {why}"),
            }))
        }
        Status::Paused { .. } => Err(Refusal::AlreadyPaused),
        Status::RollingBack => Err(Refusal::AlreadyRollingBack),
        Status::RolledBack | Status::Stuck { .. } | Status::Completed | Status::Aborted => {
            Err(Refusal::Ended)
        }
    }
}

fn resume(state: &State, by: String) -> Result<Decision, Refusal> {
    match state.status {
        Status::Paused { .. } => Ok(Decision::event(Event::Resumed { by })),
        Status::RolledBack if state.next_step(Part::Afterwards).is_some() => {
            Ok(Decision::event(Event::Resumed { by }))
        }
        Status::RolledBack | Status::Completed | Status::Aborted => Err(Refusal::Ended),
        Status::Running
        | Status::AwaitingApproval { .. }
        | Status::AwaitingAnswer { .. }
        | Status::RollingBack
        | Status::Stuck { .. } => Err(Refusal::NotPaused),
    }
}

fn roll_back(state: &State, why: String) -> Result<Decision, Refusal> {
    match state.status {
        Status::RollingBack => Err(Refusal::AlreadyRollingBack),
        Status::RolledBack => Err(Refusal::AlreadyRolledBack),
        Status::Aborted => Err(Refusal::NothingToRollBack),
        Status::Running
        | Status::AwaitingApproval { .. }
        | Status::AwaitingAnswer { .. }
        | Status::Paused { .. }
        | Status::Stuck { .. }
        | Status::Completed => {
            if state.flipped {
                Ok(Decision::event(Event::RollbackStarted { why }))
            } else {
                Err(Refusal::NothingToRollBack)
            }
        }
    }
}

//! Whole runs, driven by hand.

use dbctl::check::Verdict;
use dbctl::rollout::machine::{
    Answer, Class, Input, Outcome, Part, PausedBy, State, Status, StepRef, decide,
};

use super::{BY, PLAN, look, now_for, started};

/// Drives a run by ticks, with `reply` answering effects; returns the final state.
fn drive(mut state: State, mut reply: impl FnMut(&State) -> Option<Input>) -> State {
    for _ in 0..200 {
        let decision =
            decide(&state, now_for(&state), Input::Tick).expect("a tick is never refused");
        for event in &decision.events {
            state.apply(event).expect("legal");
        }
        if let Some(input) = reply(&state)
            && let Ok(decision) = decide(&state, now_for(&state), input)
        {
            for event in &decision.events {
                state.apply(event).expect("legal");
            }
        } else if decision.events.is_empty() {
            break;
        }
    }
    state
}

/// Everything goes well, with gates answering `verdict`.
fn fair_wind(verdict: Verdict) -> impl FnMut(&State) -> Option<Input> {
    move |state| {
        if let Status::AwaitingApproval { phase } = state.status {
            return Some(Input::Approve {
                phase,
                plan: PLAN.into(),
                by: BY.into(),
            });
        }
        if state.baking().is_some() {
            return Some(look(verdict));
        }
        let step = state.in_flight()?;
        let attempt = state.step(step)?.attempts;
        Some(if state.outline.step(step)?.class == Class::Ask {
            let known = state.step(step)?.agreed.is_empty();
            Input::Answer {
                step,
                said: Answer::Yes,
                by: if known { BY } else { "you" }.into(),
            }
        } else {
            Input::Ended {
                step,
                attempt,
                outcome: Outcome::Succeeded,
                evidence: serde_json::Value::Null,
            }
        })
    }
}

fn fresh() -> State {
    State::start(&started()).expect("a run starts")
}

#[test]
fn with_a_fair_wind_a_run_completes() {
    let state = drive(fresh(), fair_wind(Verdict::Pass));
    assert_eq!(state.status, Status::Completed);
    assert_eq!(state.passed_gates, ["errors"]);
}

#[test]
fn a_gate_that_fails_on_a_switched_target_rolls_the_run_back() {
    let state = drive(fresh(), fair_wind(Verdict::Fail));
    assert_eq!(state.status, Status::RolledBack);
}

#[test]
fn a_gate_that_cannot_be_judged_pauses_the_run_and_no_timer_turns_it_into_a_pass() {
    for verdict in [Verdict::Inconclusive, Verdict::Error] {
        let state = drive(fresh(), fair_wind(verdict));
        assert_eq!(state.status, Status::Paused { by: PausedBy::Gate });
    }
}

#[test]
fn time_that_nobody_observed_is_not_bake_time() {
    let mut state = drive(fresh(), |state| {
        if state.baking().is_some() {
            None
        } else {
            fair_wind(Verdict::Pass)(state)
        }
    });
    for now in [1_000, 1_800, 100_000, 100_100] {
        let decision = decide(&state, now, look(Verdict::Pass)).expect("a look is taken");
        for event in &decision.events {
            state.apply(event).expect("legal");
        }
    }
    let bake = state.bake.as_ref().expect("it still bakes");
    assert_eq!(
        bake.observed_ms,
        800 + 100,
        "the gap of 98 s must not count"
    );
}

#[test]
fn a_rollback_step_that_keeps_failing_leaves_the_run_visibly_stuck_and_a_person_may_try_again() {
    let failing = |state: &State| {
        let step = state.in_flight()?;
        let attempt = state.step(step)?.attempts;
        if step.part == Part::Rollback {
            return Some(Input::Ended {
                step,
                attempt,
                outcome: Outcome::Failed("no".into()),
                evidence: serde_json::Value::Null,
            });
        }
        None
    };
    let state = drive(fresh(), |s| {
        failing(s).or_else(|| fair_wind(Verdict::Fail)(s))
    });
    assert!(
        matches!(state.status, Status::Stuck { .. }),
        "{:?}",
        state.status
    );
    let mut again = state.clone();
    let decision = decide(
        &state,
        0,
        Input::Rollback {
            by: BY.into(),
            why: "again".into(),
        },
    )
    .expect("a stuck run can be rolled back");
    for event in &decision.events {
        again.apply(event).expect("legal");
    }
    let state = drive(again, fair_wind(Verdict::Pass));
    assert_eq!(state.status, Status::RolledBack);
}

#[test]
fn an_undo_is_due_only_if_its_step_was_begun() {
    let mut state = fresh();
    let undo = StepRef::new(Part::Rollback, 2);
    assert!(!state.is_due(undo));
    state = drive(state, |s| {
        matches!(s.status, Status::AwaitingApproval { phase: 0 }).then(|| Input::Approve {
            phase: 0,
            plan: PLAN.into(),
            by: BY.into(),
        })
    });
    assert!(state.is_due(undo));
}

//! Whole runs, driven by hand.

use dbctl::check::Verdict;
use dbctl::rollout::machine::{
    Answer, Arms, BakeOutline, Certainty, Class, Counted, GateOutline, Harm, Input, Outcome, Part,
    PausedBy, Reading, State, Status, StepRef, decide,
};
use dbctl::runbook::model::OfLast;

use super::{BY, PLAN, look, looked, now_for, reading, started, undecided};

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
fn what_is_not_certain_at_the_end_is_held_and_every_resume_gives_it_more_time_but_no_pass() {
    let wind = |state: &State| match state.baking() {
        Some(_) => Some(undecided()),
        None => fair_wind(Verdict::Pass)(state),
    };
    let mut state = drive(fresh(), wind);
    for _ in 0..3 {
        assert_eq!(state.status, Status::Paused { by: PausedBy::Gate });
        let bake = state.bake.as_ref().expect("it still bakes");
        assert_eq!(bake.gates[0].certainty, Certainty::Held);
        let before = bake.observed_ms;
        tell(&mut state, 0, Input::Resume { by: BY.into() });
        state = drive(state, wind);
        let bake = state.bake.as_ref().expect("it still bakes");
        assert!(bake.observed_ms >= before + 1000, "a whole extension");
    }
}

/// Gives a baking run one input at its time.
fn tell(state: &mut State, now_ms: u64, input: Input) {
    let decision = decide(state, now_ms, input).expect("it is taken");
    for event in &decision.events {
        state.apply(event).expect("legal");
    }
}

/// A run whose bake is about to begin, of one gate as the plan has it or changed.
fn baking(change: impl FnOnce(&mut BakeOutline)) -> State {
    let mut outline = super::outline();
    let at = outline.forward.iter().position(|s| s.id == "bake");
    let class = &mut outline.forward[at.expect("the bake")].class;
    let Class::Bake(bake) = class else {
        panic!("it is a bake");
    };
    change(bake);
    let fresh = State::start(&super::starting(outline)).expect("a run starts");
    drive(fresh, |state| match state.baking() {
        Some(_) => None,
        None => fair_wind(Verdict::Pass)(state),
    })
}

/// Looks once a second, from the first one on.
fn see(state: &mut State, looks: impl IntoIterator<Item = Reading>) {
    for reading in looks {
        let now = now_for(state);
        tell(state, now, looked(reading));
    }
}

fn failing() -> Reading {
    reading(Verdict::Fail)
}

fn passing() -> Reading {
    reading(Verdict::Pass)
}

#[test]
fn failures_among_the_last_looks_count_and_older_ones_do_not() {
    let plan = |bake: &mut BakeOutline| {
        bake.needed_ms = 100_000;
        bake.gates[0].failure_limit = None;
        bake.gates[0].failures_of_last = Some(OfLast {
            at_most: 1,
            of_last: 3,
        });
    };
    let mut state = baking(plan);
    for _ in 0..5 {
        see(&mut state, [failing(), passing(), passing()]);
    }
    assert!(state.baking().is_some(), "one of three, again and again");
    see(&mut state, [failing(), passing(), failing()]);
    assert!(state.baking().is_none(), "two of three: {:?}", state.status);
}

#[test]
fn the_first_level_pauses_and_the_second_rolls_back_once_it_was_looked_at_again() {
    let plan = |bake: &mut BakeOutline| bake.gates[0].rolls_back = false;
    let grave = || Reading {
        harm: Harm::Grave,
        ..failing()
    };
    let mut state = baking(plan);
    see(&mut state, [failing()]);
    assert_eq!(state.status, Status::Paused { by: PausedBy::Gate });

    // Beyond the second level for one look only: as the first level.
    let mut state = baking(plan);
    see(&mut state, [grave()]);
    assert!(state.baking().is_some(), "the next look decides");
    see(&mut state, [passing()]);
    assert_eq!(state.status, Status::Paused { by: PausedBy::Gate });

    let mut state = baking(plan);
    see(&mut state, [grave(), grave()]);
    state = drive(state, |_| None);
    assert_eq!(state.status, Status::RollingBack);
}

#[test]
fn harm_that_is_proven_acts_at_once_whatever_the_limits_allow() {
    for (rolls_back, status) in [
        (true, Status::RollingBack),
        (false, Status::Paused { by: PausedBy::Gate }),
    ] {
        let mut state = baking(|bake| {
            bake.gates[0].failure_limit = Some(100);
            bake.gates[0].rolls_back = rolls_back;
        });
        let proven = Reading {
            harm: Harm::Proven,
            ..failing()
        };
        see(&mut state, [passing(), proven]);
        state = drive(state, |_| None);
        assert_eq!(state.status, status);
    }
}

#[test]
fn errors_and_what_could_not_be_judged_have_limits_of_their_own() {
    let plan = |bake: &mut BakeOutline| {
        bake.needed_ms = 100_000;
        bake.gates[0].error_limit = 3;
        bake.gates[0].inconclusive_limit = 1;
    };
    let paused = Status::Paused { by: PausedBy::Gate };
    for (verdict, allowed) in [(Verdict::Error, 3), (Verdict::Inconclusive, 1)] {
        let mut state = baking(plan);
        see(&mut state, [passing()]);
        see(&mut state, (0..allowed).map(|_| reading(verdict)));
        assert!(state.baking().is_some(), "{verdict}");
        see(&mut state, [reading(verdict)]);
        assert_eq!(state.status, paused, "{verdict}");
    }
    // One after the other: neither is a row without end.
    let mut state = baking(plan);
    see(
        &mut state,
        [Verdict::Inconclusive, Verdict::Error, Verdict::Inconclusive].map(reading),
    );
    assert_eq!(state.status, paused);
}

#[test]
fn a_look_that_only_waits_for_the_end_of_the_bake_ends_a_row_and_one_that_warms_up_does_not() {
    let not_yet = |sound| Reading {
        warming: true,
        sound,
        ..reading(Verdict::Inconclusive)
    };
    for (verdict, sound) in [
        (Verdict::Inconclusive, true),
        (Verdict::Error, true),
        (Verdict::Inconclusive, false),
        (Verdict::Error, false),
    ] {
        let mut state = baking(|bake| {
            bake.needed_ms = 100_000;
            bake.gates[0].error_limit = 1;
            bake.gates[0].inconclusive_limit = 1;
        });
        see(&mut state, [reading(verdict), not_yet(sound)]);
        assert!(state.baking().is_some(), "{verdict}");
        see(&mut state, [reading(verdict)]);
        assert_eq!(state.baking().is_some(), sound, "{verdict}");
    }
}

#[test]
fn a_muted_gate_decides_nothing_and_is_not_called_passed() {
    let mut state = baking(|bake| {
        let muted = GateOutline {
            id: "muted".into(),
            muted: true,
            compared: false,
            ..bake.gates[0].clone()
        };
        bake.gates.push(muted);
    });
    for _ in 0..3 {
        let Input::Look { mut readings } = look(Verdict::Pass) else {
            panic!("a look");
        };
        readings.push(Reading {
            gate: "muted".into(),
            ..failing()
        });
        let now = now_for(&state);
        if state.baking().is_some() {
            tell(&mut state, now, Input::Look { readings });
        }
    }
    assert_eq!(state.passed_gates, ["errors"]);
}

#[test]
fn a_gate_is_not_judged_before_its_initial_delay_and_time_goes_on() {
    let mut state = baking(|bake| {
        bake.needed_ms = 4000;
        bake.gates[0].delay_ms = 2000;
    });
    see(&mut state, (0..3).map(|_| failing()));
    let bake = state.bake.as_ref().expect("it still bakes");
    assert_eq!((bake.observed_ms, bake.gates[0].failures), (2000, 0));
    see(&mut state, [failing()]);
    assert!(state.baking().is_none());
}

#[test]
fn counts_of_both_arms_are_added_up_where_the_time_was_observed_and_survive_another_driver() {
    let arms = |bad, total| {
        Some(Arms {
            baking: Counted { bad, total },
            others: Counted {
                bad: 0,
                total: 3 * total,
            },
        })
    };
    let mut state = baking(|bake| bake.needed_ms = 100_000);
    let counting = |bad, total| Reading {
        arms: arms(bad, total),
        ..passing()
    };
    let unseen = Reading {
        unseen: true,
        ..counting(50, 500)
    };
    // Nothing lies behind the first look; one saw only a part of its time.
    see(
        &mut state,
        [counting(9, 90), counting(1, 100), unseen, counting(2, 100)],
    );
    tell(&mut state, 0, Input::TakeOver { by: BY.into() });
    see(&mut state, [counting(9, 90), counting(1, 100)]);
    let bake = state.bake.as_ref().expect("it still bakes");
    assert_eq!(bake.observed_ms, 3000);
    let totals = bake.gates[0].totals;
    assert_eq!(totals.arms, arms(4, 300).expect("arms"));
    // A quarter of the traffic, so a quarter of the bad requests.
    assert_eq!(totals.expected_micro, 1_000_000);
    // Three looks of 100 against 300.
    assert_eq!(totals.weight_milli, 225_000);
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

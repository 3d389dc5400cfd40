//! The machine, exhaustively: every state that can be reached with a small plan, against every
//! input and every event.

mod driven;

use std::collections::{BTreeMap, BTreeSet, HashSet, VecDeque};

use dbctl::check::Verdict;
use dbctl::contract::KitSeal;
use dbctl::rollout::machine::{
    Answer, Bake, BakeOutline, Class, Decision, Event, Found, GateCount, GateOutline, Harm, Input,
    Outcome, Outline, Part, Progress, Reading, Refusal, State, Status, StepOutline, StepRef,
    decide,
};
use proptest::prelude::*;

pub const PLAN: &str = "the plan";
pub const NEXT_PLAN: &str = "the next plan";
const BY: &str = "me";

fn step(id: &str, phase: usize, class: Class, flips: bool) -> StepOutline {
    StepOutline {
        id: id.into(),
        phase,
        class,
        flips,
        repeatable: true,
        undoes: None,
        approvals: 1,
        digest: id.into(),
    }
}

/// The same steps under another plan; what was not begun is done in another way.
pub fn next_plan(state: &State) -> Input {
    let mut outline = state.outline.clone();
    outline.plan = NEXT_PLAN.into();
    for (step, done) in outline.forward.iter_mut().zip(&state.forward) {
        if done.attempts == 0 {
            step.digest = "another way".into();
        }
    }
    Input::Replan {
        by: BY.into(),
        outline,
        plan: "{}".into(),
    }
}

fn bake() -> Class {
    Class::Bake(BakeOutline {
        needed_ms: 1000,
        extend_ms: 0,
        longest_gap_ms: 1500,
        gates: vec![GateOutline {
            id: "errors".into(),
            delay_ms: 0,
            failure_limit: Some(0),
            failures_of_last: None,
            error_limit: 1,
            inconclusive_limit: 1,
            rolls_back: true,
            compared: true,
            muted: false,
        }],
    })
}

fn plan(forward: Vec<StepOutline>, rollback: Vec<StepOutline>) -> Outline {
    Outline {
        plan: PLAN.into(),
        phases: vec!["staging".into(), "production".into()],
        forward,
        rollback,
        afterwards: vec![step("export-logs", 0, Class::Ask, false)],
    }
}

/// One step of each class, two phases, a rollback with an undo, and something afterwards.
fn outline() -> Outline {
    let mut deploy = step("deploy", 0, Class::Effect, false);
    deploy.repeatable = false;
    let mut ask = step("ask", 0, Class::Ask, false);
    ask.approvals = 2;
    let mut undo = step("undo-deploy", 0, Class::Effect, false);
    undo.repeatable = false;
    undo.undoes = Some(0);
    plan(
        vec![
            deploy,
            ask,
            step("flip", 1, Class::Effect, true),
            step("bake", 1, bake(), false),
            step("smoke", 1, Class::Check, false),
        ],
        vec![
            step("toggles", 0, Class::Effect, false),
            step("rows-kept", 0, Class::Check, false),
            undo,
        ],
    )
}

/// Smaller plans that together hold every class and part: small enough to be explored wholly.
pub fn small_outlines() -> Vec<Outline> {
    let whole = outline();
    let pick = |steps: &[StepOutline], ids: &[&str]| -> Vec<StepOutline> {
        ids.iter()
            .map(|id| {
                steps
                    .iter()
                    .find(|s| s.id == *id)
                    .expect("it exists")
                    .clone()
            })
            .collect()
    };
    let mut plans = Vec::new();
    let small: [(&[&str], &[&str]); 6] = [
        (&["flip"], &["toggles"]),
        (&["ask"], &["toggles"]),
        (&["flip", "ask"], &["toggles"]),
        (&["flip", "bake"], &["toggles"]),
        (&["flip", "smoke"], &["rows-kept"]),
        (&["deploy", "flip"], &["undo-deploy"]),
    ];
    for (forward, rollback) in small {
        plans.push(plan(
            pick(&whole.forward, forward),
            pick(&whole.rollback, rollback),
        ));
    }
    plans
}

fn started() -> Event {
    starting(outline())
}

pub fn starting(outline: Outline) -> Event {
    Event::Started {
        by: BY.into(),
        outline,
        plan: "{}".into(),
    }
}

/// Every input that could reach a run in this state, late and wrong ones included.
fn inputs(state: &State) -> Vec<Input> {
    let by = || BY.to_owned();
    let why = || "because".to_owned();
    let mut inputs = vec![
        Input::Tick,
        Input::TakeOver { by: by() },
        Input::Waive { by: by() },
        Input::Pause {
            by: by(),
            why: why(),
        },
        Input::Resume { by: by() },
        Input::Abort {
            by: by(),
            why: why(),
        },
        Input::Rollback {
            by: by(),
            why: why(),
        },
        Input::Approve {
            phase: 0,
            plan: "another".into(),
            by: by(),
        },
    ];
    for phase in 0..2 {
        for plan in [PLAN, NEXT_PLAN] {
            inputs.push(Input::Approve {
                phase,
                plan: plan.into(),
                by: by(),
            });
        }
    }
    // Another plan at every moment would square the number of states; the model has it everywhere.
    if state.forward.iter().filter(|s| s.attempts > 0).count() <= 1 {
        inputs.push(next_plan(state));
    }
    for rolls_back in [true, false] {
        inputs.push(Input::Trigger {
            id: "auth".into(),
            why: why(),
            rolls_back,
            evidence: serde_json::Value::Null,
        });
    }
    inputs.extend(Verdict::ALL.map(look));
    inputs.push(undecided());
    for at in all_steps(state) {
        for (yes, by) in [(true, BY), (true, "you"), (false, BY)] {
            inputs.push(Input::Answer {
                step: at,
                said: answer(yes),
                by: by.into(),
            });
        }
        for done in [true, false] {
            inputs.push(Input::Resolve {
                step: at,
                done,
                by: by(),
                why: why(),
            });
        }
        let attempts = state.step(at).expect("it exists").attempts;
        for attempt in [attempts.saturating_sub(1), attempts] {
            for outcome in [
                Outcome::Succeeded,
                Outcome::Failed(why()),
                Outcome::Inconclusive(why()),
                Outcome::Unknown(why()),
            ] {
                inputs.push(Input::Ended {
                    step: at,
                    attempt,
                    outcome,
                    evidence: serde_json::Value::Null,
                });
            }
            for found in [Found::Done, Found::NotDone, Found::Unknown] {
                inputs.push(Input::Probed {
                    step: at,
                    attempt,
                    found,
                    why: why(),
                });
            }
        }
    }
    inputs
}

pub fn answer(yes: bool) -> Answer {
    match yes {
        true => Answer::Yes,
        false => Answer::No {
            why: "because".into(),
        },
    }
}

/// The gate of a bake was looked at. A pass says that it was shown, which counts only at the end.
pub fn look(verdict: Verdict) -> Input {
    looked(Reading {
        shown: (verdict == Verdict::Pass).then_some(true),
        ..reading(verdict)
    })
}

/// The end of the bake came, and the traffic was too little to be certain.
pub fn undecided() -> Input {
    looked(Reading {
        warming: true,
        sound: true,
        shown: Some(false),
        ..reading(Verdict::Inconclusive)
    })
}

pub fn looked(reading: Reading) -> Input {
    Input::Look {
        readings: vec![reading],
    }
}

pub fn reading(verdict: Verdict) -> Reading {
    Reading {
        gate: "errors".into(),
        verdict,
        warming: false,
        sound: false,
        unseen: false,
        harm: Harm::Counted,
        arms: None,
        shown: None,
        why: "seen".into(),
        evidence: serde_json::Value::Null,
    }
}

fn all_steps(state: &State) -> Vec<StepRef> {
    [Part::Forward, Part::Rollback, Part::Afterwards]
        .into_iter()
        .flat_map(|part| (0..state.steps(part).len()).map(move |i| StepRef::new(part, i)))
        .collect()
}

/// What is told at any moment and moves no run; of a kit only its seal is remembered. As inputs
/// they would only multiply the states.
fn asides() -> [Event; 3] {
    let seal = KitSeal {
        place: "here".into(),
        kit: "kit".into(),
        serial: 1,
        hash: "00".into(),
    };
    [
        Event::KitRefreshed {
            env: "production".into(),
            seal,
        },
        Event::Logged {
            of: 1,
            logs: Vec::new(),
        },
        Event::Note {
            by: BY.into(),
            text: "seen".into(),
        },
    ]
}

pub fn now_for(state: &State) -> u64 {
    1000 + state.bake.as_ref().and_then(|b| b.last_at_ms).unwrap_or(0)
}

/// The bounds of the exploration: one attempt of each step, two of the checks (they are done
/// again after a crash), three on the way back (when a run is stuck), and a bake of two looks.
fn is_small(state: &State) -> bool {
    let limit = |at: StepRef| match (at.part, &state.outline.step(at).expect("it exists").class) {
        (Part::Rollback, Class::Effect) => 3,
        (Part::Forward, Class::Check) => 2,
        (Part::Forward | Part::Rollback | Part::Afterwards, _) => 1,
    };
    all_steps(state)
        .into_iter()
        .all(|at| state.step(at).expect("it exists").attempts <= limit(at))
        && state
            .bake
            .as_ref()
            .is_none_or(|b| is_short(b, 2) && b.last_at_ms.unwrap_or(0) <= 2000)
}

/// A bake of so many looks at most.
pub fn is_short(bake: &Bake, most: u32) -> bool {
    let looks = |g: &GateCount| g.passes + g.failures + g.unjudged_in_a_row + g.errors_in_a_row;
    bake.observed_ms <= 1000 * u64::from(most) && bake.gates.iter().all(|g| looks(g) <= most)
}

/// All states that are reached from the start within the bounds.
fn reachable() -> HashSet<State> {
    let starts = small_outlines()
        .into_iter()
        .map(|o| State::start(&starting(o)).expect("a run starts"));
    let mut queue: VecDeque<State> = starts.collect();
    let mut seen: HashSet<State> = queue.iter().cloned().collect();
    while let Some(state) = queue.pop_front() {
        for input in inputs(&state) {
            let Ok(decision) = decide(&state, now_for(&state), input.clone()) else {
                continue;
            };
            let mut next = state.clone();
            for event in &decision.events {
                next.apply(event).unwrap_or_else(|e| {
                    panic!("decided an illegal event: {e}\n{input:?}\n{event:?}\n{state:#?}")
                });
                // A crash may fall between two events of one decision.
                if is_small(&next) && !seen.contains(&next) {
                    seen.insert(next.clone());
                    queue.push_back(next.clone());
                }
            }
        }
    }
    seen
}

fn name(status: &Status) -> &'static str {
    match status {
        Status::Running => "running",
        Status::AwaitingApproval { .. } => "awaiting-approval",
        Status::AwaitingAnswer { .. } => "awaiting-answer",
        Status::Paused { .. } => "paused",
        Status::RollingBack => "rolling-back",
        Status::RolledBack => "rolled-back",
        Status::Stuck { .. } => "stuck",
        Status::Completed => "completed",
        Status::Aborted => "aborted",
    }
}

#[test]
fn every_reachable_state_keeps_the_promises_whatever_comes_in() {
    let states = reachable();
    let mut statuses = BTreeSet::new();
    for state in &states {
        statuses.insert(name(&state.status));
        for input in inputs(state) {
            let Ok(decision) = decide(state, now_for(state), input.clone()) else {
                continue;
            };
            promises_hold(state, &input, &decision);
        }
        // P7: wherever something was switched, a rollback is one input away.
        let rollback = decide(
            state,
            0,
            Input::Rollback {
                by: BY.into(),
                why: String::new(),
            },
        );
        let refused = match state.status {
            Status::RollingBack => Some(Refusal::AlreadyRollingBack),
            Status::RolledBack => Some(Refusal::AlreadyRolledBack),
            _ if !state.flipped => Some(Refusal::NothingToRollBack),
            _ => None,
        };
        assert_eq!(rollback.err(), refused, "{state:#?}");
    }
    assert_eq!(
        statuses.len(),
        9,
        "some status is never reached: {statuses:?}"
    );
    eprintln!("{} states", states.len());
    assert!(states.len() > 1000, "only {} states", states.len());
}

fn promises_hold(state: &State, input: &Input, decision: &Decision) {
    let back = matches!(
        state.status,
        Status::RollingBack | Status::RolledBack | Status::Stuck { .. }
    );
    for event in &decision.events {
        if let Event::Intended { step, .. } = event {
            assert!(
                !(back && step.part == Part::Forward),
                "a forward effect after a rollback began: {input:?}\n{state:#?}"
            );
            if step.part == Part::Forward {
                let phase = state.outline.forward[step.index].phase;
                assert!(
                    state.approved[phase].is_some(),
                    "an effect without an approval"
                );
            }
            assert!(
                state.step(*step).expect("it exists").progress != Progress::InDoubt,
                "a step in doubt was repeated without a probe: {state:#?}"
            );
        }
        if let Event::Completed = event {
            assert!(state.forward.iter().all(|s| s.progress == Progress::Done));
        }
        if let Event::Succeeded { step, .. } = event
            && state
                .bake
                .as_ref()
                .is_some_and(|b| StepRef::new(Part::Forward, b.step) == *step)
        {
            let Input::Look { readings } = input else {
                panic!("a bake passed without a look: {input:?}");
            };
            assert_eq!(readings[0].verdict, Verdict::Pass, "P6");
            assert_eq!(readings[0].shown, Some(true), "P6");
        }
    }
    if let Some(effect) = &decision.effect {
        use dbctl::rollout::machine::Effect;
        if let Effect::Run { step, attempt } = effect {
            let intent = Event::Intended {
                step: *step,
                attempt: *attempt,
            };
            assert!(
                decision.events.contains(&intent),
                "an effect without its intent (P5)"
            );
        }
    }
}

#[test]
fn an_event_that_may_not_follow_changes_nothing_and_the_table_of_legal_pairs_is_as_reviewed() {
    let states = reachable();
    let mut legal: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    let mut events = BTreeMap::new();
    for state in &states {
        for input in inputs(state) {
            if let Ok(decision) = decide(state, now_for(state), input) {
                for event in decision.events {
                    let text = serde_json::to_string(&event).expect("an event is plain data");
                    events.insert(text, event);
                }
            }
        }
    }
    let start = started();
    let asides = asides();
    for state in &states {
        for event in events.values().chain([&start]).chain(&asides) {
            let mut after = state.clone();
            match after.apply(event) {
                Ok(()) => {
                    if asides.contains(event) {
                        after.kits.clone_from(&state.kits);
                        assert_eq!(&after, state, "{event:?} moved the run");
                    }
                    legal
                        .entry(name(&state.status))
                        .or_default()
                        .insert(event.name());
                }
                Err(_) => assert_eq!(&after, state, "{event:?} was refused and changed the state"),
            }
        }
    }
    let table: Vec<String> = legal
        .iter()
        .map(|(status, events)| {
            let events: Vec<&str> = events.iter().copied().collect();
            format!("{status}: {}", events.join(", "))
        })
        .collect();
    insta::assert_snapshot!(table.join("\n"));
}

/// Walks a run with arbitrary inputs and returns what a journal would hold.
fn walk(choices: &[usize]) -> (Vec<Event>, Vec<State>) {
    let first = started();
    let mut state = State::start(&first).expect("a run starts");
    let mut events = vec![first];
    let mut states = vec![state.clone()];
    for choice in choices {
        let inputs = inputs(&state);
        // A tick every other time, so that runs get somewhere.
        let input = if choice % 2 == 0 {
            Input::Tick
        } else {
            inputs[choice / 2 % inputs.len()].clone()
        };
        if let Ok(decision) = decide(&state, now_for(&state), input) {
            for event in decision.events {
                state.apply(&event).expect("what is decided is legal");
                events.push(event);
                states.push(state.clone());
            }
        }
    }
    (events, states)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn replaying_any_prefix_of_a_journal_gives_the_state_that_the_live_run_had_there(
        choices in proptest::collection::vec(0usize..2000, 1..150)
    ) {
        let (events, states) = walk(&choices);
        for (n, live) in states.iter().enumerate() {
            // Through JSON, as the journal does it.
            let text: Vec<String> = events[..=n]
                .iter()
                .map(|e| serde_json::to_string(e).expect("an event is plain data"))
                .collect();
            let read: Vec<Event> = text
                .iter()
                .map(|t| serde_json::from_str(t).expect("it reads back"))
                .collect();
            prop_assert_eq!(&State::replay(&read).expect("it replays"), live);
        }
    }
}

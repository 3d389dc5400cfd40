//! The people around a rollout.

use dbctl::rollout::machine::{Class, Input, Outcome, State, Status};

use super::world::Ending;
use crate::machine::{NEXT_PLAN, PLAN, answer, next_plan};

/// What people and triggers may say, whether it is heard or not.
pub fn words(state: &State) -> Vec<Input> {
    let by = || "somebody".to_owned();
    let why = || "because".to_owned();
    let mut words = vec![
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
    ];
    if let Status::AwaitingApproval { phase } = state.status {
        for plan in [PLAN, NEXT_PLAN] {
            words.push(Input::Approve {
                phase,
                plan: plan.into(),
                by: by(),
            });
        }
    }
    if state.triggers_armed() {
        for rolls_back in [true, false] {
            words.push(Input::Trigger {
                id: "auth".into(),
                why: why(),
                rolls_back,
                evidence: serde_json::Value::Null,
            });
        }
    }
    if let Some(step) = state.in_flight()
        && state
            .outline
            .step(step)
            .is_some_and(|s| s.class == Class::Ask)
    {
        for (yes, by) in [(true, by()), (true, "another".into()), (false, by())] {
            let said = answer(yes);
            words.push(Input::Answer { step, said, by });
        }
    }
    words.push(next_plan(state));
    words
}

/// What a driver hears of an effect that ended so.
pub fn outcome(ending: Ending) -> Outcome {
    match ending {
        Ending::Well => Outcome::Succeeded,
        Ending::Badly => Outcome::Failed(String::new()),
        Ending::Unjudged => Outcome::Inconclusive(String::new()),
        Ending::Unknown => Outcome::Unknown(String::new()),
    }
}

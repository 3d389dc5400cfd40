//! What must hold in every state, and what must be reached for that to mean anything.

use dbctl::rollout::machine::{Input, PausedBy, Status};
use stateright::Property;

use super::world::{Broken, Rollout, System};

pub fn all() -> Vec<Property<Rollout>> {
    vec![
        Property::always("P4 one driver writes", |_, s: &System| {
            s.broken != Some(Broken::StaleWrite)
        }),
        Property::always("P5 no effect happens twice", |m: &Rollout, s: &System| {
            let steps = m.outline.forward.iter().zip(&s.happened);
            steps
                .into_iter()
                .all(|(step, n)| step.repeatable || *n <= 1)
        }),
        Property::always("P5 intent is on disk before an effect", |_, s: &System| {
            s.broken != Some(Broken::NoIntent)
        }),
        Property::always("P6 no gate passes unseen", |_, s: &System| {
            s.broken != Some(Broken::PassedUnseen)
        }),
        Property::always(
            "P7 a rollback is one word away",
            |m: &Rollout, s: &System| {
                let why = || "now".to_owned();
                s.driving().all(|d| {
                    let asked = Input::Rollback {
                        by: why(),
                        why: why(),
                    };
                    let done = matches!(d.state.status, Status::RollingBack | Status::RolledBack);
                    done || !d.state.flipped || m.decide(&d.state, &asked).is_some()
                })
            },
        ),
        Property::always(
            "P8 the journal gives the driver's state",
            |_, s: &System| s.driving().all(|d| d.state == s.journal),
        ),
        Property::always("no forward effect in a rollback", |_, s: &System| {
            s.broken != Some(Broken::ForwardInRollback)
        }),
        Property::always("an approval is for this plan", |_, s: &System| {
            s.broken != Some(Broken::OtherPlan)
        }),
        Property::always("two approvals are of two people", |_, s: &System| {
            s.broken != Some(Broken::OnePerson)
        }),
        Property::always(
            "a run goes on, ends or is visibly stuck",
            |m: &Rollout, s: &System| {
                s.driving().all(|d| {
                    let moves = matches!(d.state.status, Status::Running | Status::RollingBack);
                    let next = m.decide(&d.state, &Input::Tick);
                    let next = next.is_some_and(|n| !n.events.is_empty() || n.effect.is_some());
                    !moves || d.running.is_some() || d.state.baking().is_some() || next
                })
            },
        ),
        // Nothing above would be worth much if these could not be reached.
        Property::sometimes("completed", |_, s: &System| {
            s.journal.status == Status::Completed
        }),
        Property::sometimes("rolled back", |_, s: &System| {
            s.journal.status == Status::RolledBack
        }),
        Property::sometimes("stuck", |_, s: &System| {
            matches!(s.journal.status, Status::Stuck { .. })
        }),
        Property::sometimes("paused in doubt", |_, s: &System| {
            s.journal.status
                == (Status::Paused {
                    by: PausedBy::Doubt,
                })
        }),
    ]
}

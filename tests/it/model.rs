//! The machine among its surroundings, checked with stateright: docs/model.md says what is
//! explored, what is assumed and what is not proven.

mod people;
mod properties;
mod world;

use dbctl::rollout::machine::Outline;
use stateright::{Checker as _, HasDiscoveries, Model as _};

use crate::machine::small_outlines;
use world::{Bounds, Defect, Rollout};

/// A single step leaves room for more that people may say: a plan is accepted and approved anew,
/// and a second person agrees.
fn bounds(outline: &Outline) -> Bounds {
    Bounds {
        drivings: 2,
        words: if outline.forward.len() == 1 { 3 } else { 2 },
        attempts: 2,
        looks: 2,
    }
}

/// The properties that must hold everywhere, by the names that docs/model.md has.
const ALWAYS: [&str; 10] = [
    "P4 one driver writes",
    "P5 no effect happens twice",
    "P5 intent is on disk before an effect",
    "P6 no gate passes unseen",
    "P7 a rollback is one word away",
    "P8 the journal gives the driver's state",
    "no forward effect in a rollback",
    "an approval is for this plan",
    "two approvals are of two people",
    "a run goes on, ends or is visibly stuck",
];

#[test]
fn two_operators_crashes_and_faults_break_no_promise() {
    let mut reached = std::collections::BTreeSet::new();
    for outline in small_outlines() {
        let steps: Vec<&str> = outline.forward.iter().map(|s| s.id.as_str()).collect();
        let steps = steps.join(", ");
        let model = Rollout {
            bounds: bounds(&outline),
            outline,
            defect: None,
        };
        let checked = model.checker().threads(2).spawn_bfs().join();
        for name in ALWAYS {
            if let Some(path) = checked.discovery(name) {
                panic!("{steps}: {name}\n{:#?}", path.into_actions());
            }
        }
        reached.extend(checked.discoveries().into_keys());
        eprintln!("{steps}: {} states", checked.unique_state_count());
    }
    let endings = ["completed", "paused in doubt", "rolled back", "stuck"];
    assert_eq!(Vec::from_iter(reached), endings);
}

#[test]
fn each_property_is_able_to_fail() {
    // Each with a plan in which it shows.
    let seeded: [(Defect, &str, &[&str]); 13] = [
        (Defect::StoreIgnoresTheToken, ALWAYS[0], &["ask"]),
        (Defect::ProbeDoesNotWait, ALWAYS[1], &["deploy", "flip"]),
        (Defect::DoubtIsForgotten, ALWAYS[1], &["deploy", "flip"]),
        (Defect::EffectBeforeIntent, ALWAYS[2], &["flip"]),
        (Defect::NoDataPasses, ALWAYS[3], &["flip", "bake"]),
        (Defect::ATimerDecides, ALWAYS[3], &["flip", "bake"]),
        (Defect::PausedIsDeaf, ALWAYS[4], &["flip"]),
        (Defect::UnrecordedChange, ALWAYS[5], &["ask"]),
        (Defect::EffectSurvivesRollback, ALWAYS[6], &["flip"]),
        (Defect::AnyPlanWillDo, ALWAYS[7], &["ask"]),
        (Defect::ApprovalsOutliveTheirPlan, ALWAYS[7], &["flip"]),
        (Defect::OneMayAgreeTwice, ALWAYS[8], &["ask"]),
        (Defect::StuckInSilence, ALWAYS[9], &["flip"]),
    ];
    for name in ALWAYS {
        assert!(
            seeded.iter().any(|(_, n, _)| *n == name),
            "no defect for {name}"
        );
    }
    for (defect, name, steps) in seeded {
        let ids = |o: &Outline| -> Vec<String> { o.forward.iter().map(|s| s.id.clone()).collect() };
        let outline = small_outlines().into_iter().find(|o| ids(o) == steps);
        let outline = outline.expect("a small plan");
        let model = Rollout {
            bounds: bounds(&outline),
            outline,
            defect: Some(defect),
        };
        let until = HasDiscoveries::AnyOf([name].into());
        let checker = model.checker().threads(2).finish_when(until);
        let found = checker.spawn_bfs().join().discovery(name).is_some();
        assert!(found, "{defect:?} is not found by: {name}");
    }
}

//! What becomes of a real rollout when whoever drives it is killed, and when what it needs is
//! gone: real processes, a real Postgres, honest traffic all the while.

use std::collections::BTreeSet;

use chain::{Goal, Place, chain};
use scene::Scene;

mod chain;
mod promises;
mod random;
mod runbook;
mod scene;

/// Kills at every place of a run, and once more at those that went by too quickly.
fn killed_everywhere(runbook: &str, goal: Goal) {
    let mut only: Option<BTreeSet<Place>> = None;
    for _ in 0..4 {
        let scene = Scene::set(runbook);
        let traffic = scene.traffic();
        let told = chain(&scene, goal, only.as_ref());
        for kill in &told.kills {
            println!("killed at {kill}");
        }
        let broken = promises::broken(&scene, traffic, &told.last);
        assert!(
            broken.is_empty(),
            "run {}: {broken:#?}\n{}",
            told.run,
            told.last.1
        );
        if told.missed.is_empty() {
            return;
        }
        println!("went by too quickly: {:?}", told.missed);
        only = Some(told.missed);
    }
    panic!("some places were never hit: {only:#?}");
}

#[test]
fn killed_at_every_event_on_the_way_forward_a_run_completes_and_no_effect_happens_twice() {
    killed_everywhere(runbook::SHORT, Goal::Forward);
}

#[test]
fn killed_at_every_event_on_the_way_back_a_run_is_rolled_back_and_no_effect_happens_twice() {
    killed_everywhere(runbook::SHORT, Goal::Back);
}

/// A number from the environment: `DBCTL_FAULT_KILLS=200 tests/run --profile faults faults`.
fn asked_for(name: &str, otherwise: u64) -> u64 {
    let value = std::env::var(name).ok().filter(|v| !v.is_empty());
    value.map_or(otherwise, |v| v.parse().expect("a number"))
}

#[test]
fn killed_at_random_moments_of_the_whole_runbook_no_promise_is_broken() {
    let kills = asked_for("DBCTL_FAULT_KILLS", 5);
    let seed = asked_for("DBCTL_FAULT_SEED", rand::random::<u32>().into());
    println!("DBCTL_FAULT_KILLS={kills} DBCTL_FAULT_SEED={seed}");
    let kills = usize::try_from(kills).expect("not that many");
    let table = random::kills(&runbook::whole(), kills, seed);
    println!("\n{table}");
    assert!(table.broken.is_empty(), "{:#?}", table.broken);
}

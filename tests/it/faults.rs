//! What becomes of a real rollout when whoever drives it is killed, and when what it needs is
//! gone: real processes, a real Postgres, honest traffic all the while.

use std::collections::BTreeSet;

use chain::{Goal, Place, chain};
use gone::{What, When};
use scene::{JournalIn, Scene};

mod chain;
mod full;
mod gone;
mod promises;
mod proxy;
mod random;
mod runbook;
mod scene;

/// Kills at every place of a run, and once more at those that went by too quickly.
fn killed_everywhere(runbook: &str, journal: JournalIn, goal: Goal) {
    let mut only: Option<BTreeSet<Place>> = None;
    for _ in 0..4 {
        let scene = Scene::with_journal_in(journal, runbook);
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
    killed_everywhere(runbook::SHORT, JournalIn::File, Goal::Forward);
}

#[test]
fn killed_at_every_event_on_the_way_back_a_run_is_rolled_back_and_no_effect_happens_twice() {
    killed_everywhere(runbook::SHORT, JournalIn::File, Goal::Back);
}

#[test]
fn with_the_journal_in_postgres_a_run_is_killed_at_every_event_forward_and_completes() {
    killed_everywhere(runbook::SHORT, JournalIn::Postgres, Goal::Forward);
}

#[test]
fn with_the_journal_in_postgres_a_run_is_killed_at_every_event_back_and_is_rolled_back() {
    killed_everywhere(runbook::SHORT, JournalIn::Postgres, Goal::Back);
}

/// Takes something away at each time; what it came to is printed, and no promise may be broken.
fn gone(what: What, at: &[When]) {
    for &when in at {
        let told = gone::run(what, when);
        println!(
            "{what:?} gone in {when:?}: {}, in the end {}",
            told.then, told.end
        );
        assert!(
            told.broken.is_empty(),
            "{what:?} in {when:?}: {:#?}",
            told.broken
        );
    }
}

#[test]
fn with_postgres_the_metrics_or_both_gone_in_staging_a_run_pauses_and_goes_on_or_back() {
    gone(What::Postgres, &[When::Staging, When::Rehearsal]);
    // A rehearsal looks at no metrics.
    gone(What::Metrics, &[When::Staging]);
    gone(What::Both, &[When::Staging, When::Rehearsal]);
}

#[test]
fn with_postgres_gone_in_any_phase_of_production_a_run_pauses_or_goes_back_and_goes_on_later() {
    gone(What::Postgres, &When::IN_PRODUCTION);
}

#[test]
fn with_the_metrics_gone_in_any_phase_of_production_no_bake_passes() {
    gone(What::Metrics, &When::IN_PRODUCTION);
}

#[test]
fn with_postgres_and_the_metrics_gone_in_any_phase_of_production_a_rollback_works() {
    gone(What::Both, &When::IN_PRODUCTION);
}

#[test]
fn one_target_that_cannot_be_set_back_does_not_keep_the_others_switched_or_fenced() {
    let scene = Scene::set(runbook::SHORT);
    let _traffic = scene.traffic();
    let on = scene.rollout(&["run", "--confirm", "production"]);
    assert_eq!(on.code, 10, "it wants another approval: {}", on.stderr);
    let on = scene.rollout(&["run", "--confirm", "production"]);
    assert_eq!(on.code, 0, "{}", on.stderr);
    // A disk that broke: what must be there at its start cannot be placed.
    let state = scene.path().join("auth-2/state");
    let aside = scene.path().join("auth-2/aside");
    std::fs::rename(&state, &aside).expect("moved");
    std::fs::write(&state, "").expect("written");

    let stuck = scene.rollout(&["rollback"]);
    assert_eq!(stuck.code, 14, "{}", stuck.stderr);
    assert!(stuck.stderr.contains("auth-2"), "{}", stuck.stderr);
    for (name, runs_in) in [
        ("auth-1", "memory"),
        ("auth-2", "postgres"),
        ("auth-3", "memory"),
    ] {
        let health = scene.health(name);
        assert_eq!(
            health["modes"]["SECURITY_RUNTIME_MODE"], runs_in,
            "{name}: {health}"
        );
        assert_eq!(health["fenced"], false, "{name}: {health}");
    }
    for name in ["auth-1", "auth-3"] {
        let restarts = scene.restarts()[name];
        let forward = if name == "auth-1" { 2 } else { 1 };
        assert_eq!(restarts, forward + 1, "{name}: not again at every attempt");
    }

    std::fs::remove_file(&state).expect("removed");
    std::fs::rename(&aside, &state).expect("moved");
    let back = scene.rollout(&["rollback"]);
    assert_eq!(back.code, 13, "{}", back.stderr);
    for name in ["auth-1", "auth-2", "auth-3"] {
        let health = scene.health(name);
        assert_eq!(
            health["modes"]["SECURITY_RUNTIME_MODE"], "memory",
            "{name}: {health}"
        );
        assert_eq!(health["fenced"], false, "{name}: {health}");
    }
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

//! A driver that was overtaken reaches no target any more.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use dbctl::carry::driver::Driver;
use dbctl::carry::over::Fleet;
use dbctl::error::{Exit, Result};
use dbctl::runtime::toggles::{Mode, Modes, Toggle};
use dbctl::settings::Environment;
use dbctl::toggle::{self, FileSays};

/// A target whose files lie here; its service is not asked.
fn target() -> (tempfile::TempDir, Environment) {
    let dir = tempfile::tempdir().expect("a folder");
    std::fs::write(dir.path().join("service.env"), "").expect("an env file");
    let settings = "[environments.production]\n\n[[environments.production.targets]]\n\
        name = \"one\"\nurl = \"http://127.0.0.1:9\"\nenv_file = \"service.env\"\n\
        state_dir = \"state\"\nrestart = [\"true\"]\n";
    let file = dir.path().join("dbctl.toml");
    std::fs::write(&file, settings).expect("settings");
    let settings = crate::checkpoints::settings(&file);
    let env = settings
        .environment(Some("production"))
        .expect("it is there");
    (dir, env.clone())
}

fn driver(run: &str, token: u64) -> Driver {
    Driver {
        run: run.into(),
        token,
        holder: format!("kim@host:{token}"),
    }
}

async fn set(env: &Environment, driver: Driver, modes: Modes) -> Result<FileSays> {
    let fleet = Fleet::everyone(env).expect("a fleet");
    let fleet = fleet.driven_by(Some(&Arc::new(driver)));
    let toggles: BTreeMap<Toggle, Mode> =
        Toggle::ALL.into_iter().map(|t| (t, modes.get(t))).collect();
    let mut done = toggle::set_all(&fleet, &toggles, None, &|_| {}).await;
    done.remove(0).1
}

fn modes(env: &Environment) -> Modes {
    toggle::read(&env.targets[0]).expect("it reads").modes
}

fn state_dir(env: &Environment) -> PathBuf {
    env.targets[0].state_dir.clone()
}

#[tokio::test]
async fn whoever_was_overtaken_changes_nothing_and_learns_by_whom() {
    let (_dir, env) = target();
    set(&env, driver("7f3c1a", 1), Modes::POSTGRES)
        .await
        .expect("it drives");
    driver("7f3c1a", 2)
        .take(&state_dir(&env))
        .expect("it takes over");
    for late in [Modes::LOCAL, Modes::POSTGRES] {
        let refused = set(&env, driver("7f3c1a", 1), late).await;
        let problem = refused.expect_err("it was overtaken");
        assert_eq!(problem.exit(), Exit::LeaseHeld);
        assert!(problem.to_string().contains("kim@host:2"), "{problem}");
        assert_eq!(modes(&env), Modes::POSTGRES);
    }
    set(&env, driver("7f3c1a", 2), Modes::LOCAL)
        .await
        .expect("it drives now");
    assert_eq!(modes(&env), Modes::LOCAL);
    let early = driver("7f3c1a", 1).take(&state_dir(&env));
    early.expect_err("a token never goes down");
}

#[tokio::test]
async fn a_run_that_another_one_followed_may_still_go_back_but_not_forward() {
    let (_dir, env) = target();
    set(&env, driver("7f3c1a", 4), Modes::POSTGRES)
        .await
        .expect("it drives");
    driver("0b0b0b", 1)
        .take(&state_dir(&env))
        .expect("another run begins");
    let refused = set(&env, driver("7f3c1a", 4), Modes::POSTGRES).await;
    let problem = refused.expect_err("another run has the target");
    assert!(problem.to_string().contains("0b0b0b"), "{problem}");
    set(&env, driver("7f3c1a", 4), Modes::LOCAL)
        .await
        .expect("a rollback waits for nobody");
    assert_eq!(modes(&env), Modes::LOCAL);
}

#[tokio::test]
async fn a_driver_stopped_with_the_lock_in_its_hands_holds_up_no_rollback() {
    let (_dir, env) = target();
    driver("7f3c1a", 1)
        .take(&state_dir(&env))
        .expect("it drives");
    let held = std::fs::File::open(state_dir(&env).join("driver.json")).expect("the file");
    held.lock().expect("somebody holds it");
    let refused = set(&env, driver("7f3c1a", 2), Modes::POSTGRES).await;
    assert_eq!(
        refused.expect_err("not while it is held").exit(),
        Exit::LeaseHeld
    );
    assert_eq!(modes(&env), Modes::LOCAL);
    drop(held);
    set(&env, driver("7f3c1a", 2), Modes::POSTGRES)
        .await
        .expect("it is free");
    let held = std::fs::File::open(state_dir(&env).join("driver.json")).expect("the file");
    held.lock().expect("somebody holds it");
    set(&env, driver("7f3c1a", 2), Modes::LOCAL)
        .await
        .expect("going back");
    assert_eq!(modes(&env), Modes::LOCAL);
}

#[tokio::test]
async fn what_no_driver_wrote_stops_nobody_and_a_hand_needs_no_token() {
    let (_dir, env) = target();
    std::fs::create_dir_all(state_dir(&env)).expect("a folder");
    std::fs::write(state_dir(&env).join("driver.json"), "{\"run\": 7").expect("written");
    set(&env, driver("7f3c1a", 1), Modes::POSTGRES)
        .await
        .expect("it drives");
    let fleet = Fleet::everyone(&env).expect("a fleet");
    let local = Toggle::ALL.into_iter().map(|t| (t, t.local())).collect();
    let done = toggle::set_all(&fleet, &local, None, &|_| {}).await;
    done.into_iter().for_each(|(name, said)| {
        said.unwrap_or_else(|p| panic!("{name}: {p}"));
    });
    assert_eq!(modes(&env), Modes::LOCAL);
}

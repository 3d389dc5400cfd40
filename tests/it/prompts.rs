//! What asks, and whom, on a real terminal.
#![cfg(unix)]

use std::time::Duration;

use expectrl::session::OsSession;
use expectrl::{Expect as _, Session};

use crate::pipeline::two_phases;
use crate::support::cli::{dbctl, run};

/// A shell with job control on a terminal of its own, in the folder of a runbook.
fn shell(dir: &std::path::Path, script: &str) -> OsSession {
    let like = dbctl(dir, &[]);
    let mut command = std::process::Command::new("bash");
    command
        .args(["-m", "-c", script])
        .current_dir(dir)
        .env_clear()
        .envs(like.get_envs().filter_map(|(k, v)| Some((k, v?))))
        .env("DBCTL", like.get_program());
    let mut session = Session::spawn(command).expect("a terminal");
    session.set_expect_timeout(Some(Duration::from_secs(30)));
    session
}

#[test]
fn a_background_job_asks_nobody_and_does_not_hang() {
    let dir = two_phases();
    let script = "\"$DBCTL\" rollout start & wait $!; echo \"ended with $?\"";
    let mut session = shell(dir.path(), script);
    session.expect("WAITING run").expect("it says how to go on");
    session
        .expect("ended with 10")
        .expect("it ends by itself and is not stopped");
    assert_eq!(run(dir.path(), &["rollout", "status"]).code, 10);
}

#[test]
fn the_same_in_the_foreground_asks() {
    let dir = two_phases();
    let script = "\"$DBCTL\" rollout start; echo \"ended with $?\"";
    let mut session = shell(dir.path(), script);
    session
        .expect("Type staging to go on")
        .expect("somebody is there");
    session.send_line("no").expect("typed");
    session
        .expect("ended with 10")
        .expect("it leaves all as it is");
}

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

/// One target that nobody answers for, with a restart that takes as long as anybody wants.
fn slow_restart() -> tempfile::TempDir {
    let dir = tempfile::tempdir().expect("a folder");
    std::fs::write(dir.path().join("auth.env"), "").expect("toggles");
    let settings = "[environments.production]\n\
        [[environments.production.targets]]\nname = \"auth-1\"\nurl = \"http://127.0.0.1:9\"\n\
        env_file = \"auth.env\"\nstate_dir = \"state\"\nrestart = [\"sleep\", \"60\"]\n";
    std::fs::write(dir.path().join("dbctl.toml"), settings).expect("settings");
    dir
}

const SWITCH: &str = "\"$DBCTL\" toggles set SECURITY_NONCE_STORE_MODE=postgres --no-carry; \
                      echo \"ended with $?\"; cat auth.env; echo END";

/// Where [`SWITCH`] has asked for the environment's name.
fn asked(dir: &std::path::Path) -> OsSession {
    let mut session = shell(dir, SWITCH);
    session
        .expect("Type production to go on")
        .expect("a question");
    session
}

#[test]
fn ctrl_c_at_a_question_says_that_nothing_was_changed() {
    let dir = slow_restart();
    let mut session = asked(dir.path());
    session.send("\u{3}").expect("typed");
    session
        .expect("interrupted; nothing was changed")
        .expect("it says so");
    session.expect("ended with 130").expect("its own status");
    let rest = session.expect("END").expect("what the file says");
    let rest = String::from_utf8_lossy(rest.before()).into_owned();
    assert!(!rest.contains("SECURITY"), "{rest}");
}

#[test]
fn after_the_answer_ctrl_c_ends_it_as_before() {
    let dir = slow_restart();
    let mut session = asked(dir.path());
    session.send_line("production").expect("typed");
    session
        .expect("no state is carried over")
        .expect("it has begun");
    std::thread::sleep(Duration::from_millis(300));
    session.send("\u{3}").expect("typed");
    session.set_expect_timeout(Some(Duration::from_secs(10)));
    session
        .expect("interrupted; what was done stays")
        .expect("it does not go on");
    session.expect("ended with 130").expect("its own status");
}

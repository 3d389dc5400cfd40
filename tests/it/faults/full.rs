//! The disk of the journal is full. A limit on the size of files does to the journal what a full
//! disk does, and needs no mount: the write fails, and nothing else is in the way.

use std::path::Path;
use std::process::Command;

use dbctl::demo::record::Phase;
use dbctl::rollout::engine::{Known, recall};
use dbctl::rollout::journal::Journal;
use dbctl::rollout::machine::{Part, StepState};

use super::scene::Scene;
use crate::support::cli::{Seen, dbctl, run, seen};
use crate::support::programs::{block, every_line_once, lines, programs};

/// Blocks of 512 bytes, as POSIX's `ulimit -f` counts.
fn with_room(dir: &Path, blocks: usize, args: &[&str]) -> Seen {
    let real = dbctl(dir, args);
    let mut command = Command::new("sh");
    command
        .args(["-c", &format!("ulimit -f {blocks}; exec \"$@\""), "sh"])
        .arg(real.get_program())
        .args(real.get_args())
        .current_dir(dir)
        .env_clear();
    command.envs(
        real.get_envs()
            .filter_map(|(name, value)| Some((name, value?))),
    );
    seen(command)
}

/// The run as its journal says; none where nothing was begun.
fn known(dir: &Path) -> Option<Known> {
    block(async {
        let journal = Journal::open(&dir.join(".dbctl/journal.db")).await.ok()??;
        let run = journal.runs().await.ok()?.into_iter().next()?.run;
        Some(recall(&journal, &run).await.expect("the journal holds"))
    })
}

/// What an operator types once there is room. The lease could not be given back either.
fn go_on(dir: &Path) -> Seen {
    let status = run(dir, &["--format", "json", "rollout", "status"]);
    let json: serde_json::Value = serde_json::from_str(&status.stdout).unwrap_or_default();
    let Some(id) = json["run"].as_str() else {
        return run(dir, &["rollout", "start", "--confirm", "staging"]);
    };
    let taken = run(dir, &["rollout", "takeover", "--confirm", id]);
    match taken.code {
        10 => run(dir, &["rollout", "resume", "--confirm", "staging"]),
        _ => taken,
    }
}

#[test]
fn with_the_journals_disk_full_nothing_begins_unrecorded_and_a_run_goes_on_once_there_is_room() {
    let mut began_nothing = 0;
    let mut stopped_in_the_middle = 0;
    for blocks in (64..=300).step_by(16) {
        let dir = programs();
        let full = with_room(
            dir.path(),
            blocks,
            &["rollout", "start", "--confirm", "staging"],
        );
        if full.code == 0 {
            break;
        }
        assert_eq!(full.code, 1, "{blocks}: {}", full.stderr);
        for said in ["journal", "nothing was begun", "Make room"] {
            assert!(full.stderr.contains(said), "{blocks}: {}", full.stderr);
        }
        let intended = known(dir.path()).map(|known| {
            let steps = known.state.steps(Part::Forward).iter();
            steps.filter(|s: &&StepState| s.attempts > 0).count()
        });
        let done = lines(dir.path());
        assert!(
            done <= intended.unwrap_or(0),
            "{blocks}: {done} happened, {intended:?} were meant"
        );
        if done > 0 {
            stopped_in_the_middle += 1;
        }
        let on = go_on(dir.path());
        began_nothing += usize::from(intended.is_none());
        assert_eq!(on.code, 0, "{blocks}: {}", on.stderr);
        every_line_once(dir.path());
    }
    assert!(
        began_nothing > 0 && stopped_in_the_middle > 0,
        "it was full at every stage"
    );
}

#[test]
fn with_the_journals_disk_full_a_rollback_says_another_way_back_and_that_works() {
    let scene = Scene::set(super::runbook::SHORT);
    let traffic = scene.traffic();
    for code in [10, 0] {
        let on = scene.rollout(&["run", "--confirm", "production"]);
        assert_eq!(on.code, code, "{}", on.stderr);
    }
    let blocks = 64;
    let full = with_room(scene.path(), blocks, &["rollout", "rollback"]);
    assert_eq!(full.code, 1, "{}", full.stderr);
    assert!(full.stderr.contains("--break-glass"), "{}", full.stderr);

    let args = [
        "--env",
        "production",
        "toggles",
        "set",
        "--confirm",
        "production",
    ];
    let local = [
        "SECURITY_RUNTIME_MODE=memory",
        "SECURITY_KEY_RESOLVER_MODE=memory",
        "SECURITY_REVOCATION_MODE=memory",
        "SECURITY_NONCE_STORE_MODE=file",
    ];
    let set = with_room(scene.path(), blocks, &[&args[..], &local].concat());
    assert_eq!(set.code, 0, "{}", set.stderr);
    for name in ["auth-1", "auth-2", "auth-3"] {
        let health = scene.health(name);
        assert_eq!(
            health["modes"]["SECURITY_RUNTIME_MODE"], "memory",
            "{health}"
        );
        assert_eq!(health["fenced"], false, "{health}");
    }
    traffic.enter(Phase::After);
    let summary = scene.runtime.block_on(traffic.stop());
    assert!(summary.holds(), "{summary:#?}");
}

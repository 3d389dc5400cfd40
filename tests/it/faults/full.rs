//! The disk of the journal is full. A limit on the size of files does to the journal what a full
//! disk does, and needs no mount: the write fails, and nothing else is in the way.

use std::path::Path;
use std::process::Command;

use dbctl::demo::record::Phase;
use dbctl::rollout::engine::{Known, recall};
use dbctl::rollout::journal::Journal;
use dbctl::rollout::machine::{Part, StepState};

use super::chain::expire;
use super::scene::{JournalIn, Scene};
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

/// Every production instance serves on its own, from memory and files.
fn all_are_back(scene: &Scene) {
    for name in ["auth-1", "auth-2", "auth-3"] {
        let health = scene.health(name);
        assert_eq!(
            health["modes"]["SECURITY_RUNTIME_MODE"], "memory",
            "{name}: {health}"
        );
        assert_eq!(health["fenced"], false, "{name}: {health}");
    }
}

/// All of production runs on Postgres, and the run is completed.
fn completed(scene: &Scene) {
    for code in [10, 0] {
        let on = scene.rollout(&["run", "--confirm", "production"]);
        assert_eq!(on.code, code, "{}", on.stderr);
    }
}

fn said(seen: &Seen, words: &[&str]) {
    for word in words {
        assert!(seen.stderr.contains(word), "{word}: {}", seen.stderr);
    }
}

/// The journal takes no writes, small files elsewhere can be written.
const FULL: usize = 64;

const BREAK_GLASS: [&str; 3] = ["rollout", "rollback", "--break-glass"];

#[test]
fn with_the_journals_disk_full_the_glass_is_broken_and_the_journal_hears_of_it_later() {
    let scene = Scene::set(super::runbook::SHORT);
    let traffic = scene.traffic();
    completed(&scene);
    let full = with_room(scene.path(), FULL, &["rollout", "rollback"]);
    assert_eq!(full.code, 1, "{}", full.stderr);
    said(&full, &["Make room", "rollout rollback --break-glass"]);
    // Not even the targets' files.
    let nothing = with_room(scene.path(), 0, &BREAK_GLASS);
    assert!(![0, 13].contains(&nothing.code), "{}", nothing.stderr);
    said(
        &nothing,
        &["without the journal: ", "rollout rollback --break-glass"],
    );

    let back = with_room(scene.path(), FULL, &BREAK_GLASS);
    assert_eq!(back.code, 13, "{}", back.stderr);
    said(
        &back,
        &[
            "without the journal: ",
            "BREAK GLASS",
            "SET BACK production",
            "dbctl rollout merge",
        ],
    );
    all_are_back(&scene);
    traffic.enter(Phase::After);
    let summary = scene.runtime.block_on(traffic.stop());
    assert!(summary.holds(), "{summary:#?}");

    // It may be repeated, and where what lies there takes no record, that is said.
    let (mirror, aside) = (
        scene.path().join(".dbctl/mirror"),
        scene.path().join("aside"),
    );
    std::fs::rename(&mirror, &aside).expect("moved");
    std::fs::write(&mirror, "").expect("written");
    let again = with_room(scene.path(), FULL, &BREAK_GLASS);
    assert_eq!(again.code, 13, "{}", again.stderr);
    said(&again, &["THIS IS NOT RECORDED", "SET BACK production"]);
    std::fs::remove_file(&mirror).expect("removed");
    std::fs::rename(&aside, &mirror).expect("moved");

    let held = scene.rollout(&["resume"]);
    assert_eq!(held.code, 16, "{}", held.stderr);
    // The lease could not be given back either.
    expire(&scene);
    let merged = scene.rollout(&["merge"]);
    assert_eq!(merged.code, 0, "{}", merged.stderr);
    said(
        &merged,
        &["was set back to memory/file without the journal"],
    );
    let rolled_back = scene.rollout(&["rollback"]);
    assert_eq!(rolled_back.code, 13, "{}", rolled_back.stderr);
    all_are_back(&scene);
}

#[test]
fn with_the_journal_gone_and_the_mirrors_disk_full_the_glass_is_broken_by_the_kit() {
    let scene = Scene::with_journal_in(JournalIn::Postgres, super::runbook::SHORT);
    let _traffic = scene.traffic();
    completed(&scene);
    scene.journal_server().stop();
    let back = with_room(scene.path(), FULL, &BREAK_GLASS);
    assert_eq!(back.code, 13, "{}", back.stderr);
    said(
        &back,
        &[
            "without the mirror: ",
            "SET BACK production",
            "dbctl rollout merge",
        ],
    );
    all_are_back(&scene);
    scene.journal_server().start();
    let merged = scene.rollout(&["merge"]);
    assert_eq!(merged.code, 0, "{}", merged.stderr);
    let rolled_back = scene.rollout(&["rollback"]);
    assert_eq!(rolled_back.code, 13, "{}", rolled_back.stderr);
    all_are_back(&scene);
}

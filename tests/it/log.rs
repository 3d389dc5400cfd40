//! A run's journal as a file: written once, checked elsewhere.

use std::path::Path;

use crate::support::cli::{Seen, run};
use crate::support::programs::{block, programs};
use crate::support::story;

fn log(dir: &Path, args: &[&str]) -> Seen {
    let mut all = vec!["rollout", "log"];
    all.extend(args);
    run(dir, &all)
}

/// A finished run, and its journal as a file in a folder without anything else.
fn exported() -> (tempfile::TempDir, tempfile::TempDir) {
    let dir = programs();
    let ran = run(dir.path(), &["rollout", "start", "--confirm", "staging"]);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    let elsewhere = tempfile::tempdir().expect("a temporary folder");
    let file = elsewhere.path().join("run.jsonl");
    let seen = log(dir.path(), &["--export", file.to_str().expect("UTF-8")]);
    assert_eq!(seen.code, 0, "{}", seen.stderr);
    (dir, elsewhere)
}

fn head(seen: &Seen) -> &str {
    let last = seen.stdout.lines().last().expect("a last line");
    last.strip_prefix("journal head ").expect("the head")
}

#[test]
fn an_export_is_checked_where_there_is_no_journal() {
    let (dir, elsewhere) = exported();
    let there = log(elsewhere.path(), &["--verify", "run.jsonl"]);
    assert_eq!(there.code, 0, "{}", there.stderr);
    assert!(
        there.stdout.contains("hash chain intact"),
        "{}",
        there.stdout
    );
    let here = log(dir.path(), &["--verify"]);
    assert_eq!(here.code, 0, "{}", here.stderr);
    assert_eq!(head(&there), head(&here));
    let expect = ["--verify", "run.jsonl", "--expect-head", head(&here)];
    assert_eq!(log(elsewhere.path(), &expect).code, 0);
    let other = format!("3:{}", "0".repeat(64));
    let expect = ["--verify", "run.jsonl", "--expect-head", &other];
    assert_eq!(log(elsewhere.path(), &expect).code, 17);
}

#[test]
fn an_export_is_never_overwritten_and_only_its_owner_reads_it() {
    let (dir, elsewhere) = exported();
    let file = elsewhere.path().join("run.jsonl");
    let before = std::fs::read(&file).expect("the export");
    let again = log(dir.path(), &["--export", file.to_str().expect("UTF-8")]);
    assert_eq!(again.code, 3, "{}", again.stderr);
    assert!(
        again.stderr.contains("never overwritten"),
        "{}",
        again.stderr
    );
    assert_eq!(std::fs::read(&file).expect("the export"), before);
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        let mode = std::fs::metadata(&file)
            .expect("it is there")
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o600);
    }
}

#[test]
fn an_export_that_was_changed_or_cut_is_refused_with_the_event() {
    let (_dir, elsewhere) = exported();
    let file = elsewhere.path().join("run.jsonl");
    let whole = std::fs::read_to_string(&file).expect("the export");
    let lines: Vec<&str> = whole.lines().collect();
    let without = |left_out: usize| {
        let kept = lines.iter().enumerate().filter(|(i, _)| *i != left_out);
        kept.map(|(_, line)| format!("{line}\n"))
            .collect::<String>()
    };
    let last = lines.len() - 1;
    for (what, text, code, told) in [
        (
            "a word",
            whole.replacen("approved", "approvde", 1),
            17,
            "event 3",
        ),
        ("an event in the middle", without(5), 17, "event 5"),
        ("the last event", without(last - 1), 17, "it ends at"),
        ("the end", without(last), 17, "its end is missing"),
        (
            "half a line",
            whole[..whole.len() / 2].to_owned(),
            17,
            "its end is missing",
        ),
        ("everything", String::new(), 3, "not an exported journal"),
        (
            "another file",
            "{}\n{}\n".to_owned(),
            3,
            "not an exported journal",
        ),
    ] {
        std::fs::write(&file, text).expect("written");
        let seen = log(elsewhere.path(), &["--verify", "run.jsonl"]);
        assert_eq!(seen.code, code, "{what}: {}{}", seen.stdout, seen.stderr);
        assert!(seen.stderr.contains(told), "{what}: {}", seen.stderr);
        assert_eq!(seen.stdout, "", "{what}");
    }
    let missing = log(elsewhere.path(), &["--verify", "other.jsonl"]);
    assert_eq!(missing.code, 3, "{}", missing.stderr);
}

#[test]
fn every_event_that_may_stand_in_a_journal_is_documented() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let read = |file: &str| std::fs::read_to_string(root.join(file)).expect(file);
    let source = read("src/rollout/machine/event.rs");
    let docs = read("docs/events.md");
    let names: Vec<&str> = source
        .lines()
        .filter_map(|line| line.trim().strip_prefix("Event::"))
        .filter_map(|arm| arm.split_once("=> \"")?.1.strip_suffix("\","))
        .collect();
    assert!(names.len() > 20, "{names:?}");
    for name in names {
        assert!(docs.contains(&format!("| `{name}` |")), "{name}");
    }
}

#[test]
fn time_in_a_bake_in_which_nobody_looked_is_said_and_so_is_that_nobody_looks_now() {
    let dir = tempfile::tempdir().expect("a folder");
    block(story::running(dir.path()));
    let seen = log(dir.path(), &[]);
    let said = "nobody looked for 5m 05s: that is no bake time";
    assert_eq!(seen.stdout.matches(said).count(), 1, "{}", seen.stdout);
    let status = run(dir.path(), &["rollout", "status"]);
    let words: Vec<&str> = status.stdout.split_whitespace().collect();
    let said = "driven by nobody, and no gate or trigger is watched";
    assert!(words.join(" ").contains(said), "{}", status.stdout);
}

//! Folders of migrations as each tool keeps them, and some that are broken, as a person sees them
//! judged: on the embedded database, with no server running.

use std::path::{Path, PathBuf};

use dbctl::migrate::conventions::Convention;

use super::without_times;
use crate::support::cli::run;

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/migrations")
}

/// What is seen of one of them, with the exit status.
fn judged(name: &str) -> String {
    let seen = run(
        &fixtures(),
        &[
            "migrate",
            "validate",
            "--dir",
            name,
            "--scratch",
            "embedded",
        ],
    );
    let shown = without_times(&seen.stdout);
    format!("{shown}{}exit status {}\n", seen.stderr, seen.code)
}

#[test]
fn every_convention_is_recognized_and_its_migrations_run() {
    for convention in Convention::ALL {
        let name = convention.name();
        let shown = judged(name);
        assert!(
            shown.contains(&format!("convention {name}")),
            "{name}: {shown}"
        );
        insta::assert_snapshot!(name, shown);
    }
}

#[test]
fn what_is_broken_is_told_as_a_good_compiler_tells_it() {
    let names = std::fs::read_dir(fixtures().join("broken")).expect("the broken ones");
    let mut names: Vec<String> = names
        .map(|entry| entry.expect("an entry").file_name())
        .map(|name| name.to_string_lossy().into_owned())
        .collect();
    names.sort();
    assert!(names.len() >= 10, "{names:?}");
    for name in names {
        insta::assert_snapshot!(format!("broken_{name}"), judged(&format!("broken/{name}")));
    }
}

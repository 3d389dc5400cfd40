//! The demo as a command; what it plays is run whole by the README's own first command.

use crate::support::cli::run;

#[test]
fn the_demo_refuses_a_folder_that_is_not_empty_and_leaves_it_alone() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    std::fs::write(dir.path().join("mine"), "kept").expect("a file");
    let seen = run(dir.path(), &["demo", "--dir", "."]);
    assert_eq!(seen.code, 2, "{}", seen.stderr);
    assert!(seen.stderr.contains("not empty"), "{}", seen.stderr);
    let left: Vec<_> = dir.path().read_dir().expect("a folder").collect();
    assert_eq!(left.len(), 1);
}

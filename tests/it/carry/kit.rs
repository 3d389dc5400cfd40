//! Who vouches for a rollback kit: one that was edited, swapped or restored is told from it.

use std::path::Path;

use dbctl::carry::kit::{Kept, Kit, Standing};
use dbctl::contract::{KitSeal, RevokedToken, Snapshot};
use jiff::Timestamp;

/// What Postgres says, with one revoked token for each name.
fn says(tokens: &[&str]) -> Snapshot {
    let now = Timestamp::now();
    let token = |name: &&str| RevokedToken {
        token_id: (*name).to_owned(),
        revoked_at: now,
        expires_at: now + std::time::Duration::from_secs(600),
        reason: None,
    };
    Snapshot {
        schema: Snapshot::SCHEMA.into(),
        taken_at: now,
        source: "postgres".into(),
        revoked_tokens: tokens.iter().map(token).collect(),
        ..Snapshot::default()
    }
}

fn kit(dir: &Path) -> Kit {
    Kit::open(dir, "production").expect("a kit")
}

fn refresh(kit: &Kit, tokens: &[&str]) -> KitSeal {
    kit.refresh(&says(tokens), false).expect("refreshed").1
}

fn there(kit: &Kit) -> Kept {
    kit.load().expect("readable").expect("there")
}

/// How a kit stands beside what was recorded; the way to use it must agree.
fn standing(kit: &Kit) -> Standing {
    let standing = kit.standing(&there(kit));
    assert_eq!(kit.trusted().is_ok(), standing.is_usable(), "{standing}");
    standing
}

fn refused(kit: &Kit) -> String {
    let Standing::Contradicted { why } = standing(kit) else {
        panic!("{}", standing(kit));
    };
    let problem = kit.trusted().expect_err("not to be used");
    let hint = problem.hint().expect("a way out");
    assert!(hint.contains("carry accept"), "{hint}");
    why
}

#[test]
fn a_kit_is_known_by_what_the_journal_recorded_last() {
    let dir = tempfile::tempdir().expect("a directory");
    let kit = kit(dir.path());
    let first = refresh(&kit, &["a"]);
    assert_eq!(standing(&kit), Standing::Unrecorded);
    let kit = kit.recorded_as(std::slice::from_ref(&first));
    assert_eq!(standing(&kit), Standing::Recorded);
    // A driver that ended between the kit and the journal.
    refresh(&kit, &["b"]);
    assert_eq!(standing(&kit), Standing::Newer { by: 1 });
    let third = refresh(&kit, &[]);
    assert_eq!((third.serial, &third.kit), (3, &first.kit));
    assert_eq!(standing(&kit), Standing::Newer { by: 2 });
    let kit = kit.recorded_as(&[first, third]);
    assert_eq!(standing(&kit), Standing::Recorded, "the newest counts");
    for _ in 0..100 {
        refresh(&kit, &[]);
    }
    assert_eq!(standing(&kit), Standing::Newer { by: 100 });
}

#[test]
fn an_old_copy_that_was_put_back_is_refused() {
    let dir = tempfile::tempdir().expect("a directory");
    let kit = kit(dir.path());
    refresh(&kit, &["a"]);
    let copy = std::fs::read(kit.path()).expect("there");
    let second = refresh(&kit, &["b"]);
    std::fs::write(kit.path(), &copy).expect("restored");
    let kit = kit.recorded_as(&[second]);
    let why = refused(&kit);
    assert!(why.contains("an old copy"), "{why}");
}

#[test]
fn what_was_sealed_again_after_an_edit_is_refused() {
    let dir = tempfile::tempdir().expect("a directory");
    let kit = kit(dir.path());
    refresh(&kit, &["a"]);
    let copy = std::fs::read(kit.path()).expect("there");
    let second = refresh(&kit, &["b"]);
    // Whoever has dbctl can seal whatever they like behind the copy.
    std::fs::write(kit.path(), &copy).expect("restored");
    let forged = refresh(&kit, &["harmless"]);
    assert_eq!((forged.serial, &forged.kit), (2, &second.kit));
    let kit = kit.recorded_as(&[second]);
    let why = refused(&kit);
    assert!(why.contains("something else"), "{why}");
    // And go on from there.
    let unrecorded = Kit::open(dir.path(), "production").expect("a kit");
    refresh(&unrecorded, &[]);
    let why = refused(&kit);
    assert!(why.contains("does not follow"), "{why}");
}

#[test]
fn a_kit_of_another_environment_or_a_new_one_is_refused() {
    let dir = tempfile::tempdir().expect("a directory");
    let ours = kit(&dir.path().join("production"));
    let recorded = refresh(&ours, &["a"]);
    let ours = ours.recorded_as(&[recorded]);
    let staging = Kit::open(&dir.path().join("staging"), "staging").expect("a kit");
    refresh(&staging, &[]);
    std::fs::copy(staging.path(), ours.path()).expect("swapped");
    let why = refused(&ours);
    assert!(why.contains("the kit of staging"), "{why}");
    let other = kit(&dir.path().join("elsewhere"));
    refresh(&other, &[]);
    std::fs::copy(other.path(), ours.path()).expect("swapped");
    let why = refused(&ours);
    assert!(why.contains("does not know"), "{why}");
}

#[test]
fn a_byte_that_was_changed_is_damage() {
    let dir = tempfile::tempdir().expect("a directory");
    let kit = kit(dir.path());
    refresh(&kit, &["token-1", "token-2"]);
    let good = std::fs::read_to_string(kit.path()).expect("there");
    let edits = [
        good.replace("token-2", "token-3"),
        good.replace(r#""serial":1"#, r#""serial":2"#),
        good.replace(r#""env":"production""#, r#""env":"productiom""#),
    ];
    for edited in edits {
        assert_ne!(edited, good);
        std::fs::write(kit.path(), edited).expect("written");
        let problem = kit.load().expect_err("damaged");
        assert!(problem.to_string().contains("sealed"), "{problem}");
    }
}

#[test]
fn a_kit_of_an_earlier_dbctl_says_what_it_is_and_what_to_do() {
    let dir = tempfile::tempdir().expect("a directory");
    let kit = kit(dir.path());
    let old = r#"{"schema":"dbctl.kit/1","snapshot":{},"complete_at":null,"pace":[]}"#;
    std::fs::write(kit.path(), old).expect("written");
    let problem = kit.load().expect_err("another version");
    let text = problem.to_string();
    assert!(
        text.contains("dbctl.kit/1") && text.contains("dbctl.kit/2"),
        "{text}"
    );
    let hint = problem.hint().expect("a way out");
    assert!(
        hint.contains("dbctl --env production carry refresh"),
        "{hint}"
    );
}

#[test]
fn a_person_may_accept_what_is_not_as_recorded_and_only_exactly_that() {
    let dir = tempfile::tempdir().expect("a directory");
    let kit = kit(dir.path());
    refresh(&kit, &["a"]);
    let copy = std::fs::read(kit.path()).expect("there");
    let second = refresh(&kit, &["b"]);
    std::fs::write(kit.path(), &copy).expect("restored");
    let kit = kit.recorded_as(&[second]);
    kit.dangerously_accept(&there(&kit), "kim@ops-1")
        .expect("accepted");
    let said = standing(&kit);
    assert!(
        matches!(&said, Standing::Accepted { who, .. } if who == "kim@ops-1"),
        "{said}"
    );
    // Not whatever comes after it.
    let unrecorded = Kit::open(dir.path(), "production").expect("a kit");
    refresh(&unrecorded, &["c"]);
    refused(&kit);
}

#[test]
fn with_all_of_postgres_a_kit_that_is_not_to_be_trusted_is_begun_anew() {
    let dir = tempfile::tempdir().expect("a directory");
    let kit = kit(dir.path());
    refresh(&kit, &["made-up"]);
    let copy = std::fs::read(kit.path()).expect("there");
    let second = refresh(&kit, &["b"]);
    std::fs::write(kit.path(), &copy).expect("restored");
    let kit = kit.recorded_as(&[second]);
    kit.refresh(&says(&["c"]), false)
        .expect_err("a delta is not enough");
    kit.refresh(&says(&["c"]), true)
        .expect("all of Postgres is");
    assert_eq!(standing(&kit), Standing::Newer { by: 1 });
    let tokens: Vec<String> = there(&kit)
        .snapshot
        .revoked_tokens
        .into_iter()
        .map(|t| t.token_id)
        .collect();
    assert_eq!(tokens, ["c"]);
}

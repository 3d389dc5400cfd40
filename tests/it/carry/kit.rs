//! Who vouches for a rollback kit: one that was edited, swapped or restored is told from it.

use std::path::Path;

use dbctl::carry::kit::{Kept, Kit, Reach, Standing};
use dbctl::contract::{KitSeal, RevokedToken, Snapshot};
use dbctl::runtime::revocation::Position;
use jiff::Timestamp;
use serde_json::json;

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

fn at(snapshot: &str) -> Position {
    let position = json!({ "incarnation": "one", "snapshot": snapshot });
    serde_json::from_value(position).expect("a position")
}

fn news(from: &str, to: &str) -> Reach {
    Reach::News {
        from: at(from),
        to: Some(at(to)),
    }
}

fn everything(to: &str) -> Reach {
    Reach::Everything { to: Some(at(to)) }
}

fn refresh(kit: &Kit, tokens: &[&str]) -> KitSeal {
    let refreshed = kit.refresh(&says(tokens), &news("5:5:", "6:6:"));
    refreshed.expect("refreshed").1
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
    kit.refresh(&says(&["c"]), &news("5:5:", "6:6:"))
        .expect_err("a delta is not enough");
    kit.refresh(&says(&["c"]), &everything("6:6:"))
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

#[test]
fn a_kit_never_says_to_have_more_than_it_was_given() {
    let dir = tempfile::tempdir().expect("a directory");
    let kit = kit(dir.path());
    let after = |reach: &Reach| {
        kit.refresh(&says(&["a"]), reach).expect("refreshed");
        there(&kit).position
    };
    assert_eq!(after(&news("5:5:", "6:6:")), None, "of the rest is nothing");
    assert_eq!(after(&everything("6:6:")), Some(at("6:6:")));
    assert_eq!(after(&news("6:6:", "7:7:")), Some(at("7:7:")));
    // Somebody who had looked at another kit before.
    assert_eq!(after(&news("8:8:", "9:9:")), Some(at("7:7:")));
    assert_eq!(after(&Reach::Everything { to: None }), None);
}

#[test]
fn a_kit_from_before_there_were_positions_is_read() {
    let dir = tempfile::tempdir().expect("a directory");
    let kit = kit(dir.path());
    std::fs::write(kit.path(), OLDER).expect("written");
    let kept = there(&kit);
    assert_eq!(kept.snapshot.revoked_tokens[0].token_id, "token-1");
    assert!(kept.complete_at.is_some());
    assert_eq!(kept.position, None);
    refresh(&kit, &["token-2"]);
    assert_eq!(there(&kit).position, None, "it is to be read whole first");
}

const OLDER: &str = r#"{"sealed":{"schema":"dbctl.kit/2","env":"production","place":"host:/kit","kit":"0197f0a0-0000-7000-8000-000000000001","serial":1,"earlier":[]},"hash":"8a1508d7fb3fe2b057a0502815f524041ccea2faf6f30a6071e618ba7223776e"}
{"snapshot":{"schema":"dbctl.carry/1","taken_at":"2026-01-02T03:04:05Z","source":"postgres","revoked_tokens":[{"token_id":"token-1","revoked_at":"2026-01-02T03:04:05Z","expires_at":"9999-12-30T22:00:00Z"}],"revoked_sessions":[],"watermarks":[],"keys":[]},"complete_at":"2026-01-02T03:04:05Z","pace":[]}
"#;

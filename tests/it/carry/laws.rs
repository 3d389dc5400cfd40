//! Merging is a union and a maximum, in whatever order; and what the kit keeps.

use std::time::Duration;

use dbctl::carry::kit::{CARRY_FILE, Kit, Reach, place};
use dbctl::carry::merge::{Counts, beyond, merge, with_margin, without_expired};
use dbctl::contract::{PublicKey, RevokedSession, RevokedToken, Snapshot, Watermark};
use dbctl::keys::Algorithm;
use jiff::Timestamp;
use proptest::prelude::*;

/// All of Postgres was read.
const ALL: Reach = Reach::Everything { to: None };

/// Few names and times, so that snapshots overlap.
fn snapshot() -> impl Strategy<Value = Snapshot> {
    let name = |prefix: &'static str| (0..6_u8).prop_map(move |n| format!("{prefix}{n}"));
    let time = || (0..8_i64).prop_map(|s| Timestamp::from_second(s * 1000).expect("a time"));
    let reason = || proptest::option::of("[ab]");
    let token = (name("t"), time(), time(), reason()).prop_map(
        |(token_id, revoked_at, expires_at, reason)| RevokedToken {
            token_id,
            revoked_at,
            expires_at,
            reason,
        },
    );
    let session = (name("s"), time(), time(), reason()).prop_map(
        |(session_id, revoked_at, expires_at, reason)| RevokedSession {
            session_id,
            revoked_at,
            expires_at,
            reason,
        },
    );
    let watermark = (name("n"), 0..3_u8, 0..500_i64, 1..5_i64).prop_map(
        |(node_name, scope, reserved_high, window_size)| Watermark {
            node_name,
            nonce_scope: format!("scope{scope}"),
            reserved_high,
            window_size,
        },
    );
    let key = (name("k"), any::<bool>(), 0..2_u8).prop_map(|(kid, revoked, x)| PublicKey {
        kid,
        alg: Algorithm::EdDsa,
        jwk: serde_json::json!({"kty": "OKP", "x": x}),
        revoked,
    });
    (
        time(),
        name("i"),
        proptest::collection::vec(token, 0..8),
        proptest::collection::vec(session, 0..8),
        proptest::collection::vec(watermark, 0..8),
        proptest::collection::vec(key, 0..8),
        proptest::option::of(time()),
    )
        .prop_map(
            |(taken_at, source, revoked_tokens, revoked_sessions, watermarks, keys, limit)| {
                Snapshot {
                    schema: Snapshot::SCHEMA.into(),
                    taken_at,
                    source,
                    revoked_tokens,
                    revoked_sessions,
                    watermarks,
                    keys,
                    deny_issued_before: limit,
                }
            },
        )
}

proptest! {
    #[test]
    fn merging_does_not_care_about_order_grouping_or_repetition(
        a in snapshot(), b in snapshot(), c in snapshot()
    ) {
        let ab = merge([&a, &b]);
        prop_assert_eq!(&ab, &merge([&b, &a]));
        prop_assert_eq!(merge([&ab, &c]), merge([&a, &merge([&b, &c])]));
        prop_assert_eq!(merge([&ab, &c]), merge([&a, &b, &c]));
        prop_assert_eq!(&merge([&ab, &ab]), &ab);
        prop_assert_eq!(&merge([&ab, &b]), &ab);
        prop_assert_eq!(&merge([&ab, &Snapshot::default()]), &ab);
    }

    /// P1, P2: nothing that one of them knows is weaker afterwards.
    #[test]
    fn merging_forgets_nothing(a in snapshot(), b in snapshot()) {
        let all = merge([&a, &b]);
        for t in a.revoked_tokens.iter().chain(&b.revoked_tokens) {
            prop_assert!(all.revoked_tokens.iter().any(|m| m.token_id == t.token_id
                && m.expires_at >= t.expires_at && m.revoked_at <= t.revoked_at));
        }
        for s in a.revoked_sessions.iter().chain(&b.revoked_sessions) {
            prop_assert!(all.revoked_sessions.iter().any(|m| m.session_id == s.session_id
                && m.expires_at >= s.expires_at));
        }
        for w in a.watermarks.iter().chain(&b.watermarks) {
            prop_assert!(all.watermarks.iter().any(|m| m.node_name == w.node_name
                && m.nonce_scope == w.nonce_scope && m.reserved_high >= w.reserved_high));
        }
        for k in a.keys.iter().chain(&b.keys) {
            prop_assert!(all.keys.iter().any(|m| m.kid == k.kid && (m.revoked || !k.revoked)));
        }
    }

    #[test]
    fn what_is_beyond_somebodys_knowledge_is_just_what_they_lack(a in snapshot(), b in snapshot()) {
        let (a, b) = (merge([&a]), merge([&b]));
        let news = beyond(&a, &b);
        let all = merge([&a, &b]);
        let told = merge([&news, &b]);
        let tokens = |s: &Snapshot| -> Vec<(String, i64)> {
            s.revoked_tokens.iter().map(|t| (t.token_id.clone(), t.expires_at.as_microsecond())).collect()
        };
        let sessions = |s: &Snapshot| -> Vec<(String, i64)> {
            s.revoked_sessions.iter().map(|t| (t.session_id.clone(), t.expires_at.as_microsecond())).collect()
        };
        let keys = |s: &Snapshot| -> Vec<(String, bool)> {
            s.keys.iter().map(|k| (k.kid.clone(), k.revoked)).collect()
        };
        let tops = |s: &Snapshot| -> Vec<i64> { s.watermarks.iter().map(|w| w.reserved_high).collect() };
        prop_assert_eq!(tokens(&told), tokens(&all));
        prop_assert_eq!(sessions(&told), sessions(&all));
        prop_assert_eq!(keys(&told), keys(&all));
        prop_assert_eq!(tops(&told), tops(&all));
        prop_assert_eq!(told.deny_issued_before, all.deny_issued_before);
        let nothing = beyond(&a, &all);
        prop_assert_eq!(Counts::of(&nothing), Counts::default());
        prop_assert_eq!(nothing.deny_issued_before, None);
    }

    #[test]
    fn a_margin_only_raises(a in snapshot(), windows in 1..4_i64) {
        let raised = with_margin(&a, windows);
        for (old, new) in a.watermarks.iter().zip(&raised.watermarks) {
            prop_assert_eq!(new.reserved_high, old.reserved_high + windows * old.window_size);
        }
        prop_assert_eq!(Counts::of(&a), Counts::of(&raised));
    }
}

fn at(second: i64) -> Timestamp {
    Timestamp::now()
        .checked_add(Duration::from_secs(second.unsigned_abs()))
        .map_or_else(
            |e| panic!("{e}"),
            |later| {
                if second >= 0 {
                    later
                } else {
                    Timestamp::now() - Duration::from_secs(second.unsigned_abs())
                }
            },
        )
}

fn revoked(token_id: &str, expires_at: Timestamp) -> RevokedToken {
    RevokedToken {
        token_id: token_id.into(),
        revoked_at: at(-60),
        expires_at,
        reason: None,
    }
}

fn taken(taken_at: Timestamp, reserved_high: i64) -> Snapshot {
    Snapshot {
        schema: Snapshot::SCHEMA.into(),
        taken_at,
        source: "postgres".into(),
        watermarks: vec![Watermark {
            node_name: "auth-1".into(),
            nonce_scope: "envelope".into(),
            reserved_high,
            window_size: 100,
        }],
        ..Snapshot::default()
    }
}

#[test]
fn watermarks_at_the_top_do_not_wrap() {
    let full = taken(at(0), i64::MAX - 5);
    assert_eq!(with_margin(&full, 3).watermarks[0].reserved_high, i64::MAX);
}

#[test]
fn only_what_has_long_expired_is_dropped() {
    let skew = Duration::from_secs(300);
    let snapshot = Snapshot {
        revoked_tokens: vec![
            revoked("live", at(60)),
            revoked("within-the-skew", at(-200)),
            revoked("gone", at(-400)),
        ],
        ..taken(at(0), 0)
    };
    let kept = without_expired(&snapshot, Timestamp::now(), skew);
    let ids: Vec<&str> = kept.revoked_tokens.iter().map(|t| &*t.token_id).collect();
    assert_eq!(ids, ["live", "within-the-skew"]);
}

#[test]
fn the_kit_keeps_everything_it_was_ever_given_and_nobody_else_reads_it() {
    let dir = tempfile::tempdir().expect("a directory");
    let kit = Kit::open(&dir.path().join("kit"), "production").expect("a kit");
    assert_eq!(kit.load().expect("readable"), None);
    let first = Snapshot {
        revoked_tokens: vec![revoked("one", at(600))],
        ..taken(at(-20), 500)
    };
    kit.refresh(&first, &ALL).expect("written");
    let second = Snapshot {
        revoked_tokens: vec![revoked("two", at(600))],
        ..taken(at(-10), 400)
    };
    let position = r#"{"incarnation":"one","snapshot":"5:5:"}"#;
    let part = Reach::News {
        from: serde_json::from_str(position).expect("a position"),
        to: None,
    };
    let (counts, _) = kit.refresh(&second, &part).expect("written");
    assert_eq!((counts.revoked_tokens, counts.watermarks), (2, 1));
    let kept = kit.load().expect("readable").expect("there");
    assert_eq!(kept.snapshot.watermarks[0].reserved_high, 500);
    assert_eq!(kept.snapshot.taken_at, second.taken_at);
    assert_eq!(kept.complete_at, Some(first.taken_at));
    assert!(kept.age(Timestamp::now()) >= Duration::from_secs(10));
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        let mode = std::fs::metadata(kit.path())
            .expect("there")
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o600);
    }
}

#[test]
fn a_damaged_kit_is_an_error_and_never_an_empty_one() {
    let dir = tempfile::tempdir().expect("a directory");
    let kit = Kit::open(dir.path(), "production").expect("a kit");
    kit.refresh(&taken(at(0), 5), &ALL).expect("written");
    let good = std::fs::read_to_string(kit.path()).expect("there");
    for damaged in [
        &good[..good.len() - 5],
        "",
        "{}",
        &good.replace("dbctl.kit/2", "dbctl.kit/9"),
    ] {
        std::fs::write(kit.path(), damaged).expect("written");
        let problem = kit.load().expect_err("damaged");
        assert!(problem.to_string().contains("kit.json"), "{problem}");
        kit.refresh(&taken(at(0), 6), &ALL)
            .expect_err("not overwritten");
    }
}

#[test]
fn going_back_from_the_kit_adds_a_window_and_what_may_have_been_used_since() {
    let dir = tempfile::tempdir().expect("a directory");
    let kit = Kit::open(dir.path(), "production").expect("a kit");
    // 100 nonces, one window, in each of the last seconds; and ten seconds of silence.
    kit.refresh(&taken(at(-20), 1_000), &ALL).expect("written");
    let now = Timestamp::now();
    let kept = kit.load().expect("readable").expect("there");
    let alone = kit.for_going_back(&kept, now);
    assert_eq!(
        alone.watermarks[0].reserved_high, 1_100,
        "nothing is known about its pace"
    );
    kit.refresh(&taken(at(-10), 2_000), &ALL).expect("written");
    let kept = kit.load().expect("readable").expect("there");
    let raised = kit.for_going_back(&kept, Timestamp::now());
    let high = raised.watermarks[0].reserved_high;
    // Twice the pace of 100 a second for 10 s, and one window.
    assert!((4_000..=4_500).contains(&high), "{high}");
}

#[test]
fn what_is_placed_is_whole_and_closed_to_others() {
    let dir = tempfile::tempdir().expect("a directory");
    let state = dir.path().join("state");
    let snapshot = taken(at(0), 7);
    for _ in 0..2 {
        place(&state, &snapshot).expect("placed");
        let bytes = std::fs::read(state.join(CARRY_FILE)).expect("there");
        let read: Snapshot = serde_json::from_slice(&bytes).expect("a snapshot");
        assert_eq!(read, snapshot);
    }
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        let about = std::fs::metadata(state.join(CARRY_FILE)).expect("there");
        assert_eq!(about.permissions().mode() & 0o777, 0o600);
    }
}

//! P3, modelled: the decisions of dbctl among a signer with an old copy of the keys and a verifier
//! with a cached key set, checked with stateright over every order in which they may act. No token
//! that is alive may meet a verifier that does not know its key. With each wait removed, the model
//! finds the order of events in which one does.

use std::collections::BTreeSet;
use std::time::Duration;

use dbctl::keys::KeyState;
use dbctl::keys::lifecycle::{
    Life, Next, Pace, Promotion, Retirement, Revocation, Waits, Which, next, promotion, retirement,
    revocation,
};
use jiff::Timestamp;
use proptest::prelude::*;
use stateright::{Checker as _, HasDiscoveries, Model, Property};

const NO_GAP: &str = "P3 no key look-up gap";

/// Seconds that are explored.
const END: i64 = 9;

/// What the world keeps to: how long verifiers and signers hold on to what they know, and how long
/// tokens live. dbctl waits by [`Gap::waits`], which may be wrong.
const CACHE: i64 = 3;
const COPY: i64 = 1;
const LIFETIME: i64 = 2;

struct Gap {
    waits: Waits,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct World {
    now: i64,
    versions: Vec<Life>,
    /// What the signer last read: which version is current, and when that was.
    signer: (i32, i64),
    /// What the verifier last read: whom to trust, and when that was.
    verifier: (BTreeSet<i32>, i64),
    /// Live tokens: the version that signed, and when they expire.
    tokens: BTreeSet<(i32, i64)>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Act {
    /// dbctl does the next step of a rotation.
    Step(Next),
    SignerReads,
    VerifierReads,
    Issue,
    Second,
}

fn second(n: i64) -> Timestamp {
    Timestamp::from_second(n).expect("a time")
}

fn life(version: i32, state: KeyState, since: i64) -> Life {
    Life {
        version,
        kid: format!("kid-{version}"),
        state,
        since: second(since),
        published_at: (state != KeyState::Standby).then(|| second(since)),
        stopped_signing_at: None,
        valid_until: None,
        has_private: true,
    }
}

impl World {
    fn current(&self) -> i32 {
        let current = self.versions.iter().find(|v| v.state == KeyState::Current);
        current.expect("one is current").version
    }

    fn trusted(&self) -> BTreeSet<i32> {
        let trusted = self.versions.iter().filter(|v| v.state.verifies());
        trusted.map(|v| v.version).collect()
    }

    fn version(&mut self, version: i32) -> &mut Life {
        let found = self.versions.iter_mut().find(|v| v.version == version);
        found.expect("it is there")
    }

    /// Carries a step out as dbctl's transactions do.
    fn step(&mut self, step: &Next, waits: &Waits) {
        let (now, at) = (self.now, second(self.now));
        match step {
            Next::Make => {
                let version = i32::try_from(self.versions.len()).expect("few") + 1;
                self.versions.push(life(version, KeyState::Standby, now));
            }
            Next::Publish { version } => self.version(*version).published_at = Some(at),
            Next::Promote { version } => {
                let old = self.current();
                let old = self.version(old);
                old.state = KeyState::Retiring;
                old.stopped_signing_at = Some(at);
                old.valid_until = Some(waits.verifies_until(at));
                self.version(*version).state = KeyState::Current;
            }
            Next::Retire { version } => self.version(*version).state = KeyState::Retired,
            Next::Seed | Next::Wait { .. } | Next::Rest { .. } => unreachable!("no step"),
        }
    }
}

fn pace() -> Pace {
    Pace {
        again_after: Duration::from_secs(1_000),
        emergency: false,
        may_begin: true,
    }
}

impl Model for Gap {
    type State = World;
    type Action = Act;

    fn init_states(&self) -> Vec<World> {
        vec![World {
            now: 0,
            versions: vec![life(1, KeyState::Current, 0)],
            signer: (1, 0),
            verifier: (BTreeSet::from([1]), 0),
            tokens: BTreeSet::new(),
        }]
    }

    fn actions(&self, world: &World, actions: &mut Vec<Act>) {
        let at = second(world.now);
        match next(&world.versions, at, &self.waits, &pace()) {
            Next::Wait { .. } | Next::Rest { .. } | Next::Seed => {}
            step => actions.push(Act::Step(step)),
        }
        actions.extend([Act::SignerReads, Act::VerifierReads, Act::Issue]);
        if world.now < END {
            actions.push(Act::Second);
        }
    }

    fn next_state(&self, last: &World, act: Act) -> Option<World> {
        let mut world = last.clone();
        match act {
            Act::Step(step) => world.step(&step, &self.waits),
            Act::SignerReads => world.signer = (world.current(), world.now),
            Act::VerifierReads => world.verifier = (world.trusted(), world.now),
            Act::Issue => {
                // A copy that is too old is not believed.
                if world.now - world.signer.1 > COPY {
                    world.signer = (world.current(), world.now);
                }
                world.tokens.insert((world.signer.0, world.now + LIFETIME));
            }
            Act::Second => {
                world.now += 1;
                world.tokens.retain(|(_, expires)| world.now < *expires);
            }
        }
        (world != *last).then_some(world)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always(NO_GAP, |_, world: &World| {
                // A verifier whose key set is too old fetches it before it decides.
                let believed = match world.now - world.verifier.1 < CACHE {
                    true => world.verifier.0.clone(),
                    false => world.trusted(),
                };
                let now = world.trusted();
                let known =
                    |(version, _): &(i32, i64)| believed.contains(version) && now.contains(version);
                world.tokens.iter().all(known)
            }),
            Property::sometimes("a rotation is complete", |_, world: &World| {
                world.versions.iter().any(|v| v.state == KeyState::Retired)
            }),
        ]
    }
}

fn waits(cache: i64, lifetime: i64, skew: i64) -> Waits {
    let seconds = |n: i64| Duration::from_secs(n.unsigned_abs());
    Waits {
        verifier_cache: seconds(cache),
        token_lifetime: seconds(lifetime),
        clock_skew: seconds(skew),
    }
}

#[test]
fn with_its_waits_a_rotation_opens_no_gap_in_whatever_order_things_happen() {
    let model = Gap {
        waits: waits(CACHE, LIFETIME, COPY),
    };
    let checked = model.checker().threads(2).spawn_bfs().join();
    if let Some(path) = checked.discovery(NO_GAP) {
        panic!("{:#?}", path.into_actions());
    }
    assert!(checked.discovery("a rotation is complete").is_some());
    eprintln!("{} states", checked.unique_state_count());
}

#[test]
fn with_any_wait_a_second_shorter_there_is_a_gap_and_the_model_shows_it() {
    for (wrong, waits, ends_after) in [
        (
            "the verifiers' cache",
            waits(CACHE - 1, LIFETIME, COPY),
            "Promote",
        ),
        (
            "the lifetime of tokens",
            waits(CACHE, LIFETIME - 1, COPY),
            "Retire",
        ),
        ("the skew", waits(CACHE, LIFETIME, 0), "Retire"),
    ] {
        let model = Gap { waits };
        let until = HasDiscoveries::AnyOf([NO_GAP].into());
        let checker = model.checker().threads(2).finish_when(until);
        let found = checker.spawn_bfs().join().discovery(NO_GAP);
        let acts = found
            .unwrap_or_else(|| panic!("no gap without {wrong}"))
            .into_actions();
        let acts = format!("{acts:?}");
        assert!(acts.contains(ends_after), "{wrong}: {acts}");
        eprintln!("without {wrong}: {acts}");
    }
}

const STATES: [KeyState; 5] = KeyState::ALL;

#[test]
fn every_step_from_every_state_is_allowed_or_refused_as_the_table_says() {
    let (now, long_ago) = (second(1_000_000), 0);
    let waits = waits(1_200, 3_600, 900);
    for state in STATES {
        // Another one signs, unless this one does; a ripe standby may take its place.
        let mut subject = life(2, state, long_ago);
        subject.published_at = Some(second(long_ago));
        subject.stopped_signing_at = (state == KeyState::Retiring).then(|| second(long_ago));
        let other = match state {
            KeyState::Current => KeyState::Standby,
            KeyState::Standby | KeyState::Retiring | KeyState::Retired | KeyState::Revoked => {
                KeyState::Current
            }
        };
        let mut other = life(1, other, long_ago);
        other.published_at = Some(second(long_ago));
        let versions = [other, subject];
        let which = Which::Version(2);
        let promoted = promotion(&versions, &which, now, &waits, false);
        let retired = retirement(&versions, &which, now, &waits, false);
        let revoked = revocation(&versions, &which, now, &waits, false);
        let go = |done: bool| if done { "does" } else { "already" };
        let words = [
            promoted.map_or("refused", |p| go(p != Promotion::Already)),
            retired.map_or("refused", |r| go(r != Retirement::Already)),
            revoked.map_or("refused", |r| go(r != Revocation::Already)),
        ];
        let expected = match state {
            KeyState::Standby => ["does", "refused", "does"],
            KeyState::Current => ["already", "refused", "does"],
            KeyState::Retiring => ["refused", "does", "does"],
            KeyState::Retired => ["refused", "already", "does"],
            KeyState::Revoked => ["refused", "already", "already"],
        };
        assert_eq!(words, expected, "{state}");
    }
}

fn any_life(version: i32) -> impl Strategy<Value = Life> {
    let time = || prop::option::of(0_i64..100);
    (
        0..STATES.len(),
        0_i64..100,
        time(),
        time(),
        time(),
        any::<bool>(),
    )
        .prop_map(
            move |(state, since, published, stopped, until, has_private)| Life {
                version,
                kid: format!("kid-{version}"),
                state: STATES[state],
                since: second(since),
                published_at: published.map(second),
                stopped_signing_at: stopped.map(second),
                valid_until: until.map(second),
                has_private,
            },
        )
}

proptest! {
    #[test]
    fn what_a_rotation_does_next_is_never_what_a_single_step_would_refuse(
        one in any_life(1), two in any_life(2), three in any_life(3),
        now in 0_i64..300, cache in 1_i64..50, lifetime in 1_i64..50, skew in 1_i64..50,
    ) {
        let versions = [one, two, three];
        let waits = waits(cache, lifetime, skew);
        let now = second(now);
        match next(&versions, now, &waits, &pace()) {
            Next::Promote { version } => {
                let done = promotion(&versions, &Which::Version(version), now, &waits, false);
                prop_assert!(matches!(done, Ok(Promotion::Go { harm: None, .. })), "{done:?}");
            }
            Next::Retire { version } => {
                let done = retirement(&versions, &Which::Version(version), now, &waits, false);
                prop_assert_eq!(done, Ok(Retirement::Go { version, harm: None }));
            }
            Next::Wait { until, .. } => prop_assert!(until > now),
            Next::Seed | Next::Make | Next::Publish { .. } | Next::Rest { .. } => {}
        }
    }

    #[test]
    fn whoever_is_not_locked_out_is_not_told_so_and_nobody_is_locked_out_in_silence(
        one in any_life(1), two in any_life(2), now in 0_i64..300,
        cache in 1_i64..50, lifetime in 1_i64..50, skew in 1_i64..50,
    ) {
        let versions = [one, two];
        let waits = waits(cache, lifetime, skew);
        let (now, which) = (second(now), Which::Version(1));
        let calm = promotion(&versions, &which, now, &waits, false);
        match promotion(&versions, &which, now, &waits, true) {
            Ok(Promotion::Go { harm: Some(_), .. }) => prop_assert!(calm.is_err(), "{calm:?}"),
            anything => prop_assert_eq!(anything, calm),
        }
        if let Ok(Retirement::Go { harm: Some(_), .. }) =
            retirement(&versions, &which, now, &waits, true)
        {
            prop_assert!(retirement(&versions, &which, now, &waits, false).is_err());
        }
    }
}

//! The demo's traffic and its books: they must notice what a service does wrong, since the demo
//! claims nothing that they did not see.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::http::StatusCode;
use axum::routing::post;
use axum::{Json, Router};
use dbctl::carry::contract::{
    Decision, IssueRequest, IssuedToken, NonceRange, NonceRequest, RevokeSessionRequest,
    RevokeTokenRequest, VerifyRequest,
};
use dbctl::demo::intervals::Intervals;
use dbctl::demo::record::{Answer, Check, Limits, Phase, Record, Unavailable};
use dbctl::demo::traffic::{Fleet, Instance, Options, Traffic};
use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;

use crate::support::service;

fn token(id: &str, session: &str) -> IssuedToken {
    IssuedToken {
        token: format!("token-{id}"),
        token_id: id.to_owned(),
        session_id: session.to_owned(),
        expires_at: Timestamp::now() + SignedDuration::from_hours(1),
        kid: "k".to_owned(),
    }
}

fn denied(reason: &str) -> Answer {
    Answer::Denied {
        reason_code: reason.to_owned(),
    }
}

/// Books with one environment and so many tokens, each in a session of its own.
fn books(tokens: usize) -> Record {
    let mut record = Record::new(1, Limits::default());
    for i in 0..tokens {
        record.issued(0, "a", token(&format!("t{i}"), &format!("s{i}")), 0);
    }
    record
}

fn live(record: &mut Record) -> Check {
    record
        .check_live(0, 0, Timestamp::now())
        .expect("a live token")
}

proptest! {
    #[test]
    fn intervals_count_duplicates_like_a_set(
        ranges in prop::collection::vec((-60_i64..60, 0_i64..15), 1..40)
    ) {
        let mut intervals = Intervals::default();
        let mut set = BTreeSet::new();
        for (first, length) in ranges {
            let last = first + length;
            let twice = (first..=last).filter(|n| !set.insert(*n)).count() as u64;
            prop_assert_eq!(intervals.insert(first, last), twice);
        }
        let gaps = set.iter().zip(set.iter().skip(1)).filter(|(a, b)| *b - *a > 1).count();
        prop_assert_eq!(intervals.runs(), gaps + 1);
    }
}

#[test]
fn intervals_reach_both_ends_of_the_numbers() {
    let mut intervals = Intervals::default();
    assert_eq!(intervals.insert(i64::MAX - 1, i64::MAX), 0);
    assert_eq!(intervals.insert(i64::MIN, i64::MIN), 0);
    assert_eq!(intervals.insert(i64::MAX, i64::MAX), 1);
    assert_eq!(intervals.insert(i64::MIN, i64::MIN + 1), 1);
}

#[test]
fn a_revoked_token_that_is_allowed_is_a_violation() {
    let mut record = books(1);
    let revocation = record.revoke(0, 0, false).expect("a token to revoke");
    record.acknowledged(revocation);
    let check = record.check_revoked(0).expect("a revoked token");
    record.verified(&check, "b", Answer::Allowed);
    let summary = record.summary();
    assert_eq!(summary.revoked.allowed, 1);
    assert_eq!(summary.revoked.never_allowed, 0);
    assert!(!summary.holds());
    assert!(
        summary.details[0].contains("b allowed token t0"),
        "{summary:?}"
    );
    // A denial afterwards does not heal it.
    record.verified(&check, "b", denied("revoked_token"));
    assert_eq!(record.summary().revoked.held, 0);
}

#[test]
fn a_check_that_began_before_the_acknowledgement_may_end_either_way() {
    for answer in [Answer::Allowed, denied("revoked_token")] {
        let mut record = books(1);
        let check = live(&mut record);
        let revocation = record.revoke(0, 0, false).expect("a token to revoke");
        record.verified(&check, "a", answer.clone());
        record.acknowledged(revocation);
        record.verified(&check, "a", answer);
        let summary = record.summary();
        assert_eq!((summary.revoked.allowed, summary.wrongly_denied), (0, 0));
    }
}

#[test]
fn revoking_a_session_revokes_all_its_tokens_even_late_ones() {
    let mut record = Record::new(1, Limits::default());
    for id in ["t0", "t1"] {
        record.issued(0, "a", token(id, "s"), 0);
    }
    let revocation = record.revoke(0, 0, true).expect("a session to revoke");
    assert_eq!(revocation.session_id(), Some("s"));
    assert!(record.check_live(0, 0, Timestamp::now()).is_none());
    record.acknowledged(revocation);
    record.issued(0, "a", token("t2", "s"), 0);
    assert!(record.check_live(0, 0, Timestamp::now()).is_none());
    let sent: BTreeSet<_> = record
        .check_all_revoked()
        .iter()
        .map(|c| c.token().to_owned())
        .collect();
    assert_eq!(sent.len(), 3, "{sent:?}");
    let summary = record.summary();
    assert_eq!((summary.revoked.tokens, summary.revoked.sessions), (0, 1));
}

#[test]
fn an_unacknowledged_revocation_claims_nothing() {
    let mut record = books(1);
    let _open = record.revoke(0, 0, false).expect("a token to revoke");
    let summary = record.summary();
    assert_eq!(summary.revoked_total(), 0);
    assert_eq!(summary.revoked.unacknowledged, 1);
}

#[test]
fn denied_counts_for_the_phase_that_it_was_seen_in_and_for_the_right_reason() {
    let mut record = books(1);
    let revocation = record.revoke(0, 0, false).expect("a token to revoke");
    record.acknowledged(revocation);
    let check = record.check_revoked(0).expect("a revoked token");
    record.verified(&check, "a", denied("revoked_token"));
    record.enter(Phase::During);
    record.verified(&check, "a", denied("unknown_key"));
    record.verified(&check, "a", Answer::Unavailable(Unavailable::Refused));
    let summary = record.summary();
    assert_eq!(
        (summary.revoked.denied_before, summary.revoked.denied_during),
        (1, 0)
    );
    assert_eq!(
        (summary.revoked.held, summary.revoked.never_allowed),
        (0, 1)
    );
    record.enter(Phase::After);
    record.verified(&check, "a", denied("revoked_token"));
    assert_eq!(record.summary().revoked.held, 1);
}

#[test]
fn a_live_token_with_an_unknown_key_is_a_gap_and_an_outage_is_not() {
    let mut record = books(1);
    let check = live(&mut record);
    for why in [
        Unavailable::Connection,
        Unavailable::Timeout,
        Unavailable::Refused,
    ] {
        record.verified(&check, "b", Answer::Unavailable(why));
    }
    let summary = record.summary();
    assert_eq!((summary.gaps, summary.unavailable_total()), (0, 3));

    record.verified(&check, "b", denied("unknown_key"));
    record.verified(&check, "b", denied("bad_signature"));
    record.verified(&check, "b", denied("revoked_token"));
    let summary = record.summary();
    assert_eq!((summary.gaps, summary.wrongly_denied), (2, 1));
    assert!(!summary.holds());
    assert!(
        summary.details[0].contains("of a with unknown_key"),
        "{summary:?}"
    );
}

#[test]
fn a_nonce_that_comes_twice_is_counted_per_node_and_scope() {
    let mut record = books(0);
    let range = |node: &str, scope: &str, first, last| NonceRange {
        node_name: node.to_owned(),
        nonce_scope: scope.to_owned(),
        first,
        last,
    };
    record.nonces(0, "a", &range("a", "x", 1, 8));
    record.nonces(0, "a", &range("a", "y", 1, 8));
    record.nonces(0, "b", &range("b", "x", 1, 8));
    assert_eq!(
        (record.summary().nonces, record.summary().nonces_twice),
        (24, 0)
    );
    record.nonces(0, "a", &range("a", "x", 7, 10));
    assert_eq!(
        (record.summary().nonces, record.summary().nonces_twice),
        (28, 2)
    );
    record.nonces(0, "a", &range("a", "x", 20, 19));
    assert_eq!(record.summary().unexpected, 1);
}

#[test]
fn memory_stays_bounded_and_what_is_revoked_is_never_forgotten() {
    let limits = Limits {
        live: 10,
        revoked: 3,
    };
    let mut record = Record::new(1, limits);
    let mut revoked = 0;
    for i in 0..100 {
        record.issued(0, "a", token(&format!("t{i}"), &format!("s{i}")), i);
        if let Some(revocation) = record.revoke(0, i, i % 2 == 0) {
            record.acknowledged(revocation);
            revoked += 1;
        }
    }
    assert_eq!(revoked, 3);
    assert_eq!(record.check_all_revoked().len(), 3);
    let remembered: HashSet<String> = (0..50)
        .filter_map(|i| record.check_live(0, i, Timestamp::now()))
        .map(|c| c.token().to_owned())
        .collect();
    assert_eq!(remembered.len(), 10);
}

#[test]
fn tokens_that_are_about_to_expire_are_not_checked() {
    let mut record = books(1);
    let late = Timestamp::now() + SignedDuration::from_mins(59) + SignedDuration::from_secs(45);
    assert!(record.check_live(0, 0, late).is_none());
    assert!(record.session_to_extend(0, 0).is_none());
}

/// A service that keeps the contract in memory, until it is told to break a part of it.
#[derive(Clone, Default)]
struct Fake(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    name: String,
    issued: u64,
    next_nonce: BTreeMap<String, i64>,
    revoked: HashSet<String>,
    fenced: bool,
    forgets_revocations: bool,
    forgets_nonces: bool,
    forgets_keys: bool,
    requests: u64,
}

impl Fake {
    /// Serves on a free port until the test ends. Tokens are `id session`.
    async fn start(name: &str) -> (Fake, Instance) {
        let fake = Fake::default();
        fake.state().name = name.to_owned();
        let revoke_token = |f: Fake, r: RevokeTokenRequest| f.revoke(r.token_id.expect("an id"));
        let revoke_session = |f: Fake, r: RevokeSessionRequest| f.revoke(r.session_id);
        let app = Router::new()
            .route("/v1/tokens", serve(&fake, Fake::issue))
            .route("/v1/tokens/verify", serve(&fake, Fake::verify))
            .route("/v1/tokens/revoke", serve(&fake, revoke_token))
            .route("/v1/sessions/revoke", serve(&fake, revoke_session))
            .route("/v1/nonces", serve(&fake, Fake::nonces));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0")
            .await
            .expect("a free port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        tokio::spawn(async move { axum::serve(listener, app).await });
        let name = name.to_owned();
        (fake, Instance { name, url })
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.0.lock().expect("no panic")
    }

    fn issue(self, request: IssueRequest) -> (StatusCode, serde_json::Value) {
        let mut state = self.state();
        state.issued += 1;
        let id = format!("{}-{}", state.name, state.issued);
        let session = request.session_id.unwrap_or_else(|| format!("s-{id}"));
        let token = IssuedToken {
            token: format!("{id} {session}"),
            ..token(&id, &session)
        };
        (StatusCode::CREATED, json(&token))
    }

    fn verify(self, request: VerifyRequest) -> (StatusCode, serde_json::Value) {
        let state = self.state();
        let known = |id: &str| state.revoked.contains(id) && !state.forgets_revocations;
        let (id, session) = request.token.split_once(' ').expect("two parts");
        let (status, reason) = if state.forgets_keys {
            (StatusCode::UNAUTHORIZED, "unknown_key")
        } else if known(id) {
            (StatusCode::UNAUTHORIZED, "revoked_token")
        } else if known(session) {
            (StatusCode::UNAUTHORIZED, "revoked_session")
        } else {
            (StatusCode::OK, "ok")
        };
        let decision = Decision {
            allow: status == StatusCode::OK,
            reason_code: reason.to_owned(),
            subject: None,
            token_id: None,
            session_id: None,
            kid: None,
        };
        (status, json(&decision))
    }

    fn revoke(self, id: String) -> (StatusCode, serde_json::Value) {
        let mut state = self.state();
        if state.fenced {
            return (StatusCode::SERVICE_UNAVAILABLE, serde_json::Value::Null);
        }
        state.revoked.insert(id);
        (StatusCode::OK, serde_json::json!({}))
    }

    fn nonces(self, request: NonceRequest) -> (StatusCode, serde_json::Value) {
        let mut state = self.state();
        if state.forgets_nonces {
            state.next_nonce.clear();
        }
        let node_name = state.name.clone();
        let next = state.next_nonce.entry(request.scope.clone()).or_insert(1);
        let first = *next;
        *next += i64::from(request.count);
        let range = NonceRange {
            node_name,
            nonce_scope: request.scope,
            first,
            last: *next - 1,
        };
        (StatusCode::CREATED, json(&range))
    }
}

fn json(body: &impl serde::Serialize) -> serde_json::Value {
    serde_json::to_value(body).expect("plain data")
}

fn serve<B: serde::de::DeserializeOwned + Send + 'static>(
    fake: &Fake,
    answer: impl Fn(Fake, B) -> (StatusCode, serde_json::Value) + Clone + Send + Sync + 'static,
) -> axum::routing::MethodRouter {
    let fake = fake.clone();
    post(move |Json(body): Json<B>| {
        fake.state().requests += 1;
        let (status, body) = answer(fake.clone(), body);
        async move { (status, Json(body)) }
    })
}

/// Two production instances and one of staging, and traffic on them as fast as it goes.
async fn under_traffic() -> (Vec<Fake>, Traffic) {
    let (mut fakes, mut instances) = (Vec::new(), Vec::new());
    for name in ["a", "b", "staging"] {
        let (fake, instance) = Fake::start(name).await;
        fakes.push(fake);
        instances.push(instance);
    }
    let staging = instances.split_off(2);
    let fleet = |name: &str, instances| Fleet {
        name: name.to_owned(),
        instances,
    };
    let fleets = vec![fleet("production", instances), fleet("staging", staging)];
    let options = Options {
        requests_per_second: 2_000,
        ..Options::new(fleets)
    };
    (fakes, Traffic::start(options).expect("traffic"))
}

/// Waits until the books say so; a test that never gets there is ended by the test runner.
async fn until(traffic: &Traffic, enough: impl Fn(&dbctl::demo::record::Summary) -> bool) {
    while !enough(&traffic.summary()) {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test]
async fn an_honest_service_is_found_honest() {
    let (_fakes, traffic) = under_traffic().await;
    until(&traffic, |s| {
        s.revoked_total() > 20 && s.revoked.sessions > 3
    })
    .await;
    traffic.enter(Phase::During);
    until(&traffic, |s| s.revoked.denied_during > 10).await;
    traffic.enter(Phase::After);
    let summary = traffic.stop().await;
    assert_eq!(
        summary.revoked.held,
        summary.revoked_total(),
        "{summary:#?}"
    );
    assert_eq!(summary.details, Vec::<String>::new());
    assert_eq!(summary.revoked.never_allowed, summary.revoked_total());
    assert!(
        summary.nonces > 0 && summary.nonces_twice == 0,
        "{summary:#?}"
    );
    assert_eq!(summary.revoked.unacknowledged, 0);
    assert!(summary.holds());
}

#[tokio::test]
async fn a_service_that_forgets_is_caught() {
    let (fakes, traffic) = under_traffic().await;
    until(&traffic, |s| s.revoked_total() > 5 && s.nonces > 100).await;
    fakes[0].state().forgets_revocations = true;
    until(&traffic, |s| s.revoked.allowed > 0).await;
    fakes[1].state().forgets_nonces = true;
    until(&traffic, |s| s.nonces_twice > 0).await;
    fakes[2].state().forgets_keys = true;
    until(&traffic, |s| s.gaps > 0).await;
    let summary = traffic.stop().await;
    assert!(!summary.holds());
    for promise in ["(P1)", "(P2)", "(P3)"] {
        assert!(
            summary.details.iter().any(|d| d.contains(promise)),
            "{promise}: {summary:#?}"
        );
    }
}

#[tokio::test]
async fn a_fenced_instance_holds_a_revocation_open_until_it_acknowledges() {
    let (fakes, traffic) = under_traffic().await;
    for fake in &fakes[..2] {
        fake.state().fenced = true;
    }
    until(&traffic, |s| s.revoked.unacknowledged > 5).await;
    until(&traffic, |s| {
        s.unavailable.contains_key(&Unavailable::Refused)
    })
    .await;
    for fake in &fakes[..2] {
        fake.state().fenced = false;
    }
    until(&traffic, |s| s.revoked.tokens > 10).await;
    let summary = traffic.stop().await;
    assert_eq!(summary.revoked.unacknowledged, 0, "{summary:#?}");
    assert_eq!(summary.revoked.allowed, 0);
}

#[tokio::test]
async fn a_pause_sends_nothing_until_it_ends() {
    let (fakes, traffic) = under_traffic().await;
    until(&traffic, |s| s.requests > 50).await;
    traffic.pause();
    let sent = || fakes.iter().map(|f| f.state().requests).sum::<u64>();
    // What is under way ends by itself.
    let mut before = sent();
    loop {
        tokio::time::sleep(Duration::from_millis(100)).await;
        match sent() {
            now if now == before => break,
            now => before = now,
        }
    }
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert_eq!(sent(), before);
    traffic.go_on();
    until(&traffic, |s| s.requests > before + 50).await;
    traffic.stop().await;
}

#[tokio::test]
async fn instances_that_are_not_there_are_unavailable_and_nothing_worse() {
    let (_fake, mut instance) = Fake::start("a").await;
    // Nobody listens on the discard port of a machine of today.
    instance.url = "http://127.0.0.1:9".to_owned();
    let fleets = vec![Fleet {
        name: "production".to_owned(),
        instances: vec![instance],
    }];
    let traffic = Traffic::start(Options::new(fleets)).expect("traffic");
    until(&traffic, |s| s.unavailable_total() > 10).await;
    let summary = traffic.stop().await;
    assert_eq!((summary.gaps, summary.unexpected), (0, 0), "{summary:#?}");
    assert!(!summary.holds(), "nothing was seen, so nothing is claimed");
}

#[test]
fn the_reference_service_on_memory_and_files_is_found_honest() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let mut first = service::Instance::new(dir.path(), "auth-1");
    let mut second = service::Instance::beside(&first, "auth-2");
    first.start();
    second.start();
    let instance = |name: &str, running: &service::Instance| Instance {
        name: name.to_owned(),
        url: running.url().to_owned(),
    };
    let fleets = vec![Fleet {
        name: "production".to_owned(),
        instances: vec![instance("auth-1", &first), instance("auth-2", &second)],
    }];
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let summary = runtime.block_on(async {
        let traffic = Traffic::start(Options::new(fleets)).expect("traffic");
        until(&traffic, |s| {
            s.revoked.tokens > 5 && s.revoked.sessions > 1 && s.nonces > 100
        })
        .await;
        traffic.enter(Phase::After);
        traffic.stop().await
    });
    assert!(summary.holds(), "{summary:#?}");
    assert_eq!(summary.unavailable_total(), 0, "{summary:#?}");
}

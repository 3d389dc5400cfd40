//! The service's metrics in the Prometheus text format. Every series exists from the start, so
//! that "no series" means "not this service" and never "nothing happened yet".

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use prometheus_client::encoding::{EncodeLabelSet, EncodeLabelValue, LabelValueEncoder};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

use super::decide::Reason;
use crate::runtime::revocation::CacheState;
use crate::runtime::toggles::{Modes, Toggle};

/// What a request wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Op {
    Issue,
    Verify,
    Revoke,
    Nonce,
}

impl Op {
    const ALL: [Op; 4] = [Op::Issue, Op::Verify, Op::Revoke, Op::Nonce];

    pub const fn as_str(self) -> &'static str {
        match self {
            Op::Issue => "issue",
            Op::Verify => "verify",
            Op::Revoke => "revoke",
            Op::Nonce => "nonce",
        }
    }
}

impl EncodeLabelValue for Op {
    fn encode(&self, encoder: &mut LabelValueEncoder) -> Result<(), fmt::Error> {
        self.as_str().encode(encoder)
    }
}

/// How it ended: `deny` is an answer, `error` is a failure (5xx). `fenced` is neither: somebody
/// asked for it, and a rollout that fences must not look like the harm that it watches for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Outcome {
    Allow,
    Deny,
    Error,
    Fenced,
}

impl Outcome {
    const ALL: [Outcome; 4] = [
        Outcome::Allow,
        Outcome::Deny,
        Outcome::Error,
        Outcome::Fenced,
    ];

    pub fn of(status: axum::http::StatusCode) -> Self {
        if status.is_success() {
            Outcome::Allow
        } else if status.is_server_error() {
            Outcome::Error
        } else {
            Outcome::Deny
        }
    }
}

impl EncodeLabelValue for Outcome {
    fn encode(&self, encoder: &mut LabelValueEncoder) -> Result<(), fmt::Error> {
        match self {
            Outcome::Allow => "allow",
            Outcome::Deny => "deny",
            Outcome::Error => "error",
            Outcome::Fenced => "fenced",
        }
        .encode(encoder)
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Request {
    op: Op,
    outcome: Outcome,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByOp {
    op: Op,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByReason {
    reason: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByMode {
    toggle: &'static str,
    mode: &'static str,
}

/// Upper bounds in seconds.
const BUCKETS: [f64; 11] = [
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5,
];

type Durations = Family<ByOp, Histogram, fn() -> Histogram>;

pub(super) struct Metrics {
    registry: Registry,
    requests: Family<Request, Counter>,
    durations: Durations,
    failures: Family<ByReason, Counter>,
    pub key_lookup_failures: Counter,
    pub nonce_errors: Counter,
    records_lost: Counter,
    records_waiting: Gauge,
    cache_entries: Gauge,
    cache_age: Gauge<f64, AtomicU64>,
    stale_answers: Counter,
}

/// What is counted elsewhere and asked for when somebody looks.
pub(super) struct Kept {
    pub records_lost: u64,
    /// Records in the spool.
    pub records_waiting: u64,
    pub cache: Option<CacheState>,
    /// Since the start.
    pub uptime: Duration,
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Metrics")
    }
}

impl Metrics {
    pub fn new(modes: Modes, started_s: f64) -> Self {
        let durations: fn() -> Histogram = || Histogram::new(BUCKETS);
        let metrics = Self {
            registry: Registry::default(),
            requests: Family::default(),
            durations: Family::new_with_constructor(durations),
            failures: Family::default(),
            key_lookup_failures: Counter::default(),
            nonce_errors: Counter::default(),
            records_lost: Counter::default(),
            records_waiting: Gauge::default(),
            cache_entries: Gauge::default(),
            cache_age: Gauge::default(),
            stale_answers: Counter::default(),
        };
        let running: Family<ByMode, Gauge> = Family::default();
        // Asking for a series makes it.
        for op in Op::ALL {
            drop(metrics.durations.get_or_create(&ByOp { op }));
            for outcome in Outcome::ALL {
                drop(metrics.requests.get_or_create(&Request { op, outcome }));
            }
        }
        for reason in Reason::ALL.iter().filter(|r| **r != Reason::Ok) {
            let reason = reason.as_str();
            drop(metrics.failures.get_or_create(&ByReason { reason }));
        }
        for toggle in Toggle::ALL {
            let labels = ByMode {
                toggle: toggle.name(),
                mode: modes.get(toggle).as_str(),
            };
            running.get_or_create(&labels).set(1);
        }
        let started: Gauge<f64, AtomicU64> = Gauge::default();
        started.set(started_s);
        metrics.registered(running, started)
    }

    /// Names as they are exposed, less the `_total` that the encoder adds to counters.
    fn registered(
        mut self,
        running: Family<ByMode, Gauge>,
        started: Gauge<f64, AtomicU64>,
    ) -> Self {
        let r = &mut self.registry;
        r.register(
            "process_start_time_seconds",
            "When the process started, in seconds since 1970",
            started,
        );
        r.register(
            "auth_requests",
            "Requests by what they wanted and how they ended",
            self.requests.clone(),
        );
        r.register(
            "auth_request_duration_seconds",
            "How long requests took",
            self.durations.clone(),
        );
        r.register(
            "auth_verification_failures",
            "Tokens that were not allowed, by reason",
            self.failures.clone(),
        );
        r.register(
            "auth_key_lookup_failures",
            "Key look-ups that could not be answered",
            self.key_lookup_failures.clone(),
        );
        r.register(
            "nonce_reservation_errors",
            "Nonce reservations that failed",
            self.nonce_errors.clone(),
        );
        r.register(
            "decision_records_lost",
            "Decisions and events that could not be recorded",
            self.records_lost.clone(),
        );
        r.register(
            "decision_records_waiting",
            "Decisions and events that wait in the local spool",
            self.records_waiting.clone(),
        );
        r.register(
            "revocation_cache_entries",
            "Revocations that are kept in memory",
            self.cache_entries.clone(),
        );
        r.register(
            "revocation_cache_age_seconds",
            "How old what the cache of revocations knows is; 0 without one",
            self.cache_age.clone(),
        );
        r.register(
            "revocation_stale_answers",
            "Tokens judged by a cache older than its bound, as SERVICE_REVOCATION_UNAVAILABLE allows",
            self.stale_answers.clone(),
        );
        r.register(
            "security_runtime_mode",
            "The mode of each toggle that the process runs in",
            running,
        );
        self
    }

    pub fn request(&self, op: Op, outcome: Outcome, took: Duration) {
        self.requests.get_or_create(&Request { op, outcome }).inc();
        self.durations
            .get_or_create(&ByOp { op })
            .observe(took.as_secs_f64());
    }

    pub fn verification_failed(&self, reason: Reason) {
        let reason = reason.as_str();
        self.failures.get_or_create(&ByReason { reason }).inc();
    }

    /// The whole exposition.
    pub fn render(&self, kept: &Kept) -> String {
        let set = |counter: &Counter, to: u64| counter.inner().store(to, Ordering::Relaxed);
        let number = |n: u64| i64::try_from(n).unwrap_or(i64::MAX);
        set(&self.records_lost, kept.records_lost);
        self.records_waiting.set(number(kept.records_waiting));
        if let Some(cache) = kept.cache {
            self.cache_entries.set(number(cache.entries as u64));
            // Until everything was loaded it knows nothing: as old as the process.
            self.cache_age
                .set(cache.age.unwrap_or(kept.uptime).as_secs_f64());
            set(&self.stale_answers, cache.stale_answers);
        }
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &self.registry)
            .expect("writing to a string cannot fail");
        text
    }
}

//! Honest traffic over HTTP: tokens are issued, verified anywhere, revoked everywhere and verified
//! again for ever; nonces are taken from any instance. What it sees goes into its own [`Record`].
//!
//! It knows nothing of toggles, Postgres or rollouts. In memory mode instances do not tell each
//! other what was revoked, so a revocation is posted to every instance of its environment until
//! each has acknowledged it, and counts only then.

use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use jiff::Timestamp;
use reqwest::{Client, StatusCode};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

use super::record::{Answer, Check, Limits, Phase, Record, Revocation, Summary, Unavailable};
use crate::carry::contract::{
    Decision, IssueRequest, IssuedToken, NonceRange, NonceRequest, RevokeSessionRequest,
    RevokeTokenRequest, VerifyRequest,
};
use crate::error::{Doing as _, Exit, Problem, Result};

/// A request that takes longer counts as not answered.
const ANSWER_WITHIN: Duration = Duration::from_secs(2);

/// Between two attempts at the same revocation, or at a check of the last sweep.
const RETRY_AFTER: Duration = Duration::from_millis(50);

/// How long a sweep may take in all. What it does not reach is not claimed.
const SWEEP_WITHIN: Duration = Duration::from_secs(20);

/// Revocations that may wait for acknowledgement at the same time.
const OPEN_REVOCATIONS: usize = 32;

/// How long an open revocation may still take when the traffic ends.
const LAST_REVOCATIONS: Duration = Duration::from_secs(5);

/// The instances that share tokens, revocations and keys.
#[derive(Debug, Clone)]
pub struct Fleet {
    pub name: String,
    pub instances: Vec<Instance>,
}

#[derive(Debug, Clone)]
pub struct Instance {
    pub name: String,
    /// Base URL.
    pub url: String,
}

/// What to send, and how fast.
#[derive(Debug, Clone)]
pub struct Options {
    pub fleets: Vec<Fleet>,
    /// Over all instances. A revocation counts as one, however many instances it goes to.
    pub requests_per_second: u32,
    /// Requests under way at the same time.
    pub workers: u32,
    pub nonce_scopes: Vec<String>,
    pub nonces_per_request: u32,
    pub limits: Limits,
}

impl Options {
    /// 200 requests a second from 8 workers, 8 nonces at a time.
    pub fn new(fleets: Vec<Fleet>) -> Self {
        Self {
            fleets,
            requests_per_second: 200,
            workers: 8,
            nonce_scopes: vec!["envelope".into(), "handshake".into()],
            nonces_per_request: 8,
            limits: Limits::default(),
        }
    }
}

/// Traffic under way. Dropping it stops it without waiting.
#[derive(Debug)]
pub struct Traffic {
    shared: Arc<Shared>,
    go: watch::Sender<bool>,
    workers: JoinSet<()>,
}

#[derive(Debug)]
struct Shared {
    options: Options,
    client: Client,
    record: Mutex<Record>,
    /// No new requests.
    stop: CancellationToken,
    /// Open revocations give up.
    give_up: CancellationToken,
    revocations: Mutex<JoinSet<()>>,
    may_revoke: Arc<Semaphore>,
}

impl Traffic {
    /// Begins to send. Needs at least one instance in every fleet, a scope, a rate and a worker.
    pub fn start(options: Options) -> Result<Self> {
        let doing = "starting the traffic";
        let complete = !options.fleets.is_empty()
            && options.fleets.iter().all(|f| !f.instances.is_empty())
            && !options.nonce_scopes.is_empty()
            && options.requests_per_second > 0
            && options.workers > 0
            && options.nonces_per_request > 0;
        if !complete {
            return Err(Problem::new(
                Exit::Failed,
                doing,
                "a fleet without instances, or nothing to send",
            ));
        }
        let client = Client::builder()
            .timeout(ANSWER_WITHIN)
            .connect_timeout(ANSWER_WITHIN)
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .build()
            .doing(Exit::Failed, doing)?;
        let (go, gate) = watch::channel(true);
        let period = Duration::from_secs(1) * options.workers / options.requests_per_second;
        let mut workers = JoinSet::new();
        let shared = Arc::new(Shared {
            record: Mutex::new(Record::new(options.fleets.len(), options.limits)),
            client,
            stop: CancellationToken::new(),
            give_up: CancellationToken::new(),
            revocations: Mutex::new(JoinSet::new()),
            may_revoke: Arc::new(Semaphore::new(OPEN_REVOCATIONS)),
            options,
        });
        for number in 0..shared.options.workers {
            // Spread over the period, so that the rate is even from the first second.
            let delay = period * number / shared.options.workers;
            workers.spawn(work(shared.clone(), gate.clone(), delay, period));
        }
        Ok(Self {
            shared,
            go,
            workers,
        })
    }

    /// No new requests until [`Traffic::go_on`]. Those under way end by themselves.
    pub fn pause(&self) {
        self.go.send_replace(false);
    }

    pub fn go_on(&self) {
        self.go.send_replace(true);
    }

    /// Says where the traffic stands relative to the switch.
    pub fn enter(&self, phase: Phase) {
        self.shared.record().enter(phase);
    }

    /// The numbers so far.
    pub fn summary(&self) -> Summary {
        self.shared.record().summary()
    }

    /// Verifies everything that was ever revoked on every instance of its environment. One that
    /// does not answer is asked again for a while.
    pub async fn sweep(&self) {
        let checks = self.shared.record().check_all_revoked();
        let at_once = Arc::new(Semaphore::new(self.shared.options.workers as usize));
        let mut asked = JoinSet::new();
        for check in checks {
            let (shared, at_once) = (self.shared.clone(), at_once.clone());
            asked.spawn(async move {
                let _permit = at_once.acquire().await;
                for instance in &shared.options.fleets[check.environment()].instances {
                    shared.verify_until_answered(&check, instance).await;
                }
            });
        }
        let ended = async { while asked.join_next().await.is_some() {} };
        // Dropping what is left ends it.
        let _ = tokio::time::timeout(SWEEP_WITHIN, ended).await;
    }

    /// Stops, lets open revocations end where they can within a few seconds, sweeps a last time
    /// and gives the numbers.
    pub async fn stop(mut self) -> Summary {
        self.shared.stop.cancel();
        while self.workers.join_next().await.is_some() {}
        let mut open = std::mem::take(&mut *self.shared.revocations());
        let ended = async { while open.join_next().await.is_some() {} };
        if tokio::time::timeout(LAST_REVOCATIONS, ended).await.is_err() {
            self.shared.give_up.cancel();
            while open.join_next().await.is_some() {}
        }
        self.sweep().await;
        self.summary()
    }
}

impl Drop for Traffic {
    fn drop(&mut self) {
        self.shared.stop.cancel();
        self.shared.give_up.cancel();
    }
}

/// One worker: at most one request at a time, none while the gate is closed.
async fn work(
    shared: Arc<Shared>,
    mut gate: watch::Receiver<bool>,
    delay: Duration,
    period: Duration,
) {
    let begin = tokio::time::Instant::now() + delay;
    let mut tick = tokio::time::interval_at(begin, period);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let stop = shared.stop.clone();
    loop {
        let next = async {
            tick.tick().await;
            gate.wait_for(|go| *go).await.is_ok()
        };
        match stop.run_until_cancelled(next).await {
            Some(true) => shared.one_request().await,
            Some(false) | None => return,
        }
    }
}

/// The same choice again would pick related things together; each gets bits of its own.
fn choice() -> usize {
    rand::random::<u32>() as usize
}

impl Shared {
    fn record(&self) -> MutexGuard<'_, Record> {
        self.record.lock().expect("nobody panics while holding it")
    }

    fn revocations(&self) -> MutexGuard<'_, JoinSet<()>> {
        let open = self.revocations.lock();
        open.expect("nobody panics while holding it")
    }

    /// Something that clients do, by their usual shares.
    async fn one_request(self: &Arc<Self>) {
        let (environment, instance) = self.anywhere();
        match choice() % 100 {
            0..20 => self.issue(environment, instance).await,
            20..35 => {
                let check = self.record().check_revoked(choice());
                if let Some(check) = check {
                    let instance = self.somewhere_in(check.environment());
                    self.verify(&check, instance).await;
                }
            }
            35..50 => self.take_nonces(environment, instance).await,
            50..55 => self.begin_revoking(environment),
            _ => {
                let check = self
                    .record()
                    .check_live(environment, choice(), Timestamp::now());
                match check {
                    Some(check) => _ = self.verify(&check, instance).await,
                    None => self.issue(environment, instance).await,
                }
            }
        }
    }

    /// Any instance of any environment, all alike.
    fn anywhere(&self) -> (usize, &Instance) {
        let fleets = self.options.fleets.iter().enumerate();
        let all: Vec<_> = fleets
            .flat_map(|(environment, f)| f.instances.iter().map(move |i| (environment, i)))
            .collect();
        all[choice() % all.len()]
    }

    fn somewhere_in(&self, environment: usize) -> &Instance {
        let instances = &self.options.fleets[environment].instances;
        &instances[choice() % instances.len()]
    }

    async fn issue(&self, environment: usize, instance: &Instance) {
        let session_id = match choice() % 2 {
            0 => self.record().session_to_extend(environment, choice()),
            _ => None,
        };
        let request = IssueRequest {
            subject: format!("user-{}", choice() % 1_000),
            session_id: session_id.clone(),
        };
        let answer = self.post(instance, "/v1/tokens", &request).await;
        match answer.and_then(|(status, body)| read::<IssuedToken>(status, &body)) {
            Ok(token) => {
                self.record()
                    .issued(environment, &instance.name, token, choice());
            }
            Err(Answer::Unavailable(why)) => self.record().unavailable(why),
            Err(other) => {
                // A session that is being revoked may be refused another token.
                let mut record = self.record();
                if session_id.is_none_or(|s| record.session_is_live(environment, &s)) {
                    record.unexpected(format!("{} on issuing: {other:?}", instance.name));
                }
            }
        }
    }

    async fn take_nonces(&self, environment: usize, instance: &Instance) {
        let scopes = &self.options.nonce_scopes;
        let request = NonceRequest {
            scope: scopes[choice() % scopes.len()].clone(),
            count: self.options.nonces_per_request,
        };
        let answer = self.post(instance, "/v1/nonces", &request).await;
        let given = answer.and_then(|(status, body)| read::<NonceRange>(status, &body));
        let mut record = self.record();
        match given {
            Ok(range) => record.nonces(environment, &instance.name, &range),
            Err(Answer::Unavailable(why)) => record.unavailable(why),
            Err(other) => record.unexpected(format!("{} on nonces: {other:?}", instance.name)),
        }
    }

    async fn verify(&self, check: &Check, instance: &Instance) -> bool {
        let request = VerifyRequest {
            token: check.token().to_owned(),
        };
        let answer = match self.post(instance, "/v1/tokens/verify", &request).await {
            Ok((status, body)) => judge(status, &body),
            Err(answer) => answer,
        };
        let answered = !matches!(answer, Answer::Unavailable(_));
        self.record().verified(check, &instance.name, answer);
        answered
    }

    async fn verify_until_answered(&self, check: &Check, instance: &Instance) {
        for _ in 0..40 {
            if self.verify(check, instance).await {
                return;
            }
            tokio::time::sleep(RETRY_AFTER).await;
        }
    }

    /// Revokes in the background: some instance may be down for a while.
    fn begin_revoking(self: &Arc<Self>, environment: usize) {
        let Ok(permit) = self.may_revoke.clone().try_acquire_owned() else {
            return;
        };
        let session = choice().is_multiple_of(4);
        let Some(revocation) = self.record().revoke(environment, choice(), session) else {
            return;
        };
        let shared = self.clone();
        let mut open = self.revocations();
        while open.try_join_next().is_some() {}
        open.spawn(async move {
            let _permit = permit;
            let give_up = shared.give_up.clone();
            let done = give_up.run_until_cancelled(shared.revoke_everywhere(&revocation));
            if done.await.is_some() {
                shared.record().acknowledged(revocation);
            }
        });
    }

    /// Ends when every instance has acknowledged.
    async fn revoke_everywhere(&self, revocation: &Revocation) {
        for instance in &self.options.fleets[revocation.environment()].instances {
            while !self.revoke(revocation, instance).await {
                tokio::time::sleep(RETRY_AFTER).await;
            }
        }
    }

    /// Whether the instance acknowledged it. Fenced, restarting or broken: not yet.
    async fn revoke(&self, revocation: &Revocation, instance: &Instance) -> bool {
        let reason = Some("demo traffic".to_owned());
        let answer = match revocation.session_id() {
            Some(session) => {
                let request = RevokeSessionRequest {
                    session_id: session.to_owned(),
                    reason,
                };
                self.post(instance, "/v1/sessions/revoke", &request).await
            }
            None => {
                let request = RevokeTokenRequest {
                    token: None,
                    token_id: revocation.token_id().map(str::to_owned),
                    expires_at: revocation.expires_at(),
                    reason,
                };
                self.post(instance, "/v1/tokens/revoke", &request).await
            }
        };
        match answer {
            Ok((status, _)) if status.is_success() => true,
            Ok((status, _)) => {
                let what = format!("{} on revoking: {status}", instance.name);
                self.record().unexpected(what);
                false
            }
            Err(Answer::Unavailable(why)) => {
                self.record().unavailable(why);
                false
            }
            Err(other) => {
                let what = format!("{} on revoking: {other:?}", instance.name);
                self.record().unexpected(what);
                false
            }
        }
    }

    /// Status and body of an answer below 500; everything else is an [`Answer`] already.
    async fn post(
        &self,
        instance: &Instance,
        path: &str,
        body: &(impl Serialize + Sync),
    ) -> Result<(StatusCode, Vec<u8>), Answer> {
        self.record().request();
        let url = format!("{}{path}", instance.url.trim_end_matches('/'));
        let unavailable = |e: reqwest::Error| {
            Answer::Unavailable(match e.is_timeout() {
                true => Unavailable::Timeout,
                false => Unavailable::Connection,
            })
        };
        let answer = self.client.post(url).json(body).send();
        let answer = answer.await.map_err(unavailable)?;
        let status = answer.status();
        let body = answer.bytes().await.map_err(unavailable)?;
        if status.is_server_error() {
            return Err(Answer::Unavailable(Unavailable::Refused));
        }
        Ok((status, body.to_vec()))
    }
}

/// The body of a 2xx answer.
fn read<T: DeserializeOwned>(status: StatusCode, body: &[u8]) -> Result<T, Answer> {
    if !status.is_success() {
        return Err(Answer::Unexpected(status.to_string()));
    }
    // The body itself may hold a token and is not shown.
    serde_json::from_slice(body).map_err(|e| {
        Answer::Unexpected(format!("{status}, but the body is not the contract's: {e}"))
    })
}

/// What a verification's answer means. Only 200 with `allow` allows, only 401 without it denies.
fn judge(status: StatusCode, body: &[u8]) -> Answer {
    let decision: Decision = match serde_json::from_slice(body) {
        Ok(decision) => decision,
        Err(e) => return Answer::Unexpected(format!("{status} without a decision: {e}")),
    };
    match (status, decision.allow) {
        (StatusCode::OK, true) => Answer::Allowed,
        (StatusCode::UNAUTHORIZED, false) => Answer::Denied {
            reason_code: decision.reason_code,
        },
        (status, allow) => Answer::Unexpected(format!("{status} with allow={allow}")),
    }
}

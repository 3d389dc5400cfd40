//! The traffic's own books: what it was given, what it revoked, what it was answered. Every
//! number that the demo claims comes from here and none from the service's word.
//!
//! No IO, no clock and no random: the caller says what happened and which one to pick. The order
//! of events is the order of calls, so a check that began after a revocation was acknowledged is
//! known to have begun after it, whatever the clocks say.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use jiff::Timestamp;
use serde::Serialize;

use super::intervals::Intervals;
use crate::carry::contract::{IssuedToken, NonceRange};

/// Violations of each kind that are kept in words; all of them are counted.
const DETAILS: u64 = 5;

/// Tokens of one session; further ones begin a new session.
const TOKENS_PER_SESSION: usize = 4;

/// Where the traffic stands relative to the switch. The caller says when it passes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Phase {
    Before,
    During,
    After,
}

/// What bounds the memory of a [`Record`].
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Unrevoked tokens that are remembered in each environment; further ones replace others.
    pub live: usize,
    /// Revoked tokens and sessions in all. They are never forgotten: once there are this many,
    /// none is revoked any more.
    pub revoked: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            live: 2_000,
            revoked: 20_000,
        }
    }
}

/// How an instance answered a verification.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    Allowed,
    Denied {
        reason_code: String,
    },
    /// It could not be said: nobody listens, no answer in time, a 5xx. The caller fails closed,
    /// so this neither denies for good nor allows.
    Unavailable(Unavailable),
    /// Something that the contract does not know.
    Unexpected(String),
}

/// Why there was no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Unavailable {
    /// No connection, or it broke: a process that restarts.
    Connection,
    /// No answer in time.
    Timeout,
    /// The instance says that it cannot say (5xx).
    Refused,
}

#[derive(Debug)]
struct Token {
    id: String,
    session: String,
    secret: String,
    environment: usize,
    issuer: String,
    expires_at: Timestamp,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Kind {
    Token,
    Session,
}

/// A revoked token or session.
#[derive(Debug)]
struct Revoked {
    kind: Kind,
    /// The token, or all tokens of the session.
    tokens: Vec<Arc<Token>>,
    denied_in: [bool; 3],
    allowed: bool,
}

/// A verification that is under way.
#[derive(Debug)]
pub struct Check {
    token: Arc<Token>,
    /// Index of the revoked item, if the revocation was acknowledged before the check began.
    revoked: Option<usize>,
}

impl Check {
    /// What to send.
    pub fn token(&self) -> &str {
        &self.token.secret
    }

    /// The environment whose instances have to know the token.
    pub fn environment(&self) -> usize {
        self.token.environment
    }
}

/// A revocation that is under way: neither answer is wrong until every instance acknowledged it.
#[derive(Debug)]
pub struct Revocation {
    kind: Kind,
    tokens: Vec<Arc<Token>>,
    id: String,
    environment: usize,
}

impl Revocation {
    /// The token's id, unless a whole session is meant.
    pub fn token_id(&self) -> Option<&str> {
        (self.kind == Kind::Token).then_some(&*self.id)
    }

    /// The session's id, if a session is meant.
    pub fn session_id(&self) -> Option<&str> {
        (self.kind == Kind::Session).then_some(&*self.id)
    }

    /// When the last of the tokens expires by itself.
    pub fn expires_at(&self) -> Option<Timestamp> {
        self.tokens.iter().map(|t| t.expires_at).max()
    }

    pub fn environment(&self) -> usize {
        self.environment
    }
}

/// The books.
#[derive(Debug)]
pub struct Record {
    limits: Limits,
    phase: Phase,
    environments: Vec<Environment>,
    revoked: Vec<Revoked>,
    revocations_open: usize,
    nonces: BTreeMap<(usize, String, String), Intervals>,
    counts: Counts,
    details: Vec<String>,
}

/// What is live in one environment.
#[derive(Debug, Default)]
struct Environment {
    tokens: Vec<Arc<Token>>,
    /// Where in `tokens` an id stands.
    place: HashMap<String, usize>,
    /// The live tokens of each session that is not revoked.
    sessions: HashMap<String, Vec<Arc<Token>>>,
    /// Sessions in the order of their revocation, with their index in `Record::revoked` once it
    /// is acknowledged.
    revoked_sessions: HashMap<String, Option<usize>>,
}

#[derive(Debug, Default)]
struct Counts {
    requests: u64,
    issued: u64,
    verifications: u64,
    nonces: u64,
    nonces_twice: u64,
    revoked_allowed: u64,
    gaps: u64,
    wrongly_denied: u64,
    unexpected: u64,
    unavailable: BTreeMap<Unavailable, u64>,
}

impl Record {
    /// Empty books for so many environments.
    pub fn new(environments: usize, limits: Limits) -> Self {
        Self {
            limits,
            phase: Phase::Before,
            environments: (0..environments).map(|_| Environment::default()).collect(),
            revoked: Vec::new(),
            revocations_open: 0,
            nonces: BTreeMap::new(),
            counts: Counts::default(),
            details: Vec::new(),
        }
    }

    pub fn enter(&mut self, phase: Phase) {
        self.phase = phase;
    }

    /// A request was sent, of whatever kind.
    pub fn request(&mut self) {
        self.counts.requests += 1;
    }

    /// A request other than a verification was not answered.
    pub fn unavailable(&mut self, why: Unavailable) {
        *self.counts.unavailable.entry(why).or_default() += 1;
    }

    /// An answer that the contract does not know.
    pub fn unexpected(&mut self, what: String) {
        self.detail(self.counts.unexpected, format!("unexpected answer: {what}"));
        self.counts.unexpected += 1;
    }

    /// `instance` issued a token. `choice` picks the one that is forgotten when there are too many.
    pub fn issued(
        &mut self,
        environment: usize,
        instance: &str,
        given: IssuedToken,
        choice: usize,
    ) {
        self.counts.issued += 1;
        let token = Arc::new(Token {
            id: given.token_id,
            session: given.session_id,
            secret: given.token,
            environment,
            issuer: instance.to_owned(),
            expires_at: given.expires_at,
        });
        let live = &mut self.environments[environment];
        match live.revoked_sessions.get(&token.session) {
            None => {
                if live.tokens.len() >= self.limits.live {
                    let forgotten = live.tokens[choice % live.tokens.len()].clone();
                    live.remove(&forgotten);
                }
                live.add(token);
            }
            // Issued while its session was being revoked: it has to be denied like the others.
            Some(Some(index)) => self.revoked[*index].tokens.push(token),
            Some(None) => {}
        }
    }

    /// Whether nobody began to revoke the session.
    pub fn session_is_live(&self, environment: usize, session_id: &str) -> bool {
        !self.environments[environment]
            .revoked_sessions
            .contains_key(session_id)
    }

    /// A live session that may be given one more token.
    pub fn session_to_extend(&self, environment: usize, choice: usize) -> Option<String> {
        let live = &self.environments[environment];
        let token = pick(&live.tokens, choice)?;
        let tokens = live.sessions.get(&token.session)?;
        (tokens.len() < TOKENS_PER_SESSION).then(|| token.session.clone())
    }

    /// Begins to verify a live token. Those that are about to expire are forgotten instead.
    pub fn check_live(
        &mut self,
        environment: usize,
        choice: usize,
        now: Timestamp,
    ) -> Option<Check> {
        let live = &mut self.environments[environment];
        let token = pick(&live.tokens, choice)?.clone();
        if token.expires_at <= now + jiff::SignedDuration::from_secs(30) {
            live.remove(&token);
            return None;
        }
        Some(Check {
            token,
            revoked: None,
        })
    }

    /// Begins to verify a token that is revoked, by itself or with its session.
    pub fn check_revoked(&self, choice: usize) -> Option<Check> {
        let index = choice.checked_rem(self.revoked.len())?;
        let token = pick(&self.revoked[index].tokens, choice / self.revoked.len())?.clone();
        Some(Check {
            token,
            revoked: Some(index),
        })
    }

    /// Every revoked token, each as a check that begins now.
    pub fn check_all_revoked(&self) -> Vec<Check> {
        let checks = |(index, item): (usize, &Revoked)| {
            let check = move |token: &Arc<Token>| Check {
                token: token.clone(),
                revoked: Some(index),
            };
            item.tokens.iter().map(check).collect::<Vec<_>>()
        };
        self.revoked.iter().enumerate().flat_map(checks).collect()
    }

    /// A verification was answered by `instance`.
    pub fn verified(&mut self, check: &Check, instance: &str, answer: Answer) {
        self.counts.verifications += 1;
        let token = &check.token;
        match (answer, check.revoked) {
            (Answer::Unavailable(why), _) => self.unavailable(why),
            (Answer::Unexpected(what), _) => self.unexpected(format!("{instance}: {what}")),
            (Answer::Allowed, Some(index)) => {
                let item = &mut self.revoked[index];
                item.allowed = true;
                let kind = match item.kind {
                    Kind::Token => "token",
                    Kind::Session => "session",
                };
                let what = format!(
                    "{instance} allowed token {} although its {kind} was revoked (P2)",
                    token.id
                );
                self.detail(self.counts.revoked_allowed, what);
                self.counts.revoked_allowed += 1;
            }
            (Answer::Denied { reason_code }, Some(index)) => {
                // Denied for another reason says nothing about the revocation.
                let for_it = ["revoked_token", "revoked_session", "expired"];
                if for_it.contains(&&*reason_code) {
                    self.revoked[index].denied_in[self.phase as usize] = true;
                }
            }
            (Answer::Allowed, None) => {}
            (Answer::Denied { reason_code }, None) => {
                // Being revoked by now, it may be denied already.
                if self.environments[token.environment]
                    .place
                    .contains_key(&token.id)
                {
                    self.denied_a_live_token(&check.token, instance, &reason_code);
                }
            }
        }
    }

    fn denied_a_live_token(&mut self, token: &Token, instance: &str, reason_code: &str) {
        let (count, promise) = match reason_code {
            "unknown_key" | "bad_signature" | "key_lookup_failed" => {
                (&mut self.counts.gaps, " (P3)")
            }
            _ => (&mut self.counts.wrongly_denied, ""),
        };
        let earlier = *count;
        *count += 1;
        self.detail(
            earlier,
            format!(
                "{instance} denied the live token {} of {} with {reason_code}{promise}",
                token.id, token.issuer
            ),
        );
    }

    /// Begins to revoke a live token, or its session with all its tokens. From now on it counts
    /// neither as live nor as revoked.
    pub fn revoke(
        &mut self,
        environment: usize,
        choice: usize,
        session: bool,
    ) -> Option<Revocation> {
        if self.revoked.len() + self.revocations_open >= self.limits.revoked {
            return None;
        }
        let live = &mut self.environments[environment];
        let token = pick(&live.tokens, choice)?.clone();
        self.revocations_open += 1;
        if session {
            let tokens = live
                .sessions
                .get(&token.session)
                .cloned()
                .unwrap_or_default();
            tokens.iter().for_each(|t| live.remove(t));
            live.revoked_sessions.insert(token.session.clone(), None);
            return Some(Revocation {
                kind: Kind::Session,
                id: token.session.clone(),
                tokens,
                environment,
            });
        }
        live.remove(&token);
        Some(Revocation {
            kind: Kind::Token,
            id: token.id.clone(),
            tokens: vec![token],
            environment,
        })
    }

    /// Every instance acknowledged it: from now on nobody may allow it.
    pub fn acknowledged(&mut self, revocation: Revocation) {
        self.revocations_open -= 1;
        if revocation.kind == Kind::Session {
            self.environments[revocation.environment]
                .revoked_sessions
                .insert(revocation.id, Some(self.revoked.len()));
        }
        self.revoked.push(Revoked {
            kind: revocation.kind,
            tokens: revocation.tokens,
            denied_in: [false; 3],
            allowed: false,
        });
    }

    /// Nonces were handed out. Each must be the first and only time.
    pub fn nonces(&mut self, environment: usize, instance: &str, range: &NonceRange) {
        if range.last < range.first {
            self.unexpected(format!(
                "{instance}: nonces from {} to {}",
                range.first, range.last
            ));
            return;
        }
        let key = (
            environment,
            range.node_name.clone(),
            range.nonce_scope.clone(),
        );
        let seen = self.nonces.entry(key).or_default();
        let twice = seen.insert(range.first, range.last);
        self.counts.nonces += range.first.abs_diff(range.last) + 1;
        if twice > 0 {
            let what = format!(
                "{instance} handed out {twice} of the nonces {}..={} of {}/{} a second time (P1)",
                range.first, range.last, range.node_name, range.nonce_scope
            );
            self.detail(self.counts.nonces_twice, what);
        }
        self.counts.nonces_twice += twice;
    }

    /// Keeps a violation in words, unless there were enough of its kind `earlier`.
    fn detail(&mut self, earlier: u64, text: String) {
        if earlier < DETAILS {
            self.details.push(text);
        }
    }

    /// What it comes to so far.
    pub fn summary(&self) -> Summary {
        let count =
            |test: &dyn Fn(&Revoked) -> bool| self.revoked.iter().filter(|r| test(r)).count();
        let denied_in = |phase: Phase| count(&|r| r.denied_in[phase as usize]) as u64;
        let counts = &self.counts;
        Summary {
            requests: counts.requests,
            tokens_issued: counts.issued,
            verifications: counts.verifications,
            revoked: RevokedSummary {
                tokens: count(&|r| r.kind == Kind::Token) as u64,
                sessions: count(&|r| r.kind == Kind::Session) as u64,
                denied_before: denied_in(Phase::Before),
                denied_during: denied_in(Phase::During),
                denied_after: denied_in(Phase::After),
                never_allowed: count(&|r| !r.allowed) as u64,
                held: count(&|r| !r.allowed && r.denied_in[self.phase as usize]) as u64,
                allowed: counts.revoked_allowed,
                unacknowledged: self.revocations_open as u64,
            },
            nonces: counts.nonces,
            nonces_twice: counts.nonces_twice,
            gaps: counts.gaps,
            wrongly_denied: counts.wrongly_denied,
            unexpected: counts.unexpected,
            unavailable: counts.unavailable.clone(),
            details: self.details.clone(),
        }
    }
}

impl Environment {
    fn add(&mut self, token: Arc<Token>) {
        self.place.insert(token.id.clone(), self.tokens.len());
        let session = self.sessions.entry(token.session.clone()).or_default();
        session.push(token.clone());
        self.tokens.push(token);
    }

    fn remove(&mut self, token: &Token) {
        if let Some(at) = self.place.remove(&token.id) {
            self.tokens.swap_remove(at);
            if let Some(moved) = self.tokens.get(at) {
                self.place.insert(moved.id.clone(), at);
            }
        }
        if let Some(tokens) = self.sessions.get_mut(&token.session) {
            tokens.retain(|t| t.id != token.id);
            if tokens.is_empty() {
                self.sessions.remove(&token.session);
            }
        }
    }
}

fn pick<T>(from: &[T], choice: usize) -> Option<&T> {
    from.get(choice.checked_rem(from.len())?)
}

/// The numbers of the demo's last screen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Summary {
    /// Requests that were sent, of every kind.
    pub requests: u64,
    pub tokens_issued: u64,
    pub verifications: u64,
    pub revoked: RevokedSummary,
    /// Nonces handed out.
    pub nonces: u64,
    /// Of them, those that had been handed out before (P1: none).
    pub nonces_twice: u64,
    /// Live tokens that an instance denied because it did not know their key (P3: none).
    pub gaps: u64,
    /// Live tokens that an instance denied for another reason: somebody locked out.
    pub wrongly_denied: u64,
    /// Answers that the contract does not know.
    pub unexpected: u64,
    /// Requests that were not answered, by why: restarts, fences, injected faults. No promise
    /// forbids them; the caller fails closed and tries again.
    pub unavailable: BTreeMap<Unavailable, u64>,
    /// The first violations in words.
    pub details: Vec<String>,
}

/// What became of everything that was revoked. Tokens and sessions are counted once each.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RevokedSummary {
    pub tokens: u64,
    pub sessions: u64,
    /// Seen denied in this phase because they are revoked.
    pub denied_before: u64,
    pub denied_during: u64,
    pub denied_after: u64,
    /// Never seen allowed after every instance had acknowledged the revocation.
    pub never_allowed: u64,
    /// Never seen allowed, and seen denied in the phase that the traffic is in now.
    pub held: u64,
    /// Verifications that allowed something revoked (P2: none).
    pub allowed: u64,
    /// Revocations that some instance has not acknowledged yet; nothing is claimed about them.
    pub unacknowledged: u64,
}

impl Summary {
    /// Revoked tokens and sessions in all.
    pub fn revoked_total(&self) -> u64 {
        self.revoked.tokens + self.revoked.sessions
    }

    /// Requests that were not answered, for whatever reason.
    pub fn unavailable_total(&self) -> u64 {
        self.unavailable.values().sum()
    }

    /// Whether every promise held that the traffic can judge, and it saw enough to say so.
    pub fn holds(&self) -> bool {
        self.revoked.allowed == 0
            && self.revoked.held == self.revoked_total()
            && self.nonces_twice == 0
            && self.gaps == 0
            && self.wrongly_denied == 0
            && self.unexpected == 0
            && self.nonces > 0
            && self.revoked_total() > 0
            && self.verifications > 0
    }
}

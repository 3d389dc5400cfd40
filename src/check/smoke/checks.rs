//! The checks themselves.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use secrecy::ExposeSecret;
use serde_json::Value;

use super::mapping::{Ask, Mapping, Values, escape_segment, fill, fill_text};
use super::{Check, Smoke};
use crate::carry::client::{Exchanged, Failure, ServiceClient, TIMEOUT, exchange, message};
use crate::check::{CheckResult, Evidence, Verdict};
use crate::error::Problem;
use crate::pg::{self, Database};
use crate::runtime::toggles::Mode;
use crate::settings::Target;

const ANSWER_BYTES: usize = 1 << 20;
/// How long decisions and events may take to reach Postgres.
const STORED_WITHIN: Duration = Duration::from_secs(3);
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// Nonces in one reservation of the check.
const COUNT: i64 = 3;

/// Why a check ends before its end.
struct Stop {
    verdict: Verdict,
    why: String,
    next: Option<String>,
}

fn fail(why: impl Into<String>) -> Stop {
    stop(Verdict::Fail, why)
}

fn stop(verdict: Verdict, why: impl Into<String>) -> Stop {
    Stop {
        verdict,
        why: why.into(),
        next: None,
    }
}

impl Stop {
    fn next(mut self, next: impl Into<String>) -> Self {
        self.next = Some(next.into());
        self
    }
}

/// Runs one check on one target.
pub(super) async fn run(
    smoke: &Smoke,
    target: &Target,
    client: &ServiceClient,
    check: Check,
    database: Option<&Database>,
) -> CheckResult {
    let began = Instant::now();
    let mut talk = Talk::new(smoke, target);
    let outcome = match check {
        Check::IssueToken => talk.issue_token().await,
        Check::VerifyToken => talk.verify_token().await,
        Check::RevokeToken => talk.revoke_token().await,
        Check::RevokeSession => talk.revoke_session().await,
        Check::Nonce => talk.nonce().await,
        Check::Persistence => talk.persistence(client, database).await,
    };
    let (verdict, summary, next) = match outcome {
        Ok(summary) => (Verdict::Pass, summary, None),
        Err(Stop { verdict, why, next }) => (verdict, why, next),
    };
    CheckResult {
        name: check.name().into(),
        subject: target.name.clone(),
        verdict,
        summary,
        next,
        evidence: talk.evidence,
        duration: began.elapsed(),
    }
}

/// The results for a target that cannot even be asked.
pub(super) fn impossible(target: &str, checks: &[Check], problem: &Problem) -> Vec<CheckResult> {
    let result = |check: &Check| CheckResult {
        name: check.name().into(),
        subject: target.into(),
        verdict: Verdict::Error,
        summary: problem.to_string(),
        next: problem.hint().map(str::to_owned),
        evidence: Vec::new(),
        duration: Duration::ZERO,
    };
    checks.iter().map(result).collect()
}

/// A conversation with one target: what was captured, what was seen.
struct Talk<'a> {
    smoke: &'a Smoke,
    target: &'a Target,
    values: Values,
    evidence: Vec<Evidence>,
    /// Request ids whose decisions must be stored, and those whose events must be.
    decided: Vec<String>,
    happened: Vec<String>,
}

impl<'a> Talk<'a> {
    fn new(smoke: &'a Smoke, target: &'a Target) -> Self {
        let mut values = Values::new();
        values.insert("subject".into(), Value::from(smoke.subject.clone()));
        values.insert("scope".into(), Value::from(smoke.scope.clone()));
        values.insert("count".into(), Value::from(COUNT));
        if let Some(token) = &smoke.admin {
            values.insert("admin_token".into(), Value::from(token.expose_secret()));
        }
        Self {
            smoke,
            target,
            values,
            evidence: Vec::new(),
            decided: Vec::new(),
            happened: Vec::new(),
        }
    }

    async fn issue_token(&mut self) -> Result<String, Stop> {
        self.ask(Ask::Issue).await?;
        Ok("a token was issued".into())
    }

    async fn verify_token(&mut self) -> Result<String, Stop> {
        self.ask(Ask::Issue).await?;
        self.ask(Ask::Verify).await?;
        let good = self.values["token"].clone();
        let forged = changed(good.as_str().unwrap_or_default());
        self.values.insert("token".into(), forged.into());
        self.saw("the token, forged", "a character of its last part changed");
        self.ask(Ask::Denied).await?;
        Ok("an issued token is allowed, a forged one is denied".into())
    }

    async fn revoke_token(&mut self) -> Result<String, Stop> {
        self.ask(Ask::Issue).await?;
        self.ask(Ask::Verify).await?;
        self.ask(Ask::RevokeToken).await?;
        self.denied_as("revoked_token").await?;
        Ok("a revoked token is denied".into())
    }

    async fn revoke_session(&mut self) -> Result<String, Stop> {
        self.ask(Ask::Issue).await?;
        let first = self.values["token"].clone();
        self.ask(Ask::Verify).await?;
        self.ask(Ask::IssueInSession).await?;
        self.ask(Ask::Verify).await?;
        self.ask(Ask::RevokeSession).await?;
        self.denied_as("revoked_session").await?;
        self.values.insert("token".into(), first);
        self.denied_as("revoked_session").await?;
        Ok("both tokens of a revoked session are denied".into())
    }

    async fn nonce(&mut self) -> Result<String, Stop> {
        let (first, last) = self.reserve().await?;
        let high = self.watermark().await?;
        if last >= high {
            return Err(fail(format!(
                "nonce {last} was handed out, and the watermark is {high}: after a restart it would be handed out again"
            )));
        }
        let (next_first, next_last) = self.reserve().await?;
        if next_first <= last && first <= next_last {
            return Err(fail(format!(
                "{first} to {last} and {next_first} to {next_last} overlap: nonces were handed out twice"
            )));
        }
        let next_high = self.watermark().await?;
        if next_high < high || next_last >= next_high {
            return Err(fail(format!(
                "the watermark is {next_high} after {high}, and nonce {next_last} was handed out"
            )));
        }
        Ok(format!(
            "{first} to {last}, then {next_first} to {next_last}, below the watermark {next_high}"
        ))
    }

    async fn reserve(&mut self) -> Result<(i64, i64), Stop> {
        self.ask(Ask::Reserve).await?;
        let (first, last) = (self.number("first")?, self.number("last")?);
        if last - first + 1 != COUNT {
            return Err(fail(format!(
                "{COUNT} nonces were asked for, {first} to {last} came"
            )));
        }
        Ok((first, last))
    }

    async fn watermark(&mut self) -> Result<i64, Stop> {
        self.ask(Ask::Watermark).await?;
        self.number("reserved_high")
    }

    fn number(&self, name: &str) -> Result<i64, Stop> {
        self.values
            .get(name)
            .and_then(Value::as_i64)
            .ok_or_else(|| {
                fail(format!(
                    "what was captured as `{name}` is not a whole number"
                ))
            })
    }

    async fn persistence(
        &mut self,
        client: &ServiceClient,
        database: Option<&Database>,
    ) -> Result<String, Stop> {
        // A service without /healthz is checked all the same; only its mode cannot be told.
        let modes = client.health().await.map(|h| h.modes);
        if let Ok(modes) = modes
            && modes.runtime != Mode::Postgres
        {
            self.saw("GET /healthz", format!("it runs in {modes}"));
            return Err(stop(
                Verdict::Inconclusive,
                "it keeps no decisions and events: SECURITY_RUNTIME_MODE is memory",
            )
            .next("this can be judged once the target runs on Postgres"));
        }
        let Some(database) = database else {
            return Err(stop(Verdict::Inconclusive, "no database to look into")
                .next("name it with --database-url or database_url of the environment"));
        };
        self.ask(Ask::Issue).await?;
        self.ask(Ask::Verify).await?;
        self.ask(Ask::RevokeToken).await?;
        self.denied_as("revoked_token").await?;
        let until = Instant::now() + STORED_WITHIN;
        loop {
            let decisions = missing(database, DECISIONS, &self.decided).await?;
            let events = missing(database, EVENTS, &self.happened).await?;
            let done = decisions.is_empty() && events.is_empty();
            if !done && Instant::now() < until {
                tokio::time::sleep(LOOK_EVERY).await;
                continue;
            }
            let stored = |all: usize, gone: &BTreeSet<String>| {
                format!("{} of {all} requests of this run", all - gone.len())
            };
            let decided = stored(self.decided.len(), &decisions);
            let happened = stored(self.happened.len(), &events);
            self.saw("authz.policy_decisions", &decided);
            self.saw("security.events", &happened);
            if done {
                return Ok("the decisions and events of this run are in Postgres".into());
            }
            for id in decisions.union(&events) {
                self.saw("not stored", format!("request {id}"));
            }
            let example = decisions.union(&events).next().cloned().unwrap_or_default();
            return Err(fail(format!(
                "not in Postgres within {} s: decisions of {decided}, events of {happened}",
                STORED_WITHIN.as_secs()
            ))
            .next(format!(
                "does {} write to {database}? look for request {example} in its log",
                self.target.name
            )));
        }
    }

    /// The token is refused, and for this reason where the mapping captures one.
    async fn denied_as(&mut self, reason: &str) -> Result<(), Stop> {
        self.values.remove("reason");
        self.ask(Ask::Denied).await?;
        match self.values.get("reason").and_then(Value::as_str) {
            None => Ok(()),
            Some(given) if given == reason => Ok(()),
            Some(given) => {
                let why = format!(
                    "it was denied because of `{}`, not of `{reason}`: that would have denied it anyway",
                    given.escape_debug()
                );
                if let Some(id) = self.decided.last().cloned() {
                    self.saw("denied for another reason", format!("(request {id})"));
                }
                Err(fail(why))
            }
        }
    }

    /// Sends one request and holds the answer against its mapping.
    async fn ask(&mut self, ask: Ask) -> Result<(), Stop> {
        let smoke = self.smoke;
        let mapping = &smoke.requests[&ask];
        let what = format!("{} {}", mapping.method, mapping.path);
        let request_id = uuid::Uuid::now_v7().to_string();
        let request = self
            .request(mapping, &request_id)
            .map_err(|why| stop(Verdict::Error, format!("{what}: {why}")))?;
        let answer = exchange(request, TIMEOUT, ANSWER_BYTES).await;
        let answer = answer.map_err(|failure| self.unanswered(&what, &failure, &request_id))?;
        let id = answer.request_id.clone().unwrap_or(request_id);
        let judged = self.judge(&what, mapping, &answer, &id);
        match ask {
            Ask::Verify | Ask::Denied => self.decided.push(id),
            Ask::Issue | Ask::IssueInSession | Ask::RevokeToken | Ask::RevokeSession => {
                self.happened.push(id);
            }
            Ask::Reserve | Ask::Watermark => {}
        }
        judged
    }

    fn request(
        &self,
        mapping: &Mapping,
        request_id: &str,
    ) -> Result<reqwest::RequestBuilder, String> {
        let path = fill_text(&mapping.path, &self.values, escape_segment)?;
        let url = format!("{}{path}", self.target.url.trim_end_matches('/'));
        let mut request = self
            .smoke
            .http
            .request(mapping.method.clone(), url)
            .timeout(TIMEOUT)
            .header("x-request-id", request_id);
        for (name, value) in self.smoke.headers.iter().chain(&mapping.headers) {
            request = request.header(name, fill_text(value, &self.values, str::to_owned)?);
        }
        if let Some(body) = &mapping.body {
            request = request.json(&fill(body, &self.values)?);
        }
        if let Some(form) = &mapping.form {
            let fields = form
                .iter()
                .map(|(k, v)| Ok((k, fill_text(v, &self.values, str::to_owned)?)))
                .collect::<Result<Vec<_>, String>>()?;
            request = request.form(&fields);
        }
        Ok(request)
    }

    fn unanswered(&mut self, what: &str, failure: &Failure, request_id: &str) -> Stop {
        self.saw(what, format!("{failure} (request {request_id})"));
        stop(Verdict::Error, format!("{what}: {failure}")).next(format!(
            "is {} running, and is its url right?",
            self.target.name
        ))
    }

    fn judge(
        &mut self,
        what: &str,
        mapping: &Mapping,
        answer: &Exchanged,
        request_id: &str,
    ) -> Result<(), Stop> {
        let status = answer.status.as_u16();
        let json: Option<Value> = serde_json::from_slice(&answer.body).ok();
        let found = |path: &serde_json_path::JsonPath| {
            let json = json.as_ref()?;
            path.query(json).first().cloned()
        };
        if !mapping.status.contains(&status) {
            let wanted: Vec<String> = mapping.status.iter().map(u16::to_string).collect();
            let wanted = wanted.join(" or ");
            let said = match message(&answer.body) {
                said if said.is_empty() => String::new(),
                said => format!(": {said}"),
            };
            self.saw(
                what,
                format!("{status}, wanted {wanted} (request {request_id})"),
            );
            return Err(fail(format!(
                "{what} answered {status}, wanted {wanted}{said}"
            )));
        }
        let wrong = mapping
            .expect
            .iter()
            .find_map(|(path, wanted)| match found(path) {
                Some(value) if value == *wanted => None,
                // The value may be a token: only whether it is there is told.
                Some(_) => Some(format!("{what}: {path} is not {wanted}")),
                None => Some(format!("{what}: nothing stands at {path}")),
            });
        let captured = mapping.capture.iter();
        let missing = || {
            let mut all = captured.clone();
            let (name, path) = all.find(|(_, path)| found(path).is_none())?;
            Some(format!("{what}: nothing stands at {path}, for `{name}`"))
        };
        if let Some(why) = wrong.or_else(missing) {
            self.saw(what, format!("{status} (request {request_id})"));
            return Err(fail(why));
        }
        self.saw(what, status);
        for (name, path) in captured {
            self.values
                .extend(found(path).map(|value| (name.clone(), value)));
        }
        Ok(())
    }

    fn saw(&mut self, what: &str, seen: impl std::fmt::Display) {
        self.evidence.push(Evidence::new(what, seen));
    }
}

/// The token with one character near its end changed, so that the signature cannot fit. Not the
/// very last one: of a base64 text it may carry bits that are not used.
fn changed(token: &str) -> String {
    let mut chars: Vec<char> = token.chars().collect();
    match chars.iter_mut().rev().nth(5) {
        Some(c) => *c = if *c == 'A' { 'B' } else { 'A' },
        None => chars.push('A'),
    }
    chars.into_iter().collect()
}

const DECISIONS: &str = "SELECT id FROM unnest($1::text[]) AS id WHERE NOT EXISTS (
    SELECT FROM authz.policy_decisions AS d
     WHERE d.request_id = id AND d.created_at > now() - interval '1 hour')";

const EVENTS: &str = "SELECT id FROM unnest($1::text[]) AS id WHERE NOT EXISTS (
    SELECT FROM security.events AS e
     WHERE e.request_id = id AND e.created_at > now() - interval '1 hour')";

async fn missing(
    database: &Database,
    sql: &'static str,
    ids: &[String],
) -> Result<BTreeSet<String>, Stop> {
    let look = async {
        let mut tx = database.begin().await?;
        let rows = pg::query_scalar::<String>(sql)
            .bind(ids)
            .fetch_all(&mut *tx)
            .await?;
        tx.commit().await?;
        Ok(rows)
    };
    match look.await {
        Ok(rows) => Ok(rows.into_iter().collect()),
        Err(e) => {
            let problem = crate::pg::problem(format!("looking into {database}"), &e);
            let stop = stop(Verdict::Error, problem.to_string());
            Err(match problem.hint() {
                Some(hint) => stop.next(hint),
                None => stop,
            })
        }
    }
}

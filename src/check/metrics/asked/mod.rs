//! Numbers that somebody else computes: a Prometheus server, a database, a program, a JSON answer.

mod command;
mod http;
mod log;
mod prometheus;
mod sql;
mod token;

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;

pub use prometheus::Of as AskedPrometheus;
pub use token::HttpToken;

use super::{Measurement, Status, Watch};
use crate::carry::client::age;
use crate::pg::Database;
use crate::runbook::asked::fill;
use crate::runbook::model::{Asked, Measure, Wanted};

/// What a question came to.
#[derive(Debug, Clone, PartialEq)]
pub enum Said {
    Number(f64),
    Share {
        bad: f64,
        total: f64,
    },
    /// An answer without a number: NaN, NULL, nothing divided by nothing, a warning.
    NoNumber(String),
    /// Nothing was found; what there is instead.
    Empty(String),
    /// An answer that is no single number: several, a text, a range.
    Wrong(String),
    /// Nobody answered, or with an error.
    Silent(String),
}

impl Said {
    /// A number that may be none.
    fn number(value: f64) -> Self {
        if value.is_finite() {
            Said::Number(value)
        } else {
            Said::NoNumber(format!("it is {value}"))
        }
    }

    /// Of several environments: the greatest number, the sum of the counts, or what is in the way.
    fn and(self, other: Self) -> Self {
        match (self, other) {
            (Said::Number(a), Said::Number(b)) => Said::Number(a.max(b)),
            (
                Said::Share { bad, total },
                Said::Share {
                    bad: more,
                    total: all,
                },
            ) => Said::Share {
                bad: bad + more,
                total: total + all,
            },
            (Said::Number(_) | Said::Share { .. }, other) => other,
            (none, _) => none,
        }
    }
}

/// What is asked: by a gate of its targets, or by a trigger.
#[derive(Debug, Clone, PartialEq)]
pub struct Question {
    pub asked: Asked,
    /// As `environment/target`.
    pub targets: Vec<String>,
    pub window: Duration,
    /// How often it is asked.
    pub interval: Duration,
}

/// Whom to ask, by environment.
#[derive(Debug, Default)]
pub struct Asker {
    pub prometheus: BTreeMap<String, AskedPrometheus>,
    pub databases: BTreeMap<String, Database>,
    pub tokens: Vec<HttpToken>,
    logs: log::Logs,
}

impl Question {
    fn by_env(&self) -> BTreeMap<&str, Vec<&str>> {
        let mut by_env: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for target in &self.targets {
            let (env, name) = target.split_once('/').unwrap_or(("", target));
            by_env.entry(env).or_default().push(name);
        }
        by_env
    }

    fn fill(&self, text: &str, targets: &str) -> Result<String, String> {
        fill(text, |name| match name {
            "targets" => Some(targets.to_owned()),
            "window" => Some(format!("{}s", self.window.as_secs_f64())),
            _ => None,
        })
    }
}

impl Asker {
    /// What is sent for a question, for people and as evidence.
    pub fn sent(&self, question: &Question) -> String {
        let sent = question.by_env().into_iter().map(|(env, targets)| {
            let put = match &question.asked {
                Asked::Prometheus(_) => {
                    let of = self.prometheus.get(env);
                    of.map_or_else(String::new, |of| of.alternatives(&targets))
                }
                Asked::Sql { .. } => sql::literals(&targets),
                Asked::Command { .. } | Asked::Http { .. } | Asked::Log(_) => targets.join(","),
            };
            let words = crate::runbook::describe::query(&question.asked);
            question.fill(&words, &put).unwrap_or(words)
        });
        sent.collect::<Vec<_>>().join("; ")
    }

    /// Asks for one number. Bounded in time.
    pub async fn ask(&self, question: &Question, now: Timestamp) -> Said {
        let mut all: Option<Said> = None;
        for (env, targets) in question.by_env() {
            let said = self.ask_in(env, &targets, question, now).await;
            all = Some(match all {
                Some(before) => before.and(said),
                None => said,
            });
        }
        all.unwrap_or_else(|| Said::NoNumber("there is no target to look at".into()))
    }

    async fn ask_in(
        &self,
        env: &str,
        targets: &[&str],
        question: &Question,
        now: Timestamp,
    ) -> Said {
        let filled = |text: &str, targets: &str| question.fill(text, targets);
        match &question.asked {
            Asked::Prometheus(wanted) => match self.prometheus.get(env) {
                Some(of) => of.ask(wanted, targets, &filled, now).await,
                None => Said::Silent(format!(
                    "the settings name no Prometheus server for {env} ([environments.{env}.metrics])"
                )),
            },
            Asked::Sql {
                wanted,
                env: named,
                timeout,
            } => {
                let name = named.as_deref().unwrap_or(env);
                match self.databases.get(name) {
                    Some(database) => sql::ask(database, wanted, targets, &filled, *timeout).await,
                    None => Said::Silent(format!("the settings name no database of {name}")),
                }
            }
            Asked::Command { run, timeout } => {
                command::ask(run, (env, targets), &filled, *timeout).await
            }
            Asked::Http { url, path, timeout } => {
                http::ask(url, path, targets, &filled, *timeout, &self.tokens).await
            }
            Asked::Log(log) => self.logs.ask(log, question.window, now).await,
        }
    }
}

/// Puts targets and the window into a text.
type Fill<'a> = dyn Fn(&str, &str) -> Result<String, String> + Send + Sync + 'a;

/// Asks for what is wanted, with `one` for each query.
async fn each<F>(wanted: &Wanted, one: impl Fn(String) -> F) -> Said
where
    F: Future<Output = Said>,
{
    match wanted {
        Wanted::One { query } => one(query.clone()).await,
        Wanted::Share { bad, total } => {
            let (bad, total) =
                futures_util::future::join(one(bad.clone()), one(total.clone())).await;
            match (bad, total) {
                (Said::Number(_), Said::Number(total)) if total <= 0.0 => {
                    Said::NoNumber("no traffic: the total is 0".into())
                }
                (Said::Number(bad), Said::Number(total)) if bad < 0.0 || bad > total => {
                    Said::Wrong(format!("{bad} of {total}: that is no share"))
                }
                (Said::Number(bad), Said::Number(total)) => Said::Share { bad, total },
                (Said::Number(_), none) | (none, _) => none,
            }
        }
    }
}

/// The last answer to a question.
#[derive(Debug)]
pub(super) struct Heard {
    question: Question,
    at: Timestamp,
    /// Since when it has been asked without a gap.
    since: Timestamp,
    said: Said,
    /// What was sent.
    sent: String,
}

impl<P: super::Provider> Watch<P> {
    /// Takes in what a question came to at a time.
    pub fn hear(&mut self, question: Question, sent: String, at: Timestamp, said: Said) {
        let before = self.heard.iter().position(|h| h.question == question);
        let before = before.map(|i| self.heard.swap_remove(i));
        let gap = super::longest_gap(question.interval, Duration::ZERO);
        let since = before
            .filter(|h| age(h.at, at) <= gap)
            .map_or(at, |h| h.since);
        self.heard.push(Heard {
            question,
            at,
            since,
            said,
            sent,
        });
    }

    /// When the last answer to a question came.
    pub fn heard_at(&self, question: &Question) -> Option<Timestamp> {
        let mut all = self.heard.iter();
        all.find(|h| h.question == *question).map(|h| h.at)
    }

    /// Fills in a measurement with the last answer, which must not be too old.
    pub(super) fn answered(
        &self,
        measure: &Measure,
        span: super::Span,
        result: &mut Measurement,
    ) -> Result<super::Value, super::Unmeasured> {
        let asked = |h: &&Heard| {
            let q = &h.question;
            matches!(measure, Measure::Asked(asked) if *asked == q.asked)
                && q.targets == result.targets
                && q.window == span.window
        };
        let Some(heard) = self.heard.iter().find(asked) else {
            result.warming = true;
            return Err(super::unknown("it was not asked yet"));
        };
        let error = |why: String| super::Unmeasured {
            status: Status::Error,
            why,
        };
        result.query.clone_from(&heard.sent);
        let old = age(heard.at, result.at);
        if old > super::longest_gap(span.interval, Duration::ZERO) {
            return Err(error(format!("no answer for {} s", old.as_secs())));
        }
        let observed = age(heard.since, result.at).min(span.window);
        result.observed_ms = super::millis(observed);
        result.coverage = observed.as_secs_f64() / span.window.as_secs_f64();
        result.warming = observed < span.window;
        match &heard.said {
            Said::Number(value) => Ok(super::Value {
                value: *value,
                samples: None,
                hits: None,
                note: None,
            }),
            Said::Share { bad, total } => Ok(super::Value {
                value: bad / total,
                samples: Some(*total),
                hits: Some(*bad),
                note: None,
            }),
            Said::NoNumber(why) | Said::Empty(why) => Err(super::unknown(why.clone())),
            Said::Wrong(why) | Said::Silent(why) => Err(error(why.clone())),
        }
    }
}

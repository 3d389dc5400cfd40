//! Where the numbers of gates and triggers come from, by the settings, and questions under way.

use std::time::Duration;

use jiff::Timestamp;
use tokio::task::JoinSet;

use super::Live;
use crate::carry::client::ServiceClient;
use crate::check::metrics::prometheus::{Server, Source};
use crate::check::metrics::{AskedPrometheus, Asker, HttpToken, Question, Said, Sources, Watch};
use crate::error::Result;
use crate::runbook::model::{Asked, Gate, Measure, Trigger};
use crate::runbook::plan::{Plan, TargetRef};

/// How long a look waits for the answers to what it asks. What comes later is for the next one:
/// a slow query must not hold up what is seen of the targets.
const GRACE: Duration = Duration::from_millis(300);
/// Looks do not come to the millisecond.
const EARLY: Duration = Duration::from_millis(50);

impl Live {
    /// A watch over the targets of a plan, and whom to ask what it cannot see there.
    pub(super) fn watch_over(&self, plan: &Plan) -> Result<(Watch<Sources>, Asker)> {
        let mut sources = Sources::default();
        let mut asker = Asker::default();
        for planned in &plan.environments {
            let env = self.environment(&planned.name)?;
            let targets = env.select(&[])?;
            let recorded = match &env.metrics {
                None => None,
                Some(config) => {
                    let server = Server::new(config)?;
                    let of = AskedPrometheus::new(server.clone(), config.clone(), &env.targets);
                    asker.prometheus.insert(env.name.clone(), of);
                    (config.source == Source::Prometheus).then_some((server, config))
                }
            };
            let clients = ServiceClient::each(env, &targets)?;
            for (target, client) in targets.into_iter().zip(clients) {
                let name = TargetRef {
                    env: env.name.clone(),
                    name: target.name.clone(),
                };
                let name = name.to_string();
                match recorded.clone() {
                    Some((server, config)) => sources.recorded.add(name, server, config, target),
                    None => sources.scraped.add(name, client),
                }
            }
        }
        self.databases_of(plan, &mut asker)?;
        asker.tokens = self.tokens_of(plan)?;
        let windows = plan.gates.iter().map(|g| g.window);
        let horizon = windows.chain(plan.triggers.iter().map(|t| t.window)).max();
        let horizon = horizon.unwrap_or(Duration::from_secs(60));
        let watch = Watch::new(sources, measures(plan), horizon)?;
        Ok((watch, asker))
    }

    /// The tokens that go along with what is asked over HTTP. Each is read once here, so that a file
    /// that cannot be used is found at the beginning.
    fn tokens_of(&self, plan: &Plan) -> Result<Vec<HttpToken>> {
        let tokens = &self.settings.config.http_tokens;
        for measure in measures(plan) {
            let Measure::Asked(Asked::Http { url, .. }) = measure else {
                continue;
            };
            if let Some(token) = tokens.iter().find(|token| token.is_for_any_of(url)) {
                token.read()?;
            }
        }
        Ok(tokens.clone())
    }

    /// The databases that are asked for numbers.
    fn databases_of(&self, plan: &Plan, asker: &mut Asker) -> Result<()> {
        for measure in measures(plan) {
            let Measure::Asked(Asked::Sql { env: named, .. }) = measure else {
                continue;
            };
            let all = plan.environments.iter().map(|e| e.name.as_str());
            let names: Vec<&str> = match named {
                Some(name) => vec![name],
                None => all.collect(),
            };
            for name in names {
                let database = self.database(self.environment(name)?)?;
                asker.databases.insert(name.to_owned(), database);
            }
        }
        Ok(())
    }
}

fn measures(plan: &Plan) -> impl Iterator<Item = &Measure> {
    let of_gates = plan.gates.iter().map(|g| &g.measure);
    of_gates.chain(plan.triggers.iter().map(|t| &t.measure))
}

/// What a gate asks of these targets, where it asks somebody.
pub(super) fn of_gate(gate: &Gate, targets: &[String]) -> Option<Question> {
    question(&gate.measure, targets, gate.window, gate.interval)
}

pub(super) fn of_trigger(trigger: &Trigger, targets: &[String]) -> Option<Question> {
    let Trigger {
        measure,
        window,
        interval,
        ..
    } = trigger;
    question(measure, targets, *window, *interval)
}

fn question(
    measure: &Measure,
    targets: &[String],
    window: Duration,
    interval: Duration,
) -> Option<Question> {
    let Measure::Asked(asked) = measure else {
        return None;
    };
    (!targets.is_empty()).then(|| Question {
        asked: asked.clone(),
        targets: targets.to_vec(),
        window,
        interval,
    })
}

/// A question, what was sent for it, when, and what came back.
type Answer = (Question, String, Timestamp, Said);

/// Questions that are asked again and again, beside the looks.
pub(super) struct Inquiries {
    asker: std::sync::Arc<Asker>,
    /// Ended when this is dropped.
    under_way: JoinSet<Answer>,
    open: Vec<Question>,
}

impl Inquiries {
    pub fn new(asker: Asker) -> Self {
        Self {
            asker: asker.into(),
            under_way: JoinSet::new(),
            open: Vec::new(),
        }
    }

    /// Asks what is due, and takes in what has been answered.
    pub async fn turn(
        &mut self,
        watch: &mut Watch<Sources>,
        wanted: Vec<Question>,
        now: Timestamp,
    ) {
        self.take_in(watch);
        let mut begun = false;
        for question in wanted {
            let last = watch.heard_at(&question);
            let wait = question.interval.saturating_sub(EARLY);
            if self.open.contains(&question) || last.is_some_and(|last| last + wait > now) {
                continue;
            }
            self.open.push(question.clone());
            let asker = self.asker.clone();
            begun = true;
            self.under_way.spawn(async move {
                let said = asker.ask(&question, now).await;
                let sent = asker.sent(&question);
                (question, sent, now, said)
            });
        }
        if begun {
            let all = async {
                while let Some(answer) = self.under_way.join_next().await {
                    heard(&mut self.open, watch, answer);
                }
            };
            // What has no answer by then stays under way.
            let _ = tokio::time::timeout(GRACE, all).await;
        }
        if self.under_way.is_empty() {
            self.open.clear();
        }
    }

    fn take_in(&mut self, watch: &mut Watch<Sources>) {
        while let Some(answer) = self.under_way.try_join_next() {
            heard(&mut self.open, watch, answer);
        }
    }
}

fn heard(
    open: &mut Vec<Question>,
    watch: &mut Watch<Sources>,
    answer: std::result::Result<Answer, tokio::task::JoinError>,
) {
    if let Ok((question, sent, at, said)) = answer {
        open.retain(|q| *q != question);
        watch.hear(question, sent, at, said);
    }
}

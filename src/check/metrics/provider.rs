//! Where samples come from: the targets themselves, or a Prometheus server that scrapes them.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;

use super::prometheus::Recorded;
use super::text::{Exposition, parse};
use crate::carry::client::ServiceClient;
use crate::runbook::selector::Selector;

/// How long one fetch may take.
pub(super) const FETCH_WITHIN: Duration = Duration::from_secs(2);

/// What a watch wants to know of a target.
#[derive(Debug, Clone, Copy)]
pub struct Wish<'a> {
    /// The series that are measured; others need not be brought along.
    pub wanted: &'a [Selector],
    /// The newest sample that is known already.
    pub after: Option<Timestamp>,
    pub now: Timestamp,
    /// No window reaches further back than this.
    pub horizon: Duration,
}

/// New samples of a target, oldest first; each is later than what was known.
#[derive(Debug, Default)]
pub struct Fetched {
    pub samples: Vec<(Timestamp, Exposition)>,
    /// Why there is no newer one, where there should be.
    pub silent: Option<String>,
}

impl Fetched {
    /// The present metrics of a target.
    pub fn now(wish: &Wish<'_>, scraped: Exposition) -> Self {
        Self {
            samples: vec![(wish.now, scraped)],
            silent: None,
        }
    }
}

/// Where samples come from.
pub trait Provider: Send + Sync {
    /// The names of all targets.
    fn targets(&self) -> Vec<String>;

    /// How far apart a target's samples lie by themselves: zero where each fetch takes one.
    fn spacing(&self, target: &str) -> Duration;

    /// What is new of one of them. An error is one line for a person.
    fn fetch(
        &self,
        target: &str,
        wish: &Wish<'_>,
    ) -> impl Future<Output = Result<Fetched, String>> + Send;
}

/// Reads `/metrics` of the targets, and `/healthz` for the process that answers.
#[derive(Debug, Default)]
pub struct Scrape {
    clients: BTreeMap<String, ServiceClient>,
}

impl Scrape {
    /// Adds a target, or replaces it. `name` is what gates and triggers know it by.
    pub fn add(&mut self, name: impl Into<String>, client: ServiceClient) {
        self.clients
            .insert(name.into(), client.within(FETCH_WITHIN));
    }
}

impl Provider for Scrape {
    fn targets(&self) -> Vec<String> {
        self.clients.keys().cloned().collect()
    }

    fn spacing(&self, _target: &str) -> Duration {
        Duration::ZERO
    }

    async fn fetch(&self, target: &str, wish: &Wish<'_>) -> Result<Fetched, String> {
        let client = self
            .clients
            .get(target)
            .ok_or_else(|| "it is not one of the targets".to_owned())?;
        // A restart between two scrapes may leave no trace in the counters of a quiet service.
        let (text, health) = futures_util::future::join(client.metrics(), client.health()).await;
        let text = text.map_err(|e| e.failure.to_string())?;
        let scraped = parse(&text).map_err(|why| format!("its metrics cannot be read: {why}"))?;
        let scraped = Exposition {
            boot_id: health.ok().map(|h| h.boot_id),
            ..scraped
        };
        Ok(Fetched::now(wish, scraped))
    }
}

/// Targets of several environments, each from where its settings say.
#[derive(Debug, Default)]
pub struct Sources {
    pub scraped: Scrape,
    pub recorded: Recorded,
}

impl Provider for Sources {
    fn targets(&self) -> Vec<String> {
        let mut all = self.scraped.targets();
        all.extend(self.recorded.targets());
        all
    }

    fn spacing(&self, target: &str) -> Duration {
        self.recorded.spacing(target)
    }

    async fn fetch(&self, target: &str, wish: &Wish<'_>) -> Result<Fetched, String> {
        if self.recorded.has(target) {
            self.recorded.fetch(target, wish).await
        } else {
            self.scraped.fetch(target, wish).await
        }
    }
}

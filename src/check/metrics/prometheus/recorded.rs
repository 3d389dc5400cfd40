//! The raw samples that a Prometheus server took of the targets, with their own time stamps.
//!
//! An instant query of a range selector gives the samples as they were stored. So everything that
//! is computed from scrapes of our own (resets, gaps, windows, bounds) is computed the same way.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;
use std::time::Duration;

use jiff::Timestamp;

use super::super::provider::{Fetched, Provider, Wish};
use super::super::ring::START_TIME;
use super::super::text::{Exposition, Labels, Series};
use super::api::{Answer, Data, Server};
use super::hints;
use crate::carry::client::age;

/// Whether a scrape worked: Prometheus's own series, one for each scrape target.
const UP: &str = "up";
/// How long it is remembered which metrics a target announces.
const ANNOUNCED_FOR: Duration = Duration::from_secs(60);
/// What is fetched first, in scrape intervals: the newest sample, also when one came late.
const FIRST: u32 = 2;

/// Targets whose samples a Prometheus server keeps.
#[derive(Debug, Default)]
pub struct Recorded {
    targets: BTreeMap<String, At>,
}

/// Where the samples of a target are.
#[derive(Debug)]
struct At {
    server: Server,
    label: String,
    value: String,
    /// All of its label matchers.
    matchers: String,
    /// How often the server scrapes it.
    spacing: Duration,
    announced: Mutex<Option<(Timestamp, BTreeSet<String>)>>,
}

impl Recorded {
    /// Adds a target, or replaces it. `name` is what gates and triggers know it by.
    pub fn add(
        &mut self,
        name: impl Into<String>,
        server: Server,
        config: &super::MetricsConfig,
        target: &crate::settings::Target,
    ) {
        let value = config.value(target);
        let at = At {
            server,
            label: config.label.clone(),
            matchers: config.matchers(&value),
            value,
            spacing: config.scrape_interval,
            announced: Mutex::default(),
        };
        self.targets.insert(name.into(), at);
    }

    pub fn has(&self, target: &str) -> bool {
        self.targets.contains_key(target)
    }
}

impl Provider for Recorded {
    fn targets(&self) -> Vec<String> {
        self.targets.keys().cloned().collect()
    }

    fn spacing(&self, target: &str) -> Duration {
        self.targets
            .get(target)
            .map_or(Duration::ZERO, |t| t.spacing)
    }

    async fn fetch(&self, target: &str, wish: &Wish<'_>) -> Result<Fetched, String> {
        let at = self
            .targets
            .get(target)
            .ok_or_else(|| "it is not one of the targets".to_owned())?;
        at.fetch(wish).await
    }
}

impl At {
    async fn fetch(&self, wish: &Wish<'_>) -> Result<Fetched, String> {
        let reach = match wish.after {
            None => self.spacing * FIRST,
            Some(after) => age(after, wish.now).min(wish.horizon + self.spacing * FIRST),
        };
        let names: BTreeSet<&str> = wish
            .wanted
            .iter()
            .map(|s| s.name.as_str())
            .chain([UP, START_TIME])
            .collect();
        let query = format!(
            "{{__name__=~\"{}\",{}}}[{}ms]",
            names.iter().copied().collect::<Vec<_>>().join("|"),
            self.matchers,
            reach.as_millis().max(1)
        );
        let Answer { data, warnings } = self.server.query(&query, Some(wish.now)).await?;
        if let [warning, ..] = warnings.as_slice() {
            return Err(format!("Prometheus warns, so this is not all: {warning}"));
        }
        let Data::Matrix(series) = data else {
            return Err("Prometheus answered a range with something else".into());
        };
        let timeline = self.timeline(&series, wish.after)?;
        let mut fetched = Fetched {
            samples: grouped(series, &timeline.taken, wish.after),
            silent: timeline.silent,
        };
        if !fetched.samples.is_empty() {
            self.announce(&mut fetched.samples, wish).await;
        } else if fetched.silent.is_none()
            && wish
                .after
                .is_none_or(|after| age(after, wish.now) > self.spacing * FIRST)
        {
            fetched.silent = Some(self.why_empty(&names, wish.now).await);
        }
        Ok(fetched)
    }

    /// When the target was scraped, by `up` where the server has it.
    fn timeline(
        &self,
        series: &[(Labels, Vec<(Timestamp, f64)>)],
        after: Option<Timestamp>,
    ) -> Result<Timeline, String> {
        let new = |at: &Timestamp| after.is_none_or(|after| *at > after);
        let is_up = |labels: &Labels| labels.get("__name__").is_some_and(|n| n == UP);
        let mut ups = series.iter().filter(|(labels, _)| is_up(labels));
        let Some((labels, up)) = ups.next() else {
            let all = series.iter().flat_map(|(_, values)| values);
            return Ok(Timeline {
                taken: all.map(|(at, _)| *at).filter(new).collect(),
                silent: None,
            });
        };
        if let Some((second, _)) = ups.next() {
            return Err(format!(
                "Prometheus scrapes it twice: {} and {}; `match` in the metrics of the settings tells them apart",
                super::api::shown(labels),
                super::api::shown(second)
            ));
        }
        let down = up.last().filter(|(_, value)| *value != 1.0);
        Ok(Timeline {
            taken: up
                .iter()
                .filter(|(at, value)| *value == 1.0 && new(at))
                .map(|(at, _)| *at)
                .collect(),
            silent: down.map(|_| "Prometheus cannot scrape it (up is 0)".to_owned()),
        })
    }

    /// Adds the names that the target announces, where a wanted one has no series.
    async fn announce(&self, samples: &mut [(Timestamp, Exposition)], wish: &Wish<'_>) {
        let missing = samples.iter().any(|(_, scraped)| {
            let has = |name: &str| scraped.series.iter().any(|s| s.name == name);
            wish.wanted.iter().any(|selector| !has(&selector.name))
        });
        if !missing {
            return;
        }
        let known = || self.announced.lock().unwrap_or_else(|e| e.into_inner());
        let fresh = known()
            .clone()
            .filter(|(asked, _)| age(*asked, wish.now) < ANNOUNCED_FOR);
        let names = match fresh {
            Some((_, names)) => names,
            // Not every server that speaks this API knows what its targets announce; then only
            // what has a series is known.
            None => {
                let asked = self.server.announced(&self.matchers).await;
                let names: BTreeSet<String> = asked.unwrap_or_default().into_iter().collect();
                *known() = Some((wish.now, names.clone()));
                names
            }
        };
        for (_, scraped) in samples {
            scraped.announced.clone_from(&names);
        }
    }

    async fn why_empty(&self, names: &BTreeSet<&str>, now: Timestamp) -> String {
        let selector = format!(
            "{{__name__=~\"{}\"}}",
            names.iter().copied().collect::<Vec<_>>().join("|")
        );
        let what = format!("{}={}", self.label, super::quoted(&self.value));
        let known = hints::values(&self.server, &selector, &self.label, now).await;
        match known {
            Ok(known) if known.contains(&self.value) => {
                format!("Prometheus has had no newer sample of {what} for too long")
            }
            Ok(known) if known.is_empty() => {
                format!(
                    "empty: Prometheus has no series with the label {}",
                    self.label
                )
            }
            Ok(known) => format!(
                "empty: no series has {what}; {} has: {}",
                self.label,
                hints::few(&known)
            ),
            Err(why) => format!("empty: no series has {what} ({why})"),
        }
    }
}

struct Timeline {
    /// Scrapes that worked and are new.
    taken: BTreeSet<Timestamp>,
    silent: Option<String>,
}

/// One exposition for each scrape. A series with time stamps of its own belongs to the scrape
/// that brought it: the next one.
fn grouped(
    series: Vec<(Labels, Vec<(Timestamp, f64)>)>,
    taken: &BTreeSet<Timestamp>,
    after: Option<Timestamp>,
) -> Vec<(Timestamp, Exposition)> {
    let mut scrapes: BTreeMap<Timestamp, Exposition> = taken
        .iter()
        .map(|at| (*at, Exposition::default()))
        .collect();
    for (mut labels, values) in series {
        let Some(name) = labels.remove("__name__").filter(|name| name != UP) else {
            continue;
        };
        let new = |(at, _): &(Timestamp, f64)| after.is_none_or(|after| *at > after);
        for (at, value) in values.into_iter().filter(new) {
            if let Some((_, scraped)) = scrapes.range_mut(at..).next() {
                scraped.series.push(Series {
                    name: name.clone(),
                    labels: labels.clone(),
                    value,
                });
            }
        }
    }
    scrapes.into_iter().collect()
}

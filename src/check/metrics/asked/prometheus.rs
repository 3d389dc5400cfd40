//! An instant query that gives one number.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;

use super::super::prometheus::{Answer, Data, MetricsConfig, Server, shown, why_empty};
use super::{Fill, Said, each};
use crate::runbook::asked::names_targets;
use crate::runbook::model::Wanted;
use crate::settings::Target;

/// Scrapes that may be missing before a target's samples are too old.
const FRESH_SCRAPES: u32 = 3;
const LEAST_CLOCK_LIMIT: Duration = Duration::from_secs(2);

/// The server of an environment, and what its targets are called there.
#[derive(Debug)]
pub struct Of {
    server: Server,
    config: MetricsConfig,
    values: BTreeMap<String, String>,
}

impl Of {
    /// `targets`: all of the environment's.
    pub fn new(server: Server, config: MetricsConfig, targets: &[Target]) -> Self {
        let values = targets.iter().map(|t| (t.name.clone(), config.value(t)));
        Self {
            values: values.collect(),
            server,
            config,
        }
    }

    /// How far the server's clock is from ours, where that is too far: its samples would look too
    /// old, or lie in the future.
    ///
    /// # Errors
    /// It does not answer.
    pub async fn clock_is_off(&self) -> Result<Option<String>, String> {
        let asked = Timestamp::now();
        let answer = self.server.query("time()", None).await?;
        let Data::Scalar(theirs) = answer.data else {
            return Err("Prometheus answered time() with something else".into());
        };
        let off = newest_age(asked, theirs);
        let limit = self
            .config
            .scrape_interval
            .max(LEAST_CLOCK_LIMIT)
            .as_secs_f64();
        Ok((off.abs() > limit).then(|| {
            let side = if off > 0.0 { "behind" } else { "ahead of" };
            format!("the clock of Prometheus is {:.0} s {side} ours", off.abs())
        }))
    }

    pub(super) async fn ask(
        &self,
        wanted: &Wanted,
        targets: &[&str],
        fill: &Fill<'_>,
        now: Timestamp,
    ) -> Said {
        if wanted.texts().iter().any(|text| names_targets(text))
            && let Err(why) = self.all_fresh(targets, now).await
        {
            return why;
        }
        let alternatives = self.alternatives(targets);
        each(wanted, |query| {
            let query = fill(&query, &alternatives);
            async move {
                match query {
                    Ok(query) => self.one(&query, now).await,
                    Err(why) => Said::Wrong(why),
                }
            }
        })
        .await
    }

    /// A regular expression for the label's values of these targets, as it stands between quotes.
    pub(super) fn alternatives(&self, targets: &[&str]) -> String {
        let value = |name: &&str| {
            let value = self.values.get(*name).map_or(*name, String::as_str);
            super::super::prometheus::escaped(&regex::escape(value))
        };
        targets.iter().map(value).collect::<Vec<_>>().join("|")
    }

    async fn one(&self, query: &str, now: Timestamp) -> Said {
        let Answer { data, warnings } = match self.server.query(query, Some(now)).await {
            Ok(answer) => answer,
            Err(why) => return Said::Silent(why),
        };
        if let [warning, ..] = warnings.as_slice() {
            return Said::NoNumber(format!("Prometheus warns: {warning}"));
        }
        match data {
            Data::Scalar(value) => Said::number(value),
            Data::Vector(series) => match series.as_slice() {
                [] => {
                    let hint = why_empty(&self.server, query, now).await;
                    let hint = hint.unwrap_or_else(|| "each of its selectors has series".into());
                    Said::Empty(format!("empty: {hint}"))
                }
                [(_, value)] => Said::number(*value),
                [(one, _), (two, _), ..] => Said::Wrong(format!(
                    "{} series and not one, such as {} and {}: add them up, or choose",
                    series.len(),
                    shown(one),
                    shown(two)
                )),
            },
            Data::Matrix(_) => {
                Said::Wrong("it gives samples over a range and not one number: rate(…)?".into())
            }
            Data::String => Said::Wrong("it gives a text and not a number".into()),
        }
    }

    /// An expression still has a value for minutes after the last scrape, so it is asked when the
    /// targets were scraped. Where the server has no `up` with this label, nothing is known of that.
    async fn all_fresh(&self, targets: &[&str], now: Timestamp) -> Result<(), Said> {
        let mut matchers = format!("{}=~\"{}\"", self.config.label, self.alternatives(targets));
        for (label, value) in &self.config.also {
            let value = super::super::prometheus::quoted(value);
            matchers += &format!(",{label}={value}");
        }
        let query = format!("timestamp(up{{{matchers}}}) and (up{{{matchers}}} == 1)");
        let answer = self.server.query(&query, Some(now)).await;
        let Data::Vector(scraped) = answer.map_err(Said::Silent)?.data else {
            return Err(Said::Wrong(
                "Prometheus answered with something else".into(),
            ));
        };
        let limit = self.config.scrape_interval * FRESH_SCRAPES;
        #[expect(clippy::cast_precision_loss, reason = "milliseconds since 1970 fit")]
        let oldest = now.as_millisecond() as f64 / 1000.0 - limit.as_secs_f64();
        for name in targets {
            let value = self.values.get(*name).map_or(*name, String::as_str);
            let of = |(labels, at): &(BTreeMap<String, String>, f64)| {
                (labels.get(&self.config.label).map(String::as_str) == Some(value)).then_some(*at)
            };
            let newest = scraped.iter().filter_map(of).fold(f64::NAN, f64::max);
            if newest >= oldest {
                continue;
            }
            let label = &self.config.label;
            let any = format!("count(up{{{label}!=\"\"}})");
            let known = self.server.query(&any, Some(now)).await;
            if known.is_ok_and(|a| a.data == Data::Vector(Vec::new())) {
                return Ok(());
            }
            if newest.is_nan() {
                let query = format!("up{{{label}={}}}", super::super::prometheus::quoted(value));
                let why = why_empty(&self.server, &query, now).await;
                return Err(match why {
                    Some(why) => Said::Empty(format!("{name}: {why}")),
                    None => Said::Silent(format!("Prometheus cannot scrape {name} (up is 0)")),
                });
            }
            return Err(Said::Silent(format!(
                "Prometheus scraped {name} the last time {:.0} s ago",
                newest_age(now, newest)
            )));
        }
        Ok(())
    }
}

#[expect(clippy::cast_precision_loss, reason = "milliseconds since 1970 fit")]
fn newest_age(now: Timestamp, newest_s: f64) -> f64 {
    now.as_millisecond() as f64 / 1000.0 - newest_s
}

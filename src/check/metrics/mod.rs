//! Numbers out of the targets' metrics over a window, each with what is not known about it.
//!
//! What cannot be measured is never a number: no series, no traffic, NaN, a target that does not
//! answer, time that nobody observed (P6).

mod asked;
mod preflight;
pub mod prometheus;
mod provider;
mod ring;
mod text;
mod together;
mod values;

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

pub use asked::{AskedPrometheus, Asker, HttpToken, Question, Said};
pub use preflight::{EVERYTHING, Preview, ask_once};
pub use provider::{Fetched, Provider, Scrape, Sources, Wish};
pub use text::{Exposition, Labels, Series, parse};

pub use crate::runbook::selector::Selector;

use self::provider::FETCH_WITHIN;
use self::ring::{Ring, Seen};
use self::values::{Parsed, Part, Unmeasured, Value, unknown};
use crate::carry::client::age;
use crate::error::Result;
use crate::runbook::describe;
use crate::runbook::model::{BurnRate, Measure};

/// The part of the time between two samples that a target gets which did not answer the last time:
/// it must not delay what is seen of the others. A little in any case.
const SHARE_OF_THE_SILENT: u32 = 4;
const LEAST_FOR_THE_SILENT: Duration = Duration::from_millis(50);
/// Samples further apart than this many intervals are a gap: one may be late, two may be slow.
const GAP_INTERVALS: u32 = 3;
const SHORTEST_GAP: Duration = Duration::from_secs(1);
/// How far behind the present a window may end, in the time between samples that somebody else
/// takes: the newest may be that old and still have come in time.
const LATE_SPACINGS: u32 = 2;

/// What a measurement came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// There is a value.
    Measured,
    /// There is none, although the targets answered.
    Inconclusive,
    /// A target does not answer, or with something that cannot be read.
    Error,
}

/// A number read from targets over a window, or why there is none.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Measurement {
    pub at: Timestamp,
    /// The targets that were looked at.
    pub targets: Vec<String>,
    /// What was asked, in words.
    pub query: String,
    pub status: Status,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<f64>,
    /// What the value is made of: requests, observations. None where no traffic is needed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub samples: Option<f64>,
    /// The numerator of a ratio.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hits: Option<f64>,
    /// The share of the window that was observed, of the target that was observed least.
    pub coverage: f64,
    /// How long the youngest process has been observed, up to the window.
    pub observed_ms: u64,
    /// The part of that which was looked at only afterwards, of the target with the most of it.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub backfilled_ms: u64,
    /// Whether the window is only not full yet, because the watch or a process began inside it,
    /// or a gap in the watch ended there.
    pub warming: bool,
    /// One line for a person.
    pub why: String,
}

/// The part of time that a measurement is about.
#[derive(Debug, Clone, Copy)]
pub struct Span {
    pub window: Duration,
    /// How often samples are meant to be taken: three missing ones are a gap.
    pub interval: Duration,
    /// Only what the present process of each target did: a restart begins the window anew.
    pub this_process: bool,
}

/// `spacing`: how far apart samples lie by themselves.
fn longest_gap(interval: Duration, spacing: Duration) -> Duration {
    (interval.max(spacing) * GAP_INTERVALS).max(SHORTEST_GAP)
}

/// The time from one look to the next.
#[derive(Debug, Clone, Copy)]
pub struct Between {
    pub since: Timestamp,
    pub now: Timestamp,
    /// How often samples are meant to be taken.
    pub interval: Duration,
}

/// Counts of a share.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Counts {
    pub hits: f64,
    pub samples: f64,
}

/// A target whose process was replaced while it was watched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Restarted {
    pub target: String,
    /// In a row, without a window in between that one process was seen for.
    pub times: usize,
}

/// Samples the targets and keeps what the measures need for as long as the longest window.
#[derive(Debug)]
pub struct Watch<P> {
    provider: P,
    wanted: Vec<Selector>,
    horizon: Duration,
    rings: BTreeMap<String, Ring>,
    /// When the last sample was taken.
    last: Option<Timestamp>,
    /// The last answers to the questions that are asked.
    heard: Vec<asked::Heard>,
}

impl<P: Provider> Watch<P> {
    /// A watch for `measures`, none of whose windows is longer than `horizon`.
    ///
    /// # Errors
    /// A selector that cannot be read.
    pub fn new<'a>(
        provider: P,
        measures: impl IntoIterator<Item = &'a Measure>,
        horizon: Duration,
    ) -> Result<Self> {
        let mut wanted = Vec::new();
        for measure in measures {
            wanted.extend(
                Parsed::of(measure)?
                    .into_iter()
                    .flat_map(Parsed::into_wanted),
            );
        }
        Ok(Self {
            provider,
            wanted,
            horizon,
            rings: BTreeMap::new(),
            last: None,
            heard: Vec::new(),
        })
    }

    pub fn provider(&self) -> &P {
        &self.provider
    }

    pub fn provider_mut(&mut self) -> &mut P {
        &mut self.provider
    }

    /// Takes one sample of every target, all at once. `now` is the moment that it counts for.
    pub async fn sample(&mut self, now: Timestamp) {
        let (provider, rings) = (&self.provider, &self.rings);
        let (wanted, horizon) = (self.wanted.as_slice(), self.horizon);
        let between = self.last.map(|last| age(last, now));
        let fetched = provider.targets().into_iter().map(|target| async move {
            let ring = rings.get(&target);
            let silent = ring.is_some_and(|r| r.failing.is_some());
            let wish = Wish {
                wanted,
                after: ring.and_then(Ring::newest),
                now,
                horizon,
            };
            let within = match between {
                Some(between) if silent => {
                    (between / SHARE_OF_THE_SILENT).clamp(LEAST_FOR_THE_SILENT, FETCH_WITHIN)
                }
                Some(_) | None => FETCH_WITHIN,
            };
            let got = tokio::time::timeout(within, provider.fetch(&target, &wish)).await;
            let got =
                got.unwrap_or_else(|_| Err(format!("no answer within {} ms", within.as_millis())));
            (target, got)
        });
        let fetched = futures_util::future::join_all(fetched).await;
        self.last = Some(now);
        for (target, got) in fetched {
            let ring = self.rings.entry(target).or_default();
            let failing = ring.failing.take();
            let silent = match got {
                Ok(fetched) => {
                    for (at, scraped) in &fetched.samples {
                        ring.push((*at, now), scraped, &self.wanted, self.horizon);
                    }
                    fetched.silent
                }
                Err(why) => Some(why),
            };
            ring.failing = silent.map(|why| (failing.map_or(now, |(since, _)| since), why));
        }
    }

    /// Reads `measure` from the targets `on`, taken together.
    pub fn measure(
        &self,
        measure: &Measure,
        on: &[impl AsRef<str>],
        span: Span,
        now: Timestamp,
    ) -> Measurement {
        let targets: Vec<String> = on.iter().map(|t| t.as_ref().to_owned()).collect();
        let mut result = Measurement {
            at: now,
            query: words(measure),
            status: Status::Inconclusive,
            value: None,
            samples: None,
            hits: None,
            coverage: 0.0,
            observed_ms: 0,
            backfilled_ms: 0,
            warming: false,
            why: String::new(),
            targets,
        };
        match self.read(measure, span, &mut result) {
            Ok(reading) => {
                result.status = Status::Measured;
                result.value = Some(reading.value);
                result.samples = reading.samples;
                result.hits = reading.hits;
                result.why = reading.note.unwrap_or_default();
            }
            Err(Unmeasured { status, why }) => {
                result.status = status;
                result.why = why;
            }
        }
        result
    }

    fn read(
        &self,
        measure: &Measure,
        span: Span,
        result: &mut Measurement,
    ) -> Result<Value, Unmeasured> {
        if result.targets.is_empty() {
            return Err(unknown("there is no target to look at"));
        }
        let Some(parsed) = Parsed::of(measure).map_err(|p| unknown(p.cause()))? else {
            return self.answered(measure, span, result);
        };
        let value = self.rises(&parsed, span, result)?;
        let Measure::BurnRate(_) = measure else {
            return Ok(value);
        };
        let window = span.window / BurnRate::SHORT;
        let mut short = result.clone();
        let lately = self.rises(&parsed, Span { window, ..span }, &mut short)?;
        Ok(Value {
            note: Some(format!(
                "{:.1} times as fast as it may over {}, {:.1} over the last {}",
                value.value,
                describe::words(span.window),
                lately.value,
                describe::words(window)
            )),
            value: value.value.min(lately.value),
            ..value
        })
    }

    /// What a measure of counters comes to over one window.
    fn rises(
        &self,
        parsed: &Parsed,
        span: Span,
        result: &mut Measurement,
    ) -> Result<Value, Unmeasured> {
        let mut parts = Vec::new();
        let mut least = span.window;
        for target in &result.targets {
            let (ring, seen, end) = self.seen(target, span, result.at)?;
            least = least.min(seen.observed);
            result.backfilled_ms = result.backfilled_ms.max(millis(seen.backfilled));
            // The watch, or this process, began inside the window, or a gap in the watch ended there.
            result.warming |= age(seen.since, end) < span.window;
            parts.push((target.as_str(), ring, seen));
        }
        result.observed_ms = millis(least);
        result.coverage = least.as_secs_f64() / span.window.as_secs_f64();
        if parts.iter().any(|(_, _, seen)| seen.steps.is_empty()) {
            return Err(unknown("one sample so far: a rise needs two"));
        }
        parsed.value(&parts)
    }

    /// What a measure that is a share counted on `on` since a moment, taken together; none unless
    /// all of that time was observed, of one process of each target (P6).
    pub fn counted(
        &self,
        measure: &Measure,
        on: &[impl AsRef<str>],
        between: Between,
    ) -> Option<Counts> {
        let parts = self.whole(on, between)?;
        let share = Parsed::of(measure).ok()??.share(&parts).ok()?;
        Some(Counts {
            hits: share.hits,
            samples: share.samples,
        })
    }

    /// Whether all of the time since a moment was observed, of one process of each target.
    pub fn saw(&self, on: &[impl AsRef<str>], between: Between) -> bool {
        self.whole(on, between).is_some()
    }

    /// The target whose process was replaced most often, if that happened since a moment.
    pub fn restarted(
        &self,
        on: &[impl AsRef<str>],
        since: Timestamp,
        window: Duration,
    ) -> Option<Restarted> {
        let restarted = |target: &str| {
            let times = self.rings.get(target)?.restarts(since, window)?;
            let target = target.to_owned();
            Some(Restarted { target, times })
        };
        let all = on.iter().filter_map(|target| restarted(target.as_ref()));
        all.max_by_key(|r| r.times)
    }

    fn whole<'a>(&'a self, on: &'a [impl AsRef<str>], between: Between) -> Option<Vec<Part<'a>>> {
        let part = |target: &'a str| {
            let ring = self.rings.get(target)?;
            let gap = longest_gap(between.interval, self.provider.spacing(target));
            let seen = ring.whole(between.since, between.now, gap)?;
            Some((target, ring, seen))
        };
        on.iter().map(|target| part(target.as_ref())).collect()
    }

    /// The window of one target, which must have answered lately, and where it ends: with the
    /// newest sample, where somebody else takes them.
    fn seen<'a>(
        &'a self,
        target: &str,
        span: Span,
        now: Timestamp,
    ) -> Result<(&'a Ring, Seen<'a>, Timestamp), Unmeasured> {
        let silent = |ring: Option<&Ring>, since: Option<Timestamp>| {
            let why = match ring.and_then(|r| r.failing.as_ref()) {
                Some((_, why)) => why.clone(),
                None => "it was not sampled".to_owned(),
            };
            let status = Status::Error;
            let why = match since {
                Some(at) => format!(
                    "nothing is known about {target} for {} s: {why}",
                    age(at, now).as_secs()
                ),
                None => format!("nothing is known about {target}: {why}"),
            };
            Unmeasured { status, why }
        };
        let ring = self.rings.get(target);
        let Some(ring) = ring else {
            return Err(silent(None, None));
        };
        let spacing = self.provider.spacing(target);
        let longest_gap = longest_gap(span.interval, spacing);
        let late = ring.newest().map_or(Duration::ZERO, |at| age(at, now));
        let end = now - late.min(spacing * LATE_SPACINGS);
        let seen = ring.seen(end, span.window, longest_gap, span.this_process);
        match seen {
            None => Err(silent(Some(ring), None)),
            Some(seen) if age(seen.last, now) > longest_gap => {
                Err(silent(Some(ring), Some(seen.last)))
            }
            Some(_) if ring.overflowed() => Err(unknown(format!(
                "{target} has more series of these metrics than are kept: a label has no bounds"
            ))),
            Some(seen) => Ok((ring, seen, end)),
        }
    }
}

/// A measure in words, for people and as evidence.
pub fn words(measure: &Measure) -> String {
    match measure {
        Measure::Ratio { bad, total } => format!("increase of {bad} / increase of {total}"),
        Measure::Slower { histogram, than } => format!("share of {histogram} above {than} s"),
        Measure::Quantile { q, histogram } => format!("quantile {q} of {histogram}"),
        Measure::Increase { counter } => format!("increase of {counter}"),
        Measure::Coincidence { .. } | Measure::BurnRate(_) => describe::measure(measure),
        Measure::Asked(asked) => describe::query(asked),
    }
}

fn millis(d: Duration) -> u64 {
    u64::try_from(d.as_millis()).unwrap_or(u64::MAX)
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde wants a reference")]
fn is_zero(n: &u64) -> bool {
    *n == 0
}

//! The samples of one target over a window, in bounded memory, and how much its counters rose.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::time::Duration;

use jiff::Timestamp;

use super::text::{Exposition, Labels};
use crate::carry::client::age;
use crate::runbook::selector::Selector;

/// The metric by which a process says when it started.
pub(super) const START_TIME: &str = "process_start_time_seconds";
/// Two readings of one start time may differ by this much: it is computed anew from uptimes.
const START_TIME_JITTER_S: f64 = 1.5;
/// Samples kept of one target, whatever the window.
const MOST_SAMPLES: usize = 20_000;
/// Series of wanted metrics kept of one target. More than that is a label without bounds.
const MOST_SERIES: usize = 5_000;
/// Processes of one target that are remembered after their end.
const MOST_GONE: usize = 1_000;

/// One target's history.
#[derive(Debug, Default)]
pub(super) struct Ring {
    keys: Vec<(String, Labels)>,
    index: HashMap<(String, Labels), usize>,
    samples: VecDeque<Sample>,
    /// When each process that is gone was seen first and last, the newest at the end.
    gone: VecDeque<(Timestamp, Timestamp)>,
    /// How many series each wanted metric had at the last scrape; none if nobody knows the name.
    known: BTreeMap<String, Option<usize>>,
    /// Why the last attempts failed, and since when.
    pub failing: Option<(Timestamp, String)>,
}

/// What tells one process of a target from the next.
#[derive(Debug, Default)]
struct Process {
    boot_id: Option<String>,
    /// Seconds since 1970, by the process's own metrics.
    started_s: Option<f64>,
}

#[derive(Debug)]
struct Sample {
    at: Timestamp,
    /// When it was brought here: later than `at` where somebody else took it.
    fetched: Timestamp,
    /// Counts up with every restart that was noticed.
    boot: u32,
    /// The first of a process whose predecessor was seen: its counters began at zero not long ago.
    after_restart: bool,
    process: Process,
    /// By index into `keys`; shorter where a series came later.
    values: Vec<Option<f64>>,
}

impl Sample {
    fn value(&self, series: usize) -> Option<f64> {
        self.values.get(series).copied().flatten()
    }
}

/// From one sample to the next. Without `before`: since the process started, from zero.
#[derive(Clone, Copy)]
pub(super) struct Step<'a> {
    before: Option<&'a Sample>,
    after: &'a Sample,
}

impl Step<'_> {
    /// From when to when. A process that was not seen before counts from its first sample.
    pub fn times(&self) -> (Timestamp, Timestamp) {
        let from = self.before.map_or(self.after.at, |s| s.at);
        (from, self.after.at)
    }

    /// How much a series rose. One that was not there before began at zero meanwhile, and so did
    /// one that fell.
    pub fn rise(&self, series: usize) -> f64 {
        let Some(after) = self.after.value(series) else {
            return 0.0;
        };
        let before = self.before.and_then(|s| s.value(series)).unwrap_or(0.0);
        if after < before {
            after
        } else {
            after - before
        }
    }
}

/// What there is of one target in a window.
pub(super) struct Seen<'a> {
    pub steps: Vec<Step<'a>>,
    /// Time between samples that are close enough together, inside the window.
    pub observed: Duration,
    /// The part of it that nobody looked at when it was new.
    pub backfilled: Duration,
    /// The first sample of this process, or the first one after the last gap in the window.
    pub since: Timestamp,
    pub last: Timestamp,
}

impl Ring {
    /// The time of the newest sample.
    pub fn newest(&self) -> Option<Timestamp> {
        self.samples.back().map(|s| s.at)
    }

    /// Keeps the wanted series of a scrape of the time `at`, brought here at the time `fetched`.
    pub fn push(
        &mut self,
        (at, fetched): (Timestamp, Timestamp),
        scraped: &Exposition,
        wanted: &[Selector],
        horizon: Duration,
    ) {
        if self.samples.back().is_some_and(|s| s.at >= at) {
            // The clock was set back: what lies in its future cannot be put in order.
            self.samples.clear();
            self.gone.clear();
        }
        let mut values = vec![None; self.keys.len()];
        let mut process = Process {
            boot_id: scraped.boot_id.clone(),
            started_s: None,
        };
        self.known.clear();
        for selector in wanted {
            let announced = scraped.announced.iter().any(|a| {
                selector
                    .name
                    .strip_prefix(a.as_str())
                    .is_some_and(|suffix| {
                        matches!(suffix, "" | "_total" | "_bucket" | "_count" | "_sum")
                    })
            });
            let known = announced.then_some(0);
            self.known.insert(selector.name.clone(), known);
        }
        for series in &scraped.series {
            if series.name == START_TIME {
                process.started_s = Some(series.value);
            }
            let Some(count) = self.known.get_mut(&series.name) else {
                continue;
            };
            *count.get_or_insert(0) += 1;
            if let Some(at) = self.slot(&series.name, &series.labels) {
                if values.len() <= at {
                    values.resize(at + 1, None);
                }
                values[at] = Some(series.value);
            }
        }
        let (boot, after_restart) = match self.samples.back() {
            None => (0, false),
            Some(last) if restarted(last, &process, &values) => {
                let first = self.samples.iter().find(|s| s.boot == last.boot);
                self.gone
                    .push_back((first.map_or(last.at, |s| s.at), last.at));
                if self.gone.len() > MOST_GONE {
                    self.gone.pop_front();
                }
                (last.boot + 1, true)
            }
            Some(last) => (last.boot, false),
        };
        self.samples.push_back(Sample {
            at,
            fetched,
            boot,
            after_restart,
            process,
            values,
        });
        self.forget(at, horizon);
    }

    fn slot(&mut self, name: &str, labels: &Labels) -> Option<usize> {
        let key = (name.to_owned(), labels.clone());
        if let Some(at) = self.index.get(&key) {
            return Some(*at);
        }
        if self.keys.len() >= MOST_SERIES {
            return None;
        }
        self.keys.push(key.clone());
        self.index.insert(key, self.keys.len() - 1);
        Some(self.keys.len() - 1)
    }

    /// Drops what no window reaches any more, but for the one sample that it starts from.
    fn forget(&mut self, now: Timestamp, horizon: Duration) {
        while self.samples.len() > MOST_SAMPLES
            || self
                .samples
                .get(1)
                .is_some_and(|s| age(s.at, now) > horizon)
        {
            self.samples.pop_front();
        }
    }

    /// Whether another process answers than the one that was known at a moment; then how often in
    /// a row it was replaced before it had been seen for as long as `window`.
    pub fn restarts(&self, since: Timestamp, window: Duration) -> Option<usize> {
        let before = self.samples.iter().rfind(|s| s.fetched <= since)?;
        let last = self.samples.back()?;
        // The first process began before anybody looked: how long it lived is not known.
        let between = self.gone.iter().skip(1).rev();
        let short = between.take_while(|(from, to)| age(*from, *to) < window);
        (before.boot != last.boot).then(|| 1 + short.count())
    }

    /// Whether more series were there than are kept: sums would be too small.
    pub fn overflowed(&self) -> bool {
        self.keys.len() >= MOST_SERIES
    }

    /// The indices of the series that a selector chooses.
    pub fn chosen(&self, selector: &Selector) -> Vec<usize> {
        let matching = self.keys.iter().enumerate();
        matching
            .filter(|(_, (name, labels))| selector.matches(name, labels))
            .map(|(i, _)| i)
            .collect()
    }

    pub fn labels(&self, series: usize) -> &Labels {
        &self.keys[series].1
    }

    /// Series that have the selector's name, whatever their labels; none if the target does not
    /// know the name.
    pub fn known(&self, selector: &Selector) -> Option<usize> {
        self.known.get(&selector.name).copied().flatten()
    }

    /// The labels of every series of that name.
    pub fn named(&self, name: &str) -> impl Iterator<Item = &Labels> {
        let of = move |(n, labels)| (n == name).then_some(labels);
        self.keys
            .iter()
            .map(|(n, labels)| (n, labels))
            .filter_map(of)
    }

    /// A series of that name, as an example for a person.
    pub fn example(&self, name: &str) -> Option<&(String, Labels)> {
        self.keys.iter().find(|(n, _)| n == name)
    }

    /// Whether one of the series has a value that is no number in the window.
    pub fn has_nan(&self, steps: &[Step<'_>], series: &[usize]) -> bool {
        steps.iter().any(|step| {
            series
                .iter()
                .any(|s| step.rise(*s).is_nan() || step.after.value(*s).is_some_and(f64::is_nan))
        })
    }

    /// The samples of a window. `this_process`: only those since the last restart; otherwise a
    /// restart is a counter that began again at zero.
    ///
    /// Time between two samples that are further apart than `longest_gap` is not observed.
    pub fn seen(
        &self,
        now: Timestamp,
        window: Duration,
        longest_gap: Duration,
        this_process: bool,
    ) -> Option<Seen<'_>> {
        let last = self.samples.back()?;
        let first_of_process = self.samples.iter().find(|s| s.boot == last.boot)?;
        let usable = |s: &&Sample| !this_process || s.boot == last.boot;
        let inside = |s: &&Sample| age(s.at, now) < window;
        // The newest sample at or before the window's start is where counting begins.
        let base = self.samples.iter().filter(usable).rfind(|s| !inside(s));
        let mut steps = Vec::new();
        let (mut observed, mut backfilled) = (Duration::ZERO, Duration::ZERO);
        let mut since = first_of_process.at;
        let mut before = base;
        for after in self.samples.iter().filter(usable).filter(inside) {
            match before {
                Some(b) if b.boot == after.boot => {
                    let gap = age(b.at, after.at);
                    if gap <= longest_gap {
                        // The base lies before the window; only what is inside it counts.
                        let outside = age(b.at, now).saturating_sub(window);
                        let inside = gap.saturating_sub(outside);
                        observed += inside;
                        if age(after.at, after.fetched) > longest_gap {
                            backfilled += inside;
                        }
                    } else {
                        since = after.at;
                    }
                    steps.push(Step { before, after });
                }
                // A new process: its counters began at zero.
                Some(_) => steps.push(Step {
                    before: None,
                    after,
                }),
                None if after.after_restart => steps.push(Step {
                    before: None,
                    after,
                }),
                // The first sample of all: where counting begins.
                None => {}
            }
            before = Some(after);
        }
        Some(Seen {
            steps,
            observed: observed.min(window),
            backfilled: backfilled.min(window),
            since,
            last: last.at,
        })
    }

    /// From the newest sample that was here at a moment to the newest one of all: none unless the
    /// target answered this time, and all of the time between them was observed, of one process.
    pub fn whole(
        &self,
        since: Timestamp,
        now: Timestamp,
        longest_gap: Duration,
    ) -> Option<Seen<'_>> {
        let last = self.samples.back()?;
        let base = self.samples.iter().rposition(|s| s.fetched <= since)?;
        let first = &self.samples[base];
        if self.failing.is_some() || first.boot != last.boot || age(last.at, now) > longest_gap {
            return None;
        }
        let rest = self.samples.iter().skip(base);
        let mut steps = Vec::new();
        for (before, after) in rest.clone().zip(rest.skip(1)) {
            if age(before.at, after.at) > longest_gap {
                return None;
            }
            steps.push(Step {
                before: Some(before),
                after,
            });
        }
        Some(Seen {
            steps,
            observed: age(first.at, last.at),
            backfilled: Duration::ZERO,
            since: first.at,
            last: last.at,
        })
    }
}

/// Whether another process answered than the time before: it has another boot id, says that it
/// started at another time, or a counter fell or went away.
fn restarted(last: &Sample, process: &Process, values: &[Option<f64>]) -> bool {
    if let (Some(before), Some(now)) = (&last.process.boot_id, &process.boot_id) {
        return before != now;
    }
    if let (Some(before), Some(now)) = (last.process.started_s, process.started_s) {
        return (before - now).abs() > START_TIME_JITTER_S;
    }
    last.values.iter().enumerate().any(|(i, before)| {
        let now = values.get(i).copied().flatten();
        match (before, now) {
            (Some(before), Some(now)) => now < *before,
            (Some(_), None) => true,
            (None, _) => false,
        }
    })
}

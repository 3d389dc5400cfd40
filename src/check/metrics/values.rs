//! From the counters of targets to the value of a measure.

use std::collections::BTreeMap;
use std::time::Duration;

use super::ring::{Ring, Seen};
use super::{Selector, Status, text, together};
use crate::check::statistics::histogram_quantile;
use crate::error::{Exit, Problem, Result};
use crate::runbook::model::Measure;

/// Why there is no value.
pub(super) struct Unmeasured {
    pub status: Status,
    pub why: String,
}

pub(super) fn unknown(why: impl Into<String>) -> Unmeasured {
    Unmeasured {
        status: Status::Inconclusive,
        why: why.into(),
    }
}

pub(super) struct Value {
    pub value: f64,
    pub samples: Option<f64>,
    pub hits: Option<f64>,
    pub note: Option<String>,
}

/// One target with its window.
pub(super) type Part<'a> = (&'a str, &'a Ring, Seen<'a>);

/// A measure with its selectors read.
pub(super) enum Parsed {
    Ratio {
        bad: Selector,
        total: Selector,
    },
    Slower {
        than: f64,
        buckets: Selector,
    },
    Quantile {
        q: f64,
        buckets: Selector,
    },
    Increase {
        counter: Selector,
    },
    Coincidence {
        left: Selector,
        right: Selector,
        within: Duration,
    },
    BurnRate {
        bad: Selector,
        total: Selector,
        allowed: f64,
    },
}

impl Parsed {
    /// None for what is not read from counters.
    pub fn of(measure: &Measure) -> Result<Option<Self>> {
        let read = |text: &str| {
            Selector::parse(text)
                .map_err(|why| Problem::new(Exit::Config, "reading a measure", why))
        };
        Ok(Some(match measure {
            Measure::Asked(_) => return Ok(None),
            Measure::Ratio { bad, total } => Parsed::Ratio {
                bad: read(bad)?,
                total: read(total)?,
            },
            Measure::Slower { than, histogram } => Parsed::Slower {
                than: *than,
                buckets: read(histogram)?.with_suffix("_bucket"),
            },
            Measure::Quantile { q, histogram } => Parsed::Quantile {
                q: *q,
                buckets: read(histogram)?.with_suffix("_bucket"),
            },
            Measure::Increase { counter } => Parsed::Increase {
                counter: read(counter)?,
            },
            Measure::Coincidence {
                left,
                right,
                within,
            } => Parsed::Coincidence {
                left: read(left)?,
                right: read(right)?,
                within: *within,
            },
            Measure::BurnRate(burn) => Parsed::BurnRate {
                bad: read(&burn.bad)?,
                total: read(&burn.total)?,
                allowed: burn.allowed(),
            },
        }))
    }

    pub fn into_wanted(self) -> Vec<Selector> {
        match self {
            Parsed::Ratio { bad, total } | Parsed::BurnRate { bad, total, .. } => vec![bad, total],
            Parsed::Slower { buckets, .. } | Parsed::Quantile { buckets, .. } => vec![buckets],
            Parsed::Increase { counter } => vec![counter],
            Parsed::Coincidence { left, right, .. } => vec![left, right],
        }
    }

    /// The counts of a measure that is a share.
    pub fn share(&self, parts: &[Part<'_>]) -> Result<Share, Unmeasured> {
        match self {
            Parsed::Ratio { bad, total } => ratio(bad, total, parts),
            Parsed::Slower { than, buckets } => slower(*than, buckets, parts),
            Parsed::Quantile { .. }
            | Parsed::Increase { .. }
            | Parsed::Coincidence { .. }
            | Parsed::BurnRate { .. } => Err(unknown("it is no share of counted requests")),
        }
    }

    pub fn value(&self, parts: &[Part<'_>]) -> Result<Value, Unmeasured> {
        match self {
            Parsed::Ratio { total, .. } => {
                let nothing = format!("{total} did not increase");
                self.share(parts)?.value(&nothing)
            }
            Parsed::Slower { .. } => self
                .share(parts)?
                .value("nothing was observed in the window"),
            Parsed::Quantile { q, buckets } => quantile(*q, buckets, parts),
            Parsed::Increase { counter } => {
                let mut sum = 0.0;
                for part in parts {
                    sum += rise(part, &present(counter, part)?)?;
                }
                Ok(Value {
                    value: sum,
                    samples: None,
                    hits: None,
                    note: None,
                })
            }
            Parsed::Coincidence {
                left,
                right,
                within,
            } => together::coincidence(left, right, *within, parts),
            Parsed::BurnRate {
                bad,
                total,
                allowed,
            } => {
                let nothing = format!("{total} did not increase");
                let share = ratio(bad, total, parts)?.value(&nothing)?;
                Ok(Value {
                    value: share.value / allowed,
                    ..share
                })
            }
        }
    }
}

/// The series that a selector chooses on one target. Counters with labels often appear only at
/// their first event: a known metric without a matching series has not counted anything yet. A
/// name that the target does not know at all is a mistake, and no zero.
pub(super) fn present(
    selector: &Selector,
    (target, ring, _): &Part<'_>,
) -> Result<Vec<usize>, Unmeasured> {
    known(selector, target, ring)
}

fn known(selector: &Selector, target: &str, ring: &Ring) -> Result<Vec<usize>, Unmeasured> {
    if ring.known(selector).is_none() {
        return Err(unknown(format!("{target} has no metric {}", selector.name)));
    }
    Ok(ring.chosen(selector))
}

fn rise((target, ring, seen): &Part<'_>, series: &[usize]) -> Result<f64, Unmeasured> {
    if ring.has_nan(&seen.steps, series) {
        return Err(unknown(format!("a counter of {target} is not a number")));
    }
    let rises = seen
        .steps
        .iter()
        .flat_map(|step| series.iter().map(|s| step.rise(*s)));
    Ok(rises.sum())
}

/// What a share is made of.
pub(super) struct Share {
    pub hits: f64,
    pub samples: f64,
    note: Option<String>,
}

impl Share {
    fn value(self, nothing: &str) -> Result<Value, Unmeasured> {
        if self.samples <= 0.0 {
            return Err(unknown(format!("no traffic: {nothing}")));
        }
        Ok(Value {
            value: self.hits / self.samples,
            samples: Some(self.samples),
            hits: Some(self.hits),
            note: self.note,
        })
    }
}

fn ratio(bad: &Selector, total: &Selector, parts: &[Part<'_>]) -> Result<Share, Unmeasured> {
    let (mut hits, mut samples) = (0.0, 0.0);
    let mut note = None;
    for part in parts {
        let (target, ring, _) = part;
        let all = present(total, part)?;
        if all.is_empty() {
            return Err(no_match(target, ring, total));
        }
        samples += rise(part, &all)?;
        let counted = present(bad, part)?;
        if counted.is_empty() {
            note = Some(format!("{bad} has not counted anything yet on {target}"));
        }
        hits += rise(part, &counted)?;
    }
    Ok(Share {
        hits,
        samples,
        note,
    })
}

/// Observations beyond a bucket's bound. Between two bounds nobody knows how many there are.
fn slower(than: f64, buckets: &Selector, parts: &[Part<'_>]) -> Result<Share, Unmeasured> {
    let (mut within, mut samples) = (0.0, 0.0);
    for part in parts {
        let (below, all) = split(than, buckets, part.0, part.1)?;
        within += rise(part, &below)?;
        samples += rise(part, &all)?;
    }
    Ok(Share {
        // Scrapes are not atomic: a bucket may be ahead of the count for a moment.
        hits: (samples - within).max(0.0),
        samples,
        note: None,
    })
}

/// The buckets up to a bound, which must be that of a bucket, and those of everything.
pub(super) fn split(
    than: f64,
    buckets: &Selector,
    target: &str,
    ring: &Ring,
) -> Result<(Vec<usize>, Vec<usize>), Unmeasured> {
    let mut bounds: BTreeMap<u64, (f64, Vec<usize>)> = BTreeMap::new();
    for (le, series) in bounded(buckets, target, ring)? {
        let of_bound = bounds.entry(le.to_bits()).or_insert((le, Vec::new()));
        of_bound.1.push(series);
    }
    let at = |bound: f64| {
        bounds
            .get(&bound.to_bits())
            .map(|(_, series)| series.clone())
    };
    at(than).zip(at(f64::INFINITY)).ok_or_else(|| {
        let known: Vec<String> = bounds.values().map(|(le, _)| le.to_string()).collect();
        Unmeasured {
            status: Status::Error,
            why: format!(
                "{} of {target} has no bucket that ends at {than}; there are: {}",
                buckets.name,
                known.join(", ")
            ),
        }
    })
}

/// The chosen buckets of one target, each with its bound.
fn bounded(buckets: &Selector, target: &str, ring: &Ring) -> Result<Vec<(f64, usize)>, Unmeasured> {
    let series = known(buckets, target, ring)?;
    if series.is_empty() {
        return Err(no_match(target, ring, buckets));
    }
    let bound = |one: usize| {
        let le = ring.labels(one).get("le");
        let le = le.and_then(|le| le.parse::<f64>().ok());
        let le = le.filter(|le| !le.is_nan());
        let nothing = || unknown(format!("a bucket of {target} has no bound (label le)"));
        le.map(|le| (le, one)).ok_or_else(nothing)
    };
    series.into_iter().map(bound).collect()
}

pub(super) fn no_match(target: &str, ring: &Ring, selector: &Selector) -> Unmeasured {
    let there = ring.known(selector).unwrap_or(0);
    let example = ring
        .example(&selector.name)
        .map(|(name, labels)| format!(", such as {}", text::series_text(name, labels)))
        .unwrap_or_default();
    unknown(format!(
        "empty: no series of {target} matches {selector}; {there} have that name{example}"
    ))
}

fn quantile(q: f64, buckets: &Selector, parts: &[Part<'_>]) -> Result<Value, Unmeasured> {
    let mut total: BTreeMap<u64, (f64, f64)> = BTreeMap::new();
    let mut bounds_of_first: Option<Vec<u64>> = None;
    for part in parts {
        let mut bounds = Vec::new();
        for (le, one) in bounded(buckets, part.0, part.1)? {
            bounds.push(le.to_bits());
            total.entry(le.to_bits()).or_insert((le, 0.0)).1 += rise(part, &[one])?;
        }
        bounds.sort_unstable();
        bounds.dedup();
        match &bounds_of_first {
            None => bounds_of_first = Some(bounds),
            Some(first) if *first == bounds => {}
            Some(_) => {
                return Err(unknown(
                    "the targets have different buckets: they cannot be added up",
                ));
            }
        }
    }
    let sums: Vec<(f64, f64)> = total.into_values().collect();
    let observations = sums.iter().map(|b| b.1).fold(0.0, f64::max);
    if observations <= 0.0 {
        return Err(unknown("no traffic: nothing was observed in the window"));
    }
    let value = histogram_quantile(q, &sums);
    if value.is_nan() {
        return Err(unknown(
            "the histogram gives no number: is the +Inf bucket there?",
        ));
    }
    Ok(Value {
        value,
        samples: Some(observations),
        hits: None,
        note: None,
    })
}

//! Measurements over time, down-sampled as they come: a bounded number of stretches, each with the
//! extremes of what was read in it.

use std::collections::BTreeMap;

use super::{Bucket, Counts, Range, Series};
use crate::check::Verdict;

/// The most stretches that a series has: more than a plot on a wide screen has pixels for.
pub const BUCKETS: usize = 480;

/// One reading, as far as a plot needs it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sample {
    pub at_ms: u64,
    pub verdict: Verdict,
    pub warming: bool,
    /// The time since the look before was not seen, or only a part of it.
    pub unseen: bool,
    pub value: Option<f64>,
    pub others: Option<f64>,
    pub worse_by: Option<f64>,
    pub harm: Option<f64>,
}

/// A series under construction. It begins with stretches of a millisecond; whenever there are more
/// than [`BUCKETS`], two become one.
#[derive(Debug)]
pub(super) struct Sampler {
    from_ms: u64,
    bucket_ms: u64,
    buckets: BTreeMap<u64, Bucket>,
    readings: u64,
}

impl Sampler {
    pub fn new(from_ms: u64) -> Self {
        Self {
            from_ms,
            bucket_ms: 1,
            buckets: BTreeMap::new(),
            readings: 0,
        }
    }

    pub fn take(&mut self, sample: &Sample) {
        self.readings += 1;
        // A clock that went back before the beginning counts as the beginning.
        let at = sample.at_ms.saturating_sub(self.from_ms) / self.bucket_ms;
        let bucket = self.buckets.entry(at).or_insert_with(|| Bucket {
            at,
            ..Bucket::default()
        });
        bucket.counts.take(sample.verdict, sample.warming);
        bucket.counts.unseen += u64::from(sample.unseen);
        widen(&mut bucket.value, sample.value.and_then(Range::of));
        widen(&mut bucket.others, sample.others.and_then(Range::of));
        widen(&mut bucket.worse_by, sample.worse_by.and_then(Range::of));
        widen(&mut bucket.harm, sample.harm.and_then(Range::of));
        while self.buckets.len() > BUCKETS {
            self.halve();
        }
    }

    fn halve(&mut self) {
        self.bucket_ms *= 2;
        for (at, bucket) in std::mem::take(&mut self.buckets) {
            let at = at / 2;
            let into = self.buckets.entry(at).or_insert_with(|| Bucket {
                at,
                ..Bucket::default()
            });
            into.counts.add(bucket.counts);
            widen(&mut into.value, bucket.value);
            widen(&mut into.others, bucket.others);
            widen(&mut into.worse_by, bucket.worse_by);
            widen(&mut into.harm, bucket.harm);
        }
    }

    pub fn finish(self) -> Series {
        Series {
            from_ms: self.from_ms,
            bucket_ms: self.bucket_ms,
            down_sampled: self.readings > self.buckets.len() as u64,
            buckets: self.buckets.into_values().collect(),
        }
    }
}

impl Range {
    fn of(value: f64) -> Option<Self> {
        let range = Range {
            min: value,
            max: value,
        };
        value.is_finite().then_some(range)
    }
}

fn widen(range: &mut Option<Range>, by: Option<Range>) {
    *range = match (*range, by) {
        (Some(a), Some(b)) => Some(Range {
            min: a.min.min(b.min),
            max: a.max.max(b.max),
        }),
        (a, b) => a.or(b),
    };
}

impl Counts {
    pub(super) fn take(&mut self, verdict: Verdict, warming: bool) {
        match verdict {
            Verdict::Pass => self.pass += 1,
            Verdict::Fail => self.fail += 1,
            Verdict::Inconclusive | Verdict::Error if warming => self.warming += 1,
            Verdict::Inconclusive => self.inconclusive += 1,
            Verdict::Error => self.error += 1,
        }
    }

    fn add(&mut self, other: Counts) {
        self.pass += other.pass;
        self.fail += other.fail;
        self.inconclusive += other.inconclusive;
        self.error += other.error;
        self.warming += other.warming;
        self.unseen += other.unseen;
    }

    /// How many readings there were.
    pub fn all(&self) -> u64 {
        self.pass + self.fail + self.inconclusive + self.error + self.warming
    }
}

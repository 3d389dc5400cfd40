//! Bakes and their gates: what was measured, what it came to, and when nobody looked.

use super::evidence::{self, Numbers};
use super::limits::{Keep, TEXT, short};
use super::series::{Sample, Sampler};
use super::{BakeFacts, Counts, Gap, GateFacts, LastReading, Sign, Threshold, Unit};
use crate::check::Verdict;
use crate::rollout::machine::{BakeOutline, Reading};
use crate::runbook::describe;
use crate::runbook::model::{Gate, Measure, OnTrigger, Thresholds};
use crate::runbook::plan::Plan;

/// How often a change of a gate's verdict is a line of the timeline, in one bake.
const CHANGES: u32 = 40;

/// One attempt of a bake under construction.
#[derive(Debug)]
pub(super) struct Bake {
    pub step: String,
    pub attempt: u32,
    outline: BakeOutline,
    began_ms: u64,
    ended_ms: Option<u64>,
    last_at_ms: Option<u64>,
    observed_ms: u64,
    looks: u64,
    gaps: Keep<Gap>,
    gates: Vec<Watched>,
}

#[derive(Debug)]
struct Watched {
    gate: Gate,
    query: String,
    /// The query is that of a measurement.
    resolved: bool,
    counts: Counts,
    last: Option<LastReading>,
    first_bad: Option<Sign>,
    alarm: Option<f64>,
    sampler: Sampler,
    changes: u32,
}

/// A gate's verdict is another one than before.
pub(super) struct Change {
    pub gate: String,
    pub verdict: Verdict,
    pub why: String,
    /// Further changes of this gate are not told.
    pub last_told: bool,
}

impl Bake {
    pub fn new(
        plan: &Plan,
        step: &str,
        attempt: u32,
        outline: &BakeOutline,
        began_ms: u64,
    ) -> Self {
        let gates = outline.gates.iter().filter_map(|g| plan.gate(&g.id));
        Self {
            step: step.to_owned(),
            attempt,
            outline: outline.clone(),
            began_ms,
            ended_ms: None,
            last_at_ms: None,
            observed_ms: 0,
            looks: 0,
            gaps: Keep::new(100, 100),
            gates: gates.map(|gate| Watched::new(gate, began_ms)).collect(),
        }
    }

    /// The gates were looked at; returns what changed.
    pub fn observed(
        &mut self,
        seq: u64,
        at_ms: u64,
        gained_ms: u64,
        readings: &[Reading],
    ) -> Vec<Change> {
        let before = self.last_at_ms.unwrap_or(self.began_ms);
        if gained_ms == 0 {
            self.gap(before, at_ms);
        }
        self.last_at_ms = Some(at_ms);
        self.observed_ms += gained_ms;
        self.looks += 1;
        let mut changes = Vec::new();
        for watched in &mut self.gates {
            let reading = readings.iter().find(|r| r.gate == watched.gate.id);
            changes.extend(reading.and_then(|r| watched.take(seq, at_ms, r)));
        }
        changes
    }

    /// Time in which nobody looked, where it is longer than looks are apart anyway.
    fn gap(&mut self, from_ms: u64, to_ms: u64) {
        if to_ms.saturating_sub(from_ms) > self.outline.longest_gap_ms {
            self.gaps.push(Gap { from_ms, to_ms });
        }
    }

    pub fn end(&mut self, at_ms: u64) {
        if self.ended_ms.is_none() {
            self.gap(self.last_at_ms.unwrap_or(self.began_ms), at_ms);
            self.ended_ms = Some(at_ms);
        }
    }

    pub fn is_over(&self) -> bool {
        self.ended_ms.is_some()
    }

    pub fn finish(mut self, now_ms: u64) -> BakeFacts {
        self.end(now_ms);
        let ended_ms = self.ended_ms.unwrap_or(now_ms);
        BakeFacts {
            step: self.step,
            attempt: self.attempt,
            needed_ms: self.outline.needed_ms,
            observed_ms: self.observed_ms,
            began_ms: self.began_ms,
            ended_ms: ended_ms.max(self.began_ms),
            last_look_ms: self.last_at_ms,
            looks: self.looks,
            gaps: self.gaps.excerpt(),
            gates: self.gates.into_iter().map(Watched::finish).collect(),
        }
    }
}

impl Watched {
    fn new(gate: &Gate, began_ms: u64) -> Self {
        Self {
            query: describe::measure(&gate.measure),
            resolved: false,
            gate: gate.clone(),
            counts: Counts::default(),
            last: None,
            first_bad: None,
            alarm: None,
            sampler: Sampler::new(began_ms),
            changes: 0,
        }
    }

    fn take(&mut self, seq: u64, at_ms: u64, reading: &Reading) -> Option<Change> {
        let warming = reading.warming && is_open(reading.verdict);
        self.counts.take(reading.verdict, warming);
        self.counts.unseen += u64::from(reading.unseen);
        let numbers = Numbers::of(reading);
        self.sampler.take(&Sample {
            at_ms,
            verdict: reading.verdict,
            warming,
            unseen: reading.unseen,
            value: numbers.value,
            others: numbers.others,
            worse_by: numbers.worse_by,
            harm: numbers.harm,
        });
        self.alarm = numbers.alarm.or(self.alarm);
        // The resolved query is the same each time, so the first one will do.
        if !self.resolved
            && let Some(query) = evidence::query_of(&reading.evidence)
        {
            self.query = short(query, TEXT);
            self.resolved = true;
        }
        let before = self.last.as_ref().filter(|l| !l.warming).map(|l| l.verdict);
        let changed = !warming && before.unwrap_or(Verdict::Pass) != reading.verdict;
        let same_words = self.last.as_ref().is_some_and(|l| l.why == reading.why);
        match &mut self.last {
            Some(last) if same_words => {
                last.at_ms = at_ms;
                last.verdict = reading.verdict;
                last.warming = warming;
                last.samples = numbers.samples;
            }
            last => {
                *last = Some(LastReading {
                    at_ms,
                    verdict: reading.verdict,
                    warming,
                    why: short(&reading.why, TEXT),
                    samples: numbers.samples,
                });
            }
        }
        if !warming && reading.verdict != Verdict::Pass && self.first_bad.is_none() {
            self.first_bad = Some(Sign {
                seq,
                at_ms,
                what: format!("gate {}", reading.gate),
                verdict: reading.verdict,
                why: short(&reading.why, TEXT),
            });
        }
        self.changes += u32::from(changed);
        (changed && self.changes <= CHANGES).then(|| Change {
            gate: reading.gate.clone(),
            verdict: reading.verdict,
            why: short(&reading.why, TEXT),
            last_told: self.changes == CHANGES,
        })
    }

    fn finish(self) -> GateFacts {
        let gate = self.gate;
        GateFacts {
            unit: unit(&gate.measure),
            thresholds: thresholds(&gate),
            margin: gate.margin,
            alarm: self.alarm,
            muted: gate.muted,
            id: gate.id,
            heading: short(&gate.heading, TEXT),
            query: self.query,
            counts: self.counts,
            last: self.last,
            first_bad: self.first_bad,
            series: self.sampler.finish(),
        }
    }
}

/// It was not judged, or could not be.
const fn is_open(verdict: Verdict) -> bool {
    match verdict {
        Verdict::Inconclusive | Verdict::Error => true,
        Verdict::Pass | Verdict::Fail => false,
    }
}

/// The values of a gate at which something happens.
fn thresholds(gate: &Gate) -> Vec<Threshold> {
    let Thresholds {
        pass,
        fail,
        rollback,
        on_fail,
    } = gate.thresholds;
    let fails = match on_fail {
        OnTrigger::Pause => "pause",
        OnTrigger::Rollback => "limit",
    };
    // Where one is the other's opposite, there is one line to draw.
    let pass = pass.filter(|p| fail.is_none_or(|f| f.number != p.number));
    let named = [(pass, "pass"), (fail, fails), (rollback, "rollback")];
    let given = named.into_iter().filter_map(|(condition, what)| {
        condition.map(|c| Threshold {
            what: what.into(),
            value: c.number,
        })
    });
    given.collect()
}

/// The unit of what a measure counts.
pub fn unit(measure: &Measure) -> Unit {
    match measure {
        Measure::Ratio { .. } | Measure::Slower { .. } => Unit::Share,
        Measure::Quantile { .. } => Unit::Seconds,
        Measure::Asked(asked) if asked.counts() => Unit::Share,
        Measure::Increase { .. }
        | Measure::Coincidence { .. }
        | Measure::BurnRate(_)
        | Measure::Asked(_) => Unit::Count,
    }
}

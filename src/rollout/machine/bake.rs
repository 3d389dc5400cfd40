//! A bake under way: what its looks come to.

use serde::{Deserialize, Serialize};

use super::event::{Arms, Counted, Harm, Reading};
use super::outline::{BakeOutline, GateOutline};
use crate::check::Verdict;

/// A bake under way. All of it follows from the journal, so that a resume and a replay have it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Bake {
    pub step: usize,
    pub observed_ms: u64,
    /// When the last observation was; none at the beginning and after an interruption.
    pub last_at_ms: Option<u64>,
    /// The observed time at which the bake holds if a gate is not certain by then.
    pub until_ms: u64,
    /// In the order of the outline's gates.
    pub gates: Vec<GateCount>,
}

/// What the looks at one gate come to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct GateCount {
    pub passes: u32,
    pub failures: u32,
    /// The last looks that passed or failed, the newest in the lowest bit; a failure is a one.
    /// Kept only for a gate that has a limit on them.
    pub recent: u64,
    pub errors_in_a_row: u32,
    /// Looks in a row that could not be judged, errors left out.
    pub unjudged_in_a_row: u32,
    /// The newest measurement passed.
    pub passing: bool,
    /// How bad the newest look was.
    pub harm: Option<Harm>,
    /// Two looks in a row were beyond the second level.
    pub confirmed: bool,
    /// What was counted since the bake began; only for a gate that is compared.
    pub totals: Totals,
    pub certainty: Certainty,
}

/// Counts of both arms over a bake.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Totals {
    pub arms: Arms,
    /// How many of the bad ones would have fallen on the baking targets if these were as good as
    /// the others: each look's bad ones by that look's share of the traffic, in millionths.
    pub expected_micro: u64,
    /// How much the looks say about a difference, each by the product of both arms' requests over
    /// their sum (Mantel and Haenszel's weights), in thousandths.
    #[serde(default)]
    pub weight_milli: u64,
    /// What is not in there yet: the two arms are not always counted at the same look, so what
    /// was counted waits until there is something of both.
    pub open: Arms,
}

/// Whether it was shown that the baking targets are not worse than the others.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Certainty {
    /// The bake is not at its end.
    #[default]
    Open,
    /// Not shown at the end; the bake is extended.
    Extended,
    /// Not shown at the end of the extension either: a person decides.
    Held,
    /// Shown. It is decided once and stays so for this bake.
    Shown,
}

impl Bake {
    pub(super) fn new(step: usize, outline: &BakeOutline) -> Self {
        Self {
            step,
            observed_ms: 0,
            last_at_ms: None,
            until_ms: outline.needed_ms.saturating_add(outline.extend_ms),
            gates: vec![GateCount::default(); outline.gates.len()],
        }
    }

    /// The time since the look before, unless that is too long ago to say that anybody was
    /// looking (P6): none at the first look, after a gap, and for a clock that went backwards.
    pub fn since_last_ms(&self, outline: &BakeOutline, at_ms: u64) -> Option<u64> {
        let gap = at_ms.checked_sub(self.last_at_ms?)?;
        (gap <= outline.longest_gap_ms).then_some(gap)
    }

    /// How much observed time a look adds: none if a gate that decides saw only a part of it.
    pub fn gained_ms(&self, outline: &BakeOutline, at_ms: u64, readings: &[Reading]) -> u64 {
        let saw = |gate: &GateOutline| {
            gate.muted
                || self.observed_ms < gate.delay_ms
                || readings.iter().any(|r| r.gate == gate.id && r.is_seen())
        };
        match self.since_last_ms(outline, at_ms) {
            Some(gap) if outline.gates.iter().all(saw) => gap,
            Some(_) | None => 0,
        }
    }

    /// Whether a gate that is compared is decided at a look once so much time was observed: once
    /// at the end of the bake, and once more at the end of its extension.
    pub fn is_due(&self, outline: &BakeOutline, gate: usize, observed_ms: u64) -> bool {
        let compared = outline.gates.get(gate).is_some_and(|g| g.compared);
        let at_ms = match self.gates.get(gate).map(|g| g.certainty) {
            Some(Certainty::Open) => outline.needed_ms,
            Some(Certainty::Extended) => self.until_ms,
            Some(Certainty::Held | Certainty::Shown) | None => return false,
        };
        compared && observed_ms >= at_ms
    }

    /// Takes what a look saw; `gained_ms` is what it adds.
    pub(super) fn take(
        &mut self,
        outline: &BakeOutline,
        at_ms: u64,
        gained_ms: u64,
        readings: &[Reading],
    ) {
        let looked_before = self.since_last_ms(outline, at_ms).is_some();
        let before_ms = self.observed_ms;
        self.observed_ms += gained_ms;
        self.last_at_ms = Some(at_ms);
        for (index, gate) in outline.gates.iter().enumerate() {
            let due = self.is_due(outline, index, self.observed_ms);
            let last_chance = self.observed_ms >= self.until_ms;
            let count = &mut self.gates[index];
            if before_ms < gate.delay_ms {
                continue;
            }
            let Some(reading) = readings.iter().find(|r| r.gate == gate.id) else {
                count.judge(gate, Verdict::Inconclusive, Harm::Counted);
                continue;
            };
            if reading.warming && reading.verdict != Verdict::Fail {
                count.passing = false;
                count.harm = None;
                if reading.sound {
                    count.errors_in_a_row = 0;
                    count.unjudged_in_a_row = 0;
                }
            } else {
                count.judge(gate, reading.verdict, reading.harm);
            }
            if let Some(arms) = reading.arms.filter(|_| looked_before && reading.is_seen()) {
                count.totals.add(arms);
            }
            match reading.shown.filter(|_| due && reading.is_seen()) {
                Some(true) => count.certainty = Certainty::Shown,
                Some(false) if last_chance => count.certainty = Certainty::Held,
                Some(false) => count.certainty = Certainty::Extended,
                None => {}
            }
        }
    }

    /// Time without an observer is over: nothing is known of what was in between.
    pub(super) fn interrupt(&mut self) {
        self.last_at_ms = None;
        for gate in &mut self.gates {
            gate.harm = None;
        }
    }

    /// A person has it go on after a pause: limits are counted anew, and what is not certain gets
    /// another extension.
    pub(super) fn go_on(&mut self, outline: &BakeOutline) {
        for gate in &mut self.gates {
            gate.failures = 0;
            gate.recent = 0;
            gate.errors_in_a_row = 0;
            gate.unjudged_in_a_row = 0;
            gate.confirmed = false;
            if gate.certainty == Certainty::Held {
                gate.certainty = Certainty::Extended;
                let more = match outline.extend_ms {
                    0 => outline.needed_ms,
                    extend => extend,
                };
                self.until_ms = self.observed_ms.saturating_add(more);
            }
        }
    }
}

impl GateCount {
    fn judge(&mut self, gate: &GateOutline, verdict: Verdict, harm: Harm) {
        self.passing = verdict == Verdict::Pass;
        let before = self.harm.take();
        match verdict {
            Verdict::Pass => {
                self.passes += 1;
                self.remember(gate, 0);
                self.errors_in_a_row = 0;
                self.unjudged_in_a_row = 0;
            }
            Verdict::Fail => {
                self.failures += 1;
                self.remember(gate, 1);
                self.errors_in_a_row = 0;
                self.unjudged_in_a_row = 0;
                self.harm = Some(harm);
                self.confirmed |= harm == Harm::Grave && before == Some(Harm::Grave);
            }
            Verdict::Inconclusive => {
                self.errors_in_a_row = 0;
                self.unjudged_in_a_row += 1;
            }
            Verdict::Error => self.errors_in_a_row += 1,
        }
    }

    fn remember(&mut self, gate: &GateOutline, failed: u64) {
        if gate.failures_of_last.is_some() {
            self.recent = (self.recent << 1) | failed;
        }
    }

    /// More failures than are allowed, of those that count up.
    fn failed_too_often(&self, gate: &GateOutline) -> bool {
        let of_last = |l: &crate::runbook::model::OfLast| {
            let mask = u64::MAX >> (64 - l.of_last.clamp(1, 64));
            (self.recent & mask).count_ones() > l.at_most
        };
        gate.failure_limit.is_some_and(|most| self.failures > most)
            || gate.failures_of_last.as_ref().is_some_and(of_last)
    }

    /// What this gate asks for now; nothing if it lets the bake go on.
    pub(super) fn asks(&self, gate: &GateOutline) -> Option<Asks> {
        let harmful = match gate.rolls_back {
            true => Asks::Rollback,
            false => Asks::Pause,
        };
        if gate.muted {
            None
        } else if self.confirmed {
            Some(Asks::Rollback)
        } else if self.harm == Some(Harm::Proven) {
            Some(harmful)
        } else if self.harm == Some(Harm::Grave) {
            // The next look decides whether this was a moment or a state.
            None
        } else if self.failed_too_often(gate) {
            Some(harmful)
        } else if self.errors_in_a_row > gate.error_limit
            || self.unjudged_in_a_row > gate.inconclusive_limit
            || self.certainty == Certainty::Held
        {
            Some(Asks::Pause)
        } else {
            None
        }
    }

    /// It stands in no bake's way to its end.
    pub(super) fn is_satisfied(&self, gate: &GateOutline) -> bool {
        gate.muted || self.passing && (!gate.compared || self.certainty == Certainty::Shown)
    }
}

/// What a gate asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Asks {
    Pause,
    Rollback,
}

impl Reading {
    /// All of the time since the look before was observed.
    fn is_seen(&self) -> bool {
        let answered = match self.verdict {
            Verdict::Pass | Verdict::Fail | Verdict::Inconclusive => true,
            Verdict::Error => false,
        };
        answered && !self.unseen
    }
}

impl Totals {
    /// Adds what one look counted.
    pub fn add(&mut self, added: Arms) {
        self.arms.add(added);
        self.open.add(added);
        let Arms { baking, others } = self.open;
        if baking.total == 0 || others.total == 0 {
            return;
        }
        let bad = u128::from(baking.bad) + u128::from(others.bad);
        let requests = u128::from(baking.total) + u128::from(others.total);
        // Rounded up: it makes the baking targets look better, never worse.
        let share = (bad * u128::from(baking.total) * 1_000_000).div_ceil(requests);
        let share = u64::try_from(share).unwrap_or(u64::MAX);
        self.expected_micro = self.expected_micro.saturating_add(share);
        let both = u128::from(baking.total) * u128::from(others.total);
        let weight = u64::try_from(both * 1000 / requests).unwrap_or(u64::MAX);
        self.weight_milli = self.weight_milli.saturating_add(weight);
        self.open = Arms::default();
    }
}

impl Arms {
    fn add(&mut self, of: Arms) {
        let sum = |to: &mut Counted, of: Counted| {
            to.bad = to.bad.saturating_add(of.bad);
            to.total = to.total.saturating_add(of.total);
        };
        sum(&mut self.baking, of.baking);
        sum(&mut self.others, of.others);
    }
}

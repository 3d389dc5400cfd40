//! Judging gates and triggers: pure functions from measurements to readings.
//!
//! A gate passes only on a number that was really measured: enough samples, a window that was
//! observed, within its thresholds, and shown not to be worse than the others by more than the
//! margin. "Not significantly worse" is not enough; with little data that holds for everything.
//! So the comparison is a test of non-inferiority over the whole bake, decided at its end: the
//! upper bound of the difference must lie below the margin. Until then only harm is looked for,
//! by a test that may be asked at every look.

mod judge;
mod needed;
mod trigger;
mod words;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::Verdict;
use super::metrics::{Between, Measurement, Provider, Restarted, Span, Watch};
use super::statistics::Bounds;
use crate::runbook::describe;
pub use crate::runbook::model::{Condition, Thresholds};
use crate::runbook::model::{Gate, Measure, Trigger};
pub use judge::judge;
pub use needed::{Reach, Required, Traffic, required, required_in_words, traffic};
pub use trigger::judge_trigger;

/// The share of the window that must have been observed before a gate can pass.
pub const MIN_COVERAGE: f64 = 0.9;
/// The risk of passing baking targets that are worse by the margin, over all decisions of a bake.
pub const FALSE_PASSES: f64 = 0.05;

/// A gate's verdict with everything that it rests on. It goes to the journal as evidence.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct GateReading {
    pub gate: String,
    pub at: Timestamp,
    pub verdict: Verdict,
    /// One line for a person: the value, the limit, the reason.
    pub why: String,
    /// Not judged only because the watch or a process began less than a window ago, because a gap
    /// ended less than a window ago, or because the bake is not at its end: nothing is wrong, and
    /// it does not count against the gate's limits.
    pub warming: bool,
    /// Within the thresholds over a whole window that was all observed: only the decision over the
    /// whole bake is missing.
    #[serde(default)]
    pub sound: bool,
    /// The time since the look before was not observed, at least in part.
    pub unseen: bool,
    /// Beyond the second level of the thresholds.
    pub grave: bool,
    #[serde(flatten)]
    pub thresholds: Thresholds,
    pub measured: Measurement,
    /// The targets that are not baking, over the same window.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub others: Option<Measurement>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub comparison: Option<Comparison>,
    /// What is still needed for a certain verdict, at the present rate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub needs: Option<Needs>,
}

/// How the baking targets compare with the others, over the bake so far.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Comparison {
    pub margin: f64,
    /// Over the bake, this look included.
    pub totals: Totals,
    /// What this look added; none where it saw only a part of its time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub added: Option<Arms>,
    /// How much worse, with Newcombe's bounds; none before anything was counted in both arms.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub difference: Option<Bounds>,
    /// The confidence of each of the bounds.
    pub confidence: f64,
    /// Evidence of harm (natural logarithm), and where the alarm is.
    pub harm: f64,
    pub alarm: f64,
    /// The evidence reached the alarm, and the difference is above the margin.
    pub proven: bool,
    /// The decision, where it was due at this look.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shown: Option<bool>,
}

/// Requests, and the bad ones among them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Counted {
    pub bad: f64,
    pub total: f64,
}

/// What was counted on both sides of a comparison.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Arms {
    pub baking: Counted,
    pub others: Counted,
}

/// What was counted over a bake.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Totals {
    #[serde(flatten)]
    pub arms: Arms,
    /// How many of the bad ones would be the baking targets' if these were as good as the others:
    /// each look's by that look's share of the traffic.
    pub expected: f64,
    /// How much the looks say about a difference: the product of both arms' requests over their
    /// sum, look by look.
    #[serde(default)]
    pub weight: f64,
    /// The part that is not in there yet: the two arms are not always counted at the same
    /// look, so what was counted waits until there is something of both.
    pub open: Arms,
}

/// What the bake's earlier looks came to, as far as a gate needs it.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct SoFar {
    /// The look before; none at the first one and after an interruption.
    pub since: Option<Timestamp>,
    pub totals: Totals,
    pub state: Deciding,
    /// With this look another whole window of the bake is over: what was asked for over a window
    /// is counted once for each.
    pub window_over: bool,
    /// How many decisions of this bake share the risk of a false pass.
    pub decisions: u32,
    /// How many gates of this bake share the risk of a false alarm.
    pub gates: usize,
}

/// Where a gate that is compared stands.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Deciding {
    /// The end of the bake, or of its extension, is not reached.
    #[default]
    Not,
    /// This look decides.
    Now,
    /// It was shown at an earlier look.
    Shown,
}

#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Needs {
    /// Requests to the baking targets.
    pub samples: f64,
    pub seconds: f64,
}

/// A trigger's state with everything that it rests on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TriggerReading {
    pub trigger: String,
    pub at: Timestamp,
    pub state: TriggerState,
    /// One line for a person.
    pub why: String,
    pub above: f64,
    /// The measurement that decided: of one target, or of all together.
    pub measured: Measurement,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TriggerState {
    Fired,
    Quiet,
    /// It could not be judged: shown, never taken for quiet.
    Unknown,
}

impl Counted {
    /// What was counted over a measurement's window.
    fn of(measured: &Measurement) -> Option<Self> {
        let (bad, total) = measured.hits.zip(measured.samples)?;
        Some(Self { bad, total })
    }
}

impl Arms {
    fn and(self, other: Self) -> Self {
        let sum = |a: Counted, b: Counted| Counted {
            bad: a.bad + b.bad,
            total: a.total + b.total,
        };
        Self {
            baking: sum(self.baking, other.baking),
            others: sum(self.others, other.others),
        }
    }
}

impl Totals {
    /// With what one more look counted.
    #[must_use]
    pub fn with(self, added: Arms) -> Self {
        let arms = self.arms.and(added);
        let open = self.open.and(added);
        if open.baking.total <= 0.0 || open.others.total <= 0.0 {
            return Self { arms, open, ..self };
        }
        let bad = open.baking.bad + open.others.bad;
        let share = open.baking.total / (open.baking.total + open.others.total);
        Self {
            arms,
            expected: self.expected + bad * share,
            weight: self.weight + share * open.others.total,
            open: Arms::default(),
        }
    }

    /// The bad requests of the baking targets and of both arms that `expected` is about.
    pub(super) fn weighed(&self) -> (f64, f64) {
        let baking = self.arms.baking.bad - self.open.baking.bad;
        let others = self.arms.others.bad - self.open.others.bad;
        (baking, baking + others)
    }
}

impl GateReading {
    /// The same where a process was replaced since the look before. What came before that moment is
    /// lost, so this look could not be judged and counts as one such: a process that is restarted
    /// again and again would otherwise only ever warm up, and nobody would hear of it. Harm that
    /// was seen all the same stays harm.
    fn restarted(mut self, restarted: &Restarted, gate: &Gate) -> Self {
        match self.verdict {
            Verdict::Fail | Verdict::Error => return self,
            Verdict::Pass | Verdict::Inconclusive => {}
        }
        let Restarted { target, times } = restarted;
        let what = match times {
            0 | 1 => format!("{target} restarted"),
            _ => format!(
                "{target} restarted {times} times and was not seen for a whole {} in between",
                describe::words(gate.window)
            ),
        };
        Self {
            verdict: Verdict::Inconclusive,
            warming: false,
            sound: false,
            unseen: true,
            why: format!("{what}; {}", std::mem::take(&mut self.why)),
            ..self
        }
    }
}

impl<P: Provider> Watch<P> {
    /// Judges `gate` over the targets `on`. With a margin and others to compare with, `so_far` is
    /// what the looks before came to.
    pub fn judge_gate(
        &self,
        gate: &Gate,
        on: &[impl AsRef<str>],
        others: &[impl AsRef<str>],
        so_far: &SoFar,
        now: Timestamp,
    ) -> GateReading {
        let span = Span {
            window: gate.window,
            interval: gate.interval,
            this_process: true,
        };
        let between = so_far.since.map(|since| Between {
            since,
            now,
            interval: gate.interval,
        });
        let measured = self.measure(&gate.measure, on, span, now);
        let asked = matches!(gate.measure, Measure::Asked(_));
        let replaced = |restarted: Option<Restarted>, reading: GateReading| match restarted {
            Some(restarted) if !asked => reading.restarted(&restarted, gate),
            Some(_) | None => reading,
        };
        let since = so_far.since;
        let mine = since.and_then(|since| self.restarted(on, since, gate.window));
        if gate.margin.is_none() || others.is_empty() {
            let saw = asked || between.is_none_or(|b| self.saw(on, b));
            let reading = judge(gate, measured, None, so_far, saw.then(Arms::default));
            return replaced(mine, reading);
        }
        let theirs = self.measure(&gate.measure, others, span, now);
        let added = match between {
            // The first look: nothing lies behind it.
            None => Some(Default::default()),
            Some(_) if asked && !so_far.window_over => Some(Default::default()),
            Some(_) if asked => Counted::of(&measured).zip(Counted::of(&theirs)),
            Some(between) => self
                .count(gate, on, between)
                .zip(self.count(gate, others, between)),
        };
        let added = added.map(|(baking, others)| Arms { baking, others });
        let restarted =
            mine.or_else(|| since.and_then(|since| self.restarted(others, since, gate.window)));
        replaced(
            restarted,
            judge(gate, measured, Some(theirs), so_far, added),
        )
    }

    fn count(&self, gate: &Gate, on: &[impl AsRef<str>], between: Between) -> Option<Counted> {
        let counts = self.counted(&gate.measure, on, between)?;
        Some(Counted {
            bad: counts.hits,
            total: counts.samples,
        })
    }

    /// Judges `trigger` over all of `on` together and over each of them: one bad target must not
    /// hide among good ones.
    pub fn judge_trigger(
        &self,
        trigger: &Trigger,
        on: &[impl AsRef<str>],
        now: Timestamp,
    ) -> TriggerReading {
        let span = Span {
            window: trigger.window,
            interval: trigger.interval,
            this_process: false,
        };
        let together = self.measure(&trigger.measure, on, span, now);
        let each = on
            .iter()
            .map(|target| self.measure(&trigger.measure, &[target], span, now));
        judge_trigger(trigger, together, each)
    }
}

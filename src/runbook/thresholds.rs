//! When a gate's value is good, bad or neither, and how often it may be bad.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::model::OnTrigger;

/// A comparison with a number, written `<= 0.01`. Nothing holds of NaN.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Condition {
    pub comparison: Comparison,
    pub number: f64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Comparison {
    Below,
    AtMost,
    Above,
    AtLeast,
}

impl Comparison {
    /// The longer signs first, so that `<=` is not read as `<`.
    const ALL: [Comparison; 4] = [
        Comparison::AtMost,
        Comparison::AtLeast,
        Comparison::Below,
        Comparison::Above,
    ];

    pub const fn sign(self) -> &'static str {
        match self {
            Comparison::Below => "<",
            Comparison::AtMost => "<=",
            Comparison::Above => ">",
            Comparison::AtLeast => ">=",
        }
    }
}

impl Condition {
    pub const fn at_most(number: f64) -> Self {
        Self {
            comparison: Comparison::AtMost,
            number,
        }
    }

    pub const fn above(number: f64) -> Self {
        Self {
            comparison: Comparison::Above,
            number,
        }
    }

    pub fn holds(self, value: f64) -> bool {
        match self.comparison {
            Comparison::Below => value < self.number,
            Comparison::AtMost => value <= self.number,
            Comparison::Above => value > self.number,
            Comparison::AtLeast => value >= self.number,
        }
    }

    /// Some value satisfies both.
    pub fn overlaps(self, other: Self) -> bool {
        let upward = |c: Self| matches!(c.comparison, Comparison::Above | Comparison::AtLeast);
        let (low, high) = match (upward(self), upward(other)) {
            (true, true) | (false, false) => return true,
            (true, false) => (self, other),
            (false, true) => (other, self),
        };
        let both_include =
            low.comparison == Comparison::AtLeast && high.comparison == Comparison::AtMost;
        low.number < high.number || (both_include && low.number <= high.number)
    }
}

impl fmt::Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.comparison.sign(), self.number)
    }
}

impl FromStr for Condition {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let text = text.trim();
        let split = |c: Comparison| text.strip_prefix(c.sign()).map(|rest| (c, rest.trim()));
        let (comparison, number) = Comparison::ALL
            .into_iter()
            .find_map(split)
            .ok_or_else(|| format!("`{}` begins with no comparison", text.escape_debug()))?;
        match number.parse::<f64>() {
            Ok(number) if number.is_finite() => Ok(Self { comparison, number }),
            Ok(_) | Err(_) => Err(format!(
                "what stands behind `{}` is not a number",
                comparison.sign()
            )),
        }
    }
}

impl From<Condition> for String {
    fn from(condition: Condition) -> Self {
        condition.to_string()
    }
}

impl TryFrom<String> for Condition {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

/// When a value passes and when it fails; one of both at least is given.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Thresholds {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pass: Option<Condition>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fail: Option<Condition>,
    /// The second level: two looks in a row at which this holds roll the run back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rollback: Option<Condition>,
    /// What more failed looks do than are allowed.
    pub on_fail: OnTrigger,
}

/// What a value is by its thresholds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Judged {
    Good,
    /// Neither condition holds.
    Between,
    Bad,
    /// Beyond the second level.
    Grave,
}

impl Thresholds {
    /// `max = …`, the short form: passes up to the number, fails above it, rolls back.
    pub const fn max(number: f64) -> Self {
        Self {
            pass: Some(Condition::at_most(number)),
            fail: Some(Condition::above(number)),
            rollback: None,
            on_fail: OnTrigger::Rollback,
        }
    }

    /// The number that a person compares the value with: where it fails, else where it passes.
    pub fn limit(&self) -> f64 {
        self.fail.or(self.pass).map_or(f64::NAN, |c| c.number)
    }

    /// The numbers at which the judgement changes, in ascending order.
    pub fn levels(&self) -> Vec<f64> {
        let all = [self.pass, self.fail, self.rollback];
        let mut levels: Vec<f64> = all.into_iter().flatten().map(|c| c.number).collect();
        levels.sort_by(f64::total_cmp);
        levels.dedup();
        levels
    }

    /// `fail` wins where both hold.
    pub fn judge(&self, value: f64) -> Judged {
        let holds = |c: Option<Condition>| c.is_some_and(|c| c.holds(value));
        if holds(self.rollback) {
            return Judged::Grave;
        }
        if holds(self.fail) {
            return Judged::Bad;
        }
        match (self.pass, self.fail) {
            (Some(pass), _) if pass.holds(value) => Judged::Good,
            (Some(_), None) => Judged::Bad,
            (None, Some(_)) if !value.is_nan() => Judged::Good,
            (Some(_) | None, Some(_)) | (None, None) => Judged::Between,
        }
    }
}

/// How often looks may fail or give no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// Failed looks that are allowed in the whole bake.
    pub failures: Option<u32>,
    /// Failed looks that are allowed among the last ones.
    pub of_last: Option<OfLast>,
    /// Errors in a row that are allowed before the run pauses.
    pub errors: u32,
    /// Looks in a row that could not be judged and are allowed before the run pauses.
    pub inconclusive: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            failures: Some(0),
            of_last: None,
            errors: 4,
            inconclusive: 4,
        }
    }
}

/// At most so many failures among the last looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct OfLast {
    pub at_most: u32,
    /// From 1 to [`OfLast::MOST`].
    pub of_last: u32,
}

impl OfLast {
    /// The machine keeps one bit for each look.
    pub const MOST: u32 = 64;
}

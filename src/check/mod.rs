//! Checks: smoke checks over HTTP, verification queries, metric gates. Each gives a verdict and
//! the evidence that it saw; [`logs`] has what the service's own log says.

mod expectations;
pub mod gates;
pub mod integrity;
pub mod logs;
mod looks;
pub mod metrics;
pub mod preflight;
pub mod privileges;
pub mod queries;
pub mod sequential;
pub mod smoke;
pub mod statistics;

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::error::Exit;

/// What a check says. Only [`Verdict::Pass`] is a pass: no data is `Inconclusive`, a check that
/// could not be carried out is `Error` (P6).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    Pass,
    Fail,
    Inconclusive,
    Error,
}

impl Verdict {
    pub const ALL: [Verdict; 4] = [
        Verdict::Pass,
        Verdict::Fail,
        Verdict::Inconclusive,
        Verdict::Error,
    ];

    /// The verdict over all: fail before error before inconclusive before pass. Of none:
    /// inconclusive, since nothing was looked at.
    pub fn worst(verdicts: impl IntoIterator<Item = Verdict>) -> Verdict {
        let rank = |v: &Verdict| match v {
            Verdict::Pass => 0,
            Verdict::Inconclusive => 1,
            Verdict::Error => 2,
            Verdict::Fail => 3,
        };
        verdicts
            .into_iter()
            .max_by_key(rank)
            .unwrap_or(Verdict::Inconclusive)
    }

    /// The exit status of a command whose whole answer is this verdict.
    pub const fn exit(self) -> Exit {
        match self {
            Verdict::Pass => Exit::Ok,
            Verdict::Fail => Exit::Findings,
            Verdict::Inconclusive => Exit::Inconclusive,
            Verdict::Error => Exit::Unavailable,
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Verdict::Pass => "pass",
            Verdict::Fail => "fail",
            Verdict::Inconclusive => "inconclusive",
            Verdict::Error => "error",
        })
    }
}

/// One check's verdict and what it saw.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct CheckResult {
    /// Short name, such as `revoke-token` or `keys-seeded`.
    pub name: String,
    /// What was looked at: a target, an environment, a query; empty when there is only one.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub subject: String,
    pub verdict: Verdict,
    /// One line for a person: what is so, or what is wrong.
    pub summary: String,
    /// What to do about it, where it did not pass.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
    /// What was seen, in order: requests with their status, row counts, values. Never a secret.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub evidence: Vec<Evidence>,
    #[serde(rename = "duration_ms", with = "duration_ms")]
    pub duration: Duration,
}

/// One thing that a check saw.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Evidence {
    pub what: String,
    pub seen: String,
}

impl Evidence {
    pub fn new(what: impl Into<String>, seen: impl fmt::Display) -> Self {
        Self {
            what: what.into(),
            seen: seen.to_string(),
        }
    }
}

/// Durations as fractional milliseconds.
mod duration_ms {
    use std::time::Duration;

    use serde::{Deserialize, Deserializer, Serializer};

    pub fn serialize<S: Serializer>(d: &Duration, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_f64((d.as_secs_f64() * 1e6).round() / 1e3)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(d: D) -> Result<Duration, D::Error> {
        let ms = f64::deserialize(d)?;
        Duration::try_from_secs_f64(ms / 1e3).map_err(serde::de::Error::custom)
    }
}

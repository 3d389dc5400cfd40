//! `[purge]`.

use std::time::Duration;

use serde::Deserialize;

/// How `security purge` and `security partitions` remove what is over.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PurgeConfig {
    /// Rows per transaction.
    pub batch: u32,
    /// The least time between two of them.
    #[serde(deserialize_with = "super::duration")]
    pub pause: Duration,
    /// How long after its expiry a revocation stays.
    #[serde(deserialize_with = "super::duration")]
    pub clock_skew: Duration,
    /// How long decisions are kept; for ever without it.
    #[serde(deserialize_with = "some_duration")]
    pub decisions: Option<Duration>,
    /// How long events are kept; for ever without it.
    #[serde(deserialize_with = "some_duration")]
    pub events: Option<Duration>,
}

/// Small batches: what a request beside them waits for is one batch, and with 1,000 rows in each the
/// p99 of a service more than doubled (`benches/state`).
impl Default for PurgeConfig {
    fn default() -> Self {
        Self {
            batch: 100,
            pause: Duration::from_millis(10),
            clock_skew: Duration::from_secs(5 * 60),
            decisions: None,
            events: None,
        }
    }
}

impl PurgeConfig {
    /// The limits that the database has as well.
    pub(super) fn check(&self) -> Result<(), &'static str> {
        let month = Duration::from_secs(30 * 24 * 3600);
        let short = |kept: Option<Duration>| kept.is_some_and(|kept| kept < month);
        if !(1..=100_000).contains(&self.batch) {
            Err("batch is a number from 1 to 100000")
        } else if self.clock_skew < Duration::from_secs(5 * 60) {
            Err("clock_skew is at least five minutes")
        } else if short(self.decisions) || short(self.events) {
            Err("decisions and events are kept for at least 30 days")
        } else {
            Ok(())
        }
    }
}

/// As [`super::duration`], of a setting that may be left out.
fn some_duration<'de, D: serde::Deserializer<'de>>(d: D) -> Result<Option<Duration>, D::Error> {
    super::duration(d).map(Some)
}

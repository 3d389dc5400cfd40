//! Times as people read them: absolute with their zone, and how long ago.

use jiff::Timestamp;

use super::duration;

/// A time of day in UTC with milliseconds, from milliseconds since 1970.
pub fn clock_time(ms: u64) -> String {
    at(ms).map_or_else(|| "?".into(), |at| at.strftime("%H:%M:%S%.3f").to_string())
}

/// Such as `2026-11-24 13:12:29 UTC, 41m ago`.
pub fn moment(ms: u64) -> String {
    match at(ms) {
        Some(at) => format!("{}, {}", at.strftime("%F %T UTC"), ago(at)),
        None => "?".into(),
    }
}

/// For a column whose header names the zone: `2026-11-24 13:12 (41m ago)`.
pub fn in_column(at: Timestamp) -> String {
    format!("{} ({})", at.strftime("%F %H:%M"), ago(at))
}

/// How long ago, in one or two units.
fn ago(at: Timestamp) -> String {
    let away = Timestamp::now().duration_since(at);
    let said = match away.unsigned_abs() {
        away if away.as_secs() < 1 => return "just now".into(),
        away if away.as_secs() < 60 => format!("{}s", away.as_secs()),
        away if away.as_secs() < 3_600 => format!("{}m", away.as_secs() / 60),
        away if away.as_secs() < 2 * 86_400 => duration(away),
        away => format!("{} days", away.as_secs() / 86_400),
    };
    match away.is_negative() {
        true => format!("in {said}"),
        false => format!("{said} ago"),
    }
}

fn at(ms: u64) -> Option<Timestamp> {
    let ms = i64::try_from(ms).ok()?;
    Timestamp::from_millisecond(ms).ok()
}

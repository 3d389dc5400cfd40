//! When a line of a log is from, as far as it says so itself.

use std::sync::LazyLock;

use jiff::Timestamp;
use regex::Regex;

/// So far into a line it is looked for.
const LOOKED_AT: usize = 300;

static DATE: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(
        r"(\d{4}-\d{2}-\d{2})[T ](\d{2}:\d{2}:\d{2})(?:[.,](\d{1,9}))?\s?(Z|[+-]\d{2}:?\d{2}\b)?",
    )
    .expect("a pattern that is right")
});
static SECONDS: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r#""(?:ts|time|timestamp|@timestamp)"\s*:\s*"?(\d{10}(?:\.\d+)?|\d{13})\b"#)
        .expect("a pattern that is right")
});

/// Milliseconds since 1970: a date with a time (ISO 8601, without an offset UTC), or seconds or
/// milliseconds since 1970 in a member of JSON that is called so.
pub(super) fn of(line: &str) -> Option<u64> {
    let head = match line.char_indices().nth(LOOKED_AT) {
        Some((end, _)) => &line[..end],
        None => line,
    };
    dated(head).or_else(|| counted(head))
}

fn dated(line: &str) -> Option<u64> {
    let found = DATE.captures(line)?;
    let part = |n| found.get(n).map(|m| m.as_str());
    let fraction = part(3).map(|f| format!(".{f}")).unwrap_or_default();
    let offset = part(4).unwrap_or("Z");
    let offset = match offset.len() {
        5 => format!("{}:{}", &offset[..3], &offset[3..]),
        _ => offset.to_owned(),
    };
    let text = format!("{}T{}{fraction}{offset}", &found[1], &found[2]);
    let at: Timestamp = text.parse().ok()?;
    u64::try_from(at.as_millisecond()).ok()
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "ten digits and a fraction are far below 2^53 milliseconds"
)]
fn counted(line: &str) -> Option<u64> {
    let number = SECONDS.captures(line)?.get(1)?.as_str();
    match number.len() {
        13 if !number.contains('.') => number.parse().ok(),
        _ => number.parse::<f64>().ok().map(|s| (s * 1_000.0) as u64),
    }
}

//! Taking file names apart.

use super::Entry;
use super::reader::Reader;

/// The digits that a text begins with, and what comes after them.
pub(super) fn digits(text: &str) -> (&str, &str) {
    let length = text.bytes().take_while(u8::is_ascii_digit).count();
    text.split_at(length)
}

/// Whether a name begins like that of a migration: a file that is named nearly right would
/// otherwise be left out in silence.
pub(super) fn looks_versioned(name: &str) -> bool {
    let rest = name.strip_prefix(['V', 'v', 'U']).unwrap_or(name);
    rest.starts_with(|c: char| c.is_ascii_digit()) || name.starts_with("R__")
}

/// The name of a `.sql` file without its end.
pub(super) fn sql_stem(name: &str) -> Option<&str> {
    name.strip_suffix(".sql").filter(|stem| !stem.is_empty())
}

/// Which way a file goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Direction {
    Up,
    Down,
}

/// `x.up` and `x.down`; without either a file goes up.
pub(super) fn direction(stem: &str) -> (&str, Direction) {
    match (stem.strip_suffix(".up"), stem.strip_suffix(".down")) {
        (Some(name), _) => (name, Direction::Up),
        (None, Some(name)) => (name, Direction::Down),
        (None, None) => (stem, Direction::Up),
    }
}

/// `<number>_<name>`.
pub(super) fn number_and_name(stem: &str) -> Option<(&str, &str)> {
    let (number, rest) = digits(stem);
    let name = rest.strip_prefix('_')?;
    (!number.is_empty()).then_some((number, name))
}

/// A number as people write it before a name, with what stands between.
pub(super) struct Numbered<'a> {
    /// `0001`, `1.10`, `2024-01-31`, `20240131_02`.
    pub written: &'a str,
    pub parts: Vec<String>,
    pub name: &'a str,
}

/// `0001-name`, `0001_name`, `1.10_name`, `001.name`, `1`, and dates: `2024-01-31-name`,
/// `2024-01-31-120000_name`, `20240131_02_name`.
pub(super) fn numbered(stem: &str) -> Option<Numbered<'_>> {
    let (first, mut rest) = digits(stem);
    if first.is_empty() {
        return None;
    }
    let mut parts = vec![first.to_owned()];
    if let Some((date, after)) = date(stem) {
        parts = vec![date];
        rest = after;
    }
    let dated = parts[0].len() == 8 && plausible_date(&parts[0]);
    if dated
        && let Some(after) = rest.strip_prefix(['-', '_', 'T'])
        && let (number, after) = digits(after)
        && (1..=6).contains(&number.len())
        && (after.is_empty() || after.starts_with(['-', '_', '.']))
    {
        // Several of one day.
        parts.push(number.to_owned());
        rest = after;
    }
    while let Some(after) = rest.strip_prefix('.')
        && let (number, after) = digits(after)
        && !number.is_empty()
    {
        parts.push(number.to_owned());
        rest = after;
    }
    let written = &stem[..stem.len() - rest.len()];
    let name = match rest.strip_prefix(['-', '_', '.', ' ']) {
        Some(name) => name.trim_start_matches(['-', '_', ' ']),
        None if rest.is_empty() => "",
        None => return None,
    };
    Some(Numbered {
        written,
        parts,
        name,
    })
}

/// `2024-01-31` or `2024_01_31`, as one number.
fn date(stem: &str) -> Option<(String, &str)> {
    let (year, rest) = digits(stem);
    let separator = rest.chars().next().filter(|c| matches!(c, '-' | '_'))?;
    let (month, rest) = digits(rest.strip_prefix(separator)?);
    let (day, rest) = digits(rest.strip_prefix(separator)?);
    let date = format!("{year}{month}{day}");
    let fits = (year.len(), month.len(), day.len()) == (4, 2, 2) && plausible_date(&date);
    fits.then_some((date, rest))
}

fn plausible_date(date: &str) -> bool {
    let between = |part: &str, least: u32, most: u32| {
        part.parse::<u32>()
            .is_ok_and(|n| (least..=most).contains(&n))
    };
    date.len() == 8
        && between(&date[..4], 1970, 2199)
        && between(&date[4..6], 1, 12)
        && between(&date[6..], 1, 31)
}

/// Each line with where it begins, without its end; a byte-order mark is no part of the first.
pub(super) fn lines(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut at = 0;
    text.split_inclusive('\n').map(move |whole| {
        let start = at;
        at += whole.len();
        let line = whole.strip_suffix('\n').unwrap_or(whole);
        let line = line.strip_suffix('\r').unwrap_or(line);
        match line.strip_prefix('\u{feff}') {
            Some(line) if start == 0 => (3, line),
            _ => (start, line),
        }
    })
}

/// Says what is left out: files below the uppermost folder, for tools that do not look there, and
/// those in the uppermost one that are named otherwise. Gives those that are left.
pub(super) fn uppermost<'a>(reader: &mut Reader, files: &'a [Entry]) -> Vec<&'a Entry> {
    let (upper, lower): (Vec<&Entry>, Vec<&Entry>) =
        files.iter().partition(|f| f.folder().is_empty());
    reader.left_out(&lower);
    upper
}

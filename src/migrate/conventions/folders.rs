//! A folder for each version, with numbered files in it: `1.2.0/001_name.sql`, `v3/01-name.sql`.
//! A file that is alone in its folder needs no number (`20240101_name/migration.sql`).

use std::collections::BTreeMap;

use super::common::Run;
use super::names::{Direction, digits, direction, numbered, sql_stem};
use super::reader::{Part, Reader};
use super::{Entry, Tree};

pub(super) fn read(tree: &Tree, reader: &mut Reader) {
    let mut folders: BTreeMap<&str, Vec<&Entry>> = BTreeMap::new();
    let mut elsewhere = Vec::new();
    for entry in &tree.files {
        match (entry.folder(), versions(entry.folder())) {
            ("", _) => {
                if sql_stem(entry.name()).is_some() {
                    reader.unknown(entry, "it does not lie in a folder of a version");
                }
            }
            (folder, Some(_)) => folders.entry(folder).or_default().push(entry),
            (_, None) => elsewhere.push(entry),
        }
    }
    reader.left_out(&elsewhere);
    // A folder's files come before those of the folders after it: `1` before `1.1`.
    let all = folders.keys().filter_map(|folder| versions(folder));
    let width = all.map(|(_, parts)| parts.len()).max().unwrap_or(0);
    let mut parts = Vec::new();
    for (folder, files) in &folders {
        if let Some((version, mut numbers)) = versions(folder) {
            numbers.resize(width, "0");
            parts.extend(of_folder(reader, version, &numbers, files));
        }
    }
    for pair in reader.pairs(parts) {
        reader.add_pair(&pair, |_, _| Run::OneMessage);
    }
    reader.other_languages(folders.into_values().flatten());
}

fn of_folder<'a>(
    reader: &mut Reader,
    version: &str,
    numbers: &[&str],
    files: &[&'a Entry],
) -> Vec<Part<'a>> {
    let up =
        |f: &&&Entry| sql_stem(f.name()).is_some_and(|stem| direction(stem).1 == Direction::Up);
    let alone = files.iter().filter(up).count() == 1;
    let mut parts = Vec::new();
    for entry in files {
        let Some(stem) = sql_stem(entry.name()) else {
            continue;
        };
        let (stem, direction) = direction(stem);
        let (written, own, name) = match numbered(stem) {
            Some(named) => (
                format!("{version}/{}", named.written),
                named.parts,
                named.name,
            ),
            None if alone => (version.to_owned(), Vec::new(), stem),
            None => {
                reader.unknown(entry, "its name does not begin with a number of its own");
                continue;
            }
        };
        let all: Vec<&str> = numbers
            .iter()
            .copied()
            .chain(own.iter().map(String::as_str))
            .collect();
        if let Some(version) = reader.version(entry, &written, &all) {
            parts.push(Part {
                version,
                name,
                direction,
                entry,
            });
        }
    }
    parts
}

/// The version that a folder is named for, and its parts: `v1.2.0`, `3`, `20240101_name`.
pub(super) fn versions(folder: &str) -> Option<(&str, Vec<&str>)> {
    if folder.contains('/') {
        return None;
    }
    let numbers = folder.strip_prefix(['v', 'V']).unwrap_or(folder);
    let mut parts = Vec::new();
    let mut rest = numbers;
    loop {
        let (number, after) = digits(rest);
        if number.is_empty() {
            return None;
        }
        parts.push(number);
        rest = after;
        match after.strip_prefix('.') {
            Some(next) if next.starts_with(|c: char| c.is_ascii_digit()) => rest = next,
            Some(_) | None => break,
        }
    }
    let ends = rest.is_empty() || rest.starts_with(['-', '_', ' ', '.']);
    ends.then(|| (&folder[..folder.len() - rest.len()], parts))
}

//! golang-migrate: `^([0-9]+)_(.*)\.(down|up)\.(.*)$`, subfolders are not read (source/parse.go).
//! A file is sent as one message and not wrapped in a transaction (database/postgres, "Run"), so
//! several statements are one, and a single one may be what runs in none.

use super::Tree;
use super::common::Run;
use super::names::{direction, number_and_name, sql_stem, uppermost};
use super::reader::{Part, Reader};

pub(super) fn read(tree: &Tree, reader: &mut Reader) {
    let files = uppermost(reader, &tree.files);
    let mut parts = Vec::new();
    for entry in &files {
        let Some(stem) = sql_stem(entry.name()) else {
            continue;
        };
        let (named, direction) = direction(stem);
        let goes = named.len() < stem.len();
        let Some((number, name)) = number_and_name(named).filter(|_| goes) else {
            reader.unknown(
                entry,
                match goes {
                    true => "its name is not a number, an underscore and a name",
                    false => "its name ends neither with .up.sql nor with .down.sql",
                },
            );
            continue;
        };
        if let Some(version) = reader.version(entry, number, &[number]) {
            parts.push(Part {
                version,
                name,
                direction,
                entry,
            });
        }
    }
    for pair in reader.pairs(parts) {
        reader.add_pair(&pair, |_, _| Run::OneMessage);
    }
    reader.other_languages(files);
}

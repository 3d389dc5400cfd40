//! Numbered files of no tool in particular: `0001-name.sql`, `1.sql`, `2024-01-31_name.sql`, of
//! mixed width and with `.up.sql` and `.down.sql` where they go both ways. A file is taken for one
//! message, as most programs of this kind send it.

use super::Tree;
use super::common::Run;
use super::names::{direction, numbered, sql_stem, uppermost};
use super::reader::{Part, Reader};

pub(super) fn read(tree: &Tree, reader: &mut Reader) {
    let files = uppermost(reader, &tree.files);
    let mut parts = Vec::new();
    for entry in &files {
        let Some(stem) = sql_stem(entry.name()) else {
            continue;
        };
        let (stem, direction) = direction(stem);
        let Some(named) = numbered(stem) else {
            reader.unknown(entry, "its name does not begin with a number of its own");
            continue;
        };
        if let Some(version) = reader.version(entry, named.written, &named.parts) {
            parts.push(Part {
                version,
                name: named.name,
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

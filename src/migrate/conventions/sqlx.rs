//! sqlx: `<VERSION>_<DESCRIPTION>.sql`, or `.up.sql` and `.down.sql`; a file that begins with
//! `-- no-transaction` runs without one; subfolders are not read (sqlx-core,
//! src/migrate/source.rs and migration_type.rs).

use super::Tree;
use super::common::Run;
use super::names::{direction, number_and_name, sql_stem, uppermost};
use super::reader::{Part, Reader};

pub(super) const NO_TRANSACTION: &str = "-- no-transaction";

pub(super) fn read(tree: &Tree, reader: &mut Reader) {
    let files = uppermost(reader, &tree.files);
    let mut parts = Vec::new();
    for entry in &files {
        let Some(stem) = sql_stem(entry.name()) else {
            continue;
        };
        let (stem, direction) = direction(stem);
        let Some((number, name)) = number_and_name(stem) else {
            reader.unknown(entry, "its name is not a number, an underscore and a name");
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
        // Not even a byte-order mark may stand before it.
        reader.add_pair(&pair, |_, text| match text.starts_with(NO_TRANSACTION) {
            true => Run::ByItself,
            false => Run::InTransaction,
        });
    }
    reader.other_languages(files);
}

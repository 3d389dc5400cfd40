//! refinery: `V<number>__<name>.sql` or `U…`, in a folder and those below it (refinery-core,
//! src/util.rs and src/runner.rs). Each file runs in a transaction. A `U` file is "unversioned" in
//! refinery's words: it has a number too, but may come late.

use super::common::Run;
use super::names::{digits, sql_stem};
use super::reader::{Pair, Reader};
use super::{Entry, Tree};

pub(super) fn read(tree: &Tree, reader: &mut Reader) {
    for entry in sql(tree) {
        match named(entry.name()) {
            Ok((number, name)) => {
                if let Some(version) = reader.version(entry, number, &[number]) {
                    let pair = Pair {
                        version,
                        name,
                        up: entry,
                        down: None,
                    };
                    reader.add_pair(&pair, |_, _| Run::InTransaction);
                }
            }
            Err(why) => reader.unknown(entry, &why),
        }
    }
    reader.other_languages(&tree.files);
}

fn sql(tree: &Tree) -> impl Iterator<Item = &Entry> {
    tree.files.iter().filter(|f| f.name().ends_with(".sql"))
}

/// The number and the name, or which part of it does not fit.
fn named(file: &str) -> Result<(&str, &str), String> {
    let stem = sql_stem(file).unwrap_or_default();
    let Some(rest) = stem.strip_prefix(['V', 'U']) else {
        return Err("its name does not start with V".to_owned());
    };
    let (number, rest) = digits(rest);
    if number.is_empty() {
        return Err("its name has no number after the V".to_owned());
    }
    let Some(name) = rest.strip_prefix("__") else {
        return Err("its name has no two underscores after the number".to_owned());
    };
    match name.chars().find(|c| !(c.is_alphanumeric() || *c == '_')) {
        Some(c) => Err(format!("its name holds `{}`", c.escape_debug())),
        None if name.is_empty() => Err("its name ends after the underscores".to_owned()),
        None => Ok((number, name)),
    }
}

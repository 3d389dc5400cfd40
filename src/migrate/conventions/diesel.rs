//! diesel: a folder for each migration with `up.sql`, `down.sql` and `metadata.toml`; the version
//! is the folder's name up to the first `_`, without dashes (diesel_migrations:
//! migrations_internals/src/lib.rs, file_based_migrations.rs). Each runs in a transaction unless
//! `metadata.toml` says otherwise.

use std::collections::BTreeMap;

use super::common::{Run, error, warning};
use super::names::sql_stem;
use super::reader::Reader;
use super::{Entry, Migration, Tree};

pub(super) fn read(tree: &Tree, reader: &mut Reader) {
    let mut folders: BTreeMap<&str, Vec<&Entry>> = BTreeMap::new();
    let mut deeper = Vec::new();
    for entry in &tree.files {
        match entry.folder() {
            "" => {
                if sql_stem(entry.name()).is_some() {
                    reader.unknown(entry, "it does not lie in a folder of its own");
                }
            }
            folder if folder.contains('/') => deeper.push(entry),
            folder => folders.entry(folder).or_default().push(entry),
        }
    }
    reader.left_out(&deeper);
    for (folder, files) in &folders {
        of_folder(reader, folder, files);
    }
}

fn of_folder(reader: &mut Reader, folder: &str, files: &[&Entry]) {
    let named = |name: &str| files.iter().find(|f| f.name() == name);
    for entry in files {
        if sql_stem(entry.name()).is_some_and(|stem| stem != "up" && stem != "down") {
            reader.unknown(entry, "its name is neither up.sql nor down.sql");
        }
    }
    let Some(up) = named("up.sql") else {
        if let Some(down) = named("down.sql") {
            reader.say(
                error(
                    "down-without-up",
                    "takes back what no up.sql beside it brings",
                )
                .of(&down.shown)
                .next("add up.sql, or remove the folder"),
            );
        }
        return;
    };
    let (written, name) = folder.split_once('_').unwrap_or((folder, ""));
    let digits = written.replace('-', "");
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
        reader.say(
            error(
                "unknown-name",
                "the folder's name does not begin with a number",
            )
            .of(&up.shown)
            .next("name it <number>_<name>, as `diesel migration generate` does"),
        );
        return;
    }
    let Some(version) = reader.version(up, written, &[digits]) else {
        return;
    };
    let run = match named("metadata.toml").is_none_or(|m| in_transaction(reader, m)) {
        true => Run::InTransaction,
        false => Run::ByItself,
    };
    let down = named("down.sql").and_then(|down| reader.whole(down, |_| run));
    if let Some(up) = reader.whole(up, |_| run) {
        reader.add(Migration {
            version: Some(version),
            name: name.to_owned(),
            up,
            down,
            verify: None,
        });
    }
}

/// diesel takes a file that it cannot read for none, and a missing key for false.
fn in_transaction(reader: &mut Reader, metadata: &Entry) -> bool {
    let Some(text) = reader.text(metadata) else {
        return true;
    };
    let Ok(table) = text.parse::<toml::Table>() else {
        reader.say(
            warning(
                "diesel-metadata",
                "is no TOML, and diesel goes on as if it were not there",
            )
            .of(&metadata.shown)
            .next("write `run_in_transaction = true` or `run_in_transaction = false`"),
        );
        return true;
    };
    match table.get("run_in_transaction").map(toml::Value::as_bool) {
        Some(Some(said)) => said,
        Some(None) => {
            reader.say(
                warning("diesel-metadata", "`run_in_transaction` is neither true nor false, and diesel goes on as if the file were not there")
                    .of(&metadata.shown)
                    .next("write `run_in_transaction = true` or `run_in_transaction = false`"),
            );
            true
        }
        None => {
            reader.say(
                warning(
                    "diesel-metadata",
                    "does not say `run_in_transaction`, which diesel takes for false",
                )
                .of(&metadata.shown)
                .next("write `run_in_transaction = true`, or false if that is meant"),
            );
            false
        }
    }
}

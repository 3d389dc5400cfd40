//! Flyway: `V<version>__<description>.sql`, `U…` that takes it back, `R__<description>.sql` that
//! runs whenever it has changed, in a folder and those below it; the version's parts are divided by
//! dots or underscores (flyway-core: ResourceNameParser, MigrationVersion). Settings of one file
//! stand in a file beside it that is named `.conf` in addition (SqlScriptMetadata). Each file runs
//! in a transaction unless these say otherwise or all its statements may not
//! (flyway-database-postgresql: PostgreSQLParser.detectCanExecuteInTransaction).

use std::collections::HashMap;

use super::common::{Run, error, warning};
use super::names::{Direction, sql_stem};
use super::reader::{Part, Reader};
use super::{Entry, Migration, Tree};

/// The beginnings of the names of callbacks (flyway-core: api/callback/Event).
const CALLBACKS: [&str; 5] = ["before", "after", "createSchema", "drop", "undo"];

/// What a name says.
pub(super) enum Kind<'a> {
    Versioned(Direction, &'a str, &'a str),
    Repeatable(&'a str),
    Baseline,
}

/// None for what Flyway does not take for a migration.
pub(super) fn kind(name: &str) -> Option<Kind<'_>> {
    let stem = sql_stem(name)?;
    let (prefix, rest) = stem.split_at_checked(1)?;
    let (version, description) = rest.split_once("__")?;
    let numbers = || {
        let mut parts = version.split(['.', '_']);
        parts.all(|p| !p.is_empty() && p.bytes().all(|b| b.is_ascii_digit()))
    };
    match prefix {
        "R" if version.is_empty() => Some(Kind::Repeatable(description)),
        "V" if numbers() => Some(Kind::Versioned(Direction::Up, version, description)),
        "U" if numbers() => Some(Kind::Versioned(Direction::Down, version, description)),
        "B" if numbers() => Some(Kind::Baseline),
        _ => None,
    }
}

pub(super) fn read(tree: &Tree, reader: &mut Reader) {
    let settings = settings(tree, reader);
    let of = |entry: &Entry| settings.get(entry.path.as_str());
    let run = |entry: &Entry| match of(entry).and_then(|s| s.in_transaction) {
        Some(true) => Run::InTransaction,
        Some(false) => Run::ByItself,
        None => Run::Detected,
    };
    let mut parts = Vec::new();
    for entry in tree.files.iter().filter(|f| f.name().ends_with(".sql")) {
        if kind(entry.name()).is_some() && of(entry).is_none_or(|s| s.placeholders) {
            placeholders(entry, reader);
        }
        match kind(entry.name()) {
            Some(Kind::Versioned(direction, written, name)) => {
                let numbers: Vec<&str> = written.split(['.', '_']).collect();
                if let Some(version) = reader.version(entry, written, &numbers) {
                    parts.push(Part {
                        version,
                        name,
                        direction,
                        entry,
                    });
                }
            }
            Some(Kind::Repeatable(name)) => {
                if let Some(up) = reader.whole(entry, |_| run(entry)) {
                    reader.add(Migration {
                        version: None,
                        name: name.to_owned(),
                        up,
                        down: None,
                        verify: None,
                    });
                }
            }
            Some(Kind::Baseline) => reader.say(
                warning(
                    "flyway-baseline",
                    "this baseline is left out, and the versions before it are run",
                )
                .of(&entry.shown)
                .next("validate it alone, in a folder of its own, to see that it works"),
            ),
            None => other(entry, reader),
        }
    }
    for pair in reader.pairs(parts) {
        reader.add_pair(&pair, |entry, _| run(entry));
    }
    reader.other_languages(&tree.files);
}

fn other(entry: &Entry, reader: &mut Reader) {
    if CALLBACKS.iter().any(|c| entry.name().starts_with(c)) {
        reader.say(
            warning(
                "flyway-callback",
                "callbacks are left out: only migrations are run",
            )
            .of(&entry.shown)
            .next("what they do is missing when the migrations are judged"),
        );
        return;
    }
    reader.unknown(entry, "its name is not that of a migration");
}

/// Flyway replaces them everywhere, also in strings and comments.
fn placeholders(entry: &Entry, reader: &mut Reader) {
    let text = entry.bytes.as_deref().map(std::str::from_utf8);
    let Ok(Ok(text)) = text else {
        return;
    };
    let Some(at) = text.find("${") else {
        return;
    };
    let end = text[at..].find('}').map_or(at + 2, |end| at + end + 1);
    reader.say(
        error("flyway-placeholder", "Flyway puts the value of a setting here")
            .at(&entry.shown, at..end)
            .why("dbctl does not know the value, so what runs here is not what Flyway runs")
            .next("write the value itself, or `placeholderReplacement=false` into a .sql.conf file beside it if it is meant as it stands"),
    );
}

/// What the `.conf` file beside a file says.
struct Settings {
    in_transaction: Option<bool>,
    placeholders: bool,
}

/// By the path of the file that they are for.
fn settings<'a>(tree: &'a Tree, reader: &mut Reader) -> HashMap<&'a str, Settings> {
    let mut found = HashMap::new();
    for entry in &tree.files {
        let Some(of) = entry
            .path
            .strip_suffix(".conf")
            .filter(|f| f.ends_with(".sql"))
        else {
            continue;
        };
        let Some(text) = reader.text(entry) else {
            continue;
        };
        let mut settings = Settings {
            in_transaction: None,
            placeholders: true,
        };
        for line in text.lines() {
            let Some((key, value)) = line.split_once('=') else {
                continue;
            };
            let says = |wanted: &str| value.trim().eq_ignore_ascii_case(wanted);
            match key.trim() {
                "executeInTransaction" => settings.in_transaction = Some(!says("false")),
                "placeholderReplacement" => settings.placeholders = !says("false"),
                "shouldExecute" if !says("true") => reader.say(
                    error(
                        "flyway-should-execute",
                        "whether the file runs depends on Flyway's settings",
                    )
                    .of(&entry.shown)
                    .next("dbctl cannot judge it: leave `shouldExecute` out"),
                ),
                _ => {}
            }
        }
        found.insert(of, settings);
    }
    found
}

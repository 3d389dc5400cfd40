//! Which convention a folder of migrations follows: by what the files are named, and what the
//! tools' own annotations in them say.

use std::collections::HashSet;

use super::names::{direction, lines, looks_versioned, number_and_name, numbered, sql_stem};
use super::reader::Reader;
use super::tree::{LANGUAGES, extension};
use super::{Convention, Entry, Reading, Tree};
use super::{dbmate, diesel, flyway, folders, golang_migrate, goose, refinery, sqitch, sqlx};
use crate::error::{Exit, Problem, Result};

/// What is seen of one file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Seen {
    Plan,
    GooseUp,
    DbmateUp,
    UpOrDownInFolder,
    Versioned,
    UpOrDown,
    NumberedInFolder,
    Numbered,
}

impl Seen {
    const ALL: [Seen; 8] = [
        Seen::Plan,
        Seen::GooseUp,
        Seen::DbmateUp,
        Seen::UpOrDownInFolder,
        Seen::Versioned,
        Seen::UpOrDown,
        Seen::NumberedInFolder,
        Seen::Numbered,
    ];

    /// Completes "3 files …"; singular and plural.
    fn told(self, count: usize) -> String {
        let (one, many) = match self {
            Seen::Plan => ("is a sqitch.plan", "are each a sqitch.plan"),
            Seen::GooseUp => ("has `-- +goose Up`", "have `-- +goose Up`"),
            Seen::DbmateUp => ("has `-- migrate:up`", "have `-- migrate:up`"),
            Seen::UpOrDownInFolder => (
                "is up.sql or down.sql in a folder",
                "are up.sql or down.sql in folders",
            ),
            Seen::Versioned => (
                "is named V<number>__<name>.sql or alike",
                "are named V<number>__<name>.sql or alike",
            ),
            Seen::UpOrDown => (
                "is named <number>_<name>.up.sql or .down.sql",
                "are named <number>_<name>.up.sql or .down.sql",
            ),
            Seen::NumberedInFolder => (
                "lies in a folder of a version",
                "lie in folders of a version each",
            ),
            Seen::Numbered => (
                "is named by a number, as in 0001_name.sql",
                "are named by a number, as in 0001_name.sql",
            ),
        };
        match count {
            1 => format!("1 file {one}"),
            several => format!("{several} files {many}"),
        }
    }
}

/// Reads a folder of migrations in the convention that it follows, or in the one that is asked for.
///
/// # Errors
/// When it follows none, or it cannot be told which.
pub fn read(tree: &Tree, forced: Option<Convention>) -> Result<Reading> {
    let (convention, because) = match forced {
        Some(convention) => (convention, format!("--convention {convention}")),
        None => recognize(tree)?,
    };
    let mut reader = Reader::new(convention);
    match convention {
        Convention::Refinery => refinery::read(tree, &mut reader),
        Convention::Flyway => flyway::read(tree, &mut reader),
        Convention::Sqlx => sqlx::read(tree, &mut reader),
        Convention::GolangMigrate => golang_migrate::read(tree, &mut reader),
        Convention::Goose => goose::read(tree, &mut reader),
        Convention::Dbmate => dbmate::read(tree, &mut reader),
        Convention::Diesel => diesel::read(tree, &mut reader),
        Convention::Numbered => super::numbered::read(tree, &mut reader),
        Convention::Folders => folders::read(tree, &mut reader),
        Convention::Sqitch => sqitch::read(tree, &mut reader),
    }
    Ok(reader.finish(because))
}

fn recognize(tree: &Tree) -> Result<(Convention, String)> {
    let mut counts = [0_usize; Seen::ALL.len()];
    for seen in tree.files.iter().filter_map(seen) {
        counts[seen as usize] += 1;
    }
    let count = |seen: Seen| counts[seen as usize];
    // Nothing but sqitch has a plan, and its scripts have names of all kinds.
    if count(Seen::Plan) > 0 {
        return Ok((Convention::Sqitch, format!("there is a {}", sqitch::PLAN)));
    }
    let mut order = Seen::ALL;
    order.sort_by_key(|seen| std::cmp::Reverse(count(*seen)));
    let [first, second, ..] = order;
    if count(first) == 0 {
        return Err(unknown(tree));
    }
    // A few files among many are named wrongly; that is told of each.
    if count(second) * 4 >= count(first) {
        let told = order.into_iter().filter(|s| count(*s) > 0);
        let told: Vec<String> = told.map(|s| s.told(count(s))).collect();
        return Err(unclear(tree, &told.join(", ")));
    }
    let told = first.told(count(first));
    let other = |one: Convention, other: Convention| {
        (
            one,
            format!("{told} (so are {other}'s: --convention {other})"),
        )
    };
    Ok(match first {
        Seen::Plan => (Convention::Sqitch, told),
        Seen::GooseUp => (Convention::Goose, told),
        Seen::DbmateUp => (Convention::Dbmate, told),
        Seen::UpOrDownInFolder => (Convention::Diesel, told),
        Seen::NumberedInFolder => (Convention::Folders, told),
        Seen::Versioned => match flyway_by(tree) {
            Some(what) => (Convention::Flyway, format!("{told}, and {what}")),
            None => other(Convention::Refinery, Convention::Flyway),
        },
        Seen::UpOrDown => match sqlx_by(tree) {
            Some(what) => (Convention::Sqlx, format!("{told}, and {what}")),
            None if timestamps(tree) => other(Convention::Sqlx, Convention::GolangMigrate),
            None => other(Convention::GolangMigrate, Convention::Sqlx),
        },
        Seen::Numbered => match sqlx_by(tree) {
            Some(what) => (Convention::Sqlx, format!("{told}, and {what}")),
            None if timestamps(tree) => {
                let what = "the numbers are times, as sqlx makes them";
                (Convention::Sqlx, format!("{told}, and {what}"))
            }
            None => other(Convention::Numbered, Convention::Sqlx),
        },
    })
}

/// What a file says of the convention; none for one that says nothing.
fn seen(entry: &Entry) -> Option<Seen> {
    let (name, folder) = (entry.name(), entry.folder());
    if name == sqitch::PLAN {
        return Some(Seen::Plan);
    }
    let stem = sql_stem(name)?;
    if flyway::kind(name).is_some() {
        return Some(Seen::Versioned);
    }
    match folder {
        "" => {}
        folder if !folder.contains('/') && matches!(stem, "up" | "down") => {
            return Some(Seen::UpOrDownInFolder);
        }
        folder => return folders::versions(folder).map(|_| Seen::NumberedInFolder),
    }
    match annotated(entry) {
        Some(seen) => Some(seen),
        None if direction(stem).0 != stem && number_and_name(direction(stem).0).is_some() => {
            Some(Seen::UpOrDown)
        }
        None => numbered(direction(stem).0).map(|_| Seen::Numbered),
    }
}

/// The first of the annotations that goose and dbmate begin a file with.
fn annotated(entry: &Entry) -> Option<Seen> {
    let text = std::str::from_utf8(entry.bytes.as_deref().ok()?).ok()?;
    lines(text).find_map(|(_, line)| {
        let goose = goose::is_annotation(line);
        let dbmate = || dbmate::marker(line).is_some();
        match goose {
            true => Some(Seen::GooseUp),
            false => dbmate().then_some(Seen::DbmateUp),
        }
    })
}

fn sql(tree: &Tree) -> impl Iterator<Item = &Entry> {
    tree.files.iter().filter(|f| sql_stem(f.name()).is_some())
}

/// What is Flyway's and not refinery's.
fn flyway_by(tree: &Tree) -> Option<String> {
    let is = |f: &&Entry| match flyway::kind(f.name()) {
        Some(flyway::Kind::Versioned(_, version, name)) => {
            let word = name.chars().all(|c| c.is_alphanumeric() || c == '_');
            version.contains(['.', '_']) || !word || name.is_empty()
        }
        Some(flyway::Kind::Repeatable(_) | flyway::Kind::Baseline) => true,
        None => f.name().ends_with(".sql.conf"),
    };
    if let Some(file) = tree.files.iter().find(is) {
        return Some(format!("{} is Flyway's way", file.path));
    }
    // To refinery a U file is one more migration, with a number of its own.
    let number = |f: &Entry, prefix: char| {
        let number = f.name().strip_prefix(prefix)?.split_once("__")?.0;
        Some(number.to_owned())
    };
    let brought: HashSet<String> = sql(tree).filter_map(|f| number(f, 'V')).collect();
    let takes_back = |f: &&Entry| number(f, 'U').is_some_and(|n| brought.contains(&n));
    let file = sql(tree).find(takes_back)?;
    Some(format!("{} takes its V file back", file.path))
}

/// What is sqlx's and nobody else's.
fn sqlx_by(tree: &Tree) -> Option<String> {
    let marked = sql(tree).find(|f| {
        let bytes = f.bytes.as_deref().unwrap_or_default();
        f.folder().is_empty() && bytes.starts_with(sqlx::NO_TRANSACTION.as_bytes())
    })?;
    Some(format!(
        "{} begins with `{}`",
        marked.path,
        sqlx::NO_TRANSACTION
    ))
}

/// Whether most numbers are times as `20240131120000`.
fn timestamps(tree: &Tree) -> bool {
    let all = sql(tree).filter(|f| f.folder().is_empty());
    let (times, others): (Vec<&Entry>, Vec<&Entry>) = all.partition(|f| {
        number_and_name(f.name())
            .is_some_and(|(n, _)| n.len() == 14 && (n.starts_with("19") || n.starts_with("20")))
    });
    times.len() > others.len()
}

fn names() -> String {
    Convention::ALL.map(Convention::name).join(", ")
}

fn unclear(tree: &Tree, told: &str) -> Problem {
    Problem::new(
        Exit::Config,
        format!("reading the migrations in {}", tree.shown),
        format!("they follow more than one convention: {told}"),
    )
    .next(format!("--convention says which it is: {}", names()))
}

fn unknown(tree: &Tree) -> Problem {
    let doing = format!("reading the migrations in {}", tree.shown);
    let in_language = |f: &&Entry| {
        let end = extension(f.name());
        looks_versioned(f.name()) && LANGUAGES.into_iter().any(|(known, _)| known == end)
    };
    let mut some: Vec<&str> = sql(tree).map(|f| f.path.as_str()).take(4).collect();
    if sql(tree).nth(3).is_some() {
        some[3] = "…";
    }
    if !some.is_empty() {
        let cause = format!(
            "no file is named as any known convention names it: {}",
            some.join(", ")
        );
        return Problem::new(Exit::Config, doing, cause).next(format!(
            "names begin with a number, as in 0001_orders.sql; --dir names another folder, --convention says how these are kept: {}",
            names()
        ));
    }
    match tree.files.iter().find(in_language) {
        Some(file) => {
            let cause = format!("there are no SQL files, only others such as {}", file.path);
            Problem::new(Exit::Config, doing, cause)
                .next("dbctl runs SQL only; --dir names another folder")
        }
        None => Problem::new(Exit::Config, doing, "there is no migration")
            .next("`dbctl migrate new NAME` creates one; --dir names another folder"),
    }
}

//! dbmate: `^(\d+).*\.sql$`, subfolders are not read, run in the order of the names; the parts
//! begin with lines `-- migrate:up` and `-- migrate:down`, on which options may stand
//! (pkg/dbmate/db.go, migration.go). Each part runs in a transaction unless `transaction:false`
//! stands there.

use std::ops::Range;

use super::common::{Run, error, warning};
use super::names::{digits, lines, sql_stem, uppermost};
use super::reader::Reader;
use super::{Entry, Migration, Tree};
use crate::migrate::finding::Finding;

pub(super) fn read(tree: &Tree, reader: &mut Reader) {
    let files = uppermost(reader, &tree.files);
    for entry in &files {
        let Some(stem) = sql_stem(entry.name()) else {
            continue;
        };
        let (number, rest) = digits(stem);
        if number.is_empty() {
            reader.unknown(entry, "its name does not begin with a number");
            continue;
        }
        file(reader, entry, number, rest.trim_start_matches(['_', '-']));
    }
    reader.other_languages(files);
}

fn file(reader: &mut Reader, entry: &Entry, number: &str, name: &str) {
    let (Some(version), Some(text)) =
        (reader.version(entry, number, &[number]), reader.text(entry))
    else {
        return;
    };
    let blocks = match blocks(&text) {
        Ok(blocks) => blocks,
        Err((finding, at)) => {
            reader.say(match at {
                Some(at) => finding.at(&entry.shown, at),
                None => finding.of(&entry.shown),
            });
            return;
        }
    };
    for block in [&blocks.up, &blocks.down] {
        for at in &block.unknown {
            let option = &text[at.clone()];
            let found = warning("dbmate-option", format!("dbmate ignores `{option}`"));
            reader.say(
                found
                    .at(&entry.shown, at.clone())
                    .next("the one that it knows is `transaction:false`, with no blank in it"),
            );
        }
    }
    let mut script = |block: Block| {
        let run = match block.transaction {
            true => Run::InTransaction,
            false => Run::ByItself,
        };
        reader.script(&entry.shown, &text, block.range, run)
    };
    let (up, down) = (script(blocks.up), script(blocks.down));
    reader.add(Migration {
        version: Some(version),
        name: name.to_owned(),
        up,
        down: Some(down),
        verify: None,
    });
}

struct Blocks {
    up: Block,
    down: Block,
}

struct Block {
    range: Range<usize>,
    transaction: bool,
    /// Words on its line that are no options.
    unknown: Vec<Range<usize>>,
}

/// `-- migrate:up` and what stands behind it on the line.
pub(super) fn marker(line: &str) -> Option<(&str, &str)> {
    let rest = line
        .strip_prefix("--")?
        .trim_start()
        .strip_prefix("migrate:")?;
    let way = ["up", "down"]
        .into_iter()
        .find(|way| rest.starts_with(way))?;
    let options = &rest[way.len()..];
    let apart = options.is_empty() || options.starts_with(|c: char| c.is_whitespace());
    apart.then_some((way, options))
}

type Wrong = (Finding, Option<Range<usize>>);

fn blocks(text: &str) -> Result<Blocks, Wrong> {
    let wrong = |what: &str, at: Option<Range<usize>>| -> Wrong {
        let next = "a file has one `-- migrate:up` and after it one `-- migrate:down`, and all its SQL stands behind these";
        (error("dbmate-blocks", what).next(next), at)
    };
    let (mut up, mut down): (Option<Block>, Option<Block>) = (None, None);
    for (at, line) in lines(text) {
        let here = || Some(at..at + line.len());
        let Some((way, options)) = marker(line) else {
            let is_blank = line.trim().is_empty() || line.trim_start().starts_with("--");
            if up.is_none() && !is_blank {
                return Err(wrong("dbmate refuses SQL before `-- migrate:up`", here()));
            }
            continue;
        };
        let after = (at + line.len()..text.len(), at + line.len() - options.len());
        match (way, up.is_some(), down.is_some()) {
            ("up", false, _) => up = Some(block(after, options)),
            ("up", true, _) => {
                // dbmate runs all of them one after the other.
                let what = "a second `-- migrate:up` in one file, which dbctl does not run";
                return Err(wrong(what, here()));
            }
            (_, false, _) => {
                return Err(wrong(
                    "`-- migrate:down` stands before `-- migrate:up`",
                    here(),
                ));
            }
            (_, true, true) => return Err(wrong("a second `-- migrate:down`", here())),
            (_, true, false) => {
                if let Some(up) = &mut up {
                    up.range.end = at;
                }
                down = Some(block(after, options));
            }
        }
    }
    match (up, down) {
        (Some(up), Some(down)) => Ok(Blocks { up, down }),
        (None, _) => Err(wrong("the file has no `-- migrate:up`", None)),
        (Some(_), None) => Err(wrong(
            "the file has no `-- migrate:down`, and dbmate refuses it",
            None,
        )),
    }
}

fn block((range, options_at): (Range<usize>, usize), options: &str) -> Block {
    let mut block = Block {
        range,
        transaction: true,
        unknown: Vec::new(),
    };
    for option in options.split_whitespace() {
        match option {
            "transaction:false" => block.transaction = false,
            "transaction:true" => block.transaction = true,
            _ => {
                let within = option.as_ptr().addr() - options.as_ptr().addr();
                let at = options_at + within;
                block.unknown.push(at..at + option.len());
            }
        }
    }
    block
}

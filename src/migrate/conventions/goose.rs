//! goose: `<number>_<name>.sql`, subfolders are not read (migration.go: NumericComponent,
//! provider_collect.go); annotations say what goes up and down, where a statement ends and whether
//! there is a transaction (internal/sqlparser/parser.go). What is said here of goose's own way to
//! end statements at line ends is in there, too.

use std::ops::Range;
use std::sync::Arc;

use super::common::{Run, error};
use super::names::{lines, number_and_name, sql_stem, uppermost};
use super::reader::Reader;
use super::{Entry, Migration, Tree};
use crate::error::nearest;
use crate::migrate::finding::Finding;
use crate::migrate::statements;

const ANNOTATIONS: [(&str, Annotation); 7] = [
    ("Up", Annotation::Up),
    ("Down", Annotation::Down),
    ("StatementBegin", Annotation::Begin),
    ("StatementEnd", Annotation::End),
    ("NO TRANSACTION", Annotation::NoTransaction),
    ("ENVSUB ON", Annotation::Replace(true)),
    ("ENVSUB OFF", Annotation::Replace(false)),
];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Annotation {
    Up,
    Down,
    Begin,
    End,
    NoTransaction,
    /// Whether variables of the environment are put in from here on.
    Replace(bool),
}

pub(super) fn read(tree: &Tree, reader: &mut Reader) {
    let files = uppermost(reader, &tree.files);
    for entry in &files {
        let Some(stem) = sql_stem(entry.name()) else {
            continue;
        };
        let Some((number, name)) = number_and_name(stem) else {
            reader.unknown(entry, "its name is not a number, an underscore and a name");
            continue;
        };
        file(reader, entry, number, name);
    }
    reader.other_languages(files);
}

/// Whether a line is `-- +goose …`.
pub(super) fn is_annotation(line: &str) -> bool {
    line.trim_start().starts_with("--") && line.contains("+goose")
}

fn file(reader: &mut Reader, entry: &Entry, number: &str, name: &str) {
    let (Some(version), Some(text)) =
        (reader.version(entry, number, &[number]), reader.text(entry))
    else {
        return;
    };
    let parts = match Parser::default().read(&text) {
        Ok(parts) => parts,
        Err((finding, at)) => return reader.say(finding.at(&entry.shown, at)),
    };
    if let Some(at) = parts.replaced {
        reader.say(
            error("goose-envsub", "goose puts a variable of the environment here (ENVSUB ON)")
                .at(&entry.shown, at)
                .why("what runs is another thing on each machine, and dbctl cannot judge it")
                .next("write the value itself; `-- +goose ENVSUB OFF` goes before a `$` that is meant as it stands"),
        );
    }
    let text = match parts.unended.is_empty() {
        true => text,
        false => ended(&text, &parts.unended),
    };
    let run = match parts.no_transaction {
        true => Run::ByItself,
        false => Run::InTransaction,
    };
    for section in [Some(&parts.up), parts.down.as_ref()].into_iter().flatten() {
        if let Some(finding) = cut(&text, section) {
            reader.say(finding.of_file(&entry.shown));
        }
    }
    let mut script = |section: Section| reader.script(&entry.shown, &text, section.range, run);
    let up = script(parts.up);
    let down = parts.down.map(script);
    reader.add(Migration {
        version: Some(version),
        name: name.to_owned(),
        up,
        down,
        verify: None,
    });
}

/// The text with a semicolon, and blanks, in the place of each of these lines.
fn ended(text: &str, lines: &[Range<usize>]) -> Arc<str> {
    let mut text = text.to_owned();
    for line in lines {
        let blanks = " ".repeat(line.len().saturating_sub(1));
        text.replace_range(line.clone(), &format!(";{blanks}"));
    }
    text.into()
}

/// What goes up, or down.
#[derive(Debug, Clone, Default)]
struct Section {
    range: Range<usize>,
    /// The insides of `StatementBegin` and `StatementEnd`.
    blocks: Vec<Range<usize>>,
}

#[derive(Debug, Default)]
struct Parts {
    up: Section,
    down: Option<Section>,
    no_transaction: bool,
    /// The first `$` that goose takes for a variable.
    replaced: Option<Range<usize>>,
    /// Lines `StatementEnd` after a statement without a semicolon.
    unended: Vec<Range<usize>>,
}

type Wrong = (Finding, Range<usize>);

#[derive(Debug, Default)]
struct Parser {
    parts: Parts,
    section: Option<Section>,
    is_down: bool,
    /// Where `StatementBegin` stood, and where what follows it begins.
    block: Option<(Range<usize>, usize)>,
    replaces: bool,
    /// The first line of a statement that no line's end has ended yet.
    pending: Option<Range<usize>>,
}

impl Parser {
    fn read(mut self, text: &str) -> Result<Parts, Wrong> {
        for (at, line) in lines(text) {
            let here = at..at + line.len();
            if is_annotation(line) {
                self.annotation(text, annotation(line).map_err(|e| (e, here.clone()))?, here)?;
            } else {
                self.line(line, here)?;
            }
        }
        self.end_of_section()?;
        if let Some((begin, _)) = self.block {
            return Err((
                order("there is no `-- +goose StatementEnd` for this"),
                begin,
            ));
        }
        match self.section.take() {
            None => {
                let what = "the file has no `-- +goose Up`, and goose refuses it";
                Err((order(what), 0..0))
            }
            Some(section) => {
                self.keep(section, text.len());
                Ok(self.parts)
            }
        }
    }

    fn keep(&mut self, mut section: Section, end: usize) {
        section.range.end = end;
        match self.is_down {
            true => self.parts.down = Some(section),
            false => self.parts.up = section,
        }
    }

    fn begin_section(&mut self, after: usize) {
        self.section = Some(Section {
            range: after..after,
            blocks: Vec::new(),
        });
    }

    /// goose refuses what no semicolon at the end of a line ends.
    fn end_of_section(&mut self) -> Result<(), Wrong> {
        match self.pending.take() {
            None => Ok(()),
            Some(at) => Err((
                error("goose-unfinished", "goose finds no end of the statement that begins here")
                    .next("end it with `;` as the last thing on a line, or put it between StatementBegin and StatementEnd"),
                at,
            )),
        }
    }

    fn annotation(
        &mut self,
        text: &str,
        said: Annotation,
        here: Range<usize>,
    ) -> Result<(), Wrong> {
        let wrong = |what: &str| Err((order(what), here.clone()));
        match (said, self.block.take(), self.section.take()) {
            (Annotation::Up, None, None) => self.begin_section(here.end),
            (Annotation::Up, _, _) => return wrong("a second `-- +goose Up` in one file"),
            (Annotation::Down, None, Some(section)) if !self.is_down => {
                self.end_of_section()?;
                self.keep(section, here.start);
                self.is_down = true;
                self.begin_section(here.end);
            }
            (Annotation::Down, Some(_), _) => {
                return wrong("`-- +goose Down` stands before the StatementEnd of what goes up");
            }
            (Annotation::Down, None, None) => {
                return wrong("`-- +goose Down` stands before `-- +goose Up`");
            }
            (Annotation::Down, None, Some(_)) => {
                return wrong("a second `-- +goose Down` in one file");
            }
            (Annotation::Begin, None, Some(section)) => {
                self.section = Some(section);
                self.block = Some((here.clone(), here.end));
            }
            (Annotation::Begin, _, _) => {
                return wrong("this `StatementBegin` stands inside of another one, or before `Up`");
            }
            (Annotation::End, Some((_, start)), Some(mut section)) => {
                let inside = start..here.start;
                let sql = &text[inside.clone()];
                let last = statements::split(sql).pop();
                if last.is_some_and(|last| !statements::has_semicolon(&sql[last.end..])) {
                    self.parts.unended.push(here);
                }
                section.blocks.push(inside);
                self.section = Some(section);
            }
            (Annotation::End, _, _) => return wrong("there is no `StatementBegin` for this"),
            (Annotation::NoTransaction, block, section) => {
                self.parts.no_transaction = true;
                (self.block, self.section) = (block, section);
            }
            (Annotation::Replace(on), block, section) => {
                self.replaces = on;
                (self.block, self.section) = (block, section);
            }
        }
        Ok(())
    }

    fn line(&mut self, line: &str, here: Range<usize>) -> Result<(), Wrong> {
        let is_comment = line.trim_start().starts_with("--");
        if self.section.is_none() {
            return match line.trim().is_empty() || is_comment {
                true => Ok(()),
                false => Err((order("goose refuses SQL before `-- +goose Up`"), here)),
            };
        }
        if self.replaces
            && self.parts.replaced.is_none()
            && let Some(dollar) = line.find('$')
        {
            let at = here.start + dollar;
            self.parts.replaced = Some(at..at + 1);
        }
        if self.block.is_some() {
            return Ok(());
        }
        if ends_with_semicolon(line) {
            self.pending = None;
        } else if !line.trim().is_empty() && !is_comment {
            self.pending.get_or_insert(here);
        }
        Ok(())
    }
}

/// A line's last word before a comment ends with a semicolon.
fn ends_with_semicolon(line: &str) -> bool {
    let words = line.split_whitespace();
    let last = words.take_while(|w| !w.starts_with("--")).last();
    last.is_some_and(|w| w.ends_with(';'))
}

fn order(what: &str) -> Finding {
    error("goose-annotation", what).next(
        "a file is `-- +goose Up`, its statements, `-- +goose Down` and what takes them back; StatementBegin and StatementEnd go around a statement with semicolons inside",
    )
}

fn annotation(line: &str) -> Result<Annotation, Finding> {
    let bare = line.replace("--", "").replacen("+goose", "", 1);
    let bare = bare.trim();
    if line.starts_with([' ', '\t']) {
        return Err(order(
            "goose refuses an annotation that blanks stand before",
        ));
    }
    let known = ANNOTATIONS
        .into_iter()
        .find(|(name, _)| name.eq_ignore_ascii_case(bare));
    known.map(|(_, annotation)| annotation).ok_or_else(|| {
        let shown: String = bare.chars().take(40).collect();
        let found = error(
            "goose-annotation",
            format!("goose has no annotation `{shown}`"),
        );
        let names = ANNOTATIONS.map(|(name, _)| name);
        found.next(match nearest(bare, names) {
            Some(name) => format!("perhaps it is `-- +goose {name}`"),
            None => format!("it has {}", names.join(", ")),
        })
    })
}

/// goose ends a statement at each line that ends with a semicolon, in a body too.
fn cut(text: &str, section: &Section) -> Option<Cut> {
    let sql = text.get(section.range.clone())?;
    let statements = statements::split(sql);
    let mut statements = statements.iter().peekable();
    let mut blocks = section.blocks.iter().peekable();
    for (at, line) in lines(sql) {
        let start = section.range.start + at;
        while blocks.next_if(|b| b.end <= start).is_some() {}
        if blocks.peek().is_some_and(|b| b.start <= start) || !ends_with_semicolon(line) {
            continue;
        }
        let code = line.split_whitespace().take_while(|w| !w.starts_with("--"));
        let last = code.last()?;
        let semicolon = at + (last.as_ptr().addr() - line.as_ptr().addr()) + last.len() - 1;
        while statements.next_if(|s| s.end <= semicolon).is_some() {}
        if statements.peek().is_some_and(|s| s.start < semicolon) {
            let at = section.range.start + semicolon;
            return Some(Cut(at..at + 1));
        }
    }
    None
}

/// Where goose ends a statement that goes on.
struct Cut(Range<usize>);

impl Cut {
    fn of_file(self, file: &str) -> Finding {
        error("goose-cuts-statement", "goose ends the statement here, at the semicolon of a line's end")
            .at(file, self.0)
            .why("what goose sends is half a statement, and the migration fails")
            .next("put `-- +goose StatementBegin` before the statement and `-- +goose StatementEnd` after it")
    }
}

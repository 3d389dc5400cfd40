//! Putting a reading together: what every convention does with its files.

use std::collections::{BTreeMap, HashSet};
use std::ops::Range;
use std::sync::Arc;

use super::common::{self, Run, error, warning};
use super::names::{Direction, looks_versioned};
use super::tree::{LANGUAGES, TEMPLATES, extension};
use super::{Convention, Entry, Migration, Reading, Script, Version};
use crate::migrate::finding::Finding;

/// Greater numbers are times and no ordinals, and have gaps.
const GREATEST_ORDINAL: u64 = 99_999;

/// A reading in the making.
pub(super) struct Reader {
    pub convention: Convention,
    pub findings: Vec<Finding>,
    migrations: Vec<Migration>,
    /// Versions of one part, with a file of each.
    ordinals: BTreeMap<u64, String>,
}

/// A file that goes up or down.
pub(super) struct Part<'a> {
    pub version: Version,
    pub name: &'a str,
    pub direction: Direction,
    pub entry: &'a Entry,
}

/// A file that goes up, and the one that takes it back.
pub(super) struct Pair<'a> {
    pub version: Version,
    pub name: &'a str,
    pub up: &'a Entry,
    pub down: Option<&'a Entry>,
}

impl Reader {
    pub(super) fn new(convention: Convention) -> Self {
        Self {
            convention,
            findings: Vec::new(),
            migrations: Vec::new(),
            ordinals: BTreeMap::new(),
        }
    }

    pub(super) fn say(&mut self, finding: Finding) {
        self.findings.push(finding);
    }

    pub(super) fn add(&mut self, migration: Migration) {
        self.migrations.push(migration);
    }

    /// The text of a file, unless something is wrong with it that makes no sense of reading on.
    pub(super) fn text(&mut self, entry: &Entry) -> Option<Arc<str>> {
        common::text(entry, &mut self.findings)
    }

    /// A part of a file.
    pub(super) fn script(
        &mut self,
        shown: &str,
        text: &Arc<str>,
        range: Range<usize>,
        run: Run,
    ) -> Script {
        let of = (shown, text);
        common::script(self.convention, of, range, run, &mut self.findings)
    }

    /// All of a file; `run` is asked with its text.
    pub(super) fn whole(&mut self, entry: &Entry, run: impl Fn(&str) -> Run) -> Option<Script> {
        let text = self.text(entry)?;
        let run = run(&text);
        Some(self.script(&entry.shown, &text, 0..text.len(), run))
    }

    /// The version that a file's name says, unless it is too great for any history.
    pub(super) fn version<S: AsRef<str>>(
        &mut self,
        entry: &Entry,
        written: &str,
        parts: &[S],
    ) -> Option<Version> {
        let number = |part: &S| part.as_ref().parse::<i64>().ok().map(i64::unsigned_abs);
        let Some(parts) = parts.iter().map(number).collect::<Option<Vec<u64>>>() else {
            let most = i64::MAX;
            let message = format!("the number {written} is too great: {most} is the greatest");
            let found = error("version-too-great", message).of(&entry.shown);
            self.say(found.next("give it the next free number"));
            return None;
        };
        if let [ordinal] = parts.as_slice() {
            let shown = self.ordinals.entry(*ordinal);
            shown.or_insert_with(|| entry.shown.clone());
        }
        Some(Version {
            written: written.to_owned(),
            parts,
        })
    }

    /// A SQL file that is not named as the convention wants it.
    pub(super) fn unknown(&mut self, entry: &Entry, why: &str) {
        let message = format!("{why}, so it is left out");
        let found = match looks_versioned(entry.name()) {
            true => error("unknown-name", message),
            false => warning("unknown-name", message),
        };
        let shape = self.convention.shape();
        self.say(
            found
                .of(&entry.shown)
                .next(format!("name it {shape}, or keep it in another folder")),
        );
    }

    /// What is named like a migration and is no SQL.
    pub(super) fn other_languages<'a>(&mut self, entries: impl IntoIterator<Item = &'a Entry>) {
        for entry in entries {
            let (name, end) = (entry.name(), extension(entry.name()));
            if !looks_versioned(name) || name.contains("_test.") {
                continue;
            }
            if let Some((_, language)) = LANGUAGES.into_iter().find(|(known, _)| *known == end) {
                let message =
                    format!("this migration is written in {language}, and dbctl runs only SQL");
                self.say(
                    error("other-language", message)
                        .of(&entry.shown)
                        .why("what it does is missing when the later ones are judged")
                        .next("write it as SQL, or keep the file elsewhere if it is no migration"),
                );
            } else if TEMPLATES.contains(&end.as_str()) {
                self.say(
                    error("template", "another program makes SQL of this file")
                        .of(&entry.shown)
                        .next("let that program run first, and validate what comes out"),
                );
            }
        }
    }

    /// SQL files in folders that the convention's tool does not look into.
    pub(super) fn left_out(&mut self, entries: &[&Entry]) {
        let mut folders: BTreeMap<&str, Vec<&Entry>> = BTreeMap::new();
        for entry in entries {
            if extension(entry.name()) == "sql" {
                folders.entry(entry.folder()).or_default().push(entry);
            }
        }
        for (folder, files) in folders {
            let files_are = match files.len() {
                1 => "1 SQL file is".to_owned(),
                several => format!("{several} SQL files are"),
            };
            let message = format!("{files_are} left out: nothing in the folder `{folder}` is read");
            let first = files.first().map_or("", |f| f.shown.as_str());
            self.say(
                warning("left-out", message)
                    .of(first)
                    .next("--dir names the folder that the migrations lie in"),
            );
        }
    }

    /// Finds for each file that goes up the one that takes it back, and says which have none.
    pub(super) fn pairs<'a>(&mut self, parts: Vec<Part<'a>>) -> Vec<Pair<'a>> {
        let mut by_version: BTreeMap<Version, (Vec<Part>, Vec<Part>)> = BTreeMap::new();
        for part in parts {
            let (ups, downs) = by_version.entry(part.version.clone()).or_default();
            match part.direction {
                Direction::Up => ups.push(part),
                Direction::Down => downs.push(part),
            }
        }
        let mut pairs = Vec::new();
        for (ups, mut downs) in by_version.into_values() {
            let single = ups.len() == 1;
            let none = ups.is_empty();
            for up in ups {
                let same = downs.iter().position(|down| down.name == up.name);
                // The numbers alone count; names only tell several apart.
                let at = same.or_else(|| (single && !downs.is_empty()).then_some(0));
                pairs.push(Pair {
                    down: at.map(|at| downs.remove(at).entry),
                    version: up.version,
                    name: up.name,
                    up: up.entry,
                });
            }
            for down in downs {
                let version = &down.version;
                let (rule, message, next) = match none {
                    true => (
                        "down-without-up",
                        format!("takes version {version} back, and no file brings it"),
                        "add the file that goes up, or remove this one",
                    ),
                    false => (
                        "duplicate-version",
                        format!("takes version {version} back, as another file does"),
                        "keep one of them",
                    ),
                };
                self.say(error(rule, message).of(&down.entry.shown).next(next));
            }
        }
        pairs
    }

    /// Adds a pair of whole files; `run` is asked with the text of each.
    pub(super) fn add_pair(&mut self, pair: &Pair, run: impl Fn(&Entry, &str) -> Run) {
        let up = self.whole(pair.up, |text| run(pair.up, text));
        let down = pair
            .down
            .and_then(|down| self.whole(down, |text| run(down, text)));
        if let Some(up) = up {
            self.add(Migration {
                version: Some(pair.version.clone()),
                name: pair.name.to_owned(),
                up,
                down,
                verify: None,
            });
        }
    }

    /// Puts everything in order, and says what is wrong with the order.
    pub(super) fn finish(mut self, because: String) -> Reading {
        self.migrations.sort_by(|a, b| {
            let repeated = a.version.is_none().cmp(&b.version.is_none());
            repeated
                .then_with(|| a.version.cmp(&b.version))
                .then_with(|| (&a.name, &a.up.path).cmp(&(&b.name, &b.up.path)))
        });
        self.duplicates();
        match self.convention {
            // sqitch orders by its plan.
            Convention::Sqitch => {}
            Convention::Dbmate | Convention::Diesel => {
                self.gaps();
                self.text_order();
            }
            Convention::Refinery
            | Convention::Flyway
            | Convention::Sqlx
            | Convention::GolangMigrate
            | Convention::Goose
            | Convention::Numbered
            | Convention::Folders => self.gaps(),
        }
        // What the tool itself fills in was told in its own words.
        let of_tool = ["flyway-placeholder", "goose-envsub"];
        let told: HashSet<(Option<String>, Option<usize>)> = self
            .findings
            .iter()
            .filter(|f| of_tool.contains(&&*f.rule))
            .map(place)
            .collect();
        self.findings
            .retain(|f| f.rule != "template" || !told.contains(&place(f)));
        let key = |f: &Finding| {
            (
                f.file.clone(),
                f.span.as_ref().map(|s| s.start),
                f.rule.clone(),
            )
        };
        self.findings.sort_by_cached_key(key);
        Reading {
            convention: self.convention,
            because,
            migrations: self.migrations,
            findings: self.findings,
        }
    }

    fn duplicates(&mut self) {
        for two in self.migrations.windows(2) {
            let [first, second] = two else { continue };
            if let (Some(a), Some(b)) = (&first.version, &second.version)
                && a == b
            {
                let message = format!("version {b} is also that of {}", first.up.path);
                let found = error("duplicate-version", message).of(&second.up.path);
                self.findings
                    .push(found.next(
                        "give the one that is not applied anywhere yet the next free number",
                    ));
            }
        }
    }

    /// A file that did not come along. Numbers that go in steps have no gaps but steps.
    fn gaps(&mut self) {
        let ordinals: Vec<(&u64, &String)> = self.ordinals.iter().collect();
        if ordinals
            .last()
            .is_none_or(|(last, _)| **last > GREATEST_ORDINAL)
        {
            return;
        }
        let gaps: Vec<_> = ordinals
            .windows(2)
            .filter(|two| two[1].0 - two[0].0 > 1)
            .map(|two| (two[0].0 + 1, two[1].0 - 1, two[1].1))
            .collect();
        if gaps.len() * 3 > ordinals.len() {
            return;
        }
        for (first, last, after) in gaps {
            let message = match first == last {
                true => format!("there is no version {first} before it"),
                false => format!("there are no versions {first} to {last} before it"),
            };
            self.findings.push(
                warning("version-gap", message)
                    .of(after)
                    .next("look whether a file did not come along"),
            );
        }
    }

    /// dbmate sorts by file name and diesel compares versions as text: numbers of one width come
    /// out the same.
    fn text_order(&mut self) {
        let tool = self.convention;
        let text = |m: &Migration| m.version.as_ref().map(|v| v.written.replace('-', ""));
        for two in self.migrations.windows(2) {
            let [first, second] = two else { continue };
            if let (Some(a), Some(b)) = (text(first), text(second))
                && b < a
            {
                let message = format!(
                    "{tool} compares versions as text, and runs {b} before {a}; dbctl orders them as numbers"
                );
                self.findings.push(
                    warning("text-order", message)
                        .of(&second.up.path)
                        .next("write all versions with as many digits"),
                );
            }
        }
    }
}

/// The file and the byte where it begins.
fn place(finding: &Finding) -> (Option<String>, Option<usize>) {
    (
        finding.file.clone(),
        finding.span.as_ref().map(|span| span.start),
    )
}

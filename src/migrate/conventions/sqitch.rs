//! sqitch: `sqitch.plan` names the changes in their order, with tags and dependencies; the scripts
//! lie in `deploy`, `revert` and `verify`. A change that is named again after a tag was reworked: the
//! scripts as they were before are copies named `<change>@<tag>` (lib/App/Sqitch/Plan.pm,
//! Plan/Change.pm, Plan/Depend.pm, Target.pm). psql runs them, so that a transaction is there only
//! where a script begins one.

use std::collections::{HashMap, HashSet};
use std::ops::Range;

use super::common::{Run, error, warning};
use super::names::{lines, sql_stem};
use super::reader::Reader;
use super::{Entry, Migration, Tree, Version};
use crate::migrate::finding::Finding;

pub(super) const PLAN: &str = "sqitch.plan";

pub(super) fn read(tree: &Tree, reader: &mut Reader) {
    let by_path: HashMap<&str, &Entry> = tree.files.iter().map(|f| (f.path.as_str(), f)).collect();
    let places = Places::of(tree, reader);
    let Some(entry) = by_path.get(places.plan.as_str()) else {
        let what = format!("there is no {}", places.plan);
        reader.say(error("sqitch-plan", what).next("--dir names the folder that it lies in"));
        return;
    };
    let Some(text) = reader.text(entry) else {
        return;
    };
    let mut plan = Plan::default();
    for (at, line) in lines(&text) {
        if let Err(found) = plan.line(line, at) {
            reader.say(found.at(&entry.shown, at..at + line.len()));
        }
    }
    plan.dependencies(reader, entry);
    let mut used = HashSet::new();
    for (number, change) in plan.changes.iter().enumerate() {
        let find = |folder: &str| script(&by_path, folder, change);
        let scripts = [&places.deploy, &places.revert, &places.verify].map(|f| find(f));
        used.extend(scripts.iter().flatten().map(|f| f.path.as_str()));
        let [deploy, revert, verify] = scripts;
        let Some(deploy) = deploy else {
            reader.say(
                missing(
                    "sqitch.plan names a change whose deploy script is not there",
                    change,
                )
                .at(&entry.shown, change.at.clone()),
            );
            continue;
        };
        if revert.is_none() {
            let found = warning(
                "missing-script",
                "there is no revert script beside this one",
            );
            reader.say(
                found
                    .of(&deploy.shown)
                    .next("add it: `sqitch revert` stops here"),
            );
        }
        let Some(up) = reader.whole(deploy, |_| Run::Psql) else {
            continue;
        };
        let down = revert.and_then(|f| reader.whole(f, |_| Run::Psql));
        let verify = verify.and_then(|f| reader.whole(f, |_| Run::Verification));
        let ordinal = number as u64 + 1;
        reader.add(Migration {
            version: Some(Version {
                written: ordinal.to_string(),
                parts: vec![ordinal],
            }),
            name: change.name.clone(),
            up,
            down,
            verify,
        });
    }
    unplanned(tree, &places, &used, reader);
}

fn missing(what: &str, change: &Change) -> Finding {
    let copy = match change.rework_tags.first() {
        Some(tag) => format!("{}@{tag}.sql, as `sqitch rework` makes it", change.name),
        None => format!("{}.sql", change.name),
    };
    error("missing-script", what).next(format!(
        "add {copy}, or take the change out of the plan; scripts that do not end with .sql are not read"
    ))
}

/// Where the folders lie, below the one that is read.
struct Places {
    plan: String,
    deploy: String,
    revert: String,
    verify: String,
}

impl Places {
    /// `sqitch.conf` says, else they lie where the plan does.
    fn of(tree: &Tree, reader: &mut Reader) -> Self {
        let conf = tree.files.iter().find(|f| f.path == "sqitch.conf");
        let conf = conf.and_then(|f| reader.text(f));
        let core = conf.as_deref().map(core).unwrap_or_default();
        let clean = |path: &str| {
            path.trim_start_matches("./")
                .trim_end_matches('/')
                .to_owned()
        };
        let set = |key: &str| core.get(key).map(|path| clean(path));
        let is_plan = |f: &&Entry| f.name() == PLAN;
        let found = tree.files.iter().filter(is_plan);
        let found = found.min_by_key(|f| f.path.matches('/').count());
        let top = set("top_dir").unwrap_or_else(|| found.map_or("", Entry::folder).to_owned());
        let top = if top == "." { String::new() } else { top };
        let below = |name: &str| match top.as_str() {
            "" => name.to_owned(),
            top => format!("{top}/{name}"),
        };
        Places {
            plan: set("plan_file").unwrap_or_else(|| below(PLAN)),
            deploy: set("deploy_dir").unwrap_or_else(|| below("deploy")),
            revert: set("revert_dir").unwrap_or_else(|| below("revert")),
            verify: set("verify_dir").unwrap_or_else(|| below("verify")),
        }
    }
}

/// The keys of `[core]`; the file is written as git's settings are.
fn core(text: &str) -> HashMap<&str, &str> {
    let mut section = "";
    let mut found = HashMap::new();
    for line in text.lines().map(str::trim) {
        if line.starts_with('[') {
            section = line;
        } else if section == "[core]"
            && !line.starts_with(['#', ';'])
            && let Some((key, value)) = line.split_once('=')
        {
            found.insert(key.trim(), value.trim().trim_matches('"'));
        }
    }
    found
}

/// One line of the plan.
#[derive(Debug)]
struct Change {
    name: String,
    at: Range<usize>,
    requires: Vec<(String, Range<usize>)>,
    tags: Vec<String>,
    /// Of a change that was reworked later: the tags between, one of which its scripts are named for.
    rework_tags: Vec<String>,
}

#[derive(Debug, Default)]
struct Plan {
    project: String,
    changes: Vec<Change>,
    /// The newest change of each name.
    newest: HashMap<String, usize>,
    tags: HashSet<String>,
}

fn wrong(what: impl Into<String>) -> Finding {
    error("sqitch-plan", what)
        .next("a line is a change (`name [dependency …] 2024-01-31T12:00:00Z Name <mail>`), a tag (`@name 2024-…`), a `%pragma` or a `# comment`")
}

impl Plan {
    fn line(&mut self, line: &str, at: usize) -> Result<(), Finding> {
        let code = line.split('#').next().unwrap_or_default();
        let start = at + code.len() - code.trim_start().len();
        let code = code.trim();
        if code.is_empty() {
            return Ok(());
        }
        let here = start..start + code.len();
        if let Some(pragma) = code.strip_prefix('%') {
            if let Some((key, value)) = pragma.split_once('=')
                && key.trim() == "project"
            {
                self.project = value.trim().to_owned();
            }
            return Ok(());
        }
        if let Some(tag) = code.strip_prefix('@') {
            return self.tag(tag);
        }
        if code.starts_with('-') {
            return Err(wrong(
                "this line takes a change back, which dbctl does not do by plan",
            ));
        }
        let code = code.strip_prefix('+').unwrap_or(code).trim_start();
        let shift = here.end - code.len();
        let name = code.split_whitespace().next().unwrap_or_default();
        let rest = code[name.len()..].trim_start();
        let (requires, rest) = match rest.strip_prefix('[') {
            None => ("", rest),
            Some(inside) => inside
                .split_once(']')
                .ok_or_else(|| wrong("the dependencies have no `]` at their end"))?,
        };
        stamped(rest)?;
        // Its bytes in the file follow from where it lies in the line.
        let place = |word: &str| {
            let from = shift + (word.as_ptr().addr() - code.as_ptr().addr());
            from..from + word.len()
        };
        let requires = requires
            .split_whitespace()
            .map(|w| (w.to_owned(), place(w)));
        let change = Change {
            name: name.to_owned(),
            at: place(name),
            requires: requires.collect(),
            tags: Vec::new(),
            rework_tags: Vec::new(),
        };
        self.change(change)
    }

    fn tag(&mut self, tag: &str) -> Result<(), Finding> {
        let name = tag.split_whitespace().next().unwrap_or_default();
        stamped(&tag[name.len()..])?;
        let Some(last) = self.changes.last_mut() else {
            return Err(wrong("a tag stands before the first change"));
        };
        if !self.tags.insert(name.to_owned()) {
            return Err(wrong(format!("the tag @{name} is there a second time")));
        }
        last.tags.push(name.to_owned());
        Ok(())
    }

    fn change(&mut self, change: Change) -> Result<(), Finding> {
        let number = self.changes.len();
        if let Some(earlier) = self.newest.insert(change.name.clone(), number) {
            let between = self.changes[earlier..].iter();
            // sqitch looks from the newest to the oldest.
            let tags: Vec<String> = between.rev().flat_map(|c| c.tags.clone()).collect();
            if tags.is_empty() {
                let what = format!(
                    "the change {} is there a second time, and no tag between",
                    change.name
                );
                return Err(error("sqitch-plan", what)
                    .next("`sqitch tag` and `sqitch rework` change what was deployed; otherwise take the line out"));
            }
            self.changes[earlier].rework_tags = tags;
        }
        self.changes.push(change);
        Ok(())
    }

    fn dependencies(&self, reader: &mut Reader, plan: &Entry) {
        let mut changes = HashSet::new();
        let mut tags = HashSet::new();
        for change in &self.changes {
            for (needed, at) in &change.requires {
                if let Some(found) = self.dependency(needed, &changes, &tags) {
                    reader.say(found.at(&plan.shown, at.clone()));
                }
            }
            changes.insert(change.name.as_str());
            tags.extend(change.tags.iter().map(String::as_str));
        }
    }

    /// What is wrong with one, when these came before.
    fn dependency(
        &self,
        needed: &str,
        changes: &HashSet<&str>,
        tags: &HashSet<&str>,
    ) -> Option<Finding> {
        let conflicts = needed.starts_with('!');
        let named = needed.trim_start_matches('!');
        let named = match named.split_once(':') {
            Some((project, named)) if project == self.project => named,
            Some((project, _)) => {
                let what =
                    format!("the change is one of the project {project}, which is not looked at");
                return Some(
                    warning("sqitch-dependency", what)
                        .next("validate the projects one after the other"),
                );
            }
            None => named,
        };
        let is_id = named.len() == 40 && named.bytes().all(|b| b.is_ascii_hexdigit());
        let (name, tag) = match named.split_once('@') {
            Some((name, tag)) => (name, Some(tag)),
            None => (named, None),
        };
        let there = (name.is_empty() || changes.contains(name))
            && tag.is_none_or(|tag| tags.contains(tag) || matches!(tag, "ROOT" | "HEAD"));
        match (is_id, conflicts, there) {
            (true, _, _) | (_, false, true) | (_, true, false) => None,
            (false, false, false) => Some(
                error(
                    "sqitch-dependency",
                    format!("the plan has no {named} before this line"),
                )
                .next("move this line behind the one that it needs, or correct the name"),
            ),
            (false, true, true) => Some(
                error(
                    "sqitch-dependency",
                    format!("this conflicts with {named}, which is deployed before it"),
                )
                .next("take one of the two out of the plan"),
            ),
        }
    }
}

/// A time and who planned it: sqitch refuses a line without.
fn stamped(rest: &str) -> Result<(), Finding> {
    let rest = rest.trim();
    let mut words = rest.split_whitespace();
    let time = words.next().unwrap_or_default();
    let shape: String = time
        .chars()
        .map(|c| if c.is_ascii_digit() { '0' } else { c })
        .collect();
    if shape != "0000-00-00T00:00:00Z" {
        return Err(wrong("the line has no time"));
    }
    let planner = words.next().is_some_and(|first| !first.starts_with('<'));
    match planner && rest.ends_with('>') && rest.contains('<') {
        true => Ok(()),
        false => Err(wrong(
            "the line does not say who planned it, with a mail address",
        )),
    }
}

/// The script of a change in one of the folders.
fn script<'a>(
    by_path: &HashMap<&str, &'a Entry>,
    folder: &str,
    change: &Change,
) -> Option<&'a Entry> {
    let find = |path: String| by_path.get(path.as_str()).copied();
    let name = &change.name;
    match change.rework_tags.as_slice() {
        [] => find(format!("{folder}/{name}.sql")),
        tags => tags
            .iter()
            .find_map(|tag| find(format!("{folder}/{name}@{tag}.sql"))),
    }
}

/// A script that a merge left without its line.
fn unplanned(tree: &Tree, places: &Places, used: &HashSet<&str>, reader: &mut Reader) {
    let below = |f: &Entry, folder: &str| {
        let rest = f.path.strip_prefix(folder);
        rest.is_some_and(|rest| rest.starts_with('/'))
    };
    for entry in &tree.files {
        if sql_stem(entry.name()).is_none() || used.contains(entry.path.as_str()) {
            continue;
        }
        let found = if below(entry, &places.deploy) {
            error(
                "unknown-name",
                "the plan does not name this change, so it is left out",
            )
        } else if below(entry, &places.revert) || below(entry, &places.verify) {
            warning(
                "unknown-name",
                "the plan does not name this change, so it is left out",
            )
        } else {
            continue;
        };
        reader.say(
            found
                .of(&entry.shown)
                .next("add its line to the plan, or remove the script"),
        );
    }
}

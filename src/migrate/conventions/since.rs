//! What has happened to migrations since a commit that others may have applied already: git is
//! asked what the folder held there, and that is read like the folder itself.

use std::collections::HashMap;
use std::path::Path;
use std::process::Stdio;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::common::error;
use super::{Convention, Entry, Migration, Reading, Tree, recognize};
use crate::error::{Exit, Problem, Result};
use crate::migrate::finding::Finding;
use crate::programs::Group;

/// The migrations as git has them.
#[derive(Debug, Clone)]
pub struct Before {
    /// As it was asked for: `origin/main`.
    pub reference: String,
    /// Where the branches parted: what was changed since was changed here.
    pub parted: Reading,
    /// At the reference itself, which may have gone on.
    pub newest: Reading,
}

/// Asks git what `dir` held at `reference`, and where this branch left it.
///
/// # Errors
/// When git is not there, knows no such commit, or has too little of the history.
pub async fn before(dir: &Path, reference: &str, convention: Convention) -> Result<Before> {
    let git = Git { dir, reference };
    let commit = format!("{reference}^{{commit}}");
    let ask = ["rev-parse", "--verify", "--end-of-options", commit.as_str()];
    let newest = git.line(&ask).await.map_err(|problem| {
        problem.next("--since names a commit, a branch or a tag, such as origin/main; a shallow clone may have to fetch it")
    })?;
    let parted = git.line(&["merge-base", &newest, "HEAD"]).await;
    let parted = parted.map_err(|problem| {
        problem.next("a shallow clone has too little of the history: let it fetch all of it (in GitHub Actions: fetch-depth: 0)")
    })?;
    let read = async |commit: &str| -> Result<Reading> {
        recognize::read(&git.tree(commit).await?, Some(convention))
    };
    let at_parting = read(&parted).await?;
    let at_reference = match newest == parted {
        true => at_parting.clone(),
        false => read(&newest).await?,
    };
    Ok(Before {
        reference: reference.to_owned(),
        parted: at_parting,
        newest: at_reference,
    })
}

struct Git<'a> {
    dir: &'a Path,
    reference: &'a str,
}

impl Git<'_> {
    fn problem(&self, cause: impl std::fmt::Display) -> Problem {
        let doing = format!(
            "asking git what {} held at {}",
            self.dir.display(),
            self.reference
        );
        Problem::new(Exit::Config, doing, cause)
    }

    async fn line(&self, arguments: &[&str]) -> Result<String> {
        let out = self.run(arguments, Vec::new()).await?;
        Ok(String::from_utf8_lossy(&out).trim().to_owned())
    }

    /// What it prints when `input` is put in.
    async fn run(&self, arguments: &[&str], input: Vec<u8>) -> Result<Vec<u8>> {
        let mut command = tokio::process::Command::new("git");
        command.arg("-C").arg(self.dir).args(arguments);
        command.env("LC_ALL", "C").env("GIT_OPTIONAL_LOCKS", "0");
        command.stdin(Stdio::piped());
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut group = Group::spawn(&mut command).map_err(|e| {
            self.problem(format!("git could not be started: {e}"))
                .next("install git, or leave --since out")
        })?;
        let (stdin, stdout, stderr) = (group.stdin(), group.stdout(), group.stderr());
        let write = async {
            if let Some(mut stdin) = stdin {
                // It need not read all of it.
                let _ = stdin.write_all(&input).await;
            }
        };
        let (mut out, mut said) = (Vec::new(), Vec::new());
        let read = async {
            match stdout {
                Some(mut stdout) => stdout.read_to_end(&mut out).await.map(drop),
                None => Ok(()),
            }
        };
        let read_said = async {
            match stderr {
                Some(mut stderr) => stderr.read_to_end(&mut said).await.map(drop),
                None => Ok(()),
            }
        };
        let ((), read, read_said) = tokio::join!(write, read, read_said);
        let ended = group.wait().await.map_err(|e| self.problem(e))?;
        read.and(read_said).map_err(|e| self.problem(e))?;
        if ended.success() {
            return Ok(out);
        }
        let said = String::from_utf8_lossy(&said);
        Err(self.problem(match said.trim().lines().next() {
            Some(line) => line.trim_start_matches("fatal: ").to_owned(),
            None => format!(
                "git {} ended with {ended}",
                arguments.first().unwrap_or(&"")
            ),
        }))
    }

    /// The folder as it was.
    async fn tree(&self, commit: &str) -> Result<Tree> {
        let listed = self
            .run(&["ls-tree", "-r", "-z", commit], Vec::new())
            .await?;
        let mut files: Vec<(String, String)> = Vec::new();
        for line in listed.split(|b| *b == 0) {
            let line = String::from_utf8_lossy(line);
            // `<mode> blob <id>\t<path>`; a link's text is no migration.
            if let Some((what, path)) = line.split_once('\t')
                && let [mode, "blob", id] = what.split(' ').collect::<Vec<_>>().as_slice()
                && *mode != "120000"
                && path
                    .rsplit_once('.')
                    .is_some_and(|(_, end)| matches!(end, "sql" | "plan" | "conf" | "toml"))
                && !path
                    .split('/')
                    .any(|part| part.starts_with('.') || part == "node_modules")
            {
                files.push(((*id).to_owned(), path.to_owned()));
            }
        }
        let ids: String = files.iter().map(|(id, _)| format!("{id}\n")).collect();
        let contents = self.run(&["cat-file", "--batch"], ids.into_bytes()).await?;
        let contents = blobs(&contents, files.len());
        if contents.len() != files.len() {
            return Err(self.problem("git did not give all of the files"));
        }
        let files = files
            .into_iter()
            .zip(contents)
            .map(|((_, path), bytes)| Entry {
                shown: self.dir.join(&path).display().to_string(),
                path,
                bytes: Ok(bytes),
            });
        Ok(Tree {
            shown: self.dir.display().to_string(),
            files: files.collect(),
        })
    }
}

/// `<id> blob <size>`, the bytes, and a line's end, again and again.
fn blobs(mut rest: &[u8], count: usize) -> Vec<Vec<u8>> {
    let mut found = Vec::new();
    while found.len() < count {
        let Some(end) = rest.iter().position(|b| *b == b'\n') else {
            break;
        };
        let head = String::from_utf8_lossy(&rest[..end]);
        let size = head
            .rsplit(' ')
            .next()
            .and_then(|s| s.parse::<usize>().ok());
        let Some(size) = size else { break };
        let from = end + 1;
        let Some(bytes) = rest.get(from..from + size) else {
            break;
        };
        found.push(bytes.to_vec());
        rest = rest.get(from + size + 1..).unwrap_or_default();
    }
    found
}

/// What must not have happened: what others may have applied was edited or deleted, or something
/// new sorts before it.
pub fn since(before: &Before, now: &Reading) -> Vec<Finding> {
    let mut findings = Vec::new();
    let reference = &before.reference;
    let here = keyed(now);
    for (key, old) in keyed(&before.parted) {
        match here.get(&key) {
            None => findings.push(
                error(
                    "deleted-migration",
                    format!("{reference} has this migration, and it is not here any more"),
                )
                .of(&old.up.path)
                .why("where it ran already, nothing takes it back; elsewhere it never runs")
                .next("put it back; a new migration takes back what it did"),
            ),
            Some(new) => findings.extend(edited(old, new, now.convention, reference)),
        }
    }
    let parted = keyed(&before.parted);
    for (key, theirs) in keyed(&before.newest) {
        if let (Some(ours), false) = (here.get(&key), parted.contains_key(&key))
            && !same(theirs.up.sql(), ours.up.sql())
        {
            findings.push(
                error(
                    "version-taken",
                    format!(
                        "{reference} has taken this version meanwhile, for {}",
                        theirs.up.path
                    ),
                )
                .of(&ours.up.path)
                .next("give this one the next free number"),
            );
        }
    }
    findings.extend(out_of_order(before, now));
    findings.sort_by(|a, b| a.file.cmp(&b.file));
    findings
}

/// The first of the migrations that was not there, or had another text, where the branches parted.
pub fn first_new(before: &Before, now: &Reading) -> usize {
    let there = keyed(&before.parted);
    let repeated: HashMap<&str, &str> = before
        .parted
        .migrations
        .iter()
        .filter(|m| m.version.is_none())
        .map(|m| (m.name.as_str(), m.up.sql()))
        .collect();
    let mut times: HashMap<&str, usize> = HashMap::new();
    let is_new = |migration: &Migration, times: usize| {
        let old = match migration.version {
            Some(_) => {
                let old = there.get(&key(now.convention, migration, times));
                old.map(|old| old.up.sql())
            }
            None => repeated.get(migration.name.as_str()).copied(),
        };
        old != Some(migration.up.sql())
    };
    let first = now.migrations.iter().position(|migration| {
        let times = times.entry(&migration.name).or_default();
        *times += 1;
        is_new(migration, *times)
    });
    first.unwrap_or(now.migrations.len())
}

/// A migration for the comparison: what does not change when others are added. Those that run
/// whenever they change may change.
fn keyed(reading: &Reading) -> HashMap<String, &Migration> {
    let mut found = HashMap::new();
    let mut times: HashMap<&str, usize> = HashMap::new();
    for migration in reading.migrations.iter().filter(|m| m.version.is_some()) {
        let times = times.entry(&migration.name).or_default();
        *times += 1;
        found.insert(key(reading.convention, migration, *times), migration);
    }
    found
}

fn key(convention: Convention, migration: &Migration, times: usize) -> String {
    match (convention, &migration.version) {
        // A reworked change keeps its name and its place among those of the name.
        (Convention::Sqitch, _) | (_, None) => format!("{}@{times}", migration.name),
        (_, Some(version)) => {
            let parts: Vec<String> = version.significant().iter().map(u64::to_string).collect();
            parts.join(".")
        }
    }
}

/// Whether git or an editor writes CRLF is no change.
fn same(a: &str, b: &str) -> bool {
    a.replace("\r\n", "\n") == b.replace("\r\n", "\n")
}

fn edited(
    old: &Migration,
    new: &Migration,
    convention: Convention,
    reference: &str,
) -> Option<Finding> {
    let next = "take the change back, and make a new migration of it";
    if !same(old.up.sql(), new.up.sql()) {
        return Some(
            error("edited-migration", format!("{reference} has this migration with another text"))
                .of(&new.up.path)
                .why("where it ran already the change never arrives, and its checksum does not fit any more")
                .next(next),
        );
    }
    let name_counts = matches!(convention, Convention::Refinery | Convention::Flyway);
    (name_counts && old.name != new.name).then(|| {
        error(
            "renamed-migration",
            format!("{reference} has this migration as `{}`", old.name),
        )
        .of(&new.up.path)
        .why(format!(
            "{convention} writes the name into its history, and does not know it any more"
        ))
        .next("give it its old name back")
    })
}

/// What is new here and comes before something that the reference has.
fn out_of_order(before: &Before, now: &Reading) -> Vec<Finding> {
    let there = keyed(&before.newest);
    let mut times: HashMap<&str, usize> = HashMap::new();
    let ordered: Vec<(bool, &Migration)> = now
        .migrations
        .iter()
        .filter(|m| m.version.is_some())
        .map(|m| {
            let times = times.entry(&m.name).or_default();
            *times += 1;
            (there.contains_key(&key(now.convention, m, *times)), m)
        })
        .collect();
    // By the plan's order for sqitch; otherwise by the newest that the reference has, which may
    // not have arrived here.
    let newest = match now.convention {
        Convention::Sqitch => ordered
            .iter()
            .rev()
            .find(|(known, _)| *known)
            .map(|(_, m)| *m),
        Convention::Refinery
        | Convention::Flyway
        | Convention::Sqlx
        | Convention::GolangMigrate
        | Convention::Goose
        | Convention::Dbmate
        | Convention::Diesel
        | Convention::Numbered
        | Convention::Folders => there
            .values()
            .copied()
            .max_by(|a, b| a.version.cmp(&b.version)),
    };
    let Some(newest) = newest else {
        return Vec::new();
    };
    let late = ordered
        .into_iter()
        .filter(|(known, m)| !known && m.version < newest.version);
    late.map(|(_, m)| {
        let message = format!(
            "is new, and sorts before {}, which {} has already",
            newest.up.path, before.reference
        );
        error("out-of-order", message)
            .of(&m.up.path)
            .why("where the later one ran already, tools skip it in silence, refuse it, or run it in another order than elsewhere")
            .next("give it a version after all that are there")
    })
    .collect()
}

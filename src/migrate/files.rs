//! Reading migrations, and saying everything that is wrong with their files at once.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use refinery_core::Migration;

use super::conventions::{self, Convention, Entry, Reading, Tree};
use super::statements;
use crate::error::{Exit, Problem, Result};
use crate::settings::Settings;

macro_rules! built_in {
    ($file:literal) => {
        ($file, include_str!(concat!("../../migrations/", $file)))
    };
}

/// The migrations that dbctl carries, by file name.
const BUILT_IN: &[(&str, &str)] = &[
    built_in!("V0001__roles.sql"),
    built_in!("V0002__schemas.sql"),
    built_in!("V0003__signing_keys.sql"),
    built_in!("V0004__revocations.sql"),
    built_in!("V0005__nonce_watermarks.sql"),
    built_in!("V0006__policy_decisions.sql"),
    built_in!("V0007__events.sql"),
    built_in!("V0008__request_trace.sql"),
    built_in!("V0009__privileges.sql"),
    built_in!("V0010__key_encryption_keys.sql"),
    built_in!("V0011__key_lifecycle.sql"),
    built_in!("V0012__revocations_followed_and_purged.sql"),
    built_in!("V0013__decisions_kept.sql"),
    built_in!("V0014__privileges.sql"),
];

/// Of those, the ones from here on are judged: what was released stays as it is.
pub const FIRST_UNRELEASED: &str = "15";

/// Where migrations come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// dbctl's own schema.
    BuiltIn,
    /// A folder, searched with its subfolders as refinery does.
    Dir(PathBuf),
}

impl Source {
    /// `--dir`, else `migrations.dir` of the settings file, else what dbctl carries.
    pub fn resolve(dir: Option<&Path>, settings: &Settings) -> Source {
        match dir.or(settings.config.migrations.dir.as_deref()) {
            Some(dir) => Source::Dir(dir.to_owned()),
            None => Source::BuiltIn,
        }
    }

    /// Its migrations, whatever convention they follow.
    ///
    /// # Errors
    /// When the folder cannot be read, or its convention cannot be told.
    pub fn read(&self, forced: Option<Convention>) -> Result<Reading> {
        self.recognize(&self.tree()?, forced)
    }

    /// The same of its [`tree`](Self::tree).
    ///
    /// # Errors
    /// When the convention cannot be told.
    pub fn recognize(&self, tree: &Tree, forced: Option<Convention>) -> Result<Reading> {
        match self {
            Source::Dir(_) => conventions::read(tree, forced),
            Source::BuiltIn => conventions::read(tree, Some(Convention::Refinery)),
        }
    }

    /// Its files, whatever convention they follow.
    ///
    /// # Errors
    /// When the folder cannot be read.
    pub fn tree(&self) -> Result<Tree> {
        match self {
            Source::Dir(dir) => Tree::of(dir),
            Source::BuiltIn => Ok(Tree {
                shown: self.to_string(),
                files: BUILT_IN
                    .iter()
                    .map(|(name, sql)| Entry {
                        path: (*name).to_owned(),
                        shown: (*name).to_owned(),
                        bytes: Ok(sql.as_bytes().to_vec()),
                    })
                    .collect(),
            }),
        }
    }
}

impl std::fmt::Display for Source {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Source::BuiltIn => f.write_str("the migrations in dbctl"),
            Source::Dir(dir) => dir.display().fmt(f),
        }
    }
}

/// One migration as it lies in its file.
#[derive(Debug, Clone)]
pub struct File {
    /// For people: the path, or the bare name of one that dbctl carries.
    pub path: String,
    /// The exact text: every byte of it is part of the checksum.
    pub sql: String,
    pub(super) migration: Migration,
}

impl File {
    pub fn version(&self) -> i32 {
        self.migration.version()
    }

    /// The part after `V<number>__`.
    pub fn name(&self) -> &str {
        self.migration.name()
    }

    /// refinery's: SipHash-1-3 over name, version and text.
    pub fn checksum(&self) -> u64 {
        self.migration.checksum()
    }

    /// `V` migrations run in order; `U` ones (unversioned, in refinery's words) whenever they
    /// are pending.
    pub fn is_ordered(&self) -> bool {
        self.migration.to_string().starts_with('V')
    }

    /// `V0004 revocations`, with the number as the file writes it.
    pub fn title(&self) -> String {
        let stem = Path::new(&self.path).file_stem().unwrap_or_default();
        stem.to_string_lossy().replacen("__", " ", 1)
    }
}

/// Reads every migration of `source`, in the order in which they run. Any mistake is an error
/// that has all the others as related ones.
pub fn load(source: &Source) -> Result<Vec<File>> {
    let (files, problems) = read(source)?;
    match combined(problems) {
        None => Ok(files),
        Some(problem) => Err(problem),
    }
}

/// One problem out of several: the first, with the others as related ones.
pub(super) fn combined(problems: Vec<Problem>) -> Option<Problem> {
    let mut problems = problems.into_iter();
    let first = problems.next()?;
    Some(first.related(problems))
}

/// Reads what can be read, and says what is wrong with each file. Fails only when the folder
/// itself cannot be read.
pub fn read(source: &Source) -> Result<(Vec<File>, Vec<Problem>)> {
    let texts: Vec<(String, Result<Vec<u8>, std::io::Error>)> = match source {
        Source::BuiltIn => BUILT_IN
            .iter()
            .map(|(name, sql)| ((*name).to_owned(), Ok(sql.as_bytes().to_vec())))
            .collect(),
        Source::Dir(dir) => sql_files(dir)?
            .into_iter()
            .map(|path| (path.display().to_string(), std::fs::read(&path)))
            .collect(),
    };
    let mut files = Vec::new();
    let mut problems = Vec::new();
    for (path, bytes) in texts {
        match parse(&path, bytes) {
            Ok(file) => files.push(file),
            Err(problem) => problems.push(problem),
        }
    }
    files.sort_by_key(File::version);
    problems.extend(duplicates(&files));
    Ok((files, problems))
}

/// Everything in `dir` that means to be a migration, sorted by name.
fn sql_files(dir: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let mut folders = vec![dir.to_owned()];
    while let Some(folder) = folders.pop() {
        let unreadable = |e: std::io::Error| {
            Problem::new(
                Exit::Config,
                format!("reading the migrations in {}", folder.display()),
                e,
            )
            .next("--dir names the folder; without it dbctl uses the migrations that it carries")
        };
        for entry in std::fs::read_dir(&folder).map_err(unreadable)? {
            let entry = entry.map_err(unreadable)?;
            let path = entry.path();
            if entry.file_type().map_err(unreadable)?.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|e| e == "sql" || e == "rs") {
                found.push(path);
            }
        }
    }
    found.sort();
    Ok(found)
}

fn parse(path: &str, bytes: Result<Vec<u8>, std::io::Error>) -> Result<File> {
    let wrong = |cause: &dyn std::fmt::Display| {
        Problem::new(Exit::Config, format!("reading {path}"), cause)
    };
    let file = Path::new(path);
    let stem = file
        .file_stem()
        .and_then(|s| s.to_str())
        .unwrap_or_default();
    if file.extension().is_some_and(|e| e == "rs") {
        return Err(wrong(
            &"migrations written in Rust run only in the program that they are compiled into",
        )
        .next("write it as SQL, or keep the file elsewhere"));
    }
    check_name(stem).map_err(|cause| {
        wrong(&cause).next("name it V<number>__<name>.sql, such as V0010__add_orders.sql; a name is made of letters, digits and _")
    })?;
    let bytes = bytes.map_err(|e| wrong(&e))?;
    let sql = String::from_utf8(bytes).map_err(|e| not_utf8(path, e))?;
    if sql.trim().is_empty() {
        return Err(wrong(&"the file is empty")
            .next("write the SQL, or remove the file; a comment is enough if it must stay"));
    }
    if sql.starts_with('\u{feff}') {
        return Err(
            wrong(&"the file starts with a byte order mark, which Postgres takes for SQL")
                .at(path, sql, (0, 3), "remove these bytes")
                .next("save it as UTF-8 without BOM"),
        );
    }
    if let Some(line) = conflict_marker(&sql) {
        return Err(wrong(&"the file holds a merge conflict")
            .at(path, sql, line, "left by a merge")
            .next("choose one side and remove the marker lines"));
    }
    // refinery parses the stem and computes the checksum.
    let migration = Migration::unapplied(stem, &sql).map_err(|e| wrong(&e))?;
    Ok(File {
        path: path.to_owned(),
        sql,
        migration,
    })
}

/// refinery's pattern is `^[UV](\d+)__(\w+)$`; this says which part of it does not fit.
fn check_name(stem: &str) -> Result<(), String> {
    let Some(rest) = stem.strip_prefix(['V', 'U']) else {
        return Err("the file's name does not start with V".to_owned());
    };
    let digits = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let (number, rest) = rest.split_at(digits);
    if number.is_empty() {
        return Err("the file's name has no number after the V".to_owned());
    }
    if number.parse::<i32>().is_err() {
        return Err(format!(
            "the number {number} is too great: {} is the greatest",
            i32::MAX
        ));
    }
    let Some(name) = rest.strip_prefix("__") else {
        return Err("the file's name has no two underscores after the number".to_owned());
    };
    match name.chars().find(|c| !(c.is_alphanumeric() || *c == '_')) {
        Some(c) => Err(format!("the file's name holds `{}`", c.escape_debug())),
        None if name.is_empty() => Err("the file's name ends after the underscores".to_owned()),
        None => Ok(()),
    }
}

fn not_utf8(path: &str, e: std::string::FromUtf8Error) -> Problem {
    let start = e.utf8_error().valid_up_to();
    let good = String::from_utf8_lossy(&e.as_bytes()[..start]).into_owned();
    let line = good.matches('\n').count() + 1;
    Problem::new(
        Exit::Config,
        format!("reading {path}"),
        format!("line {line} is not UTF-8"),
    )
    .at(
        path,
        good + "\u{fffd}",
        (start, 3),
        "not UTF-8 from here on",
    )
    .next("convert the file, for example: iconv -f LATIN1 -t UTF-8")
}

/// Byte offset and length of the first line that git left there.
fn conflict_marker(sql: &str) -> Option<(usize, usize)> {
    let mut offset = 0;
    for line in sql.split_inclusive('\n') {
        if line.starts_with("<<<<<<< ") || line.starts_with(">>>>>>> ") {
            return Some((offset, line.trim_end().len()));
        }
        offset += line.len();
    }
    None
}

fn duplicates(files: &[File]) -> Vec<Problem> {
    let mut by_version: BTreeMap<i32, Vec<&File>> = BTreeMap::new();
    for file in files {
        by_version.entry(file.version()).or_default().push(file);
    }
    by_version
        .into_iter()
        .filter(|(_, files)| files.len() > 1)
        .map(|(version, files)| {
            let paths: Vec<&str> = files.iter().map(|f| f.path.as_str()).collect();
            Problem::new(
                Exit::Config,
                "ordering the migrations",
                format!(
                    "version {version} is there more than once: {}",
                    paths.join(", ")
                ),
            )
            .next("give the one that is not applied anywhere yet the next free number")
        })
        .collect()
}

/// What would break the promise that a migration and its history row happen together: a file
/// that begins or ends transactions itself.
pub(super) fn transaction_control(file: &File) -> Option<Problem> {
    let statement = statements::split(&file.sql)
        .into_iter()
        .find(|range| statements::ends_transaction(&file.sql[range.clone()]))?;
    Some(
        Problem::new(
            Exit::Findings,
            format!("reading {}", file.path),
            "the file begins or ends a transaction itself",
        )
        .at(&file.path, &file.sql, statement, "leave it out")
        .next("each migration already runs in one transaction, together with its history row"),
    )
}

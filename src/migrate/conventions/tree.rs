//! The files below a folder.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use super::{Entry, Tree};
use crate::error::{Exit, Problem, Result};

/// Beyond that it is data and no migration.
const GREATEST_BYTES: u64 = 64 * 1024 * 1024;

/// What is read: SQL, what sqitch plans, and settings.
const READ: [&str; 4] = ["sql", "toml", "conf", "plan"];

/// What programs make SQL of, and the languages that migrations are written in beside SQL. Only
/// the names of these matter.
pub(super) const TEMPLATES: [&str; 5] = ["j2", "jinja", "tmpl", "gotmpl", "erb"];
pub(super) const LANGUAGES: [(&str, &str); 13] = [
    ("go", "Go"),
    ("py", "Python"),
    ("rs", "Rust"),
    ("js", "JavaScript"),
    ("mjs", "JavaScript"),
    ("cjs", "JavaScript"),
    ("ts", "TypeScript"),
    ("java", "Java"),
    ("kt", "Kotlin"),
    ("rb", "Ruby"),
    ("php", "PHP"),
    ("groovy", "Groovy"),
    ("sh", "shell"),
];

impl Entry {
    /// The part of its path after the last `/`.
    pub fn name(&self) -> &str {
        self.path.rsplit('/').next().unwrap_or(&self.path)
    }

    /// The folder that it lies in, empty for the uppermost.
    pub fn folder(&self) -> &str {
        self.path.rsplit_once('/').map_or("", |(folder, _)| folder)
    }
}

/// The end of a name after its last dot, in small letters.
pub(super) fn extension(name: &str) -> String {
    let end = name.rsplit_once('.').map_or("", |(_, end)| end);
    end.to_ascii_lowercase()
}

impl Tree {
    /// Reads what is in a folder and in those below it; hidden ones and `node_modules` are left
    /// out. A file that cannot be read is an entry that says why.
    ///
    /// # Errors
    /// When the folder, or one below it, cannot be read.
    pub fn of(dir: &Path) -> Result<Tree> {
        let mut tree = Tree {
            shown: dir.display().to_string(),
            files: Vec::new(),
        };
        // A link may lead back to where it came from.
        let mut seen = HashSet::new();
        let mut folders = vec![(dir.to_owned(), String::new())];
        while let Some((folder, below)) = folders.pop() {
            let unreadable = |e: std::io::Error| unreadable(&folder, &e);
            if !seen.insert(folder.canonicalize().map_err(unreadable)?) {
                continue;
            }
            for entry in std::fs::read_dir(&folder).map_err(unreadable)? {
                let entry = entry.map_err(unreadable)?;
                let name = entry.file_name().to_string_lossy().into_owned();
                if name.starts_with('.') {
                    continue;
                }
                let path = match below.as_str() {
                    "" => name.clone(),
                    below => format!("{below}/{name}"),
                };
                // Follows links.
                match entry.path().metadata() {
                    Ok(met) if met.is_dir() => {
                        if name != "node_modules" {
                            folders.push((entry.path(), path));
                        }
                    }
                    met => tree.files.extend(file(entry.path(), path, met)),
                }
            }
        }
        tree.files.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(tree)
    }
}

fn unreadable(folder: &Path, e: &std::io::Error) -> Problem {
    Problem::new(
        Exit::Config,
        format!("reading the migrations in {}", folder.display()),
        e,
    )
    .next("--dir names the folder; without it dbctl uses the migrations that it carries")
}

/// None for what has nothing to do with migrations.
fn file(at: PathBuf, path: String, met: std::io::Result<std::fs::Metadata>) -> Option<Entry> {
    let extension = extension(&path);
    let is = |known: &str| known == extension;
    let by_name =
        TEMPLATES.into_iter().any(is) || LANGUAGES.into_iter().any(|(known, _)| is(known));
    let bytes = match met {
        _ if by_name => Ok(Vec::new()),
        _ if !READ.into_iter().any(is) => return None,
        Err(e) => Err(e.to_string()),
        // To open a pipe would wait for whoever writes into it.
        Ok(met) if !met.is_file() => Err("it is no regular file".to_owned()),
        Ok(met) if met.len() > GREATEST_BYTES => Err(format!(
            "it is greater than {} MB",
            GREATEST_BYTES / 1024 / 1024
        )),
        Ok(_) => std::fs::read(&at).map_err(|e| e.to_string()),
    };
    Some(Entry {
        path,
        shown: at.display().to_string(),
        bytes,
    })
}

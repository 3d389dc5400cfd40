//! A new migration file with the next number.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use super::files::{self, Source};
use crate::error::{Doing, Exit, Problem, Result};

/// Creates `V<next>__<name>.sql` in `dir`, with as many digits as the highest one there. Never
/// overwrites. Spaces and dashes in `name` become underscores.
pub fn create(dir: &Path, name: &str) -> Result<PathBuf> {
    let doing = format!("creating a migration in {}", dir.display());
    let name: String = name
        .trim()
        .chars()
        .map(|c| {
            if c == '-' || c.is_whitespace() {
                '_'
            } else {
                c
            }
        })
        .collect();
    let fits = |c: char| c.is_alphanumeric() || c == '_';
    if name.is_empty() || !name.chars().all(fits) {
        return Err(Problem::new(
            Exit::Usage,
            doing,
            format!("`{}` cannot be part of a file name", name.escape_debug()),
        )
        .next("use letters, digits and _, for example: dbctl migrate new add_orders"));
    }
    // The first migration makes its folder; one in a folder that is not there is a typing error.
    match std::fs::create_dir(dir) {
        Err(e) if e.kind() != std::io::ErrorKind::AlreadyExists => {
            return Err(Problem::new(Exit::Config, doing, e)
                .next("--dir names the folder; only its last part is made"));
        }
        Ok(()) | Err(_) => {}
    }
    let files = files::load(&Source::Dir(dir.to_owned()))?;
    let last = files.last();
    let version = match last.map_or(0, |f| f.version()).checked_add(1) {
        Some(version) => version,
        None => {
            return Err(Problem::new(
                Exit::Config,
                doing,
                "there is no greater number left",
            ));
        }
    };
    let width = last.map_or(4, |f| digits(&f.path));
    let path = dir.join(format!("V{version:0width$}__{name}.sql"));
    let mut file = std::fs::File::create_new(&path)
        .doing(Exit::Config, format!("creating {}", path.display()))?;
    file.write_all(
        b"-- What this changes, and why.\n\
          -- It runs in one transaction, together with its row in the schema history.\n",
    )
    .doing(Exit::Failed, format!("writing {}", path.display()))?;
    Ok(path)
}

/// How many digits the number in a migration's file name has.
fn digits(path: &str) -> usize {
    let name = Path::new(path).file_name().unwrap_or_default();
    name.to_string_lossy()
        .chars()
        .skip(1)
        .take_while(char::is_ascii_digit)
        .count()
}

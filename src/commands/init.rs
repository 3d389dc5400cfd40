//! A beginning for somebody's own service: settings, a runbook and a first migration.

use std::fmt::{self, Write as _};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use clap::Args;
use serde::Serialize;

use super::Context;
use crate::error::{Doing as _, Exit, Result};
use crate::ui::{Report, Screen};

#[derive(Debug, Args)]
#[command(after_help = "Example:\n  dbctl init\n  dbctl init services/auth")]
pub struct InitArgs {
    /// Folder to write into; it is made where it is missing
    #[arg(default_value = ".")]
    dir: PathBuf,
}

/// What is written, each file beside its text.
const FILES: [(&str, &str); 3] = [
    ("dbctl.toml", include_str!("init/dbctl.toml")),
    ("runbooks/my-cutover.md", include_str!("init/my-cutover.md")),
    (
        "migrations/V0001__first_table.sql",
        include_str!("init/V0001__first_table.sql"),
    ),
];

/// What became of each file.
#[derive(Debug, Default, Serialize)]
struct Begun {
    /// The folder that was written into.
    dir: PathBuf,
    written: Vec<PathBuf>,
    /// What was there already, untouched.
    left_alone: Vec<PathBuf>,
}

impl Report for Begun {
    const SCHEMA: &'static str = "dbctl.init/1";

    fn human(&self, out: &mut Screen) -> fmt::Result {
        for file in &self.written {
            writeln!(out, "written     {}", file.display())?;
        }
        for file in &self.left_alone {
            writeln!(out, "left alone  {} (it was there)", file.display())?;
        }
        if self.written.is_empty() {
            return writeln!(out, "Nothing to write: everything was there.");
        }
        out.write_str("\nNext:\n")?;
        if self.dir != Path::new(".") {
            writeln!(out, "  cd {}", self.dir.display())?;
        }
        out.write_str(
            "  dbctl migrate validate        run the migrations on a scratch database\n  \
             dbctl runbook check runbooks/my-cutover.md\n  \
             fill in [environments.*] in dbctl.toml, then\n  \
             dbctl --env staging preflight\n",
        )
    }
}

pub fn run(args: InitArgs, context: &Context) -> Result<Exit> {
    let mut begun = Begun {
        dir: args.dir,
        ..Begun::default()
    };
    for (name, text) in FILES {
        let file = begun.dir.join(name);
        let folder = crate::durable::parent(&file);
        let doing = format!("writing {}", file.display());
        // Beside migrations of their own, an example would be one more version 1.
        if name.starts_with("migrations/") && holds_files(folder).doing(Exit::Failed, &doing)? {
            begun.left_alone.push(folder.to_owned());
        } else if write_new(&file, text).doing(Exit::Failed, &doing)? {
            begun.written.push(file);
        } else {
            begun.left_alone.push(file);
        }
    }
    context.ui.report(&begun)?;
    Ok(Exit::Ok)
}

fn holds_files(folder: &Path) -> io::Result<bool> {
    match std::fs::read_dir(folder) {
        Ok(mut entries) => Ok(entries.next().is_some()),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(e) => Err(e),
    }
}

/// Writes a file that is not there yet; says whether it did. What is there, a dangling link
/// included, is never touched.
fn write_new(file: &Path, text: &str) -> io::Result<bool> {
    std::fs::create_dir_all(crate::durable::parent(file))?;
    match std::fs::File::create_new(file) {
        Ok(mut new) => new.write_all(text.as_bytes()).map(|()| true),
        Err(e) if e.kind() == io::ErrorKind::AlreadyExists => Ok(false),
        Err(e) => Err(e),
    }
}

//! Manual pages, generated from the command tree.

use std::path::{Path, PathBuf};

use clap::{Args, CommandFactory as _};
use clap_mangen::Man;

use super::written::Written;
use super::{Cli, Context};
use crate::error::{Doing as _, Exit, Result};

#[derive(Debug, Args)]
#[command(after_help = "Example:\n  dbctl man | man -l -\n  dbctl man ~/.local/share/man/man1")]
pub struct ManArgs {
    /// Folder for the pages of all commands; without it the page of dbctl goes to stdout
    dir: Option<PathBuf>,
}

pub fn run(args: ManArgs, context: &Context) -> Result<Exit> {
    let mut root = Cli::command();
    root.build();
    let Some(dir) = args.dir else {
        context.ui.data(&page(root)?)?;
        return Ok(Exit::Ok);
    };
    std::fs::create_dir_all(&dir).doing(Exit::Failed, doing(&dir))?;
    let mut written = Written::default();
    write_pages(&root, &dir, &mut written.files)?;
    context.ui.report(&written)?;
    Ok(Exit::Ok)
}

/// The page of `command` and those of everything below it.
fn write_pages(command: &clap::Command, dir: &Path, files: &mut Vec<PathBuf>) -> Result<()> {
    let name = Man::new(command.clone()).get_filename();
    let file = dir.join(name);
    std::fs::write(&file, page(command.clone())?).doing(Exit::Failed, doing(dir))?;
    files.push(file);
    command
        .get_subcommands()
        .filter(|sub| !sub.is_hide_set())
        .try_for_each(|sub| write_pages(sub, dir, files))
}

fn page(command: clap::Command) -> Result<String> {
    let mut text = Vec::new();
    Man::new(command)
        .manual("dbctl manual")
        .render(&mut text)
        .doing(Exit::Failed, "writing a manual page")?;
    Ok(String::from_utf8_lossy(&text).into_owned())
}

fn doing(dir: &Path) -> String {
    format!("writing manual pages into {}", dir.display())
}

//! `dbctl runbook list [DIR]`

use std::fmt::{self, Write as _};
use std::path::{Path, PathBuf};

use clap::Args;
use serde::Serialize;

use super::super::Context;
use crate::error::{Doing, Exit, Problem, Result};
use crate::runbook::model::Runbook;
use crate::ui::{Report, Screen, Tone, printable};

#[derive(Debug, Args)]
#[command(after_help = "Example:\n  dbctl runbook list\n")]
pub struct ListArgs {
    /// Folder to look in
    #[arg(value_name = "DIR", default_value = "runbooks")]
    dir: PathBuf,
}

pub fn run(args: &ListArgs, context: &Context) -> Result<Exit> {
    let doing = format!("listing {}", args.dir.display());
    let mut runbooks = Vec::new();
    match std::fs::read_dir(&args.dir) {
        Ok(entries) => {
            for entry in entries {
                let path = entry.doing(Exit::Config, &doing)?.path();
                if path.extension().is_some_and(|e| e == "md") && path.is_file() {
                    runbooks.extend(listed(&path));
                }
            }
        }
        // Without the default folder there still is the runbook that dbctl carries.
        Err(e) if e.kind() == std::io::ErrorKind::NotFound && args.dir == Path::new("runbooks") => {
        }
        Err(e) => return Err(Problem::new(Exit::Config, doing, e)),
    }
    runbooks.sort_by(|a, b| a.place.cmp(&b.place));
    runbooks.extend(crate::runbook::built_in().map(|r| Listed::new(&r, "built in".into())));
    context.ui.report(&List { runbooks })?;
    Ok(Exit::Ok)
}

/// A file of the folder; `None` when it is a document that has nothing for dbctl.
fn listed(path: &Path) -> Option<Listed> {
    let place = path.display().to_string();
    match crate::runbook::load(path) {
        Ok(runbook) if runbook.steps.is_empty() && runbook.queries.is_empty() => None,
        Ok(runbook) => Some(Listed::new(&runbook, place)),
        Err(problem) => Some(Listed {
            name: path
                .file_stem()
                .map(|s| s.to_string_lossy().into_owned())
                .unwrap_or_default(),
            title: String::new(),
            steps: 0,
            queries: 0,
            mistakes: problem.all_related().len().max(1),
            place,
        }),
    }
}

#[derive(Serialize)]
struct List {
    runbooks: Vec<Listed>,
}

#[derive(Serialize)]
struct Listed {
    name: String,
    title: String,
    /// Steps of the rollout itself.
    steps: usize,
    queries: usize,
    /// How many mistakes keep it from being used.
    mistakes: usize,
    /// The file, or `built in`.
    place: String,
}

impl Listed {
    fn new(runbook: &Runbook, place: String) -> Self {
        Self {
            name: runbook.name.clone(),
            title: runbook.title.clone(),
            steps: runbook.steps.len(),
            queries: runbook.queries.len(),
            mistakes: 0,
            place,
        }
    }

    fn contents(&self) -> String {
        let count = |n: usize, one: &str, many: &str| match n {
            0 => None,
            1 => Some(format!("1 {one}")),
            n => Some(format!("{n} {many}")),
        };
        let parts = [
            count(self.mistakes, "mistake", "mistakes"),
            count(self.steps, "step", "steps"),
            count(self.queries, "query", "queries"),
        ];
        parts.into_iter().flatten().collect::<Vec<_>>().join(", ")
    }
}

impl Report for List {
    const SCHEMA: &'static str = "dbctl.runbook.list/1";

    fn human(&self, out: &mut Screen) -> fmt::Result {
        for runbook in &self.runbooks {
            let name = out.tone(Tone::Strong, printable(&runbook.name));
            writeln!(out, "{name}  {}", runbook.contents())?;
            if !runbook.title.is_empty() {
                out.wrapped(2, &printable(&runbook.title))?;
            }
            if runbook.mistakes > 0 {
                writeln!(
                    out,
                    "  next: dbctl runbook check {}",
                    printable(&runbook.place)
                )?;
            } else {
                writeln!(out, "  {}", printable(&runbook.place))?;
            }
        }
        Ok(())
    }
}

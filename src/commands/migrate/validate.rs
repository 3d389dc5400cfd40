use std::fmt::{self, Write as _};

use clap::Args;
use serde::Serialize;

use super::{ScratchArgs, SourceArgs};
use crate::commands::Context;
use crate::error::{Exit, Problem, Result};
use crate::migrate::{self, Validation};
use crate::ui::{Report, Screen, Tone};

#[derive(Debug, Args)]
#[command(after_help = "\
With --env or --database-url the files are also compared with what is applied there.
Ends with status 5 when something was found.

Example:
  dbctl migrate validate --dir migrations
  dbctl migrate validate --scratch native --format json")]
pub struct ValidateArgs {
    #[command(flatten)]
    source: SourceArgs,
    #[command(flatten)]
    scratch: ScratchArgs,
}

#[derive(Debug, Serialize)]
struct Validated {
    ok: bool,
    source: String,
    /// None when mistakes in the files kept them from being run.
    ran_on: Option<String>,
    migrations: usize,
    ran: usize,
    not_judged: usize,
    /// The database whose history they were compared with.
    compared_with: Option<String>,
    elapsed_ms: f64,
    findings: Vec<Finding>,
    #[serde(skip)]
    problems: Vec<Problem>,
}

#[derive(Debug, Serialize)]
struct Finding {
    file: Option<String>,
    line: Option<usize>,
    column: Option<usize>,
    message: String,
    next: Option<String>,
}

impl From<&Problem> for Finding {
    fn from(problem: &Problem) -> Self {
        let place = problem.line_column();
        let (file, line, column) = match place {
            Some((file, line, column)) => (Some(file), Some(line), Some(column)),
            None => (None, None, None),
        };
        Self {
            file,
            line,
            column,
            message: problem.to_string(),
            next: problem.hint().map(str::to_owned),
        }
    }
}

impl Report for Validated {
    const SCHEMA: &'static str = "dbctl.migrate.validate/1";

    fn human(&self, out: &mut Screen) -> fmt::Result {
        for problem in &self.problems {
            out.problem(problem)?;
            writeln!(out)?;
        }
        match &self.ran_on {
            Some(server) => write!(
                out,
                "{} of {} migrations ran on {server} in {:.1} s",
                self.ran,
                self.migrations,
                self.elapsed_ms / 1e3
            )?,
            None => write!(out, "nothing was run")?,
        }
        let count = self.problems.len();
        match count {
            0 => write!(out, " · {}", out.tone(Tone::Good, "no errors"))?,
            _ => {
                let s = if count == 1 { "" } else { "s" };
                write!(
                    out,
                    " · {}",
                    out.tone(Tone::Bad, format!("{count} error{s}"))
                )?;
            }
        }
        if self.not_judged > 0 && self.ran_on.is_some() {
            write!(out, " · {} not judged", self.not_judged)?;
        }
        writeln!(out)?;
        match &self.compared_with {
            Some(database) => writeln!(out, "compared with the history of {database}"),
            None => Ok(()),
        }
    }
}

pub async fn run(args: ValidateArgs, context: &Context) -> Result<Exit> {
    let source = args.source.source(context);
    let (files, mut problems) = migrate::read(&source)?;
    if files.is_empty() && problems.is_empty() {
        return Err(Problem::new(
            Exit::Config,
            format!("validating {source}"),
            "there is no migration",
        )
        .next("`dbctl migrate new NAME` creates one; --dir names another folder"));
    }
    let mut compared_with = None;
    if context.settings.env_name.is_some() || context.settings.database_url.is_some() {
        let (database, _) = context.database()?;
        let status = migrate::status(&database, &files).await?;
        problems.extend(differences(&status));
        compared_with = Some(database.to_string());
    }
    let mut validation = None;
    // In a wrong order, or with a part left out, running them would show nothing.
    if problems.is_empty() {
        let scratch = args.scratch.start().await?;
        let validated = migrate::validate(&files, &scratch).await;
        let stopped = scratch.stop().await;
        let mut validated = validated?;
        stopped?;
        problems.append(&mut validated.findings);
        validation = Some(validated);
    }
    let report = report(&source, files.len(), validation, compared_with, problems);
    context.ui.report(&report)?;
    Ok(if report.ok { Exit::Ok } else { Exit::Findings })
}

fn report(
    source: &migrate::Source,
    migrations: usize,
    validation: Option<Validation>,
    compared_with: Option<String>,
    problems: Vec<Problem>,
) -> Validated {
    let ran = validation.as_ref().map_or(0, |v| v.ran);
    Validated {
        ok: problems.is_empty(),
        source: source.to_string(),
        migrations,
        ran,
        // The one that failed was judged.
        not_judged: match (&validation, problems.is_empty()) {
            (_, true) => 0,
            (Some(_), false) => (migrations - ran).saturating_sub(1),
            (None, false) => migrations,
        },
        compared_with,
        elapsed_ms: validation
            .as_ref()
            .map_or(0.0, |v| v.elapsed.as_secs_f64() * 1e3),
        ran_on: validation.map(|v| v.server),
        findings: problems.iter().map(Finding::from).collect(),
        problems,
    }
}

/// What does not fit together with a history, without looking at what would run.
fn differences(status: &migrate::Status) -> Vec<Problem> {
    status
        .entries
        .iter()
        .filter_map(migrate::Entry::unsound)
        .collect()
}

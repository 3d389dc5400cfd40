use std::fmt::{self, Write as _};

use clap::Args;
use globset::{Glob, GlobSet, GlobSetBuilder};
use serde::Serialize;
use tokio_util::sync::CancellationToken;

use super::{ConventionArgs, ScratchArgs, SourceArgs, until_ctrl_c};
use crate::commands::Context;
use crate::error::{Exit, Problem, Result};
use crate::migrate::catalog::{Catalog, Difference};
use crate::migrate::conventions::{Convention, Reading};
use crate::migrate::finding::Level;
use crate::migrate::trial::{How, on_scratch, until};
use crate::migrate::{self, Source};
use crate::pg::Database;
use crate::ui::{Report, Screen, Tone, printable};

#[derive(Debug, Args)]
#[command(after_help = "\
Runs what is applied there on a scratch database and compares what came of it, thing by thing.
Ends with status 5 when something differs.

Example:
  dbctl --env production migrate drift
  dbctl --env production migrate drift --ignore '*.adhoc_*' --format json")]
pub struct DriftArgs {
    #[command(flatten)]
    source: SourceArgs,
    #[command(flatten)]
    convention: ConventionArgs,
    #[command(flatten)]
    scratch: ScratchArgs,
    /// Leave out what is called so, such as `index *.adhoc_*`; may be repeated
    #[arg(long, value_name = "PATTERN")]
    ignore: Vec<String>,
}

#[derive(Debug, Serialize)]
struct Drift {
    same: bool,
    database: String,
    source: String,
    /// What the migrations were run on.
    ran_on: String,
    applied: usize,
    ignored: usize,
    differences: Vec<Difference>,
}

impl Report for Drift {
    const SCHEMA: &'static str = "dbctl.migrate.drift/1";

    fn human(&self, out: &mut Screen) -> fmt::Result {
        for difference in &self.differences {
            let (sign, tone) = match (&difference.before, &difference.after) {
                (None, Some(_)) => ('+', Tone::Bad),
                (Some(_), None) => ('-', Tone::Bad),
                (None | Some(_), None | Some(_)) => ('~', Tone::Bad),
            };
            let name = printable(&difference.name);
            let head = format!("{sign} {} {name}", difference.kind);
            writeln!(out, "{}", out.tone(tone, head))?;
            for (sign, side) in [('-', &difference.before), ('+', &difference.after)] {
                for line in side.iter().flat_map(|text| text.lines()) {
                    writeln!(out, "    {sign} {}", printable(line.trim()))?;
                }
            }
        }
        write!(
            out,
            "{} after {} migrations, run on {}",
            printable(&self.database),
            self.applied,
            self.ran_on
        )?;
        let said = match self.differences.len() {
            0 => out.tone(Tone::Good, "no drift"),
            1 => out.tone(Tone::Bad, "1 difference"),
            n => out.tone(Tone::Bad, format!("{n} differences")),
        };
        write!(out, " · {said}")?;
        match self.ignored {
            0 => writeln!(out),
            n => writeln!(out, " · {n} ignored"),
        }
    }
}

pub async fn run(args: DriftArgs, context: &Context) -> Result<Exit> {
    let ignore = patterns(&args.ignore)?;
    let source = args.source.source(context);
    let reading = args.convention.read(&source)?;
    let (database, _) = context.database()?;
    database.check().await?;
    if reading.convention == Convention::Refinery {
        fits(&source, &database).await?;
    }
    let applied = migrate::applied(&database, &reading).await?;
    let cancel = until_ctrl_c();
    let (made, ran_on) = made(&applied, &args.scratch, &cancel).await?;
    let there = until(&cancel, Catalog::read(&database)).await?;
    let all = made.differences(&there);
    let total = all.len();
    let differences: Vec<Difference> = all
        .into_iter()
        .filter(|d| !ignore.is_match(format!("{} {}", d.kind, d.name)))
        .collect();
    let drift = Drift {
        same: differences.is_empty(),
        database: database.to_string(),
        source: source.to_string(),
        ran_on,
        applied: applied.migrations.len(),
        ignored: total - differences.len(),
        differences,
    };
    context.ui.report(&drift)?;
    Ok(if drift.same { Exit::Ok } else { Exit::Findings })
}

/// refinery's history knows more than versions: whether the files are those that ran.
async fn fits(source: &Source, database: &Database) -> Result<()> {
    let status = migrate::status(database, &migrate::load(source)?).await?;
    if status.is_sound() {
        return Ok(());
    }
    Err(Problem::new(
        Exit::Findings,
        format!("comparing {database} with {source}"),
        "files and history do not fit together",
    )
    .next(
        "dbctl migrate list says which; without knowing what was applied nothing can be compared",
    ))
}

/// What the migrations make of an empty database, and what that is.
pub(super) async fn made(
    reading: &Reading,
    scratch: &ScratchArgs,
    cancel: &CancellationToken,
) -> Result<(Catalog, String)> {
    let how = How {
        from: usize::MAX,
        ..How::default()
    };
    let (tried, ran_on) = on_scratch(scratch.place(cancel), reading, how, false).await?;
    match tried.findings.into_iter().find(|f| f.level == Level::Error) {
        Some(finding) => Err(reading.problem(finding)),
        None => Ok((tried.catalog, ran_on)),
    }
}

fn patterns(given: &[String]) -> Result<GlobSet> {
    let doing = "reading --ignore";
    let wrong = |e: globset::Error| {
        Problem::new(Exit::Usage, doing, e)
            .next("a kind and a name, with * for any part: 'index *.adhoc_*'")
    };
    let mut set = GlobSetBuilder::new();
    for pattern in given {
        set.add(Glob::new(pattern).map_err(wrong)?);
    }
    set.build().map_err(wrong)
}

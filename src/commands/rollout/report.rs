use std::fmt::{self, Write as _};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use clap::Args;
use serde::Serialize;

use super::break_glass::mirror_of;
use super::session::{RunArgs, find_run, open_journal};
use crate::commands::Context;
use crate::durable;
use crate::error::{Doing as _, Exit, Problem, Result};
use crate::rollout::engine::now_ms;
use crate::rollout::journal::import;
use crate::rollout::report::{Collector, RunReport};
use crate::settings::Format;
use crate::ui::{Report, Screen, Tone, moment, printable, report_page};

#[derive(Debug, Args)]
#[command(after_help = "\
Works for a run in every state, also while it is driven, from the journal alone. The file asks the
network for nothing; only its owner can read it, and one that is there is not overwritten without
--force. With --format json the same facts go to stdout, and a file is only written with --out.

Example:
  dbctl rollout report
  dbctl rollout report --run 7f3c1a --out incident.html
  dbctl rollout report --from incident.jsonl
  dbctl --format json rollout report | jq .post_mortem")]
pub struct ReportArgs {
    #[command(flatten)]
    run: RunArgs,
    /// An exported journal (`rollout log --export`) instead of the journal
    #[arg(long, value_name = "FILE")]
    from: Option<PathBuf>,
    /// The HTML file [default: rollout-RUN.html]
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Replace the file where there is one
    #[arg(long)]
    force: bool,
}

#[derive(Serialize)]
struct Reported {
    /// The HTML file, if one was written.
    file: Option<PathBuf>,
    #[serde(flatten)]
    report: RunReport,
}

pub async fn run(args: ReportArgs, context: &Context) -> Result<Exit> {
    let report = collect(&args, context).await?;
    let named = args.out.clone();
    let file = match context.ui.format {
        Format::Human => named.or_else(|| Some(format!("rollout-{}.html", report.run).into())),
        Format::Json => named,
    };
    if let Some(file) = &file {
        write(file, &report_page(&report), args.force)?;
    }
    context.ui.report(&Reported { file, report })?;
    Ok(Exit::Ok)
}

async fn collect(args: &ReportArgs, context: &Context) -> Result<RunReport> {
    let mut collector = Collector::default();
    if let Some(file) = &args.from {
        let (run, entries) = import(file)?;
        if args.run.run.as_ref().is_some_and(|wanted| *wanted != run) {
            let doing = format!("reading {}", file.display());
            let cause = format!("it holds run {run}");
            return Err(Problem::new(Exit::Usage, doing, cause).next("leave --run out"));
        }
        entries.iter().try_for_each(|entry| collector.take(entry))?;
        return collector.finish(now_ms());
    }
    let journal = match open_journal(context).await {
        Err(problem) if problem.exit() == Exit::Unavailable => {
            let Some((journal, mirror)) = mirror_of(&args.run, context).await? else {
                return Err(problem);
            };
            context.ui.warn(format_args!(
                "{problem}\n  this is what this machine knows of run {}; it may have gone on",
                mirror.run()
            ));
            journal
        }
        opened => opened?,
    };
    let row = find_run(&journal, &args.run).await?;
    let take = |entry| collector.take(&entry);
    journal.walk(&row.run, take).await?;
    collector.finish(now_ms())
}

fn write(file: &Path, html: &str, force: bool) -> Result<()> {
    let doing = || format!("writing {}", file.display());
    let written = match force {
        true => durable::write_private(file, html.as_bytes()),
        false => durable::create_new(file, html.as_bytes()),
    };
    match written {
        Err(e) if e.kind() == ErrorKind::AlreadyExists => {
            Err(Problem::new(Exit::Config, doing(), "it exists already")
                .next("--force replaces it, --out FILE writes another one"))
        }
        written => written.doing(Exit::Config, doing()),
    }
}

impl Report for Reported {
    const SCHEMA: &'static str = "dbctl.rollout-report/1";

    fn human(&self, out: &mut Screen) -> fmt::Result {
        let report = &self.report;
        let status = out.tone(Tone::Strong, report.status.to_string().to_uppercase());
        let head = format!(
            "{} · run {} · {status}",
            printable(&report.runbook),
            report.run
        );
        out.hanging("", &head)?;
        out.wrapped(2, &printable(&report.sentence))?;
        if report.open {
            let last = moment(report.last_event_ms);
            out.wrapped(2, &format!("last event {last}; the run may go on"))?;
        }
        writeln!(out, "journal head {}", report.journal.head)?;
        match &self.file {
            Some(file) => writeln!(out, "{}", printable(&file.display().to_string())),
            None => Ok(()),
        }
    }
}

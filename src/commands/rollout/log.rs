use std::fmt::{self, Write as _};
use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;
use serde::Serialize;
use serde_json::value::RawValue;

use super::gaps::Gaps;
use super::operator::line_of;
use super::session::{RunArgs, find_run, open_journal};
use crate::commands::Context;
use crate::error::{Exit, Problem, Result};
use crate::rollout::journal::{Entry, Head, RunId, export, import};
use crate::rollout::machine::State;
use crate::runbook::plan::Plan;
use crate::ui::{Report, Screen, clock_time};

#[derive(Debug, Args)]
#[command(after_help = "\
The chain is always checked; a break is exit status 17 and names the event. A chain alone does
not show a cut tail: compare with a head that an approval or a stop printed.

Example:
  dbctl rollout log
  dbctl rollout log --run 7f3c1a --export incident.jsonl
  dbctl rollout log --verify incident.jsonl")]
pub struct LogArgs {
    #[command(flatten)]
    run: RunArgs,
    /// Fail unless the journal holds this entry: SEQ:HASH, as it was printed
    #[arg(long, value_name = "SEQ:HASH")]
    expect_head: Option<Head>,
    /// Write the run's events to a new file, to be kept and checked elsewhere
    #[arg(long, value_name = "FILE")]
    export: Option<PathBuf>,
    /// Only say whether the chain is intact; of an exported FILE, on any machine
    #[arg(long, value_name = "FILE", num_args = 0..=1, conflicts_with = "export")]
    verify: Option<Option<PathBuf>>,
}

#[derive(Serialize)]
struct LogReport {
    run: RunId,
    head: String,
    /// The exact records, in order.
    events: Vec<Box<RawValue>>,
    #[serde(skip)]
    entries: Vec<Entry>,
    #[serde(skip)]
    plan: Arc<Plan>,
    /// Only whether the chain is intact.
    #[serde(skip)]
    brief: bool,
}

pub async fn run(args: LogArgs, context: &Context) -> Result<Exit> {
    let (run, entries) = match &args.verify {
        Some(Some(file)) => {
            let (run, entries) = import(file)?;
            if args.run.run.as_ref().is_some_and(|wanted| *wanted != run) {
                let cause = format!("it holds run {run}");
                let doing = format!("checking {}", file.display());
                return Err(Problem::new(Exit::Usage, doing, cause).next("leave --run out"));
            }
            (run, entries)
        }
        Some(None) | None => {
            let journal = open_journal(context).await?;
            let row = find_run(&journal, &args.run).await?;
            let entries = journal.entries(&row.run).await?;
            (row.run, entries)
        }
    };
    let plan = crate::rollout::engine::replay(&entries)?.plan;
    if let Some(expected) = args.expect_head {
        let holds = entries
            .iter()
            .any(|e| e.record.seq == expected.seq && e.hash == expected.hash);
        if !holds {
            return Err(Problem::new(
                Exit::JournalBroken,
                format!("checking run {run} against {expected}"),
                "the journal does not hold that entry: its end was cut, or it was rewritten",
            )
            .next("trust the copy of the head, not this journal"));
        }
    }
    if let Some(file) = &args.export {
        export(file, &run, &entries)?;
        context.ui.status(format_args!(
            "{} events of run {run} are in {}; dbctl rollout log --verify FILE checks them anywhere",
            entries.len(),
            file.display()
        ));
    }
    let head = entries.last().map_or(Head::EMPTY, Entry::head);
    let raw = |e: &Entry| RawValue::from_string(e.body.clone()).expect("the body was parsed");
    context.ui.report(&LogReport {
        run,
        head: head.to_string(),
        events: entries.iter().map(raw).collect(),
        entries,
        plan,
        brief: args.verify.is_some() || args.export.is_some(),
    })?;
    Ok(Exit::Ok)
}

impl Report for LogReport {
    const SCHEMA: &'static str = "dbctl.rollout.log/1";

    fn human(&self, out: &mut Screen) -> fmt::Result {
        let Some(mut state) = self
            .entries
            .first()
            .and_then(|e| State::start(&e.record.event).ok())
        else {
            return writeln!(out, "run {}: no events", self.run);
        };
        let mut gaps = Gaps::default();
        for entry in self.entries.iter().take_while(|_| !self.brief) {
            // The first one made the state; the others were replayed before and are legal.
            let _ = state.apply(&entry.record.event);
            let gap = gaps.before(entry, &state);
            if let Some(text) = gap.or_else(|| line_of(entry, &self.plan, &state)) {
                let (seq, at) = (entry.record.seq, clock_time(entry.record.at_ms));
                out.hanging(&format!("{seq:>5}  {at}  "), &text)?;
            }
        }
        let observations = self.entries.len();
        writeln!(
            out,
            "{observations} events of run {}, hash chain intact",
            self.run
        )?;
        writeln!(out, "journal head {}", self.head)
    }
}

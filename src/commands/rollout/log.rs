use std::fmt::{self, Write as _};

use clap::Args;
use serde::Serialize;
use serde_json::value::RawValue;

use super::operator::line;
use super::session::{RunArgs, find_run, open_journal};
use crate::commands::Context;
use crate::error::{Exit, Problem, Result};
use crate::rollout::journal::{Entry, Head, RunId};
use crate::rollout::machine::State;
use crate::runbook::plan::Plan;
use crate::ui::{Report, Screen, clock_time};

#[derive(Debug, Args)]
#[command(after_help = "\
The chain is always checked; a break is exit status 17 and names the event. A chain alone does
not show a cut tail: compare with a head that an approval or a stop printed.

Example:
  dbctl rollout log
  dbctl rollout log --run 7f3c1a")]
pub struct LogArgs {
    #[command(flatten)]
    run: RunArgs,
    /// Fail unless the journal holds this entry: SEQ:HASH, as it was printed
    #[arg(long, value_name = "SEQ:HASH")]
    expect_head: Option<Head>,
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
    plan: Plan,
}

pub async fn run(args: LogArgs, context: &Context) -> Result<Exit> {
    let journal = open_journal(context).await?;
    let row = find_run(&journal, &args.run).await?;
    let entries = journal.entries(&row.run).await?;
    let (_, plan) = crate::rollout::engine::replay(&entries)?;
    if let Some(expected) = args.expect_head {
        let holds = entries
            .iter()
            .any(|e| e.record.seq == expected.seq && e.hash == expected.hash);
        if !holds {
            return Err(Problem::new(
                Exit::JournalBroken,
                format!("checking run {} against {expected}", row.run),
                "the journal does not hold that entry: its end was cut, or it was rewritten",
            )
            .next("trust the copy of the head, not this journal"));
        }
    }
    let head = entries.last().map_or(Head::EMPTY, |e| Head {
        seq: e.record.seq,
        hash: e.hash,
    });
    let raw = |e: &Entry| RawValue::from_string(e.body.clone()).expect("the body was parsed");
    context.ui.report(&LogReport {
        run: row.run,
        head: head.to_string(),
        events: entries.iter().map(raw).collect(),
        entries,
        plan,
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
        for entry in &self.entries {
            // The first one made the state; the others were replayed before and are legal.
            let _ = state.apply(&entry.record.event);
            if let Some(text) = line(&entry.record.event, &self.plan, &state) {
                let (seq, at) = (entry.record.seq, clock_time(entry.record.at_ms));
                writeln!(out, "{seq:>5}  {at}  {text}")?;
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

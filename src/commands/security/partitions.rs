use std::fmt::{self, Write as _};
use std::time::Duration;

use clap::Args;
use serde::Serialize;
use tokio_util::sync::CancellationToken;

use crate::commands::Context;
use crate::error::{Exit, Problem, Result};
use crate::runtime::decisions::months::{self, Kept, Month, Rows};
use crate::settings::parse_duration;
use crate::ui::{Answer, Report, Screen};

#[derive(Debug, Args)]
#[command(after_help = "\
Run it once a day, from the same timer as `security purge`. A service makes its months at its start
as well; until there is one, decisions go to the default partition and none is lost.

What is dropped is gone: it wants the name of the environment (without one: of the database) typed,
or --confirm. Without purge.decisions and purge.events in the settings, and without the flags,
nothing is ever dropped.

Example:
  dbctl --env prod security partitions
  dbctl --env prod security partitions --keep-events 400d --confirm prod")]
pub struct PartitionsArgs {
    /// How many months ahead of this one there should be
    #[arg(long, value_name = "MONTHS", default_value_t = 3, value_parser = clap::value_parser!(u8).range(1..=24))]
    ahead: u8,
    /// Drop decisions that are older, at least 30d; `purge.decisions` of the settings without it
    #[arg(long, value_name = "TIME", value_parser = kept)]
    keep_decisions: Option<Duration>,
    /// Remove events that are older, at least 30d; `purge.events` of the settings without it
    #[arg(long, value_name = "TIME", value_parser = kept)]
    keep_events: Option<Duration>,
    /// Say what would be dropped, and change nothing
    #[arg(long)]
    dry_run: bool,
    /// Name of the environment (without one: of the database), instead of typing it
    #[arg(long, value_name = "NAME")]
    confirm: Option<String>,
}

fn kept(text: &str) -> Result<Duration, String> {
    let kept = parse_duration(text)?;
    match kept < Duration::from_secs(30 * 24 * 3600) {
        true => Err("less than 30d is never dropped".to_owned()),
        false => Ok(kept),
    }
}

/// `dbctl.security.partitions/1`.
#[derive(Debug, Serialize)]
struct PartitionsReport {
    database: String,
    dry_run: bool,
    /// Months that are there, in the end.
    months: Vec<Month>,
    /// Months that would be dropped (with `dry_run`).
    old: Vec<Month>,
    #[serde(flatten)]
    kept: Kept,
}

impl Report for PartitionsReport {
    const SCHEMA: &'static str = "dbctl.security.partitions/1";

    fn human(&self, out: &mut Screen) -> fmt::Result {
        if let (Some(first), Some(last)) = (self.months.first(), self.months.last()) {
            writeln!(
                out,
                "decisions have {} months, from {} to {}",
                self.months.len(),
                first.since.strftime("%Y-%m"),
                last.since.strftime("%Y-%m")
            )?;
        }
        for month in &self.old {
            writeln!(out, "  would drop {}", named(month))?;
        }
        for month in &self.kept.dropped {
            writeln!(out, "  dropped {}", named(month))?;
        }
        let Kept {
            made,
            decisions_removed,
            events_removed,
            ..
        } = self.kept;
        if self.dry_run {
            return writeln!(out, "Nothing was changed.");
        }
        writeln!(out, "  made {made}")?;
        for (what, removed) in [
            ("decisions without a month", decisions_removed),
            ("events", events_removed),
        ] {
            if removed > 0 {
                writeln!(out, "  removed {removed} {what}")?;
            }
        }
        if self.kept.interrupted {
            writeln!(out, "Interrupted. The next call goes on from here.")?;
        }
        Ok(())
    }
}

fn named(month: &Month) -> String {
    format!(
        "{} ({:.1} MB)",
        month.since.strftime("%Y-%m"),
        month.size_bytes as f64 / 1e6
    )
}

pub async fn run(args: PartitionsArgs, context: &Context) -> Result<Exit> {
    let configured = &context.settings.config.purge;
    let decisions = args.keep_decisions.or(configured.decisions);
    let events = args.keep_events.or(configured.events);
    let (database, environment) = context.database()?;
    let name = environment.map_or(database.name(), |environment| &environment.name);
    context.ui.refuse_other(name, args.confirm.as_deref())?;
    database.check().await?;
    let (all, old) = months::months(&database, decisions).await?;
    let mut report = PartitionsReport {
        database: database.to_string(),
        dry_run: args.dry_run,
        months: all,
        old,
        kept: Kept::default(),
    };
    if args.dry_run {
        context.ui.report(&report)?;
        return Ok(Exit::Ok);
    }
    // Making months harms nobody, and comes first: it must not wait for an answer.
    report.kept.made = months::make_ahead(&database, args.ahead).await?;
    if decisions.is_some() || events.is_some() {
        let mut facts = format!("To be removed for good at {database}:\n");
        for month in &report.old {
            facts += &format!("  the decisions of {}\n", named(month));
        }
        for (what, kept) in [("decisions without a month", decisions), ("events", events)] {
            if let Some(kept) = kept {
                facts += &format!("  {what} older than {} days\n", kept.as_secs() / 86_400);
            }
        }
        let answer = context
            .ui
            .confirm(name, &facts, args.confirm.as_deref())
            .await;
        match answer.map_err(|p| match p.exit() == Exit::Interrupted {
            // Months may have been made.
            true => Problem::new(p.exit(), "", "interrupted; nothing was removed"),
            false => p,
        })? {
            Answer::Confirmed(_) => {}
            Answer::Declined => {
                return Err(Problem::new(Exit::Unconfirmed, "", "nothing was removed"));
            }
        }
        remove(&database, decisions, events, configured.batch, &mut report).await?;
    }
    let interrupted = report.kept.interrupted;
    report.old.clear();
    report.months = months::months(&database, None).await?.0;
    context.ui.report(&report)?;
    Ok(match interrupted {
        true => Exit::Interrupted,
        false => Exit::Ok,
    })
}

async fn remove(
    database: &crate::pg::Database,
    decisions: Option<Duration>,
    events: Option<Duration>,
    batch: u32,
    report: &mut PartitionsReport,
) -> Result<()> {
    let stop = CancellationToken::new();
    let interrupt = stop.clone();
    let listening = tokio::spawn(async move {
        if crate::ui::interrupts::ctrl_c().await {
            interrupt.cancel();
        }
    });
    let done = async {
        if let Some(keep) = decisions {
            for month in std::mem::take(&mut report.old) {
                if stop.is_cancelled() {
                    break;
                }
                months::drop_month(database, &month, keep).await?;
                report.kept.dropped.push(month);
            }
            let rows = Rows::DecisionsWithoutMonth;
            report.kept.decisions_removed =
                months::purge_rows(database, rows, keep, batch, &stop).await?;
        }
        if let Some(keep) = events {
            report.kept.events_removed =
                months::purge_rows(database, Rows::Events, keep, batch, &stop).await?;
        }
        Ok(())
    };
    let done = done.await;
    listening.abort();
    report.kept.interrupted = stop.is_cancelled();
    done
}

use std::fmt::{self, Write as _};
use std::time::{Duration, Instant};

use clap::Args;
use jiff::Timestamp;
use serde::Serialize;
use tokio_util::sync::CancellationToken;

use crate::commands::Context;
use crate::error::{Exit, Result};
use crate::runtime::revocation::purge::{self, Outcome, Purge, Purged};
use crate::settings::parse_duration;
use crate::ui::{Report, Screen, moment};

/// How often a purge says how far it is.
const SAY_EVERY: Duration = Duration::from_secs(5);

#[derive(Debug, Args)]
#[command(after_help = "\
A revocation goes once its token has expired and the clock skew has passed, by the database's clock.
Each batch is a transaction of its own; Ctrl-C ends the purge between two of them, and the next one
goes on where it ended. The role security_janitor is enough for it, and for nothing else; see
docs/revocations.md.

Example:
  dbctl --env production security purge --dry-run
  dbctl --env production security purge --batch 500 --pause 200ms")]
pub struct PurgeArgs {
    /// Say what would go, and change nothing
    #[arg(long)]
    dry_run: bool,
    /// Rows per transaction; `purge.batch` of the settings without it
    #[arg(long, value_name = "ROWS", value_parser = clap::value_parser!(u32).range(1..=100_000))]
    batch: Option<u32>,
    /// Time between two of them; `purge.pause` of the settings without it
    #[arg(long, value_name = "TIME", value_parser = parse_duration)]
    pause: Option<Duration>,
}

/// `dbctl.security.purge/1`.
#[derive(Debug, Serialize)]
struct PurgeReport {
    database: String,
    dry_run: bool,
    #[serde(flatten)]
    outcome: Outcome,
}

impl Report for PurgeReport {
    const SCHEMA: &'static str = "dbctl.security.purge/1";

    fn human(&self, out: &mut Screen) -> fmt::Result {
        for store in &self.outcome.stores {
            let Purged {
                store: name,
                expired,
                removed,
                ..
            } = store;
            match (self.dry_run, store.up_to.or(store.oldest)) {
                (true, Some(oldest)) => writeln!(
                    out,
                    "{name:<9} {expired} would go; the oldest expired at {}",
                    at(oldest)
                )?,
                (false, Some(up_to)) if *removed > 0 => writeln!(
                    out,
                    "{name:<9} {removed} removed, up to those that expired at {}",
                    at(up_to)
                )?,
                (true | false, _) => writeln!(out, "{name:<9} none to remove")?,
            }
        }
        let horizon = at(self.outcome.horizon);
        match (self.dry_run, self.outcome.interrupted) {
            (true, _) => writeln!(out, "Nothing was changed. Later than {horizon}: not yet."),
            (false, true) => writeln!(out, "Interrupted. The next purge goes on from here."),
            (false, false) => writeln!(out, "What expires later than {horizon} stays for now."),
        }
    }
}

fn at(time: Timestamp) -> String {
    moment(u64::try_from(time.as_millisecond()).unwrap_or(0))
}

pub async fn run(args: PurgeArgs, context: &Context) -> Result<Exit> {
    let configured = &context.settings.config.purge;
    let how = Purge {
        batch: args.batch.unwrap_or(configured.batch),
        pause: args.pause.unwrap_or(configured.pause),
        clock_skew: configured.clock_skew,
    };
    let (database, _) = context.database()?;
    database.check().await?;
    let looked = purge::look(&database, &how, Timestamp::now()).await?;
    let report = |outcome| PurgeReport {
        database: database.to_string(),
        dry_run: args.dry_run,
        outcome,
    };
    if args.dry_run {
        context.ui.report(&report(looked))?;
        return Ok(Exit::Ok);
    }
    let stop = CancellationToken::new();
    let interrupt = stop.clone();
    let listening = tokio::spawn(async move {
        if crate::ui::interrupts::ctrl_c().await {
            interrupt.cancel();
        }
    });
    let mut said = Instant::now();
    let mut tell = |store: &Purged| {
        if said.elapsed() >= SAY_EVERY {
            said = Instant::now();
            let Purged {
                store,
                removed,
                expired,
                ..
            } = store;
            context.ui.status(format_args!(
                "{store}   {removed} of {expired} removed   (Ctrl-C stops between two batches)"
            ));
        }
    };
    let done = purge::purge(&database, &how, looked, &stop, &mut tell).await;
    listening.abort();
    let outcome = done?;
    let exit = match outcome.interrupted {
        true => Exit::Interrupted,
        false => Exit::Ok,
    };
    context.ui.report(&report(outcome))?;
    Ok(exit)
}

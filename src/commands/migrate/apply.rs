use std::fmt::{self, Write as _};
use std::time::Duration;

use clap::Args;
use serde::Serialize;

use super::{SourceArgs, until_ctrl_c};
use crate::commands::Context;
use crate::error::{Exit, Problem, Result};
use crate::migrate::{self, Event, File, Options, Outcome, State};
use crate::settings::parse_duration;
use crate::ui::{Answer, Report, Screen, Ui};

#[derive(Debug, Args)]
#[command(after_help = "\
Each migration runs in one transaction with its row in refinery_schema_history.
Ctrl-C stops the one that runs and rolls it back.

Example:
  dbctl --env staging migrate apply
  dbctl --env production migrate apply --confirm production --lock-timeout 2s")]
pub struct ApplyArgs {
    #[command(flatten)]
    source: SourceArgs,
    /// How long a statement may wait for a lock before it gives way and tries again
    #[arg(long, value_name = "TIME", default_value = "3s", value_parser = parse_duration)]
    lock_timeout: Duration,
    /// Name of the environment (without one: of the database), instead of typing it
    #[arg(long, value_name = "NAME")]
    confirm: Option<String>,
}

#[derive(Debug, Serialize)]
struct Applied {
    database: String,
    source: String,
    #[serde(flatten)]
    outcome: Outcome,
}

impl Report for Applied {
    const SCHEMA: &'static str = "dbctl.migrate.apply/1";

    fn human(&self, out: &mut Screen) -> fmt::Result {
        let Outcome {
            applied,
            by_another,
            before,
        } = &self.outcome;
        if applied.is_empty() && *by_another == 0 {
            return writeln!(
                out,
                "nothing to apply: all {before} are applied to {}",
                self.database
            );
        }
        let took: f64 = applied.iter().map(|d| d.took_ms).sum();
        write!(
            out,
            "applied {} to {} in {:.1} s",
            applied.len(),
            self.database,
            took / 1e3
        )?;
        if *by_another > 0 {
            write!(out, " · {by_another} by somebody else meanwhile")?;
        }
        writeln!(out)
    }
}

pub async fn run(args: ApplyArgs, context: &Context) -> Result<Exit> {
    let source = args.source.source(context);
    let files = migrate::load(&source)?;
    let (database, environment) = context.database()?;
    let name = environment.map_or(database.name(), |environment| &environment.name);
    context.ui.refuse_other(name, args.confirm.as_deref())?;
    let status = migrate::status(&database, &files).await?;
    // A history that does not fit is told by `apply`, before anything is asked.
    let pending: Vec<&File> = files
        .iter()
        .filter(|f| {
            status
                .entries
                .iter()
                .any(|e| e.version == f.version() && e.state == State::Pending)
        })
        .collect();
    if !pending.is_empty() && status.is_sound() {
        let facts = plan(&database.to_string(), &pending, args.lock_timeout);
        context.ui.status(facts.trim_end());
        match context
            .ui
            .confirm(name, "", args.confirm.as_deref())
            .await?
        {
            Answer::Confirmed(_) => {}
            Answer::Declined => {
                return Err(Problem::new(Exit::Unconfirmed, "", "nothing was changed"));
            }
        }
    }
    // The first Ctrl-C stops the statement that runs.
    let options = Options {
        lock_timeout: args.lock_timeout,
        cancel: until_ctrl_c(),
        ..Options::default()
    };
    let done = migrate::apply(&database, &files, &options, &mut |event| {
        tell(&context.ui, &event);
    })
    .await;
    context.ui.report(&Applied {
        database: database.to_string(),
        source: source.to_string(),
        outcome: done?,
    })?;
    Ok(Exit::Ok)
}

fn plan(database: &str, pending: &[&File], lock_timeout: Duration) -> String {
    let mut text = format!("To be applied to {database}:\n");
    for file in pending {
        text += &format!("  {}\n", file.title());
    }
    text + &format!(
        "  each in its own transaction; a statement waits at most {} s for a lock\n",
        lock_timeout.as_secs_f64()
    )
}

fn tell(ui: &Ui, event: &Event) {
    match event {
        Event::Started { title } => ui.detail(format_args!("{title}   running")),
        Event::Waiting {
            title,
            attempt,
            of,
            blocked,
        } => {
            ui.status(format_args!(
                "{title}   waiting for {}, attempt {attempt} of {of}",
                blocked.lock.as_deref().unwrap_or("a lock")
            ));
            for holder in &blocked.holders {
                ui.status(format_args!("  held by   {holder}"));
                if !holder.query.is_empty() {
                    ui.status(format_args!("            {}", holder.query.escape_debug()));
                }
            }
        }
        Event::Retrying {
            title,
            attempt,
            of,
            next_in,
            ..
        } => ui.status(format_args!(
            "{title}   gave way, attempt {attempt} of {of}; nobody queues behind it; next in {:.1} s   (Ctrl-C stops cleanly)",
            next_in.as_secs_f64()
        )),
        Event::LockedOut { holders } => {
            ui.status("another migrate apply is at work on this database; waiting for it");
            for holder in holders {
                ui.status(format_args!("  held by   {holder}"));
            }
        }
        Event::Applied { title, took } => {
            ui.status(format_args!("{title}   applied in {:.2} s", took.as_secs_f64()));
        }
        Event::ByAnother { title } => {
            ui.status(format_args!("{title}   was applied by somebody else meanwhile"));
        }
    }
}

use std::fmt::{self, Write as _};
use std::path::PathBuf;

use clap::{Args, ValueEnum};
use serde::Serialize;

use super::{database, store};
use crate::carry::merge::Counts;
use crate::carry::over::Fleet;
use crate::carry::{file, postgres};
use crate::commands::Context;
use crate::contract::{Imported, Snapshot};
use crate::error::{Exit, Problem, Result};
use crate::ui::{Answer, Report, Screen, Tone};

#[derive(Debug, Args)]
#[command(after_help = "\
Importing only ever adds: the union of revocations and keys, the higher of two nonce tops. Importing \
twice changes nothing, so after an error run it again.

Example:
  dbctl --env production carry import before-the-switch.json --into postgres
  dbctl --env staging carry import gone.json --into instances --on canary --confirm staging")]
pub struct ImportArgs {
    /// A file of `dbctl carry export`
    #[arg(value_name = "FILE")]
    file: PathBuf,

    /// Who is to know it
    #[arg(long, value_enum)]
    into: Into,

    /// With --into instances: target or group; all targets without it. May be repeated
    #[arg(long, value_name = "NAME")]
    on: Vec<String>,

    /// The environment's name, instead of typing it
    #[arg(long, value_name = "ENV")]
    confirm: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "lowercase")]
enum Into {
    Postgres,
    Instances,
}

/// `dbctl.carry.import/1`.
#[derive(Debug, Serialize)]
struct Done {
    env: String,
    file: PathBuf,
    given: Counts,
    into: Vec<Row>,
}

#[derive(Debug, Serialize)]
struct Row {
    /// A target, or `postgres`.
    name: String,
    /// What was new there; null where it did not work.
    added: Option<Imported>,
    #[serde(skip_serializing_if = "Option::is_none")]
    problem: Option<String>,
}

pub async fn run(args: ImportArgs, context: &Context) -> Result<Exit> {
    let env = context.settings.environment(None)?;
    if !args.on.is_empty() && args.into != Into::Instances {
        let cause = "--on chooses instances, and Postgres is meant";
        return Err(Problem::new(Exit::Usage, "reading --on", cause));
    }
    let (snapshot, given) = file::read(&args.file)?;
    let chosen = env.select(&args.on)?;
    let into = match args.into {
        Into::Postgres => format!("Postgres of {}", env.name),
        Into::Instances => {
            let names: Vec<&str> = chosen.iter().map(|t| t.name.as_str()).collect();
            format!("{} of {}", names.join(", "), env.name)
        }
    };
    let facts = facts(&args, &snapshot, given, &into);
    match context
        .ui
        .confirm(&env.name, &facts, args.confirm.as_deref())
        .await?
    {
        Answer::Confirmed(_) => {}
        Answer::Declined => {
            context.ui.status("Nothing was changed.");
            return Ok(Exit::Unconfirmed);
        }
    }
    let mut first = None;
    let rows = match args.into {
        Into::Postgres => {
            let database = database(context, env)?;
            let store = store(context, &database);
            let added = postgres::import(store.database, store.key_id, &snapshot).await?;
            vec![Row {
                name: postgres::SOURCE.into(),
                added: Some(added),
                problem: None,
            }]
        }
        Into::Instances => {
            let fleet = Fleet::new(env, &chosen)?;
            let asked = fleet.all(|m| m.client.import(&snapshot)).await;
            let row = |(member, imported): (&crate::carry::over::Member, _)| {
                let (added, problem) = match imported {
                    Ok(added) => (Some(added), None),
                    Err(failed) => {
                        let failed: crate::carry::client::CallFailed = failed;
                        let why = failed.failure.to_string();
                        first.get_or_insert(failed);
                        (None, Some(why))
                    }
                };
                Row {
                    name: member.target.name.clone(),
                    added,
                    problem,
                }
            };
            asked.into_iter().map(row).collect()
        }
    };
    context.ui.report(&Done {
        env: env.name.clone(),
        file: args.file,
        given,
        into: rows,
    })?;
    match first {
        None => Ok(Exit::Ok),
        Some(failed) => Err(Problem::from(failed)
            .next("the others have it; importing again changes nothing where it is already")),
    }
}

/// What a person reads before they type the name.
fn facts(args: &ImportArgs, snapshot: &Snapshot, given: Counts, into: &str) -> String {
    let mut text = format!(
        "Next: merge {} into {into}.\n  holds   {given}\n  taken   {:.0}, from {}\n",
        args.file.display(),
        snapshot.taken_at,
        crate::ui::printable(&snapshot.source),
    );
    if let Some(limit) = snapshot.deny_issued_before {
        text += &match args.into {
            Into::Postgres => format!(
                "  not     that every token from before {limit:.0} is denied: Postgres knows no such limit\n"
            ),
            Into::Instances => {
                format!("  denies  every token that was issued before {limit:.0}\n")
            }
        };
    }
    text + "  only adds: nothing that is revoked comes back to life, no nonce top falls\n"
}

impl Report for Done {
    const SCHEMA: &'static str = "dbctl.carry.import/1";

    fn human(&self, out: &mut Screen) -> fmt::Result {
        writeln!(out, "{}: {}", self.file.display(), self.given)?;
        for row in &self.into {
            let (tone, text) = match (&row.added, &row.problem) {
                (Some(added), _) if *added == Imported::default() => {
                    (Tone::Quiet, "knew all of it".to_owned())
                }
                (Some(added), _) => (
                    Tone::Good,
                    format!(
                        "took {} revocations, {} keys and {} nonce tops that it did not have",
                        added.tokens_added + added.sessions_added,
                        added.keys_added,
                        added.watermarks_raised
                    ),
                ),
                (None, problem) => (
                    Tone::Bad,
                    format!("did not take it: {}", problem.as_deref().unwrap_or("?")),
                ),
            };
            writeln!(out, "{:<10} {}", row.name, out.tone(tone, text))?;
        }
        Ok(())
    }
}

use std::fmt::{self, Write as _};
use std::path::PathBuf;

use clap::{Args, ValueEnum};
use serde::Serialize;

use super::{database, kit, sides};
use crate::carry::compare::{ask_all, together};
use crate::carry::merge::Counts;
use crate::carry::{file, postgres};
use crate::commands::Context;
use crate::error::{Exit, Problem, Result};
use crate::ui::{Report, Screen};

#[derive(Debug, Args)]
#[command(after_help = "\
The file holds ids of tokens and sessions, nonce tops and public keys: no secrets, and nobody else's \
business, so it gets mode 0600. Whoever is asked must answer: a part that cannot be read is an error.

Example:
  dbctl --env production carry export before-the-switch.json
  dbctl --env production carry export gone.json --from kit")]
pub struct ExportArgs {
    /// File to write; never overwritten
    #[arg(value_name = "FILE")]
    file: PathBuf,

    /// Whose knowledge
    #[arg(long, value_enum, default_value_t = From::Instances)]
    from: From,

    /// With --from instances: target or group to ask; all targets without it. May be repeated
    #[arg(long, value_name = "NAME")]
    on: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "lowercase")]
enum From {
    /// The running instances, merged
    Instances,
    /// The database
    Postgres,
    /// The rollback kit, with the margins of a rollback for its age
    Kit,
}

/// `dbctl.carry.export/1`.
#[derive(Debug, Serialize)]
struct Exported {
    env: String,
    from: From,
    file: PathBuf,
    taken_at: jiff::Timestamp,
    #[serde(flatten)]
    counts: Counts,
}

pub async fn run(args: ExportArgs, context: &Context) -> Result<Exit> {
    let env = context.settings.environment(None)?;
    if !args.on.is_empty() && args.from != From::Instances {
        let cause = "--on chooses instances, and they are not asked here";
        return Err(Problem::new(Exit::Usage, "reading --on", cause));
    }
    let snapshot = match args.from {
        From::Instances => {
            let (_, fleet, _) = sides(context, &args.on)?;
            together(&ask_all(&fleet).await?)
        }
        From::Postgres => postgres::export(&database(context, env)?).await?,
        From::Kit => {
            let kit = kit(context, env).await?;
            let kept = kit.trusted()?.ok_or_else(|| {
                let doing = format!("reading the rollback kit {}", kit.path().display());
                Problem::new(Exit::Config, doing, "there is none on this machine")
                    .next(format!("dbctl --env {} carry refresh", env.name))
            })?;
            kit.for_going_back(&kept, jiff::Timestamp::now())
        }
    };
    file::write(&args.file, &snapshot)?;
    context.ui.report(&Exported {
        env: env.name.clone(),
        from: args.from,
        file: args.file,
        taken_at: snapshot.taken_at,
        counts: Counts::of(&snapshot),
    })?;
    Ok(Exit::Ok)
}

impl Report for Exported {
    const SCHEMA: &'static str = "dbctl.carry.export/1";

    fn human(&self, out: &mut Screen) -> fmt::Result {
        let from = match self.from {
            From::Instances => "the instances",
            From::Postgres => "Postgres",
            From::Kit => "the rollback kit",
        };
        writeln!(
            out,
            "{}: {} from {from}, as of {:.0}",
            self.file.display(),
            self.counts,
            self.taken_at
        )
    }
}

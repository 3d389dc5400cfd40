use std::fmt::{self, Write as _};
use std::path::PathBuf;

use clap::{Args, ValueEnum};
use serde::Serialize;

use super::Context;
use crate::check::preflight::Preflight;
use crate::check::{CheckResult, Verdict};
use crate::error::{Exit, Result};
use crate::pg::Database;
use crate::pg::scratch::Choice;
use crate::runtime::toggles::Modes;
use crate::ui::{Explain, Report, Screen, Tone, printable};

#[derive(Debug, Args)]
#[command(after_help = "\
Five preconditions: the migrations are applied; they are valid; the service reaches Postgres with
exactly the privileges that it needs; a signing key is seeded; the toggles are where they should
be. Ends with status 5 when one does not hold, 4 when one could not be checked, 6 when one could
not be judged.

Example:
  dbctl --env staging preflight
  dbctl --env production preflight --expect postgres --format json")]
pub struct PreflightArgs {
    /// Where the toggles should be
    #[arg(long, value_enum, default_value_t = Expect::Local)]
    expect: Expect,
    /// Where to run the migrations: auto, embedded, native, or the URL of a server
    #[arg(long, value_name = "WHERE", default_value = "auto")]
    scratch: Choice,
    /// Folder with initdb and postgres, for a native scratch database
    #[arg(long, value_name = "DIR")]
    pg_bin: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Expect {
    /// On memory and file, as before a cutover
    Local,
    /// On Postgres, as after one
    Postgres,
}

/// `dbctl.preflight/1`.
#[derive(Debug, Serialize)]
struct Checked {
    env: String,
    database: String,
    verdict: Verdict,
    checks: Vec<CheckResult>,
}

pub async fn run(args: PreflightArgs, context: &Context) -> Result<Exit> {
    let settings = &context.settings;
    let env = settings.environment(None)?;
    let database = Database::resolve(settings, Some(env), &|weak| context.ui.warn(weak))?;
    let checks = Preflight {
        scratch: args.scratch,
        pg_bin: args.pg_bin,
        modes: match args.expect {
            Expect::Local => Modes::LOCAL,
            Expect::Postgres => Modes::POSTGRES,
        },
        ..Preflight::new(settings, env, &database)
    };
    let checks = checks.run().await;
    let verdict = Verdict::worst(checks.iter().map(|c| c.verdict));
    context.ui.report(&Checked {
        env: env.name.clone(),
        database: database.to_string(),
        verdict,
        checks,
    })?;
    Ok(verdict.exit())
}

impl Report for Checked {
    const SCHEMA: &'static str = "dbctl.preflight/1";

    fn human(&self, out: &mut Screen) -> fmt::Result {
        let line = format!("{} · {}", self.env, self.database);
        writeln!(out, "{}", out.tone(Tone::Strong, printable(&line)))?;
        out.checks(&self.checks, Explain::All)?;
        let hold = self
            .checks
            .iter()
            .filter(|c| c.verdict == Verdict::Pass)
            .count();
        writeln!(out, "{hold} of {} preconditions hold", self.checks.len())
    }
}

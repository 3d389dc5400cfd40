use std::fmt::{self, Write as _};
use std::path::PathBuf;

use clap::Args;
use serde::Serialize;

use crate::check::integrity::{CHECKS, Integrity};
use crate::check::{CheckResult, Verdict};
use crate::commands::Context;
use crate::error::{Exit, Result};
use crate::pg::scratch::Choice;
use crate::ui::{Explain, Report, Screen, Tone, printable};

#[derive(Debug, Args)]
#[command(after_help = "\
Eight checks, all of them read-only:
  database      it is the primary, takes writes, and its clock agrees with ours
  schema        tables, constraints, triggers, indexes, functions and views are as the applied
                migrations make them; none is disabled, invalid or missing
  current-keys  exactly one version of each key that has signed is current
  sealed-keys   every sealed private key opens and matches its public half
  orphans       no version without a key, no key without a version, no unknown kid
  revocations   none is gone before its time, and no token that was denied was allowed again
  nonces        no watermark is below what instances, rollback kit and events say; no overlap
  partitions    there is one for this month and the next; the default ones are empty

Each finding says what puts it right. What could not be looked at is no pass. Checking everything
takes the privileges of the owner of the schemas (security_owner).

Exit status: 0 all pass, 5 something was found, 4 a check could not be made, 6 one could not be
judged.

Example:
  dbctl --env production security check
  dbctl --env production security check --format json | jq '.checks[] | select(.verdict != \"pass\")'")]
pub struct CheckArgs {
    /// Where to run the migrations: auto, embedded, native, or the URL of a server
    #[arg(long, value_name = "WHERE", default_value = "auto")]
    scratch: Choice,
    /// Folder with initdb and postgres, for a native scratch database
    #[arg(long, value_name = "DIR")]
    pg_bin: Option<PathBuf>,
}

/// `dbctl.security.check/1`.
#[derive(Debug, Serialize)]
struct Checked {
    /// Null where the database was named by its URL alone.
    env: Option<String>,
    database: String,
    verdict: Verdict,
    /// One for each check that passes, one for each finding of the others.
    checks: Vec<CheckResult>,
}

pub async fn run(args: CheckArgs, context: &Context) -> Result<Exit> {
    let (database, env) = context.database()?;
    let integrity = Integrity {
        scratch: args.scratch,
        pg_bin: args.pg_bin,
        ..Integrity::new(&context.settings, env, &database)
    };
    let checks = integrity.run().await;
    let verdict = Verdict::worst(checks.iter().map(|c| c.verdict));
    context.ui.report(&Checked {
        env: env.map(|e| e.name.clone()),
        database: database.to_string(),
        verdict,
        checks,
    })?;
    Ok(verdict.exit())
}

impl Report for Checked {
    const SCHEMA: &'static str = "dbctl.security.check/1";

    fn human(&self, out: &mut Screen) -> fmt::Result {
        let env = self.env.iter().map(|env| format!("{env} · "));
        let line = env.collect::<String>() + &self.database;
        writeln!(out, "{}", out.tone(Tone::Strong, printable(&line)))?;
        out.checks(&self.checks, Explain::All)?;
        let count = |v: Verdict| self.checks.iter().filter(|c| c.verdict == v).count();
        write!(
            out,
            "{} of {} checks pass",
            count(Verdict::Pass),
            CHECKS.len()
        )?;
        for (verdict, word) in [
            (Verdict::Fail, "found wrong"),
            (Verdict::Error, "could not be checked"),
            (Verdict::Inconclusive, "could not be judged"),
        ] {
            if count(verdict) > 0 {
                write!(out, " · {} {word}", count(verdict))?;
            }
        }
        writeln!(out)
    }
}

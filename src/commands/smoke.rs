use std::fmt::{self, Write as _};

use clap::Args;
use serde::Serialize;

use super::Context;
use crate::check::smoke::{Check, Smoke};
use crate::check::{CheckResult, Verdict};
use crate::error::{Exit, Result};
use crate::pg::Database;
use crate::ui::{Explain, Report, Screen, Tone, printable};

#[derive(Debug, Args)]
#[command(after_help = "\
Checks: issue-token, verify-token, revoke-token, revoke-session, nonce, persistence.

Ends with status 5 when one fails, 4 when one could not be carried out, 6 when one could not be \
judged. How requests map onto a service stands in [smoke] of dbctl.toml.

Example:
  dbctl --env staging smoke
  dbctl --env production smoke verify-token revoke-token --on canary")]
pub struct SmokeArgs {
    /// Checks to run; all of them when none is named
    #[arg(value_name = "CHECK")]
    checks: Vec<String>,

    /// Target or group to check; all targets without it. May be repeated
    #[arg(long, value_name = "NAME")]
    on: Vec<String>,
}

/// `dbctl.smoke/1`.
#[derive(Debug, Serialize)]
struct Smoked {
    env: String,
    verdict: Verdict,
    checks: Vec<CheckResult>,
}

pub async fn run(args: SmokeArgs, context: &Context) -> Result<Exit> {
    let checks = Check::select(&args.checks)?;
    let settings = &context.settings;
    let env = settings.environment(None)?;
    let targets = env.select(&args.on)?;
    let smoke = Smoke::new(&settings.config.smoke, env)?;
    let database = if checks.contains(&Check::Persistence) {
        let notice = |text: &str| context.ui.warn(text);
        Some(Database::resolve(settings, Some(env), &notice)?)
    } else {
        None
    };
    let results = smoke.run(&targets, &checks, database.as_ref()).await;
    let verdict = Verdict::worst(results.iter().map(|r| r.verdict));
    context.ui.report(&Smoked {
        env: env.name.clone(),
        verdict,
        checks: results,
    })?;
    Ok(verdict.exit())
}

impl Report for Smoked {
    const SCHEMA: &'static str = "dbctl.smoke/1";

    fn human(&self, out: &mut Screen) -> fmt::Result {
        for of_target in self.checks.chunk_by(|a, b| a.subject == b.subject) {
            let subject = of_target.first().map_or("", |c| c.subject.as_str());
            let line = printable(&format!("{} · {subject}", self.env));
            writeln!(out, "{}", out.tone(Tone::Strong, line))?;
            out.checks(of_target, Explain::Others)?;
        }
        let count = |v: Verdict| self.checks.iter().filter(|c| c.verdict == v).count();
        write!(
            out,
            "{} of {} checks pass",
            count(Verdict::Pass),
            self.checks.len()
        )?;
        for (verdict, word) in [
            (Verdict::Fail, "failed"),
            (Verdict::Error, "could not be carried out"),
            (Verdict::Inconclusive, "could not be judged"),
        ] {
            if count(verdict) > 0 {
                write!(out, " · {} {word}", count(verdict))?;
            }
        }
        writeln!(out)
    }
}

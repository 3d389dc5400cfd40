use std::fmt::{self, Write as _};

use clap::Args;
use serde::Serialize;

use super::Context;
use crate::check::smoke::{Check, Smoke};
use crate::check::{CheckResult, Verdict};
use crate::error::{Exit, Result};
use crate::pg::Database;
use crate::ui::{Report, Screen, Tone};

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
        let mut subject = None;
        let mut advised = None;
        for check in &self.checks {
            if subject != Some(&check.subject) {
                subject = Some(&check.subject);
                advised = None;
                let line = format!("{} · {}", self.env, check.subject);
                writeln!(out, "{}", out.tone(Tone::Strong, line))?;
            }
            let mark = out.mark(check.verdict);
            let ms = check.duration.as_secs_f64() * 1000.0;
            let took = out.tone(Tone::Quiet, format_args!("{ms:>7.0} ms"));
            writeln!(
                out,
                "  {mark} {:<15} {:<12} {took}",
                check.name, check.verdict
            )?;
            if check.verdict != Verdict::Pass {
                out.wrapped(6, &check.summary)?;
                // One exchange alone says no more than the summary.
                for seen in check.evidence.iter().filter(|_| check.evidence.len() > 1) {
                    writeln!(out, "        {} → {}", seen.what, seen.seen)?;
                }
                if check.next != advised
                    && let Some(next) = &check.next
                {
                    out.wrapped(6, &format!("next: {next}"))?;
                    advised.clone_from(&check.next);
                }
            }
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

use std::fmt::{self, Write as _};

use clap::Args;
use serde::Serialize;

use crate::carry::over::Fleet;
use crate::commands::Context;
use crate::error::{Exit, Result};
use crate::runtime::toggles::{Modes, Toggle};
use crate::toggle;
use crate::ui::{Report, Screen, Tone, table};

#[derive(Debug, Args)]
#[command(after_help = "\
Ends with status 5 when a service runs in other modes than its file says, 4 when one does not \
answer, 3 when a file cannot be read.

Example:
  dbctl --env production toggles show --on canary")]
pub struct ShowArgs {
    /// Target or group to show; all targets without it. May be repeated
    #[arg(long, value_name = "NAME")]
    on: Vec<String>,
}

/// `dbctl.toggles.show/1`.
#[derive(Debug, Serialize)]
struct Shown {
    env: String,
    targets: Vec<Row>,
}

#[derive(Debug, Serialize)]
struct Row {
    target: String,
    env_file: String,
    /// What follows from the file; null when it cannot be read.
    file_says: Option<Modes>,
    file_problem: Option<String>,
    /// What the running process says of itself; null when it does not answer.
    service_says: Option<Modes>,
    service_problem: Option<String>,
    boot_id: Option<String>,
    fenced: Option<bool>,
    /// Whether both say the same.
    agree: bool,
}

pub async fn run(args: ShowArgs, context: &Context) -> Result<Exit> {
    let env = context.settings.environment(None)?;
    let targets = env.select(&args.on)?;
    let fleet = Fleet::new(env, &targets)?;
    let health = fleet.all(|m| m.client.health()).await;
    let rows = health.into_iter().map(|(member, health)| {
        let file = toggle::read(&member.target);
        let (service_says, service_problem) = match &health {
            Ok(h) => (Some(h.modes), None),
            Err(e) => (None, Some(e.failure.to_string())),
        };
        let (file_says, file_problem) = match file {
            Ok(says) => (Some(says.modes), None),
            Err(problem) => (None, Some(problem.to_string())),
        };
        Row {
            target: member.target.name.clone(),
            env_file: member.target.env_file.display().to_string(),
            agree: file_says.is_some() && file_says == service_says,
            file_says,
            file_problem,
            service_says,
            service_problem,
            boot_id: health.as_ref().ok().map(|h| h.boot_id.clone()),
            fenced: health.ok().map(|h| h.fenced),
        }
    });
    let shown = Shown {
        env: env.name.clone(),
        targets: rows.collect(),
    };
    context.ui.report(&shown)?;
    Ok(shown.exit())
}

impl Shown {
    fn exit(&self) -> Exit {
        let any = |of: fn(&Row) -> bool| self.targets.iter().any(of);
        if any(|r| r.file_says.is_none()) {
            Exit::Config
        } else if any(|r| r.service_says.is_none()) {
            Exit::Unavailable
        } else if any(|r| !r.agree) {
            Exit::Findings
        } else {
            Exit::Ok
        }
    }
}

impl Report for Shown {
    const SCHEMA: &'static str = "dbctl.toggles.show/1";

    fn human(&self, out: &mut Screen) -> fmt::Result {
        writeln!(out, "{}", out.tone(Tone::Strong, &self.env))?;
        let said = |modes: Option<Modes>, else_: &str| {
            modes.map_or_else(|| else_.to_owned(), |m| m.to_string())
        };
        let rows = self.targets.iter().map(|r| {
            let note = match (r.agree, r.fenced) {
                (true, Some(true)) => "fenced",
                (true, _) => "",
                (false, _) if r.file_says.is_some() && r.service_says.is_some() => "differ",
                (false, _) => "see below",
            };
            [
                r.target.clone(),
                said(r.file_says, "cannot be read"),
                said(r.service_says, "no answer"),
                note.to_owned(),
            ]
        });
        out.write_str(&table(
            out,
            &["target", "file says", "service says", ""],
            rows,
        ))?;
        for row in &self.targets {
            if let Some(problem) = &row.file_problem {
                out.wrapped(0, problem)?;
            }
            if let Some(problem) = &row.service_problem {
                out.wrapped(0, &format!("{}: {problem}", row.target))?;
            }
            if let (Some(file), Some(service)) = (row.file_says, row.service_says) {
                for toggle in Toggle::ALL {
                    let (a, b) = (file.get(toggle), service.get(toggle));
                    if a != b {
                        writeln!(
                            out,
                            "{}: {toggle} is {a} in the file, {b} in the service",
                            row.target
                        )?;
                    }
                }
            }
        }
        if self
            .targets
            .iter()
            .any(|r| !r.agree && r.file_problem.is_none() && r.service_problem.is_none())
        {
            writeln!(
                out,
                "next: a restart makes a service read its file; switch with `dbctl toggles set`,"
            )?;
            writeln!(out, "      which carries its state over")?;
        }
        Ok(())
    }
}

use std::fmt::{self, Write as _};

use clap::{Args, ValueEnum};
use serde::Serialize;

use super::sides;
use crate::carry::compare::{Beside, Said, Top, ask_all, stored, tops};
use crate::carry::merge::Counts;
use crate::commands::Context;
use crate::error::{Exit, Problem, Result};
use crate::runtime::toggles::{Mode, Toggle};
use crate::ui::{Report, Screen, Tone, table};

#[derive(Debug, Args)]
#[command(after_help = "\
Every instance and Postgres must answer: what cannot be read is never taken for nothing. Nothing is \
changed. Nonces that are burnt are never handed out; wasting some is what keeps one from coming twice.

Example:
  dbctl --env production carry plan
  dbctl --env production carry plan --to postgres --on canary")]
pub struct PlanArgs {
    /// Where the state is to go; without it away from where all of the instances keep it
    #[arg(long, value_name = "SIDE")]
    to: Option<Side>,

    /// Target or group to look at; all targets without it. May be repeated
    #[arg(long, value_name = "NAME")]
    on: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "lowercase")]
enum Side {
    Postgres,
    Memory,
}

/// `dbctl.carry.plan/1`.
#[derive(Debug, Serialize)]
struct Plan {
    env: String,
    to: Side,
    postgres: Counts,
    instances: Vec<Beside>,
    nonces: Vec<Moved>,
}

#[derive(Debug, Serialize)]
struct Moved {
    #[serde(flatten)]
    top: Top,
    /// The first nonce after the switch.
    starts_at: i64,
    /// At most so many beyond what is reserved now are never handed out.
    burns: i64,
}

pub async fn run(args: PlanArgs, context: &Context) -> Result<Exit> {
    let (env, fleet, database) = sides(context, &args.on)?;
    let said = ask_all(&fleet).await?;
    let stored = stored(&database).await?;
    let to = match args.to {
        Some(to) => to,
        None => other_side(&said)?,
    };
    let moved = tops(&said, &stored.snapshot).into_iter().map(|top| {
        let starts_at = top.after_a_switch();
        Moved {
            burns: starts_at.saturating_sub(top.known()),
            starts_at,
            top,
        }
    });
    context.ui.report(&Plan {
        env: env.name.clone(),
        to,
        postgres: Counts::of(&stored.snapshot),
        instances: said.iter().map(|s| s.beside(&stored)).collect(),
        nonces: moved.filter(|m| m.top.instances.is_some()).collect(),
    })?;
    Ok(Exit::Ok)
}

/// Away from where all of them keep their state.
fn other_side(said: &[Said]) -> Result<Side> {
    let parts = [Toggle::KeyResolver, Toggle::Revocation, Toggle::NonceStore];
    let on_postgres = |s: &Said| parts.map(|t| s.modes.get(t) == Mode::Postgres);
    let all: Vec<bool> = said.iter().flat_map(on_postgres).collect();
    if all.iter().all(|p| !p) {
        Ok(Side::Postgres)
    } else if all.iter().all(|p| *p) {
        Ok(Side::Memory)
    } else {
        Err(Problem::new(
            Exit::Usage,
            "choosing the direction",
            "some instances keep state in Postgres and some do not",
        )
        .next("say where it is to go: --to postgres, or --to memory"))
    }
}

impl Report for Plan {
    const SCHEMA: &'static str = "dbctl.carry.plan/1";

    fn human(&self, out: &mut Screen) -> fmt::Result {
        let to = match self.to {
            Side::Postgres => "into Postgres",
            Side::Memory => "out of Postgres",
        };
        writeln!(out, "{}: {to}", out.tone(Tone::Strong, &self.env))?;
        writeln!(out, "Postgres holds {}", self.postgres)?;
        let rows = self.instances.iter().map(|i| {
            let new = match self.to {
                Side::Postgres => &i.postgres_lacks,
                Side::Memory => &i.it_lacks,
            };
            [
                i.target.clone(),
                i.modes.to_string(),
                i.knows.revocations().to_string(),
                new.revocations().to_string(),
                new.keys.to_string(),
            ]
        });
        let header = [
            "target",
            "runs in",
            "revocations",
            "to carry",
            "keys to carry",
        ];
        let text = table(out, &header, rows);
        out.write_str(&text)?;
        if self.nonces.is_empty() {
            return writeln!(out, "No nonces were reserved yet.");
        }
        let top = |t: Option<i64>| t.map_or_else(|| "none".to_owned(), |t| t.to_string());
        let rows = self.nonces.iter().map(|m| {
            [
                m.top.node_name.clone(),
                m.top.nonce_scope.clone(),
                top(m.top.instances),
                top(m.top.postgres),
                m.starts_at.to_string(),
                m.burns.to_string(),
            ]
        });
        let header = [
            "node",
            "scope",
            "its top",
            "Postgres's",
            "goes on at",
            "burns",
        ];
        let text = table(out, &header, rows);
        out.write_str(&text)
    }
}

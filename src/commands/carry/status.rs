use std::fmt::{self, Write as _};

use clap::Args;
use serde::Serialize;

use super::{kit, sides};
use crate::carry::client::CallFailed;
use crate::carry::compare::{Beside, Said, Top, ask, stored, tops};
use crate::carry::kit::{Kit, Standing};
use crate::carry::merge::Counts;
use crate::commands::Context;
use crate::contract::Snapshot;
use crate::error::{Exit, Result};
use crate::settings::Gap;
use crate::ui::{Report, Screen, Tone, table};

#[derive(Debug, Args)]
#[command(after_help = "\
Ends with status 0 when all sides know the same and the kit can be used, 5 when something is missing \
somewhere, 6 when somebody does not answer, so that it cannot be said.

The gap is what a rollback would not know if Postgres died now: what was revoked since the kit was \
fresh. [carry] gap in dbctl.toml says what is done about it.

Example:
  dbctl --env production carry status
  dbctl --env production --format json carry status")]
pub struct StatusArgs {}

/// `dbctl.carry.status/1`.
#[derive(Debug, Serialize)]
struct Stand {
    env: String,
    /// Null when somebody could not be asked.
    agree: Option<bool>,
    /// What Postgres holds; null when it does not answer.
    postgres: Option<Counts>,
    instances: Vec<Beside>,
    nonces: Vec<Top>,
    /// Who could not be asked, and why.
    silent: Vec<Silent>,
    kit: KitStand,
}

#[derive(Debug, Serialize)]
struct Silent {
    name: String,
    why: String,
}

#[derive(Debug, Serialize)]
struct KitStand {
    file: std::path::PathBuf,
    /// Null when there is none, or it is damaged.
    taken_at: Option<jiff::Timestamp>,
    /// Revocations of so many seconds would be unknown if Postgres died now; null: all of them.
    gap_seconds: Option<f64>,
    /// What a rollback does about it.
    gap: Gap,
    holds: Option<Counts>,
    #[serde(skip_serializing_if = "Option::is_none")]
    vouched: Option<Standing>,
    usable: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    problem: Option<String>,
}

pub async fn run(_: StatusArgs, context: &Context) -> Result<Exit> {
    let (env, fleet, database) = sides(context, &[])?;
    let kit = kit(context, env).await?;
    let asked = fleet.all(|m| ask(&m.client)).await;
    let mut silent = Vec::new();
    let mut said: Vec<Said> = Vec::new();
    for (member, one) in asked {
        match one {
            Ok(one) => said.push(one),
            Err(CallFailed { failure, .. }) => silent.push(Silent {
                name: member.target.name.clone(),
                why: failure.to_string(),
            }),
        }
    }
    let stored = match stored(&database).await {
        Ok(stored) => Some(stored),
        Err(problem) => {
            silent.push(Silent {
                name: "postgres".into(),
                why: problem.to_string(),
            });
            None
        }
    };
    let instances: Vec<Beside> = match &stored {
        Some(stored) => said.iter().map(|s| s.beside(stored)).collect(),
        None => Vec::new(),
    };
    let empty = Snapshot::default();
    let known = stored.as_ref().map_or(&empty, |s| &s.snapshot);
    let mut nonces = tops(&said, known);
    if stored.is_none() {
        nonces.iter_mut().for_each(|t| t.postgres_lost = false);
    }
    let differ = instances
        .iter()
        .any(|i| !i.postgres_lacks.is_nothing() || !i.it_lacks.is_nothing())
        || nonces.iter().any(|t| t.postgres_lost);
    let stand = Stand {
        env: env.name.clone(),
        agree: match (differ, silent.is_empty()) {
            (true, _) => Some(false),
            (false, true) => Some(true),
            (false, false) => None,
        },
        postgres: stored.as_ref().map(|s| Counts::of(&s.snapshot)),
        instances,
        nonces,
        silent,
        kit: kit_stand(&kit, context.settings.config.carry.gap),
    };
    context.ui.report(&stand)?;
    Ok(match stand.agree {
        Some(true) if stand.kit.usable => Exit::Ok,
        Some(_) => Exit::Findings,
        None if !stand.kit.usable => Exit::Findings,
        None => Exit::Inconclusive,
    })
}

fn kit_stand(kit: &Kit, gap: Gap) -> KitStand {
    let now = jiff::Timestamp::now();
    let none = |problem: String| KitStand {
        file: kit.path(),
        taken_at: None,
        gap_seconds: None,
        gap,
        holds: None,
        vouched: None,
        usable: false,
        problem: Some(problem),
    };
    match kit.load() {
        Ok(None) => none("there is none: `dbctl carry refresh` makes it".into()),
        Err(problem) => none(problem.to_string()),
        Ok(Some(kept)) => {
            let standing = kit.standing(&kept);
            KitStand {
                file: kit.path(),
                taken_at: Some(kept.snapshot.taken_at),
                gap_seconds: Some((kept.age(now).as_secs_f64() * 10.0).round() / 10.0),
                gap,
                holds: Some(Counts::of(&kept.snapshot)),
                usable: standing.is_usable(),
                vouched: Some(standing),
                problem: None,
            }
        }
    }
}

impl Report for Stand {
    const SCHEMA: &'static str = "dbctl.carry.status/1";

    fn human(&self, out: &mut Screen) -> fmt::Result {
        let (tone, words) = match self.agree {
            Some(true) => (Tone::Good, "instances and Postgres know the same"),
            Some(false) => (Tone::Bad, "instances and Postgres DO NOT know the same"),
            None => (Tone::Unsure, "not everybody answers, so it cannot be said"),
        };
        writeln!(out, "{}: {}", self.env, out.tone(tone, words))?;
        for one in &self.silent {
            out.hanging("  ", &format!("{}: {}", one.name, one.why))?;
        }
        if let Some(postgres) = &self.postgres {
            writeln!(out, "  Postgres holds {postgres}")?;
        }
        let rows = self.instances.iter().map(|i| {
            [
                i.target.clone(),
                i.modes.to_string(),
                i.knows.revocations().to_string(),
                i.it_lacks.revocations().to_string(),
                i.postgres_lacks.revocations().to_string(),
                format!("{}/{}", i.it_lacks.keys, i.postgres_lacks.keys),
            ]
        });
        if !self.instances.is_empty() {
            let header = [
                "target",
                "runs in",
                "revocations",
                "it lacks",
                "Postgres lacks",
                "keys",
            ];
            let text = table(out, &header, rows);
            out.write_str(&text)?;
        }
        for top in self.nonces.iter().filter(|t| t.postgres_lost) {
            let text = format!(
                "Postgres LOST reservations of node {}, scope {}: it stands at {}, the node at {}",
                top.node_name,
                top.nonce_scope,
                top.postgres.unwrap_or(0),
                top.known()
            );
            let text = out.tone(Tone::Bad, crate::ui::printable(&text));
            writeln!(out, "{text}")?;
        }
        self.kit.human(out)?;
        if self.agree == Some(false) {
            writeln!(
                out,
                "next: a run that is driven keeps both sides in step; by hand:"
            )?;
            writeln!(
                out,
                "      dbctl carry export FILE, then dbctl carry import FILE"
            )?;
        }
        Ok(())
    }
}

impl KitStand {
    fn human(&self, out: &mut Screen) -> fmt::Result {
        let (Some(gap), Some(holds), Some(vouched)) =
            (self.gap_seconds, &self.holds, &self.vouched)
        else {
            let why = self.problem.as_deref().unwrap_or("there is none");
            return out.hanging("rollback kit  ", &format!("NONE TO GO BY: {why}"));
        };
        out.hanging("rollback kit  ", &format!("{holds}; {vouched}"))?;
        let then = match self.gap {
            Gap::Accept => "what was revoked in it would be accepted again",
            Gap::DenyIssuedBefore => "every token from before the rollback would be denied",
        };
        out.hanging(
            "gap           ",
            &format!("{gap:.1} s if Postgres died now; {then}"),
        )
    }
}

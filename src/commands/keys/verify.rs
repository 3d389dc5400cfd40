use std::fmt::{self, Write as _};
use std::path::PathBuf;

use clap::Args;
use serde::Serialize;

use super::database;
use super::rewrap::with_environment;
use crate::commands::Context;
use crate::error::{Exit, Result};
use crate::keys::{self, Health, Kek, Verification};
use crate::ui::{Report, Screen, Tone, middle, table};

#[derive(Debug, Args)]
#[command(after_help = "\
Changes nothing. Each sealed private half is opened and compared with its public half, each kid
with its key, each registered key-encryption key with its sentinel.

Exit status: 0 all is whole, 5 something is damaged, 6 something could not be seen, because the
key-encryption key that seals it was not given, or because there are no keys.

Example:
  dbctl keys verify --env production
  dbctl keys verify --kek-file kek-2026.b64 --kek-file kek-2027.b64")]
pub struct VerifyArgs {
    /// File with a key-encryption key, beside the environment's; may be given again
    #[arg(long, value_name = "FILE")]
    kek_file: Vec<PathBuf>,
}

#[derive(Debug, Serialize)]
struct VerifyReport {
    whole: usize,
    damaged: usize,
    unseen: usize,
    #[serde(flatten)]
    seen: Verification,
    /// The key-encryption keys that were given.
    given: Vec<String>,
}

impl VerifyReport {
    fn new(seen: Verification, keks: &[Kek]) -> Self {
        let count = |is: fn(&Health) -> bool| {
            let versions = seen.versions.iter().filter(|v| is(&v.health)).count();
            versions + seen.keks.iter().filter(|k| is(&k.health)).count()
        };
        Self {
            whole: count(|h| matches!(h, Health::Whole | Health::PublicOnly)),
            damaged: count(|h| matches!(h, Health::Damaged { .. })),
            // A sentinel that nobody can look at hides nothing: what it is for is its versions.
            unseen: seen
                .versions
                .iter()
                .filter(|v| v.health == Health::Unseen)
                .count(),
            given: keks.iter().map(Kek::ids).collect(),
            seen,
        }
    }

    fn exit(&self) -> Exit {
        match (self.damaged, self.unseen, self.seen.versions.len()) {
            (0, 0, 1..) => Exit::Ok,
            (0, _, _) => Exit::Inconclusive,
            (_, _, _) => Exit::Findings,
        }
    }
}

impl Report for VerifyReport {
    const SCHEMA: &'static str = "dbctl.keys.verify/1";

    fn human(&self, out: &mut Screen) -> fmt::Result {
        if self.seen.versions.is_empty() {
            return writeln!(
                out,
                "No signing keys: nothing to verify.\n\nNext:\n  dbctl keys seed"
            );
        }
        let word = |health: &Health| match health {
            Health::Whole => "whole",
            Health::PublicOnly => "public half only",
            Health::Unseen => "not seen",
            Health::Damaged { .. } => "damaged",
        };
        let rows = self.seen.versions.iter().map(|v| {
            let sealed = v.kek_id.clone().unwrap_or_default();
            let (key, version) = (v.key_id.clone(), v.version.to_string());
            let kid = middle(&v.kid, 12);
            [
                key,
                version,
                v.state.to_string(),
                kid,
                sealed,
                word(&v.health).into(),
            ]
        });
        let header = ["key", "v", "state", "kid", "sealed with", ""];
        let text = table(out, &header, rows);
        out.write_str(&text)?;
        let versions = self.seen.versions.iter().map(|v| {
            let what = format!("version {} of {}", v.version, v.key_id);
            (what, &v.health)
        });
        let keks = self.seen.keks.iter().map(|k| (k.kek_id.clone(), &k.health));
        for (what, health) in versions.chain(keks) {
            if let Health::Damaged { why } = health {
                let head = out.tone(Tone::Bad, &what);
                writeln!(out)?;
                out.hanging(&format!("{head}: "), why)?;
            }
        }
        self.missing(out)?;
        match self.exit() {
            Exit::Ok => writeln!(
                out,
                "\nEverything that is sealed opens, and the halves fit."
            ),
            _ => Ok(()),
        }
    }
}

impl VerifyReport {
    /// Which key-encryption keys would be needed to see the rest.
    fn missing(&self, out: &mut Screen) -> fmt::Result {
        let unseen = self
            .seen
            .versions
            .iter()
            .filter(|v| v.health == Health::Unseen);
        let mut ids: Vec<&str> = unseen.filter_map(|v| v.kek_id.as_deref()).collect();
        ids.sort_unstable();
        ids.dedup();
        if ids.is_empty() {
            return Ok(());
        }
        let given = match self.given.as_slice() {
            [] => "no key-encryption key was given".to_owned(),
            given => format!("only {} was given", given.join(", ")),
        };
        writeln!(
            out,
            "\nNot seen: {} sealed with {}; {given}.",
            self.unseen,
            ids.join(", ")
        )?;
        writeln!(out, "\nNext:\n  dbctl keys verify --kek-file FILE")
    }
}

pub async fn run(args: VerifyArgs, context: &Context) -> Result<Exit> {
    let from_flags = args
        .kek_file
        .iter()
        .map(|file| Kek::from_file(file))
        .collect::<Result<Vec<Kek>>>()?;
    let (env, db) = database(context).await?;
    let keks = with_environment(from_flags, env).await?;
    let report = VerifyReport::new(keys::verify(&db, &keks).await?, &keks);
    context.ui.report(&report)?;
    Ok(report.exit())
}

use std::collections::BTreeMap;
use std::fmt::{self, Write as _};

use clap::Args;
use serde::Serialize;

use crate::carry::over::{self, Carried, Fleet, Store};
use crate::commands::Context;
use crate::error::{Exit, Problem, Result};
use crate::pg::Database;
use crate::runtime::toggles::{Mode, Modes, Toggle};
use crate::settings::{Environment, Restart, Target};
use crate::toggle::switch::{Outlook, Progress, With, outlook, switch};
use crate::toggle::{self, Patience, Switched, Times};
use crate::ui::{Answer, Report, Screen, Tone};

#[derive(Debug, Args)]
#[command(after_help = "\
What a target knows is carried over as a rollout does it: revocations, nonce tops and public keys \
into Postgres before a switch to it, and back before a switch away from it. --no-carry leaves that \
out: what was revoked is then accepted again on the other side, until it expires.

Example:
  dbctl --env staging toggles set SECURITY_RUNTIME_MODE=postgres
  dbctl toggles set SECURITY_REVOCATION_MODE=memory --confirm production")]
pub struct SetArgs {
    /// Toggles to set
    #[arg(value_name = "NAME=VALUE", required = true)]
    toggles: Vec<String>,

    /// Target or group to set them on; all targets without it. May be repeated
    #[arg(long, value_name = "NAME")]
    on: Vec<String>,

    /// Change the files only; the next restart switches, without carry-over
    #[arg(long)]
    no_restart: bool,

    /// Do not carry state over: revoked tokens are accepted again on the other side
    #[arg(long)]
    no_carry: bool,

    /// The environment's name, instead of typing it
    #[arg(long, value_name = "ENV")]
    confirm: Option<String>,
}

/// `dbctl.toggles.set/1`.
#[derive(Debug, Serialize)]
struct Done {
    env: String,
    targets: Vec<Row>,
    /// Whether state was carried over where the direction needs it.
    carried: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    into_postgres: Option<Carried>,
    #[serde(skip_serializing_if = "Option::is_none")]
    out_of_postgres: Option<Carried>,
    #[serde(skip_serializing_if = "Option::is_none")]
    settled: Option<Carried>,
}

#[derive(Debug, Serialize)]
struct Row {
    target: String,
    before: Option<Modes>,
    /// What it runs in now, by its own word.
    now: Option<Modes>,
    file_says: Modes,
    outcome: Outcome,
    #[serde(skip_serializing_if = "Option::is_none")]
    problem: Option<String>,
    #[serde(flatten)]
    times: Times,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
enum Outcome {
    /// Nothing was to be done.
    AlreadySo,
    Confirmed,
    /// The file was changed and the service was left alone.
    FileOnly,
    Failed,
}

pub async fn run(args: SetArgs, context: &Context) -> Result<Exit> {
    let toggles = parse(&args.toggles)?;
    let env = context.settings.environment(None)?;
    context
        .ui
        .refuse_other(&env.name, args.confirm.as_deref())?;
    let chosen = env.select(&args.on)?;
    let all = outlook(&Fleet::new(env, &chosen)?, &toggles).await?;
    let (changing, same): (Vec<_>, Vec<_>) = all.into_iter().partition(Outlook::changes);
    let mut done = Done {
        env: env.name.clone(),
        targets: same.iter().map(already_so).collect(),
        carried: !args.no_carry && !args.no_restart,
        into_postgres: None,
        out_of_postgres: None,
        settled: None,
    };
    if changing.is_empty() {
        context.ui.report(&done)?;
        return Ok(Exit::Ok);
    }
    let named = |t: &&Target| changing.iter().any(|o| o.target == t.name);
    let targets: Vec<&Target> = chosen.into_iter().filter(named).collect();
    let facts = facts(env, &targets, &changing, &args);
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
    let moves = changing.iter().any(|o| o.goes_forward() || o.goes_back());
    if moves && (args.no_carry || args.no_restart) {
        context.ui.warn(if args.no_restart {
            "no state is carried over: a restart loses what this changes sides with"
        } else {
            "no state is carried over: revoked tokens are accepted again on the other side"
        });
    }
    let fleet = Fleet::new(env, &targets)?;
    let problem = if args.no_restart {
        files_only(&fleet, &toggles, &changing, &mut done).await
    } else {
        go(
            context,
            env,
            &fleet,
            &toggles,
            &changing,
            moves && !args.no_carry,
            &mut done,
        )
        .await?
    };
    done.targets.sort_by(|a, b| a.target.cmp(&b.target));
    context.ui.report(&done)?;
    match problem {
        None => Ok(Exit::Ok),
        Some(problem) => Err(problem),
    }
}

fn parse(given: &[String]) -> Result<BTreeMap<Toggle, Mode>> {
    let mut toggles = BTreeMap::new();
    for one in given {
        let usage = |cause: String| {
            Problem::new(Exit::Usage, "reading NAME=VALUE", cause)
                .next("such as SECURITY_RUNTIME_MODE=postgres or SECURITY_NONCE_STORE_MODE=file")
        };
        let (name, value) = one
            .split_once('=')
            .ok_or_else(|| usage(format!("`{}` has no `=`", one.escape_debug())))?;
        let as_usage = |p: Problem| p.with_exit(Exit::Usage);
        let toggle: Toggle = name.parse().map_err(as_usage)?;
        let mode = toggle.parse_mode(value).map_err(as_usage)?;
        if toggles
            .insert(toggle, mode)
            .is_some_and(|other| other != mode)
        {
            return Err(usage(format!("{toggle} is given twice, differently")));
        }
    }
    Ok(toggles)
}

fn already_so(outlook: &Outlook) -> Row {
    Row {
        target: outlook.target.clone(),
        before: outlook.runs_in,
        now: outlook.runs_in,
        file_says: outlook.file_says,
        outcome: Outcome::AlreadySo,
        problem: None,
        times: Times::default(),
    }
}

/// What a person reads before they type the name.
fn facts(env: &Environment, targets: &[&Target], changing: &[Outlook], args: &SetArgs) -> String {
    let mut text = format!("Next: switch {} of {}.\n", names(targets), env.name);
    for o in changing {
        let from = o.runs_in.unwrap_or(o.file_says);
        for toggle in Toggle::ALL {
            let (a, b) = (from.get(toggle), o.would_run_in.get(toggle));
            if a != b {
                text += &format!("  {:<10} {toggle}: {a} → {b}\n", o.target);
            }
        }
        if o.runs_in.is_none() {
            text += &format!("  {:<10} does not answer now\n", o.target);
        }
    }
    let forward = changing.iter().any(Outlook::goes_forward);
    let back = changing.iter().any(Outlook::goes_back);
    let carry = match (args.no_carry || args.no_restart, forward, back) {
        (_, false, false) => "  no state changes sides\n",
        (true, ..) => "  no carry-over: revoked tokens are accepted again on the other side\n",
        (false, true, false) => {
            "  first      revocations, nonce tops and public keys go into Postgres\n"
        }
        (false, false, true) => {
            "  first      revocations, nonce tops and public keys come out of Postgres\n"
        }
        (false, true, true) => {
            "  first      revocations, nonce tops and public keys go both ways\n"
        }
    };
    text += carry;
    if args.no_restart {
        text += "  then       nothing is restarted: each goes on as it is until its next start\n";
        return text;
    }
    for target in targets {
        let how = match &target.restart {
            Restart::Command(argv) => argv.join(" "),
            Restart::Post { .. } => "its supervisor is asked".to_owned(),
        };
        text += &format!(
            "  then       restart {} ({how}), until it says so itself\n",
            target.name
        );
    }
    text
}

fn names(targets: &[&Target]) -> String {
    let names: Vec<&str> = targets.iter().map(|t| t.name.as_str()).collect();
    names.join(", ")
}

async fn files_only(
    fleet: &Fleet,
    toggles: &BTreeMap<Toggle, Mode>,
    changing: &[Outlook],
    done: &mut Done,
) -> Option<Problem> {
    let mut first = None;
    let set = toggle::set_all(fleet, toggles, None, &|_| {}).await;
    for (outlook, (target, result)) in changing.iter().zip(set) {
        let (file_says, outcome, problem) = match result {
            Ok(says) => (says.modes, Outcome::FileOnly, None),
            Err(problem) => {
                let text = problem.to_string();
                first.get_or_insert(problem);
                (outlook.file_says, Outcome::Failed, Some(text))
            }
        };
        done.targets.push(Row {
            target,
            before: outlook.runs_in,
            now: outlook.runs_in,
            file_says,
            outcome,
            problem,
            times: Times::default(),
        });
    }
    first
}

/// Switches, and returns what did not work on a target.
async fn go(
    context: &Context,
    env: &Environment,
    fleet: &Fleet,
    toggles: &BTreeMap<Toggle, Mode>,
    changing: &[Outlook],
    carry: bool,
    done: &mut Done,
) -> Result<Option<Problem>> {
    let ui = &context.ui;
    let tell = |p: Progress| match p {
        Progress::Carry(p @ over::Progress::Without { .. }) => ui.warn(p),
        Progress::Carry(p) => ui.detail(p),
        Progress::Toggle(p) => ui.detail(p),
    };
    let mut targets = if carry {
        let everyone: Vec<&Target> = env.targets.iter().collect();
        let everyone = Fleet::new(env, &everyone)?;
        let kit = crate::commands::carry::kit(context, env).await?;
        let database = Database::resolve(&context.settings, Some(env), &|text| ui.warn(text))?;
        let key_id = &context.settings.config.keys.key_id;
        let with = With {
            everyone: &everyone,
            store: Some(Store {
                database: &database,
                key_id,
            }),
            kit: &kit,
            patience: Patience::default(),
        };
        let done_all = switch(fleet, changing, toggles, with, &tell)
            .await
            .map_err(|p| match p.hint() {
                Some(_) => p,
                None => p.next("nothing was switched; --no-carry leaves the carry-over out"),
            })?;
        done.into_postgres = done_all.forward;
        done.out_of_postgres = done_all.back;
        done.settled = done_all.settled;
        if let Some(gap) = done.out_of_postgres.as_ref().and_then(Carried::gap) {
            ui.warn(gap);
        }
        done_all.targets
    } else {
        let toggling = |p| tell(Progress::Toggle(p));
        toggle::flip(fleet, toggles, None, Patience::default(), &toggling).await
    };
    let mut first = None;
    for (outlook, switched) in changing.iter().zip(targets.drain(..)) {
        done.targets.push(row(outlook, switched, &mut first));
    }
    Ok(first)
}

fn row(outlook: &Outlook, switched: Switched, first: &mut Option<Problem>) -> Row {
    let mut row = Row {
        target: switched.target,
        before: outlook.runs_in,
        now: None,
        file_says: outlook.would_run_in,
        outcome: Outcome::Failed,
        problem: None,
        times: switched.times,
    };
    match switched.result {
        Ok(health) => {
            row.now = Some(health.modes);
            row.outcome = Outcome::Confirmed;
        }
        Err(problem) => {
            row.problem = Some(problem.to_string());
            first.get_or_insert(problem);
        }
    }
    row
}

impl Report for Done {
    const SCHEMA: &'static str = "dbctl.toggles.set/1";

    fn human(&self, out: &mut Screen) -> fmt::Result {
        for carried in [&self.into_postgres, &self.out_of_postgres]
            .into_iter()
            .flatten()
        {
            let way = match carried.source {
                over::Source::Targets => "carried into Postgres",
                over::Source::Postgres | over::Source::Kit { .. } => "carried back",
            };
            writeln!(out, "{way}: {}, {}", carried.counts, carried.source)?;
        }
        for row in &self.targets {
            let before = row
                .before
                .map_or_else(|| "no answer".to_owned(), |m| m.to_string());
            let (tone, text) = match (row.outcome, row.now) {
                (Outcome::AlreadySo, _) => (Tone::Quiet, format!("is already so ({before})")),
                (Outcome::Confirmed, Some(now)) if Some(now) == row.before => (
                    Tone::Good,
                    format!("was restarted and says that it runs in {now}"),
                ),
                (Outcome::Confirmed, Some(now)) => {
                    (Tone::Good, format!("{before} → {now}, it says so itself"))
                }
                (Outcome::FileOnly, _) => (
                    Tone::Unsure,
                    format!("file says {}, runs on in {before}", row.file_says),
                ),
                (Outcome::Failed | Outcome::Confirmed, _) => {
                    (Tone::Bad, "did not confirm".to_owned())
                }
            };
            let text = out.tone(tone, text);
            writeln!(out, "{:<10} {text}", row.target)?;
        }
        Ok(())
    }
}

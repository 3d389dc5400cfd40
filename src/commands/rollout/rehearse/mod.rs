//! `rollout rehearse`: forwards to every step and back, and then through everything.

mod drive;
mod show;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use jiff::Timestamp;

use self::drive::{Left, Stage};
use super::operator::Terminal;
use super::session::{find_journal, interrupts, load_runbook};
use super::world::Live;
use crate::check::Verdict;
use crate::commands::Context;
use crate::error::{Doing as _, Exit, Problem, Result};
use crate::rollout::journal::Journal;
use crate::rollout::rehearsal::{self, Record, Way, part, part_hash};
use crate::runbook::model::{Proof, Runbook};
use crate::runbook::plan::Plan;
use crate::settings::Format;
use crate::ui::Answer;

#[derive(Debug, Args)]
#[command(after_help = "\
For every step of the environment's phases: a run goes forwards until that step is done, and back;
then it is checked that every target is on memory/file, that authentication works, that what was
revoked is denied and that no nonce is given out twice; then what is due afterwards is done. At the
end a run goes through all of it, and back. Never in the environment that the runbook ends in.

Ctrl-C goes back and stops; again it leaves at once and says what to type. The same command goes on
with the rehearsal that was broken off.

Exit status: 0 every way passed, 5 one did not, 14 a way back is stuck, 15 another run is in the way,
16 not confirmed, 130 after Ctrl-C.

Example:
  dbctl --env staging rollout rehearse
  dbctl --env staging rollout rehearse --quick --confirm staging")]
pub struct RehearseArgs {
    /// The runbook; without it `runbook.path` of the settings, else the one that dbctl carries
    #[arg(long, value_name = "FILE")]
    runbook: Option<std::path::PathBuf>,
    /// Shorten every bake to 5 s; the record says so
    #[arg(long)]
    quick: bool,
    /// Shorten every bake to this; the record says so
    #[arg(long, value_name = "TIME", conflicts_with = "quick", value_parser = crate::settings::parse_duration)]
    shorten_bakes: Option<Duration>,
    /// The environment's name, instead of typing it
    #[arg(long, value_name = "ENVIRONMENT")]
    confirm: Option<String>,
    /// Begin anew although a rehearsal of these steps was broken off
    #[arg(long)]
    again: bool,
    /// Only take back what a rehearsal left that was broken off
    #[arg(long, conflicts_with = "again")]
    back: bool,
}

/// How long a bake takes with `--quick`.
const QUICK: Duration = Duration::from_secs(5);

pub async fn run(args: RehearseArgs, context: &Context) -> Result<Exit> {
    let env = context.settings.environment(None)?.name.clone();
    let runbook = load_runbook(args.runbook.as_deref(), context)?;
    may_be_rehearsed(&runbook, &env)?;
    let shorten = args.quick.then_some(QUICK).or(args.shorten_bakes);
    let whole = Plan::resolve(&runbook, &context.settings, shorten)?;
    let plan = part(&whole, &env).ok_or_else(|| {
        let cause = format!("no step of {} acts in {env}", runbook.name);
        Problem::new(Exit::Usage, "rehearsing", cause).next("name another one with --env")
    })?;
    let folder = rehearsal::folder(&context.settings.config.journal.path, &env);
    // The way back asks nothing.
    if !args.back {
        nothing_in_the_way(&env, context).await?;
        let facts = show::facts(&plan, &env, &context.ui);
        match context
            .ui
            .confirm(&env, &facts, args.confirm.as_deref())
            .await?
        {
            Answer::Declined => {
                context.ui.status("not rehearsed; nothing was changed");
                return Ok(Exit::Unconfirmed);
            }
            Answer::Confirmed(_) => {}
        }
    }
    crate::durable::create_private_dir(&folder.join("runs"))
        .doing(Exit::Config, format!("making {}", folder.display()))?;
    let mut stage = stage(plan, &env, &folder, context).await?;
    if let Some(left) = stage.take_back_what_was_left().await? {
        return Ok(end(&left, &env, context));
    }
    if args.back {
        context
            .ui
            .status(format_args!("nothing is left of a rehearsal in {env}"));
        return Ok(Exit::Ok);
    }
    let mut record = begun(&stage, &whole, &env, &folder, args.again, context);
    rehearse(&mut stage, &mut record, &folder, context).await
}

/// The environment that a runbook ends in is the one that it is for; that is never rehearsed in.
fn may_be_rehearsed(runbook: &Runbook, env: &str) -> Result<()> {
    let proven = |env: &str| {
        let of = |proof: &Proof| matches!(proof, Proof::Modes { env: of, .. } if of == env);
        runbook.criteria.iter().any(|c| of(&c.proof))
    };
    let last = runbook.steps.last().is_some_and(|s| s.env == env);
    if !last && !proven(env) && env != "production" {
        return Ok(());
    }
    Err(Problem::new(
        Exit::Usage,
        format!("rehearsing in {env}"),
        format!(
            "{env} is what {} is for, and nothing is tried out there",
            runbook.name
        ),
    )
    .next("name another environment of the runbook with --env, such as staging"))
}

/// A real run that is open may act on the same targets.
async fn nothing_in_the_way(env: &str, context: &Context) -> Result<()> {
    let Some(journal) = find_journal(context).await? else {
        return Ok(());
    };
    match journal.runs().await?.into_iter().find(|r| !r.closed) {
        None => Ok(()),
        Some(open) => Err(Problem::new(
            Exit::LeaseHeld,
            format!("rehearsing in {env}"),
            format!("run {} is open", open.run),
        )
        .next("dbctl rollout status      shows where it stands; rehearse when it has ended")),
    }
}

/// Refuses to begin a run while a rehearsal holds one of its environments.
pub async fn none_under_way(plan: &Plan, context: &Context) -> Result<()> {
    for planned in &plan.environments {
        let path = &context.settings.config.journal.path;
        let folder = rehearsal::folder(path, &planned.name);
        let Some(journal) = Journal::open(&rehearsal::journal_in(&folder)).await? else {
            continue;
        };
        if let Some(open) = journal.runs().await?.into_iter().find(|r| !r.closed) {
            let name = &planned.name;
            return Err(Problem::new(
                Exit::LeaseHeld,
                "beginning a run",
                format!("run {} of a rehearsal in {name} is open", open.run),
            )
            .next(format!(
                "let it end, or dbctl --env {name} rollout rehearse --back      takes back what it left"
            )));
        }
    }
    Ok(())
}

/// The runs have a journal, kits and locks of their own.
async fn stage(plan: Plan, env: &str, folder: &Path, context: &Context) -> Result<Stage> {
    let mut settings = context.settings.clone();
    let config = &mut settings.config.journal;
    config.path = rehearsal::journal_in(folder);
    config.database_url = None;
    // A receiver could not tell these runs from real ones.
    settings.config.hooks.clear();
    let mut ui = context.ui.clone();
    ui.format = Format::Human;
    let context = Context { settings, ui };
    Ok(Stage {
        env: env.to_owned(),
        journal: Journal::create(&context.settings.config.journal.path).await?,
        world: Arc::new(Live::new(&context)?),
        operator: Arc::new(drive::Alone(Terminal::of(&context, None))),
        interrupt: interrupts(),
        ui: context.ui,
        plan,
    })
}

/// The record of the rehearsal that was broken off, or a new one.
fn begun(
    stage: &Stage,
    whole: &Plan,
    env: &str,
    folder: &Path,
    again: bool,
    context: &Context,
) -> Record {
    let part = part_hash(&stage.plan);
    let plan = Plan::hash(&stage.plan.to_json());
    let newest = Record::all(folder).into_iter().next();
    let broken_off = newest.filter(|r| !again && r.verdict.is_none() && r.plan == plan);
    if let Some(record) = broken_off {
        let done = record.cases.len();
        context.ui.status(format_args!(
            "going on with the rehearsal of {}: {done} of {} ways are done",
            record.began,
            stage.plan.forward.len() + 1
        ));
        return record;
    }
    Record {
        schema: Record::SCHEMA.into(),
        runbook: whole.runbook.clone(),
        env: env.to_owned(),
        part,
        plan,
        shortened_ms: whole
            .shortened
            .and_then(|d| u64::try_from(d.as_millis()).ok()),
        by: stage.journal.person().to_string(),
        began: Timestamp::now(),
        ended: None,
        verdict: None,
        cases: Vec::new(),
    }
}

async fn rehearse(
    stage: &mut Stage,
    record: &mut Record,
    folder: &Path,
    context: &Context,
) -> Result<Exit> {
    let steps = stage.plan.forward.len();
    let mut left = None;
    let mut witness = super::world::Witness::default();
    while left.is_none() && record.verdict.is_none() {
        // One case for each step, and one for all of it.
        let at = record.cases.len();
        let (case, ended) = stage.case(at, &mut witness, folder).await?;
        let passed = case.verdict == Verdict::Pass;
        let whole = case.way == Way::Whole;
        left = ended;
        // A way that was broken off proves nothing, and is walked again.
        if left != Some(Left::Interrupted) && left != Some(Left::OnTheWay) {
            record.cases.push(case);
            if !passed || whole {
                record.verdict = Some(if passed { Verdict::Pass } else { Verdict::Fail });
                record.ended = Some(Timestamp::now());
            }
        }
        record.save(folder)?;
    }
    let file = record.save(folder)?;
    context.ui.report(&show::Shown {
        record,
        steps,
        file: file.display().to_string(),
    })?;
    if let Some(left) = left {
        return Ok(end(&left, &record.env, context));
    }
    Ok(record.verdict.map_or(Exit::Interrupted, Verdict::exit))
}

/// The last words where a rehearsal did not end by itself.
fn end(left: &Left, env: &str, context: &Context) -> Exit {
    let ui = &context.ui;
    let command = format!("dbctl --env {env} rollout rehearse");
    match left {
        Left::Interrupted => {
            ui.status(format_args!(
                "LEFT: {env} is as it was before\n  next   {command}      goes on with the rehearsal"
            ));
            Exit::Interrupted
        }
        Left::OnTheWay => {
            ui.status(format_args!(
                "LEFT in the middle of a way back in {env}\n  next   {command} --back      finishes it\n         \
                 {command}             finishes it and goes on with the rehearsal"
            ));
            Exit::Interrupted
        }
        Left::Stuck => {
            ui.status(format_args!(
                "STUCK: {env} is not back on memory/file; what failed stands above\n  \
                 next   {command} --back      tries again\n         \
                 dbctl --env {env} toggles show      what files and services say"
            ));
            Exit::Stuck
        }
    }
}

//! The rollback while the journal does not answer: from this machine's mirror of the run, and for
//! an environment that is named from the rollback kit and the settings alone. What is done lies in
//! a spool, which `rollout merge` brings into the journal afterwards.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use super::operator::Terminal;
use super::reach::tell_here;
use super::rollback::{RollbackArgs, through_the_journal};
use super::session::{RunArgs, drive, find_run, mirrors, open_journal};
use super::world::Live;
use crate::commands::Context;
use crate::error::{Exit, Problem, Result};
use crate::rollout::engine::{Engine, now_ms, recall};
use crate::rollout::journal::{Journal, Mirror, RequestKind, mirrored};
use crate::rollout::machine::{Input, Refusal, Status, decide};
use crate::rollout::person::Person;
use crate::rollout::spool::{Ended, Spool, Spooled, What};
use crate::ui::clock_time;

/// How long the journal may take to show that the glass need not be broken.
const PATIENCE: Duration = Duration::from_secs(4);

/// What needs neither a journal nor a mirror.
const SETS_BACK: &str = "dbctl --env NAME rollout rollback --break-glass      sets every target \
     of NAME back, by the settings and the rollback kit";

pub async fn run(args: RollbackArgs, context: &Context) -> Result<Exit> {
    match tokio::time::timeout(PATIENCE, answering(&args, context)).await {
        Ok(Ok(journal)) => {
            let ui = &context.ui;
            ui.status("the journal answers: the rollback goes through it, no glass is broken");
            return through_the_journal(journal, args, context).await;
        }
        Ok(Err(problem)) => context
            .ui
            .warn(format_args!("without the journal: {problem}")),
        Err(_) => context.ui.warn("without the journal: it does not answer"),
    }
    context.ui.warn(
        "BREAK GLASS. Nobody can be fenced: make sure that nobody else drives this run.\n  \
         What is done is kept here, and is merged by dbctl rollout merge afterwards.",
    );
    let from_mirror = match mirror_of(&args.run, context).await? {
        Some((journal, mirror)) => Some(from_the_mirror(&args, journal, mirror, context).await),
        None => None,
    };
    let from_kit = match &context.settings.env_name {
        Some(env) => Some(from_the_kit(&args, env, context).await),
        None => None,
    };
    match (from_mirror, from_kit) {
        (None, None) => Err(no_mirror(&args, context)),
        (Some(done), None) => done.map_err(|problem| {
            let before = problem.hint().map(|hint| format!("{hint}\n"));
            let hint = format!("{}{SETS_BACK}", before.unwrap_or_default());
            problem.next(hint)
        }),
        (None, Some(done)) => done,
        // What was wrong with either counts.
        (Some(mirror), Some(kit)) => match (mirror, kit) {
            (Ok(Exit::RolledBack), kit) => kit,
            // The run's mirror knew of nothing to do; the environment was set back.
            (Err(problem), Ok(exit)) if problem.exit() == Exit::Usage => Ok(exit),
            (mirror, Ok(_)) => mirror,
            (mirror, Err(problem)) => {
                context.ui.problem(&problem);
                mirror
            }
        },
    }
}

/// The journal, where it can be worked with.
async fn answering(args: &RollbackArgs, context: &Context) -> Result<Journal> {
    let journal = open_journal(context).await?;
    let row = find_run(&journal, &args.run).await?;
    recall(&journal, &row.run).await?;
    Ok(journal)
}

/// The mirror of the run that is meant: the named one, an open one, the newest.
pub async fn mirror_of(args: &RunArgs, context: &Context) -> Result<Option<(Journal, Mirror)>> {
    let dir = mirrors(context);
    let mut newest = None;
    for run in mirrored(&dir)? {
        if args.run.as_ref().is_some_and(|named| *named != run) {
            continue;
        }
        let opened = async {
            let Some(mirror) = Mirror::open(&dir, &run).await? else {
                return Ok(None);
            };
            let journal = mirror.as_journal();
            let row = find_run(&journal, args).await?;
            Ok::<_, Problem>(Some((row.closed, journal, mirror)))
        };
        match opened.await {
            Ok(None) => {}
            Ok(Some((false, journal, mirror))) => return Ok(Some((journal, mirror))),
            Ok(Some((true, journal, mirror))) => {
                newest.get_or_insert((journal, mirror));
            }
            // One that is damaged must not hide another.
            Err(problem) => context.ui.warn(problem),
        }
    }
    Ok(newest)
}

async fn from_the_mirror(
    args: &RollbackArgs,
    journal: Journal,
    mirror: Mirror,
    context: &Context,
) -> Result<Exit> {
    let ui = &context.ui;
    let journal = journal.claiming(args.who.claim.clone());
    let run = mirror.run().clone();
    let known = recall(&journal, &run).await?;
    ui.warn(format_args!(
        "run {run} as this machine knows it: {}, up to event {} at {}, driven by {}. What another \
         machine switched since is not known here; --env NAME sets back every target of NAME",
        known.state.status,
        known.head.seq,
        clock_time(known.last_at_ms),
        journal.last_holder(&run).await?
    ));
    let input = Input::Rollback {
        by: journal.person().to_string(),
        why: args.reason.clone(),
    };
    match decide(&known.state, now_ms(), input.clone()) {
        Ok(_) | Err(Refusal::AlreadyRollingBack) => {}
        Err(refusal) => {
            let doing = format!("rolling run {run} back");
            let cause = format!("{refusal}, as far as this machine knows");
            return Err(Problem::new(Exit::Usage, doing, cause));
        }
    }
    let world = Arc::new(Live::without_journal(context)?);
    let spooled = spooled(args, &journal, What::run(&run, known.head));
    Spool::of_run(&mirrors(context), &run, spooled)?;
    let operator = Arc::new(Terminal::of(context, None));
    let mut engine = Engine::resume(world, operator, journal, &run, true).await?;
    if engine.state().status != Status::RollingBack {
        tell_here(&mut engine, RequestKind::Rollback, input).await?;
    }
    let exit = drive(engine, context).await;
    to_be_merged(context);
    exit
}

async fn from_the_kit(args: &RollbackArgs, env: &str, context: &Context) -> Result<Exit> {
    let ui = &context.ui;
    // An unknown name must not leave a record of something that was never begun.
    context.settings.environment(Some(env))?;
    let world = Live::without_journal(context)?;
    ui.status(format_args!(
        "setting every target of {env} back to memory/file, by the settings and the rollback kit"
    ));
    let person = Person::without_journal().claiming(args.who.claim.clone());
    let what = What::Environment {
        env: env.to_owned(),
        ended: None,
    };
    let spooled = Spooled::new(
        person.to_string(),
        args.who.claim.clone(),
        now_ms(),
        args.reason.clone(),
        what,
    );
    // A disk that takes no record must not hold up the rollback either.
    let spool = Spool::of_environment(&mirrors(context), spooled);
    if let Err(problem) = &spool {
        ui.warn(format_args!(
            "THIS IS NOT RECORDED ({problem}): write down what you do"
        ));
    }
    let done = world.set_back(env, &person.holder()).await;
    let ended = match &done {
        Ok((evidence, wrong)) => Ended {
            confirmed: wrong.is_empty(),
            wrong: wrong.clone(),
            evidence: evidence.clone(),
        },
        Err(problem) => Ended {
            confirmed: false,
            wrong: vec![problem.to_string()],
            evidence: serde_json::Value::Null,
        },
    };
    if let Ok(mut spool) = spool {
        spool.spooled.what = What::Environment {
            env: env.to_owned(),
            ended: Some(ended),
        };
        if let Err(problem) = spool.write() {
            ui.warn(problem);
        }
        to_be_merged(context);
    }
    let (_, wrong) = done?;
    if wrong.is_empty() {
        ui.status(format_args!(
            "SET BACK {env}: every target says that it runs in memory/file, and authenticates"
        ));
        return Ok(Exit::RolledBack);
    }
    Err(
        Problem::new(Exit::Stuck, format!("setting {env} back"), wrong.join("; "))
            .next("put right what is named and run the same command again: it may be repeated"),
    )
}

fn spooled(args: &RollbackArgs, journal: &Journal, what: What) -> Spooled {
    Spooled::new(
        journal.person().to_string(),
        args.who.claim.clone(),
        now_ms(),
        args.reason.clone(),
        what,
    )
}

fn to_be_merged(context: &Context) {
    context.ui.status(
        "what was done lies in a local spool, and nothing begins before it is merged\n  \
         first  dbctl rollout merge      once the journal answers again",
    );
}

fn no_mirror(args: &RollbackArgs, context: &Context) -> Problem {
    let dir = mirrors(context);
    let cause = match &args.run.run {
        Some(run) => format!("this machine has no mirror of run {run} in {}", shown(&dir)),
        None => format!(
            "this machine drove no run: there is no mirror in {}",
            shown(&dir)
        ),
    };
    let names: Vec<&str> = context
        .settings
        .config
        .environments
        .keys()
        .map(String::as_str)
        .collect();
    Problem::new(Exit::Usage, "rolling back without the journal", cause)
        .next(format!("{SETS_BACK}\nknown: {}", names.join(", ")))
}

fn shown(dir: &Path) -> String {
    dir.display().to_string()
}

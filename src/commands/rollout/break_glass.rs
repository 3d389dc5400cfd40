//! The rollback while the journal does not answer: from this machine's mirror of the run, and for
//! an environment that is named from the rollback kit and the settings alone. What is done lies in
//! a spool, which `rollout merge` brings into the journal afterwards.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use super::operator::Terminal;
use super::reach::tell_here;
use super::rollback::{RollbackArgs, through_the_journal};
use super::session::{RunArgs, drive, find_run, mirrors, open_journal};
use super::world::Live;
use crate::commands::Context;
use crate::contract::KitSeal;
use crate::error::{Exit, Problem, Result};
use crate::rollout::engine::{Engine, Known, now_ms, recall};
use crate::rollout::journal::{Journal, Mirror, RequestKind, mirrored};
use crate::rollout::machine::{Input, Refusal, Status, decide};
use crate::rollout::person::Person;
use crate::rollout::ports::flipped;
use crate::rollout::spool::{Ended, Spool, Spooled, What};
use crate::ui::clock_time;

/// What a journal or its mirror recorded of rollback kits, by environment.
type Kits = BTreeMap<String, Vec<KitSeal>>;

/// How long the journal may take to show that the glass need not be broken.
const PATIENCE: Duration = Duration::from_secs(4);

/// What needs neither a journal nor a mirror.
const SETS_BACK: &str = "dbctl --env NAME rollout rollback --break-glass      sets every target \
     of NAME back, by the settings and the rollback kit";

pub async fn run(args: RollbackArgs, context: &Context) -> Result<Exit> {
    let (mut switched, mut kits) = match with_the_journal(&args, context).await {
        ControlFlow::Break(done) => return done,
        ControlFlow::Continue(known) => known,
    };
    context.ui.warn(
        "BREAK GLASS. Nobody can be fenced: make sure that nobody else drives this run.\n  \
         What is done is kept here, and is merged by dbctl rollout merge afterwards.",
    );
    let mut from_mirror = None;
    if let Some((journal, mirror)) = mirror_of(&args.run, context).await? {
        let done = match recall(&journal, mirror.run()).await {
            Ok(known) => {
                kits.clone_from(&known.state.kits);
                if switched.is_empty() {
                    switched = switched_by(&known);
                }
                from_the_mirror(&args, journal, mirror, known, context).await
            }
            Err(problem) => Err(problem),
        };
        from_mirror = Some(done);
    }
    let environments = match (&context.settings.env_name, &from_mirror) {
        (Some(env), _) => vec![env.clone()],
        (None, None) => switched.clone(),
        (None, Some(Err(problem))) if is_of_the_journal(problem) => switched.clone(),
        (None, Some(Ok(_) | Err(_))) => Vec::new(),
    };
    let from_kit = from_the_kits(&args, &environments, &kits, context).await;
    let all_of_it = switched.iter().all(|env| environments.contains(env));
    match (from_mirror, from_kit) {
        (None, None) => Err(no_mirror(&args, context)),
        (Some(done), None) => done.map_err(|problem| {
            let before = problem.hint().map(|hint| format!("{hint}\n"));
            let hint = format!("{}{SETS_BACK}", before.unwrap_or_default());
            problem.next(hint)
        }),
        (None | Some(Ok(Exit::RolledBack)), Some(done)) => done,
        // The run's mirror knew of nothing to do; the environment was set back.
        (Some(Err(problem)), Some(Ok(exit))) if problem.exit() == Exit::Usage => Ok(exit),
        // The mirror took no writes; all that it knows of was set back.
        (Some(Err(problem)), Some(Ok(exit))) if all_of_it && is_of_the_journal(&problem) => {
            context
                .ui
                .warn(format_args!("without the mirror: {problem}"));
            Ok(exit)
        }
        // What was wrong with either counts.
        (Some(done), Some(Ok(_))) => done,
        (Some(done), Some(Err(problem))) => {
            context.ui.problem(&problem);
            done
        }
    }
}

/// Through the journal where it answers. Where it does not, or takes no writes (a full disk): the
/// environments that the run has switched, as far as it could be read.
async fn with_the_journal(
    args: &RollbackArgs,
    context: &Context,
) -> ControlFlow<Result<Exit>, (Vec<String>, Kits)> {
    let ui = &context.ui;
    let (journal, known) = match tokio::time::timeout(PATIENCE, answering(args, context)).await {
        Ok(Ok(answered)) => answered,
        Ok(Err(problem)) => {
            ui.warn(format_args!("without the journal: {problem}"));
            return ControlFlow::Continue(Default::default());
        }
        Err(_) => {
            ui.warn("without the journal: it does not answer");
            return ControlFlow::Continue(Default::default());
        }
    };
    let switched = switched_by(&known);
    ui.status("the journal answers: the rollback goes through it, no glass is broken");
    match through_the_journal(journal, args, context).await {
        // What it says of the run and of the settings is not for breaking any glass.
        Err(problem) if !switched.is_empty() && is_of_the_journal(&problem) => {
            ui.warn(format_args!("without the journal: {problem}"));
            ControlFlow::Continue((switched, known.state.kits))
        }
        done => ControlFlow::Break(done),
    }
}

/// Writing failed, or nobody answers any more.
fn is_of_the_journal(problem: &Problem) -> bool {
    matches!(problem.exit(), Exit::Failed | Exit::Unavailable)
}

/// The journal, where it can be read, and what it says of the run.
async fn answering(args: &RollbackArgs, context: &Context) -> Result<(Journal, Known)> {
    let journal = open_journal(context).await?;
    let row = find_run(&journal, &args.run).await?;
    let known = recall(&journal, &row.run).await?;
    Ok((journal, known))
}

/// The environments in which a run has switched something, those of the last phases first.
fn switched_by(known: &Known) -> Vec<String> {
    let targets = flipped(&known.plan, &known.state);
    let phases = known.plan.phases.iter().rev().map(|phase| &phase.env);
    let mut environments: Vec<String> = Vec::new();
    for env in phases {
        if targets.iter().any(|t| t.env == *env) && !environments.contains(env) {
            environments.push(env.clone());
        }
    }
    environments
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
    known: Known,
    context: &Context,
) -> Result<Exit> {
    let ui = &context.ui;
    let journal = journal.claiming(args.who.claim.clone());
    let run = mirror.run().clone();
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

/// One environment after the other; none where none is named.
async fn from_the_kits(
    args: &RollbackArgs,
    environments: &[String],
    kits: &Kits,
    context: &Context,
) -> Option<Result<Exit>> {
    let mut all = None;
    for env in environments {
        let done = from_the_kit(args, env, kits, context).await;
        all = Some(match (all, done) {
            (None | Some(Ok(_)), done) => done,
            (Some(Err(before)), Ok(_)) => Err(before),
            (Some(Err(before)), Err(problem)) => {
                context.ui.problem(&problem);
                Err(before)
            }
        });
    }
    all
}

async fn from_the_kit(
    args: &RollbackArgs,
    env: &str,
    kits: &Kits,
    context: &Context,
) -> Result<Exit> {
    let ui = &context.ui;
    // An unknown name must not leave a record of something that was never begun.
    context.settings.environment(Some(env))?;
    let world = Live::without_journal(context)?;
    world.know_kits(kits);
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
            "SET BACK {env}: every target says that it runs in memory/file, and authenticates\n  \
             next   dbctl rollout rollback   once the journal can be written again: a run that\n         \
             switched {env} does not know of this yet"
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
        None if context.settings.config.journal.database_url.is_none() => {
            "the journal is a file, of which no mirror is kept, and it does not say what was switched"
                .to_owned()
        }
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

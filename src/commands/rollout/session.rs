//! What the subcommands share: the journal, the run that is meant, driving it to an end.

use std::path::Path;
use std::time::Duration;

use clap::Args;
use tokio::sync::mpsc;

use super::apart::lies_apart;
use super::operator::Terminal;
use super::world::Live;
use crate::commands::Context;
use crate::error::{Exit, Problem, Result};
use crate::pg::Database;
use crate::rollout::engine::{Ending, Engine};
use crate::rollout::journal::{Head, Journal, RunId, RunRow, mirrors_beside};
use crate::rollout::machine::{PausedBy, State};
use crate::runbook::describe;
use crate::runbook::model::Runbook;
use crate::runbook::plan::Plan;
use crate::ui::printable;

/// Which run is meant.
#[derive(Debug, Clone, Default, Args)]
pub struct RunArgs {
    /// The run; without it the one under way, else the newest
    #[arg(long, value_name = "RUN")]
    pub run: Option<RunId>,
}

/// Going on where the journal and the world disagree.
#[derive(Debug, Clone, Default, Args)]
pub struct AcceptArgs {
    /// Go on although the world is not as the journal says; the run's id
    #[arg(long, value_name = "RUN")]
    pub accept_world: Option<String>,
}

/// Who acts. The journal knows that by itself; this is only what they say.
#[derive(Debug, Clone, Default, Args)]
pub struct AsArgs {
    /// Who you say you are: recorded as a claim, beside who the journal knows you to be
    #[arg(long = "as", value_name = "NAME", value_parser = crate::rollout::person::parse_claim)]
    pub claim: Option<String>,
}

/// Which runbook is meant.
#[derive(Debug, Clone, Args)]
pub struct RunbookArgs {
    /// The runbook; without it `runbook.path` of the settings, else the one that dbctl carries
    #[arg(long, value_name = "FILE")]
    pub runbook: Option<std::path::PathBuf>,
    /// Shorten every bake to this; the plan says so wherever it is shown
    #[arg(long, value_name = "TIME", value_parser = crate::settings::parse_duration)]
    pub shorten_bakes: Option<Duration>,
}

impl RunbookArgs {
    pub fn load(&self, context: &Context) -> Result<Runbook> {
        load_runbook(self.runbook.as_deref(), context)
    }
}

/// The runbook of `--runbook`, of the settings, or the built-in one.
pub fn load_runbook(named: Option<&Path>, context: &Context) -> Result<Runbook> {
    match named.or(context.settings.config.runbook.path.as_deref()) {
        Some(path) => crate::runbook::load(path),
        None => crate::runbook::built_in(),
    }
}

/// The journal; a missing one is an error that says how a run is begun.
pub async fn open_journal(context: &Context) -> Result<Journal> {
    find_journal(context).await?.ok_or_else(|| {
        let config = &context.settings.config.journal;
        let place = match &config.database_url {
            Some(_) => "that journal.database_url names".to_owned(),
            None => config.path.display().to_string(),
        };
        Problem::new(
            Exit::Config,
            format!("opening the journal {place}"),
            "there is none: no run was begun here",
        )
        .next("dbctl rollout start      begins one; or go to the folder (or pass the --config) where it was begun")
    })
}

/// The journal that the settings name, if it was made already.
pub async fn find_journal(context: &Context) -> Result<Option<Journal>> {
    match database_of_journal(context)? {
        Some(database) => {
            let journal = Journal::open_in(database).await?;
            Ok(journal.map(|journal| journal.mirrored_in(mirrors(context))))
        }
        None => Journal::open(&context.settings.config.journal.path).await,
    }
}

/// The journal that the settings name, for a run by this plan; made where it is not there.
pub async fn make_journal(plan: &Plan, context: &Context) -> Result<Journal> {
    // Before anything is made in a database.
    lies_apart(plan, context).await?;
    match database_of_journal(context)? {
        Some(database) => {
            let journal = Journal::create_in(database).await?;
            Ok(journal.mirrored_in(mirrors(context)))
        }
        None => Journal::create(&context.settings.config.journal.path).await,
    }
}

/// Where this machine mirrors the runs that it drives for a journal in a database.
pub fn mirrors(context: &Context) -> std::path::PathBuf {
    mirrors_beside(&context.settings.config.journal.path)
}

/// The database that the settings name for the journal.
pub fn database_of_journal(context: &Context) -> Result<Option<Database>> {
    let config = &context.settings.config.journal;
    Database::of_journal(config, &|weak| context.ui.warn(weak))
}

/// The run that is meant: the named one, the open one, the newest.
pub async fn find_run(journal: &Journal, args: &RunArgs) -> Result<RunRow> {
    let runs = journal.runs().await?;
    let found = match &args.run {
        Some(run) => runs.iter().find(|r| r.run == *run),
        None => runs.iter().find(|r| !r.closed).or(runs.first()),
    };
    found.cloned().ok_or_else(|| {
        let cause = match &args.run {
            Some(run) => format!("run {run} is not in it"),
            None => "no run was begun yet".to_owned(),
        };
        let known: Vec<&str> = runs.iter().take(5).map(|r| r.run.as_str()).collect();
        let problem = Problem::new(
            Exit::Usage,
            format!("looking into the journal {journal}"),
            cause,
        );
        if known.is_empty() {
            problem.next("dbctl rollout start      begins one")
        } else {
            problem.next(format!("the newest runs: {}", known.join(", ")))
        }
    })
}

/// Each Ctrl-C (and SIGTERM, and a closed terminal) as a message.
pub fn interrupts() -> mpsc::Receiver<()> {
    let (tell, heard) = mpsc::channel(4);
    tokio::spawn(
        async move { while interrupted().await.is_some() && tell.send(()).await.is_ok() {} },
    );
    heard
}

#[cfg(unix)]
async fn interrupted() -> Option<()> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate()).ok()?;
    let mut hangup = signal(SignalKind::hangup()).ok()?;
    tokio::select! {
        done = crate::ui::interrupts::ctrl_c() => done.then_some(()),
        done = terminate.recv() => done,
        done = hangup.recv() => done,
    }
}

#[cfg(not(unix))]
async fn interrupted() -> Option<()> {
    crate::ui::interrupts::ctrl_c().await.then_some(())
}

/// Drives to an ending and says it: where it stands, the head, how to go on.
pub async fn drive(engine: Engine<Live, Terminal>, context: &Context) -> Result<Exit> {
    Ok(drive_to_ending(engine, context).await?.exit())
}

/// As [`drive`], for a caller that judges the ending itself.
pub async fn drive_to_ending(
    mut engine: Engine<Live, Terminal>,
    context: &Context,
) -> Result<Ending> {
    let ending = engine.drive(&mut interrupts()).await?;
    let mut text = last_words(&ending, engine.run(), engine.head(), engine.state());
    if let (Ending::Completed, Some(to)) = (&ending, engine.plan().shortened) {
        text += &format!(
            "  its bakes were shortened to {}, and prove less than the runbook asks for\n",
            describe::words(to)
        );
    }
    // With it goes the bar of a bake, which would wipe the last lines away.
    drop(engine);
    context.ui.status(text.trim_end());
    Ok(ending)
}

/// The last lines of a session of driving.
pub fn last_words(ending: &Ending, run: &RunId, head: Head, state: &State) -> String {
    let seen = format!("journal head {head}");
    let unwatched = match state.triggers_armed() {
        true => "  nobody watches the triggers until then\n",
        false => "",
    };
    match ending {
        Ending::Completed => {
            format!("COMPLETED run {run}: every step and criterion holds\n  {seen}\n")
        }
        Ending::RolledBack if state.is_closed() => format!(
            "ROLLED BACK run {run}, and all that was due afterwards is done.\n  {seen}\n  \
             next   dbctl rollout start       another attempt\n"
        ),
        Ending::RolledBack => {
            let next = match state.asked() {
                Some(step) => format!(
                    "approve --confirm {} --run {run}      answers what is due afterwards",
                    state.outline.id(step)
                ),
                None => "resume      what is due afterwards, before another attempt".to_owned(),
            };
            format!(
                "ROLLED BACK run {run}. Postgres keeps all rows.\n  {seen}\n  \
                 next   dbctl rollout {next}\n"
            )
        }
        Ending::Stuck => format!(
            "STUCK run {run}: the rollback cannot go on without a person\n  {seen}\n  \
             next   dbctl rollout status      what failed and why\n         \
             dbctl rollout rollback    tries again\n"
        ),
        Ending::Aborted => format!("ABORTED run {run}: nothing was switched\n  {seen}\n"),
        Ending::Paused(PausedBy::Doubt) => format!(
            "PAUSED run {run} by a step in doubt: look what became of it\n  {seen}\n  \
             next   dbctl rollout resolve STEP --done|--not-done   says what you saw\n         \
             dbctl rollout resume      asks its probe again\n         \
             dbctl rollout rollback    goes back to memory/file\n{unwatched}",
        ),
        Ending::Paused(by) => format!(
            "PAUSED run {run} by {by}\n  {seen}\n  \
             next   dbctl rollout resume      goes on where it stands\n         \
             dbctl rollout rollback    goes back to memory/file\n{unwatched}",
        ),
        Ending::Reached { phase } => format!(
            "REACHED run {run}: every step of phase {} is finished\n  {seen}\n  \
             next   dbctl rollout run         goes on to the next phase\n{unwatched}",
            printable(phase)
        ),
        Ending::AwaitingApproval { phase } => format!(
            "WAITING run {run} wants an approval; everything stays as it is\n  {seen}\n  \
             next   dbctl rollout approve --confirm {} --run {run}\n         \
             dbctl rollout reject --run {run}\n{unwatched}",
            state
                .outline
                .phases
                .get(*phase)
                .map_or("ENVIRONMENT", String::as_str)
        ),
        Ending::AwaitingAnswer { step } => format!(
            "WAITING run {run} wants a person's answer; everything stays as it is\n  {seen}\n  \
             next   dbctl rollout approve --confirm {} --run {run}\n         \
             dbctl rollout reject --run {run}\n{unwatched}",
            state.outline.id(*step)
        ),
        Ending::Detached => format!(
            "LEFT run {run} as it is; it does not advance by itself\n  {seen}\n  \
             next   dbctl rollout resume      goes on where it stands\n         \
             dbctl rollout rollback    goes back to memory/file\n{unwatched}"
        ),
        Ending::Unreachable { why } => format!(
            "STOPPED run {run}: the journal is unreachable\n  {}\n  {seen}\n{}  \
             next   dbctl rollout resume      once the journal answers again\n         \
             dbctl rollout rollback --break-glass\n                                   \
             goes back to memory/file without it\n",
            printable(why),
            match state.triggers_armed() {
                true => "  NOBODY WATCHES: targets are switched, and no trigger is judged\n",
                false => "",
            }
        ),
        Ending::Fenced { holder } => format!(
            "FENCED run {run} is driven by {holder} now; this process stopped at once\n  \
             next   dbctl rollout status\n"
        ),
    }
}

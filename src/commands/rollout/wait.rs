use std::time::{Duration, Instant};

use clap::Args;
use serde::Serialize;

use super::operator::exit_of;
use super::session::{RunArgs, find_run, interrupts, open_journal};
use super::until::Until;
use crate::commands::Context;
use crate::error::{Exit, Problem, Result};
use crate::rollout::engine::{Known, now_ms, recall};
use crate::rollout::journal::{Journal, RunId};
use crate::rollout::machine::Status;
use crate::settings::Format;
use crate::ui::{Ui, clock_time, duration, printable};

/// How often the journal is looked at.
const EVERY: Duration = Duration::from_millis(200);
/// How long a stop has to last where somebody drives: a driver that comes with an approval passes
/// through the wait for it.
const SETTLES_IN: Duration = Duration::from_secs(2);
/// How long a journal in a database may be silent.
const SILENT_FOR: Duration = Duration::from_secs(30);
/// How long nobody has to drive before that is said.
const MISSED_AFTER: Duration = Duration::from_secs(1);

#[derive(Debug, Args)]
#[command(after_help = "\
Only reads the journal: needs neither Postgres nor the service, and may run beside any driver.
Says each change of the status in one line (with --format json as JSON on stdout).

Exit status: 0 completed, or as far as --until says; else how the run stands where nothing happens
by itself any more: 10 it waits for an approval or an answer, 11 paused by a person or a failed
step, 12 paused by a gate or a trigger, 13 rolled back, 14 stuck, 18 aborted. 4 after --timeout,
130 after Ctrl-C; the run goes on as it was.

Example:
  dbctl rollout wait
  dbctl rollout wait --until staging --timeout 30m")]
pub struct WaitArgs {
    #[command(flatten)]
    run: RunArgs,
    /// How far: until every step of a phase is finished, until a person is wanted, until it is
    /// completed, until it has ended in whichever way
    #[arg(
        long,
        value_name = "PHASE|approval|completed|ended",
        default_value = "completed"
    )]
    until: String,
    /// Give up after this
    #[arg(long, value_name = "TIME", value_parser = crate::settings::parse_duration)]
    timeout: Option<Duration>,
}

pub async fn run(args: WaitArgs, context: &Context) -> Result<Exit> {
    let journal = open_journal(context).await?;
    let row = find_run(&journal, &args.run).await?;
    let mut watched = Watched::new(&journal, row.run).await?;
    let until = Until::find(&args.until, Until::OF_WAIT, &watched.known.plan)?;
    let began = Instant::now();
    let mut interrupt = interrupts();
    let mut silent_since = None;
    loop {
        match watched.look(&journal).await {
            Ok(()) => silent_since = None,
            // One that is away for a moment is waited for, as its driver waits for it.
            Err(problem) if problem.exit() == Exit::Unavailable => {
                let since = *silent_since.get_or_insert_with(|| {
                    context.ui.warn(format_args!("{problem}; asking again"));
                    Instant::now()
                });
                if since.elapsed() >= SILENT_FOR {
                    return Err(problem);
                }
                tokio::select! {
                    Some(()) = interrupt.recv() => return Ok(Exit::Interrupted),
                    () = tokio::time::sleep(EVERY) => continue,
                }
            }
            Err(problem) => return Err(problem),
        }
        let end = watched.end(until);
        watched.tell(end, &context.ui)?;
        if let Some(exit) = end {
            return Ok(exit);
        }
        let left = args.timeout.map(|t| (t, t.saturating_sub(began.elapsed())));
        let pause = match left {
            Some((timeout, Duration::ZERO)) => return Err(watched.gave_up(timeout)),
            Some((_, left)) => EVERY.min(left),
            None => EVERY,
        };
        tokio::select! {
            Some(()) = interrupt.recv() => return Ok(Exit::Interrupted),
            () = tokio::time::sleep(pause) => {}
        }
    }
}

/// A change of the status, for programs.
#[derive(Serialize)]
struct Told<'a> {
    schema: &'static str,
    run: &'a RunId,
    at_ms: u64,
    #[serde(flatten)]
    status: &'a Status,
    /// Who drives, if anybody does.
    holder: Option<&'a str>,
    /// In the last line only.
    exit_code: Option<u8>,
}

/// What is known of the run that is waited for.
struct Watched {
    run: RunId,
    known: Known,
    changed_at: Instant,
    driver: Option<String>,
    driven_at: Instant,
    /// Nothing was recorded between reading the state and the driver: both belong together.
    in_step: bool,
    told: Option<Status>,
    told_that_nobody_drives: bool,
}

impl Watched {
    async fn new(journal: &Journal, run: RunId) -> Result<Self> {
        let known = recall(journal, &run).await?;
        let now = Instant::now();
        Ok(Self {
            run,
            known,
            changed_at: now,
            driver: None,
            driven_at: now,
            in_step: false,
            told: None,
            told_that_nobody_drives: false,
        })
    }

    async fn look(&mut self, journal: &Journal) -> Result<()> {
        if journal.newest(&self.run).await? != self.known.head.seq {
            self.known = recall(journal, &self.run).await?;
            self.changed_at = Instant::now();
        }
        self.driver = journal.holder(&self.run).await?.map(|h| h.holder);
        if self.driver.is_some() {
            self.driven_at = Instant::now();
        }
        self.in_step = journal.newest(&self.run).await? == self.known.head.seq;
        Ok(())
    }

    /// The exit status, once there is nothing to wait for.
    fn end(&self, until: Until) -> Option<Exit> {
        let reached = until.is_reached(&self.known.state);
        let passed = reached && matches!(until, Until::Phase(_));
        let stands = match self.known.state.status {
            Status::Running | Status::RollingBack => reached,
            Status::Completed | Status::RolledBack | Status::Aborted => true,
            Status::AwaitingApproval { .. }
            | Status::AwaitingAnswer { .. }
            | Status::Paused { .. }
            | Status::Stuck { .. } => passed || self.is_settled(),
        };
        let exit = if reached {
            Exit::Ok
        } else {
            exit_of(&self.known.state)
        };
        stands.then_some(exit)
    }

    /// The stop is not one that a driver passes through.
    fn is_settled(&self) -> bool {
        self.in_step && (self.driver.is_none() || self.changed_at.elapsed() >= SETTLES_IN)
    }

    /// One line when the status has changed; a stop only once it lasts.
    fn tell(&mut self, end: Option<Exit>, ui: &Ui) -> Result<()> {
        let goes_on = match self.known.state.status {
            Status::Running | Status::RollingBack => true,
            Status::AwaitingApproval { .. }
            | Status::AwaitingAnswer { .. }
            | Status::Paused { .. }
            | Status::RolledBack
            | Status::Stuck { .. }
            | Status::Completed
            | Status::Aborted => false,
        };
        if (goes_on || end.is_some()) && self.told.as_ref() != Some(&self.known.state.status) {
            self.told = Some(self.known.state.status.clone());
            self.tell_status(end, ui)?;
        }
        let missed = goes_on && end.is_none() && self.driven_at.elapsed() >= MISSED_AFTER;
        if missed && !self.told_that_nobody_drives {
            self.told_that_nobody_drives = true;
            ui.status(format_args!(
                "nobody drives run {}; dbctl rollout run (or resume) drives it on",
                self.run
            ));
        }
        Ok(())
    }

    fn tell_status(&self, end: Option<Exit>, ui: &Ui) -> Result<()> {
        if ui.format == Format::Json {
            let line = Told {
                schema: "dbctl.rollout.wait/1",
                run: &self.run,
                at_ms: now_ms(),
                status: &self.known.state.status,
                holder: self.driver.as_deref(),
                exit_code: end.map(|e| e as u8),
            };
            let line = serde_json::to_string(&line).expect("plain data");
            return ui.data(&format!("{line}\n"));
        }
        let mut screen = ui.status_screen();
        let time = format!("{}  ", clock_time(now_ms()));
        let text = format!("run {}: {}", self.run, printable(&self.words(end)));
        screen
            .hanging(&time, &text)
            .expect("writing to a string cannot fail");
        ui.status(screen.into_string().trim_end());
        Ok(())
    }

    /// Where the run stands, and what is next where it stops.
    fn words(&self, end: Option<Exit>) -> String {
        match self.known.state.status {
            Status::AwaitingApproval { phase } => {
                let phase = &self.known.plan.phases[phase];
                format!(
                    "phase {} waits for an approval; next: dbctl rollout approve --confirm {}",
                    phase.name, phase.env
                )
            }
            Status::AwaitingAnswer { step } => format!(
                "{id} wants a person's answer; next: dbctl rollout approve --confirm {id}",
                id = self.known.state.outline.id(step)
            ),
            Status::Paused { by } => {
                format!("paused by {by}; next: dbctl rollout status says why and what may be done")
            }
            Status::Stuck { .. } => {
                "stuck; next: dbctl rollout status says why and what may be done".into()
            }
            Status::RolledBack if !self.known.state.is_closed() => {
                "rolled back; next: dbctl rollout resume does what is due afterwards".into()
            }
            Status::Running if end.is_some() => "running; --until is reached".into(),
            Status::Running
            | Status::RollingBack
            | Status::RolledBack
            | Status::Completed
            | Status::Aborted => self.known.state.status.to_string(),
        }
    }

    fn gave_up(&self, timeout: Duration) -> Problem {
        let (who, next) = match &self.driver {
            None => (
                "nobody drives it".to_owned(),
                "dbctl rollout run         drives it on; or dbctl rollout resume",
            ),
            Some(driver) => (
                format!("{driver} drives it"),
                "dbctl rollout status      shows where it stands; a longer --timeout waits on",
            ),
        };
        Problem::new(
            Exit::Unavailable,
            format!("waiting for run {}", self.run),
            format!(
                "after {} it is {}, and {who}",
                duration(timeout),
                self.known.state.status
            ),
        )
        .next(next)
    }
}

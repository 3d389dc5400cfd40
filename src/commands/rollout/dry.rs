//! `--dry-run`: every check and every probe of a plan, and no effect.

use std::fmt::{self, Write as _};
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::plan::describe;
use super::session::find_journal;
use super::world::{Foreseen, Live, Now};
use crate::check::Verdict;
use crate::commands::Context;
use crate::error::{Doing as _, Exit, Result};
use crate::rollout::engine::recall;
use crate::rollout::journal::Journal;
use crate::rollout::machine::Status;
use crate::runbook::model::StepKind;
use crate::runbook::plan::{Plan, Planned};
use crate::runtime::toggles::Mode;
use crate::ui::{Report, Screen, Tone, printable};

/// Why a run would not be begun at all.
#[derive(Debug, Serialize)]
pub struct Refused {
    exit_code: u8,
    why: String,
    #[serde(skip)]
    exit: Exit,
}

/// What the journal has against a new run.
pub async fn refused(context: &Context) -> Result<Option<Refused>> {
    let config = &context.settings.config.journal;
    let folder = tempfile::tempdir().doing(Exit::Failed, "making a temporary folder")?;
    let journal = match config.database_url {
        Some(_) => find_journal(context).await?,
        None => copied(&config.path, folder.path()).await?,
    };
    let Some(journal) = journal else {
        return Ok(None);
    };
    let Some(open) = journal.runs().await?.into_iter().find(|r| !r.closed) else {
        return Ok(None);
    };
    let status = recall(&journal, &open.run).await?.state.status;
    let (exit, why) = match status {
        Status::RolledBack => (
            Exit::Unconfirmed,
            format!(
                "what is due after the rollback of run {} was not done: dbctl rollout resume",
                open.run
            ),
        ),
        Status::Running
        | Status::AwaitingApproval { .. }
        | Status::AwaitingAnswer { .. }
        | Status::Paused { .. }
        | Status::RollingBack
        | Status::Stuck { .. }
        | Status::Completed
        | Status::Aborted => (
            Exit::LeaseHeld,
            format!("run {} is open ({status}): dbctl rollout status", open.run),
        ),
    };
    Ok(Some(Refused {
        exit_code: exit as u8,
        why,
        exit,
    }))
}

/// Opens a copy: opening the file itself would write to it.
async fn copied(path: &Path, folder: &Path) -> Result<Option<Journal>> {
    let copy = folder.join("journal.db");
    // What was not yet taken from the log into the file belongs to it.
    for ending in ["", "-wal"] {
        let with_ending = |file: &Path| {
            let mut name = file.as_os_str().to_owned();
            name.push(ending);
            PathBuf::from(name)
        };
        match std::fs::copy(with_ending(path), with_ending(&copy)) {
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => {}
            done => {
                let doing = format!("copying the journal {}", path.display());
                done.doing(Exit::Config, doing)?;
            }
        }
    }
    Journal::open(&copy).await
}

/// Looks at everything and shows it. Never writes.
pub async fn run(plan: &Plan, refused: Option<Refused>, context: &Context) -> Result<Exit> {
    let world = Live::new(context)?;
    let ui = &context.ui;
    let tell = |planned: &Planned| ui.detail(format_args!("looking at {}", planned.step.id));
    let foreseen = world.foresee(plan, &tell).await;
    let worst = foreseen.iter().filter_map(Foreseen::stops);
    let stops = foreseen.iter().any(|f| f.stops().is_some());
    let verdict = match stops {
        true => Verdict::worst(worst),
        false => Verdict::Pass,
    };
    let exit = match (&refused, verdict) {
        (Some(refused), Verdict::Pass) => refused.exit,
        (_, verdict) => verdict.exit(),
    };
    ui.report(&DryRun {
        runbook: &plan.runbook,
        hash: Plan::hash(&plan.to_json()),
        verdict,
        exit_code: exit as u8,
        refused,
        steps: lines(&plan.forward, foreseen),
        rollback: steps(&plan.rollback),
        afterwards: steps(&plan.afterwards),
        plan,
    })?;
    Ok(exit)
}

#[derive(Serialize)]
struct DryRun<'a> {
    runbook: &'a str,
    hash: String,
    /// The worst of what would stop the run.
    verdict: Verdict,
    exit_code: u8,
    /// Why a run would not be begun now.
    #[serde(skip_serializing_if = "Option::is_none")]
    refused: Option<Refused>,
    steps: Vec<Line>,
    rollback: Vec<StepLine>,
    afterwards: Vec<StepLine>,
    #[serde(skip)]
    plan: &'a Plan,
}

#[derive(Serialize)]
struct StepLine {
    id: String,
    phase: String,
    env: String,
    kind: &'static str,
    targets: Vec<String>,
    /// What it does, to what.
    does: String,
}

#[derive(Serialize)]
struct Line {
    #[serde(flatten)]
    step: StepLine,
    /// What takes it back; nothing where there is nothing to take back, or no way.
    undone_by: Option<String>,
    /// What stays after a rollback.
    not_undone: Option<&'static str>,
    #[serde(flatten)]
    foreseen: Foreseen,
}

fn steps(planned: &[Planned]) -> Vec<StepLine> {
    planned.iter().map(step_line).collect()
}

fn step_line(planned: &Planned) -> StepLine {
    StepLine {
        id: planned.step.id.clone(),
        phase: planned.step.phase.clone(),
        env: planned.step.env.clone(),
        kind: planned.step.kind.name(),
        targets: planned.targets.clone(),
        does: describe(planned),
    }
}

fn lines(planned: &[Planned], foreseen: Vec<Foreseen>) -> Vec<Line> {
    let line = |(planned, foreseen)| {
        let (undone_by, not_undone) = undoing(planned);
        Line {
            step: step_line(planned),
            undone_by,
            not_undone,
            foreseen,
        }
    };
    planned.iter().zip(foreseen).map(line).collect()
}

/// What takes a step back, and what of it stays.
fn undoing(planned: &Planned) -> (Option<String>, Option<&'static str>) {
    let rollback = || Some("dbctl rollout rollback".to_owned());
    match &planned.step.kind {
        StepKind::Command {
            undo: Some(undo), ..
        } => (Some(undo.join(" ")), None),
        StepKind::Command { undo: None, .. } => (None, Some("what the program does")),
        StepKind::Migrate => (None, Some("the migrations")),
        StepKind::Keys => (None, Some("the seeded key")),
        StepKind::Carry { .. } => (None, Some("what was exchanged; it is the same state")),
        StepKind::Toggles { set, .. } if set.values().any(|m| *m == Mode::Postgres) => {
            (rollback(), Some("skipped nonces, rows in Postgres"))
        }
        StepKind::Rehearse { .. } => (rollback(), Some("skipped nonces, rows in Postgres")),
        StepKind::Smoke { .. } => (None, Some("revoked tokens of the checks' subject")),
        StepKind::Toggles { .. }
        | StepKind::Restart { .. }
        | StepKind::Confirm { .. }
        | StepKind::Approve { .. }
        | StepKind::Preflight
        | StepKind::Verify { .. }
        | StepKind::Integrity
        | StepKind::Bake { .. }
        | StepKind::Recover { .. }
        | StepKind::Complete => (None, None),
    }
}

impl Report for DryRun<'_> {
    const SCHEMA: &'static str = "dbctl.rollout.dry-run/1";

    fn human(&self, out: &mut Screen) -> fmt::Result {
        let title = out.tone(Tone::Strong, &self.plan.title);
        writeln!(out, "{title}")?;
        let hash = self.hash.get(..12).unwrap_or(&self.hash);
        writeln!(out, "  runbook {} · plan {hash}", self.runbook)?;
        out.wrapped(
            2,
            "dry run: checks and probes as of now; nothing is changed, no program of a step is \
             run but the probe that the runbook names for it",
        )?;
        super::plan::shortened(out, self.plan)?;
        for (index, phase) in self.plan.phases.iter().enumerate() {
            let text = format!("phase {} · wants the approval: {}", phase.name, phase.env);
            writeln!(out, "\n{}", printable(&text))?;
            let of_phase = self.plan.forward.iter().zip(&self.steps);
            for (_, line) in of_phase.filter(|(p, _)| p.phase == index) {
                line.human(out)?;
            }
        }
        writeln!(out)?;
        out.hanging(
            "rollback · ",
            "by a trigger, a failed gate or a person; asks nothing",
        )?;
        for planned in &self.plan.rollback {
            super::plan::step(out, planned)?;
        }
        if !self.plan.afterwards.is_empty() {
            writeln!(out, "\nafterwards · before another attempt")?;
            for planned in &self.plan.afterwards {
                super::plan::step(out, planned)?;
            }
        }
        writeln!(out)?;
        self.last_words(out)
    }
}

impl DryRun<'_> {
    fn last_words(&self, out: &mut Screen) -> fmt::Result {
        if let Some(refused) = &self.refused {
            let text = format!("a run would not be begun now: {}", refused.why);
            out.wrapped(0, &printable(&text))?;
        }
        let stopped: Vec<&str> = self
            .steps
            .iter()
            .filter(|l| l.foreseen.stops().is_some())
            .map(|l| l.step.id.as_str())
            .collect();
        let open = self.steps.iter().filter(|l| match l.foreseen.now {
            Now::NotKnown { .. } | Now::NotRun | Now::CannotTell => true,
            Now::Judged { .. } | Now::Done | Now::NotDone | Now::Asks => false,
        });
        let open = format!(
            "{} of {} steps are not known yet",
            open.count(),
            self.steps.len()
        );
        if stopped.is_empty() {
            return out.wrapped(
                0,
                &format!("nothing was found that would stop the run; {open}"),
            );
        }
        out.wrapped(
            0,
            &format!("the run would stop at {}; {open}", stopped.join(", ")),
        )
    }
}

impl Line {
    fn human(&self, out: &mut Screen) -> fmt::Result {
        let mark = match &self.foreseen.now {
            Now::Judged { verdict } => out.mark(*verdict),
            Now::Done => out.tone(Tone::Good, "✓"),
            Now::CannotTell => out.tone(Tone::Unsure, "?"),
            Now::NotDone | Now::NotKnown { .. } | Now::NotRun | Now::Asks => {
                out.tone(Tone::Quiet, "·")
            }
        };
        writeln!(out, "  {mark} {}", self.step.id)?;
        out.hanging("      would  ", &printable(&self.step.does))?;
        let words = match &self.foreseen.now {
            Now::Judged { verdict } => format!("{verdict}: {}", self.foreseen.why),
            Now::Done => format!("already done: {}", self.foreseen.why),
            Now::NotDone => format!("not done: {}", self.foreseen.why),
            Now::CannotTell => format!("its probe cannot tell: {}", self.foreseen.why),
            Now::NotKnown { before } => {
                format!("not known before {before}: {}", self.foreseen.why)
            }
            Now::NotRun => format!("not run: {}", self.foreseen.why),
            Now::Asks => self.foreseen.why.clone(),
        };
        out.hanging("      now    ", &printable(&words))?;
        for looked in &self.foreseen.checks {
            let result = &looked.result;
            let subject = match result.subject.as_str() {
                "" => result.name.clone(),
                subject => format!("{} on {subject}", result.name),
            };
            let (mark, words) = match &looked.not_before {
                Some(step) => (
                    out.tone(Tone::Quiet, "·"),
                    format!("{subject}: not known before {step} ({})", result.summary),
                ),
                None => {
                    let next = result.next.iter().map(|n| format!(" (next: {n})"));
                    let next: String = next.collect();
                    let words = format!("{subject}: {}{next}", result.summary);
                    (out.mark(result.verdict), words)
                }
            };
            // The mark may hold colour, which a head that is measured must not.
            write!(out, "           {mark} ")?;
            let mut rest = Screen::new(false, out.width());
            rest.hanging("             ", &printable(&words))?;
            out.write_str(rest.into_string().trim_start())?;
        }
        if let Some(by) = &self.undone_by {
            out.hanging("      undone by  ", &printable(by))?;
        }
        if let Some(stays) = self.not_undone {
            out.hanging("      stays  ", stays)?;
        }
        Ok(())
    }
}

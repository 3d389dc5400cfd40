use std::fmt::{self, Write as _};
use std::sync::Arc;

use clap::Args;
use serde::Serialize;

use super::break_glass::mirror_of;
use super::session::{RunArgs, find_run, mirrors, open_journal};
use crate::commands::Context;
use crate::error::{Exit, Result};
use crate::rollout::engine::{Known, recall};
use crate::rollout::journal::RunId;
use crate::rollout::machine::{Certainty, Note, Part, Progress, State, Status, StepState};
use crate::rollout::spool::unmerged;
use crate::runbook::model::StepKind;
use crate::runbook::plan::{Plan, Planned};
use crate::ui::{Report, Screen, Tone, clock_time, duration, middle, moment, printable};

#[derive(Debug, Default, Args)]
#[command(after_help = "\
Exit status: 0 completed or under way, 10 waits for an approval or an answer, 11 paused by a
person, 12 paused by a gate or a trigger, 13 rolled back, 14 stuck, 18 aborted.

Example:
  dbctl rollout status
  dbctl --format json rollout status")]
pub struct StatusArgs {
    #[command(flatten)]
    run: RunArgs,
}

#[derive(Debug, Serialize)]
struct StatusReport {
    run: RunId,
    runbook: String,
    #[serde(flatten)]
    status: Status,
    /// The exit status of this command, and of a driver that stops now.
    exit_code: u8,
    reason: Option<String>,
    /// The newest note that somebody left.
    note: Option<Note>,
    /// Who drives, if anybody does.
    holder: Option<String>,
    plan: String,
    head: String,
    last_event_ms: u64,
    steps: Vec<StepLine>,
    #[serde(skip)]
    state: State,
    #[serde(skip)]
    planned: Arc<Plan>,
}

#[derive(Debug, Serialize)]
struct StepLine {
    part: Part,
    phase: String,
    id: String,
    kind: &'static str,
    #[serde(flatten)]
    step: StepState,
}

pub async fn run(args: StatusArgs, context: &Context) -> Result<Exit> {
    let journal = match open_journal(context).await {
        Err(problem) if problem.exit() == Exit::Unavailable => {
            let Some((journal, mirror)) = mirror_of(&args.run, context).await? else {
                return Err(problem);
            };
            context.ui.warn(format_args!(
                "{problem}\n  this is what this machine knows of run {}; it may have gone on",
                mirror.run()
            ));
            journal
        }
        opened => opened?,
    };
    let row = find_run(&journal, &args.run).await?;
    let Known {
        state,
        told,
        plan,
        head,
        last_at_ms,
        ..
    } = recall(&journal, &row.run).await?;
    let exit = super::operator::exit_of(&state);
    let report = StatusReport {
        run: row.run.clone(),
        runbook: row.name,
        status: state.status.clone(),
        exit_code: exit as u8,
        reason: told.reason,
        note: told.note,
        holder: journal.holder(&row.run).await?.map(|h| h.holder),
        plan: state.outline.plan.clone(),
        head: head.to_string(),
        last_event_ms: last_at_ms,
        steps: lines(&plan, &state),
        planned: plan,
        state,
    };
    context.ui.report(&report)?;
    for spool in unmerged(&mirrors(context))? {
        context.ui.warn(format_args!(
            "at {} something was done here without the journal, and is not in it: \
             dbctl rollout merge",
            clock_time(spool.spooled.at_ms)
        ));
    }
    Ok(exit)
}

fn lines(plan: &Plan, state: &State) -> Vec<StepLine> {
    let part = |part, planned: &[Planned]| -> Vec<StepLine> {
        planned
            .iter()
            .zip(state.steps(part))
            .map(|(planned, step)| StepLine {
                part,
                phase: planned.step.phase.clone(),
                id: planned.step.id.clone(),
                kind: planned.step.kind.name(),
                step: step.clone(),
            })
            .collect()
    };
    [
        part(Part::Forward, &plan.forward),
        part(Part::Rollback, &plan.rollback),
        part(Part::Afterwards, &plan.afterwards),
    ]
    .into_iter()
    .flatten()
    .collect()
}

impl Report for StatusReport {
    const SCHEMA: &'static str = "dbctl.rollout.status/1";

    fn human(&self, out: &mut Screen) -> fmt::Result {
        let status = self.status.to_string().to_uppercase();
        let status = out.tone(Tone::Strong, status);
        let head = format!("{} · run {} · {status}", self.runbook, self.run);
        out.hanging("", &head)?;
        let holder = match &self.holder {
            Some(holder) => holder.as_str(),
            None if self.state.triggers_armed() => "nobody, and no gate or trigger is watched",
            None => "nobody",
        };
        let facts = format!(
            "driven by {holder} · plan {} · last event {}",
            middle(&self.plan, 12),
            moment(self.last_event_ms)
        );
        out.wrapped(2, &printable(&facts))?;
        super::plan::shortened(out, &self.planned)?;
        let explains = match self.status {
            Status::Paused { .. }
            | Status::RollingBack
            | Status::RolledBack
            | Status::Stuck { .. }
            | Status::Aborted => true,
            Status::Running
            | Status::AwaitingApproval { .. }
            | Status::AwaitingAnswer { .. }
            | Status::Completed => false,
        };
        if let Some(reason) = self.reason.as_deref().filter(|_| explains) {
            out.wrapped(2, &printable(&format!("reason: {reason}")))?;
        }
        writeln!(out)?;
        let ids = self.steps.iter().map(|s| s.id.len());
        let longest = ids.max().unwrap_or(0);
        let unwinding = self.state.rollback.iter().any(|s| s.attempts > 0);
        for line in &self.steps {
            if line.part == Part::Forward || unwinding {
                self.step(out, line, longest)?;
            }
        }
        self.bake(out)?;
        if let Some(Note { by, text, at_ms }) = &self.note {
            let note = format!("note by {by} at {}: {text}", moment(*at_ms));
            writeln!(out)?;
            out.wrapped(2, &printable(&note))?;
        }
        writeln!(out, "\nyou may:")?;
        for (command, effect) in self.actions() {
            out.hanging(&format!("  dbctl rollout {command:<10} "), effect)?;
        }
        writeln!(out, "journal head {}", self.head)
    }
}

impl StatusReport {
    fn step(&self, out: &mut Screen, line: &StepLine, longest: usize) -> fmt::Result {
        let (mark, words) = match line.step.progress {
            Progress::Done => (out.tone(Tone::Good, "✓"), "done"),
            Progress::Unconfirmed => (out.tone(Tone::Unsure, "?"), "done, not confirmed"),
            Progress::InFlight => (out.tone(Tone::Strong, "●"), "under way"),
            Progress::InDoubt => (out.tone(Tone::Unsure, "?"), "in doubt"),
            Progress::Failed { inconclusive: true } => {
                (out.tone(Tone::Unsure, "?"), "could not be judged")
            }
            Progress::Failed { .. } => (out.tone(Tone::Bad, "✗"), "failed"),
            Progress::Abandoned => (out.tone(Tone::Quiet, "-"), "abandoned"),
            Progress::Pending => (out.tone(Tone::Quiet, "·"), ""),
        };
        let group = match line.part {
            Part::Forward => line.phase.as_str(),
            Part::Rollback => "rollback",
            Part::Afterwards => "afterwards",
        };
        let text = format!("{group:<11} {:<longest$}  {words}", line.id);
        writeln!(out, "  {mark} {}", text.trim_end())
    }

    fn bake(&self, out: &mut Screen) -> fmt::Result {
        let Some(bake) = &self.state.bake else {
            return Ok(());
        };
        if let StepKind::Bake {
            duration: needed, ..
        } = &self.planned.forward[bake.step].step.kind
        {
            let time = |ms| duration(std::time::Duration::from_millis(ms));
            let (observed, full) = (time(bake.observed_ms), duration(*needed));
            let extended = |c: Certainty| matches!(c, Certainty::Extended | Certainty::Held);
            let more = match bake.gates.iter().any(|g| extended(g.certainty)) {
                true => format!(", not certain by then: extended to {}", time(bake.until_ms)),
                false => String::new(),
            };
            writeln!(out, "\n  bake: {observed} observed of {full}{more}")?;
        }
        Ok(())
    }

    /// What may be done now, and what it does.
    fn actions(&self) -> Vec<(&'static str, &'static str)> {
        let mut actions = Vec::new();
        let driven = self.holder.is_some();
        match self.status {
            Status::AwaitingApproval { .. } => {
                actions.push(("approve", "enters the phase that the run waits for"));
                actions.push(("reject", "says no; the run is paused"));
            }
            Status::AwaitingAnswer { .. } => {
                actions.push(("approve", "says yes to the step that asks"));
                actions.push(("reject", "says no; the run is paused"));
            }
            Status::Running | Status::RollingBack if !driven => {
                actions.push(("resume", "drives it on from where it stands"));
            }
            Status::Paused { .. } => actions.push(("resume", "goes on from where it stands")),
            Status::RolledBack if !self.state.is_closed() => {
                if self.state.asked().is_some() {
                    actions.push(("approve", "says yes to the step that asks"));
                    actions.push(("reject", "says no; it is asked again"));
                }
                actions.push(("resume", "does what is due before another attempt"));
            }
            Status::Running
            | Status::RollingBack
            | Status::RolledBack
            | Status::Stuck { .. }
            | Status::Completed
            | Status::Aborted => {}
        }
        let in_doubt = |s: &StepState| s.progress == Progress::InDoubt;
        let stands = matches!(self.status, Status::Paused { .. } | Status::Stuck { .. });
        let State {
            forward, rollback, ..
        } = &self.state;
        if stands && forward.iter().chain(rollback).any(in_doubt) {
            actions.push(("resolve", "says what became of the step in doubt"));
        }
        if driven && !self.state.is_closed() {
            let fences = "drives it from here; whoever drives now is fenced";
            actions.push(("takeover", fences));
        }
        if self.state.can_go_forward() && !matches!(self.status, Status::Paused { .. }) {
            actions.push(("pause", "stops advancing, keeps everything as it is"));
        }
        if self.state.can_go_forward() && !self.state.flipped {
            actions.push(("abort", "ends the run; nothing was switched yet"));
        }
        let over = matches!(
            self.status,
            Status::RolledBack | Status::RollingBack | Status::Aborted
        );
        if self.state.flipped && !over {
            actions.push(("rollback", "memory/file on every switched target, at once"));
        }
        actions.push(("log", "shows the journal"));
        actions
    }
}

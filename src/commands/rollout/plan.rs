use std::fmt::{self, Write as _};

use clap::Args;
use serde::Serialize;

use super::session::RunbookArgs;
use crate::check::gates::required_in_words;
use crate::commands::Context;
use crate::error::{Exit, Result};
use crate::runbook::model::StepKind;
use crate::runbook::plan::{Plan, Planned};
use crate::ui::{Report, Screen, Tone, Ui, printable};

#[derive(Debug, Args)]
#[command(after_help = "\
Exit status of --dry-run: 0 when nothing was found that would stop the run; 5 when a check does not
hold, 4 when something does not answer, 6 when something could not be judged.

Example:
  dbctl rollout plan --runbook runbooks/phase-1-postgres-cutover.md
  dbctl rollout plan --dry-run")]
pub struct PlanArgs {
    #[command(flatten)]
    runbook: RunbookArgs,
    /// Also make every check and ask every probe now, and have no effect at all
    #[arg(long)]
    dry_run: bool,
}

pub async fn run(args: PlanArgs, context: &Context) -> Result<Exit> {
    let runbook = args.runbook.load(context)?;
    let plan = Plan::resolve(&runbook, &context.settings, args.runbook.shorten_bakes)?;
    if args.dry_run {
        return super::dry::run(&plan, None, context).await;
    }
    context.ui.report(&Shown {
        alone: true,
        ..Shown::of(&plan)
    })?;
    Ok(Exit::Ok)
}

/// A plan as it is shown, with its hash.
#[derive(Debug, Serialize)]
pub struct Shown<'a> {
    hash: String,
    plan: &'a Plan,
    /// Nothing follows that says more.
    #[serde(skip)]
    alone: bool,
}

impl<'a> Shown<'a> {
    pub fn of(plan: &'a Plan) -> Self {
        Self {
            hash: Plan::hash(&plan.to_json()),
            plan,
            alone: false,
        }
    }
}

/// The plan as text for stderr.
pub fn show(shown: &Shown<'_>, ui: &Ui) -> String {
    let mut screen = ui.status_screen();
    // Writing to a string cannot fail.
    let _ = shown.human(&mut screen);
    screen.into_string()
}

impl Report for Shown<'_> {
    const SCHEMA: &'static str = "dbctl.rollout.plan/1";

    fn human(&self, out: &mut Screen) -> fmt::Result {
        let plan = self.plan;
        let title = out.tone(Tone::Strong, &plan.title);
        writeln!(out, "{title}")?;
        writeln!(
            out,
            "  runbook {} · plan {}",
            plan.runbook,
            &self.hash[..12]
        )?;
        shortened(out, plan)?;
        for (index, phase) in plan.phases.iter().enumerate() {
            writeln!(
                out,
                "\nphase {} · wants the approval: {}",
                phase.name, phase.env
            )?;
            for planned in plan.forward.iter().filter(|p| p.phase == index) {
                step(out, planned)?;
                margins(out, plan, planned)?;
            }
        }
        writeln!(out)?;
        let by = "by a trigger, a failed gate or a person; asks nothing";
        out.hanging("rollback · ", by)?;
        for planned in &plan.rollback {
            step(out, planned)?;
        }
        if !plan.afterwards.is_empty() {
            writeln!(out, "\nafterwards · before another attempt")?;
            for planned in &plan.afterwards {
                step(out, planned)?;
            }
        }
        writeln!(out)?;
        out.wrapped(
            0,
            "not undone by a rollback: migrations, seeded keys, rows in Postgres, \
             and skipped nonces (at most a few windows a node)",
        )?;
        let compared = |p: &&Planned| !plan.compared(p).is_empty();
        let bakes = plan.forward.iter().filter(compared);
        let bakes: Vec<&str> = bakes.map(|p| p.step.id.as_str()).collect();
        if self.alone && !bakes.is_empty() {
            let bakes = bakes.join(", ");
            let text = format!(
                "decided by margins: {bakes}. Whether the time is enough for that, \
                 `dbctl rollout plan --dry-run` tells from the traffic of the moment"
            );
            writeln!(out)?;
            out.wrapped(0, &text)?;
        }
        Ok(())
    }
}

/// That bakes are shortened, and what that takes from them.
pub fn shortened(out: &mut Screen, plan: &Plan) -> fmt::Result {
    let Some(words) = plan.shortened_in_words() else {
        return Ok(());
    };
    let mark = out.tone(Tone::Unsure, "!");
    // The mark may hold colour, which a head that is measured must not.
    write!(out, "  {mark} ")?;
    let mut rest = Screen::new(false, out.width());
    rest.wrapped(4, &printable(&words))?;
    out.write_str(rest.into_string().trim_start())
}

/// What the margins of a bake need, as far as that is known without asking anybody.
fn margins(out: &mut Screen, plan: &Plan, bake: &Planned) -> fmt::Result {
    let StepKind::Bake { extend, .. } = &bake.step.kind else {
        return Ok(());
    };
    let decisions = if extend.is_zero() { 1 } else { 2 };
    // As if every target had as much traffic.
    let count = |n: usize| f64::from(u32::try_from(n).unwrap_or(u32::MAX));
    let ratio = count(plan.others(bake).len()) / count(bake.targets.len());
    for gate in plan.compared(bake) {
        if let Some(words) = required_in_words(gate, ratio, decisions) {
            out.hanging("            ", &printable(&format!("{}: {words}", gate.id)))?;
        }
    }
    Ok(())
}

pub fn step(out: &mut Screen, planned: &Planned) -> fmt::Result {
    let head = format!("  {:<9} ", planned.step.kind.name());
    out.hanging(&head, &describe(planned))
}

/// One line: what a step does, to what.
pub fn describe(planned: &Planned) -> String {
    let on = match planned.targets.as_slice() {
        [] => "every target that was switched".to_owned(),
        targets => targets.join(", "),
    };
    match &planned.step.kind {
        StepKind::Confirm { question } => format!("a person confirms: {question}"),
        StepKind::Approve { approvals: 1 } => {
            format!("a person approves: {}", planned.step.heading)
        }
        StepKind::Approve { approvals } => {
            format!("{approvals} people approve: {}", planned.step.heading)
        }
        StepKind::Command { run, undo, .. } => match undo {
            Some(undo) => format!("{} (undone by {})", run.join(" "), undo.join(" ")),
            None => run.join(" "),
        },
        StepKind::Preflight => format!("the preconditions of {}", planned.step.env),
        StepKind::Migrate => format!("pending migrations of {}", planned.step.env),
        StepKind::Keys => format!("seed the signing key of {}", planned.step.env),
        StepKind::Carry { .. } => format!("exchange state between {on} and Postgres"),
        StepKind::Toggles { set, restart, .. } => {
            let modes = crate::runtime::toggles::Modes::resolve(set);
            let restart = if *restart { ", restart" } else { "" };
            format!("{on} → {modes}; carry over{restart}")
        }
        StepKind::Restart { .. } => format!("restart {on}, each says its modes itself"),
        StepKind::Smoke { checks, .. } if checks.is_empty() => format!("all smoke checks on {on}"),
        StepKind::Smoke { checks, .. } => format!("{} on {on}", checks.join(", ")),
        StepKind::Verify { queries } if queries.is_empty() => "all verification queries".into(),
        StepKind::Verify { queries } => queries.join(", "),
        StepKind::Integrity => "the security state in Postgres is whole".into(),
        StepKind::Bake {
            duration, gates, ..
        } => format!(
            "watch {on} for {}: {}",
            crate::ui::duration(*duration),
            gates.join(", ")
        ),
        StepKind::Recover { .. } => format!("authentication works again on {on}"),
        StepKind::Rehearse { .. } => format!("{on}: back to memory/file, check, forward again"),
        StepKind::Complete => "the completion criteria, each with evidence".into(),
    }
}

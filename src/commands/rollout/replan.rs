use std::fmt::{self, Write as _};
use std::sync::Arc;

use clap::Args;
use serde::Serialize;

use super::merge::nothing_is_unmerged;
use super::operator::Terminal;
use super::session::{AsArgs, RunArgs, RunbookArgs, find_run, open_journal};
use super::world::Live;
use crate::commands::Context;
use crate::error::{Exit, Problem, Result};
use crate::rollout::engine::{Engine, Known, recall};
use crate::rollout::journal::RunId;
use crate::rollout::machine::{Input, Progress, State};
use crate::rollout::outline;
use crate::runbook::difference::{Difference, How, What, differences, text_difference};
use crate::runbook::plan::Plan;
use crate::ui::{Answer, Report, Screen, Tone, printable};

#[derive(Debug, Args)]
#[command(after_help = "\
A run follows the plan that it was begun with, whatever becomes of the runbook and of dbctl.toml.
This shows what differs, and has the run follow the new plan once a person accepts. What is done
stays done; phases that are not finished want a new approval. The run has to stand still, and stays
paused. With --dry-run nothing is asked and nothing changed.

Example:
  dbctl rollout replan --dry-run
  dbctl rollout replan --confirm 7f3c1a")]
pub struct ReplanArgs {
    #[command(flatten)]
    run: RunArgs,
    #[command(flatten)]
    who: AsArgs,
    #[command(flatten)]
    runbook: RunbookArgs,
    /// Only show what differs, and whether the run could follow it
    #[arg(long)]
    dry_run: bool,
    /// The run's id, instead of typing it
    #[arg(long, value_name = "RUN")]
    confirm: Option<String>,
}

#[derive(Serialize)]
struct Replan {
    run: RunId,
    /// The hash of the plan that the run follows.
    from: String,
    to: String,
    differences: Vec<Line>,
    /// A unified diff of the runbooks' texts.
    text: String,
    /// Why the run cannot follow the new plan from where it stands.
    refused: Option<String>,
}

#[derive(Serialize)]
struct Line {
    #[serde(flatten)]
    difference: Difference,
    /// What became of the step so far.
    step: Option<Progress>,
}

pub async fn run(args: ReplanArgs, context: &Context) -> Result<Exit> {
    let journal = open_journal(context).await?.claiming(args.who.claim);
    let row = find_run(&journal, &args.run).await?;
    let Known { state, plan, .. } = recall(&journal, &row.run).await?;
    if !args.dry_run {
        nothing_is_unmerged(&journal, Some(&row.run), context).await?;
    }
    let runbook = args.runbook.load(context)?;
    let doing = || format!("replanning run {}", row.run);
    if runbook.name != plan.runbook {
        let cause = format!("it follows {}, this is {}", plan.runbook, runbook.name);
        return Err(Problem::new(Exit::Usage, doing(), cause).next(
            "another runbook is another run: finish, roll back or abort this one first; \
             --runbook FILE names the runbook of this run",
        ));
    }
    let shorten = args.runbook.shorten_bakes.or(plan.shortened);
    let next = Plan::resolve(&runbook, &context.settings, shorten)?;
    let json = next.to_json();
    let hash = Plan::hash(&json);
    let outline = outline(&next, &hash);
    let shown = Replan {
        run: row.run.clone(),
        from: state.outline.plan.clone(),
        to: hash,
        differences: lines(&plan, &next, &state),
        text: text_difference(&plan, &next),
        refused: state.may_replan(&outline).err(),
    };
    context.ui.report(&shown)?;
    if let Some(why) = shown.refused {
        let held = "nothing was changed; `dbctl rollout pause` has a run stand still";
        return Err(Problem::new(Exit::Usage, doing(), why).next(held));
    }
    if args.dry_run {
        return Ok(Exit::Ok);
    }
    match context
        .ui
        .confirm(row.run.as_str(), "", args.confirm.as_deref())
        .await?
    {
        Answer::Declined => {
            let kept = "not accepted; the run follows the plan that it has";
            context.ui.status(kept);
            return Ok(Exit::Unconfirmed);
        }
        Answer::Confirmed(_) => {}
    }
    let world = Arc::new(Live::new(context)?);
    let operator = Arc::new(Terminal::of(context, None));
    let mut engine = Engine::resume(world, operator, journal, &row.run, false).await?;
    let input = Input::Replan {
        by: engine.by(),
        outline,
        plan: json,
    };
    // It may have moved on while the question was open.
    let refused = engine.would(input.clone()).err();
    if refused.is_none() {
        engine.tell(input).await?;
    }
    engine.leave().await;
    if let Some(refusal) = refused {
        return Err(Problem::new(Exit::Usage, doing(), refusal).next("nothing was changed"));
    }
    context.ui.status(format_args!(
        "run {} follows the new plan, and is paused\n  \
         next   dbctl rollout resume\n  journal head {}",
        row.run,
        engine.head()
    ));
    Ok(Exit::Ok)
}

fn lines(old: &Plan, new: &Plan, state: &State) -> Vec<Line> {
    let progress = |difference: &Difference| {
        let at = old.forward.iter().position(|p| p.step.id == difference.id);
        let of_rollout = difference.what == What::Step;
        at.filter(|_| of_rollout).map(|i| state.forward[i].progress)
    };
    let found = differences(old, new).into_iter();
    found
        .map(|difference| Line {
            step: progress(&difference),
            difference,
        })
        .collect()
}

impl Report for Replan {
    const SCHEMA: &'static str = "dbctl.rollout.replan/1";

    fn human(&self, out: &mut Screen) -> fmt::Result {
        let (from, to) = (&self.from[..12], &self.to[..12]);
        writeln!(out, "run {} · plan {from} → {to}", self.run)?;
        if self.from == self.to {
            return writeln!(out, "  nothing differs");
        }
        if self.differences.is_empty() {
            writeln!(out, "  only the prose differs")?;
        }
        for line in &self.differences {
            line.human(out)?;
        }
        if !self.text.is_empty() {
            writeln!(out, "\nthe runbook:")?;
        }
        for line in self.text.lines() {
            let tone = match line.as_bytes().first() {
                Some(b'+') => Tone::Good,
                Some(b'-') => Tone::Bad,
                Some(_) | None => Tone::Quiet,
            };
            writeln!(out, "  {}", out.tone(tone, printable(line)))?;
        }
        writeln!(out)?;
        out.wrapped(
            0,
            "What is done stays done. Phases that are not finished want a new approval.",
        )
    }
}

impl Line {
    fn human(&self, out: &mut Screen) -> fmt::Result {
        let (mark, how) = match self.difference.how {
            How::Added => ("+", "new"),
            How::Removed => ("-", "gone"),
            How::Changed => ("~", "changed"),
            How::Moved => ("~", "moved"),
        };
        let so_far = match self.step {
            Some(Progress::Done | Progress::Unconfirmed) => "; done already, and stays done",
            Some(Progress::Failed { .. }) => "; it failed, and is tried again",
            Some(Progress::InFlight | Progress::InDoubt) => "; under way",
            Some(Progress::Pending | Progress::Abandoned) | None => "",
        };
        let Difference { what, id, .. } = &self.difference;
        let text = format!("{} {id}: {how}{so_far}", what.name());
        out.hanging(&format!("  {mark} "), &printable(&text))
    }
}

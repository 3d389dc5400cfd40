use std::fmt;
use std::sync::Arc;

use clap::Args;

use super::merge::nothing_is_unmerged;
use super::operator::Terminal;
use super::session::{AsArgs, RunArgs, find_run, open_journal};
use super::world::Live;
use crate::commands::Context;
use crate::error::{Exit, Problem, Result};
use crate::rollout::engine::{Engine, Known, recall};
use crate::rollout::machine::{Input, Part, Progress, State, StepRef};
use crate::runbook::describe;
use crate::ui::{Answer, Ui, printable};

#[derive(Debug, Args)]
#[command(after_help = "\
For a program without a probe whose outcome nobody knows: dbctl neither repeats it nor passes it over
by itself. Look for yourself first. With --done the run goes on behind the step, with --not-done the
step is begun again.

Example:
  dbctl rollout resolve deploy-production --done --reason \"the new version answers\"")]
pub struct ResolveArgs {
    /// The step in doubt
    #[arg(value_name = "STEP")]
    step: String,
    /// It was done: the run goes on behind it
    #[arg(
        long,
        required_unless_present = "not_done",
        conflicts_with = "not_done"
    )]
    done: bool,
    /// It was not done: it is begun again
    #[arg(long)]
    not_done: bool,
    #[command(flatten)]
    run: RunArgs,
    #[command(flatten)]
    who: AsArgs,
    /// What was seen, for the journal
    #[arg(long, value_name = "TEXT", default_value = "no reason given")]
    reason: String,
    /// The step's id once more, instead of typing it
    #[arg(long, value_name = "STEP")]
    confirm: Option<String>,
}

pub async fn run(args: ResolveArgs, context: &Context) -> Result<Exit> {
    let journal = open_journal(context).await?.claiming(args.who.claim);
    let row = find_run(&journal, &args.run).await?;
    nothing_is_unmerged(&journal, Some(&row.run), context).await?;
    let Known { state, plan, .. } = recall(&journal, &row.run).await?;
    let doing = || format!("resolving a step of run {}", row.run);
    let Some(step) = in_doubt(&state).find(|at| state.outline.id(*at) == args.step) else {
        let open: Vec<&str> = in_doubt(&state).map(|at| state.outline.id(at)).collect();
        let cause = format!("{} is not in doubt", printable(&args.step));
        let next = match open.as_slice() {
            [] => "no step is; dbctl rollout status      shows where the run stands".to_owned(),
            open => format!("in doubt: {}", open.join(", ")),
        };
        return Err(Problem::new(Exit::Usage, doing(), cause).next(next));
    };
    let planned = match step.part {
        Part::Forward => &plan.forward[step.index],
        Part::Rollback => &plan.rollback[step.index],
        Part::Afterwards => &plan.afterwards[step.index],
    };
    let facts = facts(&context.ui, &describe::step(&planned.step.kind), args.done);
    match context
        .ui
        .confirm(&args.step, &facts, args.confirm.as_deref())
        .await?
    {
        Answer::Declined => {
            context
                .ui
                .status("nothing was changed; the step stays in doubt");
            return Ok(Exit::Unconfirmed);
        }
        Answer::Confirmed(_) => {}
    }
    let world = Arc::new(Live::new(context)?);
    let operator = Arc::new(Terminal::of(context, None));
    let mut engine = Engine::resume(world, operator, journal, &row.run, false).await?;
    let input = Input::Resolve {
        step,
        done: args.done,
        by: engine.by(),
        why: args.reason,
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
        "run {} knows: {} was {}; nobody drives it\n  next   dbctl rollout resume\n  \
         journal head {}",
        row.run,
        args.step,
        if args.done { "done" } else { "not done" },
        engine.head()
    ));
    Ok(Exit::Ok)
}

fn in_doubt(state: &State) -> impl Iterator<Item = StepRef> + '_ {
    let parts = [Part::Forward, Part::Rollback, Part::Afterwards];
    parts.into_iter().flat_map(|part| {
        let steps = state.steps(part).iter().enumerate();
        let doubtful = steps.filter(|(_, s)| s.progress == Progress::InDoubt);
        doubtful.map(move |(index, _)| StepRef::new(part, index))
    })
}

fn facts(ui: &Ui, what: &str, done: bool) -> String {
    let mut screen = ui.status_screen();
    let mut write = || -> fmt::Result {
        screen.hanging("step   ", &printable(what))?;
        let then = match done {
            true => "it was done: the run goes on behind it, and it is not done again",
            false => "it was not done: it is begun again",
        };
        screen.hanging("you say ", then)
    };
    write().expect("writing to a string cannot fail");
    screen.into_string()
}

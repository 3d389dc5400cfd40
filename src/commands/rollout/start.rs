use std::sync::Arc;

use clap::Args;

use super::apart::lies_apart;
use super::merge::nothing_is_unmerged;
use super::operator::Terminal;
use super::plan::{Shown, show};
use super::session::{AsArgs, RunbookArgs, drive, make_journal};
use super::world::{Live, Margin};
use crate::check::gates::{Reach, Traffic};
use crate::commands::Context;
use crate::error::{Exit, Problem, Result};
use crate::rollout::engine::{Engine, recall};
use crate::rollout::journal::{Journal, RunId};
use crate::rollout::machine::{Input, Status};
use crate::runbook::plan::{Plan, Planned};

#[derive(Debug, Args)]
#[command(after_help = "\
Every phase wants an approval: the typed name of its environment. Without a terminal the run
stops there and says how to approve. Ctrl-C leaves; `dbctl rollout resume` goes on.
The exit statuses of --dry-run are those of `dbctl rollout plan --dry-run`.

Example:
  dbctl rollout start
  dbctl rollout start --dry-run
  dbctl rollout start --no-input --confirm staging")]
pub struct StartArgs {
    #[command(flatten)]
    runbook: RunbookArgs,
    #[command(flatten)]
    who: AsArgs,
    /// Approve the first phase by its environment's name, instead of typing it
    #[arg(long, value_name = "ENVIRONMENT")]
    confirm: Option<String>,
    /// Begin although the steps after the rollback of RUN were not done; names that run
    #[arg(long, value_name = "RUN")]
    waive: Option<RunId>,
    /// Make every check and ask every probe now, say what the run would do, and do nothing
    #[arg(long, conflicts_with_all = ["confirm", "waive"])]
    dry_run: bool,
}

pub async fn run(args: StartArgs, context: &Context) -> Result<Exit> {
    let runbook = args.runbook.load(context)?;
    let plan = Plan::resolve(&runbook, &context.settings, args.runbook.shorten_bakes)?;
    if args.dry_run {
        lies_apart(&plan, context).await?;
        let refused = super::dry::refused(context).await?;
        return super::dry::run(&plan, refused, context).await;
    }
    let journal = make_journal(&plan, context).await?.claiming(args.who.claim);
    close_the_last(&journal, args.waive.as_ref(), context).await?;
    let engine = begin(journal, plan, args.confirm, context).await?;
    drive(engine, context).await
}

/// Shows a plan and begins a run by it; refused while another run is open.
pub async fn begin(
    journal: Journal,
    plan: Plan,
    confirm: Option<String>,
    context: &Context,
) -> Result<Engine<Live, Terminal>> {
    nothing_is_unmerged(&journal, None, context).await?;
    super::rehearse::none_under_way(&plan, context).await?;
    context
        .ui
        .status(show(&Shown::of(&plan), &context.ui).trim_end());
    let world = Arc::new(Live::new(context)?);
    for unchecked in world.metrics_ready(&plan).await? {
        context.ui.warn(unchecked);
    }
    foretell(&world, &plan, context).await?;
    let operator = Arc::new(Terminal::of(context, confirm));
    let mut engine = Engine::start(world, operator, journal, plan).await?;
    context.ui.status(format_args!("run {}", engine.run()));
    engine.tell(Input::Tick).await?;
    Ok(engine)
}

/// Says, before anybody is asked, whether the bakes are long enough for what they have to show.
async fn foretell(world: &Live, plan: &Plan, context: &Context) -> Result<()> {
    let bakes: Vec<&Planned> = plan.forward.iter().collect();
    let margins = world.margins(plan, &bakes).await?;
    for Margin {
        bake,
        gate,
        traffic: Traffic { why, .. },
    } in &margins
    {
        context.ui.status(format_args!("{bake}: {gate}: {why}"));
    }
    let short = margins
        .iter()
        .filter(|m| m.traffic.reach == Reach::TooShort);
    for Margin { bake, gate, .. } in short {
        context.ui.warn(format_args!(
            "{bake} would end without a decision on {gate}, even extended, and wait for a person: \
             begin when there is more traffic, or give it a longer `for` or a wider `margin`"
        ));
    }
    Ok(())
}

/// After a rollback another attempt wants what is due afterwards to be done, or waived by name.
async fn close_the_last(journal: &Journal, waive: Option<&RunId>, context: &Context) -> Result<()> {
    let Some(last) = journal.runs().await?.into_iter().find(|r| !r.closed) else {
        return Ok(());
    };
    let state = recall(journal, &last.run).await?.state;
    if state.status != Status::RolledBack {
        // The journal itself refuses a second open run, and says so.
        return Ok(());
    }
    if waive != Some(&last.run) {
        return Err(Problem::new(
            Exit::Unconfirmed,
            "starting a run",
            format!(
                "run {} was rolled back, and what is due before another attempt was not done",
                last.run
            ),
        )
        .next(format!(
            "dbctl rollout resume                     does it\n\
             dbctl rollout start --waive {}       begins without it; this is recorded",
            last.run
        )));
    }
    let world = Arc::new(Live::new(context)?);
    let operator = Arc::new(Terminal::of(context, None));
    let mut engine = Engine::resume(world, operator, journal.clone(), &last.run, false).await?;
    let by = engine.by();
    engine.tell(Input::Waive { by }).await?;
    engine.leave().await;
    Ok(())
}

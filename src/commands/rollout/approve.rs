use clap::Args;

use super::operator::approval_facts;
use super::reach::{Reached, reach, tell_here};
use super::session::{RunArgs, find_run, open_journal};
use crate::commands::Context;
use crate::error::{Exit, Problem, Result};
use crate::rollout::engine::{Known, recall};
use crate::rollout::journal::RequestKind;
use crate::rollout::lease;
use crate::rollout::machine::{Input, Status};
use crate::ui::Answer;

#[derive(Debug, Args)]
#[command(after_help = "\
Whoever drives the run goes on at once; where nobody does, `dbctl rollout resume` is next.

Example:
  dbctl rollout approve --confirm production")]
pub struct ApproveArgs {
    #[command(flatten)]
    run: RunArgs,
    /// The name of the phase's environment, instead of typing it
    #[arg(long, value_name = "ENVIRONMENT")]
    confirm: Option<String>,
}

pub async fn run(args: ApproveArgs, context: &Context) -> Result<Exit> {
    let journal = open_journal(context).await?;
    let row = find_run(&journal, &args.run).await?;
    let Known { state, plan, .. } = recall(&journal, &row.run).await?;
    let Status::AwaitingApproval { phase } = state.status else {
        return Err(Problem::new(
            Exit::Usage,
            format!("approving run {}", row.run),
            format!("it waits for no approval: it is {}", state.status),
        )
        .next("dbctl rollout status      shows where it stands"));
    };
    let entered = &plan.phases[phase];
    let facts = approval_facts(&context.ui, &plan, phase, &state.outline.plan);
    match context
        .ui
        .confirm(&entered.env, &facts, args.confirm.as_deref())?
    {
        Answer::Declined => {
            context.ui.status("not approved; everything stays as it is");
            return Ok(Exit::AwaitingApproval);
        }
        Answer::Confirmed(_) => {}
    }
    let kind = RequestKind::Approve;
    let plan_hash = state.outline.plan.clone();
    let detail = serde_json::json!({ "phase": phase, "plan": plan_hash }).to_string();
    match reach(context, journal, &row.run, kind, &detail, false).await? {
        Reached::ByDriver { holder } => {
            context
                .ui
                .status(format_args!("approved; {holder} goes on"));
        }
        Reached::Here(mut engine) => {
            let input = Input::Approve {
                phase,
                plan: plan_hash,
                by: lease::holder(),
            };
            tell_here(&mut engine, kind, input).await?;
            engine.leave().await;
            context.ui.status(format_args!(
                "approved phase {} of run {}\n  next   dbctl rollout resume\n  journal head {}",
                entered.name,
                row.run,
                engine.head()
            ));
        }
    }
    Ok(Exit::Ok)
}

use std::fmt;

use clap::Args;
use serde::Serialize;

use super::kit;
use crate::carry::kit::Standing;
use crate::carry::merge::Counts;
use crate::commands::Context;
use crate::error::{Exit, Problem, Result};
use crate::rollout::person::Person;
use crate::ui::{Answer, Report, Screen};

#[derive(Debug, Args)]
#[command(after_help = "\
With Postgres running this is never needed: `dbctl carry refresh` makes the kit anew. Without it a \
rollback goes by the kit alone: what was revoked and is not in it is accepted again until it expires, \
and nonces that it does not know of may be handed out twice.

Example:
  dbctl --env production carry accept")]
pub struct AcceptArgs {
    /// The environment's name, instead of typing it
    #[arg(long, value_name = "ENV")]
    confirm: Option<String>,
}

/// `dbctl.carry.accept/1`.
#[derive(Debug, Serialize)]
struct Accepted {
    env: String,
    #[serde(flatten)]
    standing: Standing,
}

pub async fn run(args: AcceptArgs, context: &Context) -> Result<Exit> {
    let env = context.settings.environment(None)?;
    context
        .ui
        .refuse_other(&env.name, args.confirm.as_deref())?;
    let kit = kit(context, env).await?;
    let doing = format!("accepting the rollback kit {}", kit.path().display());
    let Some(kept) = kit.load()? else {
        return Err(Problem::new(
            Exit::Config,
            doing,
            "there is none on this machine",
        ));
    };
    let Standing::Contradicted { why } = kit.standing(&kept) else {
        context.ui.report(&Accepted {
            env: env.name.clone(),
            standing: kit.standing(&kept),
        })?;
        return Ok(Exit::Ok);
    };
    let facts = format!(
        "DANGER: the rollback kit of {} is not what the journal recorded: {why}.\n  \
         holds   {}, as of {:.0}\n  \
         then    a rollback without Postgres goes by it: what was revoked and is not in it is accepted\n          \
         again, and nonces may be handed out twice\n",
        env.name,
        Counts::of(&kept.snapshot),
        kept.snapshot.taken_at,
    );
    match context
        .ui
        .confirm(&env.name, &facts, args.confirm.as_deref())
        .await?
    {
        Answer::Confirmed(_) => {}
        Answer::Declined => {
            context.ui.status("Nothing was changed.");
            return Ok(Exit::Unconfirmed);
        }
    }
    kit.dangerously_accept(&kept, &Person::of_system().to_string())?;
    context.ui.report(&Accepted {
        env: env.name.clone(),
        standing: kit.standing(&kept),
    })?;
    Ok(Exit::Ok)
}

impl Report for Accepted {
    const SCHEMA: &'static str = "dbctl.carry.accept/1";

    fn human(&self, out: &mut Screen) -> fmt::Result {
        out.wrapped(
            0,
            &format!("the rollback kit of {}: {}", self.env, self.standing),
        )
    }
}

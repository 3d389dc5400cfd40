//! The journal of a run must not lie in a database that the run switches: whoever wants to go back
//! because that database is gone would have no journal either.

use std::time::Duration;

use super::session::database_of_journal;
use crate::commands::Context;
use crate::error::{Exit, Problem, Result};
use crate::pg::Database;
use crate::runbook::plan::Plan;

/// How long a database may take to say which one it is.
const PATIENCE: Duration = Duration::from_secs(3);

/// Refuses a journal in a database of an environment of the plan, and warns of one on the same
/// server. By what the servers say of themselves, so that another name, address or pooler for the
/// same database is seen through; by the address alone where an environment's does not answer.
pub async fn lies_apart(plan: &Plan, context: &Context) -> Result<()> {
    let Some(ours) = &database_of_journal(context)? else {
        return Ok(());
    };
    ours.check().await?;
    let here = ours.identity().await?;
    for planned in &plan.environments {
        let env = context.settings.environment(Some(&planned.name))?;
        // What is wrong with it is for the preflight to say.
        let Ok(theirs) = Database::resolve(&context.settings, Some(env), &|_| {}) else {
            continue;
        };
        let there = tokio::time::timeout(PATIENCE, theirs.identity()).await;
        let (same_server, same) = match there {
            Ok(Ok(there)) => (there.same_server(&here), there == here),
            Ok(Err(_)) | Err(_) => (same_address(ours, &theirs), false),
        };
        if same || (same_address(ours, &theirs) && ours.name() == theirs.name()) {
            return Err(Problem::new(
                Exit::Config,
                "choosing the journal",
                format!(
                    "it lies in {ours}, and that is the database of environment {}, which this \
                     runbook switches",
                    env.name
                ),
            )
            .next(
                "let journal.database_url name a database on another server, or leave it out: the\n\
                 journal is a local file then",
            ));
        }
        if same_server {
            context.ui.warn(format_args!(
                "the journal is on the same server as the database of {}: if that server is gone, \
                 only rollout rollback --break-glass is left",
                env.name
            ));
        }
    }
    Ok(())
}

fn same_address(a: &Database, b: &Database) -> bool {
    let (a, b) = (a.options(), b.options());
    a.get_socket() == b.get_socket()
        && (a.get_socket().is_some()
            || (a.get_host().eq_ignore_ascii_case(b.get_host()) && a.get_port() == b.get_port()))
}

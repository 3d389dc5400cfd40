//! A world and an operator for an engine of which only the journal matters; benches have it too.

use std::sync::Arc;

use dbctl::rollout::journal::{Entry, RunId};
use dbctl::rollout::machine::{Found, Outcome, State};
use dbctl::rollout::ports::{Agreed, Done, Job, Look, Looked, Operator, Said, World};
use dbctl::runbook::plan::{Phase, Plan, Planned, TargetRef};
use serde_json::Value;

/// Nothing happens, and nobody is there: only the journal matters here.
pub struct Nobody;

impl World for Nobody {
    async fn take(&self, _: Arc<Plan>, _: &RunId, _: u64, _: &str) -> Vec<String> {
        Vec::new()
    }

    async fn perform(&self, _: Job) -> Done {
        Done {
            outcome: Outcome::Succeeded,
            evidence: Value::Null,
        }
    }

    async fn probe(&self, _: Job) -> (Found, String) {
        (Found::Unknown, String::new())
    }

    async fn look(&self, _: Look) -> Looked {
        Looked::default()
    }

    async fn tend(&self, _: Arc<Plan>, _: Vec<TargetRef>) -> Result<(), String> {
        Ok(())
    }
}

impl Operator for Nobody {
    async fn approve(&self, _: Phase, _: Arc<Plan>, _: String) -> Said {
        Said::NobodyThere
    }

    async fn answer(&self, _: Planned, _: Agreed) -> Said {
        Said::NobodyThere
    }

    async fn paused(&self, _: String) -> Said {
        Said::NobodyThere
    }

    fn recorded(&self, _: &Entry, _: &State, _: &Plan) {}

    fn looked(&self, _: &Looked) {}

    fn note(&self, _: &str) {}
}

//! Looking at what was, as far as a Prometheus server kept it.

use std::sync::Arc;

use jiff::Timestamp;

use super::Live;
use super::look::{gates, questions};
use super::sources::of_trigger;
use crate::check::gates::TriggerReading;
use crate::check::metrics::{Asker, Question, Sources, Watch};
use crate::error::{Exit, Problem, Result};
use crate::rollout::machine::Reading;
use crate::rollout::ports::{Baking, Look};
use crate::runbook::model::{Asked, Measure, Trigger};
use crate::runbook::plan::Plan;

/// Samples and answers as they were at the time of each look.
pub struct Past {
    plan: Arc<Plan>,
    watch: Watch<Sources>,
    asker: Asker,
}

impl Live {
    /// The past of what `measure` reads from `targets` (as `environment/target`).
    ///
    /// # Errors
    /// [`Exit::Config`]: nobody keeps it.
    pub fn past(&self, plan: Arc<Plan>, measure: &Measure, targets: &[String]) -> Result<Past> {
        let doing = "looking at the past";
        let (watch, asker) = self.watch_over(&plan)?;
        match measure {
            Measure::Asked(Asked::Prometheus(_)) => {}
            Measure::Asked(
                Asked::Sql { .. } | Asked::Command { .. } | Asked::Http { .. } | Asked::Log(_),
            ) => {
                return Err(Problem::new(
                    Exit::Config,
                    doing,
                    "a database, a program, a log or a JSON answer says what is, not what was",
                )
                .next("only what a Prometheus server keeps can be tested over the past"));
            }
            Measure::Ratio { .. }
            | Measure::Quantile { .. }
            | Measure::Slower { .. }
            | Measure::Increase { .. }
            | Measure::Coincidence { .. }
            | Measure::BurnRate(_) => {
                if let Some(name) = targets.iter().find(|t| !watch.provider().recorded.has(t)) {
                    let env = name.split('/').next().unwrap_or_default();
                    let cause = format!("nobody keeps the metrics of {name}");
                    return Err(Problem::new(Exit::Config, doing, cause).next(format!(
                        "name the Prometheus server that scrapes it: [environments.{env}.metrics] in the settings"
                    )));
                }
            }
        }
        Ok(Past { plan, watch, asker })
    }
}

impl Past {
    /// What a look at the gates of a bake would have seen at `then`.
    pub async fn gates(&mut self, bake: &Baking, then: Timestamp) -> Vec<Reading> {
        self.watch.sample(then).await;
        let look = Look {
            plan: self.plan.clone(),
            flipped: Vec::new(),
            bake: Some(bake.clone()),
            vigil: None,
        };
        self.ask(questions(&look), then).await;
        gates(&self.watch, &self.plan, bake, then)
    }

    /// What a look at a trigger over these targets would have seen at `then`.
    pub async fn trigger(
        &mut self,
        trigger: &Trigger,
        on: &[String],
        then: Timestamp,
    ) -> TriggerReading {
        self.watch.sample(then).await;
        self.ask(of_trigger(trigger, on).into_iter().collect(), then)
            .await;
        self.watch.judge_trigger(trigger, on, then)
    }

    async fn ask(&mut self, questions: Vec<Question>, then: Timestamp) {
        for question in questions {
            let sent = self.asker.sent(&question);
            let said = self.asker.ask(&question, then).await;
            self.watch.hear(question, sent, then, said);
        }
    }
}

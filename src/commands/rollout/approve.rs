//! `approve` and `reject`: a person's word on what the run waits for.

use std::fmt;
use std::sync::Arc;

use clap::Args;

use super::operator::approval_facts;
use super::reach::{Reached, reach, tell_here};
use super::session::{AsArgs, RunArgs, find_run, open_journal};
use crate::commands::Context;
use crate::error::{Exit, Problem, Result};
use crate::rollout::engine::{Known, recall};
use crate::rollout::journal::{Approval, Journal, RequestKind, RunId, StepAnswer};
use crate::rollout::machine::{self, Input, Part, State, Status, StepRef};
use crate::rollout::ports::Agreed;
use crate::runbook::model::StepKind;
use crate::runbook::plan::{Plan, Planned};
use crate::ui::{Answer, Ui, printable};

#[derive(Debug, Args)]
#[command(after_help = "\
Also says yes to a step that asks. Whoever drives the run goes on at once; where nobody does,
`dbctl rollout resume` is next.

Example:
  dbctl rollout approve --confirm production
  dbctl rollout approve --confirm deploy-production")]
pub struct ApproveArgs {
    #[command(flatten)]
    run: RunArgs,
    #[command(flatten)]
    who: AsArgs,
    /// The name of the phase's environment, or of the step that asks, instead of typing it
    #[arg(long, value_name = "NAME")]
    confirm: Option<String>,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Everything stays as it is: the run is paused, and `dbctl rollout resume` asks again.

Example:
  dbctl rollout reject --reason \"not before the freeze is over\"")]
pub struct RejectArgs {
    #[command(flatten)]
    run: RunArgs,
    #[command(flatten)]
    who: AsArgs,
    /// Why, for the journal
    #[arg(long, value_name = "TEXT", default_value = "no reason given")]
    reason: String,
}

/// What the run waits for.
enum Wanted {
    Phase(usize),
    Step(StepRef),
}

/// The run that is meant, and what it waits for.
struct Waiting {
    run: RunId,
    state: State,
    plan: Arc<Plan>,
    wanted: Wanted,
    /// Who is asked here.
    by: String,
}

pub async fn approve(args: ApproveArgs, context: &Context) -> Result<Exit> {
    let journal = open_journal(context).await?.claiming(args.who.claim);
    let waiting = Waiting::find(&journal, &args.run, "approving").await?;
    let (name, facts) = match waiting.wanted {
        Wanted::Phase(phase) => {
            let facts = approval_facts(
                &context.ui,
                &waiting.plan,
                phase,
                &waiting.state.outline.plan,
            );
            (waiting.plan.phases[phase].env.clone(), facts)
        }
        Wanted::Step(at) => {
            let steps = match at.part {
                Part::Forward => &waiting.plan.forward,
                Part::Rollback => &waiting.plan.rollback,
                Part::Afterwards => &waiting.plan.afterwards,
            };
            let step = &steps[at.index];
            let agreed = Agreed::of(&waiting.state, at, &waiting.by);
            (step.step.id.clone(), question(&context.ui, step, &agreed))
        }
    };
    match context
        .ui
        .confirm(&name, &facts, args.confirm.as_deref())
        .await?
    {
        Answer::Declined => {
            context.ui.status("not approved; everything stays as it is");
            return Ok(Exit::AwaitingApproval);
        }
        Answer::Confirmed(_) => {}
    }
    let (kind, detail, input) = match waiting.wanted {
        Wanted::Phase(phase) => waiting.approval(phase),
        Wanted::Step(at) => waiting.answer(at, machine::Answer::Yes),
    };
    waiting
        .send(journal, kind, &detail, input, "approved", context)
        .await
}

pub async fn reject(args: RejectArgs, context: &Context) -> Result<Exit> {
    let journal = open_journal(context).await?.claiming(args.who.claim);
    let waiting = Waiting::find(&journal, &args.run, "rejecting what is asked in").await?;
    let (kind, detail, input) = match waiting.wanted {
        Wanted::Phase(phase) => {
            let why = format!(
                "phase {} is rejected: {}",
                waiting.plan.phases[phase].name, args.reason
            );
            let by = waiting.by.clone();
            let input = Input::Pause {
                by,
                why: why.clone(),
            };
            (RequestKind::Pause, why, input)
        }
        Wanted::Step(at) => waiting.answer(at, machine::Answer::No { why: args.reason }),
    };
    waiting
        .send(journal, kind, &detail, input, "rejected", context)
        .await
}

impl Waiting {
    async fn find(journal: &Journal, args: &RunArgs, doing: &str) -> Result<Self> {
        let row = find_run(journal, args).await?;
        let Known { state, plan, .. } = recall(journal, &row.run).await?;
        let wanted = match state.status {
            Status::AwaitingApproval { phase } => Some(Wanted::Phase(phase)),
            Status::AwaitingAnswer { .. }
            | Status::Running
            | Status::Paused { .. }
            | Status::RollingBack
            | Status::RolledBack
            | Status::Stuck { .. }
            | Status::Completed
            | Status::Aborted => state.asked().map(Wanted::Step),
        };
        let wanted = wanted.ok_or_else(|| {
            Problem::new(
                Exit::Usage,
                format!("{doing} run {}", row.run),
                format!("it waits for nobody's word: it is {}", state.status),
            )
            .next("dbctl rollout status      shows where it stands")
        })?;
        Ok(Self {
            run: row.run,
            state,
            plan,
            wanted,
            by: journal.person().to_string(),
        })
    }

    fn approval(&self, phase: usize) -> (RequestKind, String, Input) {
        let plan = self.state.outline.plan.clone();
        let detail = Approval {
            phase,
            plan: plan.clone(),
        };
        let by = self.by.clone();
        let input = Input::Approve { phase, plan, by };
        (RequestKind::Approve, json(&detail), input)
    }

    fn answer(&self, step: StepRef, said: machine::Answer) -> (RequestKind, String, Input) {
        let detail = StepAnswer {
            step,
            attempt: self.state.step(step).map_or(0, |s| s.attempts),
            plan: self.state.outline.plan.clone(),
            said: said.clone(),
        };
        let by = self.by.clone();
        let input = Input::Answer { step, said, by };
        (RequestKind::Answer, json(&detail), input)
    }

    async fn send(
        self,
        journal: Journal,
        kind: RequestKind,
        detail: &str,
        input: Input,
        word: &str,
        context: &Context,
    ) -> Result<Exit> {
        match reach(context, journal, &self.run, kind, detail, false).await? {
            Reached::ByDriver { holder } => {
                context
                    .ui
                    .status(format_args!("{word}; {holder} goes on by it"));
            }
            Reached::Here(mut engine) => {
                tell_here(&mut engine, kind, input).await?;
                engine.leave().await;
                let next = match engine.state().is_closed() {
                    true => "start       another attempt",
                    false => "resume",
                };
                context.ui.status(format_args!(
                    "{word}; nobody drives run {} ({})\n  next   dbctl rollout {next}\n  journal head {}",
                    self.run,
                    engine.state().status,
                    engine.head()
                ));
            }
        }
        Ok(Exit::Ok)
    }
}

fn json(detail: &impl serde::Serialize) -> String {
    serde_json::to_string(detail).expect("plain data")
}

/// What a step asks, and who said yes so far.
pub fn question(ui: &Ui, planned: &Planned, agreed: &Agreed) -> String {
    let mut screen = ui.status_screen();
    let question = if let StepKind::Confirm { question } = &planned.step.kind {
        question.as_str()
    } else {
        "May the run go on?"
    };
    let mut write = || -> fmt::Result {
        screen.hanging("", &planned.step.heading)?;
        screen.wrapped(2, &planned.step.prose)?;
        screen.hanging("", question)?;
        if agreed.of > 1 {
            let so_far = match agreed.by.as_slice() {
                [] => "nobody has so far".to_owned(),
                people => format!("so far {}", people.join(", ")),
            };
            let text = format!("{} people have to say yes; {so_far}", agreed.of);
            screen.hanging("", &printable(&text))?;
        }
        Ok(())
    };
    write().expect("writing to a string cannot fail");
    screen.into_string()
}

//! What hooks are told of a run, and trying them out.

use std::fmt;
use std::sync::Mutex;
use std::time::Duration;

use clap::{Args, Subcommand};
use serde::Serialize;

use crate::commands::Context;
use crate::error::{Exit, Problem, Result};
use crate::hooks::{Delivered, Hook, Message, Occasion, Output, Queue, attempt};
use crate::rollout::journal::Entry;
use crate::rollout::machine::{Event, Part, State, Status, StepRef, Told};
use crate::runbook::plan::Plan;
use crate::ui::{Report, Screen, Ui, printable};

/// How long leaving waits for what is still to be told, all hooks together.
const LEAVING: Duration = Duration::from_secs(3);
/// How much of a reason is told.
const REASON_CHARS: usize = 1000;

/// Hears every recorded event and has the hooks told of those that they want.
pub struct Tap {
    queue: Queue,
    told: Mutex<Told>,
}

impl Tap {
    pub fn new(hooks: &[Hook], say: impl Fn(&str) + Send + Sync + 'static) -> Self {
        Self {
            queue: Queue::new(hooks, say),
            told: Mutex::default(),
        }
    }

    /// Returns at once.
    pub fn recorded(&self, entry: &Entry, state: &State, plan: &Plan) {
        if self.queue.is_empty() {
            return;
        }
        let mut told = self.told.lock().unwrap_or_else(|e| e.into_inner());
        told.hear(entry.record.at_ms, &entry.record.event);
        if let Some(message) = message(entry, state, plan, told.reason.as_deref()) {
            self.queue.tell(&message);
        }
    }

    /// Waits a little for what is under way.
    pub async fn settle(&self) {
        self.queue.settle(LEAVING).await;
    }
}

/// What is told of an event; nothing of most. `state` is after it.
fn message(entry: &Entry, state: &State, plan: &Plan, reason: Option<&str>) -> Option<Message> {
    let record = &entry.record;
    let unfinished = state.next_step(Part::Forward);
    let phase_of = |at: StepRef| match at.part {
        Part::Forward => state.outline.step(at).map(|s| s.phase),
        Part::Rollback | Part::Afterwards => None,
    };
    let current = unfinished.and_then(phase_of);
    // What it is about: the phase, the step, and whether there is a reason.
    let (event, phase, step, explained) = match &record.event {
        Event::Started { .. } => (Occasion::Started, current, None, false),
        Event::ApprovalWanted { phase } => (Occasion::ApprovalWanted, Some(*phase), None, false),
        Event::AnswerWanted { step } => (
            Occasion::ApprovalWanted,
            phase_of(*step),
            Some(*step),
            false,
        ),
        Event::Paused { .. } => (Occasion::Paused, current, unfinished, true),
        Event::Triggered { .. } => (Occasion::Trigger, current, None, true),
        Event::RolledBack => (Occasion::RolledBack, current, None, true),
        Event::Stuck { step, .. } => (Occasion::Stuck, current, Some(*step), true),
        Event::Completed => (Occasion::Completed, None, None, false),
        Event::Driven { .. }
        | Event::Approved { .. }
        | Event::Agreed { .. }
        | Event::Intended { .. }
        | Event::Succeeded { .. }
        | Event::Failed { .. }
        | Event::InDoubt { .. }
        | Event::Probed { .. }
        | Event::Observed { .. }
        | Event::Resumed { .. }
        | Event::RollbackStarted { .. }
        | Event::Aborted { .. }
        | Event::Waived { .. }
        | Event::Note { .. }
        | Event::KitRefreshed { .. }
        | Event::Logged { .. }
        | Event::Replanned { .. }
        | Event::Checkpoint(_) => return None,
    };
    let phase = phase.and_then(|p| plan.phases.get(p));
    let head = entry.head();
    let hash = head.hash.to_string();
    let at = i64::try_from(record.at_ms).ok();
    let at = at.and_then(|ms| jiff::Timestamp::from_millisecond(ms).ok());
    let told = reason.filter(|_| explained);
    Some(Message {
        schema: Message::SCHEMA,
        id: format!("{}-{}-{}", record.run, record.seq, hash.get(..12)?),
        event,
        time: at.unwrap_or_default().to_string(),
        run: record.run.to_string(),
        runbook: plan.runbook.clone(),
        seq: record.seq,
        status: status_word(&state.status),
        reason: told.map(|r| r.chars().take(REASON_CHARS).collect()),
        phase: phase.map(|p| p.name.clone()),
        env: phase.map(|p| p.env.clone()),
        step: step.map(|s| state.outline.id(s).to_owned()),
        next: next(record.run.as_str(), state),
        plan: state.outline.plan.clone(),
        head: head.to_string(),
        sample: false,
    })
}

/// As the JSON of `rollout status` says it.
fn status_word(status: &Status) -> String {
    let json = serde_json::to_value(status).unwrap_or_default();
    json["status"].as_str().unwrap_or_default().to_owned()
}

/// The exact commands that a person may type where a run stands.
fn next(run: &str, state: &State) -> Vec<String> {
    let command = |words: &str| format!("dbctl rollout {words} --run {run}");
    let back = || match state.flipped {
        true => command("rollback"),
        false => command("abort"),
    };
    match &state.status {
        Status::AwaitingApproval { phase } => {
            let env = state.outline.phases.get(*phase);
            let approve = format!("approve --confirm {}", env.map_or("", String::as_str));
            vec![command(&approve), command("resume"), back()]
        }
        Status::AwaitingAnswer { step } => {
            let approve = format!("approve --confirm {}", state.outline.id(*step));
            vec![command(&approve), command("resume"), back()]
        }
        Status::Paused { .. } => vec![command("resume"), back()],
        Status::Running | Status::RollingBack | Status::Completed | Status::Aborted => {
            vec![command("status")]
        }
        Status::RolledBack if state.is_closed() => vec!["dbctl rollout start".into()],
        Status::RolledBack => vec![command("resume")],
        Status::Stuck { .. } => vec![command("status"), command("rollback")],
    }
}

#[derive(Debug, Args)]
#[command(after_help = "\
docs/hooks.md describes what hooks are told, and how a server checks the signature.

Example:
  dbctl rollout hooks test")]
pub struct HooksArgs {
    #[command(subcommand)]
    command: HooksCommand,
}

#[derive(Debug, Subcommand)]
enum HooksCommand {
    /// Send one sample to each hook of the settings, once, and say what came back
    #[command(after_help = "\
The sample says of itself that it is one (\"sample\": true). Exit status: 0 when every hook took
it, else 5.

Example:
  dbctl rollout hooks test")]
    Test,
}

pub async fn run(args: HooksArgs, context: &Context) -> Result<Exit> {
    match args.command {
        HooksCommand::Test => test(context).await,
    }
}

#[derive(Serialize)]
struct TestReport {
    hooks: Vec<Tried>,
}

#[derive(Serialize)]
struct Tried {
    name: String,
    on: Vec<Occasion>,
    delivered: bool,
    /// What came back, or why it was not taken.
    answer: String,
    /// A run would try this again.
    retried: bool,
    took_ms: u64,
}

async fn test(context: &Context) -> Result<Exit> {
    let hooks = &context.settings.config.hooks;
    if hooks.is_empty() {
        let doing = "trying the hooks";
        return Err(Problem::new(Exit::Config, doing, "the settings name none")
            .next("add [[hooks]] to the settings file; docs/hooks.md shows how"));
    }
    let tried = futures_util::future::join_all(hooks.iter().map(try_out)).await;
    let all = tried.iter().all(|t| t.delivered);
    context.ui.report(&TestReport { hooks: tried })?;
    Ok(if all { Exit::Ok } else { Exit::Findings })
}

async fn try_out(hook: &Hook) -> Tried {
    let began = std::time::Instant::now();
    let output = Output::Shown(Ui::stderr_of_child);
    let (delivered, answer, retried) = match attempt(hook, &Message::sample(), output).await {
        Delivered::Taken(answer) => (true, answer, false),
        Delivered::Refused(why) => (false, why, false),
        Delivered::NotNow { why, .. } => (false, why, true),
    };
    Tried {
        name: hook.name.clone(),
        on: hook.on.iter().copied().collect(),
        delivered,
        answer,
        retried,
        took_ms: u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX),
    }
}

impl Report for TestReport {
    const SCHEMA: &'static str = "dbctl.rollout.hooks.test/1";

    fn human(&self, out: &mut Screen) -> fmt::Result {
        use crate::check::Verdict;
        for tried in &self.hooks {
            let mark = out.mark(match tried.delivered {
                true => Verdict::Pass,
                false => Verdict::Fail,
            });
            let again = if tried.retried {
                "; a run would try again"
            } else {
                ""
            };
            let text = format!(
                "{}: {}{again} ({} ms)",
                tried.name, tried.answer, tried.took_ms
            );
            out.hanging(&format!("{mark} "), &printable(&text))?;
            let on: Vec<&str> = tried.on.iter().map(|o| o.name()).collect();
            let on = match on.len() == Occasion::ALL.len() {
                true => "everything".to_owned(),
                false => on.join(", "),
            };
            out.wrapped(2, &format!("is told of {on}"))?;
        }
        Ok(())
    }
}

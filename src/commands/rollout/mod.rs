//! Driving a runbook.

mod apart;
mod approve;
mod break_glass;
mod dry;
mod gaps;
mod hooks;
mod kits;
mod log;
mod merge;
mod note;
mod operator;
mod plan;
mod reach;
mod reconcile;
mod rehearse;
mod replan;
mod report;
mod request;
mod resolve;
mod resume;
mod rollback;
mod run;
mod session;
mod start;
mod status;
mod takeover;
mod until;
mod wait;
pub mod world;

use clap::{Args, Subcommand};

use super::Context;
use crate::error::{Exit, Result};

pub(super) use break_glass::mirror_of;
pub use kits::recorded_kits;
pub use operator::{Terminal, line};
pub(super) use session::{RunArgs, find_run, open_journal};
pub use session::{interrupts, load_runbook};

#[derive(Debug, Args)]
#[command(after_help = "\
Without a subcommand: shows the run under way and what may be done now.

Example:
  dbctl rollout plan
  dbctl rollout start
  dbctl rollout rollback")]
pub struct RolloutArgs {
    #[command(subcommand)]
    command: Option<RolloutCommand>,
}

#[derive(Debug, Subcommand)]
enum RolloutCommand {
    /// Show what would be done, to which targets, in which order, and how it is undone
    Plan(plan::PlanArgs),
    /// Begin a run and drive it
    Start(start::StartArgs),
    /// Show where a run stands and what may be done now; needs neither Postgres nor the service
    Status(status::StatusArgs),
    /// Drive a run on: after a pause, a Ctrl-C, a crash, or what is due after a rollback
    Resume(resume::ResumeArgs),
    /// Begin a run, or drive the open one on, and never ask: for pipelines
    Run(run::RunArgs),
    /// Wait until a run stands where nothing happens by itself; drives nothing
    Wait(wait::WaitArgs),
    /// Drive a run from here that somebody else drives, and fence them
    Takeover(takeover::TakeoverArgs),
    /// Let the run enter the phase that it waits for, or say yes to the step that asks
    Approve(approve::ApproveArgs),
    /// Say no to what the run waits for; it is paused, and everything stays as it is
    Reject(approve::RejectArgs),
    /// Stop advancing and keep everything as it is
    #[command(visible_alias = "freeze")]
    #[command(after_help = "\
Triggers are watched on while somebody drives. `dbctl rollout resume` goes on, `rollback` goes back.

Example:
  dbctl rollout pause --reason INC-1234")]
    Pause(request::RequestArgs),
    /// Leave a note in the journal for whoever drives next
    Note(note::NoteArgs),
    /// Have the run follow the runbook as it is now: shows what differs, and asks
    Replan(replan::ReplanArgs),
    /// Say what became of a step in doubt, after looking, where no probe can tell
    Resolve(resolve::ResolveArgs),
    /// End a run before anything was switched
    #[command(after_help = "Example:\n  dbctl rollout abort --reason INC-1234")]
    Abort(request::RequestArgs),
    /// Go back to memory/file on every target that the run switched; asks nothing
    Rollback(rollback::RollbackArgs),
    /// Bring what a rollback without the journal (--break-glass) did into the journal
    Merge(merge::MergeArgs),
    /// Show a run's journal and check its hash chain
    Log(log::LogArgs),
    /// Write a run as an HTML file: timeline, evidence, gates as plots; a post-mortem's beginning
    Report(report::ReportArgs),
    /// Walk the part of a runbook that acts in one environment forwards and back from every step
    Rehearse(rehearse::RehearseArgs),
    /// Try out the hooks: programs and servers that are told what happens in a run
    Hooks(hooks::HooksArgs),
}

pub async fn run(args: RolloutArgs, context: &Context) -> Result<Exit> {
    let command = args
        .command
        .unwrap_or_else(|| RolloutCommand::Status(status::StatusArgs::default()));
    match command {
        RolloutCommand::Plan(args) => plan::run(args, context).await,
        RolloutCommand::Start(args) => start::run(args, context).await,
        RolloutCommand::Status(args) => status::run(args, context).await,
        RolloutCommand::Resume(args) => resume::run(args, context).await,
        RolloutCommand::Run(args) => run::run(args, context).await,
        RolloutCommand::Wait(args) => wait::run(args, context).await,
        RolloutCommand::Takeover(args) => takeover::run(args, context).await,
        RolloutCommand::Approve(args) => approve::approve(args, context).await,
        RolloutCommand::Reject(args) => approve::reject(args, context).await,
        RolloutCommand::Pause(args) => request::pause(args, context).await,
        RolloutCommand::Note(args) => note::run(args, context).await,
        RolloutCommand::Replan(args) => replan::run(args, context).await,
        RolloutCommand::Resolve(args) => resolve::run(args, context).await,
        RolloutCommand::Abort(args) => request::abort(args, context).await,
        RolloutCommand::Rollback(args) => rollback::run(args, context).await,
        RolloutCommand::Merge(args) => merge::run(args, context).await,
        RolloutCommand::Log(args) => log::run(args, context).await,
        RolloutCommand::Report(args) => report::run(args, context).await,
        RolloutCommand::Rehearse(args) => rehearse::run(args, context).await,
        RolloutCommand::Hooks(args) => hooks::run(args, context).await,
    }
}

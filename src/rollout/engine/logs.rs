//! What the services' logs say when something stops a run. They are read beside what follows, so
//! that no rollback waits for them.

use std::time::Duration;

use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::outside::Outside;
use super::{Ending, Engine};
use crate::rollout::journal::Entry;
use crate::rollout::machine::{Event, Input, Part, PausedBy, StepRef};
use crate::rollout::ports::{Operator, World, flipped};
use crate::runbook::plan::TargetRef;

/// What stops a run sooner after another stop is told by the same lines.
const SAME_STOP: Duration = Duration::from_secs(2);
/// A trigger of a run that stands still fires at every look.
const SAME_TRIGGER: Duration = Duration::from_secs(60);
/// How long leaving waits for what is being read.
const LAST: Duration = Duration::from_secs(3);

/// Whether logs are to be read, and what of them.
pub(super) struct Wanted {
    /// Lines from before the run are not about it.
    since_ms: u64,
    /// The event that stopped it, and the targets that it was about.
    stop: Option<(u64, Vec<TargetRef>)>,
    read_at: Option<Instant>,
}

impl Wanted {
    pub fn since(since_ms: u64) -> Self {
        Self {
            since_ms,
            stop: None,
            read_at: None,
        }
    }

    fn is_over(&self, same: Duration) -> bool {
        self.read_at.is_none_or(|at| at.elapsed() >= same)
    }
}

/// Where no target has a log there is nothing to record.
pub(super) fn say_something(input: &Input) -> bool {
    !matches!(input, Input::Logs { logs, .. } if logs.is_empty())
}

impl<W: World, O: Operator> Engine<W, O> {
    /// An event was recorded: does it stop the run?
    pub(super) fn notice(&mut self, entry: &Entry) {
        let (step, same) = match &entry.record.event {
            Event::Failed { step, .. } | Event::InDoubt { step, .. } => (Some(*step), SAME_STOP),
            Event::Triggered {
                rolls_back: false, ..
            } => (None, SAME_TRIGGER),
            Event::Triggered {
                rolls_back: true, ..
            }
            | Event::RollbackStarted { .. }
            | Event::Stuck { .. } => (None, SAME_STOP),
            Event::Paused { by, .. } => match by {
                PausedBy::Gate => (None, SAME_STOP),
                // A person knows why; what failed or is in doubt was noticed before.
                PausedBy::Person
                | PausedBy::Trigger
                | PausedBy::Failure
                | PausedBy::Inconclusive
                | PausedBy::Doubt => return,
            },
            Event::Started { .. }
            | Event::Driven { .. }
            | Event::ApprovalWanted { .. }
            | Event::Approved { .. }
            | Event::AnswerWanted { .. }
            | Event::Agreed { .. }
            | Event::Intended { .. }
            | Event::Succeeded { .. }
            | Event::Probed { .. }
            | Event::Observed { .. }
            | Event::Resumed { .. }
            | Event::RolledBack
            | Event::Completed
            | Event::Aborted { .. }
            | Event::Waived { .. }
            | Event::Note { .. }
            | Event::KitRefreshed { .. }
            | Event::Logged { .. }
            | Event::Replanned { .. }
            | Event::Checkpoint(_) => return,
        };
        if self.logs.stop.is_none() && self.logs.is_over(same) {
            self.logs.stop = Some((entry.record.seq, self.concerned(step)));
        }
    }

    /// The targets of a step (of the one that the run stands at, where none is named; all of its
    /// environment, where it acts on none), and all that were switched.
    fn concerned(&self, step: Option<StepRef>) -> Vec<TargetRef> {
        let state = &self.known.state;
        let step = step.or_else(|| state.next_step(Part::Forward));
        let mut targets = flipped(&self.known.plan, state);
        if let Some(job) = step.map(|at| self.job(at, 0)) {
            let of_step = job.targets();
            if of_step.is_empty() {
                let envs = job.environments();
                let all = job
                    .plan
                    .environments
                    .iter()
                    .filter(|e| envs.contains(&e.name));
                targets.extend(all.flat_map(|e| {
                    e.targets.iter().map(|t| TargetRef {
                        env: e.name.clone(),
                        name: t.name.clone(),
                    })
                }));
            }
            targets.extend(of_step);
        }
        targets.sort();
        targets.dedup();
        targets
    }

    /// Begins to read, where something stopped the run.
    pub(super) fn read_logs(&mut self, outside: &mut Outside) {
        if outside.reading.is_some() {
            return;
        }
        let Some((of, targets)) = self.logs.stop.take() else {
            return;
        };
        self.logs.read_at = Some(Instant::now());
        let (world, since_ms) = (self.world.clone(), self.logs.since_ms);
        outside.reading = Some(tokio::spawn(async move {
            let logs = world.logs(targets, since_ms).await;
            Input::Logs { of, logs }
        }));
    }

    /// What is still being read when driving ends is kept all the same, while the run is ours.
    pub(super) async fn keep_last_logs(
        &mut self,
        reading: Option<JoinHandle<Input>>,
        ending: &Ending,
    ) {
        let mut outside = Outside {
            reading,
            ..Outside::default()
        };
        self.read_logs(&mut outside);
        let Some(reading) = outside.reading.take() else {
            return;
        };
        let ours = match ending {
            Ending::Fenced { .. } | Ending::Unreachable { .. } => false,
            Ending::Completed
            | Ending::RolledBack
            | Ending::Stuck
            | Ending::Aborted
            | Ending::Paused(_)
            | Ending::AwaitingApproval { .. }
            | Ending::AwaitingAnswer { .. }
            | Ending::Reached { .. }
            | Ending::Detached => true,
        };
        if !ours {
            reading.abort();
            return;
        }
        let why = match tokio::time::timeout(LAST, reading).await {
            Ok(Ok(input)) if say_something(&input) => match self.input(input).await {
                Ok(_) => return,
                Err(problem) => problem.to_string(),
            },
            Ok(Ok(_)) => return,
            Ok(Err(e)) => e.to_string(),
            Err(_) => "no answer in time".into(),
        };
        self.operator
            .note(&format!("what the logs say was not kept: {why}"));
    }
}

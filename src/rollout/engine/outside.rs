//! What goes on while the loop waits: the effect under way, the open question, the looks.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::Value;
use tokio::task::JoinHandle;
use tokio::time::{Interval, MissedTickBehavior, interval};

use crate::rollout::journal::{Approval, Request, RequestKind, StepAnswer};
use crate::rollout::machine::{Found, Input, Outcome, Refusal, State, StepRef};
use crate::rollout::ports::{Done, Looked, Said};

/// What is going on outside the loop.
#[derive(Default)]
pub(super) struct Outside {
    pub(super) running: Option<Running>,
    pub(super) asking: Option<(Asked, JoinHandle<Said>)>,
    pub(super) looking: Option<Looking>,
    pub(super) tending: Option<JoinHandle<Result<(), String>>>,
    /// What the services' logs say of what stopped the run.
    pub(super) reading: Option<JoinHandle<Input>>,
    /// A person wants to leave once the effect under way has ended.
    pub(super) leaving: bool,
}

pub(super) struct Looking {
    /// The gates of the bake are looked at too.
    pub(super) at_gates: bool,
    pub(super) task: JoinHandle<Looked>,
}

pub(super) struct Running {
    pub(super) step: StepRef,
    pub(super) attempt: u32,
    pub(super) task: JoinHandle<Ran>,
}

pub(super) enum Ran {
    Performed(Done),
    Probed(Found, String),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Asked {
    Approval { phase: usize },
    Answer { step: StepRef },
    Pause,
}

impl Outside {
    pub(super) async fn stop_all(self) {
        if let Some(running) = self.running {
            running.task.abort();
            let _ = running.task.await;
        }
        let watching = [
            self.looking.map(|l| l.task.abort_handle()),
            self.tending.map(|t| t.abort_handle()),
            self.reading.map(|t| t.abort_handle()),
        ];
        watching.into_iter().flatten().for_each(|t| t.abort());
        if let Some((_, task)) = self.asking {
            task.abort();
        }
    }
}

/// Waits for a task; for ever when there is none. `None` when it was stopped.
pub(super) async fn join<T>(task: &mut Option<JoinHandle<T>>) -> Option<T> {
    let Some(handle) = task else {
        return std::future::pending().await;
    };
    let result = handle.await.ok();
    *task = None;
    result
}

/// Waits for a look, and says whether it was at the gates too.
pub(super) async fn join_looking(looking: &mut Option<Looking>) -> Option<(bool, Looked)> {
    let Some(Looking { at_gates, task }) = looking else {
        return std::future::pending().await;
    };
    let at_gates = *at_gates;
    let looked = task.await.ok();
    *looking = None;
    looked.map(|looked| (at_gates, looked))
}

pub(super) async fn join_running(running: &mut Option<Running>) -> Input {
    let Some(r) = running else {
        return std::future::pending().await;
    };
    let (step, attempt) = (r.step, r.attempt);
    let ran = (&mut r.task).await;
    *running = None;
    match ran {
        Ok(Ran::Performed(done)) => Input::Ended {
            step,
            attempt,
            outcome: done.outcome,
            evidence: done.evidence,
        },
        Ok(Ran::Probed(found, why)) => Input::Probed {
            step,
            attempt,
            found,
            why,
        },
        Err(e) => Input::Ended {
            step,
            attempt,
            outcome: Outcome::Unknown(format!("it ended unexpectedly: {e}")),
            evidence: Value::Null,
        },
    }
}

pub(super) async fn join_asking(asking: &mut Option<(Asked, JoinHandle<Said>)>) -> (Asked, Said) {
    let Some((asked, task)) = asking else {
        return std::future::pending().await;
    };
    let asked = *asked;
    let said = task.await.unwrap_or(Said::No);
    *asking = None;
    (asked, said)
}

/// What a request of another operator asks of the machine. An answer that was meant for another
/// question than the one that is open is none.
pub(super) fn to_input(request: &Request, state: &State) -> Result<Input, String> {
    let by = request.by.clone();
    let why = request.detail.clone();
    let unreadable = |e: serde_json::Error| format!("it cannot be read: {e}");
    Ok(match request.kind {
        RequestKind::Pause => Input::Pause { by, why },
        RequestKind::Resume => Input::Resume { by },
        RequestKind::Abort => Input::Abort { by, why },
        RequestKind::Rollback => Input::Rollback { by, why },
        RequestKind::Note => Input::Note { by, text: why },
        RequestKind::Approve => {
            let Approval { phase, plan } = serde_json::from_str(&why).map_err(unreadable)?;
            Input::Approve { phase, plan, by }
        }
        RequestKind::Answer => {
            let answer: StepAnswer = serde_json::from_str(&why).map_err(unreadable)?;
            let attempts = state.step(answer.step).map(|s| s.attempts);
            if answer.plan != state.outline.plan || attempts != Some(answer.attempt) {
                return Err(Refusal::Stale.to_string());
            }
            Input::Answer {
                step: answer.step,
                said: answer.said,
                by,
            }
        }
    })
}

/// Milliseconds since 1970.
pub fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |d| u64::try_from(d.as_millis()).unwrap_or(u64::MAX))
}

pub(super) fn every(period: Duration) -> Interval {
    let mut interval = interval(period);
    interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
    interval
}

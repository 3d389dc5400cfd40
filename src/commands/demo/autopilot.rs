//! The demo's operator: says yes to what a person would be asked, and writes down when what
//! happened.

use std::sync::{Arc, Mutex};

use crate::commands::rollout::{self, Terminal};
use crate::rollout::journal::Entry;
use crate::rollout::machine::{Event, State};
use crate::rollout::ports::{Agreed, Looked, Operator, Said};
use crate::runbook::plan::{Phase, Plan, Planned};
use crate::ui::Ui;

/// Approves by itself and shows the events on the terminal.
pub struct Autopilot {
    terminal: Terminal,
    ui: Ui,
    /// Told when a bake begins: the demo breaks something then.
    baking: tokio::sync::watch::Sender<bool>,
    moments: Mutex<Vec<Moment>>,
}

/// One line of the timeline.
#[derive(Debug, Clone, serde::Serialize)]
pub struct Moment {
    pub at_ms: u64,
    pub text: String,
}

impl Autopilot {
    pub fn new(ui: Ui) -> Arc<Self> {
        Arc::new(Self {
            terminal: Terminal::new(ui.clone(), None, &[]),
            ui,
            baking: tokio::sync::watch::channel(false).0,
            moments: Mutex::new(Vec::new()),
        })
    }

    pub fn baking(&self) -> tokio::sync::watch::Receiver<bool> {
        self.baking.subscribe()
    }

    /// What happened, with times.
    pub fn moments(&self) -> Vec<Moment> {
        self.moments
            .lock()
            .unwrap_or_else(|e| e.into_inner())
            .clone()
    }
}

impl Operator for Autopilot {
    async fn approve(&self, phase: Phase, _plan: Arc<Plan>, _hash: String) -> Said {
        self.ui.status(format_args!(
            "          (a person would type {} here)",
            phase.env
        ));
        Said::Yes
    }

    async fn answer(&self, step: Planned, _agreed: Agreed) -> Said {
        self.ui.status(format_args!(
            "          (a person would answer: {})",
            step.step.id
        ));
        Said::Yes
    }

    async fn paused(&self, _why: String) -> Said {
        Said::NobodyThere
    }

    fn recorded(&self, entry: &Entry, state: &State, plan: &Plan) {
        self.terminal.recorded(entry, state, plan);
        self.baking.send_replace(state.baking().is_some());
        let worth = match &entry.record.event {
            Event::Approved { .. }
            | Event::Triggered { .. }
            | Event::RollbackStarted { .. }
            | Event::RolledBack
            | Event::Stuck { .. }
            | Event::Paused { .. }
            | Event::Failed { .. }
            | Event::Completed => true,
            Event::Succeeded { step, .. } => {
                let planned = match step.part {
                    crate::rollout::machine::Part::Forward => plan.forward.get(step.index),
                    crate::rollout::machine::Part::Rollback => plan.rollback.get(step.index),
                    crate::rollout::machine::Part::Afterwards => None,
                };
                planned.is_some_and(|p| {
                    let kind = p.step.kind.name();
                    [
                        "toggles", "bake", "restart", "recover", "rehearse", "complete",
                    ]
                    .contains(&kind)
                })
            }
            Event::Started { .. }
            | Event::Driven { .. }
            | Event::ApprovalWanted { .. }
            | Event::AnswerWanted { .. }
            | Event::Intended { .. }
            | Event::InDoubt { .. }
            | Event::Probed { .. }
            | Event::Observed { .. }
            | Event::Resumed { .. }
            | Event::Aborted { .. }
            | Event::Waived { .. }
            | Event::Agreed { .. }
            | Event::Replanned { .. }
            | Event::Checkpoint(_)
            | Event::Note { .. }
            | Event::KitRefreshed { .. }
            | Event::Logged { .. } => false,
        };
        if let Some(text) = rollout::line(&entry.record.event, plan, state).filter(|_| worth) {
            let mut moments = self.moments.lock().unwrap_or_else(|e| e.into_inner());
            moments.push(Moment {
                at_ms: entry.record.at_ms,
                text,
            });
        }
    }

    fn looked(&self, looked: &Looked) {
        self.terminal.looked(looked);
    }

    fn note(&self, text: &str) {
        self.terminal.note(text);
    }
}

//! Keeping the local mirror in step with a journal in a database.

use std::time::Duration;

use super::Engine;
use crate::error::{Exit, Problem, Result};
use crate::rollout::journal::{Entry, Mirror};
use crate::rollout::ports::{Operator, World};

/// How long writing the mirror may hold up the run.
const PATIENCE: Duration = Duration::from_secs(3);

impl<W: World, O: Operator> Engine<W, O> {
    /// Copies an entry that the journal has acknowledged. What goes wrong is said once and stops
    /// nothing: the journal is the truth, and the mirror catches up later.
    pub(super) async fn mirror(&mut self, entry: &Entry) {
        if self.journal.mirrors().is_none() {
            return;
        }
        let done = tokio::time::timeout(PATIENCE, self.try_mirror(entry)).await;
        let done = done.unwrap_or_else(|_| {
            let why = format!("it took longer than {} s", PATIENCE.as_secs());
            Err(Problem::new(Exit::Failed, "writing the local mirror", why))
        });
        match done {
            Ok(()) => {
                if std::mem::take(&mut self.unmirrored) {
                    self.operator.note("the local mirror is complete again");
                }
            }
            Err(problem) => {
                if !std::mem::replace(&mut self.unmirrored, true) {
                    self.operator.note(&format!(
                        "THE LOCAL MIRROR IS BEHIND ({problem}): a rollback --break-glass from this \
                         machine would not know what follows"
                    ));
                }
            }
        }
    }

    async fn try_mirror(&mut self, entry: &Entry) -> Result<()> {
        let Some(dir) = self.journal.mirrors() else {
            return Ok(());
        };
        let mirror = match self.mirror.take() {
            Some(mirror) => mirror,
            None => Mirror::create(dir, self.lease.run()).await?,
        };
        let mirror = self.mirror.insert(mirror);
        let (name, closed) = (&self.known.plan.runbook, self.known.state.is_closed());
        mirror.follow(&self.journal, name, entry, closed).await
    }
}

//! Writing to the journal, and what it says of us: the events, the lease, others' requests.
//!
//! A journal that does not answer is asked again for as long as nobody else can have the lease.
//! Nothing is guessed meanwhile: what is not acknowledged is not true, nothing that would follow
//! from it begins, and appending the same entry once more finds out what became of it.

use std::time::Duration;

use super::outside::{Outside, now_ms, to_input};
use super::{Ending, Engine};
use crate::error::{Exit, Problem, Result};
use crate::rollout::journal::{AppendError, CHECKPOINT_EVERY, Cause, Request};
use crate::rollout::machine::{Decision, Event, Input, decide};
use crate::rollout::ports::{Operator, World};

/// How soon a journal that did not answer is asked again.
const AGAIN: Duration = Duration::from_millis(250);

/// What came of writing.
enum Wrote {
    It,
    /// The request that it was for was taken back.
    Nothing,
    Ends(Ending),
}

impl<W: World, O: Operator> Engine<W, O> {
    /// Extends the lease. An ending when it is somebody else's, or when the journal gave no sign
    /// for two thirds of its time.
    pub(super) async fn renew(&mut self) -> Result<Option<Ending>> {
        match self.journal.renew(&self.lease).await {
            Ok(true) => {
                self.heard();
                Ok(None)
            }
            Ok(false) => {
                let held = self.journal.holder(self.run()).await.ok().flatten();
                let holder = held.map_or_else(|| "somebody else".into(), |h| h.holder);
                Ok(Some(Ending::Fenced { holder }))
            }
            Err(problem) if problem.exit() == Exit::Unavailable => Ok(self.missed(&problem)),
            Err(problem) => Err(problem),
        }
    }

    fn heard(&mut self) {
        if std::mem::take(&mut self.unheard) {
            self.operator.note("the journal answers again");
        }
    }

    /// The journal did not answer. An ending once somebody else could have the lease.
    fn missed(&mut self, problem: &Problem) -> Option<Ending> {
        if !self.lease.is_safe() {
            let why = problem.to_string();
            return Some(Ending::Unreachable { why });
        }
        if !std::mem::replace(&mut self.unheard, true) {
            let armed = match self.known.state.triggers_armed() {
                true => "; no trigger can act meanwhile",
                false => "",
            };
            let left = (self.lease.ttl() * 2 / 3).as_secs();
            self.operator.note(&format!(
                "THE JOURNAL DOES NOT ANSWER ({problem}); nothing new begins{armed}. \
                 This driver gives up when that lasts {left} s"
            ));
        }
        None
    }

    /// Writes down which rollback kits were made fresh, and lets the world know what it is to go by.
    pub(super) async fn record_kits(&mut self, all: bool) -> Result<Option<Ending>> {
        if self.known.state.is_closed() {
            return Ok(None);
        }
        let made = self.world.kits_made(all);
        if made.is_empty() {
            return Ok(None);
        }
        for (env, seal) in made {
            let decided = decide(&self.known.state, now_ms(), Input::Kit { env, seal });
            if let Ok(decision) = decided
                && let Some(ending) = self.record(&decision).await?
            {
                return Ok(Some(ending));
            }
        }
        self.world.kits_recorded(&self.known.state.kits);
        Ok(None)
    }

    /// Hears what other operators ask for.
    pub(super) async fn take_requests(&mut self, outside: &mut Outside) -> Result<Option<Ending>> {
        let requests = match self.journal.requests(self.run()).await {
            Ok(requests) => requests,
            Err(problem) if problem.exit() == Exit::Unavailable => {
                return Ok(self.missed(&problem));
            }
            Err(problem) => return Err(problem),
        };
        for request in requests {
            let decided = to_input(&request, &self.known.state).and_then(|input| {
                decide(&self.known.state, now_ms(), input).map_err(|refusal| refusal.to_string())
            });
            match decided {
                Ok(decision) => match self.record_for(&decision, Cause::Request(&request)).await? {
                    Wrote::It => self.stop_what_is_over(outside).await,
                    Wrote::Nothing => {}
                    // Fenced: it is for whoever drives now.
                    Wrote::Ends(ending) => return Ok(Some(ending)),
                },
                Err(why) => {
                    if let Some(ending) = self.refuse(&request, &why).await? {
                        return Ok(Some(ending));
                    }
                }
            }
        }
        Ok(None)
    }

    /// A driver that was overtaken answers nobody: the store compares the token.
    async fn refuse(&mut self, request: &Request, why: &str) -> Result<Option<Ending>> {
        match self.journal.refuse(&self.lease, request, why).await {
            Ok(true) => Ok(None),
            Ok(false) => self.renew().await,
            // The next round comes back to it.
            Err(problem) if problem.exit() == Exit::Unavailable => Ok(self.missed(&problem)),
            Err(problem) => Err(problem),
        }
    }

    /// Makes events durable, one by one, and only then true.
    pub(super) async fn record(&mut self, decision: &Decision) -> Result<Option<Ending>> {
        self.record_by(decision, Cause::Driver).await
    }

    /// As [`record`](Self::record); the first event is what somebody wanted.
    pub(super) async fn record_by(
        &mut self,
        decision: &Decision,
        cause: Cause<'_>,
    ) -> Result<Option<Ending>> {
        match self.record_for(decision, cause).await? {
            Wrote::It | Wrote::Nothing => Ok(None),
            Wrote::Ends(ending) => Ok(Some(ending)),
        }
    }

    async fn record_for(&mut self, decision: &Decision, cause: Cause<'_>) -> Result<Wrote> {
        let mut cause = Some(cause);
        for event in &decision.events {
            if (self.known.head.seq + 1).is_multiple_of(CHECKPOINT_EVERY) {
                let checkpoint = Event::Checkpoint(Box::new(self.known.checkpoint()));
                match self.append(&checkpoint, Cause::Driver).await? {
                    Wrote::It => {}
                    other => return Ok(other),
                }
            }
            match self
                .append(event, cause.take().unwrap_or(Cause::Driver))
                .await?
            {
                Wrote::It => {}
                other => return Ok(other),
            }
        }
        Ok(Wrote::It)
    }

    async fn append(&mut self, event: &Event, cause: Cause<'_>) -> Result<Wrote> {
        let mut next = self.known.state.clone();
        next.apply(event).map_err(|e| illegal(&e))?;
        let closed = next.is_closed();
        // The same entry each time, so that the journal knows it again.
        let (head, at_ms) = (self.known.head, now_ms());
        let holder = loop {
            let (journal, lease, event) = (&self.journal, &self.lease, event.clone());
            let appended = journal
                .append_for(cause, lease, head, at_ms, event, closed)
                .await;
            match appended {
                Ok(entry) => {
                    self.heard();
                    self.known.state = next;
                    self.known.follow(&entry)?;
                    let known = &self.known;
                    self.operator.recorded(&entry, &known.state, &known.plan);
                    self.mirror(&entry).await;
                    self.notice(&entry);
                    return Ok(Wrote::It);
                }
                Err(AppendError::Withdrawn) => return Ok(Wrote::Nothing),
                Err(AppendError::Fenced { holder, .. }) => break holder,
                Err(AppendError::Conflict) => break "another writer".into(),
                Err(AppendError::Failed(problem)) if problem.exit() == Exit::Unavailable => {
                    if let Some(ending) = self.missed(&problem) {
                        return Ok(Wrote::Ends(ending));
                    }
                    tokio::time::sleep(AGAIN).await;
                }
                Err(AppendError::Failed(problem)) => return Err(problem),
            }
        };
        Ok(Wrote::Ends(Ending::Fenced { holder }))
    }
}

/// Whether it is the word of the person in front of this process.
pub(super) fn is_word(input: &Input) -> bool {
    match input {
        Input::TakeOver { .. }
        | Input::Approve { .. }
        | Input::Answer { .. }
        | Input::Pause { .. }
        | Input::Resume { .. }
        | Input::Abort { .. }
        | Input::Rollback { .. }
        | Input::Replan { .. }
        | Input::Resolve { .. }
        | Input::Waive { .. }
        | Input::Note { .. } => true,
        Input::Tick
        | Input::Ended { .. }
        | Input::Probed { .. }
        | Input::Look { .. }
        | Input::Trigger { .. }
        | Input::Kit { .. }
        | Input::Logs { .. } => false,
    }
}

fn illegal(error: &crate::rollout::machine::Illegal) -> Problem {
    Problem::new(Exit::Failed, "recording an event", error).next(
        "this is a defect of dbctl; nothing was recorded. Please report it with `dbctl rollout log`",
    )
}

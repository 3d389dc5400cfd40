//! Reading a run: whole, or from its newest checkpoint on.

use std::collections::VecDeque;

use super::Journal;
use super::chain::{self, Broken, CHECKPOINT_EVERY, Entry, Head, RunId};
use crate::error::{Doing as _, Exit, Problem, Result};
use crate::rollout::machine::Event;

/// How many entries are held at a time by whoever goes through all of them.
const PART: u64 = 1024;
/// How many parts are read ahead.
const AHEAD: usize = 3;

/// As much of a run's journal as it takes to know the run.
#[derive(Debug)]
pub struct Recent {
    /// The entry that holds the plan, where `entries` begins with a checkpoint. None: it begins
    /// with the run.
    pub plan: Option<Entry>,
    pub entries: Vec<Entry>,
}

impl Journal {
    /// A run's entries, with the chain checked. A break is [`Exit::JournalBroken`].
    pub async fn entries(&self, run: &RunId) -> Result<Vec<Entry>> {
        let rows = self.rows(run, 1, u64::MAX).await?;
        chain::verify(run, rows).map_err(|broken| self.broken(run, &broken))
    }

    /// Goes through a run's entries from the first to the newest that is there at the beginning,
    /// with the chain checked. Only a few parts of it are held at a time; while one is gone through,
    /// those behind it are read.
    pub async fn walk(&self, run: &RunId, mut each: impl FnMut(Entry) -> Result<()>) -> Result<()> {
        let newest = self.newest(run).await?;
        let mut head = Head::EMPTY;
        let mut asked = 0;
        let mut coming = VecDeque::new();
        while head.seq < newest {
            while coming.len() < AHEAD && asked < newest {
                let (journal, run, from) = (self.clone(), run.clone(), asked + 1);
                asked = newest.min(asked + PART);
                let to = asked;
                let part = tokio::spawn(async move { journal.part(&run, from, to).await });
                coming.push_back((to, part));
            }
            let Some((to, part)) = coming.pop_front() else {
                break;
            };
            let entries = part.await.doing(Exit::Failed, "reading the journal")??;
            let broken = |seq: u64, why: &str| {
                let why = why.to_owned();
                Err(self.broken(run, &Broken { seq, why }))
            };
            if entries.first().is_some_and(|first| first.prev != head.hash) {
                return broken(head.seq + 1, "it does not follow the one before it");
            }
            let last = entries.last().map_or(head, Entry::head);
            if last.seq != to {
                return broken(last.seq + 1, "it is missing");
            }
            head = last;
            entries.into_iter().try_for_each(&mut each)?;
        }
        Ok(())
    }

    /// A run from its newest checkpoint on, with that part of the chain checked: the same as
    /// [`Journal::entries`] come to, in a time that does not grow with the run.
    pub async fn recent(&self, run: &RunId) -> Result<Recent> {
        let newest = self.newest(run).await?;
        let from = newest - newest % CHECKPOINT_EVERY;
        if from == 0 {
            let entries = self.entries(run).await?;
            return Ok(Recent {
                plan: None,
                entries,
            });
        }
        let entries = self.part(run, from, u64::MAX).await?;
        let plan_in = match entries.first().map(|e| &e.record.event) {
            Some(Event::Checkpoint(checkpoint)) => checkpoint.plan_in,
            Some(_) | None => {
                let why = "there should be a checkpoint, and there is none".into();
                return Err(self.broken(run, &Broken { seq: from, why }));
            }
        };
        let plan = self.part(run, plan_in, plan_in).await?.pop();
        match plan {
            Some(_) => Ok(Recent { plan, entries }),
            None => {
                let why = "it is missing, and should hold the plan".into();
                Err(self.broken(run, &Broken { seq: plan_in, why }))
            }
        }
    }

    /// Who wrote the newest entry of a run.
    pub async fn last_holder(&self, run: &RunId) -> Result<String> {
        let newest = self.newest(run).await?;
        let last = self.part(run, newest, newest).await?.pop();
        Ok(last.map_or_else(|| "nobody".into(), |entry| entry.record.holder))
    }

    async fn part(&self, run: &RunId, from: u64, to: u64) -> Result<Vec<Entry>> {
        let rows = self.rows(run, from, to).await?;
        chain::verify_part(run, from, rows).map_err(|broken| self.broken(run, &broken))
    }

    fn broken(&self, run: &RunId, broken: &Broken) -> Problem {
        Problem::new(
            Exit::JournalBroken,
            format!("checking run {run} in the journal {self}"),
            broken,
        )
        .next(
            "the journal was edited or damaged: trust nothing after that event.\n\
             Compare with a copy of the head (SEQ:HASH) that an approval or a stop printed;\n\
             dbctl --env NAME rollout rollback --break-glass      goes back without it",
        )
    }
}

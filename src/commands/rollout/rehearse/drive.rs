//! One way of a rehearsal: an ordinary run forwards, and back.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::mpsc;

use crate::check::Verdict;
use crate::commands::rollout::operator::Terminal;
use crate::commands::rollout::world::{Live, Witness};
use crate::error::{Exit, Problem, Result};
use crate::rollout::engine::{Ending, Engine, recall};
use crate::rollout::journal::{Entry, Head, Journal, RunId, export};
use crate::rollout::machine::{Event, Input, Part, State, Status};
use crate::rollout::ports::{Agreed, Looked, Operator, Said};
use crate::rollout::rehearsal::{Case, Way};
use crate::runbook::plan::{Phase, Plan, Planned};
use crate::ui::Ui;

/// How long it may take after a way back until everything is as before.
const RECOVERS_WITHIN: Duration = Duration::from_secs(10);
const LOOK_AGAIN: Duration = Duration::from_millis(250);

/// Where a rehearsal is driven.
pub struct Stage {
    pub env: String,
    pub plan: Plan,
    pub journal: Journal,
    pub world: Arc<Live>,
    pub operator: Arc<Alone>,
    pub interrupt: mpsc::Receiver<()>,
    pub ui: Ui,
}

/// Why a rehearsal stops before its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Left {
    /// By a person; everything is back.
    Interrupted,
    /// By a person, before everything was back.
    OnTheWay,
    Stuck,
}

/// Says yes to everything that was confirmed at the beginning, and never goes on from a pause.
pub struct Alone(pub Terminal);

impl Operator for Alone {
    async fn approve(&self, _phase: Phase, _plan: Arc<Plan>, _hash: String) -> Said {
        Said::Yes
    }

    async fn answer(&self, _step: Planned, agreed: Agreed) -> Said {
        if agreed.here { Said::No } else { Said::Yes }
    }

    async fn paused(&self, _why: String) -> Said {
        Said::No
    }

    fn recorded(&self, entry: &Entry, state: &State, plan: &Plan) {
        self.0.recorded(entry, state, plan);
    }

    fn looked(&self, looked: &Looked) {
        self.0.looked(looked);
    }

    fn note(&self, text: &str) {
        self.0.note(text);
    }
}

/// How a way back went.
#[derive(Default)]
struct Back {
    back_ms: Option<u64>,
    recovered_ms: Option<u64>,
    afterwards_ms: Option<u64>,
    wrong: Vec<String>,
    left: Option<Left>,
}

impl Stage {
    /// Walks forwards until the step with this index is done (through everything behind the last
    /// one), and back.
    pub async fn case(
        &mut self,
        at: usize,
        witness: &mut Witness,
        folder: &Path,
    ) -> Result<(Case, Option<Left>)> {
        let whole = at >= self.plan.forward.len();
        let step = self.plan.forward[at.min(self.plan.forward.len() - 1)]
            .step
            .id
            .clone();
        let (shown, of) = (at + 1, self.plan.forward.len() + 1);
        self.ui.status(format_args!(
            "── {shown} of {of}: forwards to {step} and back"
        ));
        witness.begin_anew();
        let mut wrong = self.world.plant(&self.env, witness).await?;
        let began = Instant::now();
        let plan = self.plan.clone();
        let (world, operator) = (self.world.clone(), self.operator.clone());
        let mut engine = Engine::start(world, operator, self.journal.clone(), plan).await?;
        if !whole {
            engine.stop_behind(at);
        }
        let run = engine.run().clone();
        let ending = engine.drive(&mut self.interrupt).await?;
        let forward_ms = millis(began);
        let interrupted = ending == Ending::Detached;
        let arrived = matches!(ending, Ending::Reached { .. } | Ending::Completed);
        if !arrived && !interrupted {
            wrong.push(self.why(&run, &ending).await?);
        }
        if arrived {
            wrong.extend(self.world.plant(&self.env, witness).await?);
        }
        let flipped = engine.state().flipped;
        drop(engine);
        let back = self.back(&run, witness, !interrupted).await?;
        wrong.extend(back.wrong);
        let entries = self.journal.entries(&run).await?;
        export(
            &folder.join("runs").join(format!("{run}.jsonl")),
            &run,
            &entries,
        )?;
        let way = match (whole, flipped) {
            (true, _) => Way::Whole,
            (false, true) => Way::Rollback,
            (false, false) => Way::Abort,
        };
        let case = Case {
            step,
            way,
            run,
            forward_ms,
            back_ms: back.back_ms,
            recovered_ms: back.recovered_ms,
            afterwards_ms: back.afterwards_ms,
            verdict: match wrong.is_empty() {
                true => Verdict::Pass,
                false => Verdict::Fail,
            },
            why: (!wrong.is_empty()).then(|| wrong.join("; ")),
            head: entries.last().map_or(Head::EMPTY, Entry::head).to_string(),
        };
        let left = back.left.or(interrupted.then_some(Left::Interrupted));
        Ok((case, left))
    }

    /// What a rehearsal that was killed or left in the middle still holds.
    pub async fn take_back_what_was_left(&mut self) -> Result<Option<Left>> {
        let open = self.journal.runs().await?.into_iter().find(|r| !r.closed);
        let Some(open) = open else {
            return Ok(None);
        };
        self.ui.status(format_args!(
            "run {} was left open: taking it back",
            open.run
        ));
        let back = self.back(&open.run, &Witness::default(), true).await?;
        for why in &back.wrong {
            self.ui.warn(why);
        }
        Ok(back.left)
    }

    /// Goes back from wherever a run stands, and does what is due afterwards.
    async fn back(&mut self, run: &RunId, witness: &Witness, afterwards: bool) -> Result<Back> {
        let mut back = Back::default();
        let began = Instant::now();
        let mut engine = self.take(run).await?;
        let by = self.journal.person().to_string();
        let why = "rehearsal".to_owned();
        let state = engine.state();
        let unwound = state.status == Status::RolledBack;
        if !state.flipped && !unwound {
            if state.can_go_forward() {
                engine.tell(Input::Abort { by, why }).await?;
            }
            engine.leave().await;
            back.back_ms = Some(millis(began));
        } else if unwound {
            engine.leave().await;
        } else {
            if state.status != Status::RollingBack {
                engine.tell(Input::Rollback { by, why }).await?;
            }
            match engine.drive(&mut self.interrupt).await? {
                Ending::RolledBack => back.back_ms = Some(millis(began)),
                ending => return self.not_back(run, &ending, back).await,
            }
        }
        drop(engine);
        back.wrong
            .extend(self.settled(witness, began, &mut back.recovered_ms).await?);
        if !afterwards {
            return Ok(back);
        }
        let due = Instant::now();
        let state = recall(&self.journal, run).await?.state;
        if state.status == Status::RolledBack && state.next_step(Part::Afterwards).is_some() {
            let mut engine = self.take(run).await?;
            let by = self.journal.person().to_string();
            engine.tell(Input::Resume { by }).await?;
            let ending = engine.drive(&mut self.interrupt).await?;
            let closed = engine.state().is_closed();
            drop(engine);
            if ending != Ending::RolledBack || !closed {
                return self.not_back(run, &ending, back).await;
            }
            back.afterwards_ms = Some(millis(due));
            back.wrong
                .extend(self.settled(witness, due, &mut None).await?);
        }
        Ok(back)
    }

    async fn not_back(&self, run: &RunId, ending: &Ending, mut back: Back) -> Result<Back> {
        back.left = Some(match ending {
            Ending::Detached => Left::OnTheWay,
            Ending::Completed
            | Ending::RolledBack
            | Ending::Stuck
            | Ending::Aborted
            | Ending::Paused(_)
            | Ending::AwaitingApproval { .. }
            | Ending::AwaitingAnswer { .. }
            | Ending::Reached { .. }
            | Ending::Fenced { .. }
            | Ending::Unreachable { .. } => Left::Stuck,
        });
        back.wrong.push(self.why(run, ending).await?);
        Ok(back)
    }

    /// Looks until everything is as before, or says what is not.
    async fn settled(
        &self,
        witness: &Witness,
        began: Instant,
        recovered_ms: &mut Option<u64>,
    ) -> Result<Vec<String>> {
        let until = Instant::now() + RECOVERS_WITHIN;
        loop {
            let wrong = self.world.astray(&self.env, witness).await?;
            if wrong.is_empty() {
                *recovered_ms = Some(millis(began));
                return Ok(wrong);
            }
            if Instant::now() >= until {
                return Ok(wrong);
            }
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    }

    async fn take(&self, run: &RunId) -> Result<Engine<Live, Alone>> {
        let (world, operator) = (self.world.clone(), self.operator.clone());
        let taken = Engine::resume(world, operator, self.journal.clone(), run, false).await;
        taken.map_err(|problem| {
            if problem.exit() != Exit::LeaseHeld {
                return problem;
            }
            Problem::new(Exit::LeaseHeld, problem.doing(), problem.cause())
                .next("another rehearsal is under way; if it was killed, try again in 15 s")
        })
    }

    /// Why a run stopped, in one line: what failed last says more than that it paused.
    async fn why(&self, run: &RunId, ending: &Ending) -> Result<String> {
        let entries = self.journal.entries(run).await?;
        let failed = entries.iter().rev().find_map(|e| {
            let Event::Failed { step, why, .. } = &e.record.event else {
                return None;
            };
            Some((*step, why.clone()))
        });
        let known = recall(&self.journal, run).await?;
        let reason = match failed {
            Some((step, why)) => format!("{}: {why}", known.state.outline.id(step)),
            None => known.told.reason.unwrap_or_else(|| format!("{ending:?}")),
        };
        Ok(format!("run {run} is {}: {reason}", known.state.status))
    }
}

fn millis(since: Instant) -> u64 {
    u64::try_from(since.elapsed().as_millis()).unwrap_or(u64::MAX)
}

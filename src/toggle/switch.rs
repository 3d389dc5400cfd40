//! Switching targets with what they know: carry-over, files, restart, confirmation, settling.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{FileSays, Patience, Switched, file, flip, read};
use crate::carry::kit::Kit;
use crate::carry::over::{self, Carried, Fleet, Member, Placed, Store};
use crate::error::{Exit, Problem, Result};
use crate::runtime::toggles::{Mode, Modes, Toggle};

/// What setting toggles would mean for one target.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outlook {
    pub target: String,
    /// What it runs in, by its own word; none when it does not answer.
    pub runs_in: Option<Modes>,
    /// What its file says now.
    pub file_says: Modes,
    /// What its file would say.
    pub would_run_in: Modes,
}

impl Outlook {
    /// Whether there is anything to do.
    pub fn changes(&self) -> bool {
        self.runs_in != Some(self.would_run_in) || self.file_says != self.would_run_in
    }

    /// Some part of its state moves into Postgres.
    pub fn goes_forward(&self) -> bool {
        self.moves(|from, to| from != Mode::Postgres && to == Mode::Postgres)
    }

    /// Some part of its state moves out of Postgres.
    pub fn goes_back(&self) -> bool {
        self.moves(|from, to| from == Mode::Postgres && to != Mode::Postgres)
    }

    fn moves(&self, way: impl Fn(Mode, Mode) -> bool) -> bool {
        // What does not answer is believed its file.
        let from = self.runs_in.unwrap_or(self.file_says);
        [Toggle::KeyResolver, Toggle::Revocation, Toggle::NonceStore]
            .iter()
            .any(|t| way(from.get(*t), self.would_run_in.get(*t)))
    }
}

/// What `toggles` would mean for each of `fleet`. Changes nothing.
///
/// # Errors
/// A file that cannot be read, or that would still be wrong.
pub async fn outlook(fleet: &Fleet, toggles: &BTreeMap<Toggle, Mode>) -> Result<Vec<Outlook>> {
    let health = fleet.all(|m| m.client.health()).await;
    health
        .into_iter()
        .map(|(member, health)| {
            Ok(Outlook {
                target: member.target.name.clone(),
                runs_in: health.ok().map(|h| h.modes),
                // A value that is about to be replaced may be wrong.
                file_says: match read(&member.target) {
                    Ok(FileSays { modes, .. }) => modes,
                    Err(_) => would_say(member, toggles)?,
                },
                would_run_in: would_say(member, toggles)?,
            })
        })
        .collect()
}

fn would_say(member: &Member, toggles: &BTreeMap<Toggle, Mode>) -> Result<Modes> {
    file::preview(&member.target.env_file, toggles).map(|says| says.modes)
}

/// What takes part in a switch.
#[derive(Debug, Clone, Copy)]
pub struct With<'a> {
    /// All targets of the environment: their live verifiers must know Postgres's keys.
    pub everyone: &'a Fleet,
    /// Needed to go to Postgres; used if it answers when going back.
    pub store: Option<Store<'a>>,
    pub kit: &'a Kit,
    pub patience: Patience,
}

/// How a switch went.
#[derive(Debug)]
pub struct Switch {
    /// Into Postgres, before.
    pub forward: Option<Carried>,
    /// Out of Postgres, before.
    pub back: Option<Carried>,
    /// Among the restarted targets, after going back.
    pub settled: Option<Carried>,
    pub targets: Vec<Switched>,
}

impl Switch {
    /// The first target that does not run as it should.
    pub fn failed(&self) -> Option<&Problem> {
        self.targets.iter().find_map(|t| t.result.as_ref().err())
    }
}

/// What happens meanwhile.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Progress {
    Carry(over::Progress),
    Toggle(super::Progress),
}

/// Switches `flipping`: carries over what the direction needs, sets the toggles, restarts, has
/// each target confirm, and settles. A target that fails does not stop the others; see
/// [`Switch::failed`].
///
/// # Errors
/// The carry-over did not work: nothing was switched, and nobody is fenced any more.
pub async fn switch(
    flipping: &Fleet,
    outlook: &[Outlook],
    toggles: &BTreeMap<Toggle, Mode>,
    with: With<'_>,
    tell: &(dyn Fn(Progress) + Send + Sync),
) -> Result<Switch> {
    let carrying = |p| tell(Progress::Carry(p));
    let toggling = |p| tell(Progress::Toggle(p));
    let mut switch = Switch {
        forward: None,
        back: None,
        settled: None,
        targets: Vec::new(),
    };
    if outlook.iter().any(Outlook::goes_forward) {
        let store = with.store.ok_or_else(|| {
            Problem::new(
                Exit::Config,
                "carrying over into Postgres",
                "no database is known for this environment",
            )
            .next("name it with --database-url or database_url of the environment")
        })?;
        let carried = over::forward(flipping, with.everyone, store, with.kit, &carrying);
        switch.forward = Some(carried.await?);
    }
    let mut placed: Option<Placed> = None;
    if outlook.iter().any(Outlook::goes_back) {
        match over::back(flipping, with.everyone, with.store, with.kit, &carrying).await {
            Ok((carried, taken)) => {
                switch.back = Some(carried);
                placed = Some(taken);
            }
            Err(problem) => {
                over::unfence(flipping, &carrying).await;
                return Err(problem);
            }
        }
    }
    let placing = placed.as_ref().map(|p| &p.snapshot);
    switch.targets = flip(flipping, toggles, placing, with.patience, &toggling).await;
    if let Some(placed) = placed {
        switch.settled = Some(over::settle(with.everyone, with.store, &placed, &carrying).await);
    } else if switch.failed().is_some() {
        // An old process that is still there must not stay fenced.
        over::unfence(flipping, &carrying).await;
    }
    Ok(switch)
}

//! Rollback kits: what the journal says of them, and what it is to be told.

use std::collections::BTreeMap;
use std::sync::MutexGuard;
use std::time::{Duration, Instant};

use super::Live;
use crate::carry::kit::Kit;
use crate::carry::over::Carried;
use crate::contract::KitSeal;
use crate::error::Result;
use crate::settings::Environment;

/// How often a kit that is refreshed all the time is recorded.
const RECORD_EVERY: Duration = Duration::from_secs(30);

/// What is known of kits, by environment.
#[derive(Debug, Default)]
pub(super) struct Kits {
    /// By the journal.
    recorded: BTreeMap<String, Vec<KitSeal>>,
    /// Made since, and when the journal is to know.
    made: BTreeMap<String, (KitSeal, Instant)>,
    /// When the journal was told last.
    told: BTreeMap<String, Instant>,
}

impl Live {
    fn kits(&self) -> MutexGuard<'_, Kits> {
        self.kits.lock().unwrap_or_else(|e| e.into_inner())
    }

    /// The kit of an environment, to be compared with what the journal recorded.
    pub(super) fn kit(&self, env: &Environment) -> Result<Kit> {
        let kit = Kit::of(&self.settings, env)?;
        let kits = self.kits();
        let recorded = kits.recorded.get(&env.name);
        Ok(kit.recorded_as(recorded.map_or(&[], Vec::as_slice)))
    }

    /// What a journal, or a mirror of one, recorded.
    pub fn know_kits(&self, kits: &BTreeMap<String, Vec<KitSeal>>) {
        self.kits().recorded.clone_from(kits);
    }

    /// A kit was made fresh; by a step the journal is told of it at once.
    pub(super) fn kit_made(&self, env: &str, carried: &Carried, by_step: bool) {
        let Some(seal) = &carried.kit else { return };
        let mut kits = self.kits();
        let now = Instant::now();
        let due = match kits.told.get(env) {
            Some(told) if !by_step => *told + RECORD_EVERY,
            Some(_) | None => now,
        };
        kits.made.insert(env.to_owned(), (seal.clone(), due));
    }

    /// What the journal is to be told now.
    pub(super) fn unrecorded_kits(&self, all: bool) -> Vec<(String, KitSeal)> {
        let mut kits = self.kits();
        let now = Instant::now();
        let (due, later) = std::mem::take(&mut kits.made)
            .into_iter()
            .partition(|(_, (_, due))| all || *due <= now);
        kits.made = later;
        let due: BTreeMap<_, (KitSeal, Instant)> = due;
        let due = due.into_iter().map(|(env, (seal, _))| (env, seal));
        let due: Vec<(String, KitSeal)> = due.collect();
        for (env, _) in &due {
            kits.told.insert(env.clone(), now);
        }
        due
    }
}

//! Time in a bake in which nobody looked: a driver that stood still, or was gone.

use std::time::Duration;

use crate::rollout::journal::Entry;
use crate::rollout::machine::{Class, Event, State};
use crate::ui::duration;

/// Follows the looks of bakes through the entries of a run.
#[derive(Debug, Default)]
pub struct Gaps {
    last_ms: Option<u64>,
}

impl Gaps {
    /// What there is to say of the time before a look; `state` is the one after it.
    pub fn before(&mut self, entry: &Entry, state: &State) -> Option<String> {
        let Event::Observed { step, at_ms, .. } = &entry.record.event else {
            // Whoever takes over finds the bake as it was left.
            let bake_stays = matches!(
                entry.record.event,
                Event::Driven { .. } | Event::Checkpoint(_) | Event::Note { .. }
            );
            self.last_ms = self.last_ms.filter(|_| bake_stays);
            return None;
        };
        let last_ms = self.last_ms.replace(*at_ms)?;
        let Some(Class::Bake(outline)) = state.outline.step(*step).map(|s| &s.class) else {
            return None;
        };
        let gap_ms = at_ms.checked_sub(last_ms)?;
        (gap_ms > outline.longest_gap_ms).then(|| {
            let gap = duration(Duration::from_millis(gap_ms));
            format!("nobody looked for {gap}: that is no bake time")
        })
    }
}

//! When the metrics are looked at, and for what.

use std::time::Duration;

use tokio::task::JoinHandle;

use super::Engine;
use crate::rollout::ports::{Look, Looked, Operator, World, flipped};

impl<W: World, O: Operator> Engine<W, O> {
    pub(super) fn must_look(&self) -> bool {
        self.known.state.triggers_armed() || self.known.state.baking().is_some()
    }

    pub(super) fn look_interval(&self) -> Duration {
        let gates = self.known.plan.gates.iter().map(|g| g.interval);
        let triggers = self.known.plan.triggers.iter().map(|t| t.interval);
        let shortest = gates.chain(triggers).min();
        shortest
            .unwrap_or(Duration::from_secs(5))
            .max(Duration::from_millis(50))
    }

    pub(super) fn begin_look(&self) -> JoinHandle<Looked> {
        let world = self.world.clone();
        let look = Look {
            plan: self.known.plan.clone(),
            flipped: flipped(&self.known.plan, &self.known.state),
            bake: self
                .known
                .state
                .baking()
                .map(|b| self.known.plan.forward[b.step].clone()),
        };
        tokio::spawn(async move { world.look(look).await })
    }
}

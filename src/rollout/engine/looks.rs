//! When the metrics are looked at, and for what.

use std::time::Duration;

use tokio::time::Instant;

use super::Engine;
use super::outside::Looking;
use crate::rollout::machine::{Class, Part, StepRef};
use crate::rollout::ports::{Baking, Look, Operator, Vigil, World, flipped};

/// The shortest time between two looks.
const SHORTEST: Duration = Duration::from_millis(50);

impl<W: World, O: Operator> Engine<W, O> {
    pub(super) fn must_look(&self) -> bool {
        self.known.state.triggers_armed() || self.known.state.baking().is_some()
    }

    pub(super) fn look_interval(&self) -> Duration {
        let gates = self.known.plan.gates.iter().map(|g| g.interval);
        let triggers = self.known.plan.triggers.iter().map(|t| t.interval);
        let shortest = gates.chain(triggers).min();
        shortest.unwrap_or(Duration::from_secs(5)).max(SHORTEST)
    }

    /// A look at the triggers, and at the gates of the bake if its interval is over: limits count
    /// looks, so there must not be more of them because a trigger is watched more closely.
    pub(super) fn begin_look(&mut self) -> Looking {
        let bake = self.baking().filter(|bake| self.is_due(bake));
        if bake.is_some() {
            self.gates_looked_at = Some(Instant::now());
        }
        let at_gates = bake.is_some();
        let world = self.world.clone();
        let look = Look {
            plan: self.known.plan.clone(),
            flipped: flipped(&self.known.plan, &self.known.state),
            bake,
            vigil: Vigil::of(&self.known.plan, &self.known.state),
        };
        Looking {
            at_gates,
            task: tokio::spawn(async move { world.look(look).await }),
        }
    }

    fn baking(&self) -> Option<Baking> {
        let state = &self.known.state;
        let bake = state.baking()?;
        let at = StepRef::new(Part::Forward, bake.step);
        let Some(Class::Bake(outline)) = state.outline.step(at).map(|s| &s.class) else {
            return None;
        };
        Some(Baking {
            planned: self.known.plan.forward[bake.step].clone(),
            outline: outline.clone(),
            so_far: bake.clone(),
        })
    }

    fn is_due(&self, bake: &Baking) -> bool {
        let plan = &self.known.plan;
        let gates = bake.outline.gates.iter().filter_map(|g| plan.gate(&g.id));
        let interval = gates.map(|g| g.interval).min().unwrap_or_default();
        // Looks begin on a clock of their own: the one that is nearest to the interval's end.
        let early = self.look_interval() / 2;
        self.gates_looked_at
            .is_none_or(|last| last.elapsed() + early >= interval)
    }
}

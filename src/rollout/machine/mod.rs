//! The rollout's state machine. Pure: no IO, no clock, no randomness, no printing.
//!
//! [`decide`] says what follows from a state and an input: events to record, then effects to
//! start. [`State::apply`] is the only thing that changes a state, live and at replay alike, and
//! refuses an event that may not follow (the idea of steno's saga log). The engine records every
//! event durably before it starts an effect (P5).

mod apply;
mod bake;
mod decide;
mod event;
mod input;
mod outline;
mod replan;
mod state;
mod told;

pub use bake::{Bake, Certainty, GateCount, Totals};
pub use decide::decide;
pub use event::{Arms, Checkpoint, Counted, Event, Found, Harm, Illegal, Outcome, Reading};
pub use input::{Answer, Decision, Effect, Input, Refusal};
pub use outline::{BakeOutline, Class, GateOutline, Outline, Part, StepOutline, StepRef};
pub use state::{PausedBy, Progress, State, Status, StepState};
pub use told::{Note, Told};

/// How often a step of a rollback is tried before the run is stuck.
pub const ROLLBACK_ATTEMPTS: u32 = 3;

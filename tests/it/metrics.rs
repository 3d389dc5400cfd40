//! Metrics, gates and triggers: what was measured, what was not, and what follows from it (P6).

mod judging;
mod measuring;
mod numbers;
mod references;
mod scene;
mod triggers;

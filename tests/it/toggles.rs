//! Toggles: env files with all their oddities, restarts, and targets that do not confirm.

mod driving;
mod files;
mod switching;

//! Toggles: env files with all their oddities, restarts, and targets that do not confirm.

mod files;
mod switching;

//! What is left of a reservation, shared by all who ask for nonces of one scope.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// The nonces `next .. end` are reserved, durably, and nobody was given them yet. Lost with the
/// process.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Window {
    pub next: i64,
    pub end: i64,
}

#[derive(Debug, Default)]
pub(super) struct Lot(Mutex<Window>);

impl Lot {
    fn window(&self) -> MutexGuard<'_, Window> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The first of `count` nonces in a row, if there are as many.
    pub fn take(&self, count: i64) -> Option<i64> {
        let mut window = self.window();
        let first = window.next;
        if window.end - first < count {
            return None;
        }
        window.next = first + count;
        Some(first)
    }

    /// Leaves nothing, and says what there was.
    pub fn burn(&self) -> Window {
        std::mem::take(&mut *self.window())
    }

    /// Puts a new reservation in, and takes the first `count` of it.
    pub fn fill(&self, new: Window, count: i64) -> i64 {
        *self.window() = Window {
            next: new.next + count,
            end: new.end,
        };
        new.next
    }
}

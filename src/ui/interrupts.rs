//! Ctrl-C. Whoever waits for it has taken it over for the rest of the process. Where nobody has, it
//! ends the process: the operating system does that, until a question was asked.

use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::Notify;

/// Somebody does something about Ctrl-C.
static TAKEN: AtomicBool = AtomicBool::new(false);
/// A question is open, or was given up by Ctrl-C.
static ASKING: AtomicBool = AtomicBool::new(false);
/// A question was asked.
static ASKED: Notify = Notify::const_new();

/// Waits for Ctrl-C. False where it cannot be listened for.
pub async fn ctrl_c() -> bool {
    TAKEN.store(true, Ordering::SeqCst);
    tokio::signal::ctrl_c().await.is_ok()
}

/// Waits for Ctrl-C while a question is open, which then says what came of it.
pub(super) async fn at_a_question() {
    let asking = Asking::begin();
    ASKED.notify_one();
    match tokio::signal::ctrl_c().await {
        // What is said about it must come out.
        Ok(()) => std::mem::forget(asking),
        Err(_) => std::future::pending().await,
    }
}

/// Waits for a Ctrl-C that nobody does anything about. The operating system's own way to end a
/// process by it is gone once a question has listened for it.
pub async fn after_a_question() {
    ASKED.notified().await;
    while tokio::signal::ctrl_c().await.is_ok() {
        if !TAKEN.load(Ordering::SeqCst) && !ASKING.load(Ordering::SeqCst) {
            return;
        }
    }
    std::future::pending().await
}

struct Asking;

impl Asking {
    fn begin() -> Self {
        ASKING.store(true, Ordering::SeqCst);
        Asking
    }
}

impl Drop for Asking {
    fn drop(&mut self) {
        ASKING.store(false, Ordering::SeqCst);
    }
}

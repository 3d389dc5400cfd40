//! Lines from the terminal while other things go on.
//!
//! A blocking read cannot be taken back. So one thread reads for the whole process, and a
//! question that was overtaken (a trigger fired, somebody else approved) does not swallow the
//! answer to the next one.

use std::io::BufRead as _;
use std::sync::OnceLock;

use tokio::sync::{Mutex, mpsc};

use super::Ui;

type Lines = Mutex<mpsc::UnboundedReceiver<String>>;

fn lines() -> &'static Lines {
    static LINES: OnceLock<Lines> = OnceLock::new();
    LINES.get_or_init(|| {
        let (tell, heard) = mpsc::unbounded_channel();
        std::thread::spawn(move || {
            for line in std::io::stdin().lock().lines() {
                let Ok(line) = line else { break };
                if tell.send(line).is_err() {
                    break;
                }
            }
        });
        Mutex::new(heard)
    })
}

impl Ui {
    /// Asks on stderr and waits for a line; dropping the future takes the question back. What was
    /// typed before the question is no answer to it. `None` at the end of input.
    pub async fn ask_line(&self, question: &str) -> Option<String> {
        let mut lines = lines().lock().await;
        while lines.try_recv().is_ok() {}
        self.question(question);
        lines.recv().await
    }
}

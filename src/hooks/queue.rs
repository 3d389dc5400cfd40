//! What is to be told, in order for each hook, beside the run and never in its way.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::config::Hook;
use super::{Message, deliver};

/// So many messages wait for one hook; what comes then is not told to it.
const WAITING: usize = 64;

type Say = Arc<dyn Fn(&str) + Send + Sync>;

/// The hooks of one driver. Each has a task of its own, begun with its first message.
pub struct Queue {
    lines: Mutex<Vec<Line>>,
    /// Told each failure, in one line.
    say: Say,
}

struct Line {
    hook: Arc<Hook>,
    worker: Option<Worker>,
}

struct Worker {
    messages: mpsc::Sender<Message>,
    /// What was not delivered yet, the one under way included.
    waiting: Waiting,
    task: JoinHandle<()>,
}

type Waiting = Arc<Mutex<VecDeque<String>>>;

impl Queue {
    pub fn new(hooks: &[Hook], say: impl Fn(&str) + Send + Sync + 'static) -> Self {
        let line = |hook: &Hook| Line {
            hook: Arc::new(hook.clone()),
            worker: None,
        };
        Self {
            lines: Mutex::new(hooks.iter().map(line).collect()),
            say: Arc::new(say),
        }
    }

    pub fn is_empty(&self) -> bool {
        lock(&self.lines).is_empty()
    }

    /// Has `message` told to every hook that wants to hear of it. Returns at once. Inside a
    /// runtime only.
    pub fn tell(&self, message: &Message) {
        for line in lock(&self.lines).iter_mut() {
            if !line.hook.on.contains(&message.event) {
                continue;
            }
            let hook = &line.hook;
            let begin = || Worker::begin(hook.clone(), self.say.clone());
            let worker = line.worker.get_or_insert_with(begin);
            lock(&worker.waiting).push_back(label(message));
            if worker.messages.try_send(message.clone()).is_err() {
                lock(&worker.waiting).pop_back();
                (self.say)(&format!(
                    "hook {}: {} is not told: {WAITING} others wait",
                    hook.name,
                    label(message)
                ));
            }
        }
    }

    /// Waits until everything is delivered, but no longer than `patience` in total; then gives up
    /// and says what was not.
    pub async fn settle(&self, patience: Duration) {
        let until = Instant::now() + patience;
        let workers: Vec<(Arc<Hook>, Worker)> = lock(&self.lines)
            .iter_mut()
            .filter_map(|line| Some((line.hook.clone(), line.worker.take()?)))
            .collect();
        for (hook, worker) in workers {
            let Worker {
                messages,
                waiting,
                mut task,
            } = worker;
            // With the last message the task ends.
            drop(messages);
            if tokio::time::timeout_at(until, &mut task).await.is_err() {
                task.abort();
                // A program of it is gone once this returns.
                let _ = task.await;
                let left: Vec<String> = lock(&waiting).drain(..).collect();
                (self.say)(&format!(
                    "hook {}: given up when leaving: {}",
                    hook.name,
                    left.join(", ")
                ));
            }
        }
    }
}

impl Worker {
    fn begin(hook: Arc<Hook>, say: Say) -> Self {
        let (messages, mut heard) = mpsc::channel::<Message>(WAITING);
        let waiting = Waiting::default();
        let left = waiting.clone();
        let task = tokio::spawn(async move {
            while let Some(message) = heard.recv().await {
                if let Err(why) = deliver::deliver(&hook, &message).await {
                    say(&format!(
                        "hook {}: {} was not delivered: {why}",
                        hook.name,
                        label(&message)
                    ));
                }
                lock(&left).pop_front();
            }
        });
        Self {
            messages,
            waiting,
            task,
        }
    }
}

fn label(message: &Message) -> String {
    format!("{} (event {})", message.event.name(), message.seq)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(|e| e.into_inner())
}

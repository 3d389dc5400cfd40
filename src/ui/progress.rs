//! The progress of a bake: a bar on a terminal, a line a minute elsewhere.

use std::sync::Mutex;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::{Ui, duration};

/// How often a bake says something where nothing can be redrawn.
const LINE_EVERY: Duration = Duration::from_secs(60);

/// The bake under way: time observed, and each gate's newest verdict.
pub struct BakeBar {
    bar: ProgressBar,
    ui: Ui,
    needed: Duration,
    redraws: bool,
    said: Mutex<Option<Instant>>,
}

impl BakeBar {
    pub fn new(ui: &Ui, needed: Duration) -> Self {
        let redraws = ui.can_redraw();
        let target = if redraws {
            ProgressDrawTarget::stderr()
        } else {
            ProgressDrawTarget::hidden()
        };
        let bar = ProgressBar::with_draw_target(Some(millis(needed)), target);
        let style = ProgressStyle::with_template("bake {bar:20} {prefix}\n{msg}")
            .expect("a valid template")
            .progress_chars("█▌·");
        bar.set_style(style);
        Self {
            bar,
            ui: ui.clone(),
            needed,
            redraws,
            said: Mutex::new(None),
        }
    }

    /// How much of it was observed so far.
    pub fn observed(&self, observed: Duration) {
        let shown = observed.min(self.needed);
        self.bar.set_position(millis(shown));
        let left = self.needed.saturating_sub(observed);
        let text = format!(
            "{} observed of {} · {} left",
            duration(shown),
            duration(self.needed),
            duration(left)
        );
        self.bar.set_prefix(text.clone());
        let mut said = self.said.lock().unwrap_or_else(|e| e.into_inner());
        if !self.redraws && said.is_none_or(|at| at.elapsed() >= LINE_EVERY) {
            *said = Some(Instant::now());
            self.ui.status(format_args!("bake  {text}"));
        }
    }

    /// What is shown under the bar, a line for each gate.
    pub fn lines(&self, lines: impl IntoIterator<Item = String>) {
        let cut = |line: String| line.chars().take(super::width()).collect();
        let lines: Vec<String> = lines.into_iter().map(cut).collect();
        self.bar.set_message(lines.join("\n"));
    }

    /// Prints a line above the bar.
    pub fn above(&self, text: &str) {
        if self.redraws {
            self.bar.suspend(|| self.ui.status(text));
        } else {
            self.ui.status(text);
        }
    }
}

impl Drop for BakeBar {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}

fn millis(d: Duration) -> u64 {
    u64::try_from(d.as_millis()).unwrap_or(u64::MAX)
}

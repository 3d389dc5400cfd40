//! The quiet line about the gates while a run waits for a person.

use std::collections::BTreeMap;

use textwrap::core::display_width;

use super::progress::{cut, word};
use super::{Seen, Tone, Ui, clock_time, middle, printable};
use crate::check::Verdict;

/// The longest name of a gate that is shown whole.
const NAME: usize = 24;

/// What is watched while a person is asked. On a terminal its line stands above the question and is
/// drawn over itself; elsewhere a line is said when a verdict changes.
pub struct WaitView {
    ui: Ui,
    gates: Vec<String>,
    /// The verdict of each gate in a word, from the last look.
    words: BTreeMap<String, String>,
    /// How many rows below the line the cursor stands; none where that is not known.
    below: Option<usize>,
}

impl WaitView {
    /// `gates` are those that stay watched.
    pub fn new(ui: &Ui, gates: Vec<String>) -> Self {
        Self {
            ui: ui.clone(),
            gates,
            words: BTreeMap::new(),
            below: None,
        }
    }

    /// A question is about to be asked, to which something of `answer` columns is to be typed: says
    /// that the gates stay watched, in the place above it.
    pub fn before_question(&mut self, question: &str, answer: usize) {
        let gates = self.gates.join(", ");
        let line = format!("gates stay watched while this waits: {}", printable(&gates));
        self.ui.status(self.quiet(&line));
        let rows = self.ui.rows_of_question(question);
        let last = rows.last().map_or(0, |row| display_width(row));
        // A row that runs over would put the line into the question.
        let width = self.ui.status_screen().width();
        let fits = last + 1 + answer < width && self.ui.columns_of_terminal() >= width;
        self.below = (self.ui.can_redraw() && fits).then_some(rows.len());
    }

    /// Another line was said: where ours stands is not known any more.
    pub fn overtaken(&mut self) {
        self.below = None;
    }

    /// What a look saw at `at_ms`. Returns what is to be said where nothing can be drawn over.
    pub fn looked(&mut self, seen: &[Seen], at_ms: u64) -> Vec<String> {
        let mut changed = Vec::new();
        for seen in seen {
            let now = word(seen);
            let before = self.words.insert(seen.gate.clone(), now.clone());
            // Warming up is no change, and passing is what was so before the wait.
            let news = before.as_ref() != Some(&now) && !seen.warming;
            let was_good = before.is_none_or(|b| b == "warming up");
            if news && !(was_good && seen.verdict == Verdict::Pass) {
                let text = format!("while it waits: gate {}: {now}: {}", seen.gate, seen.why);
                changed.push(printable(&text));
            }
        }
        let Some(below) = self.below else {
            return changed;
        };
        let line = self.line(seen, at_ms);
        self.ui.draw_above(below, &self.quiet(&line));
        Vec::new()
    }

    /// All of them, and each that does not pass by its name.
    fn line(&self, seen: &[Seen], at_ms: u64) -> String {
        let passing = seen.iter().filter(|s| s.verdict == Verdict::Pass).count();
        let others = seen.iter().filter(|s| s.verdict != Verdict::Pass);
        let others: String = others
            .map(|s| format!("{} {} · ", middle(&printable(&s.gate), NAME), word(s)))
            .collect();
        let all = match passing == seen.len() {
            true if passing == 1 => "the gate passes".into(),
            true => format!("all {passing} gates pass"),
            false => format!("{others}{passing} of {} pass", seen.len()),
        };
        format!("watched: {all} · last look {}", clock_time(at_ms))
    }

    fn quiet(&self, line: &str) -> String {
        let screen = self.ui.status_screen();
        let room = screen.width().saturating_sub(1);
        screen.tone(Tone::Quiet, cut(line, room))
    }
}

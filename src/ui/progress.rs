//! The live view of a bake: on a terminal drawn over itself, elsewhere a line a minute and one for
//! every verdict that changes.

use std::collections::VecDeque;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use textwrap::core::display_width;

use super::amounts::{amount, difference};
use super::checks::VERDICT;
use super::{Screen, Tone, Ui, duration, middle, printable};
use crate::check::Verdict;
use crate::rollout::report::Unit;

/// How often a bake says something where nothing can be redrawn.
const LINE_EVERY: Duration = Duration::from_secs(60);
/// How many measurements a sparkline remembers.
const REMEMBERED: usize = 60;
/// Below so many columns the number of samples is left out.
const ROOMY: usize = 76;

/// A gate as the view knows it from the plan.
#[derive(Debug, Clone)]
pub struct Watched {
    pub gate: String,
    pub unit: Unit,
    /// The values at which something happens, at least one.
    pub limits: Vec<Limit>,
    /// How much worse than the others it may be.
    pub margin: Option<f64>,
}

/// A value at which something happens.
#[derive(Debug, Clone, Copy)]
pub struct Limit {
    /// Such as `pause`.
    pub what: &'static str,
    pub value: f64,
    /// Values come to it from below; else from above.
    pub from_below: bool,
}

impl Limit {
    /// How far a value is from it, as a share of it; negative where it lies beyond.
    fn left(&self, value: f64) -> f64 {
        let left = match self.from_below {
            true => self.value - value,
            false => value - self.value,
        };
        left / self.value.abs().max(f64::MIN_POSITIVE)
    }
}

/// What one look saw of a gate.
#[derive(Debug, Clone)]
pub struct Seen {
    pub gate: String,
    pub verdict: Verdict,
    /// Not judged only because the watch is younger than the window.
    pub warming: bool,
    pub value: Option<f64>,
    /// The upper bound of how much worse than the others.
    pub worse_by: Option<f64>,
    pub samples: Option<f64>,
    /// Samples a second.
    pub rate: Option<f64>,
    pub why: String,
}

/// The bake under way.
pub struct BakeView {
    bar: ProgressBar,
    ui: Ui,
    needed: Duration,
    redraws: bool,
    /// Columns beside the bar.
    room: usize,
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    observed: Duration,
    said: Option<Instant>,
    gates: Vec<Line>,
    triggers: Vec<String>,
    /// Triggers that could not be judged at the last look.
    blind: Vec<(String, String)>,
}

struct Line {
    watched: Watched,
    values: VecDeque<Option<f64>>,
    last: Option<Seen>,
}

impl BakeView {
    /// `triggers` are those that are armed meanwhile.
    pub fn new(ui: &Ui, needed: Duration, gates: Vec<Watched>, triggers: Vec<String>) -> Self {
        let redraws = ui.can_redraw();
        let target = if redraws {
            ProgressDrawTarget::stderr()
        } else {
            ProgressDrawTarget::hidden()
        };
        let bar = ProgressBar::with_draw_target(Some(millis(needed)), target);
        let width = ui.status_screen().width();
        let bar_width = if width < ROOMY { 8 } else { 16 };
        let style =
            ProgressStyle::with_template(&format!("bake {{bar:{bar_width}}} {{prefix}}\n{{msg}}"))
                .expect("a valid template")
                .progress_chars("█▌·");
        bar.set_style(style);
        let line = |watched| Line {
            watched,
            values: VecDeque::new(),
            last: None,
        };
        Self {
            bar,
            ui: ui.clone(),
            needed,
            redraws,
            room: width.saturating_sub("bake ".len() + bar_width + 1),
            inner: Mutex::new(Inner {
                gates: gates.into_iter().map(line).collect(),
                triggers,
                ..Inner::default()
            }),
        }
    }

    /// How much of it was observed so far; nothing else counts.
    pub fn observed(&self, observed: Duration) {
        let mut inner = self.inner.lock().unwrap_or_else(|e| e.into_inner());
        inner.observed = observed.min(self.needed);
        self.bar.set_position(millis(inner.observed));
        self.bar
            .set_prefix(cut(&self.time(inner.observed), self.room));
        if !self.redraws && inner.said.is_none_or(|at| at.elapsed() >= LINE_EVERY) {
            inner.said = Some(Instant::now());
            let mut text = format!("bake  {}", self.time(inner.observed));
            for line in &inner.gates {
                if let Some(last) = &line.last {
                    text += &format!(" · {} {}", line.watched.gate, word(last));
                }
            }
            self.ui.status(printable(&text));
        }
    }

    fn time(&self, observed: Duration) -> String {
        let left = self.needed.saturating_sub(observed);
        let end = match left.is_zero() {
            true => "waits for its gates".to_owned(),
            false => format!("{} left", duration(left)),
        };
        format!(
            "{} observed of {} · {end}",
            duration(observed),
            duration(self.needed)
        )
    }

    /// What a look saw; `blind` are the triggers that could not be judged, and why.
    pub fn looked(&self, seen: Vec<Seen>, blind: Vec<(String, String)>) {
        let mut inner = self.inner.lock().unwrap_or_else(|e| e.into_inner());
        inner.blind = blind;
        for seen in seen {
            let Some(line) = inner.gates.iter_mut().find(|l| l.watched.gate == seen.gate) else {
                continue;
            };
            line.values.push_back(seen.value);
            if line.values.len() > REMEMBERED {
                line.values.pop_front();
            }
            let before = line.last.as_ref().map(word);
            if !self.redraws && before != Some(word(&seen)) {
                let text = format!("gate {}: {}: {}", seen.gate, word(&seen), seen.why);
                self.ui.status(printable(&text));
            }
            line.last = Some(seen);
        }
        if self.redraws {
            self.bar
                .set_message(drawn(&inner, &self.ui.status_screen()));
        }
    }

    /// Prints a line above the view.
    pub fn above(&self, text: &str) {
        if self.redraws {
            self.bar.suspend(|| self.ui.status(text));
        } else {
            self.ui.status(text);
        }
    }
}

impl Drop for BakeView {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}

/// The lines under the bar: none is wider than the screen, or drawing over them would go wrong.
fn drawn(inner: &Inner, screen: &Screen) -> String {
    let width = screen.width();
    let names = inner.gates.iter().map(|l| display_width(&l.watched.gate));
    let name = names.max().unwrap_or(0).min(width / 4);
    let numbers: Vec<String> = inner.gates.iter().map(|l| numbers(l, width)).collect();
    let widest = numbers.iter().map(|n| display_width(n)).max().unwrap_or(0);
    let taken = 2 + VERDICT + 1 + name + 2 + 2 + widest;
    let spark_width = width.saturating_sub(taken).clamp(4, 24);
    let mut lines = Vec::new();
    for (line, numbers) in inner.gates.iter().zip(&numbers) {
        let gate = middle(&printable(&line.watched.gate), name.saturating_sub(1));
        let spark = spark(&line.values, line.limit().map(|l| l.value), spark_width);
        let rest = format!("{gate:<name$}  {spark}  {numbers}");
        let rest = cut(&rest, width.saturating_sub(2 + VERDICT + 1));
        lines.push(format!("  {} {rest}", verdict(line, screen)));
        if let Some(last) = line.last.as_ref().filter(|l| l.verdict != Verdict::Pass) {
            lines.push(cut(&format!("      {}", printable(&last.why)), width));
        }
    }
    lines.push(cut(&watch(inner), width));
    for (trigger, why) in &inner.blind {
        let text = format!("  ? trigger {trigger} cannot be judged: {why}");
        lines.push(cut(&printable(&text), width));
    }
    lines.join("\n")
}

fn verdict(line: &Line, screen: &Screen) -> String {
    let open = |word| screen.tone(Tone::Quiet, format_args!("{word:<VERDICT$}"));
    match &line.last {
        None => open("· not looked"),
        Some(last) if last.warming => open("· warming up"),
        Some(last) => screen.verdict_padded(last.verdict, VERDICT),
    }
}

impl Line {
    fn value(&self) -> Option<f64> {
        self.last.as_ref().and_then(|l| l.value)
    }

    /// The limit that comes next; the last one where the value lies beyond all of them.
    fn limit(&self) -> Option<&Limit> {
        let limits = self.watched.limits.iter();
        let Some(value) = self.value() else {
            return self.watched.limits.first();
        };
        let left = |l: &&Limit| l.left(value);
        let ahead = limits.clone().filter(|l| left(l) >= 0.0);
        let next = ahead.min_by(|a, b| left(a).total_cmp(&left(b)));
        next.or_else(|| limits.min_by(|a, b| left(a).total_cmp(&left(b))))
    }

    /// The margin, where less of it is left than to the limit.
    fn margin(&self) -> Option<(f64, f64)> {
        let (margin, worse) = (self.watched.margin?, self.last.as_ref()?.worse_by?);
        let left = (margin - worse) / margin.abs().max(f64::MIN_POSITIVE);
        let other = self.limit().zip(self.value()).map(|(l, v)| l.left(v));
        // A limit that is broken says more.
        let nearer = other.is_none_or(|other| (0.0..).contains(&other) && left < other);
        nearer.then_some((worse, margin))
    }
}

/// The value beside what it comes to next, and how many samples it is made of where there is room.
fn numbers(line: &Line, width: usize) -> String {
    let unit = line.watched.unit;
    let shown = line
        .value()
        .map_or_else(|| "–".to_owned(), |v| amount(unit, v));
    let against = match (line.margin(), line.limit()) {
        (Some((worse, margin)), _) => {
            let (worse, margin) = (difference(unit, worse), difference(unit, margin));
            format!("{shown}, worse by {worse} of {margin}")
        }
        (None, Some(limit)) => {
            let beyond = line.value().is_some_and(|v| limit.left(v) < 0.0);
            let word = match (limit.from_below, beyond) {
                (true, false) => "of",
                (true, true) => "past",
                (false, false) => "above",
                (false, true) => "below",
            };
            format!(
                "{shown} {word} {} {}",
                amount(unit, limit.value),
                limit.what
            )
        }
        (None, None) => shown,
    };
    let samples = line.last.as_ref().and_then(|l| l.samples);
    let samples = samples.filter(|_| width >= ROOMY);
    let samples = samples.map_or_else(String::new, |n| format!(" · {n:.0} samples"));
    format!("{against}{samples}")
}

/// The newest measurements, each as high as its share of the limit; `·` where there was none.
fn spark(values: &VecDeque<Option<f64>>, limit: Option<f64>, room: usize) -> String {
    const STEPS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
    let newest = values.iter().skip(values.len().saturating_sub(room));
    let highest = newest
        .clone()
        .flatten()
        .copied()
        .fold(limit.unwrap_or(0.0), f64::max);
    let step = |value: &Option<f64>| match value {
        None => '·',
        Some(value) => {
            let share = if highest > 0.0 { value / highest } else { 0.0 };
            let at = STEPS.iter().enumerate().rev();
            #[expect(clippy::cast_precision_loss, reason = "one of eight")]
            let reached = |(i, _): &(usize, &char)| share * 8.0 >= *i as f64;
            at.into_iter().find(reached).map_or('▁', |(_, c)| *c)
        }
    };
    let drawn: String = newest.map(step).collect();
    format!("{drawn:<room$}")
}

/// Traffic, and the triggers that are armed.
fn watch(inner: &Inner) -> String {
    let rates = inner.gates.iter().filter_map(|l| l.last.as_ref()?.rate);
    let traffic = match rates.reduce(f64::max) {
        Some(rate) => format!("traffic {rate:.1}/s"),
        None => "traffic not known".to_owned(),
    };
    let armed = match inner.triggers.as_slice() {
        [] => "no trigger is armed".to_owned(),
        triggers => format!("armed: {}", triggers.join(", ")),
    };
    format!("  {traffic} · {}", printable(&armed))
}

/// The verdict in a word; warming up is none.
pub(super) fn word(seen: &Seen) -> String {
    match seen.warming {
        true => "warming up".into(),
        false => seen.verdict.to_string(),
    }
}

/// As much of a line as fits.
pub(super) fn cut(text: &str, width: usize) -> String {
    if display_width(text) <= width {
        return text.to_owned();
    }
    let mut kept = String::new();
    for c in text.chars() {
        if display_width(&kept) + 2 > width {
            break;
        }
        kept.push(c);
    }
    kept.push('…');
    kept
}

fn millis(d: Duration) -> u64 {
    u64::try_from(d.as_millis()).unwrap_or(u64::MAX)
}

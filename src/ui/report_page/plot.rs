//! A gate's measurements as a drawing: its own coordinates stretch with the page, its text does not.

use maud::{Markup, html};

use super::parts::{Page, amount, difference, span};
use crate::rollout::report::{BakeFacts, Bucket, GateFacts, Range, Series, Unit};

/// Heights in pixels: of the values, of the strip of verdicts, of a line of text.
const VALUES: u32 = 150;
const STRIP: u32 = 14;
const TEXT: u32 = 18;
/// The width that the drawing's own coordinates have.
const WIDTH: f64 = 1_000.0;

/// What fills stretches of time, once for the whole page.
pub fn patterns() -> Markup {
    html! {
        svg.defs width="0" height="0" aria-hidden="true" focusable="false" {
            defs {
                pattern #unseen width="7" height="7" patternUnits="userSpaceOnUse" {
                    path.hatch d="M-1 8L8 -1M-1 1L1 -1M6 8L8 6" {}
                }
                pattern #unjudged width="5" height="5" patternUnits="userSpaceOnUse" {
                    path.dots d="M1 1h1.5v1.5h-1.5z" {}
                }
            }
        }
    }
}

/// What a stretch of the strip says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Said {
    Pass,
    Fail,
    Error,
    Inconclusive,
    Warming,
}

impl Said {
    /// The worst reading in it.
    fn of(bucket: &Bucket) -> Self {
        let counts = &bucket.counts;
        if counts.fail > 0 {
            Said::Fail
        } else if counts.error > 0 {
            Said::Error
        } else if counts.inconclusive > 0 {
            Said::Inconclusive
        } else if counts.warming > 0 {
            Said::Warming
        } else {
            Said::Pass
        }
    }

    const fn word(self) -> &'static str {
        match self {
            Said::Pass => "pass",
            Said::Fail => "fail",
            Said::Error => "error",
            Said::Inconclusive => "inconclusive",
            Said::Warming => "warming up, not judged",
        }
    }

    const fn class(self) -> &'static str {
        match self {
            Said::Pass => "pass",
            Said::Fail => "fail",
            Said::Error => "error",
            Said::Inconclusive => "inconclusive",
            Said::Warming => "warming",
        }
    }

    /// Where it begins from above, in percent: the form says it too, not the colour alone.
    const fn top(self) -> u32 {
        match self {
            Said::Fail | Said::Error => 0,
            Said::Inconclusive => 30,
            Said::Warming => 60,
            Said::Pass => 60,
        }
    }
}

/// A stretch of time with one verdict.
struct Stretch {
    from_ms: u64,
    to_ms: u64,
    said: Said,
}

/// Where things stand on the axis of time.
struct Axis<'a> {
    page: &'a Page<'a>,
    bake: &'a BakeFacts,
}

impl Axis<'_> {
    /// A long time after the last look is cut: it must not squeeze what was seen.
    fn ends_ms(&self) -> u64 {
        let BakeFacts {
            began_ms, ended_ms, ..
        } = *self.bake;
        let last = self.bake.last_look_ms.unwrap_or(began_ms).max(began_ms);
        ended_ms.min(last + ((last - began_ms) / 5).max(60_000))
    }

    fn length(&self) -> u64 {
        self.ends_ms().saturating_sub(self.bake.began_ms).max(1)
    }

    /// Between 0 and 1.
    #[expect(clippy::cast_precision_loss, reason = "milliseconds of a run")]
    fn at(&self, ms: u64) -> f64 {
        let after = ms.saturating_sub(self.bake.began_ms);
        (after as f64 / self.length() as f64).min(1.0)
    }

    fn percent(&self, ms: u64) -> String {
        format!("{:.2}%", self.at(ms) * 100.0)
    }

    /// The width of a stretch; never nothing, or it would not be seen.
    fn width(&self, from_ms: u64, to_ms: u64) -> String {
        let width = (self.at(to_ms) - self.at(from_ms)) * 100.0;
        format!("{:.2}%", width.max(0.2))
    }

    fn is_gap(&self, from_ms: u64, to_ms: u64) -> bool {
        let gaps = self.bake.gaps.items.iter();
        gaps.into_iter()
            .any(|gap| gap.from_ms < to_ms && gap.to_ms > from_ms)
    }

    /// Time that a gate saw only in part, though somebody looked: up to the look that says so.
    fn unseen(&self, series: &Series) -> Vec<(u64, u64)> {
        let mut unseen: Vec<(u64, u64)> = Vec::new();
        let mut before = self.bake.began_ms;
        for bucket in &series.buckets {
            let (begins, ends) = times(series, bucket);
            if bucket.counts.unseen > 0 {
                let from_ms = before.min(begins);
                match unseen.last_mut() {
                    Some(last) if last.1 >= from_ms => last.1 = ends,
                    _ => unseen.push((from_ms, ends)),
                }
            }
            before = ends;
        }
        unseen
    }

    fn stretches(&self, series: &Series) -> Vec<Stretch> {
        let mut stretches: Vec<Stretch> = Vec::new();
        for bucket in &series.buckets {
            let (begins, ends) = times(series, bucket);
            let before = stretches.last().map_or(self.bake.began_ms, |s| s.to_ms);
            let joined = before <= begins && !self.is_gap(before, begins);
            let from_ms = if joined { before } else { begins };
            let said = Said::of(bucket);
            match stretches.last_mut() {
                Some(last) if joined && last.said == said => last.to_ms = ends,
                _ => stretches.push(Stretch {
                    from_ms,
                    to_ms: ends,
                    said,
                }),
            }
        }
        stretches
    }
}

/// Nothing in it was seen whole.
fn is_unseen(bucket: &Bucket) -> bool {
    bucket.counts.unseen > 0 && bucket.counts.unseen == bucket.counts.all()
}

fn times(series: &Series, bucket: &Bucket) -> (u64, u64) {
    let begins = series.from_ms + bucket.at * series.bucket_ms;
    // One reading has no length.
    let length = if series.bucket_ms == 1 {
        0
    } else {
        series.bucket_ms
    };
    (begins, begins + length)
}

/// The plots of a gate: its values, and where it is compared, how much worse it may be.
pub fn of_gate(page: &Page, bake: &BakeFacts, gate: &GateFacts) -> Markup {
    let axis = Axis { page, bake };
    let stretches = axis.stretches(&gate.series);
    let compared = gate.series.buckets.iter().any(|b| b.worse_by.is_some());
    html! {
        (values(&axis, gate, &stretches))
        @if let Some(margin) = gate.margin.filter(|_| compared) {
            (worse_by(&axis, gate, margin))
        }
        @if let Some(alarm) = gate.alarm.filter(|a| *a > 0.0) { (harm(&axis, gate, alarm)) }
    }
}

fn values(axis: &Axis, gate: &GateFacts, stretches: &[Stretch]) -> Markup {
    let buckets = || gate.series.buckets.iter();
    let highest = buckets()
        .filter_map(|b| b.value)
        .chain(buckets().filter_map(|b| b.others));
    let limits = gate.thresholds.iter().map(|t| t.value);
    let highest = highest.map(|r| r.max).chain(limits);
    let scale = Scale::over(0.0, highest, Labels::Amounts(gate.unit));
    let height = VALUES + STRIP + TEXT;
    let title = format!("Gate {} in {}", gate.id, axis.bake.step);
    let description = described(axis, gate, stretches);
    html! {
        svg.plot width="100%" height=(height) role="img" {
            title { (title) }
            desc { (description) }
            svg y="0" width="100%" height=(VALUES) {
                (backdrop(axis, stretches, &gate.series))
                (scale.grid())
                (drawn(axis, &gate.series, &scale, "others", |b| b.others))
                (drawn(axis, &gate.series, &scale, "value", |b| b.value))
                @for threshold in &gate.thresholds {
                    (scale.line("limit", threshold.value, &format!("{} {}", threshold.what, amount(gate.unit, threshold.value))))
                }
            }
            svg.strip y=(VALUES + 2) width="100%" height=(STRIP - 2) {
                @for s in stretches {
                    rect.(s.said.class()) x=(axis.percent(s.from_ms)) width=(axis.width(s.from_ms, s.to_ms))
                        y={ (s.said.top()) "%" } height={ (100 - s.said.top()) "%" } {
                        title { (s.said.word()) ", " (axis.page.clock(s.from_ms)) " to " (axis.page.clock(s.to_ms)) }
                    }
                }
            }
            (time_axis(axis, VALUES + STRIP + TEXT - 4))
        }
    }
}

/// How much worse than the others: what decides where a gate has a margin.
fn worse_by(axis: &Axis, gate: &GateFacts, margin: f64) -> Markup {
    let ranges = || gate.series.buckets.iter().filter_map(|b| b.worse_by);
    let lowest = ranges().map(|r| r.min).fold(0.0, f64::min);
    let highest = ranges().map(|r| r.max).chain([margin]);
    let scale = Scale::over(lowest, highest, Labels::Differences(gate.unit));
    let about = About {
        heading: "Upper bound of how much worse than the others (it has to stay below the margin)",
        title: format!("Gate {} against the others in {}", gate.id, axis.bake.step),
        limit: format!("margin {}", difference(gate.unit, margin)),
    };
    below(axis, gate, &scale, margin, &about, |b| b.worse_by)
}

/// How sure the test is that these targets are worse. It acts at the alarm, so what lies far beyond
/// it, or far below, is drawn at the edge.
fn harm(axis: &Axis, gate: &GateFacts, alarm: f64) -> Markup {
    let edged = |b: &Bucket| {
        b.harm.map(|r| Range {
            min: r.min.clamp(-alarm, 2.0 * alarm),
            max: r.max.clamp(-alarm, 2.0 * alarm),
        })
    };
    let ranges = || gate.series.buckets.iter().filter_map(edged);
    let lowest = ranges().map(|r| r.min).fold(0.0, f64::min);
    let highest = ranges().map(|r| r.max).chain([alarm]);
    let scale = Scale::over(lowest, highest, Labels::Odds);
    let about = About {
        heading: "Evidence that these targets are worse, against chance: the test that may be asked at every look",
        title: format!("Gate {}: evidence of harm in {}", gate.id, axis.bake.step),
        limit: format!("alarm {}", odds(alarm)),
    };
    below(axis, gate, &scale, alarm, &about, edged)
}

/// What a plot below a gate's own says of itself.
struct About {
    heading: &'static str,
    title: String,
    limit: String,
}

/// A smaller plot below a gate's own: one line, and the limit that it has to stay below.
fn below(
    axis: &Axis,
    gate: &GateFacts,
    scale: &Scale,
    limit: f64,
    about: &About,
    value: impl Fn(&Bucket) -> Option<Range>,
) -> Markup {
    let height = VALUES * 2 / 3;
    html! {
        p.sub { (about.heading) }
        svg.plot width="100%" height=(height + TEXT) role="img" {
            title { (about.title) }
            svg y="0" width="100%" height=(height) {
                (backdrop(axis, &[], &gate.series))
                (scale.grid())
                (drawn(axis, &gate.series, scale, "value", value))
                (scale.line("limit", limit, &about.limit))
            }
            (time_axis(axis, height + TEXT - 4))
        }
    }
}

/// How many times as well harm explains what was seen as chance does, of its logarithm.
fn odds(log: f64) -> String {
    match log {
        log if log > 13.8 => "over a million : 1".into(),
        log if log >= 2.3 => format!("{:.0} : 1", log.exp()),
        log if log >= 0.0 => format!("{:.1} : 1", log.exp()),
        log => format!("1 : {:.1}", (-log).exp()),
    }
}

/// Time that was not seen, and time in which nothing could be judged.
fn backdrop(axis: &Axis, stretches: &[Stretch], series: &Series) -> Markup {
    html! {
        rect.ground width="100%" height="100%" {}
        @for s in stretches {
            @if matches!(s.said, Said::Inconclusive | Said::Error | Said::Warming) {
                rect.faint[s.said == Said::Warming] fill="url(#unjudged)" x=(axis.percent(s.from_ms)) height="100%"
                    width=(axis.width(s.from_ms, s.to_ms)) {
                    title { (s.said.word()) }
                }
            }
        }
        @for (from_ms, to_ms) in axis.unseen(series) {
            rect.ground x=(axis.percent(from_ms)) height="100%" width=(axis.width(from_ms, to_ms)) {}
            rect fill="url(#unseen)" x=(axis.percent(from_ms)) height="100%" width=(axis.width(from_ms, to_ms)) {
                title { "only a part of this was seen: no bake time" }
            }
        }
        @for gap in &axis.bake.gaps.items {
            rect fill="url(#unseen)" x=(axis.percent(gap.from_ms)) height="100%"
                width=(axis.width(gap.from_ms, gap.to_ms)) {
                title { "nobody looked for " (span(gap.to_ms.saturating_sub(gap.from_ms))) }
            }
        }
    }
}

/// A line through the highest of each stretch, over a band down to the lowest.
fn drawn(
    axis: &Axis,
    series: &Series,
    scale: &Scale,
    class: &str,
    of: impl Fn(&Bucket) -> Option<Range>,
) -> Markup {
    let mut pieces: Vec<Vec<(f64, Range)>> = vec![Vec::new()];
    let mut before = None;
    for bucket in &series.buckets {
        let (begins, ends) = times(series, bucket);
        if is_unseen(bucket) {
            pieces.push(Vec::new());
            // What was measured over a part of the time draws no line; that it failed is shown.
            if bucket.counts.fail == 0 {
                continue;
            }
        }
        let Some(range) = of(bucket) else {
            pieces.push(Vec::new());
            continue;
        };
        if before.is_some_and(|before| axis.is_gap(before, begins)) {
            pieces.push(Vec::new());
        }
        before = Some(ends);
        let middle = begins + (ends - begins) / 2;
        if let Some(piece) = pieces.last_mut() {
            piece.push((axis.at(middle) * WIDTH, range));
        }
    }
    pieces.retain(|piece| !piece.is_empty());
    html! {
        svg viewBox="0 0 1000 100" preserveAspectRatio="none" width="100%" height="100%" {
            @for piece in &pieces {
                @if piece.iter().any(|(_, r)| r.min < r.max) {
                    polygon.(class).band points=(outline(piece, scale)) {}
                }
                polyline.(class).line points=(upper(piece, scale)) {}
            }
        }
    }
}

fn upper(piece: &[(f64, Range)], scale: &Scale) -> String {
    let mut points: String = piece.iter().map(|(x, r)| scale.point(*x, r.max)).collect();
    if let [(x, only)] = piece {
        // A line of one point has no length; its round ends make it a dot.
        points += &scale.point(x + 0.1, only.max);
    }
    points.trim_end().to_owned()
}

fn outline(piece: &[(f64, Range)], scale: &Scale) -> String {
    let above = piece.iter().map(|(x, r)| scale.point(*x, r.max));
    let below = piece.iter().rev().map(|(x, r)| scale.point(*x, r.min));
    above.chain(below).collect::<String>().trim_end().to_owned()
}

fn time_axis(axis: &Axis, y: u32) -> Markup {
    let (begins, ends) = (axis.bake.began_ms, axis.ends_ms());
    let middle = begins + ends.saturating_sub(begins) / 2;
    html! {
        text.tick x="0" y=(y) { (axis.page.clock(begins)) }
        text.tick.middle x="50%" y=(y) text-anchor="middle" { (axis.page.relative(middle)) }
        text.tick x="100%" y=(y) text-anchor="end" { (axis.page.clock(ends)) }
    }
}

/// What the drawing shows, for whoever does not see it.
fn described(axis: &Axis, gate: &GateFacts, stretches: &[Stretch]) -> String {
    let values = || gate.series.buckets.iter().filter_map(|b| b.value);
    let highest = values().map(|r| r.max).fold(f64::NEG_INFINITY, f64::max);
    let lowest = values().map(|r| r.min).fold(f64::INFINITY, f64::min);
    let measured = match lowest.is_finite() && highest.is_finite() {
        true => format!(
            "between {} and {}",
            amount(gate.unit, lowest),
            amount(gate.unit, highest)
        ),
        false => "nothing was measured".to_owned(),
    };
    let limits = gate.thresholds.iter();
    let limits = limits.map(|t| format!(", {} {}", t.what, amount(gate.unit, t.value)));
    let limits: String = limits.collect();
    let bad = stretches.iter().filter(|s| s.said == Said::Fail).count();
    let gaps = axis.bake.gaps.items.len();
    format!(
        "{} from {} to {}: {measured}{limits}; {bad} stretches failed, nobody looked {gaps} times",
        gate.query,
        axis.page.clock(axis.bake.began_ms),
        axis.page.clock(axis.ends_ms()),
    )
}

/// How values are written.
#[derive(Debug, Clone, Copy)]
enum Labels {
    Amounts(Unit),
    Differences(Unit),
    /// Of logarithms.
    Odds,
}

/// From values to heights, 0 above and 100 below.
struct Scale {
    low: f64,
    high: f64,
    labels: Labels,
}

impl Scale {
    fn over(low: f64, of: impl Iterator<Item = f64>, labels: Labels) -> Self {
        let high = of.filter(|v| v.is_finite()).fold(low, f64::max);
        let high = if high > low { high } else { low + 1.0 };
        let share = match labels {
            Labels::Amounts(_) => 0.12,
            Labels::Differences(_) | Labels::Odds => 0.25,
        };
        let room = (high - low) * share;
        Self {
            low: if low < 0.0 { low - room } else { low },
            high: high + room,
            labels,
        }
    }

    fn y(&self, value: f64) -> f64 {
        let share = (value - self.low) / (self.high - self.low);
        (100.0 - share * 100.0).clamp(0.0, 100.0)
    }

    fn point(&self, x: f64, value: f64) -> String {
        format!("{x:.1},{:.1} ", self.y(value))
    }

    fn label(&self, value: f64) -> String {
        match self.labels {
            Labels::Amounts(unit) => amount(unit, value),
            Labels::Differences(unit) => difference(unit, value),
            Labels::Odds => odds(value),
        }
    }

    /// A line at zero, and the value at the top.
    fn grid(&self) -> Markup {
        let zero = format!("{:.1}%", self.y(0.0));
        html! {
            line.zero x1="0" x2="100%" y1=(zero) y2=(zero) {}
            text.tick.halo x="4" y="13" { (self.label(self.high)) }
            text.tick.halo x="4" y=(zero) dy="-4" { (self.label(0.0)) }
        }
    }

    /// A line that must not be crossed, with its name at the right.
    fn line(&self, class: &str, value: f64, name: &str) -> Markup {
        let y = format!("{:.1}%", self.y(value));
        html! {
            line.(class) x1="0" x2="100%" y1=(y) y2=(y) {}
            text.tick.halo.(class) x="100%" dx="-4" y=(y) dy="-4" text-anchor="end" { (name) }
        }
    }
}

//! A value over time, drawn with braille dots.

use textplots::{Chart, LabelBuilder as _, LabelFormat, Plot as _, Shape};

/// Dots in a character, across and down.
const ACROSS: u32 = 2;
const DOWN: u32 = 4;
const LINES: u32 = 10;
/// What stands right of the picture: the labels of the values.
const LABELS: usize = 12;

/// What is drawn. Nothing is drawn where nothing was measured: a gap stays a gap.
pub struct Course<'a> {
    /// Seconds since the beginning, and the value.
    pub points: &'a [(f64, f64)],
    /// Where something happens: a line each.
    pub levels: &'a [f64],
    /// The whole time, in seconds.
    pub length: f64,
    pub from: String,
    pub to: String,
}

/// A picture that is `width` columns wide, labels and all.
pub fn chart(
    course: &Course<'_>,
    width: usize,
    amount: impl Fn(f64) -> String + 'static,
) -> String {
    let columns = u32::try_from(width.saturating_sub(LABELS)).unwrap_or(u32::MAX);
    let points = single(course.points);
    let level = |value: &f64| {
        [
            (0.0, single_of(*value)),
            (single_of(course.length), single_of(*value)),
        ]
    };
    let levels: Vec<_> = course.levels.iter().map(level).collect();
    let highest = course
        .points
        .iter()
        .map(|(_, v)| *v)
        .chain(course.levels.iter().copied());
    let highest = highest.fold(0.0_f64, f64::max);
    // A course along the upper edge would not be seen.
    let top = if highest > 0.0 { highest * 1.05 } else { 1.0 };
    let lines: Vec<_> = levels.iter().map(|l| Shape::Lines(l)).collect();
    let dots = Shape::Points(&points);
    let mut chart = Chart::new_with_y_range(
        (columns * ACROSS).max(32),
        LINES * DOWN,
        0.0,
        single_of(course.length.max(1.0)),
        0.0,
        single_of(top),
    );
    let (from, to) = (course.from.clone(), course.to.clone());
    let labelled = move |x: f32| if x > 0.0 { to.clone() } else { from.clone() };
    let mut drawn = chart.lineplot(&dots);
    for line in &lines {
        drawn = drawn.lineplot(line);
    }
    drawn = drawn
        .x_label_format(LabelFormat::Custom(Box::new(labelled)))
        .y_label_format(LabelFormat::Custom(Box::new(move |y| amount(f64::from(y)))));
    drawn.axis();
    drawn.figures();
    drawn.to_string()
}

fn single(points: &[(f64, f64)]) -> Vec<(f32, f32)> {
    points
        .iter()
        .map(|(x, y)| (single_of(*x), single_of(*y)))
        .collect()
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "a picture of a hundred dots"
)]
fn single_of(value: f64) -> f32 {
    value as f32
}

//! A set of numbers that come in runs, such as nonces: a few hundred thousand of them take the
//! memory of their gaps.

use std::collections::BTreeMap;

/// Disjoint closed intervals of `i64`, none touching another.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Intervals {
    /// First to last.
    runs: BTreeMap<i64, i64>,
}

impl Intervals {
    /// Adds `first ..= last` and says how many of them were there already. `first <= last`.
    pub fn insert(&mut self, first: i64, last: i64) -> u64 {
        debug_assert!(first <= last);
        let (mut low, mut high, mut twice) = (first, last, 0);
        // Every run that overlaps or touches is taken in; the nearest begins at or below
        // `last + 1` and is the last of those.
        while let Some((&begin, &end)) = self.runs.range(..=high.saturating_add(1)).next_back() {
            if end < low.saturating_sub(1) {
                break;
            }
            self.runs.remove(&begin);
            let (from, to) = (begin.max(first), end.min(last));
            if from <= to {
                twice += from.abs_diff(to) + 1;
            }
            low = low.min(begin);
            high = high.max(end);
        }
        self.runs.insert(low, high);
        twice
    }

    /// How many runs there are: what it costs.
    pub fn runs(&self) -> usize {
        self.runs.len()
    }
}

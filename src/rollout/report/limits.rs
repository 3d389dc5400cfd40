//! What keeps a report of a long run, or one with hostile text in it, short enough to read.

use std::collections::VecDeque;

use serde_json::Value;

use super::Excerpt;

/// The longest text that is kept whole, in characters.
pub(super) const TEXT: usize = 2_000;
/// The same inside evidence.
const TEXT_IN_EVIDENCE: usize = 500;
/// How many elements of a list in evidence are kept.
const ELEMENTS: usize = 60;
/// How deep evidence is looked into.
const DEPTH: usize = 8;

/// The first and the newest of many.
#[derive(Debug)]
pub(super) struct Keep<T> {
    first: Vec<T>,
    newest: VecDeque<T>,
    room: (usize, usize),
    left_out: u64,
}

impl<T> Keep<T> {
    pub fn new(first: usize, newest: usize) -> Self {
        Self {
            first: Vec::new(),
            newest: VecDeque::new(),
            room: (first, newest),
            left_out: 0,
        }
    }

    pub fn push(&mut self, item: T) {
        if self.first.len() < self.room.0 {
            self.first.push(item);
            return;
        }
        self.newest.push_back(item);
        if self.newest.len() > self.room.1 {
            self.newest.pop_front();
            self.left_out += 1;
        }
    }

    pub fn last_mut(&mut self) -> Option<&mut T> {
        self.newest.back_mut().or(self.first.last_mut())
    }

    pub fn iter(&self) -> impl DoubleEndedIterator<Item = &T> {
        self.first.iter().chain(&self.newest)
    }

    pub fn excerpt(self) -> Excerpt<T> {
        let left_out_behind = self.first.len();
        let mut items = self.first;
        items.extend(self.newest);
        Excerpt {
            items,
            left_out: self.left_out,
            left_out_behind,
        }
    }
}

/// A text without its middle where it is longer than `most` characters.
pub(super) fn short(text: &str, most: usize) -> String {
    let length = text.chars().count();
    if length <= most {
        return text.to_owned();
    }
    let head: String = text.chars().take(most * 2 / 3).collect();
    let tail: String = text.chars().skip(length - most / 3).collect();
    let left_out = length - most * 2 / 3 - most / 3;
    format!("{head} … {left_out} characters left out … {tail}")
}

/// Evidence without what is very long, very deep or very much in it.
pub(super) fn bounded(value: &Value) -> Value {
    bounded_at(value, 0)
}

fn bounded_at(value: &Value, depth: usize) -> Value {
    match value {
        Value::Null | Value::Bool(_) | Value::Number(_) => value.clone(),
        Value::String(text) => short(text, TEXT_IN_EVIDENCE).into(),
        Value::Array(_) | Value::Object(_) if depth >= DEPTH => "…".into(),
        Value::Array(all) => {
            let kept = all.iter().take(ELEMENTS);
            let mut kept: Vec<Value> = kept.map(|v| bounded_at(v, depth + 1)).collect();
            if all.len() > ELEMENTS {
                kept.push(format!("… {} more", all.len() - ELEMENTS).into());
            }
            kept.into()
        }
        Value::Object(all) => {
            let kept = all.iter().take(ELEMENTS);
            kept.map(|(key, v)| (short(key, 100), bounded_at(v, depth + 1)))
                .collect::<serde_json::Map<_, _>>()
                .into()
        }
    }
}

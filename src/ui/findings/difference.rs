//! A fix as the lines that go and the lines that come.

use similar::{ChangeTag, TextDiff};

use super::place::Text;
use crate::error::without_passwords;
use crate::migrate::finding::Edit;

/// What becomes of the lines that `edits` touch, each behind `-`, `+` or, where it stays, a space. None
/// where they do not fit the text or each other.
pub(super) fn difference(text: &Text, edits: &[Edit]) -> Option<Vec<(char, String)>> {
    let mut edits: Vec<&Edit> = edits.iter().collect();
    edits.sort_by_key(|edit| (edit.span.start, edit.span.end));
    let fit = edits
        .iter()
        .all(|edit| text.within(&edit.span) == edit.span);
    let apart = edits
        .windows(2)
        .all(|two| two[0].span.end <= two[1].span.start);
    if !fit || !apart {
        return None;
    }
    let (first, last) = (edits.first()?, edits.last()?);
    let start = text.line(text.line_at(first.span.start)).start;
    let end = text.line(text.line_at(last.span.end)).end;
    let mut new = String::new();
    let mut done = start;
    for edit in edits {
        new.push_str(&text.shown()[done..edit.span.start]);
        new.push_str(&without_passwords(edit.text.as_str()));
        done = edit.span.end;
    }
    new.push_str(&text.shown()[done..end]);
    let diff = TextDiff::from_lines(&text.shown()[start..end], &new);
    let mut lines = Vec::new();
    for (nth, ops) in diff.grouped_ops(1).iter().enumerate() {
        if nth > 0 {
            lines.push((' ', "…".to_owned()));
        }
        for change in ops.iter().flat_map(|op| diff.iter_changes(op)) {
            let mark = match change.tag() {
                ChangeTag::Equal => ' ',
                ChangeTag::Delete => '-',
                ChangeTag::Insert => '+',
            };
            lines.push((mark, change.value().trim_end().to_owned()));
        }
    }
    Some(lines)
}

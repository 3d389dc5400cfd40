//! What a fix would make of a file.

use super::finding::Fix;

impl Fix {
    /// The text with the edits made; none where they do not fit the text or each other.
    pub fn applied(&self, text: &str) -> Option<String> {
        let mut edits: Vec<_> = self.edits.iter().collect();
        edits.sort_by_key(|edit| (edit.span.start, edit.span.end));
        let mut fixed = String::with_capacity(text.len());
        let mut at = 0;
        for edit in edits {
            fixed += text.get(at..edit.span.start)?;
            fixed += &edit.text;
            at = edit.span.end.max(edit.span.start);
        }
        fixed += text.get(at..)?;
        Some(fixed)
    }

    /// As a unified diff of the file, with `context` lines around each change; empty where it
    /// changes nothing.
    pub fn diff(&self, file: &str, text: &str, context: usize) -> String {
        let Some(fixed) = self.applied(text) else {
            return String::new();
        };
        similar::TextDiff::from_lines(text, &fixed)
            .unified_diff()
            .context_radius(context)
            .header(file, file)
            .to_string()
    }
}

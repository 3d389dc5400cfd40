//! Tables for people.

use comfy_table::{ContentArrangement, Table};

use super::Screen;

/// A borderless table that fits the screen; headers in the first line, columns two spaces apart.
/// Control characters in cells are made visible: data must never drive a terminal.
pub fn table<R, C>(screen: &Screen, header: &[&str], rows: R) -> String
where
    R: IntoIterator<Item = C>,
    C: IntoIterator,
    C::Item: Into<String>,
{
    let mut table = Table::new();
    table
        .load_preset(comfy_table::presets::NOTHING)
        .set_content_arrangement(ContentArrangement::Dynamic)
        .set_width(u16::try_from(screen.width()).unwrap_or(u16::MAX))
        .set_header(header.iter().copied());
    for row in rows {
        table.add_row(row.into_iter().map(|cell| printable(&cell.into())));
    }
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    let mut text = String::new();
    for line in table.lines() {
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

/// Makes visible what could drive a terminal or turn text around; everything else stays.
pub fn printable(text: &str) -> String {
    let mut clean = String::with_capacity(text.len());
    for c in text.chars() {
        if is_hidden(c) {
            clean.extend(c.escape_default());
        } else {
            clean.push(c);
        }
    }
    clean
}

/// Control characters, and what changes the direction of text or breaks lines unseen.
pub(super) fn is_hidden(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{61c}' | '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
}

/// A long value without its middle: about `around` characters of it stay.
pub fn middle(text: &str, around: usize) -> String {
    let length = text.chars().count();
    if length <= around + 1 {
        return text.to_owned();
    }
    let tail = around / 3;
    let head: String = text.chars().take(around - tail).collect();
    let end: String = text.chars().skip(length - tail).collect();
    format!("{head}…{end}")
}

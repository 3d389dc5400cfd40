//! Tables for people.

use comfy_table::{ContentArrangement, Table};
use textwrap::core::display_width;

use super::Screen;

/// A column is not made narrower than its longest word, up to so many characters.
const WORD: usize = 20;

/// A borderless table that fits the screen; headers in the first line, columns two spaces apart.
/// Where its columns would be too narrow for words, each row is a block of its own instead, a line
/// for each column. Control characters in cells are made visible: data must never drive a terminal.
pub fn table<R, C>(screen: &Screen, header: &[&str], rows: R) -> String
where
    R: IntoIterator<Item = C>,
    C: IntoIterator,
    C::Item: Into<String>,
{
    let rows = rows.into_iter().map(|row| {
        let cells = row.into_iter().map(|cell| printable(&cell.into()));
        cells.collect::<Vec<String>>()
    });
    let rows: Vec<Vec<String>> = rows.collect();
    if header.iter().all(|h| !h.is_empty()) && narrowest(header, &rows) > screen.width() {
        return blocks(screen, header, &rows);
    }
    let mut table = Table::new();
    table
        .load_preset(comfy_table::presets::NOTHING)
        .set_content_arrangement(ContentArrangement::Dynamic)
        .set_width(u16::try_from(screen.width()).unwrap_or(u16::MAX))
        .set_header(header.iter().copied());
    for row in rows {
        table.add_row(row);
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

/// The width below which words would be broken.
fn narrowest(header: &[&str], rows: &[Vec<String>]) -> usize {
    let longest = |text: &str| {
        let words = text.split_whitespace().map(display_width);
        words.max().unwrap_or(0).min(WORD)
    };
    let column = |(index, title): (usize, &&str)| {
        let cells = rows.iter().filter_map(|row| row.get(index));
        let cells = cells.map(|cell| longest(cell)).max().unwrap_or(0);
        cells.max(longest(title)) + 2
    };
    let columns: usize = header.iter().enumerate().map(column).sum();
    // Nothing stands behind the last one.
    columns.saturating_sub(2)
}

fn blocks(screen: &Screen, header: &[&str], rows: &[Vec<String>]) -> String {
    let names = header.iter().map(|h| display_width(h)).max().unwrap_or(0);
    let mut text = String::new();
    for (index, row) in rows.iter().enumerate() {
        if index > 0 {
            text.push('\n');
        }
        for (title, cell) in header.iter().zip(row) {
            let head = format!("{title:<names$}  ");
            let next = " ".repeat(names + 2);
            let options = textwrap::Options::new(screen.width())
                .initial_indent(&head)
                .subsequent_indent(&next)
                .word_splitter(textwrap::WordSplitter::NoHyphenation);
            for line in textwrap::wrap(cell, options) {
                text.push_str(line.trim_end());
                text.push('\n');
            }
        }
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

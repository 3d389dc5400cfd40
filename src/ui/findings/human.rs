//! For people: each finding as a compiler tells of an error.

use std::fmt::{self, Write as _};

use super::difference::difference;
use super::excerpt::Excerpt;
use super::{Entry, Group, Results, clean, counts};
use crate::migrate::finding::{Finding, Level, Unjudged};
use crate::ui::{Screen, Tone, printable, snippet};

/// So many lines of a fix are shown.
const LINES_OF_A_FIX: usize = 20;

pub(super) fn write(results: &Results, groups: &[Group], out: &mut Screen) -> fmt::Result {
    for group in groups {
        let mut before = None;
        for entry in &group.entries {
            one(group, entry, before, out)?;
            writeln!(out)?;
            before = Some(entry.finding);
        }
    }
    // Last, since it is often so for what was found above.
    let (of_folder, of_files): (Vec<_>, Vec<_>) = groups
        .iter()
        .flat_map(|group| &group.unjudged)
        .partition(|unjudged| unjudged.file.is_none());
    for unjudged in of_files.into_iter().chain(of_folder) {
        not_judged(unjudged, out)?;
        writeln!(out)?;
    }
    let counts = counts(results).into_iter();
    let counts: Vec<String> = counts.map(|(tone, count)| out.tone(tone, count)).collect();
    let summary = Some(printable(&clean(results.summary))).filter(|s| !s.is_empty());
    let parts: Vec<String> = summary.into_iter().chain(counts).collect();
    folded(out, &parts.join(" · "))
}

fn one(group: &Group, entry: &Entry, before: Option<&Finding>, out: &mut Screen) -> fmt::Result {
    let finding = entry.finding;
    let (tone, level) = match finding.level {
        Level::Error => (Tone::Bad, "error"),
        Level::Warning => (Tone::Unsure, "warning"),
    };
    let rule = printable(&finding.rule);
    let word = out.tone(tone, format_args!("{level}[{rule}]:"));
    let message = clean(&finding.message);
    let message: Vec<String> = message.lines().map(printable).collect();
    folded(out, &format!("{word} {}", message.join(" ")))?;
    match (group.file, &group.text, &finding.span) {
        (Some(file), Some(text), Some(span)) => {
            let width = out.width();
            snippet(out, &Excerpt::of(&printable(file), text, span, width))?;
        }
        (Some(file), _, _) => paragraph(out, "  file: ", file)?,
        (None, _, _) => {}
    }
    // The same twice in a row is said once.
    let said = |part: fn(&Finding) -> &Option<String>| {
        before.is_some_and(|before| before.rule == finding.rule && part(before) == part(finding))
    };
    if let Some(why) = &finding.why
        && !said(|f| &f.why)
    {
        paragraph(out, "  why:  ", &clean(why))?;
    }
    if let Some(next) = &finding.next
        && !said(|f| &f.next)
    {
        paragraph(out, "  next: ", &clean(next))?;
    }
    fix(group, finding, out)
}

fn fix(group: &Group, finding: &Finding, out: &mut Screen) -> fmt::Result {
    let Some((fix, text)) = finding.fix.as_ref().zip(group.text.as_ref()) else {
        return Ok(());
    };
    let Some(lines) = difference(text, &fix.edits) else {
        return Ok(());
    };
    paragraph(out, "  fix:  ", &clean(&fix.title))?;
    for (mark, line) in lines.iter().take(LINES_OF_A_FIX) {
        let line = format!("{mark} {}", printable(&line.replace('\t', "    ")));
        let line = match mark {
            '-' => out.tone(Tone::Bad, line.trim_end()),
            '+' => out.tone(Tone::Good, line.trim_end()),
            _ => line.trim_end().to_owned(),
        };
        writeln!(out, "{}", format!("        {line}").trim_end())?;
    }
    match lines.len().saturating_sub(LINES_OF_A_FIX) {
        0 => Ok(()),
        more => writeln!(out, "        … {more} more lines"),
    }
}

fn not_judged(unjudged: &Unjudged, out: &mut Screen) -> fmt::Result {
    let word = out.tone(Tone::Bad, "not judged:");
    let message = clean(&unjudged.message);
    let message: Vec<String> = message.lines().map(printable).collect();
    folded(out, &format!("{word} {}", message.join(" ")))?;
    if let Some(file) = &unjudged.file {
        paragraph(out, "  file: ", file)?;
    }
    match &unjudged.next {
        Some(next) => paragraph(out, "  next: ", &clean(next)),
        None => Ok(()),
    }
}

/// On lines that fit, those after the first indented.
fn folded(out: &mut Screen, text: &str) -> fmt::Result {
    let options = textwrap::Options::new(out.width())
        .subsequent_indent("  ")
        .break_words(false)
        .word_splitter(textwrap::WordSplitter::NoHyphenation);
    writeln!(out, "{}", textwrap::fill(text, options))
}

/// `text` behind `lead`. What people copy stays on its line: what is indented, and commands.
fn paragraph(out: &mut Screen, lead: &str, text: &str) -> fmt::Result {
    let indent = " ".repeat(lead.len());
    for (nth, line) in text.trim().lines().enumerate() {
        let lead = if nth == 0 { lead } else { &indent };
        let line = printable(&line.trim_end().replace('\t', "    "));
        if line.starts_with(' ') || line.contains("dbctl ") {
            writeln!(out, "{}", format!("{lead}{line}").trim_end())?;
        } else {
            out.hanging(lead, &line)?;
        }
    }
    Ok(())
}

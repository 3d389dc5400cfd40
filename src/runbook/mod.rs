//! Runbooks: a Markdown document that people read and that binds headings to something
//! executable. `docs/runbooks.md` says how to write one.
//!
//! [`parse`] reports every mistake of a document at once, each with its line and column.

pub mod asked;
mod bindings;
pub mod describe;
pub mod difference;
mod document;
mod fields;
mod limits;
mod measures;
mod mistakes;
pub mod model;
pub mod plan;
mod proofs;
mod rules;
pub mod selector;
pub mod sql;
mod steps;
pub mod thresholds;

use std::path::Path;

use self::bindings::{Draft, Part, StepDraft};
use self::document::Document;
use self::mistakes::Mistakes;
pub use self::mistakes::nearest;
use self::model::{Runbook, Step};
pub use self::steps::{KINDS as STEP_KINDS, SMOKE_CHECKS};
use crate::error::{Doing, Exit, Problem, Result};

/// The runbook that dbctl carries, and where it lies in a checkout.
const BUILT_IN: &str = include_str!("../../runbooks/phase-1-postgres-cutover.md");
const BUILT_IN_PATH: &str = "runbooks/phase-1-postgres-cutover.md";

/// Reads a runbook file.
///
/// # Errors
/// [`Exit::Config`]: it cannot be read, it is not UTF-8, or it has mistakes (see [`parse`]).
pub fn load(path: &Path) -> Result<Runbook> {
    let doing = || format!("reading {}", path.display());
    let bytes = std::fs::read(path)
        .doing(Exit::Config, doing())
        .map_err(|p| p.next("`dbctl runbook list` shows the runbooks that are there"))?;
    match std::str::from_utf8(&bytes) {
        Ok(text) => parse(path, text),
        Err(e) => {
            let good = String::from_utf8_lossy(&bytes[..e.valid_up_to()]);
            let at = mistakes::position(&good, good.len());
            Err(Problem::new(
                Exit::Config,
                doing(),
                format!("it is not UTF-8: line {}, column {}", at.line, at.column),
            )
            .next("save it as UTF-8"))
        }
    }
}

/// The runbook that dbctl carries: moving a service onto Postgres, phase one.
pub fn built_in() -> Result<Runbook> {
    parse(Path::new(BUILT_IN_PATH), BUILT_IN)
}

/// Reads a runbook from its text. `path` gives its name and stands in messages.
///
/// A document without any binding is fine: each of its SQL fences is a verification query, and
/// there is nothing to roll out.
///
/// # Errors
/// [`Exit::Config`], with one related problem for every mistake in the document, in its order.
pub fn parse(path: &Path, text: &str) -> Result<Runbook> {
    // Editors on Windows write a byte-order mark; it is no part of the document.
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut mistakes = Mistakes::new(path.display(), text);
    let document = Document::read(text, &mut mistakes);
    let draft = bindings::read(&document, &mut mistakes);
    rules::check(&draft, &mut mistakes);
    let positions: Vec<_> = draft
        .steps
        .iter()
        .map(|s| mistakes.position(s.span.start))
        .collect();
    mistakes.finish()?;
    Ok(assemble(path, text, document, draft, &positions))
}

fn assemble(
    path: &Path,
    text: &str,
    document: Document,
    draft: Draft,
    positions: &[model::Position],
) -> Runbook {
    let name = path
        .file_stem()
        .map(|stem| stem.to_string_lossy().into_owned())
        .unwrap_or_default();
    let mut runbook = Runbook {
        title: document.title.clone().unwrap_or_else(|| name.clone()),
        name,
        path: path.to_owned(),
        text: text.to_owned(),
        steps: Vec::new(),
        rollback: Vec::new(),
        afterwards: Vec::new(),
        gates: draft.gates,
        triggers: draft.triggers,
        queries: draft.queries,
        criteria: draft.criteria,
    };
    let mut after = 0;
    for (draft, at) in draft.steps.into_iter().zip(positions) {
        let prose = prose(&document, &draft, after);
        after = draft.span.end;
        let part = match draft.part {
            Part::Forward => &mut runbook.steps,
            Part::Rollback => &mut runbook.rollback,
            Part::Afterwards => &mut runbook.afterwards,
        };
        let section = &document.sections[draft.section];
        part.extend(draft.kind.map(|kind| Step {
            id: draft.id,
            heading: section.heading.clone().unwrap_or_default(),
            prose,
            phase: draft.phase.map(|p| p.value).unwrap_or_default(),
            env: draft.env.map(|e| e.value).unwrap_or_default(),
            kind,
            at: *at,
        }));
    }
    runbook
}

/// What a person reads before a step: the first paragraph between the step before it (ending at
/// `after`) and its fence, else the first one under its heading.
fn prose(document: &Document, step: &StepDraft, after: usize) -> String {
    let paragraphs = &document.sections[step.section].paragraphs;
    let own = paragraphs
        .iter()
        .find(|p| p.span.start >= after && p.span.end <= step.span.start);
    own.or(paragraphs.first())
        .map(|p| p.text.clone())
        .unwrap_or_default()
}

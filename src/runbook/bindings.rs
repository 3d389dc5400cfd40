//! Fences → steps, gates, triggers, queries and criteria, each read as far as it can be.

use std::collections::BTreeSet;
use std::ops::Range;

use super::document::{Document, Fence};
use super::fields::{self, Fields, Names, Placed};
use super::mistakes::{Mistakes, nearest};
use super::model::{Criterion, Gate, Position, Query, StepKind, Trigger};
use super::{measures, proofs, steps};

/// Part of the procedure that a step belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    Forward,
    Rollback,
    Afterwards,
}

/// What an id names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    Step,
    Gate,
    Trigger,
    Criterion,
    Query,
}

impl Kind {
    pub const fn name(self) -> &'static str {
        match self {
            Kind::Step => "step",
            Kind::Gate => "gate",
            Kind::Trigger => "trigger",
            Kind::Criterion => "criterion",
            Kind::Query => "query",
        }
    }

    pub const fn plural(self) -> &'static str {
        match self {
            Kind::Step => "steps",
            Kind::Gate => "gates",
            Kind::Trigger => "triggers",
            Kind::Criterion => "criteria",
            Kind::Query => "queries",
        }
    }
}

/// A name that must be defined somewhere in the document.
pub struct Reference {
    pub kind: Kind,
    pub name: String,
    pub span: Range<usize>,
}

/// Everything that could be read, with the places that the rules point at.
#[derive(Default)]
pub struct Draft {
    pub steps: Vec<StepDraft>,
    pub gates: Vec<Gate>,
    pub triggers: Vec<Trigger>,
    pub queries: Vec<Query>,
    pub criteria: Vec<Criterion>,
    pub ids: Vec<(Kind, Placed<String>)>,
    pub references: Vec<Reference>,
    /// Kinds of which one binding's id could not be read: what refers to them is not judged.
    pub unread: BTreeSet<Kind>,
    /// There is a binding other than an expectation, so a rollout is wanted.
    pub binds: Option<Range<usize>>,
}

/// A step; `kind` is missing when it could not be read.
pub struct StepDraft {
    pub id: String,
    pub section: usize,
    pub part: Part,
    pub phase: Option<Placed<String>>,
    pub env: Option<Placed<String>>,
    pub kind: Option<StepKind>,
    /// The info string of its fence.
    pub info: Range<usize>,
    pub span: Range<usize>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Binding {
    Id(Kind),
    Expect,
}

const BINDINGS: [&str; 5] = ["step", "gate", "trigger", "criterion", "expect"];

fn binding(word: &str) -> Option<Binding> {
    match word {
        "step" => Some(Binding::Id(Kind::Step)),
        "gate" => Some(Binding::Id(Kind::Gate)),
        "trigger" => Some(Binding::Id(Kind::Trigger)),
        "criterion" => Some(Binding::Id(Kind::Criterion)),
        "expect" => Some(Binding::Expect),
        _ => None,
    }
}

/// Whether an info string is that of a binding.
pub fn is_binding(info: &str) -> bool {
    let mut words = info.split_whitespace();
    words.next() == Some("toml") && words.next().and_then(binding).is_some()
}

/// Reads all fences of a document.
pub fn read(document: &Document, mistakes: &mut Mistakes) -> Draft {
    let mut draft = Draft::default();
    // The query that a `toml expect` may still belong to: its section and its index.
    let mut expecting: Option<(usize, usize)> = None;
    for (index, fence) in document.fences.iter().enumerate() {
        match class(fence, mistakes) {
            Class::Prose => {}
            Class::Query => {
                proofs::query(document, index, &mut draft, mistakes);
                expecting = Some((fence.section, draft.queries.len() - 1));
            }
            Class::Binding(Binding::Expect) => {
                let owner = expecting
                    .take()
                    .filter(|(section, _)| *section == fence.section);
                let query = owner.map(|(_, i)| &mut draft.queries[i]);
                proofs::expectation(fence, query, mistakes);
            }
            Class::Binding(Binding::Id(kind)) => {
                draft.binds.get_or_insert(fence.info.clone());
                bound(document, fence, kind, &mut draft, mistakes);
            }
        }
    }
    draft
}

enum Class {
    Prose,
    Query,
    Binding(Binding),
}

/// What a fence is, by its info string. A word that is nearly one of a binding is a mistake, not
/// prose: the step would be lost without a word.
fn class(fence: &Fence, mistakes: &mut Mistakes) -> Class {
    let words: Vec<&str> = fence.words.iter().map(String::as_str).collect();
    let info = fence.info.clone();
    let (first, second) = match words[..] {
        [] => return Class::Prose,
        [one] => (one, None),
        [one, two, ..] => (one, Some(two)),
    };
    // `title="…"` and `{.numberLines}` are for renderers.
    let second = second.filter(|w| !w.contains(['=', '{', ':']));
    if first.eq_ignore_ascii_case("sql") {
        return match second {
            None => Class::Query,
            Some("example") => Class::Prose,
            Some(other) => {
                mistakes.add(
                    info,
                    format_args!("`sql {other}` is neither a query nor an example"),
                    "unknown word",
                    "write `sql` for a verification query, `sql example` for one that is only shown",
                );
                Class::Prose
            }
        };
    }
    let Some(second) = second else {
        return Class::Prose;
    };
    match (first, binding(second)) {
        ("toml", Some(found)) if words.len() == 2 => Class::Binding(found),
        ("toml", Some(_)) => {
            mistakes.add(
                info,
                "a binding is two words, and here are more",
                "too many words",
                format_args!("write `toml {second}` and nothing behind it"),
            );
            Class::Prose
        }
        ("toml", None) => {
            let hint = match nearest(&second.to_ascii_lowercase(), BINDINGS) {
                Some(near) => format!("did you mean `toml {near}`?"),
                None => format!(
                    "known: {}; a fence that is only shown is written `toml`",
                    BINDINGS.join(", ")
                ),
            };
            mistakes.add(
                info,
                format_args!("`toml {second}` binds nothing"),
                "unknown binding",
                hint,
            );
            Class::Prose
        }
        (other, Some(_))
            if other.eq_ignore_ascii_case("toml") || nearest(other, ["toml"]).is_some() =>
        {
            mistakes.add(
                info,
                format_args!("`{other} {second}` binds nothing"),
                "unknown binding",
                format_args!("did you mean `toml {second}`?"),
            );
            Class::Prose
        }
        (_, _) => Class::Prose,
    }
}

fn bound(
    document: &Document,
    fence: &Fence,
    kind: Kind,
    draft: &mut Draft,
    mistakes: &mut Mistakes,
) {
    if document.sections[fence.section].heading.is_none() {
        mistakes.add(
            fence.info.clone(),
            format_args!("the {} stands under no heading", kind.name()),
            "no heading above",
            "put a heading above it that says in words what it is for",
        );
    }
    let (table, sound) = fields::parse(fence, mistakes);
    let mut fields = Fields::new(fence, table.get_ref(), format!("the {}", kind.name()));
    if !sound || !fence.closed {
        // Only its name, so that what refers to it is not called a mistake as well.
        match fields.raw("id").and_then(|id| id.value.as_str()) {
            Some(id) => draft.ids.push((
                kind,
                Placed {
                    value: id.to_owned(),
                    span: fence.info.clone(),
                },
            )),
            None => drop(draft.unread.insert(kind)),
        }
        return;
    }
    let id = fields.need::<String>("id", "\"a-short-name\"", mistakes);
    match &id {
        Some(id) => {
            name(id, "an id", mistakes);
            draft.ids.push((kind, id.clone()));
        }
        None => drop(draft.unread.insert(kind)),
    }
    let common = Common {
        id: id.map(|i| i.value).unwrap_or_default(),
        heading: document.sections[fence.section]
            .heading
            .clone()
            .unwrap_or_default(),
        at: mistakes.position(fence.span.start),
        fence,
        fields,
        references: &mut draft.references,
    };
    match kind {
        Kind::Step => draft.steps.push(steps::read(common, mistakes)),
        Kind::Gate => draft.gates.extend(measures::gate(common, mistakes)),
        Kind::Trigger => draft.triggers.extend(measures::trigger(common, mistakes)),
        Kind::Criterion => draft.criteria.extend(proofs::criterion(common, mistakes)),
        // A query has no binding; its fence is one.
        Kind::Query => {}
    }
}

/// What every binding has.
pub struct Common<'f, 'd> {
    pub id: String,
    pub heading: String,
    pub at: Position,
    pub fence: &'f Fence,
    pub fields: Fields<'f>,
    pub references: &'d mut Vec<Reference>,
}

impl Common<'_, '_> {
    /// Names of `kind` that must exist.
    pub fn refer(&mut self, kind: Kind, names: Option<Placed<Names>>) -> Vec<String> {
        let mut found = Vec::new();
        for item in names.into_iter().flat_map(|n| n.value) {
            let span = self.fence.place(item.span());
            let name = item.into_inner();
            self.references.push(Reference {
                kind,
                name: name.clone(),
                span,
            });
            found.push(name);
        }
        found
    }
}

/// Ids, phases and environments are names: they are typed on command lines.
pub fn name(placed: &Placed<String>, what: &str, mistakes: &mut Mistakes) {
    let good = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    let text = &placed.value;
    if !text.chars().all(good) || text.starts_with('-') || text.len() > 64 {
        mistakes.add(
            placed.span.clone(),
            format_args!("`{}` cannot be {what}", text.escape_debug()),
            "not a name",
            "use lower-case letters, digits and -, up to 64 of them, with no - in front",
        );
    }
}

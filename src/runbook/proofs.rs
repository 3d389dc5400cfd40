//! Verification queries, what is expected of them, and the completion criteria.

use std::time::Duration;

use super::bindings::{Common, Draft, Kind, Reference, name};
use super::document::{Document, Fence};
use super::fields::{self, Fields, Names, Placed};
use super::mistakes::{Mistakes, suggestion};
use super::model::{Criterion, Expect, Newest, Proof, Query};
use super::{sql, steps};

/// A SQL fence, named after the text before it.
pub fn query(document: &Document, index: usize, draft: &mut Draft, mistakes: &mut Mistakes) {
    let fence = &document.fences[index];
    let section = &document.sections[fence.section];
    let before = document.fences[..index]
        .last()
        .map_or(0, |previous| previous.span.end);
    let paragraph = section
        .paragraphs
        .iter()
        .rev()
        .find(|p| p.span.end <= fence.span.start && p.span.start >= before);
    let lead = paragraph
        .map(|p| last_sentence(&p.text))
        .or(section.heading.as_deref())
        .unwrap_or_default();
    let taken = |n: &String| draft.queries.iter().any(|q| q.name == *n);
    let slug = slug(lead);
    let name = std::iter::once(slug.clone())
        .chain((2..).map(|n| format!("{slug}-{n}")))
        .find(|n| !taken(n))
        .expect("numbers do not end");
    if let Err(flaw) = sql::statement(&fence.body)
        && fence.closed
    {
        let mut span = fence.place(flaw.span);
        if fence.body.trim().is_empty() {
            span = fence.info.clone();
        }
        mistakes.add(span, flaw.cause, "here", flaw.hint);
    }
    draft.queries.push(Query {
        name,
        heading: section.heading.clone().unwrap_or_default(),
        sql: fence.body.trim_end().to_owned(),
        expect: Expect::default(),
        at: mistakes.position(fence.place(0..0).start),
    });
}

/// What introduces a fence: "Revocations are kept for good. The newest twenty:" → the second.
fn last_sentence(paragraph: &str) -> &str {
    let body = paragraph.trim_end_matches(|c: char| !c.is_alphanumeric());
    let start = body
        .rmatch_indices(['.', '!', '?'])
        .map(|(i, mark)| i + mark.len())
        .find(|i| body[*i..].starts_with(' '));
    body[start.unwrap_or(0)..].trim()
}

/// The first eight words, in lower case, joined by `-`.
fn slug(text: &str) -> String {
    let words: Vec<String> = text
        .split(|c: char| !c.is_alphanumeric() && c != '\'' && c != '’')
        .map(|w| w.replace(['\'', '’'], "").to_lowercase())
        .filter(|w| !w.is_empty())
        .take(8)
        .collect();
    if words.is_empty() {
        "query".into()
    } else {
        words.join("-")
    }
}

/// `toml expect`: belongs to the query before it, under the same heading.
pub fn expectation(fence: &Fence, query: Option<&mut Query>, mistakes: &mut Mistakes) {
    let (table, sound) = fields::parse(fence, mistakes);
    if sound && fence.closed {
        let mut fields = Fields::new(fence, table.get_ref(), "the expectation");
        let expect = expect(&mut fields, mistakes);
        fields.finish(mistakes, |_| None);
        if table.get_ref().is_empty() {
            mistakes.add(
                fence.info.clone(),
                "the expectation is empty",
                "expects nothing",
                "min_rows, max_rows, each_row, some_row, newest or grows; or take the fence away",
            );
        }
        match query {
            Some(query) => {
                reports(fence, query, mistakes);
                query.expect = expect;
            }
            None => mistakes.add(
                fence.info.clone(),
                "the expectation follows no query",
                "which query?",
                "put it behind its ```sql fence, under the same heading; a query has one",
            ),
        }
    }
}

/// `SHOW` and `EXPLAIN` cannot stand in a subquery, where conditions are evaluated.
fn reports(fence: &Fence, query: &Query, mistakes: &mut Mistakes) {
    if sql::statement(&query.sql).is_ok_and(|s| s.form == sql::Form::Report) {
        mistakes.add(
            fence.info.clone(),
            "SHOW and EXPLAIN can carry no expectation",
            "cannot be judged",
            "ask a catalogue instead, such as SELECT setting FROM pg_settings WHERE name = '…'",
        );
    }
}

fn expect(fields: &mut Fields, mistakes: &mut Mistakes) -> Expect {
    let min_rows = fields.get::<u64>("min_rows", mistakes);
    let max_rows = fields.get::<u64>("max_rows", mistakes);
    if let (Some(min), Some(max)) = (&min_rows, &max_rows)
        && min.value > max.value
    {
        mistakes.add(
            min.span.clone(),
            "`min_rows` is more than `max_rows`, so that nothing can meet both",
            "too many",
            format_args!("at most {}", max.value),
        );
    }
    Expect {
        min_rows: min_rows.map(|m| m.value),
        max_rows: max_rows.map(|m| m.value),
        each_row: condition(fields, "each_row", mistakes),
        some_row: condition(fields, "some_row", mistakes),
        newest: newest(fields, mistakes),
        grows: fields.get::<String>("grows", mistakes).map(|g| g.value),
    }
}

fn condition(fields: &mut Fields, key: &'static str, mistakes: &mut Mistakes) -> Option<String> {
    let text = fields.get::<String>(key, mistakes)?;
    if let Err(flaw) = sql::condition(&text.value) {
        // The place in the SQL is not the place in the TOML string, which may have escapes.
        mistakes.add(
            text.span,
            format_args!("`{key}`: {}", flaw.cause),
            "not a condition",
            flaw.hint,
        );
    }
    Some(text.value)
}

const A_NEWEST: &str = "{ column = \"created_at\", within = \"5m\" }";

fn newest(fields: &mut Fields, mistakes: &mut Mistakes) -> Option<Newest> {
    let raw = fields.raw("newest")?;
    let Some(table) = raw.value.as_table() else {
        mistakes.add(
            raw.span,
            "`newest` has the wrong type: it must be a table",
            "wrong type",
            format_args!("write newest = {A_NEWEST}"),
        );
        return None;
    };
    let mut inner = fields.inner(table, raw.span, "`newest`");
    let column = inner.need::<String>("column", "\"created_at\"", mistakes);
    let within = inner.need::<Duration>("within", "\"5m\"", mistakes);
    inner.finish(mistakes, |_| None);
    Some(Newest {
        column: column?.value,
        within: within?.value,
    })
}

const PROOFS: [&str; 5] = ["modes", "gates", "queries", "rehearsal", "rehearsed"];

/// One completion criterion.
pub fn criterion(mut common: Common, mistakes: &mut Mistakes) -> Option<Criterion> {
    let kind = common
        .fields
        .need::<String>("proof", "\"queries\"", mistakes)?;
    let proof = match kind.value.as_str() {
        "modes" => modes(&mut common, mistakes),
        "gates" => gates(&mut common, mistakes),
        "queries" => queries(&mut common, mistakes),
        "rehearsal" => rehearsal(&mut common, mistakes),
        "rehearsed" => rehearsed(&mut common, mistakes),
        other => {
            mistakes.add(
                kind.span,
                format_args!("`{other}` proves nothing"),
                "unknown proof",
                suggestion(other, &PROOFS),
            );
            return None;
        }
    };
    common.fields.finish(mistakes, |_| None);
    Some(Criterion {
        id: common.id,
        heading: common.heading,
        proof: proof?,
        at: common.at,
    })
}

fn modes(common: &mut Common, mistakes: &mut Mistakes) -> Option<Proof> {
    let env = environment(common, mistakes);
    let set = steps::toggles(&mut common.fields, "postgres", mistakes);
    Some(Proof::Modes { env: env?, set })
}

fn gates(common: &mut Common, mistakes: &mut Mistakes) -> Option<Proof> {
    let gates = at_least_one(
        common
            .fields
            .need::<Names>("gates", "[\"auth-errors\"]", mistakes),
        "gates",
        mistakes,
    );
    Some(Proof::Gates {
        gates: common.refer(Kind::Gate, gates),
    })
}

fn queries(common: &mut Common, mistakes: &mut Mistakes) -> Option<Proof> {
    let env = environment(common, mistakes);
    let queries = common.fields.get::<Names>("queries", mistakes);
    let queries = common.refer(Kind::Query, queries);
    Some(Proof::Queries { env: env?, queries })
}

fn rehearsal(common: &mut Common, mistakes: &mut Mistakes) -> Option<Proof> {
    let step = common
        .fields
        .need::<String>("step", "\"rehearse-rollback\"", mistakes)?;
    common.references.push(Reference {
        kind: Kind::Step,
        name: step.value.clone(),
        span: step.span,
    });
    Some(Proof::Rehearsal { step: step.value })
}

fn rehearsed(common: &mut Common, mistakes: &mut Mistakes) -> Option<Proof> {
    let env = environment(common, mistakes);
    let within = common
        .fields
        .need::<Duration>("within", "\"336h\"", mistakes);
    Some(Proof::Rehearsed {
        env: env?,
        within: within?.value,
    })
}

fn environment(common: &mut Common, mistakes: &mut Mistakes) -> Option<String> {
    let env = common
        .fields
        .need::<String>("env", "\"production\"", mistakes)?;
    name(&env, "an environment", mistakes);
    Some(env.value)
}

/// An empty list of names watches or proves nothing.
pub fn at_least_one(
    names: Option<Placed<Names>>,
    key: &str,
    mistakes: &mut Mistakes,
) -> Option<Placed<Names>> {
    if let Some(empty) = names.as_ref().filter(|n| n.value.is_empty()) {
        mistakes.add(
            empty.span.clone(),
            format_args!("`{key}` is empty"),
            "names nothing",
            "name at least one",
        );
    }
    names
}

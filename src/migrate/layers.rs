//! All layers of a validation, one after the other, and which of them has the last word.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use super::catalog::Catalog;
use super::conventions::{Reading, Script};
use super::failure::Ground;
use super::finding::{Finding, Layer, Level, Unjudged};
use super::lint::{self, Rules};
use super::trial::{Fact, How, Tried, try_down, try_out};
use crate::error::Result;
use crate::pg::scratch::{Choice, Scratch};

/// What is to be judged, and how.
#[derive(Debug)]
pub struct Wanted<'a> {
    pub layers: BTreeSet<Layer>,
    /// The first of the migrations that is judged. Those before it only run.
    pub from: usize,
    /// So many rows are put into each table before a migration is judged.
    pub rows: usize,
    pub rules: &'a Rules,
    pub scratch: &'a Choice,
    /// Where a native PostgreSQL lies, if it is not to be searched for.
    pub pg_bin: Option<&'a Path>,
}

/// What came of it.
#[derive(Debug, Default)]
pub struct Judged {
    /// In the order of the files, and of the places in each.
    pub findings: Vec<Finding>,
    /// What could not be judged; never a pass.
    pub unjudged: Vec<Unjudged>,
    /// What each statement did to tables that were there before its file.
    pub facts: Vec<Fact>,
    /// What they ran on; none where they did not.
    pub server: Option<String>,
    /// How many ran without an error.
    pub ran: usize,
}

/// Judges the migrations of `reading`.
///
/// # Errors
/// What keeps them from being judged: no scratch database, or one that goes away.
pub async fn judge(reading: &Reading, wanted: &Wanted<'_>) -> Result<Judged> {
    let mut judged = Judged::default();
    let of = |layer| wanted.layers.contains(&layer);
    // In a wrong order, or with one left out, running them would show nothing.
    let sound = reading.findings.iter().all(|f| f.level < Level::Error);
    if of(Layer::Files) || !sound {
        judged.findings.extend(reading.findings.iter().cloned());
    }
    let mut guessed = Vec::new();
    if of(Layer::Lint) {
        let jobs: Vec<_> = reading.migrations[wanted.from.min(reading.migrations.len())..]
            .iter()
            .map(|m| (&m.up, m.version.as_ref()))
            .collect();
        let found = lint::lint_all(&jobs, wanted.rules, None);
        guessed = found.into_iter().flatten().collect();
    }
    let runs = [Layer::Execution, Layer::Down, Layer::Again];
    match (
        sound,
        runs.into_iter().filter(|l| of(*l)).collect::<Vec<_>>(),
    ) {
        (_, layers) if layers.is_empty() => {}
        (false, layers) => judged
            .unjudged
            .extend(layers.into_iter().map(|layer| Unjudged {
                layer,
                file: None,
                message: "nothing was run: the files are not as they must be".into(),
                next: Some("put right what was found in the files".into()),
            })),
        (true, _) => guessed = run(reading, wanted, guessed, &mut judged).await?,
    }
    judged.findings.extend(guessed);
    in_order(reading, &mut judged.findings);
    Ok(judged)
}

/// Runs them, and returns what of the guesses is left.
async fn run(
    reading: &Reading,
    wanted: &Wanted<'_>,
    guessed: Vec<Finding>,
    judged: &mut Judged,
) -> Result<Vec<Finding>> {
    let mut tried = on_scratch(reading, wanted, false).await?;
    judged.ran = tried.ran;
    judged.server.clone_from(&tried.server);
    judged.facts.append(&mut tried.tried.facts);
    let observed: BTreeMap<&str, &Script> = reading.migrations[..tried.ran]
        .iter()
        .skip(wanted.from)
        .map(|m| (m.up.path.as_str(), &m.up))
        .filter(|(_, script)| script.transaction)
        .collect();
    let left = give_way(guessed, &mut tried.tried.findings, |path| {
        observed.contains_key(path)
    });
    let all_ran = tried.ran == reading.migrations.len();
    judged.findings.append(&mut tried.tried.findings);
    judged
        .unjudged
        .extend(unjudged(reading, tried.ran, Layer::Execution));
    let has_down = reading.migrations.iter().any(|m| m.down.is_some());
    let down = wanted.layers.contains(&Layer::Down) && has_down;
    if !all_ran || !(down || wanted.layers.contains(&Layer::Again)) {
        return Ok(left);
    }
    let mut again = on_scratch(reading, wanted, down).await?;
    // Only what is new: they have run once, and were judged.
    again
        .tried
        .findings
        .retain(|f| f.layer == Layer::Down || f.rule == "fails");
    judged.findings.append(&mut again.tried.findings);
    let layer = if down { Layer::Down } else { Layer::Again };
    judged.unjudged.extend(unjudged(reading, again.ran, layer));
    if wanted.layers.contains(&Layer::Again) && again.ran == reading.migrations.len() {
        judged
            .findings
            .extend(twice(&tried.tried.catalog, &again.tried.catalog));
    }
    Ok(left)
}

/// A run on a scratch database of its own.
struct Run {
    tried: Tried,
    ran: usize,
    server: Option<String>,
}

async fn on_scratch(reading: &Reading, wanted: &Wanted<'_>, down: bool) -> Result<Run> {
    let scratch = Scratch::start(wanted.scratch, wanted.pg_bin).await?;
    let how = How {
        ground: match &scratch {
            Scratch::Embedded(_) => Ground::Embedded,
            Scratch::Native(_) | Scratch::Url(_) => Ground::Server,
        },
        from: wanted.from,
        rows: wanted.rows,
    };
    let server = Some(scratch.description());
    let tried = match down {
        true => try_down(scratch.database(), reading, how).await,
        false => try_out(scratch.database(), reading, how).await,
    };
    let stopped = scratch.stop().await;
    let tried = tried?;
    stopped?;
    Ok(Run {
        ran: tried.ran,
        tried,
        server,
    })
}

/// Those after the one that failed: it was judged.
fn unjudged(reading: &Reading, ran: usize, layer: Layer) -> Option<Unjudged> {
    let after = reading.migrations.len().saturating_sub(ran + 1);
    let failed = reading.migrations.get(ran).filter(|_| after > 0)?;
    Some(Unjudged {
        layer,
        file: None,
        message: format!(
            "{after} migrations were not run, since {} failed",
            failed.up.path
        ),
        next: Some("mend it, and validate again".into()),
    })
}

fn twice(one: &Catalog, other: &Catalog) -> Option<Finding> {
    let differences = one.differences(other);
    let first = differences.first()?;
    let message = format!(
        "run twice, the migrations make two schemas, {} differences: {first}",
        differences.len()
    );
    Some(
        Finding::new(Layer::Again, "not-the-same-twice", Level::Error, message)
            .next("find what depends on the time, on chance or on the machine"),
    )
}

/// What the lint guesses, and under which name the same is observed.
const OBSERVED: [(&str, &[&str]); 6] = [
    (
        "rewrites-table",
        &[
            "changing-column-type",
            "adding-field-with-default",
            "adding-serial-column",
            "adding-serial-primary-key-field",
            "rewrites-table",
        ],
    ),
    (
        "reads-table-while-blocking",
        &[
            "constraint-missing-not-valid",
            "adding-foreign-key-constraint",
            "adding-not-nullable-field",
        ],
    ),
    (
        "builds-index-while-blocking",
        &[
            "require-concurrent-index-creation",
            "disallowed-unique-constraint",
        ],
    ),
    (
        "fails",
        &[
            "adding-required-field",
            "cannot-run-in-transaction",
            "enum-value-used-in-transaction",
            "syntax-error",
        ],
    ),
    ("ends-its-transaction", &["commits-in-transaction"]),
    ("leaks-session-state", &["leaks-session-state"]),
];

/// A guess gives way to what was observed of the same statement: where it is right, its advice,
/// which knows the statement, goes to what was observed; where it is wrong, it is not told.
fn give_way(
    guessed: Vec<Finding>,
    observed: &mut [Finding],
    was_observed: impl Fn(&str) -> bool,
) -> Vec<Finding> {
    let mut left = Vec::new();
    for guess in guessed {
        let names = OBSERVED
            .iter()
            .find(|(_, guesses)| guesses.contains(&&*guess.rule));
        let file = guess.file.as_deref().filter(|file| was_observed(file));
        let (Some((rule, _)), Some(file)) = (names, file) else {
            left.push(guess);
            continue;
        };
        let same = |f: &&mut Finding| {
            let overlaps = match (&f.span, &guess.span) {
                (Some(a), Some(b)) => a.start < b.end && b.start < a.end,
                (None, _) | (_, None) => true,
            };
            f.rule == *rule && f.file.as_deref() == Some(file) && overlaps
        };
        if let Some(confirmed) = observed.iter_mut().find(same) {
            confirmed.next = guess.next.or(confirmed.next.take());
            confirmed.fix = guess.fix.or(confirmed.fix.take());
        }
    }
    left
}

/// In the order of the files and of the places in each; the folder as a whole comes first.
fn in_order(reading: &Reading, findings: &mut [Finding]) {
    let numbered = reading.migrations.iter().enumerate();
    let at: BTreeMap<&str, usize> = numbered.map(|(n, m)| (m.up.path.as_str(), n)).collect();
    findings.sort_by_cached_key(|f| {
        let file = f.file.clone().unwrap_or_default();
        let place = f
            .file
            .as_deref()
            .map_or(0, |file| at.get(file).map_or(1, |n| n + 2));
        let start = f.span.as_ref().map_or(0, |s| s.start);
        (place, file, start, f.layer)
    });
}

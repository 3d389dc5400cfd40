//! All layers of a validation, one after the other, and which of them has the last word.

use std::collections::{BTreeMap, BTreeSet};

use super::catalog::Catalog;
use super::conventions::{Reading, Script};
use super::finding::{Finding, Layer, Level, Unjudged};
use super::lint::{self, Rules};
use super::trial::{Fact, How, LACKS_EXTENSION, NEWER_SERVER, Place, Setting, Tried, on_scratch};
use crate::error::{Exit, Result};
use crate::pg::scratch::Choice;

/// What is to be judged, and how.
pub struct Wanted<'a> {
    pub layers: BTreeSet<Layer>,
    /// The first of the migrations that is judged. Those before it only run.
    pub from: usize,
    /// So many rows are put into each table before a migration is judged.
    pub rows: usize,
    /// Rows of the user's own, put in before the first that is judged.
    pub seed: Option<&'a Script>,
    /// What sessions begin with, where it changes the outcome.
    pub session: &'a [Setting],
    pub rules: &'a Rules,
    pub place: Place<'a>,
    /// Hears of each migration before it runs.
    pub on: &'a (dyn Fn(Progress) + Sync),
}

/// How far it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// The run that is under way, counted from 0: with two layers that run them there are two.
    pub run: usize,
    pub runs: usize,
    /// The migration that runs, counted from 0.
    pub migration: usize,
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
    /// The schema that they make; none where not all of them ran.
    pub catalog: Option<Catalog>,
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
        // What makes no sense as SQL for a reason that is told already is not told once more.
        let told = |guess: &Finding| {
            let mut files = reading.findings.iter();
            files.any(|f| f.file == guess.file && f.level == Level::Error && f.span.is_some())
        };
        guessed.retain(|guess| guess.rule != "syntax-error" || !told(guess));
    }
    let runs = [Layer::Execution, Layer::Down, Layer::Again];
    match (
        sound,
        runs.into_iter().filter(|l| of(*l)).collect::<Vec<_>>(),
    ) {
        (_, layers) if layers.is_empty() => {}
        (false, layers) => judged.unjudged.push(Unjudged {
            layer: layers[0],
            file: None,
            message: "nothing was run: the files are not as they must be".into(),
            next: Some("put right what was found in the files".into()),
        }),
        (true, _) => guessed = run(reading, wanted, guessed, &mut judged).await?,
    }
    let observed = std::mem::take(&mut judged.findings);
    judged.findings = lint::weighed(observed, reading, wanted.rules);
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
    let has_down = reading.migrations.iter().any(|m| m.down.is_some());
    let down = wanted.layers.contains(&Layer::Down) && has_down;
    let again = down || wanted.layers.contains(&Layer::Again);
    let runs = 1 + usize::from(again);
    let mut tried = ran(reading, wanted, false, (0, runs)).await?;
    judged.ran = tried.ran;
    judged.unjudged.append(&mut tried.unjudged);
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
    // What ends a run ends the other layers too, and what stays on a server stays there.
    let counts = |f: &Finding| ["fails", "ends-its-transaction", "role-stays"].contains(&&*f.rule);
    let wanted_here = wanted.layers.contains(&Layer::Execution);
    tried.tried.findings.retain(|f| wanted_here || counts(f));
    judged.findings.append(&mut tried.tried.findings);
    judged
        .unjudged
        .extend(unjudged(reading, tried.ran, Layer::Execution));
    if all_ran {
        judged.catalog = Some(tried.tried.catalog.clone());
    }
    if !all_ran || !again {
        return Ok(left);
    }
    let mut again = ran(reading, wanted, down, (1, runs)).await?;
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
    /// What the server could not do, though another can.
    unjudged: Vec<Unjudged>,
}

async fn ran(
    reading: &Reading,
    wanted: &Wanted<'_>,
    down: bool,
    (run, runs): (usize, usize),
) -> Result<Run> {
    let on = |migration| {
        (wanted.on)(Progress {
            run,
            runs,
            migration,
        });
    };
    let mut tried = on_one(reading, wanted, wanted.place.scratch, (down, run == 0), &on).await?;
    let lacks = |run: &Run| run.tried.findings.iter().any(|f| f.rule == LACKS_EXTENSION);
    if *wanted.place.scratch == Choice::Auto && lacks(&tried) {
        match on_one(reading, wanted, &Choice::Native, (down, run == 0), &on).await {
            Ok(native) => {
                tried = native;
                if let Some(server) = &mut tried.server {
                    server.push_str(", since the embedded one lacks an extension");
                }
            }
            // It is not at hand; then that is what is said.
            Err(problem) if problem.exit() == Exit::Unavailable => {}
            Err(problem) => return Err(problem),
        }
    }
    let server = tried.server.clone().unwrap_or_default();
    let (unknown, found): (Vec<Finding>, Vec<Finding>) = std::mem::take(&mut tried.tried.findings)
        .into_iter()
        .partition(|f| [LACKS_EXTENSION, NEWER_SERVER].contains(&&*f.rule));
    tried.tried.findings = found;
    tried.unjudged.extend(unknown.into_iter().map(|f| Unjudged {
        layer: f.layer,
        file: f.file,
        message: format!("{server} cannot do this: {}", f.message),
        next: f.next,
    }));
    Ok(tried)
}

async fn on_one(
    reading: &Reading,
    wanted: &Wanted<'_>,
    choice: &Choice,
    (down, observe): (bool, bool),
    on: &(dyn Fn(usize) + Sync),
) -> Result<Run> {
    let place = Place {
        scratch: choice,
        ..wanted.place
    };
    let how = How {
        from: wanted.from,
        observe,
        rows: wanted.rows,
        seed: wanted.seed,
        session: wanted.session,
        on,
        ..How::default()
    };
    let (tried, server) = on_scratch(place, reading, how, down).await?;
    Ok(Run {
        ran: tried.ran,
        tried,
        server: Some(server),
        unjudged: Vec::new(),
    })
}

/// Those after the one that failed: it was judged.
fn unjudged(reading: &Reading, ran: usize, layer: Layer) -> Option<Unjudged> {
    let after = reading.migrations.len().saturating_sub(ran + 1);
    let failed = reading.migrations.get(ran).filter(|_| after > 0)?;
    Some(Unjudged {
        layer,
        file: None,
        message: match after {
            1 => format!("1 migration was not run, since {} failed", failed.up.path),
            _ => format!(
                "{after} migrations were not run, since {} failed",
                failed.up.path
            ),
        },
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

/// A guess gives way to what was observed of the same statement: where it is right, its advice,
/// which knows the statement, goes to what was observed; where it is wrong, it is not told.
fn give_way(
    guessed: Vec<Finding>,
    observed: &mut [Finding],
    was_observed: impl Fn(&str) -> bool,
) -> Vec<Finding> {
    let mut left = Vec::new();
    for guess in guessed {
        let rule = lint::observed_as(&guess.rule);
        let file = guess.file.as_deref().filter(|file| was_observed(file));
        let (Some(rule), Some(file)) = (rule, file) else {
            // Of one that failed, what is told of the statement that did is told.
            let of_same =
                |f: &&mut Finding| f.rule == "fails" && f.file == guess.file && overlap(f, &guess);
            let known = rule.and_then(|_| observed.iter_mut().find(of_same));
            match known {
                Some(failed) => failed.next = failed.next.take().or(guess.next),
                None => left.push(guess),
            }
            continue;
        };
        let same = |f: &&mut Finding| {
            f.rule == rule && f.file.as_deref() == Some(file) && overlap(f, &guess)
        };
        if let Some(confirmed) = observed.iter_mut().find(same) {
            // What Postgres refused is told for what it is.
            confirmed.next = match (rule, confirmed.next.take()) {
                ("fails", Some(next)) => Some(next),
                (_, next) => guess.next.or(next),
            };
            confirmed.fix = guess.fix.or(confirmed.fix.take());
        }
    }
    left
}

fn overlap(one: &Finding, other: &Finding) -> bool {
    match (&one.span, &other.span) {
        (Some(a), Some(b)) => a.start < b.end && b.start < a.end,
        (None, _) | (_, None) => true,
    }
}

/// In the order of the files and of the places in each; the folder as a whole comes first.
pub fn in_order(reading: &Reading, findings: &mut [Finding]) {
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

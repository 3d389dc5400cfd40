//! What gates and triggers measure, looked at once before a run: a query that can never have an
//! answer is found then, and not in the night.

use std::collections::BTreeSet;
use std::time::Duration;

use jiff::Timestamp;

use super::asked::{Asker, Question, Said};
use super::provider::Provider;
use super::ring::Ring;
use super::values::{Parsed, no_match, split};
use super::{Selector, Watch};
use crate::check::{CheckResult, Verdict};
use crate::runbook::model::Measure;

/// How many values of a label are named.
const FEW: usize = 6;
/// What a person should know of a selector that chooses nothing where that is no mistake as such.
const NOTHING_YET: &str = "right if nothing of it was counted yet; misspelt, it will never count";
/// What is said of counters with nothing to add.
pub const EVERYTHING: &str = "every series is there";

/// What one look before a run came to.
#[derive(Debug)]
pub struct Preview {
    pub result: CheckResult,
    /// Nothing is there: what only a later version of the service counts would look like this too.
    /// Not so where something is there and it is the wrong thing.
    pub absent: bool,
}

impl<P: Provider> Watch<P> {
    /// Whether a target's samples can be had, after one sample was taken.
    pub fn readable(&self, target: &str) -> CheckResult {
        let ring = self.rings.get(target);
        let (verdict, summary) = match ring.and_then(|r| r.failing.as_ref()) {
            Some((_, why)) => (Verdict::Error, why.clone()),
            None if ring.and_then(Ring::newest).is_none() => {
                (Verdict::Error, "there is no sample of it".to_owned())
            }
            None => (Verdict::Pass, "its metrics can be read".to_owned()),
        };
        result("metrics", target, verdict, summary)
    }

    /// Whether a measure of counters has what it needs on a target, after one sample was taken.
    /// Nothing for a measure that is asked of somebody else, and where the target cannot be read.
    pub fn preview(&self, name: &str, measure: &Measure, target: &str) -> Option<Preview> {
        let ring = self.rings.get(target)?;
        ring.newest()?;
        let seen = |verdict, why, absent| Preview {
            result: result(name, target, verdict, why),
            absent,
        };
        let parsed = match Parsed::of(measure) {
            Ok(parsed) => parsed?,
            Err(problem) => return Some(seen(Verdict::Fail, problem.cause().to_owned(), false)),
        };
        let mut notes = Vec::new();
        for (selector, must) in parsed.needs() {
            match look(target, ring, selector, must) {
                Ok(note) => notes.extend(note),
                Err(Lacking { why, absent }) => return Some(seen(Verdict::Fail, why, absent)),
            }
        }
        // A bucket that is not there will not be there in the night either.
        if let Parsed::Slower { than, buckets } = &parsed
            && let Err(wrong) = split(*than, buckets, target, ring)
        {
            return Some(seen(Verdict::Fail, wrong.why, false));
        }
        if notes.is_empty() {
            return Some(seen(Verdict::Pass, EVERYTHING.to_owned(), false));
        }
        let mut doubtful = seen(Verdict::Pass, notes.join("; "), false);
        doubtful.result.next = Some(NOTHING_YET.to_owned());
        Some(doubtful)
    }
}

impl Parsed {
    /// Each selector, and whether nothing can be said while it chooses no series.
    fn needs(&self) -> Vec<(&Selector, bool)> {
        match self {
            Parsed::Ratio { bad, total } | Parsed::BurnRate { bad, total, .. } => {
                vec![(bad, false), (total, true)]
            }
            Parsed::Slower { buckets, .. } | Parsed::Quantile { buckets, .. } => {
                vec![(buckets, true)]
            }
            Parsed::Increase { counter } => vec![(counter, false)],
            Parsed::Coincidence { left, right, .. } => vec![(left, false), (right, false)],
        }
    }
}

/// Why nothing can be said of a selector.
struct Lacking {
    why: String,
    absent: bool,
}

/// What is to be said of a selector on a target, or what is wrong.
fn look(
    target: &str,
    ring: &Ring,
    selector: &Selector,
    must: bool,
) -> Result<Option<String>, Lacking> {
    let absent = |why| Lacking { why, absent: true };
    if ring.known(selector).is_none() {
        let why = format!("{target} has no metric {}", selector.name);
        return Err(absent(why));
    }
    if !ring.chosen(selector).is_empty() {
        return Ok(None);
    }
    let named: Vec<_> = ring.named(&selector.name).collect();
    if named.is_empty() {
        return if must {
            Err(absent(no_match(target, ring, selector).why))
        } else {
            Ok(Some(format!("{selector} has no series yet")))
        };
    }
    let Some(label) = selector.unmet(&named) else {
        return Ok(Some(format!("no series matches all of {selector} yet")));
    };
    let values: BTreeSet<&str> = named
        .iter()
        .filter_map(|labels| labels.get(label).map(String::as_str))
        .collect();
    if values.is_empty() {
        let labels: BTreeSet<&str> = named
            .iter()
            .flat_map(|labels| labels.keys().map(String::as_str))
            .collect();
        // Labels come with a metric's name: more likely a mistake than a matter of time.
        return Err(Lacking {
            why: format!(
                "no series of {} has the label {label}; its labels: {}",
                selector.name,
                few(&labels)
            ),
            absent: false,
        });
    }
    let found = format!(
        "no series matches {selector}; {label} has: {}",
        few(&values)
    );
    match must {
        true => Err(absent(found)),
        false => Ok(Some(found)),
    }
}

fn few(all: &BTreeSet<&str>) -> String {
    let mut shown: Vec<&str> = all.iter().copied().take(FEW).collect();
    if all.len() > FEW {
        shown.push("…");
    }
    shown.join(", ")
}

/// Asks a question once. `others`: the same of the targets that are not baking, which shows
/// whether a query that found nothing looks past the baking ones.
pub async fn ask_once(
    asker: &Asker,
    name: &str,
    question: &Question,
    others: Option<&Question>,
    now: Timestamp,
) -> Preview {
    let about = match question.asked.names_targets() {
        true => question.targets.join(", "),
        false => String::new(),
    };
    let everything = match about.is_empty() {
        true => " (of everything: it does not name {{targets}})",
        false => "",
    };
    let said = asker.ask(question, now).await;
    let absent = matches!(said, Said::Empty(_));
    let (verdict, summary) = match said {
        Said::Number(value) => (Verdict::Pass, format!("{value} now{everything}")),
        Said::Share { bad, total } => (Verdict::Pass, format!("{bad} of {total} now")),
        Said::NoNumber(why) => (Verdict::Pass, format!("no number yet: {why}{everything}")),
        Said::Wrong(why) => (Verdict::Fail, why),
        Said::Silent(why) => (Verdict::Error, why),
        Said::Empty(why) => {
            let of_others = match others {
                Some(others) => Some(asker.ask(others, now).await),
                None => None,
            };
            match of_others {
                Some(Said::Number(_) | Said::Share { .. } | Said::NoNumber(_)) => (
                    Verdict::Fail,
                    format!("it has an answer for the other targets and not for these: {why}"),
                ),
                Some(Said::Empty(_) | Said::Wrong(_) | Said::Silent(_)) | None => {
                    (Verdict::Fail, why)
                }
            }
        }
    };
    Preview {
        result: result(name, &about, verdict, summary),
        absent,
    }
}

fn result(name: &str, subject: &str, verdict: Verdict, summary: String) -> CheckResult {
    CheckResult {
        name: name.to_owned(),
        subject: subject.to_owned(),
        verdict,
        summary,
        next: None,
        evidence: Vec::new(),
        duration: Duration::ZERO,
    }
}

//! What the events of a run are called when people are told of them.

use super::journal::Entry;
use super::machine::{Event, Found, State};
use super::person::claims;
use crate::check::logs::LogExcerpt;
use crate::runbook::plan::Plan;

/// As [`line`], with what the person behind it says of themselves.
pub fn line_of(entry: &Entry, plan: &Plan, state: &State) -> Option<String> {
    let text = line(&entry.record.event, plan, state)?;
    Some(match &entry.record.claim {
        Some(claim) => text + &claims(claim),
        None => text,
    })
}

/// What a person reads of an event, as it is: control characters of somebody else's text are still
/// in it. `state` is the one after it. `None` for what the progress of a bake shows anyway.
pub fn line(event: &Event, plan: &Plan, state: &State) -> Option<String> {
    let id = |at| state.outline.id(at).to_owned();
    let phase = |at: usize| plan.phases.get(at).map_or("?", |p| p.name.as_str());
    let text = match event {
        Event::Started { by, .. } => format!("run started by {by}"),
        Event::Driven { by } => format!("driven by {by}"),
        Event::ApprovalWanted { phase: at } => {
            let env = plan.phases.get(*at).map_or("?", |p| p.env.as_str());
            format!("phase {} wants an approval: {env}", phase(*at))
        }
        Event::Approved { phase: at, by, .. } => format!("phase {} approved by {by}", phase(*at)),
        Event::AnswerWanted { step } => format!("{} wants a person's answer", id(*step)),
        Event::Agreed { step, by, .. } => format!("{by} says yes to {}", id(*step)),
        Event::Replanned { by, outline, .. } => {
            let hash = outline.plan.get(..12).unwrap_or("?");
            format!("{by} has the run follow plan {hash} from here on")
        }
        Event::Checkpoint(_) | Event::Observed { .. } | Event::KitRefreshed { .. } => return None,
        Event::Intended { step, attempt } if *attempt > 1 => {
            format!("▸ {} (attempt {attempt})", id(*step))
        }
        Event::Intended { step, .. } => format!("▸ {}", id(*step)),
        Event::Succeeded {
            step, unconfirmed, ..
        } => match unconfirmed {
            None => format!("✓ {}", id(*step)),
            Some(why) => format!("? {} done, not confirmed: {why}", id(*step)),
        },
        Event::Failed {
            step,
            why,
            inconclusive,
            ..
        } => {
            let mark = if *inconclusive { "?" } else { "✗" };
            format!("{mark} {}: {why}", id(*step))
        }
        Event::InDoubt { step, why, .. } => format!("? {} is in doubt: {why}", id(*step)),
        Event::Probed {
            step, found, why, ..
        } => format!("{} probed: {} ({why})", id(*step), of_probe(*found)),
        Event::Triggered {
            id,
            why,
            rolls_back,
            ..
        } => {
            let then = if *rolls_back {
                "rolling back"
            } else {
                "pausing"
            };
            format!("TRIGGER  {id}: {why}; {then}")
        }
        Event::Paused { by, why } => format!("PAUSED by {by}: {why}"),
        Event::Resumed { by } => format!("resumed by {by}"),
        Event::RollbackStarted { why } => format!("ROLLING BACK  {why}"),
        Event::RolledBack => "rolled back".into(),
        Event::Stuck { step, why } => format!("STUCK at {}: {why}", id(*step)),
        Event::Completed => "completed".into(),
        Event::Aborted { by, why } => format!("aborted by {by}: {why}"),
        Event::Waived { by } => format!("what was due after the rollback is waived by {by}"),
        Event::Note { by, text } => format!("note by {by}: {text}"),
        Event::Logged { logs, .. } => logs.iter().map(log).collect::<Vec<_>>().join("; "),
    };
    Some(text)
}

/// What a log said, in a line.
fn log(said: &LogExcerpt) -> String {
    let LogExcerpt {
        target,
        source,
        why,
        matched,
        lines,
        request_ids,
    } = said;
    if let Some(why) = why {
        return format!("the log of {target} ({source}) could not be read: {why}");
    }
    let Some(newest) = lines.last() else {
        return format!("the log of {target} says nothing of trouble");
    };
    let requests = match request_ids.len() {
        0 => String::new(),
        1 => " and a request id".into(),
        n => format!(" and {n} request ids"),
    };
    let many = match matched {
        1 => "a line".into(),
        n => format!("{n} lines"),
    };
    format!(
        "the log of {target} has {many} of trouble{requests}; the newest: {}",
        newest.text
    )
}

/// What a probe found, in words.
pub const fn of_probe(found: Found) -> &'static str {
    match found {
        Found::Done => "it was done",
        Found::NotDone => "it was not done",
        Found::Unknown => "nobody can tell",
    }
}

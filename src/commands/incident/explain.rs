use std::fmt::{self, Write as _};
use std::path::PathBuf;

use clap::Args;
use serde::Serialize;

use crate::commands::Context;
use crate::error::{Exit, Result};
use crate::incident::explain::{Decision, Explanation, Happened, Revoked, Thing, explain};
use crate::runtime::decisions::IdKey;
use crate::ui::{Report, Screen, Tone, printable};

#[derive(Debug, Args)]
#[command(after_help = "\
Reads the decision log, the events, the key versions and the revocations, in one read-only
transaction; the role security_auditor may do that. Whatever the data holds, no control character
of it reaches the terminal.

Exit status: 0 explained, 5 something does not fit together (a revoked token that was allowed),
6 nothing is recorded under this id, which proves nothing.

Example:
  dbctl --env production incident explain 019b2c5e-7d3a-7cc1-9f0e-2d7f1c0e8a11
  dbctl incident explain req-17 --format json | jq '.decisions[].why'")]
pub struct ExplainArgs {
    /// Id of the request: the x-request-id of the answer, or from the service's log
    #[arg(value_name = "REQUEST_ID")]
    request_id: String,

    /// File with the key that the service hides ids with (its SERVICE_DECISION_ID_KEY_FILE): what is
    /// hidden is looked for among all revocations
    #[arg(long, value_name = "FILE")]
    id_key_file: Option<PathBuf>,
}

/// `dbctl.incident.explain/1`.
#[derive(Serialize)]
struct Explained {
    database: String,
    /// `explained`, `odd` or `not-recorded`.
    outcome: &'static str,
    #[serde(flatten)]
    explanation: Explanation,
}

pub async fn run(args: ExplainArgs, context: &Context) -> Result<Exit> {
    let key = args.id_key_file.as_deref();
    let key = key.map(IdKey::from_file).transpose()?;
    let (database, _) = context.database()?;
    database.check().await?;
    let explanation = explain(&database, &args.request_id, key.as_ref()).await?;
    let (outcome, exit) = if explanation.is_empty() {
        ("not-recorded", Exit::Inconclusive)
    } else if explanation.is_odd() {
        ("odd", Exit::Findings)
    } else {
        ("explained", Exit::Ok)
    };
    context.ui.report(&Explained {
        database: database.to_string(),
        outcome,
        explanation,
    })?;
    Ok(exit)
}

impl Report for Explained {
    const SCHEMA: &'static str = "dbctl.incident.explain/1";

    fn human(&self, out: &mut Screen) -> fmt::Result {
        let e = &self.explanation;
        if e.is_empty() {
            writeln!(
                out,
                "nothing is recorded about the request {}",
                printable(&e.request_id)
            )?;
            out.wrapped(
                2,
                "That proves nothing: the instance may have run in memory mode, its decision log may \
                 have been lost (decision_log_lost in its log), or the month is no longer kept. \
                 Look for the id in the logs of the instances.",
            )?;
            return out.wrapped(2, "next: dbctl incident export DIR collects them");
        }
        writeln!(
            out,
            "request {}",
            out.tone(Tone::Strong, printable(&e.request_id))
        )?;
        for decision in &e.decisions {
            self::decision(out, decision)?;
        }
        if e.decisions.is_empty() {
            out.wrapped(2, "no decision of it is recorded, only what it did:")?;
        }
        for event in &e.events {
            happened(out, event)?;
        }
        Ok(())
    }
}

fn decision(out: &mut Screen, d: &Decision) -> fmt::Result {
    let (tone, word) = match d.allow {
        true => (Tone::Good, "ALLOWED"),
        false => (Tone::Bad, "DENIED"),
    };
    let word = out.tone(tone, word);
    let who = match d.subject.as_str() {
        "" => "somebody".to_owned(),
        subject => printable(subject),
    };
    let resource = d
        .resource
        .as_deref()
        .map(|r| format!(" on {}", printable(r)));
    writeln!(out)?;
    writeln!(
        out,
        "  {word}  {who}: {}{}",
        printable(&d.action),
        resource.unwrap_or_default()
    )?;
    out.wrapped(4, &printable(&format!("because {}", d.why)))?;
    for odd in &d.odd {
        out.hanging("    ODD: ", &printable(odd))?;
    }
    writeln!(out)?;
    fact(
        out,
        "decided",
        &format!("{} by {} ({})", time(d.at), d.instance, d.reason_code),
    )?;
    match (&d.key, &d.kid) {
        (Some(key), kid) => {
            let until = key
                .valid_until
                .map_or_else(String::new, |u| format!(" until {}", time(u)));
            fact(
                out,
                "key",
                &format!(
                    "{} version {}, {} now, valid from {}{until}, kid {}",
                    key.key_id,
                    key.version,
                    key.state,
                    time(key.valid_from),
                    kid.as_deref().unwrap_or("?")
                ),
            )?;
        }
        (None, Some(kid)) => fact(out, "key", &format!("kid {kid}, of no version here"))?,
        (None, None) => fact(out, "key", "it did not come to that")?,
    }
    thing(out, "token", d.token.as_ref())?;
    thing(out, "session", d.session.as_ref())
}

fn thing(out: &mut Screen, what: &str, thing: Option<&Thing>) -> fmt::Result {
    let Some(thing) = thing else {
        return Ok(());
    };
    let mut text = thing.id.clone();
    if let Some(issued) = &thing.issued {
        text += &format!(
            ", issued {} by {} in request {}",
            time(issued.at),
            issued.instance,
            issued.request_id
        );
    }
    text += &match (&thing.revoked, &thing.revoked_by_event) {
        (Some(row), _) => format!(", {}", revoked(row)),
        (None, Some(event)) => format!(
            ", revoked {} in request {}; {}",
            time(event.at),
            event.request_id,
            thing.not_followed.as_deref().unwrap_or("its row is gone")
        ),
        (None, None) => match &thing.not_followed {
            Some(why) => format!(", not known to be revoked: {why}"),
            None => ", not revoked".to_owned(),
        },
    };
    fact(out, what, &text)
}

fn revoked(row: &Revoked) -> String {
    let mut text = format!("revoked {}", time(row.at));
    for (word, value) in [
        (" by ", &row.by),
        (": ", &row.reason),
        (" in request ", &row.request_id),
    ] {
        if let Some(value) = value {
            text += word;
            text += value;
        }
    }
    text + &format!(", kept until {}", time(row.until))
}

fn happened(out: &mut Screen, event: &Happened) -> fmt::Result {
    let mut text = format!("{} by {}", event.kind, event.instance);
    if let Some(subject) = &event.subject_id {
        text += &format!(": {subject}");
    }
    if event.detail.as_object().is_some_and(|d| !d.is_empty()) {
        text += &format!(" {}", event.detail);
    }
    writeln!(out)?;
    fact(out, "event", &format!("{} {text}", time(event.at)))
}

fn fact(out: &mut Screen, what: &str, text: &str) -> fmt::Result {
    out.hanging(&format!("    {what:<9}"), &printable(text))
}

fn time(at: jiff::Timestamp) -> String {
    at.strftime("%F %T%.3f UTC").to_string()
}

//! The last screen: a timeline, what was proven, and where to look closer.

use std::fmt::{self, Write as _};
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::autopilot::Moment;
use crate::demo::record::Summary;
use crate::error::Result;
use crate::rollout::engine::{Ending, replay};
use crate::rollout::journal::{Entry, RunId};
use crate::rollout::machine::{Event, Part};
use crate::runbook::model::StepKind;
use crate::runbook::plan::{Plan, Planned};
use crate::ui::{Report, Screen, Tone, clock_time};

/// One run as the journal tells it.
#[derive(Debug, Serialize)]
pub struct Act {
    pub run: RunId,
    #[serde(skip)]
    pub ending: Ending,
    pub exit_code: u8,
    pub timeline: Vec<Moment>,
    pub events: usize,
    /// From the event of the trigger that fired, or of the gate that failed, to the event that all
    /// toggles are set back, in milliseconds.
    pub trigger_to_toggles_ms: Option<u64>,
    /// From the same event to authentication working again, in milliseconds.
    pub trigger_to_recovery_ms: Option<u64>,
}

impl Act {
    /// `entries` were read back from the journal, with the chain checked; replaying them must
    /// give the run that was just driven.
    pub fn new(
        run: RunId,
        ending: Ending,
        timeline: Vec<Moment>,
        entries: &[Entry],
        plan: &Plan,
    ) -> Result<Self> {
        replay(entries)?;
        let is_bake =
            |p: Option<&Planned>| p.is_some_and(|p| matches!(p.step.kind, StepKind::Bake { .. }));
        let seen = at(entries, |e| {
            matches!(e, Event::Triggered { .. })
                || matches!(e, Event::Failed { step, .. } if step.part == Part::Forward
                    && is_bake(plan.forward.get(step.index)))
        });
        let since = |done: Option<u64>| Some(done?.saturating_sub(seen?));
        let step_done = |wanted: fn(&StepKind) -> bool| {
            at(entries, |e| {
                matches!(e, Event::Succeeded { step, .. } if step.part == Part::Rollback
                    && plan.rollback.get(step.index).is_some_and(|p| wanted(&p.step.kind)))
            })
        };
        Ok(Self {
            run,
            exit_code: ending.exit() as u8,
            ending,
            timeline,
            events: entries.len(),
            trigger_to_toggles_ms: since(step_done(|k| matches!(k, StepKind::Toggles { .. }))),
            trigger_to_recovery_ms: since(step_done(|k| matches!(k, StepKind::Recover { .. }))),
        })
    }
}

fn at(entries: &[Entry], wanted: impl Fn(&Event) -> bool) -> Option<u64> {
    let found = entries.iter().find(|e| wanted(&e.record.event));
    found.map(|e| e.record.at_ms)
}

/// Everything that the demo says at its end.
#[derive(Debug, Serialize)]
pub struct Finale {
    acts: Vec<Act>,
    traffic: Summary,
    rows_lost: i64,
    settings: PathBuf,
    holds: bool,
}

impl Finale {
    pub fn new(acts: Vec<Act>, traffic: Summary, rows_lost: i64, settings: &Path) -> Self {
        let endings: Vec<&Ending> = acts.iter().map(|a| &a.ending).collect();
        let as_played = endings == [&Ending::Completed, &Ending::RolledBack]
            && acts.iter().any(|a| a.trigger_to_recovery_ms.is_some());
        Self {
            holds: as_played && traffic.holds() && rows_lost == 0,
            acts,
            traffic,
            rows_lost,
            settings: settings.to_owned(),
        }
    }

    /// Whether all of it held.
    pub fn holds(&self) -> bool {
        self.holds
    }

    fn proven(&self) -> Vec<(String, String)> {
        let t = &self.traffic;
        let total = t.revoked_total();
        let mut lines = vec![
            (
                "revoked tokens and sessions denied to the end".into(),
                format!("{} of {total}", t.revoked.held),
            ),
            (
                "  denials seen before / during / after".into(),
                format!(
                    "{} / {} / {}",
                    t.revoked.denied_before, t.revoked.denied_during, t.revoked.denied_after
                ),
            ),
            (
                "  revoked, and allowed once more".into(),
                t.revoked.allowed.to_string(),
            ),
            ("nonces handed out".into(), t.nonces.to_string()),
            ("  used twice".into(), t.nonces_twice.to_string()),
            (
                "live tokens that nobody could verify (gaps)".into(),
                t.gaps.to_string(),
            ),
            (
                "live tokens denied for another reason".into(),
                t.wrongly_denied.to_string(),
            ),
            (
                "rows that Postgres lost in the rollback".into(),
                self.rows_lost.to_string(),
            ),
        ];
        for act in &self.acts {
            if let Some(ms) = act.trigger_to_toggles_ms {
                lines.push(("harm seen → toggles flipped".into(), seconds(ms)));
            }
            if let Some(ms) = act.trigger_to_recovery_ms {
                lines.push(("harm seen → authentication works again".into(), seconds(ms)));
            }
        }
        lines.push((
            "not answered (restarts, fences, the fault); tried again".into(),
            t.unavailable_total().to_string(),
        ));
        lines
    }
}

fn seconds(ms: u64) -> String {
    format!("{}.{:03} s", ms / 1000, ms % 1000)
}

impl Report for Finale {
    const SCHEMA: &'static str = "dbctl.demo/1";

    fn human(&self, out: &mut Screen) -> fmt::Result {
        for (index, act) in self.acts.iter().enumerate() {
            let head = format!(
                "Act {} · run {} · {} events",
                index + 1,
                act.run,
                act.events
            );
            let head = out.tone(Tone::Strong, head);
            writeln!(out, "\n{head}")?;
            for moment in &act.timeline {
                out.wrapped(2, &format!("{} {}", clock_time(moment.at_ms), moment.text))?;
            }
        }
        let head = format!(
            "What was proven, from the traffic's own record ({} requests)",
            self.traffic.requests
        );
        let head = out.tone(Tone::Strong, head);
        writeln!(out, "\n{head}")?;
        for (what, value) in self.proven() {
            writeln!(out, "  {what:<57} {value:>14}")?;
        }
        for detail in &self.traffic.details {
            out.wrapped(2, &format!("! {}", crate::ui::printable(detail)))?;
        }
        let verdict = if self.holds {
            out.tone(Tone::Good, "All of it held.")
        } else {
            out.tone(Tone::Bad, "NOT all of it held.")
        };
        writeln!(out, "{verdict}")?;
        if let Some(act) = self.acts.last() {
            let settings = self.settings.display();
            writeln!(out, "Look closer:")?;
            writeln!(
                out,
                "  dbctl --config {settings} rollout log --run {}",
                act.run
            )?;
            writeln!(out, "  dbctl --config {settings} rollout status")?;
        }
        Ok(())
    }
}

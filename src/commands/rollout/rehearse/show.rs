//! What a rehearsal is about to do, and what it came to.

use std::fmt::{self, Write as _};

use serde::Serialize;

use crate::check::Verdict;
use crate::rollout::rehearsal::{Case, Record, Way};
use crate::runbook::model::StepKind;
use crate::runbook::plan::Plan;
use crate::ui::{Report, Screen, Ui, duration, printable, table};

/// What is confirmed by typing the environment's name.
pub fn facts(plan: &Plan, env: &str, ui: &Ui) -> String {
    let mut screen = ui.status_screen();
    let written = (|| {
        writeln!(screen, "{}", printable(&plan.title))?;
        let runs = plan.forward.len() + 1;
        let text = format!(
            "{runs} runs in {env}, each forwards and back: the services there are switched and \
             restarted, and nothing else is touched"
        );
        screen.hanging("  ", &text)?;
        for planned in &plan.forward {
            super::super::plan::step(&mut screen, planned)?;
        }
        let asked: Vec<&str> = plan
            .forward
            .iter()
            .chain(&plan.afterwards)
            .filter_map(|p| match &p.step.kind {
                StepKind::Confirm { question } => Some(question.as_str()),
                StepKind::Approve { .. } => Some(p.step.heading.as_str()),
                _ => None,
            })
            .collect();
        for question in asked {
            screen.hanging("  yes, each time: ", &printable(question))?;
        }
        screen.hanging(
            "  not undone: ",
            "migrations, seeded keys, rows, skipped nonces",
        )
    })();
    written.expect("writing to a string cannot fail");
    screen.into_string()
}

#[derive(Serialize)]
pub struct Shown<'a> {
    #[serde(skip)]
    pub steps: usize,
    pub file: String,
    pub record: &'a Record,
}

impl Report for Shown<'_> {
    const SCHEMA: &'static str = "dbctl.rollout.rehearse/1";

    fn human(&self, out: &mut Screen) -> fmt::Result {
        let ms = |ms: &Option<u64>| {
            ms.map_or_else(
                || "-".to_owned(),
                |ms| duration(std::time::Duration::from_millis(ms)),
            )
        };
        let row = |case: &Case| {
            let way = match case.way {
                Way::Abort => "ended",
                Way::Rollback => "rolled back",
                Way::Whole => "all of it",
            };
            [
                case.step.clone(),
                way.to_owned(),
                ms(&Some(case.forward_ms)),
                ms(&case.back_ms),
                ms(&case.recovered_ms),
                case.verdict.to_string(),
            ]
        };
        let header = [
            "forwards to",
            "then",
            "took",
            "back",
            "as before",
            "verdict",
        ];
        let rows = self.record.cases.iter().map(row);
        let text = table(out, &header, rows);
        writeln!(out, "{}", text.trim_end())?;
        for case in &self.record.cases {
            if let Some(why) = &case.why {
                out.hanging(&format!("  {}: ", case.step), &printable(why))?;
            }
        }
        let done = self.record.cases.len();
        let text = match self.record.verdict {
            Some(Verdict::Pass) => format!(
                "REHEARSED {}: {done} ways, each as it should be",
                self.record.env
            ),
            Some(Verdict::Fail | Verdict::Inconclusive | Verdict::Error) => {
                format!(
                    "NOT REHEARSED {}: the last way did not pass",
                    self.record.env
                )
            }
            None => format!("not finished: {done} of {} ways", self.steps + 1),
        };
        writeln!(out, "{text}")?;
        out.hanging("  record ", &self.file)
    }
}

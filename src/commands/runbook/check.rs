//! `dbctl runbook check FILE`

use std::fmt::{self, Write as _};
use std::path::PathBuf;

use clap::Args;
use serde::Serialize;

use super::super::Context;
use crate::error::{Exit, Result};
use crate::runbook::describe;
use crate::runbook::model::{Criterion, Gate, Query, Runbook, Step, Trigger};
use crate::ui::{Report, Screen, Tone, printable, table};

#[derive(Debug, Args)]
#[command(
    after_help = "Exit status 0: no mistakes. 3: mistakes, all of them shown.\n\nExample:\n  dbctl runbook check runbooks/phase-1-postgres-cutover.md\n"
)]
pub struct CheckArgs {
    /// The runbook, a Markdown file
    #[arg(value_name = "FILE")]
    file: PathBuf,
}

pub fn run(args: &CheckArgs, context: &Context) -> Result<Exit> {
    let runbook = crate::runbook::load(&args.file)?;
    context.ui.report(&Checked::new(&runbook))?;
    Ok(Exit::Ok)
}

/// What a runbook binds.
#[derive(Serialize)]
struct Checked<'a> {
    name: &'a str,
    path: String,
    title: &'a str,
    mistakes: usize,
    steps: &'a [Step],
    rollback: &'a [Step],
    afterwards: &'a [Step],
    gates: &'a [Gate],
    triggers: &'a [Trigger],
    queries: &'a [Query],
    criteria: &'a [Criterion],
}

impl<'a> Checked<'a> {
    fn new(runbook: &'a Runbook) -> Self {
        Self {
            name: &runbook.name,
            path: runbook.path.display().to_string(),
            title: &runbook.title,
            // A runbook with mistakes is an error and never comes here.
            mistakes: 0,
            steps: &runbook.steps,
            rollback: &runbook.rollback,
            afterwards: &runbook.afterwards,
            gates: &runbook.gates,
            triggers: &runbook.triggers,
            queries: &runbook.queries,
            criteria: &runbook.criteria,
        }
    }

    /// The phases in order, with their steps.
    fn phases(&self) -> Vec<(&'a str, &'a [Step])> {
        self.steps
            .chunk_by(|a, b| a.phase == b.phase)
            .map(|steps| (steps[0].phase.as_str(), steps))
            .collect()
    }

    fn last_line(&self) -> String {
        let count = |n: usize, one: &str, many: &str| match n {
            1 => format!("1 {one}"),
            n => format!("{n} {many}"),
        };
        let queries = count(self.queries.len(), "query", "queries");
        if self.steps.is_empty() {
            return format!("no mistakes: {queries}, nothing to roll out");
        }
        format!(
            "no mistakes: {} in {}, {} back, {}, {}, {queries}, {}",
            count(self.steps.len(), "step", "steps"),
            count(self.phases().len(), "phase", "phases"),
            self.rollback.len(),
            count(self.gates.len(), "gate", "gates"),
            count(self.triggers.len(), "trigger", "triggers"),
            count(self.criteria.len(), "criterion", "criteria"),
        )
    }
}

impl Report for Checked<'_> {
    const SCHEMA: &'static str = "dbctl.runbook.check/1";

    fn human(&self, out: &mut Screen) -> fmt::Result {
        let title = out.tone(Tone::Strong, printable(self.title));
        writeln!(out, "{title}")?;
        writeln!(out, "{}\n", printable(&self.path))?;
        for (phase, steps) in self.phases() {
            section(out, &format!("phase {phase} · {}", steps[0].env), steps)?;
        }
        section(
            out,
            "rollback · wherever the run has switched something",
            self.rollback,
        )?;
        section(out, "afterwards · before another attempt", self.afterwards)?;
        let lines = |rows: Vec<[String; 2]>, heading: &str, out: &mut Screen| -> fmt::Result {
            if rows.is_empty() {
                return Ok(());
            }
            rows_under(out, heading, rows.into_iter())
        };
        lines(
            rows(self.gates, |g| (&g.id, describe::gate(g))),
            "gates",
            out,
        )?;
        lines(
            rows(self.triggers, |t| (&t.id, describe::trigger(t))),
            "triggers",
            out,
        )?;
        lines(
            rows(self.queries, |q| (&q.name, describe::expect(&q.expect))),
            "queries",
            out,
        )?;
        lines(
            rows(self.criteria, |c| (&c.id, describe::proof(&c.proof))),
            "criteria",
            out,
        )?;
        out.hanging("", &self.last_line())
    }
}

fn rows<T>(items: &[T], row: impl Fn(&T) -> (&String, String)) -> Vec<[String; 2]> {
    let pair = |item| {
        let (name, text) = row(item);
        [format!("  {name}"), text]
    };
    items.iter().map(pair).collect()
}

fn rows_under<const N: usize>(
    out: &mut Screen,
    heading: &str,
    rows: impl Iterator<Item = [String; N]>,
) -> fmt::Result {
    let heading = out.tone(Tone::Strong, heading);
    let text = table(out, &[""; N], rows);
    // The heading stands over all columns, not over the first one.
    let rows = text.split_once('\n').map_or("", |(_, rows)| rows);
    writeln!(out, "{heading}\n{rows}")
}

fn section(out: &mut Screen, heading: &str, steps: &[Step]) -> fmt::Result {
    if steps.is_empty() {
        return Ok(());
    }
    let rows = steps.iter().map(|s| {
        [
            format!("  {}", s.id),
            s.kind.name().to_owned(),
            describe::step(&s.kind),
        ]
    });
    rows_under(out, heading, rows)
}

use std::fmt::{self, Write as _};
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use serde::Serialize;

use super::Context;
use crate::check::Verdict;
use crate::check::queries::{self, Options, QueryResult};
use crate::error::{Exit, Problem, Result};
use crate::runbook::model::{Query, Runbook};
use crate::ui::{Explain, Report, Screen, printable, table};

#[derive(Debug, Args)]
#[command(after_help = "\
Without --runbook, the queries are those of `runbook.path` in the settings file, else of the
runbook that dbctl carries. Any Markdown file works: each ```sql fence is a query, named after
the text before it. Every query runs in a READ ONLY transaction of its own.

Exit status: 0 all as expected, 5 an expectation fails, 6 one could not be judged (no rows),
4 a query could not be run.

Example:
  dbctl verify --env staging
  dbctl verify revoked-tokens --csv > revoked.csv
  dbctl verify --runbook docs/checks.md --format json")]
pub struct VerifyArgs {
    /// Queries by name; all of them without any
    #[arg(value_name = "QUERY")]
    queries: Vec<String>,

    /// Markdown file with the queries
    #[arg(long, value_name = "FILE")]
    runbook: Option<PathBuf>,

    /// Write the rows of one query as CSV; NULL is an empty field, an empty text is ""
    #[arg(long)]
    csv: bool,

    /// The longest time that a statement may take
    #[arg(long, value_name = "DURATION", default_value = "30s", value_parser = crate::settings::parse_duration)]
    timeout: Duration,

    /// Show at most so many rows of a query; expectations see all of them [default: 1000, as CSV all]
    #[arg(long, value_name = "N")]
    max_rows: Option<usize>,
}

pub async fn run(args: VerifyArgs, context: &Context) -> Result<Exit> {
    let configured = context.settings.config.runbook.path.as_ref();
    let runbook = match args.runbook.as_ref().or(configured) {
        Some(file) => crate::runbook::load(file)?,
        None => crate::runbook::built_in()?,
    };
    let chosen = choose(&runbook, &args.queries)?;
    if args.csv && chosen.len() != 1 {
        return Err(Problem::new(
            Exit::Usage,
            "writing CSV",
            format!(
                "there are {} queries, and each has columns of its own",
                chosen.len()
            ),
        )
        .next(format!("name one: dbctl verify {} --csv", chosen[0].name)));
    }
    let (database, environment) = context.database()?;
    database.check().await?;
    let journal = &context.settings.config.journal.path;
    let options = Options {
        timeout: args.timeout,
        max_rows: args.max_rows.or((!args.csv).then_some(1000)),
        looks: Some(
            crate::durable::parent(journal)
                .join("verify")
                .join(format!("{}.json", runbook.name)),
        ),
        document: runbook.path.display().to_string(),
    };
    let results = queries::run(&database, &chosen, &options).await;
    let verdict = Verdict::worst(results.iter().map(|r| r.check.verdict));
    let report = Verified {
        runbook: runbook.name,
        database: database.to_string(),
        environment: environment.map(|e| e.name.clone()),
        verdict,
        queries: results,
    };
    if args.csv {
        csv(context, &report)?;
    } else {
        context.ui.report(&report)?;
    }
    Ok(verdict.exit())
}

/// The queries of these names, in their order; all of the document without names.
fn choose(runbook: &Runbook, names: &[String]) -> Result<Vec<Query>> {
    let doing = || format!("choosing queries of {}", runbook.path.display());
    if runbook.queries.is_empty() {
        return Err(Problem::new(Exit::Config, doing(), "it has no queries")
            .next("a query is a fenced block that is marked `sql`"));
    }
    if names.is_empty() {
        return Ok(runbook.queries.clone());
    }
    let known = || {
        let names: Vec<&str> = runbook.queries.iter().map(|q| q.name.as_str()).collect();
        names.join(", ")
    };
    names
        .iter()
        .map(|name| {
            let found = runbook.queries.iter().find(|q| q.name == *name);
            found.cloned().ok_or_else(|| {
                let cause = format!("no query is called `{}`", name.escape_debug());
                Problem::new(Exit::Usage, doing(), cause).next(format!("known: {}", known()))
            })
        })
        .collect()
}

#[derive(Debug, Serialize)]
struct Verified {
    runbook: String,
    database: String,
    environment: Option<String>,
    verdict: Verdict,
    queries: Vec<QueryResult>,
}

impl Report for Verified {
    const SCHEMA: &'static str = "dbctl.verify/1";

    fn human(&self, out: &mut Screen) -> fmt::Result {
        for query in &self.queries {
            out.checks(std::slice::from_ref(&query.check), Explain::All)?;
            if !query.columns.is_empty() {
                rows(out, query)?;
            }
            writeln!(out)?;
        }
        let count = |verdict| {
            let n = self
                .queries
                .iter()
                .filter(|q| q.check.verdict == verdict)
                .count();
            (n > 0).then(|| format!("{n} {verdict}"))
        };
        let counts: Vec<String> = Verdict::ALL.into_iter().filter_map(count).collect();
        let wherein = match &self.environment {
            Some(name) => format!("{name}, {}", self.database),
            None => self.database.clone(),
        };
        writeln!(out, "{} · {}", counts.join(", "), printable(&wherein))
    }
}

/// How far the rows stand in, under the query that they are of.
const INDENT: usize = 6;

fn rows(out: &mut Screen, query: &QueryResult) -> fmt::Result {
    let header: Vec<String> = query.columns.iter().map(|c| printable(&c.name)).collect();
    let header: Vec<&str> = header.iter().map(String::as_str).collect();
    let cell = |value: &Option<String>| value.clone().unwrap_or_else(|| "NULL".into());
    let rows = query.rows.iter().map(|row| row.iter().map(cell));
    // These columns go to the indentation.
    let narrower = Screen::new(false, out.width() - INDENT);
    let text = table(&narrower, &header, rows);
    writeln!(out)?;
    for line in text.lines() {
        writeln!(out, "{:INDENT$}{line}", "")?;
    }
    if query.truncated {
        writeln!(out, "{:INDENT$}… and more; --max-rows shows them", "")?;
    }
    Ok(())
}

/// RFC 4180, and as Postgres's COPY reads it: NULL is an empty field, an empty text is quoted.
fn csv(context: &Context, report: &Verified) -> Result<()> {
    let [query] = &report.queries[..] else {
        return Ok(());
    };
    let line = |fields: Vec<String>| fields.join(",") + "\r\n";
    let quoted = |text: &String| {
        let plain = !text.is_empty()
            && !text.contains([',', '"', '\n', '\r'])
            && !text.starts_with([' ', '\t'])
            && !text.ends_with([' ', '\t'])
            && text != "\\.";
        if plain {
            text.clone()
        } else {
            format!("\"{}\"", text.replace('"', "\"\""))
        }
    };
    let mut text = String::new();
    if !query.columns.is_empty() {
        text += &line(query.columns.iter().map(|c| quoted(&c.name)).collect());
    }
    for row in &query.rows {
        let field = |value: &Option<String>| value.as_ref().map(quoted).unwrap_or_default();
        text += &line(row.iter().map(field).collect());
    }
    context.ui.records(&text)?;
    let check = &query.check;
    context.ui.status(format_args!(
        "{}: {}: {}",
        check.name,
        check.verdict,
        printable(&check.summary)
    ));
    if let Some(next) = &check.next {
        context
            .ui
            .status(format_args!("  next: {}", printable(next)));
    }
    if query.truncated {
        context
            .ui
            .warn("there are more rows than --max-rows allows; the CSV holds the first ones");
    }
    Ok(())
}

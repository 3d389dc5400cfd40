//! A query of a database that gives one number, on the same guarded path as verification queries.

use std::time::Duration;

use super::{Fill, Said, each};
use crate::check::Verdict;
use crate::check::queries::{Options, run};
use crate::pg::Database;
use crate::runbook::model::{Expect, Position, Query, Wanted};

/// Types whose text is a number, as Postgres names them (without a precision).
const NUMBERS: [&str; 6] = [
    "smallint",
    "integer",
    "bigint",
    "numeric",
    "real",
    "double precision",
];

pub(super) async fn ask(
    database: &Database,
    wanted: &Wanted,
    targets: &[&str],
    fill: &Fill<'_>,
    timeout: Duration,
) -> Said {
    let literals = literals(targets);
    each(wanted, |query| {
        let query = fill(&query, &literals);
        async move {
            match query {
                Ok(query) => one(database, query, timeout).await,
                Err(why) => Said::Wrong(why),
            }
        }
    })
    .await
}

/// Names as string literals: `IN ({{targets}})`.
pub(super) fn literals(targets: &[&str]) -> String {
    let literal = |name: &&str| format!("'{}'", name.replace('\'', "''"));
    targets.iter().map(literal).collect::<Vec<_>>().join(", ")
}

async fn one(database: &Database, sql: String, timeout: Duration) -> Said {
    let query = Query {
        name: "measure".into(),
        heading: String::new(),
        sql,
        expect: Expect::default(),
        at: Position {
            offset: 0,
            line: 1,
            column: 1,
        },
    };
    let options = Options {
        timeout,
        max_rows: Some(2),
        ..Options::default()
    };
    let results = run(database, std::slice::from_ref(&query), &options).await;
    let Some(result) = results.into_iter().next() else {
        return Said::Silent("it was not asked".into());
    };
    if result.check.verdict != Verdict::Pass {
        return Said::Silent(result.check.summary);
    }
    let columns = result.columns.len();
    match result.rows.as_slice() {
        [] => Said::NoNumber("no row".into()),
        [one] => match one.as_slice() {
            [Some(text)] => {
                let kind = &result.columns[0].r#type;
                let plain = kind.split('(').next().unwrap_or_default();
                match text.parse::<f64>() {
                    Ok(value) if NUMBERS.contains(&plain) => Said::number(value),
                    Ok(_) | Err(_) => Said::Wrong(format!("its column is {kind}, not a number")),
                }
            }
            [None] => Said::NoNumber("it is NULL".into()),
            _ => Said::Wrong(format!("{columns} columns and not one")),
        },
        [one, two, ..] => {
            let shown = |row: &Vec<Option<String>>| {
                let first = row.first().and_then(Option::as_deref).unwrap_or("NULL");
                first.chars().take(40).collect::<String>()
            };
            Said::Wrong(format!(
                "several rows and not one: {}, {} …",
                shown(one),
                shown(two)
            ))
        }
    }
}

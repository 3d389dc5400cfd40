//! Verification queries: run read-only, shown as Postgres writes their values, and judged by
//! what the runbook expects of them.
//!
//! Each query runs in a transaction of its own, `REPEATABLE READ, READ ONLY`, so that its rows
//! and its expectations see the same data and nothing can be changed. The rows come through a
//! cursor, which takes nothing but a query, in Postgres's text format, so that every type can be
//! shown. No statement is prepared by name: that would not survive a transaction pooler.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use futures_util::TryStreamExt;
use serde::Serialize;
use sqlx::postgres::{PgDatabaseError, PgErrorPosition, PgRow, Postgres};
use sqlx::{AssertSqlSafe, Column as _, Row as _, SqlSafeStr as _, Transaction, ValueRef as _};

use super::expectations::{self, Judged};
use super::looks::Looks;
use super::{CheckResult, Evidence, Verdict};
use crate::pg::{self, Database};
use crate::runbook::model::{Position, Query};
use crate::runbook::sql::{self, Form, Statement};

/// How queries are run.
#[derive(Debug, Clone)]
pub struct Options {
    /// The longest time that one statement may take on the server.
    pub timeout: Duration,
    /// How many rows of a query are brought along; all of them without it. Expectations always
    /// see all rows.
    pub max_rows: Option<usize>,
    /// Where the last looks are kept, for columns that may only grow.
    pub looks: Option<PathBuf>,
    /// The runbook's file, for messages.
    pub document: String,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            timeout: Duration::from_secs(30),
            max_rows: Some(1000),
            looks: None,
            document: String::new(),
        }
    }
}

/// What came of one query.
#[derive(Debug, Clone, Serialize)]
pub struct QueryResult {
    #[serde(flatten)]
    pub check: CheckResult,
    pub columns: Vec<Column>,
    /// In the order of the query; a value is text as Postgres writes it, `None` is NULL.
    pub rows: Vec<Vec<Option<String>>>,
    /// There are more rows than were brought along.
    pub truncated: bool,
}

/// A column as the query names it; names may repeat.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Column {
    pub name: String,
    /// Postgres's name for its type, such as `timestamp with time zone`.
    pub r#type: String,
}

/// Runs queries one after the other. One that cannot be run is an error of its own and does not
/// hold up the others.
pub async fn run(db: &Database, queries: &[Query], options: &Options) -> Vec<QueryResult> {
    let mut looks = Remembered::open(options, queries);
    let mut results = Vec::with_capacity(queries.len());
    let db = &db.one_at_a_time();
    // Connecting is not what the first query takes. Where it fails, each of them says so.
    if let Ok(connected) = db.begin().await {
        let _ = connected.rollback().await;
    }
    for query in queries {
        let started = Instant::now();
        // The server ends what takes too long; this is for a server that no longer answers.
        let limit = options.timeout + Duration::from_secs(5);
        let looked = look(db, query, options, &mut looks);
        let mut result = match tokio::time::timeout(limit, looked).await {
            Ok(Ok(result)) => result,
            Ok(Err(failure)) => failure.into_result(query, options),
            Err(_) => Failure::new("the server did not answer in time")
                .next("is it reachable and not overloaded? --timeout allows more time")
                .into_result(query, options),
        };
        result.check.duration = started.elapsed();
        results.push(result);
    }
    if let Err(problem) = looks.save() {
        for (query, result) in queries.iter().zip(&mut results) {
            if query.expect.grows.is_some() {
                result.check.verdict = Verdict::worst([result.check.verdict, Verdict::Error]);
                result.check.summary = problem.to_string();
            }
        }
    }
    results
}

/// The last looks, or why they cannot be had.
pub(super) enum Remembered {
    Kept(Looks),
    Nowhere(String),
}

impl Remembered {
    fn open(options: &Options, queries: &[Query]) -> Self {
        if queries.iter().all(|q| q.expect.grows.is_none()) {
            return Remembered::Nowhere("no query needs a last look".into());
        }
        match &options.looks {
            Some(file) => match Looks::open(file) {
                Ok(looks) => Remembered::Kept(looks),
                Err(problem) => Remembered::Nowhere(match problem.hint() {
                    Some(hint) => format!("{problem}; {hint}"),
                    None => problem.to_string(),
                }),
            },
            None => Remembered::Nowhere("there is no place to keep it".into()),
        }
    }

    fn save(&mut self) -> crate::error::Result<()> {
        match self {
            Remembered::Kept(looks) => looks.save(),
            Remembered::Nowhere(_) => Ok(()),
        }
    }
}

/// Why a query gave no rows.
pub(super) struct Failure {
    summary: String,
    next: Option<String>,
    at: Option<Position>,
}

impl Failure {
    pub(super) fn new(summary: impl Into<String>) -> Self {
        Self {
            summary: summary.into(),
            next: None,
            at: None,
        }
    }

    pub(super) fn next(mut self, next: impl Into<String>) -> Self {
        self.next = Some(next.into());
        self
    }

    /// The server refused while it judged the expectation of this key. The place that it names
    /// is one in the expectation, not in the query.
    pub(super) fn of_expectation(mut self, key: &str) -> Self {
        self.summary = format!("{key}: {}", self.summary);
        self.at = None;
        self
    }

    /// What the server says, and where in the query.
    pub(super) fn of(error: &sqlx::Error, query: &Query, timeout: Duration) -> Self {
        let sqlx::Error::Database(e) = error else {
            let problem = crate::pg::problem("", error);
            return Self {
                summary: problem.cause().to_owned(),
                next: problem.hint().map(str::to_owned),
                at: None,
            };
        };
        let code = e.code().unwrap_or_default();
        let failure = match &*code {
            "57014" => Failure::new(format!(
                "it took longer than {} and was cancelled",
                crate::runbook::describe::words(timeout)
            ))
            .next("--timeout allows more time; EXPLAIN shows which index is missing"),
            "25006" => Failure::new(e.message())
                .next("a verification query only reads: nothing was changed"),
            "42501" | "42P01" | "3F000" | "53300" | "28000" | "28P01" => {
                let problem = crate::pg::problem("", error);
                Self {
                    summary: problem.cause().to_owned(),
                    next: problem.hint().map(str::to_owned),
                    at: None,
                }
            }
            code => {
                let failure = Failure::new(format!("{} (SQLSTATE {code})", e.message()));
                let hint = e
                    .try_downcast_ref::<PgDatabaseError>()
                    .and_then(|e| e.hint());
                match hint {
                    Some(hint) => failure.next(hint),
                    None => failure,
                }
            }
        };
        let position = e
            .try_downcast_ref::<PgDatabaseError>()
            .and_then(PgDatabaseError::position);
        match position {
            Some(PgErrorPosition::Original(at)) => Self {
                at: within(query, at),
                ..failure
            },
            Some(PgErrorPosition::Internal { .. }) | None => failure,
        }
    }

    fn into_result(self, query: &Query, options: &Options) -> QueryResult {
        QueryResult {
            check: self.into_check(query, options),
            columns: Vec::new(),
            rows: Vec::new(),
            truncated: false,
        }
    }

    fn into_check(self, query: &Query, options: &Options) -> CheckResult {
        let mut summary = self.summary;
        let mut evidence = Vec::new();
        if let Some(at) = self.at {
            summary = format!("{summary}, line {}, column {}", at.line, at.column);
            evidence.push(Evidence::new(
                "at",
                format_args!("{}:{}:{}", options.document, at.line, at.column),
            ));
        }
        CheckResult {
            name: query.name.clone(),
            subject: String::new(),
            verdict: Verdict::Error,
            summary,
            next: self.next,
            evidence,
            duration: Duration::ZERO,
        }
    }
}

/// The place in the document of a character of what was sent, counted from 1: [`DECLARE`] stands
/// in front of the query.
fn within(query: &Query, character: usize) -> Option<Position> {
    let text = sql::statement(&query.sql).ok()?.text;
    let skipped = character.checked_sub(1 + DECLARE.len())?;
    let (in_text, _) = text
        .char_indices()
        .nth(skipped)
        .or_else(|| (skipped == text.chars().count()).then_some((text.len(), ' ')))?;
    // `text` is a part of `sql`: what was cut off in front counts as well.
    let offset = text.as_ptr() as usize - query.sql.as_ptr() as usize + in_text;
    Some(place(query, offset))
}

/// The place in the document of a byte of the query.
pub fn place(query: &Query, offset: usize) -> Position {
    let before = &query.sql[..query.sql.floor_char_boundary(offset)];
    let line_start = before.rfind('\n').map_or(0, |i| i + 1);
    Position {
        offset: query.at.offset + offset,
        line: query.at.line + before.matches('\n').count(),
        // A fence in a list is indented, and all of its lines are.
        column: query.at.column + before[line_start..].chars().count(),
    }
}

const DECLARE: &str = "DECLARE dbctl_rows NO SCROLL CURSOR FOR ";

async fn look(
    db: &Database,
    query: &Query,
    options: &Options,
    looks: &mut Remembered,
) -> Result<QueryResult, Failure> {
    let statement = sql::statement(&query.sql).map_err(|flaw| Failure {
        summary: flaw.cause,
        next: Some(flaw.hint.to_owned()),
        at: Some(place(query, flaw.span.start)),
    })?;
    let failed = |e: sqlx::Error| Failure::of(&e, query, options.timeout);
    let mut tx = begin(db, options.timeout).await.map_err(failed)?;
    let (mut columns, rows, truncated) = match statement.form {
        Form::Rows => rows(&mut tx, &statement, options.max_rows).await,
        Form::Report => report(&mut tx, &statement).await,
    }
    .map_err(failed)?;
    name_types(&mut tx, &mut columns).await.map_err(failed)?;
    let columns: Vec<Column> = columns.into_iter().map(|(column, _)| column).collect();
    let seen = expectations::Seen {
        statement: &statement,
        columns: &columns,
        fetched: rows.len(),
        more: truncated,
    };
    let judged = expectations::judge(&mut tx, db, query, &seen, looks).await;
    let check = match judged {
        Ok(judged) => verdict(query, rows.len(), truncated, &judged),
        Err(why) => why
            .into_failure(query, options.timeout)
            .into_check(query, options),
    };
    // Nothing was written, and everything was read: how the transaction ends changes nothing.
    let _ = tx.rollback().await;
    Ok(QueryResult {
        check,
        columns,
        rows,
        truncated,
    })
}

/// Begins, with bounds that end with the transaction.
pub(crate) async fn begin(
    db: &Database,
    timeout: Duration,
) -> sqlx::Result<Transaction<'static, Postgres>> {
    let mut tx = db
        .begin_with("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
        .await?;
    let settings = format!(
        "SET LOCAL statement_timeout = {ms}; SET LOCAL lock_timeout = {ms}; \
         SET LOCAL TimeZone = 'UTC'; SET LOCAL DateStyle = 'ISO, YMD'; \
         SET LOCAL IntervalStyle = 'postgres'; SET LOCAL bytea_output = 'hex'",
        ms = timeout.as_millis().clamp(1, i32::MAX as u128)
    );
    sqlx::raw_sql(AssertSqlSafe(settings))
        .execute(&mut *tx)
        .await?;
    Ok(tx)
}

type Typed = (Column, Option<u32>);
type Fetched = (Vec<Typed>, Vec<Vec<Option<String>>>, bool);

/// The rows of a query through a cursor. The server refuses anything but one query: the
/// extended protocol takes one statement, and `DECLARE` one that only reads.
async fn rows(
    tx: &mut Transaction<'static, Postgres>,
    statement: &Statement<'_>,
    max_rows: Option<usize>,
) -> sqlx::Result<Fetched> {
    let declare = format!("{DECLARE}{}", statement.text);
    pg::query(AssertSqlSafe(declare)).execute(&mut **tx).await?;
    // One more than wanted tells whether there are more.
    let fetch = match max_rows {
        Some(max) => format!("FETCH FORWARD {} FROM dbctl_rows", max.saturating_add(1)),
        None => "FETCH ALL FROM dbctl_rows".to_owned(),
    };
    let (mut columns, mut rows) = (Vec::new(), Vec::new());
    // The simple protocol answers in text, whatever the type.
    let mut stream = sqlx::raw_sql(AssertSqlSafe(fetch)).fetch(&mut **tx);
    while let Some(row) = stream.try_next().await? {
        if rows.is_empty() {
            columns = typed(&row);
        }
        rows.push(values(&row)?);
    }
    drop(stream);
    let truncated = max_rows.is_some_and(|max| rows.len() > max);
    if truncated {
        rows.pop();
    }
    if rows.is_empty() && columns.is_empty() {
        columns = columns_of_none(tx, statement).await?;
    }
    Ok((columns, rows, truncated))
}

/// The columns of a query that has no rows: the driver tells columns only with a row, and an
/// outer join always has one.
async fn columns_of_none(
    tx: &mut Transaction<'static, Postgres>,
    statement: &Statement<'_>,
) -> sqlx::Result<Vec<Typed>> {
    let padded = format!(
        "SELECT q.* FROM (SELECT 1) AS one LEFT JOIN ({}\n) AS q ON true LIMIT 1",
        statement.text
    );
    let row = sqlx::raw_sql(AssertSqlSafe(padded))
        .fetch_optional(&mut **tx)
        .await?;
    Ok(row.as_ref().map(typed).unwrap_or_default())
}

/// `SHOW` and `EXPLAIN` answer with columns whose binary form is their text.
async fn report(
    tx: &mut Transaction<'static, Postgres>,
    statement: &Statement<'_>,
) -> sqlx::Result<Fetched> {
    let found = pg::query(AssertSqlSafe(statement.text.to_owned()).into_sql_str())
        .fetch_all(&mut **tx)
        .await?;
    let columns = found.first().map(typed).unwrap_or_default();
    let rows = found.iter().map(values).collect::<sqlx::Result<_>>()?;
    Ok((columns, rows, false))
}

fn typed(row: &PgRow) -> Vec<Typed> {
    row.columns()
        .iter()
        .map(|c| {
            let column = Column {
                name: c.name().to_owned(),
                r#type: String::new(),
            };
            (column, c.type_info().oid().map(|oid| oid.0))
        })
        .collect()
}

fn values(row: &PgRow) -> sqlx::Result<Vec<Option<String>>> {
    (0..row.len())
        .map(|i| {
            let raw = row.try_get_raw(i)?;
            if raw.is_null() {
                return Ok(None);
            }
            let text = raw.as_str().map_err(sqlx::Error::Decode)?;
            Ok(Some(text.to_owned()))
        })
        .collect()
}

/// Fills in the names of the types, in Postgres's own words.
async fn name_types(
    tx: &mut Transaction<'static, Postgres>,
    columns: &mut [Typed],
) -> sqlx::Result<()> {
    let oids: Vec<i64> = columns
        .iter()
        .map(|(_, oid)| i64::from(oid.unwrap_or_default()))
        .collect();
    let names: Vec<String> = pg::query_scalar(
        "SELECT pg_catalog.format_type(o::oid, NULL) FROM unnest($1::bigint[]) WITH ORDINALITY AS t (o, n) ORDER BY n",
    )
    .bind(oids)
    .fetch_all(&mut **tx)
    .await?;
    for ((column, _), name) in columns.iter_mut().zip(names) {
        column.r#type = name;
    }
    Ok(())
}

fn verdict(query: &Query, fetched: usize, truncated: bool, judged: &[Judged]) -> CheckResult {
    let count = match (fetched, truncated) {
        (n, true) => format!("more than {n} rows"),
        (1, false) => "1 row".to_owned(),
        (n, false) => format!("{n} rows"),
    };
    let worst = judged.iter().map(|j| j.verdict);
    let (verdict, summary) = if judged.is_empty() {
        (
            Verdict::Pass,
            format!("{count}, nothing is expected of them"),
        )
    } else {
        let verdict = Verdict::worst(worst);
        let first = judged.iter().find(|j| j.verdict == verdict);
        let summary = match (verdict, first) {
            (Verdict::Pass, _) | (_, None) if judged.len() == 1 => {
                format!("{count}, as expected: {}", judged[0].what)
            }
            (Verdict::Pass, _) | (_, None) => {
                format!("{count}, all {} expectations hold", judged.len())
            }
            (_, Some(first)) => format!("{count}; {}: {}", first.what, first.seen),
        };
        (verdict, summary)
    };
    CheckResult {
        name: query.name.clone(),
        subject: String::new(),
        verdict,
        summary,
        next: judged
            .iter()
            .find(|j| j.verdict == verdict)
            .and_then(|j| j.next.clone()),
        evidence: judged
            .iter()
            .map(|j| Evidence::new(&j.what, format_args!("{}: {}", j.verdict, j.seen)))
            .collect(),
        duration: Duration::ZERO,
    }
}

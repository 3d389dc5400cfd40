//! What a runbook expects of a query's rows, evaluated on the server over all of them.

use std::time::Duration;

use jiff::Timestamp;
use sqlx::postgres::Postgres;
use sqlx::{AssertSqlSafe, Transaction};

use super::Verdict;
use super::looks::Look;
use super::queries::{Column, Failure, Remembered};
use crate::pg::{self, Database};
use crate::runbook::describe;
use crate::runbook::model::{Newest, Query};
use crate::runbook::sql::{self, Statement};

/// One expectation and what came of it.
pub(super) struct Judged {
    /// The expectation in words.
    pub what: String,
    pub verdict: Verdict,
    /// What was seen.
    pub seen: String,
    pub next: Option<String>,
}

impl Judged {
    fn new(what: impl Into<String>, verdict: Verdict, seen: impl Into<String>) -> Self {
        Self {
            what: what.into(),
            verdict,
            seen: seen.into(),
            next: None,
        }
    }
}

/// What the query itself gave.
pub(super) struct Seen<'a> {
    pub statement: &'a Statement<'a>,
    pub columns: &'a [Column],
    pub fetched: usize,
    /// There are more rows than were fetched.
    pub more: bool,
}

/// An expectation that could not be evaluated.
pub(super) enum Unjudged {
    /// The server refused, while judging the expectation of this key.
    Server(&'static str, sqlx::Error),
    Other(Failure),
}

impl Unjudged {
    pub fn into_failure(self, query: &Query, timeout: Duration) -> Failure {
        match self {
            Unjudged::Server(key, error) => Failure::of(&error, query, timeout).of_expectation(key),
            Unjudged::Other(failure) => failure,
        }
    }
}

type Tx = Transaction<'static, Postgres>;

/// Judges every expectation of a query. Over no rows, a condition on rows is inconclusive: nothing
/// was seen (P6). With `min_rows = 0` the runbook says that none is fine.
pub(super) async fn judge(
    tx: &mut Tx,
    db: &Database,
    query: &Query,
    seen: &Seen<'_>,
    looks: &mut Remembered,
) -> Result<Vec<Judged>, Unjudged> {
    let expect = &query.expect;
    let mut judged = Vec::new();
    if expect.min_rows.is_some() || expect.max_rows.is_some() {
        let count = count(tx, seen).await?;
        let rows = |n: u64| {
            if n == 1 {
                "1 row".into()
            } else {
                format!("{n} rows")
            }
        };
        let says = |holds: bool| if holds { Verdict::Pass } else { Verdict::Fail };
        if let Some(min) = expect.min_rows {
            let what = format!("at least {}", rows(min));
            judged.push(Judged::new(what, says(count >= min), rows(count)));
        }
        if let Some(max) = expect.max_rows {
            let what = format!("at most {}", rows(max));
            judged.push(Judged::new(what, says(count <= max), rows(count)));
        }
    }
    let none = match expect.min_rows {
        Some(0) => Verdict::Pass,
        Some(_) | None => Verdict::Inconclusive,
    };
    let mut over_rows = OverRows {
        tx,
        seen,
        none: (seen.fetched == 0 && !seen.more).then_some(none),
    };
    if let Some(condition) = &expect.each_row {
        judged.push(over_rows.each_row(condition).await?);
    }
    if let Some(condition) = &expect.some_row {
        judged.push(over_rows.some_row(condition).await?);
    }
    if let Some(newest) = &expect.newest {
        judged.push(over_rows.newest(newest).await?);
    }
    if let Some(column) = &expect.grows {
        judged.push(over_rows.grows(db, query, column, looks).await?);
    }
    Ok(judged)
}

/// All rows, fetched or not.
async fn count(tx: &mut Tx, seen: &Seen<'_>) -> Result<u64, Unjudged> {
    let fetched = seen.fetched as u64;
    if !seen.more {
        return Ok(fetched);
    }
    // The cursor stands behind one row more than was kept.
    let moved = sqlx::raw_sql("MOVE FORWARD ALL IN dbctl_rows")
        .execute(&mut **tx)
        .await
        .map_err(|e| Unjudged::Server("min_rows, max_rows", e))?;
    Ok(fetched + 1 + moved.rows_affected())
}

struct OverRows<'a> {
    tx: &'a mut Tx,
    seen: &'a Seen<'a>,
    /// There are no rows, and this is what it means.
    none: Option<Verdict>,
}

impl OverRows<'_> {
    /// The query as a subquery called `q`. A comment at an end must not swallow the parenthesis.
    fn from(&self) -> String {
        format!("FROM ({}\n) AS q", self.seen.statement.text)
    }

    fn nothing(&self, what: &str) -> Option<Judged> {
        self.none.map(|verdict| {
            let mut judged = Judged::new(what, verdict, "there are no rows");
            if verdict == Verdict::Inconclusive {
                judged.next = Some("if none is fine, the runbook says so with min_rows = 0".into());
            }
            judged
        })
    }

    async fn each_row(&mut self, condition: &str) -> Result<Judged, Unjudged> {
        let what = format!("each row: {condition}");
        checked(condition)?;
        if let Some(nothing) = self.nothing(&what) {
            return Ok(nothing);
        }
        let key = "each_row";
        // Null is not true.
        let counts = format!(
            "SELECT count(*), count(*) FILTER (WHERE ({condition}\n) IS NOT TRUE) {}",
            self.from()
        );
        let (all, breaking): (i64, i64) = self.one(key, counts).await?;
        if breaking == 0 {
            return Ok(Judged::new(
                what,
                Verdict::Pass,
                format!("true for all {all}"),
            ));
        }
        let example = format!(
            "SELECT q::text {} WHERE ({condition}\n) IS NOT TRUE LIMIT 1",
            self.from()
        );
        let (example,): (Option<String>,) = self.one(key, example).await?;
        Ok(Judged::new(
            what,
            Verdict::Fail,
            format!(
                "not true for {breaking} of {all}, such as {}",
                example.unwrap_or_default()
            ),
        ))
    }

    async fn some_row(&mut self, condition: &str) -> Result<Judged, Unjudged> {
        let what = format!("some row: {condition}");
        checked(condition)?;
        if let Some(nothing) = self.nothing(&what) {
            return Ok(nothing);
        }
        let counts = format!(
            "SELECT count(*), count(*) FILTER (WHERE ({condition}\n) IS TRUE) {}",
            self.from()
        );
        let (all, holding): (i64, i64) = self.one("some_row", counts).await?;
        let verdict = if holding > 0 {
            Verdict::Pass
        } else {
            Verdict::Fail
        };
        Ok(Judged::new(
            what,
            verdict,
            format!("true for {holding} of {all}"),
        ))
    }

    async fn newest(&mut self, newest: &Newest) -> Result<Judged, Unjudged> {
        let within = describe::words(newest.within);
        let what = format!("newest {} within {within}", newest.column);
        if let Some(nothing) = self.nothing(&what) {
            return Ok(nothing);
        }
        let column = self.column("newest", &newest.column)?;
        let age = format!(
            "SELECT max({column})::text, max({column}) >= now() - make_interval(secs => {}), \
             (CASE WHEN isfinite(max({column})::timestamptz) THEN \
             extract(epoch FROM now() - max({column})::timestamptz) END)::float8 {}",
            newest.within.as_secs_f64(),
            self.from()
        );
        let (value, recent, age): (Option<String>, Option<bool>, Option<f64>) =
            self.one("newest", age).await?;
        let (Some(value), Some(recent)) = (value, recent) else {
            return Ok(Judged::new(
                what,
                Verdict::Inconclusive,
                "it is null in every row",
            ));
        };
        let verdict = if recent { Verdict::Pass } else { Verdict::Fail };
        let age = age.map(|seconds| {
            let whole = Duration::from_secs(seconds.abs() as u64);
            let words = describe::words(whole);
            if seconds < 0.0 {
                format!(", {words} ahead of the database's clock")
            } else {
                format!(", {words} old")
            }
        });
        Ok(Judged::new(
            what,
            verdict,
            format!("{value}{}", age.unwrap_or_default()),
        ))
    }

    async fn grows(
        &mut self,
        db: &Database,
        query: &Query,
        name: &str,
        looks: &mut Remembered,
    ) -> Result<Judged, Unjudged> {
        let what = format!("{name} only grows");
        if let Some(nothing) = self.nothing(&what) {
            return Ok(nothing);
        }
        let column = self.column("grows", name)?;
        let greatest = format!(
            "SELECT max({column})::text, pg_typeof(max({column}))::text {}",
            self.from()
        );
        let (value, kind): (Option<String>, String) = self.one("grows", greatest).await?;
        let Some(value) = value else {
            return Ok(Judged::new(
                what,
                Verdict::Inconclusive,
                "it is null in every row",
            ));
        };
        let kept = match looks {
            Remembered::Kept(kept) => kept,
            Remembered::Nowhere(why) => {
                let seen = format!("{value}, and the last look cannot be had: {why}");
                return Ok(Judged::new(what, Verdict::Error, seen));
            }
        };
        let database = identity(db);
        let look = Look {
            value: value.clone(),
            r#type: kind.clone(),
            at: Timestamp::now(),
        };
        let Some(last) = kept.last(&database, &query.name, name).cloned() else {
            kept.remember(&database, &query.name, name, look);
            let seen = format!("{value}, the first look; kept for the next");
            return Ok(Judged::new(what, Verdict::Pass, seen));
        };
        let anew = format!(
            "if that was meant, delete {} and look again",
            kept.file().display()
        );
        if last.r#type != kind {
            let seen = format!("its type was {} and is {kind}", last.r#type);
            let mut judged = Judged::new(what, Verdict::Error, seen);
            judged.next = Some(anew);
            return Ok(judged);
        }
        // The server knows the order of its types; `kind` is its own name for this one.
        let compare = format!("SELECT CAST($1::text AS {kind}) >= CAST($2::text AS {kind})");
        let grown: bool = pg::query_scalar(AssertSqlSafe(compare))
            .bind(&value)
            .bind(&last.value)
            .fetch_one(&mut **self.tx)
            .await
            .map_err(|e| Unjudged::Server("grows", e))?;
        let seen = format!("{value}, at the last look ({:.0}) {}", last.at, last.value);
        if grown {
            kept.remember(&database, &query.name, name, look);
            return Ok(Judged::new(what, Verdict::Pass, seen));
        }
        let mut judged = Judged::new(what, Verdict::Fail, seen);
        judged.next = Some(anew);
        Ok(judged)
    }

    /// A column of the query, quoted.
    fn column(&self, key: &'static str, name: &str) -> Result<String, Unjudged> {
        let columns = self.seen.columns;
        if columns.iter().any(|c| c.name == name) {
            return Ok(format!("q.\"{}\"", name.replace('"', "\"\"")));
        }
        let known: Vec<&str> = columns.iter().map(|c| c.name.as_str()).collect();
        let cause = format!("{key}: the query has no column `{name}`");
        Err(Unjudged::Other(
            Failure::new(cause).next(format!("its columns: {}", known.join(", "))),
        ))
    }

    async fn one<R>(&mut self, key: &'static str, sql: String) -> Result<R, Unjudged>
    where
        R: for<'r> sqlx::FromRow<'r, sqlx::postgres::PgRow>,
    {
        let row = pg::query(AssertSqlSafe(sql))
            .fetch_one(&mut **self.tx)
            .await
            .map_err(|e| Unjudged::Server(key, e))?;
        R::from_row(&row).map_err(|e| Unjudged::Server(key, e))
    }
}

/// A condition that would reach out of its parentheses is not sent.
fn checked(condition: &str) -> Result<(), Unjudged> {
    sql::condition(condition)
        .map_err(|flaw| Unjudged::Other(Failure::new(flaw.cause).next(flaw.hint)))
}

/// Which database a look belongs to, whoever looks: host, port and name.
fn identity(db: &Database) -> String {
    let options = db.options();
    let name = options.get_database().unwrap_or(options.get_username());
    let host = match options.get_socket() {
        Some(socket) => socket.display().to_string(),
        None => options.get_host().to_owned(),
    };
    format!("{host}:{}/{name}", options.get_port())
}

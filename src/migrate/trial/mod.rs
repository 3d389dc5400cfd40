//! Running migrations on a scratch database and watching what each statement does: which tables
//! others could not use meanwhile, which were rewritten or read whole, what is left behind.
//!
//! A migration runs as it would on a real one: in a transaction with its row of the history, or
//! each statement by itself where its convention says so. Statements are sent one by one, which
//! inside a transaction is the same and outside of one is the only way: several in one message are
//! one transaction to Postgres.

mod history;
mod judge;
mod observe;
mod roles;
mod rows;
mod scratch;
mod session;
mod values;

use std::ops::Range;
use std::time::{Duration, Instant};

use sqlx::pool::PoolConnection;
use sqlx::postgres::Postgres;
use sqlx::{AssertSqlSafe, Executor as _};

pub use self::history::table as history_table;
use self::judge::{Judge, Statement};
pub use self::observe::{Blocks, Effect};
use self::observe::{Observer, Seen};
pub use self::scratch::{Place, on_scratch, until};
pub use self::session::{Setting, of_target};
use super::catalog::{Catalog, Difference};
use super::conventions::{Convention, Reading, Script};
use super::failure::{self, Ground};
use super::finding::{Finding, Layer, Level};
use super::{lint, statements};
use crate::error::Result;
use crate::pg::{self, Database, problem};

/// What failed for the want of something that another server has.
pub(super) const LACKS_EXTENSION: &str = "lacks-extension";
pub(super) const NEWER_SERVER: &str = "newer-server";

/// The time that apply waits for a lock.
const LOCK_TIMEOUT: &str = "3s";

/// What came of running them.
#[derive(Debug, Default)]
pub struct Tried {
    /// How many ran without an error. Those after one that fails are not judged.
    pub ran: usize,
    pub findings: Vec<Finding>,
    /// What each statement did to tables that were there before its file.
    pub facts: Vec<Fact>,
    /// What the schema was in the end.
    pub catalog: Catalog,
    /// Roles that they made, the newest last: these are of the cluster, and do not go with the
    /// database.
    pub roles: Vec<String>,
    pub elapsed: Duration,
}

/// What one statement did.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Fact {
    pub file: String,
    /// Bytes of the file.
    pub span: Range<usize>,
    pub effects: Vec<Effect>,
}

/// What is tried, and how.
#[derive(Clone, Copy)]
pub struct How<'a> {
    pub ground: Ground,
    /// The first of the migrations that is judged. Those before it only run.
    pub from: usize,
    /// Whether what they do to others is looked at.
    pub observe: bool,
    /// So many rows are put into each table before a migration is judged.
    pub rows: usize,
    /// Rows of the user's own, put in once, before the first that is judged.
    pub seed: Option<&'a Script>,
    /// What the session begins with, where it changes the outcome.
    pub session: &'a [Setting],
    /// Whether others use the cluster too, which then stays when all is done.
    pub shared: bool,
    /// Hears of each migration before it runs, by its number counted from 0.
    pub on: &'a (dyn Fn(usize) + Sync),
}

impl Default for How<'_> {
    /// All of them judged, without rows.
    fn default() -> Self {
        Self {
            ground: Ground::Server,
            from: 0,
            observe: true,
            rows: 0,
            seed: None,
            session: &[],
            shared: false,
            on: &|_| {},
        }
    }
}

/// Runs every migration of `reading`, in order, on an empty database.
///
/// # Errors
/// What keeps it from being tried: the database went away. What a migration does wrong is a
/// finding.
pub async fn try_out(database: &Database, reading: &Reading, how: How<'_>) -> Result<Tried> {
    let began = Instant::now();
    let fail = |e: sqlx::Error| problem(format!("running migrations on {database}"), &e);
    let mut trial = Trial::begin(database, reading, how).await.map_err(fail)?;
    for (n, migration) in reading.migrations.iter().enumerate() {
        (how.on)(n);
        let judged = n >= how.from;
        if let Some(seed) = how.seed.filter(|_| n == how.from) {
            trial
                .aside(seed, "seed-fails", "COMMIT")
                .await
                .map_err(fail)?;
        }
        if judged {
            trial.fill().await.map_err(fail)?;
        }
        let row = history::row(reading.convention, migration, n + 1);
        let ran = trial.script(&migration.up, judged && how.observe, row.as_deref());
        if !ran.await.map_err(fail)? {
            break;
        }
        if let Some(verify) = migration.verify.as_ref().filter(|_| judged) {
            trial
                .aside(verify, "verify-fails", "ROLLBACK")
                .await
                .map_err(fail)?;
        }
        trial.tried.ran += 1;
    }
    trial.end(began).await.map_err(fail)
}

/// Runs them once more on another empty database, and those that are judged and have a down part
/// up, down and up again: down must leave the schema as it was, and up again must make the same.
///
/// # Errors
/// As [`try_out`].
pub async fn try_down(database: &Database, reading: &Reading, how: How<'_>) -> Result<Tried> {
    let began = Instant::now();
    let fail = |e: sqlx::Error| problem(format!("running migrations on {database}"), &e);
    let mut trial = Trial::begin(database, reading, how).await.map_err(fail)?;
    for (n, migration) in reading.migrations.iter().enumerate() {
        (how.on)(n);
        let down = migration.down.as_ref().filter(|_| n >= how.from);
        let row = history::row(reading.convention, migration, n + 1);
        let ran = match down {
            Some(down) => {
                trial
                    .there_and_back(&migration.up, down, row.as_deref())
                    .await
            }
            None => trial.script(&migration.up, false, row.as_deref()).await,
        };
        if !ran.map_err(fail)? {
            break;
        }
        trial.tried.ran += 1;
    }
    trial.end(began).await.map_err(fail)
}

struct Trial<'a> {
    database: &'a Database,
    connection: PoolConnection<Postgres>,
    convention: Convention,
    how: How<'a>,
    /// Makes the session what it was in the beginning.
    reset: String,
    /// The newest relation that was filled with rows, or looked at for it.
    filled_to: i64,
    observer: Observer,
    tried: Tried,
}

impl<'a> Trial<'a> {
    /// On an empty database, with the history that the convention's own tool would have made.
    async fn begin(database: &'a Database, reading: &Reading, how: How<'a>) -> sqlx::Result<Self> {
        let mut trial = Self {
            database,
            connection: database.session().await?,
            convention: reading.convention,
            how,
            reset: session::reset(how.session),
            filled_to: 0,
            observer: Observer::default(),
            tried: Tried::default(),
        };
        if let Some(creates) = history::creates(reading.convention) {
            trial.send(creates).await?;
        }
        trial.reset().await?;
        Observer::prepare(&mut trial.connection).await?;
        // The history itself is written by what runs.
        trial.filled_to = pg::query_scalar("SELECT max(oid::bigint) FROM pg_catalog.pg_class")
            .fetch_one(&mut *trial.connection)
            .await?;
        Ok(trial)
    }

    async fn end(mut self, began: Instant) -> sqlx::Result<Tried> {
        self.tried.catalog = Catalog::on(&mut self.connection).await?;
        self.tried.elapsed = began.elapsed();
        Ok(self.tried)
    }

    /// Up, down, up: false where one of them failed.
    async fn there_and_back(
        &mut self,
        up: &Script,
        down: &Script,
        row: Option<&str>,
    ) -> sqlx::Result<bool> {
        let before = Catalog::on(&mut self.connection).await?;
        if !self.script(up, false, None).await? {
            return Ok(false);
        }
        let after = Catalog::on(&mut self.connection).await?;
        let found = self.tried.findings.len();
        let went_down = self.script(down, false, None).await?;
        for finding in &mut self.tried.findings[found..] {
            finding.layer = Layer::Down;
        }
        if !went_down {
            return Ok(false);
        }
        let back = Catalog::on(&mut self.connection).await?;
        self.differs("down-leaves-something", down, &before.differences(&back));
        let found = self.tried.findings.len();
        let went_up = self.script(up, false, row).await?;
        for finding in &mut self.tried.findings[found..] {
            finding.layer = Layer::Down;
        }
        if !went_up {
            return Ok(false);
        }
        let again = Catalog::on(&mut self.connection).await?;
        self.differs("up-again-differs", up, &after.differences(&again));
        Ok(true)
    }

    fn differs(&mut self, rule: &'static str, script: &Script, differences: &[Difference]) {
        let message = match differences {
            [] => return,
            [one] => one.to_string(),
            [one, others @ ..] => format!("{one}; and {} more", others.len()),
        };
        let (message, next) = match rule {
            "up-again-differs" => (
                format!("after down and up again the schema is another: {message}"),
                "the down part must take back all of what the up part does",
            ),
            _ => (
                format!("after up and down the schema is not what it was: {message}"),
                "take it back in the down part too; where that cannot be, silence this with a comment: -- squawk-ignore down-leaves-something -- why",
            ),
        };
        let finding = Finding::new(Layer::Down, rule, Level::Error, message);
        self.tried
            .findings
            .push(finding.of(&script.path).next(next));
    }

    async fn send(&mut self, sql: &str) -> sqlx::Result<()> {
        let sql = sqlx::raw_sql(AssertSqlSafe(sql.to_owned()));
        (&mut *self.connection).execute(sql).await.map(drop)
    }

    async fn reset(&mut self) -> sqlx::Result<()> {
        let reset = self.reset.clone();
        self.send(&reset).await
    }

    /// A script that is no migration, in a transaction that ends with `end`. What is wrong with it is
    /// said by `rule`, and the migrations go on without.
    async fn aside(
        &mut self,
        script: &Script,
        rule: &'static str,
        end: &'static str,
    ) -> sqlx::Result<()> {
        self.send("BEGIN").await?;
        for span in statements_of(script) {
            if let Err(e) = self.send(&script.text[span.clone()]).await {
                self.failed(script, span, &e)?;
                if let Some(finding) = self.tried.findings.last_mut() {
                    finding.rule = rule.into();
                }
                self.send("ROLLBACK").await?;
                return self.reset().await;
            }
        }
        self.send(end).await?;
        self.reset().await
    }

    /// Rows for the tables that have come since the last time.
    async fn fill(&mut self) -> sqlx::Result<()> {
        if self.how.rows == 0 {
            return Ok(());
        }
        let filled = rows::fill(&mut self.connection, self.filled_to, self.how.rows).await?;
        self.filled_to = filled.newest;
        for (table, why) in filled.not {
            let finding = Finding::new(
                Layer::Execution,
                "stays-empty",
                Level::Warning,
                format!(
                    "no row could be made for `{table}`, so nothing was tried on rows of it: {why}"
                ),
            );
            self.tried.findings.push(finding);
        }
        // Or that would be told as read by the next file.
        self.send(session::FLUSH).await
    }

    /// False where it failed: what comes after it cannot be judged.
    async fn script(
        &mut self,
        script: &Script,
        judged: bool,
        row: Option<&str>,
    ) -> sqlx::Result<bool> {
        let before = match judged {
            true => self.session(script).await?,
            false => None,
        };
        let ran = match script.transaction {
            true => self.in_transaction(script, judged, row).await?,
            false => self.one_by_one(script, judged, row).await?,
        };
        if let Some(before) = before
            && let Some(after) = self.session(script).await?
        {
            let left = session::left(&before, &after);
            let finding = left.map(|finding| finding.of(&script.path));
            self.tried.findings.extend(finding);
        }
        self.reset().await?;
        Ok(ran)
    }

    async fn in_transaction(
        &mut self,
        script: &Script,
        judged: bool,
        row: Option<&str>,
    ) -> sqlx::Result<bool> {
        let id = self
            .observer
            .begin(&mut self.connection, LOCK_TIMEOUT)
            .await?;
        let mut judge = Judge::default();
        let statements = statements_of(script);
        let mut last = statements.len();
        for span in statements {
            let statement = &script.text[span.clone()];
            if let Err(e) = self.send(statement).await {
                self.failed(script, span, &e)?;
                let _ = self.send("ROLLBACK").await;
                return Ok(false);
            }
            if session::begins_with(statement, &["deallocate", "discard"]) {
                Observer::prepare(&mut self.connection).await?;
            }
            // One that is not judged is looked at once, after its last statement.
            last -= 1;
            if !judged && last > 0 {
                continue;
            }
            let seen = self.observer.look(&mut self.connection).await?;
            if seen.transaction.as_deref() != Some(&*id) {
                self.ended(script, span);
                let _ = self.send("ROLLBACK").await;
                return Ok(false);
            }
            if judged {
                self.judge(script, span, &mut judge, seen);
            }
        }
        let roles = self.roles_of_transaction(script).await?;
        let commit = format!("{}; COMMIT", row.unwrap_or_default());
        match self.send(&commit).await {
            Ok(()) => {
                self.tried.roles.extend(roles);
                Ok(true)
            }
            Err(e @ sqlx::Error::Database(_)) => {
                // A constraint that is checked at the end.
                self.failed(script, script.range.clone(), &e)?;
                let _ = self.send("ROLLBACK").await;
                Ok(false)
            }
            Err(e) => Err(e),
        }
    }

    fn judge(&mut self, script: &Script, span: Range<usize>, judge: &mut Judge, seen: Seen) {
        let at = Statement {
            file: script.path.clone(),
            span: span.clone(),
        };
        self.tried.findings.extend(judge.statement(&at, &seen));
        if !seen.effects.is_empty() {
            self.tried.facts.push(Fact {
                file: at.file,
                span,
                effects: seen.effects,
            });
        }
    }

    /// Without a transaction around them. What they do to others is not observed: each has
    /// committed, and holds nothing any more, when anybody could look.
    async fn one_by_one(
        &mut self,
        script: &Script,
        judged: bool,
        row: Option<&str>,
    ) -> sqlx::Result<bool> {
        let mut ran = true;
        let before = match self.may_make_roles(script) {
            true => Some(roles::there(&mut self.connection).await?),
            false => None,
        };
        for span in statements_of(script) {
            if let Err(e) = self.send(&script.text[span.clone()]).await {
                self.failed(script, span, &e)?;
                ran = false;
                break;
            }
        }
        // One that the file began and did not end.
        self.send("ROLLBACK").await?;
        Observer::prepare(&mut self.connection).await?;
        if let Some(before) = before {
            let after = roles::there(&mut self.connection).await?;
            let found = roles::uncertain(script, &before, &after);
            self.tried.findings.extend(found);
        }
        let invalid = match judged {
            true => self.invalid_indexes().await?,
            false => Vec::new(),
        };
        for index in invalid {
            let finding = Finding::new(
                Layer::Execution,
                "leaves-invalid-index",
                Level::Error,
                format!(
                    "leaves the index `{index}` INVALID: it costs every write and serves no query"
                ),
            );
            let next = format!(
                "DROP INDEX CONCURRENTLY {index}, find out why it failed, and build it again"
            );
            self.tried
                .findings
                .push(finding.of(&script.path).next(next));
        }
        if let (true, Some(row)) = (ran, row) {
            self.send(row).await?;
        }
        Ok(ran)
    }

    /// Only on a server that others use too it matters.
    fn may_make_roles(&self, script: &Script) -> bool {
        self.how.shared && roles::may_be_made_by(script.sql())
    }

    /// Roles that are seen here and nowhere else: the open transaction has made them.
    async fn roles_of_transaction(&mut self, script: &Script) -> sqlx::Result<Vec<String>> {
        if !self.may_make_roles(script) {
            return Ok(Vec::new());
        }
        let here = roles::there(&mut self.connection).await?;
        let elsewhere = roles::there(&mut *self.database.session().await?).await?;
        Ok(here.difference(&elsewhere).cloned().collect())
    }

    async fn invalid_indexes(&mut self) -> sqlx::Result<Vec<String>> {
        pg::query_scalar(
            "SELECT i.indexrelid::regclass::text FROM pg_catalog.pg_index i \
              WHERE NOT i.indisvalid AND i.indexrelid::bigint >= 16384",
        )
        .fetch_all(&mut *self.connection)
        .await
    }

    /// # Errors
    /// Whatever is not the migration's fault.
    fn failed(&mut self, script: &Script, span: Range<usize>, e: &sqlx::Error) -> sqlx::Result<()> {
        let statement = &script.text[span.clone()];
        let code = e
            .as_database_error()
            .and_then(sqlx::error::DatabaseError::code);
        let rule = match code.as_deref() {
            Some("0A000" | "58P01") if failure::creates_extension(statement) => LACKS_EXTENSION,
            Some("42601") if lint::is_known(statement) => NEWER_SERVER,
            _ => "fails",
        };
        let Some(told) = failure::of_statement(&script.text, span, e, self.how.ground) else {
            return Err(sqlx::Error::Protocol(e.to_string()));
        };
        let mut finding = Finding::new(Layer::Execution, rule, Level::Error, told.cause)
            .at(&script.path, told.span);
        finding.why = told.running;
        finding.next = told.next;
        if let (Some("25001"), Some(how)) = (code.as_deref(), self.convention.without_transaction())
        {
            finding.next = Some(format!(
                "a migration of its own that runs without a transaction: {how}"
            ));
        }
        if rule == NEWER_SERVER {
            finding.next = Some(
                "if it belongs to a newer Postgres: --scratch native, or the URL of such a server"
                    .to_owned(),
            );
        }
        self.tried.findings.push(finding);
        Ok(())
    }

    fn ended(&mut self, script: &Script, span: Range<usize>) {
        let finding = Finding::new(
            Layer::Execution,
            "ends-its-transaction",
            Level::Error,
            "ends the transaction that it runs in: part of it would be committed without a row in the history",
        );
        let finding = finding.at(&script.path, span).next(
            "leave BEGIN, COMMIT and ROLLBACK out; a procedure that commits needs a migration without a transaction",
        );
        self.tried.findings.push(finding);
    }

    /// What is set for the session, where the file may change it: asking costs more than most
    /// statements.
    async fn session(&mut self, script: &Script) -> sqlx::Result<Option<Vec<String>>> {
        if !session::may_be_set_by(script) {
            return Ok(None);
        }
        let set = "SELECT name || ' = ' || setting FROM pg_catalog.pg_settings WHERE source = 'session' \
                   UNION ALL SELECT 'role = ' || current_user ORDER BY 1";
        let set = pg::query_scalar(set).fetch_all(&mut *self.connection);
        set.await.map(Some)
    }
}

/// Bytes of the file.
fn statements_of(script: &Script) -> Vec<Range<usize>> {
    let from = script.range.start;
    let split = statements::split(script.sql()).into_iter();
    split.map(|r| from + r.start..from + r.end).collect()
}

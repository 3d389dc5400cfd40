//! Statements that Postgres plans once on each connection, for the few that are asked for all the
//! time: parsing and planning is most of what a look-up by an index costs.
//!
//! They are prepared in SQL, under a name that is a hash of what they say. So a name never means
//! two things, also where a transaction pooler gives every transaction another connection of the
//! server: the worst that it can do is to come to one that does not know the statement yet, or
//! knows it already, and then it is asked once more under a name of its own. Statements that a driver prepares
//! are counted through instead, and behind a pooler `s1` is whatever somebody prepared first.

use std::fmt::Write as _;
use std::sync::{Arc, Mutex, PoisonError};

use sha2::{Digest as _, Sha256};
use sqlx::postgres::{PgConnection, PgPoolOptions, PgRow};
use sqlx::{AssertSqlSafe, raw_sql};

use super::Database;

/// SQLSTATE `invalid_sql_statement_name`, `duplicate_prepared_statement`, and
/// `feature_not_supported`: a cached plan must not change its result type.
const NOT_HERE: &str = "26000";
const HERE_ALREADY: &str = "42P05";
const OTHER_RESULT: &str = "0A000";

/// A statement with parameters.
#[derive(Debug)]
pub struct Prepared {
    name: String,
    prepare: String,
    settings: &'static str,
}

impl Prepared {
    /// `types` are those of the parameters, as in `PREPARE`.
    pub fn new(types: &str, sql: &str) -> Self {
        let hash = Sha256::digest(format!("({types}) {sql}"));
        let mut name = String::from("dbctl_");
        for byte in &hash[..12] {
            write!(name, "{byte:02x}").expect("a string takes what is written");
        }
        let prepare = format!("PREPARE {name} ({types}) AS {sql};");
        Self {
            name,
            prepare,
            settings: "",
        }
    }

    /// For a statement that must find its rows by an index, whatever Postgres knew of the table
    /// when it made the plan: a plan is kept until the table is analyzed again, and one that was
    /// made while the table was small reads all of it, however large it has become.
    pub fn by_index(self) -> Self {
        let settings =
            "SET LOCAL enable_seqscan = off; SET LOCAL plan_cache_mode = force_generic_plan;";
        Self { settings, ..self }
    }
}

/// The statements that connections learn when they are made. Where that fails, or they were made
/// before, the statement itself finds out.
#[derive(Debug, Clone, Default)]
pub(super) struct Known(Arc<Mutex<Vec<&'static Prepared>>>);

impl Known {
    fn add(&self, statement: &'static Prepared) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if !known.iter().any(|k| k.name == statement.name) {
            known.push(statement);
        }
    }

    /// Has each connection of the pool learn them when it is made.
    pub(super) fn taught_to(&self, pool: PgPoolOptions) -> PgPoolOptions {
        let known = self.clone();
        pool.after_connect(move |connection, _| {
            let known = known.clone();
            Box::pin(async move { known.teach(connection).await })
        })
    }

    /// Prepares all that are not there. A server that refuses says why when the statement is used.
    async fn teach(&self, connection: &mut PgConnection) -> sqlx::Result<()> {
        let known = self
            .0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        for statement in known {
            let name = &statement.name;
            let there =
                format!("SELECT 1 FROM pg_catalog.pg_prepared_statements WHERE name = '{name}'");
            let there = raw_sql(AssertSqlSafe(there)).fetch_all(&mut *connection);
            let done = match there.await.map(|rows| rows.len()) {
                Ok(0) => {
                    let prepare = raw_sql(AssertSqlSafe(statement.prepare.clone()));
                    prepare.execute(&mut *connection).await.map(drop)
                }
                Ok(_) => Ok(()),
                Err(e) => Err(e),
            };
            match done {
                Ok(()) | Err(sqlx::Error::Database(_)) => {}
                Err(e) => return Err(e),
            }
        }
        Ok(())
    }
}

impl Database {
    /// Has the connections that are made from now on learn a statement before they are used.
    pub fn prepare(&self, statement: &'static Prepared) {
        self.prepared.add(statement);
    }

    /// Runs a prepared statement with these arguments, SQL expressions such as
    /// [`literal`](super::literal) makes them. It goes out in one message and commits by itself.
    ///
    /// # Errors
    /// Those of the statement.
    pub async fn execute(&self, statement: &Prepared, arguments: &str) -> sqlx::Result<Vec<PgRow>> {
        let Prepared {
            name,
            prepare,
            settings,
        } = statement;
        let execute = format!("{settings} EXECUTE {name}({arguments});");
        // Over one connection: two of which one knows the statement would take turns.
        let mut connection = self.pool().acquire().await?;
        let mut run = async |sql: String| {
            raw_sql(AssertSqlSafe(sql))
                .fetch_all(&mut *connection)
                .await
        };
        // None of these has done anything: a name is looked up before anything is.
        let done = run(execute.clone()).await;
        let done = match code(&done).as_str() {
            NOT_HERE => run(format!("{prepare} {execute}")).await,
            OTHER_RESULT => run(format!("DEALLOCATE {name}; {prepare} {execute}")).await,
            _ => return done,
        };
        match code(&done).as_str() {
            // A pooler has come to another connection of the server.
            NOT_HERE | HERE_ALREADY | OTHER_RESULT => {
                let once = format!("{name}_{:016x}", rand::random::<u64>());
                let prepare = prepare.replacen(name.as_str(), &once, 1);
                let execute = execute.replacen(name.as_str(), &once, 1);
                run(format!("{prepare} {execute} DEALLOCATE {once}")).await
            }
            _ => done,
        }
    }
}

/// The SQLSTATE, or nothing.
fn code<T>(done: &sqlx::Result<T>) -> String {
    let said = done.as_ref().err().and_then(|e| e.as_database_error());
    let code = said.and_then(|e| e.code());
    code.map_or_else(String::new, std::borrow::Cow::into_owned)
}

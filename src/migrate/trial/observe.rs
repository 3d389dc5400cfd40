//! What a statement did to what was there before its file: asked of Postgres inside the same
//! transaction, not guessed from the text.
//!
//! Three signals, which `pg_locks`, `pg_class` and the statistics of the own transaction give: locks
//! that are held, files that were replaced, tables that were read whole. They are there on empty
//! tables too, and for what a `DO` block executes.

use std::collections::{BTreeMap, BTreeSet};

use sqlx::{AssertSqlSafe, Executor as _, PgConnection, Row as _, raw_sql};

use crate::pg;

/// Objects below are the server's own (`FirstNormalObjectId`).
const FIRST_OF_USERS: i64 = 16_384;

/// Whether they are known: a migration may make a session forget them.
const KNOWN: &str =
    "SELECT count(*) FROM pg_catalog.pg_prepared_statements WHERE name = 'dbctl_since'";

/// The locks of this transaction on relations, with what is known of each; a relation that was
/// dropped has nothing but its number left. Asking for one's own locks reads no table of the user.
const HELD: &str = "\
PREPARE dbctl_held AS WITH held AS MATERIALIZED (
  SELECT l.relation AS oid, pg_catalog.array_agg(DISTINCT l.mode::text) AS modes
    FROM pg_catalog.pg_locks l
   WHERE l.locktype = 'relation' AND l.granted AND l.pid = pg_catalog.pg_backend_pid()
     AND l.relation::bigint >= 16384
   GROUP BY 1)
SELECT h.oid::bigint AS oid, h.modes, c.relfilenode::bigint AS file, c.relkind::text AS kind,
       n.nspname::text AS schema, c.relname::text AS name, i.indrelid::bigint AS of_table,
       pg_catalog.pg_stat_get_xact_numscans(h.oid) AS scans, k.numbers, k.names,
       pg_catalog.current_setting('lock_timeout') AS lock_timeout,
       pg_catalog.pg_current_xact_id_if_assigned()::text AS transaction
  FROM (SELECT) one LEFT JOIN held h ON true
  LEFT JOIN pg_catalog.pg_class c ON c.oid = h.oid
  LEFT JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
  LEFT JOIN pg_catalog.pg_index i ON i.indexrelid = h.oid
 CROSS JOIN LATERAL (SELECT coalesce(array_agg(a.attnum), '{}') AS numbers,
                            coalesce(array_agg(a.attname::text), '{}') AS names
                       FROM pg_catalog.pg_attribute a
                      WHERE a.attrelid = c.oid AND c.relkind IN ('r', 'p')
                        AND a.attnum > 0 AND NOT a.attisdropped) k";

/// Relations that came since: their numbers only rise.
const SINCE: &str = "\
PREPARE dbctl_since (bigint) AS SELECT c.oid::bigint AS oid, c.relfilenode::bigint AS file, c.relkind::text AS kind,
       n.nspname::text AS schema, c.relname::text AS name, k.numbers, k.names
  FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
 CROSS JOIN LATERAL (SELECT coalesce(array_agg(a.attnum), '{}') AS numbers,
                            coalesce(array_agg(a.attname::text), '{}') AS names
                       FROM pg_catalog.pg_attribute a
                      WHERE a.attrelid = c.oid AND c.relkind IN ('r', 'p')
                        AND a.attnum > 0 AND NOT a.attisdropped) k
 WHERE c.oid > $1::bigint::oid ORDER BY c.oid";

/// How much a lock keeps others from doing: the levels of
/// <https://www.postgresql.org/docs/current/explicit-locking.html>, as a service feels them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Blocks {
    /// Only other changes of the schema wait.
    Neither,
    Writes,
    ReadsAndWrites,
}

impl Blocks {
    /// Of a lock's mode as `pg_locks` has it. A mode that is not known blocks everything.
    pub fn of(mode: &str) -> Self {
        match mode {
            "AccessShareLock"
            | "RowShareLock"
            | "RowExclusiveLock"
            | "ShareUpdateExclusiveLock" => Blocks::Neither,
            "ShareLock" | "ShareRowExclusiveLock" | "ExclusiveLock" => Blocks::Writes,
            _ => Blocks::ReadsAndWrites,
        }
    }
}

impl std::fmt::Display for Blocks {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Blocks::Neither => "blocks neither reads nor writes",
            Blocks::Writes => "blocks writes",
            Blocks::ReadsAndWrites => "blocks reads and writes",
        })
    }
}

/// A relation that is known.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Relation {
    /// As people write it: without the schema where that is `public`.
    name: String,
    kind: String,
    /// What holds its rows; another one after a rewrite.
    file: i64,
    /// Of a table, by number: a column that is renamed keeps that.
    columns: BTreeMap<i16, String>,
}

/// What one statement did to a relation that was there before its file.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Effect {
    pub relation: String,
    pub is_table: bool,
    /// The strongest lock that it took beyond what was held already.
    pub blocks: Option<Blocks>,
    /// Its mode, as in `ACCESS EXCLUSIVE`.
    pub lock: Option<String>,
    /// The strongest that is held, now or since an earlier statement.
    pub held: Blocks,
    /// All of its rows were written anew.
    pub rewritten: bool,
    /// All of its rows were read.
    pub scanned: bool,
    /// Rows of it may have been written: a lock for that is held.
    pub written: bool,
    /// An index on it was built.
    pub indexed: bool,
    /// It is not there any more.
    pub dropped: bool,
    /// Columns that are not there any more.
    pub dropped_columns: Vec<String>,
}

/// What is known of a database while files run on it, one after the other.
#[derive(Debug, Default)]
pub struct Observer {
    relations: BTreeMap<i64, Relation>,
    /// The greatest number seen: what is above came with the file that runs.
    newest: i64,
    before: Held,
    /// Those of them that are not there any more: their locks are held until the end.
    dropped: BTreeSet<i64>,
}

/// What a transaction held after its last statement.
#[derive(Debug, Default, Clone)]
struct Held {
    modes: BTreeMap<i64, BTreeSet<String>>,
    scans: BTreeMap<i64, i64>,
}

/// What was seen after a statement.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Seen {
    /// Sorted by name; nothing where nothing that was there before was touched.
    pub effects: Vec<Effect>,
    /// As `SHOW lock_timeout` says it.
    pub lock_timeout: String,
    /// The transaction that is open, as far as it has an id.
    pub transaction: Option<String>,
}

impl Observer {
    /// Makes its statements known to a session: to plan them each time would take longer than they
    /// do.
    pub async fn prepare(connection: &mut PgConnection) -> sqlx::Result<()> {
        let known: i64 = pg::query_scalar(KNOWN).fetch_one(&mut *connection).await?;
        if known == 0 {
            for statement in [HELD, SINCE] {
                connection.execute(raw_sql(statement)).await?;
            }
        }
        Ok(())
    }

    /// Begins a transaction, and learns what there is before a file does. Once more is cheap: only
    /// what is new is read. Returns the transaction's id.
    pub async fn begin(
        &mut self,
        connection: &mut PgConnection,
        lock_timeout: &str,
    ) -> sqlx::Result<String> {
        self.before = Held::default();
        let since = self.newest.max(FIRST_OF_USERS - 1);
        let sql = format!(
            "BEGIN; SET LOCAL lock_timeout = '{lock_timeout}'; \
             SELECT pg_catalog.pg_current_xact_id()::text; EXECUTE dbctl_since ({since})"
        );
        let rows = raw_sql(AssertSqlSafe(sql)).fetch_all(connection).await?;
        let (first, rows) = rows.split_first().ok_or(sqlx::Error::RowNotFound)?;
        for row in rows {
            let oid: i64 = row.try_get("oid")?;
            self.newest = self.newest.max(oid);
            self.relations.insert(oid, relation(row)?);
        }
        first.try_get(0)
    }

    /// Looks after a statement, in its transaction.
    pub async fn look(&mut self, connection: &mut PgConnection) -> sqlx::Result<Seen> {
        let mut rows = raw_sql("EXECUTE dbctl_held").fetch_all(connection).await?;
        let transaction = match rows.first() {
            Some(row) => row.try_get("transaction")?,
            None => None,
        };
        // Without any lock there is one row of nothing.
        rows.retain(|row| row.try_get::<i64, _>("oid").is_ok());
        let mut seen = Seen {
            transaction,
            ..Seen::default()
        };
        let mut held = Held::default();
        let mut indexed = BTreeSet::new();
        for row in &rows {
            let oid: i64 = row.try_get("oid")?;
            let modes: Vec<String> = row.try_get("modes")?;
            held.modes.insert(oid, modes.into_iter().collect());
            let scans: Option<i64> = row.try_get("scans")?;
            held.scans.insert(oid, scans.unwrap_or(0));
            seen.lock_timeout = row.try_get("lock_timeout")?;
            // Built now, on a table that may have been there before.
            if oid > self.newest && !self.before.modes.contains_key(&oid) {
                indexed.extend(row.try_get::<Option<i64>, _>("of_table")?);
            }
        }
        for row in &rows {
            let oid: i64 = row.try_get("oid")?;
            let Some(known) = self.relations.get_mut(&oid) else {
                continue;
            };
            let modes = &held.modes[&oid];
            let took = stronger(modes, self.before.modes.get(&oid));
            let is_table = matches!(known.kind.as_str(), "r" | "p" | "m");
            let scans = self.before.scans.get(&oid).copied().unwrap_or(0);
            // What an index counts are look-ups.
            let scanned = is_table && held.scans[&oid] > scans;
            let held_now = modes.iter().map(|m| Blocks::of(m)).max();
            let held_now = held_now.unwrap_or(Blocks::Neither);
            // Nobody but a refresh writes to a materialized view.
            let held_now = match (known.kind.as_str(), held_now) {
                ("m", Blocks::Writes) => Blocks::Neither,
                (_, held) => held,
            };
            let mut rewritten = false;
            let mut dropped_columns = Vec::new();
            let name = known.name.clone();
            // Without a name it was dropped.
            let dropped = row.try_get::<Option<String>, _>("name")?.is_none();
            if !dropped {
                let now = relation(row)?;
                rewritten = now.file != known.file && known.file != 0;
                let gone = known
                    .columns
                    .iter()
                    .filter(|(number, _)| !now.columns.contains_key(*number));
                dropped_columns.extend(gone.map(|(_, name)| name.clone()));
                *known = now;
            }
            // What is dropped was locked for it, also by an earlier statement.
            let lost = !dropped_columns.is_empty() || (dropped && self.dropped.insert(oid));
            if took.is_none() && !scanned && !rewritten && !lost {
                continue;
            }
            seen.effects.push(Effect {
                relation: name,
                is_table,
                blocks: took.as_deref().map(Blocks::of),
                lock: took.as_deref().map(in_words),
                held: held_now,
                rewritten,
                scanned,
                written: known.kind != "m" && modes.contains("RowExclusiveLock"),
                indexed: indexed.contains(&oid),
                dropped: dropped && lost,
                dropped_columns,
            });
        }
        seen.effects.sort_by(|a, b| a.relation.cmp(&b.relation));
        self.before = held;
        Ok(seen)
    }
}

fn relation(row: &sqlx::postgres::PgRow) -> sqlx::Result<Relation> {
    let (schema, name): (String, String) = (row.try_get("schema")?, row.try_get("name")?);
    let numbers: Vec<i16> = row.try_get("numbers")?;
    let names: Vec<String> = row.try_get("names")?;
    Ok(Relation {
        columns: numbers.into_iter().zip(names).collect(),
        name: match schema.as_str() {
            "public" => name,
            schema => format!("{schema}.{name}"),
        },
        kind: row.try_get("kind")?,
        file: row.try_get("file")?,
    })
}

/// The strongest of the modes that were not held before.
fn stronger(now: &BTreeSet<String>, before: Option<&BTreeSet<String>>) -> Option<String> {
    let new = now
        .iter()
        .filter(|mode| before.is_none_or(|b| !b.contains(*mode)));
    // Reading a table is what a plain query does.
    let new = new.filter(|mode| *mode != "AccessShareLock");
    new.max_by_key(|mode| strength(mode)).cloned()
}

/// In the order of the conflict table of the manual.
fn strength(mode: &str) -> usize {
    const WEAKEST_FIRST: [&str; 8] = [
        "AccessShareLock",
        "RowShareLock",
        "RowExclusiveLock",
        "ShareUpdateExclusiveLock",
        "ShareLock",
        "ShareRowExclusiveLock",
        "ExclusiveLock",
        "AccessExclusiveLock",
    ];
    let at = WEAKEST_FIRST.iter().position(|m| *m == mode);
    at.unwrap_or(WEAKEST_FIRST.len())
}

/// `AccessExclusiveLock` as the manual writes it.
fn in_words(mode: &str) -> String {
    let mut words = String::new();
    for c in mode.trim_end_matches("Lock").chars() {
        if c.is_uppercase() && !words.is_empty() {
            words.push(' ');
        }
        words.extend(c.to_uppercase());
    }
    words
}

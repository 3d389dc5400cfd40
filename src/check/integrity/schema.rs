//! Whether tables, constraints, triggers, indexes, functions and views are as the migrations make
//! them: those that are applied are run on a scratch database, and the two catalogs are compared.
//!
//! So nobody keeps a list by hand, and a trigger that somebody switched off "for a moment", a
//! function that was replaced or an index that is invalid does not go unnoticed.

use std::collections::BTreeMap;

use sqlx::AssertSqlSafe;

use super::{Integrity, Looked, STATEMENT};
use crate::check::queries::begin;
use crate::error::{Exit, Problem, Result};
use crate::migrate::{self, File, Source, State};
use crate::pg::scratch::Scratch;
use crate::pg::{self, Database, problem};

/// What a schema consists of, as far as it is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    Table,
    Column,
    Constraint,
    /// The internal triggers that enforce a foreign key.
    ForeignKey,
    Index,
    Trigger,
    Function,
    View,
    Rule,
    Policy,
}

impl Kind {
    const ALL: [(Kind, &'static str); 10] = [
        (Kind::Table, "table"),
        (Kind::Column, "column"),
        (Kind::Constraint, "constraint"),
        (Kind::ForeignKey, "foreign key"),
        (Kind::Index, "index"),
        (Kind::Trigger, "trigger"),
        (Kind::Function, "function"),
        (Kind::View, "view"),
        (Kind::Rule, "rule"),
        (Kind::Policy, "policy"),
    ];

    fn parse(word: &str) -> Option<Kind> {
        Kind::ALL.iter().find(|(_, w)| *w == word).map(|(k, _)| *k)
    }

    fn word(self) -> &'static str {
        let found = Kind::ALL.iter().find(|(k, _)| *k == self);
        found.map_or("", |(_, word)| word)
    }

    /// Whether one that no migration made can change what is stored or refuse it.
    fn acts(self, part: &Part) -> bool {
        match self {
            Kind::Trigger | Kind::Rule | Kind::Policy | Kind::Constraint => true,
            Kind::Index => part.definition.contains("UNIQUE"),
            Kind::Table | Kind::Column | Kind::ForeignKey | Kind::Function | Kind::View => false,
        }
    }
}

/// Names quoted where SQL needs it: the table (or the function with its arguments), and the part.
type Key = (Kind, String, String);

#[derive(Debug, Clone, PartialEq, Eq)]
struct Part {
    definition: String,
    /// Switched off, invalid or not validated.
    off: bool,
}

const PARTS: &str = "\
WITH relations AS (
  SELECT c.oid, quote_ident(n.nspname) || '.' || quote_ident(c.relname) AS name, c.relkind,
         c.relpersistence, c.relrowsecurity, c.relforcerowsecurity, c.reloptions
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
   WHERE n.nspname IN ('security', 'authz') AND c.relkind IN ('r', 'p', 'v', 'm', 'f') AND NOT c.relispartition)
SELECT 'table' AS kind, name AS relation, '' AS part, false AS off,
       concat_ws(' ', CASE relkind WHEN 'v' THEN 'view' WHEN 'm' THEN 'materialized view' WHEN 'f' THEN 'foreign'
                                   WHEN 'p' THEN 'partitioned' END,
                 CASE relpersistence WHEN 'u' THEN 'unlogged' WHEN 't' THEN 'temporary' END,
                 CASE WHEN relrowsecurity THEN 'row level security' END,
                 CASE WHEN relforcerowsecurity THEN 'forced' END,
                 CASE WHEN relkind = 'v' THEN reloptions::text END) AS definition
  FROM relations
UNION ALL
SELECT 'column', r.name, quote_ident(a.attname), false,
       concat_ws(' ', format_type(a.atttypid, a.atttypmod), CASE WHEN a.attnotnull THEN 'NOT NULL' END,
                 CASE WHEN a.attgenerated <> '' THEN 'GENERATED' WHEN d.oid IS NOT NULL THEN 'DEFAULT' END,
                 CASE WHEN a.attidentity <> '' THEN 'IDENTITY' END, pg_get_expr(d.adbin, d.adrelid))
  FROM relations r JOIN pg_attribute a ON a.attrelid = r.oid AND a.attnum > 0 AND NOT a.attisdropped
  LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
UNION ALL
SELECT 'constraint', r.name, quote_ident(c.conname), NOT c.convalidated, pg_get_constraintdef(c.oid)
  FROM relations r JOIN pg_constraint c ON c.conrelid = r.oid AND c.contype IN ('c', 'f', 'p', 'u', 'x')
UNION ALL
SELECT 'foreign key', r.name, quote_ident(c.conname), bool_or(t.tgenabled NOT IN ('O', 'A')), ''
  FROM relations r JOIN pg_trigger t ON t.tgrelid = r.oid AND t.tgisinternal
  JOIN pg_constraint c ON c.oid = t.tgconstraint
 GROUP BY 2, 3
UNION ALL
SELECT 'index', r.name, quote_ident(n.nspname) || '.' || quote_ident(c.relname), NOT (i.indisvalid AND i.indisready),
       pg_get_indexdef(i.indexrelid)
  FROM relations r JOIN pg_index i ON i.indrelid = r.oid
  JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_namespace n ON n.oid = c.relnamespace
UNION ALL
SELECT 'trigger', r.name, quote_ident(t.tgname), t.tgenabled NOT IN ('O', 'A'), pg_get_triggerdef(t.oid)
  FROM relations r JOIN pg_trigger t ON t.tgrelid = r.oid AND NOT t.tgisinternal
UNION ALL
SELECT 'rule', r.name, quote_ident(w.rulename), w.ev_enabled NOT IN ('O', 'A'), pg_get_ruledef(w.oid)
  FROM relations r JOIN pg_rewrite w ON w.ev_class = r.oid AND w.rulename <> '_RETURN'
UNION ALL
SELECT 'policy', r.name, quote_ident(p.polname), false,
       concat_ws(' ', p.polcmd::text, p.polpermissive::text, pg_get_expr(p.polqual, p.polrelid), pg_get_expr(p.polwithcheck, p.polrelid))
  FROM relations r JOIN pg_policy p ON p.polrelid = r.oid
UNION ALL
SELECT 'function', quote_ident(n.nspname) || '.' || quote_ident(p.proname) || '(' || oidvectortypes(p.proargtypes) || ')', '', false,
       concat_ws(' ', l.lanname, p.provolatile::text, CASE WHEN p.prosecdef THEN 'SECURITY DEFINER' END, p.proconfig::text, md5(p.prosrc))
  FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace JOIN pg_language l ON l.oid = p.prolang
 WHERE n.nspname IN ('security', 'authz')
UNION ALL
SELECT 'view', r.name, '', false,
       CASE WHEN $1 THEN md5(pg_get_viewdef(r.oid))
            ELSE (SELECT string_agg(DISTINCT d.refobjid::regclass || ' ' || d.refobjsubid, ', ')
                    FROM pg_rewrite w JOIN pg_depend d ON d.classid = 'pg_rewrite'::regclass AND d.objid = w.oid
                   WHERE w.ev_class = r.oid AND d.refclassid = 'pg_class'::regclass AND d.refobjid <> r.oid) END
  FROM relations r WHERE r.relkind IN ('v', 'm')";

impl Integrity<'_> {
    pub(super) async fn schema(&self) -> Result<Looked> {
        let mut looked = Looked::default();
        let source = Source::resolve(None, self.settings);
        let files = migrate::load(&source)?;
        let Some(applied) = self.applied(files, &mut looked).await? else {
            return Ok(looked);
        };
        let scratch = Scratch::start(&self.scratch, self.pg_bin.as_deref()).await?;
        let expected = self.expected(&applied, &scratch).await;
        let stopped = scratch.stop().await;
        let (expected, version) = expected?;
        stopped?;
        let ours = self.database.server_version().await?;
        let exactly = major(&ours) == major(&version);
        let actual = parts(self.database, exactly).await?;
        looked.saw(
            "compared with",
            format_args!(
                "{} migrations on a scratch PostgreSQL {version}",
                applied.len()
            ),
        );
        // An older and a newer server write a view in different words.
        let expected = match expected {
            Expected { exact, .. } if exactly => exact,
            Expected { loose, .. } => loose,
        };
        compare(&expected, &actual, &applied, &mut looked);
        Ok(looked.otherwise(format!(
            "{} parts of security and authz are as the {} applied migrations make them",
            expected.len(),
            applied.len()
        )))
    }

    /// The files that were applied; none where the history does not fit them.
    async fn applied(&self, files: Vec<File>, looked: &mut Looked) -> Result<Option<Vec<File>>> {
        let status = migrate::status(self.database, &files).await?;
        let list = format!("dbctl{} migrate list", self.env_flag());
        if !status.is_sound() {
            looked.unknown(
                "history",
                "the history of migrations does not fit the files: nothing says what the schema should be",
                format!("{list} shows each; put the files back as they were applied"),
            );
            return Ok(None);
        }
        let is_applied = |file: &File| {
            let entry = status.entries.iter().find(|e| e.version == file.version());
            entry.is_some_and(|e| e.state == State::Applied)
        };
        let (applied, pending): (Vec<File>, Vec<File>) = files.into_iter().partition(is_applied);
        if applied.is_empty() {
            looked.fail(
                "history",
                "no migration is applied here: there is no security state to check",
                format!("dbctl{} migrate apply", self.env_flag()),
            );
            return Ok(None);
        }
        if !pending.is_empty() {
            looked.saw("pending", format_args!("{} migrations", pending.len()));
        }
        Ok(Some(applied))
    }

    async fn expected(&self, files: &[File], scratch: &Scratch) -> Result<(Expected, String)> {
        let validated = migrate::validate(files, scratch).await?;
        if let Some(finding) = validated.findings.first() {
            return Err(Problem::new(
                Exit::Unavailable,
                "running the applied migrations on a scratch database",
                finding,
            )
            .next("--scratch native, or the URL of a server that has what they need"));
        }
        let database = scratch.database();
        let version = database.server_version().await?;
        let expected = Expected {
            exact: parts(database, true).await?,
            loose: parts(database, false).await?,
        };
        Ok((expected, version))
    }
}

/// With views by their text, and by what they read.
struct Expected {
    exact: BTreeMap<Key, Part>,
    loose: BTreeMap<Key, Part>,
}

fn major(version: &str) -> &str {
    version
        .split(['.', 'b', 'r', 'd'])
        .next()
        .unwrap_or(version)
}

async fn parts(database: &Database, exactly: bool) -> Result<BTreeMap<Key, Part>> {
    let doing = format!("reading the catalog of {database}");
    let fail = |e: sqlx::Error| problem(&doing, &e);
    let mut tx = begin(database, STATEMENT).await.map_err(fail)?;
    // Then every name is written with its schema.
    sqlx::raw_sql(AssertSqlSafe("SET LOCAL search_path = pg_catalog"))
        .execute(&mut *tx)
        .await
        .map_err(fail)?;
    let rows: Vec<(String, String, String, bool, Option<String>)> = pg::query_as(PARTS)
        .bind(exactly)
        .fetch_all(&mut *tx)
        .await
        .map_err(fail)?;
    tx.commit().await.map_err(fail)?;
    let part = |(word, relation, name, off, definition): (String, String, String, bool, _)| {
        let kind = Kind::parse(&word)?;
        let definition: Option<String> = definition;
        let definition = definition.unwrap_or_default();
        Some(((kind, relation, name), Part { definition, off }))
    };
    Ok(rows.into_iter().filter_map(part).collect())
}

fn compare(
    expected: &BTreeMap<Key, Part>,
    actual: &BTreeMap<Key, Part>,
    files: &[File],
    looked: &mut Looked,
) {
    let gone = |relation: &str| {
        let table = (Kind::Table, relation.to_owned(), String::new());
        expected.contains_key(&table) && !actual.contains_key(&table)
    };
    for (key, part) in expected {
        let name = called(key);
        match actual.get(key) {
            // With a table goes everything that is on it.
            None if key.0 != Kind::Table && gone(&key.1) => {}
            None => looked.fail(
                &name,
                format!("{name} is missing{}", harm(key.0)),
                restore(key, part, files),
            ),
            Some(found) if found.definition != part.definition => looked.fail(
                &name,
                format!(
                    "{name} is not as the migrations make it: {}",
                    differs(key.0, found)
                ),
                put_back(key, part, files),
            ),
            Some(found) if found.off && !part.off => looked.fail(
                &name,
                format!("{name} is {}{}", off(key.0), harm(key.0)),
                switch_on(key),
            ),
            Some(_) => {}
        }
    }
    for (key, part) in actual.iter().filter(|(key, _)| !expected.contains_key(key)) {
        let name = called(key);
        if key.0.acts(part) {
            looked.fail(
                &name,
                format!("{name} is of no migration, and may change or refuse what is stored"),
                drop_it(key),
            );
        } else if key.0 != Kind::ForeignKey {
            looked.saw("of no migration", name);
        }
    }
}

fn called((kind, relation, part): &Key) -> String {
    match part.as_str() {
        "" => format!("{} {relation}", kind.word()),
        part => format!("{} {part} of {relation}", kind.word()),
    }
}

fn off(kind: Kind) -> &'static str {
    match kind {
        Kind::Trigger | Kind::Rule => "disabled",
        Kind::ForeignKey => "not enforced: its triggers are disabled",
        Kind::Constraint => "not validated: old rows may break it",
        Kind::Index => "invalid: it is not used, and if it is unique it is not relied on",
        Kind::Table | Kind::Column | Kind::Function | Kind::View | Kind::Policy => "off",
    }
}

fn harm(kind: Kind) -> &'static str {
    match kind {
        Kind::Trigger => ": what it refuses is possible now",
        Kind::Table
        | Kind::Column
        | Kind::Constraint
        | Kind::ForeignKey
        | Kind::Index
        | Kind::Function
        | Kind::View
        | Kind::Rule
        | Kind::Policy => "",
    }
}

/// What stands there instead; of a body only that it differs.
fn differs(kind: Kind, found: &Part) -> String {
    match kind {
        Kind::Function => "its body or its options differ".into(),
        Kind::View => "it reads something else".into(),
        Kind::Table if found.definition.is_empty() => "it is an ordinary table".into(),
        Kind::Table
        | Kind::Column
        | Kind::Constraint
        | Kind::ForeignKey
        | Kind::Index
        | Kind::Trigger
        | Kind::Rule
        | Kind::Policy => format!("it is `{}`", found.definition),
    }
}

/// The newest file that has the words in it.
fn file_with<'f>(words: &str, files: &'f [File]) -> Option<&'f str> {
    let found = files.iter().rev().find(|f| f.sql.contains(words));
    found.map(|f| f.path.as_str())
}

fn restore(key: &Key, part: &Part, files: &[File]) -> String {
    let (kind, relation, name) = key;
    let of_file = |words: String| match file_with(&words, files) {
        Some(path) => format!("psql: run what makes it once more, from {path}"),
        None => "psql: run what makes it once more, from its migration".to_owned(),
    };
    match kind {
        Kind::Table => format!(
            "its rows are in a backup only: restore {relation} from the newest one, and see whether the rest is whole"
        ),
        Kind::Column => format!(
            "psql: ALTER TABLE {relation} ADD COLUMN {name} {}; what it held is in a backup only",
            part.definition
        ),
        Kind::Constraint => format!(
            "psql: ALTER TABLE {relation} ADD CONSTRAINT {name} {}",
            part.definition
        ),
        Kind::ForeignKey => format!("psql: ALTER TABLE {relation} ENABLE TRIGGER ALL"),
        Kind::Index | Kind::Trigger | Kind::Rule => format!("psql: {}", part.definition),
        Kind::Function => of_file(format!("FUNCTION {}", bare(relation))),
        Kind::View => of_file(format!("VIEW {relation}")),
        Kind::Policy => of_file(format!("POLICY {name}")),
    }
}

/// A function without its arguments.
fn bare(function: &str) -> &str {
    function.split('(').next().unwrap_or(function)
}

fn put_back(key: &Key, part: &Part, files: &[File]) -> String {
    let (kind, relation, name) = key;
    match kind {
        Kind::Table => match part.definition.as_str() {
            "" => format!(
                "psql: ALTER TABLE {relation} SET LOGGED, DISABLE ROW LEVEL SECURITY, NO FORCE ROW LEVEL SECURITY"
            ),
            wanted => format!("make {relation} `{wanted}` again, as its migration does"),
        },
        Kind::Column => format!(
            "make it `{}` again: ALTER TABLE {relation} ALTER COLUMN {name} …",
            part.definition
        ),
        Kind::Constraint => format!(
            "psql: ALTER TABLE {relation} DROP CONSTRAINT {name}, ADD CONSTRAINT {name} {}",
            part.definition
        ),
        Kind::Index => format!("psql: DROP INDEX {name}; {}", part.definition),
        Kind::Trigger => format!(
            "psql: DROP TRIGGER {name} ON {relation}; {}",
            part.definition
        ),
        Kind::Rule => format!("psql: DROP RULE {name} ON {relation}; {}", part.definition),
        Kind::ForeignKey | Kind::Function | Kind::View | Kind::Policy => restore(key, part, files),
    }
}

fn switch_on((kind, relation, name): &Key) -> String {
    match kind {
        Kind::Trigger => format!("psql: ALTER TABLE {relation} ENABLE TRIGGER {name}"),
        Kind::Rule => format!("psql: ALTER TABLE {relation} ENABLE RULE {name}"),
        Kind::ForeignKey => format!("psql: ALTER TABLE {relation} ENABLE TRIGGER ALL"),
        Kind::Constraint => format!("psql: ALTER TABLE {relation} VALIDATE CONSTRAINT {name}"),
        Kind::Index => format!("psql: REINDEX INDEX CONCURRENTLY {name}"),
        Kind::Table | Kind::Column | Kind::Function | Kind::View | Kind::Policy => String::new(),
    }
}

fn drop_it((kind, relation, name): &Key) -> String {
    match kind {
        Kind::Constraint => format!("psql: ALTER TABLE {relation} DROP CONSTRAINT {name}"),
        Kind::Index => format!("psql: DROP INDEX CONCURRENTLY {name}"),
        Kind::Trigger | Kind::Rule | Kind::Policy => format!(
            "psql: DROP {} {name} ON {relation}; or put it into a migration",
            kind.word().to_uppercase()
        ),
        Kind::Table | Kind::Column | Kind::ForeignKey | Kind::Function | Kind::View => {
            String::new()
        }
    }
}

//! A few rows in every table, so that what fails or loses something only where there are rows does
//! so here.
//!
//! Row 1 has a value in every column; row 2 none where there may be none; row 3 and those after it
//! are like row 1 but for their keys. They satisfy types, constraints and foreign keys: what
//! Postgres refuses is tried again with other values for the columns that it names.

use std::collections::{BTreeMap, BTreeSet};

use sqlx::postgres::PgDatabaseError;
use sqlx::{AssertSqlSafe, Executor as _, PgConnection, Row as _};

use super::values::{Column, literals};
use crate::pg;

/// How often one row is tried.
const ATTEMPTS: usize = 200;

/// Tables that came since a relation of this number, those that are referred to first.
const TABLES: &str = "\
SELECT c.oid::bigint AS oid, pg_catalog.quote_ident(n.nspname) || '.' || pg_catalog.quote_ident(c.relname) AS name,
       coalesce(pg_catalog.pg_get_expr(c.relpartbound, c.oid), '') AS bound
  FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
 WHERE c.relkind = 'r' AND c.oid > $1::bigint::oid AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
   AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend e
                    WHERE e.classid = 'pg_catalog.pg_class'::regclass AND e.objid = c.oid AND e.deptype = 'e')
 ORDER BY c.oid";

const COLUMNS: &str = "\
SELECT pg_catalog.quote_ident(a.attname) AS name, a.attnum AS number,
       b.typname::text AS type, b.typcategory::text AS category,
       pg_catalog.format_type(a.atttypid, a.atttypmod) AS written,
       CASE WHEN b.typname IN ('varchar', 'bpchar') THEN greatest(a.atttypmod, t.typtypmod) - 4
            WHEN b.typname IN ('bit', 'varbit') THEN greatest(a.atttypmod, t.typtypmod) END AS length,
       NOT (a.attnotnull OR t.typnotnull) AS nullable, a.atthasdef AS has_default,
       a.attidentity <> '' OR a.attgenerated <> '' AS made,
       coalesce((SELECT array_agg(e.enumlabel::text ORDER BY e.enumsortorder) FROM pg_catalog.pg_enum e
                  WHERE e.enumtypid = b.oid), '{}') AS labels,
       coalesce((SELECT string_agg(pg_catalog.pg_get_constraintdef(k.oid), ' ') FROM pg_catalog.pg_constraint k
                  WHERE k.contypid = t.oid), '') AS of_domain
  FROM pg_catalog.pg_attribute a JOIN pg_catalog.pg_type t ON t.oid = a.atttypid
  JOIN pg_catalog.pg_type b ON b.oid = CASE t.typtype WHEN 'd' THEN t.typbasetype ELSE t.oid END
 WHERE a.attrelid = $1::bigint::oid AND a.attnum > 0 AND NOT a.attisdropped
 ORDER BY a.attnum";

const CONSTRAINTS: &str = "\
SELECT k.conname::text AS name, k.contype::text AS type, k.conkey AS columns,
       CASE k.contype WHEN 'c' THEN pg_catalog.pg_get_constraintdef(k.oid) ELSE '' END AS definition,
       coalesce(r.name, '') AS refers_to, coalesce(r.columns, '{}') AS referred
  FROM pg_catalog.pg_constraint k
  LEFT JOIN LATERAL (
       SELECT pg_catalog.quote_ident(n.nspname) || '.' || pg_catalog.quote_ident(c.relname) AS name,
              (SELECT array_agg(pg_catalog.quote_ident(a.attname) ORDER BY o.n)
                 FROM unnest(k.confkey) WITH ORDINALITY o (number, n)
                 JOIN pg_catalog.pg_attribute a ON a.attrelid = k.confrelid AND a.attnum = o.number) AS columns
         FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
        WHERE c.oid = k.confrelid) r ON true
 WHERE k.conrelid = $1::bigint::oid AND k.contype IN ('c', 'f', 'p', 'u', 'x') AND k.conkey IS NOT NULL
UNION ALL
SELECT c.relname::text, 'u', pg_catalog.string_to_array(i.indkey::text, ' ')::int2[], '', '', '{}'
  FROM pg_catalog.pg_index i JOIN pg_catalog.pg_class c ON c.oid = i.indexrelid
 WHERE i.indrelid = $1::bigint::oid AND i.indisunique
UNION ALL
SELECT '', 'b', coalesce((
         SELECT array_agg(a.attnum) FROM pg_catalog.pg_partitioned_table p
          CROSS JOIN LATERAL unnest(p.partattrs::int2[]) k (number)
           JOIN pg_catalog.pg_attribute o ON o.attrelid = p.partrelid AND o.attnum = k.number
           JOIN pg_catalog.pg_attribute a ON a.attrelid = i.inhrelid AND a.attname = o.attname
          WHERE p.partrelid = i.inhparent), '{}'), '', '', '{}'
  FROM pg_catalog.pg_inherits i JOIN pg_catalog.pg_class c ON c.oid = i.inhrelid
 WHERE i.inhrelid = $1::bigint::oid AND c.relispartition";

/// What came of filling tables.
#[derive(Debug, Default)]
pub(super) struct Filled {
    /// Tables that stay empty, and why.
    pub not: Vec<(String, String)>,
    /// The greatest number of a relation that was looked at.
    pub newest: i64,
}

struct Table {
    name: String,
    columns: Vec<Column>,
    /// Name and columns of everything that may be violated.
    constraints: BTreeMap<String, Vec<i16>>,
    references: Vec<Reference>,
}

struct Reference {
    columns: Vec<i16>,
    table: String,
    referred: Vec<String>,
}

/// Puts `rows` rows into every table that came after the relation `since` and is empty.
pub(super) async fn fill(
    connection: &mut PgConnection,
    since: i64,
    rows: usize,
) -> sqlx::Result<Filled> {
    let mut filled = Filled {
        newest: since,
        ..Filled::default()
    };
    let found = pg::query(TABLES)
        .bind(since)
        .fetch_all(&mut *connection)
        .await?;
    let mut tables = Vec::new();
    for row in &found {
        let oid: i64 = row.try_get("oid")?;
        filled.newest = filled.newest.max(oid);
        tables.push(describe(connection, row).await?);
    }
    for table in in_order(tables) {
        if let Err(why) = fill_one(connection, &table, rows).await? {
            filled.not.push((table.name.clone(), why));
        }
    }
    Ok(filled)
}

async fn describe(
    connection: &mut PgConnection,
    row: &sqlx::postgres::PgRow,
) -> sqlx::Result<Table> {
    let (oid, bound): (i64, String) = (row.try_get("oid")?, row.try_get("bound")?);
    let mut table = Table {
        name: row.try_get("name")?,
        columns: Vec::new(),
        constraints: BTreeMap::new(),
        references: Vec::new(),
    };
    let mut unique = BTreeSet::new();
    let mut bounded = BTreeSet::new();
    let mut checks: Vec<(Vec<i16>, String)> = Vec::new();
    let constraints = pg::query(CONSTRAINTS)
        .bind(oid)
        .fetch_all(&mut *connection)
        .await?;
    for row in constraints {
        let columns: Vec<i16> = row.try_get("columns")?;
        table
            .constraints
            .insert(row.try_get("name")?, columns.clone());
        match row.try_get::<String, _>("type")?.as_str() {
            "c" => checks.push((columns, row.try_get("definition")?)),
            "f" => table.references.push(Reference {
                columns,
                table: row.try_get("refers_to")?,
                referred: row.try_get("referred")?,
            }),
            "b" => bounded.extend(columns),
            _ => unique.extend(columns),
        }
    }
    let columns = pg::query(COLUMNS).bind(oid).fetch_all(connection).await?;
    for row in columns {
        let made: bool = row.try_get("made")?;
        let number: i16 = row.try_get("number")?;
        // A serial counts by itself; what decides on the partition must fit that.
        let counts = row.try_get("has_default")? && unique.contains(&number);
        if made || (counts && !bounded.contains(&number)) {
            continue;
        }
        let of_column = checks
            .iter()
            .filter(|(columns, _)| columns.contains(&number));
        let of_domain: String = row.try_get("of_domain")?;
        let mut named: Vec<String> = of_column.flat_map(|(_, check)| literals(check)).collect();
        named.extend(literals(&of_domain));
        if bounded.contains(&number) {
            named.extend(literals(&bound));
        }
        let length: Option<i32> = row.try_get("length")?;
        let category: String = row.try_get("category")?;
        table.columns.push(Column {
            name: row.try_get("name")?,
            number,
            r#type: row.try_get("type")?,
            category: category.chars().next().unwrap_or('U'),
            written: row.try_get("written")?,
            length: length
                .and_then(|l| u32::try_from(l).ok())
                .filter(|l| *l > 0),
            nullable: row.try_get("nullable")?,
            unique: unique.contains(&number),
            literals: named,
            labels: row.try_get("labels")?,
        });
    }
    Ok(table)
}

/// Those that others refer to first; in a circle, as they were made.
fn in_order(mut tables: Vec<Table>) -> Vec<Table> {
    let mut ordered: Vec<Table> = Vec::with_capacity(tables.len());
    while !tables.is_empty() {
        let waiting: BTreeSet<String> = tables.iter().map(|t| t.name.clone()).collect();
        let ready = |t: &Table| {
            let mut others = t.references.iter().filter(|r| r.table != t.name);
            others.all(|r| !waiting.contains(&r.table))
        };
        let (now, later): (Vec<Table>, Vec<Table>) = tables.into_iter().partition(ready);
        if now.is_empty() {
            ordered.extend(later);
            break;
        }
        ordered.extend(now);
        tables = later;
    }
    ordered
}

/// The inner error says why the table stays as it is.
async fn fill_one(
    connection: &mut PgConnection,
    table: &Table,
    rows: usize,
) -> sqlx::Result<Result<(), String>> {
    let there = format!("SELECT EXISTS (SELECT FROM {})", table.name);
    let there: bool = match pg::query_scalar(AssertSqlSafe(there))
        .fetch_one(&mut *connection)
        .await
    {
        Ok(there) => there,
        Err(e) => return refused(e),
    };
    if there {
        return Ok(Ok(()));
    }
    for n in 1..=rows {
        if let Err(why) = insert(connection, table, n).await? {
            // One row is better than none, and shows most.
            return Ok(if n == 1 { Err(why) } else { Ok(()) });
        }
    }
    Ok(Ok(()))
}

async fn insert(
    connection: &mut PgConnection,
    table: &Table,
    n: usize,
) -> sqlx::Result<Result<(), String>> {
    let mut candidates: Vec<Vec<String>> =
        table.columns.iter().map(|c| values(table, c, n)).collect();
    let mut sifted = false;
    let mut chosen = vec![0_usize; candidates.len()];
    let names: Vec<&str> = table.columns.iter().map(|c| c.name.as_str()).collect();
    let names = names.join(", ");
    for _ in 0..ATTEMPTS {
        let row: Vec<&str> = chosen
            .iter()
            .zip(&candidates)
            .map(|(i, of)| of[*i].as_str())
            .collect();
        let sql = match row.is_empty() {
            true => format!("INSERT INTO {} DEFAULT VALUES", table.name),
            false => format!(
                "INSERT INTO {} ({names}) VALUES ({})",
                table.name,
                row.join(", ")
            ),
        };
        let e = match connection.execute(sqlx::raw_sql(AssertSqlSafe(sql))).await {
            Ok(_) => return Ok(Ok(())),
            Err(e) => e,
        };
        let of = match at_fault(table, &e) {
            Fault::Columns(of) => of,
            Fault::Somewhere if sifted => table.columns.iter().map(|c| c.number).collect(),
            Fault::Somewhere => {
                sifted = true;
                for of_column in &mut candidates {
                    sift(connection, of_column).await?;
                }
                chosen.fill(0);
                continue;
            }
            Fault::Elsewhere => return refused(e),
        };
        if !next(&mut chosen, &candidates, &table.columns, &of) {
            return refused(e);
        }
    }
    Ok(Err(format!(
        "no values were found in {ATTEMPTS} attempts that its constraints allow"
    )))
}

/// What a column may have in row `n`, best first.
fn values(table: &Table, column: &Column, n: usize) -> Vec<String> {
    let reference = table.references.iter().find_map(|r| {
        let at = r.columns.iter().position(|c| *c == column.number)?;
        Some((r, at))
    });
    let number = if column.unique { n } else { 1 };
    let mut all = match reference {
        Some((r, at)) => {
            let order = r.referred.join(", ");
            let of = |skip: usize| {
                format!(
                    "(SELECT {} FROM {} ORDER BY {order} OFFSET {skip} LIMIT 1)",
                    r.referred[at], r.table
                )
            };
            let mut all = vec![of(number - 1), of(0)];
            if column.nullable {
                all.push("NULL".to_owned());
            }
            // One that refers to itself.
            let itself = |c: &&Column| r.table == table.name && c.name == r.referred[at];
            let referred = table.columns.iter().find(itself).unwrap_or(column);
            all.extend(referred.candidates(number));
            all
        }
        None => column.candidates(number),
    };
    if n == 2 && column.nullable {
        all.insert(0, "NULL".to_owned());
    }
    all
}

/// What Postgres complains of.
enum Fault {
    Columns(Vec<i16>),
    /// A value that its type or domain does not take; it does not say which.
    Somewhere,
    /// Other values would not help.
    Elsewhere,
}

fn at_fault(table: &Table, e: &sqlx::Error) -> Fault {
    let said = e.as_database_error();
    let Some(e) = said.and_then(|e| e.try_downcast_ref::<PgDatabaseError>()) else {
        return Fault::Elsewhere;
    };
    // check, not null, unique, foreign key, exclusion; and data exceptions, cannot coerce.
    let of_constraint = ["23514", "23502", "23505", "23503", "23P01"].contains(&e.code());
    if !of_constraint && !e.code().starts_with("22") && e.code() != "42846" {
        return Fault::Elsewhere;
    }
    // The bounds of a partition have no name.
    let name = e.constraint().unwrap_or_default();
    let of_table = e.table().is_some();
    let by_constraint = table
        .constraints
        .get(name)
        .filter(|_| of_constraint && of_table);
    let by_column = || {
        let name = e.column()?;
        let quoted = |c: &&Column| c.name.trim_matches('"') == name;
        table.columns.iter().find(quoted).map(|c| vec![c.number])
    };
    let columns = by_constraint.cloned().or_else(by_column);
    columns.map_or(Fault::Somewhere, Fault::Columns)
}

/// Leaves out what its type or domain does not take; one stays in any case.
async fn sift(connection: &mut PgConnection, candidates: &mut Vec<String>) -> sqlx::Result<()> {
    let mut taken = Vec::new();
    for value in candidates.iter() {
        let select = sqlx::raw_sql(AssertSqlSafe(format!("SELECT {value}")));
        match connection.execute(select).await {
            Ok(_) => taken.push(value.clone()),
            Err(sqlx::Error::Database(_)) => {}
            Err(e) => return Err(e),
        }
    }
    if !taken.is_empty() {
        *candidates = taken;
    }
    Ok(())
}

/// The next combination for the columns `of`, like an odometer; false after the last.
fn next(chosen: &mut [usize], candidates: &[Vec<String>], columns: &[Column], of: &[i16]) -> bool {
    let wheels = (0..columns.len()).filter(|i| of.contains(&columns[*i].number));
    for i in wheels {
        chosen[i] += 1;
        if chosen[i] < candidates[i].len() {
            return true;
        }
        chosen[i] = 0;
    }
    false
}

/// What the server says is a reason; anything else ends the trial.
fn refused(e: sqlx::Error) -> sqlx::Result<Result<(), String>> {
    match e.as_database_error() {
        Some(said) => Ok(Err(said.message().to_owned())),
        None => Err(e),
    }
}

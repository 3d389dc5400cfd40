//! Partitions by time: there is one for now and for the next month, and nothing lies in a default.

use std::collections::BTreeMap;

use sqlx::AssertSqlSafe;

use super::{Integrity, Looked};
use crate::error::Result;
use crate::pg::{self, Identifier, problem};

/// Parent's schema and name, partition's schema and name, whether it is the default one, whether it covers
/// this month, whether it covers the next one, whether it is being detached.
type Row = (String, String, String, String, bool, bool, bool, bool);

impl Integrity<'_> {
    pub(super) async fn partitions(&self) -> Result<Looked> {
        let doing = "looking for partitions";
        let fail = |e: sqlx::Error| problem(doing, &e);
        let mut tx = self.begin(doing).await?;
        let rows: Vec<Row> = pg::query_as(PARTITIONS)
            .fetch_all(&mut *tx)
            .await
            .map_err(fail)?;
        let mut looked = Looked::default();
        let mut parents: BTreeMap<(String, String), Vec<Row>> = BTreeMap::new();
        for row in rows {
            let parent = (row.0.clone(), row.1.clone());
            parents.entry(parent).or_default().push(row);
        }
        if !parents.contains_key(&("authz".to_owned(), "policy_decisions".to_owned())) {
            looked.fail(
                "authz.policy_decisions",
                "authz.policy_decisions has no partitions: no decision can be recorded",
                format!("dbctl{} migrate list", self.env_flag()),
            );
        }
        for ((schema, name), partitions) in &parents {
            let table = format!("{schema}.{name}");
            looked.saw(&table, format_args!("{} partitions", partitions.len()));
            let remedy = "psql: SELECT authz.ensure_policy_decision_partitions(); \
                          the service calls it at its start";
            for (covered, when) in [
                (partitions.iter().any(|p| p.5), "this month"),
                (partitions.iter().any(|p| p.6), "the next month"),
            ] {
                if !covered {
                    looked.fail(
                        format!("{table} {when}"),
                        format!("{table} has no partition for {when}: rows go to its default partition, if it has one"),
                        remedy,
                    );
                }
            }
            for partition in partitions.iter().filter(|p| p.7) {
                looked.fail(
                    &table,
                    format!(
                        "{}.{} is half detached from {table}: its rows are not seen",
                        partition.2, partition.3
                    ),
                    format!(
                        "psql: ALTER TABLE {table} DETACH PARTITION {}.{} FINALIZE",
                        partition.2, partition.3
                    ),
                );
            }
            match partitions.iter().find(|p| p.4) {
                None => looked.fail(
                    format!("{table} default"),
                    format!(
                        "{table} has no default partition: a row of a month without one is refused"
                    ),
                    "psql: run once more what makes it, from its migration",
                ),
                Some((_, _, schema, name, ..)) => {
                    let from = format!("{}.{}", Identifier::new(schema)?, Identifier::new(name)?);
                    let count = format!(
                        "SELECT count(*), coalesce(min(created_at)::text, ''), coalesce(max(created_at)::text, '') FROM {from}"
                    );
                    let (count, oldest, newest): (i64, String, String) =
                        pg::query_as(AssertSqlSafe(count))
                            .fetch_one(&mut *tx)
                            .await
                            .map_err(fail)?;
                    if count > 0 {
                        looked.fail(
                            format!("{schema}.{name}"),
                            format!("{count} rows lie in the default partition {schema}.{name}, from {oldest} to {newest}"),
                            format!(
                                "{remedy}; it moves the rows of the months that it makes. Older or far future rows came from a wrong clock"
                            ),
                        );
                    }
                }
            }
        }
        tx.commit().await.map_err(fail)?;
        Ok(looked.otherwise(
            "there are partitions for this month and the next, and the default ones are empty",
        ))
    }
}

const PARTITIONS: &str = r"
WITH partitions AS (
  SELECT pn.nspname AS parent_schema, p.relname AS parent, n.nspname AS schema, c.relname AS name,
         pg_catalog.pg_get_expr(c.relpartbound, c.oid) AS bound, i.inhdetachpending AS detaching
    FROM pg_catalog.pg_class p
    JOIN pg_catalog.pg_namespace pn ON pn.oid = p.relnamespace
    JOIN pg_catalog.pg_inherits i ON i.inhparent = p.oid
    JOIN pg_catalog.pg_class c ON c.oid = i.inhrelid
    JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
   WHERE p.relkind = 'p' AND pn.nspname IN ('security', 'authz')),
bounds AS (
  SELECT *, substring(bound FROM $x$^FOR VALUES FROM \('([^']+)'\)$x$)::timestamptz AS since,
            substring(bound FROM $x$TO \('([^']+)'\)$$x$)::timestamptz AS until
    FROM partitions)
SELECT parent_schema::text, parent::text, schema::text, name::text, bound = 'DEFAULT',
       coalesce(since <= now() AND now() < until, false),
       coalesce(since <= next AND next < until, false), detaching
  FROM bounds, (SELECT date_trunc('month', now()) + interval '1 month') AS following(next)
 ORDER BY 1, 2, 3, 4";

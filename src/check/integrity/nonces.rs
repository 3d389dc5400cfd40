//! Nonce watermarks: never below what anybody has used or knows to be reserved (P1).
//!
//! Which side must be ahead follows from where a node reserves: on Postgres the row is asked
//! after the node, in a file before it, so that neither may have risen in between.

use std::collections::{BTreeMap, BTreeSet};

use super::{Integrity, LOOK_BACK, Looked};
use crate::carry::client::CallFailed;
use crate::carry::kit::Kit;
use crate::carry::over::{Fleet, Member};
use crate::contract::Watermark;
use crate::error::Result;
use crate::pg::{self, problem};
use crate::runtime::toggles::{Mode, Toggle};

/// Node and scope.
type Of = (String, String);

/// What an instance says of itself.
struct Said {
    node: String,
    on_postgres: bool,
    /// By scope, of those that Postgres has rows for.
    tops: Vec<(String, i64)>,
}

impl Integrity<'_> {
    pub(super) async fn nonces(&self) -> Result<Looked> {
        let mut looked = Looked::default();
        let before = self.tops().await?;
        let said = self.ask(&before, &mut looked).await?;
        let after = self.tops().await?;
        let in_files: BTreeSet<&str> = said
            .iter()
            .filter(|s| !s.on_postgres)
            .map(|s| s.node.as_str())
            .collect();
        for instance in &said {
            against_instance(instance, &before, &after, &self.env_flag(), &mut looked);
        }
        let mut compared = said.len();
        if let Some(env) = self.env
            && let Some(kept) = Kit::of(self.settings, env)?.load()?
        {
            let kit = &kept.snapshot;
            looked.saw("rollback kit of", kit.taken_at);
            let of_postgres = |w: &&Watermark| !in_files.contains(w.node_name.as_str());
            for w in kit.watermarks.iter().filter(of_postgres) {
                compared += 1;
                below(w, "the rollback kit", &after, &mut looked);
            }
        }
        compared += self.against_events(&in_files, &mut looked).await?;
        for ((node, scope), top) in &after {
            looked.saw(format!("{node} {scope}"), top);
        }
        if compared == 0 && looked.findings.is_empty() {
            looked.unknown(
                "records",
                "no instance, no rollback kit and no event says how far nonces went",
                format!(
                    "dbctl{} smoke nonce reserves some and leaves the records to judge by",
                    self.env_flag()
                ),
            );
        }
        Ok(looked.otherwise(format!(
            "{} watermarks are not below what instances, the rollback kit and events say, and no two ranges overlap",
            after.len()
        )))
    }

    /// The rows, as they are now.
    async fn tops(&self) -> Result<BTreeMap<Of, i64>> {
        let doing = "reading the nonce watermarks";
        let fail = |e: sqlx::Error| problem(doing, &e);
        let mut tx = self.begin(doing).await?;
        let rows: Vec<(String, String, i64)> = pg::query_as(
            "SELECT node_name, nonce_scope, reserved_high FROM security.nonce_watermarks",
        )
        .fetch_all(&mut *tx)
        .await
        .map_err(fail)?;
        tx.commit().await.map_err(fail)?;
        Ok(rows.into_iter().map(|(n, s, top)| ((n, s), top)).collect())
    }

    /// Asks every target; one that does not answer is not judged, which is no pass.
    async fn ask(&self, rows: &BTreeMap<Of, i64>, looked: &mut Looked) -> Result<Vec<Said>> {
        let Some(env) = self.env else {
            looked.unknown(
                "instances",
                "not checked: no environment says which instances there are",
                "name the environment with --env",
            );
            return Ok(Vec::new());
        };
        let fleet = Fleet::everyone(env)?;
        if fleet.is_empty() {
            looked.unknown(
                "instances",
                format!("not checked: the environment {} has no targets", env.name),
                format!(
                    "describe each instance in [[environments.{}.targets]]",
                    env.name
                ),
            );
        }
        let mut said = Vec::new();
        for (member, answer) in fleet.all(|m| ask_one(m, rows)).await {
            match answer {
                Ok(answer) => said.push(answer),
                Err(failed) => looked.unknown(
                    &member.target.name,
                    format!("not checked: {failed}"),
                    format!(
                        "start {}, or see what keeps it from answering",
                        member.target.name
                    ),
                ),
            }
        }
        Ok(said)
    }

    /// The ranges that events say were handed out: disjoint, and below the watermark. How many
    /// nodes and scopes there were.
    async fn against_events(
        &self,
        in_files: &BTreeSet<&str>,
        looked: &mut Looked,
    ) -> Result<usize> {
        let doing = "comparing nonce watermarks with the ranges in security.events";
        let fail = |e: sqlx::Error| problem(doing, &e);
        let mut tx = self.begin(doing).await?;
        let back = LOOK_BACK.as_secs_f64();
        let ranges = format!("{RANGES} {OVERLAPS}");
        let overlaps: Vec<(String, String, i64, i64, i64)> =
            pg::query_as(sqlx::AssertSqlSafe(ranges))
                .bind(back)
                .fetch_all(&mut *tx)
                .await
                .map_err(fail)?;
        let ranges = format!("{RANGES} {HIGHEST}");
        let highest: Vec<(String, String, i64)> = pg::query_as(sqlx::AssertSqlSafe(ranges))
            .bind(back)
            .fetch_all(&mut *tx)
            .await
            .map_err(fail)?;
        tx.commit().await.map_err(fail)?;
        let flag = self.env_flag();
        for (node, scope, first, last, earlier) in overlaps {
            looked.fail(
                format!("{node} {scope}"),
                format!(
                    "nonces were handed out twice: {first} to {last} of {node}, scope {scope}, after {earlier} had been handed out"
                ),
                format!(
                    "stop {node}, replace the key that is used with the nonces of {scope}, and see `dbctl{flag} incident export DIR`"
                ),
            );
        }
        // Read after the events: a row that was raised meanwhile is only higher.
        let rows = self.tops().await?;
        let mut compared = 0;
        for (node, scope, last) in highest {
            if in_files.contains(node.as_str()) {
                continue;
            }
            compared += 1;
            let w = Watermark {
                node_name: node,
                nonce_scope: scope,
                reserved_high: last.saturating_add(1),
                window_size: 1,
            };
            below(&w, "an event", &rows, looked);
        }
        Ok(compared)
    }
}

async fn ask_one(member: &Member, rows: &BTreeMap<Of, i64>) -> Result<Said, CallFailed> {
    let health = member.client.health().await?;
    let node = health.instance;
    let mut tops = Vec::new();
    for (_, scope) in rows.keys().filter(|(n, _)| *n == node) {
        if let Some(w) = member.client.watermark(scope).await? {
            tops.push((scope.clone(), w.reserved_high));
        } else {
            // It knows nothing of a scope that Postgres has.
            tops.push((scope.clone(), 0));
        }
    }
    Ok(Said {
        node,
        on_postgres: health.modes.get(Toggle::NonceStore) == Mode::Postgres,
        tops,
    })
}

fn against_instance(
    said: &Said,
    before: &BTreeMap<Of, i64>,
    after: &BTreeMap<Of, i64>,
    flag: &str,
    looked: &mut Looked,
) {
    let node = &said.node;
    for (scope, top) in &said.tops {
        let of = (node.clone(), scope.clone());
        if said.on_postgres {
            let w = Watermark {
                node_name: node.clone(),
                nonce_scope: scope.clone(),
                reserved_high: *top,
                window_size: 1,
            };
            below(&w, "the instance itself", after, looked);
            continue;
        }
        let row = before.get(&of).copied().unwrap_or(0);
        if *top < row {
            looked.fail(
                format!("{node} {scope}"),
                format!(
                    "{node} reserves nonces of {scope} in its file, which stands at {top}; Postgres knows of {row}: \
                     what it reserved there would be used again"
                ),
                format!(
                    "carry it home: dbctl{flag} carry export FILE --from postgres, then dbctl{flag} carry import FILE \
                     --into instances; a carry step of a run does the same"
                ),
            );
        }
    }
}

/// Whether the row of `w` is below it, or gone.
fn below(w: &Watermark, who: &str, rows: &BTreeMap<Of, i64>, looked: &mut Looked) {
    let (node, scope, top) = (&w.node_name, &w.nonce_scope, w.reserved_high);
    let row = rows.get(&(node.clone(), scope.clone())).copied();
    if top == 0 || row.is_some_and(|row| row >= top) {
        return;
    }
    let text = super::literal;
    let (stands, command) = match row {
        Some(row) => (
            format!("stands at {row}"),
            format!(
                "UPDATE security.nonce_watermarks SET reserved_high = {top} + window_size \
                 WHERE node_name = {} AND nonce_scope = {} AND reserved_high < {top} + window_size",
                text(node),
                text(scope)
            ),
        ),
        None => (
            "is gone".to_owned(),
            format!(
                "INSERT INTO security.nonce_watermarks (node_name, nonce_scope, reserved_high, window_size) \
                 VALUES ({}, {}, {top} + 1000, 1000)",
                text(node),
                text(scope)
            ),
        ),
    };
    looked.fail(
        format!("{node} {scope}"),
        format!(
            "the watermark of {node}, scope {scope}, {stands}, and {who} knows of {top}: the database fell back in time \
             (a restored backup, a failover that lost commits) or was changed by hand"
        ),
        format!("psql: {command}; then restart {node}"),
    );
}

/// Ranges of the events that say them whole.
const RANGES: &str = "\
WITH said AS MATERIALIZED (
  SELECT subject_id AS node, detail->>'nonce_scope' AS scope, detail->'first' AS first, detail->'last' AS last
    FROM security.events
   WHERE kind = 'nonce.reserved' AND created_at >= now() - $1 * interval '1 second'
     AND subject_id IS NOT NULL AND jsonb_typeof(detail->'nonce_scope') = 'string'
     AND jsonb_typeof(detail->'first') = 'number' AND jsonb_typeof(detail->'last') = 'number'),
ranges AS MATERIALIZED (
  SELECT node, scope, first::numeric::bigint AS first, last::numeric::bigint AS last FROM said)";

const OVERLAPS: &str = "\
SELECT node, scope, first, last, earlier FROM (
  SELECT node, scope, first, last,
         max(last) OVER (PARTITION BY node, scope ORDER BY first, last ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS earlier
    FROM ranges) r
 WHERE earlier >= first ORDER BY 1, 2, 3 LIMIT 100";

const HIGHEST: &str = "SELECT node, scope, max(last) FROM ranges GROUP BY 1, 2 ORDER BY 1, 2";

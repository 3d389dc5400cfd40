//! From the token and the session of a decision to where they were issued and revoked.
//!
//! Where the service hides ids, decisions and events have a keyed hash in their place, and the
//! revocation itself, which a check must find, has the id. The event of a revocation leads to it:
//! both name the request. Where there is no event, only the key does.

use std::collections::BTreeMap;

use futures_util::TryStreamExt as _;
use jiff_sqlx::{Timestamp as SqlTime, ToSqlx as _};
use sqlx::postgres::PgRow;
use sqlx::{AssertSqlSafe, PgConnection, Row as _};

use super::{Decision, Happened, Revoked, Thing, happened};
use crate::pg;
use crate::runtime::decisions::{IdKey, is_hidden};

/// The first event of each kind, by the id that it is about.
type First = BTreeMap<(String, String), Happened>;

/// Where the revocations of something are.
struct Kept {
    event: &'static str,
    table: &'static str,
    id: &'static str,
}

const TOKENS: Kept = Kept {
    event: "token.revoked",
    table: "security.revoked_tokens",
    id: "token_id",
};

const SESSIONS: Kept = Kept {
    event: "session.revoked",
    table: "security.revoked_sessions",
    id: "session_id",
};

impl Kept {
    /// Asks for the rows for which this is so.
    fn rows(&self, condition: &str) -> AssertSqlSafe<String> {
        let Kept { table, id, .. } = self;
        AssertSqlSafe(format!(
            "SELECT {id} AS id, revoked_at, least(expires_at, timestamptz '9999-01-01 00:00Z') AS expires_at, \
                    reason, revoked_by, request_id \
               FROM {table} WHERE {condition}"
        ))
    }
}

const NO_KEY: &str = "its id is hidden here, and no event leads to a revocation of it: --id-key-file \
                      looks among all";
const NOT_FOUND: &str = "its id is hidden here, and nothing that is revoked has this hash under the \
                         key that was given";

/// Where the tokens and sessions came from, and what became of them.
pub(super) async fn follow(
    tx: &mut PgConnection,
    decisions: &mut [Decision],
    key: Option<&IdKey>,
) -> sqlx::Result<()> {
    let things = decisions.iter().flat_map(|d| [&d.token, &d.session]);
    let mut ids: Vec<String> = things.flatten().map(|thing| thing.id.clone()).collect();
    ids.sort();
    ids.dedup();
    let first = events_of(tx, &ids).await?;
    let event = |id: &str, kind: &str| first.get(&(id.to_owned(), kind.to_owned())).cloned();
    // One request seldom decides about more than one token; each is looked for once.
    let mut known: BTreeMap<String, Thing> = BTreeMap::new();
    for decision in decisions {
        let things = [
            (&mut decision.token, &TOKENS),
            (&mut decision.session, &SESSIONS),
        ];
        for (thing, kept) in things {
            let Some(thing) = thing else { continue };
            let name = format!("{} {}", kept.event, thing.id);
            if let Some(same) = known.get(&name) {
                thing.clone_from(same);
                continue;
            }
            thing.issued = event(&thing.id, "token.issued");
            thing.revoked_by_event = event(&thing.id, kept.event);
            if is_hidden(&thing.id) {
                follow_hidden(tx, thing, kept, key).await?;
            } else {
                thing.revoked = revoked(tx, kept, &thing.id).await?;
            }
            known.insert(name, thing.clone());
        }
    }
    Ok(())
}

/// All of them in one pass: there is no index on what events are about, which every request would
/// pay for and nothing but this needs.
async fn events_of(tx: &mut PgConnection, ids: &[String]) -> sqlx::Result<First> {
    if ids.is_empty() {
        return Ok(First::new());
    }
    let rows = pg::query(
        "SELECT DISTINCT ON (subject_id, kind) \
                created_at, instance, request_id, kind, subject_id, kid, detail \
           FROM security.events \
          WHERE subject_id = ANY ($1) AND kind IN ('token.issued', 'token.revoked', 'session.revoked') \
          ORDER BY subject_id, kind, created_at",
    )
    .bind(ids)
    .fetch_all(tx)
    .await?;
    rows.iter()
        .map(|row| {
            let event = happened(row)?;
            let of = event.subject_id.clone().unwrap_or_default();
            Ok(((of, event.kind.clone()), event))
        })
        .collect()
}

async fn follow_hidden(
    tx: &mut PgConnection,
    thing: &mut Thing,
    kept: &Kept,
    key: Option<&IdKey>,
) -> sqlx::Result<()> {
    let is_it = |id: &str| key.is_none_or(|key| key.hide(id) == thing.id);
    if let Some(event) = &thing.revoked_by_event {
        let near = "request_id = $1 AND revoked_at BETWEEN $2 - interval '10 minutes' \
                    AND $2 + interval '10 minutes' LIMIT 1000";
        let rows = pg::query(kept.rows(near))
            .bind(&event.request_id)
            .bind(event.at.to_sqlx())
            .fetch_all(&mut *tx)
            .await?;
        let mut found = Vec::new();
        for row in &rows {
            if is_it(row.try_get("id")?) {
                found.push(row);
            }
        }
        // Without the key only one that is alone is certain.
        if let [row] = found[..] {
            thing.revoked = Some(read(row)?);
            return Ok(());
        }
    }
    let Some(key) = key else {
        thing.not_followed = Some(NO_KEY.into());
        return Ok(());
    };
    match find(tx, kept, key, &thing.id).await? {
        Some(id) => thing.revoked = revoked(tx, kept, &id).await?,
        None => thing.not_followed = Some(NOT_FOUND.into()),
    }
    Ok(())
}

/// The id among all that are revoked that is hidden as `hidden`.
async fn find(
    tx: &mut PgConnection,
    kept: &Kept,
    key: &IdKey,
    hidden: &str,
) -> sqlx::Result<Option<String>> {
    let all = AssertSqlSafe(format!("SELECT {} FROM {}", kept.id, kept.table));
    let mut all = pg::query_scalar::<String>(all).fetch(tx);
    while let Some(id) = all.try_next().await? {
        if key.hide(&id) == hidden {
            return Ok(Some(id));
        }
    }
    Ok(None)
}

async fn revoked(tx: &mut PgConnection, kept: &Kept, id: &str) -> sqlx::Result<Option<Revoked>> {
    let by_id = format!("{} = $1", kept.id);
    let row = pg::query(kept.rows(&by_id))
        .bind(id)
        .fetch_optional(tx)
        .await?;
    row.as_ref().map(read).transpose()
}

fn read(row: &PgRow) -> sqlx::Result<Revoked> {
    Ok(Revoked {
        at: row.try_get::<SqlTime, _>("revoked_at")?.into(),
        until: row.try_get::<SqlTime, _>("expires_at")?.into(),
        reason: row.try_get("reason")?,
        by: row.try_get("revoked_by")?,
        request_id: row.try_get("request_id")?,
    })
}

//! How far somebody has read the revocations in Postgres, and what is news to them.
//!
//! # How none is missed
//!
//! Every row says which transaction changed it last (`changed_in`). Transactions commit in another
//! order than they begin, so a greatest id would miss some; and the time at which something was
//! revoked says nothing about when it came into this database. A reader keeps the snapshot that it
//! saw instead, and asks for the rows whose transaction was not in that snapshot. This holds as long
//! as transaction ids are not used again, which a crash, a failover or a restored backup may do:
//! then, told by when the server was started and last recovered, everything is read anew.

use jiff::Timestamp;
use jiff_sqlx::Timestamp as SqlTime;
use serde::{Deserialize, Serialize};
use sqlx::{PgConnection, Postgres, Row as _, Transaction};

use crate::pg::{self, Database};

/// Up to where the revocations in Postgres were read: everything that was committed by then.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Position {
    /// Which life of which server, which database, which tables; transaction ids of another one
    /// mean nothing.
    incarnation: String,
    /// A `pg_snapshot`.
    snapshot: String,
}

/// What a read begins with.
#[derive(Debug)]
pub(crate) struct Seen {
    pub position: Position,
    /// Every row says which transaction changed it last; not before V0012.
    pub can_be_followed: bool,
    pub is_standby: bool,
    /// The database's clock.
    pub now: Timestamp,
}

impl Position {
    /// Whether what is news since `earlier` can be told at this one.
    pub(crate) fn follows(&self, earlier: &Self) -> bool {
        self.incarnation == earlier.incarnation
    }

    /// For [`NEWS`].
    pub(crate) fn snapshot(&self) -> &str {
        &self.snapshot
    }
}

/// Which rows are news to somebody who has read up to the snapshot `$1`. (Rows of a restored dump
/// may name transactions that are still to come; they were read with everything.)
pub(crate) const NEWS: &str = "changed_in >= pg_snapshot_xmin($1::text::pg_snapshot) \
     AND changed_in < pg_snapshot_xmax(pg_current_snapshot()) \
     AND NOT pg_visible_in_snapshot(changed_in, $1::text::pg_snapshot)";

/// One snapshot for all that is read in it.
pub(crate) async fn begin_to_read_all(
    db: &Database,
) -> sqlx::Result<Transaction<'static, Postgres>> {
    db.begin_with("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
        .await
}

/// The same for a part of it: sequential scans are out of the question, whatever the statistics
/// say.
pub(crate) async fn begin_to_read_part(
    db: &Database,
) -> sqlx::Result<Transaction<'static, Postgres>> {
    // In one message: a rollback counts every way to the server and back.
    db.begin_with("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SET LOCAL enable_seqscan = off")
        .await
}

/// A crash, a promotion and a restore change one of the first two times, whichever server answers.
/// Tables that were made anew, from a dump for example, have other numbers.
pub(crate) async fn seen(tx: &mut PgConnection) -> sqlx::Result<Seen> {
    let row = pg::query(
        "SELECT pg_is_in_recovery(), \
                concat_ws('/', pg_postmaster_start_time(), (SELECT stats_reset FROM pg_stat_bgwriter), \
                    (SELECT oid FROM pg_database WHERE datname = current_database()), f.tables), \
                pg_current_snapshot()::text, now(), f.count = 2 \
           FROM (SELECT count(*), string_agg(attrelid::oid::text, '+' ORDER BY attrelid) AS tables \
                   FROM pg_attribute \
                  WHERE attrelid IN (to_regclass('security.revoked_tokens'), \
                                     to_regclass('security.revoked_sessions')) \
                    AND attname = 'changed_in' AND NOT attisdropped) AS f",
    )
    .fetch_one(tx)
    .await?;
    Ok(Seen {
        is_standby: row.try_get(0)?,
        position: Position {
            incarnation: row.try_get(1)?,
            snapshot: row.try_get(2)?,
        },
        now: row.try_get::<SqlTime, _>(3)?.into(),
        can_be_followed: row.try_get(4)?,
    })
}

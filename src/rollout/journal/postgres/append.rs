//! Writing entries.

use std::time::{Duration, Instant};

use sqlx::{Postgres, Row as _, Transaction};

use super::requests::answer;
use super::{MAKERS, PostgresStore, READING};
use crate::error::{Exit, Result};
use crate::pg::{query, query_scalar};
use crate::rollout::journal::chain::Entry;
use crate::rollout::journal::{
    AppendError, DONE, Place, already_open, millis, place, signed, unsigned,
};
use crate::rollout::lease::Lease;

impl PostgresStore {
    /// Begins a run. Without an acknowledgement it is asked for once more: it is there then, or
    /// begins now.
    pub async fn start(&self, name: &str, ttl: Duration, entry: &Entry) -> Result<Lease> {
        let act = "starting a run in";
        let before = Instant::now();
        let first = self
            .within(act, self.try_start(act, name, ttl, entry))
            .await;
        match first {
            Err(problem) if problem.exit() == Exit::Unavailable => {
                self.within(act, self.try_start(act, name, ttl, entry))
                    .await?;
            }
            done => done?,
        }
        let record = &entry.record;
        Ok(Lease::new(
            record.run.clone(),
            record.holder.clone(),
            record.token,
            ttl,
            before,
        ))
    }

    async fn try_start(&self, act: &str, name: &str, ttl: Duration, entry: &Entry) -> Result<()> {
        let failed = |e: sqlx::Error| self.problem(act, &e);
        let run = entry.record.run.as_str();
        let mut tx = self.begin_durable(act).await?;
        // Whoever begins at the same moment waits until this is over: also an earlier attempt of
        // ours that was not acknowledged.
        query("SELECT pg_catalog.pg_advisory_xact_lock($1)")
            .bind(MAKERS)
            .execute(&mut *tx)
            .await
            .map_err(failed)?;
        let there: Option<Vec<u8>> =
            query_scalar("SELECT hash FROM dbctl_journal.events WHERE run = $1 AND seq = 1")
                .bind(run)
                .fetch_optional(&mut *tx)
                .await
                .map_err(failed)?;
        if there.is_some_and(|hash| hash == entry.hash.0) {
            return tx.commit().await.map_err(failed);
        }
        let open =
            query("SELECT run, name, opened_ms, closed FROM dbctl_journal.runs WHERE NOT closed")
                .fetch_optional(&mut *tx)
                .await
                .map_err(failed)?;
        if let Some(row) = open {
            tx.commit().await.map_err(failed)?;
            let doing = format!("{act} the journal {self}");
            return Err(already_open(doing, &self.run_row(&row)?));
        }
        query("INSERT INTO dbctl_journal.runs (run, name, opened_ms) VALUES ($1, $2, $3)")
            .bind(run)
            .bind(name)
            .bind(signed(entry.record.at_ms))
            .execute(&mut *tx)
            .await
            .map_err(failed)?;
        query(
            "INSERT INTO dbctl_journal.leases (run, holder, token, expires)
             VALUES ($1, $2, $3, clock_timestamp() + $4 * interval '1 millisecond')",
        )
        .bind(run)
        .bind(&entry.record.holder)
        .bind(signed(entry.record.token))
        .bind(millis(ttl))
        .execute(&mut *tx)
        .await
        .map_err(failed)?;
        insert(&mut tx, entry, false, false).await.map_err(failed)?;
        tx.commit().await.map_err(failed)
    }

    pub async fn append(
        &self,
        lease: &Lease,
        entry: &Entry,
        closed: bool,
        answers: Option<i64>,
    ) -> Result<(), AppendError> {
        let act = "writing to";
        self.within(act, async {
            let mut tx = self.begin_durable(act).await?;
            match self.append_in(&mut tx, lease, entry, closed, answers).await {
                Ok(()) => tx.commit().await.map_err(|e| self.problem(act, &e).into()),
                Err(error) => {
                    // Whether this is heard or not, nothing was committed.
                    let _ = tx.rollback().await;
                    Err(error)
                }
            }
        })
        .await
    }

    async fn append_in(
        &self,
        tx: &mut Transaction<'static, Postgres>,
        lease: &Lease,
        entry: &Entry,
        closed: bool,
        answers: Option<i64>,
    ) -> Result<(), AppendError> {
        let failed = |e: sqlx::Error| AppendError::Failed(self.problem("writing to", &e));
        let last = self.lock(tx, lease).await?;
        match place(self, entry, last)? {
            Place::Taken => return Ok(()),
            Place::Free => {}
        }
        insert(tx, entry, closed, false).await.map_err(failed)?;
        if let Some(id) = answers {
            let answered = answer(tx, id, DONE).await.map_err(failed)?;
            if !answered {
                return Err(AppendError::Withdrawn);
            }
        }
        Ok(())
    }

    /// Locks the lease and checks that it is still ours; then reads where the chain ends.
    async fn lock(
        &self,
        tx: &mut Transaction<'static, Postgres>,
        lease: &Lease,
    ) -> Result<Option<(u64, Vec<u8>)>, AppendError> {
        let failed = |e: sqlx::Error| AppendError::Failed(self.problem("writing to", &e));
        let run = lease.run().as_str();
        let row = query("SELECT holder, token FROM dbctl_journal.leases WHERE run = $1 FOR UPDATE")
            .bind(run)
            .fetch_optional(&mut **tx)
            .await
            .map_err(failed)?;
        let token = row.as_ref().map(|r| unsigned(r.get("token")));
        if token != Some(lease.token()) {
            return Err(AppendError::Fenced {
                holder: row.map_or_else(|| "nobody".into(), |r| r.get("holder")),
                token: token.unwrap_or(0),
            });
        }
        // A statement of its own: it must not read what was there before the lock.
        let last = query(
            "SELECT seq, hash FROM dbctl_journal.events WHERE run = $1 ORDER BY seq DESC LIMIT 1",
        )
        .bind(run)
        .fetch_optional(&mut **tx)
        .await
        .map_err(failed)?;
        Ok(last.map(|row| (unsigned(row.get("seq")), row.get("hash"))))
    }

    /// Appends entries that were written without this journal, in one transaction.
    pub async fn merge(
        &self,
        lease: &Lease,
        entries: &[Entry],
        closed: bool,
    ) -> Result<(), AppendError> {
        let act = "merging into";
        let work = async {
            let mut tx = self.begin_durable(act).await?;
            let merged = async {
                let mut last = self.lock(&mut tx, lease).await?;
                let ends = entries.last().map(|e| (e.record.seq, e.hash.0.to_vec()));
                if last == ends {
                    return Ok(());
                }
                for entry in entries {
                    match place(self, entry, last)? {
                        Place::Taken => {}
                        Place::Free => insert(&mut tx, entry, closed, true)
                            .await
                            .map_err(|e| AppendError::Failed(self.problem(act, &e)))?,
                    }
                    last = Some((entry.record.seq, entry.hash.0.to_vec()));
                }
                Ok(())
            };
            match merged.await {
                Ok(()) => tx.commit().await.map_err(|e| self.problem(act, &e).into()),
                Err(error) => {
                    let _ = tx.rollback().await;
                    Err(error)
                }
            }
        };
        match tokio::time::timeout(READING, work).await {
            Ok(done) => done,
            Err(_) => Err(self.silent(act, "it took too long").into()),
        }
    }
}

/// Writes an entry and whether its run is over then. `spooled`: it was written elsewhere before.
async fn insert(
    tx: &mut Transaction<'static, Postgres>,
    entry: &Entry,
    closed: bool,
    spooled: bool,
) -> sqlx::Result<()> {
    query(
        "WITH ending AS (UPDATE dbctl_journal.runs SET closed = $6 WHERE run = $1 AND closed <> $6)
         INSERT INTO dbctl_journal.events (run, seq, body, prev, hash, spooled)
         VALUES ($1, $2, $3, $4, $5, $7)",
    )
    .bind(entry.record.run.as_str())
    .bind(signed(entry.record.seq))
    .bind(&entry.body)
    .bind(entry.prev.0.as_slice())
    .bind(entry.hash.0.as_slice())
    .bind(closed)
    .bind(spooled)
    .execute(&mut **tx)
    .await
    .map(|_| ())
}

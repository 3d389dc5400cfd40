//! Who drives.

use std::time::{Duration, Instant};

use sqlx::Row as _;

use super::PostgresStore;
use crate::error::{Problem, Result};
use crate::pg::{query, query_scalar};
use crate::rollout::journal::chain::RunId;
use crate::rollout::journal::{millis, signed, unsigned};
use crate::rollout::lease::{Held, Lease, Taken};

impl PostgresStore {
    pub async fn take(
        &self,
        run: &RunId,
        holder: &str,
        ttl: Duration,
        force: bool,
    ) -> Result<Taken> {
        let act = "taking the lease in";
        // Twice: the lease may expire between the attempt and the look at who holds it.
        for _ in 0..2 {
            // Counted from before the request: the store's clock may start later, never earlier.
            let before = Instant::now();
            if let Some(token) = self.take_what_expired(run, holder, ttl, force).await? {
                let token = unsigned(token);
                let lease = Lease::new(run.clone(), holder.to_owned(), token, ttl, before);
                return Ok(Taken::Ours(lease));
            }
            match self.row_of_lease(run).await? {
                Some((held, false)) => return Ok(Taken::Held(held)),
                Some((_, true)) => {}
                None => return Err(self.note(act, format!("run {run} is not in it"))),
            }
        }
        let moving = "it expired and was taken by somebody else, twice in a row";
        Err(self.note(act, moving.to_owned()))
    }

    /// The lease's new token, where it had expired or is taken by force.
    async fn take_what_expired(
        &self,
        run: &RunId,
        holder: &str,
        ttl: Duration,
        force: bool,
    ) -> Result<Option<i64>> {
        let act = "taking the lease in";
        self.within(act, async {
            let failed = |e: sqlx::Error| self.problem(act, &e);
            let mut tx = self.begin_durable(act).await?;
            let token = query_scalar(
                "UPDATE dbctl_journal.leases
                        SET holder = $1, token = token + 1,
                            expires = clock_timestamp() + $2 * interval '1 millisecond'
                      WHERE run = $3 AND ($4 OR expires <= clock_timestamp()) RETURNING token",
            )
            .bind(holder)
            .bind(millis(ttl))
            .bind(run.as_str())
            .bind(force)
            .fetch_optional(&mut *tx)
            .await
            .map_err(failed)?;
            tx.commit().await.map_err(failed)?;
            Ok::<_, Problem>(token)
        })
        .await
    }

    pub async fn holder(&self, run: &RunId) -> Result<Option<Held>> {
        let row = self.row_of_lease(run).await?;
        Ok(row.filter(|(_, expired)| !expired).map(|(held, _)| held))
    }

    /// The lease of a run, and whether it has expired.
    async fn row_of_lease(&self, run: &RunId) -> Result<Option<(Held, bool)>> {
        let act = "reading";
        self.within(act, async {
            let failed = |e: sqlx::Error| self.problem(act, &e);
            let mut tx = self.begin(act).await?;
            let row = query(
                "SELECT holder, token,
                        (extract(epoch FROM expires - clock_timestamp()) * 1000)::bigint AS left_ms
                   FROM dbctl_journal.leases WHERE run = $1",
            )
            .bind(run.as_str())
            .fetch_optional(&mut *tx)
            .await
            .map_err(failed)?;
            tx.commit().await.map_err(failed)?;
            Ok(row.map(|row| {
                let left_ms: i64 = row.get("left_ms");
                let held = Held {
                    holder: row.get("holder"),
                    token: unsigned(row.get("token")),
                    left: Duration::from_millis(unsigned(left_ms)),
                };
                (held, left_ms <= 0)
            }))
        })
        .await
    }

    pub async fn renew(&self, lease: &Lease) -> Result<bool> {
        let before = Instant::now();
        let ours = self
            .set_expiry("renewing the lease in", lease, lease.ttl())
            .await?;
        if ours {
            lease.renewed(before);
        }
        Ok(ours)
    }

    pub async fn release(&self, lease: &Lease) -> Result<()> {
        self.set_expiry("giving back the lease in", lease, Duration::ZERO)
            .await
            .map(|_| ())
    }

    /// False when the lease is not ours any more.
    async fn set_expiry(&self, act: &str, lease: &Lease, left: Duration) -> Result<bool> {
        self.within(act, async {
            let failed = |e: sqlx::Error| self.problem(act, &e);
            let mut tx = self.begin(act).await?;
            let done = query(
                "UPDATE dbctl_journal.leases
                    SET expires = clock_timestamp() + $3 * interval '1 millisecond'
                  WHERE run = $1 AND token = $2",
            )
            .bind(lease.run().as_str())
            .bind(signed(lease.token()))
            .bind(millis(left))
            .execute(&mut *tx)
            .await
            .map_err(failed)?;
            tx.commit().await.map_err(failed)?;
            Ok(done.rows_affected() == 1)
        })
        .await
    }
}

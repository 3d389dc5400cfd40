//! What operators ask of whoever drives.

use sqlx::{Postgres, Row as _, Transaction};

use super::PostgresStore;
use crate::error::{Problem, Result};
use crate::pg::{query, query_scalar};
use crate::rollout::journal::chain::RunId;
use crate::rollout::journal::request::{Request, RequestKind};
use crate::rollout::journal::signed;
use crate::rollout::lease::Lease;
use crate::rollout::person::Person;

impl PostgresStore {
    pub async fn request(
        &self,
        run: &RunId,
        kind: RequestKind,
        by: &Person,
        detail: &str,
    ) -> Result<i64> {
        let act = "leaving a request in";
        self.within(act, async {
            let failed = |e: sqlx::Error| self.problem(act, &e);
            let mut tx = self.begin_durable(act).await?;
            let id = query_scalar(
                "INSERT INTO dbctl_journal.requests (run, kind, by_whom, claim, detail)
                 VALUES ($1, $2, $3, $4, $5) RETURNING id",
            )
            .bind(run.as_str())
            .bind(kind.as_str())
            .bind(by.to_string())
            .bind(by.claim())
            .bind(detail)
            .fetch_one(&mut *tx)
            .await
            .map_err(failed)?;
            tx.commit().await.map_err(failed)?;
            Ok(id)
        })
        .await
    }

    pub async fn requests(&self, run: &RunId) -> Result<Vec<Request>> {
        let act = "reading";
        self.within(act, async {
            let failed = |e: sqlx::Error| self.problem(act, &e);
            let mut tx = self.begin(act).await?;
            // The role, not what the row says beside it.
            let rows = query(
                "SELECT id, kind, role, claim, detail FROM dbctl_journal.requests
                  WHERE run = $1 AND answer IS NULL ORDER BY id",
            )
            .bind(run.as_str())
            .fetch_all(&mut *tx)
            .await
            .map_err(failed)?;
            tx.commit().await.map_err(failed)?;
            rows.iter()
                .map(|row| {
                    Ok(Request {
                        id: row.get("id"),
                        kind: RequestKind::named(row.get("kind")).ok_or_else(|| {
                            self.note(act, "it holds a request of an unknown kind")
                        })?,
                        by: row.get("role"),
                        claim: row.get("claim"),
                        detail: row.get("detail"),
                    })
                })
                .collect()
        })
        .await
    }

    pub async fn refuse(&self, lease: &Lease, id: i64, why: &str) -> Result<bool> {
        let act = "answering a request in";
        self.within(act, async {
            let failed = |e: sqlx::Error| self.problem(act, &e);
            let mut tx = self.begin_durable(act).await?;
            let ours: Option<i64> = query_scalar(
                "SELECT token FROM dbctl_journal.leases WHERE run = $1 AND token = $2 FOR UPDATE",
            )
            .bind(lease.run().as_str())
            .bind(signed(lease.token()))
            .fetch_optional(&mut *tx)
            .await
            .map_err(failed)?;
            if ours.is_some() {
                answer(&mut tx, id, why).await.map_err(failed)?;
            }
            tx.commit().await.map_err(failed)?;
            Ok(ours.is_some())
        })
        .await
    }

    pub async fn withdraw(&self, id: i64, why: &str) -> Result<Option<String>> {
        let act = "taking back a request in";
        let withdrawn = self
            .within(act, async {
                let failed = |e: sqlx::Error| self.problem(act, &e);
                let mut tx = self.begin_durable(act).await?;
                let withdrawn = answer(&mut tx, id, why).await.map_err(failed)?;
                tx.commit().await.map_err(failed)?;
                Ok::<_, Problem>(withdrawn)
            })
            .await?;
        match withdrawn {
            true => Ok(None),
            false => self.answered(id).await,
        }
    }

    pub async fn answered(&self, id: i64) -> Result<Option<String>> {
        let act = "reading";
        self.within(act, async {
            let failed = |e: sqlx::Error| self.problem(act, &e);
            let mut tx = self.begin(act).await?;
            let answer = query_scalar("SELECT answer FROM dbctl_journal.requests WHERE id = $1")
                .bind(id)
                .fetch_one(&mut *tx)
                .await
                .map_err(failed)?;
            tx.commit().await.map_err(failed)?;
            Ok(answer)
        })
        .await
    }
}

/// Answers a request; false where it was answered or taken back before.
pub(super) async fn answer(
    tx: &mut Transaction<'static, Postgres>,
    id: i64,
    answer: &str,
) -> sqlx::Result<bool> {
    query("UPDATE dbctl_journal.requests SET answer = $1 WHERE id = $2 AND answer IS NULL")
        .bind(answer)
        .bind(id)
        .execute(&mut **tx)
        .await
        .map(|done| done.rows_affected() == 1)
}

//! A file as the copy of another journal's run.

use super::SqliteStore;
use crate::error::Result;
use crate::rollout::journal::chain::{self, Record, RunId};
use crate::rollout::journal::{signed, unsigned};

impl SqliteStore {
    /// Writes entries of another journal's run as they are, behind those that are here already;
    /// the lease is free then, by the highest token that they name.
    pub async fn copy(
        &self,
        run: &RunId,
        name: &str,
        rows: &[chain::Row],
        closed: bool,
    ) -> Result<()> {
        let act = "copying a run into";
        let failed = |e: sqlx::Error| self.problem(act, &e);
        let mut tx = self.begin(act).await?;
        let last: i64 =
            sqlx::query_scalar("SELECT coalesce(max(seq), 0) FROM events WHERE run = ?")
                .bind(run.as_str())
                .fetch_one(&mut *tx)
                .await
                .map_err(failed)?;
        // Another process of this machine may have copied some of them.
        let missing = rows.iter().filter(|(seq, ..)| *seq > unsigned(last));
        for (number, (seq, body, prev, hash)) in missing.enumerate() {
            let record: Record = serde_json::from_str(body)
                .map_err(|e| self.note(act, format!("event {seq} cannot be read: {e}")))?;
            if *seq != unsigned(last) + 1 + number as u64 {
                return Err(self.note(act, format!("event {seq} does not follow the last one")));
            }
            sqlx::query(
                "INSERT OR IGNORE INTO runs (run, name, opened_ms, closed) VALUES (?, ?, ?, 0)",
            )
            .bind(run.as_str())
            .bind(name)
            .bind(signed(record.at_ms))
            .execute(&mut *tx)
            .await
            .map_err(failed)?;
            sqlx::query(
                "INSERT INTO leases (run, holder, token, expires_ms) VALUES (?1, ?2, ?3, 0)
                 ON CONFLICT (run) DO UPDATE SET holder = ?2, token = max(token, ?3), expires_ms = 0",
            )
            .bind(run.as_str())
            .bind(&record.holder)
            .bind(signed(record.token))
            .execute(&mut *tx)
            .await
            .map_err(failed)?;
            sqlx::query("INSERT INTO events (run, seq, body, prev, hash) VALUES (?, ?, ?, ?, ?)")
                .bind(run.as_str())
                .bind(signed(*seq))
                .bind(body)
                .bind(prev.as_slice())
                .bind(hash.as_slice())
                .execute(&mut *tx)
                .await
                .map_err(failed)?;
        }
        sqlx::query("UPDATE runs SET closed = ? WHERE run = ?")
            .bind(closed)
            .bind(run.as_str())
            .execute(&mut *tx)
            .await
            .map_err(failed)?;
        tx.commit().await.map_err(failed)
    }

    /// Closes it and removes its files.
    pub async fn remove(self) -> Result<()> {
        self.pool.close().await;
        for extra in ["", "-wal", "-shm"] {
            let mut path = self.path.clone().into_os_string();
            path.push(extra);
            match std::fs::remove_file(&path) {
                Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
                    return Err(self.note("removing", e));
                }
                Ok(()) | Err(_) => {}
            }
        }
        Ok(())
    }
}

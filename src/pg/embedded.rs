//! PostgreSQL inside this process: no download, no Docker, nothing to install.
//!
//! It serves one connection at a time (a second one waits), so its pool has exactly one and
//! everything in the process shares it.

use crate::error::Result;
use crate::pg::Database;

/// What it is, for people: no query is needed to say so.
pub const VERSION: &str = "17.5";

#[cfg(feature = "embedded")]
pub use with_engine::Embedded;
#[cfg(not(feature = "embedded"))]
pub use without_engine::Embedded;

#[cfg(feature = "embedded")]
mod with_engine {
    use std::str::FromStr;
    use std::time::Duration;

    use pglite_oxide::PgliteServer;
    use sqlx::postgres::PgConnectOptions;

    use super::{Database, Result};
    use crate::error::{Exit, Problem};
    use crate::pg::temporary::Temporary;

    /// How long its connection is waited for: first until the backend is up, later for one's
    /// turn. Well above what a loaded machine needs for the former (20 s were seen), so that only
    /// a hang is one.
    const PATIENCE: Duration = Duration::from_secs(120);

    /// A running embedded server with an empty database. [`Embedded::stop`] ends it in order;
    /// dropping it ends it in the background.
    pub struct Embedded {
        database: Database,
        engine: Option<Engine>,
    }

    /// The server before its folder: fields drop in this order.
    struct Engine {
        server: PgliteServer,
        folder: Temporary,
    }

    impl Embedded {
        /// Starts it in a folder of its own, in about half a second.
        pub async fn start() -> Result<Self> {
            let failed = |why: String| {
                Problem::new(Exit::Unavailable, "starting the embedded PostgreSQL", why)
                    .next("--scratch native or --scratch URL use another server")
            };
            let started = tokio::task::spawn_blocking(move || {
                let folder = Temporary::create(&crate::pg::native::end_leftover)?;
                let server = PgliteServer::builder()
                    .path(folder.path().join("root"))
                    .database("postgres")
                    .relaxed_durability(true)
                    .start()
                    .map_err(|e| failed(format!("{e:#}")))?;
                Ok::<_, Problem>(Engine { server, folder })
            });
            let engine = started.await.map_err(|e| failed(e.to_string()))??;
            let options = PgConnectOptions::from_str(&engine.server.database_url())
                .map_err(|e| failed(e.to_string()))?;
            let started = Self {
                database: Database::one_kept_open(options, PATIENCE),
                engine: Some(engine),
            };
            // The backend itself starts with the first connection, which stays in the pool.
            let first = started.database.pool().acquire().await;
            first.map_err(|e| failed(e.to_string()))?;
            Ok(started)
        }

        /// A pool of exactly one connection.
        pub fn database(&self) -> &Database {
            &self.database
        }

        /// Closes the pool, then the server (which waits for its clients), then removes its files.
        pub async fn stop(mut self) -> Result<()> {
            self.database.close().await;
            let Some(engine) = self.engine.take() else {
                return Ok(());
            };
            let stopped = tokio::task::spawn_blocking(move || {
                let Engine { server, folder } = engine;
                let stopped = server.shutdown();
                drop(folder);
                stopped.map_err(|e| format!("{e:#}"))
            });
            stopped
                .await
                .map_err(|e| e.to_string())
                .flatten()
                .map_err(|why| Problem::new(Exit::Failed, "stopping the embedded PostgreSQL", why))
        }
    }

    impl Drop for Embedded {
        fn drop(&mut self) {
            // Stopping waits for clients, and a drop must not wait: a thread does. If the process
            // ends first, the next start sweeps the folder.
            if let Some(engine) = self.engine.take() {
                std::thread::spawn(move || drop(engine));
            }
        }
    }
}

#[cfg(not(feature = "embedded"))]
mod without_engine {
    use super::{Database, Result};
    use crate::error::{Exit, Problem};

    /// Not in this build: [`Embedded::start`] says so.
    pub enum Embedded {}

    impl Embedded {
        pub async fn start() -> Result<Self> {
            Err(Problem::new(
                Exit::Unavailable,
                "starting the embedded PostgreSQL",
                "this dbctl was built without it (cargo feature `embedded`)",
            )
            .next("--scratch native uses an installed PostgreSQL, --scratch URL any server"))
        }

        pub fn database(&self) -> &Database {
            match *self {}
        }

        pub async fn stop(self) -> Result<()> {
            match self {}
        }
    }
}

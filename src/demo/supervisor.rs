//! Starts, restarts and stops the demo's instances, and is asked for restarts over HTTP as a
//! supervisor of real processes would be. An instance starts with nothing but its env file and
//! what lies in its state directory.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::routing::post;
use tokio::sync::Mutex;

use super::service::{Running, Service, ServiceConfig, read_env_file};
use super::stage::Player;
use crate::error::{Doing, Exit, Problem, Result};
use crate::pg::Database;

/// The instances under supervision.
#[derive(Clone, Default)]
pub struct Supervisor {
    /// Each by itself: one that takes its time holds up no other.
    inner: Arc<Mutex<BTreeMap<String, Arc<Mutex<Instance>>>>>,
}

struct Instance {
    player: Player,
    database: Database,
    running: Option<Running>,
}

impl Supervisor {
    /// Begins to listen for restarts; `POST /restart/{name}`.
    pub async fn listen(&self) -> Result<SocketAddr> {
        let doing = "starting the supervisor";
        let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0))
            .await
            .doing(Exit::Failed, doing)?;
        let address = listener.local_addr().doing(Exit::Failed, doing)?;
        let app = Router::new()
            .route("/restart/{name}", post(restart))
            .with_state(self.clone());
        tokio::spawn(async move { axum::serve(listener, app).await });
        Ok(address)
    }

    /// Starts an instance; `database` is the one that its environment shares.
    pub async fn start(&self, player: Player, database: Database) -> Result<()> {
        let running = Some(start(&player, &database).await?);
        let name = player.name.to_owned();
        let instance = Instance {
            player,
            database,
            running,
        };
        let instance = Arc::new(Mutex::new(instance));
        self.inner.lock().await.insert(name, instance);
        Ok(())
    }

    async fn restart(&self, name: &str) -> Result<()> {
        let instance = self.inner.lock().await.get(name).cloned();
        let Some(instance) = instance else {
            let cause = format!("there is no instance {}", name.escape_debug());
            return Err(Problem::new(Exit::Usage, "restarting", cause));
        };
        let mut instance = instance.lock().await;
        if let Some(running) = instance.running.take() {
            running.shutdown().await;
        }
        instance.running = Some(start(&instance.player, &instance.database).await?);
        Ok(())
    }

    /// Stops all of them.
    pub async fn stop(&self) {
        for instance in self.inner.lock().await.values() {
            let mut instance = instance.lock().await;
            if let Some(running) = instance.running.take() {
                running.shutdown().await;
            }
        }
    }
}

async fn start(player: &Player, database: &Database) -> Result<Running> {
    let pairs = read_env_file(&player.env_file)?;
    let pairs = pairs.iter().map(|(k, v)| (k.as_str(), v.as_str()));
    let mut config = ServiceConfig::from_pairs(pairs)?;
    config.faults = true;
    let shared = config.wants_postgres().then(|| database.clone());
    Service::start(config, shared).await
}

async fn restart(
    State(supervisor): State<Supervisor>,
    Path(name): Path<String>,
) -> (StatusCode, String) {
    // On a task of its own: whoever asked may go away in the middle.
    let done = tokio::spawn(async move { supervisor.restart(&name).await }).await;
    match done {
        Ok(Ok(())) => (StatusCode::OK, String::new()),
        Ok(Err(problem)) => (StatusCode::INTERNAL_SERVER_ERROR, problem.to_string()),
        Err(e) => (StatusCode::INTERNAL_SERVER_ERROR, e.to_string()),
    }
}

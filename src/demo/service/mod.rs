//! The reference service: a small real HTTP service on the adapters of [`crate::runtime`],
//! configured by the four toggles. It keeps the contract of `docs/service-contract.md`.

mod answer;
mod auth;
mod config;
mod decide;
mod faults;
mod init;
mod metrics;
mod state;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::middleware::{from_fn, from_fn_with_state};
use axum::routing::{MethodRouter, get, post};
use jiff::Timestamp;
use secrecy::SecretString;
use serde_json::json;
use tokio::sync::{RwLock, RwLockReadGuard, mpsc};
use tokio_util::sync::CancellationToken;

use crate::contract::Snapshot;
use crate::error::{Doing, Exit, Problem, Result};
use crate::keys::{Kek, SigningKey};
use crate::pg::Database;
use crate::runtime::decisions::{DecisionLog, Happened, IdKey, Keeping, SPOOL_FILE};
use crate::runtime::nonce::{Nonces, Opening};
use crate::runtime::resolver::{KeyResolver, Loading, MemoryKeys, PostgresKeys};
use crate::runtime::revocation::{MemoryRevocations, PostgresRevocations, Revocations};
use crate::runtime::toggles::{Mode, Modes};

use answer::{Refusal, measured, with_request_id};
use faults::Faults;
use metrics::{Metrics, Op};

pub use config::{NAMES, ServiceConfig, read_env_file};
pub use faults::FaultSettings;
pub use init::{Initialised, SharedFiles, init};

/// The file in the state directory that carry-over leaves for the next start.
pub const CARRY_FILE: &str = "carry.json";

/// Connections of a service that has its database for itself.
const POOL: u32 = 8;

/// Largest request body; carry-over has its own.
const MAX_BODY_BYTES: usize = 64 * 1024;
const MAX_CARRY_BYTES: usize = 256 * 1024 * 1024;

/// How long a shutdown waits for requests that are being answered: far longer than they take
/// unless their store is gone, and then a rollback is waiting.
const DRAIN: Duration = Duration::from_millis(500);

/// Starts services.
#[derive(Debug)]
pub struct Service;

/// A service that serves. Dropping it leaves it serving until the process ends.
#[derive(Debug)]
pub struct Running {
    name: String,
    addr: SocketAddr,
    modes: Modes,
    stop: CancellationToken,
    server: tokio::task::JoinHandle<()>,
    app: Shared,
    /// Yields nothing once the last part of the service is gone.
    gone: mpsc::Receiver<()>,
}

type Shared = Arc<App>;

/// Everything that requests share.
#[derive(Debug)]
struct App {
    config: ServiceConfig,
    boot_id: String,
    started_at: Timestamp,
    began: std::time::Instant,
    keys: KeyResolver,
    revocations: Revocations,
    nonces: Nonces,
    decisions: DecisionLog,
    metrics: Metrics,
    faults: Faults,
    gate: Gate,
    admin_token: Option<SecretString>,
    /// Where any part of the state lives in Postgres.
    db: Option<Database>,
    _alive: mpsc::Sender<()>,
}

impl Service {
    /// Starts a service and returns once it serves. `shared` is a database that others in this
    /// process use too; without one, `DATABASE_URL` of the configuration is used where a toggle
    /// says `postgres`.
    pub async fn start(config: ServiceConfig, shared: Option<Database>) -> Result<Running> {
        crate::durable::create_private_dir(&config.state_dir).doing(
            Exit::Config,
            format!("creating {}", config.state_dir.display()),
        )?;
        let db = database(&config, shared).await?;
        let (alive, gone) = mpsc::channel(1);
        let app = Arc::new(App::open(config, db, alive).await?);
        let doing = format!("listening on {}", app.config.listen);
        let listener = tokio::net::TcpListener::bind(&app.config.listen)
            .await
            .doing(Exit::Config, &doing)?;
        let addr = listener.local_addr().doing(Exit::Config, doing)?;
        let stop = CancellationToken::new();
        let serve = axum::serve(listener, router(Arc::clone(&app)))
            .with_graceful_shutdown(stop.clone().cancelled_owned());
        let server = tokio::spawn(async move {
            if let Err(e) = serve.await {
                tracing::error!(event = "serving_failed", error = %e);
            }
        });
        app.decisions.happened(Happened {
            at: app.started_at,
            request_id: app.boot_id.clone(),
            kind: "service.started",
            subject_id: Some(app.name().to_owned()),
            kid: None,
            detail: json!({"modes": app.config.modes}),
        });
        tracing::info!(event = "service.started", instance = app.name(), addr = %addr, modes = %app.config.modes, policies = ?app.config.policies());
        Ok(Running {
            name: app.name().to_owned(),
            addr,
            modes: app.config.modes,
            stop,
            server,
            app,
            gone,
        })
    }
}

impl Running {
    /// The name of the instance.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Where it listens.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// The base URL.
    pub fn url(&self) -> String {
        format!("http://{}", self.addr)
    }

    /// What it runs in.
    pub fn modes(&self) -> Modes {
        self.modes
    }

    /// Accepts nothing new, answers what it has, stores what waits to be recorded, and lets go
    /// of the state directory.
    pub async fn shutdown(mut self) {
        self.stop.cancel();
        let abort = self.server.abort_handle();
        if tokio::time::timeout(DRAIN, self.server).await.is_err() {
            abort.abort();
        }
        self.app.decisions.close().await;
        tracing::info!(event = "service.stopped", instance = self.name);
        drop(self.app);
        // A connection that hangs may keep a part of it for a while.
        let _ = tokio::time::timeout(DRAIN, self.gone.recv()).await;
    }
}

impl App {
    async fn open(
        config: ServiceConfig,
        db: Option<Database>,
        alive: mpsc::Sender<()>,
    ) -> Result<Self> {
        let carried = carried(&config)?;
        let admin_token = match &config.admin_token_file {
            Some(file) => Some(crate::pg::read_secret_line(file, "the admin token")?),
            None => None,
        };
        let faults = Faults::default();
        let started_at = Timestamp::now();
        #[expect(clippy::cast_precision_loss, reason = "milliseconds since 1970 fit")]
        let metrics = Metrics::new(config.modes, started_at.as_millisecond() as f64 / 1000.0);
        let stores = Stores {
            config: &config,
            db: db.as_ref(),
            faults: &faults,
        };
        // First of all, and alone: it locks the state directory.
        let nonces = stores.nonces(carried.as_ref()).await?;
        let app = Self {
            boot_id: uuid::Uuid::now_v7().to_string(),
            started_at,
            began: std::time::Instant::now(),
            keys: stores.keys().await?,
            revocations: stores.revocations()?,
            nonces,
            decisions: stores.decisions()?,
            metrics,
            faults,
            gate: Gate::default(),
            admin_token,
            db,
            config,
            _alive: alive,
        };
        if let Some(snapshot) = carried {
            app.take_over(snapshot).await?;
        }
        Ok(app)
    }

    /// Merges `carry.json` into the local adapters. What lives in Postgres is carried there by
    /// dbctl, and Postgres is the truth.
    async fn take_over(&self, mut snapshot: Snapshot) -> Result<()> {
        let modes = self.config.modes;
        if modes.revocation == Mode::Postgres {
            snapshot.revoked_tokens.clear();
            snapshot.revoked_sessions.clear();
        }
        if modes.key_resolver == Mode::Postgres {
            snapshot.keys.clear();
        }
        // Opening the nonce store has taken them into account.
        snapshot.watermarks.clear();
        let merged = self.merge(&snapshot, &self.boot_id).await;
        let imported = merged.map_err(|refusal| {
            Problem::new(
                Exit::Config,
                format!("taking over {CARRY_FILE}"),
                refusal.message(),
            )
        })?;
        tracing::info!(event = "carry.taken_over", instance = self.name(), imported = ?imported);
        Ok(())
    }

    fn name(&self) -> &str {
        &self.config.name
    }

    /// Runs a mutation to its end even when the client goes away: what has begun is either
    /// durable or known to be burnt, and a fence waits for it.
    async fn finish<T, F>(self: &Arc<Self>, work: impl FnOnce(Arc<Self>) -> F) -> Result<T, Refusal>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, Refusal>> + Send + 'static,
    {
        match tokio::spawn(work(Arc::clone(self))).await {
            Ok(done) => done,
            Err(e) => Err(Refusal::unavailable("internal", e)),
        }
    }
}

/// Opens the adapters that the toggles chose.
struct Stores<'a> {
    config: &'a ServiceConfig,
    db: Option<&'a Database>,
    faults: &'a Faults,
}

impl Stores<'_> {
    /// The database, where a toggle wants it.
    fn postgres(&self, mode: Mode) -> Option<&Database> {
        match mode {
            Mode::Postgres => self.db,
            Mode::Memory | Mode::File => None,
        }
    }

    async fn nonces(&self, carried: Option<&Snapshot>) -> Result<Nonces> {
        let db = self.postgres(self.config.modes.nonce_store);
        let how = Opening {
            state_dir: &self.config.state_dir,
            node: &self.config.name,
            window: self.config.nonce_window,
            carried: carried.map_or(&[], |s| &s.watermarks),
            max_jump: self.config.nonce_max_jump,
            accept_copy: self.config.nonce_accept_copy,
        };
        let fault = db.map(|_| self.faults.fault(faults::nonce));
        Nonces::open(how, db, fault).await
    }

    fn revocations(&self) -> Result<Revocations> {
        Ok(match self.postgres(self.config.modes.revocation) {
            Some(db) => {
                let fault = self.faults.fault(faults::revocation);
                let store = PostgresRevocations::new(db).with_fault(fault);
                Revocations::Postgres(match self.config.revocation_cache {
                    Some(how) => store.cached(how),
                    None => store,
                })
            }
            None => Revocations::Memory(MemoryRevocations::open(&self.config.state_dir)?),
        })
    }

    fn decisions(&self) -> Result<DecisionLog> {
        let config = self.config;
        let Some(db) = self.postgres(config.modes.runtime) else {
            let spool = config.state_dir.join(SPOOL_FILE);
            if std::fs::metadata(&spool).is_ok_and(|file| file.len() > 0) {
                tracing::warn!(event = "decision_spool_waits", why = "SECURITY_RUNTIME_MODE is not postgres", file = %spool.display());
            }
            return Ok(DecisionLog::nowhere());
        };
        let id_key = match &config.decision_id_key_file {
            Some(file) => Some(IdKey::from_file(file)?),
            None => None,
        };
        DecisionLog::postgres(
            db,
            &Keeping {
                instance: &config.name,
                state_dir: &config.state_dir,
                policy: config.decision_policy,
                spool_max_bytes: config.decision_spool_bytes,
                id_key,
            },
        )
    }

    async fn keys(&self) -> Result<KeyResolver> {
        let missing = |what: &str, mode: &str| {
            Problem::new(
                Exit::Config,
                "starting the service",
                format!("{what} is not set, and keys are resolved in {mode}"),
            )
        };
        let config = self.config;
        match self.postgres(config.modes.key_resolver) {
            Some(db) => {
                let kek = match (&config.kek_file, &config.kek_credential) {
                    (Some(file), _) => Kek::from_file(file)?,
                    (None, Some(name)) => Kek::from_credential(name)?,
                    (None, None) => return Err(missing("SERVICE_KEK_FILE", "Postgres")),
                };
                let how = Loading {
                    key_id: &config.key_id,
                    kek: Some(kek),
                    max_age: config.key_max_age,
                    fault: Some(self.faults.fault(faults::key_lookup)),
                };
                let keys = PostgresKeys::open(db.clone(), how).await?;
                Ok(KeyResolver::Postgres(keys))
            }
            None => {
                let file = config.signing_key_file.as_ref();
                let file = file.ok_or_else(|| missing("SERVICE_SIGNING_KEY_FILE", "memory"))?;
                let signing = SigningKey::from_pem_file(file)?;
                Ok(KeyResolver::Memory(MemoryKeys::open(
                    signing,
                    &config.state_dir,
                )?))
            }
        }
    }
}

/// The database of a service that needs one; it must answer, and must not be a standby.
async fn database(config: &ServiceConfig, shared: Option<Database>) -> Result<Option<Database>> {
    if !config.wants_postgres() {
        return Ok(None);
    }
    let db = match (shared, &config.database_url) {
        (Some(db), _) => db,
        (None, Some(url)) => Database::from_secret_url("DATABASE_URL", url, POOL)?,
        (None, None) => {
            return Err(Problem::new(
                Exit::Config,
                "starting the service",
                "a toggle says postgres, and DATABASE_URL is not set",
            ));
        }
    };
    crate::runtime::prepare(&db);
    db.check().await?;
    Ok(Some(db))
}

/// Reads `carry.json`, where there is one. A damaged one refuses the start: it may hold
/// revocations that nobody else remembers.
fn carried(config: &ServiceConfig) -> Result<Option<Snapshot>> {
    let path = config.state_dir.join(CARRY_FILE);
    let doing = format!("reading {}", path.display());
    let bytes = match std::fs::read(&path) {
        Ok(bytes) => bytes,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(Problem::new(Exit::Config, doing, e)),
    };
    let damaged = |why: &dyn std::fmt::Display| {
        Problem::new(Exit::Config, &doing, format!("it is damaged: {why}")).next(
            "carry over again (dbctl rollout rollback writes it); without it, revocations would be lost",
        )
    };
    let snapshot: Snapshot = serde_json::from_slice(&bytes).map_err(|e| damaged(&e))?;
    state::check(&snapshot).map_err(|refusal| damaged(&refusal.message()))?;
    Ok(Some(snapshot))
}

/// Lets mutations in until it is closed; closing waits for those inside.
#[derive(Debug, Default)]
struct Gate(RwLock<bool>);

impl Gate {
    async fn enter(&self) -> Result<RwLockReadGuard<'_, bool>, Refusal> {
        let closed = self.0.read().await;
        match *closed {
            false => Ok(closed),
            true => Err(Refusal::unavailable(
                answer::FENCED,
                "state is being carried over; try again shortly",
            )),
        }
    }

    async fn set(&self, closed: bool) {
        *self.0.write().await = closed;
    }

    async fn is_closed(&self) -> bool {
        *self.0.read().await
    }
}

fn router(app: Shared) -> Router {
    let op = |op: Op, handler: MethodRouter<Shared>| {
        let measure = move |state, request, next| measured(op, state, request, next);
        handler.layer(from_fn_with_state(Arc::clone(&app), measure))
    };
    let carry = DefaultBodyLimit::max(MAX_CARRY_BYTES);
    let mut router = Router::new()
        .route("/v1/tokens", op(Op::Issue, post(auth::issue)))
        .route("/v1/tokens/verify", op(Op::Verify, post(auth::verify)))
        .route(
            "/v1/tokens/revoke",
            op(Op::Revoke, post(auth::revoke_token)),
        )
        .route(
            "/v1/sessions/revoke",
            op(Op::Revoke, post(auth::revoke_session)),
        )
        .route("/v1/nonces", op(Op::Nonce, post(state::reserve)))
        .route("/v1/nonces/{scope}", get(state::watermark))
        .route("/v1/carry/export", get(state::export))
        .route("/v1/carry/import", post(state::import).layer(carry))
        .route("/v1/carry/fence", post(state::fence).delete(state::unfence))
        .route("/healthz", get(state::health))
        .route("/metrics", get(state::metrics))
        .route("/.well-known/jwks.json", get(state::key_set));
    if app.config.faults {
        router = router.route("/v1/faults", post(state::set_faults));
    }
    router
        .fallback(answer::nothing_here)
        .method_not_allowed_fallback(answer::not_so)
        .layer(DefaultBodyLimit::max(MAX_BODY_BYTES))
        .layer(from_fn(with_request_id))
        .with_state(app)
}

//! What is being switched: revocation, nonces, key resolution, the decision log, each with its
//! local and its Postgres adapter, and the four toggles that choose between them.
//!
//! A Rust service can use the adapters as they are. They share three rules: what is unknown is
//! denied; what is acknowledged is durable; every use of a Postgres connection is short and has
//! a time limit, since a pool may be as small as one connection.

pub mod decisions;
pub mod nonce;
pub mod resolver;
pub mod revocation;
pub mod toggles;

use std::fmt;
use std::time::Duration;

/// Has the connections that `db` makes from now on learn what the adapters ask all the time. Before
/// the first of them is made, no connection has to find out by an error in the server's log.
pub fn prepare(db: &crate::pg::Database) {
    revocation::prepare(db);
    nonce::prepare(db);
}

/// How long one look-up or one write in Postgres may take, waiting for a connection included.
pub const STORE_TIMEOUT: Duration = Duration::from_secs(2);

/// How far the clocks of two machines may differ; nothing that expires is forgotten earlier.
pub const CLOCK_SKEW: Duration = Duration::from_secs(5 * 60);

/// A store did not answer, or not in time, or not with something that can be used. It "cannot
/// say", so the caller must deny.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{store}: {cause}")]
pub struct Unavailable {
    pub store: &'static str,
    pub cause: String,
}

impl Unavailable {
    pub fn new(store: &'static str, cause: impl fmt::Display) -> Self {
        Self {
            store,
            cause: cause.to_string(),
        }
    }
}

/// A fault that a demonstration or a test injects: asked once for each operation, with what the
/// operation should suffer. Absent in normal operation.
#[derive(Clone)]
pub struct Fault(std::sync::Arc<dyn Fn() -> Injected + Send + Sync>);

impl Fault {
    pub fn new(ask: impl Fn() -> Injected + Send + Sync + 'static) -> Self {
        Self(std::sync::Arc::new(ask))
    }
}

impl fmt::Debug for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Fault")
    }
}

/// What an injected fault does to one operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Injected {
    pub fail: bool,
    pub delay: Duration,
}

/// Suffers what `fault` says, before the real operation.
async fn suffer(store: &'static str, fault: Option<&Fault>) -> Result<(), Unavailable> {
    let Some(fault) = fault else { return Ok(()) };
    let injected = fault.0();
    if !injected.delay.is_zero() {
        tokio::time::sleep(injected.delay).await;
    }
    if injected.fail {
        return Err(Unavailable::new(store, "injected fault"));
    }
    Ok(())
}

/// Runs a database operation within [`STORE_TIMEOUT`].
pub(crate) async fn bounded<T>(
    store: &'static str,
    work: impl Future<Output = Result<T, sqlx::Error>>,
) -> Result<T, Unavailable> {
    match tokio::time::timeout(STORE_TIMEOUT, work).await {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(e)) => Err(Unavailable::new(store, crate::error::Chain(&e))),
        Err(_) => Err(Unavailable::new(
            store,
            format_args!("no answer in {} ms", STORE_TIMEOUT.as_millis()),
        )),
    }
}

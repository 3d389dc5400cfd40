//! A commit that a failover cannot undo, told from one that only this server has.

use std::cell::Cell;
use std::sync::LazyLock;

use tracing::instrument::WithSubscriber as _;
use tracing::{Dispatch, Event, Level, Metadata, Subscriber, span};

tokio::task_local! {
    static WARNED: Cell<bool>;
}

/// Where sqlx tells what the server remarked.
const NOTICES: &str = "sqlx::postgres::notice";

static LISTENER: LazyLock<Dispatch> = LazyLock::new(|| Dispatch::new(Listener));

/// Runs `commit`; an error also where the server warned meanwhile.
///
/// A server that waits for its standbys and is told to wait no longer (`pg_cancel_backend`, a
/// shutdown) reports success with a warning, SQLSTATE 01000: "The transaction has already committed
/// locally, but might not have been replicated to the standby". After a failover it never was. sqlx
/// gives warnings to nobody but the log, so that is where they are heard.
///
/// # Errors
/// Those of `commit`, and [`sqlx::Error::Protocol`] for a warning. Its outcome is unclear then.
pub async fn replicated<T>(commit: impl Future<Output = sqlx::Result<T>>) -> sqlx::Result<T> {
    let heard = async {
        let done = commit.await?;
        match WARNED.with(Cell::get) {
            false => Ok(done),
            true => Err(sqlx::Error::Protocol(
                "the server warned while it committed: it may be the only one that has it".into(),
            )),
        }
    };
    WARNED
        .scope(Cell::new(false), heard)
        .with_subscriber(LISTENER.clone())
        .await
}

struct Listener;

impl Subscriber for Listener {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target() == NOTICES && *metadata.level() <= Level::WARN
    }

    fn event(&self, _event: &Event<'_>) {
        // Whoever is not inside `replicated` has nobody to tell.
        let _ = WARNED.try_with(|warned| warned.set(true));
    }

    fn new_span(&self, _span: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }

    fn record(&self, _span: &span::Id, _values: &span::Record<'_>) {}
    fn record_follows_from(&self, _span: &span::Id, _follows: &span::Id) {}
    fn enter(&self, _span: &span::Id) {}
    fn exit(&self, _span: &span::Id) {}
}

//! A trial on a scratch database of its own, which leaves nothing behind whatever becomes of it.

use std::path::Path;

use tokio_util::sync::CancellationToken;

use super::{How, Tried, roles, try_down, try_out};
use crate::error::{Exit, Problem, Result};
use crate::migrate::conventions::Reading;
use crate::migrate::failure::Ground;
use crate::pg::scratch::{Choice, Scratch};

/// Where migrations are tried, and until when.
#[derive(Debug, Clone, Copy)]
pub struct Place<'a> {
    pub scratch: &'a Choice,
    /// Where a native PostgreSQL lies, if it is not to be searched for.
    pub pg_bin: Option<&'a Path>,
    /// Ends it early.
    pub cancel: &'a CancellationToken,
}

/// Tries `reading` at `place`; `down` as in [`try_down`]. Returns what it ran on too, for people.
///
/// # Errors
/// No scratch database, one that goes away, or that it was ended early.
pub async fn on_scratch(
    place: Place<'_>,
    reading: &Reading,
    how: How<'_>,
    down: bool,
) -> Result<(Tried, String)> {
    let starting = Scratch::start(place.scratch, place.pg_bin);
    let scratch = until(place.cancel, starting).await?;
    let how = How {
        ground: Ground::of(&scratch),
        shared: scratch.is_shared(),
        ..how
    };
    let tried = match down {
        true => until(place.cancel, try_down(scratch.database(), reading, how)).await,
        false => until(place.cancel, try_out(scratch.database(), reading, how)).await,
    };
    let server = scratch.description();
    let roles: &[String] = tried.as_ref().map_or(&[], |tried| &tried.roles);
    let stopped = match place.cancel.is_cancelled() {
        true => scratch.give_up().await.map(|()| Vec::new()),
        false => scratch.stop_without(roles).await,
    };
    let mut tried = tried?;
    let left = stopped?;
    let stay = left.iter().map(|(role, why)| roles::stays(role, why));
    tried.findings.extend(stay);
    Ok((tried, server))
}

/// Waits for `work`, unless it is ended early.
///
/// # Errors
/// Those of `work`, and that it was ended.
pub async fn until<T>(
    cancel: &CancellationToken,
    work: impl Future<Output = Result<T>>,
) -> Result<T> {
    tokio::select! {
        done = work => done,
        () = cancel.cancelled() => {
            Err(Problem::new(Exit::Interrupted, "", "interrupted; nothing was judged"))
        }
    }
}

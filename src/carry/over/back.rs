//! Out of Postgres, or out of the kit where Postgres is gone.

use std::time::{Duration, Instant};

use super::parts::{
    exports, import, lacking, locals, nearby, newest, note, publish, since, tell_of_kit,
    without_watermarks,
};
use super::{Carried, Fleet, Placed, Progress, Source, Store, Tell, Without, unfence};
use crate::carry::kit::Kit;
use crate::carry::merge::{Counts, merge};
use crate::carry::postgres;
use crate::contract::{Imported, Snapshot};
use crate::error::{Exit, Problem, Result};

/// How long a rollback waits for a fence.
const FENCE_BACK: Duration = Duration::from_millis(200);
/// How long settling waits for Postgres; nobody is held up by it.
const SETTLE_POSTGRES: Duration = Duration::from_secs(2);

/// Before `flipping` is switched to local modes: fences it, and takes the last delta from Postgres
/// if it answers at once, else the kit with a margin and what those of `everyone` know that are
/// not switched: a client that revoked on each of them must not be forgotten by one (P2). Never
/// waits longer than half a second for anybody, and works with everything else gone (P7).
///
/// Returns what each target must find at its start, and what [`settle`] goes on from.
///
/// # Errors
/// When neither Postgres nor the kit can be read.
pub async fn back(
    flipping: &Fleet,
    everyone: &Fleet,
    store: Option<Store<'_>>,
    kit: &Kit,
    tell: Tell<'_>,
) -> Result<(Carried, Placed)> {
    let mut without = Vec::new();
    for (member, fenced) in flipping
        .all(|m| async { m.client.within(FENCE_BACK).fence(true).await })
        .await
    {
        match fenced {
            Ok(_) => tell(Progress::Fenced {
                target: member.target.name.clone(),
            }),
            Err(e) => note(&mut without, member, e.failure, tell),
        }
    }
    let others = everyone.only(|name| !flipping.members.iter().any(|m| m.target.name == name));
    tell_of_kit(kit, &mut without, tell);
    let newest = newest(store, kit, &mut without, tell);
    let (newest, known) = futures_util::future::join(newest, nearby(&others)).await;
    let (mut placed, source) = newest?;
    let snapshot = &mut placed.snapshot;
    if let Source::Kit { .. } = source {
        // `taken_at` stays the kit's: what Postgres took since then is still to come home.
        let known = without_watermarks(&merge(&known));
        let all = merge([&*snapshot, &known]);
        *snapshot = Snapshot {
            taken_at: snapshot.taken_at,
            ..all
        };
    }
    tell(Progress::Read {
        from: source.to_string(),
        counts: Counts::of(snapshot),
    });
    let carried = Carried {
        counts: Counts::of(snapshot),
        added: Imported::default(),
        source,
        without,
        kit: None,
    };
    Ok((carried, placed))
}

/// After the restart in local modes: imports over HTTP once more (a service may not have found
/// its file), exchanges the new signers' keys among the targets and with Postgres where that
/// answers, and lifts the fence. `fleet` may be the whole environment: those that were never
/// switched then learn what was revoked on Postgres meanwhile; those on Postgres are left alone.
pub async fn settle(
    fleet: &Fleet,
    store: Option<Store<'_>>,
    placed: &Placed,
    tell: Tell<'_>,
) -> Carried {
    let mut without = Vec::new();
    let local = locals(fleet, &mut without, tell).await;
    let exports = exports(&local, &mut without, tell).await;
    let known_here = merge(exports.iter().map(|(_, export)| export));
    let mut late = Snapshot::default();
    if let Some(store) = store {
        match exchange(store, &known_here, placed, &mut without, tell).await {
            Ok(new) => late = new,
            Err(problem) => lacking(&mut without, postgres::SOURCE, problem, tell),
        }
    }
    let all = merge([&placed.snapshot, &known_here, &late]);
    let (added, _) = publish(&exports, &all, &mut without, tell).await;
    for (target, why) in unfence(fleet, tell).await {
        without.push(Without { target, why });
    }
    Carried {
        counts: Counts::of(&all),
        added,
        source: Source::Targets,
        without,
        kit: None,
    }
}

/// Gives Postgres what the targets know, and takes what came into it after `placed` was read: a
/// process that could not be fenced may have gone on until its restart, and another machine may
/// have carried something in (P2).
async fn exchange(
    store: Store<'_>,
    known_here: &Snapshot,
    placed: &Placed,
    without: &mut Vec<Without>,
    tell: Tell<'_>,
) -> Result<Snapshot> {
    let began = Instant::now();
    if !known_here.source.is_empty() {
        let giving = import(store, known_here, tell);
        match tokio::time::timeout(SETTLE_POSTGRES, giving).await {
            Ok(given) => given?,
            Err(_) => {
                let doing = "giving Postgres what the targets know";
                return Err(Problem::new(Exit::Unavailable, doing, "no answer in time"));
            }
        };
    }
    let left = SETTLE_POSTGRES.saturating_sub(began.elapsed());
    let from = (placed.position.as_ref(), placed.snapshot.taken_at);
    Ok(since(store, from, left, without, tell).await?.snapshot)
}

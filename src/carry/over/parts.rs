//! The parts that the sequences are made of.

use std::time::{Duration, Instant};

use jiff::Timestamp;

use super::{
    ALONE_BACK, ASK_WITHIN, DELTA_BACK, Fleet, Member, Placed, Progress, Source, Store, Tell,
    Without, add,
};
use crate::carry::client::{CallFailed, Failure, age};
use crate::carry::kit::{self, Kept, Kit, Reach};
use crate::carry::merge::{Counts, beyond, merge, with_margin};
use crate::carry::postgres::{self, Read};
use crate::contract::{Health, Imported, Snapshot};
use crate::error::{Exit, Problem, Result};
use crate::runtime::revocation::Position;
use crate::runtime::toggles::{Mode, Modes, Toggle};

/// How long reading all of Postgres may take.
const READ_POSTGRES: Duration = Duration::from_secs(30);
/// How often the kit is filled from all of Postgres instead of from what is new.
const COMPLETE_EVERY: Duration = Duration::from_secs(60);

/// The members that keep a part of their state locally. Those that do not answer are noted.
pub(super) async fn locals<'a>(
    fleet: &'a Fleet,
    without: &mut Vec<Without>,
    tell: Tell<'_>,
) -> Vec<&'a Member> {
    let mut local = Vec::new();
    for (member, health) in fleet
        .all(|m| async { m.client.within(ASK_WITHIN).health().await })
        .await
    {
        match health {
            Ok(Health { modes, .. }) if keeps_local_state(&modes) => local.push(member),
            Ok(_) => {}
            Err(e) => note(without, member, e.failure, tell),
        }
    }
    local
}

fn keeps_local_state(modes: &Modes) -> bool {
    [Toggle::KeyResolver, Toggle::Revocation, Toggle::NonceStore]
        .iter()
        .any(|t| modes.get(*t) != Mode::Postgres)
}

pub(super) async fn exports<'a>(
    members: &[&'a Member],
    without: &mut Vec<Without>,
    tell: Tell<'_>,
) -> Vec<(&'a Member, Snapshot)> {
    let asked = members
        .iter()
        .map(|m| async { (*m, m.client.export().await) });
    let mut taken = Vec::new();
    for (member, export) in futures_util::future::join_all(asked).await {
        match export {
            Ok(export) => {
                tell(Progress::Read {
                    from: member.target.name.clone(),
                    counts: Counts::of(&export),
                });
                taken.push((member, export));
            }
            Err(e) => note(without, member, e.failure, tell),
        }
    }
    taken
}

/// Writes `snapshot` into Postgres.
pub(super) async fn import(
    store: Store<'_>,
    snapshot: &Snapshot,
    tell: Tell<'_>,
) -> Result<Imported> {
    let added = postgres::import(store.database, store.key_id, snapshot).await?;
    tell(Progress::Imported {
        into: postgres::SOURCE.into(),
        added,
    });
    Ok(added)
}

/// Imports into each member what of `known` was not in its export. Returns what was new there, and
/// the first one that lives and did not take it.
pub(super) async fn publish(
    exports: &[(&Member, Snapshot)],
    known: &Snapshot,
    without: &mut Vec<Without>,
    tell: Tell<'_>,
) -> (Imported, Option<(String, Failure)>) {
    let asked = exports.iter().map(|(member, export)| async move {
        let news = beyond(known, export);
        (
            *member,
            news.deny_issued_before,
            member.client.import(&news).await,
        )
    });
    let mut refused = None;
    let mut total = Imported::default();
    for (member, limit, imported) in futures_util::future::join_all(asked).await {
        match imported {
            Ok(added) => {
                add(&mut total, added);
                if limit > added.deny_issued_before {
                    let why = "it does not say that it denies tokens for their age: what was revoked in the gap \
                               is accepted there";
                    note(without, member, why, tell);
                }
                tell(Progress::Imported {
                    into: member.target.name.clone(),
                    added,
                });
            }
            Err(CallFailed { failure, .. }) => {
                note(without, member, &failure, tell);
                refused.get_or_insert((member.target.name.clone(), failure));
            }
        }
    }
    (total, refused)
}

/// Those that are to be switched must have answered: what they alone know would be lost.
pub(super) fn must_answer(flipping: &Fleet, without: &[Without]) -> Result<()> {
    let silent = without
        .iter()
        .find(|w| flipping.members.iter().any(|m| m.target.name == w.target));
    let why = "nothing was switched: what this target alone knows would be lost";
    must_all_answer(why, silent)
}

/// Nobody may be silent; `next` says what became of it.
pub(super) fn must_all_answer<'a>(
    next: &str,
    silent: impl IntoIterator<Item = &'a Without>,
) -> Result<()> {
    match silent.into_iter().next() {
        None => Ok(()),
        Some(w) => Err(Problem::new(
            Exit::Unavailable,
            format!("taking the state of {} over", w.target),
            &w.why,
        )
        .next(next)),
    }
}

/// Says so where the kit is not what the journal recorded: then Postgres is asked for everything.
pub(super) fn tell_of_kit(kit: &Kit, without: &mut Vec<Without>, tell: Tell<'_>) {
    let Ok(Some(kept)) = kit.load() else { return };
    let standing = kit.standing(&kept);
    if !standing.is_usable() {
        lacking(without, "the rollback kit", standing, tell);
    }
}

pub(super) async fn all_of_postgres(store: Store<'_>, tell: Tell<'_>) -> Result<(Snapshot, Reach)> {
    let all = postgres::everything(store.database);
    let Read { snapshot, position } = in_time(READ_POSTGRES, store, all).await?;
    tell(Progress::Read {
        from: postgres::SOURCE.into(),
        counts: Counts::of(&snapshot),
    });
    Ok((snapshot, Reach::Everything { to: position }))
}

/// The kit, where it may be gone by; says so where it is not what the journal recorded.
///
/// # Errors
/// It is damaged.
pub(super) fn usable(
    kit: &Kit,
    without: &mut Vec<Without>,
    tell: Tell<'_>,
) -> Result<Option<Kept>> {
    let Some(kept) = kit.load()? else {
        return Ok(None);
    };
    let standing = kit.standing(&kept);
    if standing.is_usable() {
        return Ok(Some(kept));
    }
    lacking(without, "the rollback kit", standing, tell);
    Ok(None)
}

/// What is new in Postgres since the kit was fresh; or all of it every now and then, and where
/// nobody can say what is new.
pub(super) async fn read_postgres(
    store: Store<'_>,
    kept: Option<&Kept>,
    tell: Tell<'_>,
) -> Result<(Snapshot, Reach)> {
    let now = Timestamp::now();
    // One that is not what the journal recorded is made anew from all of Postgres.
    let fresh = kept.filter(|k| {
        k.complete_at
            .is_some_and(|at| age(at, now) < COMPLETE_EVERY)
    });
    let Some(from) = fresh.and_then(|k| k.position.as_ref()) else {
        return all_of_postgres(store, tell).await;
    };
    let news = postgres::news(store.database, from);
    let Some(Read { snapshot, position }) = in_time(READ_POSTGRES, store, news).await? else {
        return all_of_postgres(store, tell).await;
    };
    tell(Progress::Read {
        from: postgres::SOURCE.into(),
        counts: Counts::of(&snapshot),
    });
    let from = from.clone();
    Ok((snapshot, Reach::News { from, to: position }))
}

/// What came into Postgres after the position, within `limit`. Where nobody can say what did:
/// everything. Where there is no time for that: what was revoked since, and a word about it.
pub(super) async fn since(
    store: Store<'_>,
    (position, taken_at): (Option<&Position>, Timestamp),
    limit: Duration,
    without: &mut Vec<Without>,
    tell: Tell<'_>,
) -> Result<Read> {
    let until = Instant::now() + limit;
    let left = || until.saturating_duration_since(Instant::now());
    if let Some(position) = position {
        let news = postgres::news(store.database, position);
        if let Some(read) = in_time(limit, store, news).await? {
            return Ok(read);
        }
    }
    let some = postgres::export_since(store.database, taken_at);
    let some = in_time(left(), store, some).await?;
    let everything = postgres::everything(store.database);
    match in_time(left(), store, everything).await {
        Ok(read) => Ok(read),
        Err(problem) => {
            let cause = problem.cause();
            let why = format!(
                "nobody can say what came into it since it was read last, and it could not be read whole ({cause}): \
                 what was revoked since is known, but not what another machine brought that had been revoked \
                 earlier"
            );
            lacking(without, postgres::SOURCE, why, tell);
            Ok(Read {
                snapshot: some,
                position: None,
            })
        }
    }
}

async fn in_time<T>(
    limit: Duration,
    store: Store<'_>,
    read: impl Future<Output = Result<T>>,
) -> Result<T> {
    tokio::time::timeout(limit, read).await.unwrap_or_else(|_| {
        Err(Problem::new(
            Exit::Unavailable,
            format!("reading what to carry over from {}", store.database),
            format!("no answer within {} ms", limit.as_millis()),
        ))
    })
}

/// The newest state for going back: the kit with what is new in Postgres, one window of margin
/// on top; or the kit alone with a margin for its age.
pub(super) async fn newest(
    store: Option<Store<'_>>,
    kit: &Kit,
    without: &mut Vec<Without>,
    tell: Tell<'_>,
) -> Result<(Placed, Source)> {
    // A damaged kit is no reason to stay where we are as long as Postgres has everything.
    let kept = kit.trusted();
    let patience = match &kept {
        Ok(Some(_)) => DELTA_BACK,
        Ok(None) | Err(_) => ALONE_BACK,
    };
    let from_postgres = match (store, &kept) {
        (None, _) => Err("no database is known here".to_owned()),
        (Some(store), kept) => {
            let read = match kept {
                Ok(Some(k)) if k.complete_at.is_some() => {
                    let from = (k.position.as_ref(), k.snapshot.taken_at);
                    since(store, from, patience, without, tell).await
                }
                Ok(_) | Err(_) => {
                    in_time(patience, store, postgres::everything(store.database)).await
                }
            };
            read.map_err(|problem| problem.cause().to_owned())
        }
    };
    match (from_postgres, kept) {
        (Ok(Read { snapshot, position }), Ok(Some(k))) => {
            let all = merge([&k.snapshot, &snapshot]);
            let snapshot = with_margin(&all, 1);
            Ok((Placed { snapshot, position }, Source::Postgres))
        }
        (Ok(Read { snapshot, position }), Ok(None) | Err(_)) => {
            let snapshot = with_margin(&snapshot, 1);
            Ok((Placed { snapshot, position }, Source::Postgres))
        }
        (Err(why), Ok(Some(k))) => {
            let now = Timestamp::now();
            let old = k.age(now).as_millis();
            let age_ms = u64::try_from(old).unwrap_or(u64::MAX);
            let snapshot = kit.for_going_back(&k, now);
            let source = Source::Kit {
                age_ms,
                why,
                deny_issued_before: snapshot.deny_issued_before,
                standing: kit.standing(&k),
            };
            let position = k.position;
            Ok((Placed { snapshot, position }, source))
        }
        (Err(why), Ok(None)) => Err(Problem::new(
            Exit::Unavailable,
            "taking what was revoked back",
            format!("Postgres does not answer ({why}) and there is no rollback kit"),
        )
        .next("nothing was switched: without either, revoked tokens would be accepted again")),
        (Err(why), Err(problem)) => Err(Problem::new(
            Exit::Unavailable,
            "taking what was revoked back",
            format!(
                "Postgres does not answer ({why}), and the rollback kit cannot be used: {problem}"
            ),
        )
        .next(format!(
            "nothing was switched: without either, revoked tokens would be accepted again\n{}",
            problem.hint().unwrap_or_default()
        ))),
    }
}

/// What members say at once of what they know; those that do not are left out.
pub(super) async fn nearby(others: &Fleet) -> Vec<Snapshot> {
    let said = others.all(|m| async { m.client.within(DELTA_BACK).export().await });
    let said = said.await.into_iter();
    said.filter_map(|(_, export)| export.ok()).collect()
}

pub(super) fn without_watermarks(snapshot: &Snapshot) -> Snapshot {
    Snapshot {
        watermarks: Vec::new(),
        ..snapshot.clone()
    }
}

/// Writes `carry.json` for all members at once, off the asynchronous threads.
pub(super) async fn place_everywhere(
    fleet: &Fleet,
    snapshot: Snapshot,
) -> Vec<(&Member, Result<()>)> {
    let snapshot = std::sync::Arc::new(snapshot);
    fleet
        .all(|m| {
            let (dir, snapshot) = (m.target.state_dir.clone(), snapshot.clone());
            async move {
                let placing = tokio::task::spawn_blocking(move || kit::place(&dir, &snapshot));
                placing.await.unwrap_or_else(|e| {
                    Err(Problem::new(Exit::Failed, "placing the rollback kit", e))
                })
            }
        })
        .await
}

pub(super) fn note(
    without: &mut Vec<Without>,
    member: &Member,
    why: impl std::fmt::Display,
    tell: Tell<'_>,
) {
    lacking(without, &member.target.name, why, tell);
}

/// Notes that somebody did not do its part.
pub(super) fn lacking(
    without: &mut Vec<Without>,
    target: &str,
    why: impl std::fmt::Display,
    tell: Tell<'_>,
) {
    let noted = Without {
        target: target.to_owned(),
        why: why.to_string(),
    };
    tell(Progress::Without {
        target: noted.target.clone(),
        why: noted.why.clone(),
    });
    without.push(noted);
}

//! Keeping both sides in step while some targets are on Postgres and some are not, and the kit
//! fresh.

use super::parts::{
    exports, locals, must_all_answer, note, place_everywhere, publish, read_postgres, usable,
};
use super::{Carried, Fleet, Source, Store, Tell};
use crate::carry::kit::{Kit, Reach};
use crate::carry::merge::{Counts, beyond, merge, with_margin};
use crate::carry::over::parts::import;
use crate::contract::{Imported, Snapshot};
use crate::error::Result;

/// Exchanges what targets in a local mode and Postgres know, without switching anything:
/// revocations, public keys and watermarks both ways, these without a margin: one that is added
/// each time would run away. Refreshes the kit and places it in the state directories.
///
/// # Errors
/// When Postgres does not answer. A target that does not is in [`Carried::without`].
pub async fn sync(fleet: &Fleet, store: Store<'_>, kit: &Kit, tell: Tell<'_>) -> Result<Carried> {
    let mut without = Vec::new();
    let before = usable(kit, &mut without, tell)?;
    let local = locals(fleet, &mut without, tell).await;
    let exports = exports(&local, &mut without, tell).await;
    let everything = merge(exports.iter().map(|(_, export)| export));
    let (known, reach) = read_postgres(store, before.as_ref(), tell).await?;
    // What the kit holds was in Postgres when it was made; each minute all of Postgres is read.
    let there = match &before {
        Some(old) if matches!(reach, Reach::News { .. }) => merge([&old.snapshot, &known]),
        Some(_) | None => known.clone(),
    };
    let news = Snapshot {
        watermarks: everything.watermarks.clone(),
        ..beyond(&everything, &there)
    };
    let added = match exports.is_empty() {
        true => Imported::default(),
        false => import(store, &news, tell).await?,
    };
    let all = Snapshot {
        taken_at: known.taken_at,
        ..merge([&known, &everything])
    };
    let (kept, seal) = kit.renew(&all, &reach)?;
    publish(&exports, &kept, &mut without, tell).await;
    for (member, placed) in place_everywhere(fleet, with_margin(&kept, 1)).await {
        if let Err(problem) = placed {
            note(&mut without, member, problem, tell);
        }
    }
    Ok(Carried {
        counts: Counts::of(&kept),
        added,
        source: Source::Targets,
        without,
        kit: Some(seal),
    })
}

/// Makes the kit fresh from Postgres and from the targets that keep state locally, and changes
/// nothing else.
///
/// # Errors
/// Postgres or one of the targets does not answer: what it alone knows would be missing.
pub async fn refresh(
    fleet: &Fleet,
    store: Store<'_>,
    kit: &Kit,
    tell: Tell<'_>,
) -> Result<Carried> {
    let mut without = Vec::new();
    let before = usable(kit, &mut without, tell)?;
    let mut silent = Vec::new();
    let local = locals(fleet, &mut silent, tell).await;
    let exports = exports(&local, &mut silent, tell).await;
    must_all_answer(
        "the kit is as it was: what this target alone knows would be missing",
        &silent,
    )?;
    let (known, reach) = read_postgres(store, before.as_ref(), tell).await?;
    let everything = merge(exports.iter().map(|(_, export)| export).chain([&known]));
    let all = Snapshot {
        taken_at: known.taken_at,
        ..everything
    };
    let (counts, seal) = kit.refresh(&all, &reach)?;
    Ok(Carried {
        counts,
        added: Imported::default(),
        source: Source::Postgres,
        without,
        kit: Some(seal),
    })
}

//! Into Postgres: a snapshot while everything works, then the delta behind a fence, until both
//! sides agree.

use super::parts::{
    all_of_postgres, exports, import, locals, must_answer, publish, tell_of_kit, without_watermarks,
};
use super::{Carried, Fleet, Progress, Source, Store, Tell, add, unfence};
use crate::carry::kit::Kit;
use crate::carry::merge::{Counts, beyond, merge, with_margin};
use crate::carry::postgres;
use crate::contract::{Imported, KitSeal, Snapshot};
use crate::error::{Exit, Problem, Result};

/// How often the targets are read while they go on; each time only what is new is written.
const ROUNDS: u32 = 4;
/// So many new revocations are quickly written while everybody waits for the fence.
const FEW: u64 = 1_000;
/// How often a delta is written until Postgres says that it has it.
const ATTEMPTS: u32 = 2;

/// Before `flipping` is switched to Postgres: everything that they know is in Postgres, read back
/// and compared, and every live verifier of `everyone` knows Postgres's keys (P2, P3).
///
/// The bulk is carried while everything goes on, in rounds; behind the fence only what came since.
/// Leaves `flipping` fenced: their restart lifts it. If the switch does not go on, call
/// [`unfence`].
///
/// # Errors
/// Anything that is not certain. The fence is lifted again and nothing was switched.
pub async fn forward(
    flipping: &Fleet,
    everyone: &Fleet,
    store: Store<'_>,
    kit: &Kit,
    tell: Tell<'_>,
) -> Result<Carried> {
    store.database.check().await?;
    // Keys first, both ways, while everything still works: no look-up gap.
    let mut without = Vec::new();
    tell_of_kit(kit, &mut without, tell);
    let local = locals(everyone, &mut without, tell).await;
    must_answer(flipping, &without)?;
    let mut carried = Snapshot::default();
    let mut total = Imported::default();
    let mut taken = Vec::new();
    for _ in 0..ROUNDS {
        taken = exports(&local, &mut without, tell).await;
        must_answer(flipping, &without)?;
        let everything = merge(taken.iter().map(|(_, export)| export));
        let delta = behind(&everything, &carried);
        add(&mut total, carry(store, &delta, tell).await?);
        carried = everything;
        if Counts::of(&delta).revocations() <= FEW {
            break;
        }
    }
    let (known, _) = all_of_postgres(store, tell).await?;
    let published = without_watermarks(&known);
    let (_, unpublished) = publish(&taken, &published, &mut without, tell).await;
    if let Some((target, why)) = unpublished {
        return Err(Problem::new(
            Exit::Unavailable,
            format!("publishing the keys of Postgres to {target}"),
            why,
        )
        .next(
            "nothing was switched: tokens that Postgres's key signs could not be verified there",
        ));
    }
    match carry_fenced(flipping, store, kit, &carried, tell).await {
        Ok((counts, added, seal)) => {
            add(&mut total, added);
            Ok(Carried {
                counts,
                added: total,
                source: Source::Targets,
                without,
                kit: Some(seal),
            })
        }
        Err(problem) => {
            unfence(flipping, tell).await;
            Err(problem)
        }
    }
}

/// What is beyond what was carried already; always with all watermarks, of which Postgres must
/// stand above the last.
fn behind(everything: &Snapshot, carried: &Snapshot) -> Snapshot {
    Snapshot {
        watermarks: everything.watermarks.clone(),
        ..beyond(everything, carried)
    }
}

/// Fence, export, import, read back.
async fn carry_fenced(
    flipping: &Fleet,
    store: Store<'_>,
    kit: &Kit,
    carried: &Snapshot,
    tell: Tell<'_>,
) -> Result<(Counts, Imported, KitSeal)> {
    for (member, fenced) in flipping.all(|m| m.client.fence(true)).await {
        fenced?;
        tell(Progress::Fenced {
            target: member.target.name.clone(),
        });
    }
    let mut taken = Vec::new();
    for (_, export) in flipping.all(|m| m.client.export()).await {
        taken.push(export?);
    }
    for export in &taken {
        tell(Progress::Read {
            from: export.source.clone(),
            counts: Counts::of(export),
        });
    }
    let everything = merge(&taken);
    // The move itself: the maximum plus one window, also where a service forgets to skip one.
    let delta = with_margin(&behind(&everything, carried), 1);
    let added = carry(store, &delta, tell).await?;
    let (known, reach) = all_of_postgres(store, tell).await?;
    agree(&everything, &known)?;
    let (_, seal) = kit.refresh(&known, &reach)?;
    Ok((Counts::of(&everything), added, seal))
}

/// Writes `delta` and has Postgres say that it has all of it; once more where it does not.
async fn carry(store: Store<'_>, delta: &Snapshot, tell: Tell<'_>) -> Result<Imported> {
    let mut total = Imported::default();
    let mut missing = std::collections::BTreeSet::new();
    for _ in 0..ATTEMPTS {
        add(&mut total, import(store, delta, tell).await?);
        missing = postgres::missing(store.database, delta).await?;
        if missing.is_empty() {
            return Ok(total);
        }
    }
    Err(not_there(missing.len(), missing.first().map_or("", |m| m)))
}

/// Whether Postgres, read after everything was written, knows all that the targets know.
///
/// # Errors
/// It does not; says what differs.
fn agree(everything: &Snapshot, known: &Snapshot) -> Result<()> {
    let now = jiff::Timestamp::now();
    // What expires meanwhile is denied without them, and may be purged.
    let mut lacking = crate::carry::merge::without_expired(
        &beyond(everything, known),
        now,
        std::time::Duration::ZERO,
    );
    // Postgres has no limit for the age of tokens: it knows each revocation by its id.
    lacking.deny_issued_before = None;
    let counts = Counts::of(&lacking);
    let tokens = lacking.revoked_tokens.first().map(|t| &t.token_id);
    let example = tokens.or(lacking.revoked_sessions.first().map(|s| &s.session_id));
    if let Some(example) = example {
        let missing = usize::try_from(counts.revocations()).unwrap_or(usize::MAX);
        return Err(not_there(missing, example));
    }
    let wrong = |what: String| {
        Problem::new(
            Exit::Failed,
            "comparing Postgres with what was exported",
            what,
        )
    };
    if let Some(w) = lacking.watermarks.first() {
        return Err(wrong(format!(
            "the top of node {}, scope {} is below {}",
            w.node_name.escape_debug(),
            w.nonce_scope.escape_debug(),
            w.reserved_high
        ))
        .next("nothing was switched: nonces would be used twice"));
    }
    // One that Postgres does not list at all may have been retired there.
    let trusted = |kid: &str| known.keys.iter().any(|k| k.kid == kid && !k.revoked);
    if let Some(key) = lacking.keys.iter().find(|k| k.revoked && trusted(&k.kid)) {
        return Err(wrong(format!(
            "key {} is revoked on a target, and Postgres trusts it",
            key.kid.escape_debug()
        ))
        .next("nothing was switched: tokens of a revoked key would be accepted"));
    }
    Ok(())
}

fn not_there(missing: usize, example: &str) -> Problem {
    Problem::new(
        Exit::Failed,
        "comparing Postgres with what was exported",
        format!(
            "{missing} revocations are not there, {} is one of them",
            example.escape_debug()
        ),
    )
    .next("nothing was switched; is something else deleting revocations?")
}

//! The sequences that take live state across a switch.
//!
//! Targets are asked in parallel, and each call is bounded in time: one that hangs never holds
//! up the others. Everything merges by union and maximum, so each sequence may be repeated.

mod parts;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use self::parts::{
    add, all_of_postgres, exports, import_all, kept, lacking, locals, must_answer, nearby, newest,
    note, place_everywhere, publish, read_postgres, without_watermarks,
};
use super::client::ServiceClient;
use super::contract::{Imported, Snapshot};
use super::driver::Driver;
use super::kit::Kit;
use super::merge::{Counts, merge, with_margin};
use super::postgres;
use crate::error::{Exit, Problem, Result};
use crate::pg::Database;
use crate::settings::{Environment, Target};

/// How long a rollback waits for a fence.
const FENCE_BACK: Duration = Duration::from_millis(200);
/// How long a rollback waits for what is new in Postgres.
const DELTA_BACK: Duration = Duration::from_millis(300);
/// How long settling waits for Postgres; nobody is held up by it.
const SETTLE_POSTGRES: Duration = Duration::from_secs(2);
/// How long a target may take to say what it runs in, or to lift its fence.
const ASK_WITHIN: Duration = Duration::from_secs(2);

/// Targets and the way to talk to them.
#[derive(Debug, Clone)]
pub struct Fleet {
    members: Vec<Member>,
}

#[derive(Debug, Clone)]
pub struct Member {
    pub target: Target,
    pub client: ServiceClient,
    /// On whose behalf it is changed; none by hand.
    pub driver: Option<Arc<Driver>>,
}

impl Fleet {
    /// `targets` of `env`, asked with its administrator's token. Nothing is sent yet.
    pub fn new(env: &Environment, targets: &[&Target]) -> Result<Self> {
        let clients = ServiceClient::each(env, targets)?;
        let members = targets
            .iter()
            .zip(clients)
            .map(|(target, client)| Member {
                target: (*target).clone(),
                client,
                driver: None,
            })
            .collect();
        Ok(Self { members })
    }

    /// Every target of `env`.
    pub fn everyone(env: &Environment) -> Result<Self> {
        Self::new(env, &env.select(&[])?)
    }

    /// The same, changed on behalf of a driver: no longer once somebody else drives.
    pub fn driven_by(mut self, driver: Option<&Arc<Driver>>) -> Self {
        for member in &mut self.members {
            member.driver = driver.cloned();
        }
        self
    }

    pub fn members(&self) -> &[Member] {
        &self.members
    }

    pub fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    /// Those of its members that `keep` says yes to, by name.
    pub fn only(&self, keep: impl Fn(&str) -> bool) -> Self {
        let kept = self.members.iter().filter(|m| keep(&m.target.name));
        Self {
            members: kept.cloned().collect(),
        }
    }

    /// Does `ask` on all of them at once; the answers stand in the order of the members.
    pub async fn all<'a, T, F>(&'a self, ask: impl Fn(&'a Member) -> F) -> Vec<(&'a Member, T)>
    where
        F: Future<Output = T>,
    {
        let asked = self.members.iter().map(|m| {
            let answer = ask(m);
            async move { (m, answer.await) }
        });
        futures_util::future::join_all(asked).await
    }
}

/// The database that takes part, and the logical key that imported public keys belong to.
#[derive(Debug, Clone, Copy)]
pub struct Store<'a> {
    pub database: &'a Database,
    pub key_id: &'a str,
}

/// What happens meanwhile.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Progress {
    Read {
        from: String,
        counts: Counts,
    },
    Fenced {
        target: String,
    },
    Imported {
        into: String,
        added: Imported,
    },
    Unfenced {
        target: String,
    },
    /// Somebody did not do its part, and the sequence goes on without.
    Without {
        target: String,
        why: String,
    },
}

impl fmt::Display for Progress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Progress::Read { from, counts } => write!(f, "{from}: {counts}"),
            Progress::Fenced { target } => write!(f, "{target} is fenced"),
            Progress::Imported { into, added } => write!(
                f,
                "{into} took {} revocations, {} nonce tops, {} keys that it did not have",
                added.tokens_added + added.sessions_added,
                added.watermarks_raised,
                added.keys_added
            ),
            Progress::Unfenced { target } => write!(f, "{target} is no longer fenced"),
            Progress::Without { target, why } => write!(f, "going on without {target}: {why}"),
        }
    }
}

/// Told of each [`Progress`].
pub type Tell<'a> = &'a (dyn Fn(Progress) + Send + Sync);

/// What was carried.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Carried {
    /// What there is now on the side that was carried to.
    pub counts: Counts,
    /// What was new there.
    pub added: Imported,
    pub source: Source,
    /// Targets that did not do their part, and why; the sequence went on without them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub without: Vec<Without>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Without {
    pub target: String,
    pub why: String,
}

/// Where it came from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "from", rename_all = "lowercase")]
pub enum Source {
    /// From the running targets.
    Targets,
    /// From Postgres, which answered.
    Postgres,
    /// From the rollback kit, since Postgres did not answer: as it was `age_ms` ago, with a
    /// margin on the nonce tops.
    Kit { age_ms: u64, why: String },
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Source::Targets => f.write_str("from the targets"),
            Source::Postgres => f.write_str("from Postgres"),
            Source::Kit { age_ms, .. } => write!(
                f,
                "from the rollback kit, {:.1} s old",
                Duration::from_millis(*age_ms).as_secs_f64()
            ),
        }
    }
}

/// Exchanges what targets in a local mode and Postgres know, without switching anything:
/// revocations and public keys both ways, watermarks towards Postgres. Refreshes the kit and
/// places it in the state directories.
///
/// # Errors
/// When Postgres does not answer. A target that does not is in [`Carried::without`].
pub async fn sync(fleet: &Fleet, store: Store<'_>, kit: &Kit, tell: Tell<'_>) -> Result<Carried> {
    let mut without = Vec::new();
    let local = locals(fleet, &mut without, tell).await;
    let exports = exports(&local, &mut without, tell).await;
    let added = import_all(store, &exports, tell).await?;
    let (known, complete) = read_postgres(store, kit, tell).await?;
    let all = merge([&known].into_iter().chain(&exports));
    let all = Snapshot {
        taken_at: known.taken_at,
        ..all
    };
    kit.refresh(&all, complete)?;
    let kept = kept(kit)?;
    // Not the watermarks: the node itself keeps them, and a margin added each time would run away.
    publish(&local, &without_watermarks(&kept), &mut without, tell).await;
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
    })
}

/// Before `flipping` is switched to Postgres: everything that they know is in Postgres, read back
/// and compared, and every live verifier of `everyone` knows Postgres's keys (P2, P3).
///
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
    let local = locals(everyone, &mut without, tell).await;
    let signers = exports(&local, &mut without, tell).await;
    must_answer(flipping, &without)?;
    let mut total = import_all(store, &signers, tell).await?;
    let (known, _) = all_of_postgres(store, tell).await?;
    let (_, unpublished) = publish(&local, &without_watermarks(&known), &mut without, tell).await;
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

    let done = carry_fenced(flipping, store, kit, tell).await;
    match done {
        Ok((counts, added)) => {
            add(&mut total, added);
            Ok(Carried {
                counts,
                added: total,
                source: Source::Targets,
                without,
            })
        }
        Err(problem) => {
            unfence(flipping, tell).await;
            Err(problem)
        }
    }
}

/// Fence, export, import, read back.
async fn carry_fenced(
    flipping: &Fleet,
    store: Store<'_>,
    kit: &Kit,
    tell: Tell<'_>,
) -> Result<(Counts, Imported)> {
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
    let added = import_all(store, &taken, tell).await?;
    let everything = merge(&taken);
    let missing = postgres::missing(store.database, &everything).await?;
    if let Some(example) = missing.first() {
        return Err(Problem::new(
            Exit::Failed,
            "comparing Postgres with what was exported",
            format!(
                "{} revocations are not there, {} is one of them",
                missing.len(),
                example.escape_debug()
            ),
        )
        .next("nothing was switched; is something else deleting revocations?"));
    }
    let (known, complete) = all_of_postgres(store, tell).await?;
    kit.refresh(&known, complete)?;
    Ok((Counts::of(&everything), added))
}

/// Before `flipping` is switched to local modes: fences it, and takes the last delta from Postgres
/// if it answers at once, else the kit with a margin and what those of `everyone` know that are
/// not switched: a client that revoked on each of them must not be forgotten by one (P2). Never
/// waits longer than half a second for anybody, and works with everything else gone (P7).
///
/// Returns the snapshot that each target must find at its start, and that [`settle`] wants.
///
/// # Errors
/// When neither Postgres nor the kit can be read.
pub async fn back(
    flipping: &Fleet,
    everyone: &Fleet,
    store: Option<Store<'_>>,
    kit: &Kit,
    tell: Tell<'_>,
) -> Result<(Carried, Snapshot)> {
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
    let (newest, known) = futures_util::future::join(newest(store, kit), nearby(&others)).await;
    let (mut snapshot, source) = newest?;
    if let Source::Kit { .. } = source {
        // `taken_at` stays the kit's: what Postgres took since then is still to come home.
        let known = without_watermarks(&merge(&known));
        let all = merge([&snapshot, &known]);
        snapshot = Snapshot {
            taken_at: snapshot.taken_at,
            ..all
        };
    }
    tell(Progress::Read {
        from: source.to_string(),
        counts: Counts::of(&snapshot),
    });
    let carried = Carried {
        counts: Counts::of(&snapshot),
        added: Imported::default(),
        source,
        without,
    };
    Ok((carried, snapshot))
}

/// After the restart in local modes: imports over HTTP once more (a service may not have found
/// its file), exchanges the new signers' keys among the targets and with Postgres where that
/// answers, and lifts the fence. `fleet` may be the whole environment: those that were never
/// switched then learn what was revoked on Postgres meanwhile; those on Postgres are left alone.
pub async fn settle(
    fleet: &Fleet,
    store: Option<Store<'_>>,
    snapshot: &Snapshot,
    tell: Tell<'_>,
) -> Carried {
    let mut without = Vec::new();
    let local = locals(fleet, &mut without, tell).await;
    let exports = exports(&local, &mut without, tell).await;
    let mut late = Snapshot::default();
    if let Some(store) = store {
        match tokio::time::timeout(SETTLE_POSTGRES, exchange(store, &exports, snapshot, tell)).await
        {
            Ok(Ok(new)) => late = new,
            Ok(Err(problem)) => lacking(&mut without, postgres::SOURCE, problem, tell),
            Err(_) => lacking(&mut without, postgres::SOURCE, "no answer in time", tell),
        }
    }
    // The watermarks of `snapshot` have their margin already; the nodes keep their own.
    let others = without_watermarks(&merge(exports.iter().chain([&late])));
    let all = merge([snapshot, &others]);
    let (added, _) = publish(&local, &all, &mut without, tell).await;
    for (target, why) in unfence(fleet, tell).await {
        without.push(Without { target, why });
    }
    Carried {
        counts: Counts::of(&all),
        added,
        source: Source::Targets,
        without,
    }
}

/// Gives Postgres what the targets know, and takes what was revoked there after `placed` was read:
/// a process that could not be fenced may have gone on until its restart (P2).
async fn exchange(
    store: Store<'_>,
    exports: &[Snapshot],
    placed: &Snapshot,
    tell: Tell<'_>,
) -> Result<Snapshot> {
    import_all(store, exports, tell).await?;
    postgres::export_since(store.database, placed.taken_at).await
}

/// Lets `fleet` accept revocations and nonces again; best effort. Returns whom it did not reach.
pub async fn unfence(fleet: &Fleet, tell: Tell<'_>) -> Vec<(String, String)> {
    let mut unreached = Vec::new();
    for (member, done) in fleet
        .all(|m| async { m.client.within(ASK_WITHIN).fence(false).await })
        .await
    {
        let target = member.target.name.clone();
        match done {
            Ok(_) => tell(Progress::Unfenced { target }),
            Err(e) => {
                let why = e.failure.to_string();
                tell(Progress::Without {
                    target: target.clone(),
                    why: why.clone(),
                });
                unreached.push((target, why));
            }
        }
    }
    unreached
}

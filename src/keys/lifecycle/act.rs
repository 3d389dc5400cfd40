//! Carrying out what [`decide`](super::decide) allows: each step is one transaction that locks the
//! key's row, reads anew, decides by the database's clock, writes by compare-and-set, and leaves a
//! row in `security.events`. Whatever ends in between, the next call goes on from what is there.

use jiff::Timestamp;
use jiff_sqlx::ToSqlx as _;
use serde::Serialize;
use serde_json::json;
use sqlx::postgres::Postgres;
use sqlx::{PgConnection, Row as _, Transaction};

use super::read::{Look, look, read, time};
use super::{
    Harm, KeyState, Life, Named, Next, Pace, Promotion, Retirement, Revocation, Waits, Which, at,
    next, promotion, retirement, revocation,
};
use crate::error::{Exit, Problem, Result};
use crate::keys::store::{insert_sealed, load_on};
use crate::keys::{Algorithm, By, Kek, SigningKey, events};
use crate::pg::{self, Database, problem};

/// What every step needs to know.
#[derive(Debug, Clone, Copy)]
pub struct Order<'a> {
    /// The logical key.
    pub key_id: &'a str,
    pub waits: Waits,
    pub by: &'a By,
    /// Whether waits are skipped.
    pub emergency: bool,
    /// Needed for whatever locks somebody out.
    pub named: Option<&'a Named>,
}

/// A version that came from one state into another.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Transition {
    pub version: i32,
    pub kid: String,
    /// None for a version that was just made.
    pub from: Option<KeyState>,
    pub to: KeyState,
    pub at: Timestamp,
}

/// What a step did.
#[derive(Debug, Clone, Serialize)]
pub struct Done {
    /// Empty when everything was so already.
    pub did: Vec<Transition>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub locked_out: Vec<Harm>,
}

/// One step of a rotation.
#[derive(Debug, Clone)]
pub enum Stepped {
    /// Something was done; there may be more.
    Did(Transition),
    /// Recorded that a version can be seen.
    Published { version: i32, at: Timestamp },
    /// Nothing can be done now; `now` is the database's time.
    Not { next: Next, now: Timestamp },
}

/// Makes `which` the version that signs; the one that signed until now only verifies.
///
/// # Errors
/// [`Exit::Findings`] with the reason when it would open a gap; [`Exit::Unconfirmed`] when it locks
/// somebody out and nobody typed the name; a private half that `kek` does not open.
pub async fn promote(db: &Database, order: &Order<'_>, which: &Which, kek: &Kek) -> Result<Done> {
    let doing = format!("promoting {which} of {}", order.key_id);
    let seen = look(db, order.key_id).await?;
    let unpublished = |life: &&Life| life.state == KeyState::Standby && life.published_at.is_none();
    for life in seen.versions.iter().filter(unpublished) {
        publish(db, order, life.version).await?;
    }
    let (mut tx, now) = lock(db, order, &doing).await?;
    let decided = promotion(&now.versions, which, now.now, &order.waits, order.emergency)
        .map_err(|refusal| refusal.problem(&doing))?;
    let (version, demotes, harm) = match decided {
        Promotion::Already => (None, None, None),
        Promotion::Go {
            version,
            demotes,
            harm,
        } => (Some(version), demotes, harm),
    };
    let harm = agreed(order, harm.into_iter().collect(), &doing)?;
    let mut did = Vec::new();
    if let Some(version) = version {
        must_open(&mut tx, order.key_id, version, kek).await?;
        if let Some(old) = demotes {
            let to = KeyState::Retiring;
            did.push(shift(&mut tx, order, old, KeyState::Current, to).await?);
        }
        let to = KeyState::Current;
        did.push(shift(&mut tx, order, version, KeyState::Standby, to).await?);
    }
    commit(tx, &doing).await?;
    Ok(Done {
        did,
        locked_out: harm,
    })
}

/// Lets a version go that only verified.
///
/// # Errors
/// As [`promote`], without a private half.
pub async fn retire(db: &Database, order: &Order<'_>, which: &Which) -> Result<Done> {
    let doing = format!("retiring {which} of {}", order.key_id);
    let (mut tx, now) = lock(db, order, &doing).await?;
    let decided = retirement(&now.versions, which, now.now, &order.waits, order.emergency)
        .map_err(|refusal| refusal.problem(&doing))?;
    let (did, locked_out) = match decided {
        Retirement::Already => (Vec::new(), Vec::new()),
        Retirement::Go { version, harm } => {
            let harm = agreed(order, harm.into_iter().collect(), &doing)?;
            let to = KeyState::Retired;
            let did = shift(&mut tx, order, version, KeyState::Retiring, to).await?;
            (vec![did], harm)
        }
    };
    commit(tx, &doing).await?;
    Ok(Done { did, locked_out })
}

/// Lets nobody trust a version any more. The current one hands over to its successor in the same
/// transaction.
///
/// # Errors
/// As [`promote`].
pub async fn revoke(
    db: &Database,
    order: &Order<'_>,
    which: &Which,
    kek: Option<&Kek>,
) -> Result<Done> {
    let doing = format!("revoking {which} of {}", order.key_id);
    let (mut tx, now) = lock(db, order, &doing).await?;
    let decided = revocation(&now.versions, which, now.now, &order.waits, order.emergency)
        .map_err(|refusal| refusal.problem(&doing))?;
    let mut done = Done {
        did: Vec::new(),
        locked_out: Vec::new(),
    };
    if let Revocation::Go {
        version,
        successor,
        harm,
    } = decided
    {
        done.locked_out = agreed(order, harm, &doing)?;
        let state = now.versions.iter().find(|life| life.version == version);
        let state = state.map_or(KeyState::Current, |life| life.state);
        if let Some(successor) = successor {
            let kek = kek.ok_or_else(|| {
                Problem::new(
                    Exit::Config,
                    &doing,
                    format!("version {successor} takes its place, and there is no key-encryption key to see whether it opens"),
                )
                .next("--kek-file FILE, or kek_file of the environment")
            })?;
            must_open(&mut tx, order.key_id, successor, kek).await?;
        }
        done.did
            .push(shift(&mut tx, order, version, state, KeyState::Revoked).await?);
        if let Some(successor) = successor {
            let to = KeyState::Current;
            done.did
                .push(shift(&mut tx, order, successor, KeyState::Standby, to).await?);
        }
    }
    commit(tx, &doing).await?;
    Ok(done)
}

/// Records when a key that signs elsewhere stopped doing so, by a person's word. Its wait counts
/// from then.
///
/// # Errors
/// [`Exit::Findings`] when it is not such a key, or the time lies ahead.
pub async fn stopped_signing(
    db: &Database,
    order: &Order<'_>,
    which: &Which,
    stopped: Timestamp,
) -> Result<Life> {
    let doing = format!("recording when {which} of {} stopped signing", order.key_id);
    let fail = |e: &sqlx::Error| problem(&doing, e);
    let refused = |why: String| Problem::new(Exit::Findings, &doing, why);
    let (mut tx, now) = lock(db, order, &doing).await?;
    let life = now.versions.into_iter().find(|life| match which {
        Which::Version(version) => life.version == *version,
        Which::Kid(kid) => life.kid == *kid,
    });
    let life = life.ok_or_else(|| {
        refused(format!("the key has no {which}")).next("dbctl keys list --format json")
    })?;
    if life.state != KeyState::Retiring || life.has_private {
        return Err(refused(format!(
            "version {} is {} and {}: when it stopped signing is known here",
            life.version,
            life.state,
            if life.has_private {
                "signs from this database"
            } else {
                "does not verify"
            },
        ))
        .next("leave --stopped-signing out"));
    }
    if stopped > now.now {
        return Err(refused(format!(
            "{} has not come yet: the database's time is {}",
            at(stopped),
            at(now.now)
        ))
        .next("give the time when the last instance that signed with it was switched or stopped"));
    }
    pg::query(
        "UPDATE security.signing_key_versions \
            SET stopped_signing_at = $3, valid_until = GREATEST(valid_from, $4) \
          WHERE key_id = $1 AND version = $2 AND state = 'retiring'",
    )
    .bind(order.key_id)
    .bind(life.version)
    .bind(stopped.to_sqlx())
    .bind(order.waits.verifies_until(stopped).to_sqlx())
    .execute(&mut *tx)
    .await
    .map_err(|e| fail(&e))?;
    let detail = json!({"version": life.version, "stopped_signing_at": stopped});
    record(&mut tx, order, "key.stopped-signing", &life.kid, detail).await?;
    commit(tx, &doing).await?;
    Ok(Life {
        stopped_signing_at: Some(stopped),
        ..life
    })
}

/// Does the one step of a rotation that comes next, or says what it waits for.
///
/// # Errors
/// As [`promote`].
pub async fn rotate(
    db: &Database,
    order: &Order<'_>,
    pace: &Pace,
    algorithm: Option<Algorithm>,
    kek: &Kek,
) -> Result<Stepped> {
    let doing = format!("rotating the key {}", order.key_id);
    let seen = look(db, order.key_id).await?;
    let pace = Pace {
        emergency: order.emergency,
        ..*pace
    };
    // What can be done without the lock is done without it: drawing a key takes a while.
    let pair = match next(&seen.versions, seen.now, &order.waits, &pace) {
        Next::Make => Some(SigningKey::generate(algorithm.unwrap_or(seen.algorithm))?),
        Next::Publish { version } => return publish(db, order, version).await,
        step @ (Next::Wait { .. } | Next::Rest { .. } | Next::Seed) => {
            return Ok(Stepped::Not {
                next: step,
                now: seen.now,
            });
        }
        Next::Promote { version } => {
            let which = Which::Version(version);
            return stepped(promote(db, order, &which, kek).await?, db, order, &pace).await;
        }
        Next::Retire { version } => {
            let calm = Order {
                emergency: false,
                ..*order
            };
            let which = Which::Version(version);
            return stepped(retire(db, &calm, &which).await?, db, order, &pace).await;
        }
    };
    let (mut tx, now) = lock(db, order, &doing).await?;
    // Somebody else may have begun it while we waited for our turn.
    let step = next(&now.versions, now.now, &order.waits, &pace);
    let (Next::Make, Some(pair)) = (&step, pair) else {
        commit(tx, &doing).await?;
        return Ok(Stepped::Not {
            next: step,
            now: now.now,
        });
    };
    let version = insert_sealed(&mut tx, order.key_id, &pair, KeyState::Standby, kek).await?;
    let kid = pair.public().kid();
    let detail = json!({"version": version, "from": null, "to": KeyState::Standby});
    record(&mut tx, order, "key.standby", kid, detail).await?;
    commit(tx, &doing).await?;
    Ok(Stepped::Did(Transition {
        version,
        kid: kid.to_owned(),
        from: None,
        to: KeyState::Standby,
        at: now.now,
    }))
}

/// The transition that a step of a rotation is told as: that of the version it was about.
async fn stepped(done: Done, db: &Database, order: &Order<'_>, pace: &Pace) -> Result<Stepped> {
    match done.did.into_iter().next_back() {
        Some(transition) => Ok(Stepped::Did(transition)),
        // Somebody else did it.
        None => {
            let seen = look(db, order.key_id).await?;
            Ok(Stepped::Not {
                next: next(&seen.versions, seen.now, &order.waits, pace),
                now: seen.now,
            })
        }
    }
}

/// Records that a version can be seen, in a transaction of its own: it began after the one that
/// made the version visible had ended.
async fn publish(db: &Database, order: &Order<'_>, version: i32) -> Result<Stepped> {
    let doing = format!("publishing version {version} of {}", order.key_id);
    let fail = |e: &sqlx::Error| problem(&doing, e);
    let (mut tx, now) = lock(db, order, &doing).await?;
    let row = pg::query(
        "UPDATE security.signing_key_versions \
            SET published_at = statement_timestamp(), \
                valid_from = statement_timestamp() + $3 * interval '1 second' \
          WHERE key_id = $1 AND version = $2 AND state = 'standby' AND published_at IS NULL \
          RETURNING kid, published_at",
    )
    .bind(order.key_id)
    .bind(version)
    .bind(order.waits.verifier_cache.as_secs_f64())
    .fetch_optional(&mut *tx)
    .await
    .map_err(|e| fail(&e))?;
    let mut published = now.now;
    if let Some(row) = row {
        published = time(&row, "published_at")?.unwrap_or(published);
        let kid: String = row.try_get("kid").map_err(|e| fail(&e))?;
        let detail = json!({"version": version, "published_at": published});
        record(&mut tx, order, "key.published", &kid, detail).await?;
    }
    commit(tx, &doing).await?;
    Ok(Stepped::Published {
        version,
        at: published,
    })
}

/// Whoever locks somebody out has typed the key's name.
fn agreed(order: &Order<'_>, harm: Vec<Harm>, doing: &str) -> Result<Vec<Harm>> {
    let named = order.named.is_some_and(|named| named.is_for(order.key_id));
    match harm.first() {
        Some(first) if !named => Err(Problem::new(Exit::Unconfirmed, doing, first.sentence())
            .next(format!(
                "nothing was changed; --confirm {} if it is meant",
                order.key_id
            ))),
        Some(_) | None => Ok(harm),
    }
}

/// Nothing becomes current that nobody could sign with.
async fn must_open(tx: &mut PgConnection, key_id: &str, version: i32, kek: &Kek) -> Result<()> {
    let stored = load_on(tx, key_id).await?;
    let found = stored.iter().find(|s| s.version.version == version);
    match found {
        Some(stored) => stored.open(Some(kek)).map(drop),
        None => Err(Problem::new(
            Exit::Failed,
            format!("opening version {version} of key {key_id}"),
            "it is gone",
        )),
    }
}

/// Begins a transaction, locks the key's row, and reads what is there now. No wait in it is long:
/// others stand behind this lock, and `published_at` and the times of the states are only as good
/// as a transaction is short.
async fn lock(
    db: &Database,
    order: &Order<'_>,
    doing: &str,
) -> Result<(Transaction<'static, Postgres>, Look)> {
    // The lock is worth nothing if what is read after it was seen before it.
    let begin = "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE";
    let mut tx = db.begin_with(begin).await.map_err(|e| problem(doing, &e))?;
    pg::query(
        "SELECT set_config('lock_timeout', '5s', true), set_config('statement_timeout', '8s', true), \
                set_config('idle_in_transaction_session_timeout', '8s', true), \
                set_config('synchronous_commit', 'on', true)",
    )
    .execute(&mut *tx)
    .await
    .map_err(|e| problem(doing, &e))?;
    let sql = "SELECT algorithm FROM security.signing_keys WHERE key_id = $1 FOR UPDATE";
    let look = read(&mut tx, order.key_id, sql).await?;
    Ok((tx, look))
}

/// Brings a version from one state into another, if it still is in that one.
async fn shift(
    tx: &mut PgConnection,
    order: &Order<'_>,
    version: i32,
    from: KeyState,
    to: KeyState,
) -> Result<Transition> {
    let doing = format!("making version {version} of {} {to}", order.key_id);
    let fail = |e: &sqlx::Error| problem(&doing, e);
    let row = pg::query(
        "UPDATE security.signing_key_versions \
            SET state = $4, \
                valid_from = CASE WHEN $4 = 'current' THEN statement_timestamp() ELSE valid_from END, \
                valid_until = CASE $4 WHEN 'current' THEN NULL \
                    WHEN 'retiring' THEN statement_timestamp() + $5 * interval '1 second' \
                    ELSE GREATEST(valid_from, statement_timestamp()) END \
          WHERE key_id = $1 AND version = $2 AND state = $3 \
          RETURNING kid, state_changed_at",
    )
    .bind(order.key_id)
    .bind(version)
    .bind(from.as_str())
    .bind(to.as_str())
    .bind((order.waits.token_lifetime + order.waits.clock_skew).as_secs_f64())
    .fetch_optional(&mut *tx)
    .await
    .map_err(|e| fail(&e))?;
    let Some(row) = row else {
        return Err(
            Problem::new(Exit::Failed, &doing, format!("it is not {from} any more"))
                .next("dbctl keys list shows what it is; nothing was changed"),
        );
    };
    let kid: String = row.try_get("kid").map_err(|e| fail(&e))?;
    let at = time(&row, "state_changed_at")?.unwrap_or(Timestamp::MIN);
    let detail = json!({"version": version, "from": from, "to": to});
    let kind = format!("key.{to}");
    record(tx, order, &kind, &kid, detail).await?;
    Ok(Transition {
        version,
        kid,
        from: Some(from),
        to,
        at,
    })
}

/// A row of `security.events`, in the same transaction as what it tells of.
async fn record(
    tx: &mut PgConnection,
    order: &Order<'_>,
    kind: &str,
    kid: &str,
    mut detail: serde_json::Value,
) -> Result<()> {
    if order.emergency {
        detail["emergency"] = json!(true);
    }
    let event = events::Event {
        kind,
        subject_id: order.key_id,
        kid: Some(kid),
        detail,
    };
    events::record(tx, order.by, event).await
}

async fn commit(tx: Transaction<'static, Postgres>, doing: &str) -> Result<()> {
    tx.commit().await.map_err(|e| {
        let problem = problem(doing, &e);
        match e {
            sqlx::Error::Database(_) => problem,
            // The answer may have been lost, and not the transaction.
            _ => Problem::new(
                Exit::Unavailable,
                doing,
                format!("{}, so that it is not known whether it was done", problem.cause()),
            )
            .next("`dbctl keys list` shows what is; the same command may be given again and does nothing twice"),
        }
    })
}

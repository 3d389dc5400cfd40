//! Moving every sealed private half from one key-encryption key to another.

use serde::Serialize;
use serde_json::json;
use sqlx::postgres::PgRow;
use sqlx::{PgConnection, Row as _};

use super::events::{Event, record};
use super::kek::Row;
use super::registry::{named, register};
use super::store::{KeyVersion, StoredVersion, version_of};
use super::{By, Kek, Sealed, SigningKey};
use crate::error::{Exit, Problem, Result};
use crate::pg::{self, Database, problem};

const DOING: &str = "moving sealed keys to another key-encryption key";

/// Every version with what is sealed of it; only the owner of the schema may read it.
pub(super) const EVERYTHING: &str = "SELECT key_id, version, kid, state, is_current, algorithm, valid_from, \
           valid_until, published_at, public_key, kek_id, sealed_private_key, sealing_nonce \
      FROM security.signing_key_versions ORDER BY key_id, version";

/// What a rewrap did.
#[derive(Debug, Clone, Serialize)]
pub struct Rewrapped {
    pub to: String,
    /// The key-encryption keys that sealed something before; they may be dropped now.
    pub from: Vec<String>,
    pub moved: Vec<Moved>,
    /// How many versions were sealed with it already.
    pub already: usize,
}

/// A version that is sealed with another key than before.
#[derive(Debug, Clone, Serialize)]
pub struct Moved {
    pub key_id: String,
    pub version: i32,
    pub from: String,
}

/// Seals every private half anew with `new`, whatever its state; `old` must open those that `new`
/// does not seal yet.
///
/// One transaction over all versions, not batches: there are few of them (a rotation adds one),
/// and nobody ever sees a half of them moved, which would take both keys to start a service. All
/// keys are locked, so that a rotation waits; each row is written only if it still is what was
/// read; before the commit each row is read back and opened. If it is interrupted, nothing has
/// happened, and the next call does it all; after a success it does nothing.
pub async fn rewrap(db: &Database, old: &[Kek], new: &Kek, by: &By) -> Result<Rewrapped> {
    let fail = |e: &sqlx::Error| problem(DOING, e);
    let mut tx = db.begin().await.map_err(|e| fail(&e))?;
    pg::query("SELECT key_id FROM security.signing_keys ORDER BY key_id FOR UPDATE")
        .execute(&mut *tx)
        .await
        .map_err(|e| fail(&e))?;
    let before = sealed_on(&mut tx).await?;
    let (already, to_move): (Vec<_>, Vec<_>) = before
        .iter()
        .partition(|(_, sealed)| sealed.kek_id == new.id());
    if let Some(strangers) = strangers(&to_move, old) {
        return Err(strangers);
    }
    register(&mut tx, new).await?;
    let mut moved = Vec::new();
    for (version, sealed) in &to_move {
        let kek = old.iter().find_map(|kek| kek.with_id(&sealed.kek_id));
        let kek = kek.ok_or_else(|| Problem::new(Exit::Failed, DOING, "a key is missing"))?;
        let pair = opened(version, sealed, kek)?;
        let anew = new.seal(row_of(version), pair.pkcs8())?;
        replace(&mut tx, version, sealed, &anew).await?;
        let event = Event {
            kind: "key.rewrapped",
            subject_id: &version.key_id,
            kid: Some(&version.kid),
            detail: json!({ "version": version.version, "from": sealed.kek_id, "to": new.id() }),
        };
        record(&mut tx, by, event).await?;
        moved.push(Moved {
            key_id: version.key_id.clone(),
            version: version.version,
            from: sealed.kek_id.clone(),
        });
    }
    let after = sealed_on(&mut tx).await?;
    for (version, sealed) in &after {
        opened(version, sealed, new)?;
    }
    if after.len() != before.len() {
        return Err(
            Problem::new(Exit::Failed, DOING, "a version came or went meanwhile")
                .next("nothing was changed; try again"),
        );
    }
    tx.commit().await.map_err(|e| fail(&e))?;
    let mut from: Vec<String> = moved.iter().map(|m| m.from.clone()).collect();
    from.sort();
    from.dedup();
    Ok(Rewrapped {
        to: new.id().to_owned(),
        from,
        already: already.len(),
        moved,
    })
}

/// Says which versions none of `old` opens, where there are any.
fn strangers(to_move: &[&(KeyVersion, Sealed)], old: &[Kek]) -> Option<Problem> {
    let mut unknown: Vec<&str> = to_move
        .iter()
        .map(|(_, sealed)| &*sealed.kek_id)
        .filter(|id| !old.iter().any(|kek| kek.with_id(id).is_some()))
        .collect();
    unknown.sort_unstable();
    unknown.dedup();
    if unknown.is_empty() {
        return None;
    }
    let given: Vec<String> = old
        .iter()
        .map(|kek| format!("{} holds {}", kek.origin(), kek.ids()))
        .collect();
    let sealed = unknown.iter().map(|id| {
        let versions: Vec<(String, i32)> = to_move
            .iter()
            .filter(|(_, sealed)| sealed.kek_id == *id)
            .map(|(v, _)| (v.key_id.clone(), v.version))
            .collect();
        format!("{id} seals {}", named(&versions))
    });
    let sealed = sealed.collect::<Vec<_>>().join("; ");
    let why = match given.is_empty() {
        true => format!("{sealed}, and no key-encryption key was given that opens them"),
        false => format!("{}, but {sealed}", given.join(", ")),
    };
    Some(
        Problem::new(Exit::Config, DOING, why)
            .next("nothing was changed; name that key too: --kek-file FILE, once for each"),
    )
}

fn row_of(version: &KeyVersion) -> Row<'_> {
    Row {
        key_id: &version.key_id,
        version: version.version,
        algorithm: version.algorithm,
        kid: &version.kid,
    }
}

/// Opens one, and checks that both halves belong together.
pub(super) fn opened(version: &KeyVersion, sealed: &Sealed, kek: &Kek) -> Result<SigningKey> {
    let stored = StoredVersion {
        version: version.clone(),
        sealed: Some(sealed.clone()),
    };
    stored.open(Some(kek))
}

async fn replace(
    tx: &mut PgConnection,
    version: &KeyVersion,
    before: &Sealed,
    anew: &Sealed,
) -> Result<()> {
    let written = pg::query(
        "UPDATE security.signing_key_versions \
            SET sealed_private_key = $5, sealing_nonce = $6, kek_id = $7 \
          WHERE key_id = $1 AND version = $2 AND kek_id = $3 AND sealing_nonce = $4",
    )
    .bind(&version.key_id)
    .bind(version.version)
    .bind(&before.kek_id)
    .bind(&before.nonce)
    .bind(&anew.ciphertext)
    .bind(&anew.nonce)
    .bind(&anew.kek_id)
    .execute(tx)
    .await
    .map_err(|e| problem(DOING, &e))?;
    match written.rows_affected() {
        1 => Ok(()),
        _ => {
            let (key, number) = (&version.key_id, version.version);
            let why = format!("version {number} of {key} was changed by somebody else meanwhile");
            Err(Problem::new(Exit::Failed, DOING, why).next("nothing was changed; try again"))
        }
    }
}

/// All versions that have a private half here.
async fn sealed_on(tx: &mut PgConnection) -> Result<Vec<(KeyVersion, Sealed)>> {
    let rows = pg::query(EVERYTHING)
        .fetch_all(tx)
        .await
        .map_err(|e| problem(DOING, &e))?;
    let mut versions = Vec::new();
    for row in &rows {
        if let Some(sealed) = sealed_of(row)? {
            versions.push((version_of(row)?, sealed));
        }
    }
    Ok(versions)
}

pub(super) fn sealed_of(row: &PgRow) -> Result<Option<Sealed>> {
    let fail = |e: sqlx::Error| problem("reading a sealed key", &e);
    let ciphertext: Option<Vec<u8>> = row.try_get("sealed_private_key").map_err(fail)?;
    let nonce: Option<Vec<u8>> = row.try_get("sealing_nonce").map_err(fail)?;
    let kek_id: Option<String> = row.try_get("kek_id").map_err(fail)?;
    Ok(match (ciphertext, nonce, kek_id) {
        (Some(ciphertext), Some(nonce), Some(kek_id)) => Some(Sealed {
            ciphertext,
            nonce,
            kek_id,
        }),
        (_, _, _) => None,
    })
}

/// All versions with their private halves as they are sealed, of every state, for an export.
pub async fn load_sealed(db: &Database) -> Result<Vec<StoredVersion>> {
    let fail = |e: &sqlx::Error| problem("loading sealed keys", e);
    let mut tx = db.begin().await.map_err(|e| fail(&e))?;
    let versions = sealed_on(&mut tx).await?;
    tx.commit().await.map_err(|e| fail(&e))?;
    Ok(versions
        .into_iter()
        .map(|(version, sealed)| StoredVersion {
            version,
            sealed: Some(sealed),
        })
        .collect())
}

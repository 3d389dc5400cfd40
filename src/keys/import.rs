//! Taking keys that were made elsewhere into the database.

use serde::Serialize;
use serde_json::json;
use sqlx::PgConnection;

use super::events::{Event, record};
use super::kek::Row;
use super::store::{insert, insert_sealed, lock_key, next_version};
use super::{Algorithm, By, Kek, KeyState, Material, SigningKey, VerifyingKey};
use crate::error::{Exit, Problem, Result};
use crate::pg::{self, Database, problem};

/// A key that was taken in.
#[derive(Debug, Clone, Serialize)]
pub struct Imported {
    pub version: i32,
    pub kid: String,
    pub algorithm: Algorithm,
    /// `standby` with a private half, `retiring` (it only verifies) without one.
    pub state: KeyState,
    /// What sealed the private half.
    pub kek_id: Option<String>,
}

/// What is recorded.
enum Half<'k> {
    Both(SigningKey, &'k Kek),
    Public(VerifyingKey),
}

/// Records keys as new versions of `key_id`: one with a private half as `standby`, sealed with
/// `kek`, which becomes current only when somebody promotes it; one without as `retiring`, which
/// verifies and never signs. Without `kek` all of them arrive without their private half.
///
/// One transaction, with what it did in `security.events`: all or none. A kid that is there already,
/// under whatever name and in whatever state, is refused with the place where it is.
pub async fn import(
    db: &Database,
    key_id: &str,
    keys: Vec<Material>,
    kek: Option<&Kek>,
    by: &By,
) -> Result<Vec<Imported>> {
    let doing = format!("importing into the key {key_id}");
    let fail = |e: &sqlx::Error| problem(&doing, e);
    // Whatever does not open is found before the transaction begins.
    let halves = keys
        .into_iter()
        .map(|key| half(key, kek))
        .collect::<Result<Vec<Half<'_>>>>()?;
    let Some(first) = halves.first() else {
        return Ok(Vec::new());
    };
    let mut tx = db.begin().await.map_err(|e| fail(&e))?;
    lock_key(&mut tx, key_id, first.public().algorithm())
        .await
        .map_err(|e| fail(&e))?;
    let mut imported = Vec::new();
    for half in &halves {
        let public = half.public();
        refuse_known(&mut tx, &doing, public.kid()).await?;
        let added = match half {
            Half::Both(pair, kek) => {
                insert_sealed(&mut tx, key_id, pair, KeyState::Standby, kek).await
            }
            Half::Public(public) => insert_public(&mut tx, key_id, public)
                .await
                .map_err(|e| fail(&e)),
        };
        let (state, kek_id) = match half {
            Half::Both(_, kek) => (KeyState::Standby, Some(kek.id().to_owned())),
            Half::Public(_) => (KeyState::Retiring, None),
        };
        let version = added?;
        let event = Event {
            kind: &format!("key.{state}"),
            subject_id: key_id,
            kid: Some(public.kid()),
            detail: json!({ "version": version, "from": null, "to": state, "how": "imported", "kek_id": kek_id }),
        };
        record(&mut tx, by, event).await?;
        imported.push(Imported {
            version,
            kid: public.kid().to_owned(),
            algorithm: public.algorithm(),
            state,
            kek_id,
        });
    }
    tx.commit().await.map_err(|e| fail(&e))?;
    Ok(imported)
}

fn half<'k>(key: Material, kek: Option<&'k Kek>) -> Result<Half<'k>> {
    Ok(match (key, kek) {
        (Material::Private(pair), Some(kek)) => Half::Both(pair, kek),
        (Material::Private(pair), None) => Half::Public(pair.public().clone()),
        (Material::Public(public), _) => Half::Public(public),
        (Material::Sealed(sealed), Some(kek)) => Half::Both(sealed.open(kek)?, kek),
        (Material::Sealed(sealed), None) => Half::Public(sealed.public),
    })
}

impl Half<'_> {
    fn public(&self) -> &VerifyingKey {
        match self {
            Half::Both(pair, _) => pair.public(),
            Half::Public(public) => public,
        }
    }
}

async fn refuse_known(tx: &mut PgConnection, doing: &str, kid: &str) -> Result<()> {
    let known: Option<(String, i32, String)> = pg::query_as(
        "SELECT key_id, version, state FROM security.signing_key_versions WHERE kid = $1",
    )
    .bind(kid)
    .fetch_optional(tx)
    .await
    .map_err(|e| problem(doing, &e))?;
    match known {
        None => Ok(()),
        Some((key_id, version, state)) => Err(Problem::new(
            Exit::Config,
            doing,
            format!("{kid} is there already: version {version} of {key_id}, {state}"),
        )
        .next("nothing was changed; `dbctl keys list` shows what there is")),
    }
}

async fn insert_public(
    tx: &mut PgConnection,
    key_id: &str,
    public: &VerifyingKey,
) -> Result<i32, sqlx::Error> {
    let row = Row {
        key_id,
        version: next_version(tx, key_id).await?,
        algorithm: public.algorithm(),
        kid: public.kid(),
    };
    insert(tx, row, public, KeyState::Retiring, None).await?;
    Ok(row.version)
}

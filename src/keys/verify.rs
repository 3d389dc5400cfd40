//! Looking whether everything that is sealed opens, and whether halves and kids fit.

use serde::Serialize;
use sqlx::Row as _;
use sqlx::postgres::PgRow;

use super::rewrap::{EVERYTHING, opened, sealed_of};
use super::store::version_of;
use super::{Kek, KeyState};
use crate::error::{Exit, Problem, Result};
use crate::pg::{self, Database, problem};

/// A key-encryption key with its sentinel and that one's nonce.
type Registered = (String, Option<Vec<u8>>, Option<Vec<u8>>);

/// What was found about a version or about a key-encryption key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "health", rename_all = "kebab-case")]
pub enum Health {
    /// It opens, and its halves, its kid and its algorithm fit.
    Whole,
    /// There is only a public half here, and it fits its kid.
    PublicOnly,
    /// What seals it was not given, so nothing can be said.
    Unseen,
    Damaged {
        why: String,
    },
}

/// A version that was looked at.
#[derive(Debug, Clone, Serialize)]
pub struct VersionHealth {
    pub key_id: String,
    pub version: i32,
    pub state: KeyState,
    pub kid: String,
    pub kek_id: Option<String>,
    #[serde(flatten)]
    pub health: Health,
}

/// A registered key-encryption key that was looked at.
#[derive(Debug, Clone, Serialize)]
pub struct KekHealth {
    pub kek_id: String,
    #[serde(flatten)]
    pub health: Health,
}

/// Everything that [`verify`] looked at.
#[derive(Debug, Clone, Serialize)]
pub struct Verification {
    pub versions: Vec<VersionHealth>,
    pub keks: Vec<KekHealth>,
}

/// Opens every sealed private half with `keks`, checks it against its public half, and the kid
/// and algorithm of every version against its public key; opens the sentinels. Changes nothing
/// and never gives up at the first damage.
pub async fn verify(db: &Database, keks: &[Kek]) -> Result<Verification> {
    let doing = "looking at the sealed keys";
    let fail = |e: sqlx::Error| problem(doing, &e);
    let mut tx = db
        .begin_with("BEGIN TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        .await
        .map_err(fail)?;
    let rows = pg::query(EVERYTHING)
        .fetch_all(&mut *tx)
        .await
        .map_err(fail)?;
    let registered: Vec<Registered> = pg::query_as(
        "SELECT kek_id, sealed_sentinel, sentinel_nonce FROM security.key_encryption_keys \
          ORDER BY kek_id",
    )
    .fetch_all(&mut *tx)
    .await
    .map_err(fail)?;
    tx.commit().await.map_err(fail)?;
    let versions = rows
        .iter()
        .map(|row| version_health(row, keks))
        .collect::<Result<_>>()?;
    let sentinels = registered.into_iter().map(|(kek_id, sealed, nonce)| {
        let kek = keks.iter().find_map(|kek| kek.with_id(&kek_id));
        let health = match (kek, sealed, nonce) {
            (Some(kek), Some(sealed), Some(nonce)) => match kek.opens_sentinel(&nonce, &sealed) {
                true => Health::Whole,
                false => Health::Damaged {
                    why: "its key does not open its sentinel".into(),
                },
            },
            (_, _, _) => Health::Unseen,
        };
        KekHealth { kek_id, health }
    });
    Ok(Verification {
        versions,
        keks: sentinels.collect(),
    })
}

fn version_health(row: &PgRow, keks: &[Kek]) -> Result<VersionHealth> {
    let fail = |e: sqlx::Error| problem("reading a signing key", &e);
    let sealed = sealed_of(row)?;
    let health = match (version_of(row), &sealed) {
        (Err(p), _) => Health::Damaged {
            why: p.cause().to_owned(),
        },
        (Ok(_), None) => Health::PublicOnly,
        (Ok(version), Some(sealed)) => {
            match keks.iter().find_map(|kek| kek.with_id(&sealed.kek_id)) {
                None => Health::Unseen,
                Some(kek) => match opened(&version, sealed, kek) {
                    Ok(_) => Health::Whole,
                    Err(p) => Health::Damaged {
                        why: p.cause().to_owned(),
                    },
                },
            }
        }
    };
    let state: String = row.try_get("state").map_err(fail)?;
    Ok(VersionHealth {
        key_id: row.try_get("key_id").map_err(fail)?,
        version: row.try_get("version").map_err(fail)?,
        state: state
            .parse()
            .map_err(|why: String| Problem::new(Exit::Failed, "reading a signing key", why))?,
        kid: row.try_get("kid").map_err(fail)?,
        kek_id: sealed.map(|s| s.kek_id),
        health,
    })
}

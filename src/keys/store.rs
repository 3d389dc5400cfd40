//! Keys in Postgres: `security.signing_keys` and `security.signing_key_versions`.

use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;
use jiff_sqlx::Timestamp as SqlTime;
use serde::Serialize;
use serde_json::{Value, json};
use sqlx::postgres::PgRow;
use sqlx::{PgConnection, Row as _};

use super::events::{Event, record};
use super::kek::Row;
use super::registry::register;
use super::{Algorithm, By, Kek, Sealed, SigningKey, VerifyingKey};
use crate::contract::PublicKey;
use crate::error::{Exit, Problem, Result};
use crate::pg::{self, Database, problem};

/// What the key is for; the only purpose so far.
const PURPOSE: &str = "access-tokens";

/// Where a version is in its life. All of it is stored, so it survives every crash.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum KeyState {
    /// Published, not signing yet. Set when a version is prepared.
    Standby,
    /// Signs and verifies; exactly one per key. Set by seeding or promoting.
    Current,
    /// Verifies only. Set when another version was promoted, and for public keys that were
    /// carried over from memory.
    Retiring,
    /// Neither signs nor verifies. Set once every token that it signed has expired.
    Retired,
    /// Never trusted again, whatever the token says. Set by a person, from any other state.
    Revoked,
}

impl KeyState {
    pub const ALL: [KeyState; 5] = [
        KeyState::Standby,
        KeyState::Current,
        KeyState::Retiring,
        KeyState::Retired,
        KeyState::Revoked,
    ];

    pub const fn as_str(self) -> &'static str {
        match self {
            KeyState::Standby => "standby",
            KeyState::Current => "current",
            KeyState::Retiring => "retiring",
            KeyState::Retired => "retired",
            KeyState::Revoked => "revoked",
        }
    }

    /// Whether signatures of it are accepted, and it belongs into the published key set.
    pub const fn verifies(self) -> bool {
        match self {
            KeyState::Standby | KeyState::Current | KeyState::Retiring => true,
            KeyState::Retired | KeyState::Revoked => false,
        }
    }
}

impl fmt::Display for KeyState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for KeyState {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        KeyState::ALL
            .into_iter()
            .find(|s| s.as_str() == name)
            .ok_or_else(|| format!("`{}` is not a state of a key", name.escape_debug()))
    }
}

/// One version of a key, without its private half.
#[derive(Debug, Clone, Serialize)]
pub struct KeyVersion {
    pub key_id: String,
    pub version: i32,
    pub kid: String,
    pub state: KeyState,
    pub is_current: bool,
    pub algorithm: Algorithm,
    pub valid_from: Timestamp,
    pub valid_until: Option<Timestamp>,
    pub published_at: Option<Timestamp>,
    /// The key-encryption key that sealed the private half; none when only the public half is here.
    pub kek_id: Option<String>,
    #[serde(skip)]
    pub public: VerifyingKey,
}

/// A version as a signer loads it.
#[derive(Debug, Clone)]
pub struct StoredVersion {
    pub version: KeyVersion,
    pub sealed: Option<Sealed>,
}

impl StoredVersion {
    /// Opens the private half and checks it against the public one.
    pub fn open(&self, kek: Option<&Kek>) -> Result<SigningKey> {
        let v = &self.version;
        let doing = format!("opening version {} of key {}", v.version, v.key_id);
        let Some(sealed) = &self.sealed else {
            return Err(Problem::new(
                Exit::Config,
                doing,
                "its private half is not in the database",
            ));
        };
        let Some(kek) = kek else {
            return Err(Problem::new(
                Exit::Config,
                doing,
                format!(
                    "it is sealed with {}, and no key-encryption key was given",
                    sealed.kek_id
                ),
            )
            .next("set kek_file, kek_command or kek_credential (the service: SERVICE_KEK_FILE)"));
        };
        let row = Row {
            key_id: &v.key_id,
            version: v.version,
            algorithm: v.algorithm,
            kid: &v.kid,
        };
        let pair = SigningKey::from_pkcs8(&kek.open(row, sealed)?)?;
        if *pair.public() != v.public {
            return Err(Problem::new(
                Exit::Config,
                doing,
                "its private half does not belong to its public half",
            ));
        }
        Ok(pair)
    }
}

/// What seeding did.
#[derive(Debug, Clone, Serialize)]
#[serde(tag = "outcome", rename_all = "kebab-case")]
pub enum Seeded {
    /// A new current version was made.
    Created { version: i32, kid: String },
    /// There was a current version already, and the key-encryption key opens it.
    AlreadySeeded { version: i32, kid: String },
}

/// Makes sure that `key_id` has a current version, sealed with `kek`, and records `local` (the
/// public keys of the memory mode) beside it. One transaction, with what it did in
/// `security.events`; seeding twice changes nothing, and two at once seed once. Returns how many of
/// `local` were new.
///
/// An existing current version that `kek` does not open is an error: the service would not
/// start with it.
pub async fn seed(
    db: &Database,
    key_id: &str,
    algorithm: Algorithm,
    kek: &Kek,
    local: &[PublicKey],
    by: &By,
) -> Result<(Seeded, u64)> {
    let doing = format!("seeding the key {key_id}");
    let fail = |e: &sqlx::Error| problem(&doing, e);
    // Made before the transaction begins, and thrown away when it is not needed.
    let pair = SigningKey::generate(algorithm)?;
    let mut tx = db.begin().await.map_err(|e| fail(&e))?;
    lock_key(&mut tx, key_id, algorithm)
        .await
        .map_err(|e| fail(&e))?;
    let stored = load_on(&mut tx, key_id).await?;
    let seeded = match stored.iter().find(|s| s.version.is_current) {
        Some(current) => {
            current.open(Some(kek))?;
            register(&mut tx, kek).await?;
            Seeded::AlreadySeeded {
                version: current.version.version,
                kid: current.version.kid.clone(),
            }
        }
        None => {
            let to = KeyState::Current;
            let version = insert_sealed(&mut tx, key_id, &pair, to, kek).await?;
            let kid = pair.public().kid();
            let event = Event {
                kind: "key.current",
                subject_id: key_id,
                kid: Some(kid),
                detail: json!({ "version": version, "from": null, "to": to, "how": "seeded", "kek_id": kek.id() }),
            };
            record(&mut tx, by, event).await?;
            Seeded::Created {
                version,
                kid: kid.to_owned(),
            }
        }
    };
    let added = record_public(&mut tx, key_id, local).await?;
    for public in &added {
        let Recorded {
            version,
            from,
            to,
            kid,
        } = public;
        let event = Event {
            kind: &format!("key.{to}"),
            subject_id: key_id,
            kid: Some(kid),
            detail: json!({ "version": version, "from": from, "to": to, "how": "trusted" }),
        };
        record(&mut tx, by, event).await?;
    }
    tx.commit().await.map_err(|e| fail(&e))?;
    Ok((seeded, added.len() as u64))
}

/// Records public keys that must be trusted as `retiring` versions of `key_id` without a private
/// half; those that are known by their kid are left as they are. One that is flagged revoked
/// becomes (or is recorded as) `revoked`; the schema refuses that for the only current version,
/// which wants a successor first. Returns how many rows were added or revoked.
pub async fn import_public(db: &Database, key_id: &str, keys: &[PublicKey]) -> Result<u64> {
    if keys.is_empty() {
        return Ok(0);
    }
    let fail = |e: &sqlx::Error| problem(format!("recording public keys of {key_id}"), e);
    let mut tx = db.begin().await.map_err(|e| fail(&e))?;
    let algorithm = keys[0].alg;
    lock_key(&mut tx, key_id, algorithm)
        .await
        .map_err(|e| fail(&e))?;
    let added = record_public(&mut tx, key_id, keys).await?;
    tx.commit().await.map_err(|e| fail(&e))?;
    Ok(added.len() as u64)
}

/// The versions of one key, or of all, newest first; no key material.
pub async fn list(db: &Database, key_id: Option<&str>) -> Result<Vec<KeyVersion>> {
    let doing = "listing signing keys";
    let mut tx = db.begin().await.map_err(|e| problem(doing, &e))?;
    let rows = pg::query(
        "SELECT key_id, version, kid, state, is_current, algorithm, valid_from, valid_until, \
                published_at, public_key, kek_id \
           FROM security.signing_key_versions \
          WHERE $1::text IS NULL OR key_id = $1 \
          ORDER BY key_id, version DESC",
    )
    .bind(key_id)
    .fetch_all(&mut *tx)
    .await
    .map_err(|e| problem(doing, &e))?;
    tx.commit().await.map_err(|e| problem(doing, &e))?;
    rows.iter().map(version_of).collect()
}

/// The versions of `key_id` with their sealed private halves, newest first: what a signer loads.
pub async fn load(db: &Database, key_id: &str) -> Result<Vec<StoredVersion>> {
    let fail = |e: &sqlx::Error| problem(format!("loading the key {key_id}"), e);
    let mut tx = db.begin().await.map_err(|e| fail(&e))?;
    let versions = load_on(&mut tx, key_id).await?;
    tx.commit().await.map_err(|e| fail(&e))?;
    Ok(versions)
}

/// All public keys that a verifier must know: those to trust, and those that are revoked.
pub async fn public_keys(db: &Database) -> Result<Vec<PublicKey>> {
    Ok(list(db, None)
        .await?
        .iter()
        .filter(|v| v.state.verifies() || v.state == KeyState::Revoked)
        .map(|v| v.public.to_contract(v.state == KeyState::Revoked))
        .collect())
}

/// Makes the key's row and locks it, so that two writers take turns.
pub(super) async fn lock_key(
    tx: &mut PgConnection,
    key_id: &str,
    algorithm: Algorithm,
) -> Result<(), sqlx::Error> {
    pg::query(
        "INSERT INTO security.signing_keys (key_id, purpose, algorithm) VALUES ($1, $2, $3) \
         ON CONFLICT (key_id) DO NOTHING",
    )
    .bind(key_id)
    .bind(PURPOSE)
    .bind(algorithm.as_str())
    .execute(&mut *tx)
    .await?;
    pg::query("SELECT key_id FROM security.signing_keys WHERE key_id = $1 FOR UPDATE")
        .bind(key_id)
        .execute(&mut *tx)
        .await
        .map(|_| ())
}

/// Adds a version that can sign, its private half sealed with `kek`, and returns its number. The
/// key's row must be locked.
pub(super) async fn insert_sealed(
    tx: &mut PgConnection,
    key_id: &str,
    pair: &SigningKey,
    state: KeyState,
    kek: &Kek,
) -> Result<i32> {
    let fail = |e: &sqlx::Error| problem(format!("adding a version of {key_id}"), e);
    register(tx, kek).await?;
    let row = Row {
        key_id,
        version: next_version(tx, key_id).await.map_err(|e| fail(&e))?,
        algorithm: pair.public().algorithm(),
        kid: pair.public().kid(),
    };
    let sealed = kek.seal(row, pair.pkcs8())?;
    insert(tx, row, pair.public(), state, Some(&sealed))
        .await
        .map_err(|e| fail(&e))?;
    Ok(row.version)
}

pub(super) async fn next_version(tx: &mut PgConnection, key_id: &str) -> Result<i32, sqlx::Error> {
    pg::query_scalar(
        "SELECT COALESCE(max(version), 0) + 1 FROM security.signing_key_versions WHERE key_id = $1",
    )
    .bind(key_id)
    .fetch_one(tx)
    .await
}

pub(super) async fn insert(
    tx: &mut PgConnection,
    row: Row<'_>,
    public: &VerifyingKey,
    state: KeyState,
    sealed: Option<&Sealed>,
) -> Result<(), sqlx::Error> {
    pg::query(
        // A standby is published once this transaction has ended: what is recorded then can be seen.
        "INSERT INTO security.signing_key_versions \
           (key_id, version, kid, state, valid_from, valid_until, published_at, \
            algorithm, public_key, sealed_private_key, sealing_nonce, kek_id) \
         VALUES ($1, $2, $3, $4, statement_timestamp(), \
            CASE WHEN $5 THEN statement_timestamp() END, \
            CASE WHEN $4 <> 'standby' THEN statement_timestamp() END, $6, $7, $8, $9, $10)",
    )
    .bind(row.key_id)
    .bind(row.version)
    .bind(row.kid)
    .bind(state.as_str())
    .bind(!state.verifies())
    .bind(row.algorithm.as_str())
    .bind(public.jwk())
    .bind(sealed.map(|s| s.ciphertext.as_slice()))
    .bind(sealed.map(|s| s.nonce.as_slice()))
    .bind(sealed.map(|s| s.kek_id.as_str()))
    .execute(tx)
    .await
    .map(|_| ())
}

/// A public key that was added, or revoked.
struct Recorded {
    version: i32,
    kid: String,
    from: Option<KeyState>,
    to: KeyState,
}

async fn record_public(
    tx: &mut PgConnection,
    key_id: &str,
    keys: &[PublicKey],
) -> Result<Vec<Recorded>> {
    let fail = |e: &sqlx::Error| problem(format!("recording public keys of {key_id}"), e);
    let mut changed = Vec::new();
    for key in keys {
        let public = VerifyingKey::from_contract(key)?;
        let known: Option<(i32, String)> =
            pg::query_as("SELECT version, state FROM security.signing_key_versions WHERE kid = $1")
                .bind(public.kid())
                .fetch_optional(&mut *tx)
                .await
                .map_err(|e| fail(&e))?;
        let to = match key.revoked {
            true => KeyState::Revoked,
            false => KeyState::Retiring,
        };
        let (version, from) = match known {
            None => {
                let row = Row {
                    key_id,
                    version: next_version(tx, key_id).await.map_err(|e| fail(&e))?,
                    algorithm: public.algorithm(),
                    kid: public.kid(),
                };
                insert(tx, row, &public, to, None)
                    .await
                    .map_err(|e| fail(&e))?;
                (row.version, None)
            }
            Some((version, state)) => {
                let from: KeyState = state
                    .parse()
                    .map_err(|e| Problem::new(Exit::Failed, "reading a signing key", e))?;
                if from == KeyState::Revoked || to != KeyState::Revoked {
                    continue;
                }
                revoke_known(tx, public.kid()).await.map_err(|e| fail(&e))?;
                (version, Some(from))
            }
        };
        changed.push(Recorded {
            version,
            kid: public.kid().to_owned(),
            from,
            to,
        });
    }
    Ok(changed)
}

async fn revoke_known(tx: &mut PgConnection, kid: &str) -> Result<(), sqlx::Error> {
    pg::query(
        "UPDATE security.signing_key_versions \
            SET state = 'revoked', \
                valid_until = GREATEST(valid_from, clock_timestamp()) \
          WHERE kid = $1",
    )
    .bind(kid)
    .execute(tx)
    .await
    .map(|_| ())
}

pub(super) async fn load_on(
    connection: &mut PgConnection,
    key_id: &str,
) -> Result<Vec<StoredVersion>> {
    let rows = pg::query(
        // The sealed halves come through the view, which is all that a service may read of them.
        "SELECT v.key_id, v.version, v.kid, v.state, v.is_current, v.algorithm, v.valid_from, \
                v.valid_until, v.published_at, v.public_key, v.kek_id, \
                m.sealed_private_key, m.sealing_nonce \
           FROM security.signing_key_versions v \
           LEFT JOIN security.signing_material m USING (key_id, version) \
          WHERE v.key_id = $1 \
          ORDER BY v.version DESC",
    )
    .bind(key_id)
    .fetch_all(connection)
    .await
    .map_err(|e| problem("loading signing keys", &e))?;
    rows.iter()
        .map(|row| {
            let version = version_of(row)?;
            let fail = |e: sqlx::Error| problem("reading a signing key", &e);
            let ciphertext: Option<Vec<u8>> = row.try_get("sealed_private_key").map_err(fail)?;
            let nonce: Option<Vec<u8>> = row.try_get("sealing_nonce").map_err(fail)?;
            let sealed = match (ciphertext, nonce, version.kek_id.clone()) {
                (Some(ciphertext), Some(nonce), Some(kek_id)) => Some(Sealed {
                    ciphertext,
                    nonce,
                    kek_id,
                }),
                (_, _, _) => None,
            };
            Ok(StoredVersion { version, sealed })
        })
        .collect()
}

/// Reads a row and checks that its kid and algorithm are those of its public key.
pub(super) fn version_of(row: &PgRow) -> Result<KeyVersion> {
    let fail = |e: sqlx::Error| problem("reading a signing key", &e);
    let key_id: String = row.try_get("key_id").map_err(fail)?;
    let version: i32 = row.try_get("version").map_err(fail)?;
    let doing = format!("reading version {version} of key {key_id}");
    let wrong = |why: String| Problem::new(Exit::Failed, &doing, why);
    let text = |column: &str| row.try_get::<String, _>(column).map_err(fail);
    let time = |column: &str| {
        row.try_get::<Option<SqlTime>, _>(column)
            .map(|t| t.map(Timestamp::from))
            .map_err(fail)
    };
    let public = VerifyingKey::from_jwk(&row.try_get::<Value, _>("public_key").map_err(fail)?)
        .map_err(|p| wrong(p.cause().to_owned()))?;
    let algorithm: Algorithm = text("algorithm")?.parse().map_err(wrong)?;
    let kid = text("kid")?;
    if public.kid() != kid || public.algorithm() != algorithm {
        return Err(wrong(
            "its kid or algorithm is not that of its public key".into(),
        ));
    }
    Ok(KeyVersion {
        state: text("state")?.parse().map_err(wrong)?,
        is_current: row.try_get("is_current").map_err(fail)?,
        valid_from: time("valid_from")?.ok_or_else(|| wrong("valid_from is null".into()))?,
        valid_until: time("valid_until")?,
        published_at: time("published_at")?,
        kek_id: row.try_get("kek_id").map_err(fail)?,
        key_id,
        version,
        kid,
        algorithm,
        public,
    })
}

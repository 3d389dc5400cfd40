//! A Rust service's own use of the adapters: which keys are trusted, what is revoked, and nonces,
//! in a folder or in Postgres. See README.md in this folder.
//!
//! ```sh
//! cargo run --example adapters -- STATE_DIR SIGNING_KEY.pem
//! cargo run --example adapters -- STATE_DIR KEK_FILE postgres://auth_service@localhost/auth
//! ```

use std::error::Error;
use std::path::Path;
use std::time::Duration;

use dbctl::contract::RevokedToken;
use dbctl::keys::{Claims, Kek, Rules, SigningKey, Token};
use dbctl::pg::Database;
use dbctl::runtime::nonce::{Nonces, Opening};
use dbctl::runtime::resolver::{KeyError, KeyResolver, Loading, MAX_AGE, MemoryKeys, PostgresKeys};
use dbctl::runtime::revocation::{By, MemoryRevocations, PostgresRevocations, Revocations, Status};
use jiff::{SignedDuration, Timestamp};

/// What the service asks of a token.
const RULES: Rules<'static> = Rules {
    issuer: "https://auth.example",
    audience: "api",
    clock_skew: Duration::from_secs(5 * 60),
};

const LIFETIME: SignedDuration = SignedDuration::from_hours(1);

/// The node that nonces are reserved for; each instance has a name of its own.
const NODE: &str = "example-1";

/// The state of a service, wherever it lives.
pub struct State {
    keys: KeyResolver,
    revocations: Revocations,
    nonces: Nonces,
}

impl State {
    /// In memory and in the files of a folder of its own.
    pub async fn local(dir: &Path, signing_key: &Path) -> Result<Self, Box<dyn Error>> {
        let signing = SigningKey::from_pem_file(signing_key)?;
        Ok(Self {
            // First: it locks the folder.
            nonces: Nonces::open(Opening::new(dir, NODE), None, None).await?,
            keys: KeyResolver::Memory(MemoryKeys::open(signing, dir)?),
            revocations: Revocations::Memory(MemoryRevocations::open(dir)?),
        })
    }

    /// In Postgres, which `dbctl migrate apply` and `dbctl keys seed` have prepared. The folder
    /// remembers how far nonces went, should Postgres ever forget it.
    pub async fn postgres(dir: &Path, kek: &Path, db: &Database) -> Result<Self, Box<dyn Error>> {
        let how = Loading {
            key_id: "access-tokens",
            kek: Some(Kek::from_file(kek)?),
            max_age: MAX_AGE,
            fault: None,
        };
        Ok(Self {
            nonces: Nonces::open(Opening::new(dir, NODE), Some(db), None).await?,
            keys: KeyResolver::Postgres(PostgresKeys::open(db.clone(), how).await?),
            revocations: Revocations::Postgres(PostgresRevocations::new(db)),
        })
    }

    pub async fn issue(&self, subject: &str) -> Result<String, Box<dyn Error>> {
        let now = Timestamp::now();
        let claims = Claims {
            iss: RULES.issuer.to_owned(),
            aud: RULES.audience.to_owned(),
            sub: subject.to_owned(),
            iat: now.as_second(),
            exp: (now + LIFETIME).as_second(),
            jti: uuid::Uuid::now_v7().to_string(),
            sid: uuid::Uuid::now_v7().to_string(),
            nbf: None,
        };
        Ok(self.keys.signing().await?.sign(&claims)?)
    }

    /// The claims of a token that may be let in. An error means "cannot say": deny.
    pub async fn admit(&self, token: &str) -> Result<Option<Claims>, Box<dyn Error>> {
        let Ok(token) = Token::parse(token) else {
            return Ok(None);
        };
        let key = match self.keys.verifying(token.kid()).await {
            Ok(key) => key,
            Err(KeyError::Unknown) => return Ok(None),
            Err(KeyError::Unavailable(why)) => return Err(why.into()),
        };
        let Ok(claims) = token.verify(&key, &RULES, Timestamp::now()) else {
            return Ok(None);
        };
        let known = self.revocations.check(&claims.jti, &claims.sid).await?;
        Ok((known == Status::NotRevoked).then_some(claims))
    }

    /// Durable when it returns.
    pub async fn revoke(&self, claims: &Claims, why: &str) -> Result<(), Box<dyn Error>> {
        let token = RevokedToken {
            token_id: claims.jti.clone(),
            revoked_at: Timestamp::now(),
            expires_at: Timestamp::from_second(claims.exp)?,
            reason: Some(why.to_owned()),
        };
        let by = By {
            who: NODE.to_owned(),
            request_id: uuid::Uuid::now_v7().to_string(),
        };
        self.revocations.revoke_token(&token, &by).await?;
        Ok(())
    }

    /// `count` nonces that nobody else is ever given: the first and the last of them.
    pub async fn nonces(&self, count: u32) -> Result<(i64, i64), Box<dyn Error>> {
        let given = self.nonces.reserve("aead", count).await?;
        Ok((given.first, given.last))
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let state = match arguments.as_slice() {
        [dir, key] => State::local(dir.as_ref(), key.as_ref()).await?,
        [dir, kek, url] => {
            let db = Database::from_url("the third argument", url)?;
            State::postgres(dir.as_ref(), kek.as_ref(), &db).await?
        }
        _ => return Err("adapters STATE_DIR SIGNING_KEY, or STATE_DIR KEK_FILE URL".into()),
    };
    let token = state.issue("alice").await?;
    let claims = state.admit(&token).await?.ok_or("it was just issued")?;
    println!(
        "admitted   {} until {}",
        claims.sub,
        Timestamp::from_second(claims.exp)?
    );
    state.revoke(&claims, "an example").await?;
    println!("revoked    {}", claims.jti);
    let again = state.admit(&token).await?;
    println!(
        "admitted   {}",
        if again.is_some() { "again" } else { "nobody" }
    );
    let (first, last) = state.nonces(3).await?;
    println!("nonces     {first} to {last}");
    Ok(())
}

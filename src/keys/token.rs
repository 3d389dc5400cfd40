//! Tokens: a JWT (RFC 7519) as a JWS in compact form (RFC 7515, section 7.1), and what must hold
//! before its claims are believed.
//!
//! The key decides about the algorithm, never the header (RFC 8725, section 3.1). What a header
//! says beside `alg`, `kid` and `crit` is passed over: no key is ever taken from a token (`jwk`,
//! `jku`, `x5c`, `x5u`). There are exactly the claims below, with exactly their types.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::Timestamp;
use serde::de::IgnoredAny;
use serde::{Deserialize, Deserializer, Serialize};

use super::VerifyingKey;

/// A token longer than this is not looked at, in bytes.
pub const MAX_TOKEN_BYTES: usize = 8 * 1024;

/// The claims of an access token. All but `nbf` are required, with these types; a claim that
/// stands there twice is refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claims {
    /// Who issued it.
    pub iss: String,
    /// Whom it is for.
    pub aud: String,
    /// Whose it is.
    pub sub: String,
    /// When it was issued, in seconds since 1970, as are `exp` and `nbf`.
    pub iat: i64,
    /// From when on it is no longer valid.
    pub exp: i64,
    /// The token's id; not empty.
    pub jti: String,
    /// The session; not empty.
    pub sid: String,
    /// Before when it is not valid yet.
    #[serde(
        default,
        deserialize_with = "not_null",
        skip_serializing_if = "Option::is_none"
    )]
    pub nbf: Option<i64>,
}

/// What a service expects of a token.
#[derive(Debug, Clone, Copy)]
pub struct Rules<'a> {
    pub issuer: &'a str,
    pub audience: &'a str,
    /// How far the issuer's clock may be ahead of ours: for `iat` and `nbf`. `exp` gets none of
    /// it: a token is never believed longer than it says, so that its revocation may be forgotten.
    pub clock_skew: Duration,
}

/// Why a token is not believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// Not a token of this service: shape, algorithm, claims, issuer, audience, times.
    #[error("it is not a token of this service")]
    Malformed,
    /// The key did not sign this.
    #[error("the key did not sign it")]
    BadSignature,
    /// `exp` has passed.
    #[error("it has expired")]
    Expired,
}

/// A token that was taken apart and of which nothing is believed yet.
#[derive(Debug)]
pub struct Token<'t> {
    alg: String,
    kid: String,
    /// Header and claims, as they were signed.
    message: &'t str,
    claims: &'t str,
    signature: &'t str,
}

#[derive(Deserialize)]
struct Header {
    alg: String,
    kid: String,
    /// RFC 7515, section 4.1.11: extensions that are critical and not understood are refused,
    /// and none is understood.
    #[serde(default, deserialize_with = "present")]
    crit: bool,
}

impl<'t> Token<'t> {
    /// Takes a compact JWS apart; its header must name a key.
    pub fn parse(text: &'t str) -> Result<Self, TokenError> {
        if text.len() > MAX_TOKEN_BYTES {
            return Err(TokenError::Malformed);
        }
        let parted = text.rsplit_once('.').and_then(|(message, signature)| {
            let (header, claims) = message.split_once('.')?;
            (!claims.contains('.')).then_some((header, claims, message, signature))
        });
        let (header, claims, message, signature) = parted.ok_or(TokenError::Malformed)?;
        let Header { alg, kid, crit } = read(header)?;
        if crit {
            return Err(TokenError::Malformed);
        }
        Ok(Self {
            alg,
            kid,
            message,
            claims,
            signature,
        })
    }

    /// The key that it says it was signed with.
    pub fn kid(&self) -> &str {
        &self.kid
    }

    /// The claims, if `key` signed them and all `rules` hold at `now`. The signature comes first,
    /// then the types, then the time, then the rest; the first thing that is wrong decides.
    pub fn verify(
        &self,
        key: &VerifyingKey,
        rules: &Rules<'_>,
        now: Timestamp,
    ) -> Result<Claims, TokenError> {
        if self.alg != key.algorithm().as_str() || self.kid != key.kid() {
            return Err(TokenError::Malformed);
        }
        let signature = URL_SAFE_NO_PAD
            .decode(self.signature)
            .map_err(|_| TokenError::Malformed)?;
        if !key.verifies(self.message.as_bytes(), &signature) {
            return Err(TokenError::BadSignature);
        }
        let claims: Claims = read(self.claims)?;
        claims.check(rules, now)?;
        Ok(claims)
    }
}

impl Claims {
    fn check(&self, rules: &Rules<'_>, now: Timestamp) -> Result<(), TokenError> {
        let now = now.as_second();
        if self.exp < 0 || self.iat < 0 {
            return Err(TokenError::Malformed);
        }
        if self.exp <= now {
            return Err(TokenError::Expired);
        }
        let skew = i64::try_from(rules.clock_skew.as_secs()).unwrap_or(i64::MAX);
        let latest = now.saturating_add(skew);
        let in_time = self.iat <= latest && self.nbf.is_none_or(|nbf| nbf <= latest);
        let ours = self.iss == rules.issuer && self.aud == rules.audience;
        let named = !self.jti.is_empty() && !self.sid.is_empty();
        match in_time && ours && named {
            true => Ok(()),
            false => Err(TokenError::Malformed),
        }
    }
}

fn read<T: serde::de::DeserializeOwned>(part: &str) -> Result<T, TokenError> {
    let bytes = URL_SAFE_NO_PAD
        .decode(part)
        .map_err(|_| TokenError::Malformed)?;
    // The library would take an array for a struct.
    match bytes.trim_ascii_start().first() {
        Some(b'{') => serde_json::from_slice(&bytes).map_err(|_| TokenError::Malformed),
        Some(_) | None => Err(TokenError::Malformed),
    }
}

/// A member that may be missing but, where it is there, is no null.
fn not_null<'de, D: Deserializer<'de>>(d: D) -> Result<Option<i64>, D::Error> {
    i64::deserialize(d).map(Some)
}

/// Whether a member is there, whatever its value.
fn present<'de, D: Deserializer<'de>>(d: D) -> Result<bool, D::Error> {
    IgnoredAny::deserialize(d).map(|_| true)
}

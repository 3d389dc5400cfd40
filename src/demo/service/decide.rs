//! Tokens: what is in them, and the one decision that the service is there for.
//!
//! Order: key → signature → claims → token revoked → session revoked. The first thing that is
//! wrong decides, and whatever cannot be found out denies.

use jiff::Timestamp;

use super::App;
use crate::contract::Decision;
use crate::keys::{Claims, Rules, Token, TokenError};
use crate::runtime::resolver::KeyError;
use crate::runtime::revocation::Status;

/// Why a token is allowed or not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Reason {
    Ok,
    RevokedToken,
    RevokedSession,
    /// From before the moment up to which revocations are lost.
    IssuedTooEarly,
    Expired,
    BadSignature,
    Malformed,
    UnknownKey,
    KeyLookupFailed,
    RevocationUnavailable,
    /// Nothing is allowed without a record, and there is none.
    DecisionLogUnavailable,
}

impl Reason {
    pub const ALL: [Reason; 11] = [
        Reason::Ok,
        Reason::RevokedToken,
        Reason::RevokedSession,
        Reason::IssuedTooEarly,
        Reason::Expired,
        Reason::BadSignature,
        Reason::Malformed,
        Reason::UnknownKey,
        Reason::KeyLookupFailed,
        Reason::RevocationUnavailable,
        Reason::DecisionLogUnavailable,
    ];

    /// The `reason_code` of the contract.
    pub const fn as_str(self) -> &'static str {
        match self {
            Reason::Ok => "ok",
            Reason::RevokedToken => "revoked_token",
            Reason::RevokedSession => "revoked_session",
            Reason::IssuedTooEarly => "issued_too_early",
            Reason::Expired => "expired",
            Reason::BadSignature => "bad_signature",
            Reason::Malformed => "malformed",
            Reason::UnknownKey => "unknown_key",
            Reason::KeyLookupFailed => "key_lookup_failed",
            Reason::RevocationUnavailable => "revocation_unavailable",
            Reason::DecisionLogUnavailable => "decision_log_unavailable",
        }
    }

    /// Whether nothing could be said, as opposed to "no".
    pub const fn cannot_say(self) -> bool {
        match self {
            Reason::KeyLookupFailed
            | Reason::RevocationUnavailable
            | Reason::DecisionLogUnavailable => true,
            Reason::Ok
            | Reason::RevokedToken
            | Reason::RevokedSession
            | Reason::IssuedTooEarly
            | Reason::Expired
            | Reason::BadSignature
            | Reason::Malformed
            | Reason::UnknownKey => false,
        }
    }
}

/// What was found out about a token until the decision was clear.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// Known to us; never the mere word of the token.
    pub kid: Option<String>,
    /// Of a token whose signature is good.
    pub claims: Option<Claims>,
}

impl Found {
    pub fn decision(&self, reason: Reason) -> Decision {
        let claim = |of: fn(&Claims) -> &String| self.claims.as_ref().map(|c| of(c).clone());
        Decision {
            allow: reason == Reason::Ok,
            reason_code: reason.as_str().to_owned(),
            subject: claim(|c| &c.sub),
            token_id: claim(|c| &c.jti),
            session_id: claim(|c| &c.sid),
            kid: self.kid.clone(),
        }
    }
}

/// Decides about a token. Tells the metrics about key look-ups that fail.
pub(super) async fn decide(app: &App, token: &str, request_id: &str) -> (Reason, Found) {
    let mut found = Found::default();
    let claims = match authentic(app, token, request_id, &mut found).await {
        Ok(claims) => claims,
        Err(reason) => return (reason, found),
    };
    let status = app.revocations.check(&claims.jti, &claims.sid).await;
    let limit = app.revocations.issued_before();
    // `iat` is in whole seconds: one of the limit's own second may be from before it.
    let too_early = limit.is_some_and(|limit| claims.iat <= limit.as_second());
    found.claims = Some(claims);
    let reason = match status {
        Ok(Status::NotRevoked) if too_early => Reason::IssuedTooEarly,
        Ok(Status::NotRevoked) => Reason::Ok,
        Ok(Status::TokenRevoked) => Reason::RevokedToken,
        Ok(Status::SessionRevoked) => Reason::RevokedSession,
        Err(e) => {
            tracing::warn!(event = "revocation_unavailable", instance = app.name(), request_id, error = %e);
            Reason::RevocationUnavailable
        }
    };
    (reason, found)
}

/// The claims of a token that one of our keys signed and that has not expired.
pub(super) async fn authentic(
    app: &App,
    token: &str,
    request_id: &str,
    found: &mut Found,
) -> Result<Claims, Reason> {
    let token = Token::parse(token)?;
    let key = match app.keys.verifying(token.kid()).await {
        Ok(key) => key,
        Err(KeyError::Unknown) => return Err(Reason::UnknownKey),
        Err(KeyError::Unavailable(e)) => {
            app.metrics.key_lookup_failures.inc();
            tracing::warn!(event = "key_lookup_failed", instance = app.name(), request_id, error = %e);
            return Err(Reason::KeyLookupFailed);
        }
    };
    found.kid = Some(token.kid().to_owned());
    let rules = Rules {
        issuer: &app.config.issuer,
        audience: &app.config.audience,
        clock_skew: app.config.clock_skew,
    };
    Ok(token.verify(&key, &rules, Timestamp::now())?)
}

impl From<TokenError> for Reason {
    fn from(error: TokenError) -> Self {
        match error {
            TokenError::Malformed => Reason::Malformed,
            TokenError::BadSignature => Reason::BadSignature,
            TokenError::Expired => Reason::Expired,
        }
    }
}

//! Issuing, verifying and revoking tokens and sessions.

use axum::Extension;
use axum::Json;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use jiff::{SignedDuration, Timestamp};
use serde_json::json;

use super::answer::{Body, Refusal, RequestId};
use super::decide::{Found, Reason, authentic, decide};
use super::{App, Shared};
use crate::contract::{
    IssueRequest, IssuedToken, RevokeSessionRequest, RevokeTokenRequest, RevokedSession,
    RevokedToken, VerifyRequest,
};
use crate::keys::Claims;
use crate::runtime::CLOCK_SKEW;
use crate::runtime::decisions::{Decided, Happened};
use crate::runtime::revocation::{By, Status};

/// Longest name of a subject, a session or a token, in bytes.
const MAX_ID: usize = 256;

/// Longest reason for a revocation, in bytes.
const MAX_REASON: usize = 1_000;

pub(super) async fn issue(
    State(app): State<Shared>,
    Extension(RequestId(request_id)): Extension<RequestId>,
    Body(body): Body<IssueRequest>,
) -> Result<Response, Refusal> {
    named("subject", &body.subject)?;
    if let Some(session) = &body.session_id {
        named("session_id", session)?;
        let refused = match app.revocations.check("", session).await? {
            Status::NotRevoked if app.may_be_lost(session) => Some((
                Reason::IssuedTooEarly,
                "whether the session was revoked is not known any more; begin a new one",
            )),
            Status::NotRevoked => None,
            Status::TokenRevoked | Status::SessionRevoked => {
                Some((Reason::RevokedSession, "the session is revoked"))
            }
        };
        if let Some((reason, why)) = refused {
            let found = Found::default();
            app.record(&request_id, "token.issue", &body.subject, reason, &found)
                .await?;
            let code = reason.as_str();
            return Err(Refusal::new(StatusCode::FORBIDDEN, code, why));
        }
    }
    let key = app.keys.signing().await.map_err(|e| {
        app.metrics.key_lookup_failures.inc();
        tracing::warn!(event = "key_lookup_failed", instance = app.name(), request_id, error = %e);
        Refusal::unavailable(Reason::KeyLookupFailed.as_str(), e)
    })?;
    let now = Timestamp::now();
    let expires_at = Timestamp::from_second(now.as_second() + app.lifetime().as_secs())
        .map_err(|e| Refusal::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", e))?;
    let claims = Claims {
        iss: app.config.issuer.clone(),
        aud: app.config.audience.clone(),
        sub: body.subject,
        iat: now.as_second(),
        exp: expires_at.as_second(),
        jti: uuid::Uuid::now_v7().to_string(),
        sid: body
            .session_id
            .unwrap_or_else(|| uuid::Uuid::now_v7().to_string()),
        nbf: None,
    };
    let token = key
        .sign(&claims)
        .map_err(|p| Refusal::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", p.doing()))?;
    let kid = key.public().kid().to_owned();
    let issued = IssuedToken {
        token,
        token_id: claims.jti.clone(),
        session_id: claims.sid.clone(),
        expires_at,
        kid: kid.clone(),
    };
    let happened = Happened {
        at: now,
        request_id: request_id.clone(),
        kind: "token.issued",
        subject_id: Some(claims.jti.clone()),
        kid: Some(kid.clone()),
        detail: json!({"session_id": claims.sid, "expires_at": expires_at}),
    };
    let subject = claims.sub.clone();
    let found = Found {
        kid: Some(kid),
        claims: Some(claims),
    };
    app.record(&request_id, "token.issue", &subject, Reason::Ok, &found)
        .await?;
    app.decisions.happened(happened);
    Ok((StatusCode::CREATED, Json(issued)).into_response())
}

pub(super) async fn verify(
    State(app): State<Shared>,
    Extension(RequestId(request_id)): Extension<RequestId>,
    Body(body): Body<VerifyRequest>,
) -> Response {
    let (mut reason, found) = decide(&app, &body.token, &request_id).await;
    let subject = found.claims.as_ref().map_or("", |c| &c.sub);
    let recorded = app.record(&request_id, "token.verify", subject, reason, &found);
    if recorded.await.is_err() {
        reason = Reason::DecisionLogUnavailable;
    }
    if reason != Reason::Ok {
        app.metrics.verification_failed(reason);
    }
    let decision = found.decision(reason);
    if reason.cannot_say() {
        let soon = [(header::RETRY_AFTER, "1")];
        return (StatusCode::SERVICE_UNAVAILABLE, soon, Json(decision)).into_response();
    }
    let status = match decision.allow {
        true => StatusCode::OK,
        false => StatusCode::UNAUTHORIZED,
    };
    (status, Json(decision)).into_response()
}

pub(super) async fn revoke_token(
    State(app): State<Shared>,
    Extension(RequestId(request_id)): Extension<RequestId>,
    Body(body): Body<RevokeTokenRequest>,
) -> Result<Response, Refusal> {
    let reason = reason(body.reason)?;
    let token_id = match (body.token_id, body.token) {
        (Some(id), _) => id,
        (None, Some(token)) => {
            match authentic(&app, &token, &request_id, &mut Found::default()).await {
                Ok(claims) => claims.jti,
                Err(unsure) if unsure.cannot_say() => {
                    return Err(Refusal::unavailable(
                        unsure.as_str(),
                        "the token could not be read; it may still be valid",
                    ));
                }
                // Nobody accepts it anyway; there is nothing to revoke (RFC 7009, section 2.2).
                Err(_) => return Ok(Json(json!({"revoked": false})).into_response()),
            }
        }
        (None, None) => return Err(Refusal::bad_request("token or token_id is needed")),
    };
    named("token_id", &token_id)?;
    let now = Timestamp::now();
    let entry = RevokedToken {
        token_id: token_id.clone(),
        revoked_at: now,
        expires_at: app.not_before_expiry(now, body.expires_at),
        reason,
    };
    let answer = json!({"revoked": true, "token_id": token_id});
    app.finish(move |app| async move {
        let _in = app.gate.enter().await?;
        let by = By {
            who: app.name().to_owned(),
            request_id: request_id.clone(),
        };
        let new = app.revocations.revoke_token(&entry, &by).await?;
        app.revoked(request_id, "token.revoked", token_id, new);
        Ok(Json(answer).into_response())
    })
    .await
}

pub(super) async fn revoke_session(
    State(app): State<Shared>,
    Extension(RequestId(request_id)): Extension<RequestId>,
    Body(body): Body<RevokeSessionRequest>,
) -> Result<Response, Refusal> {
    named("session_id", &body.session_id)?;
    let now = Timestamp::now();
    let entry = RevokedSession {
        session_id: body.session_id.clone(),
        revoked_at: now,
        expires_at: app.not_before_expiry(now, None),
        reason: reason(body.reason)?,
    };
    app.finish(move |app| async move {
        let _in = app.gate.enter().await?;
        let by = By {
            who: app.name().to_owned(),
            request_id: request_id.clone(),
        };
        let new = app.revocations.revoke_session(&entry, &by).await?;
        let answer = json!({"revoked": true, "session_id": entry.session_id});
        app.revoked(request_id, "session.revoked", entry.session_id, new);
        Ok(Json(answer).into_response())
    })
    .await
}

impl App {
    fn lifetime(&self) -> SignedDuration {
        SignedDuration::try_from(self.config.token_lifetime).unwrap_or(SignedDuration::MAX)
    }

    /// Whether this session may have been revoked before the moment up to which revocations are
    /// lost. A session id that we made tells when its session began; of another nobody knows. Once
    /// every token from before has expired, a revocation would have been forgotten as well.
    fn may_be_lost(&self, session: &str) -> bool {
        let Some(limit) = self.revocations.issued_before() else {
            return false;
        };
        let forgotten = limit
            .checked_add(self.lifetime())
            .and_then(|t| t.checked_add(CLOCK_SKEW))
            .unwrap_or(Timestamp::MAX);
        let began = uuid::Uuid::parse_str(session)
            .ok()
            .filter(|id| id.get_version_num() == 7)
            .and_then(|id| id.get_timestamp())
            .and_then(|t| i64::try_from(t.to_unix().0).ok());
        Timestamp::now() <= forgotten && began.is_none_or(|began| began <= limit.as_second())
    }

    /// When a revocation may be forgotten: what the caller says, but never before every token
    /// that is valid now has expired. A caller that says too early would bring it back to life.
    fn not_before_expiry(&self, now: Timestamp, said: Option<Timestamp>) -> Timestamp {
        let own = now.checked_add(self.lifetime()).unwrap_or(Timestamp::MAX);
        said.map_or(own, |said| said.max(own))
    }

    /// Records a decision before it is told. Where nothing is allowed without a record and there
    /// is none, the refusal is what has to be told instead; it is recorded as well.
    async fn record(
        &self,
        request_id: &str,
        action: &'static str,
        subject: &str,
        reason: Reason,
        found: &Found,
    ) -> Result<(), Refusal> {
        let claims = found.claims.as_ref();
        let decided = |reason: Reason| Decided {
            at: Timestamp::now(),
            request_id: request_id.to_owned(),
            subject: subject.to_owned(),
            action,
            resource: Some(self.config.audience.clone()),
            allow: reason == Reason::Ok,
            reason_code: reason.as_str().to_owned(),
            kid: found.kid.clone(),
            token_id: claims.map(|c| c.jti.clone()),
            session_id: claims.map(|c| c.sid.clone()),
        };
        let Err(e) = self.decisions.decided(decided(reason)).await else {
            return Ok(());
        };
        let code = Reason::DecisionLogUnavailable;
        tracing::warn!(event = code.as_str(), instance = self.name(), request_id, error = %e);
        let _ = self.decisions.decided(decided(code)).await;
        Err(Refusal::unavailable(code.as_str(), e))
    }

    fn revoked(&self, request_id: String, kind: &'static str, id: String, new: bool) {
        tracing::info!(event = kind, instance = self.name(), request_id, id, new);
        self.decisions.happened(Happened {
            at: Timestamp::now(),
            request_id,
            kind,
            subject_id: Some(id),
            kid: None,
            detail: json!({"new": new}),
        });
    }
}

/// Names come from callers and end in logs and tables: no control characters, not too long.
pub(super) fn named(what: &str, name: &str) -> Result<(), Refusal> {
    if name.is_empty() || name.len() > MAX_ID || name.chars().any(char::is_control) {
        return Err(Refusal::bad_request(format!(
            "{what} must have 1 to {MAX_ID} bytes and no control characters"
        )));
    }
    Ok(())
}

fn reason(reason: Option<String>) -> Result<Option<String>, Refusal> {
    match reason {
        Some(r) if r.len() > MAX_REASON || r.contains('\0') => Err(Refusal::bad_request(format!(
            "reason must have at most {MAX_REASON} bytes"
        ))),
        other => Ok(other),
    }
}

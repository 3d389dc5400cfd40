//! Nonces, carry-over, and what an operator looks at.

use axum::Extension;
use axum::Json;
use axum::extract::{FromRequestParts, Path, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use jiff::Timestamp;
use secrecy::ExposeSecret;
use serde_json::{Value, json};

use super::answer::{Body, Refusal, RequestId};
use super::auth::named;
use super::faults::FaultSettings;
use super::metrics::Kept;
use super::{App, Shared};
use crate::contract::{Fence, Health, Imported, NonceRequest, Snapshot};
use crate::keys::{VerifyingKey, jwks};
use crate::runtime::bounded;
use crate::runtime::decisions::Happened;
use crate::runtime::nonce::NonceError;
use crate::runtime::revocation::By;
use crate::runtime::toggles::Modes;

pub(super) async fn reserve(
    State(app): State<Shared>,
    Extension(RequestId(request_id)): Extension<RequestId>,
    Body(body): Body<NonceRequest>,
) -> Result<Response, Refusal> {
    scope(&body.scope)?;
    app.finish(move |app| async move {
        let _in = app.gate.enter().await?;
        let range = match app.nonces.reserve(&body.scope, body.count).await {
            Ok(range) => range,
            Err(e @ (NonceError::BadCount | NonceError::TooManyScopes)) => return Err(e.into()),
            Err(e @ (NonceError::Exhausted | NonceError::Jump(_) | NonceError::Unavailable(_))) => {
                app.metrics.nonce_errors.inc();
                tracing::error!(event = "nonce_reservation_error", instance = app.name(), request_id, scope = body.scope, error = %e);
                return Err(e.into());
            }
        };
        app.decisions.happened(Happened {
            at: Timestamp::now(),
            request_id,
            kind: "nonce.reserved",
            subject_id: Some(range.node_name.clone()),
            kid: None,
            detail: json!({"nonce_scope": range.nonce_scope, "first": range.first, "last": range.last}),
        });
        Ok((StatusCode::CREATED, Json(range)).into_response())
    })
    .await
}

pub(super) async fn watermark(
    State(app): State<Shared>,
    Path(scope): Path<String>,
) -> Result<Response, Refusal> {
    match app.nonces.watermark(&scope).await {
        Some(watermark) => Ok(Json(watermark).into_response()),
        None => Err(Refusal::new(
            StatusCode::NOT_FOUND,
            "not_found",
            "nothing was reserved in this scope yet",
        )),
    }
}

fn scope(scope: &str) -> Result<(), Refusal> {
    named("scope", scope)?;
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-' | ':');
    match scope.len() <= 100 && scope.chars().all(plain) {
        true => Ok(()),
        false => Err(Refusal::bad_request(
            "scope must have at most 100 letters, digits, `.`, `_`, `-` and `:`",
        )),
    }
}

/// Whoever has the admin token. It comes first among a handler's arguments, so that nothing is
/// read from anybody else.
pub(super) struct Admitted;

impl FromRequestParts<Shared> for Admitted {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, app: &Shared) -> Result<Self, Refusal> {
        app.admit(&parts.headers).map(|()| Admitted)
    }
}

pub(super) async fn export(
    _: Admitted,
    State(app): State<Shared>,
) -> Result<Json<Snapshot>, Refusal> {
    let (revoked_tokens, revoked_sessions) = app.revocations.export().await?;
    Ok(Json(Snapshot {
        schema: Snapshot::SCHEMA.to_owned(),
        taken_at: Timestamp::now(),
        source: match app.config.modes {
            Modes::POSTGRES => "postgres".to_owned(),
            _ => app.name().to_owned(),
        },
        revoked_tokens,
        revoked_sessions,
        watermarks: app.nonces.export().await?,
        keys: app.keys.export().await?,
        deny_issued_before: app.revocations.issued_before(),
    }))
}

pub(super) async fn import(
    _: Admitted,
    State(app): State<Shared>,
    Extension(RequestId(request_id)): Extension<RequestId>,
    Body(snapshot): Body<Snapshot>,
) -> Result<Response, Refusal> {
    check(&snapshot)?;
    app.finish(move |app| async move {
        let imported = app.merge(&snapshot, &request_id).await?;
        tracing::info!(
            event = "carry.imported",
            instance = app.name(),
            request_id,
            source = snapshot.source
        );
        app.decisions.happened(Happened {
            at: Timestamp::now(),
            request_id,
            kind: "carry.imported",
            subject_id: Some(snapshot.source),
            kid: None,
            detail: json!(imported),
        });
        Ok(Json(imported).into_response())
    })
    .await
}

/// Refuses a snapshot that cannot be taken over whole.
pub(super) fn check(snapshot: &Snapshot) -> Result<(), Refusal> {
    if snapshot.schema != Snapshot::SCHEMA {
        return Err(Refusal::bad_request(format!(
            "schema must be {}",
            Snapshot::SCHEMA
        )));
    }
    for key in &snapshot.keys {
        VerifyingKey::from_contract(key)
            .map_err(|p| Refusal::bad_request(format!("a key cannot be used: {}", p.cause())))?;
    }
    for token in &snapshot.revoked_tokens {
        named("token_id", &token.token_id)?;
    }
    for session in &snapshot.revoked_sessions {
        named("session_id", &session.session_id)?;
    }
    for watermark in &snapshot.watermarks {
        named("node_name", &watermark.node_name)?;
        scope(&watermark.nonce_scope)?;
    }
    Ok(())
}

impl App {
    /// Merges a snapshot that was checked: revocations first, since they protect.
    pub(super) async fn merge(
        &self,
        snapshot: &Snapshot,
        request_id: &str,
    ) -> Result<Imported, Refusal> {
        let by = By {
            who: format!("carry from {}", snapshot.source),
            request_id: request_id.to_owned(),
        };
        let (tokens_added, sessions_added) = self
            .revocations
            .add(&snapshot.revoked_tokens, &snapshot.revoked_sessions, &by)
            .await?;
        if let Some(limit) = snapshot.deny_issued_before {
            self.revocations.deny_issued_before(limit).await?;
        }
        Ok(Imported {
            tokens_added,
            sessions_added,
            keys_added: self.keys.import(&snapshot.keys).await?,
            watermarks_raised: self.nonces.import(&snapshot.watermarks).await?,
            deny_issued_before: self.revocations.issued_before(),
        })
    }

    /// Lets nobody to the carry-over but who has the token.
    fn admit(&self, headers: &HeaderMap) -> Result<(), Refusal> {
        let Some(wanted) = &self.admin_token else {
            return Err(Refusal::new(
                StatusCode::FORBIDDEN,
                "carry_disabled",
                "this instance has no SERVICE_ADMIN_TOKEN_FILE",
            ));
        };
        let given = headers
            .get(header::AUTHORIZATION)
            .and_then(|v| v.to_str().ok())
            .and_then(|v| v.split_once(' '))
            .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))
            .map(|(_, token)| token.trim());
        let same = given.is_some_and(|given| {
            let (a, b) = (given.as_bytes(), wanted.expose_secret().as_bytes());
            aws_lc_rs::constant_time::verify_slices_are_equal(a, b).is_ok()
        });
        match same {
            true => Ok(()),
            false => Err(Refusal::new(
                StatusCode::UNAUTHORIZED,
                "unauthorized",
                "the bearer token is missing or wrong",
            )),
        }
    }

    async fn set_fence(&self, request_id: String, fenced: bool) -> Json<Fence> {
        self.gate.set(fenced).await;
        let kind = if fenced {
            "carry.fenced"
        } else {
            "carry.unfenced"
        };
        tracing::info!(event = kind, instance = self.name(), request_id);
        self.decisions.happened(Happened {
            at: Timestamp::now(),
            request_id,
            kind,
            subject_id: Some(self.name().to_owned()),
            kid: None,
            detail: json!({}),
        });
        Json(Fence { fenced })
    }
}

pub(super) async fn fence(
    _: Admitted,
    State(app): State<Shared>,
    Extension(RequestId(request_id)): Extension<RequestId>,
) -> Json<Fence> {
    app.set_fence(request_id, true).await
}

pub(super) async fn unfence(
    _: Admitted,
    State(app): State<Shared>,
    Extension(RequestId(request_id)): Extension<RequestId>,
) -> Json<Fence> {
    app.set_fence(request_id, false).await
}

pub(super) async fn health(State(app): State<Shared>) -> Json<Health> {
    let answers = match &app.db {
        Some(db) => bounded("Postgres", sqlx::raw_sql("SELECT 1").execute(db.pool()))
            .await
            .is_ok(),
        None => true,
    };
    Json(Health {
        status: if answers { "ok" } else { "degraded" }.to_owned(),
        instance: app.name().to_owned(),
        boot_id: app.boot_id.clone(),
        started_at: app.started_at,
        fenced: app.gate.is_closed().await,
        modes: app.config.modes,
        policies: app.config.policies(),
    })
}

pub(super) async fn metrics(State(app): State<Shared>) -> Response {
    let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    let kept = Kept {
        records_lost: app.decisions.lost(),
        records_waiting: app.decisions.waiting(),
        cache: app.revocations.cache_state(),
        uptime: app.began.elapsed(),
    };
    let text = app.metrics.render(&kept);
    ([(header::CONTENT_TYPE, kind)], text).into_response()
}

pub(super) async fn key_set(State(app): State<Shared>) -> Result<Json<Value>, Refusal> {
    let fail = |e: &dyn std::fmt::Display| Refusal::unavailable("key_lookup_failed", e.to_string());
    let trusted = app.keys.export().await.map_err(|e| fail(&e))?;
    let keys = trusted
        .iter()
        .filter(|k| !k.revoked)
        .map(VerifyingKey::from_contract)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|p| fail(&p))?;
    Ok(Json(jwks(&keys)))
}

pub(super) async fn set_faults(
    State(app): State<Shared>,
    Body(settings): Body<FaultSettings>,
) -> Result<Json<FaultSettings>, Refusal> {
    let ratio = 0.0..=1.0;
    if !ratio.contains(&settings.key_lookup_failure_ratio) || !ratio.contains(&settings.error_ratio)
    {
        return Err(Refusal::bad_request("a ratio is between 0 and 1"));
    }
    app.faults.set(settings);
    tracing::warn!(event = "faults_set", instance = app.name(), faults = ?settings);
    Ok(Json(settings))
}

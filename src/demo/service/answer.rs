//! What handlers share: request ids, error answers, measuring.

use std::time::Instant;

use axum::Json;
use axum::extract::rejection::JsonRejection;
use axum::extract::{FromRequest, Request, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::Shared;
use super::faults::happens;
use super::metrics::{Op, Outcome};
use crate::runtime::Unavailable;
use crate::runtime::nonce::NonceError;
use crate::runtime::toggles::Mode;

const REQUEST_ID: &str = "x-request-id";

/// The id of a request: the caller's if it sent a usable one, else a new one.
#[derive(Debug, Clone)]
pub(super) struct RequestId(pub String);

/// Gives every request its id and every answer the same one.
pub(super) async fn with_request_id(mut request: Request, next: Next) -> Response {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-' | ':');
    let sent = request
        .headers()
        .get(REQUEST_ID)
        .and_then(|v| v.to_str().ok())
        .filter(|id| (1..=128).contains(&id.len()) && id.chars().all(plain));
    let id = sent.map_or_else(|| uuid::Uuid::now_v7().to_string(), str::to_owned);
    request.extensions_mut().insert(RequestId(id.clone()));
    let mut response = next.run(request).await;
    let value = HeaderValue::from_str(&id).expect("it has only plain characters");
    response.headers_mut().insert(REQUEST_ID, value);
    response
}

/// An error answer: a status and `{"error": code, "message": text}`.
#[derive(Debug)]
pub(super) struct Refusal {
    status: StatusCode,
    code: &'static str,
    message: String,
}

#[derive(Serialize)]
struct ErrorBody<'a> {
    error: &'a str,
    message: &'a str,
}

impl Refusal {
    pub fn new(status: StatusCode, code: &'static str, message: impl ToString) -> Self {
        Self {
            status,
            code,
            message: message.to_string(),
        }
    }

    pub fn bad_request(message: impl ToString) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "bad_request", message)
    }

    pub fn unavailable(code: &'static str, message: impl ToString) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, code, message)
    }

    pub fn message(&self) -> &str {
        &self.message
    }
}

impl From<Unavailable> for Refusal {
    fn from(e: Unavailable) -> Self {
        Self::unavailable("store_unavailable", e)
    }
}

impl From<NonceError> for Refusal {
    fn from(e: NonceError) -> Self {
        match e {
            NonceError::BadCount | NonceError::TooManyScopes => Self::bad_request(e),
            NonceError::Jump(e) => Self::unavailable("nonce_jump", e),
            NonceError::Exhausted => Self::unavailable("nonces_exhausted", e),
            NonceError::Unavailable(e) => e.into(),
        }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let body = Json(ErrorBody {
            error: self.code,
            message: &self.message,
        });
        let mut response = (self.status, body).into_response();
        if self.status == StatusCode::SERVICE_UNAVAILABLE {
            let soon = HeaderValue::from_static("1");
            response.headers_mut().insert(header::RETRY_AFTER, soon);
        }
        if self.code == FENCED {
            response.extensions_mut().insert(ByFence);
        }
        response
    }
}

/// The code of a refusal by the fence.
pub(super) const FENCED: &str = "fenced";

/// Marks a response as such a refusal, for whoever counts it.
#[derive(Debug, Clone, Copy)]
struct ByFence;

/// What answers where there is no endpoint.
pub(super) async fn nothing_here() -> Refusal {
    Refusal::new(StatusCode::NOT_FOUND, "not_found", "no such endpoint")
}

/// What answers a method that an endpoint does not know.
pub(super) async fn not_so() -> Refusal {
    Refusal::new(
        StatusCode::METHOD_NOT_ALLOWED,
        "method_not_allowed",
        "not with this method",
    )
}

/// A JSON body whose mistakes are answered in our own form.
pub(super) struct Body<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Body<T> {
    type Rejection = Refusal;

    async fn from_request(request: Request, state: &S) -> Result<Self, Refusal> {
        match Json::from_request(request, state).await {
            Ok(Json(body)) => Ok(Body(body)),
            Err(e @ JsonRejection::BytesRejection(_)) => {
                Err(Refusal::new(e.status(), "bad_request", e.body_text()))
            }
            Err(e) => Err(Refusal::bad_request(e.body_text())),
        }
    }
}

/// Counts and times the requests of an operation, whatever becomes of them, and logs failures.
pub(super) async fn measured(
    op: Op,
    State(app): State<Shared>,
    request: Request,
    next: Next,
) -> Response {
    let begun = Instant::now();
    let RequestId(request_id) = request
        .extensions()
        .get::<RequestId>()
        .cloned()
        .expect("with_request_id runs before");
    let broken =
        app.config.modes.runtime == Mode::Postgres && happens(app.faults.get().error_ratio);
    let response = if broken {
        Refusal::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "injected_fault",
            "a fault was asked for",
        )
        .into_response()
    } else {
        next.run(request).await
    };
    let outcome = match response.extensions().get::<ByFence>() {
        Some(ByFence) => Outcome::Fenced,
        None => Outcome::of(response.status()),
    };
    app.metrics.request(op, outcome, begun.elapsed());
    let (instance, op, status) = (app.name(), op.as_str(), response.status().as_u16());
    match outcome {
        Outcome::Error => {
            tracing::error!(event = "request_failed", instance, request_id, op, status)
        }
        Outcome::Allow | Outcome::Deny | Outcome::Fenced => {
            tracing::debug!(event = "request", instance, request_id, op, status)
        }
    }
    response
}

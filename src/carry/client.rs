//! Talking to one instance of a service over the contract in [`super::contract`].
//!
//! Every call is bounded in time and in size, takes no proxy from the environment, follows no
//! redirect (an administrator's token must not travel to another host), and carries an
//! `x-request-id`.

use std::fmt;
use std::time::Duration;

use jiff::Timestamp;
use reqwest::{Method, StatusCode, Url};
use secrecy::{ExposeSecret, SecretString};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::contract::{
    Decision, Fence, Health, Imported, IssueRequest, IssuedToken, NonceRange, NonceRequest,
    RevokeSessionRequest, RevokeTokenRequest, Snapshot, VerifyRequest, Watermark,
};
use crate::error::{Chain, Exit, Problem, Result};
use crate::settings::{Environment, Target};

/// How long a call may take unless [`ServiceClient::within`] says otherwise.
pub const TIMEOUT: Duration = Duration::from_secs(3);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);
/// Exports grow with the number of revocations: a million of them are about 150 MB.
const SNAPSHOT_TIMEOUT: Duration = Duration::from_secs(20);
const SMALL_BODY_BYTES: usize = 1 << 20;
const METRICS_BODY_BYTES: usize = 16 << 20;
const SNAPSHOT_BODY_BYTES: usize = 512 << 20;
/// How much of an answer that could not be read is shown.
const SHOWN_CHARS: usize = 160;

/// An answer with the request id that the service's own records will have.
#[derive(Debug, Clone)]
pub struct Answer<T> {
    pub request_id: String,
    pub status: u16,
    pub body: T,
}

/// Why a call gave no usable answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Failure {
    /// Nobody answered: refused, reset, name not found, TLS.
    Unreachable(String),
    /// No answer in time. What was asked for may have happened all the same.
    TimedOut(Duration),
    /// It answered with another status than the contract wants here.
    Refused { status: u16, message: String },
    /// The status was fine, the body was not: too long, or not what the contract says.
    Unreadable(String),
}

impl Failure {
    /// The status, where there was an answer that said no.
    pub fn status(&self) -> Option<u16> {
        match self {
            Failure::Refused { status, .. } => Some(*status),
            Failure::Unreachable(_) | Failure::TimedOut(_) | Failure::Unreadable(_) => None,
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Failure::Unreachable(why) => write!(f, "no connection: {why}"),
            Failure::TimedOut(after) => write!(f, "no answer within {} ms", after.as_millis()),
            Failure::Refused { status, message } if message.is_empty() => {
                write!(f, "it answered {status}")
            }
            Failure::Refused { status, message } => write!(f, "it answered {status}: {message}"),
            Failure::Unreadable(why) => write!(f, "its answer cannot be read: {why}"),
        }
    }
}

/// A [`Failure`] with whom and what was asked.
#[derive(Debug, Clone)]
pub struct CallFailed {
    pub target: String,
    /// `GET /healthz`.
    pub call: String,
    pub failure: Failure,
    /// The id under which the service's own records have it, if it came that far.
    pub request_id: String,
}

impl fmt::Display for CallFailed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}: {}", self.target, self.call, self.failure)
    }
}

impl std::error::Error for CallFailed {}

impl From<CallFailed> for Problem {
    fn from(failed: CallFailed) -> Self {
        let next = match &failed.failure {
            Failure::Unreachable(_) | Failure::TimedOut(_) => {
                format!("is {} running, and is its url right?", failed.target)
            }
            Failure::Refused {
                status: 401 | 403, ..
            } => "check admin_token_file of this environment against the service's".to_owned(),
            Failure::Refused { .. } | Failure::Unreadable(_) => {
                "what a service must answer is in docs/service-contract.md".to_owned()
            }
        };
        Problem::new(
            Exit::Unavailable,
            format!("asking {} ({})", failed.target, failed.call),
            failed.failure,
        )
        .next(next)
    }
}

pub type Called<T> = std::result::Result<T, CallFailed>;

/// One instance of a service. Cloning shares its connections.
#[derive(Debug, Clone)]
pub struct ServiceClient {
    name: String,
    base: Url,
    http: reqwest::Client,
    admin: Option<SecretString>,
    timeout: Option<Duration>,
}

impl ServiceClient {
    /// Nothing is sent yet. `admin_token` is for the carry-over endpoints only.
    pub fn new(target: &Target, admin_token: Option<SecretString>) -> Result<Self> {
        Self::with_http(target, admin_token, http()?)
    }

    /// As [`ServiceClient::new`], with connections that several clients share.
    fn with_http(
        target: &Target,
        admin: Option<SecretString>,
        http: reqwest::Client,
    ) -> Result<Self> {
        let doing = || format!("reading the url of {}", target.name);
        let base = Url::parse(&target.url).map_err(|e| Problem::new(Exit::Config, doing(), e))?;
        if !matches!(base.scheme(), "http" | "https") || base.host().is_none() {
            return Err(
                Problem::new(Exit::Config, doing(), "it is not an http(s) URL")
                    .next("such as http://127.0.0.1:8080"),
            );
        }
        Ok(Self {
            name: target.name.clone(),
            base,
            http,
            admin,
            timeout: None,
        })
    }

    /// One client for each target, sharing connections; the token is read from
    /// `admin_token_file` of `env`.
    pub fn each(env: &Environment, targets: &[&Target]) -> Result<Vec<Self>> {
        let admin = admin_token(env)?;
        let http = http()?;
        targets
            .iter()
            .map(|t| Self::with_http(t, admin.clone(), http.clone()))
            .collect()
    }

    /// The same instance, asked with another time-out for every call.
    pub fn within(&self, timeout: Duration) -> Self {
        Self {
            timeout: Some(timeout),
            ..self.clone()
        }
    }

    /// The target's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// `GET /healthz`: what the process says that it runs in.
    pub async fn health(&self) -> Called<Health> {
        self.get("/healthz").await
    }

    pub async fn issue(&self, request: &IssueRequest) -> Called<Answer<IssuedToken>> {
        let call = self.call(Method::POST, "/v1/tokens").json(request);
        call.send(&[201]).await?.read(&self.name)
    }

    /// Allowed, denied and "cannot say" (503) are all answers; see [`Answer::status`].
    pub async fn verify(&self, token: &str) -> Called<Answer<Decision>> {
        let body = VerifyRequest {
            token: token.to_owned(),
        };
        let call = self.call(Method::POST, "/v1/tokens/verify").json(&body);
        call.send(&[200, 401, 503]).await?.read(&self.name)
    }

    pub async fn revoke_token(&self, request: &RevokeTokenRequest) -> Called<Answer<()>> {
        let call = self.call(Method::POST, "/v1/tokens/revoke").json(request);
        Ok(call.send(&[200, 204]).await?.bare())
    }

    pub async fn revoke_session(&self, request: &RevokeSessionRequest) -> Called<Answer<()>> {
        let call = self.call(Method::POST, "/v1/sessions/revoke").json(request);
        Ok(call.send(&[200, 204]).await?.bare())
    }

    /// Reserves `count` nonces of `scope` for the node of this instance.
    pub async fn nonces(&self, scope: &str, count: u32) -> Called<Answer<NonceRange>> {
        let body = NonceRequest {
            scope: scope.to_owned(),
            count,
        };
        let call = self.call(Method::POST, "/v1/nonces").json(&body);
        call.send(&[200, 201]).await?.read(&self.name)
    }

    /// `None` before the first reservation of `scope`.
    pub async fn watermark(&self, scope: &str) -> Called<Option<Watermark>> {
        let mut url = self.url("/v1/nonces");
        if let Ok(mut path) = url.path_segments_mut() {
            path.push(scope);
        }
        let mut call = self.call(Method::GET, "/v1/nonces/{scope}");
        call.url = url;
        let raw = call.send(&[200, 404]).await?;
        if raw.status == StatusCode::NOT_FOUND {
            return Ok(None);
        }
        Ok(Some(raw.read::<Watermark>(&self.name)?.body))
    }

    /// `GET /metrics`, in Prometheus's text format.
    pub async fn metrics(&self) -> Called<String> {
        let mut call = self.call(Method::GET, "/metrics");
        call.limit = METRICS_BODY_BYTES;
        let raw = call.send(&[200]).await?;
        let request_id = raw.request_id;
        String::from_utf8(raw.body).map_err(|_| CallFailed {
            target: self.name.clone(),
            call: raw.call,
            failure: Failure::Unreadable("it is not UTF-8".into()),
            request_id,
        })
    }

    /// The public keys that this instance verifies with, as a JWK set (RFC 7517, section 5).
    pub async fn jwks(&self) -> Called<serde_json::Value> {
        self.get("/.well-known/jwks.json").await
    }

    /// Everything that this instance would lose when it is switched.
    pub async fn export(&self) -> Called<Snapshot> {
        let call = self.big(Method::GET, "/v1/carry/export");
        let raw = call.send(&[200]).await?;
        let call = raw.call.clone();
        let Answer {
            request_id,
            body: snapshot,
            ..
        } = raw.read::<Snapshot>(&self.name)?;
        if snapshot.schema == Snapshot::SCHEMA {
            return Ok(snapshot);
        }
        Err(CallFailed {
            target: self.name.clone(),
            call,
            failure: Failure::Unreadable(format!(
                "its schema is `{}`, not `{}`",
                snapshot.schema.escape_debug(),
                Snapshot::SCHEMA
            )),
            request_id,
        })
    }

    /// Merges `snapshot` into what this instance has.
    pub async fn import(&self, snapshot: &Snapshot) -> Called<Imported> {
        let call = self.big(Method::POST, "/v1/carry/import").json(snapshot);
        Ok(call.send(&[200]).await?.read(&self.name)?.body)
    }

    /// Stops (POST) or lets go on (DELETE) revocations and nonces on this instance.
    pub async fn fence(&self, fenced: bool) -> Called<Fence> {
        let method = if fenced { Method::POST } else { Method::DELETE };
        let call = self.call(method, "/v1/carry/fence").by_admin();
        let raw = call.send(&[200]).await?;
        let asked = raw.call.clone();
        let Answer {
            request_id,
            body: answer,
            ..
        } = raw.read::<Fence>(&self.name)?;
        if answer.fenced == fenced {
            return Ok(answer);
        }
        Err(CallFailed {
            target: self.name.clone(),
            call: asked,
            failure: Failure::Unreadable(format!("it says fenced = {}", answer.fenced)),
            request_id,
        })
    }

    async fn get<T: DeserializeOwned>(&self, path: &'static str) -> Called<T> {
        let raw = self.call(Method::GET, path).send(&[200]).await?;
        Ok(raw.read(&self.name)?.body)
    }

    fn url(&self, path: &str) -> Url {
        let mut url = self.base.clone();
        let prefix = self.base.path().trim_end_matches('/');
        url.set_path(&format!("{prefix}{path}"));
        url
    }

    fn call(&self, method: Method, path: &str) -> Call<'_> {
        Call {
            client: self,
            name: format!("{method} {path}"),
            url: self.url(path),
            method,
            body: None,
            admin: false,
            timeout: TIMEOUT,
            limit: SMALL_BODY_BYTES,
        }
    }

    fn big(&self, method: Method, path: &str) -> Call<'_> {
        Call {
            timeout: SNAPSHOT_TIMEOUT,
            limit: SNAPSHOT_BODY_BYTES,
            ..self.call(method, path).by_admin()
        }
    }
}

/// The bearer token of the carry-over endpoints, where the environment names a file for it.
pub fn admin_token(env: &Environment) -> Result<Option<SecretString>> {
    env.admin_token_file
        .as_deref()
        .map(|file| crate::pg::read_secret_line(file, "the administrator's token"))
        .transpose()
}

/// An HTTP client with dbctl's rules: bounded, no proxy, no redirect.
pub(crate) fn http() -> Result<reqwest::Client> {
    http_with(Vec::new())
}

/// As [`http`], with certificates to trust beside those of the system.
pub(crate) fn http_with(roots: Vec<reqwest::Certificate>) -> Result<reqwest::Client> {
    reqwest::Client::builder()
        .tls_certs_merge(roots)
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .connect_timeout(CONNECT_TIMEOUT)
        .timeout(SNAPSHOT_TIMEOUT)
        .user_agent(concat!("dbctl/", env!("CARGO_PKG_VERSION")))
        .build()
        .map_err(|e| Problem::new(Exit::Failed, "starting the HTTP client", Chain(&e)))
}

/// A request under construction.
struct Call<'a> {
    client: &'a ServiceClient,
    name: String,
    url: Url,
    method: Method,
    body: Option<Vec<u8>>,
    admin: bool,
    timeout: Duration,
    limit: usize,
}

impl Call<'_> {
    fn json(mut self, body: &impl Serialize) -> Self {
        self.body = Some(serde_json::to_vec(body).expect("contract types are plain data"));
        self
    }

    fn by_admin(mut self) -> Self {
        self.admin = true;
        self
    }

    /// Sends it; an answer with a status that is not in `wanted` is a failure.
    async fn send(self, wanted: &[u16]) -> Called<Raw> {
        let timeout = self.client.timeout.unwrap_or(self.timeout);
        let request_id = uuid::Uuid::now_v7().to_string();
        let mut request = self
            .client
            .http
            .request(self.method, self.url)
            .timeout(timeout)
            .header("x-request-id", &request_id);
        if let Some(body) = self.body {
            request = request
                .header("content-type", "application/json")
                .body(body);
        }
        if let (true, Some(token)) = (self.admin, &self.client.admin) {
            request = request.bearer_auth(token.expose_secret());
        }
        let failed = |failure| CallFailed {
            target: self.client.name.clone(),
            call: self.name.clone(),
            failure,
            request_id: request_id.clone(),
        };
        let answer = exchange(request, timeout, self.limit)
            .await
            .map_err(failed)?;
        if !wanted.contains(&answer.status.as_u16()) {
            return Err(CallFailed {
                target: self.client.name.clone(),
                call: self.name.clone(),
                failure: Failure::Refused {
                    status: answer.status.as_u16(),
                    message: message(&answer.body),
                },
                request_id: answer.request_id.unwrap_or(request_id),
            });
        }
        Ok(Raw {
            call: self.name,
            request_id: answer.request_id.unwrap_or(request_id),
            status: answer.status,
            body: answer.body,
        })
    }
}

/// What came back over the wire.
pub(crate) struct Exchanged {
    pub status: StatusCode,
    pub request_id: Option<String>,
    pub body: Vec<u8>,
}

/// Sends a request and reads at most `limit` bytes of its answer, all within `timeout`.
pub(crate) async fn exchange(
    request: reqwest::RequestBuilder,
    timeout: Duration,
    limit: usize,
) -> std::result::Result<Exchanged, Failure> {
    let whole = async {
        let mut answer = request.send().await.map_err(|e| wire(&e, timeout))?;
        let request_id = answer
            .headers()
            .get("x-request-id")
            .and_then(|v| v.to_str().ok())
            .map(str::to_owned);
        let mut body = Vec::new();
        while let Some(chunk) = answer.chunk().await.map_err(|e| wire(&e, timeout))? {
            if body.len() + chunk.len() > limit {
                return Err(Failure::Unreadable(format!("longer than {limit} bytes")));
            }
            body.extend_from_slice(&chunk);
        }
        Ok(Exchanged {
            status: answer.status(),
            request_id,
            body,
        })
    };
    match tokio::time::timeout(timeout, whole).await {
        Ok(done) => done,
        Err(_) => Err(Failure::TimedOut(timeout)),
    }
}

fn wire(error: &reqwest::Error, timeout: Duration) -> Failure {
    if error.is_timeout() && !error.is_connect() {
        return Failure::TimedOut(timeout);
    }
    // Only the innermost cause says something; the URL stands in the settings.
    let mut innermost: &dyn std::error::Error = error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    Failure::Unreachable(innermost.to_string())
}

struct Raw {
    call: String,
    request_id: String,
    status: StatusCode,
    body: Vec<u8>,
}

impl Raw {
    fn read<T: DeserializeOwned>(self, target: &str) -> Called<Answer<T>> {
        match serde_json::from_slice(&self.body) {
            Ok(body) => Ok(Answer {
                request_id: self.request_id,
                status: self.status.as_u16(),
                body,
            }),
            // The error names a field and a position; the body may hold a token.
            Err(e) => Err(CallFailed {
                target: target.to_owned(),
                call: self.call,
                failure: Failure::Unreadable(e.to_string()),
                request_id: self.request_id,
            }),
        }
    }

    fn bare(self) -> Answer<()> {
        Answer {
            request_id: self.request_id,
            status: self.status.as_u16(),
            body: (),
        }
    }
}

/// What an error answer says: a message out of its JSON, else its first line.
pub(crate) fn message(body: &[u8]) -> String {
    let text = String::from_utf8_lossy(body);
    let json: Option<serde_json::Value> = serde_json::from_str(&text).ok();
    let said = match &json {
        Some(json) => ["message", "error", "detail", "reason_code"]
            .iter()
            .find_map(|key| {
                let value = json.get(key)?;
                value.as_str().or_else(|| value.get("message")?.as_str())
            })
            .unwrap_or_default(),
        None => text
            .lines()
            .map(str::trim)
            .find(|l| !l.is_empty())
            .unwrap_or_default(),
    };
    shortened(said)
}

/// One short printable line.
fn shortened(text: &str) -> String {
    let clean: String = text
        .chars()
        .take(SHOWN_CHARS)
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect();
    if text.chars().count() > SHOWN_CHARS {
        clean + "…"
    } else {
        clean
    }
}

/// The age of a time stamp; a time in the future has the age zero.
pub(crate) fn age(of: Timestamp, now: Timestamp) -> Duration {
    Duration::try_from(now.duration_since(of)).unwrap_or_default()
}

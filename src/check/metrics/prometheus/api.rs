//! The query API (`/api/v1`): what is asked, and what an answer can be.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use reqwest::{Method, Url};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::super::text::Labels;
use super::MetricsConfig;
use crate::carry::client::{Exchanged, exchange, http_with, message};
use crate::error::{Doing as _, Exit, Problem, Result};

const BODY_BYTES: usize = 32 << 20;

/// A server that can be asked. Cloning shares its connections.
#[derive(Debug, Clone)]
pub struct Server {
    base: Url,
    http: reqwest::Client,
    token: Option<SecretString>,
    timeout: Duration,
}

/// What an expression came to.
#[derive(Debug, Clone, PartialEq)]
pub enum Data {
    /// One value for each series.
    Vector(Vec<(Labels, f64)>),
    /// The samples of each series, oldest first.
    Matrix(Vec<(Labels, Vec<(Timestamp, f64)>)>),
    Scalar(f64),
    String,
}

/// An answer with what the server warns of.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer<T> {
    pub data: T,
    pub warnings: Vec<String>,
}

impl Server {
    /// Nothing is sent yet.
    ///
    /// # Errors
    /// [`Exit::Config`]: the address, the token's file or the certificates cannot be used.
    pub fn new(config: &MetricsConfig) -> Result<Self> {
        let doing = "reading the settings of the metrics";
        let base = config
            .url()
            .map_err(|why| Problem::new(Exit::Config, doing, why))?;
        let token = config
            .token_file
            .as_deref()
            .map(|file| crate::pg::read_secret_line(file, "the token for Prometheus"))
            .transpose()?;
        let mut roots = Vec::new();
        if let Some(file) = &config.ca_file {
            let doing = || format!("reading {}", file.display());
            let pem = std::fs::read(file).doing(Exit::Config, doing())?;
            roots = reqwest::Certificate::from_pem_bundle(&pem).doing(Exit::Config, doing())?;
        }
        Ok(Self {
            base,
            http: http_with(roots)?,
            token,
            timeout: config.timeout,
        })
    }

    /// The value of an expression at a time; at the server's own present without one.
    pub async fn query(&self, query: &str, at: Option<Timestamp>) -> Result<Answer<Data>, String> {
        let mut form = vec![("query", query.to_owned())];
        form.extend(at.map(|at| ("time", at.to_string())));
        // Less than our own patience: the server then says itself that it took too long.
        form.push(("timeout", format!("{}ms", self.timeout.as_millis())));
        let answer: Answer<Written> = self.ask(Method::POST, "query", &form).await?;
        Ok(Answer {
            data: answer.data.read()?,
            warnings: answer.warnings,
        })
    }

    /// The label sets of the series that a selector chose between two times.
    pub async fn series(
        &self,
        selector: &str,
        (from, to): (Timestamp, Timestamp),
    ) -> Result<Vec<Labels>, String> {
        let form = [
            ("match[]", selector.to_owned()),
            ("start", from.to_string()),
            ("end", to.to_string()),
        ];
        Ok(self.ask(Method::POST, "series", &form).await?.data)
    }

    /// The names of metrics that the scrape targets with these labels announce.
    pub async fn announced(&self, matchers: &str) -> Result<Vec<String>, String> {
        #[derive(Deserialize)]
        struct Family {
            metric: String,
        }
        let form = [("match_target", format!("{{{matchers}}}"))];
        let families: Answer<Vec<Family>> =
            self.ask(Method::GET, "targets/metadata", &form).await?;
        Ok(families.data.into_iter().map(|f| f.metric).collect())
    }

    async fn ask<T: DeserializeOwned>(
        &self,
        method: Method,
        what: &str,
        form: &[(&str, String)],
    ) -> Result<Answer<T>, String> {
        let mut url = self.base.clone();
        let prefix = self.base.path().trim_end_matches('/');
        url.set_path(&format!("{prefix}/api/v1/{what}"));
        let mut request = if method == Method::POST {
            self.http.post(url).form(form)
        } else {
            self.http.get(url).query(form)
        };
        if let Some(token) = &self.token {
            request = request.bearer_auth(token.expose_secret());
        }
        let answer = exchange(request.timeout(self.timeout), self.timeout, BODY_BYTES)
            .await
            .map_err(|failure| format!("Prometheus: {failure}"))?;
        read(&answer)
    }
}

/// Every answer of the API.
#[derive(Deserialize)]
#[serde(tag = "status", rename_all = "lowercase")]
enum Envelope<T> {
    Success {
        data: T,
        #[serde(default = "Vec::new")]
        warnings: Vec<String>,
    },
    Error {
        #[serde(rename = "errorType", default)]
        kind: String,
        #[serde(default)]
        error: String,
    },
}

fn read<T: DeserializeOwned>(answer: &Exchanged) -> Result<Answer<T>, String> {
    let status = answer.status.as_u16();
    match serde_json::from_slice::<Envelope<T>>(&answer.body) {
        Ok(Envelope::Success { data, warnings }) if answer.status.is_success() => {
            Ok(Answer { data, warnings })
        }
        Ok(Envelope::Success { .. }) => Err(format!("Prometheus answered {status}")),
        Ok(Envelope::Error { kind, error }) => {
            Err(format!("Prometheus refuses it ({kind}): {error}"))
        }
        Err(_) if status == 401 || status == 403 => Err(format!(
            "Prometheus answered {status}: is token_file of the metrics right?"
        )),
        Err(e) => {
            let began = message(&answer.body);
            let json = serde_json::from_slice::<serde_json::Value>(&answer.body).is_ok();
            Err(if json {
                format!("the answer ({status}) is not Prometheus's: {e}")
            } else if began.is_empty() {
                format!("the answer ({status}) is empty: is this Prometheus?")
            } else {
                format!("the answer ({status}) is not Prometheus's; it begins: {began}")
            })
        }
    }
}

/// `data` of a query as it is sent.
#[derive(Deserialize)]
#[serde(tag = "resultType", content = "result", rename_all = "lowercase")]
enum Written {
    Vector(Vec<One>),
    Matrix(Vec<Many>),
    Scalar(Point),
    String(serde::de::IgnoredAny),
}

/// Seconds since 1970 and a value as text: JSON knows neither NaN nor infinity.
#[derive(Deserialize)]
struct Point(f64, String);

#[derive(Deserialize)]
struct One {
    metric: Labels,
    value: Option<Point>,
}

#[derive(Deserialize)]
struct Many {
    metric: Labels,
    #[serde(default)]
    values: Vec<Point>,
}

impl Written {
    fn read(self) -> Result<Data, String> {
        Ok(match self {
            Written::Vector(all) => {
                let one = |o: One| {
                    let value = o
                        .value
                        .ok_or("the answer holds a native histogram, which is no number")?;
                    Ok((o.metric, number(&value)?))
                };
                Data::Vector(all.into_iter().map(one).collect::<Result<_, String>>()?)
            }
            Written::Matrix(all) => {
                let one = |m: Many| {
                    let values = m.values.iter().map(|p| Ok((time(p)?, number(p)?)));
                    Ok((m.metric, values.collect::<Result<_, String>>()?))
                };
                Data::Matrix(all.into_iter().map(one).collect::<Result<_, String>>()?)
            }
            Written::Scalar(value) => Data::Scalar(number(&value)?),
            Written::String(_) => Data::String,
        })
    }
}

/// `NaN`, `+Inf` and `-Inf` are numbers here; what they mean is for the reader.
fn number(point: &Point) -> Result<f64, String> {
    let unreadable = |_| "the answer holds a value that is no number".to_owned();
    point.1.parse().map_err(unreadable)
}

fn time(point: &Point) -> Result<Timestamp, String> {
    let ms = (point.0 * 1000.0).round();
    #[expect(clippy::cast_possible_truncation, reason = "a float's `as` saturates")]
    let ms = ms as i64;
    Timestamp::from_millisecond(ms).map_err(|_| "the answer holds a time that is none".to_owned())
}

/// `name{label="value"}` without the labels in `but`.
pub(crate) fn shown(labels: &Labels) -> String {
    let name = labels.get("__name__").map_or("", String::as_str);
    let rest: BTreeMap<_, _> = labels
        .iter()
        .filter(|(label, _)| *label != "__name__")
        .map(|(k, v)| (k.clone(), v.clone()))
        .collect();
    match (name.is_empty(), rest.is_empty()) {
        (true, true) => "{}".to_owned(),
        _ => super::super::text::series_text(name, &rest),
    }
}

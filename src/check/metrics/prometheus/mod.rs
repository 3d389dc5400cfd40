//! A Prometheus server: its settings, its query API, and the samples that it keeps of targets.

mod api;
mod hints;
mod recorded;

pub(crate) use api::shown;
pub use api::{Answer, Data, Server};
pub use hints::empty as why_empty;
pub use recorded::Recorded;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use reqwest::Url;
use serde::Deserialize;

use crate::settings::{Target, duration};

/// `[environments.NAME.metrics]`: a Prometheus server that scrapes the environment's targets.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MetricsConfig {
    /// Base URL of the server; it may have a path.
    pub prometheus: String,
    /// Where the counters of gates and triggers come from.
    #[serde(default)]
    pub source: Source,
    /// The label whose value tells the targets apart.
    #[serde(default = "instance")]
    pub label: String,
    /// That label's value by target, where it is not the default.
    #[serde(default)]
    pub values: BTreeMap<String, String>,
    /// Further labels that every series of these targets has.
    #[serde(default, rename = "match")]
    pub also: BTreeMap<String, String>,
    /// How often the server scrapes the targets. A sample that is older than three of them is no
    /// sample.
    #[serde(default = "scrape_interval", deserialize_with = "duration")]
    pub scrape_interval: Duration,
    /// How long one query may take.
    #[serde(default = "timeout", deserialize_with = "duration")]
    pub timeout: Duration,
    /// File with a bearer token; refused when others can read it.
    pub token_file: Option<PathBuf>,
    /// Certificates (PEM) to trust beside those of the system.
    pub ca_file: Option<PathBuf>,
}

/// Where counters come from.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Source {
    #[default]
    Prometheus,
    /// From the targets' own `/metrics`; the server is only for queries of the runbook's own.
    Targets,
}

fn instance() -> String {
    "instance".into()
}

fn scrape_interval() -> Duration {
    Duration::from_secs(15)
}

fn timeout() -> Duration {
    Duration::from_secs(5)
}

impl MetricsConfig {
    /// The files that it names, whose paths are relative to the settings.
    pub fn files(&mut self) -> impl Iterator<Item = &mut PathBuf> {
        [&mut self.token_file, &mut self.ca_file]
            .into_iter()
            .flatten()
    }

    /// What is wrong with it beside the types, for an environment with these targets.
    ///
    /// # Errors
    /// In words, for the person who wrote it.
    pub fn check(&self, targets: &[Target]) -> Result<(), String> {
        let named = |name: &&String| !targets.iter().any(|t| t.name == **name);
        if let Some(unknown) = self.values.keys().find(named) {
            return Err(format!(
                "metrics.values names `{unknown}`, which is no target"
            ));
        }
        let labels = std::iter::once(&self.label).chain(self.also.keys());
        for label in labels {
            let plain = |c: char| c.is_ascii_alphanumeric() || c == '_';
            let begins = label.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
            if !begins || !label.chars().all(plain) {
                return Err(format!("metrics: `{label}` is not the name of a label"));
            }
        }
        self.url().map(drop)
    }

    /// The server's address.
    ///
    /// # Errors
    /// It is no http(s) URL, or holds a password.
    pub fn url(&self) -> Result<Url, String> {
        let url = Url::parse(&self.prometheus)
            .map_err(|e| format!("metrics.prometheus is not a URL: {e}"))?;
        if !matches!(url.scheme(), "http" | "https") || url.host().is_none() {
            return Err("metrics.prometheus is not an http(s) URL".into());
        }
        if url.password().is_some() || !url.username().is_empty() {
            return Err(
                "metrics.prometheus holds a name or a password; a token goes into token_file"
                    .into(),
            );
        }
        Ok(url)
    }

    /// The label's value of a target: by default the host and port of its URL for `instance`, as
    /// Prometheus makes it, and the target's name for another label.
    pub fn value(&self, target: &Target) -> String {
        if let Some(value) = self.values.get(&target.name) {
            return value.clone();
        }
        let url = Url::parse(&target.url)
            .ok()
            .filter(|_| self.label == "instance");
        let address = url.and_then(|u| {
            let port = u.port_or_known_default()?;
            Some(format!("{}:{port}", u.host_str()?))
        });
        address.unwrap_or_else(|| target.name.clone())
    }

    /// The label matchers of one target, inside braces: `instance="a",job="b"`.
    pub fn matchers(&self, value: &str) -> String {
        let mut text = format!("{}={}", self.label, quoted(value));
        for (label, value) in &self.also {
            text += &format!(",{label}={}", quoted(value));
        }
        text
    }
}

/// A string of PromQL.
pub(super) fn quoted(text: &str) -> String {
    format!("\"{}\"", escaped(text))
}

/// What stands between the quotes of a string of PromQL, whichever they are.
pub(super) fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\\' => out.push_str("\\\\"),
            // As numbers: a backslash before the other kind of quote is a mistake in PromQL.
            '"' => out.push_str("\\x22"),
            '\'' => out.push_str("\\x27"),
            '\n' => out.push_str("\\n"),
            c => out.push(c),
        }
    }
    out
}

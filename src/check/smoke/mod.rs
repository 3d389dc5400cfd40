//! Smoke checks against the running service over HTTP: what a caller of the service would notice
//! first. Each runs on its own and makes what it needs.

mod checks;
mod mapping;

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use secrecy::SecretString;
use serde::Deserialize;

use self::mapping::Mapping;
pub use self::mapping::{Ask, MappingConfig};
use super::CheckResult;
use crate::carry::client::{ServiceClient, admin_token, http};
use crate::error::{Exit, Problem, Result};
use crate::pg::Database;
use crate::settings::{Environment, Target};

/// `[smoke]`: how the checks' requests map onto a service; what is not said is as in
/// `docs/service-contract.md`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SmokeConfig {
    /// Whom tokens are issued for.
    pub subject: String,
    /// The scope that nonces are reserved in.
    pub scope: String,
    /// Headers of every request; `{{admin_token}}` is the content of `admin_token_file`.
    pub headers: BTreeMap<String, String>,
    pub requests: BTreeMap<Ask, MappingConfig>,
}

impl Default for SmokeConfig {
    fn default() -> Self {
        Self {
            subject: "dbctl-smoke".into(),
            scope: "dbctl-smoke".into(),
            headers: BTreeMap::new(),
            requests: BTreeMap::new(),
        }
    }
}

/// One of the checks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Check {
    /// A token is issued.
    IssueToken,
    /// It is accepted; one whose signature was changed is not.
    VerifyToken,
    /// A revoked token is denied.
    RevokeToken,
    /// All tokens of a revoked session are denied.
    RevokeSession,
    /// Reserved nonces never overlap, and the watermark lies above them.
    Nonce,
    /// The decisions and events of this very run are in Postgres.
    Persistence,
}

impl Check {
    pub const ALL: [Check; 6] = [
        Check::IssueToken,
        Check::VerifyToken,
        Check::RevokeToken,
        Check::RevokeSession,
        Check::Nonce,
        Check::Persistence,
    ];

    pub const fn name(self) -> &'static str {
        match self {
            Check::IssueToken => "issue-token",
            Check::VerifyToken => "verify-token",
            Check::RevokeToken => "revoke-token",
            Check::RevokeSession => "revoke-session",
            Check::Nonce => "nonce",
            Check::Persistence => "persistence",
        }
    }

    /// The checks that `names` name, in the order of [`Check::ALL`]; all of them for none.
    pub fn select(names: &[impl AsRef<str>]) -> Result<Vec<Check>> {
        let mut chosen = names
            .iter()
            .map(|n| n.as_ref().parse())
            .collect::<Result<Vec<Check>>>()?;
        if chosen.is_empty() {
            return Ok(Check::ALL.to_vec());
        }
        chosen.sort_unstable();
        chosen.dedup();
        Ok(chosen)
    }
}

impl fmt::Display for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Check {
    type Err = Problem;

    fn from_str(name: &str) -> Result<Self> {
        Check::ALL
            .into_iter()
            .find(|c| c.name() == name)
            .ok_or_else(|| {
                Problem::new(
                    Exit::Usage,
                    "choosing smoke checks",
                    format!("`{}` is not one of them", name.escape_debug()),
                )
                .next(format!("known: {}", Check::ALL.map(Check::name).join(", ")))
            })
    }
}

/// Ready to check the targets of one environment.
#[derive(Debug, Clone)]
pub struct Smoke {
    subject: String,
    scope: String,
    headers: BTreeMap<String, String>,
    requests: BTreeMap<Ask, Mapping>,
    admin: Option<SecretString>,
    http: reqwest::Client,
}

impl Smoke {
    /// # Errors
    /// A mapping that makes no sense; an administrator's token that cannot be read.
    pub fn new(config: &SmokeConfig, env: &Environment) -> Result<Self> {
        let requests = Ask::ALL
            .into_iter()
            .map(|ask| Ok((ask, Mapping::resolve(ask, config.requests.get(&ask))?)))
            .collect::<Result<_>>()?;
        Ok(Self {
            subject: config.subject.clone(),
            scope: config.scope.clone(),
            headers: config.headers.clone(),
            requests,
            admin: admin_token(env)?,
            http: http()?,
        })
    }

    /// Runs `checks` on each target, all targets at once; the results stand target by target.
    /// Without a database, persistence is inconclusive.
    pub async fn run(
        &self,
        targets: &[&Target],
        checks: &[Check],
        database: Option<&Database>,
    ) -> Vec<CheckResult> {
        let each = targets.iter().map(|target| async move {
            let client = match ServiceClient::new(target, self.admin.clone()) {
                Ok(client) => client,
                Err(problem) => return checks::impossible(&target.name, checks, &problem),
            };
            let mut results = Vec::new();
            for check in checks {
                results.push(checks::run(self, target, &client, *check, database).await);
            }
            results
        });
        let all = futures_util::future::join_all(each).await;
        all.into_iter().flatten().collect()
    }
}

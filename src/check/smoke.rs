//! Smoke checks against the running service over HTTP.

use serde::Deserialize;

/// How the checks' requests map onto a service; the default is `docs/service-contract.md`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SmokeConfig {}

//! How a service is configured: by name-value pairs, from the environment or from a file.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::Timestamp;
use secrecy::SecretString;

use crate::error::{Doing, Exit, Problem, Result};
use crate::runtime::decisions::Policy;
use crate::runtime::nonce::{LIMIT, MAX_JUMP, MAX_WINDOW};
use crate::runtime::revocation::{Caching, WhenUnavailable};
use crate::runtime::toggles::{Mode, Modes, Toggle};
use crate::settings::parse_duration;

/// Names of the variables, in the order of the documentation.
pub const NAMES: &[&str] = &[
    "SERVICE_NAME",
    "SERVICE_LISTEN",
    "SERVICE_STATE_DIR",
    "SERVICE_ADMIN_TOKEN_FILE",
    "SERVICE_SIGNING_KEY_FILE",
    "SERVICE_KEK_FILE",
    "SERVICE_KEK_CREDENTIAL",
    "SERVICE_KEY_ID",
    "SERVICE_KEY_MAX_AGE",
    "SERVICE_ISSUER",
    "SERVICE_AUDIENCE",
    "SERVICE_TOKEN_LIFETIME",
    "SERVICE_CLOCK_SKEW",
    "SERVICE_NONCE_WINDOW",
    "SERVICE_NONCE_MAX_JUMP",
    "SERVICE_NONCE_ACCEPT_COPY",
    "SERVICE_REVOCATION_CACHE",
    "SERVICE_REVOCATION_UNAVAILABLE",
    "SERVICE_DECISION_LOG",
    "SERVICE_DECISION_SPOOL_MB",
    "SERVICE_DECISION_ID_KEY_FILE",
    "SERVICE_LOG_FILE",
    "DATABASE_URL",
];

/// Shorter, and an ordinary hiccup of Postgres would deny everybody.
const SHORTEST_MAX_AGE: Duration = Duration::from_secs(1);

/// Everything that a service needs to know at its start.
#[derive(Debug, Clone)]
pub struct ServiceConfig {
    /// Name of the instance, and of its node of nonces. Unique among all instances.
    pub name: String,
    /// `HOST:PORT`; port 0 takes a free one.
    pub listen: String,
    pub state_dir: PathBuf,
    /// The bearer token for `/v1/carry/*`; without it they are closed.
    pub admin_token_file: Option<PathBuf>,
    /// PKCS#8 PEM; needed while keys are resolved in memory.
    pub signing_key_file: Option<PathBuf>,
    /// It, or a credential, is needed while keys are resolved in Postgres.
    pub kek_file: Option<PathBuf>,
    /// Name of a file in systemd's `$CREDENTIALS_DIRECTORY` instead.
    pub kek_credential: Option<String>,
    pub key_id: String,
    /// How long a copy of the keys in Postgres is believed that could not be refreshed.
    pub key_max_age: Duration,
    pub issuer: String,
    pub audience: String,
    pub token_lifetime: Duration,
    /// How far the clock of another instance may be ahead: for `iat` and `nbf` of tokens.
    pub clock_skew: Duration,
    /// Nonces per reservation.
    pub nonce_window: i64,
    /// How far a watermark may be above what this node remembers.
    pub nonce_max_jump: i64,
    /// The copy of a guard file that may be started from, named by when it was made.
    pub nonce_accept_copy: Option<Timestamp>,
    /// Whether, and how, revocations in Postgres are kept in memory.
    pub revocation_cache: Option<Caching>,
    pub decision_policy: Policy,
    /// How large the file may become that decisions wait in.
    pub decision_spool_bytes: u64,
    /// With it, decisions name tokens and sessions by their HMAC.
    pub decision_id_key_file: Option<PathBuf>,
    /// Where its log goes; stderr without it.
    pub log_file: Option<PathBuf>,
    pub database_url: Option<SecretString>,
    pub modes: Modes,
    /// Whether `POST /v1/faults` may break things on purpose.
    pub faults: bool,
}

impl ServiceConfig {
    /// Reads name-value pairs; of two pairs with one name the last wins. An unknown `SERVICE_…`
    /// or an unknown value of a toggle is an error, other names are passed over.
    pub fn from_pairs<'a>(pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> Result<Self> {
        let pairs: Vec<(&str, &str)> = pairs.into_iter().collect();
        if let Some((unknown, _)) = pairs
            .iter()
            .find(|(name, _)| name.starts_with("SERVICE_") && !NAMES.contains(name))
        {
            return Err(wrong(unknown, "it is not a setting of the service")
                .next(format!("known: {}", NAMES.join(", "))));
        }
        let get = |wanted: &str| {
            let mut values = pairs.iter().rev().filter(|(name, _)| *name == wanted);
            values.next().map(|(_, v)| *v).filter(|v| !v.is_empty())
        };
        let need = |name: &str| {
            get(name).ok_or_else(|| {
                wrong(name, "it is not set").next(
                    "dbctl service init writes a file that says all of it, for --env-file FILE",
                )
            })
        };
        let or = |name: &str, default: &str| get(name).unwrap_or(default).to_owned();
        let number = |name: &str, default: i64, most: i64| {
            let given = get(name).map_or(Ok(default), str::parse);
            given
                .ok()
                .filter(|n| (1..=most).contains(n))
                .ok_or_else(|| wrong(name, &format!("it is not a number from 1 to {most}")))
        };
        let path = |name: &str| get(name).map(PathBuf::from);
        let lifetime = or("SERVICE_TOKEN_LIFETIME", "1h");
        let skew = or("SERVICE_CLOCK_SKEW", "5m");
        let max_age = or("SERVICE_KEY_MAX_AGE", "30s");
        Ok(Self {
            name: instance_name(need("SERVICE_NAME")?)?,
            listen: or("SERVICE_LISTEN", "127.0.0.1:8080"),
            state_dir: PathBuf::from(need("SERVICE_STATE_DIR")?),
            admin_token_file: path("SERVICE_ADMIN_TOKEN_FILE"),
            signing_key_file: path("SERVICE_SIGNING_KEY_FILE"),
            kek_file: path("SERVICE_KEK_FILE"),
            kek_credential: get("SERVICE_KEK_CREDENTIAL").map(str::to_owned),
            key_id: or("SERVICE_KEY_ID", "access-tokens"),
            key_max_age: parse_duration(&max_age)
                .and_then(|age| match age < SHORTEST_MAX_AGE {
                    true => Err("a copy of the keys needs at least 1s".into()),
                    false => Ok(age),
                })
                .map_err(|why| wrong("SERVICE_KEY_MAX_AGE", &why))?,
            issuer: or("SERVICE_ISSUER", "https://auth.example"),
            audience: or("SERVICE_AUDIENCE", "api"),
            token_lifetime: parse_duration(&lifetime)
                .map_err(|why| wrong("SERVICE_TOKEN_LIFETIME", &why))?,
            clock_skew: parse_duration(&skew).map_err(|why| wrong("SERVICE_CLOCK_SKEW", &why))?,
            nonce_window: number("SERVICE_NONCE_WINDOW", 1000, MAX_WINDOW)?,
            nonce_max_jump: number("SERVICE_NONCE_MAX_JUMP", MAX_JUMP, LIMIT)?,
            nonce_accept_copy: get("SERVICE_NONCE_ACCEPT_COPY")
                .map(|made| made.parse())
                .transpose()
                .map_err(|_| {
                    wrong(
                        "SERVICE_NONCE_ACCEPT_COPY",
                        "it is not the time that the refused start named",
                    )
                })?,
            revocation_cache: caching(
                get("SERVICE_REVOCATION_CACHE"),
                get("SERVICE_REVOCATION_UNAVAILABLE"),
            )?,
            decision_policy: policy(&or("SERVICE_DECISION_LOG", "spool"))?,
            decision_spool_bytes: number("SERVICE_DECISION_SPOOL_MB", 256, 1_000_000)?
                .unsigned_abs()
                * 1_000_000,
            decision_id_key_file: path("SERVICE_DECISION_ID_KEY_FILE"),
            log_file: path("SERVICE_LOG_FILE"),
            database_url: get("DATABASE_URL").map(SecretString::from),
            modes: Modes::from_pairs(pairs.iter().copied())?,
            faults: false,
        })
    }

    /// What an operator should know that a toggle does not say, by name: what happens when Postgres
    /// does not answer.
    pub fn policies(&self) -> BTreeMap<String, String> {
        let words = |d: Duration| {
            let d = jiff::SignedDuration::try_from(d).unwrap_or(jiff::SignedDuration::MAX);
            format!("{d:#}")
        };
        let mut policies = BTreeMap::new();
        let mut say = |name: &str, policy: String| policies.insert(name.to_owned(), policy);
        if self.modes.revocation == Mode::Postgres {
            let (cache, unavailable) = match self.revocation_cache {
                None => ("off".to_owned(), "deny".to_owned()),
                Some(Caching { bound, unavailable }) => (
                    words(bound),
                    match unavailable {
                        WhenUnavailable::Deny => "deny".to_owned(),
                        WhenUnavailable::Stale(limit) => format!("stale:{}", words(limit)),
                    },
                ),
            };
            say("revocation_cache", cache);
            say("revocation_unavailable", unavailable);
        }
        if self.modes.runtime == Mode::Postgres {
            let policy = match self.decision_policy {
                Policy::Spool => "spool",
                Policy::FailClosed => "fail-closed",
            };
            say("decision_log", policy.to_owned());
        }
        policies
    }

    /// Whether any part of the state lives in Postgres.
    pub fn wants_postgres(&self) -> bool {
        Toggle::ALL
            .iter()
            .any(|t| self.modes.get(*t) == Mode::Postgres)
    }
}

/// `SERVICE_REVOCATION_CACHE` and `SERVICE_REVOCATION_UNAVAILABLE`.
fn caching(bound: Option<&str>, unavailable: Option<&str>) -> Result<Option<Caching>> {
    const UNAVAILABLE: &str = "SERVICE_REVOCATION_UNAVAILABLE";
    let stale =
        match unavailable.unwrap_or("deny") {
            "deny" => None,
            other => Some(other.strip_prefix("stale:").ok_or_else(|| {
                wrong(UNAVAILABLE, "it is neither `deny` nor such as `stale:5m`")
            })?),
        };
    let Some(bound) = bound.filter(|bound| *bound != "off") else {
        return match stale {
            None => Ok(None),
            Some(_) => Err(wrong(
                UNAVAILABLE,
                "nothing can be stale without SERVICE_REVOCATION_CACHE",
            )),
        };
    };
    let bound = parse_duration(bound).map_err(|why| wrong("SERVICE_REVOCATION_CACHE", &why))?;
    let unavailable = match stale {
        None => WhenUnavailable::Deny,
        Some(limit) => match parse_duration(limit).map_err(|why| wrong(UNAVAILABLE, &why))? {
            limit if limit < bound => {
                return Err(wrong(
                    UNAVAILABLE,
                    "it is shorter than SERVICE_REVOCATION_CACHE",
                ));
            }
            limit => WhenUnavailable::Stale(limit),
        },
    };
    Ok(Some(Caching { bound, unavailable }))
}

fn policy(said: &str) -> Result<Policy> {
    match said {
        "spool" => Ok(Policy::Spool),
        "fail-closed" => Ok(Policy::FailClosed),
        _ => Err(wrong(
            "SERVICE_DECISION_LOG",
            "it is neither `spool` nor `fail-closed`",
        )),
    }
}

fn wrong(name: &str, why: &str) -> Problem {
    Problem::new(
        Exit::Config,
        format!("reading {}", name.escape_debug()),
        why,
    )
}

/// A name that is safe in file names, logs and headers.
pub(super) fn instance_name(name: &str) -> Result<String> {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    if name.is_empty() || name.len() > 64 || !name.chars().all(plain) {
        return Err(wrong(
            "SERVICE_NAME",
            "it has characters other than letters, digits, `.`, `_` and `-`, or is too long",
        ));
    }
    Ok(name.to_owned())
}

/// Reads a file of `NAME=value` lines: blank lines and `#` comments are passed over, `export `
/// before a name and one pair of quotes around a value are taken off. Values are not shown in
/// errors.
pub fn read_env_file(path: &Path) -> Result<Vec<(String, String)>> {
    let doing = format!("reading {}", path.display());
    let text = std::fs::read_to_string(path).doing(Exit::Config, &doing)?;
    let mut pairs = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let Some((name, value)) = line.split_once('=') else {
            let number = index + 1;
            return Err(Problem::new(
                Exit::Config,
                doing,
                format!("line {number} is not NAME=value"),
            ));
        };
        let name = name.strip_prefix("export ").unwrap_or(name).trim();
        let value = value.trim();
        let unquoted = ['"', '\'']
            .iter()
            .find_map(|q| value.strip_prefix(*q)?.strip_suffix(*q));
        pairs.push((name.to_owned(), unquoted.unwrap_or(value).to_owned()));
    }
    Ok(pairs)
}

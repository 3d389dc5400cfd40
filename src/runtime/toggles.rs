//! The four runtime switches. An unknown value is an error at start, never a silent default.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::error::{Exit, Problem, Result};

/// One of the four switches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Toggle {
    /// Also the default of the others where they are unset.
    #[serde(rename = "SECURITY_RUNTIME_MODE")]
    Runtime,
    #[serde(rename = "SECURITY_KEY_RESOLVER_MODE")]
    KeyResolver,
    #[serde(rename = "SECURITY_REVOCATION_MODE")]
    Revocation,
    #[serde(rename = "SECURITY_NONCE_STORE_MODE")]
    NonceStore,
}

/// Where a part of the security state lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    Memory,
    File,
    Postgres,
}

impl Toggle {
    pub const ALL: [Toggle; 4] = [
        Toggle::Runtime,
        Toggle::KeyResolver,
        Toggle::Revocation,
        Toggle::NonceStore,
    ];

    /// The name of the environment variable.
    pub const fn name(self) -> &'static str {
        match self {
            Toggle::Runtime => "SECURITY_RUNTIME_MODE",
            Toggle::KeyResolver => "SECURITY_KEY_RESOLVER_MODE",
            Toggle::Revocation => "SECURITY_REVOCATION_MODE",
            Toggle::NonceStore => "SECURITY_NONCE_STORE_MODE",
        }
    }

    /// The value that means "without Postgres".
    pub const fn local(self) -> Mode {
        match self {
            Toggle::Runtime | Toggle::KeyResolver | Toggle::Revocation => Mode::Memory,
            Toggle::NonceStore => Mode::File,
        }
    }

    pub fn parse_mode(self, value: &str) -> Result<Mode> {
        match value {
            "postgres" => Ok(Mode::Postgres),
            v if v == self.local().as_str() => Ok(self.local()),
            other => Err(Problem::new(
                Exit::Config,
                format!("reading the toggle {}", self.name()),
                format!("`{}` is not one of its values", other.escape_debug()),
            )
            .next(format!(
                "write {}={} or {}=postgres",
                self.name(),
                self.local(),
                self.name()
            ))),
        }
    }
}

impl Mode {
    pub const fn as_str(self) -> &'static str {
        match self {
            Mode::Memory => "memory",
            Mode::File => "file",
            Mode::Postgres => "postgres",
        }
    }
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl fmt::Display for Toggle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Toggle {
    type Err = Problem;

    fn from_str(name: &str) -> Result<Self> {
        Toggle::ALL
            .into_iter()
            .find(|t| t.name() == name)
            .ok_or_else(|| {
                Problem::new(
                    Exit::Config,
                    "reading a toggle",
                    format!("`{}` is not a toggle", name.escape_debug()),
                )
                .next(format!(
                    "known: {}",
                    Toggle::ALL.map(Toggle::name).join(", ")
                ))
            })
    }
}

/// The effective mode of each toggle: what a service runs in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Modes {
    #[serde(rename = "SECURITY_RUNTIME_MODE")]
    pub runtime: Mode,
    #[serde(rename = "SECURITY_KEY_RESOLVER_MODE")]
    pub key_resolver: Mode,
    #[serde(rename = "SECURITY_REVOCATION_MODE")]
    pub revocation: Mode,
    #[serde(rename = "SECURITY_NONCE_STORE_MODE")]
    pub nonce_store: Mode,
}

impl Modes {
    pub const LOCAL: Modes = Modes {
        runtime: Mode::Memory,
        key_resolver: Mode::Memory,
        revocation: Mode::Memory,
        nonce_store: Mode::File,
    };

    pub const POSTGRES: Modes = Modes {
        runtime: Mode::Postgres,
        key_resolver: Mode::Postgres,
        revocation: Mode::Postgres,
        nonce_store: Mode::Postgres,
    };

    pub const fn get(&self, toggle: Toggle) -> Mode {
        match toggle {
            Toggle::Runtime => self.runtime,
            Toggle::KeyResolver => self.key_resolver,
            Toggle::Revocation => self.revocation,
            Toggle::NonceStore => self.nonce_store,
        }
    }

    /// Resolves what is set: a specific toggle wins, `SECURITY_RUNTIME_MODE` is the default of
    /// the others, and with nothing set everything is local.
    pub fn resolve(set: &BTreeMap<Toggle, Mode>) -> Modes {
        let runtime = set.get(&Toggle::Runtime).copied().unwrap_or(Mode::Memory);
        let of = |toggle: Toggle| {
            set.get(&toggle).copied().unwrap_or(match runtime {
                Mode::Postgres => Mode::Postgres,
                Mode::Memory | Mode::File => toggle.local(),
            })
        };
        Modes {
            runtime,
            key_resolver: of(Toggle::KeyResolver),
            revocation: of(Toggle::Revocation),
            nonce_store: of(Toggle::NonceStore),
        }
    }

    /// Reads the toggles out of name-value pairs, such as the environment; other names are passed over.
    pub fn from_pairs<'a>(pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> Result<Modes> {
        let mut set = BTreeMap::new();
        for (name, value) in pairs {
            if let Some(toggle) = Toggle::ALL.into_iter().find(|t| t.name() == name) {
                set.insert(toggle, toggle.parse_mode(value)?);
            }
        }
        Ok(Modes::resolve(&set))
    }
}

impl fmt::Display for Modes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Modes::LOCAL => f.write_str("memory/file"),
            Modes::POSTGRES => f.write_str("postgres"),
            Modes {
                runtime,
                key_resolver,
                revocation,
                nonce_store,
            } => write!(
                f,
                "runtime {runtime}, keys {key_resolver}, revocation {revocation}, nonces {nonce_store}"
            ),
        }
    }
}

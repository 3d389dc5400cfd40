//! `[[hooks]]` of the settings.

use std::collections::BTreeSet;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use reqwest::Url;
use serde::{Deserialize, Serialize};

use crate::settings::duration;

const TIMEOUT: Duration = Duration::from_secs(10);
const GIVE_UP_AFTER: Duration = Duration::from_secs(120);

/// What of a run is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Occasion {
    Started,
    /// A person's approval or answer is wanted.
    ApprovalWanted,
    Paused,
    Trigger,
    RolledBack,
    Stuck,
    Completed,
}

impl Occasion {
    pub const ALL: [Occasion; 7] = [
        Occasion::Started,
        Occasion::ApprovalWanted,
        Occasion::Paused,
        Occasion::Trigger,
        Occasion::RolledBack,
        Occasion::Stuck,
        Occasion::Completed,
    ];

    pub const fn name(self) -> &'static str {
        match self {
            Occasion::Started => "started",
            Occasion::ApprovalWanted => "approval-wanted",
            Occasion::Paused => "paused",
            Occasion::Trigger => "trigger",
            Occasion::RolledBack => "rolled-back",
            Occasion::Stuck => "stuck",
            Occasion::Completed => "completed",
        }
    }
}

/// One hook.
#[derive(Debug, Clone, Deserialize)]
#[serde(try_from = "Written")]
pub struct Hook {
    /// What it is called in messages.
    pub name: String,
    pub on: BTreeSet<Occasion>,
    pub to: To,
    /// How long a program may run, and how long one request may take.
    pub timeout: Duration,
    /// How long a request is tried again.
    pub give_up_after: Duration,
}

impl Hook {
    /// The path of its secret, where that lies in a file.
    pub fn secret_file(&mut self) -> Option<&mut PathBuf> {
        match &mut self.to {
            To::Url {
                secret: Secret::File(file),
                ..
            } => Some(file),
            To::Url { .. } | To::Command(_) => None,
        }
    }
}

/// Whom a hook tells.
#[derive(Clone)]
pub enum To {
    /// A program and its arguments; it reads the message on its standard input.
    Command(Vec<String>),
    Url {
        url: Url,
        secret: Secret,
    },
}

/// Paths and queries of such addresses are often as good as a password.
impl fmt::Debug for To {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            To::Command(argv) => f.debug_tuple("Command").field(&argv.first()).finish(),
            To::Url { url, secret } => f
                .debug_struct("Url")
                .field("host", &url.host_str())
                .field("secret", secret)
                .finish(),
        }
    }
}

/// Where the secret that signs requests is.
#[derive(Debug, Clone)]
pub enum Secret {
    File(PathBuf),
    /// An environment variable.
    Variable(String),
}

/// The keys as they stand in the file.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    name: Option<String>,
    on: Option<BTreeSet<Occasion>>,
    command: Option<Vec<String>>,
    url: Option<String>,
    secret_file: Option<PathBuf>,
    secret_env: Option<String>,
    #[serde(default = "timeout", deserialize_with = "duration")]
    timeout: Duration,
    #[serde(default = "give_up_after", deserialize_with = "duration")]
    give_up_after: Duration,
}

fn timeout() -> Duration {
    TIMEOUT
}

fn give_up_after() -> Duration {
    GIVE_UP_AFTER
}

impl TryFrom<Written> for Hook {
    type Error = String;

    fn try_from(written: Written) -> Result<Self, String> {
        let secret = match (written.secret_file, written.secret_env) {
            (Some(_), Some(_)) => return Err("secret_file and secret_env: one of the two".into()),
            (Some(file), None) => Some(Secret::File(file)),
            (None, Some(name)) => Some(Secret::Variable(name)),
            (None, None) => None,
        };
        let (to, called) = match (written.command, written.url, secret) {
            (Some(_), Some(_), _) => return Err("a hook has a command or a url, not both".into()),
            (None, None, _) => return Err("a hook has a command or a url; this has neither".into()),
            (Some(_), None, Some(_)) => {
                return Err("the secret signs requests; a command takes none".into());
            }
            (Some(argv), None, None) => {
                let program = argv.first().filter(|p| !p.is_empty());
                let program =
                    program.ok_or("command is empty; command = [\"PROGRAM\", \"ARGUMENT\"]")?;
                let name = std::path::Path::new(program).file_name();
                let name =
                    name.map_or_else(|| program.clone(), |n| n.to_string_lossy().into_owned());
                (To::Command(argv), name)
            }
            (None, Some(_), None) => {
                return Err(
                    "requests are signed: name the secret with secret_file or secret_env".into(),
                );
            }
            (None, Some(text), Some(secret)) => {
                let url = address(&text)?;
                let host = url.host_str().unwrap_or_default().to_owned();
                (To::Url { url, secret }, host)
            }
        };
        let on = written.on.unwrap_or_else(|| Occasion::ALL.into());
        if on.is_empty() {
            return Err("`on` is empty: leave it out to be told of everything".into());
        }
        Ok(Hook {
            name: written.name.unwrap_or(called),
            on,
            to,
            timeout: written.timeout,
            give_up_after: written.give_up_after,
        })
    }
}

/// Reads an address. The text is in no message: it may be as good as a password.
fn address(text: &str) -> Result<Url, String> {
    let url = Url::parse(text).map_err(|_| "url is no URL, such as https://example.com/dbctl")?;
    if !url.username().is_empty() || url.password().is_some() {
        return Err("url holds a user or a password; the signature is what shows who sends".into());
    }
    let Some(host) = url.host_str() else {
        return Err("url names no host".into());
    };
    let ip = host.trim_matches(['[', ']']).parse::<std::net::IpAddr>();
    let here = host == "localhost" || ip.is_ok_and(|ip| ip.is_loopback());
    match url.scheme() {
        "https" => Ok(url),
        "http" if here => Ok(url),
        "http" => Err("url is plain http, which others on the way can read; use https".into()),
        _ => Err("url must begin with https://".into()),
    }
}

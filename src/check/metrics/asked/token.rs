//! Bearer tokens for what a runbook asks over HTTP.

use std::path::PathBuf;

use reqwest::Url;
use secrecy::SecretString;
use serde::Deserialize;

use crate::error::Result;

/// `[[http_tokens]]` of the settings: whom a token is for, and the file that holds it. The runbook
/// says what is asked, and only the settings say who gets a token.
#[derive(Debug, Clone, Deserialize)]
#[serde(try_from = "Written")]
pub struct HttpToken {
    /// Scheme, host and port.
    origin: Url,
    /// Refused when others can read it.
    pub token_file: PathBuf,
}

/// The keys as they stand in the file.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    origin: String,
    token_file: PathBuf,
}

impl TryFrom<Written> for HttpToken {
    type Error = String;

    fn try_from(written: Written) -> Result<Self, String> {
        let url = Url::parse(&written.origin)
            .map_err(|_| "origin is no URL, such as https://stats.example.com")?;
        if !url.username().is_empty() || url.password().is_some() {
            return Err("origin holds a name or a password; a token goes into token_file".into());
        }
        let Some(host) = url.host_str() else {
            return Err("origin names no host".into());
        };
        if url.path() != "/" || url.query().is_some() || url.fragment().is_some() {
            return Err("origin is a scheme, a host and a port, without a path".into());
        }
        let ip = host.trim_matches(['[', ']']).parse::<std::net::IpAddr>();
        let here = host == "localhost" || ip.is_ok_and(|ip| ip.is_loopback());
        match url.scheme() {
            "https" => {}
            "http" if here => {}
            "http" => {
                return Err(
                    "origin is plain http: others on the way could read the token; use https"
                        .into(),
                );
            }
            _ => return Err("origin must begin with https://".into()),
        }
        Ok(Self {
            origin: url,
            token_file: written.token_file,
        })
    }
}

impl HttpToken {
    /// Scheme, host and port, for people.
    pub fn origin(&self) -> String {
        self.origin.origin().ascii_serialization()
    }

    /// Whether it goes along with a request to this address: same scheme, same host, same port.
    pub fn is_for(&self, url: &Url) -> bool {
        self.origin.origin() == url.origin()
    }

    /// Whether it goes along with a request to this address of a runbook, whatever is put into it.
    pub fn is_for_any_of(&self, written: &str) -> bool {
        let filled = crate::runbook::asked::fill(written, |_| Some("x".to_owned()));
        filled.is_ok_and(|url| Url::parse(&url).is_ok_and(|url| self.is_for(&url)))
    }

    /// Reads the file: at every question, so that a token that is replaced in time is taken up.
    ///
    /// # Errors
    /// [`crate::error::Exit::Config`]: others can read the file, or it is empty or not there.
    pub fn read(&self) -> Result<SecretString> {
        let what = format!("the token for {}", self.origin());
        crate::pg::read_secret_line(&self.token_file, &what)
    }
}

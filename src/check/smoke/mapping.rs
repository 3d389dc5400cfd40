//! How the checks' requests map onto a service: templates, captures, expectations.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Map, Value, json};
use serde_json_path::JsonPath;

use crate::error::{Exit, Problem, Result};

/// Captured values by name, and what the settings give.
pub(super) type Values = Map<String, Value>;

/// The requests that checks are made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Ask {
    /// Captures `token`, `token_id`, `session_id`. Knows `subject`.
    Issue,
    /// The same for the session `session_id`.
    IssueInSession,
    /// `token` is accepted.
    Verify,
    /// `token` is refused. May capture `reason`.
    Denied,
    /// Revokes `token_id` (`token`).
    RevokeToken,
    /// Revokes `session_id`.
    RevokeSession,
    /// Reserves `count` nonces of `scope`; captures `first` and `last`.
    Reserve,
    /// Captures `reserved_high`, above every nonce that was handed out.
    Watermark,
}

impl Ask {
    pub(super) const ALL: [Ask; 8] = [
        Ask::Issue,
        Ask::IssueInSession,
        Ask::Verify,
        Ask::Denied,
        Ask::RevokeToken,
        Ask::RevokeSession,
        Ask::Reserve,
        Ask::Watermark,
    ];

    const fn name(self) -> &'static str {
        match self {
            Ask::Issue => "issue",
            Ask::IssueInSession => "issue-in-session",
            Ask::Verify => "verify",
            Ask::Denied => "denied",
            Ask::RevokeToken => "revoke-token",
            Ask::RevokeSession => "revoke-session",
            Ask::Reserve => "reserve",
            Ask::Watermark => "watermark",
        }
    }

    /// What the checks cannot do without.
    const fn must_capture(self) -> &'static [&'static str] {
        match self {
            Ask::Issue => &["token", "token_id", "session_id"],
            Ask::IssueInSession => &["token"],
            Ask::Reserve => &["first", "last"],
            Ask::Watermark => &["reserved_high"],
            Ask::Verify | Ask::Denied | Ask::RevokeToken | Ask::RevokeSession => &[],
        }
    }

    /// The request of `docs/service-contract.md`.
    fn of_contract(self) -> Mapping {
        let post = |path: &str, body: Value, status: u16| Mapping {
            method: reqwest::Method::POST,
            path: path.into(),
            headers: BTreeMap::new(),
            body: Some(body),
            form: None,
            status: vec![status],
            capture: Vec::new(),
            expect: Vec::new(),
        };
        let verify = |status: u16, allow: bool| Mapping {
            expect: vec![(path("$.allow"), json!(allow))],
            ..post("/v1/tokens/verify", json!({"token": "{{token}}"}), status)
        };
        let issued = vec![
            ("token".to_owned(), path("$.token")),
            ("token_id".to_owned(), path("$.token_id")),
            ("session_id".to_owned(), path("$.session_id")),
        ];
        match self {
            Ask::Issue => Mapping {
                capture: issued,
                ..post("/v1/tokens", json!({"subject": "{{subject}}"}), 201)
            },
            Ask::IssueInSession => {
                let body = json!({"subject": "{{subject}}", "session_id": "{{session_id}}"});
                Mapping {
                    capture: issued,
                    ..post("/v1/tokens", body, 201)
                }
            }
            Ask::Verify => verify(200, true),
            Ask::Denied => Mapping {
                capture: vec![("reason".to_owned(), path("$.reason_code"))],
                ..verify(401, false)
            },
            Ask::RevokeToken => {
                let body = json!({"token_id": "{{token_id}}", "reason": "smoke check"});
                post("/v1/tokens/revoke", body, 200)
            }
            Ask::RevokeSession => {
                let body = json!({"session_id": "{{session_id}}", "reason": "smoke check"});
                post("/v1/sessions/revoke", body, 200)
            }
            Ask::Reserve => Mapping {
                capture: vec![
                    ("first".to_owned(), path("$.first")),
                    ("last".to_owned(), path("$.last")),
                ],
                ..post(
                    "/v1/nonces",
                    json!({"scope": "{{scope}}", "count": "{{count}}"}),
                    201,
                )
            },
            Ask::Watermark => Mapping {
                method: reqwest::Method::GET,
                body: None,
                capture: vec![("reserved_high".to_owned(), path("$.reserved_high"))],
                ..post("/v1/nonces/{{scope}}", Value::Null, 200)
            },
        }
    }
}

fn path(text: &'static str) -> JsonPath {
    JsonPath::parse(text).expect("a path of ours is one")
}

/// `[smoke.requests.NAME]`: what differs from the contract.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct MappingConfig {
    pub method: Option<String>,
    /// Under the target's url; captured values are escaped.
    pub path: Option<String>,
    pub headers: BTreeMap<String, String>,
    /// The JSON body. A text that is nothing but `{{name}}` becomes the value itself, a number
    /// for a number; inside a longer text it is put in.
    pub body: Option<Value>,
    /// Fields of a form instead of JSON (RFC 7009 endpoints take one).
    pub form: Option<BTreeMap<String, String>>,
    /// Statuses that are right.
    pub status: Option<Vec<u16>>,
    /// Names for values of the answer, by JSONPath (RFC 9535).
    pub capture: Option<BTreeMap<String, String>>,
    /// What must stand in the answer, by JSONPath.
    pub expect: Option<BTreeMap<String, Value>>,
}

/// A request, resolved.
#[derive(Debug, Clone)]
pub(super) struct Mapping {
    pub method: reqwest::Method,
    pub path: String,
    pub headers: BTreeMap<String, String>,
    pub body: Option<Value>,
    pub form: Option<BTreeMap<String, String>>,
    pub status: Vec<u16>,
    pub capture: Vec<(String, JsonPath)>,
    pub expect: Vec<(JsonPath, Value)>,
}

impl Mapping {
    /// The mapping of `ask`: the contract's, with what the settings say instead.
    pub fn resolve(ask: Ask, config: Option<&MappingConfig>) -> Result<Self> {
        let mut mapping = ask.of_contract();
        let Some(config) = config else {
            return Ok(mapping);
        };
        let doing = format!("reading [smoke.requests.{}]", ask.name());
        let wrong = |why: String| {
            Problem::new(Exit::Config, &doing, why)
                .next("the settings are described in docs/settings.md")
        };
        if let Some(method) = &config.method {
            mapping.method = method
                .parse()
                .map_err(|_| wrong(format!("`{method}` is not a method")))?;
        }
        if let Some(path) = &config.path {
            if !path.starts_with('/') {
                return Err(wrong("path does not start with /".into()));
            }
            mapping.path.clone_from(path);
        }
        mapping.headers.clone_from(&config.headers);
        if config.body.is_some() && config.form.is_some() {
            return Err(wrong("it has a body and a form".into()));
        }
        if config.body.is_some() || config.form.is_some() {
            mapping.body.clone_from(&config.body);
            mapping.form.clone_from(&config.form);
        }
        if let Some(status) = &config.status {
            mapping.status.clone_from(status);
        }
        let read = |text: &String| {
            JsonPath::parse(text).map_err(|e| wrong(format!("`{text}` is not a JSONPath: {e}")))
        };
        if let Some(capture) = &config.capture {
            let one = |(name, text): (&String, &String)| Ok((name.clone(), read(text)?));
            mapping.capture = capture.iter().map(one).collect::<Result<_>>()?;
        }
        if let Some(expect) = &config.expect {
            let one = |(text, value): (&String, &Value)| Ok((read(text)?, value.clone()));
            mapping.expect = expect.iter().map(one).collect::<Result<_>>()?;
        }
        let captured = |name: &&&str| !mapping.capture.iter().any(|(n, _)| n == **name);
        match ask.must_capture().iter().find(captured) {
            None => Ok(mapping),
            Some(name) => Err(wrong(format!("the checks need it to capture `{name}`"))),
        }
    }
}

/// Puts values into every text of a body.
pub(super) fn fill(template: &Value, values: &Values) -> Result<Value, String> {
    Ok(match template {
        Value::String(text) => match only_name(text) {
            Some(name) => value(name, values)?.clone(),
            None => Value::String(fill_text(text, values, str::to_owned)?),
        },
        Value::Array(items) => {
            let filled = items.iter().map(|v| fill(v, values));
            Value::Array(filled.collect::<Result<_, _>>()?)
        }
        Value::Object(map) => {
            let filled = map.iter().map(|(k, v)| Ok((k.clone(), fill(v, values)?)));
            Value::Object(filled.collect::<Result<_, String>>()?)
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => template.clone(),
    })
}

/// Puts values into a text, each through `escape`.
pub(super) fn fill_text(
    text: &str,
    values: &Values,
    escape: impl Fn(&str) -> String,
) -> Result<String, String> {
    let mut filled = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("{{") {
        let (name, behind) = after
            .split_once("}}")
            .ok_or_else(|| "a `}}` is missing in a template".to_owned())?;
        filled += before;
        filled += &escape(&match value(name.trim(), values)? {
            Value::String(s) => s.clone(),
            other => other.to_string(),
        });
        rest = behind;
    }
    Ok(filled + rest)
}

fn only_name(text: &str) -> Option<&str> {
    let name = text.strip_prefix("{{")?.strip_suffix("}}")?;
    (!name.contains(['{', '}'])).then(|| name.trim())
}

fn value<'a>(name: &str, values: &'a Values) -> Result<&'a Value, String> {
    values
        .get(name)
        .ok_or_else(|| format!("nothing was captured as `{}` before", name.escape_debug()))
}

/// For a segment of a path: everything but unreserved characters (RFC 3986, section 2.3).
pub(super) fn escape_segment(text: &str) -> String {
    let mut escaped = String::new();
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                escaped.push(char::from(byte));
            }
            other => escaped += &format!("%{other:02X}"),
        }
    }
    escaped
}

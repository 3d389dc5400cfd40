//! One number of a JSON answer.

use std::time::Duration;

use reqwest::Url;
use secrecy::ExposeSecret as _;
use serde_json::Value;
use serde_json_path::JsonPath;

use super::{Fill, HttpToken, Said};
use crate::carry::client::{Exchanged, exchange, http, message};

const BODY_BYTES: usize = 1 << 20;
const SHOWN_CHARS: usize = 40;

pub(super) async fn ask(
    url: &str,
    path: &str,
    targets: &[&str],
    fill: &Fill<'_>,
    timeout: Duration,
    tokens: &[HttpToken],
) -> Said {
    let names = targets.join(",");
    let escaped: String = reqwest::Url::parse_with_params("http://x/", [("x", &names)])
        .ok()
        .and_then(|u| Some(u.query()?.strip_prefix("x=")?.to_owned()))
        .unwrap_or(names);
    let (url, path) = match (fill(url, &escaped), JsonPath::parse(path)) {
        (Ok(url), Ok(path)) => (url, path),
        (Err(why), _) => return Said::Wrong(why),
        (_, Err(e)) => return Said::Wrong(format!("its path cannot be read: {e}")),
    };
    let client = match http() {
        Ok(client) => client,
        Err(problem) => return Said::Silent(problem.to_string()),
    };
    let url = match Url::parse(&url) {
        Ok(url) => url,
        Err(e) => return Said::Wrong(format!("its url cannot be read: {e}")),
    };
    let of_settings = tokens.iter().find(|token| token.is_for(&url));
    let token = match of_settings.map(HttpToken::read).transpose() {
        Ok(token) => token,
        Err(problem) => return Said::Silent(problem.to_string()),
    };
    let mut request = client.get(url).timeout(timeout);
    if let Some(token) = &token {
        request = request.bearer_auth(token.expose_secret());
    }
    let answer = match exchange(request, timeout, BODY_BYTES).await {
        Ok(answer) => answer,
        Err(failure) => return Said::Silent(failure.to_string()),
    };
    if token.is_some_and(|token| holds(&answer.body, token.expose_secret())) {
        return Said::Silent(
            "its answer repeats the token that it was sent; it is not read".into(),
        );
    }
    if !answer.status.is_success() {
        return Said::Silent(refused(&answer, of_settings.is_some()));
    }
    let Ok(json) = serde_json::from_slice::<Value>(&answer.body) else {
        let began = message(&answer.body);
        return Said::Silent(format!("its answer is not JSON; it begins: {began}"));
    };
    let found = path.query(&json).all();
    match found.as_slice() {
        [] => Said::Empty(format!("nothing is at {path}{}", top(&json))),
        [Value::Number(n)] => n
            .as_f64()
            .map_or_else(|| Said::Wrong(format!("{n} is too large")), Said::number),
        [Value::Null] => Said::NoNumber(format!("{path} is null")),
        [other] => Said::Wrong(format!("{path} is {} and not a number", kind(other))),
        [one, two, ..] => Said::Wrong(format!(
            "{} values at {path} and not one, such as {} and {}",
            found.len(),
            short(one),
            short(two)
        )),
    }
}

fn holds(body: &[u8], token: &str) -> bool {
    body.windows(token.len()).any(|w| w == token.as_bytes())
}

fn refused(answer: &Exchanged, with_token: bool) -> String {
    let status = answer.status.as_u16();
    let said = match message(&answer.body) {
        said if said.is_empty() => format!("it answered {status}"),
        said => format!("it answered {status}: {said}"),
    };
    match (status, with_token) {
        (300..=399, _) => format!("{said} (redirects are not followed)"),
        (401 | 403, true) => format!("{said} (with the token of [[http_tokens]])"),
        (401 | 403, false) => {
            format!("{said} ([[http_tokens]] of the settings names no token for it)")
        }
        _ => said,
    }
}

/// The keys that there are at the top.
fn top(json: &Value) -> String {
    let Some(object) = json.as_object() else {
        return format!(": the answer is {}", kind(json));
    };
    let mut keys: Vec<&str> = object.keys().map(String::as_str).take(6).collect();
    if object.len() > keys.len() {
        keys.push("…");
    }
    format!("; at the top: {}", keys.join(", "))
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

fn short(value: &Value) -> String {
    match value {
        Value::Number(n) => n.to_string().chars().take(SHOWN_CHARS).collect(),
        other => kind(other).to_owned(),
    }
}

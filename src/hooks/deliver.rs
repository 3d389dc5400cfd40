//! One attempt to tell a hook, and as many as it takes.

use std::process::Stdio;
use std::time::Duration;

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rand::Rng as _;
use secrecy::{ExposeSecret, SecretString};
use tokio::io::AsyncWriteExt as _;
use tokio::time::Instant;
use zeroize::Zeroizing;

use super::Message;
use super::config::{Hook, Secret, To};
use crate::error::Chain;
use crate::programs::Group;

/// The pause after the first failed attempt; each later one is twice as long.
const FIRST_PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Bytes of a signing secret, as Standard Webhooks has it.
const SECRET_BYTES: std::ops::RangeInclusive<usize> = 24..=64;

/// What became of an attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Delivered {
    /// It was taken; what came back.
    Taken(String),
    /// It was not, and trying again would not help.
    Refused(String),
    /// It was not, and trying again may help; not before the receiver wants it.
    NotNow { why: String, wait: Option<Duration> },
}

/// Where what a hook's program prints goes.
#[derive(Debug, Clone, Copy)]
pub enum Output {
    /// Nowhere: a run is driven on this screen.
    Discarded,
    /// Where our stderr goes.
    Shown(fn() -> Stdio),
}

/// Tells a hook, tries again while that may help, and says why it did not work in the end.
pub async fn deliver(hook: &Hook, message: &Message) -> Result<(), String> {
    let until = Instant::now() + hook.give_up_after;
    let mut pause = FIRST_PAUSE;
    let mut attempts = 0;
    loop {
        attempts += 1;
        let (why, wait) = match attempt(hook, message, Output::Discarded).await {
            Delivered::Taken(_) => return Ok(()),
            Delivered::Refused(why) => return Err(why),
            Delivered::NotNow { why, wait } => (why, wait),
        };
        // Hooks of several drivers must not all come back at the same moment.
        let jittered = pause.mul_f64(rand::rng().random_range(0.75..1.25));
        let next = Instant::now() + jittered.max(wait.unwrap_or_default());
        if next >= until {
            return Err(match attempts {
                1 => why,
                attempts => format!("{why} (tried {attempts} times)"),
            });
        }
        tokio::time::sleep_until(next).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

/// Tells a hook once. No secret is in what it returns, and no address beyond the host's name.
pub async fn attempt(hook: &Hook, message: &Message, output: Output) -> Delivered {
    match &hook.to {
        To::Command(argv) => run(argv, hook.timeout, &message.to_json(), output).await,
        To::Url { url, secret } => {
            let key = match key(secret) {
                Ok(key) => key,
                Err(why) => return Delivered::Refused(why),
            };
            post(url.clone(), &key, hook.timeout, message).await
        }
    }
}

async fn run(argv: &[String], timeout: Duration, message: &str, output: Output) -> Delivered {
    let Some((program, arguments)) = argv.split_first() else {
        return Delivered::Refused("it names no program".into());
    };
    let mut command = tokio::process::Command::new(program);
    command.args(arguments).stdin(Stdio::piped());
    match output {
        Output::Discarded => command.stdout(Stdio::null()).stderr(Stdio::null()),
        // Its stderr is ours already.
        Output::Shown(stderr) => command.stdout(stderr()),
    };
    let mut group = match Group::spawn(&mut command) {
        Ok(group) => group,
        Err(e) => return Delivered::Refused(format!("it could not be started: {e}")),
    };
    let stdin = group.stdin();
    let ended = tokio::time::timeout(timeout, async {
        if let Some(mut stdin) = stdin {
            // A program need not read what it is told.
            let _ = stdin.write_all(format!("{message}\n").as_bytes()).await;
        }
        group.wait().await
    });
    match ended.await {
        Ok(Ok(status)) if status.success() => Delivered::Taken(format!("it ended with {status}")),
        Ok(Ok(status)) => Delivered::Refused(format!("it ended with {status}")),
        Ok(Err(e)) => Delivered::Refused(e.to_string()),
        Err(_) => Delivered::Refused(format!(
            "it did not end within {} s and was stopped",
            timeout.as_secs_f64()
        )),
    }
}

async fn post(
    url: reqwest::Url,
    key: &hmac::Key,
    timeout: Duration,
    message: &Message,
) -> Delivered {
    let client = match client(timeout) {
        Ok(client) => client,
        Err(e) => return Delivered::Refused(Chain(&e).to_string()),
    };
    let body = message.to_json();
    // The time of this attempt, not of the event: receivers refuse what is old.
    let timestamp = jiff::Timestamp::now().as_second();
    let signature = sign(key, &message.id, timestamp, &body);
    let request = client
        .post(url)
        .header("content-type", "application/json")
        .header("webhook-id", &message.id)
        .header("webhook-timestamp", timestamp)
        .header("webhook-signature", signature)
        .body(body);
    match request.send().await {
        Ok(answer) => judge(&answer),
        Err(e) if e.is_timeout() && !e.is_connect() => Delivered::NotNow {
            why: format!("no answer within {} s", timeout.as_secs_f64()),
            wait: None,
        },
        Err(e) => Delivered::NotNow {
            why: format!("no connection: {}", innermost(&e)),
            wait: None,
        },
    }
}

/// Only the innermost cause says something, and it names no address.
fn innermost(error: &reqwest::Error) -> String {
    let mut innermost: &dyn std::error::Error = error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    innermost.to_string()
}

fn judge(answer: &reqwest::Response) -> Delivered {
    let status = answer.status();
    let said = format!("it answered {}", status.as_u16());
    if status.is_success() {
        Delivered::Taken(said)
    } else if status.is_server_error() || status.as_u16() == 429 {
        Delivered::NotNow {
            why: said,
            wait: retry_after(answer),
        }
    } else if status.is_redirection() {
        Delivered::Refused(format!("{said}, and a redirect is not followed"))
    } else {
        Delivered::Refused(said)
    }
}

/// RFC 9110, section 10.2.3; its form as a date is not heeded.
fn retry_after(answer: &reqwest::Response) -> Option<Duration> {
    let value = answer.headers().get("retry-after")?.to_str().ok()?;
    value.trim().parse().ok().map(Duration::from_secs)
}

/// Bounded, through no proxy that happens to stand in the environment, and following no redirect:
/// what is signed for one receiver is not carried to another.
fn client(timeout: Duration) -> reqwest::Result<reqwest::Client> {
    reqwest::Client::builder()
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .connect_timeout(CONNECT_TIMEOUT.min(timeout))
        .timeout(timeout)
        .user_agent(concat!("dbctl/", env!("CARGO_PKG_VERSION")))
        .build()
}

/// Standard Webhooks 1.0.0: `v1,` and the HMAC-SHA256 of `id.timestamp.body` in base64.
fn sign(key: &hmac::Key, id: &str, timestamp: i64, body: &str) -> String {
    let signed = hmac::sign(key, format!("{id}.{timestamp}.{body}").as_bytes());
    format!("v1,{}", STANDARD.encode(signed))
}

/// The key of a secret; no error holds any of it.
fn key(secret: &Secret) -> Result<hmac::Key, String> {
    let (origin, text) = match secret {
        Secret::File(file) => {
            let read = crate::pg::read_secret_line(file, "the hook's secret");
            (file.display().to_string(), read.map_err(|p| p.to_string())?)
        }
        Secret::Variable(name) => {
            let value = std::env::var(name).map_err(|_| format!("{name} is not set"))?;
            (name.clone(), SecretString::from(value))
        }
    };
    let text = text.expose_secret().trim();
    let text = text.strip_prefix("whsec_").unwrap_or(text);
    let bytes = STANDARD.decode(text).map(Zeroizing::new);
    let bytes = bytes
        .map_err(|_| format!("{origin} does not hold base64, with or without whsec_ before it"))?;
    if !SECRET_BYTES.contains(&bytes.len()) {
        return Err(format!(
            "the secret in {origin} has {} bytes; {} to {} are wanted",
            bytes.len(),
            SECRET_BYTES.start(),
            SECRET_BYTES.end()
        ));
    }
    Ok(hmac::Key::new(hmac::HMAC_SHA256, &bytes))
}

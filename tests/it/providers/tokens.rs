//! A token for what is asked over HTTP: who gets it, and that nobody else does.

use std::os::unix::fs::PermissionsExt as _;
use std::sync::{Arc, Mutex};

use axum::http::{HeaderMap, StatusCode, Uri};

use super::scene::{assert_says, dry, runbook, settle, start};
use crate::support::fleet::Fleet;
use crate::support::programs::block;

const TOKEN: &str = "open-sesame-0123456789";

/// A server that wants the token at `/in`, sends whoever comes to `/away` elsewhere, repeats the
/// token at `/echo` and in the middle of what it says at `/refuses`, and keeps who was let in.
struct Guarded {
    url: String,
    tokens: Arc<Mutex<Vec<Option<String>>>>,
}

impl Guarded {
    fn sending_away_to(elsewhere: &str) -> Self {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address");
        listener.set_nonblocking(true).expect("as tokio wants it");
        let tokens: Arc<Mutex<Vec<Option<String>>>> = Arc::default();
        let (kept, elsewhere) = (tokens.clone(), elsewhere.to_owned());
        let answer = move |uri: Uri, headers: HeaderMap| {
            let token = headers.get("authorization").and_then(|v| v.to_str().ok());
            let token = token.map(str::to_owned);
            kept.lock().expect("not poisoned").push(token.clone());
            let right = token.as_deref() == Some(&format!("Bearer {TOKEN}"));
            let (status, body) = match uri.path() {
                "/in" if right => (200, "{\"errors\":0.25}".to_owned()),
                "/in" => (401, "{\"message\":\"who are you?\"}".to_owned()),
                "/away" => (307, String::new()),
                "/echo" => (200, format!("{{\"errors\":0,\"you\":\"{token:?}\"}}")),
                "/refuses" => (403, format!("no, {token:?} may not")),
                _ => (200, "{\"errors\":0.5}".to_owned()),
            };
            let status = StatusCode::from_u16(status).expect("a status");
            std::future::ready((status, [("location", elsewhere.clone())], body))
        };
        std::thread::spawn(move || {
            block(async {
                let listener = tokio::net::TcpListener::from_std(listener).expect("a listener");
                let app = axum::Router::new().fallback(answer);
                axum::serve(listener, app).await.expect("it serves");
            });
        });
        Self {
            url: format!("http://{address}"),
            tokens,
        }
    }

    fn take(&self) -> Vec<Option<String>> {
        std::mem::take(&mut self.tokens.lock().expect("not poisoned"))
    }
}

fn gate(url: &str) -> String {
    format!("measure = {{ http = {{ url = '{url}', path = '$.errors' }} }}\nmax = 1")
}

#[test]
fn a_token_goes_to_its_origin_and_nowhere_else_and_is_never_shown() {
    let fleet = Fleet::local(&["auth-1", "auth-2"]);
    let other = Guarded::sending_away_to("http://127.0.0.1:9/");
    let guarded = Guarded::sending_away_to(&format!("{}/in", other.url));
    settle(
        &fleet,
        &format!(
            "[[http_tokens]]\norigin = \"{}\"\ntoken_file = \"token\"\n",
            guarded.url
        ),
    );
    let file = fleet.path().join("token");
    std::fs::write(&file, format!("{TOKEN}\n")).expect("written");
    let mode = |mode| std::fs::set_permissions(&file, std::fs::Permissions::from_mode(mode));
    let mut shown = Vec::new();

    runbook(&fleet, &[("in", &gate(&format!("{}/in", guarded.url)))]);
    mode(0o644).expect("its mode");
    let open = start(&fleet);
    assert_says(&open, 3, &["others can read the file", "chmod 600"]);
    assert_eq!(guarded.take(), []);
    mode(0o600).expect("its mode");
    shown.extend([open, dry(&fleet)]);

    // One server that it is for, and one on another port that it is not for.
    let elsewhere = gate(&format!("{}/in", other.url));
    let here = gate(&format!("{}/in", guarded.url));
    runbook(&fleet, &[("here", &here), ("elsewhere", &elsewhere)]);
    guarded.take();
    let seen = dry(&fleet);
    assert_says(
        &seen,
        4,
        &[
            "elsewhere: it answered 401: who are you? ([[http_tokens]] of the settings names no token for it)",
        ],
    );
    assert_eq!(guarded.take(), [Some(format!("Bearer {TOKEN}"))]);
    assert_eq!(other.take(), [None]);
    shown.push(seen);

    let at = |path: &str| gate(&format!("{}{path}", guarded.url));
    runbook(
        &fleet,
        &[
            ("away", &at("/away")),
            ("echo", &at("/echo")),
            ("refuses", &at("/refuses")),
        ],
    );
    let seen = dry(&fleet);
    assert_says(
        &seen,
        4,
        &[
            "away: it answered 307 (redirects are not followed)",
            "echo: its answer repeats the token that it was sent; it is not read",
            "refuses: its answer repeats the token that it was sent; it is not read",
        ],
    );
    assert_eq!(other.take(), [], "the redirect was followed");
    shown.push(seen);

    runbook(&fleet, &[("in", &here)]);
    shown.push(start(&fleet));
    assert_eq!(shown.last().expect("a run").code, 0);
    let log = fleet.run(&["rollout", "log", "--format", "json"]);
    assert!(log.stdout.contains("0.25"), "{}", log.stdout);
    shown.push(log);
    for seen in shown {
        assert!(!seen.stderr.contains("sesame") && !seen.stdout.contains("sesame"));
    }
}

#[test]
fn what_is_no_origin_of_a_token_is_refused_with_the_settings() {
    let fleet = Fleet::local(&["auth-1"]);
    runbook(&fleet, &[("in", &gate("http://127.0.0.1:9/"))]);
    let file = fleet.settings_file();
    let plain = std::fs::read_to_string(&file).expect("settings");
    let token =
        |origin: &str| format!("[[http_tokens]]\norigin = \"{origin}\"\ntoken_file = \"token\"\n");
    for (settings, why) in [
        (
            token("http://stats.example.com"),
            "origin is plain http: others on the way could read the token",
        ),
        (
            token("https://stats.example.com/api"),
            "origin is a scheme, a host and a port, without a path",
        ),
        (
            token("https://me:pw@stats.example.com"),
            "origin holds a name or a password",
        ),
        (
            token("https://stats.example.com") + &token("https://stats.example.com:443/"),
            "http_tokens names https://stats.example.com twice",
        ),
    ] {
        std::fs::write(&file, &plain).expect("written");
        settle(&fleet, &settings);
        let seen = dry(&fleet);
        assert_says(&seen, 3, &[why]);
        assert!(!seen.stderr.contains("me:pw"), "{}", seen.stderr);
    }
}

//! A real HTTP server that keeps what it is sent, and answers as a test wants it.

use std::sync::{Arc, Mutex};

use axum::body::Bytes;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Response};

/// What the server does with its requests, the first of which has the number 0.
pub enum Reply {
    Status(u16),
    RedirectTo(String),
    /// The connection stays open, and nothing comes.
    Never,
}

pub struct Received {
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl Received {
    pub fn header(&self, name: &str) -> &str {
        let value = self.headers.get(name).expect(name);
        value.to_str().expect("printable")
    }

    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).expect("JSON")
    }
}

/// Serves until the test's process ends.
pub struct Receiver {
    pub url: String,
    seen: Arc<Mutex<Vec<Received>>>,
}

impl Receiver {
    pub fn that(reply: impl Fn(usize) -> Reply + Send + Sync + 'static) -> Self {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address");
        listener.set_nonblocking(true).expect("as tokio wants it");
        let seen: Arc<Mutex<Vec<Received>>> = Arc::default();
        let (kept, reply) = (seen.clone(), Arc::new(reply));
        let hook = move |headers: HeaderMap, body: Bytes| {
            let mut seen = kept.lock().expect("not poisoned");
            let reply = reply(seen.len());
            seen.push(Received { headers, body });
            drop(seen);
            answer(reply)
        };
        std::thread::spawn(move || {
            super::programs::block(async {
                let listener = tokio::net::TcpListener::from_std(listener).expect("a listener");
                let app = axum::Router::new().route("/hook", axum::routing::post(hook));
                axum::serve(listener, app).await.expect("it serves");
            });
        });
        Self {
            url: format!("http://{address}/hook"),
            seen,
        }
    }

    /// Takes out what has come so far.
    pub fn take(&self) -> Vec<Received> {
        std::mem::take(&mut self.seen.lock().expect("not poisoned"))
    }

    pub fn count(&self) -> usize {
        self.seen.lock().expect("not poisoned").len()
    }
}

async fn answer(reply: Reply) -> Response {
    match reply {
        Reply::Status(status) => StatusCode::from_u16(status)
            .expect("a status")
            .into_response(),
        Reply::RedirectTo(url) => {
            (StatusCode::TEMPORARY_REDIRECT, [("location", url)]).into_response()
        }
        Reply::Never => std::future::pending().await,
    }
}

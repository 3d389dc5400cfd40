//! A real Prometheus that scrapes a test's services once a second, and something that is none.
#![allow(dead_code)] // Not every test module uses every part.

use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use axum::http::{HeaderMap, StatusCode, Uri};
use serde_json::Value;

use super::fleet::Fleet;
use super::postgres::free_port;
use super::service::Http;

/// Ended with its value.
pub struct Prometheus {
    child: Option<Child>,
    port: u16,
    http: Http,
    _dir: tempfile::TempDir,
}

impl Prometheus {
    /// Scrapes every instance of the fleet; returns when it has done so twice.
    pub fn scraping(fleet: &Fleet) -> Self {
        let urls: Vec<String> = fleet.each(|i| i.url().to_owned());
        let addresses: Vec<String> = urls
            .iter()
            .map(|url| format!("\"{}\"", url.trim_start_matches("http://")))
            .collect();
        let prometheus = Self::start(&addresses.join(", "));
        let count = urls.len().to_string();
        prometheus.until("count(count_over_time(up[30s]) > 1)", &count);
        prometheus
    }

    fn start(addresses: &str) -> Self {
        let dir = tempfile::Builder::new()
            .prefix("dbctl-test-prometheus-")
            .tempdir()
            .expect("a temporary directory");
        let config = dir.path().join("prometheus.yml");
        let text = format!(
            "global:\n  scrape_interval: 1s\n  scrape_timeout: 900ms\n\
             scrape_configs:\n  - job_name: auth\n    static_configs:\n      - targets: [{addresses}]\n"
        );
        std::fs::write(&config, text).expect("written");
        let port = free_port();
        let child = Command::new("prometheus")
            .arg(format!("--config.file={}", config.display()))
            .arg(format!(
                "--storage.tsdb.path={}",
                dir.path().join("data").display()
            ))
            .arg(format!("--web.listen-address=127.0.0.1:{port}"))
            .arg("--log.level=error")
            .current_dir(dir.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("tests need Prometheus: run `tests/run`, which brings it");
        Self {
            child: Some(child),
            port,
            http: Http::new(),
            _dir: dir,
        }
    }

    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// `[environments.production.metrics]` for `dbctl.toml`.
    pub fn settings(&self) -> String {
        settings(&self.url())
    }

    /// Waits until an expression has one series with this value.
    pub fn until(&self, query: &str, value: &str) {
        let give_up = Instant::now() + Duration::from_secs(30);
        loop {
            let seen = self.query(query);
            if seen
                .as_ref()
                .is_some_and(|v| v["data"]["result"][0]["value"][1] == value)
            {
                return;
            }
            assert!(Instant::now() < give_up, "never {value}: {query}: {seen:?}");
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    fn query(&self, query: &str) -> Option<Value> {
        // Not before it listens.
        std::net::TcpStream::connect(("127.0.0.1", self.port)).ok()?;
        let request = reqwest::Client::new()
            .post(format!("{}/api/v1/query", self.url()))
            .form(&[("query", query)]);
        Some(self.http.send(request).body)
    }

    /// SIGKILL.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        self.kill();
    }
}

pub fn settings(url: &str) -> String {
    format!("[environments.production.metrics]\nprometheus = \"{url}\"\nscrape_interval = \"1s\"\n")
}

/// A server that answers every request with what `reply` says of its path and headers. Serves
/// until the test's process ends; returns its URL.
pub fn server(
    reply: impl Fn(&str, &HeaderMap) -> (u16, String) + Clone + Send + Sync + 'static,
) -> String {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    listener.set_nonblocking(true).expect("as tokio wants it");
    let answer = move |uri: Uri, headers: HeaderMap| {
        let (status, body) = reply(uri.path(), &headers);
        let status = StatusCode::from_u16(status).expect("a status");
        std::future::ready((status, body))
    };
    std::thread::spawn(move || {
        super::programs::block(async {
            let listener = tokio::net::TcpListener::from_std(listener).expect("a listener");
            let app = axum::Router::new().fallback(answer);
            axum::serve(listener, app).await.expect("it serves");
        });
    });
    format!("http://{address}")
}

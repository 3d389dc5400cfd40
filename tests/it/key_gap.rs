//! P3 on real processes, by a record that is kept outside of them: every token that was issued, by
//! whom it was verified while it was alive, and what was said.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::{Child, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value, json};

use crate::support::cli::dbctl;
use crate::support::service::{Backed, Instance, eventually, token};

/// Waits that fit into a test: what instances hold on to is shorter than what dbctl waits for.
const CACHE: Duration = Duration::from_secs(4);
const LIFETIME: Duration = Duration::from_secs(4);

/// A token that was issued.
#[derive(Debug, Clone)]
struct Issued {
    token: String,
    kid: String,
    expires_at: jiff::Timestamp,
}

#[derive(Default)]
struct Record {
    issued: Mutex<Vec<Issued>>,
    /// Live tokens that somebody did not accept: who, and what was said.
    gaps: Mutex<Vec<String>>,
    verified: Mutex<BTreeSet<(String, String)>>,
    stop: AtomicBool,
}

impl Record {
    fn goes_on(&self) -> bool {
        !self.stop.load(Ordering::SeqCst)
    }

    /// One of the youngest tokens that still live for a while, or nothing.
    fn live(&self) -> Option<Issued> {
        let issued = self.issued.lock().expect("a record");
        let soon = jiff::Timestamp::now() + jiff::SignedDuration::from_millis(300);
        let live: Vec<&Issued> = issued
            .iter()
            .rev()
            .take(400)
            .filter(|i| i.expires_at > soon)
            .collect();
        let chosen = rand::random_range(0..live.len().max(1));
        live.get(chosen).map(|i| (*i).clone())
    }

    /// Notes what a verifier said of a token; what expired meanwhile says nothing.
    fn note(&self, issued: &Issued, who: &str, said: &str) {
        let mut verified = self.verified.lock().expect("a record");
        if said == "ok" {
            verified.insert((who.to_owned(), issued.kid.clone()));
        } else if jiff::Timestamp::now() < issued.expires_at {
            let mut gaps = self.gaps.lock().expect("a record");
            gaps.push(format!("{who}: {said} for kid {}", issued.kid));
        }
    }

    fn gaps(&self) -> Vec<String> {
        self.gaps.lock().expect("a record").clone()
    }
}

async fn post(client: &reqwest::Client, url: String, body: Value) -> Option<Value> {
    let answer = client.post(url).json(&body).send().await.ok()?;
    answer.json().await.ok()
}

/// Issues at one instance. What it does not answer it has not issued.
async fn issue(url: String, record: Arc<Record>) {
    let client = reqwest::Client::new();
    while record.goes_on() {
        let body = json!({"subject": "alice"});
        if let Some(answer) = post(&client, format!("{url}/v1/tokens"), body).await
            && let Some(token) = answer["token"].as_str()
        {
            let text = |name: &str| answer[name].as_str().expect("a string").to_owned();
            record.issued.lock().expect("a record").push(Issued {
                token: token.to_owned(),
                kid: text("kid"),
                expires_at: text("expires_at").parse().expect("a time"),
            });
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
}

/// Verifies at one instance whatever was issued by any.
async fn verify(who: String, url: String, record: Arc<Record>) {
    let client = reqwest::Client::new();
    while record.goes_on() {
        tokio::time::sleep(Duration::from_millis(10)).await;
        let Some(issued) = record.live() else {
            continue;
        };
        let body = json!({"token": issued.token});
        if let Some(answer) = post(&client, format!("{url}/v1/tokens/verify"), body).await {
            let said = answer["reason_code"].as_str().unwrap_or("nothing");
            record.note(&issued, &who, said);
        }
    }
}

/// Another team's verifier: it fetches the key set and keeps it for as long as it may.
async fn keep_key_set(who: String, url: String, record: Arc<Record>) {
    let client = reqwest::Client::new();
    while record.goes_on() {
        let fetched = tokio::time::Instant::now();
        let set = client
            .get(format!("{url}/.well-known/jwks.json"))
            .send()
            .await;
        let set: Value = match set {
            Ok(answer) => answer.json().await.expect("a key set"),
            Err(_) => continue,
        };
        let keys = set["keys"].as_array().expect("keys").clone();
        let known: BTreeSet<&str> = keys.iter().filter_map(|k| k["kid"].as_str()).collect();
        while record.goes_on() {
            // Chosen before the look at the clock: what was there then must be known.
            let Some(issued) = record.live() else {
                tokio::time::sleep(Duration::from_millis(5)).await;
                continue;
            };
            if fetched.elapsed() >= CACHE {
                break;
            }
            let said = match known.contains(&*issued.kid) {
                true => "ok",
                false => "unknown kid",
            };
            record.note(&issued, &who, said);
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

struct Scene {
    dir: tempfile::TempDir,
    backed: Backed,
    instances: Vec<Instance>,
    record: Arc<Record>,
    runtime: tokio::runtime::Runtime,
}

impl Scene {
    fn new() -> Self {
        let dir = tempfile::tempdir().expect("a folder");
        let backed = Backed::new(dir.path());
        let settings = format!(
            "[keys]\nverifier_cache = \"4s\"\ntoken_lifetime = \"4s\"\nclock_skew = \"4s\"\n\
             [environments.test]\ndatabase_url = \"{}\"\nkek_file = \"kek.b64\"\n",
            backed.db.url
        );
        std::fs::write(dir.path().join("dbctl.toml"), settings).expect("written");
        let mut instances = Vec::new();
        for name in ["auth-1", "auth-2"] {
            let mut instance = Instance::new(dir.path(), name);
            backed.know(&instance);
            instance.set_mode("postgres");
            instance.set(
                "SERVICE_TOKEN_LIFETIME",
                &format!("{}s", LIFETIME.as_secs()),
            );
            instance.set("SERVICE_KEY_MAX_AGE", "2s");
            instance.start();
            instances.push(instance);
        }
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .expect("a runtime");
        Self {
            dir,
            backed,
            instances,
            record: Arc::default(),
            runtime,
        }
    }

    fn traffic(&self) {
        for instance in &self.instances {
            let (url, record) = (instance.url().to_owned(), &self.record);
            let who = instance
                .dir()
                .file_name()
                .expect("a name")
                .to_string_lossy();
            self.runtime.spawn(issue(url.clone(), record.clone()));
            self.runtime.spawn(verify(
                who.clone().into_owned(),
                url.clone(),
                record.clone(),
            ));
            let who = format!("key set of {who}");
            self.runtime.spawn(keep_key_set(who, url, record.clone()));
        }
    }

    fn rotate(&self, more: &[&str]) -> Child {
        rotate(self.dir.path(), more)
    }

    fn states(&self) -> String {
        self.backed.db.psql(
            "SELECT string_agg(version || ' ' || state, ', ' ORDER BY version) \
             FROM security.signing_key_versions",
        )
    }
}

fn rotate(dir: &Path, more: &[&str]) -> Child {
    let args = [&["--env", "test", "keys", "rotate"], more].concat();
    dbctl(dir, &args)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the binary starts")
}

#[test]
fn no_verifier_misses_a_live_token_during_a_rotation_and_one_does_when_the_wait_is_skipped() {
    let scene = Scene::new();
    scene.traffic();
    let first = scene.rotate(&["--wait"]);
    // Killed in the middle of its wait: the next one goes on.
    std::thread::sleep(Duration::from_secs(2));
    let mut first = first;
    first.kill().expect("killed");
    first.wait().expect("gone");
    let seen = scene
        .rotate(&["--wait"])
        .wait_with_output()
        .expect("it ends");
    let error = String::from_utf8_lossy(&seen.stderr).into_owned();
    assert!(seen.status.success(), "{error}");
    assert_eq!(scene.states(), "1 retired, 2 current", "{error}");
    eventually("the new version signs everywhere", || {
        let issued = scene.record.issued.lock().expect("a record");
        let kids: BTreeSet<&str> = issued.iter().map(|i| &*i.kid).collect();
        kids.len() == 2
    });
    assert_eq!(scene.record.gaps(), [""; 0], "gaps");
    {
        // Each verifier has seen tokens of both versions.
        let verified = scene.record.verified.lock().expect("a record");
        assert_eq!(verified.len(), 4 * 2, "{verified:?}");
    }

    // The record is able to see a gap: the same without the wait.
    let early = [
        "--emergency",
        "--again-after",
        "1ms",
        "--confirm",
        "access-tokens",
    ];
    let seen = scene.rotate(&early).wait_with_output().expect("it ends");
    assert!(
        seen.status.success(),
        "{}",
        String::from_utf8_lossy(&seen.stderr)
    );
    eventually("a verifier with an old key set misses a token", || {
        scene
            .record
            .gaps()
            .iter()
            .any(|gap| gap.contains("unknown kid"))
    });
    scene.record.stop.store(true, Ordering::SeqCst);
}

#[test]
fn a_revoked_version_signs_no_more_and_is_refused_everywhere() {
    let mut scene = Scene::new();
    let old = scene.instances[0].issue("alice");
    let kid = old["kid"].as_str().expect("a kid").to_owned();
    assert!(scene.rotate(&[]).wait().expect("it ends").success());
    let revoke = ["--env", "test", "keys", "revoke", "1", "--reason", "leaked"];
    let args = [&revoke[..], &["--emergency", "--confirm", "access-tokens"]].concat();
    let seen = crate::support::cli::run(scene.dir.path(), &args);
    assert_eq!(seen.code, 0, "{}", seen.stderr);
    for instance in &scene.instances {
        eventually("the revoked version is refused", || {
            instance.verify(token(&old)) == (401, "unknown_key".to_owned())
        });
        eventually("the successor signs", || {
            instance.issue("bob")["kid"] != *kid
        });
    }
    // And by one that starts anew.
    scene.instances[0].kill();
    scene.instances[0].start();
    let refused = scene.instances[0].verify(token(&old));
    assert_eq!(refused, (401, "unknown_key".to_owned()));
}

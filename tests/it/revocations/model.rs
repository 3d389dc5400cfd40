//! P2 with a record outside: every revocation that was ever acknowledged, and every answer that
//! allowed something, while instances, backends and the whole server are killed and a purge runs.

use std::collections::HashMap;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};
use serde_json::{Value, json};

use crate::support::cli::run;
use crate::support::service::{Backed, Instance};

/// What the instances run with.
const BOUND: Duration = Duration::from_millis(500);

/// How long the traffic goes on.
const LASTS: Duration = Duration::from_secs(20);

/// What nobody but the test knows.
#[derive(Default)]
struct Record {
    tokens: Mutex<Vec<Issued>>,
    /// When the acknowledgement of a revocation came, by token or session.
    revoked: Mutex<HashMap<String, Instant>>,
    broken: Mutex<Vec<String>>,
    allowed: AtomicU64,
    denied: AtomicU64,
    unknown: AtomicU64,
}

#[derive(Clone)]
struct Issued {
    token: String,
    id: String,
    session: String,
}

/// Where the instances serve; none while one is down.
type Urls = Arc<[Mutex<Option<String>>; 2]>;

struct World {
    record: Record,
    urls: Urls,
    stop: AtomicBool,
    client: reqwest::Client,
}

impl World {
    async fn post(&self, at: usize, path: &str, body: Value) -> Option<(u16, Value)> {
        let url = self.urls[at].lock().expect("no panic").clone()?;
        let request = self.client.post(url + path).json(&body).send();
        let answer = request.await.ok()?;
        let status = answer.status().as_u16();
        Some((status, answer.json().await.ok()?))
    }

    async fn some_token(&self, random: &mut StdRng) -> Option<Issued> {
        let known = {
            let tokens = self.record.tokens.lock().expect("no panic");
            let recent = tokens.len().saturating_sub(300);
            tokens
                .get(random.random_range(recent..tokens.len().max(recent + 1)))
                .cloned()
        };
        if known.is_some() && random.random_bool(0.8) {
            return known;
        }
        let at = random.random_range(0..2);
        let (status, body) = self.post(at, "/v1/tokens", json!({"subject": "a"})).await?;
        if status != 201 {
            return None;
        }
        let text = |name: &str| body[name].as_str().unwrap_or_default().to_owned();
        let issued = Issued {
            token: text("token"),
            id: text("token_id"),
            session: text("session_id"),
        };
        self.record
            .tokens
            .lock()
            .expect("no panic")
            .push(issued.clone());
        Some(issued)
    }

    async fn revoke(&self, random: &mut StdRng, issued: &Issued) {
        let at = random.random_range(0..2);
        let (path, name, id) = match random.random_bool(0.7) {
            true => ("/v1/tokens/revoke", "token_id", &issued.id),
            false => ("/v1/sessions/revoke", "session_id", &issued.session),
        };
        if let Some((200, _)) = self.post(at, path, json!({name: id})).await {
            // From here on nobody may accept it for longer than the bound.
            let mut revoked = self.record.revoked.lock().expect("no panic");
            revoked.entry(id.clone()).or_insert_with(Instant::now);
        }
    }

    async fn verify(&self, at: usize, issued: &Issued) {
        let revoked_at = {
            let revoked = self.record.revoked.lock().expect("no panic");
            let at = [&issued.id, &issued.session].map(|id| revoked.get(id).copied());
            at.into_iter().flatten().min()
        };
        let begun = Instant::now();
        let answer = self
            .post(at, "/v1/tokens/verify", json!({"token": issued.token}))
            .await;
        let count = match answer {
            Some((200, _)) => {
                if revoked_at.is_some_and(|at| at + BOUND < begun) {
                    let late = begun - revoked_at.expect("it is") - BOUND;
                    let said = format!("{} allowed {:?} after the bound", issued.id, late);
                    self.record.broken.lock().expect("no panic").push(said);
                }
                &self.record.allowed
            }
            Some((401, _)) => &self.record.denied,
            Some(_) | None => &self.record.unknown,
        };
        count.fetch_add(1, Ordering::Relaxed);
    }

    async fn traffic(self: Arc<Self>, seed: u64) {
        let mut random = StdRng::seed_from_u64(seed);
        while !self.stop.load(Ordering::Relaxed) {
            let Some(issued) = self.some_token(&mut random).await else {
                tokio::time::sleep(Duration::from_millis(20)).await;
                continue;
            };
            if random.random_bool(0.15) {
                self.revoke(&mut random, &issued).await;
            }
            self.verify(random.random_range(0..2), &issued).await;
        }
    }
}

#[test]
fn nothing_revoked_comes_back_whatever_is_killed() {
    let seed = std::env::var("DBCTL_TEST_SEED")
        .ok()
        .and_then(|s| s.parse().ok());
    let seed: u64 = seed.unwrap_or_else(rand::random);
    println!("DBCTL_TEST_SEED={seed}");
    let dir = tempfile::tempdir().expect("a folder");
    let backed = Backed::new(dir.path());
    let mut one = Instance::new(dir.path(), "one");
    let mut two = Instance::beside(&one, "two");
    for instance in [&mut one, &mut two] {
        backed.know(instance);
        instance.set_mode("postgres");
        instance.set("SERVICE_REVOCATION_CACHE", "500ms");
        instance.start();
    }
    // Something to purge meanwhile.
    backed.db.psql(
        "CREATE ROLE cron LOGIN IN ROLE security_janitor; \
         INSERT INTO security.revoked_tokens (token_id, expires_at) \
         SELECT 'old-' || i, now() - interval '1 hour' FROM generate_series(1, 20000) i",
    );
    let mut instances = [one, two];
    let urls = [0, 1].map(|i: usize| Mutex::new(Some(instances[i].url().to_owned())));
    let world = Arc::new(World {
        record: Record::default(),
        urls: Arc::new(urls),
        stop: AtomicBool::new(false),
        client: reqwest::Client::builder()
            .timeout(Duration::from_secs(5))
            .build()
            .expect("a client"),
    });
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let tasks: Vec<_> = (0..6)
        .map(|n| runtime.spawn(Arc::clone(&world).traffic(seed.wrapping_add(n))))
        .collect();
    let mut random = StdRng::seed_from_u64(!seed);
    let until = Instant::now() + LASTS;
    while Instant::now() < until {
        std::thread::sleep(Duration::from_millis(random.random_range(300..1_500)));
        harm(&mut random, &backed, &mut instances, &world);
    }
    world.stop.store(true, Ordering::Relaxed);
    for task in tasks {
        runtime.block_on(task).expect("no panic");
    }
    let record = &world.record;
    let (allowed, denied) = (&record.allowed, &record.denied);
    let seen = format!(
        "seed {seed}: {} allowed, {} denied, {} unknown, {} revoked",
        allowed.load(Ordering::Relaxed),
        denied.load(Ordering::Relaxed),
        record.unknown.load(Ordering::Relaxed),
        record.revoked.lock().expect("no panic").len()
    );
    println!("{seen}");
    let broken = record.broken.lock().expect("no panic");
    assert!(broken.is_empty(), "{seen}\n{}", broken.join("\n"));
    assert!(
        allowed.load(Ordering::Relaxed) > 0 && denied.load(Ordering::Relaxed) > 0,
        "{seen}"
    );
    the_end(&backed, &mut instances, &world);
}

/// One of the faults.
fn harm(random: &mut StdRng, backed: &Backed, instances: &mut [Instance; 2], world: &World) {
    let server = backed.db.server();
    match random.random_range(0..5) {
        0 => {
            let n = random.random_range(0..2);
            *world.urls[n].lock().expect("no panic") = None;
            instances[n].kill();
            instances[n].start();
            *world.urls[n].lock().expect("no panic") = Some(instances[n].url().to_owned());
        }
        1 => {
            // A backend in the middle of something: the whole server recovers from it.
            let sql = "SELECT pid FROM pg_stat_activity WHERE usename = 'auth_service' LIMIT 1";
            let pid = backed.db.try_psql_as("postgres", sql);
            let pid = pid
                .ok()
                .and_then(|pid| rustix::process::Pid::from_raw(pid.parse().ok()?));
            if let Some(pid) = pid {
                let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
            }
            while backed.db.try_psql_as("postgres", "SELECT 1").is_err() {
                std::thread::sleep(Duration::from_millis(50));
            }
        }
        2 => {
            server.kill();
            server.start();
        }
        3 => {
            let sql = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'auth_service'";
            backed.db.psql(sql);
        }
        _ => {
            let url = backed.db.url_as("cron");
            let args = [
                "--database-url",
                &url,
                "security",
                "purge",
                "--batch",
                "200",
                "--pause",
                "1ms",
            ];
            let purged = run(Path::new("/"), &args);
            assert_eq!(purged.code, 0, "{}", purged.stderr);
        }
    }
}

/// Afterwards every acknowledged revocation is there, and every instance denies it, also one that
/// has just begun.
fn the_end(backed: &Backed, instances: &mut [Instance; 2], world: &World) {
    instances[0].kill();
    instances[0].start();
    let revoked = world.record.revoked.lock().expect("no panic");
    let ids: Vec<_> = revoked.keys().map(|id| format!("'{id}'")).collect();
    let there = backed.db.psql(&format!(
        "SELECT count(*) FROM unnest(ARRAY[{}]::text[]) id \
          WHERE EXISTS (SELECT FROM security.revoked_tokens WHERE token_id = id) \
             OR EXISTS (SELECT FROM security.revoked_sessions WHERE session_id = id)",
        ids.join(",")
    ));
    assert_eq!(there, ids.len().to_string(), "in Postgres");
    assert_eq!(
        backed.db.psql("SELECT count(*) FROM security.revoked_tokens WHERE token_id LIKE 'old-%' AND expires_at > now()"),
        "0"
    );
    let tokens = world.record.tokens.lock().expect("no panic");
    let gone = tokens
        .iter()
        .filter(|t| revoked.contains_key(&t.id) || revoked.contains_key(&t.session));
    for issued in gone {
        for instance in instances.iter() {
            let (status, reason) = instance.verify(&issued.token);
            assert_eq!(status, 401, "{}: {reason}", issued.id);
        }
    }
}

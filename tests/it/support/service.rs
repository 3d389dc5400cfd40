//! The reference service as a process of its own, configured as an operator would.
#![allow(dead_code)] // Not every test module uses every part.

use std::fs::File;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::cli::{Seen, dbctl, run};
use super::postgres::{Server, TestDb};
use super::secrets::{none_below, none_in};

/// An instance in a folder of its own, made by `service init`. Killed when it is dropped.
pub struct Instance {
    dir: PathBuf,
    name: String,
    program: Vec<String>,
    child: Option<Child>,
    url: String,
    http: Http,
    /// Variables of its process, beside its file.
    environment: Vec<(String, String)>,
}

/// What came back.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: reqwest::header::HeaderMap,
    pub text: String,
    /// Null where the body is not JSON.
    pub body: Value,
}

impl Instance {
    /// Files under `parent/name`; not started yet. It serves on a free port.
    pub fn new(parent: &Path, name: &str) -> Self {
        Self::made(parent, name, &[])
    }

    /// One that signs with the same key as `other`.
    pub fn beside(other: &Instance, name: &str) -> Self {
        let parent = other.dir.parent().expect("a parent").to_owned();
        let key = other.signing_key_file();
        Self::made(
            &parent,
            name,
            &["--signing-key", key.to_str().expect("UTF-8")],
        )
    }

    fn made(parent: &Path, name: &str, more: &[&str]) -> Self {
        let mut args = vec!["service", "init", name, "--name", name];
        args.extend(["--listen", "127.0.0.1:0"]);
        args.extend(more);
        let seen = run(parent, &args);
        assert_eq!(seen.code, 0, "service init: {}", seen.stderr);
        Self {
            dir: parent.join(name),
            name: name.to_owned(),
            program: Vec::new(),
            child: None,
            url: String::new(),
            http: Http::new(),
            environment: Vec::new(),
        }
    }

    /// From the next start on, this program serves instead of the reference service. It is given
    /// the same arguments, and prints the same status line.
    pub fn served_by(&mut self, program: &[&str]) {
        self.program = program.iter().map(|&a| a.to_owned()).collect();
    }

    pub fn is_the_reference(&self) -> bool {
        self.program.is_empty()
    }

    fn command(&self, args: &[&str]) -> Command {
        let Some((program, first)) = self.program.split_first() else {
            return dbctl(&self.dir, &[&["service", "run"], args].concat());
        };
        let mut command = Command::new(program);
        command
            .args(first)
            .args(args)
            .current_dir(&self.dir)
            .stdin(Stdio::null())
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("PYTHONDONTWRITEBYTECODE", "1");
        command
    }

    /// A variable of the process itself; for the next start.
    pub fn in_environment(&mut self, name: &str, value: &str) {
        self.environment.push((name.to_owned(), value.to_owned()));
    }

    pub fn dir(&self) -> &Path {
        &self.dir
    }

    pub fn env_file(&self) -> PathBuf {
        self.dir.join("service.env")
    }

    pub fn state_dir(&self) -> PathBuf {
        self.dir.join("state")
    }

    pub fn signing_key_file(&self) -> PathBuf {
        self.dir.join("signing-key.pem")
    }

    pub fn admin_token_file(&self) -> PathBuf {
        self.dir.join("admin.token")
    }

    pub fn admin_token(&self) -> String {
        let text = std::fs::read_to_string(self.admin_token_file()).expect("the admin token");
        text.trim().to_owned()
    }

    /// Sets a variable in the environment file; for the next start.
    pub fn set(&self, name: &str, value: &str) {
        let text = std::fs::read_to_string(self.env_file()).expect("the environment file");
        let kept = text.lines().filter(|l| !l.starts_with(&format!("{name}=")));
        let mut lines: Vec<String> = kept.map(str::to_owned).collect();
        lines.push(format!("{name}={value}\n"));
        std::fs::write(self.env_file(), lines.join("\n")).expect("written");
    }

    /// All four toggles at once: `memory` (with `file`) or `postgres`.
    pub fn set_mode(&self, mode: &str) {
        let nonces = if mode == "memory" { "file" } else { mode };
        self.set("SECURITY_RUNTIME_MODE", mode);
        self.set("SECURITY_KEY_RESOLVER_MODE", mode);
        self.set("SECURITY_REVOCATION_MODE", mode);
        self.set("SECURITY_NONCE_STORE_MODE", nonces);
    }

    pub fn start(&mut self) {
        self.start_with(&[]);
    }

    pub fn start_with(&mut self, more: &[&str]) {
        if let Err(seen) = self.try_start_with(more) {
            panic!(
                "{} did not start ({}): {}",
                self.name, seen.code, seen.stderr
            );
        }
    }

    /// Starts it, or says what a user would see of the failure.
    pub fn try_start_with(&mut self, more: &[&str]) -> Result<(), Seen> {
        assert!(self.child.is_none(), "it runs already");
        let mut args = vec!["--env-file", "service.env"];
        args.extend(more);
        let log = File::options()
            .create(true)
            .append(true)
            .open(self.log_file())
            .expect("the log");
        let begins_at = log.metadata().expect("its size").len() as usize;
        let mut child = self
            .command(&args)
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()
            .unwrap_or_else(|e| panic!("{:?} does not start: {e}", self.program));
        let mut line = String::new();
        let stdout = child.stdout.take().expect("piped");
        BufReader::new(stdout)
            .read_line(&mut line)
            .expect("its status line");
        let Some(at) = line.find("http://") else {
            let status = child.wait().expect("it ends");
            return Err(Seen {
                code: status.code().expect("it was not killed"),
                stdout: line,
                stderr: self.log()[begins_at..].to_owned(),
            });
        };
        let url = line[at..].split_whitespace().next().expect("an address");
        self.url = url.to_owned();
        self.child = Some(child);
        Ok(())
    }

    /// SIGTERM; returns its exit status.
    pub fn stop(&mut self) -> i32 {
        let mut child = self.child.take().expect("it runs");
        let pid = i32::try_from(child.id()).expect("a process id");
        let pid = rustix::process::Pid::from_raw(pid).expect("a process id");
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).expect("a signal");
        child
            .wait()
            .expect("it ends")
            .code()
            .expect("an exit status")
    }

    /// SIGTERM, if it runs at all.
    pub fn end_softly(&mut self) {
        if self.child.is_some() {
            self.stop();
        }
    }

    /// SIGKILL, as a power cut would end it.
    pub fn kill(&mut self) {
        let mut child = self.child.take().expect("it runs");
        child.kill().expect("killed");
        child.wait().expect("gone");
    }

    pub fn url(&self) -> &str {
        &self.url
    }

    fn log_file(&self) -> PathBuf {
        self.dir.join("log.jsonl")
    }

    /// Everything that it ever wrote to its log.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.log_file()).expect("the log")
    }

    pub fn get(&self, path: &str) -> Answer {
        self.http.send(self.http.client.get(self.at(path)))
    }

    pub fn post(&self, path: &str, body: Value) -> Answer {
        self.http
            .send(self.http.client.post(self.at(path)).json(&body))
    }

    /// With the admin token.
    pub fn admin(&self, method: &str, path: &str, body: Option<Value>) -> Answer {
        let method = method.parse().expect("a method");
        let mut request = self.http.client.request(method, self.at(path));
        request = request.bearer_auth(self.admin_token());
        if let Some(body) = body {
            request = request.json(&body);
        }
        self.http.send(request)
    }

    pub fn at(&self, path: &str) -> String {
        format!("{}{path}", self.url)
    }

    /// Issues a token in a new session: the whole answer.
    pub fn issue(&self, subject: &str) -> Value {
        let answer = self.post("/v1/tokens", json!({"subject": subject}));
        assert_eq!(answer.status, 201, "{}", answer.text);
        answer.body
    }

    /// The status and the reason code of a verification.
    pub fn verify(&self, token: &str) -> (u16, String) {
        let answer = self.post("/v1/tokens/verify", json!({"token": token}));
        let reason = answer.body["reason_code"].as_str();
        (answer.status, reason.unwrap_or(&answer.text).to_owned())
    }

    pub fn revoke_token(&self, token_id: &str) {
        let answer = self.post("/v1/tokens/revoke", json!({"token_id": token_id}));
        assert_eq!(answer.status, 200, "{}", answer.text);
    }

    /// The value of a series in `/metrics`, written as there.
    pub fn metric(&self, series: &str) -> f64 {
        let text = self.get("/metrics").text;
        let line = text
            .lines()
            .find_map(|l| l.strip_prefix(series)?.strip_prefix(' '));
        let value = line.unwrap_or_else(|| panic!("no series {series} in\n{text}"));
        value.trim().parse().expect("a number")
    }
}

impl Instance {
    /// Ends the process if it runs; nothing is asked of it.
    pub fn end(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

impl Drop for Instance {
    fn drop(&mut self) {
        self.end();
        none_below(&self.state_dir());
        none_in(
            "its log",
            &std::fs::read_to_string(self.log_file()).unwrap_or_default(),
        );
    }
}

/// A client that tests can use without being asynchronous themselves.
pub struct Http {
    runtime: tokio::runtime::Runtime,
    client: reqwest::Client,
}

impl Http {
    pub fn new() -> Self {
        Self {
            runtime: tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .expect("a runtime"),
            // No connections that outlive a restart.
            client: reqwest::Client::builder()
                .pool_max_idle_per_host(0)
                .build()
                .expect("a client"),
        }
    }

    pub fn send(&self, request: reqwest::RequestBuilder) -> Answer {
        self.runtime.block_on(async {
            let response = request.send().await.expect("an answer");
            let status = response.status().as_u16();
            let headers = response.headers().clone();
            let text = response.text().await.expect("a body");
            let body = serde_json::from_str(&text).unwrap_or_default();
            Answer {
                status,
                headers,
                text,
                body,
            }
        })
    }
}

/// A migrated and seeded database of its own cluster, with the role `auth_service` that has what
/// a service needs and no more.
pub struct Backed {
    pub db: TestDb,
    pub kek_file: PathBuf,
}

impl Backed {
    pub fn new(dir: &Path) -> Self {
        Self::on(&Server::own(), dir)
    }

    pub fn on(server: &Server, dir: &Path) -> Self {
        let db = server.fresh_database();
        db.migrate_by_hand();
        db.psql("CREATE ROLE auth_service LOGIN IN ROLE security_runtime");
        let kek_file = dir.join("kek.b64");
        let backed = Self { db, kek_file };
        let kek = backed.kek_file.to_str().expect("UTF-8");
        assert_eq!(run(dir, &["keys", "new-kek", kek]).code, 0);
        let seeded = backed.seed(dir, &[]);
        assert_eq!(seeded.code, 0, "{}", seeded.stderr);
        backed
    }

    /// `keys seed` with this database and key-encryption key.
    pub fn seed(&self, dir: &Path, more: &[&str]) -> Seen {
        let kek = self.kek_file.to_str().expect("UTF-8");
        let mut args = vec![
            "keys",
            "seed",
            "--kek-file",
            kek,
            "--database-url",
            &self.db.url,
        ];
        args.extend(more);
        run(dir, &args)
    }

    /// Tells an instance where Postgres and the key-encryption key are; the toggles stay.
    pub fn know(&self, instance: &Instance) {
        instance.set("DATABASE_URL", &self.db.url_as("auth_service"));
        instance.set("SERVICE_KEK_FILE", self.kek_file.to_str().expect("UTF-8"));
    }
}

/// The token of an answer to `POST /v1/tokens`.
pub fn token(issued: &Value) -> &str {
    issued["token"].as_str().expect("a token")
}

/// A string of an answer.
pub fn id<'a>(issued: &'a Value, name: &str) -> &'a str {
    issued[name].as_str().expect("an id")
}

/// Waits for what other threads or processes bring about.
pub fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let give_up = Instant::now() + Duration::from_secs(30);
    while !holds() {
        assert!(Instant::now() < give_up, "never: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// An instance in memory mode that serves.
pub fn started(name: &str) -> (tempfile::TempDir, Instance) {
    let dir = tempfile::tempdir().expect("a folder");
    let mut instance = Instance::new(dir.path(), name);
    instance.start();
    (dir, instance)
}

/// An instance in Postgres mode, with the least privileges.
pub fn on_postgres() -> (tempfile::TempDir, Backed, Instance) {
    let dir = tempfile::tempdir().expect("a folder");
    let backed = Backed::new(dir.path());
    let mut instance = Instance::new(dir.path(), "auth-1");
    backed.know(&instance);
    instance.set_mode("postgres");
    instance.start_with(&["--faults"]);
    (dir, backed, instance)
}

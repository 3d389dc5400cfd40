//! A whole place to roll out in: a Postgres cluster with a database for each environment, every
//! instance of the service as a process of its own under a supervisor, honest traffic, and a
//! driver that can be killed.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs::File;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use dbctl::demo::stage::{Player, SERVICE_ROLE, Stage};
use dbctl::demo::traffic::{Fleet, Instance, Options, Traffic};
use dbctl::rollout::engine::replay;
use dbctl::rollout::journal::{Entry, Journal, RunId};
use dbctl::rollout::machine::State;
use dbctl::runbook::plan::Plan;

use super::proxy;
use crate::support::cli::{Seen, dbctl, run};
use crate::support::postgres::{Server, TestDb, free_port};
use crate::support::secrets::none_below;
use crate::support::stores::database;

/// Where the journal of a run lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JournalIn {
    File,
    /// A cluster of its own.
    Postgres,
}

/// Who drives, where the journal lies in Postgres: the owner of its schema and nobody's superuser.
const OPERATOR: &str = "kim";

pub struct Scene {
    dir: tempfile::TempDir,
    pub stage: Stage,
    journal: Option<TestDb>,
    pub databases: BTreeMap<&'static str, TestDb>,
    instances: Arc<Vec<Supervised>>,
    /// Whether the proxies let requests for metrics through.
    metrics: Arc<AtomicBool>,
    pub runtime: tokio::runtime::Runtime,
}

impl Scene {
    /// Sets the stage for a runbook; the instances serve from memory and files.
    pub fn set(runbook: &str) -> Self {
        Self::set_with(runbook, false, JournalIn::File)
    }

    /// The same, with the journal in the place that is named.
    pub fn with_journal_in(journal: JournalIn, runbook: &str) -> Self {
        Self::set_with(runbook, false, journal)
    }

    /// The same, with a proxy before each instance that can keep its metrics back.
    pub fn behind_proxies(runbook: &str) -> Self {
        Self::set_with(runbook, true, JournalIn::File)
    }

    fn set_with(runbook: &str, proxies: bool, journal: JournalIn) -> Self {
        let server = Server::own();
        // As a DBA does it before: the rollout's migrations find the roles and leave them.
        server.psql(
            "postgres",
            &format!("CREATE ROLE security_runtime; CREATE ROLE {SERVICE_ROLE} LOGIN IN ROLE security_runtime"),
        );
        let dir = tempfile::tempdir().expect("a temporary folder");
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address: SocketAddr = listener.local_addr().expect("an address");
        let stage = Stage::set(dir.path(), address).expect("a stage");
        let databases: BTreeMap<_, _> = ["staging", "production"]
            .into_iter()
            .map(|env| (env, server.fresh_database()))
            .collect();
        let mut settings = std::fs::read_to_string(&stage.settings).expect("the settings");
        for (env, database) in &databases {
            let heading = format!("[environments.{env}]\n");
            let named = format!("{heading}database_url = \"{}\"\n", database.url);
            settings = settings.replace(&heading, &named);
        }
        settings += "\n[runbook]\npath = \"runbook.md\"\n";
        let journal = match journal {
            JournalIn::File => None,
            JournalIn::Postgres => Some(journal_database()),
        };
        if let Some(journal) = &journal {
            let url = journal.url_as(OPERATOR);
            settings += &format!("\n[journal]\ndatabase_url = \"{url}\"\n");
        }
        std::fs::write(&stage.settings, settings).expect("written");
        std::fs::write(dir.path().join("runbook.md"), runbook).expect("written");
        std::fs::write(dir.path().join("done"), "").expect("written");
        let metrics = Arc::new(AtomicBool::new(true));
        for player in &stage.instances {
            let mut text = std::fs::read_to_string(&player.env_file).expect("an env file");
            if proxies {
                let address = player.url.trim_start_matches("http://");
                let behind = format!("127.0.0.1:{}", free_port());
                text = text.replace(address, &behind);
                proxy::start(address, behind, metrics.clone());
            }
            let url = databases[player.env].url_as(SERVICE_ROLE);
            writeln!(text, "DATABASE_URL={url}").expect("a string takes it");
            std::fs::write(&player.env_file, text).expect("written");
        }
        let supervised = stage.instances.iter().map(Supervised::new);
        let instances = Arc::new(supervised.collect::<Vec<_>>());
        instances.iter().for_each(Supervised::restart);
        let supervisor = instances.clone();
        std::thread::spawn(move || supervise(&listener, &supervisor));
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .expect("a runtime");
        Self {
            dir,
            stage,
            journal,
            databases,
            instances,
            metrics,
            runtime,
        }
    }

    pub fn path(&self) -> &Path {
        self.dir.path()
    }

    /// The file that the journal lies in, or lay in if it were not in a database.
    pub fn journal_file(&self) -> PathBuf {
        self.path().join(".dbctl/journal.db")
    }

    /// The database that the journal lies in, for whoever drives.
    pub fn journal_url(&self) -> Option<String> {
        self.journal.as_ref().map(|db| db.url_as(OPERATOR))
    }

    /// The cluster of the journal, to stop and to start.
    pub fn journal_server(&self) -> &Server {
        self.journal.as_ref().expect("it lies in Postgres").server()
    }

    async fn journal(&self) -> Option<Journal> {
        let opened = match self.journal_url() {
            None => Journal::open(&self.journal_file()).await,
            Some(url) => Journal::open_in(database(&url)).await,
        };
        opened.ok()?
    }

    /// Begins to send honest requests to every instance.
    pub fn traffic(&self) -> Traffic {
        let mut fleets: Vec<Fleet> = Vec::new();
        for player in &self.stage.instances {
            let instance = Instance {
                name: player.name.into(),
                url: player.url.clone(),
            };
            match fleets.last_mut() {
                Some(fleet) if fleet.name == player.env => fleet.instances.push(instance),
                Some(_) | None => fleets.push(Fleet {
                    name: player.env.into(),
                    instances: vec![instance],
                }),
            }
        }
        let mut options = Options::new(fleets);
        options.requests_per_second = 80;
        options.workers = 4;
        let _runtime = self.runtime.enter();
        Traffic::start(options).expect("traffic")
    }

    pub fn rollout(&self, args: &[&str]) -> Seen {
        run(self.path(), &[&["rollout"], args].concat())
    }

    pub fn drive(&self, args: &[String]) -> Driver {
        Driver::spawn(self.path(), "said", args)
    }

    /// A second operator's command, while somebody drives.
    pub fn drive_beside(&self, args: &[String]) -> Driver {
        Driver::spawn(self.path(), "said-beside", args)
    }

    /// Lets requests for metrics through, or not.
    pub fn metrics(&self, through: bool) {
        self.metrics.store(through, Ordering::Relaxed);
    }

    /// The newest run with its entries; none before the first event.
    pub fn entries(&self) -> Option<(RunId, Vec<Entry>)> {
        self.runtime.block_on(async {
            let journal = self.journal().await?;
            let run = journal.runs().await.ok()?.into_iter().next()?.run;
            let entries = journal.entries(&run).await.expect("the chain holds");
            (!entries.is_empty()).then_some((run, entries))
        })
    }

    pub fn state(&self) -> Option<(RunId, State, Plan)> {
        let (run, entries) = self.entries()?;
        let known = replay(&entries).expect("the journal replays");
        Some((run, known.state, Plan::clone(&known.plan)))
    }

    /// How often each instance was started again since the stage was set.
    pub fn restarts(&self) -> BTreeMap<&'static str, u32> {
        let of = |s: &Supervised| (s.player.name, s.running().starts - 1);
        self.instances.iter().map(of).collect()
    }

    /// What an instance says of itself; null where it does not answer.
    pub fn health(&self, name: &str) -> serde_json::Value {
        let mut players = self.stage.instances.iter();
        let url = &players.find(|p| p.name == name).expect("it exists").url;
        self.runtime.block_on(async {
            match reqwest::get(format!("{url}/healthz")).await {
                Ok(answer) => answer.json().await.unwrap_or_default(),
                Err(_) => serde_json::Value::Null,
            }
        })
    }

    /// The lines that the runbook's programs left.
    pub fn done(&self) -> Vec<String> {
        let text = std::fs::read_to_string(self.path().join("done")).expect("the programs' file");
        text.lines().map(str::to_owned).collect()
    }
}

/// A database that the operator may make the journal in, in a cluster of its own.
fn journal_database() -> TestDb {
    let db = Server::own().fresh_database();
    db.psql(&format!(
        "CREATE ROLE {OPERATOR} LOGIN; GRANT CREATE ON DATABASE {} TO {OPERATOR}",
        db.name
    ));
    db
}

impl Drop for Scene {
    fn drop(&mut self) {
        for supervised in self.instances.iter() {
            supervised.running().end();
        }
        none_below(&self.path().join(".dbctl"));
        for player in &self.stage.instances {
            none_below(player.env_file.parent().expect("a folder"));
        }
    }
}

/// A process that drives a run.
pub struct Driver {
    child: Child,
    said: PathBuf,
}

impl Driver {
    fn spawn(dir: &Path, said: &str, args: &[String]) -> Self {
        let said = dir.join(said);
        let stderr = File::create(&said).expect("a file");
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        let child = dbctl(dir, &[&["rollout"], &args[..]].concat())
            .stdout(Stdio::null())
            .stderr(stderr)
            .spawn()
            .expect("the binary starts");
        Self { child, said }
    }

    /// Its exit status, once it has ended.
    pub fn ended(&mut self) -> Option<i32> {
        let status = self.child.try_wait().expect("a child")?;
        Some(status.code().expect("nobody else killed it"))
    }

    /// Its exit status, when it has ended.
    pub fn wait(&mut self) -> i32 {
        let began = Instant::now();
        loop {
            if let Some(code) = self.ended() {
                return code;
            }
            assert!(
                began.elapsed() < Duration::from_secs(100),
                "it hangs: {}",
                self.said()
            );
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// SIGKILL; returns its exit status if it had just ended by itself.
    pub fn kill(&mut self) -> Option<i32> {
        // It may have ended in this moment.
        let _ = self.child.kill();
        self.child.wait().expect("it ends").code()
    }

    /// Everything that it said on stderr.
    pub fn said(&self) -> String {
        std::fs::read_to_string(&self.said).expect("its stderr")
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// One instance under supervision.
struct Supervised {
    player: Player,
    running: Mutex<Running>,
}

#[derive(Default)]
struct Running {
    child: Option<Child>,
    starts: u32,
}

impl Running {
    fn end(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

impl Supervised {
    fn new(player: &Player) -> Self {
        Self {
            player: player.clone(),
            running: Mutex::default(),
        }
    }

    fn running(&self) -> std::sync::MutexGuard<'_, Running> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// SIGTERM, and a new process that serves when this returns. One that ends at once is started
    /// again, as supervisors do: between two processes somebody's connection may have its port.
    fn restart(&self) {
        let mut running = self.running();
        if let Some(mut child) = running.child.take() {
            let pid = rustix::process::Pid::from_child(&child);
            let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
            child.wait().expect("it ends");
        }
        running.starts += 1;
        for _ in 0..20 {
            let (mut child, serves) = self.start();
            if serves {
                running.child = Some(child);
                return;
            }
            child.wait().expect("it ends");
            std::thread::sleep(Duration::from_millis(250));
        }
    }

    /// A new process, and whether it said that it serves.
    fn start(&self) -> (Child, bool) {
        let home = self.player.env_file.parent().expect("a folder");
        let log = File::options()
            .create(true)
            .append(true)
            .open(home.join("log"))
            .expect("a log");
        let mut child = dbctl(
            home,
            &["service", "run", "--env-file", "service.env", "--faults"],
        )
        .stdout(Stdio::piped())
        .stderr(log)
        .spawn()
        .expect("the binary starts");
        let mut line = String::new();
        BufReader::new(child.stdout.as_mut().expect("piped"))
            .read_line(&mut line)
            .expect("its status line");
        (child, !line.is_empty())
    }
}

/// Restarts an instance for `POST /restart/NAME`, and answers when it serves again.
fn supervise(listener: &TcpListener, instances: &Arc<Vec<Supervised>>) {
    for mut stream in listener.incoming().flatten() {
        let instances = instances.clone();
        std::thread::spawn(move || {
            let name = asked_for(&mut stream);
            let found = instances.iter().find(|s| s.player.name == name);
            let status = match found {
                Some(supervised) => {
                    supervised.restart();
                    "200 OK"
                }
                None => "404 Not Found",
            };
            let answer =
                format!("HTTP/1.1 {status}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
            // Whoever asked may be dead by now.
            let _ = stream.write_all(answer.as_bytes());
        });
    }
}

fn asked_for(stream: &mut TcpStream) -> String {
    let mut request = [0; 2048];
    let read = stream.read(&mut request).unwrap_or(0);
    let text = String::from_utf8_lossy(&request[..read]);
    let path = text.strip_prefix("POST /restart/").unwrap_or_default();
    path.split(' ').next().unwrap_or_default().to_owned()
}

//! Several instances of the reference service under a supervisor, and the `dbctl.toml` that an
//! operator would have for them.
#![allow(dead_code)] // Not every test module uses every part.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use clap::Parser as _;
use dbctl::commands::Cli;
use dbctl::settings::{Environment, Settings};

use super::cli::{Seen, dbctl, seen};
use super::postgres::{Server, free_port};
use super::secrets::none_below;
use super::service::{Backed, Instance};

/// The environment `production` with its instances, each with a signing key of its own.
pub struct Fleet {
    pub dir: tempfile::TempDir,
    instances: Arc<Vec<Supervised>>,
}

pub struct Supervised {
    pub name: String,
    pub port: u16,
    pub instance: Mutex<Instance>,
}

impl Supervised {
    pub fn new(name: &str, instance: Instance) -> Self {
        Self {
            name: name.to_owned(),
            port: free_port(),
            instance: Mutex::new(instance),
        }
    }

    fn instance(&self) -> MutexGuard<'_, Instance> {
        self.instance.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn start(&self) {
        if let Err(seen) = self.try_start() {
            panic!("{} did not start: {}", self.name, seen.stderr);
        }
    }

    fn try_start(&self) -> Result<(), Seen> {
        let mut instance = self.instance();
        let listen = format!("127.0.0.1:{}", self.port);
        let mut args = vec!["--listen", &listen];
        if instance.is_the_reference() {
            args.push("--faults");
        }
        instance.try_start_with(&args)
    }

    /// As supervisors do: one that does not start is started again, for a while.
    fn restart(&self) -> Result<(), Seen> {
        self.instance().end_softly();
        let give_up = Instant::now() + Duration::from_secs(8);
        loop {
            match self.try_start() {
                Err(_) if Instant::now() < give_up => {
                    std::thread::sleep(Duration::from_millis(250));
                }
                done => return done,
            }
        }
    }
}

impl Fleet {
    /// Starts them in memory/file, with a database that they and dbctl know.
    pub fn on(names: &[&str]) -> (Self, Backed) {
        Self::on_server(names, &Server::own())
    }

    /// The same on a server of one's own.
    pub fn on_server(names: &[&str], server: &Server) -> (Self, Backed) {
        let dir = tempfile::tempdir().expect("a directory");
        let backed = Backed::on(server, dir.path());
        let fleet = Self::start(dir, names, Some(&backed));
        (fleet, backed)
    }

    /// Starts them in memory/file; no database is known.
    pub fn local(names: &[&str]) -> Self {
        Self::start(tempfile::tempdir().expect("a directory"), names, None)
    }

    fn start(dir: tempfile::TempDir, names: &[&str], backed: Option<&Backed>) -> Self {
        let instances: Vec<Supervised> = names
            .iter()
            .map(|name| {
                let instance = Instance::new(dir.path(), name);
                // One administrator for the environment.
                let admin = dir.path().join(names[0]).join("admin.token");
                instance.set("SERVICE_ADMIN_TOKEN_FILE", admin.to_str().expect("UTF-8"));
                instance.set("SERVICE_NONCE_WINDOW", "100");
                if let Some(backed) = backed {
                    backed.know(&instance);
                }
                Supervised::new(name, instance)
            })
            .collect();
        let instances = Arc::new(instances);
        let supervisor = supervise(instances.clone());
        let fleet = Self { dir, instances };
        fleet.write_settings(&supervisor, backed);
        for instance in fleet.instances.iter() {
            instance.start();
        }
        fleet
    }

    fn write_settings(&self, supervisor: &str, backed: Option<&Backed>) {
        let mut text = String::from("[environments.production]\n");
        if let Some(backed) = backed {
            text += &format!("database_url = \"{}\"\n", backed.db.url);
            text += "kek_file = \"kek.b64\"\n";
        }
        let first = &self.instances[0].name;
        text += &format!("admin_token_file = \"{first}/admin.token\"\n");
        for (i, s) in self.instances.iter().enumerate() {
            let (name, port) = (&s.name, s.port);
            text += &format!(
                "\n[[environments.production.targets]]\n\
                 name = \"{name}\"\n\
                 groups = [\"{}\"]\n\
                 url = \"http://127.0.0.1:{port}\"\n\
                 env_file = \"{name}/service.env\"\n\
                 state_dir = \"{name}/state\"\n\
                 restart = {{ post = \"{supervisor}/{name}\" }}\n",
                if i == 0 { "canary" } else { "others" }
            );
        }
        std::fs::write(self.settings_file(), text).expect("written");
    }

    pub fn settings_file(&self) -> PathBuf {
        self.dir.path().join("dbctl.toml")
    }

    /// Puts more into `dbctl.toml`.
    pub fn add_settings(&self, more: &str) {
        let text = std::fs::read_to_string(self.settings_file()).expect("the settings");
        std::fs::write(self.settings_file(), format!("{more}\n{text}")).expect("written");
    }

    /// The settings as a command resolves them.
    pub fn settings(&self) -> Settings {
        let file = self.settings_file();
        let args = [
            "dbctl",
            "--config",
            file.to_str().expect("UTF-8"),
            "toggles",
            "show",
        ];
        let cli = Cli::try_parse_from(args).expect("a command line");
        Settings::load(&cli.global).expect("settings")
    }

    pub fn environment(&self) -> Environment {
        self.settings()
            .environment(Some("production"))
            .expect("the environment")
            .clone()
    }

    /// Ends an instance as a crash would and starts it again, as supervisors do.
    pub fn crash(&self, name: &str, before_the_start: impl FnOnce(&Instance)) {
        let mut names = self.instances.iter();
        let found = names.find(|s| s.name == name).expect("an instance");
        let mut instance = found.instance();
        instance.end();
        before_the_start(&instance);
        drop(instance);
        if let Err(seen) = found.restart() {
            panic!("{name} did not start again: {}", seen.stderr);
        }
    }

    /// The binary in the folder of `dbctl.toml`.
    pub fn run(&self, args: &[&str]) -> Seen {
        seen(dbctl(self.dir.path(), args))
    }

    pub fn path(&self) -> &Path {
        self.dir.path()
    }

    /// Talks to an instance. Not from inside a runtime.
    pub fn with<T>(&self, name: &str, talk: impl FnOnce(&mut Instance) -> T) -> T {
        let mut names = self.instances.iter();
        let found = names.find(|s| s.name == name).expect("an instance");
        talk(&mut found.instance())
    }

    /// Starts one that was stopped.
    pub fn start_again(&self, name: &str) {
        let mut names = self.instances.iter();
        names.find(|s| s.name == name).expect("an instance").start();
    }

    pub fn names(&self) -> Vec<&str> {
        self.instances.iter().map(|s| s.name.as_str()).collect()
    }

    /// Talks to each instance in turn.
    pub fn each<T>(&self, mut talk: impl FnMut(&mut Instance) -> T) -> Vec<T> {
        self.names()
            .into_iter()
            .map(|name| self.with(name, &mut talk))
            .collect()
    }
}

impl Drop for Fleet {
    /// The supervisor's thread keeps the instances for as long as the test's process lives.
    fn drop(&mut self) {
        for supervised in self.instances.iter() {
            supervised.instance().end();
            none_below(&supervised.instance().state_dir());
        }
        none_below(&self.path().join(".dbctl"));
    }
}

/// Restarts an instance for `POST /NAME` and answers when it serves again. Returns its URL.
pub fn supervise(instances: Arc<Vec<Supervised>>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let instances = instances.clone();
            std::thread::spawn(move || restart(&instances, stream));
        }
    });
    url
}

fn restart(instances: &[Supervised], mut stream: TcpStream) {
    let mut request = [0; 2048];
    let read = stream.read(&mut request).unwrap_or(0);
    let text = String::from_utf8_lossy(&request[..read]).into_owned();
    let found = instances
        .iter()
        .find(|s| text.starts_with(&format!("POST /{} ", s.name)));
    let status = match found {
        Some(supervised) => match supervised.restart() {
            Ok(()) => "200 OK",
            Err(_) => "503 Service Unavailable",
        },
        None => "404 Not Found",
    };
    let answer = format!("HTTP/1.1 {status}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
    let _ = stream.write_all(answer.as_bytes());
}

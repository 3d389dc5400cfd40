//! Real Postgres servers, thrown away after the test.
//!
//! Every test that asks gets a cluster of its own: copied from a template in well under half a
//! second, never run as root, on 127.0.0.1 and a free port, without fsync. A guard process waits
//! on a pipe that the test holds: when the test ends, in whatever way, it takes the server down
//! and removes its files.
#![allow(dead_code)] // Not every test module uses every part.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, Weak};

/// The programs of PostgreSQL 16, 17 and 18, which `tests/run` brings.
pub fn other_versions() -> Vec<PathBuf> {
    let here = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/tools/postgres");
    let named = std::env::var_os("DBCTL_TEST_POSTGRES").map(PathBuf::from);
    let places = [
        named,
        Some("/var/tmp/dbctl-test-postgres".into()),
        Some(here),
    ];
    let version = |version: u32| {
        let mut bins = places
            .iter()
            .flatten()
            .map(|p| p.join(format!("{version}/bin")));
        let bin = bins.find(|bin| bin.join("postgres").is_file());
        bin.unwrap_or_else(|| panic!("PostgreSQL {version} is not here; tests/run brings it"))
    };
    [16, 17, 18].map(version).to_vec()
}

/// A running cluster with the superuser `postgres` and no passwords.
#[derive(Clone)]
pub struct Server(Arc<Cluster>);

/// A database that no other test knows. It goes with its server.
pub struct TestDb {
    pub url: String,
    pub name: String,
    server: Server,
}

struct Cluster {
    dir: PathBuf,
    port: u16,
    guard: Mutex<Option<Child>>,
}

static SHARED: Mutex<Weak<Cluster>> = Mutex::new(Weak::new());

impl Server {
    /// What it logged, since it was made.
    pub fn log(&self) -> String {
        self.0.log()
    }

    /// The cluster that tests of this process share. Do not stop it, do not change its roles.
    pub fn get() -> Server {
        let mut shared = SHARED.lock().expect("no test panics while it holds this");
        if let Some(cluster) = shared.upgrade() {
            return Server(cluster);
        }
        let server = Server::own();
        *shared = Arc::downgrade(&server.0);
        server
    }

    /// A cluster of one's own: to stop, kill, restart, or to make roles in.
    pub fn own() -> Server {
        Self::own_in(&std::env::temp_dir())
    }

    /// As [`Server::own`], with its files below `parent`: a small disk, for example.
    pub fn own_in(parent: &Path) -> Server {
        let template = template();
        let dir = tempfile::Builder::new()
            .prefix("dbctl-test-pg-")
            .tempdir_in(parent)
            .expect("a temporary directory")
            .keep();
        give_to_postgres(&dir);
        let copied = as_postgres("cp")
            .args(["-a", &path(&template), &path(&dir.join("data"))])
            .current_dir("/")
            .status()
            .is_ok_and(|s| s.success());
        assert!(copied, "the template cluster could not be copied");
        let server = Server(Arc::new(Cluster {
            dir,
            port: free_port(),
            guard: Mutex::new(None),
        }));
        server.start();
        server
    }

    /// URL of a database of this server, for the superuser.
    pub fn url(&self, database: &str) -> String {
        self.url_as("postgres", database)
    }

    pub fn url_as(&self, role: &str, database: &str) -> String {
        format!(
            "postgres://{role}@127.0.0.1:{}/{database}?sslmode=disable",
            self.0.port
        )
    }

    pub fn port(&self) -> u16 {
        self.0.port
    }

    /// An empty database with a name of its own.
    pub fn fresh_database(&self) -> TestDb {
        static COUNT: AtomicU32 = AtomicU32::new(1);
        let name = format!(
            "test_{}_{}",
            std::process::id(),
            COUNT.fetch_add(1, Ordering::Relaxed)
        );
        self.psql("postgres", &format!("CREATE DATABASE {name}"));
        TestDb {
            url: self.url(&name),
            name,
            server: self.clone(),
        }
    }

    /// Runs SQL as the superuser; the answer is unaligned, columns separated by `|`.
    pub fn psql(&self, database: &str, sql: &str) -> String {
        match self.try_psql("postgres", database, sql) {
            Ok(answer) => answer,
            Err(error) => panic!("psql: {error}\n{sql}"),
        }
    }

    /// Runs SQL as `role`, each statement on its own; an error is psql's message with the SQLSTATE.
    pub fn try_psql(&self, role: &str, database: &str, sql: &str) -> Result<String, String> {
        let mut psql = Command::new(bin("psql"))
            .args([
                "-XAtq",
                "-v",
                "ON_ERROR_STOP=1",
                "-v",
                "VERBOSITY=verbose",
                "-f",
                "-",
            ])
            .arg(self.url_as(role, database))
            .env("PGOPTIONS", "-c client_min_messages=warning")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("psql starts");
        let mut stdin = psql.stdin.take().expect("piped");
        // One that cannot connect ends without reading, and says why.
        let _ = stdin.write_all(sql.as_bytes());
        drop(stdin);
        let output = psql.wait_with_output().expect("psql ends");
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim_end().to_owned();
        if output.status.success() {
            Ok(text(&output.stdout))
        } else {
            Err(text(&output.stderr))
        }
    }

    /// Stops the server in an orderly way (sessions are disconnected).
    pub fn stop(&self) {
        self.signal_and_wait("INT");
    }

    /// Ends it as a crash would: committed work is recovered at the next start.
    pub fn kill(&self) {
        self.signal_and_wait("QUIT");
    }

    /// SIGKILL for the postmaster alone. Its children notice and go; returns when they are gone.
    pub fn kill_postmaster(&self) {
        self.signal_and_wait("KILL");
        let data = self.0.dir.join("data");
        let of_this = |entry: &std::fs::DirEntry| {
            std::fs::read_link(entry.path().join("cwd")).is_ok_and(|cwd| cwd == data)
        };
        for _ in 0..400 {
            let mut processes = std::fs::read_dir("/proc").expect("Linux").flatten();
            if !processes.any(|entry| of_this(&entry)) {
                return;
            }
            std::thread::sleep(std::time::Duration::from_millis(25));
        }
        panic!("a server process outlived its postmaster");
    }

    /// Whether it still runs: a full disk ends it without being asked.
    pub fn runs(&self) -> bool {
        self.try_psql("postgres", "postgres", "SELECT 1").is_ok()
    }

    /// Copies it as it is now, the way a DBA would.
    pub fn back_up(&self) {
        let backup = self.0.dir.join("backup");
        let done = as_postgres(&path(&bin("pg_basebackup")))
            .args(["-h", "127.0.0.1", "-p", &self.0.port.to_string()])
            .args(["-U", "postgres", "-X", "stream", "-c", "fast", "-D"])
            .arg(&backup)
            .current_dir("/")
            .status();
        assert!(done.is_ok_and(|s| s.success()), "pg_basebackup");
    }

    /// Goes on from the backup, in the place of what there was; everything since is lost.
    pub fn restore(&self) {
        self.kill();
        self.put_backup_in_place();
        self.start();
    }

    /// Goes on as a standby would that had fallen behind to where the backup is and was promoted:
    /// the same system, another timeline, the last commits lost.
    pub fn promote_the_backup(&self) {
        self.kill();
        self.put_backup_in_place();
        let signal = self.0.dir.join("data/standby.signal");
        let made = as_postgres("touch").arg(&signal).current_dir("/").status();
        assert!(made.is_ok_and(|s| s.success()), "a standby");
        self.start();
        assert_eq!(self.psql("postgres", "SELECT pg_promote()"), "t");
    }

    fn put_backup_in_place(&self) {
        let data = self.0.dir.join("data");
        std::fs::remove_dir_all(&data).expect("removed");
        std::fs::rename(self.0.dir.join("backup"), &data).expect("restored");
    }

    /// Where its files are.
    pub fn dir(&self) -> &Path {
        &self.0.dir
    }

    /// Starts it again after [`Server::stop`] or [`Server::kill`], on the same port.
    pub fn start(&self) {
        let mut guard = self.0.guard.lock().expect("not poisoned");
        assert!(guard.is_none(), "it runs already");
        *guard = Some(self.0.spawn());
    }

    fn signal_and_wait(&self, signal: &str) {
        let mut guard = self.0.guard.lock().expect("not poisoned");
        let mut child = guard.take().expect("it runs");
        let mut stdin = child.stdin.take().expect("piped");
        stdin
            .write_all(format!("{signal}\n").as_bytes())
            .expect("the guard listens");
        child.wait().expect("the guard ends");
    }
}

impl TestDb {
    pub fn psql(&self, sql: &str) -> String {
        self.server.psql(&self.name, sql)
    }

    pub fn try_psql_as(&self, role: &str, sql: &str) -> Result<String, String> {
        self.server.try_psql(role, &self.name, sql)
    }

    pub fn url_as(&self, role: &str) -> String {
        self.server.url_as(role, &self.name)
    }

    pub fn server(&self) -> &Server {
        &self.server
    }

    /// Runs the migrations of `migrations/` by psql, each in its transaction. Quick: without
    /// the binary and without history.
    pub fn migrate_by_hand(&self) {
        for file in super::migrations::of_the_package() {
            self.psql(&std::fs::read_to_string(file).expect("a migration"));
        }
    }
}

impl Cluster {
    /// Starts the server under its guard and waits until it accepts connections.
    fn spawn(&self) -> Child {
        // The guard: reads a signal's name, or the end of the pipe when the test is gone.
        const GUARD: &str = r#"
            dir=$1; shift
            trap '' INT HUP
            "$@" >>"$dir/log" 2>&1 </dev/null &
            server=$!
            echo started
            if read -r signal; then
                kill -s "$signal" $server; wait $server
            else
                kill -s QUIT $server; wait $server; rm -rf "$dir"
            fi
        "#;
        let mut command = as_postgres("sh");
        command
            .args([
                "-c",
                GUARD,
                "guard",
                &path(&self.dir),
                &path(&bin("postgres")),
                "-D",
            ])
            .arg(self.dir.join("data"))
            .args(["-p", &self.port.to_string(), "-k"])
            .arg(&self.dir);
        for setting in [
            "listen_addresses=127.0.0.1",
            "fsync=off",
            "full_page_writes=off",
            "shared_buffers=16MB",
            "max_connections=60",
            "max_wal_size=256MB",
            "autovacuum=off",
            "timezone=UTC",
        ] {
            command.args(["-c", setting]);
        }
        // A group of its own: Ctrl-C in a terminal is for the test, the guard cleans up after it.
        #[cfg(unix)]
        std::os::unix::process::CommandExt::process_group(&mut command, 0);
        let mut child = command
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .spawn()
            .expect("the guard starts");
        let mut started = [0; 8];
        let mut stdout = child.stdout.take().expect("piped");
        stdout.read_exact(&mut started).expect("the guard speaks");
        for _ in 0..600 {
            let ready = Command::new(bin("psql"))
                .args(["-XAtqc", "SELECT 1"])
                .arg(format!(
                    "postgres://postgres@127.0.0.1:{}/postgres?sslmode=disable",
                    self.port
                ))
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .status();
            if ready.is_ok_and(|s| s.success()) {
                return child;
            }
            std::thread::sleep(std::time::Duration::from_millis(25));
        }
        let log = self.log();
        drop(child.stdin.take());
        let _ = child.wait();
        panic!("the test's Postgres did not come up:\n{log}");
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.dir.join("log")).unwrap_or_default()
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        if let Some(mut child) = self.guard.lock().ok().and_then(|mut g| g.take()) {
            drop(child.stdin.take());
            let _ = child.wait();
        }
        let _ = std::fs::remove_dir_all(&self.dir);
    }
}

/// A port that nobody listens on just now. It lies below those that the system gives to
/// connections (Linux: from 32768): a server that is stopped and started again finds it free.
pub fn free_port() -> u16 {
    let ports = std::iter::repeat_with(|| rand::random_range(20_000..32_000));
    let free = |port: &u16| TcpListener::bind(("127.0.0.1", *port)).is_ok();
    ports.take(1000).find(free).expect("a free port")
}

/// A program of the newest PostgreSQL that is installed, or of `DBCTL_TEST_PG_BIN`.
pub fn bin(program: &str) -> PathBuf {
    let dir = std::env::var_os("DBCTL_TEST_PG_BIN").map(PathBuf::from);
    let dir = dir.or_else(|| {
        let mut versions: Vec<(u32, PathBuf)> = std::fs::read_dir("/usr/lib/postgresql")
            .ok()?
            .filter_map(|entry| {
                let path = entry.ok()?.path();
                let version = path.file_name()?.to_str()?.parse().ok()?;
                Some((version, path.join("bin")))
            })
            .filter(|(_, bin)| bin.join("initdb").exists())
            .collect();
        versions.sort();
        versions.pop().map(|(_, bin)| bin)
    });
    let file = dir.map(|d| d.join(program)).filter(|f| f.exists());
    file.unwrap_or_else(|| {
        panic!(
            "tests need PostgreSQL's `{program}`: run `tests/run`, which installs it, \
             or name its folder in DBCTL_TEST_PG_BIN"
        )
    })
}

/// A command that does not run as root: postgres refuses to.
fn as_postgres(program: &str) -> Command {
    if is_root() {
        let mut command = Command::new("runuser");
        command.args(["-u", "postgres", "--", program]);
        command
    } else {
        Command::new(program)
    }
}

pub fn give_to_postgres(dir: &Path) {
    if is_root() {
        let given = Command::new("chown").arg("postgres:").arg(dir).status();
        assert!(given.is_ok_and(|s| s.success()), "chown to postgres");
    }
}

pub fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

fn path(p: &Path) -> String {
    p.to_str().expect("a temporary path is UTF-8").to_owned()
}

/// A cluster fresh from initdb, made once per machine and version; copying it is cheaper.
fn template() -> PathBuf {
    let version = Command::new(bin("postgres"))
        .arg("--version")
        .output()
        .expect("postgres runs")
        .stdout;
    // "postgres (PostgreSQL) 15.18 (Debian …)"
    let version = String::from_utf8_lossy(&version);
    let version = version.split_whitespace().nth(2).expect("a version");
    let uid = rustix::process::geteuid().as_raw();
    let name = format!("dbctl-test-pg-template-{version}-{uid}");
    let template = std::env::temp_dir().join(&name);
    let lock = std::env::temp_dir().join(name + ".lock");
    let lock = std::fs::File::create(lock).expect("a lock file");
    lock.lock().expect("the lock");
    if !template.exists() {
        let dir = tempfile::Builder::new()
            .prefix("dbctl-test-pg-init-")
            .tempdir()
            .expect("a temporary directory");
        give_to_postgres(dir.path());
        let data = dir.path().join("data");
        let made = as_postgres(&path(&bin("initdb")))
            .args(["-D", &path(&data), "-U", "postgres", "-A", "trust"])
            .args(["-E", "UTF8", "--locale=C", "--no-sync", "--no-instructions"])
            .current_dir("/")
            .stdout(Stdio::null())
            .status();
        assert!(made.is_ok_and(|s| s.success()), "initdb");
        std::fs::rename(&data, &template).expect("the template in its place");
    }
    template
}

//! A throw-away cluster from an installed PostgreSQL: its own data folder, only reachable through
//! a socket in that folder (on Windows: 127.0.0.1, with a password), never run as root.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgSslMode};

use super::Database;
use super::temporary::Temporary;
use crate::error::{Doing, Exit, Problem, Result};

const DOING: &str = "starting a native PostgreSQL";
/// A cluster is up in a fraction of a second; a slow machine gets more.
const START_TIMEOUT: Duration = Duration::from_secs(30);

/// A running cluster with an empty database `postgres`. Dropping it ends it and removes it.
pub struct Native {
    database: Database,
    version: String,
    // Before the folder: fields drop in this order.
    server: Server,
    _folder: Temporary,
}

impl Native {
    /// Finds `initdb` and `postgres` (in `bin`, else on PATH, else in Debian's folders, newest
    /// first), makes a cluster and starts it.
    pub async fn start(bin: Option<&Path>) -> Result<Self> {
        let programs = Programs::find(bin)?;
        let made = tokio::task::spawn_blocking(move || start(&programs));
        let (server, folder, options) = made
            .await
            .map_err(|e| Problem::new(Exit::Failed, DOING, e))??;
        let mut native = Self {
            database: Database::from_options(options, 4),
            version: String::new(),
            server,
            _folder: folder,
        };
        native.wait_until_ready().await?;
        native.version = native.database.server_version().await?;
        Ok(native)
    }

    pub fn database(&self) -> &Database {
        &self.database
    }

    /// Such as `15.18`.
    pub fn version(&self) -> &str {
        &self.version
    }

    /// Closes the pool and ends the cluster.
    pub async fn stop(self) -> Result<()> {
        self.database.close().await;
        tokio::task::spawn_blocking(move || drop(self))
            .await
            .doing(Exit::Failed, "stopping the native PostgreSQL")
    }

    async fn wait_until_ready(&mut self) -> Result<()> {
        let deadline = tokio::time::Instant::now() + START_TIMEOUT;
        loop {
            let Err(not_yet) = self.database.check().await else {
                return Ok(());
            };
            let ended = self.server.child.try_wait().ok().flatten();
            if ended.is_some() || tokio::time::Instant::now() > deadline {
                let log = std::fs::read_to_string(self._folder.path().join("log"));
                let last = log.as_deref().unwrap_or_default().lines().last();
                return Err(Problem::new(
                    Exit::Unavailable,
                    DOING,
                    last.map_or_else(|| not_yet.cause().to_owned(), str::to_owned),
                ));
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

/// The postmaster. Dropping it ends it at once: nothing in it is worth an orderly shutdown.
struct Server {
    child: Child,
    #[cfg_attr(unix, allow(dead_code, reason = "signals do it there"))]
    pg_ctl: PathBuf,
    #[cfg_attr(unix, allow(dead_code, reason = "signals do it there"))]
    data: PathBuf,
}

impl Drop for Server {
    fn drop(&mut self) {
        #[cfg(unix)]
        if let Some(pid) = i32::try_from(self.child.id())
            .ok()
            .and_then(rustix::process::Pid::from_raw)
        {
            // Immediate shutdown: the postmaster takes its children with it.
            let _ = rustix::process::kill_process(pid, rustix::process::Signal::QUIT);
        }
        #[cfg(not(unix))]
        let _ = Command::new(&self.pg_ctl)
            .args(["stop", "-m", "immediate", "-D"])
            .arg(&self.data)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status();
        let _ = self.child.wait();
    }
}

/// Ends a cluster that a crashed process left running in `folder`: by the id in its pid file,
/// and only if that process really works there.
pub(super) fn end_leftover(folder: &Path) {
    #[cfg(unix)]
    {
        let data = folder.join("data");
        let Ok(text) = std::fs::read_to_string(data.join("postmaster.pid")) else {
            return;
        };
        let mut lines = text.lines();
        let pid = lines.next().and_then(|pid| pid.parse().ok());
        let works_there = lines.next().map(Path::new) == Some(&data);
        if let Some(pid) = pid.and_then(rustix::process::Pid::from_raw)
            && works_there
            && is_postgres(pid)
        {
            let _ = rustix::process::kill_process(pid, rustix::process::Signal::QUIT);
            // It still writes until it is gone.
            for _ in 0..100 {
                if rustix::process::test_kill_process(pid).is_err() {
                    break;
                }
                std::thread::sleep(Duration::from_millis(50));
            }
        }
    }
    #[cfg(not(unix))]
    if let Ok(programs) = Programs::find(None) {
        let _ = Command::new(&programs.pg_ctl)
            .args(["stop", "-m", "immediate", "-D"])
            .arg(folder.join("data"))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status();
    }
}

/// Whether the process is a Postgres: a pid may have gone to another program since.
#[cfg(unix)]
fn is_postgres(pid: rustix::process::Pid) -> bool {
    Command::new("ps")
        .args(["-o", "comm=", "-p", &pid.as_raw_nonzero().to_string()])
        .output()
        .is_ok_and(|out| String::from_utf8_lossy(&out.stdout).contains("postgres"))
}

struct Programs {
    initdb: PathBuf,
    postgres: PathBuf,
    pg_ctl: PathBuf,
}

impl Programs {
    fn find(bin: Option<&Path>) -> Result<Self> {
        let candidates = match bin {
            Some(bin) => vec![bin.to_owned()],
            None => folders(),
        };
        let exe =
            |dir: &Path, name: &str| dir.join(format!("{name}{}", std::env::consts::EXE_SUFFIX));
        candidates
            .iter()
            .map(|dir| Programs {
                initdb: exe(dir, "initdb"),
                postgres: exe(dir, "postgres"),
                pg_ctl: exe(dir, "pg_ctl"),
            })
            .find(|p| p.initdb.is_file() && p.postgres.is_file())
            .ok_or_else(|| {
                let place = match bin {
                    Some(bin) => format!("in {}", bin.display()),
                    None => "on PATH or in /usr/lib/postgresql".to_owned(),
                };
                Problem::new(
                    Exit::Unavailable,
                    DOING,
                    format!("no initdb and postgres {place}"),
                )
                .next("install PostgreSQL (Debian: apt install postgresql), name its folder with --pg-bin, or use --scratch embedded")
            })
    }
}

/// PATH, then Debian's folders, newest version first.
fn folders() -> Vec<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut debian: Vec<(u32, PathBuf)> = std::fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .filter_map(|entry| {
            let dir = entry.ok()?.path();
            let version = dir.file_name()?.to_str()?.parse().ok()?;
            Some((version, dir.join("bin")))
        })
        .collect();
    debian.sort_by_key(|(version, _)| std::cmp::Reverse(*version));
    std::env::split_paths(&path)
        .chain(debian.into_iter().map(|(_, dir)| dir))
        .collect()
}

fn start(programs: &Programs) -> Result<(Server, Temporary, PgConnectOptions)> {
    let user = Unprivileged::choose()?;
    let folder = Temporary::create(&end_leftover)?;
    user.give(folder.path())?;
    let data = folder.path().join("data");
    let (password, auth) = access(folder.path())?;
    let mut initdb = user.command(&programs.initdb);
    initdb
        .arg("-D")
        .arg(&data)
        .args(["-U", "postgres", "-E", "UTF8", "--no-locale", "--no-sync"])
        .args(auth)
        .current_dir(folder.path());
    run(initdb)?;
    let log = std::fs::File::create(folder.path().join("log")).doing(Exit::Unavailable, DOING)?;
    let also_log = log.try_clone().doing(Exit::Unavailable, DOING)?;
    let port = port()?;
    let mut postgres = user.command(&programs.postgres);
    postgres
        .arg("-D")
        .arg(&data)
        .args(["-p", &port.to_string()]);
    for setting in [
        "fsync=off",
        "full_page_writes=off",
        "synchronous_commit=off",
        "shared_buffers=16MB",
        "max_connections=20",
        "autovacuum=off",
        if cfg!(unix) {
            "listen_addresses="
        } else {
            "listen_addresses=127.0.0.1"
        },
    ] {
        postgres.args(["-c", setting]);
    }
    if cfg!(unix) {
        postgres.arg("-k").arg(folder.path());
    }
    postgres
        .current_dir(folder.path())
        .stdin(Stdio::null())
        .stdout(log)
        .stderr(also_log);
    // Ctrl-C is for dbctl, which then ends the cluster itself.
    #[cfg(unix)]
    std::os::unix::process::CommandExt::process_group(&mut postgres, 0);
    let child = postgres.spawn().doing(Exit::Unavailable, DOING)?;

    let mut options = PgConnectOptions::new_without_pgpass()
        .username("postgres")
        .database("postgres")
        .port(port)
        .ssl_mode(PgSslMode::Disable);
    options = if cfg!(unix) {
        options.socket(folder.path())
    } else {
        options.host("127.0.0.1").password(&password)
    };
    let server = Server {
        child,
        pg_ctl: programs.pg_ctl.clone(),
        data,
    };
    Ok((server, folder, options))
}

/// On Unix the folder's mode keeps others out; elsewhere a random password does, handed to
/// initdb in a file. Returns the password and initdb's arguments.
fn access(folder: &Path) -> Result<(String, Vec<String>)> {
    if cfg!(unix) {
        return Ok((String::new(), vec!["-A".into(), "trust".into()]));
    }
    let password =
        uuid::Uuid::now_v7().simple().to_string() + &format!("{:x}", rand::random::<u128>());
    let file = folder.join("password");
    std::fs::write(&file, &password).doing(Exit::Unavailable, DOING)?;
    let pwfile = format!("--pwfile={}", file.display());
    Ok((password, vec!["-A".into(), "scram-sha-256".into(), pwfile]))
}

/// On Unix the port only names the socket, in a folder of our own.
fn port() -> Result<u16> {
    if cfg!(unix) {
        return Ok(5432);
    }
    let free = std::net::TcpListener::bind(("127.0.0.1", 0)).and_then(|l| l.local_addr());
    Ok(free.doing(Exit::Unavailable, DOING)?.port())
}

fn run(mut command: Command) -> Result<()> {
    let output = command
        .stdin(Stdio::null())
        .output()
        .doing(Exit::Unavailable, DOING)?;
    if output.status.success() {
        return Ok(());
    }
    let stderr = String::from_utf8_lossy(&output.stderr);
    let said = stderr.lines().find(|l| !l.trim().is_empty());
    Err(Problem::new(
        Exit::Unavailable,
        DOING,
        said.unwrap_or("initdb failed"),
    ))
}

/// Who runs the server: postgres refuses to run as root.
struct Unprivileged {
    /// User and group ids to change to; none when dbctl itself does not run as root.
    #[cfg(unix)]
    ids: Option<(u32, u32)>,
}

impl Unprivileged {
    #[cfg(unix)]
    fn choose() -> Result<Self> {
        if !rustix::process::geteuid().is_root() {
            return Ok(Self { ids: None });
        }
        let users = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
        let ids = ["postgres", "_postgres", "nobody"].iter().find_map(|name| {
            users.lines().find_map(|line| {
                let mut fields = line.split(':');
                let matches = fields.next() == Some(name);
                let uid = fields.nth(1)?.parse().ok()?;
                let gid = fields.next()?.parse().ok()?;
                matches.then_some((uid, gid))
            })
        });
        match ids {
            Some(ids) => Ok(Self { ids: Some(ids) }),
            None => Err(Problem::new(
                Exit::Unavailable,
                DOING,
                "postgres never runs as root, and there is no user `postgres` or `nobody` to run it as",
            )
            .next("run dbctl as another user, or use --scratch embedded")),
        }
    }

    #[cfg(not(unix))]
    fn choose() -> Result<Self> {
        Ok(Self {})
    }

    fn command(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        #[cfg(unix)]
        if let Some((uid, gid)) = self.ids {
            use std::os::unix::process::CommandExt;
            command.uid(uid).gid(gid);
        }
        // No settings of the user's own servers.
        for name in ["PGDATA", "PGPORT", "PGHOST", "PGOPTIONS"] {
            command.env_remove(name);
        }
        command
    }

    #[cfg(unix)]
    fn give(&self, dir: &Path) -> Result<()> {
        match self.ids {
            Some((uid, gid)) => std::os::unix::fs::chown(dir, Some(uid), Some(gid))
                .doing(Exit::Unavailable, format!("{DOING} in {}", dir.display())),
            None => Ok(()),
        }
    }

    #[cfg(not(unix))]
    fn give(&self, _dir: &Path) -> Result<()> {
        Ok(())
    }
}

//! Two instances of the service, their Postgres, and what lies between them.

use std::path::{Path, PathBuf};
use std::process::Command;

use dbctl::demo::traffic::{Fleet as Served, Instance as Address, Options, Traffic};

use super::fault::Fault;
use super::work::Work;
use crate::support::fleet::Fleet;
use crate::support::pooler::Pooler;
use crate::support::postgres::Server;
use crate::support::proxy::Proxy;
use crate::support::service::{Backed, Instance};

/// The instance that faults strike; the other goes on.
pub const BESIDE: &str = "two";
const NAMES: [&str; 2] = ["one", BESIDE];

pub struct Ground {
    pub fleet: Fleet,
    pub backed: Backed,
    pub runtime: tokio::runtime::Runtime,
    proxy: Proxy,
    _pooler: Option<Pooler>,
    // Last: its files go before it.
    _disk: Option<SmallDisk>,
}

impl Ground {
    /// Both serve in the mode that `work` begins in.
    pub fn set(fault: Fault, work: Work) -> Self {
        let disk = (fault == Fault::DiskFull).then(SmallDisk::new);
        let server = match &disk {
            Some(disk) => Server::own_in(disk.path()),
            None => Server::own(),
        };
        let (fleet, backed) = Fleet::on_server(&NAMES, &server);
        let proxy = Proxy::before(&backed.db);
        let pooler = (fault == Fault::Pooler).then(|| Pooler::before(&backed.db));
        let route = |role: &str| match &pooler {
            Some(pooler) => pooler.url_as(role),
            None => proxy.url_as(role),
        };
        let key = fleet.with("one", |i| i.signing_key_file());
        let clock = fleet.path().join("clock");
        std::fs::write(&clock, "+0").expect("a clock");
        fleet.each(|instance| {
            instance.set("DATABASE_URL", &route("auth_service"));
            instance.set("SERVICE_SIGNING_KEY_FILE", key.to_str().expect("UTF-8"));
            instance.set("SERVICE_TOKEN_LIFETIME", "3h");
            instance.set_mode(if work == Work::Cutover {
                "memory"
            } else {
                "postgres"
            });
            for (name, value) in faked(&clock) {
                instance.in_environment(name, &value);
            }
        });
        let settings = std::fs::read_to_string(fleet.settings_file()).expect("settings");
        let settings = settings.replace(&backed.db.url, &route("postgres"));
        std::fs::write(fleet.settings_file(), settings).expect("written");
        fleet.add_settings("[keys]\nverifier_cache = \"1s\"\ntoken_lifetime = \"3h\"\n");
        for name in NAMES {
            fleet.crash(name, |_| {});
        }
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .expect("a runtime");
        Self {
            fleet,
            backed,
            runtime,
            proxy,
            _pooler: pooler,
            _disk: disk,
        }
    }

    pub fn server(&self) -> &Server {
        self.backed.db.server()
    }

    pub fn proxy(&self) -> &Proxy {
        &self.proxy
    }

    /// Begins to send honest requests to both, so many a second.
    pub fn traffic(&self, requests_per_second: u32) -> Traffic {
        let address = |i: &mut Instance| i.url().to_owned();
        let instances = NAMES.map(|name| Address {
            name: name.into(),
            url: self.fleet.with(name, address),
        });
        let mut options = Options::new(vec![Served {
            name: "production".into(),
            instances: instances.into(),
        }]);
        options.requests_per_second = requests_per_second;
        let _runtime = self.runtime.enter();
        Traffic::start(options).expect("traffic")
    }

    /// Variables for a process whose clock goes as those of the instances do.
    pub fn clock(&self) -> Vec<(&'static str, String)> {
        faked(&self.fleet.path().join("clock"))
    }

    /// Every clock but that of Postgres, from now on.
    pub fn set_clocks(&self, by: &str) {
        std::fs::write(self.fleet.path().join("clock"), by).expect("a clock");
    }

    fn guard_copy(&self) -> PathBuf {
        self.fleet.path().join("nonces-of-before.json")
    }

    pub fn keep_guard_file(&self) {
        let guard = self
            .fleet
            .with(BESIDE, |i| i.state_dir())
            .join("nonces.json");
        std::fs::copy(guard, self.guard_copy()).expect("a copy");
    }

    pub fn restore_guard_file(&self) {
        let copy = self.guard_copy();
        self.fleet.crash(BESIDE, |instance| {
            let guard = instance.state_dir().join("nonces.json");
            std::fs::copy(copy, guard).expect("restored");
        });
    }
}

/// libfaketime reads the file again at each look at the clock.
fn faked(clock: &Path) -> Vec<(&'static str, String)> {
    let library = std::fs::read_dir("/usr/lib")
        .expect("a folder")
        .flatten()
        .map(|entry| entry.path().join("faketime/libfaketime.so.1"))
        .find(|file| file.exists())
        .expect("tests need libfaketime: run `tests/run`, which installs it");
    vec![
        ("LD_PRELOAD", library.display().to_string()),
        ("FAKETIME_TIMESTAMP_FILE", clock.display().to_string()),
        ("FAKETIME_NO_CACHE", "1".into()),
        ("FAKETIME_DONT_FAKE_MONOTONIC", "1".into()),
    ]
}

/// A disk of 160 MB in memory.
struct SmallDisk(PathBuf);

impl SmallDisk {
    fn new() -> Self {
        let dir = tempfile::Builder::new()
            .prefix("dbctl-test-disk-")
            .tempdir()
            .expect("a folder")
            .keep();
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=160m,mode=755", "tmpfs"])
            .arg(&dir)
            .status();
        assert!(
            mounted.is_ok_and(|s| s.success()),
            "a full disk needs a small one: run as root, who may mount a tmpfs"
        );
        Self(dir)
    }

    fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
        let _ = std::fs::remove_dir(&self.0);
    }
}

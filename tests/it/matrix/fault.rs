//! What goes wrong, how it is done and how it ends.

use std::fmt;
use std::process::Command;
use std::time::Duration;

use rand::Rng as _;
use rand::rngs::StdRng;
use sqlx::Connection as _;

use super::ground::{BESIDE, Ground};
use super::work::{Under, Work};
use crate::support::proxy::Line;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    None,
    KillService,
    KillDbctl,
    KillBackend,
    KillPostmaster,
    Restart,
    Cut,
    Slow,
    Swallowed,
    Promoted,
    Restored,
    OldGuard,
    DiskFull,
    ReadOnly,
    NoConnections,
    Pooler,
    ClockAhead,
    ClockBehind,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Fault::None => "nothing fails",
            Fault::KillService => "kill -9 of the service",
            Fault::KillDbctl => "kill -9 of dbctl",
            Fault::KillBackend => "kill -9 of a backend",
            Fault::KillPostmaster => "kill -9 of the postmaster",
            Fault::Restart => "immediate restart of Postgres",
            Fault::Cut => "connections cut within messages",
            Fault::Slow => "every message half a second late",
            Fault::Swallowed => "a black hole for 3 s",
            Fault::Promoted => "a lagging standby promoted",
            Fault::Restored => "a backup restored",
            Fault::OldGuard => "an old guard file restored",
            Fault::DiskFull => "the disk of Postgres full",
            Fault::ReadOnly => "Postgres read-only",
            Fault::NoConnections => "every connection taken",
            Fault::Pooler => "PgBouncer, transaction mode",
            Fault::ClockAhead => "clocks an hour ahead",
            Fault::ClockBehind => "clocks an hour behind",
        })
    }
}

impl Fault {
    pub const ALL: [Fault; 18] = [
        Fault::None,
        Fault::KillService,
        Fault::KillDbctl,
        Fault::KillBackend,
        Fault::KillPostmaster,
        Fault::Restart,
        Fault::Cut,
        Fault::Slow,
        Fault::Swallowed,
        Fault::Promoted,
        Fault::Restored,
        Fault::OldGuard,
        Fault::DiskFull,
        Fault::ReadOnly,
        Fault::NoConnections,
        Fault::Pooler,
        Fault::ClockAhead,
        Fault::ClockBehind,
    ];

    /// Whether the two can meet.
    pub fn concerns(self, work: Work) -> bool {
        match self {
            Fault::KillDbctl => work.is_a_command(),
            // Without Postgres the file is all there is: `nonces` has that as a test of its own.
            Fault::OldGuard => matches!(work, Work::Serve | Work::Rotate | Work::Purge),
            Fault::None
            | Fault::KillService
            | Fault::KillBackend
            | Fault::KillPostmaster
            | Fault::Restart
            | Fault::Cut
            | Fault::Slow
            | Fault::Swallowed
            | Fault::Promoted
            | Fault::Restored
            | Fault::DiskFull
            | Fault::ReadOnly
            | Fault::NoConnections
            | Fault::Pooler
            | Fault::ClockAhead
            | Fault::ClockBehind => true,
        }
    }

    /// Postgres itself forgets what was committed: what was revoked or issued under a key of that
    /// time is gone with it, and no service can know. Nonces must not be repeated all the same.
    pub fn makes_postgres_forget(self) -> bool {
        matches!(self, Fault::Promoted | Fault::Restored)
    }

    /// A token that a wrong clock takes for expired, or for one from the future, is denied: that
    /// is closed, as it should be, and no broken promise.
    pub fn moves_clocks(self) -> bool {
        matches!(self, Fault::ClockAhead | Fault::ClockBehind)
    }

    /// Before the work begins.
    pub fn prepare(self, ground: &Ground) {
        match self {
            Fault::Promoted | Fault::Restored => ground.server().back_up(),
            Fault::OldGuard => ground.keep_guard_file(),
            Fault::None
            | Fault::KillService
            | Fault::KillDbctl
            | Fault::KillBackend
            | Fault::KillPostmaster
            | Fault::Restart
            | Fault::Cut
            | Fault::Slow
            | Fault::Swallowed
            | Fault::DiskFull
            | Fault::ReadOnly
            | Fault::NoConnections
            | Fault::Pooler
            | Fault::ClockAhead
            | Fault::ClockBehind => {}
        }
    }

    /// In the middle of the work: it fails, and is whole again when this returns.
    pub fn strike(self, ground: &Ground, under: &mut Under, rng: &mut StdRng) {
        let server = ground.server();
        match self {
            Fault::None | Fault::Pooler => {}
            Fault::KillService => ground.fleet.crash(BESIDE, |_| {}),
            Fault::KillDbctl => under.kill(),
            Fault::KillBackend => kill_backend(ground),
            Fault::KillPostmaster => {
                server.kill_postmaster();
                away(rng);
                server.start();
            }
            Fault::Restart => {
                server.kill();
                server.start();
            }
            Fault::Cut => {
                ground.proxy().cut_every(rng.random_range(20..900));
                std::thread::sleep(Duration::from_secs(2));
                ground.proxy().cut_every(0);
            }
            Fault::Slow => during(ground, Line::Slow(Duration::from_millis(500)), 2),
            Fault::Swallowed => during(ground, Line::Swallows, 3),
            Fault::Promoted => server.promote_the_backup(),
            Fault::Restored => server.restore(),
            Fault::OldGuard => ground.restore_guard_file(),
            Fault::DiskFull => fill_the_disk(ground),
            Fault::ReadOnly => {
                let set = "ALTER SYSTEM SET default_transaction_read_only = on";
                ground.backed.db.psql(set);
                ground.backed.db.psql("SELECT pg_reload_conf()");
                away(rng);
                ground.backed.db.psql(
                    "SET default_transaction_read_only = off; \
                     ALTER SYSTEM RESET default_transaction_read_only",
                );
                ground.backed.db.psql("SELECT pg_reload_conf()");
            }
            Fault::NoConnections => ground.runtime.block_on(take_every_connection(ground)),
            Fault::ClockAhead => ground.set_clocks("+1h"),
            Fault::ClockBehind => ground.set_clocks("-1h"),
        }
    }
}

/// How long it takes until somebody has seen to it.
fn away(rng: &mut StdRng) {
    std::thread::sleep(Duration::from_millis(rng.random_range(200..1500)));
}

fn during(ground: &Ground, line: Line, seconds: u64) {
    ground.proxy().line(line);
    std::thread::sleep(Duration::from_secs(seconds));
    ground.proxy().line(Line::Good);
}

/// One that serves the service; Postgres ends all others with it and recovers.
fn kill_backend(ground: &Ground) {
    let of_the_service = "SELECT pid FROM pg_stat_activity WHERE usename = 'auth_service' \
                          OR application_name = 'dbctl' ORDER BY random() LIMIT 1";
    let pid = ground.backed.db.psql(of_the_service);
    if pid.is_empty() {
        return;
    }
    let killed = Command::new("kill").args(["-9", &pid]).status();
    assert!(killed.is_ok(), "a signal");
    assert!(recovers(ground), "Postgres did not recover");
}

fn fill_the_disk(ground: &Ground) {
    let server = ground.server();
    let filler = server.dir().join("filler");
    let mut file = std::fs::File::create(&filler).expect("a file");
    let piece = vec![0_u8; 1 << 20];
    while std::io::Write::write_all(&mut file, &piece).is_ok() {}
    // The next piece of the write-ahead log does not fit: the server ends itself.
    for _ in 0..4 {
        let _ = server.try_psql("postgres", "postgres", "SELECT pg_switch_wal(); CHECKPOINT");
    }
    std::thread::sleep(Duration::from_secs(1));
    drop(file);
    std::fs::remove_file(&filler).expect("room again");
    if !recovers(ground) {
        server.kill();
        server.start();
    }
}

/// By itself, within ten seconds.
fn recovers(ground: &Ground) -> bool {
    (0..400).any(|_| {
        std::thread::sleep(Duration::from_millis(25));
        ground.server().runs()
    })
}

/// All that the server has, for a moment, after those of the service were ended.
async fn take_every_connection(ground: &Ground) {
    let url = &ground.backed.db.url;
    let mut held = Vec::new();
    let end_others = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
                      WHERE usename = 'auth_service'";
    for _ in 0..200 {
        match sqlx::PgConnection::connect(url).await {
            Ok(mut connection) => {
                if held.len() % 10 == 0 {
                    let _ = sqlx::raw_sql(end_others).execute(&mut connection).await;
                }
                held.push(connection);
            }
            Err(_) if held.len() > 20 => break,
            Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
        }
    }
    tokio::time::sleep(Duration::from_millis(1200)).await;
    for connection in held {
        let _ = connection.close().await;
    }
}

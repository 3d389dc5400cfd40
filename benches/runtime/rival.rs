//! `pgbench`, with one statement, and `psql`.

use std::process::Command;
use std::time::{Duration, Instant};

use super::{CLIENTS, FOR, url};

/// Transactions a second of `script` on prepared statements.
pub fn pgbench(script: &str) -> f64 {
    pgbench_with(CLIENTS, script)
}

/// The same with another number of clients.
pub fn pgbench_with(clients: u32, script: &str) -> f64 {
    let file = std::env::temp_dir().join(format!("dbctl-bench-{}.sql", std::process::id()));
    std::fs::write(&file, script).expect("a script");
    let clients = clients.to_string();
    let seconds = FOR.as_secs().to_string();
    let output = Command::new("pgbench")
        .args([
            "-n", "-M", "prepared", "-j", "2", "-c", &clients, "-T", &seconds, "-f",
        ])
        .arg(&file)
        .arg(url())
        .output()
        .expect("pgbench is on the path");
    let _ = std::fs::remove_file(&file);
    let text = String::from_utf8_lossy(&output.stdout);
    let tps = text
        .lines()
        .find_map(|line| line.strip_prefix("tps = ")?.split(' ').next()?.parse().ok());
    tps.unwrap_or_else(|| panic!("pgbench: {text}{}", String::from_utf8_lossy(&output.stderr)))
}

/// How long `psql` takes for these commands, one after the other.
pub fn psql(commands: &[&str]) -> Duration {
    let mut psql = Command::new("psql");
    psql.args(["-XAtq", "-v", "ON_ERROR_STOP=1", "-d", &url()]);
    for command in commands {
        psql.args(["-c", command]);
    }
    let began = Instant::now();
    let output = psql.output().expect("psql is on the path");
    let took = began.elapsed();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "psql: {said}");
    took
}

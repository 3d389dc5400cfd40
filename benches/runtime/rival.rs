//! `pgbench`, with one statement.

use std::process::Command;

use super::{CLIENTS, FOR, url};

/// Transactions a second of `script` on prepared statements.
pub fn pgbench(script: &str) -> f64 {
    let file = std::env::temp_dir().join(format!("dbctl-bench-{}.sql", std::process::id()));
    std::fs::write(&file, script).expect("a script");
    let clients = CLIENTS.to_string();
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

//! What a service pays for its security state, beside what it could pay at least: `pgbench`, `COPY` and
//! the crypto library are measured in the same run, on the same server and cores.
//!
//! Wants a superuser's `DATABASE_URL` of a migrated database, and `pgbench` and `psql` on the path;
//! `benches/state` brings all of it.

mod carry;
mod nonces;
mod purge;
mod revocations;
mod rival;
mod tokens;

use std::time::Duration;

use dbctl::pg::Database;
use secrecy::SecretString;

/// How long each measurement takes.
const FOR: Duration = Duration::from_secs(5);

/// Connections at the same time, for us and for `pgbench`.
const CLIENTS: u32 = 8;

fn main() {
    // Cargo adds `--bench`.
    let args: Vec<String> = std::env::args()
        .skip(1)
        .filter(|a| a != "--bench")
        .collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime");
    match args[..] {
        ["nonces"] => runtime.block_on(nonces::measure()),
        ["tokens"] => tokens::measure(),
        ["revocations", rows] => runtime.block_on(revocations::measure(number(rows))),
        ["purge", url, rows] => runtime.block_on(purge::measure(url, number(rows))),
        ["carry", rows] => runtime.block_on(carry::measure(number(rows))),
        _ => eprintln!("usage: runtime nonces|tokens|revocations ROWS|purge URL ROWS|carry ROWS"),
    }
}

fn number(text: &str) -> u64 {
    text.parse().expect("a number of rows")
}

fn url() -> String {
    std::env::var("DATABASE_URL").expect("DATABASE_URL")
}

/// A pool of as many connections.
fn pool(connections: u32) -> Database {
    Database::from_secret_url("DATABASE_URL", &SecretString::from(url()), connections)
        .expect("a URL of Postgres")
}

/// One line of the table.
fn row(work: &str, ours: f64, rival: &str, theirs: f64, unit: &str, aim: &str) {
    let times = ours / theirs;
    println!("| {work} | {ours:.0} {unit} | {rival}: {theirs:.0} {unit} | {times:.2} × | {aim} |");
}

/// The `share` quantile of durations.
fn quantile(sorted: &[Duration], share: f64) -> Duration {
    let last = sorted.len() - 1;
    sorted[(last as f64 * share).round() as usize]
}

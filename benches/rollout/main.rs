//! Measures what `benches/run` cannot from outside.

mod appends;
mod journal;
#[path = "../../tests/it/support/nobody.rs"]
mod nobody;

use std::path::Path;
use std::time::Duration;

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
        ["appends"] => runtime.block_on(appends::measure()),
        ["journal", folder, events] => {
            let events = events.parse().expect("a number of events");
            runtime.block_on(journal::write(Path::new(folder), events));
        }
        _ => eprintln!("usage: rollout appends | rollout journal FOLDER EVENTS"),
    }
}

/// The middle one of many, in milliseconds.
fn median(times: &mut [Duration]) -> f64 {
    times.sort();
    times[times.len() / 2].as_secs_f64() * 1e3
}

//! Measures what `benches/run` cannot from outside. Each part prints a table in Markdown.

mod appends;

fn main() {
    let part = std::env::args().find(|a| !a.starts_with('-') && !a.contains('/'));
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime");
    match part.as_deref() {
        Some("appends") => runtime.block_on(appends::measure()),
        Some(other) => panic!("there is no part {other}"),
        None => eprintln!("usage: rollout appends"),
    }
}

/// The middle one of many, in milliseconds.
fn median(times: &mut [std::time::Duration]) -> f64 {
    times.sort();
    times[times.len() / 2].as_secs_f64() * 1e3
}

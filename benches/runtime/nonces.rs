//! Reserving nonces, and handing them out.

use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use dbctl::runtime::nonce::{MAX_JUMP, Nonces, Opening};
use futures_util::future::join_all;

use super::{CLIENTS, FOR, pool, row};

async fn open(dir: &Path, node: &str, window: i64, file: bool) -> Nonces {
    let opening = Opening {
        state_dir: dir,
        node,
        window,
        carried: &[],
        max_jump: MAX_JUMP,
        accept_copy: None,
    };
    let db = (!file).then(|| pool(1));
    Nonces::open(opening, db.as_ref(), None)
        .await
        .expect("a nonce store")
}

/// Reservations a second of so many nodes, each waiting for its own: one nonce each.
async fn reservations(parent: &Path) -> f64 {
    let done = AtomicU64::new(0);
    let began = Instant::now();
    let nodes = (0..CLIENTS).map(|i| {
        let done = &done;
        async move {
            let dir = tempfile::tempdir_in(parent).expect("a folder");
            let nonces = open(dir.path(), &format!("node-{i}"), 1, false).await;
            while began.elapsed() < FOR {
                nonces.reserve("s", 1).await.expect("a nonce");
                done.fetch_add(1, Ordering::Relaxed);
            }
        }
    });
    join_all(nodes).await;
    per_second(done.into_inner(), began.elapsed())
}

fn per_second(done: u64, took: Duration) -> f64 {
    done as f64 / took.as_secs_f64()
}

/// Nonces a second of one scope with windows of `window`.
async fn handed_out(window: i64) -> f64 {
    let dir = tempfile::tempdir().expect("a folder");
    let nonces = open(dir.path(), &format!("by-{window}"), window, false).await;
    let scope = nonces.scope("s").expect("a scope");
    let began = Instant::now();
    let mut done = 0;
    while began.elapsed() < FOR {
        for _ in 0..1_000 {
            std::hint::black_box(scope.take(1).await.expect("a nonce"));
        }
        done += 1_000;
    }
    per_second(done, began.elapsed())
}

/// The same from a mutex and a counter, which forget everything.
fn counted() -> f64 {
    let counter = Mutex::new(0_i64);
    let began = Instant::now();
    let mut done = 0;
    while began.elapsed() < FOR {
        for _ in 0..1_000 {
            let mut next = counter.lock().expect("nobody panics");
            *next += 1;
            std::hint::black_box(*next);
        }
        done += 1_000;
    }
    per_second(done, began.elapsed())
}

pub async fn measure() {
    let ours = reservations(&std::env::temp_dir()).await;
    let without_disk = reservations(Path::new("/dev/shm")).await;
    let theirs = super::rival::pgbench(
        "UPDATE security.nonce_watermarks SET reserved_high = reserved_high + 1 \
         WHERE node_name = 'node-' || :client_id AND nonce_scope = 's' RETURNING reserved_high;",
    );
    let rival = "`pgbench`, the bare UPDATE";
    let unit = "/s";
    row(
        "nonce reservation, durable in Postgres and in the guard file",
        ours,
        rival,
        theirs,
        unit,
        "0.9 ×",
    );
    row(
        "the same, guard file on a RAM disk",
        without_disk,
        rival,
        theirs,
        unit,
        "0.9 ×",
    );
    let counter = counted();
    let rival = "a mutex and a counter";
    row(
        "nonces handed out, window 1,000",
        handed_out(1_000).await,
        rival,
        counter,
        unit,
        "0.5 ×",
    );
    row(
        "the same, window 1,000,000",
        handed_out(1_000_000).await,
        rival,
        counter,
        unit,
        "",
    );
}

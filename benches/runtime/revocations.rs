//! Is this token revoked? With as many revoked tokens as one likes.

use std::hint::black_box;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use dbctl::runtime::revocation::{
    Caching, PostgresRevocations, Revocations, Status, WhenUnavailable,
};
use futures_util::future::join_all;
use rand::Rng as _;
use rand::rngs::SmallRng;
use rand::{SeedableRng as _, random};

use super::{CLIENTS, FOR, pool, quantile, rival, row};

/// One in two of these is revoked.
fn id(rows: u64, rng: &mut SmallRng) -> String {
    format!("token-{}", rng.random_range(1..=2 * rows))
}

/// Rows as a restored backup would bring them: past the triggers that guard single changes.
fn fill(rows: u64) {
    rival::psql(&[
        "SET session_replication_role = replica",
        "SET synchronous_commit = off",
        "SET maintenance_work_mem = '512MB'",
        &format!(
            "INSERT INTO security.revoked_tokens (token_id, revoked_at, expires_at) \
             SELECT 'token-' || n, now(), now() + interval '1 day' FROM generate_series(1, {rows}) n"
        ),
        "VACUUM (ANALYZE) security.revoked_tokens",
        "CHECKPOINT",
    ]);
}

/// Checks a second of so many who each wait for their own answer.
async fn asked(store: &Revocations, clients: u32, rows: u64) -> f64 {
    let done = AtomicU64::new(0);
    let began = Instant::now();
    let clients = (0..clients).map(|_| async {
        let mut rng = SmallRng::seed_from_u64(random());
        while began.elapsed() < FOR {
            let answer = store.check(&id(rows, &mut rng), "no-session").await;
            black_box(answer.expect("Postgres answers"));
            done.fetch_add(1, Ordering::Relaxed);
        }
    });
    join_all(clients).await;
    done.into_inner() as f64 / began.elapsed().as_secs_f64()
}

/// How long each check takes, sorted, while the cache follows what others revoke.
async fn from_memory(store: &Revocations, rows: u64) -> Vec<Duration> {
    let mut rng = SmallRng::seed_from_u64(random());
    let mut took = Vec::with_capacity(20_000_000);
    let began = Instant::now();
    while began.elapsed() < FOR {
        let id = id(rows, &mut rng);
        let one = Instant::now();
        let answer = black_box(store.check(&id, "no-session").await);
        took.push(one.elapsed());
        assert!(answer.is_ok());
    }
    took.sort_unstable();
    took
}

/// Resident memory of this process, in MiB.
fn memory() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("Linux");
    let kib = status.lines().find_map(|l| {
        l.strip_prefix("VmRSS:")?
            .trim()
            .split(' ')
            .next()?
            .parse()
            .ok()
    });
    kib.unwrap_or(0.0) / 1024.0
}

async fn loaded(db: &dbctl::pg::Database, rows: u64) -> Revocations {
    let how = Caching {
        bound: Duration::from_secs(1),
        unavailable: WhenUnavailable::Deny,
    };
    let store = Revocations::Postgres(PostgresRevocations::new(db).cached(how));
    loop {
        let state = store.cache_state().expect("a cache");
        if state.age.is_some() {
            assert!(state.entries as u64 >= rows, "{state:?}");
            return store;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

pub async fn measure(rows: u64) {
    fill(rows);
    let db = pool(CLIENTS);
    let store = Revocations::Postgres(PostgresRevocations::new(&db));
    let first = store.check("token-1", "no-session").await;
    assert_eq!(first.ok(), Some(Status::TokenRevoked));
    let bare = format!(
        "\\set n random(1, {})\n\
         SELECT true FROM security.revoked_tokens WHERE token_id = 'token-' || :n;",
        2 * rows
    );
    for clients in [1, CLIENTS, 8 * CLIENTS] {
        // The pages of the table come into memory with the first of them.
        rival::pgbench_with(clients, &bare);
        let theirs = rival::pgbench_with(clients, &bare);
        let ours = asked(&store, clients, rows).await;
        row(
            &format!("revocation check of {rows} revoked, uncached, {clients} at a time"),
            ours,
            "`pgbench -M prepared`, the bare SELECT",
            theirs,
            "/s",
            "0.9 ×",
        );
    }
    let (before, began) = (memory(), Instant::now());
    let store = loaded(&db, rows).await;
    let took = began.elapsed();
    eprintln!(
        "the cache was loaded in {:.1} s and takes {:.0} MiB",
        took.as_secs_f64(),
        memory() - before
    );
    let others = PostgresRevocations::new(&db);
    let others = Revocations::Postgres(others);
    let revoking = tokio::spawn(async move {
        for n in 0.. {
            let now = jiff::Timestamp::now();
            let token = dbctl::contract::RevokedToken {
                token_id: format!("new-{n}"),
                revoked_at: now,
                expires_at: now + Duration::from_secs(3600),
                reason: None,
            };
            let _ = others.revoke_token(&token, &Default::default()).await;
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    });
    let took = from_memory(&store, rows).await;
    revoking.abort();
    let micros = |share| quantile(&took, share).as_secs_f64() * 1e6;
    println!(
        "| the same, cached, while others revoke | median {:.1} µs, p99 {:.1} µs, greatest {:.0} µs | | | p99 50 µs |",
        micros(0.5),
        micros(0.99),
        micros(1.0),
    );
}

//! One fault beside one work, and what the books say.

use std::fmt;
use std::time::Duration;

use dbctl::demo::record::{Phase, Summary};
use rand::Rng as _;
use rand::rngs::StdRng;

use super::fault::Fault;
use super::ground::Ground;
use super::work::Work;

/// What became of it.
pub struct Told {
    /// How often the command was begun until it was done; 0 without one.
    tries: u32,
    /// Requests of how many that were not answered.
    unavailable: u64,
    requests: u64,
    forgot: bool,
    pub broken: Vec<String>,
}

impl fmt::Display for Told {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.broken.len() {
            0 if self.forgot => f.write_str("P1 kept")?,
            0 => f.write_str("kept")?,
            n => write!(f, "**{n} broken**")?,
        }
        if self.tries > 1 {
            write!(f, ", {} tries", self.tries)?;
        }
        let share = 100 * self.unavailable / self.requests.max(1);
        match share {
            0 => Ok(()),
            percent => write!(f, ", {percent} % not answered"),
        }
    }
}

pub fn run(fault: Fault, work: Work, rng: &mut StdRng) -> Told {
    let ground = Ground::set(fault, work);
    let traffic = ground.traffic(100);
    std::thread::sleep(Duration::from_millis(1500));
    fault.prepare(&ground);
    std::thread::sleep(Duration::from_millis(500));
    traffic.enter(Phase::During);
    let mut under = work.begin(&ground);
    std::thread::sleep(Duration::from_millis(rng.random_range(0..900)));
    fault.strike(&ground, &mut under, rng);
    let finished = under.finish(&ground);
    std::thread::sleep(Duration::from_millis(1500));
    traffic.enter(Phase::After);
    let summary = ground.runtime.block_on(traffic.stop());
    let mut broken = seen_by_clients(&summary, fault);
    let tries = finished.unwrap_or_else(|said| {
        broken.push(format!("P11: it was never done: {said}"));
        0
    });
    if broken.is_empty() {
        broken.extend(modes(&ground, work));
    }
    Told {
        tries,
        unavailable: summary.unavailable_total(),
        requests: summary.requests,
        forgot: fault.makes_postgres_forget(),
        broken,
    }
}

/// Over to Postgres and back again under 200 requests a second, with Postgres killed while each switch
/// is under way: between the fence and its end. What the traffic saw, and what was broken.
pub fn there_and_back(rng: &mut StdRng) -> (Summary, Vec<String>) {
    let ground = Ground::set(Fault::KillPostmaster, Work::Cutover);
    let traffic = ground.traffic(200);
    let mut broken = Vec::new();
    std::thread::sleep(Duration::from_secs(4));
    traffic.enter(Phase::During);
    for work in [Work::Cutover, Work::Rollback] {
        let mut under = work.begin(&ground);
        under.until_fenced(&ground);
        Fault::KillPostmaster.strike(&ground, &mut under, rng);
        match under.finish(&ground) {
            Ok(tries) => println!("{work}: done, begun {tries} times"),
            Err(said) => broken.push(format!("{work}: it was never done: {said}")),
        }
        std::thread::sleep(Duration::from_secs(4));
        broken.extend(modes(&ground, work));
    }
    traffic.enter(Phase::After);
    std::thread::sleep(Duration::from_secs(4));
    let summary = ground.runtime.block_on(traffic.stop());
    broken.extend(seen_by_clients(&summary, Fault::KillPostmaster));
    (summary, broken)
}

/// P1, P2, P3: the traffic's own books.
fn seen_by_clients(summary: &Summary, fault: Fault) -> Vec<String> {
    let mut broken = Vec::new();
    if summary.nonces_twice > 0 {
        broken.push(format!("P1: {} nonces twice", summary.nonces_twice));
    }
    if fault.makes_postgres_forget() {
        return broken;
    }
    let holds = match fault.moves_clocks() {
        true => summary.revoked.allowed == 0 && summary.gaps == 0 && summary.unexpected == 0,
        false => summary.holds(),
    };
    if !holds {
        broken.extend(summary.details.iter().cloned());
        if broken.is_empty() {
            broken.push(format!("nothing can be claimed: {summary:?}"));
        }
    }
    broken
}

/// P11: what was said to be done is what the processes say.
fn modes(ground: &Ground, work: Work) -> Vec<String> {
    let wanted = match work {
        Work::Rollback => "memory",
        Work::Serve | Work::Rotate | Work::Cutover | Work::Purge => "postgres",
    };
    let mut broken = Vec::new();
    ground.fleet.each(|instance| {
        let health = instance.get("/healthz").body;
        let right = health["modes"]["SECURITY_RUNTIME_MODE"] == wanted;
        if !right || health["fenced"] != false {
            broken.push(format!("P11: it is done, and {health}"));
        }
    });
    broken
}

//! Whole bakes, simulated: how often a gate raises a false alarm, how often it passes what it
//! should and what it should not, and how soon it sees a regression; beside two other ways.
//!
//! A bake of 30 minutes, looked at every 5 s; the canary has 10 requests a second and the others
//! 20. The gate is the real one, judged by the real code; its ceiling is far away.

mod rivals;

use std::time::Duration;

use dbctl::check::Verdict;
use dbctl::check::gates::{Arms, Counted, Deciding, SoFar, Thresholds, Totals, judge};
use dbctl::check::metrics::{Measurement, Status};
use dbctl::runbook::model::{Gate, Limits, Measure, Position};
use jiff::Timestamp;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

/// Looks of a bake; its extension has as many.
const LOOKS: usize = 360;
const LOOK_S: f64 = 5.0;
/// Looks in a window.
const WINDOW: usize = 12;
const MARGIN: f64 = 0.002;

/// What happens in a bake.
pub struct World {
    name: &'static str,
    /// Share of bad requests of the others, and how much more of the canary's are bad.
    base: f64,
    worse: f64,
    /// In the middle third the canary has half of the traffic and everybody fails three times as
    /// often: totals alone would blame the canary.
    waves: bool,
}

const fn world(name: &'static str, base: f64, worse: f64) -> World {
    World {
        name,
        base,
        worse,
        waves: false,
    }
}

const WORLDS: [World; 9] = [
    world("0.5 %, no difference", 0.005, 0.0),
    world("0.5 %, worse by half the margin", 0.005, MARGIN / 2.0),
    world("0.5 %, worse by the margin", 0.005, MARGIN),
    world("0.5 %, worse by 0.5 pp", 0.005, 0.005),
    world("0.1 %, no difference", 0.001, 0.0),
    world("0.1 %, worse by the margin", 0.001, MARGIN),
    world("0.1 %, worse by 0.5 pp", 0.001, 0.005),
    world("5 %, no difference", 0.05, 0.0),
    World {
        name: "0.5 %, no difference, in waves",
        base: 0.005,
        worse: 0.0,
        waves: true,
    },
];

/// How a bake ended, and after how many looks.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum End {
    Passed(usize),
    /// Rolled back.
    Failed(usize),
    /// A person is asked.
    Held,
}

/// Counts of one look.
#[derive(Debug, Clone, Copy, Default)]
pub struct Seen {
    pub canary: (f64, f64),
    pub others: (f64, f64),
}

impl World {
    fn look(&self, at: usize, random: &mut StdRng) -> Seen {
        let wave = self.waves && (LOOKS / 3..2 * LOOKS / 3).contains(&(at % LOOKS));
        let (mine, theirs) = if wave { (75, 75) } else { (50, 100) };
        let times = if wave { 3.0 } else { 1.0 };
        let count = |n: u32, p: f64, random: &mut StdRng| (binomial(n, p, random), f64::from(n));
        Seen {
            canary: count(mine, (self.base + self.worse) * times, random),
            others: count(theirs, self.base * times, random),
        }
    }
}

/// By the gaps between hits, which are geometric.
fn binomial(n: u32, p: f64, random: &mut StdRng) -> f64 {
    let (mut hits, mut at) = (0.0, 0.0);
    loop {
        let uniform: f64 = random.random();
        at += ((1.0 - uniform).ln() / (-p).ln_1p()).floor() + 1.0;
        if at > f64::from(n) {
            return hits;
        }
        hits += 1.0;
    }
}

fn gate() -> Gate {
    Gate {
        id: "errors".into(),
        heading: "Errors".into(),
        measure: Measure::Ratio {
            bad: "bad_total".into(),
            total: "all_total".into(),
        },
        thresholds: Thresholds::max(0.5),
        margin: Some(MARGIN),
        interval: Duration::from_secs_f64(LOOK_S),
        window: Duration::from_secs(60),
        initial_delay: Duration::ZERO,
        min_samples: 50,
        limits: Limits::default(),
        muted: false,
        at: Position::default(),
    }
}

fn measurement((bad, total): (f64, f64)) -> Measurement {
    Measurement {
        at: Timestamp::UNIX_EPOCH,
        targets: Vec::new(),
        query: String::new(),
        status: Status::Measured,
        value: Some(bad / total),
        samples: Some(total),
        hits: Some(bad),
        coverage: 1.0,
        observed_ms: 60_000,
        backfilled_ms: 0,
        warming: false,
        why: String::new(),
    }
}

/// The sum of the looks of the last window.
fn window(seen: &[Seen], of: impl Fn(&Seen) -> (f64, f64)) -> (f64, f64) {
    let last = &seen[seen.len().saturating_sub(WINDOW)..];
    let sum = |a: (f64, f64), b: (f64, f64)| (a.0 + b.0, a.1 + b.1);
    last.iter().map(of).fold((0.0, 0.0), sum)
}

/// One bake as dbctl judges it: two decisions, at its end and at the end of its extension.
fn bake(world: &World, gate: &Gate, random: &mut StdRng) -> End {
    let mut totals = Totals::default();
    let mut seen = Vec::new();
    for at in 1..=2 * LOOKS {
        let look = world.look(at - 1, random);
        seen.push(look);
        let due = at % LOOKS == 0;
        let so_far = SoFar {
            since: None,
            totals,
            state: if due { Deciding::Now } else { Deciding::Not },
            window_over: false,
            decisions: 2,
            gates: 1,
        };
        let counted = |(bad, total)| Counted { bad, total };
        let added = Arms {
            baking: counted(look.canary),
            others: counted(look.others),
        };
        let others = measurement(window(&seen, |s| s.others));
        let canary = measurement(window(&seen, |s| s.canary));
        let reading = judge(gate, canary, Some(others), &so_far, Some(added));
        match reading.verdict {
            Verdict::Fail => return End::Failed(at),
            Verdict::Pass => return End::Passed(at),
            Verdict::Inconclusive | Verdict::Error => {}
        }
        totals = totals.with(added);
    }
    End::Held
}

/// Judges a whole bake.
type Way<'a> = &'a (dyn Fn(&World, &mut StdRng) -> End + Sync);

fn main() {
    // Cargo adds `--bench`.
    let args: Vec<String> = std::env::args()
        .skip(1)
        .filter(|a| a != "--bench")
        .collect();
    let bakes: usize = args.first().map_or(2000, |n| n.parse().expect("a number"));
    println!("{bakes} bakes each; `dbctl` decides at 30 minutes and, extended, at 60");
    println!();
    println!(
        "| others fail, and the canary is | way | rolled back | passed | held | median time to the rollback |"
    );
    println!("| --- | --- | ---: | ---: | ---: | ---: |");
    let gate = gate();
    let ways: [(&str, Way<'_>); 3] = [
        ("dbctl", &|world, random| bake(world, &gate, random)),
        ("a z-test at each look, p < 0.05", &rivals::naive),
        ("more than 3 of 30 minutes above 1 %", &rivals::threshold),
    ];
    for world in &WORLDS {
        for (name, way) in ways {
            let ends: Vec<End> = std::thread::scope(|scope| {
                let halves: Vec<_> = (0..2_usize)
                    .map(|half| {
                        scope.spawn(move || {
                            let of = (half..bakes).step_by(2);
                            of.map(|n| way(world, &mut StdRng::seed_from_u64(n as u64)))
                                .collect::<Vec<End>>()
                        })
                    })
                    .collect();
                let joined = halves.into_iter().map(|h| h.join().expect("it ends"));
                joined.flatten().collect()
            });
            println!("| {} | {name} | {} |", world.name, row(&ends));
        }
    }
}

fn row(ends: &[End]) -> String {
    let share = |which: &dyn Fn(&End) -> bool| {
        let count = ends.iter().filter(|e| which(e)).count();
        format!("{:.1} %", 100.0 * count as f64 / ends.len() as f64)
    };
    let mut times: Vec<usize> = ends
        .iter()
        .filter_map(|end| match end {
            End::Failed(at) => Some(*at),
            End::Passed(_) | End::Held => None,
        })
        .collect();
    times.sort_unstable();
    let median = match times.get(times.len() / 2) {
        Some(at) if times.len() * 2 >= ends.len() => {
            let seconds = (*at as f64 * LOOK_S).round();
            format!("{:.0}m {:02.0}s", (seconds / 60.0).floor(), seconds % 60.0)
        }
        Some(_) | None => String::new(),
    };
    [
        share(&|e| matches!(e, End::Failed(_))),
        share(&|e| matches!(e, End::Passed(_))),
        share(&|e| matches!(e, End::Held)),
        median,
    ]
    .join(" | ")
}

//! Every fault beside everything that can be under way: real processes, a real Postgres, and
//! traffic whose own books say afterwards which promise was broken.
//!
//! A sample runs with the other tests; all of it, in an order that the seed decides:
//!
//! ```sh
//! DBCTL_FAULT_CELLS=all DBCTL_FAULT_SEED=1 tests/run --profile faults --no-capture matrix
//! ```

use std::fmt::Write as _;

use rand::SeedableRng as _;
use rand::rngs::StdRng;
use rand::seq::SliceRandom as _;

use fault::Fault;
use work::Work;

mod fault;
mod ground;
mod judge;
mod work;

/// What became of one fault beside one work.
struct Cell {
    fault: Fault,
    work: Work,
    told: judge::Told,
}

fn table(cells: &[Cell]) -> String {
    let mut text = String::from("| fault |");
    for work in Work::ALL {
        write!(text, " {work} |").expect("a string takes it");
    }
    text += "\n| --- |";
    text += &" --- |".repeat(Work::ALL.len());
    for fault in Fault::ALL {
        write!(text, "\n| {fault} |").expect("a string takes it");
        for work in Work::ALL {
            let mut ran = cells.iter().filter(|c| (c.fault, c.work) == (fault, work));
            let said = match (fault.concerns(work), ran.next()) {
                (false, _) => "–".to_owned(),
                (true, None) => "·".to_owned(),
                (true, Some(cell)) => cell.told.to_string(),
            };
            write!(text, " {said} |").expect("a string takes it");
        }
    }
    text
}

#[test]
fn whatever_fails_beside_whatever_is_under_way_no_promise_is_broken() {
    let named = |name: &str| std::env::var(name).ok().filter(|v| !v.is_empty());
    let seed: u64 = named("DBCTL_FAULT_SEED").map_or_else(
        || rand::random::<u32>().into(),
        |v| v.parse().expect("a number"),
    );
    let mut all: Vec<(Fault, Work)> = Fault::ALL
        .into_iter()
        .flat_map(|fault| Work::ALL.map(|work| (fault, work)))
        .filter(|(fault, work)| fault.concerns(*work))
        .collect();
    let mut rng = StdRng::seed_from_u64(seed);
    all.shuffle(&mut rng);
    if let Some(only) = named("DBCTL_FAULT_ONLY") {
        all.retain(|(fault, work)| format!("{fault} × {work}").contains(&only));
    }
    let count = match named("DBCTL_FAULT_CELLS").as_deref() {
        None => 4,
        Some("all") => all.len(),
        Some(number) => number.parse().expect("a number, or all"),
    };
    println!("DBCTL_FAULT_SEED={seed} DBCTL_FAULT_CELLS={count}");
    let mut cells = Vec::new();
    for (fault, work) in all.into_iter().take(count) {
        let told = judge::run(fault, work, &mut rng);
        println!("{fault} × {work}: {told}");
        for broken in &told.broken {
            println!("    {broken}");
        }
        cells.push(Cell { fault, work, told });
    }
    println!("\n{}", table(&cells));
    let broken: Vec<String> = cells
        .iter()
        .flat_map(|c| {
            c.told
                .broken
                .iter()
                .map(|b| format!("{} × {}: {b}", c.fault, c.work))
        })
        .collect();
    assert!(broken.is_empty(), "{broken:#?}");
}

#[test]
fn killed_in_the_middle_of_a_cutover_and_of_a_rollback_postgres_takes_nothing_with_it() {
    let mut rng = StdRng::seed_from_u64(rand::random());
    let (seen, broken) = judge::there_and_back(&mut rng);
    println!(
        "{} requests, {} not answered; {} nonces, duplicates {}; {} revoked, resurrected {}; {} tokens, gaps {}",
        seen.requests,
        seen.unavailable_total(),
        seen.nonces,
        seen.nonces_twice,
        seen.revoked_total(),
        seen.revoked.allowed,
        seen.tokens_issued,
        seen.gaps,
    );
    assert!(broken.is_empty(), "{broken:#?}\n{seen:#?}");
}

//! Kills at random moments of whole rollouts.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use dbctl::demo::service::FaultSettings;
use dbctl::rollout::machine::{Event, Part, Progress, State, Status, StepRef};
use dbctl::runbook::plan::Plan;
use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};

use super::chain::{Watch, about, expire, next_command};
use super::promises;
use super::scene::{Driver, Scene};

/// Kills in one rollout at most; after these it is let go on in peace.
const MOST: usize = 6;

/// A driver that goes on for longer hangs. Well below what ends the whole test without a word.
const PATIENCE: Duration = Duration::from_secs(120);

/// Commands of one rollout at most: one or two after a kill, one after a pause.
const COMMANDS: usize = 40;

/// Commands in a row that end with an error: a machine under load may be too slow for one.
const ERRORS: usize = 4;

/// A driver is killed after so many events of its own at most, and a moment later.
const EVENTS: usize = 12;
const MOMENT: Duration = Duration::from_millis(700);

/// What happens to a rollout beside the kills.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Plot {
    /// Nothing.
    Forward,
    /// An operator rolls it back at some time after the first switch.
    Operator,
    /// The canary breaks in its bake, and a trigger fires.
    Trigger,
}

/// One kill: where the run stood, and where it stood next when nothing happened by itself.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Kill {
    state: String,
    became: Option<&'static str>,
}

/// What became of the kills, by where they happened.
#[derive(Debug, Default)]
pub struct Table {
    rows: BTreeMap<String, BTreeMap<&'static str, usize>>,
    pub kills: usize,
    pub rollouts: usize,
    ends: BTreeMap<&'static str, usize>,
    /// Why runs paused, in the words of the journal.
    pauses: BTreeMap<String, usize>,
    pub broken: Vec<String>,
}

const OUTCOMES: [&str; 4] = ["completed", "rolled back", "paused", "stuck"];

impl std::fmt::Display for Table {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        writeln!(f, "| killed in | kills | {} |", OUTCOMES.join(" | "))?;
        writeln!(f, "| --- | ---: | ---: | ---: | ---: | ---: |")?;
        let row = |f: &mut std::fmt::Formatter<'_>, name: &str, of: &BTreeMap<&str, usize>| {
            let cells = OUTCOMES.map(|o| of.get(o).copied().unwrap_or(0).to_string());
            let all: usize = of.values().sum();
            writeln!(f, "| {name} | {all} | {} |", cells.join(" | "))
        };
        for (name, of) in &self.rows {
            row(f, name, of)?;
        }
        let mut sum: BTreeMap<&str, usize> = BTreeMap::new();
        for of in self.rows.values() {
            for (outcome, times) in of {
                *sum.entry(outcome).or_default() += times;
            }
        }
        row(f, "**all**", &sum)?;
        writeln!(
            f,
            "\n{} rollouts ended: {:?}; broken promises: {}",
            self.rollouts,
            self.ends,
            self.broken.len()
        )?;
        for (why, times) in &self.pauses {
            writeln!(f, "paused {times} times: {why}")?;
        }
        Ok(())
    }
}

/// Rolls out again and again until so many drivers were killed. The seed gives the moments.
pub fn kills(runbook: &str, count: usize, seed: u64) -> Table {
    let mut table = Table::default();
    // 200 s for the 5 kills of a test run, a bit over an hour for 200.
    let most = u64::try_from(count).expect("not that many");
    let until = Instant::now() + Duration::from_secs(100 + 20 * most);
    while table.kills < count {
        let number = u64::try_from(table.rollouts).expect("few");
        let mut random = StdRng::seed_from_u64(seed.wrapping_add(number));
        let left = count - table.kills;
        one(runbook, &mut random, left.min(MOST), until, &mut table);
        println!(
            "rollout {} (seed {}): {} of {count} kills so far, broken promises: {}",
            table.rollouts,
            seed.wrapping_add(number),
            table.kills,
            table.broken.len()
        );
    }
    table
}

fn one(runbook: &str, random: &mut StdRng, most: usize, until: Instant, table: &mut Table) {
    let plot = match random.random_range(0..4) {
        0 => Plot::Operator,
        1 => Plot::Trigger,
        _ => Plot::Forward,
    };
    let scene = Scene::set(runbook);
    let traffic = scene.traffic();
    let mut rollout = Rollout {
        scene: &scene,
        plot,
        until,
        watch: Watch::of(&scene),
        broken_canary: false,
        asked_back: false,
    };
    let mut kills: Vec<Kill> = Vec::new();
    let mut last = None;
    let (mut commands, mut pauses, mut errors) = (0, 0, 0);
    while let Some(args) = rollout.next(random) {
        commands += 1;
        let (mut driver, ended) = rollout.drive(&args, random, kills.len() < most);
        let Some(code) = ended else {
            last = None;
            let state = scene.state();
            kills.push(Kill {
                state: state.map_or_else(|| "starting".into(), |(_, s, p)| place(&s, &p)),
                became: None,
            });
            continue;
        };
        let outcome = scene.state().and_then(|(_, state, _)| outcome(&state));
        let known = [0, 10, 11, 12, 13, 14].contains(&code);
        errors = if known { 0 } else { errors + 1 };
        pauses += usize::from(outcome == Some("paused"));
        if errors > ERRORS || pauses > 20 || commands > COMMANDS {
            rollout.gives_up("it comes to no end", &args, &mut driver);
        }
        last = Some((code, driver.said()));
        if outcome.is_some() {
            let open = kills.iter_mut().filter(|k| k.became.is_none());
            open.for_each(|k| k.became = outcome);
        }
    }
    let last = last.unwrap_or_else(|| {
        expire(&scene);
        let seen = scene.rollout(&["resume"]);
        (seen.code, seen.stderr)
    });
    let (run, state, _) = scene.state().expect("a run");
    let end = outcome(&state).expect("it has ended");
    for kill in &kills {
        let row = table.rows.entry(kill.state.clone()).or_default();
        *row.entry(kill.became.unwrap_or(end)).or_default() += 1;
    }
    table.kills += kills.len();
    table.rollouts += 1;
    *table.ends.entry(end).or_default() += 1;
    for entry in scene
        .entries()
        .map(|(_, entries)| entries)
        .unwrap_or_default()
    {
        if let Event::Paused { why, .. } = &entry.record.event {
            *table.pauses.entry(why.clone()).or_default() += 1;
        }
    }
    let broken = promises::broken(&scene, traffic, &last);
    let of_run = broken
        .into_iter()
        .map(|b| format!("run {run} ({plot:?}): {b}"));
    table.broken.extend(of_run);
    println!("run {run} ({plot:?}) {end}; its scene is cleared away");
}

/// A rollout and what happens to it.
struct Rollout<'a> {
    scene: &'a Scene,
    plot: Plot,
    /// When all of it must be over.
    until: Instant,
    watch: Watch<'a>,
    broken_canary: bool,
    asked_back: bool,
}

impl Rollout<'_> {
    /// What is typed next.
    fn next(&mut self, random: &mut StdRng) -> Option<Vec<String>> {
        let operator = self.plot == Plot::Operator;
        let mut args = next_command(self.scene, operator)?;
        let state = self.scene.state().map(|(_, state, _)| state);
        let may_go_back = state.is_some_and(|s| s.flipped && s.can_go_forward());
        if operator && may_go_back && !self.asked_back && random.random_bool(0.5) {
            args = vec!["rollback".into(), "--reason".into(), "a test".into()];
        }
        self.asked_back |= args[0] == "rollback";
        if args[0] == "start" {
            args.extend(["--shorten-bakes".into(), "4s".into()]);
        }
        Some(args)
    }

    /// Lets a driver drive; its exit status, or none where it was killed.
    fn drive(&mut self, args: &[String], random: &mut StdRng, kill: bool) -> (Driver, Option<i32>) {
        let mut driver = self.scene.drive(args);
        let began = Instant::now();
        let after = random.random_range(0..EVENTS) + self.watch.seen();
        let moment = MOMENT.mul_f64(random.random());
        let mut passed: Option<Instant> = None;
        loop {
            if let Some(code) = driver.ended() {
                return (driver, Some(code));
            }
            self.watch.news();
            if self.watch.seen() > after {
                passed.get_or_insert_with(Instant::now);
            }
            if kill && passed.is_some_and(|at| at.elapsed() >= moment) {
                let ended = driver.kill();
                return (driver, ended);
            }
            if began.elapsed() > PATIENCE {
                self.gives_up("its driver hangs", args, &mut driver);
            }
            if Instant::now() > self.until {
                self.gives_up("all of it takes too long", args, &mut driver);
            }
            if self.plot == Plot::Trigger && !self.broken_canary && baking(self.scene) {
                self.broken_canary = true;
                break_canary(self.scene);
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Says all that is known of a rollout that does not go on, for whoever reads of it later.
    fn gives_up(&self, why: &str, args: &[String], driver: &mut Driver) -> ! {
        let ended = driver.kill();
        let stands = self.scene.state().map_or_else(
            || "no run".into(),
            |(run, state, plan)| format!("run {run} {}, {}", state.status, place(&state, &plan)),
        );
        let entries = self.scene.entries().map(|(_, entries)| entries);
        let entries = entries.unwrap_or_default();
        let newest = entries.iter().rev().take(12).rev();
        let newest: Vec<String> = newest
            .map(|e| format!("{} {}", e.record.at_ms, about(&e.record.event)))
            .collect();
        panic!(
            "{why} ({:?}): {stands}\nrollout {} ended with {ended:?} and said:\n{}\nnewest of {} events:\n{}",
            self.plot,
            args.join(" "),
            driver.said(),
            entries.len(),
            newest.join("\n"),
        )
    }
}

/// Where nothing happens by itself any more.
fn outcome(state: &State) -> Option<&'static str> {
    match state.status {
        Status::Completed => Some("completed"),
        Status::RolledBack => Some("rolled back"),
        Status::Paused { .. } => Some("paused"),
        Status::Stuck { .. } => Some("stuck"),
        Status::Running
        | Status::AwaitingApproval { .. }
        | Status::AwaitingAnswer { .. }
        | Status::RollingBack
        | Status::Aborted => None,
    }
}

/// Where a run stands, in the words of the table.
fn place(state: &State, plan: &Plan) -> String {
    let way = match state.status {
        Status::RollingBack => "back",
        Status::RolledBack => "afterwards",
        Status::AwaitingApproval { .. } => return "awaiting approval".into(),
        Status::Completed => return "completed".into(),
        Status::Running
        | Status::AwaitingAnswer { .. }
        | Status::Paused { .. }
        | Status::Stuck { .. }
        | Status::Aborted => "forward",
    };
    let open: BTreeSet<&str> = [
        (Part::Forward, &plan.forward),
        (Part::Rollback, &plan.rollback),
        (Part::Afterwards, &plan.afterwards),
    ]
    .into_iter()
    .flat_map(|(part, planned)| planned.iter().zip(state.steps(part)))
    .filter(|(_, s)| matches!(s.progress, Progress::InFlight | Progress::InDoubt))
    .map(|(p, _)| p.step.kind.name())
    .collect();
    match open.first() {
        Some(kind) => format!("{way}: {kind} in flight"),
        None => format!("{way}: between steps"),
    }
}

fn baking(scene: &Scene) -> bool {
    let stands = scene.state();
    stands.is_some_and(|(_, state, _)| {
        let first = |at: usize| state.outline.id(StepRef::new(Part::Forward, at)) == "bake-canary";
        state.baking().is_some_and(|b| first(b.step))
    })
}

/// Nine of ten key look-ups of the canary fail from now on, until it is restarted.
fn break_canary(scene: &Scene) {
    let mut players = scene.stage.instances.iter();
    let canary = &players.find(|p| p.name == "auth-1").expect("it exists").url;
    let faults = FaultSettings {
        key_lookup_failure_ratio: 0.9,
        ..FaultSettings::default()
    };
    scene.runtime.block_on(async {
        let sent = reqwest::Client::new()
            .post(format!("{canary}/v1/faults"))
            .json(&faults)
            .send();
        // It may be restarting.
        let _ = sent.await;
    });
}

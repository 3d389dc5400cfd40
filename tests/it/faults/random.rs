//! Kills at random moments of whole rollouts.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use dbctl::demo::service::FaultSettings;
use dbctl::rollout::machine::{Event, Part, Progress, State, Status, StepRef};
use dbctl::runbook::plan::Plan;
use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};

use super::chain::{Watch, expire, next_command};
use super::promises;
use super::scene::Scene;

/// Kills in one rollout at most; after these it is let go on in peace.
const MOST: usize = 6;

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
    while table.kills < count {
        let number = u64::try_from(table.rollouts).expect("few");
        let mut random = StdRng::seed_from_u64(seed.wrapping_add(number));
        let left = count - table.kills;
        one(runbook, &mut random, left.min(MOST), &mut table);
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

fn one(runbook: &str, random: &mut StdRng, most: usize, table: &mut Table) {
    let plot = match random.random_range(0..4) {
        0 => Plot::Operator,
        1 => Plot::Trigger,
        _ => Plot::Forward,
    };
    let scene = Scene::set(runbook);
    let traffic = scene.traffic();
    let mut watch = Watch::of(&scene);
    let mut kills: Vec<Kill> = Vec::new();
    let mut last = None;
    let mut broken_canary = false;
    let mut asked_back = false;
    let mut rounds = 0;
    while let Some(mut args) = next_command(&scene, plot == Plot::Operator) {
        rounds += 1;
        assert!(rounds < 40, "the same again and again: {args:?}: {last:?}");
        let state = scene.state().map(|(_, state, _)| state);
        let may_go_back = state.is_some_and(|s| s.flipped && s.can_go_forward());
        if plot == Plot::Operator && may_go_back && !asked_back && random.random_bool(0.5) {
            args = vec!["rollback".into(), "--reason".into(), "a test".into()];
        }
        asked_back |= args[0] == "rollback";
        if args[0] == "start" {
            args.extend(["--shorten-bakes".into(), "4s".into()]);
        }
        let mut driver = scene.drive(&args);
        let began = Instant::now();
        let kill = kills.len() < most;
        let after = random.random_range(0..EVENTS) + watch.seen();
        let moment = MOMENT.mul_f64(random.random());
        let mut passed: Option<Instant> = None;
        let ended = loop {
            if let Some(code) = driver.ended() {
                break Some(code);
            }
            watch.news();
            if watch.seen() > after {
                passed.get_or_insert_with(Instant::now);
            }
            if kill && passed.is_some_and(|at| at.elapsed() >= moment) {
                break driver.kill();
            }
            assert!(
                began.elapsed().as_secs() < 300,
                "it hangs: {}",
                driver.said()
            );
            if plot == Plot::Trigger && !broken_canary && baking(&scene) {
                broken_canary = true;
                break_canary(&scene);
            }
            std::thread::sleep(Duration::from_millis(5));
        };
        match (ended, scene.state()) {
            (Some(code), Some((_, state, _))) => {
                last = Some((code, driver.said()));
                if let Some(outcome) = outcome(&state) {
                    kills
                        .iter_mut()
                        .filter(|k| k.became.is_none())
                        .for_each(|k| k.became = Some(outcome));
                }
            }
            (Some(code), None) => panic!("nothing began ({code}): {}", driver.said()),
            (None, stands) => {
                last = None;
                kills.push(Kill {
                    state: stands.map_or_else(|| "starting".into(), |(_, s, p)| place(&s, &p)),
                    became: None,
                });
            }
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

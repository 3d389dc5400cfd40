use std::fmt::{self, Write as _};
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use jiff::Timestamp;
use serde::Serialize;

use super::super::Context;
use super::super::rollout::world::{Live, Past};
use crate::check::Verdict;
use crate::check::gates::{GateReading, TriggerState};
use crate::error::{Exit, Problem, Result};
use crate::rollout::hindsight::{Became, Hindsight};
use crate::rollout::report::{Unit, unit};
use crate::runbook::model::{Gate, OnTrigger, Runbook, StepKind, Trigger};
use crate::runbook::plan::Plan;
use crate::ui::{Course, Report, Screen, Tone, amount, chart, duration, printable, table};

/// More looks than this are a mistake in --step rather than patience.
const MOST_LOOKS: u128 = 500_000;
/// How many of the ends that were no pass are listed.
const LISTED: usize = 20;

#[derive(Debug, Args)]
#[command(after_help = "\
The samples come from the Prometheus server of the environment ([environments.NAME.metrics] in the
settings). A gate bakes again and again, each bake as long as the runbook says; where one would
have ended, the next begins. Limits count looks, and --step says how far apart these are: a step
longer than the gate's own interval sees less. A muted gate is judged as if it were not.

Exit status: 0 tested, 6 nothing was measured in that time.

Example:
  dbctl gate test auth-errors --since 7d
  dbctl gate test auth-latency --since 2h --step 15s --format json")]
pub struct TestArgs {
    /// A gate or a trigger of the runbook, by its id
    #[arg(value_name = "METRIC")]
    metric: String,

    /// How far back the test begins, such as 7d or 12h
    #[arg(long, value_name = "DURATION", default_value = "24h", value_parser = crate::settings::parse_duration)]
    since: Duration,

    /// How far back it ends
    #[arg(long, value_name = "DURATION", value_parser = crate::settings::parse_duration)]
    until: Option<Duration>,

    /// How far apart the looks are
    #[arg(long, value_name = "DURATION", default_value = "1m", value_parser = crate::settings::parse_duration)]
    step: Duration,

    /// The bake whose targets and length are taken; the first one with the gate without it
    #[arg(long, value_name = "STEP")]
    bake: Option<String>,

    /// Runbook; `runbook.path` of the settings without it
    #[arg(long, value_name = "FILE")]
    runbook: Option<PathBuf>,
}

pub async fn run(args: TestArgs, context: &Context) -> Result<Exit> {
    let runbook = super::super::rollout::load_runbook(args.runbook.as_deref(), context)?;
    let plan = Plan::resolve(&runbook, &context.settings, None)?;
    let period = period(&args)?;
    let gate = runbook.gates.iter().find(|g| g.id == args.metric);
    let trigger = runbook.triggers.iter().find(|t| t.id == args.metric);
    let tested = match (gate, trigger) {
        (Some(gate), _) => test_gate(gate, &plan, &args, period, context).await?,
        (None, Some(trigger)) => test_trigger(trigger, &plan, &args, period, context).await?,
        (None, None) => return Err(unknown(&args.metric, &runbook)),
    };
    context.ui.report(&tested)?;
    Ok(if tested.measured == 0 {
        Exit::Inconclusive
    } else {
        Exit::Ok
    })
}

fn unknown(metric: &str, runbook: &Runbook) -> Problem {
    let gates = runbook.gates.iter().map(|g| g.id.as_str());
    let known: Vec<&str> = gates
        .chain(runbook.triggers.iter().map(|t| t.id.as_str()))
        .collect();
    let doing = format!("choosing a gate of {}", runbook.path.display());
    let cause = format!("no gate and no trigger is called `{}`", printable(metric));
    Problem::new(Exit::Usage, doing, cause).next(format!("known: {}", known.join(", ")))
}

/// From when to when.
fn period(args: &TestArgs) -> Result<(Timestamp, Timestamp)> {
    let doing = "choosing the time to look at";
    let usage = |cause: &str| Problem::new(Exit::Usage, doing, cause);
    let now = Timestamp::now();
    let to = now - args.until.unwrap_or_default();
    let from = now
        .checked_sub(args.since)
        .map_err(|_| usage("--since is before all time"))?;
    if from >= to {
        return Err(usage("--until is not after --since")
            .next("both say how far back: --since 7d --until 6d is one day"));
    }
    let looks = (args.since - args.until.unwrap_or_default()).as_nanos() / args.step.as_nanos();
    if looks > MOST_LOOKS {
        return Err(usage(&format!("that is {looks} looks"))
            .next(format!("at most {MOST_LOOKS}: take a longer --step")));
    }
    Ok((from, to))
}

/// What was found. JSON: `dbctl.gate-test/1`.
#[derive(Debug, Serialize)]
struct Tested {
    metric: String,
    kind: &'static str,
    /// The step that bakes.
    #[serde(skip_serializing_if = "Option::is_none")]
    bake: Option<String>,
    on: Vec<String>,
    others: Vec<String>,
    from: Timestamp,
    to: Timestamp,
    step_ms: u64,
    interval_ms: u64,
    unit: Unit,
    /// The values at which something happens.
    levels: Vec<f64>,
    looks: usize,
    /// Looks that saw a number.
    measured: usize,
    /// Why the last look that saw none did not.
    #[serde(skip_serializing_if = "Option::is_none")]
    unmeasured: Option<String>,
    ended: Vec<Ended>,
    points: Vec<Point>,
}

/// A bake that ended, or a trigger that fired.
#[derive(Debug, Serialize)]
struct Ended {
    from: Timestamp,
    to: Timestamp,
    outcome: Outcome,
    why: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
enum Outcome {
    Passed,
    Paused,
    RolledBack,
    /// The time ended before the bake did.
    Unfinished,
}

#[derive(Debug, Serialize)]
struct Point {
    at: Timestamp,
    value: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    others: Option<f64>,
    verdict: Verdict,
}

impl Tested {
    fn new(
        metric: &str,
        kind: &'static str,
        args: &TestArgs,
        period: (Timestamp, Timestamp),
    ) -> Self {
        let (from, to) = period;
        Self {
            metric: metric.to_owned(),
            kind,
            bake: None,
            on: Vec::new(),
            others: Vec::new(),
            from,
            to,
            step_ms: millis(args.step),
            interval_ms: millis(args.step),
            unit: Unit::Count,
            levels: Vec::new(),
            looks: 0,
            measured: 0,
            unmeasured: None,
            ended: Vec::new(),
            points: Vec::new(),
        }
    }

    fn saw(&mut self, point: Point, why: &str) {
        self.looks += 1;
        match point.value {
            Some(_) => self.measured += 1,
            None => self.unmeasured = Some(why.to_owned()),
        }
        self.points.push(point);
    }

    fn count(&self, outcome: Outcome) -> usize {
        self.ended.iter().filter(|e| e.outcome == outcome).count()
    }
}

async fn test_gate(
    gate: &Gate,
    plan: &Plan,
    args: &TestArgs,
    (from, to): (Timestamp, Timestamp),
    context: &Context,
) -> Result<Tested> {
    let bake = match &args.bake {
        Some(bake) => bake.clone(),
        None => first_bake(plan, &gate.id)?,
    };
    let step = args.step.max(gate.interval);
    let fresh = Hindsight::of(plan, &bake, &gate.id, step).ok_or_else(|| {
        let cause = format!(
            "`{}` is no bake with the gate {}",
            printable(&bake),
            gate.id
        );
        Problem::new(Exit::Usage, "choosing a bake", cause)
    })?;
    let mut tested = Tested::new(&gate.id, "gate", args, (from, to));
    let target = |t: &crate::runbook::plan::TargetRef| t.to_string();
    tested.on = fresh.planned().target_refs().map(|t| target(&t)).collect();
    tested.others = fresh
        .plan()
        .others(fresh.planned())
        .iter()
        .map(target)
        .collect();
    tested.bake = Some(bake);
    tested.interval_ms = millis(gate.interval);
    tested.step_ms = millis(step);
    tested.unit = unit(&gate.measure);
    tested.levels = gate.thresholds.levels();
    let all = [tested.on.clone(), tested.others.clone()].concat();
    let mut past = Live::new(context)?.past(fresh.plan().clone(), &gate.measure, &all)?;
    let progress = context.ui.counting(looks(from, to, step));
    let (mut hindsight, mut began, mut then) = (fresh.clone(), from, from);
    while then <= to {
        if let Some(baking) = hindsight.baking() {
            let readings = past.gates(&baking, then).await;
            for reading in &readings {
                let read: Option<GateReading> =
                    serde_json::from_value(reading.evidence.clone()).ok();
                let value = read.as_ref().and_then(|r| r.measured.value);
                let others = read.as_ref().and_then(|r| r.others.as_ref()?.value);
                let point = Point {
                    at: then,
                    value,
                    others,
                    verdict: reading.verdict,
                };
                tested.saw(point, &reading.why);
            }
            let now_ms = u64::try_from(then.as_millisecond()).unwrap_or(0);
            if let Some(became) = hindsight.look(now_ms, readings) {
                let (outcome, why) = match became {
                    Became::Passed => (Outcome::Passed, String::new()),
                    Became::Paused { why } => (Outcome::Paused, why),
                    Became::RolledBack { why } => (Outcome::RolledBack, why),
                };
                tested.ended.push(Ended {
                    from: began,
                    to: then,
                    outcome,
                    why,
                });
                (hindsight, began) = (fresh.clone(), then);
            }
        }
        progress.inc(1);
        then += step;
    }
    progress.finish_and_clear();
    if began < to {
        let why = String::new();
        tested.ended.push(Ended {
            from: began,
            to,
            outcome: Outcome::Unfinished,
            why,
        });
    }
    Ok(tested)
}

fn first_bake(plan: &Plan, gate: &str) -> Result<String> {
    let bakes = plan.forward.iter().find(
        |p| matches!(&p.step.kind, StepKind::Bake { gates, .. } if gates.iter().any(|g| g == gate)),
    );
    let found = bakes.map(|p| p.step.id.clone());
    found.ok_or_else(|| {
        let cause = format!("no bake watches the gate {gate}");
        Problem::new(Exit::Config, "choosing a bake", cause)
            .next("name it in the `gates` of a bake")
    })
}

async fn test_trigger(
    trigger: &Trigger,
    plan: &Plan,
    args: &TestArgs,
    (from, to): (Timestamp, Timestamp),
    context: &Context,
) -> Result<Tested> {
    let mut tested = Tested::new(&trigger.id, "trigger", args, (from, to));
    // The environment that is switched last is the one that matters.
    let env = plan
        .forward
        .iter()
        .rev()
        .find(|p| p.flips())
        .map(|p| &p.step.env);
    let of_env = plan.environments.iter().find(|e| Some(&e.name) == env);
    tested.on = of_env
        .into_iter()
        .flat_map(|e| e.targets.iter().map(|t| format!("{}/{}", e.name, t.name)))
        .collect();
    tested.interval_ms = millis(trigger.interval);
    tested.unit = unit(&trigger.measure);
    tested.levels = vec![trigger.above];
    let step = args.step.max(trigger.interval);
    let mut trigger = trigger.clone();
    trigger.interval = step;
    tested.step_ms = millis(step);
    let mut past = Live::new(context)?.past(plan.clone().into(), &trigger.measure, &tested.on)?;
    let progress = context.ui.counting(looks(from, to, step));
    let mut then = from;
    while then <= to {
        look_at_trigger(&mut tested, &trigger, &mut past, then).await;
        progress.inc(1);
        then += step;
    }
    progress.finish_and_clear();
    Ok(tested)
}

async fn look_at_trigger(tested: &mut Tested, trigger: &Trigger, past: &mut Past, then: Timestamp) {
    let reading = past.trigger(trigger, &tested.on, then).await;
    let verdict = match reading.state {
        TriggerState::Quiet => Verdict::Pass,
        TriggerState::Fired => Verdict::Fail,
        TriggerState::Unknown => Verdict::Inconclusive,
    };
    let firing = tested
        .points
        .last()
        .is_some_and(|p| p.verdict == Verdict::Fail);
    match reading.state {
        // As long as it stays above, it is one time.
        TriggerState::Fired if firing => {
            if let Some(last) = tested.ended.last_mut() {
                last.to = then;
            }
        }
        TriggerState::Fired => {
            let outcome = match trigger.on_trigger {
                OnTrigger::Rollback => Outcome::RolledBack,
                OnTrigger::Pause => Outcome::Paused,
            };
            let why = reading.why.clone();
            tested.ended.push(Ended {
                from: then,
                to: then,
                outcome,
                why,
            });
        }
        TriggerState::Quiet | TriggerState::Unknown => {}
    }
    let value = reading.measured.value;
    let point = Point {
        at: then,
        value,
        others: None,
        verdict,
    };
    tested.saw(point, &reading.why);
}

fn looks(from: Timestamp, to: Timestamp, step: Duration) -> u64 {
    let length = Duration::try_from(to.duration_since(from)).unwrap_or_default();
    u64::try_from(length.as_nanos() / step.as_nanos()).unwrap_or(u64::MAX) + 1
}

fn millis(d: Duration) -> u64 {
    u64::try_from(d.as_millis()).unwrap_or(u64::MAX)
}

impl Report for Tested {
    const SCHEMA: &'static str = "dbctl.gate-test/1";

    fn human(&self, out: &mut Screen) -> fmt::Result {
        let length = Duration::try_from(self.to.duration_since(self.from)).unwrap_or_default();
        let name = out.tone(Tone::Strong, &self.metric);
        writeln!(out, "{name}  {} over {}", self.kind, duration(length))?;
        out.wrapped(2, &self.looked_at())?;
        writeln!(out)?;
        if self.measured > 0 {
            self.picture(out)?;
        }
        self.results(out)
    }
}

impl Tested {
    fn looked_at(&self) -> String {
        let mut text = format!("on {}", printable(&self.on.join(", ")));
        if !self.others.is_empty() {
            write!(
                text,
                "; compared with {}",
                printable(&self.others.join(", "))
            )
            .expect("a string");
        }
        let step = Duration::from_millis(self.step_ms);
        write!(text, "; a look every {}", duration(step)).expect("a string");
        if self.interval_ms < self.step_ms {
            let own = duration(Duration::from_millis(self.interval_ms));
            write!(text, " (its own interval is {own})").expect("a string");
        }
        text
    }

    fn picture(&self, out: &mut Screen) -> fmt::Result {
        let since = |at: Timestamp| at.duration_since(self.from).as_secs_f64();
        let points: Vec<(f64, f64)> = self
            .points
            .iter()
            .filter_map(|p| Some((since(p.at), p.value?)))
            .collect();
        let unit = self.unit;
        let course = Course {
            points: &points,
            levels: &self.levels,
            length: since(self.to),
            from: clock(self.from),
            to: clock(self.to),
        };
        let text = chart(&course, out.width(), move |value| amount(unit, value));
        out.write_str(text.trim_end_matches('\n'))?;
        let levels: Vec<String> = self.levels.iter().map(|l| amount(unit, *l)).collect();
        writeln!(out)?;
        if !levels.is_empty() {
            writeln!(out, "lines at {}", levels.join(" and "))?;
        }
        writeln!(out)
    }

    fn results(&self, out: &mut Screen) -> fmt::Result {
        let bad: Vec<&Ended> = self
            .ended
            .iter()
            .filter(|e| !matches!(e.outcome, Outcome::Passed | Outcome::Unfinished))
            .collect();
        let word = |outcome: Outcome| match outcome {
            Outcome::Passed => "passed",
            Outcome::Paused => "paused",
            Outcome::RolledBack => "rolled back",
            Outcome::Unfinished => "unfinished",
        };
        if !bad.is_empty() {
            let rows = bad
                .iter()
                .take(LISTED)
                .map(|e| [clock(e.to), word(e.outcome).to_owned(), e.why.clone()]);
            let text = table(out, &["at", "would have", "why"], rows);
            writeln!(out, "{}", text.trim_end())?;
            if bad.len() > LISTED {
                writeln!(
                    out,
                    "… and {} more; --format json has them all",
                    bad.len() - LISTED
                )?;
            }
            writeln!(out)?;
        }
        writeln!(
            out,
            "{} of {} looks measured something",
            self.measured, self.looks
        )?;
        if let Some(why) = &self.unmeasured {
            out.hanging("  not measured: ", &printable(why))?;
        }
        match self.bake {
            Some(_) => writeln!(
                out,
                "{} bakes would have passed, {} paused, {} rolled back, {} not finished",
                self.count(Outcome::Passed),
                self.count(Outcome::Paused),
                self.count(Outcome::RolledBack),
                self.count(Outcome::Unfinished),
            ),
            None => writeln!(out, "it would have fired {} times", bad.len()),
        }
    }
}

/// To the second, in UTC.
fn clock(at: Timestamp) -> String {
    at.strftime("%Y-%m-%d %H:%M:%SZ").to_string()
}

//! The person at the terminal, and what they see while a run is driven.

use std::fmt::Write as _;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use super::gaps::Gaps;
use super::hooks::Tap;
use crate::check::Verdict;
use crate::commands::Context;
use crate::error::Exit;
use crate::hooks::Hook;
use crate::rollout::engine::now_ms;
use crate::rollout::journal::Entry;
use crate::rollout::machine::{Event, Reading, State};
use crate::rollout::ports::{Agreed, Looked, Operator, Said, Vigil};
use crate::rollout::report::{Numbers, unit};
use crate::rollout::words;
use crate::runbook::model::{Comparison, Condition, Gate, OnTrigger, StepKind, Thresholds};
use crate::runbook::plan::{Phase, Plan, Planned};
use crate::settings::Format;
use crate::ui::{BakeView, Limit, Seen, Ui, WaitView, Watched, clock_time, printable};

/// Asks on the terminal and prints events on stderr; as JSON, one event a line on stdout.
pub struct Terminal {
    ui: Ui,
    /// `--confirm NAME`, good for one approval.
    confirm: Mutex<Option<String>>,
    lines: Arc<Lines>,
    gaps: Mutex<Gaps>,
    hooks: Tap,
}

/// What is said line by line, by the driver and by what goes on beside it.
struct Lines {
    ui: Ui,
    /// The progress of a bake, where one is under way.
    bar: Mutex<Option<BakeView>>,
    /// A question stands on the screen, the cursor behind it.
    asking: AtomicBool,
    /// The gates that stay watched, where the run waits for a person.
    waiting: Mutex<Option<WaitView>>,
}

impl Lines {
    /// What is said while a question is open begins on a line of its own.
    fn say(&self, text: &str) {
        self.leave_question();
        let bar = self.bar.lock().unwrap_or_else(|e| e.into_inner());
        match &*bar {
            Some(bar) => bar.above(text),
            None => self.ui.status(text),
        }
    }

    fn leave_question(&self) {
        if self.asking.swap(false, Ordering::Relaxed) {
            self.ui.status("");
        }
        if let Some(view) = &mut *self.waiting() {
            view.overtaken();
        }
    }

    fn waiting(&self) -> MutexGuard<'_, Option<WaitView>> {
        self.waiting.lock().unwrap_or_else(|e| e.into_inner())
    }

    /// What the gates came to that stay watched while the run waits.
    fn keep_vigil(&self, seen: &[Seen]) {
        // What is to be said leaves the place above the question.
        let told = match &mut *self.waiting() {
            Some(view) => view.looked(seen, now_ms()),
            None => Vec::new(),
        };
        told.iter().for_each(|text| self.say(text));
    }
}

impl Terminal {
    /// As the settings and the command line say.
    pub fn of(context: &Context, confirm: Option<String>) -> Self {
        Self::new(context.ui.clone(), confirm, &context.settings.config.hooks)
    }

    pub fn new(ui: Ui, confirm: Option<String>, hooks: &[Hook]) -> Self {
        let lines = Arc::new(Lines {
            ui: ui.clone(),
            bar: Mutex::default(),
            asking: AtomicBool::new(false),
            waiting: Mutex::default(),
        });
        let aside = lines.clone();
        Self {
            ui,
            confirm: Mutex::new(confirm),
            lines,
            gaps: Mutex::default(),
            hooks: Tap::new(hooks, move |text| aside.say(&printable(text))),
        }
    }

    fn say(&self, text: &str) {
        self.lines.say(text);
    }

    /// What somebody types; `answer` is the longest that would be one.
    async fn typed(&self, question: &str, answer: &str) -> Option<String> {
        let _open = OpenQuestion(&self.lines);
        if let Some(view) = &mut *self.lines.waiting() {
            view.before_question(question, answer.len());
        }
        self.lines.asking.store(true, Ordering::Relaxed);
        let line = self.ui.ask_line(question).await;
        self.lines.asking.store(false, Ordering::Relaxed);
        line.map(|line| line.trim().to_owned())
    }
}

/// A question may be taken back before it is answered.
struct OpenQuestion<'a>(&'a Lines);

impl Drop for OpenQuestion<'_> {
    fn drop(&mut self) {
        self.0.leave_question();
    }
}

/// What an approval is about to let happen.
pub fn approval_facts(ui: &Ui, plan: &Plan, phase: usize, hash: &str) -> String {
    let mut screen = ui.status_screen();
    let entered = &plan.phases[phase];
    let hash = hash.get(..12).unwrap_or(hash);
    let written = (|| {
        writeln!(
            screen,
            "Next: phase {} in {} (plan {hash})",
            entered.name, entered.env
        )?;
        for planned in plan.forward.iter().filter(|p| p.phase == phase) {
            super::plan::step(&mut screen, planned)?;
        }
        let undone = "dbctl rollout rollback (revocations and nonce tops are carried back)";
        screen.hanging("  undone by ", undone)?;
        screen.hanging("  not undone: ", "migrations, seeded keys, skipped nonces")
    })();
    written.expect("writing to a string cannot fail");
    screen.into_string()
}

impl Operator for Terminal {
    async fn approve(&self, phase: Phase, plan: Arc<Plan>, hash: String) -> Said {
        let index = plan.phases.iter().position(|p| *p == phase).unwrap_or(0);
        let flag = self
            .confirm
            .lock()
            .unwrap_or_else(|e| e.into_inner())
            .take();
        match flag {
            Some(name) if name == phase.env => return Said::Yes,
            Some(name) => self.say(&format!(
                "--confirm says {}, phase {} wants {}",
                printable(&name),
                phase.name,
                phase.env
            )),
            None => {}
        }
        if !self.ui.can_ask() {
            return Said::NobodyThere;
        }
        self.say(approval_facts(&self.ui, &plan, index, &hash).trim_end());
        let question = format!(
            "Type {} to go on; anything else leaves everything as it is: ",
            phase.env
        );
        match self.typed(&question, &phase.env).await {
            Some(line) if line == phase.env => Said::Yes,
            Some(_) | None => Said::No,
        }
    }

    async fn answer(&self, step: Planned, agreed: Agreed) -> Said {
        if !self.ui.can_ask() {
            return Said::NobodyThere;
        }
        if agreed.here {
            self.say(&format!(
                "{} of {} said yes; another person has to:\n  \
                 dbctl rollout approve --confirm {}\nCtrl-C leaves the run as it is",
                agreed.by.len(),
                agreed.of,
                step.step.id
            ));
            return std::future::pending().await;
        }
        self.say(super::approve::question(&self.ui, &step, &agreed).trim_end());
        let question = "Type yes if it is so; anything else leaves everything as it is: ";
        match self.typed(question, "yes").await.as_deref() {
            Some("yes") => Said::Yes,
            Some(_) | None => Said::No,
        }
    }

    async fn paused(&self, _why: String) -> Said {
        if !self.ui.can_ask() {
            return Said::NobodyThere;
        }
        let question = "Paused. Type resume or rollback; anything else leaves the run as it is: ";
        match self.typed(question, "rollback").await.as_deref() {
            Some("resume") => Said::Yes,
            Some("rollback") => Said::Rollback,
            Some(_) | None => Said::No,
        }
    }

    fn recorded(&self, entry: &Entry, state: &State, plan: &Plan) {
        self.hooks.recorded(entry, state, plan);
        if self.ui.format == Format::Json {
            // A reader that went away must not end the rollout.
            let _ = self.ui.data(&format!("{}\n", entry.body));
            return;
        }
        let mut gaps = self.gaps.lock().unwrap_or_else(|e| e.into_inner());
        let gap = gaps.before(entry, state);
        drop(gaps);
        if let Some(text) = gap.or_else(|| line_of(entry, plan, state)) {
            let mut screen = self.ui.status_screen();
            let time = format!("{}  ", clock_time(entry.record.at_ms));
            screen
                .hanging(&time, &text)
                .expect("writing to a string cannot fail");
            self.say(screen.into_string().trim_end());
        }
        self.follow_bake(state, plan);
        self.follow_wait(state, plan);
    }

    fn looked(&self, looked: &Looked) {
        let bar = self.lines.bar.lock().unwrap_or_else(|e| e.into_inner());
        if let Some(bar) = &*bar {
            let seen = looked.gates.iter().flatten().map(seen);
            bar.looked(seen.collect(), looked.unknown.clone());
        }
        drop(bar);
        if let Some(vigil) = &looked.vigil {
            let seen: Vec<Seen> = vigil.iter().map(seen).collect();
            self.lines.keep_vigil(&seen);
        }
    }

    fn note(&self, text: &str) {
        self.say(&printable(text));
    }

    async fn leaving(&self) {
        self.hooks.settle().await;
    }
}

impl Terminal {
    fn follow_bake(&self, state: &State, plan: &Plan) {
        let mut bar = self.lines.bar.lock().unwrap_or_else(|e| e.into_inner());
        match state.baking() {
            Some(bake) => {
                let StepKind::Bake {
                    duration, gates, ..
                } = &plan.forward[bake.step].step.kind
                else {
                    return;
                };
                let bar = bar.get_or_insert_with(|| {
                    let gates = gates.iter().filter_map(|id| plan.gate(id));
                    let armed = plan.triggers.iter().filter(|_| state.triggers_armed());
                    let armed = armed.map(|t| t.id.clone()).collect();
                    BakeView::new(&self.ui, *duration, gates.map(watched).collect(), armed)
                });
                bar.observed(std::time::Duration::from_millis(bake.observed_ms));
            }
            None => *bar = None,
        }
    }

    fn follow_wait(&self, state: &State, plan: &Plan) {
        let mut waiting = self.lines.waiting();
        let Some(vigil) = Vigil::of(plan, state) else {
            *waiting = None;
            return;
        };
        waiting.get_or_insert_with(|| {
            let gates = vigil.gates(plan).map(|g| g.id.clone()).collect();
            WaitView::new(&self.ui, gates)
        });
    }
}

fn watched(gate: &Gate) -> Watched {
    Watched {
        gate: gate.id.clone(),
        unit: unit(&gate.measure),
        limits: limits(&gate.thresholds),
        margin: gate.margin,
    }
}

/// The values of a gate at which something happens, and what.
fn limits(thresholds: &Thresholds) -> Vec<Limit> {
    let Thresholds {
        pass,
        fail,
        rollback,
        on_fail,
    } = *thresholds;
    let fails = match on_fail {
        OnTrigger::Pause => "pause",
        OnTrigger::Rollback => "rollback",
    };
    // Between both nothing is certain: it does not pass, and it does not fail either.
    let passes = if fail.is_some() { "unsure" } else { fails };
    let pass = pass.filter(|p| fail.is_none_or(|f| f.number != p.number));
    let limit = |of: Option<Condition>, what, is_bad: bool| {
        of.map(|c| Limit {
            what,
            value: c.number,
            from_below: is_bad == matches!(c.comparison, Comparison::Above | Comparison::AtLeast),
        })
    };
    let all = [
        limit(pass, passes, false),
        limit(fail, fails, true),
        limit(rollback, "rollback", true),
    ];
    all.into_iter().flatten().collect()
}

fn seen(reading: &Reading) -> Seen {
    let numbers = Numbers::of(reading);
    Seen {
        gate: reading.gate.clone(),
        verdict: reading.verdict,
        warming: reading.warming && reading.verdict != Verdict::Fail,
        value: numbers.value,
        worse_by: numbers.worse_by,
        samples: numbers.samples,
        rate: numbers.rate,
        why: reading.why.clone(),
    }
}

/// As [`line`], with what the person behind it says of themselves.
pub fn line_of(entry: &Entry, plan: &Plan, state: &State) -> Option<String> {
    words::line_of(entry, plan, state).map(|text| printable(&text))
}

/// What a person reads of an event; `None` for what the progress shows anyway.
pub fn line(event: &Event, plan: &Plan, state: &State) -> Option<String> {
    words::line(event, plan, state).map(|text| printable(&text))
}

/// The exit status that a state would give a driver that stops now; for `status`.
pub fn exit_of(state: &State) -> Exit {
    use crate::rollout::machine::Status;
    match state.status {
        Status::Running | Status::RollingBack | Status::Completed => Exit::Ok,
        Status::AwaitingApproval { .. } | Status::AwaitingAnswer { .. } => Exit::AwaitingApproval,
        Status::Paused { by } if by.is_gate() => Exit::PausedByGate,
        Status::Paused { .. } => Exit::Paused,
        Status::RolledBack => Exit::RolledBack,
        Status::Stuck { .. } => Exit::Stuck,
        Status::Aborted => Exit::Aborted,
    }
}

//! Runs of the shipped runbook as the machine would have had them, at times of our own choosing:
//! hours of a rollout are written in a moment, with what real steps and gates leave as evidence.

use std::path::Path;

use clap::Parser as _;
use dbctl::check::Verdict;
use dbctl::check::logs::{LogExcerpt, LogLine};
use dbctl::commands::Cli;
use dbctl::rollout::journal::{CHECKPOINT_EVERY, Cause, Head, Journal, RunId};
use dbctl::rollout::lease::{self, Lease, Taken};
use dbctl::rollout::machine::{
    Answer, Checkpoint, Effect, Event, Harm, Input, Outcome, Reading, State, Status, StepRef, Told,
    decide,
};
use dbctl::runbook::model::StepKind;
use dbctl::runbook::plan::{Plan, Planned};
use dbctl::settings::Settings;
use serde_json::{Value, json};

const SETTINGS: &str = r#"
[environments.staging]
[[environments.staging.targets]]
name = "staging-1"
url = "http://127.0.0.1:9"
env_file = "staging-1/service.env"
state_dir = "staging-1/state"
restart = ["true"]

[environments.production]
[[environments.production.targets]]
name = "auth-1"
groups = ["canary"]
url = "http://127.0.0.1:9"
env_file = "auth-1/service.env"
state_dir = "auth-1/state"
restart = ["true"]
[[environments.production.targets]]
name = "auth-2"
url = "http://127.0.0.1:9"
env_file = "auth-2/service.env"
state_dir = "auth-2/state"
restart = ["true"]
"#;

/// 2026-11-24 10:00:00 UTC.
const BEGINS_MS: u64 = 1_795_514_400_000;

pub struct Story {
    journal: Journal,
    lease: Lease,
    head: Head,
    state: State,
    told: Told,
    plan: Plan,
    pub now_ms: u64,
}

impl Story {
    /// Begins a run in `dir`, whose `dbctl.toml` is written as well.
    pub async fn begin(dir: &Path) -> Self {
        let file = dir.join("dbctl.toml");
        std::fs::write(&file, SETTINGS).expect("written");
        let args = [
            "dbctl",
            "--config",
            file.to_str().expect("UTF-8"),
            "rollout",
        ];
        let cli = Cli::try_parse_from(args).expect("a command line");
        let settings = Settings::load(&cli.global).expect("settings");
        let runbook = dbctl::runbook::built_in().expect("the runbook");
        let plan = Plan::resolve(&runbook, &settings, None).expect("a plan");
        let json = plan.to_json();
        let event = Event::Started {
            by: "kim@ops-1".into(),
            outline: dbctl::rollout::outline(&plan, &Plan::hash(&json)),
            plan: json,
        };
        let state = State::start(&event).expect("a beginning");
        let journal = Journal::create(&dir.join(".dbctl/journal.db")).await;
        let journal = journal.expect("a journal");
        let (run, ttl) = (RunId::random(), lease::TTL);
        let (lease, entry) = journal
            .start(&run, &plan.runbook, "kim@ops-1:4711", ttl, BEGINS_MS, event)
            .await
            .expect("a run");
        Self {
            journal,
            lease,
            head: entry.head(),
            state,
            told: Told::default(),
            plan,
            now_ms: BEGINS_MS,
        }
    }

    /// Gives the machine an input and records what follows.
    pub async fn tell(&mut self, input: Input) -> Option<Effect> {
        let decision = decide(&self.state, self.now_ms, input).expect("it may happen");
        for event in decision.events {
            if (self.head.seq + 1).is_multiple_of(CHECKPOINT_EVERY) {
                let checkpoint = Checkpoint {
                    state: self.state.clone(),
                    told: self.told.clone(),
                    plan_in: 1,
                };
                self.append(Event::Checkpoint(Box::new(checkpoint))).await;
            }
            self.append(event).await;
        }
        decision.effect
    }

    async fn append(&mut self, event: Event) {
        self.state.apply(&event).expect("a legal event");
        self.told.hear(self.now_ms, &event);
        let (closed, at_ms) = (self.state.is_closed(), self.now_ms);
        let appended =
            self.journal
                .append_for(Cause::Person, &self.lease, self.head, at_ms, event, closed);
        self.head = appended.await.expect("it is appended").head();
    }

    /// Somebody else drives from here on, who says that they are `claim`.
    pub async fn takeover(&mut self, by: &str, claim: &str) {
        let run = self.lease.run().clone();
        let holder = format!("{by}:99");
        let taken = self.journal.take(&run, &holder, lease::TTL, true).await;
        let Taken::Ours(lease) = taken.expect("the journal answers") else {
            panic!("it is taken by force");
        };
        self.lease = lease;
        self.journal = self.journal.clone().claiming(Some(claim.into()));
        self.tell(Input::TakeOver { by: by.into() }).await;
        self.journal = self.journal.clone().claiming(None);
    }

    /// Lets every step succeed and every question be answered, until a bake, a fault or the end.
    /// `evidence` may say otherwise for a step.
    pub async fn go(&mut self, fails: &[(&str, Value)]) {
        loop {
            self.now_ms += 40;
            match self.state.status {
                Status::Running | Status::RollingBack => {}
                Status::AwaitingApproval { phase } => {
                    self.now_ms += 95_000;
                    let plan = self.state.outline.plan.clone();
                    let by = "robin@ops-2".into();
                    self.tell(Input::Approve { phase, plan, by }).await;
                }
                Status::AwaitingAnswer { step } => {
                    self.now_ms += 12_000;
                    let (said, by) = (Answer::Yes, "kim@ops-1".into());
                    self.tell(Input::Answer { step, said, by }).await;
                }
                Status::Paused { .. }
                | Status::RolledBack
                | Status::Stuck { .. }
                | Status::Completed
                | Status::Aborted => return,
            }
            match self.tell(Input::Tick).await {
                Some(Effect::Run { step, attempt }) => {
                    if self.state.baking().is_some() {
                        return;
                    }
                    self.now_ms += 400;
                    let (outcome, evidence) = self.outcome(step, fails);
                    self.tell(Input::Ended {
                        step,
                        attempt,
                        outcome,
                        evidence,
                    })
                    .await;
                }
                Some(Effect::AskApproval { .. } | Effect::AskPerson { .. }) => {}
                Some(Effect::Probe { .. }) => panic!("nothing is in doubt here"),
                None if self.state.baking().is_some() => return,
                None => {}
            }
        }
    }

    fn planned(&self, at: StepRef) -> &Planned {
        match at.part {
            dbctl::rollout::machine::Part::Forward => &self.plan.forward[at.index],
            dbctl::rollout::machine::Part::Rollback => &self.plan.rollback[at.index],
            dbctl::rollout::machine::Part::Afterwards => &self.plan.afterwards[at.index],
        }
    }

    fn outcome(&self, at: StepRef, fails: &[(&str, Value)]) -> (Outcome, Value) {
        let planned = self.planned(at);
        let id = &planned.step.id;
        match fails.iter().find(|(step, _)| step == id) {
            Some((_, evidence)) => (Outcome::Failed("it did not work".into()), evidence.clone()),
            None => (Outcome::Succeeded, self.seen(planned)),
        }
    }

    fn seen(&self, planned: &Planned) -> Value {
        let check = |name: &str, subject: &str| {
            json!({"name": name, "subject": subject, "verdict": "pass", "duration_ms": 12.5,
                   "summary": "as it should be", "evidence": [{"what": "POST /issue", "seen": "200"}]})
        };
        match &planned.step.kind {
            StepKind::Smoke { checks, .. } => {
                let all = ["issue-token", "verify-token", "revoke-token"].map(str::to_owned);
                let checks = if checks.is_empty() { &all[..] } else { checks };
                let on = planned.targets.iter();
                on.flat_map(|t| checks.iter().map(move |c| check(c, t)))
                    .collect()
            }
            StepKind::Preflight => {
                json!([check("migrations-applied", ""), check("keys-seeded", "")])
            }
            StepKind::Verify { .. } => {
                let env = match planned.step.env.as_str() {
                    "" => "production",
                    env => env,
                };
                let names = self.plan.queries.iter().map(|q| check(&q.name, env));
                names.collect()
            }
            StepKind::Complete => {
                let criteria = self.plan.criteria.iter().map(|c| check(&c.id, ""));
                criteria.collect()
            }
            StepKind::Toggles { .. } | StepKind::Restart { .. } | StepKind::Rehearse { .. } => {
                let mode = match planned.step.id.contains("back") {
                    true => "memory",
                    false => "postgres",
                };
                let target = |name: &String| {
                    json!({"target": name, "modes": {"SECURITY_RUNTIME_MODE": mode},
                           "times": {"set_ms": 2.1, "restart_ms": 412.0, "confirm_ms": 3.4}})
                };
                let targets: Vec<Value> = planned.targets.iter().map(target).collect();
                json!([{"env": planned.step.env, "carried": {"counts": {"tokens": 1204}}, "targets": targets}])
            }
            StepKind::Migrate => json!({"applied": ["0001", "0002"], "before": 0}),
            _ => Value::Null,
        }
    }

    /// A look at the gates every five seconds, so many times; `reading` gives each gate's.
    pub async fn bake(&mut self, looks: u64, reading: impl Fn(u64, &str) -> Reading) {
        for n in 0..looks {
            let Some(bake) = self.state.baking() else {
                return;
            };
            let StepKind::Bake { gates, .. } = &self.plan.forward[bake.step].step.kind else {
                panic!("a bake");
            };
            let readings = gates.iter().map(|gate| reading(n, gate)).collect();
            self.tell(Input::Look { readings }).await;
            self.now_ms += 5_000;
        }
    }

    pub async fn leave(self) -> RunId {
        self.journal.release(&self.lease).await.expect("released");
        self.lease.run().clone()
    }
}

/// What a gate says of a value, in the form in which a real one does.
pub fn reading(gate: &str, verdict: Verdict, value: f64) -> Reading {
    let compared = gate != "nonce-errors";
    let wave = value * 0.9;
    let mut evidence = json!({
        "gate": gate, "verdict": verdict, "warming": false,
        "measured": {"targets": ["production/auth-1"], "query": format!("what {gate} asks"),
                     "status": "measured", "value": value, "samples": 4812.0, "coverage": 1.0},
    });
    if compared {
        evidence["others"] = json!({"value": wave, "samples": 9624.0});
        let (lower, upper) = (-0.0004, value - wave + 0.0007);
        evidence["comparison"] = json!({
            "difference": {"value": value - wave, "lower": lower, "upper": upper},
            "harm": value * 400.0 - 2.0, "alarm": 3.689,
        });
    }
    Reading {
        gate: gate.into(),
        verdict,
        warming: false,
        sound: false,
        unseen: false,
        harm: Harm::Counted,
        arms: None,
        // It counts only at the end of the bake.
        shown: (compared && verdict == Verdict::Pass).then_some(true),
        why: format!("{value:.4}, as measured"),
        evidence,
    }
}

/// A reading without a value.
pub fn unread(gate: &str, verdict: Verdict, warming: bool, why: &str) -> Reading {
    Reading {
        gate: gate.into(),
        verdict,
        warming,
        sound: false,
        unseen: !warming,
        harm: Harm::Counted,
        arms: None,
        shown: None,
        why: why.into(),
        evidence: Value::Null,
    }
}

/// A value that a healthy gate has at its n-th look.
pub fn healthy(n: u64, gate: &str) -> Reading {
    #[expect(clippy::cast_precision_loss, reason = "a small number")]
    let wave = ((n as f64) * 0.37).sin() + 1.2;
    let value = match gate {
        "auth-errors" => wave * 0.001,
        "auth-latency" => 0.002 + wave * 0.001,
        _ => 0.0,
    };
    match n {
        0..4 => unread(
            gate,
            Verdict::Inconclusive,
            true,
            "so far, over 15 s of 60 s",
        ),
        _ => reading(gate, Verdict::Pass, value),
    }
}

/// Every step and both bakes, without trouble.
pub async fn completed(dir: &Path) -> RunId {
    let mut story = Story::begin(dir).await;
    story.go(&[]).await;
    story.bake(400, healthy).await;
    story.go(&[]).await;
    story.bake(400, healthy).await;
    story.go(&[]).await;
    story.leave().await
}

/// In the middle of the canary's bake, after a gap of five minutes, a hand-over and a time without
/// data.
pub async fn running(dir: &Path) -> RunId {
    let mut story = Story::begin(dir).await;
    story.go(&[]).await;
    story.bake(90, healthy).await;
    story.now_ms += 300_000;
    story.takeover("sam@ops-3", "the night shift").await;
    let text = "the journal was on the laptop of Kim; look at auth-2 as well".into();
    let by = "sam@ops-3".into();
    story.tell(Input::Note { by, text }).await;
    let quiet = |n: u64, gate: &str| match (gate, n) {
        ("auth-latency", 30..34) => unread(
            gate,
            Verdict::Inconclusive,
            false,
            "no series matches pod=\"canary-1\"",
        ),
        _ => healthy(n + 4, gate),
    };
    story.bake(100, quiet).await;
    story.leave().await
}

/// The canary gets worse and worse; a trigger rolls it back.
pub async fn rolled_back(dir: &Path) -> RunId {
    let mut story = Story::begin(dir).await;
    story.go(&[]).await;
    let worse = |n: u64, gate: &str| match (gate, n) {
        #[expect(clippy::cast_precision_loss, reason = "a small number")]
        ("auth-errors", 150..) => {
            let value = 0.002 + (n - 150) as f64 * 0.0028;
            let verdict = match value > 0.01 {
                true => Verdict::Fail,
                false => Verdict::Inconclusive,
            };
            reading(gate, verdict, value)
        }
        _ => healthy(n, gate),
    };
    story.bake(156, worse).await;
    story.tell(trigger()).await;
    let logs = vec![said(story.now_ms)];
    let of = story.head.seq;
    story.tell(Input::Logs { of, logs }).await;
    story.go(&[]).await;
    story.leave().await
}

/// What the canary's log says: that something was wrong before any gate saw it.
fn said(now_ms: u64) -> LogExcerpt {
    let line = |ago_ms: u64, text: &str| LogLine {
        at_ms: Some(now_ms - ago_ms),
        text: text.into(),
    };
    LogExcerpt {
        target: "production/auth-1".into(),
        source: "/var/log/auth-1.log".into(),
        why: None,
        matched: 214,
        lines: vec![
            line(
                47_000,
                "ERROR nonce store: the pool has no connection left after 3 s",
            ),
            line(
                2_100,
                "ERROR nonce store: connection refused request_id=019ab3c4-77e1-7d1c-8f00-5b1f6f0e2d12",
            ),
        ],
        request_ids: vec!["019ab3c4-77e1-7d1c-8f00-5b1f6f0e2d12".into()],
    }
}

fn trigger() -> Input {
    Input::Trigger {
        id: "auth-failures".into(),
        why: "6.98 % on production/auth-1 in 30 s (limit 5 %)".into(),
        rolls_back: true,
        evidence: json!({"trigger": "auth-failures", "above": 0.05,
            "measured": {"value": 0.0698, "samples": 1204.0, "query": "errors / requests"},
            "logs": ["10:51:02 ERROR nonce store: connection refused"],
            "request_ids": ["019ab3c4-77e1-7d1c-8f00-5b1f6f0e2d11"]}),
    }
}

/// Text that would break a page, or a terminal, that lets it through.
pub const HOSTILE: &str = "</td></script><script>document.title='taken'</script>\
    <img src=x onerror=\"document.title='taken'\"> & \"quotes\" 'single' \u{1b}[31mred\u{1b}[0m \u{202e}turned";

/// A run into which somebody wrote what they could.
pub async fn hostile(dir: &Path) -> RunId {
    let mut story = Story::begin(dir).await;
    let long = "x".repeat(4_000);
    story.takeover(HOSTILE, HOSTILE).await;
    story
        .tell(Input::Note {
            by: HOSTILE.into(),
            text: format!("{HOSTILE} {long}"),
        })
        .await;
    let failed = json!([{"name": HOSTILE, "subject": long, "verdict": "fail",
        "duration_ms": 3.0, "summary": HOSTILE, "next": HOSTILE,
        "evidence": [{"what": HOSTILE, "seen": long}]}]);
    story.go(&[("smoke-staging", failed)]).await;
    let (by, why) = (HOSTILE.to_owned(), format!("{HOSTILE} {long}"));
    story.tell(Input::Rollback { by, why }).await;
    story.go(&[]).await;
    story.leave().await
}

//! Postgres, the metrics, or both are gone while a phase is under way.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use dbctl::rollout::engine::now_ms;
use dbctl::rollout::machine::{Event, Part, Status};
use dbctl::runbook::model::StepKind;

use super::chain::{Watch, about, next_command};
use super::promises;
use super::runbook;
use super::scene::Scene;
use crate::support::fleet::Fleet;
use crate::support::proxy::Proxy;

/// What is taken away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum What {
    Postgres,
    Metrics,
    Both,
}

/// When it is taken away, by the newest event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum When {
    /// Staging is being switched.
    Staging,
    /// Staging walks the way back and comes forward again.
    Rehearsal,
    /// The canary is being switched.
    Canary,
    Bake,
    /// The rest is being switched.
    Full,
    /// An operator has begun a rollback from the canary's bake.
    Rollback,
}

impl When {
    pub const IN_PRODUCTION: [When; 4] = [When::Canary, When::Bake, When::Full, When::Rollback];

    fn event(self) -> &'static str {
        match self {
            When::Staging | When::Canary => "intended Forward 5",
            When::Bake => "observed Forward 7",
            When::Rehearsal | When::Full => "intended Forward 8",
            When::Rollback => "rollback-started",
        }
    }

    fn runbook(self) -> String {
        match self {
            When::Staging | When::Rehearsal => runbook::staging(),
            When::Canary | When::Bake | When::Full | When::Rollback => runbook::SHORT.into(),
        }
    }

    /// All that is switched so far runs on Postgres when it happens.
    fn none_is_left_behind(self) -> bool {
        match self {
            When::Rehearsal | When::Full => true,
            When::Staging | When::Canary | When::Bake | When::Rollback => false,
        }
    }
}

/// How a run went on.
#[derive(Debug)]
pub struct Told {
    /// How the driver ended that was deprived.
    pub then: String,
    /// Where the run ended, once all was back.
    pub end: Status,
    pub broken: Vec<String>,
}

fn take(scene: &Scene, what: What, away: bool) {
    if what != What::Metrics {
        let server = scene.databases["production"].server();
        if away {
            server.kill();
        } else {
            server.start();
        }
    }
    if what != What::Postgres {
        scene.metrics(!away);
    }
}

/// One run of a short runbook. Where both are gone, the run is rolled back before they return.
pub fn run(what: What, when: When) -> Told {
    let scene = Scene::behind_proxies(&when.runbook());
    let traffic = scene.traffic();
    let mut watch = Watch::of(&scene);
    let mut gone_at = None;
    let mut then = None;
    let mut window = (0, 0);
    let mut asking = None;
    let mut last = None;
    let whole = Instant::now();
    while let Some(args) = next_command(&scene, false) {
        assert!(
            whole.elapsed() < Duration::from_secs(110),
            "it comes to no end, {what:?} gone in {when:?}: {args:?} after {last:?}"
        );
        let mut driver = scene.drive(&args);
        let began = Instant::now();
        let code = loop {
            let ended = driver.ended();
            for record in watch.news() {
                let event = about(&record.event);
                if when == When::Rollback && event == When::Bake.event() && asking.is_none() {
                    let args = ["rollback", "--reason", "a test"].map(String::from);
                    asking = Some(scene.drive_beside(&args));
                }
                // Once every target runs on Postgres, what is revoked is in Postgres alone until
                // the kit is refreshed, and a rollback without Postgres does not know it (that is
                // not promised). So nothing is revoked from here until Postgres is gone.
                if when.none_is_left_behind() && event == "succeeded Forward 7" {
                    traffic.pause();
                }
                if event == when.event() && gone_at.is_none() {
                    take(&scene, what, true);
                    traffic.go_on();
                    window.0 = now_ms();
                    gone_at = Some(Instant::now());
                }
            }
            if let Some(code) = ended {
                break code;
            }
            assert!(
                began.elapsed() < Duration::from_secs(100),
                "it hangs: {args:?} {}",
                driver.said()
            );
            std::thread::sleep(Duration::from_millis(1));
        };
        last = Some((code, driver.said()));
        assert!(
            [0, 10, 11, 12, 13].contains(&code),
            "it ended with {code}: {last:?}"
        );
        if gone_at.is_some() && then.is_none() && code != 10 {
            let (_, state, _) = scene.state().expect("a run");
            then = Some(format!("{} ({code})", state.status));
            if what == What::Both && state.status != Status::RolledBack {
                let back = scene.rollout(&["rollback"]);
                assert_eq!(back.code, 13, "with everything gone: {}", back.stderr);
                last = Some((back.code, back.stderr));
            }
            window.1 = now_ms();
            take(&scene, what, false);
        }
    }
    if let Some(mut asking) = asking {
        assert_eq!(asking.wait(), 13, "{}", asking.said());
    }
    let (_, state, _) = scene.state().expect("a run");
    let mut broken = unseen_passes(&scene, what, window);
    broken.extend(promises::broken(&scene, traffic, &last.expect("a driver")));
    Told {
        then: then.expect("it was taken away"),
        end: state.status,
        broken,
    }
}

/// P6: no bake passes while its metrics are gone.
fn unseen_passes(scene: &Scene, what: What, (from, to): (u64, u64)) -> Vec<String> {
    let (_, _, plan) = scene.state().expect("a run");
    let (_, entries) = scene.entries().expect("a run");
    let passed = entries.iter().filter(|entry| match &entry.record.event {
        Event::Succeeded { step, .. } if step.part == Part::Forward => {
            matches!(plan.forward[step.index].step.kind, StepKind::Bake { .. })
        }
        _ => false,
    });
    passed
        .filter(|e| what != What::Postgres && (from..to).contains(&e.record.at_ms))
        .map(|e| format!("P6: event {} passes a bake that nobody saw", e.record.seq))
        .collect()
}

/// Switched in one phase, rehearsed in the next.
const REHEARSED: &str = r#"# A rehearsal

## Switch

```toml step
id    = "switch"
kind  = "toggles"
phase = "switch"
env   = "production"
```

## Back and forward again

```toml step
id    = "rehearse"
kind  = "rehearse"
phase = "rehearsal"
env   = "production"
```

## Back

```toml step
id   = "back"
part = "rollback"
kind = "toggles"
```
"#;

#[test]
fn a_rehearsal_without_postgres_switches_nothing_and_leaves_nobody_fenced() {
    let (fleet, backed) = Fleet::on(&["one", "two"]);
    std::fs::write(fleet.path().join("rehearsed.md"), REHEARSED).expect("a runbook");
    fleet.add_settings("[runbook]\npath = \"rehearsed.md\"\n");
    let on = || fleet.run(&["rollout", "run", "--confirm", "production"]);
    let switched = on();
    assert_eq!(switched.code, 10, "{}", switched.stderr);
    backed.db.server().stop();
    let paused = on();
    assert_eq!(paused.code, 11, "{}", paused.stderr);
    assert!(
        paused.stderr.contains("nothing was switched"),
        "{}",
        paused.stderr
    );
    for health in fleet.each(|i| i.get("/healthz").body) {
        assert_eq!(health["modes"]["SECURITY_RUNTIME_MODE"], "postgres");
        assert_eq!(health["fenced"], false, "{health}");
    }
    backed.db.server().start();
    let completed = fleet.run(&["rollout", "resume"]);
    assert_eq!(completed.code, 0, "{}", completed.stderr);
}

#[test]
fn a_rehearsal_asks_once_more_where_postgres_was_only_slow() {
    let (fleet, backed) = Fleet::on(&["one", "two"]);
    std::fs::write(fleet.path().join("rehearsed.md"), REHEARSED).expect("a runbook");
    fleet.add_settings("[runbook]\npath = \"rehearsed.md\"\n");
    let proxy = Proxy::before(&backed.db);
    let file = fleet.settings_file();
    let settings = std::fs::read_to_string(&file).expect("settings");
    std::fs::write(&file, settings.replace(&backed.db.url, proxy.url())).expect("written");
    let on = || fleet.run(&["rollout", "run", "--confirm", "production"]);
    let switched = on();
    assert_eq!(switched.code, 10, "{}", switched.stderr);
    // What is read first while the targets are fenced has no answer for longer than anybody waits,
    // and all else at that moment; what is read when that was given up has one.
    let health = fleet.with("one", |i| i.at("/healthz"));
    let first: OnceLock<Instant> = OnceLock::new();
    proxy.hold("revoked_tokens", move || {
        let begun = first.get().copied();
        let held = match begun {
            Some(first) => first.elapsed() < Duration::from_millis(150),
            None => is_fenced(&health),
        };
        if held {
            first.get_or_init(Instant::now);
        }
        Duration::from_secs(if held { 3 } else { 0 })
    });
    let completed = on();
    assert_eq!(completed.code, 0, "{}", completed.stderr);
    for health in fleet.each(|i| i.get("/healthz").body) {
        assert_eq!(health["modes"]["SECURITY_RUNTIME_MODE"], "postgres");
        assert_eq!(health["fenced"], false, "{health}");
    }
}

/// What `/healthz` says; an instance that is restarting is not fenced.
fn is_fenced(url: &str) -> bool {
    let (address, path) = url
        .trim_start_matches("http://")
        .split_once('/')
        .expect("a path");
    let ask = || -> std::io::Result<String> {
        let mut stream = TcpStream::connect(address)?;
        let request = format!("GET /{path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
        stream.write_all(request.as_bytes())?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        Ok(answer)
    };
    ask().is_ok_and(|answer| answer.contains("\"fenced\":true"))
}

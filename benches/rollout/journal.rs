//! A journal as long as that of a bake of days, written by the engine itself: `status` and
//! `takeover` are measured on it from outside.

use std::path::Path;
use std::sync::Arc;

use clap::Parser as _;
use dbctl::check::Verdict;
use dbctl::commands::Cli;
use dbctl::rollout::engine::Engine;
use dbctl::rollout::journal::Journal;
use dbctl::rollout::machine::{Harm, Input, Reading};
use dbctl::runbook::plan::Plan;
use dbctl::settings::Settings;

use super::nobody::Nobody;

const SETTINGS: &str = r#"
[runbook]
path = "long.md"

[environments.staging]

[[environments.staging.targets]]
name = "auth-1"
url = "http://127.0.0.1:9"
env_file = "auth-1/service.env"
state_dir = "auth-1/state"
restart = ["true"]

[environments.production]
"#;

const RUNBOOK: &str = r#"# Long

## Steps

Watches for days.

```toml step
id    = "bake"
kind  = "bake"
phase = "staging"
env   = "staging"
for   = "1s"
gates = ["auth-errors", "auth-latency", "nonce-errors"]
```

```toml gate
id       = "auth-errors"
measure  = { increase = { counter = "a" } }
max      = 0
interval = "1s"
window   = "1s"
```

### Latency

```toml gate
id       = "auth-latency"
measure  = { increase = { counter = "b" } }
max      = 0
interval = "1s"
window   = "1s"
```

### Nonces

```toml gate
id       = "nonce-errors"
measure  = { increase = { counter = "c" } }
max      = 0
interval = "1s"
window   = "1s"
```

### Next

```toml step
id    = "next"
kind  = "command"
phase = "production"
env   = "production"
run   = ["true"]
```
"#;

/// Writes `dir/dbctl.toml`, the runbook, and the journal of a run with so many events that waits
/// for an approval.
pub async fn write(dir: &Path, events: u64) {
    std::fs::create_dir_all(dir).expect("a folder");
    let file = dir.join("dbctl.toml");
    std::fs::write(&file, SETTINGS).expect("written");
    std::fs::write(dir.join("long.md"), RUNBOOK).expect("written");
    let args = [
        "dbctl",
        "--config",
        file.to_str().expect("UTF-8"),
        "rollout",
        "status",
    ];
    let cli = Cli::try_parse_from(args).expect("a command line");
    let settings = Settings::load(&cli.global).expect("settings");
    let runbook = dbctl::runbook::load(&dir.join("long.md")).expect("a runbook");
    let plan = Plan::resolve(&runbook, &settings, None).expect("a plan");
    let path = dir.join(".dbctl/journal.db");
    let journal = Journal::create(&path).await.expect("a journal");
    let mut engine = Engine::start(Arc::new(Nobody), Arc::new(Nobody), journal, plan)
        .await
        .expect("a run");
    let hash = engine.state().outline.plan.clone();
    for input in [
        Input::Tick,
        Input::Approve {
            phase: 0,
            plan: hash,
            by: "bench".into(),
        },
        Input::Tick,
    ] {
        engine.tell(input).await.expect("it is recorded");
    }
    while engine.head().seq + 3 < events {
        let readings = readings(true);
        engine
            .tell(Input::Look { readings })
            .await
            .expect("it is recorded");
    }
    while engine.state().baking().is_some() {
        let readings = readings(false);
        engine
            .tell(Input::Look { readings })
            .await
            .expect("it is recorded");
    }
    engine.tell(Input::Tick).await.expect("it is recorded");
    engine.leave().await;
    println!(
        "{} events in {}, with {} of memory at most",
        engine.head().seq,
        path.display(),
        peak()
    );
}

/// The greatest resident set of this process, as the kernel saw it.
fn peak() -> String {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|l| l.strip_prefix("VmHWM:"));
    line.map_or("an unknown amount", str::trim).to_owned()
}

fn readings(warming: bool) -> Vec<Reading> {
    let reading = |gate: &str| Reading {
        gate: gate.into(),
        verdict: if warming {
            Verdict::Inconclusive
        } else {
            Verdict::Pass
        },
        warming,
        sound: false,
        unseen: false,
        harm: Harm::Counted,
        arms: None,
        shown: None,
        why: "0.02 %, at most 1 % (others 0.01 %)".into(),
        evidence: serde_json::json!({ "value": 0.0002, "samples": 4812.0, "coverage": 1.0 }),
    };
    ["auth-errors", "auth-latency", "nonce-errors"]
        .map(reading)
        .into()
}

//! Gates stay live while a run waits for a person.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use expectrl::{Expect as _, Session};

use crate::support::fleet::Fleet;

const RUNBOOK: &str = r#"# Waiting

## Steps

```toml step
id    = "switch"
kind  = "toggles"
phase = "canary"
env   = "production"
on    = ["one"]
set   = "postgres"
```

```toml step
id    = "bake"
kind  = "bake"
phase = "canary"
env   = "production"
on    = ["one"]
for   = "2s"
gates = ["denied"]
```

```toml gate
id            = "denied"
measure       = { ratio = { bad = 'auth_requests_total{outcome="deny"}', total = "auth_requests_total" } }
max           = 0.2
interval      = "500ms"
window        = "2s"
failure_limit = 2
```

### Look

```toml step
id       = "look"
kind     = "confirm"
phase    = "canary"
env      = "production"
question = "Is everybody content?"
```

## Back

```toml step
id   = "back"
part = "rollback"
kind = "toggles"
```
"#;

#[test]
fn a_gate_that_was_passed_and_fails_while_a_person_is_waited_for_rolls_the_run_back() {
    let (fleet, _backed) = Fleet::on(&["one", "two"]);
    std::fs::write(fleet.path().join("waiting.md"), RUNBOOK).expect("a runbook");
    fleet.add_settings("[runbook]\npath = \"waiting.md\"\n");
    let url = fleet.with("one", |i| i.url().to_owned());
    // The settings name the log of the target that is switched.
    let settings = std::fs::read_to_string(fleet.settings_file()).expect("the settings");
    let logged = settings.replace(
        "name = \"one\"",
        "name = \"one\"\nlog = { file = \"one.log\" }",
    );
    std::fs::write(fleet.settings_file(), logged).expect("written");
    std::fs::write(fleet.path().join("one.log"), "ERROR who is nobody?\n").expect("a log");
    let (bad, over) = (AtomicBool::new(false), AtomicBool::new(false));
    std::thread::scope(|scope| {
        scope.spawn(|| traffic(&url, &bad, &over));
        let _ends = Ends(&over);
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_dbctl"));
        command
            .args(["rollout", "start", "--confirm", "production"])
            .current_dir(fleet.path())
            .env("TERM", "xterm-256color")
            .env("COLUMNS", "80")
            .env_remove("NO_COLOR")
            .env_remove("CI")
            .env_remove("DATABASE_URL");
        let mut session = Session::spawn(command).expect("a terminal");
        session.set_expect_timeout(Some(Duration::from_secs(60)));
        session
            .expect("look wants a person")
            .expect("the bake passes, and a person is asked");
        session
            .expect("gates stay watched while this waits: denied")
            .expect("it says that it still looks");
        // Drawn over the line above the question, the cursor back behind the question.
        session
            .expect("\u{1b}7\u{1b}[1A\r\u{1b}[2K")
            .expect("the line is drawn over");
        session
            .expect("watched: the gate passes · last look ")
            .expect("it says what the look saw");
        bad.store(true, Ordering::Relaxed);
        session
            .expect("watched: denied fail · 0 of 1 pass")
            .expect("it says which does not pass");
        session
            .expect("while the run waits")
            .expect("the gate is watched still");
        session.expect("ROLLED BACK").expect("it goes back");
    });
    assert_eq!(fleet.run(&["rollout", "status"]).code, 13);
    let report = fleet.run(&["--format", "json", "rollout", "report"]);
    let report: serde_json::Value = serde_json::from_str(&report.stdout).expect("JSON");
    let errors = &report["post_mortem"]["errors"]["items"];
    let said = |e: &serde_json::Value| e["what"] == "log of production/one";
    let errors = errors.as_array().expect("errors");
    assert_eq!(errors.iter().filter(|e| said(e)).count(), 1, "{errors:?}");
}

/// Also when the test panics.
struct Ends<'a>(&'a AtomicBool);

impl Drop for Ends<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Good requests, and from some moment on such as are denied. The instance may be restarting.
fn traffic(url: &str, bad: &AtomicBool, over: &AtomicBool) {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let http = reqwest::Client::new();
    while !over.load(Ordering::Relaxed) {
        let (path, body) = if bad.load(Ordering::Relaxed) {
            ("verify", serde_json::json!({ "token": "nobody's" }))
        } else {
            ("", serde_json::json!({ "subject": "somebody" }))
        };
        let url = format!("{url}/v1/tokens/{path}");
        let request = http.post(url.trim_end_matches('/')).json(&body);
        let request = request.timeout(Duration::from_secs(1));
        let _ = runtime.block_on(async { request.send().await });
        std::thread::sleep(Duration::from_millis(15));
    }
}

//! `rollout rehearse` on real instances and a real Postgres: forwards to every step and back.

use std::io::{BufRead as _, BufReader, Lines};
use std::process::{Child, ChildStderr, Stdio};
use std::time::Duration;

use serde_json::Value;

use crate::support::cli::{Seen, dbctl};
use crate::support::fleet::Fleet;
use crate::support::service::Backed;

const RUNBOOK: &str = "# Cutover

## Steps

```toml step
id = \"deployed\"
kind = \"confirm\"
phase = \"staging\"
env = \"staging\"
question = \"Is it deployed?\"
```

```toml step
id = \"switch\"
kind = \"toggles\"
phase = \"staging\"
env = \"staging\"
set = \"postgres\"
```

```toml step
id = \"smoke\"
kind = \"smoke\"
phase = \"staging\"
env = \"staging\"
checks = [\"issue-token\", \"revoke-token\"]
```

```toml step
id = \"announce\"
kind = \"command\"
phase = \"full\"
env = \"production\"
run = [\"sh\", \"-c\", \"echo ran >> production-was-touched\"]
timeout = \"5s\"
```

## Rollback

```toml step
id = \"back\"
part = \"rollback\"
kind = \"toggles\"
set = \"local\"
```

```toml step
id = \"recover\"
part = \"rollback\"
kind = \"recover\"
timeout = \"20s\"
```

```toml step
id = \"home\"
part = \"afterwards\"
kind = \"carry\"
```

```toml step
id = \"evidence\"
part = \"afterwards\"
kind = \"confirm\"
env = \"production\"
question = \"Is it exported?\"
```

## Done

```toml criterion
id = \"way-back\"
proof = \"rehearsed\"
env = \"staging\"
within = \"24h\"
```
";

/// The instances are staging; production's only one is nowhere.
fn staging() -> (Fleet, Backed) {
    let (fleet, backed) = Fleet::on(&["auth-1", "auth-2"]);
    let file = fleet.settings_file();
    let text = std::fs::read_to_string(&file).expect("settings");
    let text = text.replace("environments.production", "environments.staging")
        + "\n[environments.production]\n\n[runbook]\npath = \"cutover.md\"\n";
    std::fs::write(file, text).expect("written");
    std::fs::write(fleet.path().join("cutover.md"), RUNBOOK).expect("a runbook");
    (fleet, backed)
}

const REHEARSE: [&str; 6] = [
    "--env",
    "staging",
    "rollout",
    "rehearse",
    "--confirm",
    "staging",
];

fn in_memory(fleet: &Fleet) {
    for health in fleet.each(|i| i.get("/healthz").body) {
        assert_eq!(
            health["modes"]["SECURITY_RUNTIME_MODE"], "memory",
            "{health}"
        );
        assert_eq!(health["fenced"], false, "{health}");
    }
}

fn record(fleet: &Fleet) -> Value {
    let folder = fleet.path().join(".dbctl/rehearsals/staging");
    let mut files: Vec<_> = std::fs::read_dir(folder)
        .expect("the folder")
        .map(|f| f.expect("a file").path())
        .filter(|f| f.extension().is_some_and(|e| e == "json"))
        .collect();
    files.sort();
    let text = std::fs::read_to_string(files.last().expect("a record")).expect("readable");
    serde_json::from_str(&text).expect("JSON")
}

/// What the completion would say of the way back now.
fn way_back(fleet: &Fleet) -> Value {
    let seen: Seen = fleet.run(&["--format", "json", "rollout", "plan", "--dry-run"]);
    let json: Value = serde_json::from_str(&seen.stdout).expect(&seen.stderr);
    let steps = json["steps"].as_array().expect("steps").clone();
    let completion = steps.into_iter().find(|s| s["id"] == "completion");
    completion.expect("a completion")["checks"][0].clone()
}

#[test]
fn every_way_there_and_back_is_walked_and_a_later_run_takes_it_as_evidence() {
    let (fleet, _backed) = staging();
    assert_eq!(way_back(&fleet)["verdict"], "fail");
    let seen = fleet.run(&REHEARSE);
    assert_eq!(seen.code, 0, "{}{}", seen.stdout, seen.stderr);
    assert!(
        seen.stdout.contains("REHEARSED staging: 4 ways"),
        "{}",
        seen.stdout
    );
    in_memory(&fleet);

    let record = record(&fleet);
    assert_eq!(record["schema"], "dbctl.rehearsal/1");
    assert_eq!(record["verdict"], "pass");
    let cases = record["cases"].as_array().expect("cases");
    let ways: Vec<_> = cases
        .iter()
        .map(|c| {
            (
                c["step"].as_str().expect("a step"),
                c["way"].as_str().expect("a way"),
            )
        })
        .collect();
    let expected = [
        ("deployed", "abort"),
        ("switch", "rollback"),
        ("smoke", "rollback"),
        ("smoke", "whole"),
    ];
    assert_eq!(ways, expected);
    assert!(cases[1]["recovered_ms"].is_u64(), "{}", cases[1]);
    let run = cases[3]["run"].as_str().expect("a run");
    let exported = format!(".dbctl/rehearsals/staging/runs/{run}.jsonl");
    let head = cases[3]["head"].as_str().expect("a head");
    let args = [
        "rollout",
        "log",
        "--verify",
        &exported,
        "--expect-head",
        head,
    ];
    let log = fleet.run(&args);
    assert_eq!(log.code, 0, "{}", log.stderr);

    assert!(
        !fleet.path().join(".dbctl/journal.db").exists(),
        "no real run was begun"
    );
    assert!(!fleet.path().join("production-was-touched").exists());
    assert_eq!(way_back(&fleet)["verdict"], "pass", "{}", way_back(&fleet));

    let book = fleet.path().join("cutover.md");
    std::fs::write(
        &book,
        RUNBOOK.replace("Is it deployed?", "Is it deployed there?"),
    )
    .expect("written");
    assert_eq!(
        way_back(&fleet)["verdict"],
        "fail",
        "another question is another step"
    );
    std::fs::write(
        &book,
        RUNBOOK.replace("# Cutover", "# The cutover\n\nIn prose."),
    )
    .expect("written");
    assert_eq!(
        way_back(&fleet)["verdict"],
        "pass",
        "only the prose differs"
    );
    let within = RUNBOOK.replace("within = \"24h\"", "within = \"1ms\"");
    std::fs::write(&book, within).expect("written");
    assert_eq!(way_back(&fleet)["verdict"], "fail", "it is too old");
}

#[test]
fn what_the_runbook_is_for_is_never_rehearsed_in() {
    let (fleet, _backed) = staging();
    let args = [
        "--env",
        "production",
        "rollout",
        "rehearse",
        "--confirm",
        "production",
    ];
    let seen = fleet.run(&args);
    assert_eq!(seen.code, 2, "{}", seen.stderr);
    assert!(
        seen.stderr.contains("nothing is tried out there"),
        "{}",
        seen.stderr
    );
    let unconfirmed = fleet.run(&["--env", "staging", "rollout", "rehearse"]);
    assert_eq!(unconfirmed.code, 16, "{}", unconfirmed.stderr);
    assert_eq!(fleet.run(&["rollout", "start"]).code, 10);
    let open = fleet.run(&REHEARSE);
    assert_eq!(open.code, 15, "a real run is open: {}", open.stderr);
    in_memory(&fleet);
}

#[cfg(unix)]
/// A rehearsal that has come to its first switch.
fn switching(fleet: &Fleet) -> (Child, Lines<BufReader<ChildStderr>>) {
    let mut child = dbctl(fleet.path(), &REHEARSE)
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the binary starts");
    let mut lines = BufReader::new(child.stderr.take().expect("its stderr")).lines();
    let switching = lines.any(|l| l.expect("a line").contains("▸ switch"));
    assert!(switching, "it comes to the switch");
    (child, lines)
}

/// Its lease is held until it expires.
fn once_the_killed_one_is_forgotten(fleet: &Fleet, args: &[&str]) -> Seen {
    for _ in 0..60 {
        let seen = fleet.run(args);
        if seen.code != 15 {
            return seen;
        }
        assert!(seen.stderr.contains("try again in 15 s"), "{}", seen.stderr);
        std::thread::sleep(Duration::from_millis(500));
    }
    panic!("its lease never ends");
}

#[test]
fn a_rehearsal_that_is_killed_is_taken_back_and_gone_on_with() {
    let (fleet, _backed) = staging();
    let (mut child, _lines) = switching(&fleet);
    child.kill().expect("SIGKILL");
    child.wait().expect("it ends");
    let args = ["--env", "staging", "rollout", "rehearse", "--back"];
    let back = once_the_killed_one_is_forgotten(&fleet, &args);
    assert_eq!(back.code, 0, "{}", back.stderr);
    in_memory(&fleet);
    assert_eq!(way_back(&fleet)["verdict"], "fail", "it did not end");

    let (mut child, _lines) = switching(&fleet);
    child.kill().expect("SIGKILL");
    child.wait().expect("it ends");
    let seen = once_the_killed_one_is_forgotten(&fleet, &REHEARSE);
    assert_eq!(seen.code, 0, "{}{}", seen.stdout, seen.stderr);
    assert_eq!(record(&fleet)["verdict"], "pass");
    in_memory(&fleet);
}

/// A real run from its start to where nothing happens by itself.
fn really(fleet: &Fleet) -> Seen {
    let run = |confirm: &str| fleet.run(&["rollout", "run", "--confirm", confirm]);
    let asked = run("staging");
    assert_eq!(asked.code, 10, "{}", asked.stderr);
    let yes = fleet.run(&["rollout", "approve", "--confirm", "deployed"]);
    assert_eq!(yes.code, 0, "{}", yes.stderr);
    let staged = run("staging");
    assert_eq!(staged.code, 10, "production waits: {}", staged.stderr);
    run("production")
}

#[test]
fn a_run_completes_only_where_its_way_back_was_rehearsed() {
    let (fleet, _backed) = staging();
    let without = really(&fleet);
    assert_eq!(without.code, 11, "{}", without.stderr);
    assert!(
        without.stderr.contains("rollout rehearse"),
        "{}",
        without.stderr
    );

    let (fleet, _backed) = staging();
    let seen = fleet.run(&REHEARSE);
    assert_eq!(seen.code, 0, "{}{}", seen.stdout, seen.stderr);
    let with = really(&fleet);
    assert_eq!(with.code, 0, "{}", with.stderr);
    assert!(with.stderr.contains("COMPLETED run"), "{}", with.stderr);
}

#[test]
fn ctrl_c_leaves_staging_as_it_was_and_the_same_command_goes_on() {
    let (fleet, _backed) = staging();
    let (mut child, lines) = switching(&fleet);
    let pid = rustix::process::Pid::from_child(&child);
    rustix::process::kill_process(pid, rustix::process::Signal::INT).expect("a signal");
    let rest: Vec<String> = lines.map(|l| l.expect("a line")).collect();
    assert_eq!(
        child.wait().expect("it ends").code(),
        Some(130),
        "{rest:#?}"
    );
    let rest = rest.join("\n");
    assert!(rest.contains("staging is as it was before"), "{rest}");
    in_memory(&fleet);
    assert_eq!(record(&fleet)["verdict"], Value::Null);
    let back = fleet.run(&["--env", "staging", "rollout", "rehearse", "--back"]);
    assert_eq!(back.code, 0, "{}", back.stderr);
    assert!(back.stderr.contains("nothing is left"), "{}", back.stderr);

    let seen = fleet.run(&REHEARSE);
    assert_eq!(seen.code, 0, "{}{}", seen.stdout, seen.stderr);
    assert!(
        seen.stderr.contains("going on with the rehearsal"),
        "{}",
        seen.stderr
    );
    assert_eq!(record(&fleet)["cases"].as_array().map(Vec::len), Some(4));
    in_memory(&fleet);
}

#[test]
fn a_way_that_does_not_pass_is_named_and_staging_is_taken_back() {
    let (fleet, _backed) = staging();
    let book = RUNBOOK.replace(
        "kind = \"smoke\"\nphase = \"staging\"\nenv = \"staging\"\nchecks = [\"issue-token\", \"revoke-token\"]",
        "kind = \"command\"\nphase = \"staging\"\nenv = \"staging\"\nrun = [\"false\"]\ntimeout = \"5s\"",
    );
    std::fs::write(fleet.path().join("cutover.md"), book).expect("written");
    let seen = fleet.run(&REHEARSE);
    assert_eq!(seen.code, 5, "{}{}", seen.stdout, seen.stderr);
    assert!(seen.stdout.contains("NOT REHEARSED"), "{}", seen.stdout);
    assert!(
        seen.stdout.contains("it ended with exit status: 1"),
        "{}",
        seen.stdout
    );
    in_memory(&fleet);
    assert_eq!(record(&fleet)["verdict"], "fail");
    assert_eq!(way_back(&fleet)["verdict"], "fail");
}

//! A run that is driven on where the world is not as the journal says, through the real binary.

use crate::support::fleet::Fleet;
use crate::support::service::Backed;

const RUNBOOK: &str = r#"# A cutover

## Prepare

```toml step
id    = "keys"
kind  = "keys"
phase = "canary"
env   = "production"
```

## Switch the canary

```toml step
id    = "switch"
kind  = "toggles"
phase = "canary"
env   = "production"
on    = ["canary"]
```

## Look at it

```toml step
id    = "look"
kind  = "confirm"
phase = "canary"
env   = "production"
```

## Back

```toml step
id   = "back"
part = "rollback"
kind = "toggles"
```
"#;

/// Due after a rollback: the targets are switched once more, and a program fails the first time.
const AFTERWARDS: &str = r#"
## Afterwards

```toml step
id   = "again"
part = "afterwards"
kind = "rehearse"
env  = "production"
on   = ["one"]
```

```toml step
id      = "once-more"
part    = "afterwards"
kind    = "command"
run     = ["sh", "-c", "test -e ready"]
```

```toml step
id   = "rest"
part = "afterwards"
kind = "toggles"
env  = "production"
on   = ["one"]
set  = "local"
```

```toml step
id       = "told"
part     = "afterwards"
kind     = "confirm"
env      = "production"
question = "Does everybody know?"
```
"#;

/// The canary was switched, and the run waits for a person's word.
fn switched() -> (Fleet, Backed) {
    switched_by(RUNBOOK)
}

fn switched_by(runbook: &str) -> (Fleet, Backed) {
    let (fleet, backed) = Fleet::on(&["one", "two"]);
    std::fs::write(fleet.path().join("cutover.md"), runbook).expect("a runbook");
    fleet.add_settings("[runbook]\npath = \"cutover.md\"\n");
    let seen = fleet.run(&["rollout", "run", "--confirm", "production"]);
    assert_eq!(seen.code, 10, "{}", seen.stderr);
    let approved = fleet.run(&["rollout", "approve", "--confirm", "look"]);
    assert_eq!(approved.code, 0, "{}", approved.stderr);
    (fleet, backed)
}

fn set(fleet: &Fleet, mode: &str) {
    let nonces = if mode == "postgres" { mode } else { "file" };
    let toggles: Vec<String> = [("RUNTIME", mode), ("NONCE_STORE", nonces)]
        .into_iter()
        .chain([("KEY_RESOLVER", mode), ("REVOCATION", mode)])
        .map(|(toggle, mode)| format!("SECURITY_{toggle}_MODE={mode}"))
        .collect();
    let mut args = vec!["toggles", "set", "--on", "one", "--confirm", "production"];
    args.extend(toggles.iter().map(String::as_str));
    let seen = fleet.run(&args);
    assert_eq!(seen.code, 0, "{}", seen.stderr);
}

fn run_id(fleet: &Fleet) -> String {
    let status = fleet.run(&["--format", "json", "rollout", "status"]);
    let status: serde_json::Value = serde_json::from_str(&status.stdout).expect("JSON");
    status["run"].as_str().expect("a run").to_owned()
}

#[test]
fn where_the_world_is_as_the_journal_says_a_run_goes_on_without_a_word() {
    let (fleet, _backed) = switched();
    let seen = fleet.run(&["rollout", "resume"]);
    assert_eq!(seen.code, 0, "{}", seen.stderr);
    assert!(!seen.stderr.contains("disagree"), "{}", seen.stderr);
}

#[test]
fn a_target_that_was_set_back_by_hand_holds_the_run_until_it_is_right_again() {
    let (fleet, _backed) = switched();
    set(&fleet, "memory");
    for command in ["resume", "run", "takeover"] {
        let run = run_id(&fleet);
        let confirmed = ["rollout", command, "--confirm", run.as_str()];
        let args = if command == "takeover" {
            &confirmed[..]
        } else {
            &confirmed[..2]
        };
        let seen = fleet.run(args);
        assert_eq!(seen.code, 16, "{command}: {}", seen.stderr);
        for part in [
            "journal says",
            "env file of",
            "service",
            "production/one",
            "--accept-world",
        ] {
            assert!(seen.stderr.contains(part), "{command}: {}", seen.stderr);
        }
    }
    set(&fleet, "postgres");
    let seen = fleet.run(&["rollout", "resume"]);
    assert_eq!(seen.code, 0, "{}", seen.stderr);
}

#[test]
fn a_person_may_accept_the_world_as_it_is_and_the_journal_says_so() {
    let (fleet, _backed) = switched();
    set(&fleet, "memory");
    let other = fleet.run(&["rollout", "resume", "--accept-world", "000000"]);
    assert_eq!(other.code, 16, "{}", other.stderr);
    let run = run_id(&fleet);
    let accepted = fleet.run(&["rollout", "resume", "--accept-world", &run]);
    assert_eq!(accepted.code, 0, "{}", accepted.stderr);
    let log = fleet.run(&["rollout", "log"]);
    let words: Vec<&str> = log.stdout.split_whitespace().collect();
    let said = words.join(" ");
    assert!(
        said.contains("went on although the journal and the world disagree: env file of"),
        "{said}"
    );
}

#[test]
fn a_database_that_does_not_answer_is_a_disagreement_for_resume_and_none_for_a_rollback() {
    let (fleet, backed) = switched();
    backed.db.server().stop();
    let seen = fleet.run(&["rollout", "resume"]);
    assert_eq!(seen.code, 16, "{}", seen.stderr);
    assert!(
        seen.stderr.contains("could not be looked at"),
        "{}",
        seen.stderr
    );
    let back = fleet.run(&["rollout", "rollback"]);
    assert_eq!(back.code, 13, "{}", back.stderr);
}

#[test]
fn after_a_rollback_the_journal_knows_what_its_later_steps_switched() {
    let (fleet, _backed) = switched_by(&format!("{RUNBOOK}{AFTERWARDS}"));
    let back = fleet.run(&["rollout", "rollback", "--reason", "a test"]);
    assert_eq!(back.code, 13, "{}", back.stderr);
    let failed = fleet.run(&["rollout", "resume"]);
    assert_eq!(failed.code, 13, "{}", failed.stderr);
    assert!(failed.stderr.contains("once-more"), "{}", failed.stderr);
    std::fs::write(fleet.path().join("ready"), "").expect("a file");
    let seen = fleet.run(&["rollout", "resume"]);
    assert!(!seen.stderr.contains("disagree"), "{}", seen.stderr);
    assert_eq!(seen.code, 13, "{}", seen.stderr);
    let status = fleet.run(&["rollout", "status"]);
    assert!(
        status.stdout.contains("✓ afterwards  rest"),
        "{}",
        status.stdout
    );

    // Without a terminal the question is answered by a command, as on the way forward.
    let command = format!("rollout approve --confirm told --run {}", run_id(&fleet));
    assert!(seen.stderr.contains(&command), "{}", seen.stderr);
    let again = fleet.run(&["rollout", "resume"]);
    assert!(again.stderr.contains(&command), "{}", again.stderr);
    let yes = fleet.run(&["rollout", "approve", "--confirm", "told"]);
    assert_eq!(yes.code, 0, "{}", yes.stderr);
    assert!(yes.stderr.contains("rollout start"), "{}", yes.stderr);
    let status = fleet.run(&["rollout", "status"]);
    assert!(
        status.stdout.contains("✓ afterwards  told"),
        "{}",
        status.stdout
    );
}

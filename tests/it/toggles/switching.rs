//! `dbctl toggles`, restarts, and targets that do not confirm.

use std::time::Duration;

use dbctl::carry::client::ServiceClient;
use dbctl::error::Exit;
use dbctl::runtime::toggles::Modes;
use dbctl::settings::{Restart, Target};
use dbctl::toggle::{confirm, restart};
use serde_json::{Value, json};

use crate::support::fleet::Fleet;
use crate::support::service::token;

fn json_of(text: &str) -> Value {
    serde_json::from_str(text).expect("JSON on stdout")
}

#[test]
fn show_puts_what_the_file_says_beside_what_the_service_says() {
    let fleet = Fleet::local(&["auth-1", "auth-2"]);
    let seen = fleet.run(&["toggles", "show"]);
    assert_eq!(seen.code, 0, "{}", seen.stderr);
    insta::assert_snapshot!(seen.stdout, @r"
    production
    target  file says    service says
    auth-1  memory/file  memory/file
    auth-2  memory/file  memory/file
    ");

    fleet.with("auth-2", |i| i.set("SECURITY_REVOCATION_MODE", "postgres"));
    let seen = fleet.run(&["toggles", "show"]);
    assert_eq!(seen.code, 5);
    assert!(seen.stdout.contains(
        "auth-2: SECURITY_REVOCATION_MODE is postgres in the file, memory in the service"
    ));

    fleet.with("auth-2", |i| {
        i.set("SECURITY_REVOCATION_MODE", "hunter2hunter2hunter2")
    });
    let seen = fleet.run(&["toggles", "show", "--on", "others", "--format", "json"]);
    assert_eq!(seen.code, 3);
    let shown = json_of(&seen.stdout);
    assert_eq!(shown["schema"], "dbctl.toggles.show/1");
    assert_eq!(shown["targets"][0]["file_says"], Value::Null);
    assert!(!seen.stdout.contains("hunter2"), "{}", seen.stdout);

    fleet.with("auth-1", |i| i.kill());
    let seen = fleet.run(&["toggles", "show", "--on", "auth-1"]);
    assert_eq!(seen.code, 4);
    assert!(seen.stdout.contains("no answer"), "{}", seen.stdout);
}

#[test]
fn setting_by_hand_carries_over_both_ways_and_confirms() {
    let (fleet, backed) = Fleet::on(&["auth-1", "auth-2"]);
    let live = fleet.with("auth-1", |i| i.issue("alice"));
    let gone = fleet.with("auth-1", |i| i.issue("bob"));
    fleet.with("auth-1", |i| {
        i.revoke_token(gone["token_id"].as_str().expect("an id"));
    });
    let to = |mode: &str, more: &[&str]| {
        let assignment = format!("SECURITY_RUNTIME_MODE={mode}");
        let keys = format!("SECURITY_KEY_RESOLVER_MODE={mode}");
        let revocation = format!("SECURITY_REVOCATION_MODE={mode}");
        let nonces = if mode == "postgres" { mode } else { "file" };
        let nonces = format!("SECURITY_NONCE_STORE_MODE={nonces}");
        let mut args = vec!["toggles", "set", &assignment, &keys, &revocation, &nonces];
        args.extend(more);
        fleet.run(&args)
    };

    let asked = to("postgres", &[]);
    assert_eq!(asked.code, 16, "{}", asked.stderr);
    assert!(
        asked.stderr.contains("--confirm production"),
        "{}",
        asked.stderr
    );
    let wrong = to("postgres", &["--confirm", "staging"]);
    assert_eq!(wrong.code, 16);
    assert_eq!(
        fleet.run(&["toggles", "show"]).code,
        0,
        "nothing was changed"
    );

    let forward = to("postgres", &["--confirm", "production", "--format", "json"]);
    assert_eq!(forward.code, 0, "{}", forward.stderr);
    let done = json_of(&forward.stdout);
    assert_eq!(done["schema"], "dbctl.toggles.set/1");
    assert_eq!(done["carried"], true);
    assert_eq!(done["into_postgres"]["added"]["tokens_added"], 1);
    for i in 0..2 {
        assert_eq!(done["targets"][i]["outcome"], "confirmed");
        assert_eq!(
            done["targets"][i]["now"]["SECURITY_NONCE_STORE_MODE"],
            "postgres"
        );
    }
    assert_eq!(
        backed
            .db
            .psql("SELECT count(*) FROM security.revoked_tokens"),
        "1"
    );
    let denied = fleet.each(|i| i.verify(token(&gone)).1);
    assert_eq!(denied, ["revoked_token", "revoked_token"]);
    assert_eq!(fleet.each(|i| i.verify(token(&live)).0), [200, 200]);

    let again = to("postgres", &[]);
    assert_eq!(again.code, 0, "nothing is to be done, so nothing is asked");
    assert!(
        again.stdout.contains("auth-1     is already so (postgres)"),
        "{}",
        again.stdout
    );

    // The way back, with Postgres gone.
    backed.db.server().kill();
    let back = to("memory", &["--confirm", "production"]);
    assert_eq!(back.code, 0, "{}", back.stderr);
    assert!(
        back.stdout.contains("from the rollback kit"),
        "{}",
        back.stdout
    );
    assert!(
        back.stdout
            .contains("postgres → memory/file, it says so itself"),
        "{}",
        back.stdout
    );
    let denied = fleet.each(|i| i.verify(token(&gone)).1);
    assert_eq!(denied, ["revoked_token", "revoked_token"]);
    assert_eq!(fleet.each(|i| i.verify(token(&live)).0), [200, 200]);
}

#[test]
fn without_postgres_a_switch_to_it_is_refused_and_changes_nothing() {
    let (fleet, backed) = Fleet::on(&["auth-1"]);
    backed.db.server().kill();
    let before = std::fs::read_to_string(fleet.path().join("auth-1/service.env")).expect("there");
    let seen = fleet.run(&[
        "toggles",
        "set",
        "SECURITY_REVOCATION_MODE=postgres",
        "--confirm",
        "production",
    ]);
    assert_eq!(seen.code, 4, "{}", seen.stderr);
    let after = std::fs::read_to_string(fleet.path().join("auth-1/service.env")).expect("there");
    assert_eq!(before, after);
    let health = fleet.with("auth-1", |i| i.get("/healthz").body);
    assert_eq!(health["fenced"], json!(false));
}

#[test]
fn files_only_and_without_carry_over_are_said_loudly() {
    let fleet = Fleet::local(&["auth-1"]);
    let set = |more: &[&str]| {
        let mut args = vec!["toggles", "set", "SECURITY_NONCE_STORE_MODE=postgres"];
        args.extend(["--confirm", "production"]);
        args.extend(more);
        fleet.run(&args)
    };
    let seen = set(&["--no-restart"]);
    assert_eq!(seen.code, 0, "{}", seen.stderr);
    assert!(
        seen.stderr.contains("warning: no state is carried over"),
        "{}",
        seen.stderr
    );
    assert!(
        seen.stdout.contains("runs on in memory/file"),
        "{}",
        seen.stdout
    );
    assert_eq!(fleet.run(&["toggles", "show"]).code, 5);
}

#[test]
fn a_command_line_that_makes_no_sense_is_a_usage_error() {
    let fleet = Fleet::local(&["auth-1"]);
    for (given, words) in [
        (&["SECURITY_RUNTIME_MODE"][..], "has no `=`"),
        (&["SECURITY_RUNTIME_MODES=memory"], "is not a toggle"),
        (
            &["SECURITY_RUNTIME_MODE=postgers"],
            "`postgers` is not one of its values",
        ),
        (
            &[
                "SECURITY_RUNTIME_MODE=memory",
                "SECURITY_RUNTIME_MODE=postgres",
            ],
            "twice",
        ),
    ] {
        let mut args = vec!["toggles", "set"];
        args.extend(given);
        let seen = fleet.run(&args);
        assert_eq!(seen.code, 2, "{}", seen.stderr);
        assert!(seen.stderr.contains(words), "{words}: {}", seen.stderr);
    }
    let seen = fleet.run(&[
        "toggles",
        "set",
        "SECURITY_RUNTIME_MODE=memory",
        "--on",
        "nobody",
    ]);
    assert_eq!(seen.code, 3);
    assert!(
        seen.stderr.contains("known: auth-1, canary"),
        "{}",
        seen.stderr
    );
}

#[test]
fn a_wrong_name_is_refused_even_where_nothing_is_to_be_done() {
    let fleet = Fleet::local(&["auth-1"]);
    let args = ["toggles", "set", "SECURITY_RUNTIME_MODE=memory"];
    let wrong = fleet.run(&[&args[..], &["--confirm", "staging"]].concat());
    assert_eq!(wrong.code, 16, "{}", wrong.stderr);
    assert!(
        wrong.stderr.contains("--confirm says `staging`"),
        "{}",
        wrong.stderr
    );
    let right = fleet.run(&[&args[..], &["--confirm", "production"]].concat());
    assert_eq!(right.code, 0, "{}", right.stderr);
    assert!(right.stdout.contains("already so"), "{}", right.stdout);
}

// ---- restarts ----

fn target(url: &str, command: &[&str]) -> Target {
    Target {
        name: "auth-9".into(),
        url: url.into(),
        groups: Vec::new(),
        env_file: "none".into(),
        restart: Restart::Command(command.iter().map(|a| (*a).to_owned()).collect()),
        state_dir: "none".into(),
        log: None,
    }
}

const LONG: Duration = Duration::from_secs(60);

#[cfg(unix)]
#[tokio::test]
async fn a_restart_that_fails_shows_the_end_of_what_it_said() {
    let failing = target(
        "http://x",
        &["sh", "-c", "seq 1 500; echo 'no such unit' >&2; exit 5"],
    );
    let problem = restart(&failing, LONG).await.expect_err("it fails");
    assert_eq!(problem.exit(), Exit::Unavailable);
    let text = problem.to_string();
    assert!(
        text.contains("auth-9") && text.contains("exit status: 5"),
        "{text}"
    );
    assert!(text.ends_with("499\n500\nno such unit"), "{text}");
    assert!(!text.contains("\n400\n"), "{text}");
    let missing = target("http://x", &["no-such-program-of-dbctl"]);
    let problem = restart(&missing, LONG).await.expect_err("it is not there");
    assert_eq!(problem.exit(), Exit::Config);
    restart(&target("http://x", &[]), LONG)
        .await
        .expect_err("no program");
}

#[cfg(unix)]
#[tokio::test]
async fn a_restart_that_hangs_is_killed_with_everything_it_started() {
    let dir = tempfile::tempdir().expect("a directory");
    let pid_file = dir.path().join("pid");
    let script = format!("sleep 600 & echo $! > {}; wait", pid_file.display());
    let hanging = target("http://x", &["sh", "-c", &script]);
    let problem = restart(&hanging, Duration::from_millis(500))
        .await
        .expect_err("it hangs");
    assert!(
        problem
            .to_string()
            .contains("whether the restart happened is unknown")
    );
    let pid: i32 = std::fs::read_to_string(pid_file)
        .expect("it started")
        .trim()
        .parse()
        .expect("a process id");
    crate::support::service::eventually("its child is gone", || {
        // A process that ended and was not waited for yet counts as gone.
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        let pid = rustix::process::Pid::from_raw(pid).expect("a process id");
        rustix::process::test_kill_process(pid).is_err() || stat.contains(") Z ")
    });
}

#[cfg(unix)]
#[tokio::test]
async fn a_service_left_in_the_background_neither_holds_up_the_restart_nor_dies_of_it() {
    let dir = tempfile::tempdir().expect("a directory");
    let alive = dir.path().join("alive");
    // It inherits stdout and goes on writing to it.
    let script = format!(
        "(i=0; while [ $i -lt 40 ]; do echo tick || exit 1; i=$((i+1)); sleep 0.05; done; touch {}) &",
        alive.display()
    );
    let background = target("http://x", &["sh", "-c", &script]);
    restart(&background, LONG).await.expect("it is restarted");
    assert!(!alive.exists(), "it was not waited for");
    crate::support::service::eventually("it lives on", || alive.exists());
}

#[test]
fn a_target_that_does_not_confirm_is_named_with_what_it_said() {
    let fleet = Fleet::local(&["auth-1"]);
    let env = fleet.environment();
    let client = ServiceClient::new(&env.targets[0], None).expect("a client");
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let short = Duration::from_millis(300);
    let health = runtime.block_on(client.health()).expect("it answers");
    let same = Some(health.boot_id.as_str());

    let old = runtime.block_on(confirm(&client, &Modes::LOCAL, same, short));
    let text = old.expect_err("it was not restarted").to_string();
    assert!(
        text.contains("auth-1") && text.contains("still the process from before"),
        "{text}"
    );

    let other = runtime.block_on(confirm(&client, &Modes::POSTGRES, None, LONG));
    let text = other.expect_err("it runs in other modes").to_string();
    assert!(
        text.contains("SECURITY_RUNTIME_MODE is memory instead of postgres"),
        "{text}"
    );

    fleet.with("auth-1", |i| i.kill());
    let gone = runtime.block_on(confirm(&client, &Modes::LOCAL, None, short));
    let text = gone.expect_err("nobody answers").to_string();
    assert!(
        text.contains("auth-1") && text.contains("no connection"),
        "{text}"
    );
}

#[test]
fn a_restart_that_fails_leaves_nobody_fenced_and_the_command_says_whom() {
    let (fleet, _backed) = Fleet::on(&["auth-1", "auth-2"]);
    let text = std::fs::read_to_string(fleet.settings_file()).expect("the settings");
    let broken: String = text
        .lines()
        .map(|l| {
            if l.ends_with("/auth-2\" }") {
                "restart = [\"false\"]"
            } else {
                l
            }
        })
        .collect::<Vec<_>>()
        .join("\n");
    std::fs::write(fleet.settings_file(), broken).expect("written");
    let seen = fleet.run(&[
        "toggles",
        "set",
        "SECURITY_RUNTIME_MODE=postgres",
        "SECURITY_KEY_RESOLVER_MODE=postgres",
        "SECURITY_REVOCATION_MODE=postgres",
        "SECURITY_NONCE_STORE_MODE=postgres",
        "--confirm",
        "production",
    ]);
    assert_eq!(seen.code, 4, "{}", seen.stderr);
    assert!(
        seen.stdout.contains("auth-1     memory/file → postgres"),
        "{}",
        seen.stdout
    );
    assert!(
        seen.stdout.contains("auth-2     did not confirm"),
        "{}",
        seen.stdout
    );
    assert!(
        seen.stderr.contains("restarting auth-2 (false)"),
        "{}",
        seen.stderr
    );
    let fenced = fleet.each(|i| i.get("/healthz").body["fenced"].clone());
    assert_eq!(fenced, [json!(false), json!(false)]);
}

//! Hooks through the real binary: programs and a real HTTP server that hear what happens in a run.

use std::path::Path;

use standardwebhooks::Webhook;

use crate::support::cli::{Seen, dbctl, run, seen};
use crate::support::fleet::Fleet;
use crate::support::programs::{every_line_once, programs};
use crate::support::receiver::{Receiver, Reply};
use crate::support::service::eventually;

const SECRET: &str = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD";

/// A folder whose run completes, with these hooks.
fn with_hooks(hooks: &str) -> tempfile::TempDir {
    let dir = programs();
    add(dir.path(), hooks);
    dir
}

fn add(dir: &Path, hooks: &str) {
    let file = dir.join("dbctl.toml");
    let settings = std::fs::read_to_string(&file).expect("the settings");
    std::fs::write(&file, format!("{settings}\n{hooks}\n")).expect("written");
    let secret = dir.join("hook.secret");
    std::fs::write(&secret, format!("{SECRET}\n")).expect("written");
    #[cfg(unix)]
    std::fs::set_permissions(&secret, std::os::unix::fs::PermissionsExt::from_mode(0o600))
        .expect("closed to others");
}

fn hook_to(url: &str, more: &str) -> String {
    format!("[[hooks]]\nname = \"pager\"\nurl = \"{url}\"\nsecret_file = \"hook.secret\"\n{more}")
}

/// Like a user whose environment names a proxy: nothing of ours may go there.
fn start(dir: &Path) -> Seen {
    let mut command = dbctl(dir, &["rollout", "start", "--confirm", "staging"]);
    command
        .env("http_proxy", "http://127.0.0.1:9")
        .env("HTTP_PROXY", "http://127.0.0.1:9");
    seen(command)
}

#[test]
fn a_receiver_that_was_busy_gets_every_message_in_order_signed_and_under_its_first_id() {
    let receiver = Receiver::that(|n| Reply::Status(if n < 2 { 503 } else { 200 }));
    let dir = with_hooks(&hook_to(&receiver.url, ""));
    let ran = start(dir.path());
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    assert!(!ran.stderr.contains("hook pager"), "{}", ran.stderr);

    let received = receiver.take();
    let ids: Vec<&str> = received.iter().map(|r| r.header("webhook-id")).collect();
    assert_eq!(ids[0], ids[1], "tried again under the same id");
    assert_eq!(ids[1], ids[2]);
    let webhook = Webhook::new(SECRET).expect("a secret");
    for request in &received {
        let verified = webhook.verify(&request.body, &request.headers);
        verified.expect("the receiver's library takes the signature");
        assert_eq!(request.header("webhook-id"), request.json()["id"]);
        assert_eq!(request.json()["schema"], "dbctl.hook/1");
        assert!(!String::from_utf8_lossy(&request.body).contains(SECRET));
    }
    let events: Vec<String> = received[2..]
        .iter()
        .map(|r| r.json()["event"].as_str().expect("an event").to_owned())
        .collect();
    assert_eq!(events, ["started", "approval-wanted", "completed"]);

    let wanted = received[3].json();
    assert_eq!(wanted["phase"], "staging");
    assert_eq!(wanted["status"], "awaiting-approval");
    let id = wanted["run"].as_str().expect("the run");
    let approve = format!("dbctl rollout approve --confirm staging --run {id}");
    assert_eq!(wanted["next"][0], approve.as_str());
    let completed = received[4].json();
    let head = completed["head"].as_str().expect("a head");
    let log = run(dir.path(), &["rollout", "log", "--expect-head", head]);
    assert_eq!(log.code, 0, "the head is the journal's: {}", log.stderr);
    assert!(log.stdout.ends_with(&format!("journal head {head}\n")));
    assert!(!format!("{}{}", log.stdout, ran.stderr).contains(&SECRET[6..]));
}

#[test]
fn a_receiver_that_says_no_or_sends_elsewhere_is_not_asked_again() {
    let elsewhere = Receiver::that(|_| Reply::Status(200));
    let url = elsewhere.url.clone();
    let receiver = Receiver::that(move |n| match n {
        0 => Reply::Status(404),
        _ => Reply::RedirectTo(url.clone()),
    });
    let dir = with_hooks(&hook_to(&receiver.url, "on = [\"started\", \"completed\"]"));
    let ran = start(dir.path());
    assert_eq!(ran.code, 0, "the run does not mind: {}", ran.stderr);
    assert_eq!(receiver.count(), 2);
    assert_eq!(elsewhere.count(), 0, "a redirect was followed");
    for told in [
        "hook pager: started (event 1) was not delivered: it answered 404",
        "was not delivered: it answered 307, and a redirect is not followed",
    ] {
        assert!(ran.stderr.contains(told), "{told} in {}", ran.stderr);
    }
    every_line_once(dir.path());
}

#[test]
fn a_receiver_that_never_answers_and_a_program_that_never_ends_hold_up_no_run() {
    let receiver = Receiver::that(|_| Reply::Never);
    let hooks = hook_to(&receiver.url, "timeout = \"1h\"\n")
        + "[[hooks]]\non = [\"started\"]\ntimeout = \"1h\"\n\
           command = [\"sh\", \"-c\", \"sleep 3600 & echo $! $$ > pids; wait\"]\n";
    let dir = with_hooks(&hooks);
    let ran = start(dir.path());
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    every_line_once(dir.path());
    let given_up =
        "hook pager: given up when leaving: started (event 1), approval-wanted (event 2)";
    assert!(ran.stderr.contains(given_up), "{}", ran.stderr);
    assert!(
        ran.stderr
            .contains("hook sh: given up when leaving: started (event 1)"),
        "{}",
        ran.stderr
    );
    let last = ran.stderr.find("COMPLETED run").expect("the last words");
    assert!(
        ran.stderr.rfind("hook ").expect("a hook") < last,
        "{}",
        ran.stderr
    );
    nobody_of(dir.path());
}

#[test]
fn a_program_that_takes_too_long_is_ended_with_what_it_started() {
    let dir = with_hooks(
        "[[hooks]]\nname = \"slow\"\non = [\"started\"]\ntimeout = \"300ms\"\n\
         command = [\"sh\", \"-c\", \"sleep 3600 & echo $! $$ > pids; wait\"]\n",
    );
    let ran = start(dir.path());
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    let told = "hook slow: started (event 1) was not delivered: it did not end within 0.3 s";
    assert!(ran.stderr.contains(told), "{}", ran.stderr);
    nobody_of(dir.path());
}

/// The processes whose numbers stand in `pids` are gone.
fn nobody_of(dir: &Path) {
    let pids = std::fs::read_to_string(dir.join("pids")).expect("the program ran");
    assert_eq!(pids.split_whitespace().count(), 2, "{pids}");
    for pid in pids.split_whitespace() {
        let pid = pid.parse().ok().and_then(rustix::process::Pid::from_raw);
        let pid = pid.expect("a process id");
        eventually("the hook's processes end", || {
            rustix::process::test_kill_process(pid).is_err()
        });
    }
}

#[test]
fn a_program_reads_the_message_and_a_run_is_told_as_it_goes() {
    let dir = with_hooks(
        "[[hooks]]\non = [\"approval-wanted\", \"paused\"]\ncommand = [\"sh\", \"-c\", \"cat >> heard\"]\n",
    );
    assert_eq!(run(dir.path(), &["rollout", "start"]).code, 10);
    let paused = run(dir.path(), &["rollout", "pause", "--reason", "INC-12"]);
    assert_eq!(paused.code, 0, "{}", paused.stderr);
    let heard = std::fs::read_to_string(dir.path().join("heard")).expect("it heard something");
    let lines: Vec<serde_json::Value> = heard
        .lines()
        .map(|l| serde_json::from_str(l).expect("JSON"))
        .collect();
    assert_eq!(lines.len(), 2, "{heard}");
    assert_eq!(lines[0]["event"], "approval-wanted");
    assert_eq!(lines[1]["event"], "paused");
    assert!(
        lines[1]["reason"]
            .as_str()
            .expect("a reason")
            .ends_with("INC-12")
    );
    let run_id = lines[1]["run"].as_str().expect("the run");
    let next = serde_json::json!([
        format!("dbctl rollout resume --run {run_id}"),
        format!("dbctl rollout abort --run {run_id}"),
    ]);
    assert_eq!(lines[1]["next"], next);
}

const SWITCH: &str = "# Switch\n\n## Steps\n\n```toml step\nid = \"switch\"\nkind = \"toggles\"\nphase = \"production\"\nenv = \"production\"\nset = \"postgres\"\n```\n\n```toml step\nid = \"hold\"\nkind = \"approve\"\nphase = \"production\"\nenv = \"production\"\n```\n\n## Rollback\n\n```toml step\nid = \"back\"\npart = \"rollback\"\nkind = \"toggles\"\nset = \"local\"\n```\n\n```toml step\nid = \"recover\"\npart = \"rollback\"\nkind = \"recover\"\ntimeout = \"20s\"\n```\n";

#[test]
fn a_rollback_is_done_while_its_hooks_hang() {
    let (fleet, _backed) = Fleet::on(&["auth-1", "auth-2"]);
    std::fs::write(fleet.path().join("switch.md"), SWITCH).expect("a runbook");
    fleet.add_settings("[runbook]\npath = \"switch.md\"\n");
    let receiver = Receiver::that(|_| Reply::Never);
    let hooks = hook_to(
        &receiver.url,
        "on = [\"trigger\", \"rolled-back\"]\ntimeout = \"1h\"\n",
    ) + "[[hooks]]\non = [\"approval-wanted\"]\ntimeout = \"1h\"\n\
           command = [\"sh\", \"-c\", \"sleep 3600 & echo $! $$ > pids; wait\"]\n";
    add(fleet.path(), &hooks);
    let on = fleet.run(&["rollout", "start", "--confirm", "production"]);
    assert_eq!(on.code, 10, "it holds at the approval: {}", on.stderr);
    assert!(
        on.stderr.contains("given up when leaving: approval-wanted"),
        "{}",
        on.stderr
    );
    nobody_of(fleet.path());
    let back = fleet.run(&["rollout", "rollback", "--reason", "INC-7"]);
    assert_eq!(back.code, 13, "{}", back.stderr);
    assert!(
        back.stderr.contains("given up when leaving: rolled-back"),
        "{}",
        back.stderr
    );
    let told = receiver.take().pop().expect("it was told").json();
    assert_eq!(told["status"], "rolled-back");
    assert!(
        told["reason"]
            .as_str()
            .expect("a reason")
            .ends_with("INC-7")
    );
    for instance in fleet.each(|i| i.get("/healthz").body) {
        assert_eq!(
            instance["modes"]["SECURITY_RUNTIME_MODE"], "memory",
            "{instance}"
        );
    }
}

#[test]
fn a_hook_that_is_written_wrong_is_told_with_line_and_column() {
    for (hook, place, said) in [
        (
            "command = [\"true\"]\nurl = \"https://e.example\"",
            "2:1",
            "not both",
        ),
        ("name = \"x\"", "2:1", "neither"),
        ("comand = [\"true\"]", "3:1", "unknown field `comand`"),
        (
            "on = [\"stcuk\"]\ncommand = [\"true\"]",
            "3:7",
            "unknown variant `stcuk`",
        ),
        ("on = []\ncommand = [\"true\"]", "2:1", "`on` is empty"),
        ("command = []", "2:1", "command is empty"),
        ("url = \"https://e.example\"", "2:1", "requests are signed"),
        (
            "url = \"http://e.example\"\nsecret_env = \"S\"",
            "2:1",
            "plain http",
        ),
        (
            "url = \"https://u:p@e.example\"\nsecret_env = \"S\"",
            "2:1",
            "a user or a password",
        ),
        ("url = \"nowhere\"\nsecret_env = \"S\"", "2:1", "is no URL"),
        (
            "url = \"ftp://e.example\"\nsecret_env = \"S\"",
            "2:1",
            "https://",
        ),
        (
            "command = [\"true\"]\nsecret_env = \"S\"",
            "2:1",
            "a command takes none",
        ),
        (
            "command = [\"true\"]\ntimeout = \"0s\"",
            "4:11",
            "not a positive duration",
        ),
    ] {
        let dir = tempfile::tempdir().expect("a folder");
        let settings = format!("[environments.staging]\n[[hooks]]\n{hook}\n");
        std::fs::write(dir.path().join("dbctl.toml"), settings).expect("written");
        let seen = run(dir.path(), &["rollout", "status"]);
        assert_eq!(seen.code, 3, "{hook}: {}", seen.stderr);
        for part in [format!("dbctl.toml:{place}"), said.to_owned()] {
            assert!(seen.stderr.contains(&part), "{part} in {}", seen.stderr);
        }
    }
}

#[test]
fn trying_out_the_hooks_says_what_came_back_and_a_missing_secret_stops_no_run() {
    let receiver = Receiver::that(|n| Reply::Status(if n == 0 { 503 } else { 204 }));
    let hooks = hook_to(&receiver.url, "")
        + "[[hooks]]\nname = \"program\"\ncommand = [\"sh\", \"-c\", \"echo here; exit 3\"]\n"
        + "[[hooks]]\nname = \"unset\"\nurl = \"https://e.example\"\nsecret_env = \"NOT_SET\"\n"
        + "[[hooks]]\nname = \"short\"\nurl = \"https://e.example\"\nsecret_file = \"short\"\n";
    let dir = with_hooks(&hooks);
    let short = dir.path().join("short");
    std::fs::copy(dir.path().join("hook.secret"), &short).expect("its mode too");
    std::fs::write(&short, "whsec_c2hvcnQ=\n").expect("written");
    let tried = run(dir.path(), &["rollout", "hooks", "test"]);
    assert_eq!(tried.code, 5, "{}", tried.stderr);
    for part in [
        "pager: it answered 503; a run would try again",
        "program: it ended with exit status: 3",
        "unset: NOT_SET is not set",
        "has 5 bytes; 24 to 64",
    ] {
        assert!(tried.stdout.contains(part), "{part} in {}", tried.stdout);
    }
    assert!(
        tried.stderr.contains("here"),
        "what the program prints is shown"
    );
    let sample = receiver.take().pop().expect("one request").json();
    assert_eq!(sample["sample"], true);
    let json = run(
        dir.path(),
        &["--format", "json", "rollout", "hooks", "test"],
    );
    let json: serde_json::Value = serde_json::from_str(&json.stdout).expect("JSON");
    assert_eq!(json["schema"], "dbctl.rollout.hooks.test/1");

    assert_eq!(start(dir.path()).code, 0);
}

#[test]
fn without_hooks_there_is_nothing_to_try_out() {
    let dir = programs();
    let tried = run(dir.path(), &["rollout", "hooks", "test"]);
    assert_eq!(tried.code, 3, "{}", tried.stderr);
    assert!(tried.stderr.contains("[[hooks]]"), "{}", tried.stderr);
}

//! What is left of a run that was stopped: what the services' logs said, which requests failed,
//! and never a secret.

use std::path::Path;

use dbctl::check::logs::{LogConfig, LogExcerpt, read};
use secrecy::SecretString;
use serde_json::Value;

use crate::support::cli::run;
use crate::support::fleet::Fleet;
use crate::support::programs::block;

fn of_file(text: &str) -> LogExcerpt {
    let dir = tempfile::tempdir().expect("a folder");
    let file = dir.path().join("service.log");
    std::fs::write(&file, text).expect("written");
    let config = LogConfig {
        file: Some(file),
        run: None,
        errors: None,
    };
    let secrets = [SecretString::from("our own admin phrase")];
    block(read(&config, "production/auth-1".into(), 0, &secrets))
}

fn texts(excerpt: &LogExcerpt) -> Vec<&str> {
    excerpt.lines.iter().map(|l| l.text.as_str()).collect()
}

#[test]
fn only_lines_of_trouble_are_kept_with_their_times_and_the_requests_that_they_name() {
    let excerpt = of_file(
        "2026-11-24 10:51:00 INFO all is well\n\
         2026-11-24T10:51:02.500Z ERROR nonce store: connection refused request_id=019ab3c4-77e1-7d1c-8f00-5b1f6f0e2d11\n\
         2026-11-24 11:51:03,250 +0100 FATAL gives up\n\
         {\"ts\":1795517464.5,\"level\":\"error\",\"msg\":\"denied\",\"trace_id\":\"4bf92f3577b34da6a3ce929d0e0e4736\"}\n\
         panic: at an unknown time\n\
         no errors were seen\n",
    );
    let at: Vec<Option<u64>> = excerpt.lines.iter().map(|l| l.at_ms).collect();
    assert_eq!(
        at,
        [
            Some(1_795_517_462_500),
            Some(1_795_517_463_250),
            Some(1_795_517_464_500),
            None
        ],
        "{excerpt:#?}"
    );
    assert_eq!(excerpt.matched, 4);
    assert_eq!(
        excerpt.request_ids,
        [
            "019ab3c4-77e1-7d1c-8f00-5b1f6f0e2d11",
            "4bf92f3577b34da6a3ce929d0e0e4736"
        ]
    );
    // An id of a request is no secret, also where it looks like one.
    assert!(texts(&excerpt)[2].contains("4bf92f3577b34da6a3ce929d0e0e4736"));
}

#[test]
fn what_is_a_secret_or_looks_like_one_is_masked_and_what_went_wrong_is_still_read() {
    let long = "aB3dE6gH9".repeat(5);
    let planted = [
        (
            "token eyJhbGciOi.eyJzdWIi.c2lnbmF0dXJl is bad",
            "eyJhbGciOi",
        ),
        ("Authorization: Bearer s3cr3t.value, retrying", "s3cr3t"),
        ("cookie=\"sid=abcdefgh; theme=dark\"", "abcdefgh"),
        ("password: hunter2", "hunter2"),
        (
            "{\"client_secret\": \"p w\\\"x\", \"msg\": \"denied\"}",
            "p w",
        ),
        ("refresh_token=opaque-value", "opaque-value"),
        ("postgres://dbctl:hunter2@db/auth: refused", "hunter2"),
        ("Key (token)=(zxcvbnm) already exists", "zxcvbnm"),
        ("-----BEGIN EC PRIVATE KEY-----MHcC", "MHcC"),
        ("the phrase is our own admin phrase", "our own admin"),
        ("\u{1b}[31mpass\u{1b}[0mword=hunter2", "hunter2"),
        (&format!("kek {long}= was refused"), "aB3dE6"),
        ("hex 0123456789abcdef0123456789abcdef", "89abcdef"),
        ("ab/Cd9/efGh+iJ/k2l/MnOp3Q", "MnOp3Q"),
    ];
    for (line, secret) in planted {
        let excerpt = of_file(&format!("ERROR {line}\n"));
        let text = texts(&excerpt).concat();
        assert!(!text.contains(secret), "{line}: {text}");
        assert!(text.contains("[redacted"), "{line}: {text}");
    }
    for harmless in [
        "ERROR invalid token: it expired 4m ago",
        "ERROR Bearer authentication failed for /v1/tokens/verify",
        "ERROR tokens=12 sessions=4",
        "ERROR cannot open /var/lib/auth-1/state/nonce.json: os error 13",
        "ERROR pod auth-service-5d8f7c9b4-x2k4q at com.example.auth.NonceStore.reserve(NonceStore.java:42)",
        "ERROR request 019ab3c4-77e1-7d1c-8f00-5b1f6f0e2d11 failed",
    ] {
        assert_eq!(texts(&of_file(harmless)), [harmless]);
    }
}

#[test]
fn a_log_without_end_leaves_a_bounded_excerpt_without_control_characters() {
    let mut text = String::new();
    for n in 0..5_000 {
        text += &format!("ERROR {n} \u{7}\u{1b}]0;taken {}\n", "very ".repeat(200));
    }
    let excerpt = of_file(&text);
    assert_eq!(excerpt.lines.len(), 20);
    assert!(excerpt.matched > 20, "{}", excerpt.matched);
    assert!(texts(&excerpt)[19].starts_with("ERROR 4999 "));
    for line in texts(&excerpt) {
        assert!(line.chars().count() <= 410, "{line}");
        assert!(!line.chars().any(char::is_control), "{line:?}");
    }
    let gone = LogConfig {
        file: Some("/nowhere/service.log".into()),
        run: None,
        errors: None,
    };
    let excerpt = block(read(&gone, "a".into(), 0, &[]));
    assert!(excerpt.why.is_some() && excerpt.lines.is_empty());
}

#[test]
#[cfg(unix)]
fn a_program_that_goes_on_is_stopped_and_what_it_printed_counts() {
    let config = LogConfig {
        file: None,
        run: Some(
            ["sh", "-c", "echo 'ERROR one'; sleep 60"]
                .map(str::to_owned)
                .into(),
        ),
        errors: None,
    };
    let excerpt = block(read(&config, "a".into(), 0, &[]));
    assert_eq!(texts(&excerpt), ["ERROR one"]);
}

/// A run whose only step writes into the service's log and fails.
fn fails(dir: &Path) {
    let script = "date -u '+%Y-%m-%dT%H:%M:%SZ ERROR no nonce left \
        request_id=019ab3c4-77e1-7d1c-8f00-5b1f6f0e2d11 password=hunter2 swordfish' >> service.log\nexit 3\n";
    std::fs::write(dir.join("deploy.sh"), script).expect("written");
    let runbook = "# Fails\n\n## Steps\n\nFails.\n\n```toml step\nid = \"deploy\"\nkind = \"command\"\n\
         phase = \"staging\"\nenv = \"staging\"\nrun = [\"sh\", \"deploy.sh\"]\n\
         probe = [\"true\"]\n```\n";
    std::fs::write(dir.join("fails.md"), runbook).expect("written");
    std::fs::write(
        dir.join("service.log"),
        "2001-01-01T00:00:00Z ERROR long ago\n",
    )
    .expect("written");
    let settings = "[runbook]\npath = \"fails.md\"\n\n[environments.staging]\n\
         [[environments.staging.targets]]\nname = \"a\"\nurl = \"http://127.0.0.1:9\"\n\
         env_file = \"a.env\"\nstate_dir = \"a\"\nrestart = [\"true\"]\n\
         log = { file = \"service.log\" }\n\
         [[http_tokens]]\norigin = \"https://stats.example.com\"\ntoken_file = \"token\"\n";
    std::fs::write(dir.join("dbctl.toml"), settings).expect("written");
    // Nothing tells it from a word but the settings.
    dbctl::durable::write(&dir.join("token"), b"swordfish\n").expect("written");
}

#[test]
#[cfg(unix)]
fn a_step_that_fails_leaves_what_the_log_says_in_the_journal_the_report_and_on_the_screen() {
    let dir = tempfile::tempdir().expect("a folder");
    fails(dir.path());
    let ran = run(dir.path(), &["rollout", "start", "--confirm", "staging"]);
    assert_eq!(ran.code, 11, "{}", ran.stderr);
    let screen: Vec<&str> = ran.stderr.split_whitespace().collect();
    let screen = screen.join(" ");
    assert!(
        screen.contains("the log of staging/a has a line of trouble and a request id; the newest:"),
        "{screen}"
    );
    let log = run(dir.path(), &["--format", "json", "rollout", "log"]);
    let log: Value = serde_json::from_str(&log.stdout).expect("JSON");
    let events = log["events"].as_array().expect("events");
    let logged = events.iter().find(|e| e["event"]["type"] == "logged");
    let logged = &logged.expect("an event of it")["event"];
    let failed =
        &events[usize::try_from(logged["of"].as_u64().expect("a number")).expect("small") - 1];
    assert_eq!(failed["event"]["type"], "failed");
    assert_eq!(
        logged["logs"][0]["matched"], 1,
        "only since the run began: {logged}"
    );
    let report = run(dir.path(), &["--format", "json", "rollout", "report"]);
    let facts: Value = serde_json::from_str(&report.stdout).expect("JSON");
    let kept = &facts["logs"]["items"][0];
    assert_eq!(kept["target"], "staging/a");
    assert_eq!(
        kept["request_ids"][0],
        "019ab3c4-77e1-7d1c-8f00-5b1f6f0e2d11"
    );
    for seen in [&ran.stderr, &report.stdout, &log.to_string()] {
        assert!(!seen.contains("hunter2"), "{seen}");
        assert!(!seen.contains("swordfish"), "{seen}");
    }
    // A run that was stopped goes on as before.
    let status = run(dir.path(), &["rollout", "status"]);
    assert_eq!(status.code, 11, "{}", status.stderr);
    let again = run(dir.path(), &["rollout", "resume"]);
    assert_eq!(again.code, 11, "{}", again.stderr);
}

#[test]
fn a_log_that_makes_no_sense_is_a_mistake_of_the_settings() {
    let dir = tempfile::tempdir().expect("a folder");
    fails(dir.path());
    let file = dir.path().join("dbctl.toml");
    let text = std::fs::read_to_string(&file).expect("settings");
    for (wrong, why) in [
        ("{ }", "exactly one of `file` and `run`"),
        (
            "{ file = \"a\", run = [\"b\"] }",
            "exactly one of `file` and `run`",
        ),
        ("{ run = [] }", "names no program"),
        ("{ file = \"a\", errors = \"(\" }", "cannot be read"),
    ] {
        let changed = text.replace("{ file = \"service.log\" }", wrong);
        std::fs::write(&file, changed).expect("written");
        let seen = run(dir.path(), &["rollout", "plan"]);
        assert_eq!(seen.code, 3, "{wrong}: {}", seen.stderr);
        assert!(seen.stderr.contains(why), "{wrong}: {}", seen.stderr);
    }
}

#[test]
fn a_smoke_check_that_fails_names_the_request_whatever_was_wrong_with_the_answer() {
    let fleet = Fleet::local(&["auth-1"]);
    let named = regex::Regex::new(r"\(request [0-9a-f-]{36}\)").expect("a pattern");
    for wrong in [
        "expect = { \"$.token_type\" = \"Bearer\" }",
        "capture = { token = \"$.nowhere\", token_id = \"$.token_id\", session_id = \"$.session_id\" }",
        "status = [418]",
    ] {
        let text = std::fs::read_to_string(fleet.settings_file()).expect("settings");
        fleet.add_settings(&format!("[smoke.requests.issue]\n{wrong}\n"));
        let seen = fleet.run(&["smoke", "issue-token", "--format", "json"]);
        std::fs::write(fleet.settings_file(), text).expect("written");
        let report: Value = serde_json::from_str(&seen.stdout).expect("JSON");
        let evidence = report["checks"][0]["evidence"].to_string();
        assert!(named.is_match(&evidence), "{wrong}: {evidence}");
    }
}

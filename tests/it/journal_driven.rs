//! Runs through the real binary whose journal lies in Postgres: lost commits, a pooler, a server
//! that goes away and comes back, a driver that is stopped, and people who are database roles.

use std::path::Path;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use crate::support::cli::{Seen, dbctl, run, seen};
use crate::support::pooler::Pooler;
use crate::support::postgres::{Server, TestDb};
use crate::support::programs::{every_line_once, programs, with_a_slow_one};
use crate::support::proxy::Proxy;

/// Puts the journal of `dir` into the database of `url`.
fn journal_at(dir: &Path, url: &str) {
    let file = dir.join("dbctl.toml");
    let text = std::fs::read_to_string(&file).expect("the settings");
    let text = format!("{text}\n[journal]\ndatabase_url = \"{url}\"\n");
    std::fs::write(file, text).expect("written");
}

fn own_database() -> TestDb {
    Server::own().fresh_database()
}

fn status(dir: &Path) -> serde_json::Value {
    let seen = run(dir, &["--format", "json", "rollout", "status"]);
    serde_json::from_str(&seen.stdout).expect("JSON")
}

/// A run whose slow program has begun and not ended.
fn in_the_middle_of_a_step(dir: &Path) -> Child {
    let driver = dbctl(dir, &["rollout", "start", "--confirm", "staging"])
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the binary starts");
    let deadline = Instant::now() + Duration::from_secs(60);
    while !dir.join("begun").exists() {
        assert!(Instant::now() < deadline, "the slow program never began");
        std::thread::sleep(Duration::from_millis(10));
    }
    driver
}

fn ends(driver: Child) -> (i32, String) {
    let output = driver.wait_with_output().expect("it ends");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    (output.status.code().expect("it was not killed"), said)
}

#[test]
fn a_run_behind_a_pooler_waits_is_approved_completes_and_is_checked_elsewhere() {
    let dir = programs();
    let db = own_database();
    let pooler = Pooler::before(&db);
    journal_at(dir.path(), &pooler.url());
    let none = run(dir.path(), &["rollout", "status"]);
    assert_eq!(none.code, 3, "{}", none.stderr);
    assert!(none.stderr.contains("no run was begun"), "{}", none.stderr);

    assert_eq!(run(dir.path(), &["rollout", "start"]).code, 10);
    let approved = run(dir.path(), &["rollout", "approve", "--confirm", "staging"]);
    assert_eq!(approved.code, 0, "{}", approved.stderr);
    let resumed = run(dir.path(), &["rollout", "resume"]);
    assert_eq!(resumed.code, 0, "{}", resumed.stderr);
    every_line_once(dir.path());
    assert_eq!(status(dir.path())["status"], "completed");
    let exported = run(dir.path(), &["rollout", "log", "--export", "run.jsonl"]);
    assert_eq!(exported.code, 0, "{}", exported.stderr);
    let elsewhere = programs();
    let file = dir.path().join("run.jsonl");
    let file = file.to_str().expect("UTF-8");
    let checked = run(elsewhere.path(), &["rollout", "log", "--verify", file]);
    assert_eq!(checked.code, 0, "{}", checked.stderr);
    assert!(
        !dir.path().join(".dbctl/journal.db").exists(),
        "no second journal"
    );
}

#[test]
fn a_run_completes_once_however_many_commits_are_lost() {
    let dir = with_a_slow_one();
    let db = own_database();
    let proxy = Proxy::before(&db);
    journal_at(dir.path(), proxy.url());
    let driver = in_the_middle_of_a_step(dir.path());
    proxy.lose_every(5);
    let (code, said) = ends(driver);
    let losses = proxy.losses();
    proxy.lose_every(0);
    assert_eq!(code, 0, "{said}");
    assert!(losses > 4, "{losses} commits were lost");
    assert!(said.contains("the journal answers again"), "{said}");
    every_line_once(dir.path());
    let log = run(dir.path(), &["rollout", "log"]);
    assert_eq!(log.code, 0, "{}", log.stderr);
    assert_eq!(
        log.stdout.matches("✓ step-").count(),
        8,
        "each outcome once: {}",
        log.stdout
    );
}

#[test]
fn a_driver_rides_out_a_short_absence_of_the_journal() {
    let dir = with_a_slow_one();
    let db = own_database();
    journal_at(dir.path(), &db.url);
    let driver = in_the_middle_of_a_step(dir.path());
    db.server().stop();
    std::thread::sleep(Duration::from_secs(4));
    db.server().start();
    let (code, said) = ends(driver);
    assert_eq!(code, 0, "{said}");
    assert!(said.contains("THE JOURNAL DOES NOT ANSWER"), "{said}");
    assert!(said.contains("the journal answers again"), "{said}");
    every_line_once(dir.path());
}

#[test]
fn a_driver_whose_journal_stays_away_stops_visibly_and_nothing_happens_twice() {
    let dir = with_a_slow_one();
    let db = own_database();
    journal_at(dir.path(), &db.url);
    let driver = in_the_middle_of_a_step(dir.path());
    db.server().stop();
    let (code, said) = ends(driver);
    assert_eq!(code, 4, "{said}");
    assert!(said.contains("the journal is unreachable"), "{said}");
    assert!(
        said.contains("dbctl rollout rollback --break-glass"),
        "{said}"
    );
    let gone = run(dir.path(), &["rollout", "resume"]);
    assert_eq!(gone.code, 4, "{}", gone.stderr);
    assert!(gone.stderr.contains("--break-glass"), "{}", gone.stderr);
    let lines = std::fs::read_to_string(dir.path().join("done")).expect("the file");
    assert_eq!(
        lines, "0\n1\n2\n3\n",
        "the step under way ended, and nothing else began"
    );
    db.server().start();
    // Not to wait for it: the lease of the one that gave up.
    db.psql("UPDATE dbctl_journal.leases SET expires = clock_timestamp()");
    let resumed = run(dir.path(), &["rollout", "resume"]);
    assert_eq!(resumed.code, 0, "{}", resumed.stderr);
    every_line_once(dir.path());
}

#[cfg(unix)]
#[test]
fn a_stopped_driver_is_overtaken_behind_a_pooler_and_fenced_when_it_wakes() {
    use rustix::process::{Pid, Signal, kill_process};
    let dir = with_a_slow_one();
    let db = own_database();
    let pooler = Pooler::before(&db);
    journal_at(dir.path(), &pooler.url());
    let old = in_the_middle_of_a_step(dir.path());
    let tell = |signal| kill_process(Pid::from_child(&old), signal).expect("signalled");
    tell(Signal::STOP);
    let run_id = status(dir.path())["run"]
        .as_str()
        .expect("a run")
        .to_owned();
    let taken = run(dir.path(), &["rollout", "takeover", "--confirm", &run_id]);
    let log = run(dir.path(), &["rollout", "log"]);
    tell(Signal::CONT);
    let (code, said) = ends(old);
    assert_eq!(taken.code, 0, "{}", taken.stderr);
    assert_eq!(code, 15, "{said}");
    assert!(said.contains(&format!("FENCED run {run_id}")), "{said}");
    every_line_once(dir.path());
    let after = run(dir.path(), &["rollout", "log"]);
    assert_eq!(after.stdout, log.stdout, "the old driver wrote nothing");
}

/// The binary as one of the team: the URL of the journal names nobody, `PGUSER` does.
fn as_role(dir: &Path, role: &str, args: &[&str]) -> Seen {
    let mut command = dbctl(dir, args);
    command.env("PGUSER", role).env("USER", "somebody-else");
    seen(command)
}

#[test]
fn who_approves_is_the_authenticated_role_and_as_is_only_a_claim() {
    let dir = programs();
    let db = own_database();
    let (port, name) = (db.server().port(), &db.name);
    journal_at(
        dir.path(),
        &format!("postgres://127.0.0.1:{port}/{name}?sslmode=disable"),
    );
    db.psql("CREATE ROLE kim LOGIN; CREATE ROLE bob LOGIN");
    let stranger = as_role(dir.path(), "kim", &["rollout", "start"]);
    assert_eq!(stranger.code, 4, "{}", stranger.stderr);
    assert!(
        stranger.stderr.contains("CREATE on that database"),
        "{}",
        stranger.stderr
    );

    let begun = as_role(dir.path(), "postgres", &["rollout", "start"]);
    assert_eq!(begun.code, 10, "{}", begun.stderr);
    db.psql("SELECT dbctl_journal.admit('kim'), dbctl_journal.admit('bob')");
    let approve = ["rollout", "approve", "--confirm", "staging", "--as", "Ada"];
    let approved = as_role(dir.path(), "bob", &approve);
    assert_eq!(approved.code, 0, "{}", approved.stderr);
    let resumed = as_role(dir.path(), "kim", &["rollout", "resume"]);
    assert_eq!(resumed.code, 0, "{}", resumed.stderr);
    every_line_once(dir.path());
    let log = as_role(dir.path(), "kim", &["rollout", "log"]).stdout;
    for line in [
        "run started by postgres",
        "phase staging approved by bob (claims to be Ada)",
        "driven by kim",
    ] {
        assert!(log.contains(line), "{line}: {log}");
    }
    let roles = db.psql("SELECT string_agg(DISTINCT role, ',') FROM dbctl_journal.events");
    assert_eq!(roles, "bob,kim,postgres");
}

#[test]
fn two_people_are_two_roles_whatever_they_call_themselves() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let runbook = "# Asking\n\n## Ready?\n\nBoth.\n\n```toml step\nid = \"ready\"\nkind = \"approve\"\n\
                   approvals = 2\nphase = \"staging\"\nenv = \"staging\"\n```\n";
    std::fs::write(dir.path().join("ask.md"), runbook).expect("a runbook");
    let settings = "[runbook]\npath = \"ask.md\"\n\n[environments.staging]\n";
    std::fs::write(dir.path().join("dbctl.toml"), settings).expect("settings");
    let db = own_database();
    let (port, name) = (db.server().port(), &db.name);
    journal_at(
        dir.path(),
        &format!("postgres://127.0.0.1:{port}/{name}?sslmode=disable"),
    );
    let as_one =
        |role: &str, args: &[&str]| as_role(dir.path(), role, &[&["rollout"], args].concat());
    let begun = as_one("postgres", &["run", "--confirm", "staging"]);
    assert_eq!(begun.code, 10, "{}", begun.stderr);
    db.psql(
        "CREATE ROLE kim LOGIN; CREATE ROLE bob LOGIN;
         SELECT dbctl_journal.admit('kim'), dbctl_journal.admit('bob')",
    );
    let yes =
        |role: &str, claim: &str| as_one(role, &["approve", "--confirm", "ready", "--as", claim]);
    let first = yes("kim", "Kim");
    assert_eq!(first.code, 0, "{}", first.stderr);
    let again = yes("kim", "Bob");
    assert_eq!(again.code, 2, "{}", again.stderr);
    let second = yes("bob", "Kim");
    assert_eq!(second.code, 0, "{}", second.stderr);
    let rest = as_one("kim", &["resume"]);
    assert_eq!(rest.code, 0, "{}", rest.stderr);
}

#[test]
fn a_journal_in_the_database_that_the_run_switches_is_refused_by_whatever_name() {
    let dir = programs();
    let db = own_database();
    let pooler = Pooler::before(&db);
    let file = dir.path().join("dbctl.toml");
    let text = std::fs::read_to_string(&file).expect("the settings");
    let with = |url: &str| {
        let environment = format!("[environments.staging]\ndatabase_url = \"{url}\"\n");
        let text = text.replace("[environments.staging]\n", &environment);
        std::fs::write(&file, text).expect("written");
        journal_at(dir.path(), &db.url);
        run(dir.path(), &["rollout", "start"])
    };
    for url in [&db.url, &pooler.url()] {
        let refused = with(url);
        assert_eq!(refused.code, 3, "{}", refused.stderr);
        assert!(
            refused.stderr.contains("environment staging"),
            "{}",
            refused.stderr
        );
    }
    let made = db.psql("SELECT to_regnamespace('dbctl_journal') IS NULL");
    assert_eq!(made, "t", "nothing was made in it");
    let dry = run(dir.path(), &["rollout", "start", "--dry-run"]);
    assert_eq!(dry.code, 3, "{}", dry.stderr);
    let beside = db.server().fresh_database();
    let warned = with(&beside.url);
    assert_eq!(warned.code, 10, "{}", warned.stderr);
    assert!(warned.stderr.contains("same server"), "{}", warned.stderr);
}

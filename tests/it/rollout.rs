//! Rollouts driven through the real binary: approvals, crashes, two drivers, a rollback with
//! Postgres gone.

use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use dbctl::demo::stage::Stage;
use dbctl::demo::supervisor::Supervisor;
use dbctl::pg::Database;
use dbctl::rollout::journal::Journal;

use crate::support::cli::{Seen, dbctl, run, seen};
use crate::support::postgres::{Server, TestDb};
use crate::support::programs::{block, every_line_once, programs};

fn start(dir: &Path) -> Child {
    dbctl(dir, &["rollout", "start", "--confirm", "staging"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("the binary starts")
}

/// Events of the only run so far.
async fn events(dir: &Path) -> usize {
    let path = dir.join(".dbctl/journal.db");
    let Ok(Some(journal)) = Journal::open(&path).await else {
        return 0;
    };
    match journal.runs().await.ok().and_then(|r| r.into_iter().next()) {
        Some(row) => journal.entries(&row.run).await.map_or(0, |e| e.len()),
        None => 0,
    }
}

#[test]
fn a_run_completes_and_says_so_last() {
    let dir = programs();
    let seen = run(dir.path(), &["rollout", "start", "--confirm", "staging"]);
    assert_eq!(seen.code, 0, "{}", seen.stderr);
    every_line_once(dir.path());
    assert!(seen.stderr.contains("COMPLETED run"), "{}", seen.stderr);
    let status = run(dir.path(), &["--format", "json", "rollout", "status"]);
    let json: serde_json::Value = serde_json::from_str(&status.stdout).expect("JSON");
    assert_eq!(json["status"], "completed");
    assert_eq!(json["schema"], "dbctl.rollout.status/1");
}

#[test]
fn without_a_terminal_a_run_waits_for_an_approval_and_says_how_to_give_it() {
    let dir = programs();
    let waiting = run(dir.path(), &["rollout", "start"]);
    assert_eq!(waiting.code, 10, "{}", waiting.stderr);
    assert!(waiting.stderr.contains("dbctl rollout approve --confirm"));
    let status = run(dir.path(), &["rollout", "status"]);
    assert_eq!(status.code, 10, "{}", status.stderr);
    let again = run(dir.path(), &["rollout", "start"]);
    assert_eq!(
        again.code, 15,
        "a second run while one is open: {}",
        again.stderr
    );

    let wrong = run(
        dir.path(),
        &["rollout", "approve", "--confirm", "production"],
    );
    assert_eq!(wrong.code, 16, "{}", wrong.stderr);
    let nobody = run(dir.path(), &["rollout", "approve"]);
    assert_eq!(nobody.code, 16, "no terminal, no name: {}", nobody.stderr);
    let approved = run(dir.path(), &["rollout", "approve", "--confirm", "staging"]);
    assert_eq!(approved.code, 0, "{}", approved.stderr);
    let resumed = run(dir.path(), &["rollout", "resume"]);
    assert_eq!(resumed.code, 0, "{}", resumed.stderr);
    every_line_once(dir.path());
}

#[test]
fn nothing_switched_means_nothing_to_roll_back_and_an_abort_ends_the_run() {
    let dir = programs();
    assert_eq!(run(dir.path(), &["rollout", "start"]).code, 10);
    let back = run(dir.path(), &["rollout", "rollback"]);
    assert_eq!(back.code, 2, "{}", back.stderr);
    assert!(
        back.stderr.contains("nothing was switched"),
        "{}",
        back.stderr
    );
    let aborted = run(dir.path(), &["rollout", "abort", "--reason", "not today"]);
    assert_eq!(aborted.code, 0, "{}", aborted.stderr);
    assert_eq!(
        run(dir.path(), &["rollout", "start", "--confirm", "staging"]).code,
        0
    );
}

#[test]
fn after_kill_9_at_twenty_places_a_resume_loses_no_effect_and_repeats_none() {
    block(async {
        for position in 1..=20 {
            let dir = programs();
            let mut child = start(dir.path());
            let deadline = Instant::now() + Duration::from_secs(30);
            while events(dir.path()).await < position && Instant::now() < deadline {
                if child.try_wait().expect("a child").is_some() {
                    break;
                }
            }
            // Ends at once, in the middle of whatever it does.
            child.kill().expect("it can be killed");
            child.wait().expect("it ends");
            // The lease of the dead one lasts a few seconds more; the new driver waits for that.
            let resumed = resume_when_free(dir.path());
            assert_eq!(resumed.code, 0, "killed at {position}: {}", resumed.stderr);
            every_line_once(dir.path());
        }
    });
}

/// Resumes; while the lease of a killed driver lasts, that is refused. A test does not wait 15 s
/// for each: it lets the lease expire as the store's clock would.
fn resume_when_free(dir: &Path) -> Seen {
    let refused = run(dir, &["rollout", "resume", "--confirm", "staging"]);
    if refused.code != 15 {
        return refused;
    }
    assert!(refused.stderr.contains("drives it"), "{}", refused.stderr);
    block_in_thread(
        dir.join(".dbctl/journal.db"),
        "UPDATE leases SET expires_ms = 0",
    );
    run(dir, &["rollout", "resume", "--confirm", "staging"])
}

/// Changes the journal's file behind dbctl's back.
fn block_in_thread(path: PathBuf, sql: &'static str) {
    std::thread::spawn(move || {
        block(async {
            let options = sqlx::sqlite::SqliteConnectOptions::new().filename(path);
            let pool = sqlx::SqlitePool::connect_with(options)
                .await
                .expect("the journal opens");
            sqlx::raw_sql(sql)
                .execute(&pool)
                .await
                .expect("the statement runs");
            pool.close().await;
        });
    })
    .join()
    .expect("the thread ends");
}

#[test]
fn of_two_resumes_at_once_one_drives_and_the_other_names_it() {
    let dir = programs();
    assert_eq!(run(dir.path(), &["rollout", "start"]).code, 10);
    let resume = || {
        dbctl(dir.path(), &["rollout", "resume", "--confirm", "staging"])
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the binary starts")
    };
    let ends = |child: Child| {
        let out = child.wait_with_output().expect("it ends");
        (
            out.status.code(),
            String::from_utf8_lossy(&out.stderr).into_owned(),
        )
    };
    let (one, two) = (resume(), resume());
    let mut both = [ends(one), ends(two)];
    both.sort();
    assert_eq!(both[0].0, Some(0), "{both:?}");
    assert_eq!(both[1].0, Some(15), "{both:?}");
    assert!(both[1].1.contains("drives it"), "{}", both[1].1);
    every_line_once(dir.path());
}

#[test]
fn a_journal_that_was_edited_is_refused_and_the_event_is_named() {
    let dir = programs();
    assert_eq!(
        run(dir.path(), &["rollout", "start", "--confirm", "staging"]).code,
        0
    );
    let log = run(dir.path(), &["rollout", "log"]);
    assert!(log.stdout.contains("hash chain intact"), "{}", log.stdout);
    let head = log
        .stdout
        .lines()
        .last()
        .expect("a head")
        .trim_start_matches("journal head ")
        .to_owned();
    assert_eq!(
        run(dir.path(), &["rollout", "log", "--expect-head", &head]).code,
        0
    );
    let journal = dir.path().join(".dbctl/journal.db");
    block_in_thread(
        journal,
        "DROP TRIGGER events_are_never_changed;
         UPDATE events SET body = replace(body, 'approved', 'approvde') WHERE seq = 3;",
    );
    for command in ["log", "status", "resume"] {
        let seen = run(dir.path(), &["rollout", command]);
        assert_eq!(seen.code, 17, "{command}: {}", seen.stderr);
        assert!(
            seen.stderr.contains("event 3"),
            "{command}: {}",
            seen.stderr
        );
    }
    let other = format!("{}:{}", 2, "0".repeat(64));
    let dir = programs();
    assert_eq!(
        run(dir.path(), &["rollout", "start", "--confirm", "staging"]).code,
        0
    );
    assert_eq!(
        run(dir.path(), &["rollout", "log", "--expect-head", &other]).code,
        17
    );
}

#[cfg(unix)]
#[test]
fn on_a_terminal_the_typed_name_of_the_environment_lets_the_run_go_on() {
    use expectrl::{Expect as _, Session};
    let dir = programs();
    let pty = |args: &[&str]| {
        let mut session = Session::spawn(dbctl_on_terminal(dir.path(), args)).expect("a terminal");
        session.set_expect_timeout(Some(Duration::from_secs(20)));
        session
    };
    let mut declined = pty(&["rollout", "start"]);
    declined
        .expect("Type staging to go on")
        .expect("the question");
    declined.send_line("y").expect("typing");
    declined
        .expect("WAITING")
        .expect("a bare y changes nothing");
    drop(declined);
    let mut session = pty(&["rollout", "resume"]);
    session
        .expect("Type staging to go on")
        .expect("the question again");
    session.send_line("staging").expect("typing");
    session.expect("COMPLETED").expect("it completes");
    every_line_once(dir.path());
}

#[cfg(unix)]
fn dbctl_on_terminal(dir: &Path, args: &[&str]) -> std::process::Command {
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_dbctl"));
    command
        .args(args)
        .current_dir(dir)
        .env_remove("DATABASE_URL");
    command
}

const SWITCH: &str = "# Switch\n\n## Steps\n\nEverything at once.\n\n```toml step\nid = \"migrate\"\nkind = \"migrate\"\nphase = \"production\"\nenv = \"production\"\n```\n\n```toml step\nid = \"keys\"\nkind = \"keys\"\nphase = \"production\"\nenv = \"production\"\n```\n\n```toml step\nid = \"switch\"\nkind = \"toggles\"\nphase = \"production\"\nenv = \"production\"\nset = \"postgres\"\n```\n\n```toml step\nid = \"hold\"\nkind = \"approve\"\nphase = \"production\"\nenv = \"production\"\n```\n\n## Rollback\n\nBack.\n\n```toml step\nid = \"back\"\npart = \"rollback\"\nkind = \"toggles\"\nset = \"local\"\nrestart = false\n```\n\n```toml step\nid = \"restart\"\npart = \"rollback\"\nkind = \"restart\"\n```\n\n```toml step\nid = \"recover\"\npart = \"rollback\"\nkind = \"recover\"\ntimeout = \"20s\"\n```\n\n```toml step\nid = \"home\"\npart = \"afterwards\"\nkind = \"carry\"\n```\n";

/// Production of the demo's stage in memory/file, on a database of its own.
struct Production {
    dir: tempfile::TempDir,
    supervisor: Supervisor,
    stage: Stage,
    _database: TestDb,
}

impl Production {
    async fn new(server: &Server, runbook: &str) -> Self {
        let database = server.fresh_database();
        let dir = tempfile::tempdir().expect("a temporary folder");
        let supervisor = Supervisor::default();
        let address = supervisor.listen().await.expect("the supervisor listens");
        let stage = Stage::set(dir.path(), address).expect("a stage");
        let url = database.url.clone();
        let mut settings = std::fs::read_to_string(&stage.settings).expect("settings");
        settings = settings.replace(
            "[environments.production]\n",
            &format!("[environments.production]\ndatabase_url = \"{url}\"\n"),
        );
        settings += "\n[runbook]\npath = \"switch.md\"\n";
        std::fs::write(&stage.settings, settings).expect("settings");
        std::fs::write(dir.path().join("switch.md"), runbook).expect("a runbook");
        let pool = Database::from_url("the test", &url).expect("a URL");
        for player in stage.instances.iter().filter(|p| p.env == "production") {
            supervisor
                .start(player.clone(), pool.clone())
                .await
                .expect("it starts");
        }
        Self {
            dir,
            supervisor,
            stage,
            _database: database,
        }
    }

    fn url(&self, name: &str) -> &str {
        let mut players = self.stage.instances.iter();
        &players.find(|p| p.name == name).expect("it exists").url
    }

    async fn rollout(&self, args: &[&str]) -> Seen {
        let mut all = vec!["rollout"];
        all.extend(args);
        run_in(self.dir.path(), &all).await
    }

    /// Asserts how every instance answers to `token`.
    async fn all_say(&self, token: &str, status: u16) {
        for player in self
            .stage
            .instances
            .iter()
            .filter(|p| p.env == "production")
        {
            assert_eq!(verify(&player.url, token).await, status, "{}", player.name);
        }
    }
}

#[test]
fn a_rollback_works_with_postgres_gone_and_what_was_revoked_stays_revoked() {
    block(async {
        let server = Server::own();
        let production = Production::new(&server, SWITCH).await;
        let instance = production.url("auth-2");
        let (live, revoked_before) = there_and_back(instance).await;

        let on = production
            .rollout(&["start", "--confirm", "production"])
            .await;
        assert_eq!(on.code, 10, "it holds at the approval: {}", on.stderr);
        assert_eq!(verify(instance, &revoked_before).await, 401);
        let (_, revoked_on_postgres) = there_and_back(instance).await;
        // The kit is kept fresh while a run is driven; here a resume does that.
        let kept = production.rollout(&["resume"]).await;
        assert_eq!(kept.code, 10, "{}", kept.stderr);
        // And this is in no kit.
        let (_, revoked_last) = there_and_back(instance).await;

        server.stop();
        let back = production
            .rollout(&["rollback", "--reason", "Postgres is gone"])
            .await;
        assert_eq!(back.code, 13, "{}", back.stderr);
        assert!(back.stderr.contains("ROLLED BACK"), "{}", back.stderr);
        assert_eq!(production.rollout(&["status"]).await.code, 13);
        production.all_say(&revoked_before, 401).await;
        production.all_say(&live, 200).await;
        assert_eq!(verify(instance, &revoked_on_postgres).await, 401);

        // What Postgres alone knows comes home as soon as it answers again.
        let gone = production.rollout(&["resume"]).await;
        assert_ne!(gone.code, 0, "{}", gone.stderr);
        server.start();
        let home = production.rollout(&["resume"]).await;
        assert_eq!(home.code, 13, "{}", home.stderr);
        production.all_say(&revoked_last, 401).await;
        production.supervisor.stop().await;
    });
}

#[test]
fn what_a_switched_target_revoked_is_known_after_a_rollback_to_those_that_never_switched() {
    block(async {
        let server = Server::own();
        let canary = SWITCH.replace(
            "set = \"postgres\"",
            "set = \"postgres\"\non = [\"canary\"]",
        );
        let production = Production::new(&server, &canary).await;
        let on = production
            .rollout(&["start", "--confirm", "production"])
            .await;
        assert_eq!(on.code, 10, "it holds at the approval: {}", on.stderr);
        let (live, revoked) = there_and_back(production.url("auth-1")).await;
        let back = production.rollout(&["rollback"]).await;
        assert_eq!(back.code, 13, "{}", back.stderr);
        production.all_say(&revoked, 401).await;
        production.all_say(&live, 200).await;
        production.supervisor.stop().await;
    });
}

async fn run_in(dir: &Path, args: &[&str]) -> Seen {
    let command = dbctl(dir, args);
    tokio::task::spawn_blocking(move || seen(command))
        .await
        .expect("it ends")
}

/// Issues two tokens, revokes the second; returns (live, revoked).
async fn there_and_back(url: &str) -> (String, String) {
    let http = reqwest::Client::new();
    let issue = || async {
        let answer = http
            .post(format!("{url}/v1/tokens"))
            .json(&serde_json::json!({ "subject": "somebody" }))
            .send()
            .await
            .expect("an answer");
        let body: serde_json::Value = answer.json().await.expect("JSON");
        body["token"].as_str().expect("a token").to_owned()
    };
    let (live, revoked) = (issue().await, issue().await);
    let answer = http
        .post(format!("{url}/v1/tokens/revoke"))
        .json(&serde_json::json!({ "token": revoked }))
        .send()
        .await
        .expect("an answer");
    assert!(answer.status().is_success());
    (live, revoked)
}

async fn verify(url: &str, token: &str) -> u16 {
    let answer = reqwest::Client::new()
        .post(format!("{url}/v1/tokens/verify"))
        .json(&serde_json::json!({ "token": token }))
        .send()
        .await
        .expect("an answer");
    answer.status().as_u16()
}

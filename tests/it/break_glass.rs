//! The rollback with the journal's database, the service's database and the metrics all gone, and
//! what becomes of it when they are back. Everything is really stopped and started again.

use std::path::{Path, PathBuf};

use crate::support::cli::{Seen, dbctl, run, seen};
use crate::support::fleet::Fleet;
use crate::support::postgres::{Server, TestDb};
use crate::support::programs::{every_line_once, programs};
use crate::support::service::{Backed, id, token};

const RUNBOOK: &str = r#"# A cutover

## Switch

```toml step
id    = "switch"
kind  = "toggles"
phase = "everything"
env   = "production"
```

## Look at it

```toml step
id    = "look"
kind  = "confirm"
phase = "everything"
env   = "production"
```

## Wait a while

```toml step
id      = "slow"
kind    = "command"
phase   = "everything"
env     = "production"
run     = ["sh", "-c", "touch begun; sleep 60"]
probe   = ["false"]
timeout = "2m"
```

## Back

```toml step
id   = "back"
part = "rollback"
kind = "toggles"
```

```toml step
id      = "recover"
part    = "rollback"
kind    = "recover"
timeout = "20s"
```

## Bring it home

```toml step
id   = "home"
part = "afterwards"
kind = "carry"
```
"#;

/// Two instances that a run has switched to Postgres, with its journal on a server of its own.
struct Switched {
    fleet: Fleet,
    backed: Backed,
    journal: TestDb,
    /// Was revoked before the switch; the last one only on Postgres, and is in the kit.
    revoked: Vec<String>,
}

impl Switched {
    fn new() -> Self {
        let (fleet, backed) = Fleet::on(&["one", "two"]);
        let journal = Server::own().fresh_database();
        std::fs::write(fleet.path().join("cutover.md"), RUNBOOK).expect("a runbook");
        fleet.add_settings(&format!(
            "[runbook]\npath = \"cutover.md\"\n\n[journal]\ndatabase_url = \"{}\"\n",
            journal.url
        ));
        let mut switched = Self {
            fleet,
            backed,
            journal,
            revoked: Vec::new(),
        };
        switched.revoke_one();
        let on = switched.rollout(&["run", "--confirm", "production"]);
        assert_eq!(on.code, 10, "{}", on.stderr);
        assert_eq!(switched.modes(), ["postgres", "postgres"]);
        switched.revoke_one();
        // Whoever drives keeps the kit fresh.
        let kept = switched.rollout(&["run"]);
        assert_eq!(kept.code, 10, "{}", kept.stderr);
        switched
    }

    fn revoke_one(&mut self) {
        let revoked = self.fleet.with("one", |i| {
            let issued = i.issue("somebody");
            i.revoke_token(id(&issued, "token_id"));
            token(&issued).to_owned()
        });
        self.revoked.push(revoked);
    }

    fn rollout(&self, args: &[&str]) -> Seen {
        self.fleet.run(&[&["rollout"], args].concat())
    }

    fn everything_stops(&self) {
        self.journal.server().stop();
        self.backed.db.server().stop();
    }

    /// What each instance says that revocations are kept in.
    fn modes(&self) -> Vec<String> {
        self.fleet.each(|i| {
            let health = i.get("/healthz").body;
            let mode = &health["modes"]["SECURITY_REVOCATION_MODE"];
            mode.as_str()
                .unwrap_or_else(|| panic!("{health}"))
                .to_owned()
        })
    }

    fn is_back_and_nothing_revoked_lives(&self) {
        assert_eq!(self.modes(), ["memory", "memory"]);
        for token in &self.revoked {
            for (status, said) in self.fleet.each(|i| i.verify(token)) {
                assert_eq!(status, 401, "{said}");
            }
        }
        for (status, said) in self.fleet.each(|i| {
            let issued = i.issue("somebody");
            i.verify(token(&issued))
        }) {
            assert_eq!(status, 200, "{said}");
        }
    }

    fn spooled(&self) -> String {
        self.journal
            .psql("SELECT count(*) FROM dbctl_journal.events WHERE spooled")
    }

    /// The same settings and kit on another machine, which drove nothing.
    fn another_machine(&self) -> tempfile::TempDir {
        let other = tempfile::tempdir().expect("a folder");
        copy(self.fleet.path(), other.path(), &|path| {
            !path.starts_with(".dbctl/mirror")
        });
        let text = std::fs::read_to_string(self.fleet.settings_file()).expect("the settings");
        // The targets are the same ones.
        let here = self.fleet.path().display().to_string();
        let text = ["one", "two"].iter().fold(text, |text, name| {
            text.replace(&format!("\"{name}/"), &format!("\"{here}/{name}/"))
        });
        std::fs::write(other.path().join("dbctl.toml"), text).expect("written");
        other
    }
}

fn copy(from: &Path, to: &Path, wanted: &dyn Fn(&Path) -> bool) {
    let mut folders = vec![PathBuf::new()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(from.join(&folder)).expect("a folder") {
            let entry = entry.expect("an entry");
            let path = folder.join(entry.file_name());
            let kind = entry.file_type().expect("a kind");
            if !wanted(&path) {
            } else if kind.is_dir() {
                std::fs::create_dir_all(to.join(&path)).expect("made");
                folders.push(path);
            } else if kind.is_file() {
                std::fs::copy(from.join(&path), to.join(&path)).expect("copied");
            }
        }
    }
}

#[test]
fn with_everything_gone_the_glass_is_broken_and_the_journal_knows_it_afterwards() {
    let switched = Switched::new();
    switched.everything_stops();
    let without = switched.rollout(&["rollback"]);
    assert_eq!(without.code, 4, "{}", without.stderr);
    assert!(
        without.stderr.contains("rollout rollback --break-glass"),
        "{}",
        without.stderr
    );
    assert_eq!(switched.modes(), ["postgres", "postgres"]);
    let known = switched.rollout(&["status"]);
    assert_eq!(known.code, 10, "what this machine knows: {}", known.stderr);
    assert!(
        known.stderr.contains("what this machine knows"),
        "{}",
        known.stderr
    );

    let back = switched.rollout(&[
        "rollback",
        "--break-glass",
        "--reason",
        "INC-7",
        "--as",
        "Kim",
    ]);
    assert_eq!(back.code, 13, "{}", back.stderr);
    for said in ["BREAK GLASS", "ROLLED BACK", "dbctl rollout merge"] {
        assert!(back.stderr.contains(said), "{said}: {}", back.stderr);
    }
    switched.is_back_and_nothing_revoked_lives();

    switched.journal.server().start();
    let waits = switched.rollout(&["status"]);
    assert_eq!(waits.code, 10, "the journal does not know it yet");
    assert!(
        waits.stderr.contains("dbctl rollout merge"),
        "{}",
        waits.stderr
    );
    for command in [&["resume"][..], &["run"], &["approve", "--confirm", "look"]] {
        let refused = switched.rollout(command);
        assert_eq!(refused.code, 16, "{command:?}: {}", refused.stderr);
        assert!(
            refused.stderr.contains("dbctl rollout merge"),
            "{command:?}: {}",
            refused.stderr
        );
    }
    assert_eq!(switched.spooled(), "0");
    let merged = switched.rollout(&["merge"]);
    assert_eq!(merged.code, 0, "{}", merged.stderr);
    assert_ne!(switched.spooled(), "0");
    let status = switched.rollout(&["status"]);
    assert_eq!(status.code, 13, "{}", status.stderr);
    assert!(!status.stderr.contains("merge"), "{}", status.stderr);
    let log = switched.rollout(&["log"]).stdout;
    for line in [
        "(break-glass)",
        "INC-7",
        "(claims to be Kim)",
        "chain intact",
    ] {
        assert!(log.contains(line), "{line}: {log}");
    }
    let again = switched.rollout(&["merge"]);
    assert_eq!(again.code, 0, "{}", again.stderr);
    assert!(
        again.stderr.contains("nothing was done"),
        "{}",
        again.stderr
    );

    switched.backed.db.server().start();
    let home = switched.rollout(&["resume"]);
    assert_eq!(home.code, 13, "{}", home.stderr);
    switched.is_back_and_nothing_revoked_lives();
}

#[test]
fn a_mirror_that_is_behind_still_reaches_targets_that_a_later_driver_took() {
    let switched = Switched::new();
    let other = switched.another_machine();
    // It drives twice: the targets know tokens that the mirror here does not.
    for _ in 0..2 {
        let driven = run(other.path(), &["rollout", "run"]);
        assert_eq!(driven.code, 10, "{}", driven.stderr);
    }
    switched.everything_stops();
    let back = switched.rollout(&["rollback", "--break-glass"]);
    assert_eq!(back.code, 13, "{}", back.stderr);
    switched.is_back_and_nothing_revoked_lives();
    switched.journal.server().start();
    let merged = switched.rollout(&["merge"]);
    assert_eq!(merged.code, 0, "{}", merged.stderr);
    assert!(
        merged.stderr.contains("nothing in it was changed"),
        "the other machine drove meanwhile: {}",
        merged.stderr
    );
}

#[test]
fn a_journal_that_went_another_way_is_not_overwritten_and_names_the_file() {
    let switched = Switched::new();
    switched.everything_stops();
    // Broken twice: the second one finds everything done.
    assert_eq!(switched.rollout(&["rollback", "--break-glass"]).code, 13);
    let twice = switched.rollout(&["rollback", "--break-glass"]);
    assert_eq!(twice.code, 2, "{}", twice.stderr);
    switched.journal.server().start();
    let other = switched.another_machine();
    let noted = run(other.path(), &["rollout", "note", "what is going on?"]);
    assert_eq!(noted.code, 0, "{}", noted.stderr);

    let merged = switched.rollout(&["merge"]);
    assert_eq!(merged.code, 0, "{}", merged.stderr);
    assert!(
        merged.stderr.contains("nothing in it was changed"),
        "{}",
        merged.stderr
    );
    assert_eq!(switched.spooled(), "0");
    let log = switched.rollout(&["log"]).stdout;
    assert!(log.contains("what is going on?"), "{log}");
    assert!(log.contains("went another way"), "{log}");
    let mirrors = switched.fleet.path().join(".dbctl/mirror");
    let exported = std::fs::read_dir(mirrors)
        .expect("the folder")
        .map(|entry| entry.expect("an entry").path())
        .find(|path| path.extension().is_some_and(|e| e == "jsonl"))
        .expect("an exported file");
    let file = exported.to_str().expect("UTF-8");
    let verified = switched.rollout(&["log", "--verify", file]);
    assert_eq!(verified.code, 0, "{}", verified.stderr);
    // The journal still believes that all is switched; nobody is held up by the spool.
    let back = switched.rollout(&["rollback"]);
    assert_eq!(back.code, 13, "{}", back.stderr);
    switched.is_back_and_nothing_revoked_lives();
}

#[test]
fn an_operator_whose_machine_drove_nothing_sets_an_environment_back_from_the_kit() {
    let switched = Switched::new();
    let other = switched.another_machine();
    switched.everything_stops();
    let args = ["rollout", "rollback", "--break-glass"];
    let which = run(other.path(), &args);
    assert_eq!(which.code, 2, "{}", which.stderr);
    assert!(
        which
            .stderr
            .contains("--env NAME rollout rollback --break-glass"),
        "{}",
        which.stderr
    );
    assert_eq!(switched.modes(), ["postgres", "postgres"]);
    let back = run(
        other.path(),
        &[&["--env", "production"], &args[..]].concat(),
    );
    assert_eq!(back.code, 13, "{}", back.stderr);
    assert!(
        back.stderr.contains("SET BACK production"),
        "{}",
        back.stderr
    );
    switched.is_back_and_nothing_revoked_lives();
    let again = run(
        other.path(),
        &[&["--env", "production"], &args[..]].concat(),
    );
    assert_eq!(again.code, 13, "it may be repeated: {}", again.stderr);

    switched.journal.server().start();
    let merged = run(other.path(), &["rollout", "merge"]);
    assert_eq!(merged.code, 0, "{}", merged.stderr);
    let log = run(other.path(), &["--format", "json", "rollout", "log"]).stdout;
    assert!(
        log.contains("production was set back to memory/file without the journal"),
        "{log}"
    );
}

#[test]
fn a_kit_that_is_not_what_the_journal_recorded_is_refused_until_a_person_accepts_it() {
    let mut switched = Switched::new();
    let log = switched.rollout(&["--format", "json", "log"]).stdout;
    assert!(log.contains("kit-refreshed"), "{log}");
    let status = switched.fleet.run(&["carry", "status"]);
    assert!(
        status.stdout.contains("as the journal recorded it"),
        "{} {}",
        status.stdout,
        status.stderr
    );
    let kit = switched.fleet.path().join(".dbctl/kit/production/kit.json");
    let copy = std::fs::read(&kit).expect("a kit");
    switched.revoke_one();
    assert_eq!(switched.rollout(&["run"]).code, 10);
    std::fs::write(&kit, copy).expect("an old copy is put back");
    switched.everything_stops();

    let back = switched.rollout(&["rollback", "--break-glass"]);
    assert_eq!(back.code, 14, "{}", back.stderr);
    assert!(back.stderr.contains("an old copy"), "{}", back.stderr);
    assert!(back.stderr.contains("carry accept"), "{}", back.stderr);
    assert_eq!(switched.modes(), ["postgres", "postgres"], "nothing moved");
    let accept = ["--env", "production", "carry", "accept"];
    let unasked = switched.fleet.run(&accept);
    assert_eq!(unasked.code, 16, "{}", unasked.stderr);
    let accepted = switched
        .fleet
        .run(&[&accept[..], &["--confirm", "production"]].concat());
    assert_eq!(accepted.code, 0, "{}", accepted.stderr);
    let back = switched.rollout(&["rollback", "--break-glass"]);
    assert_eq!(back.code, 13, "{}", back.stderr);
    assert!(back.stderr.contains("accepted by"), "{}", back.stderr);
    // What was revoked after the copy is what the person took upon themselves.
    switched.revoked.pop();
    switched.is_back_and_nothing_revoked_lives();
}

#[test]
fn a_damaged_local_journal_leaves_the_way_by_the_kit() {
    let (fleet, _backed) = Fleet::on(&["one", "two"]);
    std::fs::write(fleet.path().join("cutover.md"), RUNBOOK).expect("a runbook");
    fleet.add_settings("[runbook]\npath = \"cutover.md\"\n");
    let on = fleet.run(&["rollout", "run", "--confirm", "production"]);
    assert_eq!(on.code, 10, "{}", on.stderr);
    let journal = fleet.path().join(".dbctl/journal.db");
    for extra in ["-wal", "-shm"] {
        let _ = std::fs::remove_file(format!("{}{extra}", journal.display()));
    }
    std::fs::write(&journal, "this is no journal").expect("written");
    let back = fleet.run(&["rollout", "rollback"]);
    assert_ne!(back.code, 13, "{}", back.stderr);
    assert!(back.stderr.contains("--break-glass"), "{}", back.stderr);
    let args = [
        "--env",
        "production",
        "rollout",
        "rollback",
        "--break-glass",
    ];
    let back = fleet.run(&args);
    assert_eq!(back.code, 13, "{}", back.stderr);
    assert!(
        back.stderr.contains("SET BACK production"),
        "{}",
        back.stderr
    );
}

#[test]
fn a_driver_that_loses_its_journal_behind_a_switch_says_that_nobody_watches() {
    let switched = Switched::new();
    let approved = switched.rollout(&["approve", "--confirm", "look"]);
    assert_eq!(approved.code, 0, "{}", approved.stderr);
    let driver = dbctl(switched.fleet.path(), &["rollout", "run"])
        .stderr(std::process::Stdio::piped())
        .stdout(std::process::Stdio::null())
        .spawn()
        .expect("the binary starts");
    let begun = switched.fleet.path().join("begun");
    crate::support::service::eventually("the slow step begins", || begun.exists());
    switched.journal.server().stop();
    let ended = driver.wait_with_output().expect("it ends");
    let said = String::from_utf8_lossy(&ended.stderr);
    assert_eq!(ended.status.code(), Some(4), "{said}");
    for words in [
        "no trigger can act meanwhile",
        "the journal is unreachable",
        "NOBODY WATCHES",
        "rollback --break-glass",
    ] {
        assert!(said.contains(words), "{words}: {said}");
    }
    assert_eq!(switched.modes(), ["postgres", "postgres"]);
    let back = switched.rollout(&["rollback", "--break-glass"]);
    assert_eq!(back.code, 13, "{}", back.stderr);
    switched.is_back_and_nothing_revoked_lives();
}

#[test]
fn where_the_journal_answers_no_glass_is_broken() {
    let switched = Switched::new();
    switched.backed.db.server().stop();
    let back = switched.rollout(&["rollback", "--break-glass"]);
    assert_eq!(back.code, 13, "{}", back.stderr);
    assert!(!back.stderr.contains("BREAK GLASS"), "{}", back.stderr);
    assert!(
        back.stderr.contains("the journal answers"),
        "{}",
        back.stderr
    );
    assert_eq!(switched.rollout(&["status"]).code, 13);
    switched.is_back_and_nothing_revoked_lives();
}

#[test]
fn a_journal_that_lost_its_end_is_not_driven_on_and_is_rolled_back_all_the_same() {
    let switched = Switched::new();
    switched.journal.psql(
        "SET session_replication_role = replica;
         DELETE FROM dbctl_journal.events WHERE seq > (SELECT max(seq) - 2 FROM dbctl_journal.events)",
    );
    let refused = switched.rollout(&["resume"]);
    assert_eq!(refused.code, 17, "{}", refused.stderr);
    assert!(refused.stderr.contains("lost"), "{}", refused.stderr);
    let back = switched.rollout(&["rollback"]);
    assert_eq!(back.code, 13, "{}", back.stderr);
    switched.is_back_and_nothing_revoked_lives();
}

#[test]
fn a_mirror_that_cannot_be_written_is_said_and_holds_nobody_up() {
    let dir = programs();
    let journal = Server::own().fresh_database();
    let file = dir.path().join("dbctl.toml");
    let text = std::fs::read_to_string(&file).expect("the settings");
    let text = format!("{text}\n[journal]\ndatabase_url = \"{}\"\n", journal.url);
    std::fs::write(file, text).expect("written");
    std::fs::create_dir(dir.path().join(".dbctl")).expect("made");
    std::fs::write(dir.path().join(".dbctl/mirror"), "").expect("a file in its place");
    let done = seen(dbctl(
        dir.path(),
        &["rollout", "start", "--confirm", "staging"],
    ));
    assert_eq!(done.code, 0, "{}", done.stderr);
    assert!(
        done.stderr.contains("THE LOCAL MIRROR IS BEHIND"),
        "{}",
        done.stderr
    );
    every_line_once(dir.path());
}

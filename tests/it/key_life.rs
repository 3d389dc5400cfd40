//! The life of a signing key through the commands: when a step is refused and what is said then,
//! who is locked out by an emergency, and that a rotation is continued and never doubled.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use serde_json::Value;

use crate::support::cli::{Seen, dbctl, run};
use crate::support::postgres::{Server, TestDb};
use crate::support::proxy::{Lost, Proxy};

/// A migrated database, a key-encryption key, and settings with the waits of a real service.
pub struct Scene {
    dir: tempfile::TempDir,
    pub db: TestDb,
}

impl Scene {
    pub fn new() -> Self {
        let dir = tempfile::tempdir().expect("a folder");
        let db = Server::get().fresh_database();
        db.migrate_by_hand();
        let seen = run(dir.path(), &["keys", "new-kek", "kek.b64"]);
        assert_eq!(seen.code, 0, "{}", seen.stderr);
        let scene = Self { dir, db };
        scene.settings("20m", "1h", "15m");
        scene
    }

    pub fn settings(&self, cache: &str, lifetime: &str, skew: &str) {
        let text = format!(
            "[keys]\nkey_id = \"k\"\nverifier_cache = \"{cache}\"\ntoken_lifetime = \"{lifetime}\"\n\
             clock_skew = \"{skew}\"\n[environments.test]\nkek_file = \"kek.b64\"\n"
        );
        std::fs::write(self.path().join("dbctl.toml"), text).expect("written");
    }

    pub fn path(&self) -> &Path {
        self.dir.path()
    }

    /// `dbctl keys …` on this database.
    pub fn keys(&self, args: &[&str]) -> Seen {
        run(self.path(), &self.args(&self.db.url, args))
    }

    fn args<'a>(&self, url: &'a str, args: &[&'a str]) -> Vec<&'a str> {
        let mut all = vec!["--database-url", url, "--env", "test", "keys"];
        all.extend(args);
        all
    }

    pub fn ok(&self, args: &[&str]) -> String {
        let seen = self.keys(args);
        assert_eq!(seen.code, 0, "{args:?}: {}\n{}", seen.stdout, seen.stderr);
        seen.stdout
    }

    pub fn json(&self, args: &[&str]) -> Value {
        let args = [args, &["--format", "json"]].concat();
        serde_json::from_str(&self.ok(&args)).expect("JSON")
    }

    /// What a refused command says: code 5 is "not now", 16 "not confirmed".
    fn refused(&self, code: i32, args: &[&str], parts: &[&str]) {
        let before = self.rows();
        let seen = self.keys(args);
        assert_eq!(seen.code, code, "{args:?}: {}", seen.stderr);
        for part in parts {
            assert!(
                seen.stderr.contains(part),
                "no `{part}` in: {}",
                seen.stderr
            );
        }
        assert_eq!(seen.stdout, "");
        assert_eq!(self.rows(), before, "a refusal changes nothing");
    }

    fn rows(&self) -> String {
        let rows = "SELECT key_id, version, state, stopped_signing_at, state_changed_at \
                    FROM security.signing_key_versions ORDER BY 1, 2";
        self.db.psql(rows)
    }

    /// States by version, such as `1 retiring, 2 current`.
    pub fn states(&self, key_id: &str) -> String {
        self.db.psql(&format!(
            "SELECT string_agg(version || ' ' || state, ', ' ORDER BY version) \
             FROM security.signing_key_versions WHERE key_id = '{key_id}'"
        ))
    }

    /// Lets `time` pass for everything that was written about a key.
    fn pass(&self, key_id: &str, time: &str) {
        self.db.psql(&format!(
            "ALTER TABLE security.signing_key_versions DISABLE TRIGGER keeps_times; \
             UPDATE security.signing_key_versions SET \
                published_at = published_at - interval '{time}', \
                valid_from = valid_from - interval '{time}', \
                valid_until = valid_until - interval '{time}', \
                stopped_signing_at = stopped_signing_at - interval '{time}', \
                state_changed_at = state_changed_at - interval '{time}' \
             WHERE key_id = '{key_id}'; \
             ALTER TABLE security.signing_key_versions ENABLE TRIGGER keeps_times;"
        ));
    }

    fn events(&self) -> Vec<String> {
        let events = "SELECT kind || ' ' || (detail->>'version') FROM security.events \
                      ORDER BY created_at, kind DESC";
        self.db.psql(events).lines().map(str::to_owned).collect()
    }
}

#[test]
fn a_rotation_goes_step_by_step_and_says_what_comes_next_and_when() {
    let scene = Scene::new();
    scene.ok(&["seed"]);
    let first = scene.ok(&["rotate"]);
    assert!(first.contains("version 2 is standby: published"), "{first}");
    assert!(first.contains("(in 20m)"), "{first}");
    assert!(first.contains("promotes version 2"), "{first}");
    let again = scene.ok(&["rotate"]);
    assert!(again.contains("Nothing to do before then."), "{again}");
    assert_eq!(scene.states("k"), "1 current, 2 standby");

    scene.pass("k", "19 minutes 50 seconds");
    assert_eq!(scene.json(&["rotate"])["next"]["step"], "wait");
    scene.pass("k", "10 seconds");
    let second = scene.ok(&["rotate"]);
    assert!(
        second.contains("version 2 is current: it signs"),
        "{second}"
    );
    assert!(second.contains("version 1 is retiring"), "{second}");
    assert!(second.contains("(in 1h 15m)"), "{second}");
    assert_eq!(scene.states("k"), "1 retiring, 2 current");

    scene.pass("k", "1 hour 14 minutes 50 seconds");
    assert_eq!(scene.json(&["rotate"])["did"], serde_json::json!([]));
    scene.pass("k", "10 seconds");
    let third = scene.ok(&["rotate"]);
    assert!(third.contains("version 1 is retired"), "{third}");
    assert!(third.contains("The rotation is complete."), "{third}");
    assert_eq!(scene.states("k"), "1 retired, 2 current");

    // Whoever calls again because the last answer was lost does not rotate twice.
    let rest = scene.ok(&["rotate"]);
    assert!(rest.contains("Nothing to rotate"), "{rest}");
    assert!(rest.contains("--again-after"), "{rest}");
    assert_eq!(scene.states("k"), "1 retired, 2 current");
    scene.pass("k", "1 day");
    assert_eq!(scene.json(&["rotate"])["did"][0]["act"], "made");
    assert_eq!(scene.states("k"), "1 retired, 2 current, 3 standby");
    assert_eq!(
        scene.events(),
        [
            "key.current 1",
            "key.standby 2",
            "key.published 2",
            "key.retiring 1",
            "key.current 2",
            "key.retired 1",
            "key.standby 3",
            "key.published 3"
        ]
    );
    let told = "SELECT bool_and(subject_id = 'k' AND instance = 'dbctl' AND detail ? 'who' \
                AND detail->>'role' = 'postgres' AND kid IS NOT NULL) FROM security.events";
    assert_eq!(scene.db.psql(told), "t");
}

#[test]
fn the_list_shows_since_when_and_what_each_version_waits_for() {
    let scene = Scene::new();
    scene.ok(&["seed"]);
    scene.ok(&["rotate"]);
    let list = scene.json(&["list"]);
    let versions = list["versions"].as_array().expect("versions");
    assert_eq!(versions[0]["waiting"]["for"], "promotion");
    assert_eq!(versions[1]["waiting"]["for"], "nothing");
    assert!(versions[0]["state_changed_at"].is_string());
    let text = scene.ok(&["list"]);
    assert!(text.contains("k version 2 may sign from"), "{text}");
    assert!(text.contains("in 19m") || text.contains("in 20m"), "{text}");
    assert!(text.lines().all(|l| l.chars().count() <= 80), "{text}");
    scene.pass("k", "20 minutes");
    let text = scene.ok(&["list"]);
    assert!(
        text.contains("may sign now: dbctl keys promote 2"),
        "{text}"
    );
}

#[test]
fn a_step_that_would_open_a_gap_is_refused_with_the_moment_from_which_it_works() {
    let scene = Scene::new();
    scene.ok(&["seed"]);
    scene.ok(&["rotate"]);
    let from = scene.json(&["list"])["versions"][0]["waiting"]["from"].clone();
    let from = from.as_str().expect("a time").replace('T', " ");
    scene.refused(
        5,
        &["promote", "2"],
        &["not published for long enough", &from[..19], "--emergency"],
    );
    scene.refused(5, &["retire", "1"], &["it signs", "dbctl keys rotate"]);
    scene.refused(5, &["retire", "2"], &["is standby"]);
    scene.refused(
        5,
        &["promote", "7"],
        &["has no version 7", "dbctl keys list"],
    );
    scene.refused(5, &["promote", "nobody"], &["has no kid nobody"]);
    scene.refused(3, &["promote", "2", "--key-id", "other"], &["no such key"]);
    scene.refused(2, &["promote", "0"], &["count from 1"]);
    scene.pass("k", "20 minutes");
    let kid = scene.json(&["list"])["versions"][0]["kid"].clone();
    scene.ok(&["promote", kid.as_str().expect("a kid")]);
    let again = scene.ok(&["promote", "2"]);
    assert!(again.contains("Nothing was changed"), "{again}");
    scene.refused(
        5,
        &["retire", "1"],
        &["stopped signing at", "1h", "15m", "--emergency"],
    );
    scene.refused(
        5,
        &["promote", "1"],
        &["never goes back", "dbctl keys rotate"],
    );
    // Shorter settings do not take back what was promised to the holders of tokens.
    scene.settings("20m", "1m", "1m");
    scene.pass("k", "10 minutes");
    scene.refused(5, &["retire", "1"], &["may be valid until"]);
    scene.pass("k", "65 minutes");
    scene.ok(&["retire", "1"]);
    assert_eq!(scene.states("k"), "1 retired, 2 current");
}

#[test]
fn an_emergency_says_who_is_locked_out_and_wants_the_name_of_the_key() {
    let scene = Scene::new();
    scene.ok(&["seed"]);
    scene.ok(&["rotate"]);
    let early = ["promote", "2", "--emergency"];
    scene.refused(16, &early, &["Locked out: verifiers", "--confirm k"]);
    scene.refused(
        16,
        &[&early[..], &["--confirm", "yes"]].concat(),
        &["`yes`", "`k`"],
    );
    let seen = scene.keys(&[&early[..], &["--confirm", "k"]].concat());
    assert_eq!(seen.code, 0, "{}", seen.stderr);
    assert!(
        seen.stderr.contains("older than version 2"),
        "{}",
        seen.stderr
    );
    assert_eq!(scene.states("k"), "1 retiring, 2 current");
    let early = ["retire", "1", "--emergency"];
    scene.refused(16, &early, &["a token that version 1 signed", "UTC"]);
    scene.ok(&[&early[..], &["--confirm", "k"]].concat());
    assert_eq!(scene.states("k"), "1 retired, 2 current");
    let noted = "SELECT count(*) FROM security.events WHERE (detail->>'emergency')::boolean";
    assert_eq!(scene.db.psql(noted), "3");

    // The whole way at once.
    let all = ["rotate", "--emergency", "--again-after", "1ms"];
    scene.refused(16, &all, &["older than version 3"]);
    let seen = scene.keys(&[&all[..], &["--confirm", "k"]].concat());
    assert_eq!(seen.code, 0, "{}", seen.stderr);
    assert_eq!(scene.states("k"), "1 retired, 2 retiring, 3 current");
    assert!(seen.stdout.contains("retires version 2"), "{}", seen.stdout);
    // And once more by a second person who did not see that it was done: nothing.
    let again = ["rotate", "--emergency", "--confirm", "k"];
    assert!(scene.ok(&again).contains("Nothing to rotate"));
}

#[test]
fn a_revocation_of_the_current_version_needs_a_successor_in_the_same_moment() {
    let scene = Scene::new();
    scene.ok(&["seed"]);
    let revoke = ["revoke", "1", "--reason", "leaked"];
    scene.refused(2, &["revoke", "1"], &["--reason"]);
    scene.refused(5, &revoke, &["no standby", "dbctl keys rotate --emergency"]);
    scene.ok(&["rotate"]);
    scene.refused(5, &revoke, &["its successor is not ready", "--emergency"]);
    let early = [&revoke[..], &["--emergency"]].concat();
    scene.refused(
        16,
        &early,
        &["a token that version 1 signed", "older than version 2"],
    );
    scene.pass("k", "20 minutes");
    scene.refused(16, &revoke, &["a token that version 1 signed"]);
    let done = scene.ok(&[&revoke[..], &["--confirm", "k"]].concat());
    assert!(done.contains("version 1 is revoked"), "{done}");
    assert!(done.contains("version 2 is current"), "{done}");
    assert_eq!(scene.states("k"), "1 revoked, 2 current");
    assert!(scene.ok(&revoke).contains("Nothing was changed"));
    let why = "SELECT detail->>'reason' FROM security.events WHERE kind = 'key.revoked'";
    assert_eq!(scene.db.psql(why), "leaked");
    // Nobody holds a token of a standby: no name is asked for, and no key-encryption key.
    scene.ok(&["rotate"]);
    std::fs::remove_file(scene.path().join("kek.b64")).expect("removed");
    scene.ok(&["revoke", "3", "--reason", "never used"]);
    assert_eq!(scene.states("k"), "1 revoked, 2 current, 3 revoked");
}

#[test]
fn a_version_that_nobody_could_sign_with_is_not_promoted() {
    let scene = Scene::new();
    scene.ok(&["seed"]);
    scene.ok(&["rotate"]);
    scene.pass("k", "20 minutes");
    let other = run(scene.path(), &["keys", "new-kek", "other.b64"]);
    assert_eq!(other.code, 0, "{}", other.stderr);
    for step in [&["promote", "2"][..], &["rotate"]] {
        let args = [step, &["--kek-file", "other.b64"]].concat();
        scene.refused(3, &args, &["sealed with"]);
    }
    scene.db.psql(
        "UPDATE security.signing_key_versions \
         SET sealed_private_key = set_bit(sealed_private_key, 7, 1 - get_bit(sealed_private_key, 7)) \
         WHERE version = 2",
    );
    scene.refused(3, &["rotate"], &["were changed or belong to another row"]);
    assert_eq!(scene.states("k"), "1 current, 2 standby");
}

#[test]
fn a_key_that_signs_elsewhere_is_retired_once_somebody_says_when_that_ended() {
    let scene = Scene::new();
    let elsewhere = dbctl::keys::SigningKey::generate(dbctl::keys::Algorithm::EdDsa);
    let elsewhere = elsewhere.expect("a key");
    let set = dbctl::keys::jwks([elsewhere.public()]);
    std::fs::write(scene.path().join("jwks.json"), set.to_string()).expect("written");
    scene.ok(&["seed", "--trust", "jwks.json"]);
    assert_eq!(scene.states("k"), "1 current, 2 retiring");
    scene.refused(
        5,
        &["retire", "2"],
        &["signs elsewhere", "--stopped-signing"],
    );
    // No rotation touches it: it may sign again after a rollback.
    scene.pass("k", "30 days");
    scene.ok(&["rotate"]);
    assert_eq!(scene.states("k"), "1 current, 2 retiring, 3 standby");
    let ahead = ["retire", "2", "--stopped-signing", "2999-01-01T00:00:00Z"];
    scene.refused(5, &ahead, &["has not come yet"]);
    let signs = ["retire", "1", "--stopped-signing", "2026-01-01T00:00:00Z"];
    scene.refused(5, &signs, &["is known here"]);
    let now = jiff::Timestamp::now().to_string();
    let seen = scene.keys(&["retire", "2", "--stopped-signing", &now]);
    assert_eq!(seen.code, 5, "{}", seen.stderr);
    assert!(
        seen.stderr.contains("may be valid until"),
        "{}",
        seen.stderr
    );
    scene.pass("k", "75 minutes");
    scene.ok(&["retire", "2"]);
    assert!(scene.states("k").contains("2 retired"));
}

/// Runs `rotate` as so many processes at once.
fn at_once(scene: &Scene, count: usize) -> Vec<Value> {
    let args = scene.args(&scene.db.url, &["rotate", "--format", "json"]);
    let all: Vec<_> = (0..count)
        .map(|_| {
            let mut command = dbctl(scene.path(), &args);
            command.stdout(Stdio::piped()).stderr(Stdio::piped());
            command.spawn().expect("the binary starts")
        })
        .collect();
    all.into_iter()
        .map(|one| {
            let output = one.wait_with_output().expect("it ends");
            let error = String::from_utf8_lossy(&output.stderr).into_owned();
            assert!(output.status.success(), "{error}");
            serde_json::from_slice(&output.stdout).expect("JSON")
        })
        .collect()
}

#[test]
fn many_who_rotate_at_once_rotate_once() {
    let scene = Scene::new();
    scene.ok(&["seed"]);
    for (passed, states) in [
        ("1 second", "1 current, 2 standby"),
        ("20 minutes", "1 retiring, 2 current"),
        ("75 minutes", "1 retired, 2 current"),
    ] {
        scene.pass("k", passed);
        let answers = at_once(&scene, 6);
        assert_eq!(scene.states("k"), states, "{answers:?}");
        let acts = |verb: &str| -> usize {
            let of = |a: &Value| {
                let did = a["did"].as_array().expect("a list").clone();
                did.iter().filter(|act| act["act"] == verb).count()
            };
            answers.iter().map(of).sum()
        };
        // Whoever did it says so, and nobody else.
        let done = ["made", "promoted", "retired"].map(acts);
        assert_eq!(done.iter().sum::<usize>(), 1, "{answers:?}");
    }
}

#[test]
fn a_rotation_whose_connection_is_cut_around_any_commit_is_continued_by_the_next_call() {
    let scene = Scene::new();
    let mut losses = 0;
    for (stage, passed) in [
        ("make", &[][..]),
        ("promote", &["20 minutes"]),
        ("retire", &["20 minutes", "75 minutes"]),
    ] {
        for what in [Lost::Commit, Lost::Reply] {
            for nth in 2..=5 {
                let key = format!("{stage}-{what:?}-{nth}");
                let with = |args: &[&str]| scene.ok(&[args, &["--key-id", &key]].concat());
                with(&["seed"]);
                for time in passed {
                    with(&["rotate"]);
                    scene.pass(&key, time);
                }
                let proxy = Proxy::before(&scene.db);
                proxy.lose(what);
                proxy.lose_every(nth);
                let args = scene.args(proxy.url(), &["rotate", "--key-id", &key]);
                let cut = run(scene.path(), &args);
                losses += proxy.losses();
                assert!([0, 1, 4].contains(&cut.code), "{}", cut.stderr);
                with(&["rotate"]);
                let expected = match stage {
                    "make" => "1 current, 2 standby",
                    "promote" => "1 retiring, 2 current",
                    _ => "1 retired, 2 current",
                };
                assert_eq!(scene.states(&key), expected, "{key}: {}", cut.stderr);
            }
        }
    }
    assert!(losses > 18, "the proxy was in the way: {losses}");
}

#[test]
fn a_rotation_that_is_killed_while_it_commits_is_continued_by_the_next_call() {
    let scene = Scene::new();
    for (key, passed, expected) in [
        ("make", &[][..], "1 current, 2 standby"),
        ("promote", &["20 minutes"], "1 retiring, 2 current"),
    ] {
        let with = |args: &[&str]| scene.ok(&[args, &["--key-id", key]].concat());
        with(&["seed"]);
        for time in passed {
            with(&["rotate"]);
            scene.pass(key, time);
        }
        let proxy = Proxy::before(&scene.db);
        // What writes commits last; the reading before it is not held.
        let (tell, told) = std::sync::mpsc::channel();
        let seen = std::sync::atomic::AtomicU32::new(0);
        let writes = if key == "make" { 2 } else { 3 };
        proxy.hold("COMMIT\0", move || {
            let nth = seen.fetch_add(1, std::sync::atomic::Ordering::SeqCst) + 1;
            if nth != writes {
                return Duration::ZERO;
            }
            let _ = tell.send(());
            Duration::from_secs(2)
        });
        let args = scene.args(proxy.url(), &["rotate", "--key-id", key]);
        let mut child = dbctl(scene.path(), &args)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("the binary starts");
        told.recv_timeout(Duration::from_secs(30))
            .expect("it commits");
        child.kill().expect("killed");
        child.wait().expect("gone");
        // The COMMIT is still under way: whoever comes now waits for its turn and sees the outcome.
        with(&["rotate"]);
        assert_eq!(scene.states(key), expected);
        std::thread::sleep(Duration::from_millis(2_200));
        with(&["rotate"]);
        assert_eq!(scene.states(key), expected);
    }
}

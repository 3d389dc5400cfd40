//! `--dry-run`: what it says is what the world is like, and the world stays as it was.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::support::cli::{Seen, run};
use crate::support::fleet::Fleet;
use crate::support::postgres::TestDb;
use crate::support::programs::programs;

/// The steps of a cutover, for the one environment of the fleet.
fn runbook() -> String {
    let mut text = String::from("# Cutover\n\n## Steps\n");
    for binding in [
        "id = \"deployed\"\nkind = \"confirm\"\nquestion = \"Is it deployed?\"",
        "id = \"migrate\"\nkind = \"migrate\"",
        "id = \"keys\"\nkind = \"keys\"",
        "id = \"announce\"\nkind = \"command\"\ntimeout = \"5s\"\n\
         run = [\"sh\", \"-c\", \"echo ran >> ran\"]\nprobe = [\"test\", \"-e\", \"ran\"]",
        "id = \"preflight\"\nkind = \"preflight\"",
        "id = \"exchange\"\nkind = \"carry\"",
        "id = \"switch\"\nkind = \"toggles\"\nset = \"postgres\"",
        "id = \"smoke\"\nkind = \"smoke\"",
        "id = \"rows\"\nkind = \"verify\"",
        "id = \"bake\"\nkind = \"bake\"\nfor = \"30s\"\ngates = [\"errors\"]",
    ] {
        text +=
            &format!("\n```toml step\n{binding}\nphase = \"full\"\nenv = \"production\"\n```\n");
    }
    text += "\n### Errors\n\n```toml gate\nid = \"errors\"\nmax = 0.01\nwindow = \"10s\"\n\
             measure = { ratio = { bad = 'auth_requests_total{outcome=\"error\"}', total = \"auth_requests_total\" } }\n```\n";
    text += "\n## Watermarks\n\n```sql\nSELECT node_name, updated_at FROM security.nonce_watermarks\n```\n\n\
             ```toml expect\nmin_rows = 1\ngrows = \"updated_at\"\n```\n";
    text += "\n## Rollback\n\n```toml step\nid = \"back\"\npart = \"rollback\"\nkind = \"toggles\"\nset = \"local\"\n```\n";
    text += "\n## Done\n\n```toml criterion\nid = \"enabled\"\nproof = \"modes\"\nenv = \"production\"\nset = \"postgres\"\n```\n";
    text
}

fn add_runbook(fleet: &Fleet) {
    std::fs::write(fleet.path().join("cutover.md"), runbook()).expect("a runbook");
    fleet.add_settings("[runbook]\npath = \"cutover.md\"\n");
}

/// Every file under `dir` with what is in it; the services' own logs are left out.
fn files(dir: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut folders = vec![dir.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                found.insert(path.clone(), Vec::new());
                folders.push(path);
            } else if path.extension().is_none_or(|e| e != "jsonl") {
                let bytes = std::fs::read(&path).expect("readable");
                found.insert(path, bytes);
            }
        }
    }
    found
}

/// Every row of every table of ours, and every table, role and privilege.
fn contents(db: &TestDb) -> String {
    db.psql(
        "SELECT relname, relkind, relacl FROM pg_class WHERE oid >= 16384 ORDER BY oid; \
         SELECT rolname FROM pg_roles ORDER BY oid; \
         SELECT schemaname, tablename, query_to_xml(format('SELECT * FROM %I.%I', schemaname, tablename), true, false, '') \
         FROM pg_tables WHERE schemaname NOT IN ('pg_catalog', 'information_schema') ORDER BY 1, 2",
    )
}

fn step<'a>(json: &'a Value, id: &str) -> &'a Value {
    let steps = json["steps"].as_array().expect("steps");
    steps.iter().find(|s| s["id"] == id).expect(id)
}

fn json(seen: &Seen) -> Value {
    serde_json::from_str(&seen.stdout).unwrap_or_else(|e| panic!("{e}: {}", seen.stderr))
}

const DRY: [&str; 5] = ["--format", "json", "rollout", "start", "--dry-run"];

#[test]
fn a_dry_run_looks_at_everything_and_changes_nothing() {
    let (fleet, backed) = Fleet::on(&["auth-1", "auth-2"]);
    add_runbook(&fleet);
    // As dbctl leaves it, with its history.
    backed
        .db
        .psql("DROP SCHEMA security CASCADE; DROP SCHEMA authz CASCADE");
    let applied = fleet.run(&["migrate", "apply", "--confirm", "production"]);
    assert_eq!(applied.code, 0, "{}", applied.stderr);
    assert_eq!(backed.seed(fleet.path(), &[]).code, 0);
    let before = (files(fleet.path()), contents(&backed.db));
    let modes = fleet.each(|i| i.get("/healthz").body);
    for args in [&DRY[..], &["rollout", "plan", "--dry-run"]] {
        let seen = fleet.run(args);
        assert_eq!(seen.code, 0, "{}{}", seen.stdout, seen.stderr);
        let after = (files(fleet.path()), contents(&backed.db));
        let names = |f: &BTreeMap<PathBuf, Vec<u8>>| f.keys().cloned().collect::<Vec<_>>();
        assert_eq!(names(&before.0), names(&after.0));
        assert!(before.0 == after.0, "a file has another content");
        assert_eq!(before.1, after.1);
    }
    let modes_after = fleet.each(|i| i.get("/healthz").body);
    assert_eq!(modes, modes_after, "nobody was restarted or switched");

    let seen = fleet.run(&DRY);
    let json = json(&seen);
    assert_eq!(json["schema"], "dbctl.rollout.dry-run/1");
    for (id, now) in [
        ("deployed", "asks"),
        ("migrate", "done"),
        ("keys", "done"),
        ("announce", "not-done"),
        ("exchange", "not-done"),
        ("switch", "not-done"),
        ("smoke", "not-run"),
        ("rows", "not-known"),
        ("bake", "not-known"),
        ("completion", "not-known"),
    ] {
        assert_eq!(step(&json, id)["now"], now, "{id}: {}", step(&json, id));
    }
    let preflight = step(&json, "preflight");
    assert_eq!(preflight["verdict"], "pass", "{preflight}");
    assert_eq!(preflight["checks"].as_array().map(Vec::len), Some(5));
    assert_eq!(step(&json, "rows")["before"], "smoke");
    assert_eq!(step(&json, "completion")["before"], "switch");
    assert_eq!(step(&json, "switch")["targets"][1], "auth-2");
    assert_eq!(step(&json, "switch")["undone_by"], "dbctl rollout rollback");
    assert_eq!(json["rollback"][0]["id"], "back");
}

#[test]
fn what_only_holds_after_an_earlier_step_is_not_held_against_the_run() {
    let (fleet, backed) = Fleet::on(&["auth-1"]);
    add_runbook(&fleet);
    let empty = backed.db.server().fresh_database();
    let file = fleet.settings_file();
    let settings = std::fs::read_to_string(&file).expect("settings");
    std::fs::write(&file, settings.replace(&backed.db.url, &empty.url)).expect("written");
    let before = contents(&empty);
    let seen = fleet.run(&DRY);
    assert_eq!(seen.code, 0, "{}{}", seen.stdout, seen.stderr);
    let json = json(&seen);
    assert_eq!(step(&json, "migrate")["now"], "not-done");
    assert_eq!(step(&json, "keys")["now"], "not-done");
    let preflight = step(&json, "preflight");
    assert_eq!(preflight["now"], "not-known", "{preflight}");
    let checks = preflight["checks"].as_array().expect("checks");
    let of = |name: &str| checks.iter().find(|c| c["name"] == name).expect(name);
    assert_eq!(of("migrations-valid")["verdict"], "pass");
    assert_eq!(of("toggles")["verdict"], "pass");
    assert_eq!(of("migrations-applied")["not_before"], "announce");
    assert_eq!(contents(&empty), before);
}

#[test]
fn what_would_stop_the_run_is_named_and_is_no_success() {
    let (fleet, _backed) = Fleet::on(&["auth-1", "auth-2"]);
    add_runbook(&fleet);
    fleet.with("auth-2", |i| i.stop());
    let seen = fleet.run(&["rollout", "plan", "--dry-run"]);
    assert_eq!(seen.code, 4, "{}{}", seen.stdout, seen.stderr);
    let last = seen.stdout.lines().rev().take(3).collect::<String>();
    assert!(last.contains("the run would stop at"), "{}", seen.stdout);
    assert!(last.contains("exchange, switch"), "{}", seen.stdout);
    assert!(
        seen.stdout.contains("target on auth-2: no connection"),
        "{}",
        seen.stdout
    );
    fleet.with("auth-2", |i| i.start());
    let token = fleet.with("auth-1", |i| i.admin_token_file());
    std::fs::write(token, "another\n").expect("written");
    let seen = fleet.run(&["rollout", "plan", "--dry-run"]);
    assert_eq!(seen.code, 4, "{}{}", seen.stdout, seen.stderr);
    assert!(
        seen.stdout.contains("cannot be exported"),
        "{}",
        seen.stdout
    );
}

#[test]
fn an_open_run_is_told_and_its_journal_is_not_touched() {
    let dir = programs();
    let clear = run(dir.path(), &["rollout", "start", "--dry-run"]);
    assert_eq!(clear.code, 0, "{}{}", clear.stdout, clear.stderr);
    assert!(!dir.path().join(".dbctl").exists(), "a journal was made");
    assert_eq!(
        std::fs::read_to_string(dir.path().join("done")).expect("the file"),
        ""
    );
    assert_eq!(run(dir.path(), &["rollout", "start"]).code, 10);
    let before = files(dir.path());
    let seen = run(dir.path(), &["rollout", "start", "--dry-run"]);
    assert_eq!(seen.code, 15, "{}{}", seen.stdout, seen.stderr);
    assert!(
        seen.stdout.contains("is open (awaiting approval)"),
        "{}",
        seen.stdout
    );
    assert!(before == files(dir.path()), "a file changed");
    let plan = run(dir.path(), &["rollout", "plan", "--dry-run"]);
    assert_eq!(plan.code, 0, "a plan is not begun: {}", plan.stdout);
}

#[test]
fn a_program_that_is_not_there_is_found_before_the_run() {
    let dir = programs();
    let file = dir.path().join("programs.md");
    let text = std::fs::read_to_string(&file).expect("the runbook");
    let text = text.replacen("run = [\"sh\"", "run = [\"no-such-program\"", 1);
    std::fs::write(&file, text).expect("written");
    let seen = run(dir.path(), &["rollout", "start", "--dry-run"]);
    assert_eq!(seen.code, 5, "{}{}", seen.stdout, seen.stderr);
    assert!(
        seen.stdout.contains("no-such-program is not there"),
        "{}",
        seen.stdout
    );
}

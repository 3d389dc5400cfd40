//! `dbctl migrate new`, `list` and `apply`, and the real refinery beside them.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use crate::support::cli::{Seen, dbctl, run, seen};
use crate::support::migrations::{folder, of_the_package, wait_for, write};
use crate::support::postgres::{Server, TestDb, bin};
use crate::support::proxy::Proxy;

fn apply_command(dir: &Path, db: &TestDb, more: &[&str]) -> Command {
    let mut args = vec![
        "--database-url",
        &db.url,
        "migrate",
        "apply",
        "--confirm",
        &db.name,
    ];
    args.extend(more);
    dbctl(dir, &args)
}

/// `migrate apply` of the folder `m`.
fn apply(dir: &tempfile::TempDir, db: &TestDb) -> Seen {
    seen(apply_command(dir.path(), db, &["--dir", "m"]))
}

fn list(dir: &tempfile::TempDir, db: &TestDb) -> serde_json::Value {
    let seen = run(
        dir.path(),
        &[
            "--database-url",
            &db.url,
            "migrate",
            "list",
            "--dir",
            "m",
            "--format",
            "json",
        ],
    );
    serde_json::from_str(&seen.stdout).unwrap_or_else(|e| panic!("{e}\n{}", seen.stderr))
}

fn states(listed: &serde_json::Value) -> Vec<String> {
    listed["entries"]
        .as_array()
        .expect("entries")
        .iter()
        .map(|e| e["state"].as_str().expect("a state").to_owned())
        .collect()
}

#[test]
fn history_and_files_are_compared_and_nothing_runs_on_what_does_not_fit() {
    let server = Server::get();
    let db = server.fresh_database();
    let dir = folder(&[
        ("V1__a.sql", "CREATE TABLE a (id int);"),
        ("V3__c.sql", "CREATE TABLE c (id int);"),
    ]);
    assert_eq!(states(&list(&dir, &db)), ["pending", "pending"]);
    assert_eq!(apply(&dir, &db).code, 0);
    assert_eq!(states(&list(&dir, &db)), ["applied", "applied"]);

    write(&dir, "V2__b.sql", "CREATE TABLE b (id int);");
    let listed = list(&dir, &db);
    assert_eq!(listed["entries"][1]["out_of_order"], true);
    let refused = apply(&dir, &db);
    assert_eq!(refused.code, 5, "{}", refused.stderr);
    insta::assert_snapshot!("out_of_order", refused.stderr);
    std::fs::remove_file(dir.path().join("m/V2__b.sql")).expect("removed");

    write(&dir, "V1__a.sql", "CREATE TABLE a (id bigint);");
    std::fs::remove_file(dir.path().join("m/V3__c.sql")).expect("removed");
    write(&dir, "V4__d.sql", "CREATE TABLE d (id int);");
    assert_eq!(
        states(&list(&dir, &db)),
        ["divergent", "missing", "pending"]
    );
    let refused = apply(&dir, &db);
    assert_eq!(refused.code, 5, "{}", refused.stderr);
    insta::assert_snapshot!("divergent_and_missing", refused.stderr);
    assert_eq!(db.psql("SELECT to_regclass('d')"), "");
    // validate finds the same without running anything.
    let args = [
        "--database-url",
        &db.url,
        "migrate",
        "validate",
        "--dir",
        "m",
    ];
    let validated = run(dir.path(), &args);
    assert_eq!(validated.code, 5);
    assert!(
        validated
            .stdout
            .contains("version 3 (c) is applied, but its file is not here")
    );
}

#[test]
fn a_gap_in_the_numbers_is_fine_and_a_failing_migration_changes_nothing() {
    let server = Server::get();
    let db = server.fresh_database();
    let dir = folder(&[
        ("V1__a.sql", "CREATE TABLE a (id int);"),
        (
            "V10__b.sql",
            "CREATE TABLE b (id int); INSERT INTO a VALUES (1); SELECT 1/0;",
        ),
    ]);
    let failed = apply(&dir, &db);
    assert_eq!(failed.code, 5, "{}", failed.stderr);
    assert!(
        failed.stderr.contains("division by zero"),
        "{}",
        failed.stderr
    );
    assert_eq!(states(&list(&dir, &db)), ["applied", "pending"]);
    assert_eq!(db.psql("SELECT count(*), to_regclass('b') FROM a"), "0|");
    // A constraint that is checked at the end fails the same way.
    write(
        &dir,
        "V10__b.sql",
        "CREATE TABLE b (id int PRIMARY KEY DEFERRABLE INITIALLY DEFERRED); INSERT INTO b VALUES (1), (1);",
    );
    let failed = apply(&dir, &db);
    assert_eq!(failed.code, 5, "{}", failed.stderr);
    assert_eq!(states(&list(&dir, &db)), ["applied", "pending"]);
}

#[test]
fn what_a_migration_sets_for_its_session_ends_with_it() {
    let server = Server::own();
    let db = server.fresh_database();
    db.psql("CREATE ROLE weak");
    let dir = folder(&[
        (
            "V1__dump.sql",
            "SELECT pg_catalog.set_config('search_path', '', false); SET default_transaction_read_only = on; \
             CREATE TABLE public.a (id int); SET ROLE weak;",
        ),
        (
            "V2__next.sql",
            "CREATE TABLE b (id int); \
             DO $$ BEGIN ASSERT current_user = 'postgres'; END $$;",
        ),
    ]);
    let seen = apply(&dir, &db);
    assert_eq!(seen.code, 0, "{}", seen.stderr);
    assert_eq!(db.psql("SELECT to_regclass('public.b')"), "b");
}

#[test]
fn several_applies_at_once_never_apply_one_twice() {
    let server = Server::get();
    let db = server.fresh_database();
    let dir = folder(&[("V0__log.sql", "CREATE TABLE log (version int, pid int);")]);
    for version in 1..=6 {
        let sql =
            format!("INSERT INTO log VALUES ({version}, pg_backend_pid()); SELECT pg_sleep(0.05);");
        write(&dir, &format!("V{version}__m.sql"), &sql);
    }
    let children: Vec<Child> = (0..4)
        .map(|_| {
            apply_command(dir.path(), &db, &["--dir", "m", "--format", "json"])
                .stdout(Stdio::piped())
                .stderr(Stdio::piped())
                .spawn()
                .expect("it starts")
        })
        .collect();
    let mut applied = 0;
    for child in children {
        let output = child.wait_with_output().expect("it ends");
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(0), "{stderr}");
        let said: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
        applied += said["applied"].as_array().expect("a list").len();
    }
    assert_eq!(applied, 7, "each is applied by exactly one of them");
    assert_eq!(
        db.psql("SELECT count(*), count(DISTINCT version) FROM log"),
        "6|6"
    );
    assert_eq!(db.psql("SELECT count(*) FROM refinery_schema_history"), "7");
}

/// Somebody else applies all of them just before one of the looks that are taken at the history.
#[test]
fn what_another_applies_between_two_looks_is_not_counted_as_ones_own() {
    for nth in 1..=8 {
        let db = Server::get().fresh_database();
        let dir = folder(&[("V0__first.sql", "SELECT 1;")]);
        assert_eq!(apply(&dir, &db).code, 0);
        write(&dir, "V1__a.sql", "CREATE TABLE a (id bigint);");
        write(&dir, "V2__b.sql", "CREATE TABLE b (id bigint);");
        let json = ["--dir", "m", "--format", "json"];
        let other = Mutex::new(Some(apply_command(dir.path(), &db, &json)));
        let others = Arc::new(AtomicUsize::new(0));
        let (counted, looks) = (Arc::clone(&others), AtomicUsize::new(0));
        let proxy = Proxy::before(&db);
        proxy.hold("SELECT version, name, applied_on, checksum", move || {
            if looks.fetch_add(1, Ordering::SeqCst) + 1 == nth {
                let command = other.lock().expect("nobody panics").take();
                counted.store(applied_in_time(command.expect("once")), Ordering::SeqCst);
            }
            Duration::ZERO
        });
        let args = [
            "--database-url",
            proxy.url(),
            "migrate",
            "apply",
            "--confirm",
            &db.name,
        ];
        let seen = run(dir.path(), &[&args[..], &json].concat());
        assert_eq!(seen.code, 0, "{nth}: {}", seen.stderr);
        let both = applied(seen.stdout.as_bytes()) + others.load(Ordering::SeqCst);
        assert_eq!(both, 2, "look {nth}: {}", seen.stdout);
    }
}

fn applied(json: &[u8]) -> usize {
    let said: serde_json::Value = serde_json::from_slice(json).expect("JSON");
    said["applied"].as_array().expect("a list").len()
}

/// How many it applied. Where it has to wait for whoever waits for it, it is ended.
fn applied_in_time(mut command: Command) -> usize {
    let command = command.stdout(Stdio::piped()).stderr(Stdio::null());
    let mut child = command.spawn().expect("it starts");
    let began = Instant::now();
    while child.try_wait().expect("a child").is_none() {
        if began.elapsed() > Duration::from_secs(3) {
            child.kill().expect("killed");
            child.wait().expect("ended");
            return 0;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    applied(&child.wait_with_output().expect("it ends").stdout)
}

#[test]
fn a_lock_that_is_held_is_given_way_to_and_its_holder_named() {
    let server = Server::get();
    let db = server.fresh_database();
    db.psql("CREATE TABLE orders (id int)");
    let mut holder = Command::new(bin("psql"))
        .args(["-XAtq", &db.url])
        .env("PGAPPNAME", "reporting")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("psql starts");
    let mut stdin = holder.stdin.take().expect("piped");
    let mut answers = BufReader::new(holder.stdout.take().expect("piped")).lines();
    use std::io::Write as _;
    writeln!(
        stdin,
        "BEGIN; SELECT 'it is a secret' FROM orders; SELECT 'held';"
    )
    .expect("psql reads");
    assert_eq!(answers.next().expect("an answer").expect("text"), "held");

    let dir = folder(&[("V1__a.sql", "ALTER TABLE orders ADD COLUMN region text;")]);
    let mut child = apply_command(dir.path(), &db, &["--dir", "m", "--lock-timeout", "1s"])
        .stderr(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .expect("it starts");
    let mut told = Vec::new();
    for line in BufReader::new(child.stderr.take().expect("piped")).lines() {
        let line = line.expect("text");
        told.push(line.clone());
        // It gave way once: others could work meanwhile. Now it may have the lock.
        if line.contains("gave way") {
            db.psql("INSERT INTO orders VALUES (1)");
            let _ = writeln!(stdin, "ROLLBACK;");
        }
    }
    let told = told.join("\n");
    assert!(child.wait().expect("it ends").success(), "{told}");
    assert!(
        told.contains("waiting for AccessExclusiveLock on orders"),
        "{told}"
    );
    assert!(
        told.contains("app=reporting · user=postgres · idle in transaction for"),
        "{told}"
    );
    assert!(!told.contains("secret"), "{told}");
    drop(stdin);
    holder.wait().expect("psql ends");
}

#[cfg(unix)]
#[test]
fn ctrl_c_stops_the_statement_and_leaves_the_migration_pending() {
    let server = Server::get();
    let db = server.fresh_database();
    let dir = folder(&[
        ("V1__a.sql", "CREATE TABLE a (id int);"),
        (
            "V2__b.sql",
            "CREATE TABLE b (id int); SELECT pg_sleep(600);",
        ),
    ]);
    let child = apply_command(dir.path(), &db, &["--dir", "m"])
        .stderr(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .expect("it starts");
    let running = "SELECT 'yes' FROM pg_stat_activity WHERE wait_event = 'PgSleep' AND datname = current_database()";
    wait_for("the statement", || {
        (db.psql(running) == "yes").then_some(())
    });
    let pid =
        rustix::process::Pid::from_raw(i32::try_from(child.id()).expect("a pid")).expect("a pid");
    rustix::process::kill_process(pid, rustix::process::Signal::INT).expect("signalled");
    let output = child.wait_with_output().expect("it ends");
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(130), "{stderr}");
    assert!(
        stderr.contains("this migration was rolled back"),
        "{stderr}"
    );
    assert_eq!(db.psql(running), "");
    assert_eq!(states(&list(&dir, &db)), ["applied", "pending"]);
}

#[test]
fn refinery_goes_on_where_dbctl_stopped_and_the_other_way_round() {
    let server = Server::get();
    let db = server.fresh_database();
    let dir = folder(&[
        (
            "V1__first.sql",
            "CREATE TABLE a (id int);\r\n-- CRLF, and no newline at the end",
        ),
        (
            "V2__second.sql",
            "CREATE TABLE b (name text DEFAULT 'ä');\n",
        ),
    ]);
    assert_eq!(apply(&dir, &db).code, 0);
    let by_dbctl = history(&db);

    write(&dir, "V3__third.sql", "CREATE TABLE c (id int);\n");
    refinery(dir.path(), &db);
    assert_eq!(states(&list(&dir, &db)), ["applied", "applied", "applied"]);
    write(&dir, "V4__fourth.sql", "CREATE TABLE d (id int);\n");
    assert_eq!(apply(&dir, &db).code, 0);
    refinery(dir.path(), &db);
    assert_eq!(db.psql("SELECT count(*) FROM refinery_schema_history"), "4");

    // The same files by refinery alone: the same table, the same rows but for the times.
    let other = server.fresh_database();
    for later in ["V3__third.sql", "V4__fourth.sql"] {
        std::fs::remove_file(dir.path().join("m").join(later)).expect("removed");
    }
    refinery(dir.path(), &other);
    assert_eq!(history(&other), by_dbctl);
    let table = "SELECT string_agg(attname || ' ' || format_type(atttypid, atttypmod) || ' ' || attnotnull, ', ' ORDER BY attnum) \
                 FROM pg_attribute WHERE attrelid = 'public.refinery_schema_history'::regclass AND attnum > 0";
    assert_eq!(db.psql(table), other.psql(table));

    // And those of dbctl themselves.
    let own = server.fresh_database();
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    run_refinery(&package.join("migrations"), &own);
    let seen = seen(apply_command(dir.path(), &own, &[]));
    assert!(
        seen.stdout
            .starts_with(&format!("nothing to apply: all {}", of_the_package().len())),
        "{}{}",
        seen.stdout,
        seen.stderr
    );
}

fn history(db: &TestDb) -> String {
    db.psql("SELECT version, name, checksum, applied_on ~ '^20..-..-..T.*Z$' FROM public.refinery_schema_history ORDER BY 1")
}

fn refinery(dir: &Path, db: &TestDb) {
    run_refinery(&dir.join("m"), db);
}

/// The real refinery_cli; missing and divergent migrations are errors to it.
fn run_refinery(migrations: &Path, db: &TestDb) {
    let output = Command::new(refinery_binary())
        .args(["migrate", "-e", "REFINERY_TEST_URL", "-p"])
        .arg(migrations)
        .args(["-d", "-m"])
        .env("REFINERY_TEST_URL", db.url.replace("?sslmode=disable", ""))
        .output()
        .expect("refinery starts");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success(),
        "refinery: {said}{}",
        String::from_utf8_lossy(&output.stdout)
    );
}

/// What `tests/run` installs.
fn refinery_binary() -> PathBuf {
    let tools = std::env::var_os("DBCTL_TEST_TOOLS").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("target/tools"),
        PathBuf::from,
    );
    let here = tools.join("bin/refinery");
    if here.exists() {
        return here;
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .map(|dir| dir.join("refinery"))
        .find(|file| file.exists())
        .expect("refinery_cli is missing: run `tests/run`, which installs it")
}

#[test]
fn a_database_that_is_not_there_or_refuses_is_told_as_such() {
    let dir = folder(&[("V1__a.sql", "SELECT 1;")]);
    let nobody = format!(
        "postgres://me@127.0.0.1:{}/x?sslmode=disable",
        crate::support::postgres::free_port()
    );
    for command in [
        &["migrate", "list"][..],
        &["migrate", "apply", "--confirm", "x"],
    ] {
        let mut args = vec!["--database-url", &*nobody];
        args.extend(command);
        let seen = run(dir.path(), &args);
        assert_eq!(seen.code, 4, "{}", seen.stderr);
        assert!(
            seen.stderr.contains("is the server running"),
            "{}",
            seen.stderr
        );
    }

    let server = Server::own();
    let db = server.fresh_database();
    db.psql("CREATE ROLE weak LOGIN; REVOKE ALL ON SCHEMA public FROM PUBLIC; GRANT USAGE ON SCHEMA public TO weak");
    let url = db.url_as("weak");
    let args = [
        "--database-url",
        &url,
        "migrate",
        "apply",
        "--dir",
        "m",
        "--confirm",
        &db.name,
    ];
    let seen = run(dir.path(), &args);
    assert_eq!(seen.code, 4, "{}", seen.stderr);
    assert!(
        seen.stderr.contains("permission denied for schema public"),
        "{}",
        seen.stderr
    );

    let gone = server.url("nowhere");
    let seen = run(dir.path(), &["--database-url", &gone, "migrate", "list"]);
    assert_eq!(seen.code, 4, "{}", seen.stderr);
    assert!(
        seen.stderr.contains("check the database's name"),
        "{}",
        seen.stderr
    );
}

#[test]
fn applying_wants_the_name_of_what_is_changed() {
    let server = Server::get();
    let db = server.fresh_database();
    let dir = folder(&[("V1__a.sql", "CREATE TABLE a (id int);")]);
    std::fs::write(
        dir.path().join("dbctl.toml"),
        format!("[environments.production]\ndatabase_url = \"{}\"\n", db.url),
    )
    .expect("settings");
    for (confirm, code) in [(None, 16), (Some(&*db.name), 16), (Some("production"), 0)] {
        let mut args = vec!["migrate", "apply", "--dir", "m"];
        args.extend(confirm.iter().flat_map(|name| ["--confirm", *name]));
        let seen = run(dir.path(), &args);
        assert_eq!(seen.code, code, "{}", seen.stderr);
        let applied = db.psql("SELECT to_regclass('a')");
        assert_eq!(applied, if code == 0 { "a" } else { "" });
    }
}

#[test]
fn a_new_migration_gets_the_next_number_and_overwrites_nothing() {
    let dir = folder(&[("V007__a.sql", "SELECT 1;")]);
    let new = |name: &str| run(dir.path(), &["migrate", "new", name, "--dir", "m"]);
    let seen = new("add orders");
    assert_eq!((seen.code, &*seen.stdout), (0, "m/V008__add_orders.sql\n"));
    assert_eq!(new("add orders").stdout, "m/V009__add_orders.sql\n");
    assert_eq!(new("../evil").code, 2);
    // The first one makes its folder, but no path of folders.
    let first = |folder: &str| run(dir.path(), &["migrate", "new", "a", "--dir", folder]);
    assert_eq!(first("fresh").stdout, "fresh/V0001__a.sql\n");
    assert_eq!(first("no/where").code, 3);
    let seen = run(
        dir.path(),
        &["migrate", "validate", "--dir", "m", "--scratch", "native"],
    );
    assert_eq!(seen.code, 0, "{}", seen.stdout);
}

#[test]
fn what_dbctl_carries_is_what_lies_in_the_folder() {
    use dbctl::migrate::{Source, load};
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("migrations");
    let of = |source| -> Vec<(i32, String, u64)> {
        let files = load(&source).expect("migrations");
        files
            .iter()
            .map(|f| (f.version(), f.name().to_owned(), f.checksum()))
            .collect()
    };
    let carried = of(Source::BuiltIn);
    assert!(!carried.is_empty());
    assert_eq!(carried, of(Source::Dir(folder)));
}

//! `dbctl migrate validate`: mistakes with their places, and the scratch databases.

use std::path::Path;
use std::process::Stdio;

use crate::support::cli::{dbctl, run, seen};
use crate::support::migrations::{folder, of_the_package, wait_for};
use crate::support::postgres::Server;

#[cfg(feature = "embedded")]
mod fixtures;
mod whole;

/// The last paragraph on one line, without what it ran on and how long that took.
fn without_times(shown: &str) -> String {
    let (before, last) = match shown.trim_end().rsplit_once("\n\n") {
        Some((before, last)) => (format!("{before}\n\n"), last),
        None => (String::new(), shown.trim_end()),
    };
    let last = last.split_whitespace().collect::<Vec<_>>().join(" ");
    let time = regex::Regex::new("ran on .*? s ·").expect("a pattern");
    format!("{before}{}\n", time.replace(&last, "ran on […] ·"))
}

/// What a person sees of a validation that found something; the time it took is left out.
fn validated(files: &[(&str, &str)], scratch: &str) -> String {
    let dir = folder(files);
    let seen = run(
        dir.path(),
        &["migrate", "validate", "--dir", "m", "--scratch", scratch],
    );
    assert_eq!(seen.code, 5, "{}{}", seen.stdout, seen.stderr);
    assert_eq!(seen.stderr, "");
    without_times(&seen.stdout)
}

#[test]
fn an_error_points_at_its_token_in_characters_not_bytes() {
    insta::assert_snapshot!(validated(
        &[
            ("V1__größen.sql", "CREATE TABLE größen (id int);\n"),
            (
                "V2__more.sql",
                "-- Größe: ä\nALTER TABLE größen\n  ADD COLUMN ü int, ADD COLUMN y itn;\n",
            ),
            ("V3__later.sql", "SELECT 1;\n"),
        ],
        "native",
    ));
}

#[test]
fn an_error_without_a_position_points_at_its_statement() {
    insta::assert_snapshot!(validated(
        &[(
            "V1__a.sql",
            "CREATE FUNCTION f() RETURNS int LANGUAGE sql AS $$ SELECT 1; SELECT 2; $$;\n\
             /* a ; comment */ INSERT INTO pg_catalog.nowhere VALUES (';');\n",
        )],
        "native",
    ));
    insta::assert_snapshot!(validated(
        &[(
            "V1__a.sql",
            "CREATE TABLE t (id int);\n\
             CREATE FUNCTION g() RETURNS int BEGIN ATOMIC; SELECT CASE WHEN true THEN 1 END; END;\n\
             INSERT INTO t VALUES (1), (1);\n\
             CREATE UNIQUE INDEX one ON t (id);\n",
        )],
        "native",
    ));
}

#[test]
fn an_error_inside_a_body_shows_what_ran_there() {
    insta::assert_snapshot!(validated(
        &[(
            "V1__a.sql",
            "SELECT 1;\nDO $body$ BEGIN\n  EXECUTE 'SELECT nothing FROM nowhere';\nEND $body$;\n",
        )],
        "native",
    ));
}

#[test]
fn mistakes_in_files_are_all_told_at_once() {
    insta::assert_snapshot!(validated(
        &[
            ("V1__a.sql", "SELECT 1;"),
            ("V01__b.sql", "SELECT 1;"),
            ("V2_c.sql", "SELECT 1;"),
            ("x.sql", "SELECT 1;"),
            ("V__d.sql", "SELECT 1;"),
            ("V3__e-f.sql", "SELECT 1;"),
            ("V99999999999__g.sql", "SELECT 1;"),
            ("V4__h.sql", " \n"),
            ("V5__i.sql", "\u{feff}SELECT 1;"),
            (
                "V6__j.sql",
                "SELECT\n<<<<<<< HEAD\n1;\n=======\n2;\n>>>>>>> other\n"
            ),
            ("V7__k.rs", "fn migration() {}"),
            ("README.md", "not a migration"),
        ],
        "native",
    ));
}

#[test]
fn a_file_that_is_not_utf8_is_told_with_its_line() {
    let dir = folder(&[]);
    std::fs::write(
        dir.path().join("m/V1__a.sql"),
        b"SELECT 1;\n-- Gr\xf6\xdfe\n",
    )
    .expect("a file");
    let seen = run(dir.path(), &["migrate", "validate", "--dir", "m"]);
    assert_eq!(seen.code, 5);
    insta::assert_snapshot!(seen.stdout);
}

#[test]
fn a_migration_must_not_end_its_own_transaction() {
    insta::assert_snapshot!(validated(
        &[
            ("V1__a.sql", "BEGIN;\nCREATE TABLE a (id int);\nCOMMIT;\n"),
            // Words in strings, bodies and comments are none; going back to a savepoint is fine.
            (
                "V2__b.sql",
                "-- COMMIT;\nSELECT 'a; COMMIT; b', $$; ROLLBACK; $$, E'it\\'s; COMMIT;';\n\
                 DO $$ BEGIN NULL; END $$;\nSAVEPOINT s; ROLLBACK TO SAVEPOINT s;\n",
            ),
        ],
        "native",
    ));
}

#[test]
fn what_cannot_run_in_a_transaction_is_found_with_a_way_out() {
    insta::assert_snapshot!(validated(
        &[
            ("V1__a.sql", "CREATE TABLE a (id int);\n"),
            ("V2__b.sql", "CREATE INDEX CONCURRENTLY b ON a (id);\n"),
        ],
        "native",
    ));
}

#[test]
fn each_kind_of_scratch_database_runs_them_all_and_leaves_nothing_behind() {
    let server = Server::get();
    let dir = folder(&[]);
    let count = of_the_package().len();
    let temporary = dir.path().join("tmp");
    std::fs::create_dir(&temporary).expect("a folder");
    open_to_all(dir.path());
    open_to_all(&temporary);
    let url = server.url("postgres");
    for (scratch, named) in [
        #[cfg(feature = "embedded")]
        ("embedded", "embedded PostgreSQL 17"),
        ("native", "native PostgreSQL"),
        (&*url, "at postgres@127.0.0.1"),
    ] {
        let mut command = dbctl(dir.path(), &["migrate", "validate", "--scratch", scratch]);
        command.env("TMPDIR", &temporary);
        let seen = seen(command);
        assert_eq!(seen.code, 0, "{scratch}: {}{}", seen.stdout, seen.stderr);
        assert!(
            seen.stdout
                .starts_with(&format!("{count} of {count} migrations ran on ")),
            "{}",
            seen.stdout
        );
        assert!(seen.stdout.contains(named), "{}", seen.stdout);
        let left: Vec<_> = std::fs::read_dir(&temporary).expect("a folder").collect();
        assert!(left.is_empty(), "{scratch}: {left:?}");
    }
    assert_eq!(scratch_databases(&server), "");
}

fn scratch_databases(server: &Server) -> String {
    server.psql(
        "postgres",
        "SELECT datname FROM pg_database WHERE datname ~ '^dbctl_scratch'",
    )
}

/// A server that runs as another user must reach its folder.
fn open_to_all(dir: &Path) {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        let mode = std::fs::Permissions::from_mode(0o755);
        std::fs::set_permissions(dir, mode).expect("a mode");
    }
}

#[test]
fn what_a_killed_validation_left_is_swept_by_the_next_one() {
    let dir = folder(&[("V1__a.sql", "SELECT pg_sleep(600);")]);
    let temporary = dir.path().join("tmp");
    std::fs::create_dir(&temporary).expect("a folder");
    open_to_all(dir.path());
    open_to_all(&temporary);
    let validate = |more: &[&str]| {
        let mut args = vec!["migrate", "validate", "--scratch", "native"];
        args.extend(more);
        let mut command = dbctl(dir.path(), &args);
        command.env("TMPDIR", &temporary);
        command
    };
    let mut child = validate(&["--dir", "m"])
        .stdout(Stdio::null())
        .spawn()
        .expect("it starts");
    let pid_file = wait_for("a cluster", || {
        let dir = std::fs::read_dir(&temporary).ok()?.next()?.ok()?.path();
        let file = dir.join("data/postmaster.pid");
        std::fs::read_to_string(&file)
            .ok()?
            .contains("ready")
            .then_some(file)
    });
    child.kill().expect("killed");
    child.wait().expect("ended");
    assert!(pid_file.exists(), "the cluster outlives its owner");
    let seen = seen(validate(&[]));
    assert_eq!(seen.code, 0, "{}{}", seen.stdout, seen.stderr);
    let left: Vec<_> = std::fs::read_dir(&temporary).expect("a folder").collect();
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn an_old_scratch_database_is_dropped_and_a_new_one_is_left_alone() {
    let server = Server::own();
    server.psql("postgres", "CREATE DATABASE dbctl_scratch_1000000000_00");
    let now = server.psql("postgres", "SELECT extract(epoch FROM now())::bigint");
    let new = format!("dbctl_scratch_{now}_00");
    server.psql("postgres", &format!("CREATE DATABASE {new}"));
    let dir = folder(&[("V1__a.sql", "SELECT 1;")]);
    let url = server.url("postgres");
    let seen = run(
        dir.path(),
        &["migrate", "validate", "--dir", "m", "--scratch", &url],
    );
    assert_eq!(seen.code, 0, "{}{}", seen.stdout, seen.stderr);
    assert_eq!(scratch_databases(&server), new);
}

#[cfg(not(feature = "embedded"))]
#[test]
fn a_build_without_the_embedded_database_says_so_and_uses_a_native_one() {
    let dir = folder(&[("V1__a.sql", "SELECT 1;")]);
    let args = ["migrate", "validate", "--dir", "m"];
    assert_eq!(run(dir.path(), &args).code, 0);
    let seen = run(
        dir.path(),
        &[&args[..], &["--scratch", "embedded"]].concat(),
    );
    assert_eq!(seen.code, 4);
    assert!(seen.stderr.contains("built without it"), "{}", seen.stderr);
}

#[cfg(feature = "embedded")]
#[test]
fn the_embedded_database_can_be_there_twice_in_one_process() {
    use dbctl::migrate::{Source, load, validate};
    use dbctl::pg::embedded::Embedded;
    use dbctl::pg::scratch::{Choice, Scratch};
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(async {
        let first = Embedded::start().await.expect("one");
        let scratch = Scratch::start(&Choice::Embedded, None)
            .await
            .expect("another");
        let files = load(&Source::BuiltIn).expect("migrations");
        let validated = validate(&files, &scratch).await.expect("a validation");
        assert!(validated.findings.is_empty());
        first
            .database()
            .check()
            .await
            .expect("the first still answers");
        scratch.stop().await.expect("stopped");
        first.stop().await.expect("stopped");
    });
}

//! The layers together, as the command shows them: what git knows, rows of one's own, a live schema,
//! the settings of a target, and what a pipeline sees in the end.

use std::path::Path;
use std::process::Command;

use serde_json::Value;

use super::without_times;
use crate::support::cli::{Seen, run};
use crate::support::migrations::{folder, write};
use crate::support::postgres::Server;

fn validate(dir: &Path, more: &[&str]) -> Seen {
    let args = ["migrate", "validate", "--dir", "m", "--scratch", "native"];
    run(dir, &[&args, more].concat())
}

fn rules(seen: &Seen) -> Vec<String> {
    let said: Value = serde_json::from_str(&seen.stdout).expect("JSON");
    let findings = said["findings"].as_array().expect("findings").iter();
    findings
        .map(|f| f["rule"].as_str().expect("a rule").to_owned())
        .collect()
}

fn git(dir: &Path, args: &[&str]) {
    let done = Command::new("git")
        .arg("-C")
        .arg(dir)
        .args(["-c", "user.name=a", "-c", "user.email=a@example.com"])
        .args(args)
        .output()
        .expect("git starts");
    let said = String::from_utf8_lossy(&done.stderr);
    assert!(done.status.success(), "git {args:?}: {said}");
}

#[test]
fn since_a_commit_only_what_is_new_is_judged_and_the_old_must_be_as_it_was() {
    let dir = folder(&[
        (
            "V1__orders.sql",
            "CREATE TABLE orders (id bigint PRIMARY KEY, a text);",
        ),
        ("V2__slow.sql", "CREATE INDEX orders_a ON orders (a);"),
    ]);
    let path = dir.path();
    git(path, &["init", "-q", "-b", "main"]);
    git(path, &["add", "."]);
    git(path, &["commit", "-qm", "first"]);
    git(path, &["checkout", "-qb", "work"]);
    write(&dir, "V3__b.sql", "ALTER TABLE orders ADD COLUMN b text;");
    let all = validate(path, &[]);
    assert_eq!(all.code, 5, "{}", all.stdout);
    assert!(all.stdout.contains("builds-index-while-blocking"));
    let new = validate(path, &["--since", "main"]);
    assert_eq!(new.code, 0, "{}{}", new.stdout, new.stderr);
    assert!(new.stdout.contains("1 of them new"), "{}", new.stdout);

    // Meanwhile somebody else has merged a third one; and here the first was edited.
    git(path, &["add", "."]);
    git(path, &["commit", "-qm", "work"]);
    git(path, &["checkout", "-q", "main"]);
    write(&dir, "V3__c.sql", "ALTER TABLE orders ADD COLUMN c text;");
    git(path, &["add", "."]);
    git(path, &["commit", "-qm", "another third"]);
    git(path, &["checkout", "-q", "work"]);
    write(
        &dir,
        "V1__orders.sql",
        "CREATE TABLE orders (id bigint PRIMARY KEY, a varchar);",
    );
    std::fs::remove_file(path.join("m/V2__slow.sql")).expect("removed");
    let seen = validate(path, &["--since", "main"]);
    assert_eq!(seen.code, 5);
    insta::assert_snapshot!(without_times(&seen.stdout));

    let unknown = validate(path, &["--since", "origin/main"]);
    assert_eq!(unknown.code, 3, "{}", unknown.stderr);
    assert!(
        unknown.stderr.contains("--since names"),
        "{}",
        unknown.stderr
    );
}

#[test]
fn rows_of_ones_own_find_what_made_up_ones_do_not() {
    let dir = folder(&[(
        "V1__orders.sql",
        "CREATE TABLE orders (id bigint, state text);",
    )]);
    let path = dir.path();
    git(path, &["init", "-q", "-b", "main"]);
    git(path, &["add", "."]);
    git(path, &["commit", "-qm", "first"]);
    write(
        &dir,
        "V2__state.sql",
        "ALTER TABLE orders ADD CONSTRAINT known CHECK (state <> 'lost') NOT VALID;\n",
    );
    write(
        &dir,
        "V3__state.sql",
        "ALTER TABLE orders VALIDATE CONSTRAINT known;\n",
    );
    std::fs::write(
        path.join("rows.sql"),
        "INSERT INTO orders VALUES (1, 'lost');\n",
    )
    .expect("rows");
    let made_up = validate(path, &["--since", "main"]);
    assert_eq!(made_up.code, 0, "{}", made_up.stdout);
    let own = validate(path, &["--since", "main", "--seed", "rows.sql"]);
    assert_eq!(own.code, 5, "{}", own.stdout);
    assert!(own.stdout.contains("V3__state.sql:1:1"), "{}", own.stdout);
    let shown = own.stdout.replace("\n  ", " ");
    assert!(shown.contains("is violated by some row"), "{shown}");

    std::fs::write(
        path.join("rows.sql"),
        "INSERT INTO orders\nVALUES (1, nothing);\n",
    )
    .expect("rows");
    let wrong = validate(path, &["--since", "main", "--seed", "rows.sql"]);
    assert_eq!(wrong.code, 5, "{}", wrong.stdout);
    assert!(wrong.stdout.contains("seed-fails"), "{}", wrong.stdout);
    assert!(wrong.stdout.contains("rows.sql:2:12"), "{}", wrong.stdout);
}

/// `timestamp` to `timestamptz` writes all rows anew, but in UTC it does not.
const ZONE: [(&str, &str); 2] = [
    ("V1__a.sql", "CREATE TABLE visits (at timestamp);"),
    (
        "V2__b.sql",
        "ALTER TABLE visits ALTER COLUMN at TYPE timestamptz;",
    ),
];

#[test]
fn the_time_zone_of_the_settings_or_of_the_target_decides() {
    let dir = folder(&ZONE);
    let json = ["--layer", "execution", "--format", "json"];
    let utc = validate(dir.path(), &json);
    assert_eq!(utc.code, 0, "{}", utc.stdout);
    let settings = dir.path().join("dbctl.toml");
    std::fs::write(
        &settings,
        "[migrations]\nsession = { TimeZone = \"Europe/Berlin\" }\n",
    )
    .expect("settings");
    let berlin = validate(dir.path(), &json);
    assert_eq!(rules(&berlin), ["rewrites-table"]);
    let human = validate(dir.path(), &[]);
    let shown = human.stdout.replace("\n  ", " ");
    assert!(shown.contains("with TimeZone Europe/Berlin"), "{shown}");
    std::fs::remove_file(settings).expect("removed");

    let db = Server::get().fresh_database();
    db.psql(&format!(
        "ALTER DATABASE {} SET TimeZone = 'Europe/Berlin'",
        db.name
    ));
    let args = [
        "migrate",
        "validate",
        "--dir",
        "m",
        "--scratch",
        "native",
        "--database-url",
    ];
    let target = run(dir.path(), &[&args, &[&*db.url][..], &json].concat());
    assert_eq!(rules(&target), ["rewrites-table"], "{}", target.stderr);
}

#[test]
fn a_live_schema_that_differs_is_found() {
    let dir = folder(&[(
        "V1__a.sql",
        "CREATE TABLE orders (id bigint PRIMARY KEY, a text);",
    )]);
    let db = Server::get().fresh_database();
    db.psql("CREATE TABLE orders (id bigint PRIMARY KEY, a text)");
    let same = validate(dir.path(), &["--against", &db.url]);
    // The history that refinery keeps is not of the schema.
    assert_eq!(same.code, 0, "{}{}", same.stdout, same.stderr);
    assert!(
        same.stdout.contains("compared with the schema"),
        "{}",
        same.stdout
    );
    db.psql("ALTER TABLE orders ALTER COLUMN a SET DEFAULT 'x'");
    let other = validate(dir.path(), &["--against", &db.url, "--format", "json"]);
    assert_eq!(other.code, 5);
    assert_eq!(rules(&other), ["live-schema-differs"]);
}

#[test]
fn comments_and_settings_silence_what_is_observed_too() {
    let index = "CREATE INDEX orders_a ON orders (a);\n";
    let files = |second: &str| {
        folder(&[
            ("V1__a.sql", "CREATE TABLE orders (id bigint, a text);"),
            ("V2__b.sql", second),
        ])
    };
    let loud = files(index);
    assert_eq!(validate(loud.path(), &[]).code, 5);
    for name in [
        "require-concurrent-index-creation",
        "builds-index-while-blocking",
    ] {
        let quiet = files(&format!("-- squawk-ignore {name}\n{index}"));
        let seen = validate(quiet.path(), &[]);
        assert_eq!(seen.code, 0, "{name}: {}", seen.stdout);
    }
    let settings = "[migrations.lint.levels]\nbuilds-index-while-blocking = \"warning\"\n";
    std::fs::write(loud.path().join("dbctl.toml"), settings).expect("settings");
    let weaker = validate(loud.path(), &[]);
    assert_eq!(weaker.code, 0, "{}", weaker.stdout);
    assert!(
        weaker.stdout.contains("warning[builds-index"),
        "{}",
        weaker.stdout
    );
    assert_eq!(validate(loud.path(), &["--fail-on", "warning"]).code, 5);
    let old = "[migrations.lint]\nfrom = \"3\"\n";
    std::fs::write(loud.path().join("dbctl.toml"), old).expect("settings");
    let old = validate(loud.path(), &[]);
    assert_eq!(old.code, 0, "{}", old.stdout);
    assert!(!old.stdout.contains("builds-index"), "{}", old.stdout);
}

#[test]
fn layers_can_be_chosen_and_what_is_not_judged_is_no_pass() {
    let dir = folder(&[
        ("V1__a.sql", "CREATE TABLE orders (id bigint);"),
        (
            "V2__b.sql",
            "ALTER TABLE orders DROP COLUMN id;\nSELECT nothing FROM nowhere;\n",
        ),
    ]);
    let files = validate(dir.path(), &["--layer", "files"]);
    assert_eq!(files.code, 0, "{}", files.stdout);
    let lint = validate(dir.path(), &["--layer", "files,lint", "--format", "json"]);
    assert!(
        rules(&lint).contains(&"ban-drop-column".to_owned()),
        "{}",
        lint.stdout
    );
    let run = validate(dir.path(), &["--layer", "execution", "--format", "json"]);
    assert_eq!(rules(&run), ["drops-data", "fails"]);
    let never = validate(dir.path(), &["--layer", "execution", "--fail-on", "never"]);
    assert_eq!(never.code, 0, "nothing is left unjudged: {}", never.stdout);

    write(&dir, "V3__c.sql", "SELECT 1;");
    let never = validate(dir.path(), &["--layer", "execution", "--fail-on", "never"]);
    assert_eq!(never.code, 6, "{}", never.stdout);
    let wrong = validate(dir.path(), &["--layer", "lynt"]);
    assert_eq!(wrong.code, 2);
}

#[cfg(feature = "embedded")]
#[test]
fn where_an_extension_is_asked_for_that_the_embedded_one_lacks_a_native_one_is_taken() {
    let dir = folder(&[
        (
            "V1__a.sql",
            "CREATE TABLE a (id bigint);\nCREATE EXTENSION pgcrypto;\n",
        ),
        ("V2__b.sql", "SELECT digest('a', 'sha256');"),
    ]);
    let validate = |scratch: &str| {
        let args = ["migrate", "validate", "--dir", "m", "--scratch", scratch];
        run(dir.path(), &args)
    };
    let auto = validate("auto");
    assert_eq!(auto.code, 0, "{}{}", auto.stdout, auto.stderr);
    assert!(auto.stdout.contains("native PostgreSQL"), "{}", auto.stdout);
    let embedded = validate("embedded");
    assert_eq!(embedded.code, 6, "{}", embedded.stdout);
    insta::assert_snapshot!(without_times(&embedded.stdout));
}

#[test]
fn what_a_newer_server_knows_is_recognized_as_that_and_what_none_knows_is_a_mistake() {
    let newer = folder(&[(
        "V1__a.sql",
        "CREATE TABLE t (id int4range, at tstzrange, PRIMARY KEY (id, at WITHOUT OVERLAPS));",
    )]);
    let seen = validate(newer.path(), &["--layer", "execution"]);
    assert_eq!(seen.code, 6, "{}", seen.stdout);
    assert!(seen.stdout.contains("newer Postgres"), "{}", seen.stdout);
    let wrong = folder(&[("V1__a.sql", "CREATE TABEL t (id bigint);")]);
    let seen = validate(wrong.path(), &["--layer", "execution"]);
    assert_eq!(seen.code, 5, "{}", seen.stdout);
}

#[test]
fn pipelines_get_their_shapes() {
    let dir = folder(&[("V1__a.sql", "SELECT nothing;\n")]);
    let shape = |name: &str| validate(dir.path(), &["--output", name]);
    let github = shape("github");
    assert_eq!(github.code, 5);
    assert!(
        github
            .stdout
            .starts_with("::error file=m/V1__a.sql,line=1,"),
        "{}",
        github.stdout
    );
    for name in ["sarif", "gitlab", "json"] {
        let seen = shape(name);
        let said: Value = serde_json::from_str(&seen.stdout).expect(name);
        assert!(said.to_string().contains("V1__a.sql"), "{name}");
    }
    assert!(shape("junit").stdout.starts_with("<?xml"));
}

#[test]
fn roles_that_migrations_make_on_somebodys_server_go_again_and_no_others() {
    let server = Server::own();
    server.psql("postgres", "CREATE ROLE theirs; CREATE ROLE there");
    let dir = folder(&[
        (
            "V1__a.sql",
            "CREATE ROLE app; CREATE TABLE a (id bigint); GRANT SELECT ON a TO app;\n\
             DO $$ BEGIN EXECUTE 'CREATE ' || 'ROLE reader IN ROLE app'; END $$;",
        ),
        (
            "V2__b.sql",
            "DO $$ BEGIN IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'there') THEN\n\
             CREATE ROLE there; END IF; END $$;",
        ),
    ]);
    let url = server.url("postgres");
    for _ in 0..2 {
        let seen = run(
            dir.path(),
            &["migrate", "validate", "--dir", "m", "--scratch", &url],
        );
        assert_eq!(seen.code, 0, "{}{}", seen.stdout, seen.stderr);
        let left = "SELECT string_agg(rolname, ' ' ORDER BY rolname) FROM pg_roles \
                     WHERE rolname !~ '^pg_' AND rolname <> 'postgres'";
        assert_eq!(server.psql("postgres", left), "theirs there");
    }
}

#[test]
fn a_role_that_others_may_have_made_in_that_moment_stays_and_that_is_said() {
    let server = Server::own();
    let dir = folder(&[(
        "20240101000000_role.sql",
        "-- no-transaction\nCREATE ROLE solo;\n",
    )]);
    let url = server.url("postgres");
    let args = ["migrate", "validate", "--dir", "m", "--scratch", &url];
    let args = [&args[..], &["--layer", "execution", "--format", "json"]].concat();
    let seen = run(dir.path(), &args);
    assert_eq!(seen.code, 0, "{}{}", seen.stdout, seen.stderr);
    assert_eq!(rules(&seen), ["role-stays"]);
    let there = "SELECT count(*) FROM pg_roles WHERE rolname = 'solo'";
    assert_eq!(server.psql("postgres", there), "1");
}

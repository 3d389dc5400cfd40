//! Numbers from a database, a program and a JSON answer: right ones, and every wrong one.

use super::scene::{assert_says, dry, runbook, settle, start, words};
use crate::support::fleet::Fleet;
use crate::support::prometheus::server;

fn sql(text: &str) -> String {
    format!("measure = {{ sql = {{ query = \"{text}\" }} }}\nmax = 1")
}

fn command(script: &str) -> String {
    format!(
        "measure = {{ command = {{ run = ['sh', '-c', '{script}'], timeout = '1s' }} }}\nmax = 1"
    )
}

#[test]
fn a_database_gives_one_number_or_says_why_not() {
    let (fleet, _backed) = Fleet::on(&["auth-1", "auth-2"]);
    settle(&fleet, "");
    let gates = [
        ("good", sql("SELECT count(*) FROM security.revoked_tokens")),
        ("named", sql("SELECT count(*) FROM (VALUES ('auth-1'), ('auth-2')) AS t (n) WHERE n IN ({{targets}})")),
        ("text", sql("SELECT '1'::text")),
        ("rows", sql("SELECT generate_series(7, 9)")),
        ("columns", sql("SELECT 1, 2")),
        ("null", sql("SELECT NULL::int")),
        ("nothing", sql("SELECT 1 WHERE false")),
        ("nan", sql("SELECT 'NaN'::float8")),
        ("absent", sql("SELECT count(*) FROM security.no_such_table")),
        ("writes", sql("WITH w AS (DELETE FROM security.revoked_tokens RETURNING 1) SELECT count(*) FROM w")),
        ("slow", "measure = { sql = { query = \"SELECT 1 FROM pg_catalog.pg_sleep(9)\", timeout = \"500ms\" } }\nmax = 1".to_owned()),
    ];
    let gates: Vec<(&str, &str)> = gates
        .iter()
        .map(|(id, rest)| (*id, rest.as_str()))
        .collect();
    runbook(&fleet, &gates);
    let seen = dry(&fleet);
    assert_says(
        &seen,
        5,
        &[
            "text: its column is text, not a number",
            "rows: several rows and not one: 7, 8",
            "columns: 2 columns and not one",
            "absent: relation \"security.no_such_table\" does not exist",
            "slow: it took longer than",
        ],
    );
    let all = words(&seen.stdout);
    assert!(all.contains("writes: "), "{all}");
    for fine in ["good", "named", "null", "nothing", "nan"] {
        assert!(
            !all.contains(&format!("{fine}: ")) && !all.contains(&format!("{fine} on")),
            "{fine}: {all}"
        );
    }
    // Of one target there is one row.
    let rest: Vec<(&str, &str)> = gates
        .iter()
        .filter(|(id, _)| ["good", "named", "null"].contains(id))
        .copied()
        .collect();
    runbook(&fleet, &rest);
    assert_says(
        &dry(&fleet),
        0,
        &[
            "named on production/auth-1: 1 now",
            "null: no number yet: it is NULL",
            "good: 0 now (of everything: it does not name {{targets}})",
        ],
    );
    assert_says(&start(&fleet), 12, &["null: it is NULL"]);
}

#[test]
fn a_program_prints_one_number_or_it_is_said_why_not_without_quoting_it() {
    let fleet = Fleet::local(&["auth-1", "auth-2"]);
    settle(&fleet, "");
    let gates = [
        ("text", command("echo token-hunter2")),
        ("lines", command("echo 1; echo 2")),
        ("status", command("echo 1; echo hunter2 >&2; exit 3")),
        ("slow", command("sleep 9")),
        (
            "missing",
            "measure = { command = { run = ['no-such-program'] } }\nmax = 1".to_owned(),
        ),
    ];
    let gates: Vec<(&str, &str)> = gates
        .iter()
        .map(|(id, rest)| (*id, rest.as_str()))
        .collect();
    runbook(&fleet, &gates);
    let seen = dry(&fleet);
    assert_says(
        &seen,
        5,
        &[
            "text on production/auth-1: sh printed 1 line(s) that are not one number",
            "lines on production/auth-1: sh printed 2 line(s)",
            "status on production/auth-1: sh ended with exit status: 3",
            "slow on production/auth-1: sh did not end within 1 s and was stopped",
            "missing on production/auth-1: no-such-program could not be started",
        ],
    );
    assert!(!seen.stdout.contains("hunter2") && !seen.stderr.contains("hunter2"));

    let own =
        command("test \"$DBCTL_TARGETS\" = auth-1 && test \"$DBCTL_ENV\" = production && echo 0.5");
    let own = own
        .replace("'test", "'''test")
        .replace("echo 0.5'", "echo 0.5'''");
    runbook(&fleet, &[("own", &own)]);
    assert_says(&start(&fleet), 0, &[]);
    runbook(&fleet, &[("empty", &command("true"))]);
    assert_says(&start(&fleet), 12, &["empty: sh printed nothing"]);
}

#[test]
fn a_json_answer_has_one_number_at_its_path_or_it_is_said_what_is_there() {
    let fleet = Fleet::local(&["auth-1", "auth-2"]);
    settle(&fleet, "");
    let base = server(|path, _| match path {
        "/html" => (200, "<html>hello</html>".to_owned()),
        "/gone" => (503, "{\"message\":\"not now\"}".to_owned()),
        path if path.ends_with("auth-1") => (200, "{\"errors\":0.25}".to_owned()),
        _ => (
            200,
            "{\"errors\":3,\"all\":[1,2],\"text\":\"4\",\"none\":null}".to_owned(),
        ),
    });
    let http = |at: &str, path: &str| {
        format!("measure = {{ http = {{ url = '{base}{at}', path = '{path}' }} }}\nmax = 1")
    };
    let gates = [
        ("several", http("/x", "$.all[*]")),
        ("text", http("/x", "$.text")),
        ("nowhere", http("/x", "$.erors")),
        ("html", http("/html", "$.errors")),
        ("gone", http("/gone", "$.errors")),
    ];
    let gates: Vec<(&str, &str)> = gates
        .iter()
        .map(|(id, rest)| (*id, rest.as_str()))
        .collect();
    runbook(&fleet, &gates);
    assert_says(
        &dry(&fleet),
        5,
        &[
            "several: 2 values at $.all[*] and not one, such as 1 and 2",
            "text: $.text is a text and not a number",
            "nowhere: nothing is at $.erors; at the top: errors, all, text, none",
            "html: its answer is not JSON; it begins: <html>hello</html>",
            "gone: it answered 503: not now",
        ],
    );
    runbook(&fleet, &[("errors", &http("/of/{{targets}}", "$.errors"))]);
    assert_says(&start(&fleet), 0, &[]);
    runbook(&fleet, &[("errors", &http("/x", "$.errors"))]);
    assert_says(&start(&fleet), 11, &["errors: 3 is above the limit 1"]);
}

#[test]
fn a_measure_that_cannot_be_asked_is_a_mistake_of_the_runbook() {
    let fleet = Fleet::local(&["auth-1"]);
    settle(&fleet, "");
    for (rest, why) in [
        (
            "measure = { sql = { query = 'DELETE FROM x' } }\nmax = 1",
            "read",
        ),
        (
            "measure = { sql = { query = 'SELECT 1; SELECT 2' } }\nmax = 1",
            "several statements",
        ),
        (
            "measure = { prometheus = { query = 'up{instance=~\"{{target}}\"}' } }\nmax = 1",
            "there is no placeholder `target`",
        ),
        (
            "measure = { prometheus = { bad = 'a' } }\nmax = 1",
            "lacks `total`",
        ),
        (
            "measure = { prometheus = { query = 'a', bad = 'a', total = 'b' } }\nmax = 1",
            "a `query` stands beside",
        ),
        (
            "measure = { http = { url = 'http://me:pw@x/', path = '$.a' } }\nmax = 1",
            "without a name or a password",
        ),
        (
            "measure = { http = { url = 'http://x/', path = 'a b' } }\nmax = 1",
            "is not a JSONPath",
        ),
        (
            "measure = { command = { run = [] } }\nmax = 1",
            "it names no program",
        ),
        (
            "measure = { prometheus = { query = 'up' } }\nmax = 1\nmargin = 0.1",
            "`margin` compares counts",
        ),
        (
            "measure = { burn_rate = { bad = 'a', total = 'b', objective = 0.999, budget = 0.02 } }\nmax = 1",
            "a `burn_rate` is for a trigger",
        ),
        (
            "measure = { promtheus = { query = 'up' } }\nmax = 1",
            "did you mean `prometheus`?",
        ),
    ] {
        runbook(&fleet, &[("gate", rest)]);
        let seen = fleet.run(&["runbook", "check", "watch.md"]);
        assert_says(&seen, 3, &[why]);
    }
}

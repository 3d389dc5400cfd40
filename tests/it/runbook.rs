//! Runbooks: what is read, and what is said about every kind of mistake, as golden files.

use std::fmt::Write as _;
use std::time::Duration;

use dbctl::runbook::model::{Measure, OnTrigger, Proof, Runbook, StepKind};
use serde_json::Value;

use crate::support::cli::{Seen, run};

const SHIPPED: &str = include_str!("../../runbooks/phase-1-postgres-cutover.md");

/// `dbctl runbook check` on a text.
fn check(text: &str) -> Seen {
    check_bytes(text.as_bytes(), &[])
}

fn check_bytes(text: &[u8], args: &[&str]) -> Seen {
    let dir = tempfile::tempdir().expect("a folder");
    std::fs::write(dir.path().join("book.md"), text).expect("a runbook");
    let mut all = vec!["runbook", "check", "book.md"];
    all.extend(args);
    run(dir.path(), &all)
}

/// Line, column and cause of every mistake, from the JSON.
fn mistakes(text: &str) -> Vec<(u64, u64, String)> {
    let seen = check_bytes(text.as_bytes(), &["--format", "json"]);
    assert_eq!(seen.code, 3, "{}{}", seen.stdout, seen.stderr);
    let error: Value = serde_json::from_str(&seen.stderr).expect("JSON");
    let related = error["related"].as_array().expect("a list");
    related
        .iter()
        .map(|m| {
            let place = &m["place"];
            (
                place["line"].as_u64().expect("a line"),
                place["column"].as_u64().expect("a column"),
                m["cause"].as_str().expect("a cause").to_owned(),
            )
        })
        .collect()
}

fn parsed(text: &str) -> Runbook {
    dbctl::runbook::parse("book.md".as_ref(), text).expect("no mistakes")
}

/// A step of the rollout with more keys.
fn step(id: &str, more: &str) -> String {
    format!(
        "## Step {id}\n\nSomething is done.\n\n```toml step\nid = \"{id}\"\nphase = \"one\"\nenv = \"staging\"\n{more}\n```\n\n"
    )
}

/// A fence under a heading.
fn fence(info: &str, body: &str) -> String {
    format!("## Heading\n\n```{info}\n{body}\n```\n\n")
}

const GATE: &str = "id = \"errors\"\nmeasure = { ratio = { bad = \"bad_total\", total = \"all_total\" } }\nmax = 0.01";

/// Every mistake with its golden text. A case is a name and a document.
fn broken() -> Vec<(&'static str, String)> {
    let gate = fence("toml gate", GATE);
    let no_step = fence("toml gate", GATE);
    let smoke = step("smoke", "kind = \"smoke\"");
    vec![
        ("unknown kind of step", step("a", "kind = \"tooggles\"")),
        ("unknown kind, nothing near", step("a", "kind = \"teleport\"")),
        ("unknown key", step("a", "kind = \"smoke\"\ncheks = [\"nonce\"]")),
        ("key of another kind", step("a", "kind = \"smoke\"\ngates = [\"errors\"]")),
        ("wrong types", step("a", "kind = \"bake\"\non = \"canary\"\nfor = 30\ngates = [1]") + &gate),
        ("missing keys", fence("toml step", "kind = \"command\"")),
        ("a command as one string", step("a", "kind = \"command\"\nrun = \"./deploy.sh staging\"")),
        ("two steps with one id", smoke.clone() + &smoke),
        ("an id that is no name", step("Deploy the code", "kind = \"smoke\"")),
        ("a reserved id", step("completion", "kind = \"smoke\"")),
        ("unknown gate", step("a", "kind = \"bake\"\nfor = \"30m\"\ngates = [\"errors\", \"erors\"]") + &gate),
        ("unknown query", step("a", "kind = \"verify\"\nqueries = [\"heading\", \"keys\"]") + &fence("sql", "SELECT 1")),
        ("unknown step in a criterion", smoke.clone() + &fence("toml criterion", "id = \"way-back\"\nproof = \"rehearsal\"\nstep = \"smoek\"")),
        ("a rehearsal that is none", smoke.clone() + &fence("toml criterion", "id = \"way-back\"\nproof = \"rehearsal\"\nstep = \"smoke\"")),
        ("unknown proof", smoke.clone() + &fence("toml criterion", "id = \"c\"\nproof = \"hope\"")),
        ("a gate that no bake watches", smoke.clone() + &gate + &fence("toml criterion", "id = \"c\"\nproof = \"gates\"\ngates = [\"errors\"]")),
        ("a gate that nobody watches", smoke.clone() + &gate),
        ("bad durations", step("a", "kind = \"bake\"\nfor = \"half an hour\"\ngates = [\"errors\"]") + &step("b", "kind = \"recover\"\ntimeout = \"-5s\"") + &gate),
        ("unknown toggle and values", step("a", "kind = \"toggles\"\nset = { SECURITY_NONCE_MODE = \"postgres\", SECURITY_NONCE_STORE_MODE = \"memory\", SECURITY_RUNTIME_MODE = true }")),
        ("unknown set of toggles", step("a", "kind = \"toggles\"\nset = \"postgre\"")),
        ("a phase that begins again", step("a", "kind = \"smoke\"") + &step("b", "kind = \"smoke\"").replace("\"one\"", "\"two\"") + &step("c", "kind = \"smoke\"")),
        ("a phase with two environments", step("a", "kind = \"smoke\"") + &step("b", "kind = \"smoke\"").replace("staging", "production")),
        ("no phase and no environment", fence("toml step", "id = \"a\"\nkind = \"smoke\"")),
        ("what needs Postgres in a rollback", smoke.clone() + &fence("toml step", "id = \"back\"\nkind = \"migrate\"\npart = \"rollback\"")),
        ("keys afterwards without a place", smoke.clone() + &fence("toml step", "id = \"again\"\nkind = \"keys\"\npart = \"afterwards\"")),
        ("a rollback step with a place", smoke.clone() + &fence("toml step", "id = \"back\"\nkind = \"restart\"\npart = \"rollback\"\nenv = \"production\"\nphase = \"one\"")),
        ("unknown part", step("a", "kind = \"smoke\"\npart = \"rolback\"")),
        ("no heading", "Just text.\n\n```toml step\nid = \"a\"\nkind = \"smoke\"\nphase = \"one\"\nenv = \"staging\"\n```\n".into()),
        ("a typo in the info string", fence("toml stp", "id = \"a\"")),
        ("info strings that bind nothing", fence("toml recipe", "id = \"a\"") + &fence("tml step", "id = \"a\"") + &fence("toml step now", "id = \"a\"") + &fence("TOML step", "id = \"a\"") + &fence("sql queery", "SELECT 1")),
        ("an unclosed query", smoke.clone() + "## Next\n\n```sql\nSELECT 1;\n\n## Lost heading\n\n```sql\nSELECT 2;\n```\n"),
        ("an unclosed fence", smoke.clone() + "## Next\n\n```toml step\nid = \"b\"\nkind = \"smoke\"\n\n## Lost heading\n"),
        ("a fence that is indented too far", smoke.clone() + "## Next\n\n    ```toml step\n    id = \"b\"\n    ```\n"),
        ("gates but no steps", no_step),
        ("no way back", step("a", "kind = \"toggles\"")),
        ("a way back that leaves a toggle", step("a", "kind = \"toggles\"") + &fence("toml step", "id = \"back\"\npart = \"rollback\"\nkind = \"toggles\"\nset = { SECURITY_RUNTIME_MODE = \"memory\", SECURITY_KEY_RESOLVER_MODE = \"memory\" }")),
        ("a rollback that goes forward", step("a", "kind = \"toggles\"") + &fence("toml step", "id = \"back\"\npart = \"rollback\"\nkind = \"toggles\"\nset = \"postgres\"")),
        ("a rollback without a restart", step("a", "kind = \"toggles\"") + &fence("toml step", "id = \"back\"\npart = \"rollback\"\nkind = \"toggles\"\nrestart = false")),
        ("a trigger with nothing to roll back", smoke.clone() + &fence("toml trigger", "id = \"t\"\nmeasure = { increase = { counter = \"errors_total\" } }\nabove = 0")),
        ("a bake without gates", step("a", "kind = \"bake\"\nfor = \"30m\"") + &step("b", "kind = \"bake\"\nfor = \"30m\"\ngates = []")),
        ("a bake shorter than its window", step("a", "kind = \"bake\"\nfor = \"30s\"\ngates = [\"errors\"]") + &gate),
        ("selectors that do not parse", smoke.clone() + &fence("toml gate", "id = \"g\"\nmeasure = { ratio = { bad = 'x_total{outcome=error}', total = \"rate(x_total[1m])\" } }\nmax = 0")),
        ("measures that are none", smoke.clone() + &fence("toml gate", "id = \"a\"\nmeasure = \"error rate\"\nmax = 0") + &fence("toml gate", "id = \"b\"\nmeasure = { ration = { bad = \"b\", total = \"t\" } }\nmax = 0") + &fence("toml gate", "id = \"c\"\nmeasure = { quantile = { q = 99, histogram = \"h\" } }\nmax = -1") + &fence("toml gate", "id = \"d\"\nmax = 0")),
        ("times that leave gaps", smoke.clone() + &fence("toml trigger", "id = \"t\"\nmeasure = { increase = { counter = \"c\" } }\nabove = 1\ninterval = \"2m\"\nwindow = \"1m\"\non_trigger = \"rolback\"")),
        ("an expectation without a query", fence("sql", "SELECT 1") + &fence("toml expect", "min_rows = 1")),
        ("expectations that cannot be met", fence("sql", "SELECT 1\n```\n\n```toml expect\nmin_rows = 2\nmax_rows = 1\neach_row = \"n > 0) OR (true\"\nnewest = { colum = \"at\" }") + &fence("sql", "SHOW timezone\n```\n\n```toml expect\nmin_rows = 1") + &fence("sql", "SELECT 2\n```\n\n```toml expect")),
        ("queries that are none", fence("sql", "SELECT 1;\nSELECT 2;") + &fence("sql", "  DROP TABLE x") + &fence("sql", "-- nothing") + &fence("sql", "SELECT (1") + &fence("sql", "SELECT $1") + &fence("sql", "SELECT 1 /* open")),
        ("TOML that is none", smoke.clone() + &fence("toml step", "id = \"b\"\nkind = smoke\nfor = 30m\nid = \"c\"") + &fence("toml step", "id = \"d\"\non = [\"canary\"\nkind = \"smoke\"")),
        ("unknown smoke check", step("a", "kind = \"smoke\"\nchecks = [\"issue-token\", \"revoke-tokens\"]")),
    ]
}

#[test]
fn every_kind_of_mistake_is_told_with_its_place_and_a_way_out() {
    let mut all = String::new();
    for (name, text) in broken() {
        let seen = check(&text);
        let _ = writeln!(all, "===== {name} (status {})\n{}", seen.code, seen.stderr);
        assert_eq!(seen.stdout, "", "{name}");
        assert_eq!(seen.code, 3, "{name}");
    }
    insta::assert_snapshot!(all);
}

#[test]
fn the_shipped_runbook_has_no_mistakes_and_is_shown_as_reviewed() {
    let dir = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let seen = run(
        dir,
        &["runbook", "check", "runbooks/phase-1-postgres-cutover.md"],
    );
    assert_eq!(seen.code, 0, "{}", seen.stderr);
    insta::assert_snapshot!(seen.stdout);
    let carried = dbctl::runbook::built_in().expect("no mistakes");
    assert_eq!(carried.text, SHIPPED);
}

#[test]
fn the_shipped_runbook_holds_what_was_agreed() {
    let runbook = dbctl::runbook::built_in().expect("no mistakes");
    let sql: Vec<&str> = runbook.queries.iter().map(|q| q.sql.as_str()).collect();
    assert_eq!(
        sql[..4],
        [
            "SELECT key_id, is_current, valid_from, valid_until FROM security.signing_key_versions ORDER BY valid_from DESC;",
            "SELECT token_id, revoked_at, expires_at FROM security.revoked_tokens ORDER BY revoked_at DESC LIMIT 20;",
            "SELECT node_name, nonce_scope, reserved_high, window_size, updated_at FROM security.nonce_watermarks ORDER BY updated_at DESC LIMIT 20;",
            "SELECT created_at, subject, action, allow, reason_code FROM authz.policy_decisions ORDER BY created_at DESC LIMIT 20;",
        ]
    );
    let headings: Vec<&str> = SHIPPED
        .lines()
        .filter_map(|l| l.strip_prefix("## "))
        .collect();
    assert_eq!(
        headings,
        [
            "Objective",
            "Preconditions",
            "Rollout steps",
            "Verification queries",
            "Rollback plan",
            "Toggles",
            "Completion criteria"
        ]
    );
    // Half an hour at least on the canary, and no other target.
    let bake = runbook.steps.iter().find_map(|s| match &s.kind {
        StepKind::Bake { on, duration, .. } if on == &["canary"] => Some(*duration),
        _ => None,
    });
    assert_eq!(bake, Some(Duration::from_secs(30 * 60)));
    assert_eq!(runbook.triggers.len(), 3);
    assert!(
        runbook
            .triggers
            .iter()
            .all(|t| t.on_trigger == OnTrigger::Rollback)
    );
    assert_eq!(runbook.criteria.len(), 4);
    let back: Vec<&str> = runbook.rollback.iter().map(|s| s.kind.name()).collect();
    assert_eq!(back, ["toggles", "restart", "recover", "verify"]);
}

#[test]
fn defaults_are_those_that_the_documentation_names() {
    let runbook = parsed(
        &(step("switch", "kind = \"toggles\"")
            + &step("ask", "kind = \"confirm\"")
            + &step("call", "kind = \"command\"\nrun = [\"true\"]")
            + &step(
                "watch",
                "kind = \"bake\"\nfor = \"5m\"\ngates = [\"errors\", \"count\"]",
            )
            + &fence("toml gate", GATE)
            + &fence(
                "toml gate",
                "id = \"count\"\nmeasure = { increase = { counter = \"x_total\" } }\nmax = 0",
            )
            + &fence(
                "toml trigger",
                "id = \"t\"\nmeasure = { quantile = { q = 0.5, histogram = \"h\" } }\nabove = 1",
            )
            + &fence(
                "toml step",
                "id = \"back\"\npart = \"rollback\"\nkind = \"toggles\"",
            )
            + &fence(
                "toml step",
                "id = \"recover\"\npart = \"rollback\"\nkind = \"recover\"",
            )),
    );
    insta::assert_debug_snapshot!((
        &runbook
            .steps
            .iter()
            .map(|s| (&s.kind, &s.prose))
            .collect::<Vec<_>>(),
        &runbook.rollback.iter().map(|s| &s.kind).collect::<Vec<_>>(),
        &runbook.gates,
        &runbook.triggers,
    ));
}

#[test]
fn places_are_exact_in_lists_quotations_and_files_from_windows() {
    let in_a_list = "# T\n\n1. Do it:\n\n   ```toml step\n   id = \"a\"\n   kind = \"smöke\"\n   phase = \"one\"\n   env = \"staging\"\n   ```\n";
    assert_eq!(
        mistakes(in_a_list),
        [(7, 11, "there is no kind of step called `smöke`".into())]
    );
    let quoted = "# T\n\n> ```toml step\n> id = \"a\"\n> kind = \"smoke\"\n> fase = \"one\"\n> env = \"staging\"\n> ```\n";
    assert_eq!(
        mistakes(quoted),
        [
            (3, 6, "the step lacks `phase`".into()),
            (6, 3, "the step has no key `fase`".into())
        ]
    );
    let windows = "\u{feff}".to_owned() + &in_a_list.replace('\n', "\r\n");
    assert_eq!(
        mistakes(&windows),
        [(7, 11, "there is no kind of step called `smöke`".into())]
    );
    // The mark of the byte order is no part of the first line.
    assert_eq!(
        mistakes("\u{feff}```toml stp\nid = \"a\"\n```\n"),
        [(1, 4, "`toml stp` binds nothing".into())]
    );
}

#[test]
fn a_file_from_windows_reads_like_any_other() {
    let windows = "\u{feff}".to_owned() + &SHIPPED.replace('\n', "\r\n");
    let (here, there) = (parsed(SHIPPED), parsed(&windows));
    assert_eq!(here.title, there.title);
    let ids = |r: &Runbook| r.steps.iter().map(|s| s.id.clone()).collect::<Vec<_>>();
    assert_eq!(ids(&here), ids(&there));
    let queries = |r: &Runbook| {
        r.queries
            .iter()
            .map(|q| (q.name.clone(), q.sql.clone(), q.at.line))
            .collect::<Vec<_>>()
    };
    assert_eq!(queries(&here), queries(&there));
}

#[test]
fn a_position_points_at_its_fence() {
    let runbook = parsed(SHIPPED);
    for step in runbook
        .steps
        .iter()
        .chain(&runbook.rollback)
        .chain(&runbook.afterwards)
    {
        assert!(
            runbook.text[step.at.offset..].starts_with("```toml step"),
            "{}",
            step.id
        );
        let line = runbook.text.lines().nth(step.at.line - 1).expect("a line");
        assert!(line.starts_with("```toml step"), "{}", step.id);
    }
    for query in &runbook.queries {
        assert!(
            runbook.text[query.at.offset..].starts_with(&query.sql),
            "{}",
            query.name
        );
    }
}

#[test]
fn each_step_has_the_text_that_stands_before_it() {
    let runbook = parsed(SHIPPED);
    let prose = |id: &str| {
        let step = runbook
            .steps
            .iter()
            .chain(&runbook.rollback)
            .find(|s| s.id == id);
        step.map(|s| s.prose.as_str()).unwrap_or_default()
    };
    assert!(prose("deploy-staging").starts_with("The version that can run in both modes"));
    assert!(prose("migrate-staging").starts_with("The database gets the schemas `security`"));
    assert!(prose("recover").starts_with("Tokens are issued and verified on every target"));
    // None of its own: the one of its heading.
    assert!(runbook.steps.iter().all(|s| !s.prose.is_empty()));
}

#[test]
fn what_is_only_shown_binds_nothing() {
    let runbook = parsed(
        "# Notes\n\n```toml\nid = \"an example\"\n```\n\n```toml title=\"dbctl.toml\"\nx = 1\n```\n\n```sql example\nDROP TABLE x; SELECT 1;\n```\n\n````markdown\n```toml step\nid = \"inside\"\n```\n````\n\n<!--\n```toml step\nid = \"hidden\"\n```\n-->\n\n---\n\n    ```\n    plain\n    ```\n",
    );
    assert!(runbook.steps.is_empty() && runbook.queries.is_empty());
}

#[test]
fn queries_are_named_after_the_text_before_them_and_never_twice() {
    let runbook = parsed(
        "# Checks\n\n```sql\nSELECT 0\n```\n\n## Keys (current)\n\n```sql\nSELECT 1\n```\n\n```sql\nSELECT 2\n```\n\nWhat follows is long. It says much. **Here** are `security.revoked_tokens`, the newest ones that anybody ever revoked:\n\n```sql\nSELECT 3\n```\n\n## 密钥\n\n```sql\nSELECT 4\n```\n",
    );
    let names: Vec<&str> = runbook.queries.iter().map(|q| q.name.as_str()).collect();
    assert_eq!(
        names,
        [
            "checks",
            "keys-current",
            "keys-current-2",
            "here-are-security-revoked-tokens-the-newest-ones",
            "密钥"
        ]
    );
}

#[test]
fn a_file_that_is_not_text_or_not_there_is_told_as_such() {
    let seen = check_bytes(b"# Title\n\nok \xff\n", &[]);
    assert_eq!(seen.code, 3);
    assert!(
        seen.stderr.contains("it is not UTF-8: line 3, column 4"),
        "{}",
        seen.stderr
    );
    let dir = tempfile::tempdir().expect("a folder");
    let seen = run(dir.path(), &["runbook", "check", "none.md"]);
    assert_eq!(seen.code, 3);
    assert!(
        seen.stderr.contains("dbctl runbook list"),
        "{}",
        seen.stderr
    );
}

#[test]
fn a_document_without_bindings_is_fine_and_has_nothing_to_roll_out() {
    let seen = check(&fence("sql", "SELECT 1"));
    assert_eq!(seen.code, 0, "{}", seen.stderr);
    assert!(
        seen.stdout
            .ends_with("no mistakes: 1 query, nothing to roll out\n"),
        "{}",
        seen.stdout
    );
}

#[test]
fn the_list_shows_the_folder_and_what_dbctl_carries() {
    let dir = tempfile::tempdir().expect("a folder");
    let list = || run(dir.path(), &["runbook", "list"]);
    // Without a folder there is the built-in one.
    let seen = list();
    assert_eq!(seen.code, 0, "{}", seen.stderr);
    assert!(seen.stdout.contains("built in"), "{}", seen.stdout);
    std::fs::create_dir(dir.path().join("runbooks")).expect("a folder");
    let put = |name: &str, text: &str| {
        std::fs::write(dir.path().join("runbooks").join(name), text).expect("a file");
    };
    put(
        "mine.md",
        &("# My cutover\n\n".to_owned() + &step("a", "kind = \"smoke\"")),
    );
    put("broken.md", &fence("toml stp", ""));
    put("README.md", "# Nothing for dbctl\n");
    let seen = list();
    assert_eq!(seen.code, 0, "{}", seen.stderr);
    insta::assert_snapshot!(seen.stdout);
    let seen = run(dir.path(), &["runbook", "list", "elsewhere"]);
    assert_eq!(seen.code, 3);
}

#[test]
fn the_json_holds_everything_that_was_read() {
    let seen = check_bytes(SHIPPED.as_bytes(), &["--format", "json"]);
    assert_eq!(seen.code, 0);
    let json: Value = serde_json::from_str(&seen.stdout).expect("JSON");
    assert_eq!(json["schema"], "dbctl.runbook.check/1");
    assert_eq!(json["steps"].as_array().map(Vec::len), Some(20));
    assert_eq!(
        json["rollback"][0]["kind"]["set"]["SECURITY_NONCE_STORE_MODE"],
        "file"
    );
    assert_eq!(json["gates"][0]["pass"], "<= 0.01");
}

#[test]
fn the_names_of_smoke_checks_are_those_of_the_checks() {
    let checks = dbctl::check::smoke::Check::ALL.map(|c| c.name());
    assert_eq!(dbctl::runbook::SMOKE_CHECKS, checks);
}

#[test]
fn every_example_in_the_documentation_has_no_mistakes() {
    let text = include_str!("../../docs/runbooks.md");
    let mut examples = 0;
    for part in text.split("````markdown\n").skip(1) {
        let (example, _) = part.split_once("````").expect("a closing fence");
        parsed(example);
        examples += 1;
    }
    assert!(examples >= 2, "the documentation has examples");
    // And every key that a step may have is described.
    for (kind, keys) in dbctl::runbook::STEP_KINDS {
        for word in std::iter::once(&kind).chain(keys) {
            assert!(
                text.contains(&format!("`{word}`")),
                "{word} is not described"
            );
        }
    }
}

#[test]
fn a_document_of_any_bytes_gives_an_answer_and_no_panic() {
    use proptest::prelude::*;
    // Pieces that a runbook is made of, in any order, and cuts through the shipped one.
    let pieces = prop::sample::select(vec![
        "```",
        "~~~",
        "````",
        "\n",
        "\r\n",
        "> ",
        "    ",
        "\t",
        "- ",
        "1. ",
        "# ",
        "## H\n",
        "toml step\n",
        "toml gate\n",
        "toml expect\n",
        "sql\n",
        "id = \"a\"\n",
        "kind = \"bake\"\n",
        "gates = [\"x\"]\n",
        "for = \"1m\"\n",
        "set = {",
        "}",
        "\"",
        "'''",
        "measure = { ratio = { bad = 'x{', total = 3 } }\n",
        "SELECT 1;",
        "$$",
        "/*",
        "(",
        ")",
        "ü",
        "\u{feff}",
        "\u{0}",
        "[^1]: ",
        "| a | b |\n|---|---|\n",
        "<!--",
        "-->",
        "---\n",
        "\\",
    ]);
    let mut runner = proptest::test_runner::TestRunner::new(ProptestConfig {
        cases: 512,
        failure_persistence: None,
        ..ProptestConfig::default()
    });
    runner
        .run(&prop::collection::vec(pieces, 0..40), |pieces| {
            let text = pieces.concat();
            if let Err(problem) = dbctl::runbook::parse("x.md".as_ref(), &text) {
                prop_assert!(!problem.all_related().is_empty());
                for mistake in problem.all_related() {
                    prop_assert!(mistake.line_column().is_some(), "no place: {mistake}");
                    prop_assert!(mistake.hint().is_some(), "no way out: {mistake}");
                }
            }
            Ok(())
        })
        .expect("every document is answered");
    for end in (0..SHIPPED.len())
        .step_by(97)
        .filter(|i| SHIPPED.is_char_boundary(*i))
    {
        let _ = dbctl::runbook::parse("x.md".as_ref(), &SHIPPED[..end]);
    }
}

#[test]
fn measures_and_proofs_are_read_as_written() {
    let runbook = parsed(SHIPPED);
    let gate = runbook
        .gates
        .iter()
        .find(|g| g.id == "auth-latency")
        .expect("the gate");
    assert_eq!(
        gate.measure,
        Measure::Slower {
            histogram: "auth_request_duration_seconds".into(),
            than: 0.25
        }
    );
    let trigger = runbook
        .triggers
        .iter()
        .find(|t| t.id == "verify-x-key-lookup")
        .expect("the trigger");
    assert_eq!(
        trigger.measure,
        Measure::Coincidence {
            left: "auth_verification_failures_total".into(),
            right: "auth_key_lookup_failures_total".into(),
            within: std::time::Duration::from_secs(1),
        }
    );
    let rehearsal = runbook
        .criteria
        .iter()
        .any(|c| matches!(&c.proof, Proof::Rehearsal { step } if step == "rehearse-rollback"));
    assert!(rehearsal);
}

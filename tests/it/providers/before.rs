//! What is found before a run: nothing is begun by a runbook that could not be watched.

use super::scene::{ERRORS, assert_says, dry, runbook, settle, start, words};
use crate::support::fleet::Fleet;
use crate::support::prometheus::{Prometheus, server, settings};

fn query(text: &str) -> String {
    format!("measure = {{ prometheus = {{ query = '{text}' }} }}\nmax = 1")
}

#[test]
fn each_query_that_cannot_have_an_answer_is_named_with_what_there_is() {
    let fleet = Fleet::local(&["auth-1", "auth-2"]);
    let prometheus = Prometheus::scraping(&fleet);
    settle(&fleet, &prometheus.settings());
    let typo = "measure = { ratio = { bad = 'auth_requests_total{outcom=\"error\"}', total = \"auth_requests_total\" } }\nmax = 1";
    let unknown = "measure = { increase = { counter = \"auth_requets_total\" } }\nmax = 1";
    let nobody = "measure = { ratio = { bad = 'auth_requests_total{outcome=\"error\"}', total = 'auth_requests_total{job=\"aut\"}' } }\nmax = 1";
    runbook(
        &fleet,
        &[
            ("typo", typo),
            ("unknown", unknown),
            ("nobody", nobody),
            (
                "label",
                &query("sum(auth_requests_total{instanc=~\"{{targets}}\"})"),
            ),
            (
                "value",
                &query("sum(auth_requests_total{instance=~\"{{targets}}\",op=\"isue\"})"),
            ),
            (
                "several",
                &query("rate(auth_requests_total{instance=~\"{{targets}}\"}[5s])"),
            ),
            (
                "range",
                &query("auth_requests_total{instance=~\"{{targets}}\"}[5s]"),
            ),
            (
                "grammar",
                &query("sum(auth_requests_total{instance=~\"{{targets}}\"}"),
            ),
            ("good", &query("sum(up{instance=~\"{{targets}}\"})")),
        ],
    );
    let seen = dry(&fleet);
    let wanted = [
        "typo on production/auth-1: no series of auth_requests_total has the label outcom; its labels: instance, job, op, outcome",
        "unknown on production/auth-1: production/auth-1 has no metric auth_requets_total",
        "nobody on production/auth-1: no series matches auth_requests_total{job=\"aut\"}; job has: auth",
        "label on production/auth-1: empty: no series of auth_requests_total has the label instanc",
        "value on production/auth-1: empty: no series of auth_requests_total matches op=\"isue\"; op has: issue, nonce, revoke, verify",
        "several on production/auth-1: 16 series and not one, such as {instance=",
        "range on production/auth-1: it gives samples over a range",
        "grammar on production/auth-1: Prometheus refuses it (bad_data): invalid parameter \"query\"",
    ];
    assert_says(&seen, 5, &wanted);
    assert!(!words(&seen.stdout).contains("good on"), "{}", seen.stdout);

    // And a run is not begun.
    let seen = start(&fleet);
    assert_says(&seen, 5, &["nothing was begun", "has the label outcom"]);
    assert!(
        !fleet.path().join(".dbctl/journal.db").exists() || {
            let status = fleet.run(&["rollout", "status"]);
            !status.stdout.contains("BAKING")
        }
    );
}

#[test]
fn a_value_that_no_series_has_is_pointed_out_before_the_run_since_it_may_only_be_misspelt() {
    let fleet = Fleet::local(&["auth-1", "auth-2"]);
    let prometheus = Prometheus::scraping(&fleet);
    settle(&fleet, &prometheus.settings());
    let typo = ERRORS.replace("error", "eror");
    runbook(
        &fleet,
        &[
            ("typo", &format!("measure = {typo}\nmax = 1\nmargin = 0.5")),
            ("good", &format!("measure = {ERRORS}\nmax = 1")),
        ],
    );
    let wanted = [
        "no series matches auth_requests_total{outcome=\"eror\"}; outcome has: allow, deny, error, fenced",
        "misspelt, it will never count",
    ];
    assert_says(&dry(&fleet), 0, &wanted);
    let seen = fleet.run(&["rollout", "start", "--no-input"]);
    assert_says(&seen, 10, &wanted);
    assert_says(
        &seen,
        10,
        &["warning: typo on production/auth-1, production/auth-2: no series"],
    );
    assert_eq!(
        seen.stderr.matches("warning:").count(),
        1,
        "{}",
        seen.stderr
    );
}

#[test]
fn a_query_that_looks_past_the_baking_targets_is_told_from_one_that_finds_nothing() {
    let fleet = Fleet::local(&["auth-1", "auth-2"]);
    let prometheus = Prometheus::scraping(&fleet);
    let other = fleet.with("auth-2", |i| {
        i.url().trim_start_matches("http://").to_owned()
    });
    settle(
        &fleet,
        &format!(
            "{}values = {{ auth-1 = \"canary:1\" }}\n",
            prometheus.settings()
        ),
    );
    let one = query("sum(up{instance=~\"{{targets}}\"})");
    let gate = format!("measure = {ERRORS}\nmax = 1");
    runbook(&fleet, &[("own", &one), ("errors", &gate)]);
    assert_says(
        &dry(&fleet),
        5,
        &[
            "metrics on production/auth-1: empty: no series has instance=\"canary:1\"; instance has:",
            "it has an answer for the other targets and not for these",
            &other,
        ],
    );
}

#[test]
fn a_server_that_is_no_prometheus_or_not_there_is_found_before_the_run() {
    let fleet = Fleet::local(&["auth-1"]);
    let gate = format!("measure = {ERRORS}\nmax = 1");
    runbook(&fleet, &[("errors", &gate)]);
    let file = fleet.settings_file();
    let plain = std::fs::read_to_string(&file).expect("settings");
    let html = |_: &str, _: &_| (200, "<!DOCTYPE html>\n<title>Log in</title>".to_owned());
    let bad_gateway = |_: &str, _: &_| (502, "<html><h1>Bad Gateway</h1>".to_owned());
    let cases = [
        (
            server(html),
            "the answer (200) is not Prometheus's; it begins: <!DOCTYPE html>",
        ),
        (
            server(bad_gateway),
            "the answer (502) is not Prometheus's; it begins: <html>",
        ),
        (
            server(|_, _| (200, "{\"ok\":true}".to_owned())),
            "the answer (200) is not Prometheus's: missing field `status`",
        ),
        ("http://127.0.0.1:9".to_owned(), "Prometheus: no connection"),
    ];
    for (url, why) in cases {
        std::fs::write(&file, &plain).expect("written");
        settle(&fleet, &settings(&url));
        assert_says(&start(&fleet), 4, &[why, "nothing was begun"]);
    }
}

#[test]
fn the_token_for_prometheus_comes_from_a_private_file_and_is_never_shown() {
    use std::os::unix::fs::PermissionsExt as _;
    let fleet = Fleet::local(&["auth-1"]);
    let gate = format!("measure = {ERRORS}\nmax = 1");
    runbook(&fleet, &[("errors", &gate)]);
    let url =
        server(
            |_, headers| match headers.get("authorization").and_then(|v| v.to_str().ok()) {
                Some("Bearer open-sesame") => (
                    422,
                    "{\"status\":\"error\",\"errorType\":\"execution\",\"error\":\"let in\"}"
                        .to_owned(),
                ),
                _ => (401, "no".to_owned()),
            },
        );
    settle(
        &fleet,
        &format!("{}token_file = \"token\"\n", settings(&url)),
    );
    let token = fleet.path().join("token");
    std::fs::write(&token, "open-sesame\n").expect("written");
    let mode = |mode| std::fs::set_permissions(&token, std::fs::Permissions::from_mode(mode));
    mode(0o644).expect("its mode");
    let open = start(&fleet);
    assert_eq!(open.code, 3, "{}", open.stderr);
    mode(0o600).expect("its mode");
    let private = start(&fleet);
    assert_says(&private, 4, &["Prometheus refuses it (execution): let in"]);
    for seen in [open, private] {
        assert!(!seen.stderr.contains("sesame") && !seen.stdout.contains("sesame"));
    }
}

#[test]
fn a_warning_of_prometheus_means_that_not_everything_was_seen() {
    let fleet = Fleet::local(&["auth-1"]);
    let gate = format!("measure = {ERRORS}\nmax = 1");
    runbook(&fleet, &[("errors", &gate)]);
    let partial = "{\"status\":\"success\",\"data\":{\"resultType\":\"matrix\",\"result\":[]},\"warnings\":[\"a store is gone\"]}";
    settle(
        &fleet,
        &settings(&server(move |_, _| (200, partial.to_owned()))),
    );
    assert_says(
        &start(&fleet),
        4,
        &["Prometheus warns, so this is not all: a store is gone"],
    );
}

#[test]
fn the_settings_of_the_metrics_are_checked_when_they_are_read() {
    let fleet = Fleet::local(&["auth-1"]);
    runbook(
        &fleet,
        &[("errors", &format!("measure = {ERRORS}\nmax = 1"))],
    );
    let file = fleet.settings_file();
    let plain = std::fs::read_to_string(&file).expect("settings");
    for (more, why) in [
        (
            "values = { auth-9 = \"x\" }\n",
            "metrics.values names `auth-9`, which is no target",
        ),
        (
            "label = \"pod name\"\n",
            "`pod name` is not the name of a label",
        ),
        ("lable = \"pod\"\n", "unknown field `lable`"),
    ] {
        std::fs::write(&file, &plain).expect("written");
        settle(&fleet, &format!("{}{more}", settings("http://127.0.0.1:9")));
        assert_says(&dry(&fleet), 3, &[why]);
    }
    std::fs::write(&file, &plain).expect("written");
    settle(&fleet, &settings("http://me:secret@127.0.0.1:9"));
    let seen = dry(&fleet);
    assert_says(&seen, 3, &["holds a name or a password"]);
    assert!(!seen.stderr.contains("secret"), "{}", seen.stderr);
}

#[test]
fn only_what_is_not_there_yet_may_come_with_a_program_before_the_bake() {
    let fleet = Fleet::local(&["auth-1", "auth-2"]);
    let prometheus = Prometheus::scraping(&fleet);
    settle(&fleet, &prometheus.settings());
    let unknown = "measure = { increase = { counter = \"auth_of_tomorrow_total\" } }\nmax = 1";
    let empty = query("sum(auth_of_tomorrow_total{instance=~\"{{targets}}\"})");
    let label = "measure = { ratio = { bad = 'auth_requests_total{outcom=\"error\"}', total = \"auth_requests_total\" } }\nmax = 1";
    let grammar = query("sum(auth_requests_total{instance=~\"{{targets}}\"}");
    let several = query("rate(auth_requests_total{instance=~\"{{targets}}\"}[5s])");
    let with_program = |gates: &[(&str, &str)]| {
        runbook(&fleet, gates);
        let file = fleet.path().join("watch.md");
        let text = std::fs::read_to_string(&file).expect("the runbook");
        let program = "## Deploy\n\n```toml step\nid = \"deploy\"\nkind = \"command\"\n\
                       phase = \"canary\"\nenv = \"production\"\nrun = [\"true\"]\n```\n\n## Bake";
        std::fs::write(&file, text.replacen("## Bake", program, 1)).expect("written");
    };
    let excused = [
        "unknown on production/auth-1: production/auth-1 has no metric auth_of_tomorrow_total",
        "empty on production/auth-1: empty: ",
    ];
    with_program(&[
        ("unknown", unknown),
        ("empty", &empty),
        ("label", label),
        ("grammar", &grammar),
        ("several", &several),
    ]);
    let refused = start(&fleet);
    let wrong = [
        "nothing was begun",
        "label on production/auth-1: no series of auth_requests_total has the label outcom",
        "grammar on production/auth-1: Prometheus refuses it (bad_data)",
        "several on production/auth-1: 16 series and not one",
    ];
    assert_says(&refused, 5, &wrong);
    let all = words(&refused.stderr);
    assert!(!all.contains("has no metric auth_of_tomorrow"), "{all}");
    assert_says(&dry(&fleet), 5, &wrong[1..]);

    with_program(&[("unknown", unknown), ("empty", &empty)]);
    let seen = start(&fleet);
    assert_says(&seen, 12, &["step deploy may bring it along"]);
    for what in excused {
        assert_says(&seen, 12, &[&format!("not checked: {what}")]);
    }
    let looked = dry(&fleet);
    assert_says(
        &looked,
        0,
        &["unknown on production/auth-1: not known before deploy"],
    );
}

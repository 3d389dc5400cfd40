//! All layers together: a guess gives way to what was observed, and what could not be judged is
//! said.

use std::collections::BTreeSet;
use std::sync::Arc;

use dbctl::migrate::conventions::{Convention, Migration, Reading, Script, Version};
use dbctl::migrate::finding::{Finding, Layer, Level};
use dbctl::migrate::layers::{Judged, Wanted, judge};
use dbctl::migrate::lint::Rules;
use dbctl::migrate::trial::Place;
use dbctl::pg::scratch::Choice;
use tokio_util::sync::CancellationToken;

use super::trial::{BEFORE, BEFORE_ROWS, ON_ROWS, PAIRS, tried_at};
use crate::support::postgres::Server;
use crate::support::stores::database;

fn script(path: String, text: &str) -> Script {
    Script {
        path,
        text: Arc::from(text),
        range: 0..text.len(),
        transaction: true,
    }
}

/// Up and down parts, numbered from 1.
fn reading(texts: &[(&str, Option<&str>)]) -> Reading {
    let numbered = (1_u64..).zip(texts);
    let migrations = numbered.map(|(n, (up, down))| Migration {
        version: Some(Version {
            written: n.to_string(),
            parts: vec![n],
        }),
        name: "change".into(),
        up: script(format!("{n}.up.sql"), up),
        down: down.map(|down| script(format!("{n}.down.sql"), down)),
        verify: None,
    });
    Reading {
        convention: Convention::GolangMigrate,
        because: "the test says so".into(),
        migrations: migrations.collect(),
        findings: Vec::new(),
    }
}

const ALL: [Layer; 5] = [
    Layer::Files,
    Layer::Lint,
    Layer::Execution,
    Layer::Down,
    Layer::Again,
];

async fn judged(reading: &Reading, layers: &[Layer]) -> Judged {
    let server = Server::get();
    let scratch = Choice::Url(server.url("postgres"));
    let rules = Rules::default();
    let wanted = Wanted {
        layers: layers.iter().copied().collect::<BTreeSet<_>>(),
        from: 0,
        rows: 3,
        seed: None,
        session: &[],
        rules: &rules,
        place: Place {
            scratch: &scratch,
            pg_bin: None,
            cancel: &CancellationToken::new(),
        },
        on: &|_| {},
    };
    judge(reading, &wanted).await.expect("it can be judged")
}

/// The rules that were named in the second file, but for those of style.
fn named(findings: &[Finding]) -> String {
    let of_second = findings.iter().filter(|f| {
        let file = f.file.as_deref().unwrap_or_default();
        file.trim_start_matches('0').starts_with('2')
    });
    let mut rules: Vec<&str> = of_second.map(|f| &*f.rule).collect();
    rules.retain(|rule| !rule.starts_with("prefer-"));
    rules.dedup();
    match rules.as_slice() {
        [] => "-".to_owned(),
        rules => rules.join(", "),
    }
}

/// For each classic outage: what the text alone tells, what an empty database does, and one with rows.
#[tokio::test(flavor = "multi_thread")]
async fn which_layer_catches_which_outage() {
    let of_locks = PAIRS.iter().map(|(_, text, _)| (BEFORE, *text));
    let of_rows = ON_ROWS.iter().map(|(text, _)| (BEFORE_ROWS, *text));
    let db = Server::get().fresh_database();
    let database = database(&db.url);
    let mut table = String::new();
    let mut counts = [0; 4];
    for (before, text) in of_locks.chain(of_rows) {
        let mut all = reading(&[(before, None), (text.trim_start_matches('!'), None)]);
        all.migrations[1].up.transaction = !text.starts_with('!');
        let lint = named(&judged(&all, &[Layer::Lint]).await.findings);
        let empty = named(&tried_at(&database, &[before, text], 0).await.findings);
        let rows = named(&tried_at(&database, &[before, text], 3).await.findings);
        for (count, said) in counts.iter_mut().zip([&lint, &empty, &rows]) {
            *count += usize::from(said != "-");
        }
        counts[3] += usize::from(lint != "-" || rows != "-");
        let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
        table += &format!("{text}\n  lint: {lint}\n  empty: {empty}\n  rows: {rows}\n");
    }
    let [lint, empty, rows, any] = counts;
    let all = PAIRS.len() + ON_ROWS.len();
    assert_eq!(any, all, "{table}");
    table += &format!(
        "of {all}: lint {lint}, execution on empty tables {empty}, on tables with rows {rows}, together {any}\n"
    );
    database.pool().close().await;
    insta::assert_snapshot!(table);
}

fn rules(judged: &Judged) -> Vec<(&str, Layer)> {
    let found = judged.findings.iter();
    found.map(|f| (&*f.rule, f.layer)).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_guess_that_is_wrong_is_not_told_and_one_that_is_right_gives_its_advice() {
    let texts = [
        (
            "CREATE TABLE public.orders (id bigint PRIMARY KEY, b varchar(10), c text);",
            None,
        ),
        (
            "ALTER TABLE public.orders ALTER COLUMN b TYPE varchar(20);",
            None,
        ),
        (
            "ALTER TABLE public.orders ALTER COLUMN c TYPE varchar(200);",
            None,
        ),
        ("CREATE INDEX orders_b ON public.orders (b);", None),
    ];
    let reading = reading(&texts);
    let guessed = judged(&reading, &[Layer::Lint]).await;
    let guesses = rules(&guessed);
    assert!(
        guesses
            .iter()
            .filter(|g| g.0 == "changing-column-type")
            .count()
            == 2,
        "{guesses:?}"
    );
    let all = judged(&reading, &ALL).await;
    assert_eq!(all.ran, 4);
    assert_eq!(
        rules(&all)
            .iter()
            .filter(|(_, layer)| *layer == Layer::Execution)
            .collect::<Vec<_>>(),
        [
            &("rewrites-table", Layer::Execution),
            &("builds-index-while-blocking", Layer::Execution)
        ],
        "{:#?}",
        all.findings
    );
    let told = rules(&all);
    assert!(
        told.iter().all(|(rule, _)| *rule != "changing-column-type"),
        "{told:?}"
    );
    let index = all
        .findings
        .iter()
        .find(|f| f.rule == "builds-index-while-blocking");
    let next = index.and_then(|f| f.next.as_deref()).expect("a way around");
    assert!(next.contains("CONCURRENTLY"), "{next}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_comes_after_a_failure_is_not_judged_and_that_is_said() {
    let texts = [
        ("CREATE TABLE public.t (n bigint);", None),
        ("ALTER TABLE public.u ADD COLUMN m bigint;", None),
        ("ALTER TABLE public.t ADD COLUMN m bigint;", None),
    ];
    let all = judged(&reading(&texts), &ALL).await;
    assert_eq!(all.ran, 1);
    assert!(rules(&all).contains(&("fails", Layer::Execution)));
    let said: Vec<&str> = all.unjudged.iter().map(|u| u.message.as_str()).collect();
    assert_eq!(said, ["1 migration was not run, since 2.up.sql failed"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn files_that_are_wrong_are_not_run() {
    let mut wrong = reading(&[("CREATE TABLE public.t (n bigint);", None)]);
    let finding = Finding::new(
        Layer::Files,
        "duplicate-version",
        Level::Error,
        "two of one version",
    );
    wrong.findings.push(finding);
    let all = judged(&wrong, &ALL).await;
    assert_eq!((all.ran, all.server.is_none()), (0, true));
    assert_eq!(rules(&all), [("duplicate-version", Layer::Files)]);
    let layers: Vec<Layer> = all.unjudged.iter().map(|u| u.layer).collect();
    assert_eq!(layers, [Layer::Execution]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_down_part_that_takes_nothing_back_is_found_and_so_is_what_chance_decides() {
    let down = [
        (
            "CREATE TABLE public.t (n bigint);",
            Some("DROP TABLE public.t;"),
        ),
        (
            "ALTER TABLE public.t ADD COLUMN IF NOT EXISTS m bigint;",
            Some("SELECT 1;"),
        ),
    ];
    let all = judged(&reading(&down), &ALL).await;
    let told = rules(&all);
    assert!(
        told.contains(&("down-leaves-something", Layer::Down)),
        "{told:?}"
    );
    let chance = "DO $$ BEGIN EXECUTE format('CREATE TABLE public.%I (n bigint)', \
                  't_' || md5(clock_timestamp()::text)); END $$;";
    let all = judged(&reading(&[(chance, None)]), &ALL).await;
    assert_eq!(rules(&all), [("not-the-same-twice", Layer::Again)]);
}

//! All layers together: a guess gives way to what was observed, and what could not be judged is
//! said.

use std::collections::BTreeSet;
use std::sync::Arc;

use dbctl::migrate::conventions::{Convention, Migration, Reading, Script, Version};
use dbctl::migrate::finding::{Finding, Layer, Level};
use dbctl::migrate::layers::{Judged, Wanted, judge};
use dbctl::migrate::lint::Rules;
use dbctl::pg::scratch::Choice;

use crate::support::postgres::Server;

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
        scratch: &scratch,
        pg_bin: None,
        on: &|_| {},
    };
    judge(reading, &wanted).await.expect("it can be judged")
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

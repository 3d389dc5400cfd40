//! The report's page in a real browser, as a reader sees it.

use std::path::{Path, PathBuf};

use crate::support::browser::Browser;
use crate::support::cli::run;
use crate::support::programs::block;
use crate::support::story;

const PHONE: (u32, u32) = (390, 844);
const DESKTOP: (u32, u32) = (1280, 900);

const SECTIONS: [&str; 10] = [
    "timeline",
    "steps",
    "approvals",
    "gates",
    "triggers",
    "toggles",
    "queries",
    "smoke",
    "criteria",
    "people",
];

fn written(dir: &Path, name: &str) -> PathBuf {
    let file = dir.join(format!("{name}.html"));
    let made = run(
        dir,
        &["rollout", "report", "--out", file.to_str().expect("UTF-8")],
    );
    assert_eq!(made.code, 0, "{}", made.stderr);
    file
}

/// Opens a report everywhere and checks what holds for every one. Pictures go to the folder that
/// the variable `REPORT_SHOTS` names, to be looked at.
fn looks_right(browser: &mut Browser, file: &Path) {
    let name = file
        .file_stem()
        .expect("a name")
        .to_string_lossy()
        .into_owned();
    for (width, size) in [("phone", PHONE), ("desktop", DESKTOP)] {
        for scheme in ["light", "dark"] {
            browser.open(file, size, scheme);
            let at = format!("{name} {width} {scheme}");
            assert_eq!(
                browser.requests,
                [format!("file://{}", file.display())],
                "{at}"
            );
            let overflow = browser.eval(WIDER_THAN_THE_PAGE);
            assert_eq!(overflow, serde_json::json!([]), "{at}");
            for section in SECTIONS {
                let there =
                    format!("document.querySelector('#{section} h2')?.innerText.length > 0");
                assert_eq!(browser.eval(&there), true, "{at}: {section}");
            }
            let ground = browser.eval("getComputedStyle(document.body).backgroundColor");
            let dark = ground.as_str().expect("a colour").starts_with("rgb(19,");
            assert_eq!(dark, scheme == "dark", "{at}: {ground}");
            keep(
                &format!("{name}-{width}-{scheme}.png"),
                &browser.screenshot(),
            );
        }
    }
    let pdf = browser.pdf();
    assert!(pdf.starts_with(b"%PDF"), "{name}");
    keep(&format!("{name}.pdf"), &pdf);
}

fn keep(name: &str, bytes: &[u8]) {
    if let Some(folder) = std::env::var_os("REPORT_SHOTS") {
        std::fs::write(Path::new(&folder).join(name), bytes).expect("written");
    }
}

/// What stands out of the page to the right: a reader would have to scroll sideways.
const WIDER_THAN_THE_PAGE: &str = "(() => {
    const width = document.documentElement.clientWidth;
    if (document.documentElement.scrollWidth <= width) return [];
    return [...document.querySelectorAll('body *')]
        .filter(e => e.getBoundingClientRect().right > width + 1)
        .slice(0, 5).map(e => e.tagName + '.' + e.className + ': ' + e.textContent.slice(0, 60));
})()";

/// Every gate of the run has a plot, which says what it is.
fn plots(browser: &mut Browser) -> Vec<String> {
    let titles =
        browser.eval("[...document.querySelectorAll('svg.plot > title')].map(t => t.textContent)");
    serde_json::from_value(titles).expect("texts")
}

fn text(browser: &mut Browser, of: &str) -> String {
    let text = browser.eval(&format!("document.querySelector('{of}').textContent"));
    text.as_str().expect("a text").to_owned()
}

#[test]
fn a_completed_run_is_read_on_a_phone_and_on_a_desk_in_light_and_dark_and_on_paper() {
    let dir = tempfile::tempdir().expect("a folder");
    block(story::completed(dir.path()));
    let file = written(dir.path(), "completed");
    let mut browser = Browser::start();
    looks_right(&mut browser, &file);
    let titles = plots(&mut browser);
    for gate in ["auth-errors", "auth-latency", "nonce-errors"] {
        for bake in ["bake-canary", "bake-production"] {
            let title = format!("Gate {gate} in {bake}");
            assert!(titles.contains(&title), "{titles:?}");
        }
    }
    assert!(text(&mut browser, "header").contains("completed"));
    let none = browser.eval("document.querySelector('#post-mortem')");
    assert!(none.is_null());
    let passed = "[...document.querySelectorAll('#criteria td .v')].every(v => v.innerText.includes('pass'))";
    assert_eq!(browser.eval(passed), true);
}

#[test]
fn a_run_in_progress_says_as_of_when_and_shows_the_time_that_nobody_watched() {
    let dir = tempfile::tempdir().expect("a folder");
    block(story::running(dir.path()));
    let file = written(dir.path(), "running");
    let mut browser = Browser::start();
    looks_right(&mut browser, &file);
    assert!(text(&mut browser, "header").contains("As of 2"));
    // Five minutes without a driver, and all the time since the last look.
    let gaps = "[...document.querySelectorAll('#gates figure:first-of-type rect[fill=\"url(#unseen)\"] title')]
        .map(t => t.textContent)";
    let gaps: Vec<String> = serde_json::from_value(browser.eval(gaps)).expect("texts");
    assert!(
        gaps.contains(&"nobody looked for 5m 05s".to_owned()),
        "{gaps:?}"
    );
    // What was not measured draws no line: the gate without data has one piece more than gaps make.
    let pieces = "(id) => [...document.querySelectorAll('#gates figure')]
        .find(f => f.querySelector('strong').textContent == id)
        .querySelector('svg.plot').querySelectorAll('polyline.value').length";
    let of =
        |browser: &mut Browser, id: &str| browser.eval(&format!("({pieces})('{id}')")).as_u64();
    assert_eq!(of(&mut browser, "auth-errors"), Some(2));
    assert_eq!(of(&mut browser, "auth-latency"), Some(3));
    let partly = "[...document.querySelectorAll('#gates figure rect[fill=\"url(#unseen)\"] title')]
        .filter(t => t.textContent.startsWith('only a part')).length";
    assert!(browser.eval(partly).as_u64().is_some_and(|n| n > 0));
    let people = text(&mut browser, "#people");
    assert!(
        people.contains("claims to be the night shift (not checked)"),
        "{people}"
    );
    assert!(
        people.contains("the journal was on the laptop of Kim"),
        "{people}"
    );
}

#[test]
fn a_rolled_back_run_begins_with_what_started_it_and_the_first_sign_before() {
    let dir = tempfile::tempdir().expect("a folder");
    block(story::rolled_back(dir.path()));
    let file = written(dir.path(), "rolled-back");
    let mut browser = Browser::start();
    looks_right(&mut browser, &file);
    let mortem = text(&mut browser, "#post-mortem");
    for told in [
        "Trigger: auth-failures: 6.98 % on production/auth-1",
        "47s before the rollback: log of production/auth-1 ! error: ERROR nonce store: the pool",
        "gate auth-errors? inconclusive",
        "the rollback began",
        "authentication worked again",
        "019ab3c4-77e1-7d1c-8f00-5b1f6f0e2d12",
        "connection refused",
        "019ab3c4-77e1-7d1c-8f00-5b1f6f0e2d11",
        "Impact",
        "Cause",
        "Follow-ups",
    ] {
        assert!(mortem.contains(told), "{told}: {mortem}");
    }
    let logs = text(&mut browser, "#logs");
    assert!(
        logs.contains("214 lines of trouble, 2 of them kept"),
        "{logs}"
    );
    let evidence = "Gate auth-errors: evidence of harm in bake-canary".to_owned();
    assert!(plots(&mut browser).contains(&evidence));
    let fails = browser.eval("document.querySelectorAll('svg.strip rect.fail').length");
    assert!(fails.as_u64().is_some_and(|n| n > 0), "{fails}");
}

#[test]
fn hostile_text_is_text_and_neither_runs_nor_widens_the_page() {
    let dir = tempfile::tempdir().expect("a folder");
    block(story::hostile(dir.path()));
    let file = written(dir.path(), "hostile");
    let mut browser = Browser::start();
    looks_right(&mut browser, &file);
    let title = browser.eval("document.title");
    assert!(
        title.as_str().expect("a title").starts_with("Run "),
        "{title}"
    );
    let foreign = "document.querySelectorAll('script, img, iframe, link, object, embed').length";
    assert_eq!(browser.eval(foreign), 0);
    let shown = text(&mut browser, "#people");
    assert!(
        shown.contains("</td></script><script>document.title='taken'</script>"),
        "{shown}"
    );
    assert!(
        shown.contains(r"\u{1b}[31mred\u{1b}[0m \u{202e}turned"),
        "{shown}"
    );
    let html = std::fs::read_to_string(&file).expect("the report");
    assert!(!html.contains(['\u{1b}', '\u{202e}', '\0']));
    let json = run(dir.path(), &["--format", "json", "rollout", "report"]);
    assert_eq!(json.code, 0, "{}", json.stderr);
    assert!(!json.stdout.contains('\u{1b}'));
    let facts: serde_json::Value = serde_json::from_str(&json.stdout).expect("JSON");
    assert_eq!(facts["remarks"]["items"][0]["claim"], story::HOSTILE);
}

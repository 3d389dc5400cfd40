//! Ready-made triggers: failures that coincide, and budgets that burn.

use std::time::Duration;

use dbctl::check::gates::TriggerState;
use dbctl::check::metrics::Status;
use dbctl::runbook::model::{BurnRate, Measure, Trigger};

use super::scene::{Scene, near, requests, trigger};

const DAY: u64 = 24 * 3600;

fn coincidence() -> Measure {
    Measure::Coincidence {
        left: "verify_failed_total".into(),
        right: "lookup_failed_total".into(),
        within: Duration::from_secs(1),
    }
}

/// Twelve seconds of one failed verification a second, and what is added in one of them.
async fn seconds(scene: &mut Scene, at: u32, (verify, lookup): (u32, u32)) {
    for i in 0..12 {
        let later = u32::from(i >= at);
        let text = format!(
            "verify_failed_total {}\nlookup_failed_total {}\n",
            i + later * verify,
            later * lookup
        );
        scene.script.says("a", &text);
        scene.sample().await;
    }
}

#[tokio::test]
async fn failures_coincide_when_there_are_more_of_them_near_a_failed_look_up_than_by_chance() {
    // Verifications that fail in the very second count, less what fails in every second anyway.
    let mut scene = Scene::new(&coincidence());
    seconds(&mut scene, 6, (20, 3)).await;
    let m = scene.measure(&coincidence(), 10);
    assert!(near(m.value.expect("a value"), 20.0), "{m:?}");
    assert_eq!(
        m.why,
        "30 of verify_failed_total, 23 of them within 1s of 3 of lookup_failed_total, 3.0 by chance"
    );
    let fired = scene
        .watch
        .judge_trigger(&trigger(coincidence(), 10.0, 0), &["a"], scene.now);
    assert_eq!(fired.state, TriggerState::Fired);
    assert!(fired.why.contains("23 of them within 1s"), "{}", fired.why);

    // One failed look-up among failures that are always there is no coincidence.
    let mut scene = Scene::new(&coincidence());
    seconds(&mut scene, 6, (0, 1)).await;
    let m = scene.measure(&coincidence(), 10);
    assert!(near(m.value.expect("a value"), 0.0), "{m:?}");

    // Nor are many failures without one, nor failed look-ups at another time.
    for (verify, lookup) in [(500, 0), (0, 500)] {
        let mut scene = Scene::new(&coincidence());
        seconds(&mut scene, 6, (verify, lookup)).await;
        let m = scene.measure(&coincidence(), 10);
        assert!(m.value.expect("a value") < 1.0, "{m:?}");
    }
}

#[tokio::test]
async fn where_every_look_up_fails_every_failed_verification_counts() {
    let mut scene = Scene::new(&coincidence());
    scene
        .play("a", 12, |i| {
            format!("verify_failed_total {}\nlookup_failed_total {i}\n", 4 * i)
        })
        .await;
    assert_eq!(scene.measure(&coincidence(), 10).value, Some(40.0));
}

fn burn() -> BurnRate {
    BurnRate {
        bad: "requests_total{code=~\"5..\"}".into(),
        total: "requests_total".into(),
        objective: 0.999,
        budget: 0.02,
        period: Duration::from_secs(30 * DAY),
    }
}

#[test]
fn the_limit_of_a_burn_rate_comes_from_budget_and_period() {
    // The Site Reliability Workbook, chapter 5, table 5-8: for 30 days.
    for (budget, hours, factor) in [(0.02, 1, 14.4), (0.05, 6, 6.0), (0.1, 72, 1.0)] {
        let burn = BurnRate { budget, ..burn() };
        let of = burn.factor(Duration::from_secs(hours * 3600));
        assert!(near(of, factor), "{budget} in {hours} h: {of}");
    }
    let four_weeks = BurnRate {
        period: Duration::from_secs(28 * DAY),
        ..burn()
    };
    assert!(near(four_weeks.factor(Duration::from_secs(3600)), 13.44));
    // 1 of 70 is 14.3 times what is allowed, 1 of 69 is 14.5 times.
    assert_eq!(burn().enough(Duration::from_secs(3600)), 70);
}

#[tokio::test]
async fn a_budget_burns_only_while_both_windows_say_so() {
    let measure = Measure::BurnRate(burn());
    let trigger = |min_samples| Trigger {
        window: Duration::from_secs(24),
        ..trigger(measure.clone(), 14.4, min_samples)
    };
    // 5 % of requests fail: 50 times what is allowed.
    let mut scene = Scene::new(&measure);
    scene.play("a", 26, |i| requests(95 * i, 5 * i)).await;
    let burning = scene.watch.judge_trigger(&trigger(70), &["a"], scene.now);
    assert_eq!(burning.state, TriggerState::Fired, "{burning:?}");
    assert_eq!(
        burning.why,
        "50 times on a in 24 s (limit 14.4 times): 50.0 times as fast as it may over 24s, 50.0 over the last 2s"
    );
    // It stopped: the long window still remembers, the short one does not.
    scene
        .play("a", 4, |i| requests(2470 + 100 * (i + 1), 130))
        .await;
    let stopped = scene.watch.judge_trigger(&trigger(70), &["a"], scene.now);
    assert_eq!(stopped.state, TriggerState::Quiet, "{stopped:?}");
    // Too little traffic to say: one bad request of a few is no alarm, and no all-clear.
    let mut scene = Scene::new(&measure);
    scene
        .play("a", 26, |i| requests(i, u32::from(i > 24)))
        .await;
    let few = scene.watch.judge_trigger(&trigger(70), &["a"], scene.now);
    assert_eq!(few.state, TriggerState::Unknown, "{few:?}");
    assert!(few.why.contains("of at least 70 requests"), "{}", few.why);
    // No traffic in the short window is no all-clear either.
    let mut scene = Scene::new(&measure);
    scene
        .play("a", 26, |i| requests(95 * i.min(20), 5 * i.min(20)))
        .await;
    let m = scene.measure(&measure, 24);
    assert_eq!(m.status, Status::Inconclusive, "{m:?}");
}

/// A runbook with one step and this trigger.
fn with_trigger(binding: &str) -> dbctl::error::Result<dbctl::runbook::model::Runbook> {
    let text = format!(
        "# Watch\n\n## Check\n\n```toml step\nid = \"ask\"\nkind = \"confirm\"\nphase = \"p\"\nenv = \"e\"\n```\n\n\
         ## Budget\n\n```toml trigger\nid = \"budget\"\non_trigger = \"pause\"\n{binding}\n```\n"
    );
    dbctl::runbook::parse(std::path::Path::new("watch.md"), &text)
}

#[test]
fn a_runbook_gives_the_budget_and_not_the_limit() {
    let measure = "measure = { burn_rate = { bad = 'bad_total', total = 'all_total', objective = 0.999, budget = 0.02, period = '30d' } }";
    let runbook = with_trigger(&format!("{measure}\nwindow = \"1h\"")).expect("a runbook");
    let trigger = &runbook.triggers[0];
    assert!(near(trigger.above, 14.4), "{}", trigger.above);
    assert_eq!(trigger.min_samples, 70);
    let json = serde_json::to_string(trigger).expect("plain data");
    let back: Trigger = serde_json::from_str(&json).expect("the same");
    assert_eq!(back.measure, trigger.measure);
    let loose = measure.replace("0.999", "0.9");
    for (binding, why) in [
        (measure.to_owned(), "lacks `window`"),
        (
            format!("{measure}\nwindow = \"1h\"\nabove = 3"),
            "whose limit its budget gives",
        ),
        (
            format!("{measure}\nwindow = \"1m\""),
            "has no room for two looks",
        ),
        (format!("{loose}\nwindow = \"1h\""), "it can never fire"),
        (
            format!("{}\nwindow = \"1h\"", measure.replace("0.02", "2")),
            "lies between 0 and 1",
        ),
    ] {
        let problem = with_trigger(&binding).expect_err(&binding);
        let all: Vec<String> = std::iter::once(problem.to_string())
            .chain(problem.all_related().iter().map(ToString::to_string))
            .collect();
        assert!(all.iter().any(|p| p.contains(why)), "{why}: {all:?}");
    }
}

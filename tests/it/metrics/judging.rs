//! Gates and triggers.

use dbctl::check::Verdict;
use dbctl::check::gates::{
    Arms, Counted, Deciding, GateReading, Reach, SoFar, Totals, TriggerState, required, traffic,
};
use dbctl::check::metrics::Measurement;
use dbctl::check::statistics::{newcombe, stratified};
use dbctl::runbook::model::{Gate, Measure, OnTrigger, Thresholds};
use jiff::Timestamp;

use super::scene::{Scene, at_the_end, errors, gate, nothing, requests, trigger};

#[tokio::test]
async fn a_gate_passes_only_once_its_window_is_observed_and_fails_at_once() {
    let gate = gate(errors(), 0.05, None);
    let mut scene = Scene::new(&errors());
    scene.play("a", 6, |i| requests(100 * i, i)).await;
    let early = scene.judge(&gate, &[]);
    assert_eq!(
        (early.verdict, early.warming),
        (Verdict::Inconclusive, true)
    );
    assert!(
        early.why.contains("so far, over 5 s of 10 s"),
        "{}",
        early.why
    );
    scene.play("a", 6, |i| requests(600 + 100 * i, 6 + i)).await;
    let full = scene.judge(&gate, &[]);
    assert_eq!(full.verdict, Verdict::Pass, "{full:?}");
    assert_eq!(full.why, "0.99 %, at most 5 %");

    let mut scene = Scene::new(&errors());
    scene.play("a", 3, |i| requests(100 * i, 20 * i)).await;
    let bad = scene.judge(&gate, &[]);
    assert_eq!(bad.verdict, Verdict::Fail, "{bad:?}");
    assert!(
        bad.why.contains("16.67 % is above the limit 5 %"),
        "{}",
        bad.why
    );
}

#[tokio::test]
async fn too_few_requests_are_inconclusive_and_say_how_many_are_missing() {
    let gate = gate(errors(), 0.05, None);
    let mut scene = Scene::new(&errors());
    scene.play("a", 15, |i| requests(2 * i, 0)).await;
    let reading = scene.judge(&gate, &[]);
    assert_eq!(
        (reading.verdict, reading.warming),
        (Verdict::Inconclusive, false)
    );
    assert_eq!(
        reading.why,
        "20 of at least 50 requests, needs 30 more (~15s)"
    );
}

#[tokio::test]
async fn a_margin_is_decided_once_over_the_whole_bake_by_the_upper_bound() {
    let gate = gate(errors(), 0.5, Some(0.01));
    // What the bake counted, and what follows at its end.
    for (canary, others, verdict, words) in [
        (
            (10.0, 12_000.0),
            (20.0, 24_000.0),
            Verdict::Pass,
            "worse by at most",
        ),
        (
            (0.0, 200.0),
            (0.0, 400.0),
            Verdict::Inconclusive,
            "cannot be ruled out, margin +1 pp, needs",
        ),
        (
            (3.0, 200.0),
            (0.0, 400.0),
            Verdict::Inconclusive,
            "more traffic like this will not show it",
        ),
    ] {
        let mut scene = Scene::new(&errors());
        for i in 0..12 {
            scene.script.says("a", &requests(1000 * i, i));
            scene.script.says("b", &requests(2000 * i, 2 * i));
            scene.sample().await;
        }
        let end = at_the_end(canary, others);
        let reading = scene.judge_after(&gate, &["b"], &end);
        assert_eq!(reading.verdict, verdict, "{}", reading.why);
        assert!(reading.why.contains(words), "{words}: {}", reading.why);
        let comparison = reading.comparison.expect("it was compared");
        assert_eq!(comparison.shown, Some(verdict == Verdict::Pass));
        // The same counts before the end are no pass, and nothing that counts against a limit.
        let before = SoFar {
            state: Deciding::Not,
            ..end
        };
        let early = scene.judge_after(&gate, &["b"], &before);
        assert_eq!(early.verdict, Verdict::Inconclusive, "{}", early.why);
        assert!(early.warming);
        assert_eq!(early.comparison.expect("compared").shown, None);
    }
}

#[tokio::test]
async fn harm_that_is_no_chance_fails_a_gate_before_the_end() {
    let gate = gate(errors(), 0.5, Some(0.002));
    let mut scene = Scene::new(&errors());
    for i in 0..12 {
        scene.script.says("a", &requests(100 * i, i));
        scene.script.says("b", &requests(200 * i, 0));
        scene.sample().await;
    }
    let counted = |canary, others| SoFar {
        state: Deciding::Not,
        ..at_the_end(canary, others)
    };
    let bad = scene.judge_after(&gate, &["b"], &counted((20.0, 2000.0), (4.0, 4000.0)));
    assert_eq!(bad.verdict, Verdict::Fail, "{}", bad.why);
    assert!(bad.why.contains("that is no chance"), "{}", bad.why);
    assert!(bad.comparison.expect("compared").proven);
    // A canary that is better, however much, raises no alarm; nor do a few errors.
    for (canary, others) in [
        ((0.0, 2000.0), (60.0, 4000.0)),
        ((4.0, 2000.0), (4.0, 4000.0)),
    ] {
        let fine = scene.judge_after(&gate, &["b"], &counted(canary, others));
        assert_eq!(fine.verdict, Verdict::Inconclusive, "{}", fine.why);
    }
}

#[tokio::test]
async fn each_look_adds_what_was_counted_since_the_look_before_and_nothing_of_a_gap() {
    let gate = gate(errors(), 0.5, Some(0.01));
    let mut scene = Scene::new(&errors());
    let say = |scene: &mut Scene, i: u32| {
        scene.script.says_as("a", "one", &requests(100 * i, i));
        scene.script.says_as("b", "two", &requests(200 * i, 0));
    };
    for i in 0..5 {
        say(&mut scene, i);
        scene.sample().await;
    }
    let since = |scene: &Scene| SoFar {
        since: Some(scene.now),
        ..nothing()
    };
    let added = |reading: &GateReading| reading.comparison.as_ref().and_then(|c| c.added);
    let before = since(&scene);
    for i in 5..7 {
        say(&mut scene, i);
        scene.sample().await;
    }
    let reading = scene.judge_after(&gate, &["b"], &before);
    let arms = added(&reading).expect("all of it was seen");
    assert_eq!((arms.baking.bad, arms.baking.total), (2.0, 202.0));
    assert_eq!((arms.others.bad, arms.others.total), (0.0, 400.0));
    assert!(!reading.unseen);
    // One of the others is silent for a moment.
    let before = since(&scene);
    scene.script.fails("b", "no connection: refused");
    scene.sample().await;
    let reading = scene.judge_after(&gate, &["b"], &before);
    assert!(
        added(&reading).is_none() && reading.unseen,
        "{}",
        reading.why
    );
    // The canary is another process than before.
    say(&mut scene, 8);
    scene.sample().await;
    let before = since(&scene);
    scene.script.says_as("a", "three", &requests(50, 0));
    scene.sample().await;
    let reading = scene.judge_after(&gate, &["b"], &before);
    assert!(
        added(&reading).is_none() && reading.unseen,
        "{}",
        reading.why
    );
}

#[tokio::test]
async fn without_others_a_margin_says_that_only_the_ceiling_was_judged() {
    let gate = gate(errors(), 0.05, Some(0.01));
    let mut scene = Scene::new(&errors());
    scene.play("a", 15, |i| requests(100 * i, 0)).await;
    let alone = scene.judge(&gate, &[]);
    assert_eq!(alone.verdict, Verdict::Pass);
    assert!(
        alone
            .why
            .contains("no other targets to compare with: weaker"),
        "{}",
        alone.why
    );
    // There are others, and they do not answer: that is not the same.
    let silent = scene.judge(&gate, &["b"]);
    assert_eq!(silent.verdict, Verdict::Error, "{}", silent.why);
}

#[tokio::test]
async fn latency_is_compared_as_the_share_beyond_the_bound_of_a_bucket() {
    let slower = |than| Measure::Slower {
        histogram: "seconds".into(),
        than,
    };
    let mut scene = Scene::new(&slower(0.1));
    for i in 0..12 {
        for (target, slow) in [("a", 2), ("b", 1)] {
            let text = format!(
                "seconds_bucket{{le=\"0.1\"}} {}\nseconds_bucket{{le=\"0.5\"}} {}\nseconds_bucket{{le=\"+Inf\"}} {}\n",
                (100 - slow) * i,
                99 * i,
                100 * i
            );
            scene.script.says(target, &text);
        }
        scene.sample().await;
    }
    let reading = scene.judge_after(
        &gate(slower(0.1), 0.05, Some(0.02)),
        &["b"],
        &at_the_end((200.0, 10_000.0), (100.0, 10_000.0)),
    );
    assert_eq!(reading.verdict, Verdict::Pass, "{}", reading.why);
    assert_eq!(reading.measured.value, Some(0.02));
    // Between two bounds nobody knows how many there are.
    let none = scene.judge(&gate(slower(0.25), 0.05, None), &[]);
    assert_eq!(none.verdict, Verdict::Error);
    assert!(
        none.why
            .contains("no bucket that ends at 0.25; there are: 0.1, 0.5, inf"),
        "{}",
        none.why
    );
}

#[test]
fn what_a_margin_needs_is_told_with_how_long_it_takes() {
    let gate = gate(errors(), 0.01, Some(0.002));
    let needed = required(&gate, 2.0, 1).expect("it has a margin");
    // z² (1 - δ) / δ without any bad request; the formula for two proportions at 1 %.
    assert_eq!((needed.at_best, needed.at_limit), (1351.0, 22_953.0));
    assert_eq!(
        required(&super::scene::gate(errors(), 0.01, None), 2.0, 1),
        None
    );
    let scene = Scene::new(&errors());
    let mut arms = ["a", "b"].map(|t| scene.measure_on(&errors(), &[t], 10));
    let bake = std::time::Duration::from_secs(1800);
    let words =
        |arms: &[Measurement; 2]| traffic(&gate, (&arms[0], &arms[1]), 1, bake).expect("a margin");
    let none = words(&arms);
    assert!(none.why.ends_with("time N/A: no traffic in both arms now"));
    assert_eq!(none.reach, Reach::Unknown);
    for (arm, samples) in arms.iter_mut().zip([100.0, 200.0]) {
        (arm.samples, arm.observed_ms) = (Some(samples), 10_000);
    }
    let some = words(&arms);
    assert_eq!(some.reach, Reach::Perhaps);
    assert_eq!(
        some.why,
        "the margin needs about 1351 requests to the baking targets if none is bad, 22953 if 1 % \
         are; at 10.0 a second that takes 3m to 39m; the bake and its extension may be too short \
         for the second"
    );
    for (seconds, reach) in [(60, Reach::TooShort), (3600, Reach::Enough)] {
        let bake = std::time::Duration::from_secs(seconds);
        let told = traffic(&gate, (&arms[0], &arms[1]), 1, bake).expect("a margin");
        assert_eq!(told.reach, reach, "{}", told.why);
    }
}

#[tokio::test]
async fn a_restart_since_the_look_before_could_not_be_judged_and_says_how_often_it_happened() {
    let mut scene = Scene::new(&errors());
    for i in 0..12 {
        scene.script.says_as("a", "one", &requests(100 * i, 0));
        scene.script.says_as("b", "other", &requests(100 * i, 0));
        scene.sample().await;
    }
    let gate = gate(errors(), 0.01, Some(0.002));
    let after = |since| SoFar {
        since: Some(since),
        ..nothing()
    };
    for (boot, says) in [
        ("two", "a restarted; "),
        (
            "three",
            "a restarted 2 times and was not seen for a whole 10s in between; ",
        ),
        (
            "four",
            "a restarted 3 times and was not seen for a whole 10s in between; ",
        ),
    ] {
        let since = scene.now;
        scene.script.says_as("a", boot, &requests(5, 0));
        scene.sample().await;
        for others in [&[][..], &["b"]] {
            let reading = scene.judge_after(&gate, others, &after(since));
            assert_eq!(reading.verdict, Verdict::Inconclusive);
            assert_eq!((reading.warming, reading.unseen), (false, true));
            assert!(reading.why.starts_with(says), "{}", reading.why);
        }
        // The others have no more to say than the canary when it is theirs that restarts.
        let turned = scene
            .watch
            .judge_gate(&gate, &["b"], &["a"], &after(since), scene.now);
        assert!(turned.why.starts_with(says), "{}", turned.why);
        assert_eq!((turned.warming, turned.unseen), (false, true));
    }
    let since = scene.now;
    scene.script.says_as("a", "four", &requests(100, 0));
    scene.sample().await;
    let reading = scene.judge_after(&gate, &[], &after(since));
    assert_eq!(
        (reading.warming, reading.unseen),
        (true, false),
        "{}",
        reading.why
    );
    // Harm stays harm, whatever else happened.
    let since = scene.now;
    scene.script.says_as("a", "five", &requests(0, 0));
    scene.sample().await;
    scene.script.says_as("a", "five", &requests(100, 100));
    scene.sample().await;
    let reading = scene.judge_after(&gate, &[], &after(since));
    assert_eq!(reading.verdict, Verdict::Fail, "{}", reading.why);
}

#[tokio::test]
async fn arms_that_are_counted_at_different_looks_are_weighed_together() {
    let counted = |bad, total| Counted { bad, total };
    let mut totals = Totals::default();
    for _ in 0..10 {
        totals = totals.with(Arms {
            baking: counted(2.0, 100.0),
            others: counted(0.0, 0.0),
        });
        totals = totals.with(Arms {
            baking: counted(0.0, 0.0),
            others: counted(1.0, 300.0),
        });
    }
    assert_eq!(totals.arms.baking, counted(20.0, 1000.0));
    assert_eq!(totals.open, Arms::default());
    // 30 bad ones, a quarter of the traffic.
    assert!((totals.expected - 7.5).abs() < 1e-9, "{totals:?}");
    assert!((totals.weight - 750.0).abs() < 1e-9, "{totals:?}");
}

#[tokio::test]
async fn a_canary_that_had_less_traffic_at_a_bad_moment_does_not_look_better_for_it() {
    let counted = |bad, total| Counted { bad, total };
    let totals = Totals::default()
        .with(Arms {
            baking: counted(9.0, 900.0),
            others: counted(1.0, 100.0),
        })
        .with(Arms {
            baking: counted(30.0, 100.0),
            others: counted(180.0, 900.0),
        });
    // All together 3.9 % against 18.1 %; moment by moment as bad, and ten points worse.
    let pooled = newcombe(39.0, 1000.0, 181.0, 1000.0, 1.645);
    assert!(pooled.upper < -0.1, "{pooled:?}");
    let excess = 39.0 - totals.expected;
    let bounds = stratified(pooled, (1000.0, 1000.0), excess, totals.weight);
    assert!((bounds.value - 0.05).abs() < 1e-9, "{bounds:?}");
    assert!(bounds.lower < 0.05 && bounds.upper > 0.07, "{bounds:?}");
    // With shares that stay, nothing changes.
    let same = newcombe(20.0, 1000.0, 10.0, 3000.0, 1.645);
    let weight = 1000.0 * 3000.0 / 4000.0;
    let again = stratified(same, (1000.0, 3000.0), 20.0 - 7.5, weight);
    assert!((again.value - same.value).abs() < 1e-12 && (again.upper - same.upper).abs() < 1e-12);
    // Nor is it passed.
    let gate = gate(errors(), 0.5, Some(0.01));
    let mut scene = Scene::new(&errors());
    for i in 0..12 {
        scene.script.says("a", &requests(100 * i, i));
        scene.script.says("b", &requests(200 * i, 0));
        scene.sample().await;
    }
    let end = SoFar {
        totals,
        ..at_the_end((39.0, 1000.0), (181.0, 1000.0))
    };
    let reading = scene.judge_after(&gate, &["b"], &end);
    assert_ne!(reading.verdict, Verdict::Pass, "{}", reading.why);
}

#[tokio::test]
async fn between_pass_and_fail_a_value_is_inconclusive_and_fail_wins() {
    let between = Gate {
        thresholds: Thresholds {
            pass: Some("<= 0.01".parse().expect("a condition")),
            fail: Some("> 0.05".parse().expect("a condition")),
            rollback: Some("> 0.5".parse().expect("a condition")),
            on_fail: OnTrigger::Pause,
        },
        ..gate(errors(), 0.0, None)
    };
    for (bad, verdict, words) in [
        (0, Verdict::Pass, "0 %, at most 1 %"),
        (
            3,
            Verdict::Inconclusive,
            "passes at most 1 %, fails above 5 %, and it is neither",
        ),
        (20, Verdict::Fail, "is above the limit 5 %"),
        (300, Verdict::Fail, "is above the limit 50 %"),
    ] {
        let mut scene = Scene::new(&errors());
        scene.play("a", 15, |i| requests(100 * i, bad * i)).await;
        let reading = scene.judge(&between, &[]);
        assert_eq!(reading.verdict, verdict, "{}", reading.why);
        assert!(reading.why.contains(words), "{words}: {}", reading.why);
        assert_eq!(reading.grave, bad == 300);
        assert!(!reading.warming && !reading.unseen, "it was observed");
    }
}

#[tokio::test]
async fn readings_survive_json_as_evidence() {
    let gate = gate(errors(), 0.5, Some(0.01));
    let mut scene = Scene::new(&errors());
    for i in 0..12 {
        scene.script.says("a", &requests(20 * i, 0));
        scene.script.says("b", &requests(40 * i, i));
        scene.sample().await;
    }
    let reading = scene.judge(&gate, &["b"]);
    let text = serde_json::to_string(&reading).expect("plain data");
    let back: GateReading = serde_json::from_str(&text).expect("the same");
    assert_eq!(back.why, reading.why);
    assert_eq!(back.comparison, reading.comparison);
}

#[tokio::test]
async fn a_trigger_fires_only_on_what_was_really_measured() {
    let limit = trigger(errors(), 0.05, 20);
    for (text, state) in [
        (requests(5, 5), TriggerState::Unknown),
        ("other 1\n".to_owned(), TriggerState::Unknown),
        ("requests_total NaN\n".to_owned(), TriggerState::Unknown),
    ] {
        let mut scene = Scene::new(&errors());
        scene.play("a", 5, |_| text.clone()).await;
        let reading = scene.watch.judge_trigger(&limit, &["a"], scene.now);
        assert_eq!(reading.state, state, "{}", reading.why);
        assert!(!reading.why.is_empty());
    }
    for (bad, state) in [(0, TriggerState::Quiet), (3, TriggerState::Fired)] {
        let mut scene = Scene::new(&errors());
        scene.play("a", 4, |i| requests(10 * i, bad * i)).await;
        let reading = scene.watch.judge_trigger(&limit, &["a"], scene.now);
        assert_eq!(reading.state, state, "{}", reading.why);
    }
    let reading =
        Scene::new(&errors())
            .watch
            .judge_trigger(&limit, &[] as &[&str], Timestamp::now());
    assert_eq!(reading.state, TriggerState::Unknown);
}

#[tokio::test]
async fn one_bad_target_does_not_hide_among_good_ones() {
    let limit = trigger(errors(), 0.2, 20);
    let mut scene = Scene::new(&errors());
    for i in 0..8 {
        scene.script.says("a", &requests(5 * i, 5 * i));
        scene.script.says("b", &requests(100 * i, 0));
        scene.sample().await;
    }
    let reading = scene.watch.judge_trigger(&limit, &["a", "b"], scene.now);
    assert_eq!(reading.state, TriggerState::Fired);
    assert_eq!(reading.why, "50 % on a in 10 s (limit 20 %)");
    scene.script.fails("b", "no connection: refused");
    for _ in 0..5 {
        scene.script.says("a", &requests(1000, 40));
        scene.sample().await;
    }
    let blind = scene.watch.judge_trigger(&limit, &["b"], scene.now);
    assert_eq!(blind.state, TriggerState::Unknown, "{}", blind.why);
}

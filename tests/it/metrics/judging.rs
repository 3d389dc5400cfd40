//! Gates and triggers.

use dbctl::check::Verdict;
use dbctl::check::gates::{GateReading, Method, TriggerState};
use dbctl::runbook::model::{Gate, Measure};
use jiff::Timestamp;

use super::scene::{Scene, errors, gate, requests, trigger};

#[tokio::test]
async fn a_gate_passes_only_once_its_window_is_observed_and_fails_at_once() {
    let gate = gate(errors(), 0.05, None);
    let mut scene = Scene::new(&errors());
    let none: &[&str] = &[];
    scene.play("a", 6, |i| requests(100 * i, i)).await;
    let early = scene.watch.judge_gate(&gate, &["a"], none, scene.now);
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
    let full = scene.watch.judge_gate(&gate, &["a"], none, scene.now);
    assert_eq!(full.verdict, Verdict::Pass, "{full:?}");
    assert_eq!(full.why, "0.99 %, at most 5 %");

    let mut scene = Scene::new(&errors());
    scene.play("a", 3, |i| requests(100 * i, 20 * i)).await;
    let bad = scene.watch.judge_gate(&gate, &["a"], none, scene.now);
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
    let reading = scene
        .watch
        .judge_gate(&gate, &["a"], &[] as &[&str], scene.now);
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
async fn a_margin_is_shown_by_the_upper_bound_and_not_by_the_two_numbers() {
    let gate = gate(errors(), 0.5, Some(0.01));
    // canary, others (per second good, bad) and what follows.
    for (canary, others, verdict, words) in [
        ((1000, 1), (2000, 2), Verdict::Pass, "worse by at most"),
        (
            (20, 0),
            (40, 0),
            Verdict::Inconclusive,
            "cannot be ruled out, margin +1 pp, needs",
        ),
        (
            (1000, 60),
            (2000, 2),
            Verdict::Fail,
            "worse by +5.56 pp, margin +1 pp",
        ),
    ] {
        let mut scene = Scene::new(&errors());
        for i in 0..12 {
            scene
                .script
                .says("a", &requests(canary.0 * i, canary.1 * i));
            scene
                .script
                .says("b", &requests(others.0 * i, others.1 * i));
            scene.sample().await;
        }
        let reading = scene.watch.judge_gate(&gate, &["a"], &["b"], scene.now);
        assert_eq!(reading.verdict, verdict, "{}", reading.why);
        assert!(reading.why.contains(words), "{words}: {}", reading.why);
        let difference = reading.difference.expect("it was compared");
        assert_eq!(difference.method, Method::Newcombe);
        assert_eq!(reading.needs.is_some(), verdict == Verdict::Inconclusive);
    }
}

#[tokio::test]
async fn without_others_a_margin_says_that_only_the_ceiling_was_judged() {
    let gate = gate(errors(), 0.05, Some(0.01));
    let mut scene = Scene::new(&errors());
    scene.play("a", 15, |i| requests(100 * i, 0)).await;
    let alone = scene
        .watch
        .judge_gate(&gate, &["a"], &[] as &[&str], scene.now);
    assert_eq!(alone.verdict, Verdict::Pass);
    assert!(
        alone
            .why
            .contains("no other targets to compare with: weaker"),
        "{}",
        alone.why
    );
    // There are others, and they do not answer: that is not the same.
    let silent = scene.watch.judge_gate(&gate, &["a"], &["b"], scene.now);
    assert_eq!(silent.verdict, Verdict::Error, "{}", silent.why);
}

#[tokio::test]
async fn a_latency_margin_is_a_plain_difference_and_says_that_it_is_weaker() {
    let measure = Measure::Quantile {
        q: 0.5,
        histogram: "seconds".into(),
    };
    let gate = Gate {
        max: 1.0,
        margin: Some(0.05),
        ..gate(measure.clone(), 1.0, None)
    };
    for (fast_of_canary, verdict) in [(10, Verdict::Pass), (0, Verdict::Fail)] {
        let mut scene = Scene::new(&measure);
        for i in 0..12 {
            for (target, fast) in [("a", fast_of_canary), ("b", 10)] {
                let text = format!(
                    "seconds_bucket{{le=\"0.1\"}} {}\nseconds_bucket{{le=\"0.5\"}} {}\nseconds_bucket{{le=\"+Inf\"}} {}\n",
                    fast * i,
                    10 * i,
                    10 * i
                );
                scene.script.says(target, &text);
            }
            scene.sample().await;
        }
        let reading = scene.watch.judge_gate(&gate, &["a"], &["b"], scene.now);
        assert_eq!(reading.verdict, verdict, "{}", reading.why);
        let difference = reading.difference.expect("compared");
        assert_eq!(difference.method, Method::Plain);
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
    let reading = scene.watch.judge_gate(&gate, &["a"], &["b"], scene.now);
    let text = serde_json::to_string(&reading).expect("plain data");
    let back: GateReading = serde_json::from_str(&text).expect("the same");
    assert_eq!(back.why, reading.why);
    assert_eq!(back.difference.is_some(), reading.difference.is_some());
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

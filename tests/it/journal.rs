//! The journal and the lease: the same tests over a file, over Postgres, and over Postgres
//! behind a PgBouncer in transaction mode.

use std::time::Duration;

use dbctl::error::Exit;
use dbctl::rollout::journal::{AppendError, Cause, Journal, RequestKind, RunId};
use dbctl::rollout::lease::{Lease, TTL, Taken};

use crate::support::stores::{Scene, note, started};

macro_rules! over_every_store {
    ($($test:ident,)*) => {
        mod sqlite {
            $(#[tokio::test] async fn $test() {
                super::$test(super::Scene::on_sqlite().await).await;
            })*
        }
        mod postgres {
            $(#[tokio::test] async fn $test() {
                super::$test(super::Scene::on_postgres().await).await;
            })*
        }
        mod pooler {
            $(#[tokio::test] async fn $test() {
                super::$test(super::Scene::behind_a_pooler().await).await;
            })*
        }
    };
}

over_every_store! {
    what_is_appended_reads_back_with_its_chain,
    an_append_behind_a_head_that_has_moved_is_refused,
    of_two_that_append_behind_one_head_one_does,
    an_entry_that_is_there_already_is_appended_once,
    a_driver_that_was_overtaken_cannot_append_and_learns_by_whom,
    a_driver_that_was_overtaken_answers_no_request,
    a_lease_that_was_given_back_or_expired_is_free,
    a_lease_that_expires_while_it_is_asked_for_is_taken,
    of_two_that_take_a_free_lease_one_has_it,
    a_second_run_is_refused_while_one_is_open,
    of_two_that_begin_a_run_one_does,
    a_request_is_answered_together_with_the_event_that_it_asks_for,
    a_request_that_was_taken_back_writes_nothing,
    what_somebody_says_of_themselves_is_kept_as_a_claim,
    whatever_a_program_printed_can_be_written,
}

async fn what_is_appended_reads_back_with_its_chain(scene: Scene) {
    let (lease, head) = scene.begun().await;
    let appended = scene
        .journal
        .append(&lease, head, 2, scene.note("hello"), false)
        .await
        .expect("it appends");
    let other = scene.another().await;
    let entries = other.entries(lease.run()).await.expect("the chain holds");
    assert_eq!(entries.len(), 2);
    assert_eq!(entries[1], appended);
    assert_eq!(entries[1].prev, entries[0].hash);
    assert_eq!(other.newest(lease.run()).await.expect("read"), 2);
    let runs = other.runs().await.expect("read");
    assert_eq!(
        (runs.len(), &runs[0].run, runs[0].closed),
        (1, lease.run(), false)
    );
}

async fn an_append_behind_a_head_that_has_moved_is_refused(scene: Scene) {
    let (lease, head) = scene.begun().await;
    let journal = &scene.journal;
    journal
        .append(&lease, head, 2, scene.note("one"), false)
        .await
        .expect("it appends");
    let again = journal
        .append(&lease, head, 3, scene.note("two"), false)
        .await;
    assert!(matches!(again, Err(AppendError::Conflict)), "{again:?}");
}

async fn of_two_that_append_behind_one_head_one_does(scene: Scene) {
    let (lease, mut head) = scene.begun().await;
    let (one, two) = (&scene.journal, &scene.another().await);
    for round in 0..20 {
        let (a, b) = tokio::join!(
            one.append(&lease, head, round, scene.note("one"), false),
            two.append(&lease, head, round, scene.note("two"), false),
        );
        let (did, did_not) = match a {
            Ok(entry) => (entry, b),
            Err(_) => (b.expect("one of them"), a),
        };
        assert!(matches!(did_not, Err(AppendError::Conflict)), "{did_not:?}");
        head = did.head();
    }
    assert_eq!(one.entries(lease.run()).await.expect("holds").len(), 21);
}

async fn an_entry_that_is_there_already_is_appended_once(scene: Scene) {
    let (lease, head) = scene.begun().await;
    let append = || {
        scene
            .journal
            .append(&lease, head, 2, scene.note("once"), false)
    };
    let first = append().await.expect("it appends");
    let second = append().await.expect("it is there");
    assert_eq!(first, second);
    let entries = scene.journal.entries(lease.run()).await.expect("holds");
    assert_eq!(entries.len(), 2);
}

async fn take(journal: &Journal, run: &RunId, holder: &str, ttl: Duration, force: bool) -> Taken {
    let taken = journal.take(run, holder, ttl, force).await;
    taken.expect("asked")
}

fn ours(taken: Taken) -> Lease {
    match taken {
        Taken::Ours(lease) => lease,
        Taken::Held(held) => panic!("{held:?}"),
    }
}

async fn a_driver_that_was_overtaken_cannot_append_and_learns_by_whom(scene: Scene) {
    let (old, head) = scene.begun().await;
    let (journal, second) = (&scene.journal, scene.holder("second"));
    let taken = take(journal, old.run(), &second, TTL, false).await;
    assert!(matches!(taken, Taken::Held(held) if held.holder == scene.holder("first")));
    let new = ours(take(journal, old.run(), &second, TTL, true).await);
    assert!(new.token() > old.token());
    let late = journal
        .append(&old, head, 2, scene.note("late"), false)
        .await;
    match late {
        Err(AppendError::Fenced { holder, token }) => {
            assert_eq!((holder, token), (second, new.token()));
        }
        other => panic!("{other:?}"),
    }
    assert!(
        !journal.renew(&old).await.expect("asked"),
        "the old lease is not renewed"
    );
    journal.release(&old).await.expect("changes nothing");
    assert!(journal.holder(old.run()).await.expect("asked").is_some());
    journal
        .append(&new, head, 3, scene.note("mine"), false)
        .await
        .expect("the new driver writes");
}

async fn a_driver_that_was_overtaken_answers_no_request(scene: Scene) {
    let (old, head) = scene.begun().await;
    let journal = &scene.journal;
    let asked = journal.request(old.run(), RequestKind::Pause, "why").await;
    let id = asked.expect("asked");
    let request = journal.requests(old.run()).await.expect("read").remove(0);
    let new = ours(take(journal, old.run(), &scene.holder("second"), TTL, true).await);
    let answered = journal.refuse(&old, &request, "not now").await;
    assert!(!answered.expect("asked"), "it is not theirs to answer");
    let by_event = journal
        .append_for(
            Cause::Request(&request),
            &old,
            head,
            2,
            scene.note("late"),
            false,
        )
        .await;
    assert!(
        matches!(by_event, Err(AppendError::Fenced { .. })),
        "{by_event:?}"
    );
    assert_eq!(journal.answered(id).await.expect("read"), None);
    assert!(journal.refuse(&new, &request, "no").await.expect("asked"));
    let answer = journal.answered(id).await.expect("read");
    assert_eq!(answer.as_deref(), Some("no"));
}

async fn a_lease_that_was_given_back_or_expired_is_free(scene: Scene) {
    let (lease, _) = scene.begun().await;
    let journal = &scene.journal;
    journal.release(&lease).await.expect("given back");
    assert_eq!(journal.holder(lease.run()).await.expect("asked"), None);
    let short = Duration::from_millis(1);
    ours(take(journal, lease.run(), &scene.holder("second"), short, false).await);
    tokio::time::sleep(Duration::from_millis(20)).await;
    ours(take(journal, lease.run(), &scene.holder("third"), TTL, false).await);
}

/// The attempt comes before the expiry, and the look at who holds it behind.
async fn a_lease_that_expires_while_it_is_asked_for_is_taken(scene: Scene) {
    let (lease, _) = scene.begun().await;
    let journal = &scene.journal;
    journal.release(&lease).await.expect("it is over");
    scene.too_early_once().await;
    let taken = take(journal, lease.run(), &scene.holder("second"), TTL, false).await;
    assert_eq!(ours(taken).token(), lease.token() + 1);
}

async fn of_two_that_take_a_free_lease_one_has_it(scene: Scene) {
    let (lease, _) = scene.begun().await;
    let (one, two) = (&scene.journal, &scene.another().await);
    let (a, b) = (scene.holder("a"), scene.holder("b"));
    one.release(&lease).await.expect("given back");
    for _ in 0..20 {
        let (first, second) = tokio::join!(
            take(one, lease.run(), &a, TTL, false),
            take(two, lease.run(), &b, TTL, false),
        );
        let (Taken::Ours(lease), Taken::Held(held)) = (match first {
            Taken::Ours(_) => (first, second),
            Taken::Held(_) => (second, first),
        }) else {
            panic!("both have it, or neither has");
        };
        assert_eq!(held.token, lease.token());
        one.release(&lease).await.expect("given back");
    }
}

async fn a_second_run_is_refused_while_one_is_open(scene: Scene) {
    let (lease, head) = scene.begun().await;
    let journal = &scene.journal;
    let (other, holder) = (RunId::random(), scene.holder("second"));
    let begin = || {
        let begins = started(&journal.person().to_string());
        journal.start(&other, "runbook", &holder, TTL, 1, begins)
    };
    let problem = begin().await.expect_err("one run is open");
    assert_eq!(problem.exit(), Exit::LeaseHeld);
    assert!(
        problem.to_string().contains(lease.run().as_str()),
        "{problem}"
    );
    journal
        .append(&lease, head, 2, scene.note("over"), true)
        .await
        .expect("it closes");
    begin().await.expect("now it begins");
}

async fn of_two_that_begin_a_run_one_does(scene: Scene) {
    let (one, two) = (&scene.journal, &scene.another().await);
    let (a, b) = (scene.holder("a"), scene.holder("b"));
    let by = one.person().to_string();
    let (x, y) = (RunId::random(), RunId::random());
    let (first, second) = tokio::join!(
        one.start(&x, "runbook", &a, TTL, 1, started(&by)),
        two.start(&y, "runbook", &b, TTL, 1, started(&by)),
    );
    assert!(first.is_ok() ^ second.is_ok(), "{first:?} {second:?}");
    let refused = first.err().or(second.err()).expect("one");
    assert_eq!(refused.exit(), Exit::LeaseHeld, "{refused}");
}

async fn a_request_is_answered_together_with_the_event_that_it_asks_for(scene: Scene) {
    let (lease, head) = scene.begun().await;
    let (driver, other) = (&scene.journal, scene.another().await);
    let asked = other.request(lease.run(), RequestKind::Note, "hello").await;
    let id = asked.expect("asked");
    let request = driver.requests(lease.run()).await.expect("read").remove(0);
    assert_eq!(
        (request.kind, request.detail.as_str()),
        (RequestKind::Note, "hello")
    );
    let noted = note(&request.by, &request.detail);
    driver
        .append_for(Cause::Request(&request), &lease, head, 2, noted, false)
        .await
        .expect("it appends");
    assert_eq!(
        other.answered(id).await.expect("read").as_deref(),
        Some("done")
    );
    assert!(driver.requests(lease.run()).await.expect("read").is_empty());
    let too_late = other.withdraw(id).await.expect("asked");
    assert_eq!(too_late.as_deref(), Some("done"), "the answer counts");
}

async fn a_request_that_was_taken_back_writes_nothing(scene: Scene) {
    let (lease, head) = scene.begun().await;
    let (driver, other) = (&scene.journal, scene.another().await);
    let asked = other.request(lease.run(), RequestKind::Note, "hello").await;
    let id = asked.expect("asked");
    let request = driver.requests(lease.run()).await.expect("read").remove(0);
    assert_eq!(other.withdraw(id).await.expect("asked"), None);
    // It names nobody else, so that the store's own look at who asked is not what stops it.
    let late = driver
        .append_for(
            Cause::Request(&request),
            &lease,
            head,
            2,
            scene.note("hello"),
            false,
        )
        .await;
    assert!(matches!(late, Err(AppendError::Withdrawn)), "{late:?}");
    assert_eq!(driver.newest(lease.run()).await.expect("read"), 1);
}

async fn what_somebody_says_of_themselves_is_kept_as_a_claim(scene: Scene) {
    let (lease, head) = scene.begun().await;
    let vouched = scene.journal.person().to_string();
    let other = scene.another().await.claiming(Some("Kim".into()));
    assert_eq!(other.person().to_string(), vouched, "a claim names nobody");
    let asked = other.request(lease.run(), RequestKind::Note, "hello").await;
    asked.expect("asked");
    let driver = &scene.journal;
    let request = driver.requests(lease.run()).await.expect("read").remove(0);
    assert_eq!(
        (request.by.as_str(), request.claim.as_deref()),
        (&*vouched, Some("Kim"))
    );
    let noted = note(&request.by, &request.detail);
    let entry = driver
        .append_for(Cause::Request(&request), &lease, head, 2, noted, false)
        .await
        .expect("it appends");
    assert_eq!(entry.record.claim.as_deref(), Some("Kim"));
    let own = driver.append(&lease, entry.head(), 3, scene.note("own"), false);
    assert_eq!(own.await.expect("it appends").record.claim, None);
}

async fn whatever_a_program_printed_can_be_written(scene: Scene) {
    let (lease, mut head) = scene.begun().await;
    for text in [
        "a\0b",
        "\\u0000",
        "\u{fffd}",
        "\u{1b}[31m",
        "“äöü” \u{1f980}",
        "'; --",
    ] {
        let entry = scene
            .journal
            .append(&lease, head, 2, scene.note(text), false)
            .await
            .unwrap_or_else(|e| panic!("{text:?}: {e:?}"));
        head = entry.head();
    }
    let entries = scene.another().await.entries(lease.run()).await;
    assert_eq!(entries.expect("the chain holds").len(), 7);
}

#[cfg(unix)]
#[tokio::test]
async fn the_file_can_be_read_by_its_owner_only() {
    use std::os::unix::fs::PermissionsExt;
    let scene = Scene::on_sqlite().await;
    let mode = |p: &std::path::Path| {
        std::fs::metadata(p)
            .expect("it exists")
            .permissions()
            .mode()
            & 0o777
    };
    let file = scene.journal.file().expect("a file");
    assert_eq!(mode(file), 0o600);
    assert_eq!(mode(file.parent().expect("a folder")), 0o700);
}

//! The journal and the lease.

use std::time::Duration;

use dbctl::rollout::journal::{AppendError, Head, Journal, RunId};
use dbctl::rollout::lease::{Lease, Taken};
use dbctl::rollout::machine::{Event, Outline};

const TTL: Duration = Duration::from_secs(15);

fn started() -> Event {
    Event::Started {
        by: "me".into(),
        outline: Outline {
            plan: "p".into(),
            phases: vec!["staging".into()],
            forward: vec![],
            rollback: vec![],
            afterwards: vec![],
        },
        plan: "{}".into(),
    }
}

fn note(text: &str) -> Event {
    Event::Note {
        by: "me".into(),
        text: text.into(),
    }
}

async fn begun() -> (tempfile::TempDir, Journal, Lease, Head) {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let journal = Journal::create(&dir.path().join("j/journal.db"))
        .await
        .expect("a journal");
    let (lease, entry) = journal
        .start(&RunId::random(), "runbook", "first", TTL, 1, started())
        .await
        .expect("a run begins");
    let head = Head {
        seq: entry.record.seq,
        hash: entry.hash,
    };
    (dir, journal, lease, head)
}

#[tokio::test]
async fn what_is_appended_reads_back_with_its_chain() {
    let (_dir, journal, lease, head) = begun().await;
    let entry = journal
        .append(&lease, head, 2, note("hello"), false)
        .await
        .expect("it appends");
    let entries = journal.entries(lease.run()).await.expect("the chain holds");
    assert_eq!(entries.len(), 2);
    assert_eq!(entries[1], entry);
    assert_eq!(entries[1].prev, entries[0].hash);
}

#[tokio::test]
async fn an_append_behind_a_head_that_has_moved_is_refused() {
    let (_dir, journal, lease, head) = begun().await;
    journal
        .append(&lease, head, 2, note("one"), false)
        .await
        .expect("it appends");
    let again = journal.append(&lease, head, 3, note("two"), false).await;
    assert!(matches!(again, Err(AppendError::Conflict)), "{again:?}");
}

#[tokio::test]
async fn a_driver_that_was_overtaken_cannot_append_and_learns_by_whom() {
    let (_dir, journal, old, head) = begun().await;
    let taken = journal
        .take(old.run(), "second", TTL, false)
        .await
        .expect("asked");
    assert!(matches!(taken, Taken::Held(held) if held.holder == "first"));
    let taken = journal
        .take(old.run(), "second", TTL, true)
        .await
        .expect("asked");
    let Taken::Ours(new) = taken else {
        panic!("a forced take takes")
    };
    assert!(new.token() > old.token());
    match journal.append(&old, head, 2, note("late"), false).await {
        Err(AppendError::Fenced { holder, token }) => {
            assert_eq!((holder.as_str(), token), ("second", new.token()));
        }
        other => panic!("{other:?}"),
    }
    assert!(
        !journal.renew(&old).await.expect("asked"),
        "the old lease is not renewed"
    );
    journal
        .append(&new, head, 3, note("mine"), false)
        .await
        .expect("the new driver writes");
}

#[tokio::test]
async fn a_lease_that_was_given_back_or_expired_is_free() {
    let (_dir, journal, lease, _) = begun().await;
    journal.release(&lease).await.expect("given back");
    let taken = journal
        .take(lease.run(), "second", Duration::from_millis(1), false)
        .await;
    assert!(matches!(taken, Ok(Taken::Ours(_))));
    tokio::time::sleep(Duration::from_millis(20)).await;
    let taken = journal.take(lease.run(), "third", TTL, false).await;
    assert!(matches!(taken, Ok(Taken::Ours(_))));
}

#[tokio::test]
async fn a_second_run_is_refused_while_one_is_open() {
    let (_dir, journal, lease, head) = begun().await;
    let other = RunId::random();
    let refused = journal
        .start(&other, "runbook", "second", TTL, 1, started())
        .await;
    let problem = refused.expect_err("one run is open");
    assert!(
        problem.to_string().contains(lease.run().as_str()),
        "{problem}"
    );
    journal
        .append(&lease, head, 2, note("over"), true)
        .await
        .expect("it closes");
    journal
        .start(&other, "runbook", "second", TTL, 1, started())
        .await
        .expect("now it begins");
}

#[cfg(unix)]
#[tokio::test]
async fn the_journal_can_be_read_by_its_owner_only() {
    use std::os::unix::fs::PermissionsExt;
    let (dir, journal, ..) = begun().await;
    let mode = |p: &std::path::Path| {
        std::fs::metadata(p)
            .expect("it exists")
            .permissions()
            .mode()
            & 0o777
    };
    assert_eq!(mode(journal.path()), 0o600);
    assert_eq!(mode(&dir.path().join("j")), 0o700);
}

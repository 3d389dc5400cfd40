//! What only the journal in Postgres promises: who wrote what is the database's word, and a
//! commit that nobody acknowledged is not guessed about.

use dbctl::error::Exit;
use dbctl::pg::Database;
use dbctl::rollout::journal::{AppendError, Cause, Head, Journal, RequestKind, RunId};
use dbctl::rollout::lease::{Lease, TTL};
use dbctl::rollout::machine::Event;

use crate::support::postgres::TestDb;
use crate::support::proxy::{Lost, Proxy};
use crate::support::stores::{Scene, database, note, started};

/// A journal with two operators who are nobody's superuser.
struct Team {
    scene: Scene,
    kim: Journal,
    bob: Journal,
}

impl Team {
    async fn new() -> Self {
        let scene = Scene::on_postgres().await;
        for role in ["kim", "bob"] {
            admit(scene.db(), role);
        }
        let open = |role: &str| {
            let url = scene.db().url_as(role);
            async move { Journal::create_in(database(&url)).await }
        };
        let kim = open("kim").await.expect("kim is admitted");
        let bob = open("bob").await.expect("bob is admitted");
        Self { scene, kim, bob }
    }

    /// A run that kim drives.
    async fn driven_by_kim(&self) -> (Lease, Head) {
        let begun = self
            .kim
            .start(
                &RunId::random(),
                "runbook",
                "kim@here:1",
                TTL,
                1,
                started("kim"),
            )
            .await;
        let (lease, entry) = begun.expect("it begins");
        (lease, entry.head())
    }

    fn as_role(&self, role: &str, sql: &str) -> Result<String, String> {
        self.scene.db().try_psql_as(role, sql)
    }
}

fn admit(db: &TestDb, role: &str) {
    db.psql(&format!(
        "CREATE ROLE {role} LOGIN; SELECT dbctl_journal.admit('{role}')"
    ));
}

fn refused(result: Result<dbctl::rollout::journal::Entry, AppendError>) -> String {
    match result {
        Err(AppendError::Failed(problem)) => {
            assert_eq!(problem.exit(), Exit::Failed, "{problem}");
            problem.to_string()
        }
        other => panic!("{other:?}"),
    }
}

fn approved(phase: usize, by: &str) -> Event {
    Event::Approved {
        phase,
        plan: "p".into(),
        by: by.into(),
    }
}

#[tokio::test]
async fn an_event_in_the_name_of_somebody_else_is_refused_by_the_database() {
    let team = Team::new().await;
    assert_eq!(team.kim.person().to_string(), "kim");
    let (lease, head) = team.driven_by_kim().await;
    for event in [
        note("bob", "hello"),
        note("postgres", "hello"),
        Event::Driven { by: "bob".into() },
        Event::Resumed { by: "bob".into() },
        approved(0, "bob"),
        approved(0, "bob (break-glass)"),
    ] {
        let why = refused(team.kim.append(&lease, head, 2, event.clone(), false).await);
        assert!(why.contains("in the name of bob") || why.contains("in the name of postgres"));
    }
    assert_eq!(team.kim.newest(lease.run()).await.expect("read"), 1);
    let own = team.kim.append(&lease, head, 2, approved(0, "kim"), false);
    own.await.expect("in their own name");
    let roles = team
        .scene
        .db()
        .psql("SELECT string_agg(role, ',' ORDER BY seq) FROM dbctl_journal.events");
    assert_eq!(roles, "kim,kim");
}

#[tokio::test]
async fn an_approval_by_another_needs_their_request_for_that_phase_of_that_plan() {
    let team = Team::new().await;
    let (lease, head) = team.driven_by_kim().await;
    let run = lease.run();
    let asks = |kind, detail: &'static str| team.bob.request(run, kind, detail);
    asks(RequestKind::Note, "hello").await.expect("asked");
    asks(RequestKind::Approve, r#"{"phase":1,"plan":"p"}"#)
        .await
        .expect("asked");
    asks(RequestKind::Approve, r#"{"phase":0,"plan":"q"}"#)
        .await
        .expect("asked");
    let requests = team.kim.requests(run).await.expect("read");
    for request in &requests {
        assert_eq!(request.by, "bob");
        let cause = Cause::Request(request);
        let forged = team
            .kim
            .append_for(cause, &lease, head, 2, approved(0, "bob"), false);
        refused(forged.await);
    }
    let id = asks(RequestKind::Approve, r#"{"phase":0,"plan":"p"}"#)
        .await
        .expect("asked");
    let request = team.kim.requests(run).await.expect("read").pop();
    let request = request.expect("the newest");
    let cause = Cause::Request(&request);
    let granted = team
        .kim
        .append_for(cause, &lease, head, 2, approved(0, "bob"), false)
        .await
        .expect("that is what bob asked for");
    let answer = team.bob.answered(id).await.expect("read");
    assert_eq!(answer.as_deref(), Some("done"));
    // Once.
    let again = team
        .kim
        .append(&lease, granted.head(), 3, approved(0, "bob"), false);
    refused(again.await);
}

#[tokio::test]
async fn whoever_goes_past_dbctl_can_write_only_in_their_own_name_and_change_nothing() {
    let team = Team::new().await;
    let (lease, _) = team.driven_by_kim().await;
    let run = lease.run();
    let event = |extra: &str| {
        format!(
            "INSERT INTO dbctl_journal.events (run, seq, body, prev, hash{extra}) \
             SELECT run, 2, body, hash, hash{} FROM dbctl_journal.events",
            if extra.is_empty() { "" } else { ", 'bob'" }
        )
    };
    let own = "INSERT INTO dbctl_journal.requests (run, kind, by_whom, detail, role)";
    for (role, sql, why) in [
        // No lease, no event; and no event that does not continue the chain.
        ("bob", event(""), "lease of the run is not held by bob"),
        ("kim", event(", role"), "does not continue the chain"),
        (
            "bob",
            format!("{own} VALUES ('{run}', 'pause', 'kim', 'x', 'kim')"),
            "in the name of another than bob",
        ),
        (
            "bob",
            format!("{own} VALUES ('{run}', 'approve', 'bob', '{{}}', 'kim')"),
            "an approval names a plan",
        ),
        (
            "bob",
            "UPDATE dbctl_journal.leases SET holder = 'kim@there:2', token = token + 1".into(),
            "in the name of another than bob",
        ),
        (
            "bob",
            "UPDATE dbctl_journal.leases SET expires = clock_timestamp()".into(),
            "the lease is held by kim@here:1",
        ),
        (
            "bob",
            "UPDATE dbctl_journal.leases SET holder = 'bob@there:2', token = token + 2".into(),
            "rises by one",
        ),
        (
            "bob",
            "UPDATE dbctl_journal.runs SET closed = true".into(),
            "lease of the run is not held by bob",
        ),
        (
            "kim",
            "UPDATE dbctl_journal.events SET body = ''".into(),
            "permission denied",
        ),
        (
            "kim",
            "DELETE FROM dbctl_journal.events".into(),
            "permission denied",
        ),
        (
            "kim",
            "DROP TRIGGER never ON dbctl_journal.events".into(),
            "must be owner",
        ),
        // The owner is held up as well, as long as the triggers are there.
        (
            "postgres",
            "UPDATE dbctl_journal.events SET body = ''".into(),
            "append-only",
        ),
        (
            "postgres",
            "DELETE FROM dbctl_journal.events".into(),
            "append-only",
        ),
        (
            "postgres",
            "TRUNCATE dbctl_journal.events CASCADE".into(),
            "append-only",
        ),
        (
            "postgres",
            "DELETE FROM dbctl_journal.leases".into(),
            "append-only",
        ),
    ] {
        let said = team.as_role(role, &sql).expect_err(&sql);
        assert!(said.contains(why), "{role}: {sql}\n{said}");
    }
    let made = format!("{own} VALUES ('{run}', 'pause', 'bob', 'x', 'kim')");
    team.as_role("bob", &made)
        .expect("a request in their own name");
    let asked = team.kim.requests(run).await.expect("read");
    assert_eq!(asked[0].by, "bob", "whatever the column said");
    let done = "UPDATE dbctl_journal.requests SET answer = 'done'";
    team.as_role("kim", done).expect("kim drives");
    let again = team.as_role("bob", done).expect_err("it is answered");
    assert!(again.contains("answered once"), "{again}");
}

#[tokio::test]
async fn a_role_that_was_not_admitted_is_told_who_can_do_that() {
    let scene = Scene::on_postgres().await;
    scene.db().psql("CREATE ROLE eve LOGIN");
    let url = scene.db().url_as("eve");
    let problem = Journal::open_in(database(&url))
        .await
        .expect_err("it cannot be read");
    let next = problem.hint().expect("a way out");
    assert!(
        next.contains("SELECT dbctl_journal.admit('eve')"),
        "{problem}: {next}"
    );
}

#[tokio::test]
async fn of_two_who_make_the_journal_at_once_both_find_it() {
    let db = crate::support::postgres::Server::own().fresh_database();
    let make = || Journal::create_in(database(&db.url));
    let (a, b, c) = tokio::join!(make(), make(), make());
    for journal in [a, b, c] {
        assert!(
            journal
                .expect("made")
                .runs()
                .await
                .expect("read")
                .is_empty()
        );
    }
}

#[tokio::test]
async fn a_commit_that_was_not_acknowledged_is_settled_by_looking() {
    let scene = Scene::on_postgres().await;
    let proxy = Proxy::before(scene.db());
    let journal = Journal::create_in(database(proxy.url()))
        .await
        .expect("a journal");
    let (lease, mut head) = scene.begun().await;
    for (round, lost) in [Lost::Reply, Lost::Commit, Lost::Reply, Lost::Commit]
        .into_iter()
        .enumerate()
    {
        let before = journal.newest(lease.run()).await.expect("read");
        let append = || journal.append(&lease, head, 7, scene.note("it"), false);
        proxy.lose(lost);
        match append().await {
            Err(AppendError::Failed(problem)) => {
                assert_eq!(problem.exit(), Exit::Unavailable, "{problem}");
            }
            other => panic!("{other:?}"),
        }
        let there = scene.journal.newest(lease.run()).await.expect("read") - before;
        assert_eq!(there, u64::from(lost == Lost::Reply), "round {round}");
        head = append().await.expect("now it is known").head();
        let there = journal.newest(lease.run()).await.expect("read") - before;
        assert_eq!(there, 1, "once");
    }
    assert_eq!(proxy.losses(), 4);
    journal.entries(lease.run()).await.expect("the chain holds");
}

#[tokio::test]
async fn a_start_that_was_not_acknowledged_begins_one_run() {
    let scene = Scene::on_postgres().await;
    let proxy = Proxy::before(scene.db());
    let journal = Journal::create_in(database(proxy.url()))
        .await
        .expect("a journal");
    let by = scene.journal.person().to_string();
    for lost in [Lost::Reply, Lost::Commit] {
        let (run, holder) = (RunId::random(), scene.holder("first"));
        proxy.lose(lost);
        let begun = journal.start(&run, "runbook", &holder, TTL, 1, started(&by));
        let (lease, entry) = begun.await.expect("it is begun, and known to be");
        let over = journal.append(&lease, entry.head(), 2, scene.note("over"), true);
        over.await.expect("it drives");
    }
    assert_eq!(journal.runs().await.expect("read").len(), 2);
}

#[tokio::test]
async fn a_journal_whose_end_was_lost_is_not_gone_on_with() {
    let scene = Scene::on_postgres().await;
    let (lease, head) = scene.begun().await;
    let append = |head, text: &str| {
        let event = scene.note(text);
        scene.journal.append(&lease, head, 2, event, false)
    };
    let entry = append(head, "acknowledged").await.expect("it appends");
    // As after a failover to a server that had not got it yet.
    scene.db().psql(
        "SET session_replication_role = replica; DELETE FROM dbctl_journal.events WHERE seq = 2",
    );
    match append(entry.head(), "next").await {
        Err(AppendError::Failed(problem)) => {
            assert_eq!(problem.exit(), Exit::JournalBroken);
            assert!(problem.hint().expect("a way out").contains("lost"));
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_journal_that_hangs_is_given_up_in_time() {
    let scene = Scene::on_postgres().await;
    let (lease, head) = scene.begun().await;
    let other = Database::from_url("the test", &scene.db().url).expect("a URL");
    let mut tx = other.begin().await.expect("begun");
    dbctl::pg::query("LOCK TABLE dbctl_journal.leases IN ACCESS EXCLUSIVE MODE")
        .execute(&mut *tx)
        .await
        .expect("locked");
    let append = || {
        scene
            .journal
            .append(&lease, head, 2, scene.note("it"), false)
    };
    match append().await {
        Err(AppendError::Failed(problem)) => assert_eq!(problem.exit(), Exit::Unavailable),
        other => panic!("{other:?}"),
    }
    let renewed = scene.journal.renew(&lease).await.expect_err("no answer");
    assert_eq!(renewed.exit(), Exit::Unavailable);
    tx.rollback().await.expect("unlocked");
    append().await.expect("it answers again");
}

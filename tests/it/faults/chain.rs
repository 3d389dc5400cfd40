//! Killing whoever drives after every event of a run.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use dbctl::rollout::journal::{Record, RunId};
use dbctl::rollout::machine::{Event, Status, StepRef};
use sqlx::Connection as _;
use sqlx::postgres::PgConnection;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};

use super::scene::Scene;

/// How long a driver may go without an event.
const PATIENCE: Duration = Duration::from_secs(90);

/// How long an effect may go on before its driver is killed late.
const EFFECT: Duration = Duration::from_millis(600);

/// Where a driver is killed.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// The newest event: its name and what it is about.
    pub event: String,
    /// After an intent: once its effect has had time to end, and before its outcome is written.
    pub late: bool,
}

impl Place {
    fn after(event: &Event, late: bool) -> Self {
        Self {
            event: about(event),
            late,
        }
    }

    /// It is one of `places`, or what must be killed for one of them to come: a step is probed only
    /// after its driver died.
    fn leads_to(&self, places: &BTreeSet<Place>) -> bool {
        let probed = Place {
            event: self.event.replace("intended", "probed"),
            late: false,
        };
        places.contains(self) || (!self.late && places.contains(&probed))
    }
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.event)?;
        f.write_str(if self.late { " (after the effect)" } else { "" })
    }
}

/// What an event is about, the same in every run of a runbook.
pub fn about(event: &Event) -> String {
    let step = |at: &StepRef| format!("{} {:?} {}", event.name(), at.part, at.index + 1);
    match event {
        Event::AnswerWanted { step: at }
        | Event::Intended { step: at, .. }
        | Event::Succeeded { step: at, .. }
        | Event::Failed { step: at, .. }
        | Event::InDoubt { step: at, .. }
        | Event::Probed { step: at, .. }
        | Event::Observed { step: at, .. }
        | Event::Agreed { step: at, .. }
        | Event::Stuck { step: at, .. } => step(at),
        Event::ApprovalWanted { phase } | Event::Approved { phase, .. } => {
            format!("{} phase {}", event.name(), phase + 1)
        }
        Event::Started { .. }
        | Event::Driven { .. }
        | Event::Triggered { .. }
        | Event::Paused { .. }
        | Event::Resumed { .. }
        | Event::RollbackStarted { .. }
        | Event::RolledBack
        | Event::Completed
        | Event::Aborted { .. }
        | Event::Waived { .. }
        | Event::Replanned { .. }
        | Event::Checkpoint(_)
        | Event::Note { .. }
        | Event::KitRefreshed { .. }
        | Event::Logged { .. } => event.name().to_owned(),
    }
}

/// Looks at the journal beside whoever writes it, and can keep them from writing.
pub struct Watch<'a> {
    scene: &'a Scene,
    store: Option<Store>,
    seen: i64,
    holds: bool,
}

/// Our own connection to what the journal lies in.
enum Store {
    File(SqliteConnection),
    Postgres(PgConnection),
}

impl Store {
    async fn connect(scene: &Scene) -> Option<Self> {
        if let Some(url) = scene.journal_url() {
            return PgConnection::connect(&url).await.ok().map(Store::Postgres);
        }
        let options = SqliteConnectOptions::new()
            .filename(scene.journal_file())
            .busy_timeout(Duration::ZERO);
        let connection = SqliteConnection::connect_with(&options).await;
        connection.ok().map(Store::File)
    }

    async fn after(&mut self, seq: i64) -> sqlx::Result<Vec<(i64, String)>> {
        match self {
            Store::File(connection) => {
                let sql = "SELECT seq, body FROM events WHERE seq > ? ORDER BY seq";
                let rows = sqlx::query_as(sql).bind(seq);
                rows.fetch_all(connection).await
            }
            Store::Postgres(connection) => {
                let sql = "SELECT seq, body FROM dbctl_journal.events WHERE seq > $1 ORDER BY seq";
                let rows = sqlx::query_as(sql).bind(seq);
                rows.fetch_all(connection).await
            }
        }
    }

    /// Takes what every append needs: the write lock of the file, the row of the lease.
    async fn hold(&mut self) -> bool {
        match self {
            Store::File(connection) => {
                let begun = sqlx::raw_sql("BEGIN IMMEDIATE").execute(connection).await;
                begun.is_ok()
            }
            Store::Postgres(connection) => {
                let sql = "BEGIN; SELECT FROM dbctl_journal.leases FOR UPDATE NOWAIT";
                let held = sqlx::raw_sql(sql).execute(&mut *connection).await.is_ok();
                if !held {
                    let ended = sqlx::raw_sql("ROLLBACK").execute(connection).await;
                    ended.expect("the transaction is over");
                }
                held
            }
        }
    }

    async fn let_go(&mut self) {
        let done = match self {
            Store::File(connection) => {
                let done = sqlx::raw_sql("ROLLBACK").execute(connection).await;
                done.map(drop)
            }
            Store::Postgres(connection) => {
                let done = sqlx::raw_sql("ROLLBACK").execute(connection).await;
                done.map(drop)
            }
        };
        done.expect("the lock is given back");
    }
}

impl<'a> Watch<'a> {
    pub fn of(scene: &'a Scene) -> Self {
        Self {
            scene,
            store: None,
            seen: 0,
            holds: false,
        }
    }

    /// Events that were not seen before, oldest first.
    pub fn news(&mut self) -> Vec<Record> {
        self.scene.runtime.block_on(async {
            if self.store.is_none() {
                self.store = Store::connect(self.scene).await;
            }
            let Some(store) = &mut self.store else {
                return Vec::new();
            };
            // Before the tables are made there is nothing to see.
            let rows = store.after(self.seen).await.unwrap_or_default();
            self.seen = rows.last().map_or(self.seen, |(seq, _)| *seq);
            let read = |(_, body): (i64, String)| serde_json::from_str(&body).expect("a record");
            rows.into_iter().map(read).collect()
        })
    }

    /// How many events were seen so far.
    pub fn seen(&self) -> usize {
        usize::try_from(self.seen).expect("not that many")
    }

    /// Keeps everybody from appending. False when somebody is writing just now.
    fn hold(&mut self) -> bool {
        let store = self.store.as_mut().expect("it is open");
        self.holds = self.scene.runtime.block_on(store.hold());
        self.holds
    }

    fn let_go(&mut self) {
        if std::mem::take(&mut self.holds) {
            let store = self.store.as_mut().expect("it is open");
            self.scene.runtime.block_on(store.let_go());
        }
    }
}

/// Where a run is to be taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Goal {
    /// To its completion, with kills on the way.
    Forward,
    /// To its completion in peace; then back, and what is due afterwards, with kills on the way.
    Back,
}

/// How a run went.
pub struct Told {
    pub run: RunId,
    /// Where drivers were killed, in order.
    pub kills: Vec<Place>,
    /// Where none was killed although the run came by.
    pub missed: BTreeSet<Place>,
    /// What the last driver that ended by itself said, and its exit status.
    pub last: (i32, String),
}

/// Drives a run to its end, and kills whoever drives at each place once; with `only`, at these
/// places and no others.
pub fn chain(scene: &Scene, goal: Goal, only: Option<&BTreeSet<Place>>) -> Told {
    let mut watch = Watch::of(scene);
    let mut killed: BTreeSet<Place> = BTreeSet::new();
    let mut kills = Vec::new();
    let mut passed: BTreeSet<Place> = BTreeSet::new();
    let mut last = None;
    let mut rounds = 0;
    while let Some(args) = next_command(scene, goal == Goal::Back) {
        rounds += 1;
        assert!(rounds < 400, "it does not come to an end: {kills:#?}");
        let killing = goal == Goal::Forward || returning(scene) || args[0] == "rollback";
        let mut driver = scene.drive(&args);
        let mut newest: Option<Event> = None;
        let mut quiet = Instant::now();
        let place = loop {
            // Asked first: what it wrote before it ended is then seen below.
            let ended = driver.ended();
            let news = watch.news();
            if let Some(last) = news.last() {
                quiet = Instant::now();
                newest = Some(last.event.clone());
            }
            if killing {
                passed.extend(news.iter().map(|r| Place::after(&r.event, false)));
            }
            if let Some(code) = ended {
                last = Some((code, driver.said()));
                break None;
            }
            if let Some(event) = newest.as_ref().filter(|_| killing) {
                let wanted = |place: &Place| {
                    let asked = only.is_none_or(|only| place.leads_to(only));
                    asked && !killed.contains(place)
                };
                let (now, late) = (Place::after(event, false), Place::after(event, true));
                if wanted(&now) {
                    break Some(now);
                }
                if matches!(event, Event::Intended { .. }) && wanted(&late) && watch.hold() {
                    std::thread::sleep(EFFECT);
                    break Some(late);
                }
            }
            assert!(
                quiet.elapsed() < PATIENCE,
                "nothing happens: {}",
                driver.said()
            );
            std::thread::sleep(Duration::from_micros(200));
        };
        match place {
            Some(place) => {
                // Unless it had ended in this very moment.
                last = driver.kill().map(|code| (code, driver.said()));
                watch.let_go();
                // What it still wrote before the signal came.
                let late = watch.news();
                let place = late.last().map_or(place, |r| Place::after(&r.event, false));
                passed.extend(late.iter().map(|r| Place::after(&r.event, false)));
                killed.insert(place.clone());
                kills.push(place);
            }
            None => {
                let (code, said) = last.as_ref().expect("it ended by itself");
                let known = [0, 10, 11, 12, 13].contains(code);
                assert!(known, "it ended with {code}: {said}");
            }
        }
    }
    // Whoever was killed at the very end said nothing.
    let last = last.unwrap_or_else(|| {
        expire(scene);
        let seen = scene.rollout(&["resume"]);
        (seen.code, seen.stderr)
    });
    let (run, ..) = scene.state().expect("a run");
    let missed = passed
        .into_iter()
        .filter(|p| only.is_none_or(|only| only.contains(p)) && !killed.contains(p));
    Told {
        run,
        missed: missed.collect(),
        kills,
        last,
    }
}

/// The run goes back, or went back.
fn returning(scene: &Scene) -> bool {
    scene.state().is_some_and(|(_, state, _)| {
        matches!(
            state.status,
            Status::RollingBack | Status::RolledBack | Status::Stuck { .. }
        )
    })
}

/// What an operator would type now; nothing once the run is where it was to come.
/// With `back`, a completed run is rolled back.
pub fn next_command(scene: &Scene, back: bool) -> Option<Vec<String>> {
    let words = |words: &[&str]| Some(words.iter().map(|w| (*w).to_owned()).collect());
    let Some((run, state, plan)) = scene.state() else {
        return words(&["start", "--confirm", "production"]);
    };
    match &state.status {
        Status::AwaitingApproval { phase } => {
            // Whoever was killed may hold the lease still; nobody waits for it here.
            expire(scene);
            words(&["resume", "--confirm", &plan.phases[*phase].env])
        }
        Status::Running | Status::AwaitingAnswer { .. } | Status::RollingBack => {
            words(&["takeover", "--confirm", run.as_str()])
        }
        Status::Paused { .. } => {
            expire(scene);
            words(&["resume"])
        }
        Status::Completed if back => words(&["rollback", "--reason", "a test"]),
        Status::RolledBack if !state.is_closed() => {
            expire(scene);
            words(&["resume"])
        }
        Status::Stuck { .. } => words(&["rollback"]),
        Status::Completed | Status::RolledBack | Status::Aborted => None,
    }
}

/// The lease of a killed driver is over, as 15 seconds later.
pub fn expire(scene: &Scene) {
    scene.runtime.block_on(async {
        match Store::connect(scene).await.expect("the journal") {
            Store::File(mut connection) => {
                let sql = "PRAGMA busy_timeout = 5000; UPDATE leases SET expires_ms = 0";
                let done = sqlx::raw_sql(sql).execute(&mut connection).await;
                done.map(drop)
            }
            // By the role that holds it: the triggers let nobody else.
            Store::Postgres(mut connection) => {
                let sql = "UPDATE dbctl_journal.leases SET expires = clock_timestamp()";
                let done = sqlx::raw_sql(sql).execute(&mut connection).await;
                done.map(drop)
            }
        }
        .expect("the lease");
    });
}
